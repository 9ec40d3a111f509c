"""Prediction by command: records, files, going on, and what is refused."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmpose_ext.behavior.annotation_files import read_label_table
from mmpose_ext.behavior.embedding_files import (
    read_attributes,
    read_embedding,
)
from mmpose_ext.behavior.inference import LisbetStreamer, load_model
from mmpose_ext.behavior.record_predictor import (
    RecordPredictor,
    find_frame_head,
    name_classes,
)
from mmpose_ext.behavior.recordings import open_recordings
from mmpose_ext.commands import run_command
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

from .small_models import CLASSES, write_models
from .track_files import KEYPOINTS, wander, write_events, write_record

DATA = 'test_dataloader.dataset'


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four records, two configs, and a checkpoint of each."""
    folder = tmp_path_factory.mktemp('predict')
    for i, record in enumerate(('a/one', 'a/two', 'b/one', 'b/two')):
        place = folder / 'data' / record
        write_record(place, wander(90 + 10 * i, seed=i))
        write_events(place / 'annotations.csv', [
            ('attack', .2, .9), ('rest', 1.2, 2.5)])
    write_models(folder)
    return folder


def run(world: Path, name: str, out: Path, *options: str,
        source: str = 'data') -> int:
    return run_command('predict', '', [
        str(world / f'{name}.py'), str(world / f'{name}.pth'),
        str(world / source), '--out', str(out), '--device', 'cpu', *options])


def test_every_record_gets_its_embeddings(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(world, 'window', tmp_path / 'out', '--csv') == 0
    told = capsys.readouterr().out
    assert '4, 420 frames' in told
    assert 'frames a second, exact' in told
    config = Config.fromfile(world / 'window.py')
    model, _ = load_model(config, world / 'window.pth', torch.device('cpu'))
    recordings = open_recordings(config, world / 'data')
    streamer = LisbetStreamer(model, recordings.shape)
    for i, record in enumerate(recordings.store.ids):
        found = read_embedding(tmp_path / 'out' / record / 'embedding.nc')
        assert np.array_equal(found.values, np.concatenate(list(
            streamer.embeddings(recordings.store.record(i)))))
        assert found.fps == 30
        table = read_embedding(tmp_path / 'out' / record
                               / 'features_lisbet_embedding.csv')
        assert np.allclose(table.values, found.values, rtol=1e-6)
    noted = found.attributes
    assert (noted['mode'], noted['window_size'], noted['window_offset'],
            noted['config']) == ('exact', 16, 5, 'window.py')
    assert noted['keypoints'] == list(KEYPOINTS)
    assert len(noted['checkpoint_sha256']) == 64
    settings = json.loads((tmp_path / 'out/prediction.json').read_text())
    assert settings['approximation'] is False
    assert cv2.imread(str(tmp_path / 'out/embedding_map.png')).std() > 3


def test_one_file_is_a_record(world: Path, tmp_path: Path) -> None:
    assert run(world, 'window', tmp_path / 'out',
               source='data/a/one/tracking.nc') == 0
    found = list((tmp_path / 'out').rglob('embedding.nc'))
    assert len(found) == 1
    assert read_embedding(found[0]).values.shape == (90, 8)


def test_behaviours_are_written_with_their_names(world: Path,
                                                 tmp_path: Path) -> None:
    assert run(world, 'frame', tmp_path / 'out') == 0
    folder = tmp_path / 'out' / 'b' / 'two'
    assert sorted(path.name for path in folder.iterdir()) == [
        'annotations.nc', 'ethogram.png', 'events.csv',
        'machineAnnotation_lisbet.csv']
    names, labels = read_label_table(folder / 'machineAnnotation_lisbet.csv')
    assert list(names) == CLASSES
    assert labels.shape == (120, 3)
    assert (labels.sum(1) == 1).all()
    assert read_attributes(folder / 'annotations.nc')['threshold'] == .5
    # the head's own answers
    config = Config.fromfile(world / 'frame.py')
    model, _ = load_model(config, world / 'frame.pth', torch.device('cpu'))
    recordings = open_recordings(config, world / 'data')
    embedding = np.concatenate(list(LisbetStreamer(
        model, recordings.shape).embeddings(recordings.store.record(3))))
    tokens = torch.from_numpy(embedding)[:, None].expand(-1, 16, -1)
    wanted = model.heads['multiclass'].predict(tokens)['scores']
    assert np.array_equal(labels.argmax(1), wanted.argmax(1))
    assert run(world, 'frame', tmp_path / 'out', '--embeddings') == 0
    assert (folder / 'embedding.nc').is_file()


@pytest.mark.parametrize('options, mode', [
    (('--stride', '4'), 'strided'), (('--dense', ), 'dense')])
def test_approximations_say_so(world: Path, tmp_path: Path,
                               options: tuple[str, ...], mode: str) -> None:
    assert run(world, 'window', tmp_path / 'out', '--float16',
               *options) == 0
    path = tmp_path / 'out' / 'a' / 'one' / 'embedding.nc'
    assert read_attributes(path)['mode'] == mode
    assert read_embedding(path).values.shape == (90, 8)
    settings = json.loads((tmp_path / 'out/prediction.json').read_text())
    assert settings['approximation'] is True


def test_interrupted_run_goes_on(
        world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    embed = RecordPredictor.embed

    def stop_at_third(predictor: RecordPredictor, index: int):
        if index == 2:
            yield next(embed(predictor, index))[:10]
            raise KeyboardInterrupt
        yield from embed(predictor, index)

    with monkeypatch.context() as patch:
        patch.setattr(RecordPredictor, 'embed', stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            run(world, 'window', tmp_path / 'out')
    done = sorted((tmp_path / 'out').rglob('embedding.nc'))
    assert [path.parent.name for path in done] == ['one', 'two']
    assert not list((tmp_path / 'out').rglob('.*'))
    before = [path.stat().st_mtime_ns for path in done]
    assert run(world, 'window', tmp_path / 'out') == 0
    assert '2 of them from before' in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in done] == before
    assert len(list((tmp_path / 'out').rglob('embedding.nc'))) == 4
    # and again there is nothing to do
    assert run(world, 'window', tmp_path / 'out') == 0
    assert '4 of them from before' in capsys.readouterr().out


def test_results_of_another_mode_are_not_mixed(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(world, 'window', tmp_path / 'out') == 0
    assert run(world, 'window', tmp_path / 'out', '--dense') == 1
    assert '--overwrite' in capsys.readouterr().err
    assert run(world, 'window', tmp_path / 'out', '--dense',
               '--overwrite') == 0


def test_results_by_another_threshold_are_not_mixed(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    several = ('--cfg-options', 'model.heads.multiclass.kind=multilabel')
    out = tmp_path / 'out'
    for options, code in (
            (several, 0), (('--threshold', '.3', *several), 1),
            (('--threshold', '.3', '--overwrite', *several), 0)):
        assert run(world, 'frame', out, *options) == code
    assert 'threshold: expected results with 0.3' in capsys.readouterr().err
    # of one class a frame it decides nothing
    assert run(world, 'frame', tmp_path / 'one') == 0
    assert run(world, 'frame', tmp_path / 'one', '--threshold', '.3') == 0


def test_a_file_is_no_folder_to_write(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'out').write_text('mine')
    assert run(world, 'window', tmp_path / 'out') == 1
    assert '--out: expected a folder, found a file' in capsys.readouterr().err
    assert (tmp_path / 'out').read_text() == 'mine'


@pytest.mark.parametrize('options, told', [
    (('--stride', '0'), '--stride'),
    (('--cfg-options', DATA + '.scale=round'), 'isotropic'),
    (('--cfg-options', DATA + '.padding=round'), 'padding'),
    (('--batch-size', '0'), '--batch-size'),
    (('--threshold', '1'), '--threshold'),
    (('--causal', ), 'looks back only'),
    (('--cfg-options', 'model.window_offset=3'), 'window_offset'),
    (('--cfg-options', 'model.backbone.embed_dims=4'), 'weights'),
    (('--cfg-options', DATA + '.select.keypoints=nose,tail,neck'),
     'was trained on'),
    (('--cfg-options', DATA + '.select.keypoints=nose,tail'),
     'was trained on'),
    (('--cfg-options', DATA + '.fps_scaling=2.',
      '--dense'), 'use a stride'),
])
def test_wrong_use_writes_nothing(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture,
        options: tuple[str, ...], told: str) -> None:
    assert run(world, 'window', tmp_path / 'out', *options) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_other_frame_rates_are_resampled(world: Path,
                                         tmp_path: Path) -> None:
    assert run(world, 'window', tmp_path / 'out', '--cfg-options',
               DATA + '.fps_scaling=1.5') == 0
    path = tmp_path / 'out' / 'a' / 'one' / 'embedding.nc'
    assert read_embedding(path).values.shape == (90, 8)


def test_missing_checkpoint_and_records_are_told(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / 'empty').mkdir()
    assert run(world, 'window', tmp_path / 'out',
               source=str(tmp_path / 'empty')) == 1
    assert run_command('predict', '', [
        str(world / 'window.py'), str(tmp_path / 'no.pth'),
        str(world / 'data'), '--out', str(tmp_path / 'out')]) == 1
    assert capsys.readouterr().err.count('error: ') == 2
    assert not (tmp_path / 'out').exists()


def test_probe_prints_a_table(world: Path, tmp_path: Path,
                              capsys: pytest.CaptureFixture) -> None:
    assert run(world, 'window', tmp_path / 'out', '--probe') == 0
    told = capsys.readouterr().out
    assert 'embeddings' in told and 'most frequent answer' in told
    figures = json.loads((tmp_path / 'out' / 'probe.json').read_text())
    assert figures['classes'] == CLASSES
    assert {row['method'] for row in figures['rows']} == {
        'linear', 'neighbours'}


def test_classes_without_names_are_refused(world: Path,
                                           tmp_path: Path) -> None:
    config = Config.fromfile(world / 'frame.py')
    config.model.heads.multiclass.num_classes = 4
    model = MODELS.build(config.model)
    recordings = open_recordings(config, world / 'data')
    with pytest.raises(DataError, match='names of the 4 classes'):
        name_classes(find_frame_head(model), {}, recordings,
                     tmp_path / 'x.pth')

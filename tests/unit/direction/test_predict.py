"""The tagger's way from files of images to tracks."""
from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import h5py
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import nn

from mmpose_ext.direction import predict
from mmpose_ext.direction.angles import direction_angles
from mmpose_ext.direction.frames import CropSource, open_source
from mmpose_ext.direction.inference import (
    DirectionTagger,
    Tags,
    fold_batch_norm,
    load_estimator,
)
from mmpose_ext.direction.tracks import DirectionTracks, write_tracks
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    VideoReader,
    VideoWriter,
    read_dlc_tracks,
    write_npz,
)

CODEC = dict(type='mmpose_ext.CenteredRegressionLabel', input_size=(50, 50))
MODEL = dict(
    type='mmpose_ext.DirectionEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[127.5], std=[255.]),
    backbone=dict(type='mmpose_ext.DirectionCNN'),
    head=dict(
        type='mmpose_ext.DirectionRegressionHead',
        in_channels=64,
        in_size=(3, 3),
        predict_sigma=True,
        loss=dict(type='mmpose_ext.DirectionLikelihoodLoss'),
        decoder=CODEC))
MARKS = (250, 190, 130)  # grey levels of base, neck and head


@pytest.fixture(scope='module')
def model() -> nn.Module:
    """An untrained estimator whose batch normalisation does something."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    built = MODELS.build(MODEL)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, .1)
            module.running_var.uniform_(.5, 2)
            nn.init.uniform_(module.weight, .5, 2)
            nn.init.normal_(module.bias)
    return built.eval()


@pytest.fixture(scope='module')
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 50, 50), np.uint8)


@pytest.mark.parametrize('tta', ['none', 'd4'])
def test_tagger_equals_mmposes_own_way(model: nn.Module, images: np.ndarray,
                                       tta: str) -> None:
    model.test_cfg = dict(tta=tta)
    samples = [PoseDataSample(metainfo=dict(
        input_center=np.full(2, 25.), input_scale=np.full(2, 50.),
        input_size=(50, 50))) for _ in images]
    for sample in samples:
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
    found = model.test_step(dict(
        inputs=torch.from_numpy(images)[:, None], data_samples=samples))
    tags = DirectionTagger(model, tta=tta).tag(images)
    for name, values in (('keypoints', tags.points),
                         ('keypoint_scores', tags.scores),
                         ('angle_conf', tags.angle_conf)):
        wanted = np.stack([getattr(sample.pred_instances, name)[0]
                           for sample in found])
        np.testing.assert_allclose(values, wanted, atol=2e-4)


def test_folding_leaves_no_normalisation_and_the_original_alone(
        model: nn.Module) -> None:
    folded = fold_batch_norm(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == 4


class MarkTagger:
    """Stands for a model: finds three grey levels drawn into the image."""

    size = 50

    def tag(self, images: np.ndarray) -> Tags:
        points = np.array([[np.argwhere(image == mark).mean(0)[::-1]
                            for mark in MARKS] for image in images])
        count = len(images)
        return Tags(points, np.full((count, 3), .9), np.full(count, .8))


def draw_marks(shape: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """A frame in which each point is one pixel."""
    frame = np.zeros(shape, np.uint8)
    for mark, (x, y) in zip(MARKS, points, strict=True):
        frame[y, x] = mark
    return frame


def walk(count: int, centre: tuple[int, int]) -> np.ndarray:
    """Whole-numbered points (T, 3, 2) around moving centres."""
    offsets = np.array([[-9, -4], [3, 2], [8, 7]])
    steps = np.arange(count)[:, None, None] * np.array([3, 2])
    return np.array(centre) + offsets + steps


def test_npz_is_tagged_in_batches(tmp_path: Path) -> None:
    points = walk(5, (20, 20))
    write_npz(tmp_path / 'a.npz', images=np.stack(
        [draw_marks((50, 50), row) for row in points]))
    source = open_source(tmp_path / 'a.npz', 50)
    tracks = predict.tag_source(MarkTagger(), source, 25., 2)
    np.testing.assert_array_equal(tracks.points, points)
    np.testing.assert_array_equal(tracks.frames, np.arange(5))


def test_full_frames_give_points_in_the_frame(tmp_path: Path) -> None:
    """A folder in natural order; a frame without a centre is missing."""
    points = walk(12, (40, 50))
    for i, row in enumerate(points):
        cv2.imwrite(str(tmp_path / f'img{i}.png'),
                    draw_marks((100, 130), row))
    rows = [f'{i},{row[1][0] + 2.3},{row[1][1]}'
            for i, row in enumerate(points) if i != 4]
    table = tmp_path / 'centres.csv'
    table.write_text('\n'.join(['frame,x,y', *rows]) + '\n')
    source = open_source(tmp_path, 50, str(table))
    tracks = predict.flag(
        predict.tag_source(MarkTagger(), source, 25., 5), .5)
    known = np.arange(12) != 4
    np.testing.assert_array_equal(tracks.points[known], points[known])
    assert np.isnan(tracks.points[4]).all()
    np.testing.assert_array_equal(tracks.flagged, ~known)


def test_larger_crops_are_scaled_and_mapped_back(tmp_path: Path) -> None:
    """Blocks of 3x3 px become single pixels of the crop."""
    points = walk(2, (20, 20))
    for i, row in enumerate(points):
        small = draw_marks((60, 60), row)
        cv2.imwrite(str(tmp_path / f'{i}.png'),
                    small.repeat(3, 0).repeat(3, 1))
    # crop of 150 px about the pixel 74.5: begins at pixel 0
    (tmp_path / 'c.csv').write_text('frame,x,y\n0,74.5,74.5\n1,74.5,74.5\n')
    source = open_source(tmp_path, 50, str(tmp_path / 'c.csv'), side=150)
    tracks = predict.tag_source(MarkTagger(), source, 25.)
    np.testing.assert_allclose(tracks.points, 3 * points + 1)


def test_video_with_background_subtraction(tmp_path: Path) -> None:
    path = tmp_path / 'v.mp4'
    places = np.stack([np.linspace(40, 150, 30), np.full(30, 60.)], -1)
    with VideoWriter(path, 20., (200, 120)) as video:
        for x, y in places:
            frame = np.full((120, 200), 90, np.uint8)
            cv2.circle(frame, (round(x), round(y)), 8, 200, -1)
            video.write(frame)

    class BlobTagger:

        def tag(self, images: np.ndarray) -> Tags:
            points = np.array([np.argwhere(image > 150).mean(0)[::-1]
                               for image in images])
            return Tags(points[:, None].repeat(3, 1),
                        np.ones((len(images), 3)), np.ones(len(images)))

    source = open_source(path, 50, 'bg')
    assert source.fps == 20.
    tracks = predict.tag_source(BlobTagger(), source, source.fps, 7)
    assert np.abs(tracks.points - places.round()[:, None]).max() < .3
    # the movie shows the crops with the points where they belong
    predict.draw_movie(tmp_path / 'movie.mp4', source, tracks)
    with VideoReader(tmp_path / 'movie.mp4') as movie:
        assert len(movie) == 30 and movie.fps == 20.


def some_tracks(**changes: object) -> DirectionTracks:
    points = walk(4, (20, 20)).astype(float)
    points[2] = np.nan
    fields = dict(
        frames=np.arange(4), fps=25., points=points,
        scores=np.full((4, 3), .5), angle_conf=np.full(4, .25),
        flagged=np.array([0, 0, 1, 0], bool), origins=np.zeros((4, 2)))
    return DirectionTracks(**{**fields, **changes})


COLUMNS = [
    'frame', 't', 'base_x', 'base_y', 'neck_x', 'neck_y', 'head_x', 'head_y',
    'score_base', 'score_neck', 'score_head', 'body_deg', 'head_deg',
    'turn_deg', 'angle_conf', 'flagged']


@pytest.mark.parametrize(('convention', 'body', 'turn'), [
    ('image', np.degrees(np.arctan2(6, 12)), 18.435),
    ('math', -np.degrees(np.arctan2(6, 12)), -18.435),
    ('compass', 90 + np.degrees(np.arctan2(6, 12)), 18.435)])
def test_csv_has_the_promised_columns(tmp_path: Path, convention: str,
                                      body: float, turn: float) -> None:
    path = tmp_path / 'o.csv'
    write_tracks(path, some_tracks(convention=convention))
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [*COLUMNS, 'convention']
    assert float(rows[1]['t']) == .04
    assert float(rows[1]['neck_x']) == 26.
    assert float(rows[0]['body_deg']) == pytest.approx(body, abs=1e-3)
    assert float(rows[0]['turn_deg']) == pytest.approx(turn, abs=1e-3)
    assert rows[2]['base_x'] == 'nan' and rows[2]['flagged'] == '1'
    assert {row['convention'] for row in rows} == {convention}


def test_npz_and_hdf5_hold_the_same(tmp_path: Path) -> None:
    tracks = some_tracks(raw=walk(4, (9, 9)).astype(float),
                         swapped=np.zeros(4, bool), meta=dict(tta='none'))
    for name in ('o.npz', 'o.h5'):
        write_tracks(tmp_path / name, tracks)
    archive = NpzArchive(tmp_path / 'o.npz')
    wanted = tracks.columns()
    assert {*COLUMNS, 'base_x_raw', 'head_deg_raw', 'swapped'} <= set(wanted)
    with h5py.File(tmp_path / 'o.h5') as file:
        for name, values in wanted.items():
            np.testing.assert_array_equal(archive.read(name), values)
            np.testing.assert_array_equal(file['direction'][name], values)
        assert file['direction'].attrs['convention'] == 'image'
    read = read_dlc_tracks(tmp_path / 'o.h5')
    assert read.names == ('base', 'neck', 'head')
    np.testing.assert_array_equal(read.points[:, 0], tracks.points)


def test_doubtful_frames_are_flagged_or_beside_a_jump() -> None:
    points = np.repeat(walk(1, (20, 20)).astype(float), 10, 0)
    points[6] = points[6][::-1]
    tracks = some_tracks(
        frames=np.arange(10), points=points, flagged=np.arange(10) == 1)
    np.testing.assert_array_equal(
        np.flatnonzero(predict.doubtful(tracks)), [1, 5, 6, 7])


def test_smoothing_keeps_raw_points() -> None:
    tracks = some_tracks()
    refined = predict.refine(tracks, True, predict.parse_smoother('median'))
    np.testing.assert_array_equal(refined.raw, tracks.points)
    assert refined.swapped is not None and not refined.swapped.any()
    assert predict.refine(tracks, False, None) is tracks


class CountingSource(CropSource):
    """Endless work of which only one batch may be alive."""

    def __init__(self) -> None:
        super().__init__(Path('none'), 1000, 30., 50, 50)

    def batches(self, batch_size: int) -> Iterator[SimpleNamespace]:
        image = draw_marks((50, 50), walk(1, (20, 20))[0])
        for start in range(0, self.count, batch_size):
            yield SimpleNamespace(
                images=np.repeat(image[None], batch_size, 0),
                frames=np.arange(start, start + batch_size),
                origins=np.zeros((batch_size, 2)))


def test_only_chosen_frames_are_tagged_again() -> None:
    source = CountingSource()
    tracks = predict.tag_source(MarkTagger(), source, 30., 100)
    blank = predict.replace(tracks, points=np.zeros((1000, 3, 2)))
    chosen = np.arange(1000) % 250 == 0
    again = predict.tag_again(MarkTagger(), source, blank, chosen, 100)
    np.testing.assert_array_equal(again.points[chosen],
                                  tracks.points[chosen])
    assert not again.points[~chosen].any()


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    return parser.parse_args(words)


def test_command_from_checkpoint_to_table(
        model: nn.Module, images: np.ndarray, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    write_npz(tmp_path / 'a.npz', images=images)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'c.pth')
    out = tmp_path / 'o.csv'
    words = [str(tmp_path / 'c.pth'), str(tmp_path / 'a.npz'), '--out',
             str(out), '--smooth', 'savgol:5,1', '--repair', '--fallback',
             '--device', 'cpu', '--fps', '10']
    config = Config(dict(model=MODEL))
    assert predict.run(config, parse(*words)) == 0
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 70
    assert [row['frame'] for row in rows] == [str(i) for i in range(70)]
    raw = np.array([[float(row[f'{name}_{axis}_raw']) for axis in 'xy']
                    for row in rows for name in ('base', 'neck', 'head')])
    angle = np.degrees(direction_angles(raw.reshape(-1, 3, 2))['head'])
    written = np.array([float(row['head_deg_raw']) for row in rows])
    # four decimals of a short vector
    np.testing.assert_allclose(np.cos(np.radians(angle - written)), 1,
                               atol=1e-3)
    printed = capsys.readouterr().out
    for word in ('frames', 'fallback', 'jitter', 'low confidence', str(out)):
        assert word in printed


def test_weights_of_another_model_are_refused(model: nn.Module,
                                              tmp_path: Path) -> None:
    config = Config(dict(model=MODEL))
    state = model.state_dict()
    state.pop('head.layers.1.bias')
    torch.save(state, tmp_path / 'c.pth')
    for name, where in (('c.pth', 'weights'), ('none.pth', 'file')):
        with pytest.raises(DataError) as caught:
            load_estimator(config, tmp_path / name)
        assert caught.value.where == where


def test_bad_input_leaves_nothing_behind(model: nn.Module,
                                         tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / 'c.pth')
    write_npz(tmp_path / 'a.npz', images=np.zeros((3, 40, 40), np.uint8))
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((60, 60), np.uint8))
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / '1.png').write_bytes(b'no image')
    before = sorted(tmp_path.rglob('*'))
    for source, out in ((tmp_path / 'a.npz', 'o.csv'), (tmp_path, 'o.csv'),
                        (tmp_path / 'broken', 'o.npz'),
                        (tmp_path / 'none.mp4', 'o.h5'),
                        (tmp_path / 'a.npz', 'o.txt'),
                        (tmp_path / 'a.npz', 'none/o.csv')):
        with pytest.raises(DataError):
            predict.run(
                Config(dict(model=MODEL)),
                parse(str(tmp_path / 'c.pth'), str(source), '--out',
                      str(tmp_path / out), '--device', 'cpu'))
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('words', [
    ['--smooth', 'median:4'], ['--batch-size', '0'], ['--fps', '-1'],
    ['--convention', 'maths']])
def test_wrong_usage_is_an_error_of_the_command_line(
        words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse('c.pth', 'a.npz', '--out', 'o.csv', *words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize('device', ['gpu', 'cuda:99'])
def test_a_device_that_is_not_there_is_named_first(
        device: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f'{device}: --device'):
        predict.run(
            Config(dict(model=MODEL)),
            parse('none.pth', 'none.npz', '--out', str(tmp_path / 'o.csv'),
                  '--device', device))

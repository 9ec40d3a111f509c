"""Pictures of results by command."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.behavior.embedding_files import (
    write_embedding,
    write_number_table,
)
from mmpose_ext.commands import run_command
from mmpose_ext.storage import VideoReader, VideoWriter

from .track_files import wander, write_events, write_record

CONFIG = """
custom_imports = dict(imports=['mmpose_ext.behavior'])
test_dataloader = dict(dataset=dict(
    type='mmpose_ext.LisbetWindowDataset', data_root='nowhere', tasks='cons',
    window_size=16, annotation_format='auto'))
"""


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two records, motifs of two sizes for each, and a video of one."""
    folder = tmp_path_factory.mktemp('visualize')
    (folder / 'config.py').write_text(CONFIG)
    for i, record in enumerate(('a', 'b')):
        write_record(folder / 'data' / record, wander(100, seed=i))
        write_events(folder / 'data' / record / 'annotations.csv',
                     [('attack', .2, .9)])
        (folder / 'motifs' / record).mkdir(parents=True)
        for number in (2, 3):
            states = np.repeat(np.arange(10) % number, 10)
            write_number_table(
                folder / 'motifs' / record
                / f'machineAnnotation_hmm{number}.csv',
                [f'Motif_{j}' for j in range(number)],
                (states[:, None] == np.arange(number)).astype(np.uint8))
    (folder / 'motifs' / 'metrics_hmm.csv').write_text(
        'n,bic\n2,10.5\n3,9.5\n')
    with VideoWriter(folder / 'a.mp4', 30., (640, 480)) as video:
        for _ in range(100):
            video.write(np.full((480, 640), 90, np.uint8))
    return folder


def run(world: Path, out: Path, *options: str, results: str = 'motifs',
        data: str = 'data') -> int:
    return run_command('visualize', '', [
        str(world / 'config.py'), str(world / results), str(world / data),
        '--out', str(out), *options])


def test_pictures_of_the_best_number_of_motifs(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(world, tmp_path / 'out', '--examples', '2') == 0
    assert 'machineAnnotation_hmm3.csv of 2 records, 3 classes' in (
        capsys.readouterr().out)
    for name in ('motifs', 'bouts', 'transitions', 'overlap', 'a/ethogram',
                 'b/ethogram'):
        assert cv2.imread(str(tmp_path / 'out' / f'{name}.png')).std() > 5


def test_map_is_coloured_where_there_are_embeddings(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(world, tmp_path / 'none') == 0
    assert not (tmp_path / 'none' / 'embedding_map.png').exists()
    values = np.random.default_rng(0).normal(size=(100, 4))
    for record in ('a', 'b'):
        (tmp_path / 'embeddings' / record).mkdir(parents=True)
        write_embedding(tmp_path / 'embeddings' / record / 'embedding.nc',
                        [values], np.arange(100))
    option = ('--embeddings', str(tmp_path / 'embeddings'))
    assert run(world, tmp_path / 'out', *option) == 0
    assert cv2.imread(str(tmp_path / 'out' / 'embedding_map.png')).std() > 3
    (tmp_path / 'embeddings' / 'b' / 'embedding.nc').unlink()
    assert run(world, tmp_path / 'again', *option) == 1
    assert 'none of b' in capsys.readouterr().err


def test_video_of_a_record_is_labelled(world: Path, tmp_path: Path) -> None:
    assert run(world, tmp_path / 'out', '--table', 'hmm2', '--video',
               str(world / 'a.mp4'), '--record', 'a') == 0
    with VideoReader(tmp_path / 'out' / 'labelled.mp4') as video:
        assert len(video) == 100


@pytest.mark.parametrize('options, told', [
    (('--table', 'hmm9'), 'one of hmm2, hmm3'),
    (('--examples', '0'), '--examples'),
    (('--video', 'a.mp4'), '--record'),
])
def test_wrong_use_writes_nothing(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture,
        options: tuple[str, ...], told: str) -> None:
    assert run(world, tmp_path / 'out', *options) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_results_must_be_of_the_records(
        world: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(world, tmp_path / 'out', results='data') == 1
    assert 'predict, segment_motifs' in capsys.readouterr().err
    write_record(tmp_path / 'data' / 'a', wander(90))
    assert run(world, tmp_path / 'out', data=str(tmp_path / 'data')) == 1
    assert '90, the frames of a' in capsys.readouterr().err
    write_record(tmp_path / 'others' / 'x', wander(90))
    assert run(world, tmp_path / 'out', data=str(tmp_path / 'others')) == 1
    assert 'the same recordings' in capsys.readouterr().err

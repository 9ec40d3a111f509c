"""Pictures, folders, videos and sheets of errors, written whole."""
from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.commands import run_command
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.equine.sources import Picture
from mmpose_ext.equine.visualize import (
    Comparison,
    Painter,
    _place,
    write_comparisons,
)
from mmpose_ext.equine.visualizer import Pen
from mmpose_ext.storage import DataError, VideoReader, VideoWriter
from tests.unit.equine.trained_files import (
    ROOT,
    picture,
    save_checkpoint,
    write_coco,
    write_folder,
)

CONFIG = str(ROOT / 'configs/equine/rtmpose-m_tiny_synthetic.py')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_checkpoint(tmp_path_factory.mktemp('model') / 'm.pth'))


def visualize(*words: object) -> int:
    return run_command('visualize', '', [CONFIG, *map(str, words)])


def comparison(number: int, error_px: float) -> Comparison:
    truth = np.random.default_rng(number).uniform(20, 80, (1, 26, 2))
    truth[0, 25] = np.nan
    found = truth + (0, error_px)
    found[0, 25] = 0
    return Comparison(
        Picture(f'{number}.png', number, Path(f'{number}.png'),
                boxes=np.array([[10, 10, 110, 60]]),
                box_scores=np.ones(1), truth=truth), found, np.ones((1, 26)))


def test_a_picture_keeps_its_pixels_above_the_legend(
        checkpoint: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), picture(0, 300, 400))
    assert visualize(checkpoint, tmp_path / 'a.png', '--out',
                     tmp_path / 'o.png', '--draw-bbox') == 0
    drawn = cv2.imread(str(tmp_path / 'o.png'))
    assert drawn.shape[1] == 400 and 310 < drawn.shape[0] < 360
    same = (drawn[:300] == picture(0, 300, 400)).all(-1).mean()
    assert .5 < same < 1


def test_a_folder_keeps_its_names(checkpoint: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'in')
    words = (checkpoint, folder, '--out', tmp_path / 'out')
    assert visualize(*words) == 0
    names = sorted(file.relative_to(tmp_path / 'out').as_posix()
                   for file in (tmp_path / 'out').rglob('*.*'))
    assert names == ['B1.PNG', 'a0.png', 'deep/c2.jpg']
    assert visualize(*words) == 1
    assert visualize(*words, '--overwrite') == 0


def test_the_input_is_never_overwritten(checkpoint: str,
                                        tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'in')
    for out in (folder, tmp_path):
        assert visualize(checkpoint, folder, '--out', out,
                         '--overwrite') == 1
    assert (folder / 'a0.png').is_file()


def test_a_video_keeps_rate_and_length(checkpoint: str,
                                       tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'v.mp4', 12, (300, 200)) as video:
        for i in range(7):
            video.write(picture(i, 200, 300))
    assert visualize(checkpoint, tmp_path / 'v.mp4', '--out',
                     tmp_path / 'o.mp4', '--batch-size', 3) == 0
    with VideoReader(tmp_path / 'o.mp4') as drawn:
        assert len(drawn) == 7 and drawn.fps == pytest.approx(12)
        assert drawn.size[0] == 300


def test_sheets_of_a_coco_file_are_sorted_by_error(
        checkpoint: str, tmp_path: Path) -> None:
    path = write_coco(tmp_path / 'coco', 4)
    out = tmp_path / 'out'
    assert visualize(checkpoint, path, '--out', out, '--worst', 2) == 0
    assert {file.name for file in out.iterdir()} == {
        'worst.jpg', 'best.jpg', 'errors.csv', 'pictures'}
    assert len(list((out / 'pictures').iterdir())) == 4
    with (out / 'errors.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5  # one of the pictures shows two horses


def test_comparisons_are_ranked_by_error_over_size(tmp_path: Path) -> None:
    found = [comparison(number, error)
             for number, error in ((1, 5.), (2, 20.), (3, 1.))]
    size = np.sqrt(100 * 50)
    assert found[1].error == pytest.approx(20 / size)
    assert '20.0 px' in found[1].caption() and '28.3%' in found[1].caption()
    write_comparisons(tmp_path, found, lambda one: picture(one.image_id),
                      Painter(Pen()), 2)
    assert sorted(file.name for file in (tmp_path / 'pictures').iterdir()
                  ) == ['1_2.jpg', '2_1.jpg', '3_3.jpg']
    with (tmp_path / 'errors.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['image'] for row in rows] == ['2.png', '1.png', '3.png']
    assert [float(rows[0][f'{name}_px']) for name in NAMES[:25]] == [20.] * 25
    assert rows[0][f'{NAMES[25]}_px'] == ''


def test_a_comparison_shows_the_horse_large() -> None:
    image = np.zeros((400, 1000, 3), np.uint8)
    image[150:200, 700:800] = 90
    one = comparison(1, 0.)
    one = Comparison(
        replace(one.picture, boxes=np.array([[700., 150, 800, 200]]),
                truth=np.full((1, 26, 2), 175.) + (575, 0)),
        np.full((1, 26, 2), 175.) + (575, 0), one.scores)
    drawn = Painter(Pen()).compare(image, one, 180)
    # 20 px on each side of a box of 100 x 50, twice as large
    assert drawn.shape == (180, 2 * 280 + 4, 3)
    # both points lie in the middle of their half
    for x in (140, 284 + 140):
        assert drawn[90, x].max() > 200
    assert (drawn[60, 60] == 90).all() and not drawn[170, 60].any()


@pytest.mark.parametrize('name, words', [
    ('in', ['--ann']), ('in', ['--worst', '0']), ('in/a0.png', []),
    ('in', ['--device', 'toaster']), ('in', ['--batch-size', '0'])])
def test_what_cannot_be_is_one_error_and_nothing_written(
        checkpoint: str, tmp_path: Path, name: str, words: list[str],
        capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / 'in')
    assert visualize(checkpoint, tmp_path / name, '--out', tmp_path / 'out',
                     *words) == 1
    assert capsys.readouterr().err.strip().count('error:') == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('out', ['horse', 'horse/val', 'horse/val/0.png'])
def test_the_pictures_of_a_coco_file_are_never_overwritten(
        checkpoint: str, tmp_path: Path, out: str) -> None:
    labels = tmp_path / 'horse' / 'annotations'
    path = write_coco(tmp_path / 'horse' / 'val')
    labels.mkdir()
    path = path.rename(labels / 'horse_val.json')
    before = sorted(tmp_path.rglob('*'))
    assert visualize(checkpoint, path, '--out', tmp_path / out,
                     '--overwrite') == 1
    assert sorted(tmp_path.rglob('*')) == before


def test_neither_the_picture_nor_the_checkpoint_is_overwritten(
        tmp_path: Path) -> None:
    (tmp_path / 'model').mkdir()
    weights = save_checkpoint(tmp_path / 'model' / 'm.pth')
    folder = write_folder(tmp_path / 'in')
    before = (folder / 'a0.png').read_bytes()
    assert visualize(weights, folder / 'a0.png', '--out',
                     folder / 'a0.png') == 1
    assert (folder / 'a0.png').read_bytes() == before
    assert visualize(weights, folder, '--out', tmp_path / 'model',
                     '--overwrite') == 1
    assert weights.is_file()


def test_pictures_of_a_coco_file_stay_in_the_folder(checkpoint: str,
                                                    tmp_path: Path) -> None:
    path = write_coco(tmp_path / 'coco')
    victim = tmp_path / 'victim.png'
    (tmp_path / 'coco' / '0.png').rename(victim)
    path.write_text(path.read_text().replace('"0.png"', '"../victim.png"')
                    .replace('"1.png"', f'"{tmp_path}/coco/1.png"'))
    (tmp_path / 'deep').mkdir()
    out = tmp_path / 'deep' / 'out'
    assert visualize(checkpoint, path, '--out', out, '--image-root',
                     tmp_path / 'coco') == 0
    names = {file.name for file in out.iterdir()}
    assert len(names) == 3 and {'1.png', '2.png'} < names
    assert [file.name for file in (tmp_path / 'deep').iterdir()] == ['out']
    with pytest.raises(DataError, match='leads out'):
        _place(out, '../victim.png')
    with pytest.raises(DataError, match='leads out'):
        _place(out, str(victim))

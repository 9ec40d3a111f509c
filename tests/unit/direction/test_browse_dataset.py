from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmpose_ext.commands import run_command
from mmpose_ext.direction.browse_dataset import iter_seen
from mmpose_ext.storage import write_npz
from tests.unit.direction.data_files import arrays_of, write_config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_npz(tmp_path / 'rats.npz', **arrays_of())
    return write_config(tmp_path / 'config.py', tmp_path / 'rats.npz')


def seen(path: Path, split: str = 'train', number: int = 12,
         augmented: bool = True) -> list[np.ndarray]:
    config = Config.fromfile(path)
    init_default_scope('mmpose')
    items = list(iter_seen(config, split, number, augmented))
    return [np.stack(part) for part in zip(*items, strict=True)]


def test_raw_images_are_those_of_the_file(config: Path) -> None:
    images, points, weights = seen(config, augmented=False)
    stored = arrays_of()
    rows = [int(np.flatnonzero((stored['images'] == image).all((1, 2)))[0])
            for image in images]
    assert len(set(rows)) == 12
    np.testing.assert_allclose(points[:, 2], stored['locs_head'][rows],
                               atol=1e-4)
    assert (weights == 1).all()


def test_augmented_points_stay_on_the_animal(config: Path) -> None:
    images, points, weights = seen(config)
    raw = seen(config, augmented=False)
    assert not np.array_equal(images, raw[0])
    assert np.abs(points - raw[1]).max() > 3
    dark = []
    for image, (_, neck, _), weight in zip(images, points, weights,
                                           strict=True):
        if weight[1]:
            x, y = np.rint(neck).astype(int)
            dark.append(image[y, x] < np.median(image) - 20)
    assert np.mean(dark) > .8  # some are covered by cutout


def test_draws_are_the_same_each_time(config: Path) -> None:
    np.testing.assert_array_equal(seen(config)[0], seen(config)[0])


def test_validation_is_not_augmented(config: Path) -> None:
    images, _, _ = seen(config, 'val', number=3)
    stored = arrays_of()['images']
    assert all((stored == image).all((1, 2)).any() for image in images)


def test_pictures_are_written(config: Path, tmp_path: Path) -> None:
    out = tmp_path / 'new' / 'pictures'
    assert run_command('browse_dataset', '', [
        str(config), '--out-dir', str(out), '--number', '10', '--tiles'
    ]) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ['train_augmented_000.png'] + [
        f'train_augmented_{i:05d}.png' for i in range(10)]
    assert cv2.imread(str(out / names[0])).std() > 10
    assert cv2.imread(str(out / names[1])).shape == (400, 400, 3)

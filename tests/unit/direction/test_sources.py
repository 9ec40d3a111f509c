from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.direction.datasets import DirectionDataset, read_direction_file
from mmpose_ext.direction.sources import recover_sources
from mmpose_ext.geometry.symmetries import (
    SYMMETRIES,
    transform_image,
    transform_points,
)
from mmpose_ext.storage import DataError, NpzArchive, write_npz
from mmpose_ext.synthesis.direction import augment_as_published, render_rats

Array = np.ndarray


def write(path: Path, images: Array, points: Array) -> NpzArchive:
    write_npz(path, images=images, locs_base=points[:, 0],
              locs_neck=points[:, 1], locs_head=points[:, 2])
    return NpzArchive(path)


def match(found: Array, images: Array) -> tuple[Array, Array]:
    """Number and symmetry of the image that each found one shows."""
    turned = {
        transform_image(image, g).tobytes(): (i, g)
        for i, image in enumerate(images) for g in SYMMETRIES
    }
    pairs = [turned[image.tobytes()] for image in found]
    return tuple(np.array(pairs).T)


@pytest.mark.parametrize('count', [24, 100])
def test_images_are_recovered_from_shuffled_copies(tmp_path: Path,
                                                   count: int) -> None:
    rats = render_rats(count, seed=5)
    images, points = augment_as_published(rats.images, rats.points, 6)
    order = np.random.default_rng(0).permutation(len(images))
    archive = write(tmp_path / 'x64.npz', images[order], points[order])
    sources = recover_sources(archive, points[order])
    assert sources.layout == 'hash'
    number, symmetry = match(sources.images, rats.images)
    assert sorted(number) == list(range(count))
    truth = np.stack([transform_points(rats.points[i], g, 50)
                      for i, g in zip(number, symmetry, strict=True)])
    error = np.abs(sources.points - truth)
    # 8 of the 16 exact copies carry label noise of .4 px: .4 sqrt(8) / 16
    assert np.sqrt(np.square(error).mean()) == pytest.approx(.071, rel=.2)
    assert sources.copies.min() == 16  # more where a shift was by nothing
    assert sources.copies.max() <= 24
    assert f'{64 * count} rows are {count} images' in sources.describe()


@pytest.mark.parametrize('layout', ['row modulo', 'row blocks'])
def test_regular_layouts_serve_where_no_copy_is_exact(tmp_path: Path,
                                                      layout: str) -> None:
    rats = render_rats(24, seed=7)
    images, points = augment_as_published(rats.images, rats.points, 8)
    rng = np.random.default_rng(0)
    noise = rng.integers(-3, 4, images.shape)
    images = np.clip(images + noise, 0, 255).astype(np.uint8)
    if layout == 'row modulo':
        order = np.arange(64 * 24).reshape(24, 64).T.ravel()
        images, points = images[order], points[order]
    archive = write(tmp_path / 'x64.npz', images, points)
    sources = recover_sources(archive, points)
    assert sources.layout == layout
    assert len(sources.images) == 24
    assert (sources.copies == 64).all()


def test_unrelated_rows_are_refused(tmp_path: Path) -> None:
    rats = render_rats(128, seed=9)
    archive = write(tmp_path / 'x.npz', rats.images, rats.points)
    with pytest.raises(DataError, match='source_id') as caught:
        recover_sources(archive, rats.points)
    assert caught.value.where == 'images'


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_memory_stays_at_the_unique_images(tmp_path: Path, save) -> None:
    """6,400 rows are 16 MB; 100 unique images are 0.25 MB."""
    rats = render_rats(100, seed=5)
    images, points = augment_as_published(rats.images, rats.points, 6)
    path = tmp_path / 'x64.npz'
    save(path, images=images, locs_base=points[:, 0], locs_neck=points[:, 1],
         locs_head=points[:, 2])
    del images, points
    tracemalloc.start()
    try:
        record = read_direction_file(path)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert record.images.shape == (100, 50, 50)
    assert peak < record.images.nbytes + 6e6
    assert held < record.images.nbytes + 1e6


def test_published_file_splits_by_image(tmp_path: Path) -> None:
    rats = render_rats(40, seed=11)
    images, points = augment_as_published(rats.images, rats.points, 12)
    order = np.random.default_rng(1).permutation(len(images))
    write(tmp_path / 'x64.npz', images[order], points[order])
    parts = [DirectionDataset('x64.npz', str(tmp_path), split)
             for split in ('train', 'val', 'test')]
    assert [len(part) for part in parts] == [30, 5, 5]
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows) == list(range(40))

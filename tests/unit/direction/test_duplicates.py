from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.commands import run_convert
from mmpose_ext.direction.duplicates import (
    describe_images,
    near_duplicate_clusters,
    near_duplicates,
)
from mmpose_ext.geometry.symmetries import transform_image
from mmpose_ext.synthesis.direction import render_rats

Array = np.ndarray


@pytest.fixture(scope='module')
def rats() -> Array:
    """Distinct images (N, 50, 50)."""
    return render_rats(300, seed=3).images


def shifted(image: Array, dx: int, dy: int) -> Array:
    padded = np.pad(image, 4, mode='edge')
    return padded[4 - dy:54 - dy, 4 - dx:54 - dx]


def noisy(image: Array, rng: np.random.Generator) -> Array:
    return np.clip(np.rint(image + rng.normal(0, 4, image.shape)), 0,
                   255).astype(np.uint8)


@pytest.mark.parametrize(('turn', 'shift', 'noise'), [
    (True, False, False), (False, True, False), (False, False, True),
    (True, True, True)])
def test_copies_are_found(rats: Array, turn: bool, shift: bool,
                          noise: bool) -> None:
    rng = np.random.default_rng(0)
    copies = []
    for image in rats[:150]:
        if turn:
            image = transform_image(image, int(rng.integers(1, 8)))
        if shift:
            image = shifted(image, *rng.integers(-2, 3, 2))
        copies.append(noisy(image, rng) if noise else image)
    pairs = near_duplicates(np.stack(copies), rats)
    own = pairs[:, 0] == pairs[:, 1]
    assert own.sum() >= 148
    assert own.all(), 'a copy was taken for that of another image'


def test_distinct_rats_are_no_pair(rats: Array) -> None:
    assert len(near_duplicates(rats)) == 0
    assert len(np.unique(near_duplicate_clusters(rats))) == len(rats)


def test_pairs_within_are_listed_once(rats: Array) -> None:
    images = np.concatenate([rats[:20], rats[5:8]])
    np.testing.assert_array_equal(
        near_duplicates(images), [[5, 20], [6, 21], [7, 22]])
    clusters = near_duplicate_clusters(images)
    assert clusters[5] == clusters[20]
    assert len(np.unique(clusters)) == 20


def test_none_among_none() -> None:
    empty = np.empty((0, 50, 50), np.uint8)
    assert near_duplicates(empty).shape == (0, 2)
    assert describe_images(empty).shape == (0, 100)


def test_description_moves_with_the_symmetries(rats: Array) -> None:
    described = describe_images(rats[:20]).reshape(-1, 10, 10)
    for symmetry in range(8):
        turned = np.ascontiguousarray(transform_image(rats[:20], symmetry))
        np.testing.assert_allclose(
            describe_images(turned).reshape(-1, 10, 10),
            transform_image(described, symmetry), atol=.05)


def test_frames_of_a_real_recording_are_no_pair(tmp_path: Path,
                                                real_data: Path) -> None:
    out = tmp_path / 'mouse'
    assert run_convert('', ['dlc', str(real_data / 'openfield_mouse'),
                            '--out', str(out)]) == 0
    with np.load(out / 'direction.npz') as file:
        images = file['images']
    assert len(near_duplicates(images)) == 0

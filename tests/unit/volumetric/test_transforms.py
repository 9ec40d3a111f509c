"""Crops show what the full images would, and cameras move with them."""
from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.volumetric.datasets import VolumetricPoseDataset
from mmpose_ext.volumetric.recordings import build_cameras
from mmpose_ext.volumetric.transforms import (
    META_KEYS,
    DannceCropToVolume,
    DannceLoadFrames,
    DanncePackInputs,
    crop_boxes,
)
from tests.unit.volumetric.recording_files import (
    HEIGHT,
    WIDTH,
    make_cameras,
    write_recording,
)

SIZES = np.array([[WIDTH, HEIGHT]] * 3)


@pytest.fixture
def cameras() -> Cameras:
    return build_cameras('cameras', make_cameras(), 1, SIZES)


def cube_points(half: float, turns: int = 24) -> np.ndarray:
    """Surfaces of a cube under many turns about z, (N, 3)."""
    axis = np.linspace(-half, half, 7)
    points = np.array([p for p in itertools.product(axis, repeat=3)
                       if max(map(abs, p)) == half])
    turned = []
    for angle in np.linspace(0, np.pi / 2, turns):
        turn = np.array([[np.cos(angle), -np.sin(angle), 0],
                         [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        turned.append(points @ turn.T)
    return np.concatenate(turned)


@pytest.mark.parametrize('com', [(0., 0, 0), (90, -60, 20), (-120, 30, 0)])
@pytest.mark.parametrize('reach', [12., 40.])
def test_box_holds_the_volume_under_every_turn(
        cameras: Cameras, com: tuple, reach: float) -> None:
    middle = np.array([com])
    boxes = crop_boxes(cameras, middle, reach)
    pixels, _ = cameras.project(middle + cube_points(reach))
    # as sampling beyond the border would find them
    pixels = np.clip(pixels, 0, SIZES[:, None] - 1)
    assert (pixels >= boxes[:, None, :2]).all()
    assert (pixels <= boxes[:, None, 2:] - 1).all()


def test_box_is_no_larger_than_need_be(cameras: Cameras) -> None:
    boxes = crop_boxes(cameras, np.zeros((1, 3)), 20.)
    pixels, _ = cameras.project(cube_points(20.))
    need = pixels.max(1) - pixels.min(1)
    assert (boxes[:, 2:] - boxes[:, :2] <= need + 9).all()


def test_box_of_two_animals_holds_both(cameras: Cameras) -> None:
    middles = np.array([[40., 0, 0], [-40, 10, 0]])
    boxes = crop_boxes(cameras, middles, 15.)
    for middle in middles:
        one = crop_boxes(cameras, middle[None], 15.)
        assert (boxes[:, :2] <= one[:, :2] + 1).all()
        assert (boxes[:, 2:] >= one[:, 2:] - 1).all()


def test_view_beside_the_animal_keeps_the_nearest_pixels(
        cameras: Cameras) -> None:
    # far to the right of the first camera
    right = np.linalg.inv(cameras.rotations[0]) @ [900., 0, 0]
    left, top, right_end, bottom = crop_boxes(cameras, right[None], 10.)[0]
    assert (left, right_end) == (WIDTH - 1, WIDTH)
    assert 0 <= top < bottom <= HEIGHT


def test_view_inside_the_volume_keeps_all(cameras: Cameras) -> None:
    boxes = crop_boxes(cameras, cameras.positions[:1], 30.)
    assert boxes[0].tolist() == [0, 0, WIDTH, HEIGHT]


def test_cropped_picture_and_camera_agree(cameras: Cameras) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
              for _ in range(3)]
    before = dict(images=images, cameras=cameras, com=np.array([[9., 4, 2]]))
    after = DannceCropToVolume(15.).transform(dict(before))
    points = before['com'] + rng.uniform(-10, 10, (20, 3))
    old, _ = cameras.project(points)
    new, _ = after['cameras'].project(points)
    for view in range(3):
        a, b = (np.rint(p[view]).astype(int) for p in (old, new))
        assert (images[view][a[:, 1], a[:, 0]]
                == after['images'][view][b[:, 1], b[:, 0]]).all()
        assert after['images'][view].shape[1::-1] == tuple(
            after['cameras'].sizes[view])


def test_reach_must_be_a_length() -> None:
    for reach in (0., -3., float('inf')):
        with pytest.raises(ValueError, match='reach_mm'):
            DannceCropToVolume(reach)


def test_packed_sample_is_what_the_preprocessor_takes(
        tmp_path: Path) -> None:
    folder = write_recording(tmp_path / 'monday')
    dataset = VolumetricPoseDataset(str(folder), '.', skeleton='rat16')
    info = dataset.get_data_info(4)
    info['keypoints'][0, 2, 1] = np.nan
    whole = DannceLoadFrames().transform(info)
    packed = DanncePackInputs().transform(whole)
    sample = packed['data_samples']
    assert set(META_KEYS) <= set(sample.metainfo_keys())
    for image, tensor in zip(whole['images'], packed['inputs'], strict=True):
        assert tensor.dtype == torch.uint8 and tensor.is_contiguous()
        assert (tensor.numpy() == image[..., ::-1].transpose(2, 0, 1)).all()
    truth = sample.gt_instances
    assert truth.keypoints.shape == (1, 16, 3)
    assert truth.keypoints.dtype == truth.keypoints_visible.dtype == 'f4'
    assert truth.keypoints_visible.sum() == 15
    assert truth.keypoints_visible[0, 2] == 0

"""Volumes against loops over single voxels, and against closed forms."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmpose_ext.geometry import voxel_projection
from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.geometry.volumes import pack_images, sample_volume
from mmpose_ext.geometry.voxels import MIRRORED, VoxelGrid, turned_axes

from .camera_rigs import label3d, ring

CENTRE = np.array([13., -21., 8.])
TURNED = turned_axes(.6)
GRID = VoxelGrid(-120., 120., 16)


def noise(cameras: Cameras, seed: int = 0, channels: int = 3) -> list[Tensor]:
    """Images of noise in the sizes of the cameras."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 256, (channels, height, width),
                          generator=generator, dtype=torch.uint8)
            for width, height in cameras.sizes.tolist()]


def by_loop(images: list[Tensor], cameras: Cameras, grid: VoxelGrid,
            centre: np.ndarray, axes: np.ndarray,
            padding: str = 'border') -> np.ndarray:
    """The nearest volume, one voxel at a time in Python's float64."""
    n, parts = grid.nvox, []
    for view, image in enumerate(images):
        fx, skew, cx, _, fy, cy = cameras.intrinsics[view].ravel()[:6]
        k1, k2, p1, p2, k3 = cameras.distortions[view]
        height, width = image.shape[1:]
        part = np.zeros((3, n, n, n), np.float32)
        for iy, ix, iz in np.ndindex(n, n, n):
            local = [grid.vmin + (grid.vmax - grid.vmin) / n * (i + .5)
                     for i in (ix, iy, iz)]
            world = [centre[i] + sum(axes[i, j] * local[j] for j in range(3))
                     for i in range(3)]
            a, b, depth = (
                sum(cameras.rotations[view, i, j] * world[j]
                    for j in range(3)) + cameras.translations[view, i]
                for i in range(3))
            if depth <= 1e-6:
                continue
            x, y = a / depth, b / depth
            s = x * x + y * y
            if s >= cameras.folds[view]**2:
                continue
            radial = 1 + k1 * s + k2 * s**2 + k3 * s**3
            xd = x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x)
            yd = y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y
            u, v = fx * xd + skew * yd + cx, fy * yd + cy
            if padding == 'border':
                u, v = min(max(u, 0), width - 1), min(max(v, 0), height - 1)
            # Python rounds to even
            column, row = round(u), round(v)
            if 0 <= column < width and 0 <= row < height:
                part[:, iy, ix, iz] = (
                    image[:, row, column].numpy().astype(np.float32)
                    / np.float32(127.5) - np.float32(1))
        parts.append(part)
    return np.concatenate(parts)


def by_array(images: list[Tensor], cameras: Cameras, grid: VoxelGrid,
             centre: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The nearest volume by ``Cameras.project``, all ahead, for large n."""
    pixels, _ = cameras.project(grid.points(centre, axes))
    parts = []
    for image, (u, v) in zip(images, np.moveaxis(pixels, -1, 1), strict=True):
        height, width = image.shape[1:]
        column = np.rint(u.clip(0, width - 1)).astype(int)
        row = np.rint(v.clip(0, height - 1)).astype(int)
        parts.append(image.numpy()[:, row, column])
    return np.concatenate(parts).astype(np.float32) / np.float32(
        127.5) - np.float32(1)


@pytest.mark.parametrize('padding', ['border', 'zeros'])
@pytest.mark.parametrize(('distance', 'skew', 'middle'), [
    (800., 0., CENTRE),
    (500., -6., CENTRE),
    (500., 3., CENTRE + [300., 0, 0]),  # half of it beside the images
    (150., 3., CENTRE),  # about and behind the cameras
])
def test_nearest_volumes_are_those_of_a_loop(distance, skew, middle, padding):
    cameras = ring(3, skew, distance=distance)
    images = noise(cameras)
    axes = 1.2 * TURNED @ MIRRORED
    expected = by_loop(images, cameras, GRID, middle, axes, padding)
    found = sample_volume(
        images, cameras, middle, axes, grid=GRID, padding=padding)
    np.testing.assert_array_equal(found, expected)
    if distance < 200:
        assert (expected == 0).any(1).any(), 'nothing lies behind'


@pytest.mark.parametrize(('views', 'nvox'), [(6, 48), (2, 64), (2, 80)])
def test_large_volumes_are_identical_to_float64(views, nvox):
    cameras = ring(views, skew=2., seed=nvox)
    images, grid = noise(cameras), VoxelGrid(-120., 120., nvox)
    np.testing.assert_array_equal(
        sample_volume(images, cameras, CENTRE, TURNED, grid=grid),
        by_array(images, cameras, grid, CENTRE, TURNED))


@pytest.mark.parametrize(('name', 'size', 'reach'), [
    ('mouse_label3d_demo.mat', (1152, 1024), 60.),
    ('rat_social_dannce.mat', (1920, 1200), 120.)])
def test_volumes_of_published_rigs_are_identical_to_float64(
        real_data, name, size, reach):
    record = label3d(real_data / 'label3d' / name)
    count = len(record.pixels)
    cameras = Cameras.from_matlab(
        [f'cam{i}' for i in range(count)], **record.matlab,
        sizes=np.tile(size, (count, 1)))
    images, grid = noise(cameras), VoxelGrid(-reach, reach, 48)
    middle = record.points.mean(0)
    np.testing.assert_array_equal(
        sample_volume(images, cameras, middle, TURNED, grid=grid),
        by_array(images, cameras, grid, middle, TURNED))


def test_without_second_look_float32_errs(monkeypatch):
    cameras = ring(4)
    images, grid = noise(cameras), VoxelGrid(-120., 120., 48)
    monkeypatch.setattr(voxel_projection, 'rounding_bound', lambda *_: 0.)
    found = sample_volume(images, cameras, CENTRE, TURNED, grid=grid)
    expected = by_array(images, cameras, grid, CENTRE, TURNED)
    assert 0 < (found.numpy() != expected).mean() < 1e-3


@pytest.mark.parametrize('count', [1, 2, 3, 6, 8])
def test_views_follow_each_other_whatever_their_number_and_sizes(count):
    cameras = ring(count)
    corners = np.arange(2 * count).reshape(-1, 2)
    cameras = cameras.crop(corners, cameras.sizes - 7 * corners)
    images = noise(cameras)
    whole = sample_volume(images, cameras, CENTRE, grid=GRID)
    assert whole.shape == (3 * count, 16, 16, 16)
    for view in range(count):
        alone = sample_volume([images[view]], cameras.select([view]), CENTRE,
                              grid=GRID)
        np.testing.assert_array_equal(whole[3 * view:3 * view + 3], alone)


@pytest.mark.parametrize('interpolation', ['nearest', 'bilinear'])
def test_parts_of_images_give_the_same_volume(interpolation):
    """As far as the volume is seen, cropping moves numbers alone."""
    cameras, grid = ring(4), VoxelGrid(-60., 60., 24)
    images = noise(cameras)
    pixels, _ = cameras.project(grid.points(CENTRE, TURNED))
    low = np.floor(pixels.min((1, 2, 3))).astype(int) - 2
    high = np.ceil(pixels.max((1, 2, 3))).astype(int) + 3
    assert (low >= 0).all() and (high <= cameras.sizes).all()
    parts = [image[:, b:d, a:c] for image, (a, b), (c, d) in zip(
        images, low, high, strict=True)]
    np.testing.assert_allclose(
        sample_volume(parts, cameras.crop(low, high - low), CENTRE, TURNED,
                      grid=grid, interpolation=interpolation),
        sample_volume(images, cameras, CENTRE, TURNED, grid=grid,
                      interpolation=interpolation),
        atol=0 if interpolation == 'nearest' else 2e-3)


@pytest.mark.parametrize('padding', ['border', 'zeros'])
def test_bilinear_ramps_return_the_coordinates(padding):
    cameras = ring(4, skew=3.).resize(.4)
    grid = VoxelGrid(-60., 60., 32)
    pixels, _ = cameras.project(grid.points(CENTRE, TURNED))
    width, height = cameras.sizes[0].tolist()
    ramp = torch.stack([
        torch.arange(width).expand(height, -1).clamp(max=255),
        torch.arange(height)[:, None].expand(-1, width),
        torch.zeros(height, width)]).to(torch.uint8)
    found = sample_volume([ramp] * 4, cameras, CENTRE, TURNED, grid=grid,
                          interpolation='bilinear', padding=padding)
    values = (found.numpy().reshape(4, 3, 32, 32, 32) + 1) * 127.5
    assert pixels.min() > 0
    assert pixels[..., 0].max() < 255
    np.testing.assert_allclose(values[:, 0], pixels[..., 0], atol=1e-3)
    np.testing.assert_allclose(values[:, 1], pixels[..., 1], atol=1e-3)


@pytest.mark.parametrize('padding', ['border', 'zeros'])
@pytest.mark.parametrize('interpolation', ['nearest', 'bilinear'])
def test_agrees_with_torch_on_volumes_partly_outside(interpolation, padding):
    cameras = ring(3, distance=500.)
    images = noise(cameras)
    middle = CENTRE + [0., 150., 0.]
    pixels, _ = cameras.project(GRID.points(middle))
    place = pixels.reshape(3, 16, 256, 2) * 2 / (cameras.sizes[0] - 1) - 1
    expected = F.grid_sample(
        torch.stack(images).double() / 127.5 - 1, torch.from_numpy(place),
        mode=interpolation, padding_mode=padding, align_corners=True)
    assert np.isfinite(pixels).all()
    found = sample_volume(images, cameras, middle, grid=GRID,
                          interpolation=interpolation, padding=padding)
    np.testing.assert_allclose(
        found, expected.reshape(9, 16, 16, 16), atol=5e-3)
    assert (found == 0).any() == (padding == 'zeros')


@pytest.mark.parametrize('interpolation', ['nearest', 'bilinear'])
def test_blocks_of_other_devices_give_the_same_volume(monkeypatch,
                                                      interpolation):
    """Whole views in float64, as a GPU computes them."""
    cameras = ring(3)
    images = noise(cameras)
    expected = sample_volume(images, cameras, CENTRE, TURNED, grid=GRID,
                             interpolation=interpolation)
    monkeypatch.setattr(voxel_projection, '_WIDEST', 0.)
    found = sample_volume(images, cameras, CENTRE, TURNED, grid=GRID,
                          interpolation=interpolation)
    np.testing.assert_allclose(
        found, expected, atol=0 if interpolation == 'nearest' else 5e-3)


@pytest.mark.gpu
@pytest.mark.parametrize('padding', ['border', 'zeros'])
@pytest.mark.parametrize('interpolation', ['nearest', 'bilinear'])
def test_gpu_agrees_with_cpu(interpolation, padding):
    cameras = ring(6, distance=400.)
    images = noise(cameras)
    grid = VoxelGrid(-120., 120., 80)
    arguments = dict(grid=grid, interpolation=interpolation, padding=padding)
    expected = sample_volume(images, cameras, CENTRE, TURNED, **arguments)
    found = sample_volume([image.cuda() for image in images], cameras, CENTRE,
                          TURNED, **arguments)
    assert found.is_cuda
    np.testing.assert_allclose(
        found.cpu(), expected, atol=0 if interpolation == 'nearest' else 5e-3)


@pytest.mark.parametrize(('turn', 'mirror', 'flipped'), [
    # along the turned grid's x lies the world's y
    (3, False, lambda volume: volume.flip(-3).transpose(-3, -2)),
    (2, False, lambda volume: volume.flip(-3, -2)),
    (1, False, lambda volume: volume.flip(-2).transpose(-3, -2)),
    (0, True, lambda volume: volume.flip(-3)),
])
def test_quarter_turns_and_mirrors_flip_the_array(turn, mirror, flipped):
    cameras = ring(3)
    images = noise(cameras)
    axes = turned_axes(turn * math.pi / 2)
    found = sample_volume(images, cameras, CENTRE,
                          axes @ MIRRORED if mirror else axes, grid=GRID)
    upright = sample_volume(images, cameras, CENTRE, grid=GRID)
    np.testing.assert_array_equal(found, flipped(upright))


def test_what_a_perfect_network_sees_is_where_it_was():
    """A dot projected into all views lights up at its own voxel."""
    cameras = ring(6).resize(2.)
    grid = VoxelGrid(-60., 60., 40)
    point = CENTRE + [11., -17., 23.]
    pixels, _ = cameras.project(point)
    images = []
    for (u, v), (width, height) in zip(pixels, cameras.sizes, strict=True):
        y, x = np.mgrid[:height, :width]
        dot = 255 * np.exp(-((x - u)**2 + (y - v)**2) / (2 * 8**2))
        images.append(torch.from_numpy(np.rint(dot)).to(torch.uint8)[None])
    for axes in (turned_axes(0.), 1.1 * turned_axes(2.), TURNED @ MIRRORED):
        volume = sample_volume(images, cameras, CENTRE, axes, grid=grid)
        seen = (volume.numpy() / 2 + .5).prod(0)
        place = grid.points(CENTRE, axes)
        found = (seen[..., None] * place).sum((0, 1, 2)) / seen.sum()
        np.testing.assert_allclose(found, point, atol=.3)


def test_views_may_be_repeated_left_out_and_packed_once():
    cameras = ring(3)
    images = noise(cameras)
    whole = sample_volume(images, cameras, CENTRE, grid=GRID)
    red, green, blue = whole.split(3)
    out = torch.full((15, 16, 16, 16), 7.)
    found = sample_volume(pack_images(images), cameras, CENTRE, grid=GRID,
                          views=[2, -1, 0, 2, 1], out=out)
    assert found.data_ptr() == out.data_ptr()
    expected = torch.cat([blue, torch.zeros_like(red), red, blue, green])
    np.testing.assert_array_equal(found, expected)


def test_grey_images_have_one_channel():
    cameras = ring(2)
    grey = noise(cameras, channels=1)
    found = sample_volume(grey, cameras, CENTRE, grid=GRID)
    colored = sample_volume([image.expand(3, -1, -1) for image in grey],
                            cameras, CENTRE, grid=GRID)
    np.testing.assert_array_equal(found, colored[::3])


class Allocations(TorchDispatchMode):
    """Notes the size of every tensor that operators return."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            storage = result.untyped_storage()
            self.sizes[storage.data_ptr()] = storage.nbytes()
        return result


def test_temporaries_stay_below_the_volume_of_one_view():
    cameras = ring(1)
    images = noise(cameras)
    grid = VoxelGrid(-120., 120., 64)
    out = torch.empty(3, 64, 64, 64)
    with Allocations() as made:
        sample_volume(images, cameras, CENTRE, TURNED, grid=grid, out=out)
    made.sizes.pop(out.data_ptr())
    view = 3 * 64**3 * 4
    assert 64**2 * 4 < max(made.sizes.values()) < view / 2


@pytest.mark.parametrize(('change', 'message'), [
    (dict(interpolation='cubic'), 'neither'),
    (dict(padding='reflect'), 'neither'),
    (dict(centre=np.array([0, np.nan, 0])), 'no place'),
    (dict(images=noise(ring(2))), '2 images for 3 cameras'),
    (dict(images=[image[:, :300] for image in noise(ring(3))]),
     'camera cam0: calibrated for an image of 640 x 512 px, found one of '
     '640 x 300'),
    (dict(images=[torch.zeros(2, 512, 640)] * 3), '1 or of 3 channels'),
])
def test_what_cannot_be_sampled_is_refused(change, message):
    cameras = ring(3)
    arguments = dict(images=noise(cameras), cameras=cameras, centre=CENTRE,
                     grid=GRID)
    with pytest.raises(ValueError, match=message):
        sample_volume(**{**arguments, **change})

"""Pictures of what the networks see and are asked for.

For poses, each sample is a picture: on top its views as they are loaded, with
the cube that is cast and the labels; below the volume after augmentation, in
three slabs through its middle, and the targets as the network has them. A
wrong convention of cameras, axes or sides shows at once: in the views the
skeleton leaves the animal, in the slabs it leaves what the views agree on.

For centres of mass, sheets of pictures with their targets.
"""
from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from mmpose_ext.browsing import (
    add_browse_arguments,
    check_browse_arguments,
    track_drawing,
    write_sheets,
    write_shown,
)
from mmpose_ext.drawing import contact_sheet
from mmpose_ext.drawing.lettering import EDGE, write_line
from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.geometry.voxels import VoxelGrid
from mmpose_ext.registry import MODELS
from mmpose_ext.training import build_serial_loader
from mmpose_ext.volumetric.com_datasets import ComImageDataset
from mmpose_ext.volumetric.pose_drawing import (
    PoseStyle,
    crop_matrix,
    cut_tile,
    draw_pose,
    draw_segments,
    move_pixels,
)
from mmpose_ext.volumetric.space_panel import SpacePanel, place_of_interest

Array = np.ndarray

TILE = 300  # px
_SLAB = .08  # half of a slab's depth, a share of the cube's side
_CUBE = (60, 230, 255)  # BGR
_TARGET = (80, 255, 80)
_SHEET_TILES = 24
# columns and rows of a slab are these axes, its depth the third
_SLABS = (('from above', 'x', 'y'), ('along y', 'x', 'z'),
          ('along x', 'y', 'z'))
_AXIS = dict(x=0, y=1, z=2)
_VOLUME_AXES = dict(y=0, x=1, z=2)  # of arrays
_MEANING = ('blue: left   orange: right   green: middle   yellow: the cube '
            'that is cast; its x side is thick')


@dataclass(frozen=True, eq=False)
class SeenVolume:
    """A volume as the preprocessor hands it to the network.

    Attributes:
        images: V views (H, W, 3) BGR uint8 of its sample, as loaded.
        cameras: Theirs.
        labels: (K, 3) mm, as labelled.
        targets: (K, 3) mm, as asked for: sides exchanged in a mirror.
        volume: (n, n, n, 3) BGR uint8, mean of the views, axes [y, x, z].
        centre: (3,) mm.
        axes: (3, 3), see :mod:`mmpose_ext.geometry.voxels`.
        grid: The voxels.
        blank: How many of its views are blank.
        style: Of the skeleton.
        caption: What it is of.
    """

    images: tuple[Array, ...]
    cameras: Cameras
    labels: Array
    targets: Array
    volume: Array
    centre: Array
    axes: Array
    grid: VoxelGrid
    blank: int
    style: PoseStyle
    caption: str

    @property
    def mirrored(self) -> bool:
        """Whether the network sees the animal in a mirror."""
        return bool(np.linalg.det(self.axes) < 0)

    def local_targets(self) -> Array:
        """Targets (K, 3) in the grid's own axes, mm from its middle."""
        return np.linalg.solve(
            self.axes, (self.targets - self.centre).T).T

    def describe(self) -> str:
        """Recording, time point, and what augmentation did."""
        angle = math.degrees(math.atan2(self.axes[1, 0], self.axes[0, 0]))
        text = f'{self.caption}   turned by {angle:.0f} deg'
        if self.mirrored:
            text += ', mirrored: sides exchanged'
        if self.blank:
            text += f', {self.blank} views blank'
        return text


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/browse_dataset.py`` for this family."""
    add_browse_arguments(parser, 12)


def run(config: Config, arguments: Namespace) -> None:
    """Draw the first samples that training, or a test, would draw."""
    out = check_browse_arguments(config, arguments)
    # the cache would read all frames first
    loader: Any = build_serial_loader(config, arguments.split, ['cache'])
    dataset = loader.dataset
    indices = list(islice(iter(loader.sampler), arguments.number))
    shown = track_drawing(indices, len(indices))
    if isinstance(dataset, ComImageDataset):
        # packing comes last and drops what is drawn here
        dataset.pipeline = Compose([
            step for step in dataset.pipeline.transforms
            if type(step).__name__ != 'PackPoseInputs'])
        tiles, captions = zip(*(draw_com_sample(dataset[index])
                                for index in shown), strict=True)
        write_sheets(out / arguments.split, tiles, captions,
                     'circle: the label   green: the target', 4,
                     _SHEET_TILES)
        return
    preprocessor = MODELS.build(config.model.data_preprocessor)
    for number, index in enumerate(shown):
        for animal, volume in enumerate(iter_volumes(
                dataset[index], preprocessor, arguments.split == 'train')):
            write_shown(
                out / f'{arguments.split}_{number:03d}_{animal}.png',
                draw_volume(volume))


def iter_volumes(packed: dict[str, Any], preprocessor: Any,
                 training: bool) -> Iterator[SeenVolume]:
    """Volumes of a sample, by the preprocessor itself.

    Args:
        packed (dict): What the pipeline gives.
        preprocessor (VolumetricDataPreprocessor): The model's.
        training (bool): Whether to augment.

    Yields:
        SeenVolume: One for each animal of each copy, copy by copy.
    """
    batch = preprocessor(pseudo_collate([packed]), training)
    inputs, sample = batch['inputs'], batch['data_samples'][0]
    images = tuple(_bgr(image.numpy()) for image in packed['inputs'])
    labels = np.asarray(sample.gt_instances.keypoints, np.float64)
    targets = labels
    if training:
        targets = sample.gt_instance_labels.keypoints.double().cpu().numpy()
    style = PoseStyle.from_names(sample.keypoint_names,
                                 sample.skeleton_links)
    masks = inputs['view_mask'].cpu().numpy()
    for index, volume in enumerate(inputs['volumes'].cpu().numpy()):
        copy, animal = divmod(index, len(labels))
        yield SeenVolume(
            images=images, cameras=sample.cameras, labels=labels[animal],
            targets=targets[index],
            volume=_mean_view(volume, masks[index]),
            centre=sample.grid_centres[index], axes=sample.grid_axes[index],
            grid=preprocessor.grid, blank=int((~masks[index]).sum()),
            style=style, caption=_caption(
                sample, animal, copy, len(masks) // len(labels)))


def draw_volume(volume: SeenVolume) -> Array:
    """Views above, slabs and targets below.

    Returns:
        ndarray: (H, W, 3) uint8 BGR.
    """
    columns = max(len(volume.images), len(_SLABS) + 1)
    tiles = [draw_view(volume, view) for view in range(len(volume.images))]
    captions = [f'{name}, {image.shape[1]} x {image.shape[0]} px'
                for name, image in zip(volume.cameras.names, volume.images,
                                       strict=True)]
    missing = columns - len(tiles)
    tiles += [np.zeros((1, 1), np.uint8)] * missing
    captions += [''] * missing
    step = f'{volume.grid.nvox} voxels of {volume.grid.spacing:.2f} mm'
    for name, column, row in _SLABS:
        tiles.append(draw_slab(volume, column, row))
        captions.append(f'{name}, {step}')
    tiles.append(_draw_targets(volume))
    captions.append("targets, in the grid's axes"
                    if np.isfinite(volume.targets).any() else 'no targets')
    return contact_sheet(tiles, columns, captions,
                         f'{volume.describe()}      {_MEANING}')


def draw_view(volume: SeenVolume, view: int) -> Array:
    """A view with the cube and the labels, (TILE, TILE, 3)."""
    size = (TILE, TILE)
    image, camera = volume.images[view], volume.cameras.select([view])
    matrix = crop_matrix(np.zeros(2), np.array(image.shape[1::-1], float),
                         size)
    tile = cut_tile(image, matrix, size)
    ends = (volume.grid.vmin, volume.grid.vmax)
    corners = volume.centre + np.array(list(product(ends, repeat=3))
                                       ) @ volume.axes.T
    pixels = move_pixels(matrix, camera.project(corners)[0][0])
    for first, second in combinations(range(8), 2):
        # corners count in binary: neighbours differ in one of x, y, z
        if (first ^ second) not in (1, 2, 4):
            continue
        along_x = first & 3 == 0 and (first ^ second) == 4
        draw_segments(tile, pixels[None, first], pixels[None, second], _CUBE,
                      3 if along_x else 1)
    draw_pose(tile, move_pixels(matrix, camera.project(volume.labels)[0][0]),
              volume.style)
    return tile


def draw_slab(volume: SeenVolume, column: str, row: str) -> Array:
    """The mean of a slab through the targets' middle, and all targets.

    Args:
        volume (SeenVolume): With targets or without.
        column (str): Axis of the grid to the right, ``x``, ``y`` or ``z``.
        row (str): Axis that points up.

    Returns:
        ndarray: (TILE, TILE, 3) uint8 BGR.
    """
    grid, local = volume.grid, volume.local_targets()
    depth = next(axis for axis in _AXIS if axis not in (column, row))
    values = local[np.isfinite(local).all(-1), _AXIS[depth]]
    middle = float(np.median(values)) if len(values) else (
        grid.vmin + grid.vmax) / 2
    half = max(_SLAB * (grid.vmax - grid.vmin), grid.spacing)
    inside = abs(grid.offsets - middle) <= half
    if not inside.any():  # targets beside the cube
        inside[:] = True
    array = np.moveaxis(volume.volume, [_VOLUME_AXES[depth],
                                        _VOLUME_AXES[row],
                                        _VOLUME_AXES[column]], [0, 1, 2])
    slab = array[inside].mean(0)[::-1]
    tile = cv2.resize(np.rint(slab).astype(np.uint8), (TILE, TILE),
                      interpolation=cv2.INTER_NEAREST)
    factor = TILE / (grid.vmax - grid.vmin)
    places = np.stack([
        (local[:, _AXIS[column]] - grid.vmin) * factor,
        (grid.vmax - local[:, _AXIS[row]]) * factor], -1) - .5
    draw_pose(tile, places, volume.style)
    _write_axes(tile, column, row)
    return tile


def draw_com_sample(results: dict[str, Any]) -> tuple[Array, str]:
    """A picture for the network that finds centres of mass.

    Args:
        results (dict): What the pipeline gives before packing, with heat
            maps or without.

    Returns:
        tuple: (H, W, 3) uint8 BGR with the targets, and a caption.
    """
    image = results['img']
    factor = TILE / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    tile = cv2.resize(image, size, interpolation=cv2.INTER_AREA
                      if factor < 1 else cv2.INTER_CUBIC)
    if 'heatmaps' in results:
        heat = cv2.resize(results['heatmaps'].max(0), size)[..., None]
        shine = .6 * heat.clip(0, 1)
        tile = np.rint(tile * (1 - shine) + np.array(_TARGET) * shine).astype(
            np.uint8)
    points = results['transformed_keypoints'].reshape(-1, 2)
    visible = results['keypoints_visible'].reshape(len(points), -1)[:, 0] > 0
    for place in points[visible]:
        x, y = np.rint((place + .5) * factor - .5).astype(int)
        for color, width in ((EDGE, 3), ((255, 255, 255), 1)):
            cv2.circle(tile, (int(x), int(y)), 9, color, width, cv2.LINE_AA)
    return tile, (f'{results["img_path"]}: {visible.sum()} of {len(visible)} '
                  'in the picture')


def _caption(sample: Any, animal: int, copy: int, copies: int) -> str:
    """Which volume of a sample it is, numbers from 1."""
    labels = np.asarray(sample.gt_instances.keypoints)
    parts = [sample.recording, f'sampleID {sample.sample_id}']
    if len(labels) > 1:
        parts.append(f'animal {animal + 1} of {len(labels)}')
    if copies > 1:
        parts.append(f'copy {copy + 1} of {copies}')
    known = np.isfinite(labels[animal]).all(-1)
    parts.append(f'{known.sum()} of {len(known)} labelled' if known.any()
                 else 'no labels')
    return '   '.join(parts)


def _draw_targets(volume: SeenVolume) -> Array:
    """The targets in space, in the grid's own axes."""
    local = volume.local_targets()
    if not np.isfinite(local).any():
        return np.zeros((1, 1), np.uint8)
    middle, reach = place_of_interest([local])
    panel = SpacePanel(TILE, reach, float(np.nanmin(local[:, 2])))
    return panel.draw(middle, math.radians(-60), local[None], None,
                      volume.style)


def _write_axes(tile: Array, column: str, row: str) -> None:
    """Arrows that say which axes point where."""
    start, length = np.array([14., TILE - 14.]), 34
    for end, name in ((start + (length, 0), column),
                      (start - (0, length), row)):
        draw_segments(tile, start[None], end[None], _CUBE)
        write_line(tile, name, int(end[0]) - 3 + 8 * (name == column),
                   int(end[1]) + 4 - 8 * (name == row), .4, _CUBE)


def _mean_view(volume: Array, mask: Array) -> Array:
    """BGR uint8 (n, n, n, 3): the mean of the views that are not blank."""
    views = volume.reshape(len(mask), -1, *volume.shape[1:])[mask]
    mean = np.moveaxis(views.mean(0), 0, -1)[..., ::-1]
    shades = np.clip(np.rint((mean + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.broadcast_to(shades, (*shades.shape[:3], 3))


def _bgr(image: Array) -> Array:
    """A picture (3, H, W) RGB as OpenCV has it."""
    return np.ascontiguousarray(image[::-1].transpose(1, 2, 0))

"""From the views of a time point to volumes, on the model's device."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.geometry.volumes import pack_images, sample_volume
from mmpose_ext.geometry.voxels import MIRRORED, VoxelGrid, turned_axes
from mmpose_ext.registry import MODELS
from mmpose_ext.training import hashed_uniform
from mmpose_ext.volumetric.occluded_views import OccludedViews
from mmpose_ext.volumetric.photometric import change_colors, to_grey
from mmpose_ext.volumetric.pose_batch import BELONGING, require_whole_runs

Array = np.ndarray

# Streams of a sample's draw seed; volume i of a sample adds i times 4, be it
# of an animal or of a copy.
_COLORS, _PLACE, _ORDER, _DROPOUT = range(0x766f6c00, 0x766f6c04)


@dataclass(frozen=True)
class VolumetricAugment:
    """What changes from one visit of a time point in training to the next.

    Turning, mirroring, moving and stretching change the grid before it is
    projected: the pixels are sampled once, and labels stay where they are.

    Args:
        rotate (str, optional): Turn about the vertical: 'any' angle, or one
            of the four 'right_angles'. Defaults to None.
        mirror (float): Probability of a mirrored volume, with left and right
            keypoints exchanged. Defaults to 0.
        com_jitter_mm (float): Largest shift of the volume along each axis of
            the world. Defaults to 0.
        scale (float): Largest change of the volume's size, a share. Defaults
            to 0.
        view_draw (str, optional): Which cameras fill the views: 'permute'
            in random order, 'replace' drawn with replacement. Defaults to
            None: in the recording's order.
        view_dropout (float): Probability that a view is blanked; two stay
            where there are two. Defaults to 0.
        brightness (float): Largest change of an image's factor. Defaults to
            0.
        contrast (float): Likewise, about mid-grey. Defaults to 0.
        hue (float): Largest turn of an image's hue, of a full circle.
            Defaults to 0.
        together (bool): Whether the animals of a volume's scene are turned,
            mirrored and stretched alike, as a graph that joins them needs.
            Defaults to False.
    """

    rotate: str | None = None
    mirror: float = 0.
    com_jitter_mm: float = 0.
    scale: float = 0.
    view_draw: str | None = None
    view_dropout: float = 0.
    brightness: float = 0.
    contrast: float = 0.
    hue: float = 0.
    together: bool = False

    def __post_init__(self) -> None:
        for name, known in (('rotate', ('any', 'right_angles')),
                            ('view_draw', ('permute', 'replace'))):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise ValueError(f'augment: {name} is one of {known} or '
                                 f'None, found {value!r}')
        for name, limit in (('mirror', 1.), ('view_dropout', 1.),
                            ('scale', .99), ('brightness', 1.),
                            ('contrast', 1.), ('hue', .5),
                            ('com_jitter_mm', math.inf)):
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f'augment: {name} lies in [0, {limit}], '
                                 f'found {getattr(self, name)!r}')

    def place(self, unit: Array) -> tuple[Array, Array, bool]:
        """Draw where a volume lies.

        Args:
            unit (ndarray): (6,) numbers in [0, 1).

        Returns:
            tuple: Shift (3,) mm, axes (3, 3), and whether mirrored.
        """
        angle = dict(any=unit[0], right_angles=math.floor(4 * unit[0]) / 4)
        axes = turned_axes(2 * math.pi * angle.get(str(self.rotate), 0.))
        axes = axes * (1 + self.scale * (2 * unit[5] - 1))
        mirrored = bool(unit[1] < self.mirror)
        return (self.com_jitter_mm * (2 * unit[2:5] - 1),
                axes @ MIRRORED if mirrored else axes, mirrored)

    @property
    def recolors(self) -> bool:
        """Whether colours change at all."""
        return bool(self.brightness or self.contrast or self.hue)

    def colors(self, unit: Array) -> tuple[float, float, float] | None:
        """Draw brightness, contrast and hue of a view from (3,) numbers."""
        if not self.recolors:
            return None
        shift = 2 * unit - 1
        return (1 + self.brightness * shift[0], 1 + self.contrast * shift[1],
                self.hue * shift[2])


@dataclass(frozen=True)
class VolumetricCopies:
    """How many volumes training makes of an animal at a time point.

    Copies differ in what is drawn: where the volume lies, how it is turned,
    which cameras fill it, their colours. What they say of the animal should
    agree.

    Args:
        labelled (int): Of a time point with any label. Defaults to 1.
        unlabelled (int): Of one without. Defaults to 1.
    """

    labelled: int = 1
    unlabelled: int = 1

    def __post_init__(self) -> None:
        for name in ('labelled', 'unlabelled'):
            count = getattr(self, name)
            if not isinstance(count, int) or count < 1:
                raise ValueError(f'copies: {name} is a whole number above 0, '
                                 f'found {count!r}')


@MODELS.register_module()
class VolumetricDataPreprocessor(BaseDataPreprocessor):
    """Casts the views of each animal into a volume.

    Expects what ``pseudo_collate`` makes of the samples of
    ``VolumetricPoseDataset``: ``inputs``, for each of the V views the images
    uint8 (3, H, W) RGB of the B samples, and ``data_samples``.

    All random numbers of a sample come from its ``draw_seed`` alone: it looks
    the same in any batch, on any device, with any number of workers.

    Args:
        grid (dict): ``vmin``, ``vmax`` (mm from the animal's middle) and
            ``nvox``, or ``vol_size`` (the cube's side, mm) and ``nvox``.
        interpolation (str): 'nearest' or 'bilinear'. Defaults to 'nearest'.
        padding (str): What voxels outside of an image take: 'border' its
            edge, 'zeros' mid-grey. Defaults to 'border'.
        mono (bool): Whether a view is one channel of grey instead of three
            of colour. Defaults to False.
        augment (dict, optional): Arguments of :class:`VolumetricAugment`.
            Defaults to None: training sees what a test sees.
        num_views (int, optional): Views of a volume. A recording with more
            cameras gives the first ones (or those drawn), one with fewer
            repeats them in turns. Defaults to None: one for each camera.
        copies (int | dict): How many volumes training makes of an animal at
            a time point, or the arguments of :class:`VolumetricCopies`.
            Defaults to 1.
        occlusion (dict, optional): Arguments of
            :class:`~mmpose_ext.volumetric.occluded_views.OccludedViews`: what
            becomes of views in which another animal hides one. Defaults to
            None, nothing.
        peer_compat (bool): Whether to sample one pixel to the lower right,
            as the original does, for weights trained with it. Defaults to
            False.
        non_blocking (bool): Whether copies to the device are asynchronous.
            Defaults to False.
    """

    def __init__(self,
                 grid: dict[str, Any],
                 interpolation: str = 'nearest',
                 padding: str = 'border',
                 mono: bool = False,
                 augment: dict[str, Any] | None = None,
                 num_views: int | None = None,
                 copies: int | dict[str, Any] = 1,
                 occlusion: dict[str, Any] | None = None,
                 peer_compat: bool = False,
                 non_blocking: bool = False) -> None:
        super().__init__(non_blocking)
        self.grid = (VoxelGrid.from_size(**grid) if 'vol_size' in grid else
                     VoxelGrid(**grid))
        self.interpolation, self.padding = interpolation, padding
        self.mono, self.num_views = mono, num_views
        self.augment = None if augment is None else VolumetricAugment(
            **augment)
        self.copies = (VolumetricCopies(copies, copies)
                       if isinstance(copies, int) else
                       VolumetricCopies(**copies))
        self.occlusion = (None if occlusion is None else
                          OccludedViews(**occlusion))
        self.peer_compat = peer_compat

    @torch.no_grad()
    def forward(self, data: dict[str, Any],
                training: bool = False) -> dict[str, Any]:
        """Build the volumes of a batch.

        Args:
            data (dict): ``inputs`` and ``data_samples``, see the class.
            training (bool): Whether to augment, and to hand out labels.
                Defaults to False.

        Returns:
            dict: ``data_samples``, with ``grid_centres`` (N, 3) mm and
            ``grid_axes`` (N, 3, 3) of its N = copies x I volumes and in
            training with ``gt_instance_labels.keypoints`` (N, K, 3) mm on
            the device; and ``inputs`` of all M volumes, in the order of
            sample, copy and animal: ``volumes`` float32
            (M, V * C, n, n, n) in [-1, 1], ``centres`` (M, 3), ``axes``
            (M, 3, 3), ``offsets`` (n,) mm, and ``view_mask`` (M, V), False
            for blank views; ``mirrored`` (M,), the columns of
            :class:`~mmpose_ext.volumetric.pose_batch.PoseBatch` that say
            what belongs together, and ``flip_indices`` (K,).
        """
        data = self.cast_data(data)
        samples: list[PoseDataSample] = data['data_samples']
        images = _by_sample(data['inputs'], samples)
        casts = [self._plan(sample, len(views), training)
                 for sample, views in zip(samples, images, strict=True)]
        count = sum(map(len, casts))
        slots = self.num_views or len(data['inputs'])
        n, channels = self.grid.nvox, 1 if self.mono else 3
        volumes = torch.empty((count, slots * channels, n, n, n),
                              device=self.device)
        first = 0
        # of mixed precision, in which a training calls this, colours would
        # come out rounded
        with torch.autocast(self.device.type, enabled=False):
            for sample, views, plan in zip(
                    samples, images, casts, strict=True):
                last = first + len(plan)
                self._cast(views, sample, plan, training,
                           volumes[first:last])
                first = last
        inputs = self._describe([cast for plan in casts for cast in plan])
        inputs.update(_belonging(samples, casts), volumes=volumes)
        inputs = {name: value.to(self.device)
                  for name, value in inputs.items()}
        return dict(inputs=inputs, data_samples=samples)

    def _plan(self, sample: PoseDataSample, count: int,
              training: bool) -> list[_Cast]:
        """Draw the volumes of a sample, copy by copy.

        Args:
            sample (PoseDataSample): With I middles.
            count (int): Views that have a picture.
            training (bool): Whether to copy and to augment.
        """
        augment = self.augment if training else None
        coms = np.asarray(sample.metainfo['com'])
        copies = 1
        if training:
            labelled = np.isfinite(
                np.asarray(sample.gt_instances.keypoints)).any()
            copies = (self.copies.labelled if labelled else
                      self.copies.unlabelled)
        slots = self.num_views or count
        blank = sample.metainfo.get('blank_views') or []
        plan = []
        for number in range(copies * len(coms)):
            copy, animal = divmod(number, len(coms))
            centre = coms[animal]
            axes = turned_axes(sample.metainfo.get('turn') or 0.)
            mirrored, views = False, np.arange(slots) % count
            if augment is not None:
                shift, drawn, mirrored = augment.place(_draw_place(
                    sample, number, copy * len(coms), augment.together))
                centre, axes = centre + shift, axes @ drawn
                views = _draw_views(augment, sample, number, views)
            plan.append(_Cast(copy, animal, centre, axes, mirrored, np.where(
                np.isin(views, blank), -1, views)))
        if self.occlusion is not None:
            hidden = self.occlusion.find(sample.metainfo['cameras'], coms)
            for cast in plan:
                cast.views = self.occlusion.apply(
                    cast.views, hidden[cast.animal])
        return plan

    def _cast(self, images: Sequence[Tensor], sample: PoseDataSample,
              plan: Sequence[_Cast], training: bool,
              volumes: Tensor) -> None:
        """Fill the volumes (N, ...) of one sample, and tell it of them."""
        cameras: Cameras = sample.metainfo['cameras']
        if self.peer_compat:
            cameras = cameras.crop(
                np.full((len(cameras), 2), -1.), cameras.sizes)
        augment = self.augment if training else None
        packed = None
        for index, cast in enumerate(plan):
            # the animals of a copy share its pictures
            if packed is None or (cast.animal == 0 and augment is not None
                                  and augment.recolors):
                packed = pack_images(
                    self._colored(images, sample, augment, index))
            sample_volume(
                packed, cameras, cast.centre, cast.axes, grid=self.grid,
                interpolation=self.interpolation, padding=self.padding,
                views=cast.views.tolist(), out=volumes[index])
        sample.set_metainfo(dict(
            grid_centres=np.stack([cast.centre for cast in plan]),
            grid_axes=np.stack([cast.axes for cast in plan])))
        if training:
            sample.gt_instance_labels = InstanceData(
                keypoints=_labels(sample, plan).to(self.device))

    def _describe(self, casts: Sequence[_Cast]) -> dict[str, Tensor]:
        """Where all volumes lie, and which views fill them."""
        return dict(
            centres=torch.from_numpy(np.stack(
                [cast.centre for cast in casts])).float(),
            axes=torch.from_numpy(np.stack(
                [cast.axes for cast in casts])).float(),
            offsets=torch.from_numpy(self.grid.offsets).float(),
            view_mask=torch.from_numpy(np.stack(
                [cast.views >= 0 for cast in casts])),
            mirrored=torch.tensor([cast.mirrored for cast in casts]))

    def _colored(self, images: Sequence[Tensor], sample: PoseDataSample,
                 augment: VolumetricAugment | None,
                 index: int) -> list[Tensor]:
        """The images as they are cast: augmented, and grey if asked for."""
        found = list(images)
        if augment is not None:
            units = _draw(sample, _COLORS + 4 * index,
                          3 * len(found)).reshape(-1, 3)
            for view, unit in enumerate(units):
                colors = augment.colors(unit)
                if colors is not None:
                    found[view] = change_colors(found[view], *colors)
        return [to_grey(image) for image in found] if self.mono else found


@dataclass
class _Cast:
    """A volume that is to be made.

    Attributes:
        copy: Which of the animal's.
        animal: Which of the sample's.
        centre: (3,) mm.
        axes: (3, 3).
        mirrored: Whether these are left-handed.
        views: (S,) cameras that fill the slots, -1 for none.
    """

    copy: int
    animal: int
    centre: Array
    axes: Array
    mirrored: bool
    views: Array


def _belonging(samples: Sequence[PoseDataSample],
               casts: Sequence[Sequence[_Cast]]) -> dict[str, Tensor]:
    """Which volumes belong together: the columns of a ``PoseBatch``.

    Time points that follow each other in a run of frames stand next to each
    other in the batch.
    """
    length = samples[0].metainfo.get('chunk_length') or 1
    require_whole_runs('config', len(samples), length)
    rows = torch.tensor([
        (number, cast.copy, cast.animal, number // length, number % length)
        for number, plan in enumerate(casts) for cast in plan])
    flip = samples[0].metainfo.get('flip_indices')
    columns = dict(zip(BELONGING, rows.unbind(1), strict=True))
    if flip is not None:
        columns['flip_indices'] = torch.as_tensor(flip)
    return columns


def _by_sample(inputs: Sequence[Sequence[Tensor]],
               samples: list[PoseDataSample]) -> list[tuple[Tensor, ...]]:
    """Images of each sample, from those of each view."""
    counts = {len(views) for views in inputs}
    if counts != {len(samples)}:
        raise ValueError(
            f'inputs: expected for each view the images of {len(samples)} '
            f'samples, as pseudo_collate makes them, found {sorted(counts)}')
    return list(zip(*inputs, strict=True))


def _draw(sample: PoseDataSample, stream: int, count: int) -> Array:
    """Uniform numbers (count,) in [0, 1) of a sample, float64."""
    seed = np.asarray(sample.metainfo['draw_seed']).astype(np.int64)
    seeds = torch.from_numpy(seed.reshape(1))
    return hashed_uniform(seeds, count, stream)[0].double().numpy()


def _draw_views(augment: VolumetricAugment, sample: PoseDataSample,
                index: int, views: Array) -> Array:
    """Draw the camera that fills each view of a volume.

    Args:
        augment (VolumetricAugment): What to draw.
        sample (PoseDataSample): With V cameras.
        index (int): The volume's number in the sample.
        views (ndarray): int64 (S,) cameras as they fill the views without
            augmentation.

    Returns:
        ndarray: int64 (S,), -1 for none.
    """
    count, slots = len(sample.metainfo['cameras']), len(views)
    if augment.view_draw == 'permute':
        unit = _draw(sample, _ORDER + 4 * index, count)
        views = np.argsort(unit, kind='stable')[views]
    elif augment.view_draw == 'replace':
        unit = _draw(sample, _ORDER + 4 * index, slots)
        views = (unit * count).astype(np.int64)
    if augment.view_dropout:
        unit = _draw(sample, _DROPOUT + 4 * index, slots)
        kept = unit >= augment.view_dropout
        kept[np.argsort(-unit, kind='stable')[:2]] = True
        views = np.where(kept, views, -1)
    return views


def _draw_place(sample: PoseDataSample, number: int, scene: int,
                together: bool) -> Array:
    """Numbers (6,) that place a volume: its shift is always its own."""
    unit = _draw(sample, _PLACE + 4 * number, 6)
    if together and number != scene:
        shared = _draw(sample, _PLACE + 4 * scene, 6)
        unit[[0, 1, 5]] = shared[[0, 1, 5]]
    return unit


def _labels(sample: PoseDataSample, plan: Sequence[_Cast]) -> Tensor:
    """Labels float32 (N, K, 3) mm, sides exchanged in mirrored volumes."""
    own = torch.as_tensor(sample.gt_instances.keypoints).float()
    points = own[torch.tensor([cast.animal for cast in plan])]
    swap = torch.as_tensor(sample.metainfo['flip_indices'])
    for index, cast in enumerate(plan):
        if cast.mirrored:
            points[index] = points[index, swap]
    return points

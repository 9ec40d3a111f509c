"""The direction tagger's data: small grey crops with three points."""
from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample
from torch.utils.data import Dataset

from mmpose_ext.direction.codec import CenteredRegressionLabel
from mmpose_ext.direction.sources import COPIES, recover_sources
from mmpose_ext.direction.split import (
    GROUP_KEYS,
    Split,
    SplitRule,
    split_rows,
)
from mmpose_ext.registry import DATASETS
from mmpose_ext.splits import PARTS
from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    check_array,
    check_file,
    check_keys,
)
from mmpose_ext.training import draw_seeds

Array = np.ndarray

# Larger files are mapped from disk instead of read.
IN_MEMORY_BYTES = 64 << 20
POINT_KEYS = ('locs_base', 'locs_neck', 'locs_head')
RAT3 = dict(
    dataset_name='rat3',
    paper_info=dict(
        author='direction extractor training framework',
        title='Direction of a rat seen from above',
        year='2023'),
    keypoint_info={
        i: dict(name=name, id=i, color=color, type=kind, swap='')
        for i, (name, color, kind) in enumerate((
            ('base', [51, 153, 255], 'lower'),
            ('neck', [0, 255, 0], 'upper'),
            ('head', [255, 128, 0], 'upper')))
    },
    skeleton_info={
        0: dict(link=('base', 'neck'), id=0, color=[51, 153, 255]),
        1: dict(link=('neck', 'head'), id=1, color=[255, 128, 0])
    },
    joint_weights=[1., 1., 1.],
    sigmas=[.05, .05, .05])


@dataclass(frozen=True, eq=False)
class DirectionRecord:
    """A checked direction data set.

    Attributes:
        file: Where it came from.
        images: (N, S, S) uint8; a memory map where rows are used as stored.
        points: (N, 3, 2) float32 base, neck, head as x, y px; NaN hidden.
        ids: ``session``, ``animal``, ``source_id`` as far as known, each
            (N,) text.
    """

    file: Path
    images: Array
    points: Array
    ids: dict[str, Array]

    @property
    def size(self) -> int:
        """Side of the images, px."""
        return self.images.shape[-1]


@DATASETS.register_module()
class DirectionDataset(Dataset[Any]):
    """Unique images with base, neck and head, split by group.

    Reads the published 98,944-row file (its 1,546 images are recovered and
    the copies left to augmentation), and files of unique images with the same
    keys and optional ``vis`` (N, 3), ``source_id``, ``session``, ``animal``.

    Batches are built whole: use ``collate_fn=dict(type=
    'mmpose_ext.pass_batch')`` in the data loader.

    Args:
        ann_file (str): npz file.
        data_root (str): Joined before ``ann_file``. Defaults to ''.
        split (str): ``train``, ``val``, ``test`` or ``all``.
        split_by (dict, optional): Fields of :class:`SplitRule`. Equal in the
            three data sets of a config. Defaults to None: the rule's
            defaults.
        repeat (int): Draws of each image in an epoch. Defaults to 1.
        rows (str): ``stored`` takes every row of the file, ``recovered`` its
            unique images; ``auto`` recovers where the file looks 64-fold and
            has no ids. Defaults to ``auto``.
        test_mode (bool): Pack one data sample an image, as MMPose's
            evaluation expects, in place of one for the batch. Defaults to
            False.
        metainfo (dict, optional): Overrides of the ``rat3`` metainfo.
            Defaults to None.

    Raises:
        DataError: If the file is damaged or cannot be split.
    """

    METAINFO = RAT3

    def __init__(self,
                 ann_file: str,
                 data_root: str = '',
                 split: str = 'train',
                 split_by: dict[str, Any] | None = None,
                 repeat: int = 1,
                 rows: str = 'auto',
                 test_mode: bool = False,
                 metainfo: dict[str, Any] | None = None) -> None:
        if split not in (*PARTS, 'all'):
            raise ValueError(f"split: expected one of {(*PARTS, 'all')}, "
                             f'found {split!r}')
        if repeat < 1:
            raise ValueError(f'repeat: expected 1 or more, found {repeat}')
        self._metainfo = parse_pose_metainfo(
            dict(self.METAINFO, **(metainfo or {})))
        self.record = read_direction_file(
            Path(data_root) / ann_file, rows=rows)
        self.test_mode = test_mode
        self.repeat = repeat
        self.codec = CenteredRegressionLabel((self.record.size, ) * 2)
        self.split: Split | None = None
        self.rows = np.arange(len(self.record.images))
        if split != 'all':
            rule = SplitRule(**(split_by or {}))
            self.split = _split_once(self.record, rule)
            self.rows = self.split.parts[split]
            if len(self.rows) == 0:
                raise DataError(
                    self.record.file, f'split {split!r}', 'rows', 'none',
                    f'split_by.fractions gives {split} no share')
            print_log(f'{self.record.file.name} [{split}]: '
                      f'{self.split.describe()}', 'current')

    @property
    def metainfo(self) -> dict[str, Any]:
        """Metainfo of ``rat3``, as MMPose parses it."""
        return self._metainfo

    def __len__(self) -> int:
        return len(self.rows) * self.repeat

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One image with its own data sample, for MMPose's collate."""
        batch = self._build([index], one_sample_each=True)
        return dict(
            inputs=batch['inputs'][0], data_samples=batch['data_samples'][0])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """A whole batch.

        Returns:
            dict: ``inputs`` (B, 1, S, S) uint8 and ``data_samples``: one that
            holds the labels of the batch, or in test mode a list of B.
        """
        return self._build(indices, one_sample_each=self.test_mode)

    def read(self, rows: Array) -> tuple[Array, Array]:
        """Images (B, S, S) uint8 and points (B, 3, 2) of rows.

        Args:
            rows (ndarray): Numbers of rows in the record.
        """
        return (np.asarray(self.record.images[rows]),
                self.record.points[rows])

    def _build(self, indices: Sequence[int],
               one_sample_each: bool) -> dict[str, Any]:
        positions = np.asarray(indices) % len(self.rows)
        rows = self.rows[positions]
        images, points = self.read(rows)
        visible = np.isfinite(points).all(-1).astype(np.float32)
        encoded = self.codec.encode(points, visible)
        encoded['draw_seeds'] = draw_seeds(indices).view(np.int64)
        labels = {key: torch.from_numpy(np.ascontiguousarray(value))
                  for key, value in encoded.items()}
        inputs = torch.from_numpy(np.ascontiguousarray(images))[:, None]
        if not one_sample_each:
            sample = PoseDataSample()
            sample.gt_instance_labels = InstanceData(**labels)
            return dict(inputs=inputs, data_samples=[sample])
        samples = [
            self._sample(int(row), points[i:i + 1], visible[i:i + 1],
                         {key: value[i:i + 1]
                          for key, value in labels.items()})
            for i, row in enumerate(rows)
        ]
        return dict(inputs=inputs, data_samples=samples)

    def _sample(self, row: int, points: Array, visible: Array,
                labels: dict[str, torch.Tensor]) -> PoseDataSample:
        size = self.record.size
        square = np.full(2, size, np.float32)
        sample = PoseDataSample()
        sample.gt_instances = InstanceData(
            keypoints=points,
            keypoints_visible=visible,
            bboxes=np.array([[0, 0, size, size]], np.float32),
            bbox_scores=np.ones(1, np.float32))
        sample.gt_instance_labels = InstanceData(**labels)
        # The whole image is the input: MMPose's way back is the identity.
        meta = dict(
            id=row,
            img_id=row,
            img_path=f'{self.record.file}#{row}',
            ori_shape=(size, size),
            img_shape=(size, size),
            input_size=(size, size),
            input_center=square / 2,
            input_scale=square,
            flip_indices=self._metainfo['flip_indices'])
        for key, values in self.record.ids.items():
            meta[key] = str(values[row])
        if self.split is not None:
            meta['group'] = str(self.split.groups[row])
        sample.set_metainfo(meta)
        return sample


def read_direction_file(path: Path, rows: str = 'auto') -> DirectionRecord:
    """Read and check a direction data set.

    Args:
        path (Path): npz file.
        rows (str): As in :class:`DirectionDataset`.

    Raises:
        DataError: If anything in it is not as it should be.
    """
    if rows not in ('auto', 'stored', 'recovered'):
        raise ValueError("rows: expected 'auto', 'stored' or 'recovered', "
                         f'found {rows!r}')
    path = check_file(path, ('.npz', ))
    stat = path.stat()
    return _read_once(path, rows, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=8)
def _read_once(path: Path, rows: str, mtime: int,
               length: int) -> DirectionRecord:
    """Read a file for the data sets of train, val and test together."""
    archive = NpzArchive(path)
    check_keys(
        archive.names, ('images', *POINT_KEYS), path,
        'images (N, S, S) uint8 and locs_base, locs_neck, locs_head (N, 2)')
    _check_no_misspelling(archive)
    shape = archive.shape('images')
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] < 16:
        raise DataError(path, 'images', 'shape (N, S, S), square, S >= 16',
                        f'shape {shape}')
    if archive.dtype('images') != np.uint8:
        raise DataError(path, 'images', 'dtype uint8',
                        f'dtype {archive.dtype("images")}',
                        'grey levels 0 to 255')
    count, size = shape[:2]
    if count == 0:
        raise DataError(path, 'images', 'at least one image', 'none')
    points = _read_points(archive, count, size)
    ids = {
        key: check_array(
            archive.read(key), path, key, dtype='Uiu',
            shape=(count, )).astype(str)
        for key in GROUP_KEYS if key in archive.names
    }
    looks_multiplied = not ids and count % COPIES == 0 and count > COPIES
    if rows == 'recovered' or (rows == 'auto' and looks_multiplied):
        sources = recover_sources(archive, points)
        print_log(f'{path.name}: {sources.describe()}', 'current')
        record = DirectionRecord(
            path, sources.images, sources.points.astype(np.float32), {})
    else:
        fits = count * size * size <= IN_MEMORY_BYTES
        images = (archive.read('images')
                  if fits else archive.memory_map('images'))
        record = DirectionRecord(path, images, points.astype(np.float32), ids)
    _check_points_on_animal(record)
    return record


def _check_no_misspelling(archive: NpzArchive) -> None:
    """Refuse a key that was meant to be read: ``sessions``, ``visible``."""
    absent = {'vis', *GROUP_KEYS}.difference(archive.names)
    for name in archive.names:
        for key in absent:
            if name.startswith(key) or difflib.get_close_matches(
                    name, [key], cutoff=.75):
                raise DataError(archive.path, f'key {name!r}', f'key {key!r}',
                                'what looks like it misspelt',
                                'give other arrays other names')


def _read_points(archive: NpzArchive, count: int, size: int) -> Array:
    path = archive.path
    points = np.stack([
        check_array(archive.read(key), path, key, dtype='fiu',
                    shape=(count, 2)).astype(np.float64) for key in POINT_KEYS
    ], 1)
    if 'vis' in archive.names:
        vis = check_array(archive.read('vis'), path, 'vis', dtype='biu',
                          shape=(count, 3))
        hidden = ~vis.astype(bool)
        points[hidden] = np.nan
    else:
        hidden = np.zeros((count, 3), bool)
    broken = ~np.isfinite(points).all(-1) & ~hidden
    if broken.any():
        row, point = np.argwhere(broken)[0]
        raise DataError(path, f'{POINT_KEYS[point]}[{row}]', 'finite x, y',
                        str(points[row, point]),
                        'mark hidden points by an array vis (N, 3)')
    outside = ((points < -.5) | (points > size - .5)).any(-1)
    # Shifted copies may lose a point; more than that is another unit.
    if outside.mean() > .05:
        row, point = np.argwhere(outside)[0]
        raise DataError(
            path, f'{POINT_KEYS[point]}[{row}]',
            f'a point on the {size}x{size} image, px',
            f'{points[row, point]}; {outside.sum()} points lie outside')
    return points


def _check_points_on_animal(record: DirectionRecord) -> None:
    """Refuse points written as (row, column).

    An animal differs from its background: where points lie on it, the image
    departs from the median of its rim. If the transposed points fit much
    better, x and y are swapped.
    """
    rows = np.linspace(0, len(record.images) - 1,
                       min(len(record.images), 512)).astype(int)
    images = record.images[rows].astype(np.float32)
    points = record.points[rows]
    rim = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0],
                          images[:, :, -1]], 1)
    contrast = np.abs(images - np.median(rim, 1)[:, None, None])

    def mean_contrast(x: Array, y: Array) -> float:
        inside = (np.isfinite(x) & np.isfinite(y) & (x >= 0) & (y >= 0) &
                  (x <= record.size - 1) & (y <= record.size - 1))
        row, _ = np.nonzero(inside)
        column = np.rint(x[inside]).astype(int)
        line = np.rint(y[inside]).astype(int)
        return float(contrast[row, line, column].mean()) if len(row) else 0.

    as_is = mean_contrast(points[..., 0], points[..., 1])
    swapped = mean_contrast(points[..., 1], points[..., 0])
    if len(rows) >= 16 and swapped > 1.5 * as_is + 2:
        raise DataError(
            record.file, 'locs_*', 'points as (x, y) = (column, row)',
            'points that lie on the animal only as (row, column): contrast '
            f'{as_is:.1f} as they are, {swapped:.1f} swapped',
            'swap the two columns of each locs_ array')


@functools.lru_cache(maxsize=8)
def _split_once(record: DirectionRecord, rule: SplitRule) -> Split:
    """Split a record for the data sets of train, val and test together."""
    return split_rows(record.file, record.images, record.ids, rule)

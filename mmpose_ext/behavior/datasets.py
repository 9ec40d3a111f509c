"""Windows of tracks, and questions about them, made as they are asked for."""
from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch.utils.data import Dataset

from mmpose_ext.behavior.augmentation import (
    IDENTITY,
    identity_draws,
    parse_augmentations,
    permute_identities,
    write_augmentations,
)
from mmpose_ext.behavior.flips import flip_indices_of
from mmpose_ext.behavior.ground import WindowGround
from mmpose_ext.behavior.published import (
    PublishedSettings,
    PublishedStream,
    named_seeds,
    worker_seed,
)
from mmpose_ext.behavior.published_augmentation import PublishedAugmentations
from mmpose_ext.behavior.records import RecordOptions, load_tracks
from mmpose_ext.behavior.split import SplitRule, split_store
from mmpose_ext.behavior.tasks import TASKS, TaskWindows
from mmpose_ext.behavior.track_store import TrackStore, check_exclusive
from mmpose_ext.behavior.windows import WindowShape
from mmpose_ext.registry import DATASETS, TASK_UTILS
from mmpose_ext.splits import PARTS
from mmpose_ext.storage import DataError, close_matches
from mmpose_ext.training import Draw, draw_seeds, hash_words, hashed_uniform

Array = np.ndarray

_IDENTITY_STREAM = 7  # apart from those of tasks


@DATASETS.register_module()
class LisbetWindowDataset(Dataset[Any]):
    """Questions about windows of tracks; nothing is made before it is asked.

    One item is one question of each task, so the batch size counts windows a
    task. Batches are built whole: use ``collate_fn=dict(type=
    'mmpose_ext.pass_batch')`` and ``mmpose_ext.DrawSampler``, whose
    ``epoch_fraction`` makes epochs of a random part of the frames.

    Args:
        data_root (str): Folder of records.
        tasks (str | Sequence[str]): Names, as a comma list or a list, of
            ``cons``, ``order``, ``shift``, ``warp``, ``masked``,
            ``forecast``, ``contrast``, ``multiclass`` and ``multilabel``.
        task_settings (Mapping, optional): Settings of tasks by name, such as
            ``dict(shift=dict(max_delay=30))``; one with a ``type`` may have
            a name of its own. Defaults to None.
        window_size (int): Frames, W. Defaults to 200.
        window_offset (int): Frames after the one that owns the window.
            Defaults to 0.
        padding (str): See :class:`WindowShape`. Defaults to ``edge``.
        fps_scaling (float | str): Frames of the data for one of a window;
            ``auto`` finds it for each record from its frame rate and
            `model_fps`. Defaults to 1.
        model_fps (float, optional): Frame rate of windows, for ``auto``.
            Defaults to None.
        split (str): ``train``, ``val``, ``test`` or ``all``. Defaults to
            ``all``.
        split_by (dict, optional): Fields of
            :class:`~mmpose_ext.behavior.split.SplitRule`. Defaults to None.
        stride (int): Take every so manieth frame. Defaults to 1.
        augmentation (str | Sequence[str]): Short form, see
            :mod:`mmpose_ext.behavior.augmentation`; a list of its items is
            what ``--cfg-options`` makes of it. Defaults to ''.
        flip_pairs (Sequence, optional): Pairs of keypoints of the left and
            right. Defaults to None: by their names.
        parity (bool | dict): Sample as the original does, shortcuts
            included, with the settings of :class:`PublishedSettings`; use
            ``mmpose_ext.LisbetStreamSampler``. Defaults to False.
        test_mode (bool): Ask the same questions in every epoch. Defaults to
            False.
        cache_dir (str, optional): See :func:`load_tracks`. Defaults to None.
        metainfo (dict, optional): Overrides of the metainfo. Defaults to
            None.
        **record_options: Fields of :class:`RecordOptions`.

    Raises:
        DataError: If the data are damaged or do not fit the tasks.
        ValueError: If a setting is none.
    """

    def __init__(self,
                 data_root: str,
                 tasks: str | Sequence[str],
                 task_settings: Mapping[str, Any] | None = None,
                 window_size: int = 200,
                 window_offset: int = 0,
                 padding: str = 'edge',
                 fps_scaling: float | str = 1.,
                 model_fps: float | None = None,
                 split: str = 'all',
                 split_by: dict[str, Any] | None = None,
                 stride: int = 1,
                 augmentation: str | Sequence[str] = '',
                 flip_pairs: Sequence[Sequence[str]] | None = None,
                 parity: bool | dict[str, Any] = False,
                 test_mode: bool = False,
                 cache_dir: str | None = None,
                 metainfo: dict[str, Any] | None = None,
                 **record_options: Any) -> None:
        check_names(record_options, RecordOptions.names(), 'data set')
        if stride < 1:
            raise ValueError(f'stride: expected 1 or more, found {stride}')
        self.shape = WindowShape(window_size, window_offset, padding)
        options = RecordOptions(**record_options)
        store = load_tracks(data_root, options, cache_dir)
        self.store = choose_part(store, split, split_by)
        self.test_mode, self.stride = test_mode, stride
        settings = read_tasks(tasks, task_settings)
        self.published = (None if parity is False else PublishedSettings(
            **({} if parity is True else parity)))
        self.augmentations = parse_augmentations(
            augmentation if isinstance(augmentation, str) else
            ','.join(augmentation), published=self.published is not None)
        self._flips = flip_indices_of(store.keypoints, flip_pairs)
        self._check_mirror(flip_pairs)
        self._factors = find_factors(self.store, fps_scaling, model_fps)
        self._set_tasks(settings)
        self._metainfo = dict(self._describe(options, settings),
                              **(metainfo or {}))
        print_log(f'{store.source} [{split}]: {self.describe()}', 'current')

    def _set_tasks(self, settings: dict[str, dict[str, Any]]) -> None:
        self.tasks: dict[str, Any] = {}
        self._grounds: dict[str, WindowGround] = {}
        seeds = self.published and named_seeds(self.published.seed,
                                               list(settings))
        for name, task in settings.items():
            if name == 'multiclass' and self.store.labels is not None:
                check_exclusive(self.store)
            if self.published is not None and seeds:
                ground = WindowGround(self.store, self.shape, whole=False,
                                      factors=self._factors)
                self.tasks[name] = PublishedStream(
                    name, ground, self.published,
                    worker_seed(seeds[f'dataset_{name}']))
            else:
                built = TASK_UTILS.build(task)
                ground = WindowGround(self.store, self.shape, built.whole,
                                      self._factors)
                built.prepare(ground)
                self.tasks[name] = built
            self._grounds[name] = ground
        self._published_augmentations = {
            name: PublishedAugmentations(
                self.augmentations, seeds[f'transform_{name}'],
                seeds['torch']) for name in settings
        } if seeds and self.augmentations else {}
        self._count = min(ground.count for ground in self._grounds.values())
        if self._count < 1:
            raise DataError(self.store.source, 'frames',
                            f'frames that own a window of {self.shape.size}',
                            'none')

    @property
    def metainfo(self) -> dict[str, Any]:
        """What weights need to know to be used: names, window, tasks."""
        return self._metainfo

    def __len__(self) -> int:
        return -(-self._count // self.stride)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One question of each task, as a batch of one."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """A whole batch of B questions of each task.

        Returns:
            dict: ``inputs`` (M, W, N, K, S) float32, task after task;
            ``valid`` (M, 2) and ``draw_seeds`` (M,) int64; ``data_samples``,
            one a task, with metainfo ``task``, ``first`` (place of its first
            window), ``windows``, ``window_offset``, ``item_ids``,
            ``record_ids`` and ``gt_instance_labels``.
        """
        # the same in every epoch, whatever a sampler draws
        drawn = [int(index) for index in indices] if self.test_mode else (
            indices)
        seeds = torch.from_numpy(draw_seeds(drawn).view(np.int64))
        parts: list[TaskWindows] = []
        samples = []
        first = 0
        for place, name in enumerate(self.tasks):
            part, records = self._ask(name, place, drawn, seeds)
            samples.append(self._sample(name, part, records, first, indices))
            first += len(part.inputs)
            parts.append(part)
        return dict(
            inputs=_join([part.inputs for part in parts]),
            valid=_join([part.valid for part in parts]),
            draw_seeds=torch.cat([
                spread_seeds(seeds, place, len(part.inputs))
                for place, part in enumerate(parts)]),
            data_samples=samples)

    def _ask(self, name: str, place: int, indices: Sequence[int],
             seeds: torch.Tensor) -> tuple[TaskWindows, Array]:
        task = self.tasks[name]
        if isinstance(task, PublishedStream):
            numbers = [number_of(index) for index in indices]
            part = task.ask(numbers)
            if name in self._published_augmentations:
                part = TaskWindows(
                    self._published_augmentations[name].apply(
                        part.inputs, numbers), part.valid, part.labels)
            return part, np.zeros(len(numbers), np.int64)
        stream = binascii.crc32(name.encode())
        uniform = draw_uniform(seeds, task.draws + 1, stream)
        anchors = self._grounds[name].locate(
            self._numbers(name, place, indices, uniform[:, 0]))
        part = task.ask(anchors, uniform[:, 1:],
                        self._permute(seeds, stream))
        return part, anchors.records

    def _numbers(self, name: str, place: int, indices: Sequence[int],
                 share: Array) -> Array:
        """Frames of a task for the items of a batch.

        Every task goes through all of its frames in an epoch, each from
        another place, so that a batch has windows of many moments.
        """
        count, length = self._grounds[name].count, len(self)
        items = np.array([int(index) for index in indices], np.int64)
        if self.test_mode:
            return items * count // length
        moved = (items + place * length // len(self.tasks)) % length
        numbers = ((moved + share) * (count / length)).astype(np.int64)
        return np.minimum(numbers, count - 1)

    def _permute(self, seeds: torch.Tensor, stream: int) -> Array | None:
        individuals = len(self.store.individuals)
        count = sum(item.name in IDENTITY for item in self.augmentations)
        if not count:
            return None
        draws = draw_uniform(seeds, count * identity_draws(individuals),
                             stream + _IDENTITY_STREAM)
        return permute_identities(self.augmentations, draws, self.shape.size,
                                  individuals)

    def _sample(self, name: str, part: TaskWindows, records: Array,
                first: int, indices: Sequence[int]) -> PoseDataSample:
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(**{
            key: torch.from_numpy(np.ascontiguousarray(value))
            for key, value in part.labels.items()})
        sample.set_metainfo(dict(
            task=name,
            first=first,
            windows=len(part.inputs),
            window_offset=self.shape.offset,
            item_ids=[int(index) for index in indices],
            record_ids=[self.store.ids[record] for record in records],
            augmentation='' if self.published else self._on_device,
            flip_indices=self._flips))
        return sample

    @property
    def _on_device(self) -> str:
        """What is left to the data preprocessor."""
        return write_augmentations(tuple(
            item for item in self.augmentations
            if item.name not in IDENTITY))

    def _check_mirror(self, pairs: Sequence[Sequence[str]] | None) -> None:
        names = self.store.keypoints
        if pairs is None and self._flips == tuple(range(len(names))) and any(
                item.name == 'mirror' for item in self.augmentations):
            raise DataError(
                self.store.source, 'keypoints',
                'some of the left and of the right, to mirror animals',
                ', '.join(names),
                'set flip_pairs, to [] where all lie in the middle')

    def describe(self) -> str:
        """Records, frames and tasks, in words."""
        return (f'{len(self.store.ids)} records, '
                f'{self.store.total_frames:,} frames, '
                f'{len(self):,} windows a task of {self.shape.size} frames '
                f'x {self.store.num_features} coordinates: '
                f'{", ".join(self.tasks)}')

    def _describe(self, options: RecordOptions,
                  settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
        store, shape = self.store, self.shape
        names = list(store.keypoints)
        counts = (None if store.labels is None else np.sum([
            store.record_labels(i).sum(0, dtype=np.int64)
            for i in range(len(store.ids))], 0).tolist())
        return dict(
            dataset_name='behavior',
            num_keypoints=len(names),
            keypoint_id2name=dict(enumerate(names)),
            keypoint_name2id={name: i for i, name in enumerate(names)},
            flip_indices=list(self._flips),
            individuals=list(store.individuals),
            axes=list(store.axes),
            classes=list(store.classes),
            class_counts=counts,
            tasks=list(settings),
            window_size=shape.size,
            window_offset=shape.offset,
            padding=shape.padding,
            scale=options.scale,
            missing=options.missing)


def choose_part(store: TrackStore, split: str,
                split_by: dict[str, Any] | None) -> TrackStore:
    """The records, or stretches of them, of a part of a data set.

    Raises:
        DataError: If the part is empty.
    """
    check_names([split], (*PARTS, 'all'), 'split')
    if split == 'all':
        return store
    part = split_store(store, SplitRule(**(split_by or {})))[split]
    if not len(part):
        raise DataError(store.source, f'split {split!r}', 'records', 'none',
                        f'split_by gives {split} no share')
    return part


def read_tasks(tasks: str | Sequence[str],
               settings: Mapping[str, Any] | None = None
               ) -> dict[str, dict[str, Any]]:
    """Settings of tasks by name.

    Args:
        tasks (str | Sequence[str]): Names, as a comma list or a list.
        settings (Mapping, optional): What differs from the defaults, by
            name. Defaults to None.

    Raises:
        ValueError: If a name is not known, there is none, or settings are of
            no task.
    """
    names = tasks.split(',') if isinstance(tasks, str) else tasks
    names = [text for name in names if (text := str(name).strip())]
    if not names:
        raise ValueError(f'tasks: expected some of {", ".join(TASKS)}, found '
                         'none')
    settings = settings or {}
    check_names(settings, names, 'task_settings')
    check_names([name for name in names
                 if 'type' not in settings.get(name, {})], tuple(TASKS),
                'tasks')
    return {name: {**TASKS.get(name, {}), **settings.get(name, {})}
            for name in names}


def check_names(names: Sequence[str] | Mapping[str, Any],
                known: Sequence[str], what: str) -> None:
    """Refuse names that nothing reads.

    Raises:
        ValueError: Proposes the closest names.
    """
    for name in names:
        if name not in known:
            near = close_matches(name, known)
            raise ValueError(
                f'{what}: expected one of {", ".join(known)}, found {name!r}'
                + (f'; {near}' if near else ''))


def find_factors(store: TrackStore, scaling: float | str,
                 model_fps: float | None) -> Array:
    """Frames of each record for one of a window, float64 (R,).

    Raises:
        DataError: If a frame rate that is needed is not known.
    """
    if scaling != 'auto':
        factor = float(scaling)
        if not factor > 0:
            raise ValueError(
                f"fps_scaling: expected a number above 0 or 'auto', found "
                f'{scaling}')
        known = store.fps[np.isfinite(store.fps)]
        if factor == 1 and len(known) and (
                known.max() > 1.001 * known.min()):
            raise DataError(
                store.source, 'fps', 'one frame rate in all records',
                ', '.join(f'{fps:g}' for fps in np.unique(store.fps)),
                "set fps_scaling='auto' and model_fps")
        return np.full(len(store.ids), factor)
    if model_fps is None or not model_fps > 0:
        raise ValueError("model_fps: expected a number above 0 beside "
                         f"fps_scaling='auto', found {model_fps}")
    unknown = ~np.isfinite(store.fps)
    if unknown.any():
        raise DataError(store.ids[int(np.argmax(unknown))], 'fps',
                        "a frame rate, for fps_scaling='auto'", 'none',
                        'set fps')
    return store.fps / model_fps


def draw_uniform(seeds: torch.Tensor, draws: int, stream: int) -> Array:
    """Uniform numbers float64 (B, draws), fine enough for many frames."""
    parts = hashed_uniform(seeds, 2 * draws, stream).double().numpy()
    # 24 bits each; rounding up to 1 is kept out
    return parts[:, ::2] + parts[:, 1::2] * (2.**-24 - 2.**-48)


def spread_seeds(seeds: torch.Tensor, place: int,
                 windows: int) -> torch.Tensor:
    """Seeds int64 (M,) of the windows of a task, different for each."""
    repeats = windows // max(len(seeds), 1)
    return torch.cat([seeds + (hash_words(place, i) >> 1)
                      for i in range(repeats)])


def number_of(index: int) -> int:
    """Number of a question in the stream of the original."""
    return index.seed if isinstance(index, Draw) else int(index)


def _join(parts: list[Array]) -> torch.Tensor:
    return torch.from_numpy(parts[0] if len(parts) == 1
                            else np.concatenate(parts))

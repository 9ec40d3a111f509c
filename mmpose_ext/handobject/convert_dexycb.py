"""DexYCB's folders turned into indexes of its splits."""
from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.handobject.convert_frames import (
    SequenceTask,
    gather_sequence,
)
from mmpose_ext.handobject.dexycb_splits import (
    NUM_SEQUENCES,
    SplitVideos,
    running_ids,
    split_videos,
)
from mmpose_ext.handobject.index_files import (
    DEXYCB,
    DEXYCB_PATTERN,
    sequence_fingerprint,
)
from mmpose_ext.storage import DataError
from mmpose_ext.storage.dexycb import (
    IMAGE_SIZE,
    SERIALS,
    SIDES,
    SUBJECTS,
    SequenceMeta,
    list_sequences,
    ranked,
    read_betas,
    read_intrinsics,
    read_meta,
)

Array = np.ndarray

_FRAMES, _CAMERAS, _SEQUENCES = 10**6, 256, 10**5  # digits of a frame's key
_AHEAD = 4  # sequences asked for, for each worker


@dataclass(frozen=True)
class DexYcbRoot:
    """What is known of a data root before any label is read.

    Attributes:
        root: The folder.
        subjects: Names, in the order of their numbers.
        serials: Of the cameras, likewise.
        sequences: By number of the subject: folder names, sorted.
        metas: By numbers of subject and sequence.
        intrinsics: Of the cameras that are there, by number: (4, ).
        betas: By id of the calibration: (10, ).
    """

    root: Path
    subjects: tuple[str, ...]
    serials: tuple[str, ...]
    sequences: tuple[tuple[str, ...], ...]
    metas: dict[tuple[int, int], SequenceMeta]
    intrinsics: dict[int, Array]
    betas: dict[str, Array]

    @property
    def models(self) -> Path | None:
        """Folder of the meshes, if it is there."""
        folder = self.root / 'models'
        return folder if folder.is_dir() else None

    def incomplete(self) -> list[str]:
        """Published subjects that have not all of their sequences."""
        return [
            f'{name}: {len(sequences)} of {NUM_SEQUENCES} sequences; they '
            'are numbered, and so shared out, as they are'
            for name, sequences in zip(self.subjects, self.sequences,
                                       strict=True)
            if name in SUBJECTS and 0 < len(sequences) != NUM_SEQUENCES]


@dataclass(frozen=True)
class SplitPlan:
    """Frames of a split, N of them.

    Attributes:
        setup: Name of the setup.
        split: Name of the split.
        every: Step of the frames.
        id: (N, ) running index in the split, before any choice.
        key: (N, ) what tells a frame from all others of the data set.
    """

    setup: str
    split: str
    every: int
    id: Array
    key: Array

    @property
    def name(self) -> str:
        """Name of the split's files, without the ending."""
        return f'{self.setup}_{self.split}'


def open_root(root: Path) -> DexYcbRoot:
    """Read what meta.yml and calibration of all sequences say.

    Args:
        root (Path): The data root.

    Raises:
        DataError: If one is missing, damaged, or of other cameras than the
            rest.
    """
    found = list_sequences(root)
    subjects = ranked(found, SUBJECTS)
    sequences = tuple(found.get(name, ()) for name in subjects)
    metas = {
        (subject, number): read_meta(
            root / subjects[subject] / name / 'meta.yml')
        for subject, names in enumerate(sequences)
        for number, name in enumerate(names)}
    first = next(iter(metas.values()))
    for meta in metas.values():
        if {*meta.serials} != {*first.serials}:
            raise DataError(
                meta.path, 'serials', f'{", ".join(sorted(first.serials))}, '
                'as in the other sequences', ', '.join(sorted(meta.serials)))
    serials = ranked(first.serials, SERIALS)
    return DexYcbRoot(
        root, subjects, serials, sequences, metas,
        {serials.index(serial): read_intrinsics(root, serial)
         for serial in sorted(first.serials)},
        {name: read_betas(root, name)
         for name in sorted({meta.mano for meta in metas.values()})})


def plan_split(data: DexYcbRoot, setup: str, split: str, every: int = 1,
               subjects: Sequence[int] | None = None,
               limit: int | None = None) -> SplitPlan:
    """Choose the frames of a split.

    Args:
        data (DexYcbRoot): The data root.
        setup (str): ``s0`` to ``s3``.
        split (str): ``train``, ``val`` or ``test``.
        every (int): Take frames whose number it divides. Defaults to 1.
        subjects (Sequence[int], optional): Numbers of subjects, from 1, as
            in their names. Defaults to None, all.
        limit (int, optional): At most so many, evenly spread over the
            split, so that they are not all of one subject. Defaults to
            None.

    Raises:
        DataError: If there is no such subject.
    """
    for subject in subjects or ():
        if not (1 <= subject <= len(data.sequences)
                and data.sequences[subject - 1]):
            raise DataError(
                data.root, '--subjects', 'numbers of subjects that are there',
                str(subject), ', '.join(
                    f'{row + 1}: {name}' for row, name
                    in enumerate(data.subjects) if data.sequences[row]))
    videos = split_videos(setup, split, [*map(len, data.sequences)],
                          len(data.serials))
    lengths = np.array([
        data.metas[subject, number].num_frames for subject, number in zip(
            videos.subject.tolist(), videos.number.tolist(), strict=True)],
        np.int64)
    starts = running_ids(lengths)
    taken = np.isin(videos.camera, [*data.intrinsics])
    if subjects:
        taken &= np.isin(videos.subject + 1, subjects)
    counts = np.where(taken, -(-lengths // every), 0)
    rows = np.repeat(np.arange(len(videos)), counts)
    frames = (np.arange(len(rows)) - running_ids(counts)[rows]) * every
    if limit is not None and limit < len(rows):
        chosen = np.linspace(0, len(rows) - 1, limit).round().astype(int)
        rows, frames = rows[chosen], frames[chosen]
    return SplitPlan(setup, split, every, starts[rows] + frames,
                     _keys(videos, rows, frames))


def merge_keys(plans: Sequence[SplitPlan]) -> Array:
    """Keys (M, ) of the frames of all splits, sorted, each once."""
    keys = plans[0].key
    for plan in plans[1:]:
        keys = np.union1d(keys, plan.key)
    return keys


def gather_splits(data: DexYcbRoot, plans: Sequence[SplitPlan], keys: Array,
                  contact: bool, workers: int,
                  advance: Callable[[int], None]
                  ) -> tuple[list[dict[str, Array]], Counter[str]]:
    """Read the frames of splits, each frame once.

    Args:
        data (DexYcbRoot): The data root.
        plans (Sequence[SplitPlan]): The splits, none of them empty.
        keys (np.ndarray): (M, ) see :func:`merge_keys`.
        contact (bool): Whether distances of joints to the grasped object
            are wanted.
        workers (int): Processes that read; 0 for this one.
        advance (Callable[[int], None]): Told how many frames were read.

    Returns:
        tuple[list[dict[str, np.ndarray]], Counter[str]]: Columns of an
            index for each split; what was found how often.

    Raises:
        DataError: If a file is missing or damaged.
    """
    columns: dict[str, Array] = {}
    notes: Counter[str] = Counter()
    most = max(len(meta.ycb_ids) for meta in data.metas.values())
    done = 0
    tasks = _tasks(data, keys, contact)
    for part, found in _run(gather_sequence, tasks, workers):
        count = len(part['hand_valid'])
        for name, values in part.items():
            shape = values.shape[1:]
            if name in ('pose_y', 'object_valid'):
                shape = (most, *shape[1:])
            if name not in columns:
                columns[name] = np.zeros((len(keys), *shape), values.dtype)
            target = columns[name][done:done + count]
            if shape == values.shape[1:]:
                target[...] = values
            else:
                target[:, :values.shape[1]] = values
        done += count
        notes += found
        advance(count)
    return [_split_columns(data, plan, keys, columns, most)
            for plan in plans], notes


def _split_columns(data: DexYcbRoot, plan: SplitPlan, keys: Array,
                   columns: dict[str, Array],
                   most: int) -> dict[str, Array]:
    rows: Array | slice = slice(None)
    if len(keys) != len(plan.key):
        rows = np.searchsorted(keys, plan.key)
    sequences, sequence_row = np.unique(
        plan.key // (_FRAMES * _CAMERAS), return_inverse=True)
    subjects, numbers = np.divmod(sequences, _SEQUENCES)
    metas = [data.metas[pair] for pair in zip(
        subjects.tolist(), numbers.tolist(), strict=True)]
    ids = np.zeros((len(metas), most), np.uint8)
    for row, meta in enumerate(metas):
        ids[row, :len(meta.ycb_ids)] = meta.ycb_ids
    return {
        **{name: values[rows] for name, values in columns.items()},
        'id': plan.id, 'sequence_row': sequence_row.astype(np.int32),
        'camera': (plan.key // _FRAMES % _CAMERAS).astype(np.uint8),
        'frame': (plan.key % _FRAMES).astype(np.int32),
        'sequence_subject': subjects.astype(np.uint8),
        'sequence_name': np.array([
            '/'.join(meta.path.parent.parts[-2:]) for meta in metas]),
        'sequence_number': numbers.astype(np.int32),
        'side': np.array([SIDES.index(meta.side) for meta in metas],
                         np.uint8),
        'ycb_ids': ids,
        'grasped': np.array([meta.grasped for meta in metas], np.int32),
        'betas': np.array([data.betas[meta.mano] for meta in metas],
                          np.float32),
        'serials': np.array(data.serials),
        'subjects': np.array(data.subjects),
        'source': np.array(DEXYCB), 'setup': np.array(plan.setup),
        'split': np.array(plan.split), 'every': np.array(plan.every),
        'image_size': np.array(IMAGE_SIZE),
        'image_pattern': np.array(DEXYCB_PATTERN),
        'fingerprint': np.array(sequence_fingerprint(
            (f'{data.subjects[subject]}/{name}'
             for subject in sorted({*subjects.tolist()})
             for name in data.sequences[subject]), data.serials))}


def _keys(videos: SplitVideos, rows: Array, frames: Array) -> Array:
    return ((videos.subject[rows] * _SEQUENCES + videos.number[rows]
             ) * _CAMERAS + videos.camera[rows]) * _FRAMES + frames


def _tasks(data: DexYcbRoot, keys: Array,
           contact: bool) -> Iterator[SequenceTask]:
    """One for each sequence that has frames among the sorted keys."""
    bounds: dict[int, Array | None] = {}
    ends = np.flatnonzero(np.diff(keys // (_FRAMES * _CAMERAS))) + 1
    for part in np.split(keys, ends):
        subject, number = divmod(
            int(part[0]) // (_FRAMES * _CAMERAS), _SEQUENCES)
        meta = data.metas[subject, number]
        ycb_id = meta.ycb_ids[meta.grasped]
        if ycb_id not in bounds:
            bounds[ycb_id] = _mesh_bounds(data.models, ycb_id)
        cameras = part // _FRAMES % _CAMERAS
        yield SequenceTask(
            meta.path.parent, meta, tuple(
                (data.serials[camera], data.intrinsics[camera],
                 part[cameras == camera] % _FRAMES)
                for camera in np.unique(cameras).tolist()),
            data.models, bounds[ycb_id], contact)


def _mesh_bounds(models: Path | None, ycb_id: int) -> Array | None:
    if models is None:
        return None
    from mmpose_ext.handobject.meshes import load_mesh_bounds
    return load_mesh_bounds(models, ycb_id)


def _run(work: Callable[..., Any], tasks: Iterable[SequenceTask],
         workers: int) -> Iterator[tuple[dict[str, Array], Counter[str]]]:
    """Results in the order of the tasks, only some of them ahead."""
    if workers < 1:
        yield from map(work, tasks)
        return
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context(
        'fork' if 'fork' in methods else None)
    waiting = []
    with ProcessPoolExecutor(workers, context) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(work, task))
                if len(waiting) > _AHEAD * workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                'a worker was ended by the system; take fewer --workers'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

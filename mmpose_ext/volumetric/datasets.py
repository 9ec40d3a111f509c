"""Time points of recordings: pictures of all views, and 3D labels."""
from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training import (
    draw_seeds,
    hash_words,
    hashed_uniform,
    keypoint_names,
)
from mmpose_ext.volumetric.frame_cache import FrameCache, FrameReader
from mmpose_ext.volumetric.recording_lists import (
    list_recordings,
    open_once,
)
from mmpose_ext.volumetric.recordings import find_skeleton
from mmpose_ext.volumetric.skeletons import load_skeleton
from mmpose_ext.volumetric.split import split_rows
from mmpose_ext.volumetric.transforms import DannceCropToVolume
from mmpose_ext.volumetric.unlabelled import (
    UnlabelledDraw,
    chunk_rows,
    require_some,
    rows_of_part,
    thin_out,
)

Array = np.ndarray


@DATASETS.register_module()
class VolumetricPoseDataset(Dataset[Any]):
    """Labelled time points of one or several recordings.

    Everything is checked when the data set is made. The pictures are cropped
    to what the volumes can show; volumes are built, and training's random
    changes made, in the data preprocessor, from ``draw_seed``: with
    ``mmpose_ext.DrawSampler`` they depend on the draw alone.

    Args:
        data_root (str): Folder of the recordings.
        recordings (str | Sequence): Their names, each a folder in
            ``data_root`` or ``.`` for itself, or a dict of ``folder`` and the
            arguments of
            :func:`~mmpose_ext.volumetric.recordings.open_recording`; ``*``
            takes every folder with a label file. Defaults to ``*``.
        skeleton (str, optional): A built-in skeleton or a file, see
            :func:`~mmpose_ext.volumetric.skeletons.load_skeleton`; relative
            files begin at ``data_root``. Defaults to None, the recordings'
            own.
        split (str): ``train``, ``val``, ``test`` or ``all``. Defaults to
            ``all``.
        split_by (dict, optional): How to split, see
            :func:`~mmpose_ext.volumetric.split.split_samples`. Equal in the
            data sets of a config. Defaults to None: blocks of time.
        pipeline (Sequence): Transforms. Defaults to ().
        recording_settings (dict, optional): Arguments of ``open_recording``
            for all recordings. Defaults to None.
        num_individuals (int): Animals in a recording. Defaults to 1.
        labelled_only (bool): Whether to leave out time points without a
            label. Defaults to True.
        num_labels (int, optional): Of the labelled time points of the split
            so many show their labels, evenly spread over all recordings;
            the others count as unlabelled. Defaults to None, all.
        unlabelled (str | int | float | dict, optional): Time points to train
            on without labels: a count, or the arguments of
            :class:`~mmpose_ext.volumetric.unlabelled.UnlabelledDraw`. They
            come after the labelled ones, of ``split`` as their nearest
            labelled one is; ``mmpose_ext.DannceMixSampler`` mixes the two.
            Defaults to None, none.
        chunk_length (int): Frames T of a run about each time point, which
            the sampler keeps together. Defaults to 1.
        chunk_stride (int): Time points from one frame of a run to the next.
            Defaults to 1.
        turns (Sequence[float]): Angles about z, degrees: in test mode each
            time point comes once for each, its volume turned. Defaults to
            (0., ).
        com_jitter_mm (float): In test mode the middle of the animal is moved
            along each axis by up to this, a fixed amount for each time point
            and turn. Defaults to 0.
        cache (dict, optional): Arguments of
            :class:`~mmpose_ext.volumetric.frame_cache.FrameCache`; what is
            kept follows from the pipeline's crop. Defaults to None, frames
            are decoded every time.
        test_mode (bool): Defaults to False.
        indices (int | Sequence[int], optional): The first so many samples, or
            these, in their order in the data set. Defaults to None, all.

    Raises:
        DataError: If a recording is damaged, incomplete or of another
            skeleton, or nothing remains.
    """

    def __init__(self,
                 data_root: str,
                 recordings: str | Sequence[str | Mapping[str, Any]] = '*',
                 skeleton: str | None = None,
                 split: str = 'all',
                 split_by: Mapping[str, Any] | None = None,
                 pipeline: Sequence[Any] = (),
                 recording_settings: Mapping[str, Any] | None = None,
                 num_individuals: int = 1,
                 labelled_only: bool = True,
                 num_labels: int | None = None,
                 unlabelled: Any = None,
                 chunk_length: int = 1,
                 chunk_stride: int = 1,
                 turns: Sequence[float] = (0., ),
                 com_jitter_mm: float = 0.,
                 cache: Mapping[str, Any] | None = None,
                 test_mode: bool = False,
                 indices: int | Sequence[int] | None = None) -> None:
        if not test_mode and (tuple(turns) != (0., ) or com_jitter_mm):
            raise ValueError(
                'turns, com_jitter_mm: are for test_mode; in training the '
                'data preprocessor turns and moves the volumes')
        if unlabelled is not None and (test_mode or not labelled_only):
            raise ValueError(
                'unlabelled: is for training on labelled_only time points')
        if chunk_length < 1 or chunk_stride < 1:
            raise ValueError('chunk_length, chunk_stride: expected 1 or '
                             f'more, found {chunk_length}, {chunk_stride}')
        self.data_root = Path(data_root)
        self.chunk_length = chunk_length
        self.num_individuals = num_individuals
        self.test_mode = test_mode
        self.turns, self.com_jitter_mm = tuple(turns), com_jitter_mm
        folders = list_recordings(self.data_root, recordings)
        folders = [(folder, {**(recording_settings or {}), **settings})
                   for folder, settings in folders]
        self._metainfo = self._load_skeleton(skeleton, folders)
        self._names = keypoint_names(self._metainfo)
        count = self._metainfo['num_keypoints']
        self.recordings = tuple(
            open_once(folder, {'num_keypoints': count, **settings})
            for folder, settings in folders)
        self._check_recordings()
        rows, shown, allowed = self._choose(
            split, split_by, labelled_only, num_labels, unlabelled)
        self.samples, self.chunks, self.num_labelled = self._chunk(
            rows, len(shown), allowed, chunk_stride)
        if indices is not None:
            self._take(indices)
        self._shown = np.isin(_keys(self.samples), _keys(shown))
        self.pipeline = Compose(pipeline)
        self.source = FrameReader(self.recordings, self.samples)
        if cache is not None:
            self.source = FrameCache(
                self.recordings, self.samples,
                **{'reach_mm': self._find_reach(), **cache})
            print_log(f'{self.data_root} [{split}]: {self.source}', 'current')

    @property
    def metainfo(self) -> dict[str, Any]:
        """Metainfo of the skeleton, as MMPose parses it."""
        return self._metainfo

    def __len__(self) -> int:
        return len(self.samples) * len(self.turns)

    def __getitem__(self, index: int) -> Any:
        """Send a sample through the pipeline."""
        return self.pipeline(self.get_data_info(index))

    def get_data_info(self, index: int) -> dict[str, Any]:
        """What is known of a sample, before the pipeline.

        Args:
            index (int): From 0 to ``len(self) - 1``; all turns of a time
                point follow each other.

        Returns:
            dict: The keys of
            :data:`~mmpose_ext.volumetric.transforms.META_KEYS`, ``keypoints``
            (I, K, 3) float32 mm with NaN, and ``read_frames``.
        """
        number = int(index)
        if not 0 <= number < len(self):
            raise IndexError(f'{number} of {len(self)} samples')
        position, turn = divmod(number, len(self.turns))
        recording, row = (int(i) for i in self.samples[position])
        source = self.recordings[recording]
        sample_id = int(source.sample_ids[row])
        return dict(
            id=number,
            img_id=number,
            sample_id=sample_id,
            recording=source.name,
            recording_index=recording,
            frames=source.frames[row],
            cameras=source.cameras,
            com=source.com[row] + self._jitter(sample_id, turn, len(
                source.com[row])),
            turn=float(np.deg2rad(self.turns[turn])),
            draw_seed=int(draw_seeds([index]).view(np.int64)[0]),
            fps=source.fps,
            flip_indices=self._metainfo['flip_indices'],
            keypoint_names=self._names,
            skeleton_links=self._metainfo['skeleton_links'],
            keypoints=self._labels(position),
            chunk_length=self.chunk_length,
            read_frames=functools.partial(self.source.load, position))

    def labelled_poses(self) -> Array:
        """All poses (N, K, 3) that are labelled here, mm; NaN missing."""
        poses = [self._labels(position)
                 for position in np.flatnonzero(self._shown).tolist()]
        count = self._metainfo['num_keypoints']
        found = np.concatenate([np.empty((0, count, 3)), *poses])
        return found[np.isfinite(found).any((1, 2))]

    def _labels(self, position: int) -> Array:
        """Labels (I, K, 3) float32 of a sample, NaN if they are hidden."""
        recording, row = self.samples[position]
        points = self.recordings[recording].points[row].astype(np.float32)
        return points if self._shown[position] else np.full_like(
            points, np.nan)

    def _jitter(self, sample_id: int, turn: int, individuals: int) -> Array:
        """How far the middles are moved, (I, 3) mm."""
        if not self.com_jitter_mm:
            return np.zeros((individuals, 3))
        seed = np.array([hash_words(sample_id, turn)], np.uint64)
        draws = hashed_uniform(torch.from_numpy(seed.view(np.int64)),
                               3 * individuals).double().numpy()
        return (2 * draws.reshape(-1, 3) - 1) * self.com_jitter_mm

    def _load_skeleton(self, skeleton: str | None,
                       folders: Sequence[tuple[Path, dict[str, Any]]]
                       ) -> dict[str, Any]:
        if skeleton is not None:
            return load_skeleton(skeleton, self.data_root)
        folder, _ = folders[0]
        own = find_skeleton(folder)
        if own is None:
            raise ValueError(f'skeleton: {folder} names none; name one')
        return load_skeleton(own)

    def _check_recordings(self) -> None:
        """All recordings must have the animals and views of the first."""
        for recording in self.recordings:
            if recording.num_individuals != self.num_individuals:
                raise DataError(
                    recording.label_file, 'labelData.data_3d',
                    f'{self.num_individuals} animals of '
                    f'{self._metainfo["num_keypoints"]} keypoints',
                    f'{recording.num_individuals}',
                    'num_individuals says how many share the file')
            first = self.recordings[0]
            if len(recording.cameras) != len(first.cameras):
                raise DataError(
                    recording.label_file, 'camnames',
                    f'{len(first.cameras)} cameras, as {first.name} has',
                    str(len(recording.cameras)))
            names = recording.cameras.names
            if names != first.cameras.names and (
                    set(names) == set(first.cameras.names)):
                raise DataError(
                    recording.label_file, 'camnames',
                    f'{", ".join(first.cameras.names)}, as {first.name} has '
                    'them', ', '.join(names),
                    'camera_names in recording_settings gives all the same '
                    'order')

    def _choose(self, split: str, rule: Mapping[str, Any] | None,
                labelled_only: bool, num_labels: int | None,
                unlabelled: Any) -> tuple[Array, Array, list[Array]]:
        """Recording and row (N, 2) of a split's samples.

        Returns:
            tuple: All of them; those whose labels are shown, which are the
            first ones; and of each recording the rows (M,) bool that belong
            to the split.
        """
        rows = []
        for recording in self.recordings:
            known = recording.com_known
            wanted = recording.labelled if labelled_only else np.ones_like(
                known)
            if (wanted & ~known).any():
                print_log(
                    f'{recording.label_file}: {(wanted & ~known).sum()} of '
                    f'{wanted.sum()} time points without a middle are left '
                    'out', 'current')
            rows.append(np.flatnonzero(wanted & known))
        names = [recording.name for recording in self.recordings]
        if not any(map(len, rows)):
            raise DataError(
                self.data_root, 'recordings', 'labelled time points with a '
                'known middle', f'none in {", ".join(names)}')
        part = split_rows(self.data_root, names, rows, split, rule)
        allowed = [rows_of_part(*each) for each in zip(
            self.recordings, rows, part, strict=True)]
        kept = thin_out(part, num_labels, self.data_root)
        shown = _number(kept)
        if unlabelled is None:
            return shown, shown, allowed
        return np.concatenate([shown, _number(self._draw(
            UnlabelledDraw.of(unlabelled), allowed, kept))]), shown, allowed

    def _draw(self, draw: UnlabelledDraw, allowed: Sequence[Array],
              kept: Sequence[Array]) -> list[Array]:
        """Rows without a label of each recording."""
        chosen, lacking = [], 0
        for number, recording in enumerate(self.recordings):
            candidates = np.setdiff1d(
                np.flatnonzero(allowed[number]), kept[number])
            rows, fewer = draw.draw(recording, number, candidates,
                                    len(kept[number]))
            chosen.append(rows)
            lacking += fewer
        require_some(draw, self.recordings, chosen)
        print_log(
            f'{self.data_root}: {sum(map(len, kept))} labelled and '
            f'{sum(map(len, chosen))} unlabelled time points of '
            f'{len(self.recordings)} recordings' + (
                f'; {lacking} fewer than unlabelled={draw.count!r} asks for'
                if lacking else ''), 'current')
        return chosen

    def _chunk(self, rows: Array, labelled: int, allowed: Sequence[Array],
               stride: int) -> tuple[Array, Array, int]:
        """Runs of frames about time points, within the split.

        Returns:
            tuple: Samples (N, 2), each once; runs (C, T) as positions among
            them, and how many of these, the first, are about a label.
        """
        length = self.chunk_length
        if length == 1:
            return rows, np.arange(len(rows))[:, None], labelled
        runs, count = [], 0
        for position, (number, row) in enumerate(rows.tolist()):
            run = chunk_rows(row, allowed[number], length, stride)
            if run:
                runs.append([(number, other) for other in run])
                count += position < labelled
        if not runs:
            raise DataError(
                self.data_root, 'chunk_length', 'runs of '
                f'{length} frames with known middles', 'none')
        samples, positions = np.unique(
            np.array(runs).reshape(-1, 2), axis=0, return_inverse=True)
        return samples, positions.reshape(-1, length), count

    def _take(self, indices: int | Sequence[int]) -> None:
        """Leave only some samples."""
        if self.chunk_length > 1:
            raise ValueError('indices: are for chunk_length=1')
        chosen = np.arange(len(self.samples))[
            slice(indices) if isinstance(indices, int) else list(indices)]
        chosen.sort()  # those with labels stay in front
        self.num_labelled = int((chosen < self.num_labelled).sum())
        self.samples = self.samples[chosen]
        self.chunks = np.arange(len(chosen))[:, None]

    def _find_reach(self) -> float | None:
        """How far the pipeline's crop looks, None if it shows all."""
        for transform in self.pipeline.transforms:
            if isinstance(transform, DannceCropToVolume):
                return transform.reach_mm + self.com_jitter_mm
        return None


def _number(rows: Sequence[Array]) -> Array:
    """Recording and row (N, 2), from the rows of each recording."""
    return np.concatenate([
        np.stack([np.full(len(own), number), own], 1)
        for number, own in enumerate(rows)])


def _keys(samples: Array) -> Array:
    """A number (N,) for each recording and row (N, 2)."""
    return (samples[:, 0] << 32) + samples[:, 1]

"""What a prediction is to do, and whether earlier results are of it."""
from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmpose_ext import __version__
from mmpose_ext.storage import DataError, atomic_file, refuse_to_replace
from mmpose_ext.storage.com3d import read_com3d
from mmpose_ext.volumetric.body_centres import (
    BodyCentres,
    describe_ids,
    filter_centres,
)
from mmpose_ext.volumetric.individual_files import (
    join_centres,
    list_files,
)
from mmpose_ext.volumetric.recordings import Recording, open_recording
from mmpose_ext.volumetric.streaming import BlockStore, check_fingerprint

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class PredictionPlan:
    """Which time points to predict, and where results go.

    Attributes:
        kind: ``com`` or ``poses``; the two may share a folder.
        out: The folder for the results.
        rows: (T,) time points of the recording.
        outputs: Files that will be there.
        fingerprint: What the results depend on.
    """

    kind: str
    out: Path
    rows: Array
    outputs: tuple[Path, ...]
    fingerprint: dict[str, Any]

    @property
    def summary(self) -> Path:
        """Written last: says what the results were made from."""
        return self.out / f'prediction_{self.kind}.json'

    @property
    def parts(self) -> Path:
        """Folder of the blocks while the prediction runs."""
        return self.out / f'.{self.kind}.parts'

    def open_store(self, resume: bool, overwrite: bool,
                   sources: Iterable[Path]) -> BlockStore | None:
        """Make room for results.

        Args:
            resume (bool): Whether to go on with what is there.
            overwrite (bool): Whether to replace it.
            sources (Iterable[Path]): What is read; no output may replace it.

        Returns:
            BlockStore | None: Where blocks go; None if all is done already.

        Raises:
            DataError: If older results are there and neither is asked for,
                or they are of another prediction.
        """
        sources = list(sources)
        for path in self.outputs:
            refuse_to_replace(path, sources)
        there = [path for path in (*self.outputs, self.summary)
                 if path.exists()]
        if there and not (resume or overwrite):
            raise DataError(self.out, '--out', 'a folder without results',
                            ', '.join(path.name for path in there),
                            '--overwrite replaces them')
        self.out.mkdir(parents=True, exist_ok=True)
        if overwrite:
            # first what says that all is done
            self.summary.unlink(missing_ok=True)
            shutil.rmtree(self.parts, ignore_errors=True)
        elif self.summary in there:
            check_fingerprint(self.summary, self.fingerprint)
            if len(there) > len(self.outputs):
                # killed while these were removed, perhaps
                shutil.rmtree(self.parts, ignore_errors=True)
                return None
        elif there and not self.parts.is_dir():
            raise DataError(self.out, '--resume', self.summary.name,
                            'results without it',
                            '--overwrite replaces them')
        return BlockStore(self.parts, self.fingerprint, resume)

    def finish(self, store: BlockStore) -> None:
        """Say what the results were made from; blocks are needed no more."""
        with atomic_file(self.summary) as temporary:
            temporary.write_text(json.dumps(self.fingerprint, indent=1))
        store.remove()


def open_for_prediction(config: Config, folder: Path, com: Path | None,
                        poses: bool) -> Recording:
    """Open a recording as the config's data set opens recordings.

    Args:
        config (Config): Of the training.
        folder (Path): The recording.
        com (Path, optional): Of poses, ``com3d.mat`` with the centres of
            mass, or a pattern of several, see :func:`read_centres`. None:
            the recording's own.
        poses (bool): Whether the config is one for poses, which need them.

    Raises:
        DataError: If something is missing, damaged, or does not fit.
    """
    options = dict(
        config.test_dataloader.dataset.get('recording_settings') or {})
    if poses:
        options.setdefault('num_keypoints', config.model.head.num_keypoints)
    if poses and com is None:
        com_file = options.get('com_file')
        for path in list_files(folder, com_file, 'com_file'
                               ) if com_file else ():
            if not path.is_file():
                raise DataError(
                    path, 'file', 'the centres of mass that the config names',
                    'nothing', 'predict them by a com config, and name the '
                    'file by --com')
        return open_recording(folder, **options)
    window = options.pop('com_median_window', None)
    limit_mm = options.pop('com_limit_mm', None)
    # what is found, or given, need not be in the recording, or right there
    options.update(com_file=None, com_source='labels')
    recording = open_recording(folder, **options)
    if com is None:
        return recording
    return replace(recording, com=read_centres(
        com, recording, window, limit_mm))


def choose_rows(recording: Recording, start: int, stop: int | None,
                every: int, need_com: bool) -> tuple[Array, int]:
    """Time points to predict.

    Args:
        recording (Recording): M time points.
        start (int): The first, counted from 0.
        stop (int, optional): The one to stop before; None: the end.
        every (int): Each so many-th is taken.
        need_com (bool): Whether those without any centre of mass are left
            out.

    Returns:
        tuple[ndarray, int]: Their rows (T,), and how many were left out.

    Raises:
        DataError: If none remain.
    """
    ids = recording.sample_ids
    rows = np.arange(len(ids))[start:stop:every]
    if not len(rows):
        raise DataError(
            recording.label_file, 'start, stop',
            f'time points of the recording, 0 to {len(ids) - 1}',
            f'none from {start} to {"the end" if stop is None else stop}')
    if not need_com:
        return rows, 0
    known = np.isfinite(recording.com[rows]).all(-1).any(1)
    if not known.any():
        raise DataError(
            recording.label_file, 'com', 'centres of mass of sampleIDs '
            f'{ids[rows[0]]} to {ids[rows[-1]]}', 'none',
            'predict them by a config for centres of mass, and give the '
            'com3d.mat by --com')
    return rows[known], int((~known).sum())


def read_centres(path: Path, recording: Recording, window: int | None,
                 limit_mm: float | None) -> Array:
    """Centres of mass of a file at a recording's time points.

    Unlike for a training, labelled time points may be without one.

    Args:
        path (Path): A ``com3d.mat``, or of several animals with a file each
            a pattern such as ``instance*com3d.mat``.
        recording (Recording): M time points.
        window (int, optional): Time points of a median filter.
        limit_mm (float, optional): A larger coordinate makes a centre
            unknown.

    Returns:
        ndarray: (M, I, 3) mm; NaN unknown.

    Raises:
        DataError: If the file is damaged, or of other time points.
    """
    files = list_files(path.parent, path.name, '--com')
    parts = [BodyCentres(file, 'com', track.sample_ids, track.points)
             for file in files for track in [read_com3d(file)]]
    joined = parts[0] if len(parts) == 1 else join_centres(parts, files)
    assert joined is not None
    centres = filter_centres(joined, window)
    ids = recording.sample_ids
    _, rows, found = np.intersect1d(ids, centres.sample_ids,
                                    return_indices=True)
    if not len(rows):
        raise DataError(
            path, 'sampleID', f'sampleIDs of {recording.label_file.name}, '
            f'{describe_ids(ids)}', f'{describe_ids(centres.sample_ids)}; '
            'none agrees', 'a sampleID is no frame number')
    com = np.full((len(ids), *centres.points.shape[1:]), np.nan)
    com[rows] = centres.points[found]
    if limit_mm is not None:
        com[(np.abs(com) > limit_mm).any(-1)] = np.nan
    return com


def fingerprint_of(recording: Recording, rows: Array,
                   **settings: Any) -> dict[str, Any]:
    """What results depend on.

    Batch size and device are no part of it: a machine may have run out of
    memory, or be another one.

    Args:
        recording (Recording): What is predicted on.
        rows (ndarray): (T,) its time points.
        **settings: What else counts, in values that JSON knows; of an array
            the sum is kept.
    """
    cameras = recording.cameras
    return dict(
        version=__version__,
        time_points=_digest(recording.sample_ids[rows],
                            recording.frames[rows]),
        cameras=[*cameras.names, _digest(
            cameras.intrinsics, cameras.rotations, cameras.translations,
            cameras.distortions)],
        videos=[[int(video.first), int(video.stop), *map(int, video.size)]
                for video in recording.videos],
        **{name: _digest(value) if isinstance(value, np.ndarray) else value
           for name, value in settings.items()})


def digest_of_settings(settings: dict[str, Any]) -> str:
    """SHA-256 of a part of a config."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(*arrays: Array) -> str:
    digest = hashlib.sha256()
    for values in arrays:
        digest.update(f'{values.dtype}{values.shape}'.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()

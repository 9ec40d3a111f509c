"""Files of predicted 3D poses.

``save_data_AVG.mat`` has the variables that scripts for MATLAB know (``pred``
M x I x 3 x J in mm of the world, ``data``, ``p_max``, ``sampleID``) and
``com``, ``spread``, ``camnames`` and ``joint_names``;
``init_save_data_AVG.mat`` the same of the poses before they were refined;
``com3d_used.mat`` the centres of mass that were used; ``poses.nc`` the poses
as movement reads them.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError, check_array
from mmpose_ext.storage.checks import check_texts
from mmpose_ext.storage.com3d import ComTrack, com_matrix, write_com3d
from mmpose_ext.storage.matlab import (
    cell,
    read_integers,
    read_matlab,
    read_numbers,
    read_rows,
    write_matlab,
)
from mmpose_ext.storage.movement_netcdf import write_movement_netcdf

Array = np.ndarray

POSES_MAT, COM_MAT, POSES_NC = (
    'save_data_AVG.mat', 'com3d_used.mat', 'poses.nc')
INITIAL_MAT = f'init_{POSES_MAT}'


@dataclass(frozen=True, eq=False)
class PosePredictions:
    """Poses over time.

    M time points, I individuals, K keypoints.

    Attributes:
        source: The file that was read, or the recording.
        sample_ids: (M,) int64, rising.
        points: (M, I, K, 3) float32 world mm; NaN = not predicted.
        scores: (M, I, K) float32, peak of each keypoint's distribution.
        spread: (M, I, K) float32 mm, its standard deviation; None = unknown.
        com: (M, I, 3) float64 mm, middle of the volumes; None = unknown.
        cameras: V names; empty = unknown.
        keypoints: K names; empty = unknown.
    """

    source: Path
    sample_ids: Array
    points: Array
    scores: Array
    spread: Array | None
    com: Array | None
    cameras: tuple[str, ...]
    keypoints: tuple[str, ...]

    def __post_init__(self) -> None:
        check_array(self.points, self.source, 'pred', 'f4',
                    (len(self.sample_ids), None, None, 3))
        rows = self.points.shape[:3]
        check_array(self.scores, self.source, 'p_max', 'f4', rows)
        if self.spread is not None:
            check_array(self.spread, self.source, 'spread', 'f4', rows)
        if self.com is not None:
            check_array(self.com, self.source, 'com', 'f8', (*rows[:2], 3))
        if self.keypoints and len(self.keypoints) != rows[2]:
            raise DataError(self.source, 'joint_names', f'{rows[2]} names',
                            f'{len(self.keypoints)}')


def write_predictions(folder: Path,
                      predictions: PosePredictions,
                      time: Array,
                      fps: float | None,
                      metadata: Mapping[str, Any],
                      initial: Array | None = None) -> tuple[Path, ...]:
    """Write the files, each whole or not at all.

    Args:
        folder (Path): An existing folder.
        predictions (PosePredictions): Complete: with centres of mass,
            spread and names.
        time (ndarray): (M,) seconds where the rate is known, else frames.
        fps (float, optional): Frames per second, if known.
        metadata (Mapping[str, Any]): How it was made; texts and numbers.
        initial (ndarray, optional): (M, I, K, 3) poses before they were
            refined, mm. Defaults to None: they were not.

    Returns:
        tuple[Path, ...]: The files.
    """
    assert predictions.com is not None
    write_poses_mat(folder / POSES_MAT, predictions)
    files = [folder / POSES_MAT, folder / COM_MAT, folder / POSES_NC]
    if initial is not None:
        files.append(folder / INITIAL_MAT)
        write_poses_mat(folder / INITIAL_MAT,
                        replace(predictions, points=initial))
    write_com3d(
        folder / COM_MAT,
        ComTrack(folder / COM_MAT, predictions.sample_ids, predictions.com),
        metadata)
    write_movement_netcdf(
        folder / POSES_NC,
        predictions.points,
        predictions.scores,
        individuals=individual_names(predictions.points.shape[1]),
        keypoints=predictions.keypoints,
        sample_ids=predictions.sample_ids,
        time=time,
        fps=fps,
        attributes=dict(metadata))
    return tuple(files)


def write_poses_mat(path: Path, predictions: PosePredictions) -> None:
    """Write ``save_data_AVG.mat``, or a file like it.

    Args:
        path (Path): The file, ending in .mat.
        predictions (PosePredictions): What to write; what is unknown is left
            out.
    """
    points = predictions.points.transpose(0, 1, 3, 2)
    variables = dict(
        pred=points,
        data=np.zeros_like(points),  # scripts expect labels' place
        p_max=predictions.scores,
        sampleID=predictions.sample_ids[None])
    if predictions.spread is not None:
        variables['spread'] = predictions.spread
    if predictions.com is not None:
        variables['com'] = com_matrix(predictions.com)
    if predictions.cameras:
        variables['camnames'] = cell(predictions.cameras)
    if predictions.keypoints:
        variables['joint_names'] = cell(predictions.keypoints)
    write_matlab(path, variables)


def read_poses_mat(path: str | Path) -> PosePredictions:
    """Read a ``save_data_AVG.mat``, ours or another.

    Args:
        path (str | Path): With ``pred`` M x I x 3 x J, or M x 3 x J as older
            files of one individual have it.

    Raises:
        DataError: If it is damaged, its parts do not fit together, or its
            poses are relative to a centre of mass.
    """
    path = Path(path)
    content = read_matlab(path)
    if 'log_pmax' in content:
        raise DataError(path, 'pred', 'mm of the world',
                        'poses relative to the centre of mass, as files '
                        'with log_pmax have them',
                        'add the com of com3d_used.mat to them')
    points = read_numbers(content, 'pred', path, '')
    if points.ndim == 3:
        points = points[:, None]
    check_array(points, path, 'pred', shape=(None, None, 3, None))
    ids = read_integers(content, 'sampleID', path, '')
    order = np.argsort(ids, kind='stable')
    check_array(ids, path, 'sampleID', shape=(len(points), ))
    # older files have M x J here, too
    by_point = (points.shape[0], points.shape[1], points.shape[3])

    def read(name: str) -> Array:
        values = read_numbers(content, name, path, '')
        if values.size != np.prod(by_point):
            raise DataError(path, name, f'shape {by_point}',
                            f'shape {values.shape}')
        return values.reshape(by_point)[order].astype(np.float32)

    com = None
    if 'com' in content:
        com = read_numbers(content, 'com', path, '')
        com = com[..., None] if com.ndim == 2 else com
        check_array(com, path, 'com', shape=(len(points), 3,
                                             points.shape[1]))
        com = np.ascontiguousarray(com[order].transpose(0, 2, 1))
    return PosePredictions(
        source=path,
        sample_ids=ids[order],
        points=np.ascontiguousarray(
            points[order].transpose(0, 1, 3, 2), np.float32),
        scores=read('p_max'),
        spread=read('spread') if 'spread' in content else None,
        com=com,
        cameras=_names(content, 'camnames', path),
        keypoints=_names(content, 'joint_names', path))


def individual_names(count: int) -> tuple[str, ...]:
    """Names of individuals that have none: ``individual_0`` ..."""
    return tuple(f'individual_{number}' for number in range(count))


def _names(content: Mapping[str, Any], key: str,
           path: Path) -> tuple[str, ...]:
    return check_texts(read_rows(content.get(key, []), path, key), path, key)

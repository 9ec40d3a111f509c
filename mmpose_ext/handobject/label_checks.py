"""What labels of hands and objects must fulfil to be believed."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmpose_ext.geometry.crop_views import intrinsic_matrix, project
from mmpose_ext.handobject.hand import BONES, JOINT_NAMES, SIDES, WRIST
from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.handobject.mano import HandObjectManoLayer
from mmpose_ext.storage import DataError

Array = np.ndarray

PROJECTION_PX = 1.  # between a joint and its label, median of a camera
DEPTH_M = .2, 3.  # from a camera to a wrist or an object
BONE_MM = 5., 140.
BONE_CHANGE = .25  # of a bone of one hand, as a share
ROTATION_SKEW = 1e-3
WRONG_SIDE = .25  # how far fingers bend backwards to be the other hand's
MANO_MM = 1.
MANO_SAMPLES = 256
_BLOCK = 16384  # rows looked at together


@dataclass(frozen=True, eq=False)
class HandMeasures:
    """Measures of each frame with a hand.

    Attributes:
        rows: In the index, (M,).
        errors: Between labels and projected joints, median, px, (M,).
        depths: Of the wrist, m, (M,).
        bones: Lengths, mm, (M, 20).
        bends: How far the fingers bend towards the palm of a right hand, as
            a share of their length, (M,); negative for a left hand.
    """

    rows: Array
    errors: Array
    depths: Array
    bones: Array
    bends: Array


def measure_hands(index: HandObjectIndex) -> HandMeasures:
    """Measure all hands, block by block."""
    valid = np.flatnonzero(index['hand_valid'])
    parts = []
    for start in range(0, len(valid), _BLOCK):
        rows = valid[start:start + _BLOCK]
        joints = np.asarray(index['joints_cam'][rows], np.float64)
        pixels = project(joints, intrinsic_matrix(index['K'][rows])[:, None])
        away = np.linalg.norm(pixels - index['joints_px'][rows], axis=-1)
        first, second = np.array(BONES).T
        bones = np.linalg.norm(joints[:, second] - joints[:, first], axis=-1)
        parts.append((np.median(away, axis=1), joints[:, WRIST, 2],
                      1e3 * bones, _bends(joints)))
    columns = [np.concatenate(column) for column in
               zip(*parts, strict=True)] if parts else [
                   np.empty(0), np.empty(0), np.empty((0, 20)), np.empty(0)]
    return HandMeasures(valid, *columns)


def hand_problems(index: HandObjectIndex,
                  hands: HandMeasures) -> Iterator[DataError]:
    """What is wrong with the hands of an index."""
    for camera in np.unique(index['camera'][hands.rows]):
        chosen = index['camera'][hands.rows] == camera
        error = float(np.median(hands.errors[chosen]))
        if not error <= PROJECTION_PX:
            yield DataError(
                index.path, f'camera {index.serials[camera]}',
                f'joints_cam within {PROJECTION_PX:g} px of joints_px',
                f'{error:.1f} px, median of {chosen.sum()} hands',
                'the intrinsics are of another camera or resolution')
    far = _outside(hands.depths, DEPTH_M)
    yield from _counted(
        index, hands.rows, far, 'joints_cam', 'a wrist at {:g} to {:g} '
        'm'.format(*DEPTH_M), lambda at: f'{hands.depths[at]:.2f} m')
    yield from _bone_problems(index, hands)
    yield from _side_problems(index, hands)


def object_problems(index: HandObjectIndex) -> Iterator[DataError]:
    """What is wrong with the objects' poses of an index."""
    for start in range(0, len(index), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(index)))
        frames, columns = np.nonzero(index['object_valid'][rows])
        poses = np.asarray(index['pose_y'][rows], np.float64)[frames, columns]
        if not len(poses):
            continue
        turns = poses[..., :3]
        skew = np.abs(turns.transpose(0, 2, 1) @ turns -
                      np.eye(3)).max((1, 2))
        wrong = (skew > ROTATION_SKEW) | (np.linalg.det(turns) < 0)
        yield from _counted(
            index, rows[frames], wrong, 'pose_y', 'a rotation, R^T R = 1, '
            'det R = 1', lambda at, turns=turns, skew=skew: (
                f'{skew[at]:.2g} off, det {np.linalg.det(turns[at]):.3g}'))
        depths = poses[:, 2, 3]
        yield from _counted(
            index, rows[frames], _outside(depths, DEPTH_M), 'pose_y',
            'an object at {:g} to {:g} m'.format(*DEPTH_M),
            lambda at, depths=depths: f'{depths[at]:.2f} m')


def repeated_frames(index: HandObjectIndex) -> Iterator[DataError]:
    """Frames that are there twice, of one hand."""
    keys = np.c_[index['sequence_row'], index['camera'], index['frame']]
    if 'file_name' in index:
        _, files = np.unique(index['file_name'], return_inverse=True)
        # two hands of a picture are two samples
        keys = np.c_[files, index['side'][index['sequence_row']]]
    _, first, counts = np.unique(
        keys, axis=0, return_index=True, return_counts=True)
    if (counts > 1).any():
        row = int(first[counts > 1].min())
        yield DataError(
            index.path, f'id {index["id"][row]}', 'each frame once',
            f'{index.file_of(row)} again; {int((counts - 1).sum())} '
            'repetitions in all')


def mano_problems(index: HandObjectIndex,
                  folder: Path) -> Iterator[DataError]:
    """Whether MANO's joints of the poses are the labelled ones.

    Args:
        index (HandObjectIndex): Whose ``pose_m`` and ``betas`` are checked.
        folder (Path): With ``MANO_RIGHT`` and ``MANO_LEFT``, .pkl or .npz.

    Raises:
        DataError: If a model is missing or damaged.
    """
    sides = index['side'][index['sequence_row']]
    posed = index['hand_valid'] & index['pose_m'].any(1)
    for number, side in enumerate(SIDES):
        rows = np.flatnonzero(posed & (sides == number))
        if not len(rows):
            continue
        rows = rows[np.linspace(0, len(rows) - 1, min(
            len(rows), MANO_SAMPLES)).astype(int)]
        errors = {flip: _mano_error(index, rows, HandObjectManoLayer(
            _mano_file(folder, side), side, flip_left_shape=flip))
                  for flip in ((False, True) if number else (False, ))}
        best = min(errors.values())
        if not best <= MANO_MM:
            yield DataError(
                index.path, f'pose_m of {side} hands',
                f"MANO's joints within {MANO_MM:g} mm of joints_cam",
                f'{best:.1f} mm, median of {len(rows)} hands',
                'a wrong side, shape or model')


def _mano_error(index: HandObjectIndex, rows: Array,
                layer: HandObjectManoLayer) -> float:
    betas = index['betas'][index['sequence_row'][rows]]
    with torch.no_grad():
        _, joints = layer(torch.from_numpy(np.array(index['pose_m'][rows])),
                          torch.from_numpy(np.array(betas)))
    away = joints.numpy() - index['joints_cam'][rows]
    return 1e3 * float(np.median(np.linalg.norm(away, axis=-1)))


def _mano_file(folder: Path, side: str) -> Path:
    files = [folder / f'MANO_{side.upper()}{suffix}'
             for suffix in ('.pkl', '.npz')]
    return next((file for file in files if file.is_file()), files[0])


def _bone_problems(index: HandObjectIndex,
                   hands: HandMeasures) -> Iterator[DataError]:
    """Bones of impossible length, or that change within a subject."""
    sequences = index['sequence_row'][hands.rows]
    subjects = index['sequence_subject'][sequences]
    for subject in np.unique(subjects):
        chosen = np.flatnonzero(subjects == subject)
        lengths = hands.bones[chosen]
        usual = np.median(lengths, axis=0)
        name = index.subjects[subject]
        bad = np.flatnonzero(_outside(usual, BONE_MM))
        if len(bad):
            yield DataError(
                index.path, f'{name}, bone {_bone(int(bad[0]))}',
                '{:g} to {:g} mm'.format(*BONE_MM),
                f'{usual[bad[0]]:.1f} mm, median of {len(chosen)} hands; '
                f'{len(bad)} such bones', 'labels are in metres')
            continue
        change = np.abs(lengths / usual - 1)
        worst = change.argmax(1)
        wrong = change.max(1) > BONE_CHANGE
        yield from _counted(
            index, hands.rows[chosen], wrong, f'{name}, bone lengths',
            f'within {BONE_CHANGE:.0%} of the medians of {name}',
            lambda at, lengths=lengths, usual=usual, worst=worst: (
                f'{_bone(int(worst[at]))} {lengths[at, worst[at]]:.1f} mm, '
                f'else {usual[worst[at]]:.1f} mm'))


def _side_problems(index: HandObjectIndex,
                   hands: HandMeasures) -> Iterator[DataError]:
    """Sequences whose fingers bend away from the palm of their side."""
    sequences = index['sequence_row'][hands.rows]
    wrong = []
    for sequence in np.unique(sequences):
        bend = float(np.median(hands.bends[sequences == sequence]))
        side = int(index['side'][sequence])
        if (bend if side == 0 else -bend) < -WRONG_SIDE:
            wrong.append(int(sequence))
    if wrong:
        side = int(index['side'][wrong[0]])
        yield DataError(
            index.path, f'side of {index.sequences[wrong[0]]}',
            f'{SIDES[side]} hands, fingers that bend to the palm',
            f'those of the {SIDES[1 - side]} hand; {len(wrong)} such '
            'sequences', 'is mano_sides of meta.yml right?')


def _bends(joints: Array) -> Array:
    """How far fingers bend to a right hand's palm (N,)."""
    wrist = joints[:, WRIST]
    palm = np.cross(joints[:, 5] - wrist, joints[:, 17] - wrist)
    palm /= np.linalg.norm(palm, axis=-1, keepdims=True) + 1e-12
    fingers = joints[:, 8::4] - joints[:, 5::4]
    along = np.linalg.norm(fingers, axis=-1) + 1e-12
    return np.asarray(
        (np.einsum('nfx,nx->nf', fingers, palm) / along).mean(1))


def _bone(number: int) -> str:
    return '-'.join(JOINT_NAMES[end] for end in BONES[number])


def _outside(values: Array, limits: tuple[float, float]) -> Array:
    return ~((values >= limits[0]) & (values <= limits[1]))


def _counted(index: HandObjectIndex, rows: Array, wrong: Array, where: str,
             expected: str, found: Any) -> Iterator[DataError]:
    """One problem that names the first row and counts all."""
    places = np.flatnonzero(wrong)
    if len(places):
        at = int(places[0])
        yield DataError(
            index.path, f'{where} of id {index["id"][rows[at]]}', expected,
            f'{found(at)}; {len(places)} of {len(wrong)} in all')

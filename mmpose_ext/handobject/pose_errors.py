"""How far one pose is from another, for pictures and lists of the worst.

Results of evaluations come from the metric; here single samples are told
apart.
"""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmpose_ext.handobject.drawing import HandObjectPose
from mmpose_ext.handobject.hand import root_relative
from mmpose_ext.handobject.object_scores import rotation_errors
from mmpose_ext.handobject.objects import (
    SYMMETRY_RULES,
    SymmetryGroup,
    no_symmetry,
    rule_group,
    symmetric_ids,
)

Array = np.ndarray

_STEPS = 72  # about a continuous axis; a text needs no finer ones


def joint_errors_mm(pose: HandObjectPose, truth: HandObjectPose,
                    relative: bool = True) -> Array:
    """Distance (21,) of each joint from the truth, mm; NaN: unknown.

    Args:
        pose (HandObjectPose): The prediction.
        truth (HandObjectPose): The labels.
        relative (bool): Whether both wrists are put in one place first.
            Defaults to True.
    """
    found, wanted = pose.joints, truth.joints
    if relative:
        found, wanted = root_relative(found), root_relative(wanted)
    return np.asarray(1000 * np.linalg.norm(found - wanted, axis=-1))


def object_errors(pose: HandObjectPose, truth: HandObjectPose, number: int,
                  bounds: Array | None = None) -> tuple[float, float]:
    """Errors of an object: angle in degrees, distance in mm.

    Args:
        pose (HandObjectPose): The prediction.
        truth (HandObjectPose): The labels.
        number (int): Class of the object.
        bounds (ndarray, optional): (2, 3) m of its mesh. With them, of an
            object that counts as symmetric the least angle to any pose that
            looks the same is taken. Defaults to None.

    Returns:
        tuple[float, float]: NaN where one of the two has no such object.
    """
    found, wanted = pose.row_of(number), truth.row_of(number)
    if found is None or wanted is None:
        return float('nan'), float('nan')
    angles, distances = rotation_errors(symmetries_of(number, bounds), (
        pose.rotations[[found]], pose.translations[[found]],
        truth.rotations[[wanted]], truth.translations[[wanted]]))
    return float(angles[0]), 1000 * float(distances[0])


def symmetries_of(number: int, bounds: Array | None) -> SymmetryGroup:
    """Motions that leave an object of a class as it looks.

    Args:
        number (int): Its class.
        bounds (ndarray, optional): (2, 3) m of its mesh; None: no motion is
            known.
    """
    if bounds is None or number + 1 not in symmetric_ids('ycb-video'):
        return no_symmetry()
    return rule_group(SYMMETRY_RULES[number + 1], bounds, _STEPS)


def describe_errors(pose: HandObjectPose, truth: HandObjectPose,
                    bounds: Mapping[int, Array]) -> list[str]:
    """Lines about hand, object and contact.

    Args:
        pose (HandObjectPose): The prediction.
        truth (HandObjectPose): The labels.
        bounds (Mapping[int, ndarray]): (2, 3) m of meshes by class.
    """
    relative = joint_errors_mm(pose, truth)
    absolute = joint_errors_mm(pose, truth, relative=False)
    lines = []
    if np.isfinite(relative).any():
        lines.append(
            f'hand: MPJPE {np.nanmean(relative):.1f} mm root-relative, '
            f'{np.nanmean(absolute):.1f} mm absolute, wrist '
            f'{absolute[0]:.1f} mm off')
    parts = []
    angle, distance = object_errors(pose, truth, truth.grasped,
                                    bounds.get(truth.grasped))
    if np.isfinite(angle):
        parts.append(f'object {truth.grasped + 1:03d}: rotation '
                     f'{angle:.1f} deg, place {distance:.1f} mm off')
    if pose.grasped >= 0 and truth.grasped not in (-1, pose.grasped):
        parts.append(f'taken for {pose.grasped + 1:03d}')
    if pose.contact is not None and truth.contact is not None:
        known = np.isfinite(truth.contact)
        touching = truth.contact[known] >= .5
        found = pose.contact[known] >= .5
        parts.append(f'contact: {(touching & found).sum()} of '
                     f'{touching.sum()} joints found, '
                     f'{(found & ~touching).sum()} wrongly')
    if parts:
        lines.append('; '.join(parts))
    return lines

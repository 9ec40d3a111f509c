"""The hand of 21 joints: names, bones and fingers.

The order is that of DexYCB, FreiHAND and MMPose's whole-body hands: wrist,
then thumb to little finger, each from its base to its tip.
"""
from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from torch import Tensor

Joints = TypeVar('Joints', np.ndarray, Tensor)

FINGERS = ('thumb', 'index', 'middle', 'ring', 'little')
_SEGMENTS = ('mcp', 'pip', 'dip', 'tip')

WRIST = 0
JOINT_NAMES = ('wrist', *(f'{finger}_{segment}' for finger in FINGERS
                          for segment in _SEGMENTS))
PARENTS = (-1, *(0 if row % 4 == 0 else row for row in range(20)))
BONES = tuple((PARENTS[joint], joint) for joint in range(1, 21))
BASES = (1, 5, 9, 13, 17)
TIPS = (4, 8, 12, 16, 20)
SIDES = ('right', 'left')

# RGB, one hue a finger
FINGER_COLORS = ((255, 128, 0), (255, 153, 255), (102, 178, 255),
                 (255, 51, 51), (0, 255, 0))
_WRIST_COLOR = (200, 200, 200)


def joint_color(joint: int) -> tuple[int, int, int]:
    """RGB of a joint, that of its finger."""
    return _WRIST_COLOR if joint == WRIST else FINGER_COLORS[(joint - 1) // 4]


def _metainfo() -> dict[str, Any]:
    """Meta information as MMPose's data sets have it."""
    keypoints = {
        row: dict(name=name, id=row, color=list(joint_color(row)), type='',
                  swap='')
        for row, name in enumerate(JOINT_NAMES)
    }
    skeleton = {
        row: dict(link=(JOINT_NAMES[parent], JOINT_NAMES[child]), id=row,
                  color=list(joint_color(child)))
        for row, (parent, child) in enumerate(BONES)
    }
    return dict(
        dataset_name='hand_object',
        paper_info=dict(
            title='DexYCB: A Benchmark for Capturing Hand Grasping of '
            'Objects', author='Chao et al.', container='CVPR', year='2021',
            homepage='https://dex-ycb.github.io'),
        keypoint_info=keypoints,
        skeleton_info=skeleton,
        joint_weights=[1.] * len(JOINT_NAMES),
        # OKS of DexYCB's own evaluation
        sigmas=[.05] * len(JOINT_NAMES))


METAINFO = _metainfo()


def root_relative(joints: Joints) -> Joints:
    """Joints (..., 21, 3) with the wrist in the origin."""
    return joints - joints[..., WRIST:WRIST + 1, :]


def mirror_signs(left: np.ndarray) -> np.ndarray:
    """Factors (N, 3) that make right hands of left (N,) ones, and back."""
    return np.where(left[:, None], [-1., 1., 1.], 1.)

"""Hands, objects and photographs for tests of pictures."""
from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.drawing import HandObjectPose
from tests.unit.handobject.sample_index import rest_hand

Array = np.ndarray

MATRIX = np.array([[610., 0, 318], [0, 600, 247], [0, 0, 1]])
BOUNDS = np.array([[-.03, -.05, -.02], [.04, .06, .03]])


def sample_pose(seed: int = 0, grasped: int = 4) -> HandObjectPose:
    """A hand half a metre away with an object before it, and another one."""
    draw = np.random.default_rng(seed)
    turns = Rotation.random(2, random_state=seed).as_matrix()
    return HandObjectPose(
        joints=rest_hand() + (.03, -.02, .6) + draw.normal(0, .002, (21, 3)),
        contact=np.r_[np.zeros(11), np.ones(10)],
        classes=np.array([grasped, 11]), rotations=turns,
        translations=np.array([[.02, .03, .58], [-.12, .05, .8]]),
        grasped=grasped)


def photograph(width: int = 640, height: int = 480) -> Array:
    """A smooth picture without any colour that is drawn with."""
    ramp = np.linspace(90, 130, width).astype(np.uint8)
    return np.repeat(np.repeat(ramp[None, :, None], height, 0), 3, 2)


def near(picture: Array, place: Array, color: tuple[int, int, int],
         radius: int = 3, tolerance: int = 40) -> bool:
    """Whether a colour, BGR, is found about a place, px."""
    x, y = np.rint(place).astype(int)
    part = picture[max(y - radius, 0):y + radius + 1,
                   max(x - radius, 0):x + radius + 1].astype(int)
    return bool((np.abs(part - color).max(-1) <= tolerance).any())

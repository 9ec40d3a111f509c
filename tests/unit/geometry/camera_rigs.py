"""Cameras and points to test geometry with."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy.io
from scipy.spatial.transform import Rotation

from mmpose_ext.geometry.cameras import Cameras

Array = np.ndarray


def ring(views: int = 4, skew: float = 0., seed: int = 0,
         distance: float = 800.) -> Cameras:
    """Cameras on a ring of 640 x 512 px that look at the origin."""
    generator = np.random.default_rng(seed)
    angles = 2 * np.pi * (np.arange(views) + .3) / views
    positions = distance * np.stack(
        [np.cos(angles), np.sin(angles), np.full(views, .6)], 1)
    ahead = -positions / np.linalg.norm(positions, axis=1)[:, None]
    right = np.cross(ahead, [0, 0, 1.])
    right /= np.linalg.norm(right, axis=1)[:, None]
    rotations = np.stack([right, np.cross(ahead, right), ahead], 1)
    rotations = Rotation.from_rotvec(
        generator.normal(0, .02, (views, 3))).as_matrix() @ rotations
    intrinsics = np.tile(np.eye(3), (views, 1, 1))
    intrinsics[:, 0, 0] = generator.uniform(820, 860, views)
    intrinsics[:, 1, 1] = generator.uniform(820, 860, views)
    intrinsics[:, 0, 1] = skew
    intrinsics[:, :2, 2] = (320, 256) + generator.normal(0, 8, (views, 2))
    distortions = generator.normal(
        0, 1, (views, 5)) * (.08, .05, .003, .003, .02) - (.1, 0, 0, 0, 0)
    return Cameras(
        tuple(f'cam{i}' for i in range(views)), intrinsics, rotations,
        -np.einsum('vij,vj->vi', rotations, positions), distortions,
        np.tile([640, 512], (views, 1)))


def cloud(count: int = 50, seed: int = 1) -> Array:
    """Points (count, 3) within 150 mm of the origin, mm."""
    return np.random.default_rng(seed).uniform(-150, 150, (count, 3))


def label3d(path: Path) -> SimpleNamespace:
    """What a Label3D file says, as it says it.

    Returns:
        SimpleNamespace: ``matlab``, the arguments of ``from_matlab`` but
        names; ``points`` (N, 3) mm and ``pixels`` (V, N, 2), 1-based, of the
        labelled points.
    """
    content = scipy.io.loadmat(
        path, squeeze_me=True, struct_as_record=False)
    params, labels = content['params'], content['labelData']
    points = labels[0].data_3d.reshape(-1, 3)
    known = np.isfinite(points).all(1)
    return SimpleNamespace(
        matlab=dict(
            intrinsics=np.stack([p.K for p in params]).astype(float),
            rotations=np.stack([p.r for p in params]),
            translations=np.stack([p.t for p in params]),
            radial=np.stack([p.RDistort for p in params]),
            tangential=np.stack([p.TDistort for p in params]).astype(float)),
        points=points[known],
        pixels=np.stack(
            [entry.data_2d.reshape(-1, 2)[known] for entry in labels]))

"""A hand with MANO's shapes and none of its numbers."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from mmpose_ext.handobject.mano_files import PARENTS


def mano_arrays(side: str = 'right', seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays as the files have them, drawn at random.

    The left hand is the right one in a mirror.
    """
    rng = np.random.default_rng(seed)
    regressor = rng.random((16, 778)) * (rng.random((16, 778)) < .02)
    regressor[:, :2] += .1
    weights = rng.random((778, 16)) ** 8
    arrays = dict(
        v_template=rng.normal(size=(778, 3)) * .04,
        shapedirs=rng.normal(size=(778, 3, 10)) * .003,
        posedirs=rng.normal(size=(778, 3, 135)) * .001,
        J_regressor=regressor / regressor.sum(1, keepdims=True),
        weights=weights / weights.sum(1, keepdims=True),
        kintree_table=np.stack([
            np.array([2**32 - 1, *PARENTS[1:]], np.uint32),
            np.arange(16, dtype=np.uint32)]),
        hands_components=np.linalg.qr(rng.normal(size=(45, 45)))[0],
        hands_mean=rng.normal(size=45) * .3,
        f=rng.integers(0, 778, (1538, 3)).astype(np.uint32))
    if side == 'left':
        flip = np.array([-1., 1., 1.])
        turn = np.array([1., -1., -1.])  # of rotations seen in a mirror
        arrays['v_template'] = arrays['v_template'] * flip
        arrays['shapedirs'] = arrays['shapedirs'] * flip[:, None]
        # entry (i, j) of a mirrored matrix has the sign flip_i flip_j
        signs = np.outer(flip, flip).ravel()
        arrays['posedirs'] = (arrays['posedirs'] * flip[:, None]
                              * np.tile(signs, 15))
        arrays['hands_mean'] = arrays['hands_mean'] * np.tile(turn, 15)
        arrays['hands_components'] = np.linalg.qr(
            rng.normal(size=(45, 45)))[0]
    return arrays


def write_mano(folder: Path, side: str = 'right', seed: int = 0) -> Path:
    """Write the stand-in as an .npz."""
    path = folder / f'MANO_{side.upper()}.npz'
    np.savez(path, **mano_arrays(side, seed))
    return path

"""Frames that lie in a hand: one at each joint, one in the palm."""
from __future__ import annotations

import torch
from torch import Tensor

from mmpose_ext.handobject.hand import BASES, BONES, PARENTS, TIPS, WRIST

FRAMES = 22
PALM = 21  # place of the palm's frame, behind those of the joints
_PALM_JOINTS = [WRIST, *BASES]
_INDEX, _MIDDLE, _LITTLE = BASES[1], BASES[2], BASES[4]
# Below these lengths (m, m2) a direction is noise and another one is taken.
_SHORT, _SHORT_AREA = 1e-5, 1e-9
_PARALLEL = 1e-3  # sine

# Of each joint the two ends of the bone that its frame follows: to the child,
# of tips from the parent, of the wrist to the middle finger.
_CHILDREN = dict(reversed(BONES))
_STARTS = [PARENTS[joint] if joint in TIPS else joint for joint in range(21)]
_ENDS = [_MIDDLE if joint == WRIST else
         joint if joint in TIPS else _CHILDREN[joint] for joint in range(21)]


def hand_frames(joints: Tensor,
                side_sign: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Frames of the 21 joints and, last, of the palm.

    The z axis follows the bone to the child (of tips, that from the parent;
    of the wrist and the palm, that to the middle finger), x is across it and
    the normal of the palm, y is z cross x. Columns are orthonormal with
    determinant 1 for any input: where bones have no length, or one stands
    upright on the palm, the nearest direction that is told takes over.

    Args:
        joints (Tensor): (B, 21, 3) m.
        side_sign (Tensor, optional): (B, ) 1 for right hands (mirrored left
            ones too), -1 for left ones, so that normals leave all palms
            alike. Defaults to None: 1.

    Returns:
        tuple[Tensor, Tensor]: Origins (B, 22, 3) m and rotations
        (B, 22, 3, 3), from the frame to the camera. In fp32 at least, under
        autocast too.
    """
    with torch.autocast(joints.device.type, enabled=False):
        if joints.dtype in (torch.float16, torch.bfloat16):
            joints = joints.float()
        forward, normal = palm_axes(joints, side_sign)
        bones = joints[:, _ENDS] - joints[:, _STARTS]
        forward, normal = forward[:, None], normal[:, None]
        z = _direction(bones, forward.expand_as(bones), _SHORT)
        z = torch.cat([z, forward], 1)
        normal = normal.expand_as(z)
        lateral = torch.linalg.cross(normal, forward.expand_as(z))
        # for a bone along the normal: across the hand
        spare = lateral - (lateral * z).sum(-1, keepdim=True) * z
        x = _direction(torch.linalg.cross(normal, z),
                       _direction(spare, lateral, _PARALLEL), _PARALLEL)
        y = torch.linalg.cross(z, x)
        palm = joints[:, _PALM_JOINTS].mean(1, keepdim=True)
        return torch.cat([joints, palm], 1), torch.stack([x, y, z], -1)


def palm_axes(joints: Tensor, side_sign: Tensor | None = None
              ) -> tuple[Tensor, Tensor]:
    """Two directions of the palm, at right angles for any input.

    Args:
        joints (Tensor): (B, 21, 3) m.
        side_sign (Tensor, optional): See :func:`hand_frames`.

    Returns:
        tuple[Tensor, Tensor]: (B, 3) from the wrist to the middle finger, and
        (B, 3) the normal, out of the palm to where fingers bend.
    """
    index, middle, little = (joints[:, base] - joints[:, WRIST]
                             for base in (_INDEX, _MIDDLE, _LITTLE))
    up = torch.zeros_like(middle)
    up[:, 1] = 1
    forward = _direction(middle, up, _SHORT)
    normal = torch.linalg.cross(index, little)
    if side_sign is not None:
        normal = normal * side_sign.to(normal)[:, None]
    # of what is across the middle finger, else of any line that is
    normal = normal - (normal * forward).sum(-1, keepdim=True) * forward
    return forward, _direction(normal, _across(forward), _SHORT_AREA)


def points_in_frames(points: Tensor, origins: Tensor,
                     rotations: Tensor) -> Tensor:
    """Points as each frame sees them.

    Args:
        points (Tensor): (B, P, 3) m, camera.
        origins (Tensor): (B, F, 3), as of :func:`hand_frames`.
        rotations (Tensor): (B, F, 3, 3).

    Returns:
        Tensor: (B, F, P, 3) m.
    """
    apart = points[:, None] - origins[:, :, None]
    return apart @ rotations


def _direction(vectors: Tensor, spare: Tensor, least: float) -> Tensor:
    """Unit vectors; `spare` where they are shorter than `least`.

    The derivative is finite everywhere: what is not used is not divided.
    """
    square = vectors.square().sum(-1, keepdim=True)
    told = square > least * least
    length = torch.where(told, square, 1.).sqrt()
    return torch.where(told, vectors / length, spare)


def _across(units: Tensor) -> Tensor:
    """Unit vectors at right angles to others, by the axis least along."""
    axis = torch.nn.functional.one_hot(units.abs().argmin(-1), 3).to(units)
    across = torch.linalg.cross(axis, units)
    return across / across.norm(dim=-1, keepdim=True)

"""How far the fingers of a hand are bent beyond what fingers can."""
from __future__ import annotations

import math

import torch
from torch import Tensor

from mmpose_ext.handobject.hand import BASES, WRIST

# Degrees, 0 is straight and bending to the palm is positive.
FLEXION = dict(mcp=(-20., 95.), pip=(0., 110.), dip=(0., 90.))
ABDUCTION = 25.
THUMB = 95.  # in any direction: its joints have axes of their own
_TINY = 1e-12
_INDEX, _MIDDLE, _LITTLE = BASES[1], BASES[2], BASES[4]
# Below these lengths (m, m2) a direction is noise and another one is taken.
_SHORT, _SHORT_AREA = 1e-5, 1e-9


def joint_limit_violation(joints: Tensor, side_sign: Tensor | None = None,
                          margin: float = 10.) -> Tensor:
    """Mean excess over the limits of the joints of a hand.

    A joint bent by an angle a between limits l and h has the excess
    ``relu(cos((h - l) / 2) - cos(a - (l + h) / 2))``, which needs no angle:
    it is 0 inside, grows smoothly outside, and its derivative is finite
    everywhere. Limits are those of flexion at the three joints of four
    fingers, of spreading at their bases, and of the two outer joints of the
    thumb. Spreading counts from half way between the finger's own bone in
    the palm and the middle one.

    Args:
        joints (Tensor): (B, 21, 3) m.
        side_sign (Tensor, optional): (B, ) 1 for right hands and mirrored
            left ones, -1 for left ones. Defaults to None: 1.
        margin (float): Degrees that each limit is wider, for noise and the
            differences between people. Defaults to 10.

    Returns:
        Tensor: (B, ), 0 to about 1; in fp32 at least, under autocast too.
    """
    with torch.autocast(joints.device.type, enabled=False):
        if joints.dtype in (torch.float16, torch.bfloat16):
            joints = joints.float()
        forward, normal = palm_axes(joints, side_sign)
        forward, normal = forward[:, None], normal[:, None]
        chains = joints[:, 1:].unflatten(1, (5, 4))
        wrist = joints[:, None, None, WRIST].expand(-1, 5, 1, -1)
        # (B, 5, 4, 3): bone in the palm, then three phalanges
        bones = _units(torch.cat([wrist, chains], 2).diff(dim=2))
        thumb, fingers = bones[:, 0], bones[:, 1:]
        rest = _units(fingers[:, :, 0] + forward)
        axis = torch.linalg.cross(rest, normal.expand_as(rest))
        before = [rest, fingers[:, :, 1], fingers[:, :, 2]]
        excess = [
            _flexion_excess(old, fingers[:, :, number], axis, limits, margin)
            for number, (old, limits) in enumerate(
                zip(before, FLEXION.values(), strict=True), 1)]
        sideways = (fingers[:, :, 1] * _units(axis)).sum(-1).abs()
        excess.append(torch.relu(sideways - _sin(ABDUCTION + margin)))
        bend = (thumb[:, 1:-1] * thumb[:, 2:]).sum(-1)
        excess.append(torch.relu(_cos(THUMB + margin) - bend))
        return torch.cat(excess, 1).mean(1)


def palm_axes(joints: Tensor, side_sign: Tensor | None = None
              ) -> tuple[Tensor, Tensor]:
    """Two directions of the palm, at right angles for any input.

    Args:
        joints (Tensor): (B, 21, 3) m.
        side_sign (Tensor, optional): (B, ) 1 for right hands (mirrored left
            ones too), -1 for left ones, so that normals leave all palms
            alike. Defaults to None: 1.

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


def _flexion_excess(old: Tensor, new: Tensor, axis: Tensor,
                    limits: tuple[float, float], margin: float) -> Tensor:
    """Excess (B, 4) of the angle from one bone to the next about an axis."""
    low, high = limits[0] - margin, limits[1] + margin
    middle, half = (low + high) / 2, (high - low) / 2
    axis = _units(axis - (axis * old).sum(-1, keepdim=True) * old)
    across = torch.linalg.cross(axis, old)
    cosine, sine = (new * old).sum(-1), (new * across).sum(-1)
    # what is neither along nor across is no flexion
    length = (cosine.square() + sine.square() + _TINY).sqrt()
    return torch.relu(_cos(half) * length - _cos(middle) * cosine
                      - _sin(middle) * sine)


def _units(vectors: Tensor) -> Tensor:
    """Unit vectors; what has no length stays 0."""
    return vectors / (vectors.square().sum(-1, keepdim=True) + _TINY).sqrt()


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


def _cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def _sin(degrees: float) -> float:
    return math.sin(math.radians(degrees))

"""What a network is told of each frame, computed on the device.

Absolute coordinates say little about behaviour: where the animals are in the
arena, and which way they look, has to be seen through first. The groups here
say how a body is bent, how it moves, and where the others are, seen from it.

M windows, W frames, N individuals, K keypoints, S axes.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """What the numbers of a frame belong to.

    Args:
        individuals (int): N.
        keypoints (int): K.
        axes (int): S, 2 or 3.
        body_axis (tuple, optional): Keypoint at the back and at the front,
            numbers or sequences of numbers, between which a body's direction
            lies. Defaults to None: bodies are not turned.
    """

    individuals: int
    keypoints: int
    axes: int
    body_axis: tuple[int | Sequence[int], int | Sequence[int]] | None = None

    @property
    def size(self) -> int:
        """Coordinates of a frame, F."""
        return self.individuals * self.keypoints * self.axes


class Bodies:
    """Windows of tracks, and what several groups need of them.

    Args:
        position (Tensor): (M, W, N, K, S), NaN = missing.
        layout (Layout): Of its numbers.

    Attributes:
        position: As given.
        centre: (M, W, N, S), mean of the points that are known.
        turn: (M, W, N, 2) cosine and sine of the body's direction; None
            without a body axis.
    """

    def __init__(self, position: Tensor, layout: Layout) -> None:
        self.position, self.layout = position, layout
        self.centre = mean_of_known(position)
        self.turn: Tensor | None = None
        if layout.body_axis is not None:
            back, front = (
                mean_of_known(position[
                    ..., [part] if isinstance(part, int) else list(part), :2])
                for part in layout.body_axis)
            along = front - back
            self.turn = along / along.norm(dim=-1, keepdim=True).clamp(
                min=1e-6)

    def from_view(self, vectors: Tensor, individual: slice | int) -> Tensor:
        """Turn vectors (M, W, ..., S) so that a body looks along x.

        Args:
            vectors (Tensor): With as many dimensions between W and S as
                `individual` leaves, and one more.
            individual (slice | int): Whose view.
        """
        if self.turn is None:
            return vectors
        turn = self.turn[:, :, individual]
        while turn.dim() < vectors.dim():
            turn = turn.unsqueeze(-2)
        cos, sin = turn.unbind(-1)
        x, y = vectors[..., 0], vectors[..., 1]
        parts = [cos * x + sin * y, cos * y - sin * x]
        if vectors.shape[-1] == 3:
            parts.append(vectors[..., 2])
        return torch.stack(parts, -1)


def steps_of(values: Tensor) -> Tensor:
    """Change since the frame before, along dim 1; 0 in the first frame."""
    return torch.cat([torch.zeros_like(values[:, :1]),
                      values[:, 1:] - values[:, :-1]], 1)


def mean_of_known(points: Tensor) -> Tensor:
    """Mean over the last but one dimension, of what is not NaN.

    As ``nanmean``, which has no counterpart in ONNX.
    """
    known = ~points.isnan()
    return points.nan_to_num(0.).sum(-2) / known.sum(-2)


def _raw(bodies: Bodies) -> Tensor:
    return bodies.position


def _position(bodies: Bodies) -> Tensor:
    return bodies.position - .5


def _velocity(bodies: Bodies) -> Tensor:
    return steps_of(bodies.position)


def _pose(bodies: Bodies) -> Tensor:
    return bodies.from_view(
        bodies.position - bodies.centre[..., None, :], slice(None))


def _motion(bodies: Bodies) -> Tensor:
    """Way of the centre, seen from the body, and sine of its turn."""
    way = bodies.from_view(steps_of(bodies.centre), slice(None))
    if bodies.turn is None:
        return way
    cos, sin = bodies.turn.unbind(-1)
    before = torch.cat([bodies.turn[:, :1], bodies.turn[:, :-1]], 1)
    turned = sin * before[..., 0] - cos * before[..., 1]
    return torch.cat([way, turned[..., None]], -1)


def _partner(bodies: Bodies) -> Tensor:
    """Points and way of each other individual, seen from each body."""
    parts = []
    way = steps_of(bodies.centre)
    for one in range(bodies.layout.individuals):
        for other in range(bodies.layout.individuals):
            if one == other:
                continue
            points = (bodies.position[:, :, other]
                      - bodies.centre[:, :, one, None])
            seen = bodies.from_view(
                torch.cat([points, way[:, :, other, None]], 2), one)
            parts.append(seen.flatten(2))
    return torch.cat(parts, -1) if parts else bodies.centre[:, :, :0].flatten(
        2)


GROUPS: dict[str, Callable[[Bodies], Tensor]] = dict(
    raw=_raw, position=_position, velocity=_velocity, pose=_pose,
    motion=_motion, partner=_partner)


def describe_frames(position: Tensor, layout: Layout,
                    groups: Sequence[str]) -> Tensor:
    """Features of every frame of windows.

    Args:
        position (Tensor): (M, W, N, K, S), NaN = missing.
        layout (Layout): Of its numbers.
        groups (Sequence[str]): Keys of :data:`GROUPS`, in their order.

    Returns:
        Tensor: (M, W, features), NaN where something missing is needed.
    """
    bodies = Bodies(position, layout)
    parts = [GROUPS[name](bodies).flatten(2) for name in groups]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def count_features(layout: Layout, groups: Sequence[str]) -> int:
    """Number of features of a frame.

    Raises:
        ValueError: If a group is not known.
    """
    unknown = [name for name in groups if name not in GROUPS]
    if unknown or not groups:
        raise ValueError(f'features: expected some of {tuple(GROUPS)}, found '
                         f'{unknown or "none"}')
    empty = torch.zeros(1, 1, layout.individuals, layout.keypoints,
                        layout.axes)
    return describe_frames(empty, layout, groups).shape[-1]

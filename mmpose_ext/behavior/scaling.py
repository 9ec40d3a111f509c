"""From the units of a file to coordinates from 0 to 1, and back.

``unscaled = scaled * scale + offset`` along each of the S axes.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError

Array = np.ndarray

MODES = ('isotropic', 'per_axis')
EXTENT = 'extent'  # do not look for the size of the picture
_BLOCK = 1 << 16  # frames that are worked on at a time
_NUMBER = r'\d+(?:\.\d*)?|\.\d+'


@dataclass(frozen=True)
class Extent:
    """Lowest and highest coordinates along S axes.

    Attributes:
        lowest: S numbers.
        highest: S numbers.
    """

    lowest: tuple[float, ...]
    highest: tuple[float, ...]

    @classmethod
    def of_position(cls, position: Array) -> Extent:
        """Extent of the points that are not missing.

        Args:
            position (ndarray): (T, N, K, S), at least one point in it.
        """
        # axis by axis: numpy is slow along so short a one
        axes = [position[..., axis] for axis in range(position.shape[-1])]
        return cls(tuple(float(np.nanmin(values)) for values in axes),
                   tuple(float(np.nanmax(values)) for values in axes))

    def joined(self, other: Extent) -> Extent:
        """The extent of both."""
        return Extent(
            tuple(map(min, self.lowest, other.lowest)),
            tuple(map(max, self.highest, other.highest)))


@dataclass(frozen=True)
class Scaling:
    """How coordinates were scaled.

    Attributes:
        scales: S numbers that coordinates are divided by.
        offsets: S numbers that are taken off before.
    """

    scales: tuple[float, ...]
    offsets: tuple[float, ...]

    def apply(self, position: Array) -> None:
        """Scale coordinates in place.

        Args:
            position (ndarray): (T, N, K, S) float32.
        """
        offsets, scales = np.array(self.offsets), np.array(self.scales)
        for start in range(0, len(position), _BLOCK):
            block = position[start:start + _BLOCK]
            # in double precision: offsets may be large beside the extent
            block[...] = (block.astype(np.float64) - offsets) / scales


def parse_size(size: Any) -> tuple[float, ...] | str | None:
    """Read the size of the arena that a user gives.

    Args:
        size (str | Sequence[float] | None): 'WxH', 'WxHxD', numbers in the
            unit of the tracks, 'extent', or None.

    Raises:
        ValueError: If it is none of these.
    """
    if size is None or size == EXTENT:
        return size
    values: Sequence[Any]
    if isinstance(size, str):
        if not re.fullmatch(rf'\s*({_NUMBER})(\s*[xX]\s*({_NUMBER}))+\s*',
                            size):
            raise ValueError("scale_size: expected 'WxH' or 'WxHxD', such as "
                             f"'1024x570', or 'extent', found {size!r}")
        values = re.split(r'[xX]', size)
    else:
        values = tuple(size) if isinstance(size, (list, tuple)) else (size, )
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ValueError('scale_size: expected numbers, found '
                         f'{size!r}') from error
    if len(numbers) not in (2, 3) or not all(
            0 < value < np.inf for value in numbers):
        raise ValueError('scale_size: expected two or three numbers above 0, '
                         f'found {size!r}')
    return numbers


def scaling_of_size(size: tuple[float, ...], mode: str, extent: Extent,
                    file: Path, axes: Sequence[str], origin: str) -> Scaling:
    """Scale by the size of the arena or picture.

    Args:
        size (tuple[float, ...]): S numbers, from 0 in the unit of the
            tracks.
        mode (str): ``isotropic`` divides all axes by the largest number and
            puts the others in the middle; ``per_axis`` divides each by its
            own.
        extent (Extent): Of the tracks.
        file (Path): For the error.
        axes (Sequence[str]): S names.
        origin (str): Where the size comes from, for the error.

    Raises:
        DataError: If there are not S numbers or a coordinate is outside.
    """
    if len(size) != len(axes):
        raise DataError(file, origin, f'{len(axes)} numbers, for '
                        f'{", ".join(axes)}', f'{len(size)}: {_shown(size)}')
    for axis, side, lowest, highest in zip(axes, size, extent.lowest,
                                           extent.highest, strict=True):
        if lowest < 0 or highest > side:
            raise DataError(
                file, f'position, axis {axis!r}',
                f'0 to {side:g}, by {origin}',
                f'{lowest:g} to {highest:g}',
                "give a larger scale_size, or scale_size='extent' to scale "
                'by the tracks themselves')
    if mode == 'per_axis':
        return Scaling(size, (0., ) * len(size))
    longest = max(size)
    return Scaling((longest, ) * len(size),
                   tuple((side - longest) / 2 for side in size))


def scaling_of_extent(extent: Extent, mode: str, file: Path,
                      axes: Sequence[str]) -> Scaling:
    """Scale by the tracks themselves.

    Args:
        extent (Extent): Of the tracks.
        mode (str): ``isotropic``: one factor, so that the longest axis runs
            from 0 to 1 and the others lie in the middle; ``per_axis``: each
            axis runs from 0 to 1.
        file (Path): For the error.
        axes (Sequence[str]): S names.

    Raises:
        DataError: If an axis is constant; with ``isotropic``, if all are.
    """
    sides = [high - low for low, high in zip(extent.lowest, extent.highest,
                                             strict=True)]
    flat = [axis for axis, side in zip(axes, sides, strict=True) if not side]
    if flat and (mode == 'per_axis' or len(flat) == len(axes)):
        axis = axes.index(flat[0])
        raise DataError(
            file, f'position, axis {flat[0]!r}', 'coordinates that differ',
            f'{extent.lowest[axis]:g} everywhere',
            'leave the axis out by select, or give scale_size')
    if mode == 'per_axis':
        return Scaling(tuple(sides), extent.lowest)
    longest = max(sides)
    middles = [(low + high) / 2 for low, high in zip(
        extent.lowest, extent.highest, strict=True)]
    return Scaling((longest, ) * len(sides),
                   tuple(middle - longest / 2 for middle in middles))


def _shown(values: Sequence[float]) -> str:
    return 'x'.join(f'{value:g}' for value in values)

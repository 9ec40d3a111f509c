"""Flips, and changes to the pixels of a crop: colour, sharpness, occlusion.

All but the flip take and give ``uint8`` (H, W, 3) after ``TopdownAffine``.
All draw from ``np.random``, which the data set seeds for each sample.
"""
from __future__ import annotations

from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import RandomFlip
from scipy.special import ndtri

from mmpose_ext.registry import TRANSFORMS

Array = np.ndarray
Span = tuple[float, float]

_LEVELS = np.arange(256, dtype=np.float64)
_MID_GREY = 127
_NOISE_QUANTILES = 1 << 16
_FLIP_CODES = dict(horizontal=1, vertical=0, diagonal=-1)


@TRANSFORMS.register_module()
class HorseRandomFlip(RandomFlip):
    """MMPose's ``RandomFlip``, with the same result, sooner.

    MMPose leaves a view with its columns counted backwards, of which
    ``TopdownAffine`` makes a copy value by value: of a photograph of 1280 x
    720 px that takes longer than reading it.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Flip the image, its boxes and its points."""
        image = results['img']
        results = super().transform(results)
        if results['flip']:
            results['img'] = cv2.flip(
                image, _FLIP_CODES[results['flip_direction']])
        return results


@TRANSFORMS.register_module()
class HorsePhotometricDistortion(BaseTransform):
    """Change brightness, contrast, saturation and hue, each by chance.

    Brightness comes first; contrast follows before or after the colours, in
    half of the cases each. Values are clipped to 0..255 after each step, hue
    goes round the circle. Works on 8 bits a channel throughout: hue has steps
    of 2 degrees, other values err by half a level on average.

    Differs from MMPose's ``PhotometricDistortion``: contrast is applied once
    (not never or twice), hue is in degrees and wraps as an angle, channels
    stay in their order unless asked.

    Required and modified key: ``img``.

    Args:
        brightness_delta (float): Largest addition, in levels. Defaults to 32.
        contrast_range (tuple[float, float]): Factor. Defaults to (.5, 1.5).
        saturation_range (tuple[float, float]): Factor. Defaults to
            (.5, 1.5).
        hue_delta_deg (float): Largest turn. Defaults to 18.
        swap_channels (bool): Whether to permute the channels as well, which
            makes blue horses. Defaults to False.
        prob (float): Chance of each of the steps. Defaults to .5.
    """

    def __init__(self,
                 brightness_delta: float = 32,
                 contrast_range: Span = (.5, 1.5),
                 saturation_range: Span = (.5, 1.5),
                 hue_delta_deg: float = 18,
                 swap_channels: bool = False,
                 prob: float = .5) -> None:
        self.brightness_delta = brightness_delta
        self.contrast_range = contrast_range
        self.saturation_range = saturation_range
        self.hue_delta_deg = hue_delta_deg
        self.swap_channels = swap_channels
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Distort ``img``."""
        chosen = np.random.random(5) < self.prob
        unit = np.random.random(4)
        brightness, contrast, saturation, hue = np.where(
            chosen[:4], [
                _between(unit[0], -self.brightness_delta,
                         self.brightness_delta),
                _between(unit[1], *self.contrast_range),
                _between(unit[2], *self.saturation_range),
                _between(unit[3], -self.hue_delta_deg, self.hue_delta_deg)
            ], [0, 1, 1, 0])
        contrast_first = np.random.random() < .5
        first = (_LEVELS + brightness).clip(0, 255)
        if contrast_first:
            first = first * contrast
        image = _look_up(results['img'], first)
        image = turn_colors(image, saturation, hue)
        if not contrast_first:
            image = _look_up(image, _LEVELS * contrast)
        if self.swap_channels and chosen[4]:
            image = np.ascontiguousarray(image[..., np.random.permutation(3)])
        results['img'] = image
        return results


@TRANSFORMS.register_module()
class HorseBlur(BaseTransform):
    """Blur by chance with a square window.

    Required and modified key: ``img``.

    Args:
        limit (int): Largest side of the window, px, odd; each odd side from
            3 on is as likely. Defaults to 3.
        prob (float): Defaults to .1.
        kind (str): Take the ``box``'s mean or its ``median``. Defaults to
            ``box``.
    """

    def __init__(self,
                 limit: int = 3,
                 prob: float = .1,
                 kind: Literal['box', 'median'] = 'box') -> None:
        if limit < 3 or limit % 2 == 0:
            raise ValueError(f'limit: expected 3, 5, 7, ..., found {limit}')
        if kind not in ('box', 'median'):
            raise ValueError(f"kind: expected 'box' or 'median', found "
                             f'{kind!r}')
        self.limit, self.prob, self.kind = limit, prob, kind

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Blur ``img``."""
        if np.random.random() >= self.prob:
            return results
        side = 2 * int(np.random.randint(1, self.limit // 2 + 1)) + 1
        image = results['img']
        results['img'] = (cv2.medianBlur(image, side) if self.kind == 'median'
                          else cv2.blur(image, (side, side)))
        return results


@TRANSFORMS.register_module()
class HorseGaussNoise(BaseTransform):
    """Add independent normal noise to each value, by chance.

    Required and modified key: ``img``.

    Args:
        var (tuple[float, float]): Range of the variance, in squared levels.
            Defaults to (10, 50).
        prob (float): Defaults to .1.
    """

    def __init__(self, var: Span = (10, 50), prob: float = .1) -> None:
        if not 0 <= var[0] <= var[1] <= 900:
            raise ValueError(
                f'var: expected 0 <= lowest <= highest <= 900, found {var}')
        self.var, self.prob = var, prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add noise to ``img``."""
        if np.random.random() >= self.prob:
            return results
        image = results['img']
        deviation = _between(np.random.random(), *self.var)**.5
        # a third of the time that drawing normal numbers would take
        generator = np.random.Generator(
            np.random.SFC64(np.random.randint(1 << 31)))
        rounded = np.rint(_normal_quantiles() * deviation).astype(np.int8)
        picked = generator.integers(
            0, _NOISE_QUANTILES, image.shape, dtype=np.uint16)
        results['img'] = cv2.add(
            image, rounded[picked], dtype=cv2.CV_8U)  # clips
        return results


class _Patches(BaseTransform):
    """Covers parts of a crop by rectangles; subclasses say which and how.

    Args:
        prob (float): Chance that anything is covered.
        mark_occluded (bool): Whether covered points weigh less.
        occluded_weight (float): Their weight then.
    """

    def __init__(self, prob: float, mark_occluded: bool,
                 occluded_weight: float) -> None:
        if not (occluded_weight == 0 or .5 <= occluded_weight <= 1):
            raise ValueError(
                'occluded_weight: expected 0 or a value from .5 to 1 (the '
                f'codecs draw no target below .5), found {occluded_weight}')
        self.prob = prob
        self.mark_occluded = mark_occluded
        self.occluded_weight = occluded_weight

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cover parts of ``img``."""
        if np.random.random() >= self.prob:
            return results
        image = results['img'].copy()
        for left, top, width, height in self._draw_patches(*image.shape[:2]):
            patch = image[top:top + height, left:left + width]
            patch[:] = self._draw_filling(patch.shape)
            if self.mark_occluded:
                self._mark(results, left, top, width, height)
        results['img'] = image
        return results

    def _draw_patches(self, height: int, width: int) -> Array:
        """Rectangles (N, 4), left, top, width, height, inside the crop."""
        raise NotImplementedError

    def _draw_filling(self, shape: tuple[int, ...]) -> Any:
        """What covers a patch of a shape: a value or pixels."""
        raise NotImplementedError

    def _mark(self, results: dict[str, Any], left: int, top: int, width: int,
              height: int) -> None:
        """Lower the visibility, which codecs take for the weight."""
        points = results['transformed_keypoints']
        # pixel centres are integers: a patch begins half a pixel before
        inside = points + .5 - [left, top]
        covered = ((inside >= 0) & (inside < [width, height])).all(-1)
        visible = np.array(results['keypoints_visible'], np.float32)
        weight = visible if visible.ndim == 2 else visible[..., 0]
        weight[covered] = np.minimum(weight[covered], self.occluded_weight)
        results['keypoints_visible'] = visible


@TRANSFORMS.register_module()
class HorseCoarseDropout(_Patches):
    """Black out small squares, by chance.

    Required and modified keys: ``img``; with ``mark_occluded`` also
    ``keypoints_visible``, required ``transformed_keypoints``.

    Args:
        max_holes (int): One to so many squares. Defaults to 8.
        max_size (int): Largest side, px; sides are drawn from half of it on.
            Defaults to 32.
        prob (float): Defaults to .1.
        mark_occluded (bool): Whether covered points weigh
            ``occluded_weight`` in the loss. Defaults to False.
        occluded_weight (float): 0 or from .5 to 1. Defaults to .5.
    """

    def __init__(self,
                 max_holes: int = 8,
                 max_size: int = 32,
                 prob: float = .1,
                 mark_occluded: bool = False,
                 occluded_weight: float = .5) -> None:
        super().__init__(prob, mark_occluded, occluded_weight)
        self.max_holes, self.max_size = max_holes, max_size

    def _draw_patches(self, height: int, width: int) -> Array:
        count = np.random.randint(1, self.max_holes + 1)
        side = np.random.randint((self.max_size + 1) // 2, self.max_size + 1,
                                 (count, 1))
        return _place(np.repeat(side, 2, axis=1), height, width)

    def _draw_filling(self, shape: tuple[int, ...]) -> Any:
        return 0


@TRANSFORMS.register_module()
class HorseOcclusion(_Patches):
    """Hide parts behind rectangles of a random colour or mid-grey, by chance.

    Required and modified keys: ``img``; with ``mark_occluded`` also
    ``keypoints_visible``, required ``transformed_keypoints``.

    Args:
        max_patches (int): One to so many. Defaults to 3.
        side_range (tuple[float, float]): Width and height as shares of the
            crop's. Defaults to (.05, .15).
        prob (float): Defaults to .2.
        mark_occluded (bool): Whether covered points weigh
            ``occluded_weight`` in the loss. Defaults to False.
        occluded_weight (float): 0 or from .5 to 1. Defaults to .5.
    """

    def __init__(self,
                 max_patches: int = 3,
                 side_range: Span = (.05, .15),
                 prob: float = .2,
                 mark_occluded: bool = False,
                 occluded_weight: float = .5) -> None:
        super().__init__(prob, mark_occluded, occluded_weight)
        self.max_patches, self.side_range = max_patches, side_range

    def _draw_patches(self, height: int, width: int) -> Array:
        count = np.random.randint(1, self.max_patches + 1)
        share = _between(np.random.random((count, 2)), *self.side_range)
        sides = np.rint(share * [width, height]).astype(int)
        return _place(np.maximum(sides, 1), height, width)

    def _draw_filling(self, shape: tuple[int, ...]) -> Any:
        if np.random.random() < .5:
            return _MID_GREY
        return np.random.randint(0, 256, 3, np.uint8)


def turn_colors(image: Array, saturation: float, hue_deg: float) -> Array:
    """Multiply the saturation of an image and turn its hues.

    Args:
        image (ndarray): uint8 (H, W, 3), BGR; of RGB the hues turn the other
            way.
        saturation (float): Factor; colours stay within the possible ones.
        hue_deg (float): From red towards green.

    Returns:
        ndarray: uint8 (H, W, 3).
    """
    if saturation == 1 and hue_deg == 0:
        return image
    # OpenCV counts hue in steps of two degrees
    tables = np.stack([
        np.rint(_LEVELS + hue_deg / 2) % 180,
        np.rint((_LEVELS * saturation).clip(0, 255)), _LEVELS
    ], -1).astype(np.uint8)[None]
    colors = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), tables)
    return cv2.cvtColor(colors, cv2.COLOR_HSV2BGR)


def _look_up(image: Array, table: Array) -> Array:
    """Replace each level by its entry in a table (256,), rounded, clipped."""
    levels = np.rint(table.clip(0, 255)).astype(np.uint8)
    if np.array_equal(levels, _LEVELS):
        return image
    return cv2.LUT(image, levels)


def _place(sides: Array, height: int, width: int) -> Array:
    """Put rectangles of sides (N, 2) anywhere inside a crop."""
    sides = np.minimum(sides, [width, height])
    corners = np.random.random(sides.shape) * ([width, height] - sides + 1)
    return np.concatenate([corners.astype(int), sides], axis=1)


def _between(unit: Any, low: float, high: float) -> Any:
    """Stretch numbers in [0, 1) to [low, high)."""
    return low + (high - low) * unit


@cache
def _normal_quantiles() -> Array:
    """Evenly likely standard normal values, float32 (2**16,)."""
    middles = (np.arange(_NOISE_QUANTILES) + .5) / _NOISE_QUANTILES
    return ndtri(middles).astype(np.float32)

"""Pictures of horse poses: left blue, right orange, the midline white.

A point of low score is a hollow ring and its links are hair-thin. Thickness
follows the size of the horse. Drawing functions take and give BGR, as OpenCV
does; only MMPose's visualizer has RGB.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.visualization import PoseLocalVisualizer

from mmpose_ext.equine.horse26 import (
    FLIP_INDICES,
    METAINFO_FILE,
    NAMES,
    SKELETON,
)
from mmpose_ext.registry import VISUALIZERS

Array = np.ndarray
Color = tuple[int, int, int]

# BGR; blue and orange stay apart for the colour-blind
LEFT: Color = (255, 170, 50)
RIGHT: Color = (20, 130, 255)
MIDDLE: Color = (245, 245, 245)
_EDGE: Color = (25, 25, 25)
_BAND: Color = (32, 32, 32)
_TEXT: Color = (235, 235, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # fractional bits of a coordinate
_RING = 1.15  # radius of a hollow point to that of a filled one

STYLES = ('sides', 'dataset')


@dataclass(frozen=True)
class Pen:
    """How poses are drawn.

    Attributes:
        style: ``sides`` colours by left and right, ``dataset`` as the data
            set's definition says. Defaults to ``sides``.
        kpt_thr: Score below which a point is hollow. Defaults to 0.3.
        radius: Of a point, px; None goes by the size of the horse. Defaults
            to None.
        thickness: Of a link, px; None: as `radius`. Defaults to None.
        show_scores: Whether to write the score at each point. Defaults to
            False.
    """

    style: str = 'sides'
    kpt_thr: float = .3
    radius: float | None = None
    thickness: int | None = None
    show_scores: bool = False


@cache
def keypoint_colors(style: str = 'sides') -> tuple[Color, ...]:
    """BGR colours of the points."""
    if style == 'dataset':
        meta = parse_pose_metainfo(dict(from_file=METAINFO_FILE))
        return tuple((int(b), int(g), int(r))
                     for r, g, b in meta['keypoint_colors'])
    return tuple(
        MIDDLE if FLIP_INDICES[i] == i else
        LEFT if name.startswith('l') else RIGHT
        for i, name in enumerate(NAMES))


@cache
def link_colors(style: str = 'sides') -> tuple[Color, ...]:
    """BGR colours of the links; that of the side which one reaches."""
    colors = keypoint_colors(style)
    if style == 'dataset':
        return tuple(colors[first] for first, _ in SKELETON)
    return tuple(
        colors[second] if colors[second] != MIDDLE else colors[first]
        for first, second in SKELETON)


def draw_poses(image: Array,
               keypoints: Array,
               scores: Array | None = None,
               boxes: Array | None = None,
               pen: Pen = Pen()) -> Array:
    """Draw the horses of a picture.

    Args:
        image (ndarray): (H, W, 3) BGR uint8; stays as it is.
        keypoints (ndarray): (N, K, 2) px; NaN is not drawn.
        scores (ndarray, optional): (N, K). Defaults to None: all are sure.
        boxes (ndarray, optional): (N, 4) x1, y1, x2, y2 px. Defaults to
            None: not drawn.
        pen (Pen): How. Defaults to ``Pen()``.

    Returns:
        ndarray: (H, W, 3) BGR uint8.
    """
    canvas = image.copy()
    if scores is None:
        scores = np.ones(keypoints.shape[:2])
    for box in () if boxes is None else boxes:
        width = max(1, round(min(image.shape[:2]) / 400))
        cv2.rectangle(canvas, _fixed(box[:2]), _fixed(box[2:]), (90, 220, 90),
                      width, cv2.LINE_AA, _SHIFT)
    for points, sure in zip(keypoints, scores, strict=True):
        _draw_pose(canvas, points, sure, pen)
    return canvas


def _draw_pose(canvas: Array, points: Array, scores: Array, pen: Pen) -> None:
    known = np.isfinite(points).all(1)
    if not known.any():
        return
    sure = scores >= pen.kpt_thr
    radius = pen.radius or _radius(points[known], canvas)
    thick = pen.thickness or max(1, round(.8 * radius))
    # the outline of all links below the colour of any
    links = [(i, first, second) for i, (first, second) in enumerate(SKELETON)
             if known[first] and known[second]]
    edge = 2 if thick > 2 else 1
    for _, first, second in links:
        if sure[first] and sure[second]:
            _line(canvas, points[first], points[second], _EDGE, thick + edge)
    for i, first, second in links:
        start, end = points[first], points[second]
        # up to a ring, not into it
        inset = _RING * radius * (end - start) / max(
            float(np.linalg.norm(end - start)), 2 * _RING * radius)
        both = sure[first] and sure[second]
        _line(canvas, start if sure[first] else start + inset,
              end if sure[second] else end - inset,
              link_colors(pen.style)[i], thick if both else 1)
    colors = keypoint_colors(pen.style)
    for i in range(len(points)):
        if not known[i]:
            continue
        _dot(canvas, points[i], radius, colors[i], bool(sure[i]))
        if pen.show_scores:
            _label(canvas, f'{scores[i]:.2f}', points[i] + radius, radius)


def _radius(points: Array, canvas: Array) -> float:
    """A hundredth of the horse, between a hair and what hides the picture."""
    extent = float(np.linalg.norm(np.ptp(points, axis=0)))
    return float(np.clip(extent / 100, 2., max(min(canvas.shape[:2]) / 80, 2)))


def _line(canvas: Array, start: Array, end: Array, color: Color,
          thickness: int) -> None:
    cv2.line(canvas, _fixed(start), _fixed(end), color, thickness,
             cv2.LINE_AA, _SHIFT)


def _dot(canvas: Array, place: Array, radius: float, color: Color,
         filled: bool) -> None:
    """A filled dot with a dark edge, or a ring."""
    center, unit = _fixed(place), 1 << _SHIFT
    if filled:
        cv2.circle(canvas, center, round((radius + 1) * unit), _EDGE,
                   cv2.FILLED, cv2.LINE_AA, _SHIFT)
        cv2.circle(canvas, center, round(radius * unit), color, cv2.FILLED,
                   cv2.LINE_AA, _SHIFT)
    else:
        width = max(1, round(radius / 4))
        for shade, outer in ((_EDGE, radius + width), (color, radius)):
            cv2.circle(canvas, center, round(_RING * outer * unit), shade,
                       width, cv2.LINE_AA, _SHIFT)


def _label(canvas: Array, text: str, place: Array, radius: float) -> None:
    if not (np.abs(place) < 2**15).all():
        return
    x, y = (round(float(value)) for value in place)
    scale = max(.3, radius / 11)
    # a shadow; thicker letters would be wider ones
    for dx, dy, color in ((1, 1, _EDGE), (-1, 0, _EDGE), (0, 0, _TEXT)):
        cv2.putText(canvas, text, (x + dx, y + dy), _FONT, scale, color, 1,
                    cv2.LINE_AA)


def _fixed(place: Array) -> tuple[int, int]:
    """A place as cv2 takes it with fractions, kept within its range."""
    x, y = np.clip(np.rint(np.asarray(place, np.float64) * (1 << _SHIFT)),
                   -2**24, 2**24).astype(int)
    return int(x), int(y)


def draw_legend(width: int, pen: Pen = Pen()) -> Array:
    """A band that says what colours and rings mean.

    Args:
        width (int): Of the band, px; what does not fit is made smaller.
        pen (Pen): How poses are drawn. Defaults to ``Pen()``.

    Returns:
        ndarray: (H, width, 3) BGR uint8.
    """
    entries: list[tuple[str, Color, bool]] = [
        (f'occluded, or score < {pen.kpt_thr:g}', MIDDLE, False)]
    if pen.style == 'sides':
        entries = [('left', LEFT, True), ('right', RIGHT, True),
                   ('midline', MIDDLE, True), *entries]
    scale = float(np.clip(width / 1800, .38, .8))
    while True:
        unit = 22 * scale  # between dot and text, about a letter's height
        sizes = [cv2.getTextSize(text, _FONT, scale, 1)[0][0]
                 for text, _, _ in entries]
        needed = sum(sizes) + 3 * unit * len(entries)
        if needed <= width or scale < .2:
            break
        scale *= .9
    height = round(2.4 * unit)
    band = np.full((height, width, 3), _BAND, np.uint8)
    x = unit
    for (text, color, filled), size in zip(entries, sizes, strict=True):
        _dot(band, np.array([x, height / 2]), .38 * unit, color, filled)
        cv2.putText(band, text, (round(x + .8 * unit),
                                 round(height / 2 + .45 * unit)),
                    _FONT, scale, _TEXT, 1, cv2.LINE_AA)
        x += size + 3 * unit
    return band


def draw_comparison(image: Array,
                    truth: Array,
                    keypoints: Array,
                    scores: Array | None = None,
                    boxes: Array | None = None,
                    pen: Pen = Pen(),
                    height: int = 480,
                    truth_seen: Array | None = None) -> Array:
    """Truth on the left; on the right the prediction.

    Thin red lines lead from each predicted point to where it should be.
    Points without a truth are left out: nothing taught a network to place
    them.

    Args:
        image (ndarray): (H, W, 3) BGR uint8.
        truth (ndarray): (N, K, 2) px, NaN where absent.
        keypoints (ndarray): (N, K, 2) px.
        scores (ndarray, optional): (N, K). Defaults to None.
        boxes (ndarray, optional): (N, 4) px. Defaults to None: not drawn.
        pen (Pen): How. Defaults to ``Pen()``.
        height (int): Of the result, px. Defaults to 480.
        truth_seen (ndarray, optional): (N, K); the other points of the truth
            are occluded, and hollow. Defaults to None.

    Returns:
        ndarray: (height, W', 3) BGR uint8.
    """
    factor = height / image.shape[0]
    width = max(1, round(image.shape[1] * factor))
    large = cv2.resize(
        image, (width, height),
        interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    # pixel centres lie at integers
    scale = np.array([width / image.shape[1], factor])

    def enlarge(points: Array) -> Array:
        return (points + .5) * scale - .5

    if boxes is not None:
        boxes = enlarge(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
    keypoints = np.where(np.isfinite(truth).all(-1, keepdims=True),
                         keypoints, np.nan)
    left = draw_poses(large, enlarge(truth), truth_seen, boxes, pen)
    right = draw_poses(large, enlarge(keypoints), scores, boxes, pen)
    for start, end in zip(enlarge(keypoints).reshape(-1, 2),
                          enlarge(truth).reshape(-1, 2), strict=True):
        if np.isfinite([*start, *end]).all():
            _line(right, start, end, (40, 40, 255), max(1, height // 300))
    for panel, text in (left, 'truth'), (right, 'prediction'):
        unit = max(height / 38, 7.)
        _label(panel, text, np.array([unit, 2 * unit]), .7 * unit)
    gap = np.full((height, 4, 3), _BAND, np.uint8)
    return np.concatenate([left, gap, right], 1)


def draw_error_table(errors: Array, limit: float, height: int) -> Array:
    """A panel with a bar and a figure for each point.

    Args:
        errors (ndarray): (K,) distance from the truth, px; NaN: no truth.
        limit (float): Error that fills the bar, px.
        height (int): Of the panel, px.

    Returns:
        ndarray: (height, W, 3) BGR uint8.
    """
    row = height / (len(NAMES) + 1)
    scale = row / 38
    width = round(11.5 * row)
    panel = np.full((height, width, 3), _BAND, np.uint8)
    start = round(5.2 * row)
    for i, (name, error) in enumerate(zip(NAMES, errors, strict=True)):
        y = round((i + 1.15) * row)
        if np.isfinite(error):
            end = start + round(min(error / limit, 1) * 3.4 * row)
            cv2.rectangle(panel, (start, y - round(.55 * row)),
                          (end, y), keypoint_colors()[i], cv2.FILLED)
            text = f'{error:.1f} px'
        else:
            text = '-'
        for words, x in ((name, .3 * row), (text, 8.8 * row)):
            cv2.putText(panel, words, (round(x), y), _FONT, scale, _TEXT, 1,
                        cv2.LINE_AA)
    return panel


def stack(parts: Sequence[Array]) -> Array:
    """Put pictures below one another, narrower ones filled up on the right."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([
        cv2.copyMakeBorder(part, 0, 0, 0, width - part.shape[1],
                           cv2.BORDER_CONSTANT, value=_BAND)
        for part in parts])


@VISUALIZERS.register_module()
class HorsePoseVisualizer(PoseLocalVisualizer):
    """MMPose's visualizer with links that suit the size of the horse.

    Arguments are those of ``PoseLocalVisualizer``. Colours tell left from
    right; those of the data set, `radius`, `line_width` and `skeleton_style`
    are not used.
    """

    def _draw_instances_kpts(self,
                             image: Array,
                             instances: InstanceData,
                             kpt_thr: float = 0.3,
                             show_kpt_idx: bool = False,
                             skeleton_style: str = 'mmpose') -> Array:
        """Draw the horses into an RGB picture, see ``draw_poses``."""
        if 'keypoints' not in instances:
            return image
        keypoints = np.array(
            instances.get('transformed_keypoints', instances.keypoints),
            np.float64)
        scores: Any = None
        if 'keypoint_scores' in instances:
            scores = instances.keypoint_scores
        elif 'keypoints_visible' in instances:  # the truth: placed or not
            keypoints[instances.keypoints_visible <= 0] = np.nan
        drawn = draw_poses(np.ascontiguousarray(image[..., ::-1]), keypoints,
                           scores, pen=Pen(kpt_thr=kpt_thr))
        drawn = np.ascontiguousarray(drawn[..., ::-1])
        self.set_image(drawn)
        return drawn

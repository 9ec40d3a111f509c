"""Pictures of base, neck and head, of directions and how sure they are.

Pixel centres lie at integers, so a pixel that is drawn as a block of
``scale`` px shows its own coordinates in the middle of that block. Angles are
in the ``image`` convention: 0 points right, clockwise on the screen.
"""
from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpose.structures import PoseDataSample

from mmpose_ext.direction import gauges
from mmpose_ext.direction.angles import ANGLES, direction_angles
from mmpose_ext.direction.gauges import SHIFT, Color, confidence_color
from mmpose_ext.drawing import contact_sheet, write_picture
from mmpose_ext.drawing.visualizer import PictureVisualizer
from mmpose_ext.registry import VISUALIZERS
from mmpose_ext.storage import DataError, VideoWriter

Array = np.ndarray

TRUTH: Color = (120, 255, 120)
_LEAST_SIDE = 400  # px


def draw_direction(image: Array,
                   points: Array,
                   angles: Mapping[str, float] | None = None,
                   confidence: float | None = None,
                   truth: Array | None = None,
                   scores: Array | None = None,
                   scale: int | None = 8,
                   texts: bool = True,
                   dial: bool = True) -> Array:
    """Draw one image, enlarged, with the animal's directions.

    An arrow from base to neck shows the body, one from neck to nose the head.
    Dots, a bar and its figure are coloured by confidence, from red to green.

    Args:
        image (ndarray): (H, W) grey or (H, W, 3) BGR, uint8.
        points (ndarray): (3, 2) base, neck and head, px; NaN is not drawn.
        angles (Mapping, optional): ``body``, ``head`` and ``turn``, radians.
            Defaults to None: those of the points.
        confidence (float, optional): Of the head angle, in [0, 1]. Defaults
            to None.
        truth (ndarray, optional): (3, 2), px, drawn thin and green. Defaults
            to None.
        scores (ndarray, optional): (3,) confidence of each point. Defaults
            to None: `confidence`.
        scale (int, optional): Enlargement. Defaults to 8; None makes the
            shorter side at least 400 px.
        texts (bool): Whether to write angles and confidence. Defaults to
            True.
        dial (bool): Whether to draw a compass. Defaults to True.

    Returns:
        ndarray: (scale H, scale W, 3) uint8, BGR.
    """
    if scale is None:
        scale = _scale_to_show(image)
    canvas = cv2.resize(image, None, fx=scale, fy=scale,
                        interpolation=cv2.INTER_NEAREST)
    # cv2 returns the input itself where there is nothing to enlarge
    canvas = (cv2.cvtColor(canvas, cv2.COLOR_GRAY2BGR)
              if canvas.ndim == 2 else canvas.copy())
    if truth is not None:
        _draw_skeleton(canvas, truth, scale, (TRUTH, TRUTH), None)
    colors = [confidence_color(score) for score in (
        [confidence] * 3 if scores is None else np.ravel(scores))]
    _draw_skeleton(canvas, points, scale, (gauges.BODY, gauges.HEAD), colors)
    named = _angles_of(points) if angles is None else angles
    if dial:
        gauges.draw_dial(canvas, named)
    if texts:
        gauges.draw_readings(canvas, named, confidence)
    return canvas


def write_movie(path: str | Path,
                images: Iterable[Array],
                points: Array,
                scores: Array | None = None,
                angle_conf: Array | None = None,
                fps: float = 30.,
                max_frames: int | None = None,
                angle_plot: bool = True) -> int:
    """Write an MP4 movie of the directions, frame by frame.

    Frames are taken one at a time, so that a video reader will do, and are
    enlarged until the shorter side has 400 px.

    Args:
        path (str | Path): File to write, ending in .mp4.
        images (Iterable[ndarray]): (H, W) or (H, W, 3) BGR, uint8, all of one
            size.
        points (ndarray): (T, 3, 2), px of these images; NaN is not drawn.
        scores (ndarray, optional): (T, 3). Defaults to None.
        angle_conf (ndarray, optional): (T,). Defaults to None.
        fps (float): Defaults to 30.
        max_frames (int, optional): Defaults to None: all.
        angle_plot (bool): Whether the last three seconds of the angles run
            along below. Defaults to True.

    Returns:
        int: Frames written.

    Raises:
        DataError: If the file cannot be written, there is no frame, or the
            images end before the points.
    """
    count = len(points) if max_frames is None else min(len(points), max_frames)
    frames = iter(images)
    first = next(frames, None)
    if first is None or count < 1:
        raise DataError(path, 'frames', 'at least one', 'none')
    scale = _scale_to_show(first)
    height, width = first.shape[0] * scale, first.shape[1] * scale
    plot = gauges.AnglePlot(width, fps) if angle_plot else None
    size = (width, height + (gauges.PLOT_HEIGHT if plot else 0))
    written = 0
    with VideoWriter(path, fps, size) as video:
        shown = itertools.islice(itertools.chain([first], frames), count)
        for i, image in enumerate(shown):
            angles = _angles_of(points[i])
            conf = None if angle_conf is None else float(angle_conf[i])
            frame = draw_direction(
                image, points[i], angles, conf,
                scores=None if scores is None else scores[i], scale=scale)
            if plot is not None:
                frame = np.concatenate([frame, plot.draw(angles, conf)])
            video.write(frame)
            written += 1
        if written < count:
            raise DataError(path, 'frames', str(count), str(written))
    return written


def draw_worst(images: Sequence[Array],
               points: Array,
               truth: Array,
               errors_deg: Array,
               out: str | Path,
               count: int = 25) -> Array:
    """Write a sheet of the largest errors, truth in green.

    Args:
        images (Sequence[ndarray]): N images, (H, W) or (H, W, 3) uint8.
        points (ndarray): (N, 3, 2) predictions, px.
        truth (ndarray): (N, 3, 2), px.
        errors_deg (ndarray): (N,); NaN counts as no error.
        out (str | Path): Picture to write, for instance ``worst.png``.
        count (int): How many. Defaults to 25.

    Returns:
        ndarray: Rows shown, the worst one first.
    """
    errors = np.nan_to_num(np.asarray(errors_deg, np.float64), nan=-np.inf)
    worst = np.argsort(-errors, kind='stable')[:count]
    tiles = [
        draw_direction(images[i], points[i], truth=truth[i],
                       scale=max(1, 200 // min(images[i].shape[:2])),
                       texts=False, dial=False) for i in worst
    ]
    sheet = contact_sheet(
        tiles, math.ceil(math.sqrt(len(tiles))),
        [f'#{i}   {errors_deg[i]:.0f}{gauges.DEGREE}' for i in worst],
        'Largest head-angle errors: truth thin and green')
    out = Path(out)
    write_picture(out, sheet)
    return worst


@VISUALIZERS.register_module()
class DirectionVisualizer(PictureVisualizer):
    """MMPose's visualizer for directions: truth and prediction as arrows.

    Arguments are those of ``PoseLocalVisualizer``.
    """

    def draw_picture(self, image: Array, data_sample: PoseDataSample,
                     draw_gt: bool, draw_pred: bool,
                     kpt_thr: float) -> Array:
        """Draw truth and prediction side by side.

        The prediction's picture has the truth in it too.

        Args:
            image (ndarray): (H, W, 3), RGB.
            data_sample (PoseDataSample): With ``gt_instances`` and
                ``pred_instances``, points in px of the image.
            draw_gt (bool): Whether to draw the truth.
            draw_pred (bool): Whether to draw the prediction.
            kpt_thr (float): Points of lower score are not drawn.

        Returns:
            ndarray: BGR.
        """
        bgr = np.ascontiguousarray(image[..., ::-1])
        truth = _points_of(data_sample, 'gt_instances', 'keypoints_visible',
                           kpt_thr) if draw_gt else None
        panels = []
        if draw_gt:
            missing = np.full((3, 2), np.nan)
            panels.append(draw_direction(
                bgr, missing if truth is None else truth, scale=None))
        if draw_pred:
            found = _points_of(data_sample, 'pred_instances',
                               'keypoint_scores', kpt_thr)
            instances = data_sample.get('pred_instances', {})
            panels.append(draw_direction(
                bgr, np.full((3, 2), np.nan) if found is None else found,
                confidence=_first(instances.get('angle_conf')), truth=truth,
                scores=_first(instances.get('keypoint_scores')), scale=None))
        if not panels:
            panels.append(bgr)
        return np.concatenate(panels, 1)


def _points_of(data_sample: PoseDataSample, field: str, weights: str,
               threshold: float) -> Array | None:
    """The first instance's points (3, 2), NaN below a threshold."""
    instances = data_sample.get(field)
    if instances is None or 'keypoints' not in instances:
        return None
    points = np.array(_first(instances.keypoints), np.float64)
    if weights in instances:
        points[np.ravel(_first(instances[weights])) < threshold] = np.nan
    return points


def _first(values: Any) -> Any:
    """The first instance's value; None stays None."""
    return None if values is None else np.asarray(values)[0]


def _scale_to_show(image: Array) -> int:
    return max(1, math.ceil(_LEAST_SIDE / min(image.shape[:2])))


def _angles_of(points: Array) -> dict[str, float]:
    """Body, head and turn angle of one animal."""
    found = direction_angles(points)
    return {name: float(found[name]) for name in ANGLES}


def _draw_skeleton(canvas: Array, points: Array, scale: int,
                   arrows: tuple[Color, Color],
                   dots: Sequence[Color] | None) -> None:
    """Draw arrows base-neck and neck-nose; thin where there are no dots."""
    places = (np.asarray(points, np.float64) + .5) * scale - .5
    known = np.asarray(np.isfinite(places).all(1))
    weight = min(canvas.shape[:2]) / 200
    thickness = max(round(weight), 2) if dots else max(round(weight / 2), 1)
    for end, color in zip((1, 2), arrows, strict=True):
        if known[end - 1] and known[end]:
            _draw_arrow(canvas, places[end - 1], places[end], color,
                        thickness)
    for place, seen, color in zip(places, known, dots or (), strict=False):
        if seen:
            center = _fixed(place)
            radius = round(max(1.6 * weight, 2.5) * (1 << SHIFT))
            cv2.circle(canvas, center, radius + (1 << SHIFT), (28, 28, 28),
                       cv2.FILLED, cv2.LINE_AA, SHIFT)
            cv2.circle(canvas, center, radius, color, cv2.FILLED, cv2.LINE_AA,
                       SHIFT)


def _draw_arrow(canvas: Array, start: Array, end: Array, color: Color,
                thickness: int) -> None:
    """An arrow whose ends lie at fractions of a pixel."""
    vector = end - start
    length = float(np.hypot(*vector))
    cv2.line(canvas, _fixed(start), _fixed(end), color, thickness,
             cv2.LINE_AA, SHIFT)
    if length < 1:
        return
    barb = min(6. * thickness, .35 * length) / length
    for angle in (2.6, -2.6):
        cos, sin = math.cos(angle), math.sin(angle)
        turned = vector @ np.array([[cos, sin], [-sin, cos]])
        cv2.line(canvas, _fixed(end), _fixed(end + barb * turned), color,
                 thickness, cv2.LINE_AA, SHIFT)


def _fixed(place: Array) -> tuple[int, int]:
    """A place as cv2 takes it with fractions, kept within 16 bits."""
    x, y = np.clip(np.rint(place * (1 << SHIFT)), -2**20, 2**20).astype(int)
    return int(x), int(y)

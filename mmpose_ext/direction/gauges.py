"""Instruments drawn into pictures: compass, readings, rolling plot.

OpenCV alone, for they are drawn on every frame of a movie. Angles in radians,
convention ``image``: 0 points right, clockwise on the screen.
"""
from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import cv2
import numpy as np

from mmpose_ext.direction.angles import ANGLES

Array = np.ndarray
Color = tuple[int, int, int]

# BGR
BODY: Color = (255, 176, 64)
HEAD: Color = (48, 144, 255)
COLORS = {'body': BODY, 'head': HEAD}
SHIFT = 4  # bits of a pixel's fraction that cv2 draws by
PLOT_HEIGHT = 120

_WHITE: Color = (240, 240, 240)
_GREY: Color = (110, 110, 110)
_DARK: Color = (28, 28, 28)
_UNKNOWN: Color = (230, 230, 230)
_UNSURE, _MEDIUM, _SURE = (60, 60, 235), (40, 200, 240), (90, 205, 90)
_PLOT_SECONDS = 3.
_MARGIN = 56  # px left of the plot, for its scale
_LOW_CONFIDENCE = .5
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# OpenCV 4 writes question marks for what is not ASCII.
DEGREE = '\N{DEGREE SIGN}' if hasattr(cv2, 'FontFace') else ' deg'


def confidence_color(confidence: float | None) -> Color:
    """Red at 0, yellow at .5, green at 1; white where it is not known."""
    if confidence is None or not math.isfinite(confidence):
        return _UNKNOWN
    place = min(max(float(confidence), 0.), 1.) * 2
    low, high = (_UNSURE, _MEDIUM) if place < 1 else (_MEDIUM, _SURE)
    share = place % 1 if place < 2 else 1.
    return tuple(round(a + (b - a) * share)
                 for a, b in zip(low, high, strict=True))  # type: ignore


def draw_dial(canvas: Array, angles: Mapping[str, float]) -> None:
    """Draw a compass with a needle for body and head, top right."""
    radius = round(min(canvas.shape[:2]) * .085)
    margin = radius // 3
    x, y = canvas.shape[1] - radius - margin - 1, radius + margin
    part = canvas[y - radius:y + radius + 1, x - radius:x + radius + 1]
    face = part.copy()
    middle = (radius, radius)
    cv2.circle(face, middle, radius, _DARK, cv2.FILLED, cv2.LINE_AA)
    cv2.addWeighted(face, .65, part, .35, 0, dst=part)
    cv2.circle(part, middle, radius, _WHITE, 1, cv2.LINE_AA)
    for tick in range(8):
        inner = .8 if tick % 2 else .7
        _line(part, middle, radius * inner, radius * .95, tick * math.pi / 4,
              _WHITE, 1)
    for name, color in COLORS.items():
        angle = angles[name]
        if math.isfinite(angle):
            _line(part, middle, -.25 * radius, .72 * radius, angle, color,
                  max(radius // 12, 2))
    cv2.circle(part, middle, max(radius // 10, 2), _WHITE, cv2.FILLED,
               cv2.LINE_AA)


def draw_readings(canvas: Array, angles: Mapping[str, float],
                  confidence: float | None) -> None:
    """Write angles in degrees, top left, and confidence as a bar, below."""
    height, width = canvas.shape[:2]
    size = min(height, width) / 800
    line = round(36 * size)
    for i, name in enumerate(ANGLES):
        _write(canvas, f'{name} {_degrees(angles[name])}',
               (line // 2, round(line * (i + .9))), size,
               COLORS.get(name, _WHITE))
    if confidence is None or not math.isfinite(confidence):
        return
    color = confidence_color(confidence)
    left, top = line // 2, height - line // 2 - max(line // 4, 4)
    right, bottom = left + width // 4, height - line // 2
    cv2.rectangle(canvas, (left, top), (right, bottom), _DARK, cv2.FILLED)
    share = min(max(float(confidence), 0.), 1.)
    cv2.rectangle(canvas, (left, top),
                  (left + round((right - left) * share), bottom), color,
                  cv2.FILLED)
    _write(canvas, f'confidence {confidence:.2f}', (left, top - line // 4),
           size, color)


class AnglePlot:
    """Body and head angle of the last three seconds, frame by frame.

    Now is at the right edge; unsure stretches are red.

    Args:
        width (int): px.
        fps (float): Frames per second.
    """

    def __init__(self, width: int, fps: float) -> None:
        self.width, self.fps = width, fps
        self.past: deque[tuple[dict[str, float], float | None]] = deque(
            maxlen=max(2, round(_PLOT_SECONDS * fps)))
        self.frame = 0
        self._paper = self._draw_paper()

    def draw(self, angles: Mapping[str, float],
             confidence: float | None) -> Array:
        """Add a frame and draw the strip.

        Args:
            angles (Mapping): ``body`` and ``head``, radians; NaN is a gap.
            confidence (float, optional): In [0, 1].

        Returns:
            ndarray: (120, width, 3) uint8, BGR.
        """
        self.past.append((dict(angles), confidence))
        strip = self._paper.copy()
        step = (self.width - _MARGIN) / (self.past.maxlen or 1)
        places = self.width - 1 - step * np.arange(len(self.past))[::-1]
        for x, (_, sure) in zip(places, self.past, strict=True):
            if sure is not None and sure < _LOW_CONFIDENCE:
                cv2.rectangle(strip, (round(x - step), 0),
                              (round(x), PLOT_HEIGHT), (40, 40, 90),
                              cv2.FILLED)
        for name, color in COLORS.items():
            angle = np.array([known[name] for known, _ in self.past])
            self._draw_curve(strip, places, angle, color)
        _write(strip, f'{self.frame / self.fps:.1f} s', (6, 15), .42, _WHITE)
        self.frame += 1
        return strip

    def _draw_curve(self, strip: Array, places: Array, angle: Array,
                    color: Color) -> None:
        """Draw an angle's track, interrupted where it wraps round."""
        known = np.isfinite(angle)
        joined = (known[1:] & known[:-1] &
                  (np.abs(np.diff(angle)) < math.pi))
        cuts = np.flatnonzero(~joined) + 1
        track = np.stack([places, _row(np.where(known, angle, 0))], -1)
        fixed = np.rint(track * (1 << SHIFT)).astype(np.int32)
        for piece, seen in zip(np.split(fixed, cuts), np.split(known, cuts),
                               strict=True):
            if seen.all():
                cv2.polylines(strip, [piece], False, color, 2, cv2.LINE_AA,
                              SHIFT)

    def _draw_paper(self) -> Array:
        """The empty strip with its scale."""
        paper = np.empty((PLOT_HEIGHT, self.width, 3), np.uint8)
        paper[:] = _DARK
        for degrees in (-180, -90, 0, 90, 180):
            y = round(float(_row(np.radians(degrees))))
            cv2.line(paper, (_MARGIN, y), (self.width, y),
                     _GREY if degrees == 0 else (60, 60, 60), 1)
            if abs(degrees) < 180:
                _write(paper, f'{degrees}{DEGREE}', (6, y + 4), .35, _WHITE)
        return paper


def _row(angle: Array) -> Array:
    """Height in the strip, 180 degrees on top."""
    return (.5 - angle / (2 * math.pi)) * (PLOT_HEIGHT - 9) + 4


def _degrees(angle: float) -> str:
    known = math.isfinite(angle)
    return f'{math.degrees(angle):.0f}{DEGREE}' if known else '-'


def _line(canvas: Array, middle: tuple[int, int], start: float, end: float,
          angle: float, color: Color, thickness: int) -> None:
    """A radial line between two distances from the middle."""
    ends = [
        tuple(round((m + r * f(angle)) * (1 << SHIFT))
              for m, f in zip(middle, (math.cos, math.sin), strict=True))
        for r in (start, end)
    ]
    cv2.line(canvas, ends[0], ends[1], color, thickness, cv2.LINE_AA, SHIFT)


def _write(canvas: Array, text: str, place: tuple[int, int], size: float,
           color: Color) -> None:
    """Text with a dark rim, so that it can be read on any picture."""
    for x, y in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        cv2.putText(canvas, text, (place[0] + x, place[1] + y), _FONT, size,
                    _DARK, 1, cv2.LINE_AA)
    cv2.putText(canvas, text, place, _FONT, size, color, 1, cv2.LINE_AA)

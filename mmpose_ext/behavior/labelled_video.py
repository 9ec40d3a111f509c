"""A recording's video with what the animals do written on it."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mmpose_ext.behavior.canvas import animal_color, class_colors
from mmpose_ext.behavior.class_tables import to_numbers
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import DataError, VideoReader, VideoWriter

Array = np.ndarray
Color = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_STRIP = 46  # px below the picture
_SPAN_S = 10.  # that the strip shows


def write_labelled(path: Path, video: Path, classes: Sequence[str],
                   labels: Array, tracks: Array, first: int = 0) -> None:
    """Write a video with its classes, a strip of time and the points.

    Args:
        path (Path): Video to write, ending in .mp4.
        video (Path): The recording.
        classes (Sequence[str]): C names.
        labels (ndarray): (T, C), 0 or 1.
        tracks (ndarray): (T, N, K, S) px.
        first (int): Frame of the video that row 0 belongs to. Defaults to 0.

    Raises:
        DataError: If the video is shorter than the labels.
    """
    with VideoReader(video) as reader:
        if len(reader) < first + len(labels):
            raise DataError(video, 'frames', f'at least '
                            f'{first + len(labels)}, as the record has',
                            str(len(reader)))
        height, width = reader.read(first).shape[:2]
        colors = [bgr(color) for color in class_colors(classes)]
        span = max(int(_SPAN_S * reader.fps), 2)
        strip = paint_strip(labels, colors)
        with (VideoWriter(path, reader.fps, (width, height + _STRIP)) as out,
              prediction_progress() as progress):
            bar = progress.add_task('video', total=len(labels))
            for row in range(len(labels)):
                frame = reader.read(first + row).copy()
                draw_points(frame, tracks[row])
                out.write(np.concatenate([frame, _draw_strip(
                    strip, row, span, width,
                    [(classes[i], colors[i])
                     for i in np.flatnonzero(labels[row]).tolist()])]))
                progress.advance(bar)


def draw_points(frame: Array, points: Array) -> None:
    """Draw the points (N, K, S) of each animal on a picture, BGR."""
    for number, animal in enumerate(points):
        color = bgr(animal_color(number))
        for point in animal[np.isfinite(animal).all(-1)]:
            cv2.circle(frame, (round(point[0]), round(point[1])), 3, color,
                       cv2.FILLED, cv2.LINE_AA)


def paint_strip(labels: Array, colors: Sequence[Color]) -> Array:
    """One pixel a frame (T, 3) uint8 in the colour of its first class."""
    palette = np.array([*colors, (255, 255, 255)], np.uint8)
    return np.asarray(palette[to_numbers(labels)])  # no class is the last


def bgr(color: str) -> Color:
    """A colour '#RRGGBB' as OpenCV takes it."""
    from matplotlib.colors import to_rgb
    red, green, blue = (round(255 * part) for part in to_rgb(color))
    return blue, green, red


def _draw_strip(strip: Array, row: int, span: int, width: int,
                shown: Sequence[tuple[str, Color]]) -> Array:
    """What is done now, above the time about it."""
    picture = np.full((_STRIP, width, 3), 24, np.uint8)
    places = row - span // 2 + np.arange(width) * span // width
    inside = (places >= 0) & (places < len(strip))
    picture[30:42][:, inside] = strip[places[inside]]
    picture[26:46, width // 2 - 1:width // 2 + 1] = 255
    x = 8
    for name, color in shown or [('-', (160, 160, 160))]:
        cv2.rectangle(picture, (x, 8), (x + 10, 18), color, cv2.FILLED)
        cv2.putText(picture, name, (x + 16, 19), _FONT, .5, (235, 235, 235),
                    1, cv2.LINE_AA)
        x += 28 + cv2.getTextSize(name, _FONT, .5, 1)[0][0]
    return picture

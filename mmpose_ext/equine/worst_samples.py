"""A sheet of the annotations that most is wrong with."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import cv2
import numpy as np

from mmpose_ext.drawing import contact_sheet
from mmpose_ext.equine.findings import Finding
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.equine.visualizer import draw_poses

Array = np.ndarray

TILE = 360  # px, width; two thirds of it are the height
CAPTION = 72  # letters
WARNING, ERROR = (60, 180, 240), (60, 60, 230)  # BGR of the frames
WEIGHTS = {True: 1, False: 10}  # of warnings and of errors


def worst_samples(findings: Sequence[Finding],
                  number: int) -> list[tuple[int, int, list[Finding]]]:
    """Rank annotations and images by what was found.

    An error counts as much as ten warnings. Faults of an image count for
    each of its annotations only if they are its own.

    Args:
        findings (Sequence[Finding]): Of one file.
        number (int): How many at most.

    Returns:
        list: Position of the annotation or -1, that of the image or -1, and
        what was found, gravest first.
    """
    found: dict[tuple[int, int], list[Finding]] = defaultdict(list)
    # among equals, where the worst of one kind of fault stands first
    rank: dict[tuple[int, int], int] = {}
    for finding in findings:
        for position, place in enumerate(finding.places):
            key = place.annotation, place.image
            if key != (-1, -1):
                found[key].append(finding)
                rank[key] = min(position, rank.get(key, position))
    ranked = sorted(
        found.items(),
        key=lambda item: (-sum(WEIGHTS[one.is_warning] for one in item[1]),
                          rank[item[0]]))
    return [(annotation, image,
             sorted(reasons, key=lambda one: one.is_warning))
            for (annotation, image), reasons in ranked[:number]]


def draw_worst_samples(content: dict[str, Any], paths: Sequence[Path | None],
                       findings: Sequence[Finding], number: int,
                       title: str) -> Array | None:
    """Draw the worst annotations of a file with the reason below each.

    Args:
        content (dict): The annotation file.
        paths (Sequence[Path]): Its pictures.
        findings (Sequence[Finding]): What was found.
        number (int): How many at most.
        title (str): Written on top.

    Returns:
        ndarray: BGR sheet, or None if nothing was found.
    """
    tiles, captions = [], []
    for annotation, image, reasons in worst_samples(findings, number):
        path = paths[image] if image >= 0 else None
        entry = content['annotations'][annotation] if annotation >= 0 else {}
        tile = _draw(path, entry if isinstance(entry, dict) else {})
        color = WARNING if reasons[0].is_warning else ERROR
        tiles.append(cv2.copyMakeBorder(tile, 3, 3, 3, 3, cv2.BORDER_CONSTANT,
                                        value=color))
        first = next(place for place in reasons[0].places
                     if (place.annotation, place.image) == (annotation, image))
        name = first.name.replace('annotation ', '#')
        more = f' (+{len(reasons) - 1})' if len(reasons) > 1 else ''
        captions.append(shorten(
            f'{name}: {reasons[0].field}: {first.found}', CAPTION - len(more),
            placeholder='...') + more)
    if not tiles:
        return None
    return contact_sheet(tiles, 3, _ascii(captions), _ascii([title])[0])


def _draw(path: Path | None, entry: dict[str, Any]) -> Array:
    """One picture, shrunk, with box and points as far as they can be drawn.

    The tile shows the surroundings of the box, so that points are told apart
    in large pictures too.
    """
    picture = None if path is None or not path.is_file() else cv2.imread(
        str(path), cv2.IMREAD_COLOR)
    tile: Array
    if picture is None:
        tile = np.full((TILE * 2 // 3, TILE, 3), 70, np.uint8)
        cv2.putText(tile, 'no picture', (TILE // 2 - 50, TILE // 3),
                    cv2.FONT_HERSHEY_SIMPLEX, .6, (200, 200, 200), 1,
                    cv2.LINE_AA)
        return tile
    points, visibility = _points(entry)
    box = _array(entry.get('bbox'), 4)
    left, top, right, bottom = _window(picture, points, visibility, box)
    scale = min(TILE / (right - left), TILE * 2 / 3 / (bottom - top))
    part = picture[top:bottom, left:right]
    tile = cv2.resize(part, None, fx=scale, fy=scale,
                      interpolation=cv2.INTER_AREA if scale < 1
                      else cv2.INTER_CUBIC)

    def move(places: Array) -> Array:
        return (places - (left, top) + .5) * scale - .5

    boxes = None if box is None else np.r_[
        move(box[:2]), move(box[:2] + box[2:])][None]
    shown = np.where(visibility[:, None] > 0, move(points), np.nan)
    if len(points) == len(NAMES):
        return draw_poses(tile, shown[None],
                          (visibility == 2).astype(float)[None], boxes)
    for x, y in shown[np.isfinite(shown).all(1)]:
        cv2.circle(tile, (round(x), round(y)), 3, (0, 255, 255), cv2.FILLED)
    return tile


def _window(picture: Array, points: Array, visibility: Array,
            box: Array | None) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of box and points with a rim, px."""
    height, width = picture.shape[:2]
    places = points[visibility > 0]
    if box is not None and (box[2:] > 0).all():
        places = np.concatenate([places, [box[:2], box[:2] + box[2:]]])
    side = np.array([width, height])
    inside = places[((places >= -side) & (places <= 2 * side)).all(1)]
    if not len(inside):
        return 0, 0, width, height
    low, high = inside.min(0), inside.max(0)
    rim = .1 * float((high - low).max()) + 4
    left, top = np.clip(low - rim, 0, (width - 2, height - 2)).astype(int)
    right, bottom = np.clip(high + rim, (left + 2, top + 2),
                            (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _points(entry: dict[str, Any]) -> tuple[Array, Array]:
    values = entry.get('keypoints')
    count = len(values) // 3 if isinstance(values, list) else 0
    numbers = _array(values, 3 * count)
    if numbers is None:
        return np.empty((0, 2)), np.empty(0)
    rows = numbers.reshape(-1, 3)
    return rows[:, :2], np.where(np.isfinite(rows).all(1), rows[:, 2], 0)


def _array(values: Any, count: int) -> Array | None:
    """Numbers of a damaged file, if they are numbers at all."""
    try:
        numbers = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    sane = numbers.shape == (count, ) and (
        count != 4 or bool(np.isfinite(numbers).all()))
    return numbers if sane else None


def _ascii(lines: Sequence[str]) -> list[str]:
    """OpenCV's letters are ASCII."""
    return [line.replace('²', '2').encode('ascii', 'replace').decode()
            for line in lines]

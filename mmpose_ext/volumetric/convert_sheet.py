"""A sheet by which one sees whether a converted recording is right."""
from __future__ import annotations

import colorsys

import cv2
import numpy as np

from mmpose_ext.drawing import contact_sheet
from mmpose_ext.storage import VideoReader
from mmpose_ext.volumetric.convert_sources import CameraSession

Array = np.ndarray
_ROWS = 3
_SIDE = 300  # px of a tile
_ROOM = 1.6  # of the animal's extent


def draw_session(session: CameraSession) -> Array:
    """Every view of some frames, cut out round the reprojected animal.

    Args:
        session (CameraSession): The recording; without points the whole
            pictures are shown.

    Returns:
        ndarray: (H, W, 3) uint8, BGR.
    """
    rows = np.arange(0)
    frames = np.unique(np.linspace(0, session.num_frames - 1, _ROWS + 2)[
        1:-1].astype(int))
    if len(session.points):
        seen = np.flatnonzero(np.isfinite(session.points).all(-1).any((1, 2)))
        rows = np.unique(seen[np.linspace(0, len(seen) - 1,
                                          _ROWS).astype(int)])
        frames = session.frames[rows]
    pixels, _ = session.cameras.project(session.points[rows])
    tiles, captions = [], []
    pictures = []
    for path in session.videos:
        with VideoReader(path) as video:
            pictures.append([video.read(int(frame)) for frame in frames])
    for row, frame in enumerate(frames):
        for view, name in enumerate(session.cameras.names):
            picture = pictures[view][row]
            tiles.append(_tile(picture, pixels[view][row], session)
                         if len(rows) else _shrink(picture))
            captions.append(f'{name}, frame {frame}')
    return contact_sheet(tiles, len(session.videos), captions,
                         session.folder.name)


def _tile(picture: Array, pixels: Array, session: CameraSession) -> Array:
    """The square round all individuals, with their skeletons.

    Args:
        picture (ndarray): (H, W, 3) BGR.
        pixels (ndarray): (I, K, 2), NaN = missing.
        session (CameraSession): For the edges.
    """
    known = pixels[np.isfinite(pixels).all(-1)]
    if not len(known):
        return _shrink(picture)
    low, high = known.min(0), known.max(0)
    side = max(float((high - low).max()) * _ROOM, 32.)
    corner = (low + high) / 2 - side / 2
    factor = _SIDE / side
    # Pixel centres lie at integers: the tile's first is half a step in.
    move = np.array([[factor, 0, factor * (.5 - corner[0]) - .5],
                     [0, factor, factor * (.5 - corner[1]) - .5]])
    tile = cv2.warpAffine(
        picture, move, (_SIDE, _SIDE),
        flags=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    placed = pixels @ move[:, :2].T + move[:, 2]
    assert session.skeleton is not None
    for points in placed:
        for first, second in session.skeleton.edges:
            if np.isfinite(points[[first, second]]).all():
                cv2.line(tile, _pair(points[first]), _pair(points[second]),
                         (255, 255, 255), 1, cv2.LINE_AA)
        for index, point in enumerate(points):
            if np.isfinite(point).all():
                cv2.circle(tile, _pair(point), 3,
                           _color(index, len(points)), -1, cv2.LINE_AA)
    return tile


def _shrink(picture: Array) -> Array:
    factor = _SIDE / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=factor, fy=factor,
                      interpolation=cv2.INTER_AREA)


def _pair(point: Array) -> tuple[int, int]:
    x, y = np.clip(np.rint(point), -10000, 10000)
    return int(x), int(y)


def _color(index: int, count: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(index / count, .9, 1.)
    return int(blue * 255), int(green * 255), int(red * 255)

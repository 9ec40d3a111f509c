"""A sheet by which one sees whether a converted recording is right."""
from __future__ import annotations

import colorsys

import cv2
import numpy as np

from mmpose_ext.drawing import contact_sheet
from mmpose_ext.storage import VideoReader
from mmpose_ext.volumetric.convert_sources import CameraSession
from mmpose_ext.volumetric.pose_drawing import (
    PoseStyle,
    crop_matrix,
    cut_tile,
    draw_pose,
    move_pixels,
)

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
    size = (_SIDE, _SIDE)
    matrix = crop_matrix(corner, np.full(2, side), size)
    tile = cut_tile(picture, matrix, size)
    assert session.skeleton is not None
    style = _style(len(session.skeleton.names), session.skeleton.edges)
    for points in pixels:
        draw_pose(tile, move_pixels(matrix, points), style)
    return tile


def _shrink(picture: Array) -> Array:
    factor = _SIDE / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=factor, fy=factor,
                      interpolation=cv2.INTER_AREA)


def _style(count: int, edges: Array) -> PoseStyle:
    """Each point has a colour of its own: names may not tell a side."""
    return PoseStyle(
        tuple((int(first), int(second)) for first, second in edges),
        tuple(_color(index, count) for index in range(count)),
        ((255, 255, 255), ) * len(edges))


def _color(index: int, count: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(index / count, .9, 1.)
    return int(blue * 255), int(green * 255), int(red * 255)

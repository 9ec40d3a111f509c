"""Tracks of animals drawn over time: what a window or a bout looks like."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.behavior.bouts import Bouts
from mmpose_ext.behavior.canvas import (
    animal_color,
    new_figure,
)
from mmpose_ext.drawing.figures import save_figure

Array = np.ndarray

_BODIES = 6  # drawn of each animal over the time shown
_FRONT = ('nose', 'snout', 'head', 'beak', 'rostrum')
_TILE = 1.75  # inches
_LONGEST_S = 4.  # of a bout that is drawn
_LEAST_COLUMNS = 3  # so that there is room for title and key
_PAD_SHARE = .12  # about what is drawn, of its size


@dataclass(frozen=True)
class TrackStyle:
    """How animals are drawn.

    Attributes:
        individuals: N names.
        keypoints: K names; one that names the front is marked.
    """

    individuals: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()

    @property
    def front(self) -> int | None:
        """Number of the foremost keypoint, if its name tells."""
        return next((i for name in _FRONT
                     for i, keypoint in enumerate(self.keypoints)
                     if name in keypoint.lower()), None)


def draw_tracks(axis: Any, tracks: Array, style: TrackStyle,
                bodies: int = _BODIES) -> None:
    """Draw how animals moved: paths, and bodies that fade into the past.

    Args:
        axis (Axes): Where to draw.
        tracks (ndarray): (T, N, K, S), NaN missing; of three axes the first
            two are shown.
        style (TrackStyle): How.
        bodies (int): Bodies of each animal. Defaults to 6.
    """
    flat = np.asarray(tracks[..., :2], np.float64)
    times = np.unique(np.linspace(0, len(flat) - 1, bodies).round().astype(
        int))
    fades = .15 + .85 * times / max(len(flat) - 1, 1)
    for number in range(flat.shape[1]):
        color = animal_color(number)
        _draw_path(axis, flat[:, number], color)
        _draw_bodies(axis, flat[times, number], color, fades, style.front)
    frame_tracks(axis, flat)


def frame_tracks(axis: Any, flat: Array, half: float = 0.) -> None:
    """Show what was drawn, equal in both axes; y goes down, as in pictures.

    Args:
        axis (Axes): Where.
        flat (ndarray): (T, N, K, 2).
        half (float): Half the side of what is shown, at least. Defaults to
            0: what is needed.
    """
    points = flat.reshape(-1, 2)
    points = points[np.isfinite(points).all(1)]
    if len(points):
        low, high = points.min(0), points.max(0)
        middle = (low + high) / 2
        need = max(float((high - low).max()) / 2 * (1 + 2 * _PAD_SHARE), 1e-6)
        side = max(half, need)
        axis.set_xlim(middle[0] - side, middle[0] + side)
        axis.set_ylim(middle[1] + side, middle[1] - side)
    axis.set_aspect('equal')
    axis.set_xticks([])
    axis.set_yticks([])


def draw_motif_sheet(path: Path,
                     names: Sequence[str],
                     examples: Mapping[int, Sequence[tuple[Array, str]]],
                     style: TrackStyle,
                     columns: int,
                     title: str = '') -> None:
    """Draw a row of example bouts for each motif, all at one scale.

    Args:
        path (Path): Picture to write.
        names (Sequence[str]): Of motifs.
        examples (Mapping): Number of a motif to bouts: tracks (T, N, K, S)
            and a caption.
        style (TrackStyle): How.
        columns (int): Bouts in a row.
        title (str): Defaults to ''.
    """
    rows = [number for number in examples if examples[number]]
    columns = min(columns, max([len(examples[i]) for i in rows], default=1))
    columns = max(columns, _LEAST_COLUMNS)
    head, foot = .55, .3
    height = head + foot + len(rows) * (_TILE + .22)
    width = columns * (_TILE + .1) + 1.3
    figure = new_figure(width, height)
    half = _common_half([tracks for number in rows
                         for tracks, _ in examples[number]])
    for row, number in enumerate(rows):
        bottom = height - head - (row + 1) * (_TILE + .22)
        figure.text(1.15 / width, (bottom + _TILE / 2) / height,
                    names[number], ha='right', va='center', fontsize=10,
                    fontweight='bold')
        for column, (tracks, caption) in enumerate(
                examples[number][:columns]):
            axis = figure.add_axes((
                (1.25 + column * (_TILE + .1)) / width, bottom / height,
                _TILE / width, _TILE / height))
            draw_tracks(axis, tracks, style)
            frame_tracks(axis, np.asarray(tracks[..., :2], float), half)
            for spine in axis.spines.values():
                spine.set_color('#BBBBBB')
            axis.set_title(caption, fontsize=7, pad=2, color='#555555')
    _draw_key(figure, style, half, height, title)
    save_figure(figure, path)


def choose_bouts(bouts: Bouts, number: int, count: int,
                 least: int = 2) -> Array:
    """Some bouts of a class that are typical: about its median length.

    Args:
        bouts (Bouts): All of them.
        number (int): Of the class.
        count (int): How many at most.
        least (int): Frames of a bout that is drawn. Defaults to 2.

    Returns:
        ndarray: Places among `bouts`, spread over the time, in its order.
    """
    rows = np.flatnonzero((bouts.classes == number)
                          & (bouts.lengths >= least))
    if len(rows) <= count:
        return rows
    lengths = bouts.lengths[rows]
    # of the longer half, so that there is something to see
    near = rows[lengths >= np.median(lengths)]
    order = np.argsort(bouts.lengths[near], kind='stable')
    near = np.sort(near[order[:max(count, math.ceil(.6 * len(near)))]])
    picked = np.linspace(0, len(near) - 1, min(count, len(near)))
    return np.asarray(near[picked.round().astype(int)])


def cut_bout(tracks: Array, start: int, stop: int, fps: float) -> Array:
    """Frames of a bout, of a long one those in its middle."""
    most = max(int(_LONGEST_S * fps), 2)
    if stop - start > most:
        start += (stop - start - most) // 2
        stop = start + most
    return np.asarray(tracks[start:stop])


def _draw_path(axis: Any, points: Array, color: str) -> None:
    """The course of a body's middle, fading into the past."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba
    known = np.isfinite(points).all(-1)
    count = known.sum(1)
    total = np.where(known[..., None], points, 0).sum(1)
    middle = np.where(count[:, None] > 0,
                      total / np.maximum(count, 1)[:, None], np.nan)
    parts = np.stack([middle[:-1], middle[1:]], 1)
    there = np.isfinite(parts).all((1, 2))
    fade = np.linspace(.1, 1, max(len(parts), 1))[:len(parts)]
    axis.add_collection(LineCollection(
        list(parts[there]), linewidths=1.3, zorder=2,
        colors=[to_rgba(color, alpha) for alpha in fade[there]]))


def _draw_bodies(axis: Any, points: Array, color: str, fades: Array,
                 front: int | None) -> None:
    """Bodies of an animal: hulls, points, and the front as a larger dot.

    One collection of each kind: artists are what drawing takes its time for.

    Args:
        axis (Axes): Where.
        points (ndarray): (n, K, 2), NaN missing.
        color (str): Of the animal.
        fades (ndarray): (n,) how strong each is.
        front (int, optional): Number of the foremost keypoint.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb
    known = np.isfinite(points).all(-1)
    rgb = to_rgb(color)
    tints = np.array([(*rgb, fade) for fade in fades])
    hulls = [_hull(body[seen]) for body, seen in zip(points, known,
                                                     strict=True)]
    solid = [i for i, hull in enumerate(hulls) if len(hull) >= 3]
    axis.add_collection(PolyCollection(
        [hulls[i] for i in solid], linewidths=.7, zorder=1,
        facecolors=tints[solid] * (1, 1, 1, .35),
        edgecolors=tints[solid] * (1, 1, 1, .35)))
    axis.scatter(*points[known].T, s=3, zorder=3, linewidths=0,
                 c=np.repeat(tints, known.sum(1), 0))
    if front is not None and known[:, front].any():
        seen = known[:, front]
        axis.scatter(*points[seen, front].T, s=14, c=tints[seen], zorder=4,
                     edgecolors=[(.13, .13, .13, fade)
                                 for fade in fades[seen]], linewidths=.5)


def _hull(points: Array) -> Array:
    """Corners of the convex hull of points (n, 2), in their order."""
    if len(points) < 3:
        return points
    order = points[np.lexsort(points.T[::-1])]
    halves = []
    for way in (order, order[::-1]):
        half: list[Array] = []
        for point in way:
            while len(half) > 1:
                first, second = half[-1] - half[-2], point - half[-2]
                if first[0] * second[1] - first[1] * second[0] > 0:
                    break
                half.pop()
            half.append(point)
        halves += half[:-1]
    return np.array(halves)


def _common_half(tracks: Sequence[Array]) -> float:
    """Half the side that most of the bouts fit into."""
    sizes = []
    for one in tracks:
        points = np.asarray(one[..., :2], float).reshape(-1, 2)
        points = points[np.isfinite(points).all(1)]
        if len(points):
            sizes.append(np.ptp(points, 0).max() / 2 * (1 + 2 * _PAD_SHARE))
    return float(np.percentile(sizes, 60)) if sizes else 1.


def _draw_key(figure: Any, style: TrackStyle, half: float, height: float,
              title: str) -> None:
    """Title, colours of the animals and the scale."""
    from matplotlib.lines import Line2D
    handles = [Line2D([], [], color=animal_color(i), lw=4, label=name)
               for i, name in enumerate(style.individuals)]
    figure.legend(handles=handles, loc='upper right', ncols=min(
        len(handles), 6), fontsize=8, frameon=False,
        bbox_to_anchor=(.99, 1.))
    figure.text(.02, 1 - .3 / height, title, fontsize=11, fontweight='bold',
                va='center')
    figure.text(.02, .12 / height, f'tiles are {2 * half:.3g} wide in the '
                'unit of the tracks, larger where a bout needs it; bodies '
                'fade into the past', fontsize=7, color='#555555',
                va='center')

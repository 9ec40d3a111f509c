"""Embeddings as points of a plane."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.behavior.canvas import (
    class_colors,
    new_figure,
    tidy,
)
from mmpose_ext.behavior.extra_packages import require_packages
from mmpose_ext.drawing.figures import save_figure

Array = np.ndarray

_POINTS = 12000  # drawn at most
_TSNE_POINTS = 4000
_SIDE = 4.6  # inches
_MOST_NAMES = 24  # in a legend


def sample_frames(lengths: Sequence[int], count: int = _POINTS,
                  seed: int = 0) -> Array:
    """Some frames of all records, evenly spaced, as row numbers.

    Args:
        lengths (Sequence[int]): Frames of each record.
        count (int): At most so many.
        seed (int): Decides where they begin. Defaults to 0.
    """
    total = int(sum(lengths))
    step = max(total / count, 1.)
    start = np.random.default_rng(seed).uniform(0, step) if step > 1 else 0.
    rows = (start + step * np.arange(int(np.ceil(total / step)))).astype(int)
    return np.asarray(rows[rows < total])


def principal_plane(values: Array) -> tuple[Array, Array]:
    """Points (n, 2) on the first two principal axes, and their shares."""
    away = values - values.mean(0, dtype=np.float64)
    variances, axes = np.linalg.eigh(away.T @ away)
    axes = axes[:, ::-1][:, :2]
    if axes.shape[1] < 2:
        axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    axes = axes * np.where(axes.sum(0) < 0, -1, 1)
    share = np.append(variances[::-1], 0)[:2] / max(variances.sum(), 1e-30)
    return np.asarray(away @ axes), share


def neighbour_plane(values: Array, seed: int = 0) -> Array:
    """Points (n, 2) such that neighbours stay neighbours (t-SNE).

    Raises:
        DataError: If scikit-learn is not installed.
    """
    require_packages('sklearn')
    from sklearn.manifold import TSNE
    perplexity = min(40., max((len(values) - 1) / 4, 1.))
    points: Array = TSNE(2, perplexity=perplexity, init='pca',
                         random_state=seed).fit_transform(values)
    return points


def draw_embedding_map(path: Path,
                       values: Array,
                       groups: Mapping[str, tuple[Sequence[str], Array]],
                       moments: Array | None = None,
                       tsne: bool = False) -> None:
    """Draw embeddings, once for each way to colour them.

    Args:
        path (Path): Picture to write.
        values (ndarray): (n, D) embeddings of some frames.
        groups (Mapping): Title to class names and (n,) class numbers; below
            0 is none.
        moments (ndarray, optional): (n,) time in each record, to colour by.
            Defaults to None.
        tsne (bool): Whether a second row shows t-SNE of some of the points.
            Defaults to False.
    """
    planes = [('principal axes', np.arange(len(values)))]
    if tsne:
        planes.append(('t-SNE', sample_frames([len(values)], _TSNE_POINTS)))
    panels = len(groups) + (moments is not None)
    figure = new_figure((_SIDE + 1.2) * panels, _SIDE * len(planes) + .2)
    axes = figure.subplots(len(planes), panels, squeeze=False)
    for row, (name, rows) in enumerate(planes):
        if name == 't-SNE':
            points = neighbour_plane(values[rows])
            marks: tuple[str, ...] = ('', '')
        else:
            points, share = principal_plane(values)
            marks = tuple(f'axis {i + 1}, {part:.0%} of the variance'
                          for i, part in enumerate(share))
        limits = np.percentile(points, [.2, 99.8], 0)
        for axis, (title, (names, numbers)) in zip(
                axes[row], groups.items(), strict=False):
            _scatter_groups(axis, points, names, numbers[rows])
            _finish(axis, title, name, marks, limits)
        if moments is not None:
            axis = axes[row, -1]
            dots = axis.scatter(*points.T, c=moments[rows], alpha=.5,
                                s=_dot_size(len(rows)),
                                cmap='viridis', linewidths=0, rasterized=True)
            figure.colorbar(dots, ax=axis, label='time, s', shrink=.7,
                            fraction=.05)
            _finish(axis, 'time', name, marks, limits)
    figure.tight_layout()
    save_figure(figure, path)


def _scatter_groups(axis: Any, points: Array, names: Sequence[str],
                    numbers: Array) -> None:
    """Points coloured by group, drawn in mixed order."""
    colors = np.array([*class_colors(names), '#EEEEEE'])
    order = np.random.default_rng(0).permutation(len(points))
    axis.scatter(*points[order].T, c=colors[numbers[order]],
                 s=_dot_size(len(points)), alpha=.6,
                 linewidths=0, rasterized=True)
    seen = [i for i in range(len(names)) if (numbers == i).any()]
    for i in seen[:_MOST_NAMES]:
        axis.scatter([], [], c=colors[i], s=28, label=names[i])
    axis.legend(loc='center left', bbox_to_anchor=(1, .5), fontsize=8,
                frameon=False, handletextpad=.2, borderaxespad=.3,
                ncols=1 if len(seen) <= 16 else 2)


def _dot_size(count: int) -> float:
    """Area of a dot, pt^2; few may be larger."""
    return float(np.clip(20000 / count, 3, 14))


def _finish(axis: Any, title: str, name: str, marks: Sequence[str],
            limits: Array) -> None:
    tidy(axis, f'{title} ({name})')
    margin = .05 * np.maximum(np.ptp(limits, 0), 1e-9)
    axis.set_xlim(limits[0, 0] - margin[0], limits[1, 0] + margin[0])
    axis.set_ylim(limits[0, 1] - margin[1], limits[1, 1] + margin[1])
    axis.set_xlabel(marks[0], fontsize=8)
    axis.set_ylabel(marks[1], fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])

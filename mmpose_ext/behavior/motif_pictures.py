"""Pictures about motifs: how many, how long, what follows what."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.behavior.bouts import (
    bout_rates,
    find_bouts,
    mean_durations,
    transition_matrix,
)
from mmpose_ext.behavior.canvas import (
    class_colors,
    new_figure,
    tidy,
    write_cells,
)
from mmpose_ext.behavior.class_tables import to_table
from mmpose_ext.behavior.prototypes import Prototypes
from mmpose_ext.drawing.curves import COLORS
from mmpose_ext.drawing.figures import save_figure

Array = np.ndarray


def draw_criteria(path: Path,
                  rows: Sequence[Mapping[str, float]]) -> None:
    """Draw what tells how many motifs there are.

    Args:
        path (Path): Picture to write.
        rows (Sequence[Mapping]): One for each number ``n``: ``bic``,
            ``aic``, ``ll_per_frame``, ``held_out_ll_per_frame`` and
            ``mean_bout``.
    """
    numbers = [row['n'] for row in rows]
    panels = (
        ('information criteria a frame (less is better)',
         {'BIC': [row['bic'] / row['frames'] for row in rows],
          'AIC': [row['aic'] / row['frames'] for row in rows]}, min),
        ('log-likelihood a frame (more is better)',
         {'all records': [row['ll_per_frame'] for row in rows],
          'held-out records': [row['held_out_ll_per_frame']
                               for row in rows]}, max),
        ('mean bout, s', {'mean bout': [row['mean_bout'] for row in rows]},
         None))
    figure = new_figure(13, 3.6)
    for axis, (title, curves, best) in zip(figure.subplots(1, 3), panels,
                                           strict=True):
        for color, (name, values) in zip(COLORS, curves.items(),
                                         strict=False):
            known = np.isfinite(values)
            if not known.any():
                continue
            axis.plot(np.array(numbers)[known], np.array(values)[known], '.-',
                      color=color, label=name)
            if best is not None and name != 'AIC':
                value = best(np.array(values)[known])
                place = numbers[values.index(value)]
                axis.plot(place, value, '*', color='#000000', markersize=13,
                          markerfacecolor='#F0E442', zorder=4,
                          label=f'best at {place:.0f}')
        tidy(axis, title)
        axis.grid(alpha=.25)
        axis.set_xlabel('motifs')
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(fontsize=8, frameon=False)
    axis.set_ylim(bottom=0)
    figure.tight_layout()
    save_figure(figure, path)


def draw_bout_statistics(path: Path, states: Array, lengths: Sequence[int],
                         names: Sequence[str], fps: float,
                         title: str = '') -> None:
    """Draw share, duration and rate of each motif.

    Args:
        path (Path): Picture to write.
        states (ndarray): (T,) numbers; below 0 is none.
        lengths (Sequence[int]): Frames of each record.
        names (Sequence[str]): Of the states.
        fps (float): Frames a second.
        title (str): Defaults to ''.
    """
    labels = to_table(states, len(names))
    bouts = find_bouts(labels, list(lengths))
    colors = class_colors(names)
    panels: tuple[tuple[str, Array], ...] = (
        ('share of the time, %', 100 * labels.mean(0)),
        ('mean bout, s (dots: middle, line: middle half)',
         mean_durations(bouts, len(names), fps)),
        ('bouts a minute', bout_rates(bouts, len(names), len(states), fps)))
    figure = new_figure(13, max(2.6, 1.3 + .2 * len(names)))
    places = np.arange(len(names))
    axes = figure.subplots(1, 3, sharey=True)
    for axis, (what, values) in zip(axes, panels, strict=True):
        axis.barh(places, values, color=colors, height=.75)
        axis.margins(y=.01)
        tidy(axis, what)
        axis.grid(axis='x', alpha=.25)
        axis.set_axisbelow(True)
    for place in places:
        long = bouts.lengths[bouts.classes == place] / fps
        if len(long):
            low, middle, high = np.percentile(long, [25, 50, 75])
            axes[1].plot([low, high], [place, place], color='#333333', lw=1)
            axes[1].plot(middle, place, 'o', color='#333333', markersize=4)
    axes[0].set_yticks(places, names, fontsize=8)
    axes[0].invert_yaxis()
    if title:
        figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    save_figure(figure, path)


def draw_transitions(path: Path, states: Array, lengths: Sequence[int],
                     names: Sequence[str], title: str = '') -> None:
    """Draw which motif is followed by which, staying left out.

    Args:
        path (Path): Picture to write.
        states (ndarray): (T,) numbers; below 0 is none.
        lengths (Sequence[int]): Frames of each record.
        names (Sequence[str]): Of the states.
        title (str): Defaults to ''.
    """
    share = transition_matrix(states, len(names), list(lengths))
    side = max(3.2, 1.6 + .34 * len(names))
    figure = new_figure(side + .8, side)
    axis = figure.subplots()
    picture = axis.imshow(
        np.where(np.eye(len(names), dtype=bool), np.nan, share),
        cmap='magma_r', vmin=0)
    axis.set_facecolor('#EEEEEE')
    if len(names) <= 12:
        write_cells(picture, _per_cent(share))
    size = 9 if len(names) <= 12 else 7
    long = max(map(len, names)) > 3
    axis.set_xticks(range(len(names)), names, fontsize=size,
                    rotation=40 if long else 0, ha='right' if long else
                    'center')
    axis.set_yticks(range(len(names)), names, fontsize=size)
    axis.set_xlabel('next')
    axis.set_ylabel('from')
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    figure.colorbar(picture, ax=axis, shrink=.8, label='share of the changes')
    axis.set_title(title or 'what follows what', fontsize=11, loc='left')
    figure.tight_layout()
    save_figure(figure, path)


def _per_cent(shares: Array) -> list[list[str]]:
    """Shares in whole per cent; '' where that would be 0."""
    return [[f'{100 * share:.0f}' if share >= .005 else '' for share in row]
            for row in shares]


def draw_prototypes(path: Path, found: Prototypes) -> None:
    """Draw distances of motifs in the order of the tree, and silhouettes.

    Args:
        path (Path): Picture to write.
        found (Prototypes): What was selected.
    """
    from scipy.cluster.hierarchy import leaves_list
    from scipy.spatial.distance import squareform
    order = leaves_list(found.links)
    square = squareform(found.distances)[np.ix_(order, order)]
    labels = found.labels[order]
    figure = new_figure(13, 6)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    picture = left.imshow(square, cmap='viridis_r', vmin=0, vmax=1)
    figure.colorbar(picture, ax=left, shrink=.8, label='Jaccard distance')
    edges = np.flatnonzero(np.diff(labels)) + .5
    starts, stops = np.append(-.5, edges), np.append(edges, len(order) - .5)
    for start, stop in zip(starts, stops, strict=True):
        left.plot([start, stop, stop, start, start],
                  [start, start, stop, stop, start], color='#D55E00', lw=1.5)
    rank = {int(motif): place for place, motif in enumerate(order)}
    _mark_prototypes(left, [rank[int(i)] for i in found.chosen],
                     [found.names[i] for i in found.chosen])
    left.set_xticks([])
    tidy(left, f'{len(order)} motifs, {len(found.chosen)} clusters')
    right.plot(found.numbers, found.scores, '.', color='#999999',
               label='mean silhouette')
    right.plot(found.numbers, found.smoothed, '-', color=COLORS[0],
               label='smoothed')
    right.plot(found.numbers[found.best], found.smoothed[found.best], '*',
               color='#000000', markerfacecolor='#F0E442', markersize=14,
               label=f'chosen: {found.numbers[found.best]}')
    right.set_xlabel('clusters')
    right.grid(alpha=.25)
    right.legend(frameon=False, fontsize=9)
    tidy(right, 'how well clusters part')
    figure.tight_layout()
    save_figure(figure, path)


def _mark_prototypes(axis: Any, places: Sequence[int],
                     names: Sequence[str]) -> None:
    order = np.argsort(places)
    axis.set_yticks([places[i] for i in order],
                    [names[i].replace('_', ' ') for i in order], fontsize=7)


def draw_overlap(path: Path, numbers: Array, truth: Array,
                 names: Sequence[str], classes: Sequence[str]) -> None:
    """Draw which annotated behaviour the frames of each motif have.

    Args:
        path (Path): Picture to write.
        numbers (ndarray): (T,) motifs; below 0 is none.
        truth (ndarray): (T,) behaviours; below 0 is none.
        names (Sequence[str]): Of the motifs.
        classes (Sequence[str]): Of the behaviours.
    """
    known = (numbers >= 0) & (truth >= 0)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (numbers[known], truth[known]), 1)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = new_figure(2.2 + .62 * len(classes), 1.5 + .27 * len(names))
    axis = figure.subplots()
    picture = axis.imshow(share, cmap='Blues', vmin=0, vmax=1, aspect='auto')
    write_cells(picture, _per_cent(share))
    axis.set_xticks(range(len(classes)), classes, rotation=35, ha='right',
                    fontsize=9)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    axis.set_title('annotated behaviour of the frames, %', fontsize=10,
                   loc='left')
    figure.tight_layout()
    save_figure(figure, path)

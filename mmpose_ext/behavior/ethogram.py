"""Pictures of which behaviour holds when."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.behavior.canvas import (
    class_colors,
    new_figure,
    tidy,
)
from mmpose_ext.drawing.figures import save_figure

Array = np.ndarray

_BAND = .24  # inches, of a layer
_COLUMNS = 1800  # of a picture: frames of one column are averaged
_MOST_LANES = 40


@dataclass(frozen=True, eq=False)
class EthogramBlock:
    """Classes that share their lanes.

    Attributes:
        classes: C names.
        layers: Name to (T, C) 0 or 1; drawn above each other in each lane,
            truth first.
    """

    classes: Sequence[str]
    layers: Mapping[str, Array]


def draw_ethogram(path: Path,
                  blocks: Sequence[EthogramBlock],
                  fps: float | None = None,
                  title: str = '') -> None:
    """Draw a lane for each class, and all of them in a band on top.

    Where a column of the picture stands for several frames, the colour is as
    strong as the class is frequent among them.

    Args:
        path (Path): Picture to write.
        blocks (Sequence[EthogramBlock]): One below the other, all of T
            frames.
        fps (float, optional): For seconds below. Defaults to None: frames.
        title (str): Defaults to ''.
    """
    frames = len(next(iter(blocks[0].layers.values())))
    end, unit = (frames / fps, 'time, s') if fps else (frames, 'frame')
    if fps and end > 300:
        end, unit = end / 60, 'time, min'
    prepared = [_prepare(block) for block in blocks]
    heights = [height for block, seen, _ in prepared for height in (
        _BAND * len(block.layers),
        (.12 + .14 * len(block.layers)) * max(len(seen), 1))]
    height = sum(heights) + .95 + .14 * len(heights)
    figure = new_figure(14, height)
    axes = figure.subplots(len(heights), 1, sharex=True,
                           height_ratios=heights, squeeze=False)[:, 0]
    for (block, seen, shares), band, lanes in zip(
            prepared, axes[::2], axes[1::2], strict=True):
        _draw_block(band, lanes, block, seen, shares, end)
    tidy(axes[0], title)
    axes[-1].tick_params(bottom=True)
    axes[-1].set_xlabel(unit)
    axes[-1].set_xlim(0, end)
    figure.subplots_adjust(.14, .5 / height, .985, 1 - .35 / height,
                           hspace=.14 * len(heights) / sum(heights))
    save_figure(figure, path)


def _prepare(block: EthogramBlock
             ) -> tuple[EthogramBlock, list[int], list[Array]]:
    """A block, which of its classes occur, and shares by column."""
    shares = [average_columns(labels, _COLUMNS)
              for labels in block.layers.values()]
    seen = [i for i in range(len(block.classes))
            if any(share[:, i].any() for share in shares)][:_MOST_LANES]
    return block, seen, shares


def _draw_block(band: Any, lanes: Any, block: EthogramBlock,
                seen: Sequence[int], shares: Sequence[Array],
                end: float) -> None:
    from matplotlib.colors import to_rgba_array
    names = list(block.layers)
    rgb = to_rgba_array(class_colors(block.classes))[:, :3]
    for row, share in enumerate(shares):
        _draw_band(band, row, share, rgb, end)
    band.set_ylim(len(names), 0)
    band.set_yticks(np.arange(len(names)) + .5, names, fontsize=9)
    step = .84 / len(names)
    for lane, number in enumerate(seen):
        for row, share in enumerate(shares):
            top = lane + .08 + step * row
            _draw_lane(lanes, top, top + step * .92, share[:, number],
                       rgb[number], end)
    lanes.set_ylim(max(len(seen), 1), 0)
    lanes.set_yticks(
        np.arange(len(seen)) + .5,
        [_label(block.classes[i], [float(np.mean(labels[:, i]))
                                   for labels in block.layers.values()])
         for i in seen], fontsize=8)
    for axis in (band, lanes):
        tidy(axis)
        axis.tick_params(left=False, bottom=False)
    lanes.grid(axis='x', alpha=.25)


def average_columns(labels: Array, columns: int) -> Array:
    """Share of each class in stretches of equal length.

    Args:
        labels (ndarray): (T, C).
        columns (int): At most so many stretches.

    Returns:
        ndarray: (n, C) float64, n the smaller of T and `columns`.
    """
    count = min(len(labels), columns)
    edges = np.arange(count) * len(labels) // count
    sizes = np.diff(np.append(edges, len(labels)))
    return np.add.reduceat(labels, edges, 0, dtype=np.float64) / sizes[:,
                                                                       None]


def _draw_band(axis: Any, row: int, share: Array, rgb: Array,
               end: float) -> None:
    """All classes of a layer in one strip, colours mixed by share."""
    total = share.sum(1, keepdims=True)
    mixed = np.where(total > 0, share @ rgb / np.maximum(total, 1e-9), 1)
    weight = np.minimum(total, 1)
    axis.imshow((mixed * weight + 1 - weight)[None], aspect='auto',
                extent=(0, end, row + .95, row + .05),
                interpolation='nearest')


def _draw_lane(axis: Any, top: float, bottom: float, share: Array,
               rgb: Array, end: float) -> None:
    picture = np.empty((1, len(share), 4))
    picture[..., :3] = rgb
    # a short bout is to be seen too
    picture[0, :, 3] = np.where(share > 0, .25 + .75 * share, 0)
    axis.imshow(picture, aspect='auto', extent=(0, end, bottom, top),
                interpolation='nearest', zorder=2)


def _label(name: str, shares: Sequence[float]) -> str:
    return f'{name}  ' + ' / '.join(f'{share:.0%}' for share in shares)

"""Pictures of what is taken for what."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmpose_ext.behavior.canvas import new_figure, write_cells
from mmpose_ext.drawing.figures import save_figure

Array = np.ndarray

_COLUMNS = 4


def draw_confusions(
        path: Path,
        tables: Mapping[str, tuple[Sequence[str], Array]]) -> None:
    """Draw confusion matrices: shares of each true class.

    Args:
        path (Path): Picture to write.
        tables (Mapping): Title to class names and (C, C) counts, truth by
            row.
    """
    largest = max(len(names) for names, _ in tables.values())
    side = max(2.6, .55 * largest + 1.3)
    columns = min(_COLUMNS, len(tables))
    rows = math.ceil(len(tables) / columns)
    figure = new_figure(side * columns + .3, side * rows + .2)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(tables):]:
        axis.set_visible(False)
    for axis, (title, (names, counts)) in zip(axes, tables.items(),
                                              strict=False):
        counts = np.asarray(counts)
        total = counts.sum(1, keepdims=True)
        share = counts / np.maximum(total, 1)
        picture = axis.imshow(share, cmap='Blues', vmin=0, vmax=1)
        size = 9 if len(names) <= 6 else 7
        texts = [[f'{part:.0%}' + (f'\n{count:,}' if len(names) <= 4 else '')
                  for part, count in zip(*rows, strict=True)]
                 for rows in zip(share, counts, strict=True)]
        write_cells(picture, texts, size)
        axis.set_xticks(range(len(names)), names, fontsize=size,
                        rotation=0 if len(names) <= 4 else 40,
                        ha='center' if len(names) <= 4 else 'right')
        axis.set_yticks(range(len(names)), names, fontsize=size)
        axis.set_xlabel('answer', fontsize=9)
        axis.set_ylabel('truth', fontsize=9)
        axis.set_title(title, fontsize=11, fontweight='bold', loc='left')
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
    figure.tight_layout()
    save_figure(figure, path)

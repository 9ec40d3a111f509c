"""Matplotlib's figures without a display, written whole or not at all."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mmpose_ext.storage import atomic_file


def new_figure(width: float, height: float, dpi: int = 100,
               **options: Any) -> Any:
    """An empty figure.

    Args:
        width (float): Inches.
        height (float): Inches.
        dpi (int): Pixels an inch. Defaults to 100.
        **options: Of ``matplotlib.figure.Figure``, such as ``layout``.
    """
    # imported here, for it takes time
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), dpi=dpi, **options)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure; the file's ending decides the format, none is PNG."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip('.') or 'png')

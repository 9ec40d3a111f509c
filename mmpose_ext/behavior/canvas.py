"""Figures without a display, and the colours of classes and animals."""
from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmpose_ext.drawing import figures
from mmpose_ext.drawing.curves import COLORS

Array = np.ndarray

OTHER_COLOR = '#D9D9D9'
_FINE = 6  # of the first colours, which the colour-blind tell apart
_GOLDEN = .618034  # of the circle of hues, from one colour to the next
_INK = '#222222'
_LIGHT = .21  # luminance of what is written on in dark


def new_figure(width: float, height: float, dpi: int = 110) -> Any:
    """A figure, size in inches."""
    return figures.new_figure(width, height, dpi)


def to_picture(figure: Any) -> Array:
    """A figure as (H, W, 3) uint8, BGR."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())
    return np.ascontiguousarray(pixels[..., 2::-1])


def class_colors(names: Sequence[str]) -> list[str]:
    """A colour for each class, ``other`` a light grey.

    The first ones are told apart by the colour-blind.
    """
    colors = []
    fine = COLORS[:_FINE]
    for name in names:
        if name.lower() in ('other', 'none', 'background'):
            colors.append(OTHER_COLOR)
            continue
        used = sum(color != OTHER_COLOR for color in colors)
        if used < len(fine):
            colors.append(fine[used])
            continue
        step = used - len(fine)
        red, green, blue = colorsys.hls_to_rgb(
            (.05 + _GOLDEN * step) % 1, (.35, .5, .65)[step % 3], .6)
        colors.append('#%02X%02X%02X' % (  # noqa: UP031
            round(255 * red), round(255 * green), round(255 * blue)))
    return colors


def animal_color(number: int) -> str:
    """The colour of an individual, by its number."""
    return COLORS[number % _FINE]


def write_cells(picture: Any, texts: Sequence[Sequence[str]],
                size: float = 8) -> None:
    """Write into the cells of a matrix, dark or white as can be read.

    Args:
        picture (AxesImage): The matrix, as ``imshow`` draws it.
        texts (Sequence[Sequence[str]]): A row a row; '' leaves a cell alone.
        size (float): Of the letters, pt. Defaults to 8.
    """
    colors = picture.cmap(picture.norm(picture.get_array()))[..., :3]
    # as the eye adds colours up; at the limit both inks contrast alike
    light = colors**2.2 @ (.2126, .7152, .0722) > _LIGHT
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            if text:
                picture.axes.text(
                    j, i, text, ha='center', va='center', fontsize=size,
                    color=_INK if light[i, j] else 'white')


def tidy(axis: Any, title: str = '') -> None:
    """Take the upper and right border away, and write a title."""
    axis.spines[['top', 'right']].set_visible(False)
    if title:
        axis.set_title(title, loc='left', fontsize=10, fontweight='bold')

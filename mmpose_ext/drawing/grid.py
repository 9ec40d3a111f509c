"""Pictures in rows and columns."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mmpose_ext.storage import atomic_file

Array = np.ndarray
Color = tuple[int, int, int]

BACKGROUND: Color = (32, 32, 32)
_TEXT: Color = (235, 235, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPTION = 20  # px, height of a line of text
_TITLE = 34
_SMALLEST = .1  # scale of letters


def write_picture(path: Path, picture: Array) -> None:
    """Write a picture, whole or not at all.

    Args:
        path (Path): Its ending tells the format.
        picture (ndarray): (H, W, 3) BGR or (H, W) grey, uint8.

    Raises:
        OSError: If it cannot be written.
    """
    with atomic_file(path) as temporary:
        if not cv2.imwrite(str(temporary), picture):
            raise OSError(f'{path} cannot be written')


def contact_sheet(tiles: Sequence[Array],
                  columns: int,
                  captions: Sequence[str] | None = None,
                  title: str = '',
                  gap: int = 6,
                  background: Color = BACKGROUND) -> Array:
    """Lay out pictures in rows, each in the middle of an equal cell.

    Args:
        tiles (Sequence[ndarray]): At least one picture, (H, W) grey or
            (H, W, 3) BGR, uint8; sizes may differ.
        columns (int): Pictures in a row.
        captions (Sequence[str], optional): One below each picture, shrunk
            to its width. Defaults to None.
        title (str): Written on top. Defaults to ''.
        gap (int): Between pictures and round the sheet, px. Defaults to 6.
        background (tuple[int, int, int]): BGR. Defaults to a dark grey.

    Returns:
        ndarray: (H, W, 3) uint8, BGR.

    Raises:
        ValueError: If there is no picture, no column, or not one caption a
            picture.
    """
    if not len(tiles) or columns < 1:
        raise ValueError('a sheet needs pictures and columns, not '
                         f'{len(tiles)} and {columns}')
    if captions is not None and len(captions) != len(tiles):
        raise ValueError(
            f'{len(captions)} captions for {len(tiles)} pictures')
    columns = min(columns, len(tiles))
    height = max(tile.shape[0] for tile in tiles)
    width = max(tile.shape[1] for tile in tiles)
    top = gap + (_TITLE if title else 0)
    step_y = height + gap + (_CAPTION if captions is not None else 0)
    step_x = width + gap
    rows = -(-len(tiles) // columns)
    sheet = np.empty((top + rows * step_y, gap + columns * step_x, 3),
                     np.uint8)
    sheet[:] = background
    if title:
        _write(sheet, title, gap, gap + _TITLE - 14, sheet.shape[1] - 2 * gap,
               .7)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        y = top + row * step_y + (height - tile.shape[0]) // 2
        x = gap + column * step_x + (width - tile.shape[1]) // 2
        if tile.ndim == 2:
            tile = cv2.cvtColor(tile, cv2.COLOR_GRAY2BGR)
        sheet[y:y + tile.shape[0], x:x + tile.shape[1]] = tile
        if captions is not None:
            _write(sheet, captions[i], gap + column * step_x,
                   top + row * step_y + height + _CAPTION - 6, width, .45)
    return sheet


def _write(sheet: Array, text: str, x: int, y: int, width: int,
           scale: float) -> None:
    """Write a line, smaller if it would be wider than `width` px."""
    # letters come in steps of size: one calculated could be the next larger
    while (scale > _SMALLEST and
           cv2.getTextSize(text, _FONT, scale, 1)[0][0] > width):
        scale -= .02
    cv2.putText(sheet, text, (x, y), _FONT, scale, _TEXT, 1, cv2.LINE_AA)

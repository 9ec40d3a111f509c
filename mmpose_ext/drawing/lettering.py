"""Lines of text on pictures."""
from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray
Color = tuple[int, int, int]

EDGE: Color = (25, 25, 25)
TEXT: Color = (235, 235, 235)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def write_line(canvas: Array, text: str, x: int, y: int, scale: float = .45,
               color: Color = TEXT) -> int:
    """Write text that can be read on any ground.

    Args:
        canvas (ndarray): (H, W, 3), drawn into.
        text (str): One line.
        x (int): Its left end, px.
        y (int): Its base line, px.
        scale (float): Of the letters. Defaults to .45.
        color (tuple[int, int, int]): BGR. Defaults to near white.

    Returns:
        int: Where it ends, px.
    """
    # a shadow; thicker letters would be wider ones
    for dx, dy, shade in ((1, 1, EDGE), (-1, 0, EDGE), (0, 0, color)):
        cv2.putText(canvas, text, (x + dx, y + dy), FONT, scale, shade, 1,
                    cv2.LINE_AA)
    return x + cv2.getTextSize(text, FONT, scale, 1)[0][0]

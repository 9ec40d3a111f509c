"""Pictures in files, however damaged."""
from __future__ import annotations

import cv2
import numpy as np

from .checks import StrPath


def read_picture(path: StrPath, flags: int) -> np.ndarray | None:
    """Read a picture.

    Args:
        path (str | Path): The file.
        flags (int): As in ``cv2.imread``.

    Returns:
        np.ndarray | None: None if it cannot be read, also where OpenCV
        raises an error: at a header that claims a billion pixels.
    """
    try:
        return cv2.imread(str(path), flags)
    except cv2.error:
        return None


def decode_picture(content: np.ndarray, flags: int) -> np.ndarray | None:
    """As :func:`read_picture`, from the bytes of a file, uint8 (N,)."""
    try:
        return cv2.imdecode(content, flags)
    except cv2.error:
        return None

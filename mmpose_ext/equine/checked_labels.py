"""Annotations of a file that passed its checks, as arrays."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.equine.findings import Finding, Place

Array = np.ndarray


@dataclass(frozen=True)
class Labels:
    """The annotations of a file that can be understood; N of them.

    Attributes:
        file: The annotation file.
        images: The list of images as it stands in the file.
        rows: Positions in the file's list of annotations, (N,).
        places: Names of the annotations for messages.
        image_rows: Positions in `images`, (N,).
        points: px, (N, K, 2).
        visibility: 0 absent, 1 occluded, 2 visible, (N, K).
        boxes: x, y, width, height in px, (N, 4).
        sizes: Width and height of the image as the file has them, (N, 2).
        areas: px², (N,); NaN where the file has none.
        names: Of the K keypoints, in order.
    """

    file: Path
    images: Sequence[Mapping[str, Any]]
    rows: Array
    places: tuple[str, ...]
    image_rows: Array
    points: Array
    visibility: Array
    boxes: Array
    sizes: Array
    areas: Array
    names: tuple[str, ...]

    def finding(self, mask: Array, field: str, expected: str,
                found: Callable[[int], str], hint: str = '',
                scores: Array | None = None) -> list[Finding]:
        """A warning of the annotations (N,) where `mask` is True.

        Args:
            mask (ndarray): (N,).
            field (str): What is odd of the annotation.
            expected (str): What should be there.
            found (Callable): From a position 0 to N - 1 to what is there.
            hint (str): How to mend it. Defaults to ''.
            scores (ndarray, optional): (N,); the highest is named first.
                Defaults to None, the order of the file.

        Returns:
            list: The finding, or nothing.
        """
        rows = np.flatnonzero(mask)
        if scores is not None:
            rows = rows[np.argsort(-scores[rows], kind='stable')]
        places = tuple(
            Place(self.places[i], found(i), int(self.image_rows[i]),
                  int(self.rows[i])) for i in map(int, rows))
        return [
            Finding(self.file, field, expected, places, hint, is_warning=True)
        ] if places else []

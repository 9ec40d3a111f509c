"""What is to be predicted: photographs, maybe those of an index."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmpose_ext.handobject.box_files import read_boxes
from mmpose_ext.handobject.index_files import (
    BOX_COLUMNS,
    HandObjectIndex,
    read_index,
)
from mmpose_ext.handobject.photographs import Photograph, photographs_of
from mmpose_ext.storage import DataError

Array = np.ndarray

INDEX_SUFFIX = '.npz'


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be predicted.

    Attributes:
        photographs: In order.
        index: Where they are from, if they are.
        rows: (N,) their rows of the index; empty without one.
        root: Folder that their names are relative to.
    """

    photographs: Sequence[Photograph]
    index: HandObjectIndex | None
    rows: Array
    root: Path

    def truth(self) -> Array | None:
        """Labelled joints (N, 21, 3) m; None without an index."""
        if self.index is None:
            return None
        return np.asarray(self.index['joints_cam'][self.rows])


def open_index(config: Config, path: Path, root: Path | None = None,
               every: int = 1, limit: int | None = None,
               boxes: Path | None = None) -> Task:
    """Frames of an index that show a hand.

    Args:
        config (Config): Of the training; its test data set says which of
            the labelled boxes are looked at.
        path (Path): The index.
        root (Path, optional): Folder of its pictures. Defaults to None: see
            :func:`root_of_index`.
        every (int): Frames whose number this divides. Defaults to 1.
        limit (int, optional): At most so many, evenly spread. Defaults to
            None.
        boxes (Path, optional): File with other boxes. Defaults to None.

    Raises:
        DataError: If the index is damaged, or none of its frames is left.
    """
    index = read_index(path)
    root = root_of_index(path, root)
    index.check_root(root)
    rows = np.flatnonzero(index['hand_valid'] & (index['frame'] % every == 0))
    if not len(rows):
        raise DataError(path, 'hand_valid', 'frames with a hand', 'none')
    if limit is not None:
        rows = rows[spread(len(rows), limit)]
    mode = config.test_dataloader.dataset.get('bbox_mode', 'hand')
    column: str | Array = BOX_COLUMNS[mode]
    if boxes is not None:
        column, _ = read_boxes(boxes, index['id'][rows])
    return Task(photographs_of(index, rows, root, column), index, rows, root)


def spread(total: int, count: int) -> list[int]:
    """At most `count` numbers below `total`, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(
        int)).tolist()


def root_of_index(path: Path, root: Path | None) -> Path:
    """Data root of an index; see ``--data-root``."""
    if root is not None:
        return root
    folder = path.absolute().parent
    return folder.parent if folder.name == 'index' else folder

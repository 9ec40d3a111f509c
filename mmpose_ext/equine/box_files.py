"""Files that say where the horses are.

CSV with the columns ``image,x,y,w,h`` and, if there are any, ``frame`` and
``score``; or JSON, a list of ``{"image": NAME, "bbox": [x, y, w, h]}`` with,
if there are any, ``frame`` and ``score``. In place of ``image`` may stand
``image_id``, so that detections in COCO's format do as well. Boxes are in px
of the picture. ``image`` is a path relative to the input, a whole path, or the
bare name of a file; for one picture or a video it may be left out.
"""
from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError, check_file, check_keys, read_json

Array = np.ndarray


class BoxFile:
    """Boxes by picture.

    Args:
        path (Path): A .csv or .json file.

    Raises:
        DataError: If it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = check_file(path, ['.csv', '.json'])
        rows = (self._read_csv()
                if path.suffix.lower() == '.csv' else self._read_json())
        self._boxes: dict[tuple[str | int, int], list[list[float]]] = {}
        for where, row in rows:
            name, frame, values = self._check(where, row)
            self._boxes.setdefault((name, frame), []).append(values)

    def boxes_of(self, name: str, path: Path, image_id: int,
                 frame: int = 0) -> tuple[Array, Array]:
        """Boxes of a picture.

        Args:
            name (str): Its path relative to the input.
            path (Path): Where it lies.
            image_id (int): Its number.
            frame (int): Index in a video. Defaults to 0.

        Returns:
            tuple: Boxes (N, 4) as x1, y1, x2, y2 px, and scores (N,), both
            float32.
        """
        keys = [(key, frame)
                for key in (name, str(path), path.name, image_id, '')]
        rows = next((self._boxes[key] for key in keys if key in self._boxes),
                    [])
        values = np.array(rows, np.float32).reshape(-1, 5)
        boxes = values[:, :4].copy()
        boxes[:, 2:] += boxes[:, :2]
        return boxes, values[:, 4]

    def _read_csv(self) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            with self.path.open(newline='', encoding='utf-8-sig') as file:
                reader = csv.DictReader(file)
                check_keys(reader.fieldnames or (), 'xywh', self.path)
                for row in reader:
                    box = [row[key] for key in 'xywh']
                    yield f'line {reader.line_num}', {**row, 'bbox': box}
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(self.path, 'file', 'a CSV table',
                            str(error)) from error

    def _read_json(self) -> Iterator[tuple[str, dict[str, Any]]]:
        content = read_json(self.path)
        if not isinstance(content, list) or not all(
                isinstance(row, dict) for row in content):
            raise DataError(self.path, 'file', 'a list of objects',
                            f'a {type(content).__name__}')
        for i, row in enumerate(content):
            check_keys(row, ['bbox'], self.path)
            yield f'entry {i}', row

    def _check(self, where: str, row: dict[str, Any]
               ) -> tuple[str | int, int, list[float]]:
        """Name, frame and x, y, w, h, score of a row."""
        try:
            x, y, w, h = (float(value) for value in row['bbox'])
            # empty cells of a table count as absent; the number 0 does not
            given = {key: value for key, value in row.items()
                     if value is not None and value != ''}
            score = float(given.get('score', 1))
            frame = int(given.get('frame', 0))
            name = (str(given['image']) if 'image' in given else
                    int(given['image_id']) if 'image_id' in given else '')
        except (TypeError, ValueError) as error:
            raise DataError(self.path, where,
                            'a box of four numbers, a numeric score and frame',
                            str(row)[:80]) from error
        values = [x, y, w, h, score]
        if not all(map(math.isfinite, values)) or w <= 0 or h <= 0:
            raise DataError(self.path, where,
                            'finite numbers, a positive width and height',
                            str(values))
        return name, frame, values

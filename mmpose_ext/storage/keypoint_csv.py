"""Labels as a table with one point a line: ``file,name,x,y[,v]``."""
from __future__ import annotations

import csv
import io
from pathlib import Path

from .checks import StrPath, check_file
from .errors import DataError
from .labels import (
    ABSENT,
    VISIBLE,
    ImageFolder,
    LabelledImage,
    LabelSet,
    Point,
    collect_names,
    gather_points,
    read_number,
)

COLUMNS = ('file', 'name', 'x', 'y')


def read_keypoint_csv(path: StrPath,
                      image_root: StrPath | None = None) -> LabelSet:
    """Read a table of points, one animal a picture.

    Args:
        path (str | Path): The .csv. Its header names the columns ``file``,
            ``name``, ``x`` and ``y`` (px) and, if wanted, ``v`` (0 absent,
            1 occluded, 2 visible; 2 where the cell is empty); others are
            passed over.
        image_root (str | Path, optional): Folder of the pictures. Defaults
            to None (the folder of the table).

    Raises:
        DataError: If the table is damaged, a point comes twice, or a
            picture is not on the disk; names the line.
    """
    path = check_file(path, ['.csv'])
    folder = ImageFolder(path.parent if image_root is None
                         else Path(image_root), path)
    try:
        text = path.read_text(encoding='utf-8-sig')
        rows = list(csv.reader(io.StringIO(text), strict=True)) or [
            []]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, 'file', 'CSV text', str(error)) from error
    header = [cell.strip().lower() for cell in rows[0]]
    place = {name: header.index(name) for name in (*COLUMNS, 'v')
             if name in header}
    if any(name not in place for name in COLUMNS):
        raise DataError(path, 'header', ', '.join(COLUMNS) + '[, v]',
                        ', '.join(rows[0]) or 'an empty line')
    animals: dict[str, dict[str, Point]] = {}
    lines: dict[str, int] = {}
    for line, row in enumerate(rows[1:], 2):
        if not row:
            continue
        if len(row) != len(header):
            raise DataError(path, f'line {line}', f'{len(header)} cells',
                            f'{len(row)}')
        cells = {name: row[i].strip() for name, i in place.items()}
        file, name = cells['file'], cells['name']
        for column in ('file', 'name'):
            if not cells[column]:
                raise DataError(path, f'line {line}, column {column}',
                                'a name', 'nothing')
        points = animals.setdefault(file, {})
        lines.setdefault(file, line)
        if name in points:
            raise DataError(path, f'line {line}', 'each point of a picture '
                            'once', f'{name!r} of {file} again')
        points[name] = _read_point(cells, path, line)
    names = collect_names(animals.values())
    if not names:
        raise DataError(path, 'rows', 'points below the header', 'none')
    images = []
    for file, points in animals.items():
        found, known_as = folder.find(file, f'line {lines[file]}')
        images.append(LabelledImage(found, known_as, (gather_points(
            points, names, f'line {lines[file]}'), )))
    return LabelSet(path, names, tuple(images))


def _read_point(cells: dict[str, str], path: Path, line: int) -> Point:
    visibility = cells.get('v', '') or str(VISIBLE)
    if visibility not in ('0', '1', '2'):
        raise DataError(path, f'line {line}, column v', '0, 1 or 2',
                        repr(visibility))
    if visibility == '0':
        return 0., 0., ABSENT
    x, y = (read_number(cells[axis], path, f'line {line}, column {axis}')
            for axis in 'xy')
    return x, y, int(visibility)

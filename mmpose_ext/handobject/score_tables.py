"""Tables of an evaluation: in the log, and in files beside it."""
from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from mmpose_ext.storage import DataError, atomic_file, write_json
from mmpose_ext.storage.plain_files import without_nan
from mmpose_ext.training import text_table

NAME = 'hand_object_scores'
_CSV_HEADER = ('part', 'table', 'name', 'figure', 'value')
_HAND = ('MPJPE', 'MPJPE_abs', 'PA-MPJPE', 'AUC', 'PCK3D@20mm', 'PCK2D@5px')
_OBJECT = ('ADD', 'ADD-S', 'ADD-0.1D', 'AUC', 'MSSD', 'corner',
           'rotation_deg', 'translation_mm')
# of the tables that are logged; the files have all
_LOGGED = ('joint', 'object', 'subject', 'camera', 'side')
_COLUMNS = dict(hand=_HAND, object=_OBJECT)
_SHARES = ('AUC', 'PCK', 'ADD-0.1D', 'MSSD-0.1D')


def main_figures(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a report that belong in a log; none is NaN.

    ``hand/...`` of all joints, ``object/...`` of objects that are held and
    ``object_all/...`` of all; ``_trivial`` beside them.
    """
    figures: dict[str, float] = {}
    rows = dict(
        hand=('hand', 'all'), object=('object', 'grasped'),
        object_all=('object', 'all'), contact=('contact', 'all'))
    for name, (part, row) in rows.items():
        for ending, source in (('', report), ('_trivial',
                                              report.get('trivial', {}))):
            for figure, value in source.get(part, {}).get(row, {}).items():
                if figure != 'count':
                    figures[f'{name}/{figure}{ending}'] = value
    for name in ('spread_ratio', 'MPJPE_coarse'):
        if name in report.get('hand', {}):
            figures[f'hand/{name}'] = report['hand'][name]
    if 'grasped_acc' in report.get('object', {}):
        figures['object/grasped_acc'] = report['object']['grasped_acc']
    return {name: value for name, value in figures.items()
            if not np.isnan(value)}


def render_tables(report: Mapping[str, Any]) -> str:
    """Lay out hands by joint, objects by name, and both by other groups."""
    parts = []
    for part, columns in _COLUMNS.items():
        tables = report.get(part, {})
        rows: dict[str, Mapping[str, float]] = {}
        for table in _LOGGED:
            rows.update(tables.get(table, {}))
        for name in ('grasped', 'all'):
            if name in tables:
                rows[name] = dict(tables[name], count=tables[name].get(
                    'count', tables['count']))
        trivial = report.get('trivial', {}).get(part, {})
        for name in ('grasped', 'all'):
            if name in trivial:
                rows[f'{name} trivial'] = dict(trivial[name],
                                               count=rows[name]['count'])
        if rows:
            parts.append(text_table([part, 'count', *columns], [
                [name, str(int(row.get('count', tables['count']))),
                 *(_cell(column, row.get(column, np.nan))
                   for column in columns)] for name, row in rows.items()]))
    return '\n'.join(parts)


def leave_scores(folder: str | None, report: Mapping[str, Any]) -> None:
    """Write the report; a training is never lost by its report.

    Args:
        folder (str, optional): None: that of the log, if there is one.
        report (Mapping): All figures.
    """
    logger = MMLogger.get_current_instance()
    if folder is None and logger.log_file is not None:
        folder = str(Path(logger.log_file).parent)
    if folder is not None:
        try:
            write_scores(folder, report)
        except (OSError, DataError) as error:
            logger.warning(f'report of scores not written: {error}')


def write_scores(folder: str | Path, report: Mapping[str, Any]) -> None:
    """Write ``hand_object_scores.json`` and ``.csv``, a figure a line.

    Args:
        folder (str | Path): Made if need be.
        report (Mapping): All figures.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plain = without_nan(dict(report))
    with (atomic_file(folder / f'{NAME}.csv') as temporary,
          temporary.open('w', newline='') as stream):
        writer = csv.writer(stream)
        writer.writerow(_CSV_HEADER)
        writer.writerows(_lines(plain))
    write_json(folder / f'{NAME}.json', plain, indent=1)


def _lines(report: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Part, table, name, figure and value of everything in tables."""
    parts = {part: report.get(part, {}) for part in
             ('hand', 'object', 'contact')}
    parts.update((f'{part} trivial', tables) for part, tables in
                 report.get('trivial', {}).items())
    for part, tables in parts.items():
        for table, rows in tables.items():
            if not isinstance(rows, Mapping):
                continue
            for name, row in rows.items():
                if isinstance(row, Mapping):
                    yield from ((part, table, name, figure, value)
                                for figure, value in row.items())
                else:
                    yield part, table, '', name, row


def _cell(column: str, value: float) -> str:
    if column.startswith(_SHARES):
        return f'{value:.3f}'
    return f'{value:.1f}'

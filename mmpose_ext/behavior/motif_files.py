"""Motifs and prototypes on the disk.

A folder of motifs holds ``RECORD/machineAnnotation_hmm<n>.csv`` as the
original writes them, ``RECORD/motifs.npz`` with the same in little room,
``model_hmm<n>.npz``, ``history_hmm<n>.csv``, ``metrics_hmm.csv`` and
``motifs.json``, which tells how they were made.
"""
from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.behavior.annotation_files import (
    DEFAULT_FPS,
    TABLE_PREFIX,
    read_label_table,
)
from mmpose_ext.behavior.class_tables import to_numbers, to_table
from mmpose_ext.behavior.embedding_files import write_number_table
from mmpose_ext.behavior.motifs import COVARIANCES, MotifModel, MotifScan
from mmpose_ext.behavior.prototypes import Prototypes
from mmpose_ext.storage import (
    DataError,
    NpzArchive,
    atomic_file,
    check_file,
    read_json,
    write_json,
    write_npz,
)

Array = np.ndarray

MOTIFS_JSON = 'motifs.json'
METRICS_CSV = 'metrics_hmm.csv'
_STATES = 'motifs.npz'
_TABLE = re.compile(rf'{TABLE_PREFIX}hmm(\d+)\.csv')


@dataclass(frozen=True, eq=False)
class MotifSet:
    """Motifs of some records, by models of several sizes.

    Attributes:
        source: The folder.
        records: Ids, sorted.
        lengths: Frames of each record.
        states: Number of states to (T,) int16, records one after another; -1
            where no motif holds.
        fps: Frames a second; None where nothing tells.
    """

    source: Path
    records: tuple[str, ...]
    lengths: tuple[int, ...]
    states: dict[int, Array]
    fps: float | None

    def table(self) -> tuple[list[str], Array]:
        """All motifs side by side: names, and (T, motifs) uint8."""
        names = [f'HMM_{n}_Motif_{i}' for n in self.states for i in range(n)]
        motifs = np.zeros((sum(self.lengths), len(names)), np.uint8)
        first = 0
        for number, states in self.states.items():
            known = np.flatnonzero(states >= 0)
            motifs[known, first + states[known]] = 1
            first += number
        return names, motifs


def write_scan(folder: Path, records: Sequence[str], number: int,
               scan: MotifScan) -> None:
    """Write what came of one number of states.

    Args:
        folder (Path): It exists.
        records (Sequence[str]): Ids.
        number (int): Of states.
        scan (MotifScan): What came of it.
    """
    names = [f'Motif_{i}' for i in range(number)]
    for record, states in zip(records, scan.states, strict=True):
        (folder / record).mkdir(parents=True, exist_ok=True)
        write_number_table(
            folder / record / f'{TABLE_PREFIX}hmm{number}.csv', names,
            to_table(states, number))
    write_model(folder / f'model_hmm{number}.npz', scan.model)
    with atomic_file(folder / f'history_hmm{number}.csv') as temporary:
        temporary.write_text('iteration,log_likelihood\n' + ''.join(
            f'{i},{value:.9g}\n'
            for i, value in enumerate(scan.model.history)))


def write_summary(folder: Path, records: Sequence[str],
                  scans: Mapping[int, MotifScan],
                  settings: Mapping[str, Any]) -> None:
    """Write what joins all numbers of states.

    Args:
        folder (Path): It exists.
        records (Sequence[str]): Ids.
        scans (Mapping): Number of states to what came of it.
        settings (Mapping): How they were made; with ``fps``.
    """
    for place, record in enumerate(records):
        write_npz(folder / record / _STATES, **{
            f'hmm{number}': scan.states[place]
            for number, scan in scans.items()})
    rows = [scan.figures for scan in scans.values()]
    with (atomic_file(folder / METRICS_CSV) as temporary,
          temporary.open('w', newline='') as stream):
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: f'{value:.9g}' for name, value in row.items()}
                         for row in rows)
    first = next(iter(scans.values()))
    write_json(folder / MOTIFS_JSON, dict(
        settings, records=list(records),
        frames=list(map(len, first.states)), numbers=list(scans)))


def write_model(path: Path, model: MotifModel) -> None:
    """Write a model as plain arrays."""
    write_npz(path, **{field.name: np.asarray(getattr(model, field.name))
                       for field in fields(model)})


def read_model(path: Path, width: int | None = None) -> MotifModel:
    """Read a model.

    Args:
        path (Path): ``model_hmm<n>.npz``.
        width (int, optional): Features that embeddings have. Defaults to
            None: not checked.

    Raises:
        DataError: If the file is none, or is for embeddings of another width.
    """
    archive = NpzArchive(check_file(path, ('.npz', )))
    names = [field.name for field in fields(MotifModel)]
    missing = [name for name in names if name not in archive.names]
    if missing:
        raise DataError(path, f'key {missing[0]!r}', 'a model of motifs',
                        f'only {", ".join(archive.names)}')
    values: dict[str, Any] = {name: archive.read(name) for name in names}
    values['covariance'] = str(values['covariance'])
    model = MotifModel(**values)
    states, axes = model.num_states, model.projection.shape[-1]
    shapes = dict(full=(states, axes, axes), diag=(states, axes),
                  tied=(axes, axes))
    if (model.covariance not in COVARIANCES
            or model.transitions.shape != (states, states)
            or model.means.shape != (states, axes)
            or model.covariances.shape != shapes[model.covariance]
            or model.centre.shape != model.projection.shape[:1]):
        raise DataError(path, 'arrays', 'those of one model',
                        'shapes that do not fit together')
    if width is not None and len(model.centre) != width:
        raise DataError(path, 'centre', f'{width} features, as the embeddings '
                        'have', str(len(model.centre)))
    return model


def read_motifs(root: Path, least: int, most: int) -> MotifSet:
    """Read motifs, of this program or of the original one.

    Args:
        root (Path): Folder of records with ``machineAnnotation_hmm<n>.csv``.
        least (int): Least number of states.
        most (int): Largest one.

    Raises:
        DataError: If there are none, or a record lacks a number of states.
    """
    tables: dict[str, dict[int, Path]] = {}
    for path in sorted(root.rglob(f'{TABLE_PREFIX}hmm*.csv')):
        match = _TABLE.fullmatch(path.name)
        if match and least <= int(match[1]) <= most:
            record = path.parent.relative_to(root).as_posix()
            tables.setdefault(record, {})[int(match[1])] = path
    if not tables:
        raise DataError(root, 'folder', f'RECORD/{TABLE_PREFIX}hmm<n>.csv '
                        f'with n from {least} to {most}', 'none',
                        'tools/segment_motifs.py writes them')
    numbers = sorted(set().union(*tables.values()))
    for record, paths in tables.items():
        for number in numbers:
            if number not in paths:
                raise DataError(
                    root / record, f'{TABLE_PREFIX}hmm{number}.csv',
                    'a file, as other records have it', 'none')
    records = tuple(sorted(tables))
    parts = [_read_record(tables[record], numbers) for record in records]
    return MotifSet(
        root, records, tuple(len(part[numbers[0]]) for part in parts),
        {number: np.concatenate([part[number] for part in parts])
         for number in numbers}, read_settings(root).get('fps'))


def read_settings(root: Path) -> dict[str, Any]:
    """What ``motifs.json`` tells; {} where there is none.

    Raises:
        DataError: If it is damaged.
    """
    path = root / MOTIFS_JSON
    if not path.is_file():
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise DataError(path, 'file', 'settings by name', type(
            value).__name__)
    return value


def _read_record(paths: Mapping[int, Path],
                 numbers: Sequence[int]) -> dict[int, Array]:
    """Motifs (T,) of a record by number of states."""
    folder = paths[numbers[0]].parent
    compact = folder / _STATES
    if compact.is_file():
        archive = NpzArchive(compact)
        # numbers found before may have been segmented again by another run
        if all(f'hmm{number}' in archive.names for number in numbers):
            return {number: archive.read(f'hmm{number}')
                    for number in numbers}
    states = {number: _read_states(paths[number], number)
              for number in numbers}
    for number, values in states.items():
        if len(values) != len(states[numbers[0]]):
            raise DataError(
                paths[number], 'rows', f'{len(states[numbers[0]])}, as '
                f'{paths[numbers[0]].name} has', str(len(values)))
    return states


def _read_states(path: Path, number: int) -> Array:
    names, labels = read_label_table(path)
    if len(names) != number:
        raise DataError(path, 'columns', f'{number} motifs', str(len(names)))
    return to_numbers(labels).astype(np.int16)


def write_prototypes(folder: Path, name: str, motifs: MotifSet,
                     table: Array, found: Prototypes) -> None:
    """Write prototypes of each record and how they were found.

    Args:
        folder (Path): It exists.
        name (str): ``hmm<method>_<min>_<max>``.
        motifs (MotifSet): What they were selected from.
        table (ndarray): (T, motifs), see :meth:`MotifSet.table`.
        found (Prototypes): The prototypes.
    """
    columns = found.columns[found.chosen]
    names = [found.names[i] for i in found.chosen]
    parts = np.split(table[:, columns], np.cumsum(motifs.lengths)[:-1])
    for record, labels in zip(motifs.records, parts, strict=True):
        (folder / record).mkdir(parents=True, exist_ok=True)
        write_number_table(
            folder / record / f'{TABLE_PREFIX}{name}.csv', names, labels)
    write_npz(
        folder / f'info_{name}.npz',
        cond_dist_matrix=found.distances, link_matrix=found.links,
        all_score=found.scores, all_smoothed_score=found.smoothed,
        all_n_clusters=found.numbers, all_labels=found.all_labels,
        best_n_clusters=np.array(found.numbers[found.best]),
        best_score=np.array(found.scores[found.best]),
        best_labels=found.labels, names=np.array(found.names),
        prototypes=np.array(names))
    write_json(folder / MOTIFS_JSON, dict(
        fps=motifs.fps or DEFAULT_FPS,
        embeddings=read_settings(motifs.source).get('embeddings'),
        records=list(motifs.records), frames=list(motifs.lengths),
        prototypes=names))

"""Checks of a data set, all of them, whatever the first ones find.

``tools/verify_dataset.py`` reads every data set that a config names, or one
file. A problem would spoil training or its figures; a warning is worth a
look and changes no exit code.
"""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmpose_ext.direction.angles import direction_angles
from mmpose_ext.direction.datasets import (
    DirectionDataset,
    DirectionRecord,
    read_direction_file,
)
from mmpose_ext.direction.duplicates import near_duplicates
from mmpose_ext.problem_report import ProblemReport
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError, NpzArchive
from mmpose_ext.training.config_check import find_settings
from mmpose_ext.training.loading import without_log

Array = np.ndarray

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
LEAST_RANGE = 3  # grey levels that an image must span
STEEP_TURN = np.radians(120)
ODD_LENGTH = 6.  # robust standard deviations from the median
NAMED_ROWS = 5


def accepts(path: Path) -> bool:
    """Whether a file looks meant for this family, be it damaged or not."""
    if path.suffix.lower() != '.npz':
        return False
    try:
        names = NpzArchive(path).names
    except DataError:
        return True
    return 'images' in names or any('locs' in name for name in names)


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/verify_dataset.py`` for this family."""
    parser.add_argument('--json', action='store_true',
                        help='print the findings as JSON')


def run(config: Config, arguments: Namespace) -> int:
    """Check the data sets of a config; returns 1 if there are problems."""
    report = ProblemReport()
    with without_log():
        datasets = _build_datasets(config, report)
    if not datasets and not report.problems:
        report.add(
            DataError(config.filename, ', '.join(LOADERS),
                      'a mmpose_ext.DirectionDataset', 'none'))
    records = {id(dataset.record): dataset.record
               for dataset in datasets.values()}
    for record in records.values():
        check_record(record, report)
    for dataset in datasets.values():
        _check_balance(dataset, report)
    for problem in _leaks_between(datasets):
        report.add(problem)
    return report.finish(arguments.json)


def run_file(path: Path, arguments: Namespace) -> int:
    """Check one file; returns 1 if there are problems."""
    report = ProblemReport()
    try:
        with without_log():
            record = read_direction_file(path)
    except DataError as error:
        report.add(error)
    else:
        groups = ', '.join(f'{len(np.unique(values))} {key}s'
                           for key, values in record.ids.items())
        report.parts[str(path)] = (
            f'{len(record.images)} images of {record.size}x{record.size} px, '
            f'{groups or "no session, animal or source_id"}')
        check_record(record, report)
    return report.finish(arguments.json)


def _build_datasets(config: Config,
                    report: ProblemReport) -> dict[str, DirectionDataset]:
    """Data sets by their place in the config; those that fail are noted."""
    datasets: dict[str, DirectionDataset] = {}
    for loader in LOADERS:
        for place, settings in find_settings(
                config.get(loader), loader, _is_direction):
            try:
                datasets[place] = DATASETS.build(settings)
            except DataError as error:
                report.add(error)
            except (TypeError, ValueError) as error:  # a wrong setting
                report.add(
                    DataError(config.filename, place, 'settings of a '
                              'DirectionDataset', str(error)))
            else:
                _describe(datasets[place], place, report)
    return datasets


def check_record(record: DirectionRecord, report: ProblemReport) -> None:
    """Look at every image and label of a data set that could be read."""
    for problem in _constant_images(record):
        report.add(problem)
    for problem in _repeated_images(record):
        report.add(problem)
    report.warnings += _odd_labels(record)


def _is_direction(settings: Mapping[str, Any]) -> bool:
    kind = settings.get('type')
    return kind is DirectionDataset or str(kind).split(
        '.')[-1] == DirectionDataset.__name__


def _describe(dataset: DirectionDataset, place: str,
              report: ProblemReport) -> None:
    """Note how many rows and groups there are, and how they were split."""
    text = f'{len(dataset.rows)} rows'
    if dataset.split is None:
        report.parts[place] = f'{text} of {dataset.record.file}'
        return
    sizes = np.unique(dataset.split.groups[dataset.rows],
                      return_counts=True)[1]
    span = ' to '.join(map(str, dict.fromkeys((sizes.min(), sizes.max()))))
    report.parts[str(dataset.record.file)] = dataset.split.describe()
    report.parts[place] = f'{text} in {len(sizes)} groups of {span}'


def _constant_images(record: DirectionRecord) -> Iterator[DataError]:
    flat = np.array([np.ptp(image) < LEAST_RANGE for image in record.images])
    if flat.any():
        yield DataError(record.file, f'images[{int(flat.argmax())}]',
                        'an image with something on it',
                        f'one grey level; rows {_some(np.flatnonzero(flat))}')


def _repeated_images(record: DirectionRecord) -> Iterator[DataError]:
    """Rows with the same pixels that do not say they have one source."""
    seen: dict[bytes, int] = {}
    sources = record.ids.get('source_id')
    pairs = []
    for row, image in enumerate(record.images):
        first = seen.setdefault(blake2b(image.tobytes()).digest(), row)
        if first != row and (sources is None
                             or sources[first] != sources[row]):
            pairs.append((first, row))
    if pairs:
        text = ', '.join(f'{one} and {other}'
                         for one, other in pairs[:NAMED_ROWS])
        yield DataError(
            record.file, f'images[{pairs[0][1]}]', 'an image of its own',
            f'copies: {len(pairs)} pairs of rows with the same pixels, {text}',
            'remove them, or give them one source_id')


def _odd_labels(record: DirectionRecord) -> Iterator[DataError]:
    """Labels that are possible and yet unlikely."""
    points = record.points.astype(np.float64)
    angles = direction_angles(points)
    steep = np.flatnonzero(np.abs(angles['turn']) > STEEP_TURN)
    if len(steep):
        yield DataError(
            record.file, 'locs_*', 'the head beyond the neck, seen from base',
            f'a turn of more than 120 degrees in rows {_some(steep)}',
            'are base and head, or left and right, mixed up?')
    body = np.linalg.norm(points[:, 1] - points[:, 0], axis=-1)
    head = np.linalg.norm(points[:, 2] - points[:, 1], axis=-1)
    known = np.isfinite(body) & np.isfinite(head)
    if known.any() and np.median(body[known]) < np.median(head[known]):
        yield DataError(
            record.file, 'locs_*', 'a body longer than the head',
            f'medians {np.median(body[known]):.1f} and '
            f'{np.median(head[known]):.1f} px', 'base and head swapped?')
    for name, length in (('base-neck', body), ('neck-head', head)):
        odd = _outliers(length)
        if len(odd):
            yield DataError(
                record.file, f'length {name}',
                f'about {np.nanmedian(length):.1f} px',
                f'{length[odd[0]]:.1f} px; rows {_some(odd)}')
    short = np.flatnonzero(known & np.isnan(angles['head']))
    if len(short):
        yield DataError(record.file, 'length neck-head', 'at least 1 px',
                        f'less, so no direction, in rows {_some(short)}',
                        'larger crops show the head better')
    outside = np.flatnonzero(
        ((points < -.5) | (points > record.size - .5)).any((1, 2)))
    if len(outside):
        yield DataError(record.file, 'locs_*', 'points on the image',
                        f'some off it in rows {_some(outside)}',
                        'they count as hidden')


def _outliers(values: Array) -> Array:
    """Rows far from the median, by the median absolute deviation."""
    known = np.isfinite(values)
    if known.sum() < 10:
        return np.empty(0, np.int64)
    logs = np.log(np.maximum(values, 1e-3))
    away = np.abs(logs - np.median(logs[known]))
    spread = max(1.4826 * float(np.median(away[known])), .02)
    return np.flatnonzero(known & (away > ODD_LENGTH * spread))


def _check_balance(dataset: DirectionDataset, report: ProblemReport) -> None:
    """Warn of a part whose figure rests on a single group."""
    split = dataset.split
    if split is None or split.grouped_by not in ('session', 'animal'):
        return
    names = np.unique(split.groups[dataset.rows])
    if len(names) == 1:
        warning = DataError(
            dataset.record.file, f'split by {split.grouped_by}',
            'several groups in each part',
            f'only {names[0]!r} among {len(dataset.rows)} rows')
        if str(warning) not in map(str, report.warnings):
            report.warnings.append(warning)


def _leaks_between(
        datasets: Mapping[str, DirectionDataset]) -> Iterator[DataError]:
    """Images of training among those of another loader, split differently.

    What one split puts apart, the split itself has checked.
    """
    trained = [(place, item) for place, item in datasets.items()
               if place.startswith('train')]
    others = [(place, item) for place, item in datasets.items()
              if not place.startswith('train')]
    for place, train in trained:
        for other_place, other in others:
            if train.split is not None and train.split is other.split:
                continue
            rows, other_rows = np.unique(train.rows), np.unique(other.rows)
            pairs = near_duplicates(other.record.images[other_rows],
                                    train.record.images[rows])
            if len(pairs):
                yield DataError(
                    other.record.file, other_place,
                    f'no image of {place}', f'{len(pairs)} pairs of '
                    f'near-duplicates, row {other_rows[pairs[0, 0]]} and row '
                    f'{rows[pairs[0, 1]]} of {train.record.file.name}',
                    'use the same split_by in all data loaders')


def _some(rows: Array) -> str:
    """The first few of a list of rows."""
    more = f' and {len(rows) - NAMED_ROWS} more' if (
        len(rows) > NAMED_ROWS) else ''
    return f'{", ".join(map(str, rows[:NAMED_ROWS]))}{more}'

"""Checks of a data set of hands, all of them, whatever the first ones find.

``tools/verify_dataset.py`` takes a config, whose data loaders it checks one
by one and against each other, or an index. A problem would spoil training or
its figures; a warning is worth a look and changes the exit code with
``--strict`` alone.
"""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmpose_ext.handobject.datasets import HandObjectDataset
from mmpose_ext.handobject.index_files import HandObjectIndex, read_index
from mmpose_ext.handobject.label_checks import (
    HandMeasures,
    hand_problems,
    mano_problems,
    measure_hands,
    object_problems,
    repeated_frames,
)
from mmpose_ext.handobject.picture_checks import inspect_pictures
from mmpose_ext.handobject.transforms import HandObjectTopdownView
from mmpose_ext.problem_report import ProblemReport
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError, NpzArchive
from mmpose_ext.training.config_check import find_settings
from mmpose_ext.training.loading import without_log

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
PICTURES = 200


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/verify_dataset.py`` for this family."""
    parser.add_argument(
        '--data-root', type=Path, metavar='DIR',
        help='folder of the pictures of --ann-file (default: the one that '
        'holds the folder index)')
    parser.add_argument(
        '--pictures', type=int, default=PICTURES, metavar='N',
        help=f'pictures of each index to read (default: {PICTURES})')
    parser.add_argument('--all', action='store_true',
                        help='read every picture')
    parser.add_argument(
        '--mano', type=Path, metavar='DIR',
        help='folder of MANO_RIGHT and MANO_LEFT, to compare poses with')
    parser.add_argument('--strict', action='store_true',
                        help='exit with 1 on warnings too')
    parser.add_argument('--json', action='store_true',
                        help='print the findings as JSON')


def accepts(path: Path) -> bool:
    """Whether a file looks meant for this family, be it damaged or not."""
    if path.suffix.lower() != '.npz':
        return False
    try:
        names = NpzArchive(path).names
    except DataError:
        return path.parent.name == 'index'
    return 'joints_cam' in names or 'sequence_row' in names


def run(config: Config, arguments: Namespace) -> int:
    """Check the data sets of a config; returns the exit code."""
    report = ProblemReport()
    datasets: dict[str, HandObjectDataset] = {}
    failed: dict[str, Path] = {}
    for loader in LOADERS:
        for place, settings in find_settings(config.get(loader), loader,
                                             _is_ours):
            dataset = _build(config, place, settings, report)
            if dataset is not None:
                datasets[place] = dataset
                report.parts[place] = _describe_set(dataset)
            else:
                root = Path(settings.get('data_root', ''))
                failed[str(root / settings.get('ann_file', ''))] = root
    if not datasets and not failed:
        report.add(DataError(config.filename, ', '.join(LOADERS),
                             'a mmpose_ext.HandObjectDataset', 'none'))
    opened: dict[str, HandObjectDataset] = {}
    for dataset in datasets.values():
        opened.setdefault(dataset.ann_file, dataset)
    for dataset in opened.values():
        check_index(dataset.index, dataset.data_root, report, arguments)
    for file, root in failed.items():
        if file not in opened:
            _check_file(Path(file), root, report, arguments)
    for one, other in combinations(datasets.items(), 2):
        report.gather(partial(_shared, one, other))
        report.gather(partial(_other_view, config.filename, one, other))
    report.warnings += _same_choice(datasets)
    return report.finish(arguments.json, arguments.strict)


def run_file(path: Path, arguments: Namespace) -> int:
    """Check one index; returns the exit code."""
    report = ProblemReport()
    root = arguments.data_root or path.resolve().parent.parent
    _check_file(path, root, report, arguments)
    return report.finish(arguments.json, arguments.strict)


def check_index(index: HandObjectIndex, root: Path, report: ProblemReport,
                arguments: Namespace) -> None:
    """Look at all labels of an index, and at its pictures.

    Args:
        index (HandObjectIndex): What is checked.
        root (Path): Its data root.
        report (ProblemReport): Where findings go.
        arguments (Namespace): The command's.
    """
    hands = measure_hands(index)
    report.parts[str(index.path)] = _describe_index(index, hands)
    number = len(index) if arguments.all else arguments.pictures
    for find in (
            lambda: _raised(index.check_values),
            lambda: _raised(lambda: index.check_root(root)),
            lambda: hand_problems(index, hands),
            lambda: object_problems(index), lambda: repeated_frames(index),
            lambda: inspect_pictures(index, root, number)):
        report.gather(find)
    if arguments.mano is not None:
        report.gather(lambda: mano_problems(index, arguments.mano))


def _raised(check: Callable[[], None]) -> Iterator[DataError]:
    """A check that raises, as one that yields."""
    check()
    return iter(())


def _check_file(path: Path, root: Path, report: ProblemReport,
                arguments: Namespace) -> None:
    """Check an index that no data set could be made of."""
    try:
        index = read_index(path)
    except DataError as error:
        if path.is_file() or not report.problems:  # else it has been said
            report.add(error)
        return
    check_index(index, root, report, arguments)


def _build(config: Config, place: str, settings: Mapping[str, Any],
           report: ProblemReport) -> HandObjectDataset | None:
    """A data set without its cache; what fails is noted."""
    try:
        with without_log():
            dataset = DATASETS.build(
                {**settings, 'cache': None, 'lazy_init': False})
    except DataError as error:
        report.add(error)
    except (KeyError, TypeError, ValueError) as error:  # a wrong setting
        report.add(DataError(config.filename, place, 'settings of a '
                             'HandObjectDataset', str(error)))
    else:
        return dataset
    return None


def _is_ours(settings: Mapping[str, Any]) -> bool:
    kind = settings.get('type')
    return kind is HandObjectDataset or str(kind).split(
        '.')[-1] == HandObjectDataset.__name__


def _describe_set(dataset: HandObjectDataset) -> str:
    return (f'{len(dataset)} of {len(dataset.index)} frames, subset '
            f'{dataset.selection.subset}, boxes: {dataset.box_source} '
            f'({dataset.bbox_mode})')


def _describe_index(index: HandObjectIndex, hands: HandMeasures) -> str:
    sides = index['side'][index['sequence_row'][hands.rows]]
    text = (f'setup {index.setup}, {index.split}: {len(index)} frames of '
            f'{len(index.sequences)} sequences, {len(hands.rows)} hands, '
            f'{int((sides == 0).sum())} right and {int((sides == 1).sum())} '
            'left')
    if len(hands.rows):
        text += (f', at {hands.depths.min():.2f} to '
                 f'{hands.depths.max():.2f} m, labels within '
                 f'{np.median(hands.errors):.2g} px (median)')
    if 'contact_valid' in index:
        text += f', contact of {int(index["contact_valid"].sum())}'
    return text


def _frames(dataset: HandObjectDataset) -> set[str]:
    index = dataset.index
    return {index.file_of(row) for row in dataset.rows.tolist()}


def _shared(one: tuple[str, HandObjectDataset],
            other: tuple[str, HandObjectDataset]) -> Iterator[DataError]:
    """Frames of training among those of a test."""
    if not one[0].startswith('train') or other[0].startswith('train'):
        return
    if one[1].data_root.resolve() != other[1].data_root.resolve():
        return
    both = _frames(one[1]) & _frames(other[1])
    if both:
        yield DataError(
            other[1].ann_file, other[0], f'no frame of {one[0]}',
            f'{len(both)} of {len(other[1])}, as {min(both)}',
            'use the index of another split')


def _other_view(file: str, one: tuple[str, HandObjectDataset],
                other: tuple[str, HandObjectDataset]) -> Iterator[DataError]:
    """Settings by which a test shows other pictures than training."""
    if not one[0].startswith('train') or other[0].startswith('train'):
        return
    shown, wanted = _view_of(other[1]), _view_of(one[1])
    for name, value in wanted.items():
        if shown.get(name, value) != value:
            yield DataError(
                file, f'{other[0]}: {name}', f'{value}, as {one[0]} has it',
                str(shown[name]), 'a network knows what it was trained on')


def _view_of(dataset: HandObjectDataset) -> dict[str, Any]:
    """What decides how a hand is shown; no view, nothing about it."""
    found: dict[str, Any] = dict(mirror_left=dataset.mirror_left,
                                 bbox_mode=dataset.bbox_mode)
    for transform in dataset.pipeline.transforms:
        if isinstance(transform, HandObjectTopdownView):
            found.update(virtual_camera=transform.virtual_camera,
                         input_size=transform.input_size)
    return found


def _same_choice(
        datasets: Mapping[str, HandObjectDataset]) -> Iterator[DataError]:
    """Data sets to validate and to test on that are one."""
    for place, dataset in datasets.items():
        if place.startswith('test') and any(
                other.startswith('val') and found.ann_file == dataset.ann_file
                for other, found in datasets.items()):
            yield DataError(
                dataset.ann_file, f'{place}.ann_file', 'a split of its own',
                'the one by which the checkpoint is chosen')

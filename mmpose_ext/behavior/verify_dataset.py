"""Checks of tracks before training, from a config or a file of tracks.

A problem would spoil training or its figures; a warning is worth a look and
changes the exit code with ``--strict`` alone.
"""
from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from mmpose_ext.behavior.datasets import LisbetWindowDataset
from mmpose_ext.behavior.record_files import RecordFiles, find_records
from mmpose_ext.behavior.record_options import RecordOptions
from mmpose_ext.behavior.record_reader import (
    Record,
    finish_record,
    read_tracks,
)
from mmpose_ext.behavior.records import load_tracks
from mmpose_ext.behavior.track_checks import odd_tracks, record_statistics
from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.problem_report import ProblemReport
from mmpose_ext.registry import DATASETS, MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training.config_check import find_settings
from mmpose_ext.training.loading import without_log

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
OTHER_UNIT = 3.  # times that the extents of two records differ
LEFT_OUT = .01  # share of frames
_STRETCH = re.compile(r'\[\d+:\d+\]$')  # at the end of the id of a stretch


@dataclass
class TrackReport(ProblemReport):
    """What was found.

    Attributes:
        records: Id of each record to its figures.
        classes: Place in the config to the frames of each class.
    """

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    classes: dict[str, dict[str, int]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """See :meth:`ProblemReport.as_dict`."""
        return dict(super().as_dict(), classes=self.classes,
                    records=self.records)

    def lines(self) -> Iterator[str]:
        """See :meth:`ProblemReport.lines`."""
        yield from super().lines()
        for place, counts in self.classes.items():
            yield f'{place}: frames of {_counted(counts)}'
        for name, figures in self.records.items():
            yield from _record_lines(name, figures)


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/verify_dataset.py`` for this family."""
    parser.add_argument('--strict', action='store_true',
                        help='exit with 1 on warnings too')
    parser.add_argument('--json', action='store_true',
                        help='print the findings as JSON')


def accepts(path: Path) -> bool:
    """Whether a file looks meant for this family, be it damaged or not."""
    return path.is_file() and path.name.lower().endswith(
        ('.slp', '.nc', '.h5', '.csv'))


def run(config: Config, arguments: Namespace) -> int:
    """Check the data sets of a config; returns the exit code."""
    report = TrackReport()
    stores: dict[str, TrackStore] = {}
    seen = set()
    model = _build_model(config, report)
    for loader in LOADERS:
        for place, settings in find_settings(
                config.get(loader), loader, _reads_tracks):
            source = _source_of(settings, place, config, report)
            if source is not None and source not in seen:
                seen.add(source)
                _check_records(*source, report)
            dataset = _build(settings, place, config, report)
            if dataset is None:
                continue
            stores[place] = dataset.store
            if model is not None:
                _check_model(model, dataset, loader == LOADERS[0], report)
            _describe(dataset, place, report)
    if not stores and not report.problems:
        report.add(DataError(
            config.filename, ', '.join(LOADERS),
            'a mmpose_ext.LisbetWindowDataset', 'none'))
    report.warnings += _leaks(stores, config)
    report.warnings += _lone_classes(report, config)
    # data sets that differ in a setting look at the same records
    report.warnings = list({str(item): item
                            for item in report.warnings}.values())
    return report.finish(arguments.json, arguments.strict)


def run_file(path: Path, arguments: Namespace) -> int:
    """Check one file of tracks; returns the exit code."""
    report = TrackReport()
    options = RecordOptions(min_individuals=1)
    _check_records(path, options, report)
    if not report.problems:
        try:
            with without_log():
                load_tracks(path, options)
        except DataError as error:
            report.add(error)
    return report.finish(arguments.json, arguments.strict)


def _build_model(config: Config, report: TrackReport) -> Any:
    """The model of a config; None if it has none, or a wrong one."""
    if 'model' not in config:
        return None
    try:
        with without_log():
            return MODELS.build(config.model)
    except DataError as error:
        report.add(error)
        return None


def _check_model(model: Any, dataset: LisbetWindowDataset, training: bool,
                 report: TrackReport) -> None:
    """Give a batch to the model, which checks that it can read it."""
    try:
        with without_log(), torch.no_grad():
            batch = model.data_preprocessor(dataset.__getitems__([0]), False)
            model(**batch, mode='predict')
            if training and dataset.metainfo['class_counts']:
                model.set_class_counts(
                    dataset.metainfo['class_counts'],
                    dataset.store.total_frames, dataset.store.classes)
    except DataError as error:
        report.add(error)


def _reads_tracks(settings: Mapping[str, Any]) -> bool:
    kind = settings.get('type')
    return kind is LisbetWindowDataset or str(kind).split(
        '.')[-1] == LisbetWindowDataset.__name__


def _source_of(settings: Mapping[str, Any], place: str, config: Config,
               report: TrackReport) -> tuple[Path, RecordOptions] | None:
    """Folder and options of a data set; None if the options are wrong."""
    given = {name: settings[name] for name in RecordOptions.names()
             if name in settings}
    try:
        return Path(settings.get('data_root', '')), RecordOptions(**given)
    except (TypeError, ValueError) as error:
        report.add(_wrong_settings(config, place, error))
        return None


def _build(settings: Mapping[str, Any], place: str, config: Config,
           report: TrackReport) -> LisbetWindowDataset | None:
    try:
        with without_log():
            return DATASETS.build(dict(settings))
    except DataError as error:
        report.add(error)
    except (TypeError, ValueError) as error:
        report.add(_wrong_settings(config, place, error))
    return None


def _wrong_settings(config: Config, place: str,
                    error: Exception) -> DataError:
    return DataError(config.filename, place,
                     'settings of a LisbetWindowDataset', str(error))


def _check_records(root: Path, options: RecordOptions,
                   report: TrackReport) -> None:
    """Read every record, whatever is wrong with the others."""
    # Gaps count as such; 'zero' takes no account of confidence.
    kept = replace(options, missing='keep', confidence_threshold=(
        0. if options.missing == 'zero' else options.confidence_threshold))
    try:
        files = find_records(root, options.data_format,
                             options.annotation_format,
                             options.data_filter)
    except DataError as error:
        report.add(error)
        return
    sides: dict[str, float] = {}
    sums: dict[bytes, str] = {}
    for item in files:
        try:
            record, left_out = _read(item, kept)
        except DataError as error:
            report.add(error)
            continue
        name = item.id if item.id not in report.records else str(item.place)
        report.records[name] = record_statistics(record, left_out)
        report.warnings += odd_tracks(record)
        if left_out > LEFT_OUT * len(record.position):
            report.warnings.append(DataError(
                item.place, f'record {item.id!r}, time', 'a row for each '
                'frame', f'{left_out} frames without one',
                'they count as missing points'))
        sides[item.id] = max(
            high - low for low, high in zip(
                record.extent.lowest, record.extent.highest, strict=True))
        digest = blake2b(record.position.tobytes()).digest()
        twin = sums.setdefault(digest, item.id)
        if twin != item.id:
            report.add(DataError(
                item.place, f'record {item.id!r}', 'tracks of its own',
                f'those of record {twin!r}', 'remove one of them'))
    report.warnings += _other_units(root, sides)


def _read(files: RecordFiles,
          options: RecordOptions) -> tuple[Record, int]:
    """A record, and the frames that its files leave out."""
    tracks = read_tracks(files, options)
    left_out = int(tracks.frames[-1] - tracks.frames[0]) + 1 - len(tracks)
    return finish_record(tracks, files, options), left_out


def _other_units(root: Path, sides: Mapping[str, float]
                 ) -> Iterator[DataError]:
    if not sides:
        return
    small, large = (choose(sides, key=lambda name: sides[name])
                    for choose in (min, max))
    if sides[large] > OTHER_UNIT * sides[small] > 0:
        yield DataError(
            root, f'record {large!r}', 'an extent like the other records\'',
            f'{sides[large]:.4g}, and {sides[small]:.4g} in {small!r}',
            "of one unit? scale_per='record' makes them equal, "
            "scale_per='dataset' does not")


def _describe(dataset: LisbetWindowDataset, place: str,
              report: TrackReport) -> None:
    """Note what is in a part, and records that padding would fill."""
    store = dataset.store
    report.parts[place] = dataset.describe()
    if store.labels is not None:
        counts = np.sum([store.record_labels(i).sum(0, dtype=np.int64)
                         for i in range(len(store))], 0)
        report.classes[place] = dict(
            zip(store.classes, counts.tolist(), strict=True))
    short = [name for name, length in zip(store.ids, store.lengths,
                                          strict=True)
             if length < dataset.shape.size]
    if short:
        report.warnings.append(DataError(
            store.source, place, f'records of at least '
            f'{dataset.shape.size} frames, a window',
            f'{len(short)} shorter ones, such as {short[0]!r}',
            'most of their windows is padding'))


def _leaks(stores: Mapping[str, TrackStore],
           config: Config) -> Iterator[DataError]:
    """Frames that train as well as test."""
    spans = {place: list(_spans(store)) for place, store in stores.items()}
    for train in spans:
        for place in spans:
            if not train.startswith('train') or place.startswith('train'):
                continue
            shared = sum(
                max(0, min(stop, end) - max(start, begin))
                for name, start, stop in spans[train]
                for other, begin, end in spans[place] if name == other)
            if shared:
                yield DataError(
                    config.filename, place, f'no frame of {train}',
                    f'{shared} of {stores[place].total_frames}',
                    'use split and the same split_by in all data loaders')


def _spans(store: TrackStore) -> Iterator[tuple[Path, int, int]]:
    """Record, first frame and the one after the last."""
    for name, first, length in zip(store.ids, store.first_frames.tolist(),
                                   store.lengths.tolist(), strict=True):
        yield (Path(store.source).absolute() / _STRETCH.sub('', name), first,
               first + length)


def _lone_classes(report: TrackReport, config: Config) -> Iterator[DataError]:
    """Classes that are in one part only."""
    if len(report.classes) < 2:
        return
    names = dict.fromkeys(name for counts in report.classes.values()
                          for name in counts)
    for name in names:
        places = [place for place, counts in report.classes.items()
                  if counts.get(name)]
        if len(places) == 1:
            yield DataError(
                config.filename, f'class {name!r}', 'frames in every part',
                f'in {places[0]} alone',
                'deal records out otherwise, by split_by.seed or '
                'split_by.method=block')


def _record_lines(name: str, figures: Mapping[str, Any]) -> Iterator[str]:
    rate = ('fps unknown' if figures['fps'] is None else
            f'{figures["fps"]:g} fps, {figures["seconds"]:.1f} s')
    left_out = figures['frames_left_out']
    yield (f'{name}: {figures["frames"]} frames, {rate}'
           + (f', {left_out} of them not in the file' if left_out else ''))
    yield f'  ranges: {_ranges(figures["ranges"])}'
    yield (f'  missing: {figures["missing"]:.2%} of points, longest gap '
           f'{figures["longest_gap"]} frames')
    if figures['missing']:
        for key in ('missing_by_individual', 'missing_by_keypoint'):
            yield f'    {_shares(figures[key])}'
    if figures['class_frames'] is not None:
        yield f'  frames of {_counted(figures["class_frames"])}'


def _ranges(ranges: Mapping[str, Iterable[float]]) -> str:
    return ', '.join('{} {:.4g} to {:.4g}'.format(axis, *span)
                     for axis, span in ranges.items())


def _shares(shares: Mapping[str, float]) -> str:
    return ', '.join(f'{name} {share:.2%}' for name, share in shares.items())


def _counted(counts: Mapping[str, int]) -> str:
    return ', '.join(f'{name} {count}' for name, count in counts.items())

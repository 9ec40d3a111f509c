"""Checks of volumetric recordings, from a config or a label file.

A problem would spoil training or its figures; a warning is worth a look and
changes the exit code with ``--strict`` alone.
"""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmpose_ext.problem_report import ProblemReport
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training.config_check import find_settings
from mmpose_ext.volumetric.body_centres import SOURCES, list_ids
from mmpose_ext.volumetric.com_datasets import ComImageDataset
from mmpose_ext.volumetric.identity_linking import link_identities
from mmpose_ext.volumetric.recording_statistics import (
    ROBUST_SIGMAS,
    OddBone,
    odd_bones,
    outside_cube,
    recording_statistics,
    statistics_text,
)
from mmpose_ext.volumetric.recordings import Recording, open_recording
from mmpose_ext.volumetric.skeletons import load_skeleton
from mmpose_ext.volumetric.unlabelled import closest_pair

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_JUMP = 20.  # median steps that a middle does not move at once
_JUMP_MM = 20.
_SAME_MM = 5.  # that no two middles are apart less


@dataclass
class RecordingReport(ProblemReport):
    """What was found.

    Attributes:
        statistics: Name of each recording to its figures.
    """

    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """See :meth:`ProblemReport.as_dict`."""
        return dict(super().as_dict(), recordings=self.statistics)

    def lines(self) -> Iterator[str]:
        """See :meth:`ProblemReport.lines`."""
        yield from super().lines()
        for name, statistics in self.statistics.items():
            yield f'{name}:'
            for line in statistics_text(statistics):
                yield f'  {line}'


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/verify_dataset.py`` for this family."""
    parser.add_argument(
        '--skeleton', metavar='NAME',
        help='of --ann-file: rat23, mouse22, ... or a file; found by default '
        'from recording.json')
    parser.add_argument(
        '--videos', type=Path, metavar='DIR',
        help="folder of --ann-file's videos (default: videos beside it, if "
        'there is such)')
    parser.add_argument('--com-file', type=Path, metavar='MAT',
                        help='com3d.mat to check with --ann-file')
    parser.add_argument('--com-source', choices=SOURCES, default='auto',
                        help='where the middles come from (default: auto)')
    parser.add_argument('--pixel-origin', type=int, choices=(0, 1),
                        help='where --ann-file counts pixels from')
    parser.add_argument('--strict', action='store_true',
                        help='exit with 1 on warnings too')
    parser.add_argument('--json', action='store_true',
                        help='print the findings as JSON')


def accepts(path: Path) -> bool:
    """Whether a file looks meant for this family, be it damaged or not."""
    return path.suffix.lower() == '.mat' and path.is_file()


def run_file(path: Path, arguments: Namespace) -> int:
    """Check a label file and its recording; returns the exit code."""
    report = RecordingReport()
    videos = arguments.videos
    if videos is None:
        beside = path.parent / 'videos'
        videos = beside if beside.is_dir() else None
    try:
        skeleton = (None if arguments.skeleton is None else
                    load_skeleton(arguments.skeleton))
        recording = open_recording(
            path.parent, label_file=path.name,
            com_file=(None if arguments.com_file is None else
                      arguments.com_file.resolve()),
            com_source=arguments.com_source,
            videos=None if videos is None else videos.resolve(),
            pixel_origin=arguments.pixel_origin,
            num_keypoints=(None if skeleton is None else
                           skeleton['num_keypoints']))
        if skeleton is None and recording.skeleton is not None:
            skeleton = load_skeleton(recording.skeleton)
        _inspect(recording, skeleton, report)
    except DataError as error:
        report.add(error)
    return report.finish(arguments.json, arguments.strict)


def run(config: Config, arguments: Namespace) -> int:
    """Check the data sets of a config; returns the exit code."""
    report = RecordingReport()
    built: dict[str, Any] = {}
    seen: set[tuple[Path, ...]] = set()
    for loader in LOADERS:
        for place, settings in find_settings(config.get(loader), loader,
                                             _has_recordings):
            try:
                dataset = DATASETS.build(dict(settings))
            except DataError as error:
                report.add(error)
                continue
            if not built:
                _check_model(config, dataset, place, report)
            built[place] = dataset
            report.parts[place] = f'{len(dataset)} samples'
            for recording in dataset.recordings:
                if recording.label_files not in seen:
                    seen.add(recording.label_files)
                    _inspect(recording, None if _finds_centres(dataset) else
                             dataset.metainfo, report, _grid_of(config))
    if not built and not report.problems:
        raise DataError(config.filename, ', '.join(LOADERS),
                        'a data set of recordings', 'none')
    report.warnings += _leaks(config, built)
    return report.finish(arguments.json, arguments.strict)


def _has_recordings(settings: Mapping[str, Any]) -> bool:
    return 'type' in settings and 'recordings' in settings


def _finds_centres(dataset: Any) -> bool:
    """Whether a data set's keypoints are the middles of animals."""
    return isinstance(dataset, ComImageDataset)


def _grid_of(config: Config) -> tuple[float, float] | None:
    """Borders of the volume, mm."""
    grid = config.get('model', {}).get('data_preprocessor', {}).get('grid')
    if not grid:
        return None
    if 'vol_size' in grid:
        return -grid['vol_size'] / 2, grid['vol_size'] / 2
    return grid['vmin'], grid['vmax']


def _check_model(config: Config, dataset: Any, place: str,
                 report: RecordingReport) -> None:
    """Whether the network fits keypoints and cameras."""
    model = config.get('model', {})
    count = dataset.metainfo['num_keypoints']
    key, text = 'num_keypoints', f'the keypoints of {place}'
    if _finds_centres(dataset):
        key, text = 'out_channels', f'a map for each animal of {place}'
        if dataset.shared_map:
            count, text = 1, f'the map that the animals of {place} share'
    outputs = model.get('head', {}).get(key)
    if outputs not in (None, count):
        report.add(DataError(
            config.filename, f'model.head.{key}', f'{count}, {text}',
            str(outputs)))
    views = len(dataset.recordings[0].cameras)
    inputs = model.get('backbone', {}).get('num_views')
    drawn = model.get('data_preprocessor', {}).get('num_views')
    if inputs is not None and inputs != (drawn or views):
        report.add(DataError(
            config.filename, 'model.backbone.num_views',
            f'{drawn or views}, the views of {place}', str(inputs)))


def _inspect(recording: Recording, metainfo: dict[str, Any] | None,
             report: RecordingReport,
             grid: tuple[float, float] | None = None) -> None:
    """Figures of a recording, and what is odd in them."""
    name = recording.name
    if name in report.statistics:
        name = str(recording.label_file)
    file = recording.label_file
    if metainfo and recording.num_keypoints != metainfo['num_keypoints']:
        # no label, or a single one, the animal's middle: no body to judge
        if recording.num_keypoints > 1:
            report.add(DataError(
                file, 'labelData.data_3d',
                f'{metainfo["num_keypoints"]} keypoints',
                str(recording.num_keypoints)))
        metainfo = None
    report.statistics[name] = recording_statistics(recording, metainfo)
    if metainfo and recording.num_keypoints > 1:
        bones = odd_bones(recording, metainfo)
        by_bone: dict[tuple[str, str], list[OddBone]] = {}
        for bone in bones:
            by_bone.setdefault(bone.link, []).append(bone)
        report.problems += [_bone_problem(file, odd)
                            for odd in by_bone.values()]
    if grid is not None:
        outside = outside_cube(recording, *grid)
        if len(outside):
            report.add(DataError(
                file, f'sampleID {list_ids(outside)}',
                f'labels in the volume, {grid[0]:g} to {grid[1]:g} mm about '
                'the middle', f'{len(outside)} poses that leave it',
                'enlarge model.data_preprocessor.grid'))
    report.warnings += _jumps(recording)
    report.warnings += _confusions(recording)


def _bone_problem(file: Path, odd: list[OddBone]) -> DataError:
    worst = odd[0]
    return DataError(
        file, f'sampleID {list_ids([bone.sample_id for bone in odd])}, bone '
        f'{worst.link[0]}-{worst.link[1]}',
        f'a length near the median, {worst.median_mm:.1f} mm',
        f'{worst.length_mm:.1f} mm, {worst.sigmas:.0f} robust standard '
        f'deviations off; {len(odd)} beyond {ROBUST_SIGMAS:g}',
        'look whether its ends are swapped or misplaced')


def _jumps(recording: Recording) -> Iterator[DataError]:
    """Steps of the middle that no animal makes."""
    if len(recording) < 3:
        return
    steps = np.linalg.norm(np.diff(recording.com, axis=0), axis=-1)
    # of neighbouring time points alone
    apart = np.diff(recording.sample_ids)
    steps[apart > np.median(apart)] = np.nan
    known = steps[np.isfinite(steps)]
    if not len(known):
        return
    limit = max(_JUMP * float(np.median(known)), _JUMP_MM)
    rows = np.flatnonzero((steps > limit).any(1))
    if len(rows):
        yield DataError(
            recording.label_file,
            f'middle, sampleID {list_ids(recording.sample_ids[rows + 1])}',
            f'steps of at most {limit:.0f} mm',
            f'{np.nanmax(steps):.0f} mm; {len(rows)} such',
            'filter by com_median_window, or com_limit_mm')


def _confusions(recording: Recording) -> Iterator[DataError]:
    """Middles of several animals that are taken for each other's."""
    com, ids = recording.com, recording.sample_ids
    known = np.isfinite(com).all(-1)
    # middles at labels alone were compared with these, and may be far apart
    # in time
    if recording.num_individuals < 2 or not known[~recording.labelled].any():
        return
    order = link_identities(com, ids, named=True).order
    wrong = ((order != np.arange(order.shape[1]))
             & np.take_along_axis(known, order, 1)).any(1)
    if wrong.any():
        yield DataError(
            recording.label_file, f'middle, sampleID {list_ids(ids[wrong])}',
            'each animal near its place at the time points around',
            f'{wrong.sum()} of {len(ids)} where exchanged animals would be '
            'nearer', 'look whether the middles were linked over time')
    near = closest_pair(com)
    same = near < _SAME_MM
    if same.any():
        yield DataError(
            recording.label_file, f'middle, sampleID {list_ids(ids[same])}',
            f'animals at least {_SAME_MM:g} mm apart',
            f'{near.min():.1f} mm; {same.sum()} such',
            'two middles may be of one animal')


def _leaks(config: Config, built: Mapping[str, Any]) -> Iterator[DataError]:
    """Time points that train as well as test."""
    keys = {place: _time_points(dataset) for place, dataset in built.items()}
    for train in keys:
        if not train.startswith('train'):
            continue
        for place in keys:
            shared = keys[train] & keys[place]
            if not place.startswith('train') and shared:
                yield DataError(
                    config.filename, place, 'no time point of the training '
                    'data', f'{len(shared)} of {len(keys[place])}',
                    'split them by split_by')


def _time_points(dataset: Any) -> set[tuple[Path, int]]:
    """Label file and sampleID of each time point of a data set."""
    files = [item.label_file for item in dataset.recordings]
    if _finds_centres(dataset):
        return {(files[item['recording_index']], item['sample_id'])
                for item in dataset.samples}
    return {(files[recording],
             int(dataset.recordings[recording].sample_ids[row]))
            for recording, row in dataset.samples.tolist()}

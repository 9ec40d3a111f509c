"""Checks of a data set of horses, all of them, whatever the first ones find.

``tools/verify_dataset.py`` takes an annotation file, or a config, whose data
loaders it checks one by one and against each other. A problem would spoil
training or its figures; a warning is worth a look and changes the exit code
with ``--strict`` alone.
"""
from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_ext.commands import USAGE_ERROR
from mmpose_ext.drawing import write_picture
from mmpose_ext.equine.checks_annotations import (
    KEYS,
    inspect_annotations,
    read_annotations,
)
from mmpose_ext.equine.checks_images import (
    OpenedImage,
    describe_images,
    find_image_folder,
    image_paths,
    inspect_images,
    open_images,
)
from mmpose_ext.equine.checks_labels import (
    duplicate_images,
    inspect_labels,
    shared_ids,
)
from mmpose_ext.equine.findings import Finding, Place
from mmpose_ext.equine.horse26 import METAINFO_FILE
from mmpose_ext.equine.label_statistics import (
    label_statistics,
    statistics_text,
)
from mmpose_ext.equine.near_duplicates import near_pairs
from mmpose_ext.equine.worst_samples import draw_worst_samples
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training.config_check import find_settings

Array = np.ndarray

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@dataclass
class VerifiedFile:
    """An annotation file and all that was found in it.

    Attributes:
        path: The file.
        findings: Problems and warnings.
        content: The file's content; empty if it could not be read.
        pictures: Its pictures, None for those without a name.
        opened: The same once loaded.
        statistics: As :func:`label_statistics` has them.
    """

    path: Path
    findings: list[Finding] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    pictures: list[Path | None] = field(default_factory=list)
    opened: list[OpenedImage | None] = field(default_factory=list)
    statistics: dict[str, Any] = field(default_factory=dict)

    def hashes(self) -> tuple[Array, Array]:
        """Hashes (N,) of the pictures to compare, and their positions."""
        rows = [i for i, item in enumerate(self.opened)
                if item is not None and not item.fault and item.span]
        hashes = [item.hash for item in self.opened
                  if item is not None and not item.fault and item.span]
        return np.array(hashes, np.uint64), np.array(rows, int)


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/verify_dataset.py`` for this family."""
    parser.add_argument(
        '--images', type=Path, metavar='DIR',
        help='folder of the images of --ann-file; found by default')
    parser.add_argument(
        '--against', type=Path, nargs='+', metavar='JSON', default=[],
        help='annotation files of other splits, which must share no image')
    parser.add_argument('--strict', action='store_true',
                        help='exit with 1 on warnings too')
    parser.add_argument('--json', action='store_true',
                        help='print the findings as JSON')
    parser.add_argument('--render', type=int, metavar='N', default=0,
                        help='draw the N worst annotations of each file')
    parser.add_argument('--out-dir', type=Path, metavar='DIR',
                        help='folder for the pictures of --render')


def accepts(path: Path) -> bool:
    """Whether a file looks meant for this family, be it damaged or not."""
    if path.suffix.lower() != '.json' or not path.is_file():
        return False
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return isinstance(content, dict) and any(key in content for key in KEYS)


def run(config: Config, arguments: Namespace) -> int:
    """Check the data sets of a config; returns the exit code."""
    if arguments.images is not None:
        print('--images goes with --ann-file', file=sys.stderr)
        return USAGE_ERROR
    verified: dict[Path, VerifiedFile] = {}
    general: list[Finding] = []
    places: dict[Path, str] = {}
    for loader in LOADERS:
        for place, settings in find_settings(
                config.get(loader), loader, _has_annotations):
            path, folder = _locate(settings)
            if path in verified:
                if (loader == 'test_dataloader'
                        and places[path].startswith('val')):
                    general.append(Finding(
                        Path(config.filename), f'{place}.ann_file',
                        'a split of its own', (Place('', f'{path}, by which '
                                               'the checkpoint is chosen'), ),
                        is_warning=True))
                continue
            places[path] = place
            metainfo = _metainfo(settings, place, config)
            verified[path] = verify_file(path, metainfo, folder)
            general += _check_head(config, metainfo, place)
    if not verified:
        raise DataError(config.filename, ', '.join(LOADERS),
                        'a data set with an ann_file', 'none')
    files = list(verified.values())
    return _finish(files, _read_others(arguments, verified) + files, general,
                   arguments)


def run_file(path: Path, arguments: Namespace) -> int:
    """Check one annotation file; returns the exit code."""
    metainfo = parse_pose_metainfo(dict(from_file=METAINFO_FILE))
    file = verify_file(path, metainfo, arguments.images)
    return _finish([file], [*_read_others(arguments, {path: file}), file], [],
                   arguments)


def verify_file(path: Path, metainfo: Mapping[str, Any],
                folder: Path | None = None) -> VerifiedFile:
    """Check one annotation file and its pictures.

    Args:
        path (Path): The file.
        metainfo (Mapping): Parsed metainfo of the data set.
        folder (Path, optional): Of the images. Defaults to None: looked for
            beside the file.

    Returns:
        VerifiedFile: What was found; never raises for damaged data.
    """
    file = VerifiedFile(path)
    try:
        content = read_annotations(path)
    except DataError as error:
        file.findings.append(Finding(
            path, error.where, error.expected, (Place('', error.found), ),
            error.hint))
        return file
    file.content = content
    findings, labels = inspect_annotations(path, content, metainfo)
    file.findings += findings
    file.statistics = label_statistics(content, labels)
    images = content['images']
    folder = folder or find_image_folder(path, images)
    file.pictures = image_paths(images, folder)
    file.opened = open_images(file.pictures, f'Reading {path.name}')
    file.findings += inspect_images(path, images, folder, file.opened)
    file.findings += inspect_labels(labels)
    hashes, rows = file.hashes()
    pairs = near_pairs(hashes)
    # one line a picture, however many it resembles
    pairs = pairs[np.unique(pairs[:, 1], return_index=True)[1]][:, ::-1]
    file.findings += duplicate_images(path, images, rows[pairs], path, images)
    return file


def _read_others(arguments: Namespace,
                 known: Mapping[Path, VerifiedFile]) -> list[VerifiedFile]:
    """Pictures of the other splits; their labels are not checked."""
    others = []
    for path in arguments.against:
        if path in known:
            continue
        content = read_annotations(path)
        pictures = image_paths(content['images'],
                               find_image_folder(path, content['images']))
        others.append(VerifiedFile(
            path, content=content, pictures=pictures,
            opened=open_images(pictures, f'Reading {path.name}')))
    return others


def _finish(files: list[VerifiedFile], compared: list[VerifiedFile],
            general: list[Finding], arguments: Namespace) -> int:
    """Compare the splits, show everything and choose the exit code."""
    if arguments.render and arguments.out_dir is None:
        print('--render needs --out-dir', file=sys.stderr)
        return USAGE_ERROR
    for first, second in combinations(compared, 2):
        if first.content and second.content:
            second.findings += _shared_pictures(second, first)
            second.findings += shared_ids(second.path, second.content,
                                          first.path, first.content)
    if arguments.render:
        for file in files:
            _render(file, arguments.render, arguments.out_dir)
    findings = general + [
        item for file in compared for item in file.findings]
    _show(files, findings, arguments.json)
    errors = [item for item in findings if not item.is_warning]
    return int(bool(findings if arguments.strict else errors))


def _shared_pictures(file: VerifiedFile,
                     other: VerifiedFile) -> list[Finding]:
    hashes, rows = file.hashes()
    other_hashes, other_rows = other.hashes()
    pairs = near_pairs(hashes, other_hashes)
    pairs = pairs[np.unique(pairs[:, 0], return_index=True)[1]]
    if not len(pairs):
        return []
    pairs = np.stack([rows[pairs[:, 0]], other_rows[pairs[:, 1]]], 1)
    return duplicate_images(file.path, file.content['images'], pairs,
                            other.path, other.content['images'])


def _render(file: VerifiedFile, number: int, out: Path) -> None:
    sheet = draw_worst_samples(
        file.content, file.pictures, file.findings, number,
        f'{file.path.name}: what to look at first') if file.content else None
    if sheet is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    path = out / f'{file.path.stem}_worst.png'
    write_picture(path, sheet)
    print(path, file=sys.stderr)


def _show(files: list[VerifiedFile], findings: list[Finding],
          as_json: bool) -> None:
    errors = [item for item in findings if not item.is_warning]
    warnings = [item for item in findings if item.is_warning]
    if as_json:
        print(json.dumps(dict(
            problems=[item.as_dict() for item in errors],
            warnings=[item.as_dict() for item in warnings],
            parts={str(file.path): file.statistics for file in files}),
            indent=2))
        return
    for file in files:
        print(f'{file.path}:')
        if file.statistics:
            lines = statistics_text(file.statistics)
            for line in lines + describe_images(file.opened):
                print(f'  {line}')
    for item in warnings:
        print(f'warning: {item.as_error()}')
    for item in errors:
        print(f'error: {item.as_error()}')
    if not errors:
        print(f'no errors, {len(warnings)} warnings; --strict counts these'
              if warnings else 'no problems')


def _has_annotations(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get('ann_file'))


def _locate(settings: Mapping[str, Any]) -> tuple[Path, Path]:
    """Annotation file and folder of images, joined as MMEngine does."""
    root = Path(settings.get('data_root') or '')
    prefix = settings.get('data_prefix') or {}
    return root / settings['ann_file'], root / prefix.get('img', '')


def _metainfo(settings: Mapping[str, Any], place: str,
              config: Config) -> dict[str, Any]:
    given = settings.get('metainfo')
    if given is None:
        kind = settings.get('type')
        known: Any = kind if isinstance(kind, type) else DATASETS.get(
            str(kind))
        if known is None:
            raise DataError(config.filename, f'{place}.type',
                            'a registered data set', str(kind))
        given = known.METAINFO
    try:
        return parse_pose_metainfo(dict(given))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(config.filename, f'{place}.metainfo',
                        'the definition of keypoints', repr(error)) from error


def _check_head(config: Config, metainfo: Mapping[str, Any],
                place: str) -> list[Finding]:
    """Whether the network has an output for each point."""
    outputs = config.get('model', {}).get('head', {}).get('out_channels')
    count = len(metainfo['keypoint_id2name'])
    if outputs in (None, count):
        return []
    return [Finding(
        Path(config.filename), 'model.head.out_channels',
        f'{count}, the points of {place}', (Place('', str(outputs)), ))]

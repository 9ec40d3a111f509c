"""Labels of other programs and data sets turned into the horse layout.

``tools/convert_dataset.py`` finds the converters in :data:`CONVERTERS`. Each
reads a :class:`LabelSet`; names, pictures, split and files are then dealt
with alike.
"""
from __future__ import annotations

import functools
import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.command_options import check_new_folder, number_from
from mmpose_ext.commands import Converter
from mmpose_ext.equine.aliases import NameMap, looks_equine, map_names
from mmpose_ext.equine.near_duplicates import near_duplicate_clusters
from mmpose_ext.equine.source_pictures import (
    FitRule,
    SourcePicture,
    fit_pictures,
    merge_copies,
)
from mmpose_ext.equine.split import (
    GROUPINGS,
    check_grouping,
    group_key,
    read_earlier,
    split_groups,
)
from mmpose_ext.equine.split_files import SplitData, write_data_set
from mmpose_ext.splits import PARTS, check_shares
from mmpose_ext.storage import (
    DataError,
    LabelSet,
    check_file,
    labels_of_tracks,
    read_coco_labels,
    read_coco_names,
    read_cvat_images,
    read_dlc_names,
    read_dlc_project,
    read_keypoint_csv,
    read_label_studio,
    refuse_to_replace,
)
from mmpose_ext.storage.plain_files import sha256_of

SPLIT_FILE = 'split.json'


def _convert(read: Callable[[Namespace], list[LabelSet]],
             arguments: Namespace) -> None:
    out: Path = arguments.out
    check_new_folder(out, arguments.overwrite)
    earlier = _read_split(out / SPLIT_FILE, _split_settings(arguments))
    sets = read(arguments)
    refuse_to_replace(out, _sources(sets, arguments))
    left_out: Counter[str] = Counter()
    for labels in sets:
        left_out.update(labels.left_out)
    maps = [map_names(labels.names, labels.source) for labels in sets]
    rule = FitRule(arguments.min_keypoints, arguments.bbox_pad,
                   arguments.near_side)
    found = [picture for labels, names in zip(sets, maps, strict=True)
             for picture in fit_pictures(labels, names, rule, left_out)]
    pictures = merge_copies(found, arguments.input, left_out)
    if not pictures:
        raise DataError(
            arguments.input, 'labels', 'a horse that can be kept',
            'none; left out: ' + _listed(left_out))
    data = _share_out(pictures, arguments, earlier, left_out,
                      _hash_inputs(sets))
    text = _describe(sets, maps, data, arguments, left_out)
    write_data_set(out, data, text, arguments.images, arguments.area,
                   arguments.overwrite)
    print(text)
    print(f'written: {out}: annotations, pictures, {SPLIT_FILE}, README.txt, '
          'contact_sheet.png')


def _share_out(pictures: Sequence[SourcePicture], arguments: Namespace,
               earlier: dict[str, dict[str, str]] | None,
               left_out: Counter[str],
               inputs: dict[str, str]) -> SplitData:
    groups = [group_key(picture.file, picture.name, arguments.group_by)
              for picture in pictures]
    clusters = (near_duplicate_clusters(
        np.array([each.hash for each in pictures], np.uint64))
                if arguments.near_duplicates else None)
    before = read_earlier(earlier, groups, [
        picture.digest for picture in pictures]) if earlier else None
    parts = split_groups(groups, arguments.split, arguments.seed, clusters,
                         before)
    undecided = parts.count(None)
    if undecided:
        left_out['new pictures akin to earlier ones of several parts'
                 ] = undecided
    rows = [i for i, part in enumerate(parts) if part]
    settings = dict(
        _split_settings(arguments),
        near_duplicates=arguments.near_duplicates, inputs=inputs)
    return SplitData(
        tuple(pictures[i] for i in rows), tuple(groups[i] for i in rows),
        tuple(str(parts[i]) for i in rows), settings,
        len(set(clusters)) if clusters is not None else None)


def _split_settings(arguments: Namespace) -> dict[str, Any]:
    """What decides the part of a group; it stays as long as the split."""
    return dict(seed=arguments.seed, split=list(arguments.split),
                group_by=arguments.group_by)


def _sources(sets: Sequence[LabelSet], arguments: Namespace) -> list[Path]:
    """Files and folders that a conversion reads."""
    roots = getattr(arguments, 'images_root', None) or []
    return [arguments.input, *getattr(arguments, 'also', []),
            *(roots if isinstance(roots, list) else [roots]),
            *(image.file for labels in sets for image in labels.images)]


def _hash_inputs(sets: Sequence[LabelSet]) -> dict[str, str]:
    """SHA-256 of the files of labels."""
    files = [file for labels in sets for file in (
        [labels.source] if labels.source.is_file() else
        sorted(labels.source.glob('labeled-data/*/CollectedData_*.csv')))]
    return {str(file): sha256_of(file)
            for file in files}


def _read_split(path: Path, settings: Mapping[str, Any]
                ) -> dict[str, dict[str, str]] | None:
    """Groups and pictures of an earlier conversion, None without one.

    Raises:
        DataError: If it is damaged, or was made with other settings, which
            its parts would silently override.
    """
    if not path.exists():
        return None
    check_file(path)
    try:
        content = json.loads(path.read_bytes())
        groups = dict(content['groups'])
        pictures = {picture['sha256']: picture['part']
                    for picture in content['pictures'].values()}
        if not set(groups.values()) | set(pictures.values()) <= set(PARTS):
            raise ValueError('another part')
        made = {key: content[key] for key in settings}
    except (ValueError, KeyError, TypeError, AttributeError,
            RecursionError) as error:
        raise DataError(path, 'file', 'the split of an earlier conversion',
                        f'{type(error).__name__}: {error}',
                        'without it the pictures are shared out anew') from (
                            error)
    other = [key for key in settings if made[key] != settings[key]]
    if other:
        wanted, found = (', '.join(f'{key}={values[key]}' for key in other)
                         for values in (settings, made))
        raise DataError(path, 'settings', wanted,
                        f'a split that was made with {found}',
                        'remove it or choose another --out')
    return dict(groups=groups, pictures=pictures)


def _describe(sets: Sequence[LabelSet], maps: Sequence[NameMap],
              data: SplitData, arguments: Namespace,
              left_out: Counter[str]) -> str:
    """Where the data set comes from, and what became of it."""
    lines = []
    for labels, names in zip(sets, maps, strict=True):
        lines.append(f'From {labels.source} ({arguments.format}): '
                     f'{names.describe()}.')
        if names.unknown:
            lines.append('Points of no meaning here, left out: '
                         f'{", ".join(names.unknown)}.')
        if any('{near}' in str(target) for target in names.targets):
            lines.append(f'<near>: taken as {arguments.near_side}.')
        if any('{seen}' in str(target) for target in names.targets):
            lines.append('<seen>: the side in view, the right one of a horse '
                         'that looks to the right.')
    lines += ['', data.describe()]
    if any(left_out.values()):
        lines += ['', f'Left out: {_listed(left_out)}.']
    area = ('0.53 of ' if arguments.area == '0.53' else '') + 'the box'
    lines += [
        '', 'Boxes are the source\'s, else tight round the points and '
        f'{arguments.bbox_pad:.0%} of the longer side wider on each side, '
        f'clipped to the picture. The area is {area}.',
        'Visibility: 0 absent, 1 occluded, 2 visible.']
    return '\n'.join(lines)


def _listed(left_out: Counter[str]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count
                     in sorted(left_out.items()) if count) or 'nothing'


def _read_coco(arguments: Namespace) -> list[LabelSet]:
    files = [arguments.input, *arguments.also]
    roots = arguments.images_root or [None]
    if len(roots) == 1:
        roots = roots * len(files)
    if len(roots) != len(files):
        raise DataError(arguments.input, '--images-root',
                        f'one folder, or one for each of {len(files)} files',
                        f'{len(roots)}')
    return [read_coco_labels(file, root, arguments.category, 'horse')
            for file, root in zip(files, roots, strict=True)]


def _read_below_root(reader: Callable[..., LabelSet],
                     arguments: Namespace) -> list[LabelSet]:
    return [reader(arguments.input, arguments.images_root)]


def _add_arguments(parser: ArgumentParser, *extra: str,
                   group_by: str = 'image') -> None:
    """Options of a converter; extra: ``root``, ``coco``."""
    if 'root' in extra:
        parser.add_argument(
            '--images-root', type=Path, metavar='DIR',
            help='folder below which the pictures lie (default: INPUT\'s)')
    if 'coco' in extra:
        parser.add_argument(
            '--images-root', type=Path, nargs='+', metavar='DIR',
            help='folder of the pictures, or one for each file (default: '
            'the file\'s own)')
        parser.add_argument('--also', type=Path, nargs='+', default=[],
                            metavar='FILE', help='more files to merge')
        parser.add_argument(
            '--category', metavar='NAME', help='whose annotations to take '
            '(default: horse, else the only one)')
    parser.add_argument(
        '--images', choices=('copy', 'symlink', 'none'), default='copy',
        help='how the pictures come into the folder; with none the labels '
        'name them where they are (default: copy)')
    parser.add_argument(
        '--split', type=_fractions, default=(.7, .15, .15),
        metavar='TRAIN,VAL,TEST', help='shares (default: 0.7,0.15,0.15)')
    parser.add_argument('--seed', type=int, default=42,
                        help='of the split (default: 42)')
    parser.add_argument(
        '--group-by', type=_grouping, default=group_by,
        help='what is never divided by the split: one of '
        f'{", ".join(GROUPINGS)} (default: {group_by})')
    parser.add_argument(
        '--no-near-duplicates', dest='near_duplicates', action='store_false',
        help='let near-duplicate pictures lie in different parts')
    parser.add_argument(
        '--min-keypoints', type=number_from(1, 26, kind=int), default=5,
        metavar='N',
        help='leave out horses with fewer points (default: 5)')
    parser.add_argument(
        '--bbox-pad', type=number_from(0, 10), default=.1, metavar='SHARE',
        help='margin of boxes made from points, as a share of their longer '
        'side (default: 0.1)')
    parser.add_argument(
        '--area', choices=('0.53', 'bbox'), default='0.53',
        help='area that scores are relative to: 0.53 of the box, as MMPose '
        'takes it, or all of it (default: 0.53)')
    parser.add_argument(
        '--near-side', choices=('left', 'right', 'unknown'), default='left',
        help='side that points named near... are of; left among horsemen '
        'and in Horse-10 (default: left)')


def _fractions(text: str) -> tuple[float, ...]:
    try:
        return check_shares([float(part) for part in text.split(',')],
                            'such as 0.7,0.15,0.15')
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _grouping(text: str) -> str:
    try:
        check_grouping(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return text


def _accepts_coco(path: Path) -> bool:
    return path.suffix.lower() == '.json' and looks_equine(
        read_coco_names(path), path)


def _accepts_dlc(path: Path) -> bool:
    return path.is_dir() and looks_equine(read_dlc_names(path), path)


def _ends_in(suffix: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() == suffix


def _below_root(text: str, suffix: str,
                reader: Callable[..., LabelSet]) -> Converter:
    return Converter(
        text, _ends_in(suffix),
        lambda parser: _add_arguments(parser, 'root'),
        functools.partial(_convert, functools.partial(
            _read_below_root, reader)))


CONVERTERS: dict[str, Converter] = {
    'coco': Converter(
        'COCO keypoints (.json): AP-10K, AnimalPose, Horse-10 and others',
        _accepts_coco, lambda parser: _add_arguments(parser, 'coco'),
        functools.partial(_convert, _read_coco)),
    'dlc': Converter(
        'labelled DeepLabCut project (folder with config.yaml); of the '
        'labels the .csv is read, not the .h5 beside it',
        _accepts_dlc, lambda parser: _add_arguments(
            parser, group_by='folder'),
        functools.partial(_convert, lambda a: [
            labels_of_tracks(read_dlc_project(a.input))])),
    'labelstudio': _below_root(
        'Label Studio export (.json), JSON or JSON-MIN', '.json',
        read_label_studio),
    'cvat': _below_root("CVAT export 'CVAT for images 1.1' (.xml)", '.xml',
                        read_cvat_images),
    'csv': _below_root('table of points (.csv): file,name,x,y[,v]', '.csv',
                       read_keypoint_csv),
}

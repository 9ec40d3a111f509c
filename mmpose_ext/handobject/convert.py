"""Data sets of hands turned into indexes, or into COCO annotations.

``tools/convert_dataset.py`` finds the converters in :data:`CONVERTERS`.
"""
from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mmpose_ext.command_options import number_from
from mmpose_ext.commands import Converter
from mmpose_ext.handobject.convert_coco import write_coco
from mmpose_ext.handobject.convert_dexycb import (
    DexYcbRoot,
    SplitPlan,
    gather_splits,
    merge_keys,
    open_root,
    plan_split,
)
from mmpose_ext.handobject.convert_interhand import (
    ENDINGS,
    find_prefixes,
    gather_interhand,
    split_of,
)
from mmpose_ext.handobject.dexycb_splits import KEYFRAME_STEP, SETUPS, SPLITS
from mmpose_ext.handobject.index_files import (
    INTERHAND,
    HandObjectIndex,
    make_index,
    write_index,
)
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import DataError

Array = np.ndarray

ALL = 'all'
FORMATS = {'npz': '.npz', 'coco': '.json'}


def convert_dexycb(root: Path, out: Path, setup: str = 's0',
                   split: str = ALL, every: int = 1,
                   subjects: Sequence[int] | None = None,
                   limit: int | None = None, contact: bool = False,
                   form: str = 'npz', workers: int = 0,
                   overwrite: bool = False) -> list[Path]:
    """Write indexes of splits of DexYCB, all of them or none.

    Args:
        root (Path): The data root.
        out (Path): Folder of the files, ``<setup>_<split>.npz``.
        setup (str): ``s0`` to ``s3`` or ``all``. Defaults to ``s0``.
        split (str): ``train``, ``val``, ``test`` or ``all``, which leaves
            out those without a video. Defaults to ``all``.
        every (int): Take frames whose number it divides. Defaults to 1.
        subjects (Sequence[int], optional): Their numbers, from 1. Defaults
            to None, all.
        limit (int, optional): At most so many frames of a split, evenly
            spread over it. Defaults to None.
        contact (bool): Whether to measure how far joints are from the
            grasped object. Defaults to False.
        form (str): ``npz`` or ``coco``. Defaults to ``npz``.
        workers (int): Processes that read; 0 for this one. Defaults to 0.
        overwrite (bool): Whether files may be replaced. Defaults to False.

    Returns:
        list[Path]: The files.

    Raises:
        DataError: If the data are damaged, there is no frame, or a file is
            there already.
    """
    wanted = [(one, part)
              for one in (SETUPS if setup == ALL else [setup])
              for part in (SPLITS if split == ALL else [split])]
    targets = {pair: out / f'{"_".join(pair)}{FORMATS[form]}'
               for pair in wanted}
    _refuse_existing([*targets.values()], overwrite)
    data = open_root(root)
    if contact and data.models is None:
        raise DataError(root / 'models', 'folder', "the objects' meshes, for "
                        '--contact', 'nothing')
    plans = _plans(data, wanted, every, subjects, limit)
    keys = merge_keys(plans)
    progress = prediction_progress()
    progress.disable = not progress.console.is_terminal
    with progress:
        task = progress.add_task('frames', total=len(keys))

        def advance(count: int) -> None:
            progress.advance(task, count)

        columns, notes = gather_splits(data, plans, keys, contact, workers,
                                       advance)
        files = [targets[plan.setup, plan.split] for plan in plans]
        indexes = [make_index(file, each) for file, each
                   in zip(files, columns, strict=True)]
        for index in indexes:
            index.check_values()
        with _all_or_none(files) as drafts:
            for index, draft in zip(indexes, drafts, strict=True):
                if form == 'npz':
                    write_index(draft, index.columns)
                    continue
                task = progress.add_task(
                    draft.name, total=int(index['hand_valid'].sum()))
                write_coco(draft, index, root, advance)
    for line in (*data.incomplete(), *_without_meshes(data),
                 *_missing_splits(wanted, plans)):
        print(line)
    for file, index in zip(files, indexes, strict=True):
        print(describe(index, file.stem))
    _print_end(notes, files)
    return files


def convert_interhand(folder: Path, out: Path, root: Path | None = None,
                      images: Path | None = None,
                      overwrite: bool = False) -> list[Path]:
    """Write indexes of InterHand2.6M, one for each ``*_data.json``.

    Args:
        folder (Path): Of the annotations.
        out (Path): Folder of the files, ``interhand2.6m_<split>.npz``.
        root (Path, optional): The data root. Defaults to None, `folder`.
        images (Path, optional): Folder of the pictures, in the data root.
            Defaults to None, the data root.
        overwrite (bool): Whether files may be replaced. Defaults to False.

    Returns:
        list[Path]: The files.

    Raises:
        DataError: If the data are damaged or a file is there already.
    """
    root = root or folder
    prefixes = find_prefixes(folder)
    files = [out / f'{INTERHAND}_{split_of(prefix)}.npz'
             for prefix in prefixes]
    if len({*files}) < len(files):
        raise DataError(folder, 'folder', 'annotations of one set a split',
                        ', '.join(prefix.name for prefix in prefixes))
    _refuse_existing(files, overwrite)
    notes: Counter[str] = Counter()
    indexes = []
    for prefix, file in zip(prefixes, files, strict=True):
        columns, found = gather_interhand(prefix, root, images or root)
        indexes.append(make_index(file, columns))
        indexes[-1].check_values()
        notes += found
    with _all_or_none(files) as drafts:
        for index, draft in zip(indexes, drafts, strict=True):
            write_index(draft, index.columns)
    for file, index in zip(files, indexes, strict=True):
        print(describe(index, file.stem))
    _print_end(notes, files)
    return files


def describe(index: HandObjectIndex, name: str) -> str:
    """What an index holds, as a table with a row for each subject.

    Args:
        index (HandObjectIndex): The index.
        name (str): Its name.
    """
    sequence = index['sequence_row']
    subjects = index['sequence_subject'][sequence]
    there = index['ycb_ids'][sequence] > 0
    missing = there & ~index['object_valid']
    left = index['side'][sequence] == 1
    hands = index['hand_valid']
    columns = {'frames': np.ones(len(index), bool), 'hands': hands,
               'right': hands & ~left, 'left': hands & left,
               'without': ~hands}
    lines = [f'{name}:', '  ' + ' ' * 20 + ''.join(
        f'{title:>10}' for title in (*columns, 'objects', 'missing'))]
    parts = {index.subjects[row]: subjects == row
             for row in np.unique(subjects)}
    for label, rows in {**parts, ALL: np.ones(len(index), bool)}.items():
        counts = [*(int(values[rows].sum()) for values in columns.values()),
                  int(there[rows].sum()), int(missing[rows].sum())]
        lines.append(f'  {label:<20}'
                     + ''.join(f'{count:>10,}' for count in counts))
    return '\n'.join(lines)


def _plans(data: DexYcbRoot, wanted: Sequence[tuple[str, str]], every: int,
           subjects: Sequence[int] | None,
           limit: int | None) -> list[SplitPlan]:
    plans = [plan_split(data, *pair, every, subjects, limit)
             for pair in wanted]
    plans = [plan for plan in plans if len(plan.key)]
    if not plans:
        names = ', '.join('_'.join(pair) for pair in wanted)
        raise DataError(
            data.root, 'split', f'frames of {names}', 'none',
            'its subjects, cameras or sequences are not there')
    return plans


def _without_meshes(data: DexYcbRoot) -> Iterator[str]:
    if data.models is None:
        yield (f'no meshes in {data.root / "models"}: boxes of hand and '
               'object are those of the hand')


def _missing_splits(wanted: Sequence[tuple[str, str]],
                    plans: Sequence[SplitPlan]) -> Iterator[str]:
    there = {(plan.setup, plan.split) for plan in plans}
    for pair in wanted:
        if pair not in there:
            yield f'{"_".join(pair)}: no video, not written'


def _print_end(notes: Mapping[str, int], files: Sequence[Path]) -> None:
    for note, count in sorted(notes.items()):
        print(f'{count:,} {note}')
    print(f'written: {", ".join(map(str, files))}')


def _refuse_existing(files: Sequence[Path], overwrite: bool) -> None:
    for file in files:
        if file.parent.exists() and not file.parent.is_dir():
            raise DataError(file.parent, 'folder', 'a folder or nothing',
                            'a file')
        if file.exists() and not (overwrite and file.is_file()):
            raise DataError(file, 'file', 'nothing there',
                            f'a {"file" if file.is_file() else "folder"}',
                            'choose another --out, or replace it by '
                            '--overwrite')


@contextmanager
def _all_or_none(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Places to write files of one folder, all moved there at the end."""
    out = files[0].parent
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix='.new-') as place:
            drafts = [Path(place, file.name) for file in files]
            yield drafts
            for draft, file in zip(drafts, files, strict=True):
                draft.replace(file)
    except BaseException:
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


def _run_dexycb(arguments: Namespace) -> None:
    convert_dexycb(
        arguments.input, arguments.out, arguments.setup, arguments.split,
        KEYFRAME_STEP if arguments.keyframes else arguments.every,
        arguments.subjects, arguments.limit, arguments.contact,
        arguments.form, arguments.workers, arguments.overwrite)


def _run_interhand(arguments: Namespace) -> None:
    convert_interhand(arguments.input, arguments.out, arguments.data_root,
                      arguments.images, arguments.overwrite)


def _add_dexycb(parser: ArgumentParser) -> None:
    parser.add_argument('--setup', choices=(*SETUPS, ALL), default='s0',
                        help='what is unseen in the test: s0 sequences, s1 '
                        'subjects, s2 cameras, s3 objects (default: s0)')
    parser.add_argument('--split', choices=(*SPLITS, ALL), default=ALL,
                        help='(default: all)')
    step = parser.add_mutually_exclusive_group()
    step.add_argument('--every', type=number_from(1, kind=int), default=1,
                      metavar='N',
                      help='take frames 0, N, 2N... of each video')
    step.add_argument('--keyframes', action='store_true',
                      help='take the frames of the BOP evaluation, every '
                      'fourth')
    parser.add_argument('--subjects', type=number_from(1, kind=int), nargs='+',
                        metavar='N', help='take these, 1 to 10')
    parser.add_argument('--limit', type=number_from(1, kind=int), metavar='N',
                        help='take at most N frames of a split, evenly '
                        'spread over it')
    parser.add_argument('--contact', action='store_true',
                        help='measure how far the joints are from the '
                        'grasped object, by its mesh')
    parser.add_argument('--format', choices=FORMATS, default='npz',
                        dest='form', help='index of mapped columns, or COCO '
                        'annotations of hands (default: npz)')
    parser.add_argument('--workers', type=number_from(0, kind=int), default=0,
                        metavar='N', help='processes that read (default: 0, '
                        'none beside this one)')


def _add_interhand(parser: ArgumentParser) -> None:
    parser.add_argument('--data-root', type=Path, metavar='DIR',
                        help='where training finds the pictures (default: '
                        'INPUT)')
    parser.add_argument('--images', type=Path, metavar='DIR',
                        help='folder of the pictures, in the data root '
                        '(default: the data root)')


def _accepts_dexycb(path: Path) -> bool:
    return path.is_dir() and any(path.glob('*-subject-*'))


def _accepts_interhand(path: Path) -> bool:
    return path.is_dir() and any(path.glob(f'*{ENDINGS[0]}'))


CONVERTERS: dict[str, Converter] = {
    'dexycb': Converter(
        'DexYCB (its data root), one index a split',
        _accepts_dexycb, _add_dexycb, _run_dexycb),
    INTERHAND: Converter(
        "InterHand2.6M in MMPose's files (folder with *_data.json, "
        '*_camera.json and *_joint_3d.json), one frame a hand',
        _accepts_interhand, _add_interhand, _run_interhand),
}

"""``tools/predict.py`` for hands and objects.

Of an index all frames with a hand are predicted, with their own cameras, and
the files of DexYCB's own evaluations are written; of pictures what options
tell of boxes, camera and side.
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmpose_ext.command_options import (
    add_device_option,
    check_least,
    check_out,
)
from mmpose_ext.drawing.grid import write_picture
from mmpose_ext.handobject.dexycb_splits import SETUPS, is_keyframe
from mmpose_ext.handobject.hand import SIDES, root_relative
from mmpose_ext.handobject.index_columns import DEXYCB
from mmpose_ext.handobject.inference import (
    BATCH,
    Found,
    HandObjectInferencer,
)
from mmpose_ext.handobject.photographs import list_photographs, read_camera
from mmpose_ext.handobject.prediction_files import (
    FIELDS,
    FILE,
    OPTIONAL_FIELDS,
    read_predictions,
    write_predictions,
)
from mmpose_ext.handobject.result_files import (
    write_bop_poses,
    write_hand_poses,
)
from mmpose_ext.handobject.scene_pictures import (
    NO_CAMERA,
    Scene,
    draw_scene,
)
from mmpose_ext.handobject.scene_sources import ObjectBounds, labels_of
from mmpose_ext.handobject.tasks import (
    INDEX_SUFFIX,
    Task,
    open_index,
    spread,
)
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import (
    DataError,
    atomic_folder,
    refuse_other_content,
    refuse_to_replace,
)
from mmpose_ext.storage.plain_files import sha256_of

Array = np.ndarray

HPE, BOP, PICTURES = 'hpe.txt', 'bop.csv', 'pictures'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument(
        'input', type=Path,
        help='index (.npz) that convert_dataset wrote, picture, or folder of '
        'pictures')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR',
        help=f'new folder for {FILE} and, of a whole index of DexYCB, {HPE} '
        f'and {BOP} for its own evaluations')
    add_root_argument(parser)
    boxes = parser.add_mutually_exclusive_group()
    boxes.add_argument(
        '--boxes', type=Path, metavar='FILE',
        help='where the hands are. Of pictures a JSON list of {"image", '
        '"bbox": [x, y, w, h], "side"}; of an index .npz or .json with id '
        'and bbox (default: the labelled boxes, or the whole picture)')
    boxes.add_argument(
        '--bbox', type=float, nargs=4, metavar=('X', 'Y', 'W', 'H'),
        help='where the hand is in each picture, px')
    parser.add_argument(
        '--camera', nargs='+', metavar='FILE|FX FY CX CY',
        help='of pictures: JSON with fx, fy, cx, cy or K, YAML as DexYCB has '
        'it, or the numbers in px (default: a guess, which leaves distances '
        'from the camera unknown)')
    parser.add_argument(
        '--side', choices=SIDES,
        help='of the hands in pictures (default: right)')
    parser.add_argument(
        '--every', type=int, default=1, metavar='N',
        help='of an index: frames whose number N divides (default: 1)')
    parser.add_argument(
        '--limit', type=int, metavar='N',
        help='of an index: at most N frames, evenly spread (default: all)')
    parser.add_argument(
        '--pictures', type=int, default=0, metavar='N',
        help='draw N of them, evenly spread (default: 0)')
    parser.add_argument(
        '--batch-size', type=int, default=BATCH, metavar='N',
        help=f'photographs at a time (default: {BATCH})')
    parser.add_argument(
        '--workers', type=int, default=0, metavar='N',
        help='processes that read and cut photographs (default: 0, none but '
        'this one)')
    add_device_option(parser)
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the folder')


def add_root_argument(parser: argparse.ArgumentParser) -> None:
    """Add what says where the data of an index lie."""
    parser.add_argument(
        '--data-root', type=Path, metavar='DIR',
        help="of an index: the pictures' folder (default: the one above the "
        "index's folder if that is called index, else the index's own)")


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Predict, write and summarise."""
    _check(arguments)
    out: Path = arguments.out
    task = _open(config, arguments)
    named = [arguments.checkpoint, arguments.input, arguments.boxes]
    folders = {photograph.image.parent for photograph in task.photographs
               if isinstance(photograph.image, Path)}
    refuse_to_replace(out, [*(path for path in named if path is not None),
                            *folders])
    inferencer = HandObjectInferencer(config, arguments.checkpoint,
                                      arguments.device)
    texts = dict(config=str(config.filename), input=str(arguments.input),
                 checkpoint_sha256=sha256_of(arguments.checkpoint))
    if task.index is not None:
        texts |= dict(fingerprint=task.index.fingerprint,
                      setup=task.index.setup, split=task.index.split)
    with atomic_folder(out, arguments.overwrite) as folder:
        began = time.perf_counter()
        columns = collect(
            inferencer.predict(task.photographs, arguments.batch_size,
                               arguments.workers), len(task.photographs))
        seconds = time.perf_counter() - began
        write_predictions(folder / FILE, columns, texts)
        names = [FILE, *_write_results(folder, task, columns)]
        if arguments.pictures:
            draw(folder, task, arguments.pictures)
            names.append(PICTURES)
    print('\n'.join([
        f'photographs     {len(columns["id"])}, '
        f'{len(columns["id"]) / seconds:,.1f} a second',
        *_summary(task, columns),
        *(f'written         {out / name}' for name in names),
        '                to look at: tools/visualize.py CONFIG '
        f'{out} {arguments.input} --out sheet.png']))
    return 0


def collect(results: Iterator[Found], count: int) -> dict[str, Array]:
    """Put results into columns, with progress on the standard error.

    Args:
        results (Iterator[dict]): Of ``HandObjectInferencer.predict``.
        count (int): How many there are.

    Returns:
        dict[str, ndarray]: As ``write_predictions`` takes them.
    """
    columns: dict[str, Array] = dict(
        id=np.zeros(count, np.int64), K=np.zeros((count, 4), np.float32),
        side=np.zeros(count, np.uint8), bbox=np.zeros((count, 4), np.float32),
        metric_depth=np.zeros(count, bool))
    names = []
    with prediction_progress() as progress:
        for row, found in enumerate(progress.track(
                results, total=count, description='photographs')):
            photograph = found['photograph']
            names.append(photograph.name)
            left, top, right, bottom = found['bbox']
            fixed = dict(
                id=photograph.number, side=SIDES.index(found['side']),
                K=found['camera_matrix'][[0, 1, 0, 1], [0, 1, 2, 2]],
                bbox=(left, top, right - left, bottom - top),
                metric_depth=found['metric_depth'])
            values = {**found, 'keypoints_cam': found['joints_cam'], **fixed}
            for name in (*fixed, *FIELDS, *OPTIONAL_FIELDS):
                if name not in values:
                    continue
                if name not in columns:
                    columns[name] = np.zeros(
                        (count, *np.shape(values[name])), np.float32)
                columns[name][row] = values[name]
    return {**columns, 'file_name': np.array(names, np.str_)}


def draw(folder: Path, task: Task, count: int) -> None:
    """Draw some of the predictions that lie in a folder, evenly spread."""
    predictions = read_predictions(folder)
    (folder / PICTURES).mkdir()
    bounds = ObjectBounds(task.root / 'models')
    for row in spread(len(predictions), count):
        photograph = task.photographs[row]
        truth = (None if task.index is None else
                 labels_of(task.index, int(task.rows[row])))
        scene = Scene(
            photograph.read(), predictions.camera_matrix(row),
            predictions.pose(row), truth,
            f'{photograph.name}   id {photograph.number}   '
            f'{photograph.side}', bounds,
            '' if photograph.matrix is not None else NO_CAMERA)
        write_picture(
            folder / PICTURES / f'{photograph.number:06d}.jpg',
            draw_scene(scene))


def _check(arguments: argparse.Namespace) -> None:
    """Find out what cannot be done before it takes time."""
    check_least(arguments.input, arguments, every=1, limit=1, pictures=0,
                batch_size=1, workers=0)
    check_out(arguments.out, overwrite=arguments.overwrite)
    refuse_other_content(arguments.out, [FILE, HPE, BOP, PICTURES])


def _open(config: Config, arguments: argparse.Namespace) -> Task:
    """Photographs of the input."""
    path: Path = arguments.input
    if path.is_dir() or path.suffix.lower() != INDEX_SUFFIX:
        for name, given in (('--every', arguments.every != 1),
                            ('--limit', arguments.limit is not None),
                            ('--data-root', arguments.data_root is not None)):
            if given:
                raise DataError(path, name, 'an index (.npz) as INPUT',
                                'pictures')
        matrix = (None if arguments.camera is None
                  else read_camera(arguments.camera))
        return Task(
            list_photographs(path, arguments.boxes, arguments.bbox, matrix,
                             arguments.side or 'right'), None,
            np.empty(0, np.int64), path if path.is_dir() else path.parent)
    for name in ('camera', 'side', 'bbox'):
        if getattr(arguments, name) is not None:
            raise DataError(path, f'--{name}', 'pictures as INPUT',
                            'an index, which has its own')
    return open_index(config, path, arguments.data_root, arguments.every,
                      arguments.limit, arguments.boxes)


def _write_results(folder: Path, task: Task,
                   columns: Mapping[str, Array]) -> list[str]:
    """Write the files of DexYCB's own evaluations; returns their names.

    Each wants all samples that it counts; of a part there is none.
    """
    index = task.index
    if index is None or index.source != DEXYCB or index.setup not in SETUPS:
        return []
    there = np.zeros(len(index), bool)
    there[task.rows] = True
    hands = np.asarray(index['hand_valid'])
    names = []
    if there[hands].all():
        write_hand_poses(folder / HPE, columns['id'],
                         columns['keypoints_cam'], index)
        names.append(HPE)
    keys = hands & is_keyframe(index['frame'])
    if 'object_rotations' in columns and keys.any() and there[keys].all():
        write_bop_poses(folder / BOP, columns['id'],
                        columns['object_rotations'],
                        columns['object_translations'],
                        columns['object_scores'], index)
        names.append(BOP)
    return names


def _summary(task: Task, columns: Mapping[str, Array]) -> list[str]:
    left = int((columns['side'] == 1).sum())
    lines = [f'hands           {len(columns["side"]) - left} right, {left} '
             'left', 'score           '
             f'{np.median(columns["keypoint_scores"]):.2f} median']
    if not columns['metric_depth'].all():
        lines.append('camera          guessed: what is relative to the wrist '
                     'holds, distances from the camera do not')
    truth = task.truth()
    if truth is not None:
        found = columns['keypoints_cam']
        errors = np.linalg.norm(root_relative(found) - root_relative(truth),
                                axis=-1)
        absolute = np.linalg.norm(found - truth, axis=-1)
        lines.append(
            f'MPJPE           {1000 * errors.mean():.1f} mm root-relative, '
            f'{1000 * absolute.mean():.1f} mm absolute; tools/test.py for '
            'more')
    return lines

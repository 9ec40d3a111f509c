"""``tools/visualize.py`` for hands and objects.

Draws what ``tools/predict.py`` wrote, or the labels of an index, on the
photographs by their own cameras: a sheet, a movie, or a picture each.
"""
from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.progress import track

from mmpose_ext.command_options import check_least, check_out
from mmpose_ext.drawing import contact_sheet
from mmpose_ext.drawing.grid import write_picture
from mmpose_ext.handobject.crop_cache import read_photograph
from mmpose_ext.handobject.drawing import HandObjectPose
from mmpose_ext.handobject.hand import SIDES
from mmpose_ext.handobject.index_files import HandObjectIndex, read_index
from mmpose_ext.handobject.objects import ycb_name
from mmpose_ext.handobject.photographs import IMAGE_SUFFIXES
from mmpose_ext.handobject.pose_errors import joint_errors_mm, object_errors
from mmpose_ext.handobject.predict import add_root_argument
from mmpose_ext.handobject.prediction_files import (
    FILE,
    HandObjectPredictions,
    read_predictions,
)
from mmpose_ext.handobject.scene_pictures import (
    NO_CAMERA,
    TILE,
    Scene,
    draw_scene,
)
from mmpose_ext.handobject.scene_sources import ObjectBounds, labels_of
from mmpose_ext.handobject.tasks import INDEX_SUFFIX, root_of_index, spread
from mmpose_ext.storage import (
    DataError,
    VideoWriter,
    atomic_folder,
    refuse_to_replace,
)

Array = np.ndarray

MOVIE_SUFFIX = '.mp4'
_ON_SHEET = 12
_LEGEND = 'yellow joint: touches   bright box: held'
_FPS = 30.  # of DexYCB's cameras
# what the worst are the worst by: unit, and text
ERRORS = {'hand': 'mm', 'object': 'mm', 'rotation': 'deg'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        'inputs', type=Path, nargs='+', metavar='PREDICTIONS INPUT',
        help=f'{FILE} or its folder, and what it was made from: an index, a '
        'picture or a folder of pictures. With --labels an index alone may '
        'do')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE.png|FILE.mp4|DIR',
        help='a sheet of some, evenly spread; a movie of all; or a new folder '
        'with a picture each')
    add_root_argument(parser)
    parser.add_argument(
        '--models-dir', type=Path, metavar='DIR',
        help="the objects' meshes (default: models in the data root; without "
        'it objects are axes)')
    parser.add_argument(
        '--labels', action='store_true',
        help="draw the index's labels too")
    parser.add_argument(
        '--worst', type=int, metavar='N',
        help='only the N of largest error; into a folder, also a sheet of N '
        'for each object')
    parser.add_argument(
        '--by', choices=tuple(ERRORS), default='hand',
        help='--worst by the root-relative error of the hand, or the place '
        'or rotation of the object held (default: hand)')
    parser.add_argument(
        '--sequence', metavar='NAME', help='of an index: only this sequence')
    parser.add_argument(
        '--camera', metavar='SERIAL', help='of an index: only this camera')
    parser.add_argument(
        '--every', type=int, default=1, metavar='N',
        help='each N-th (default: 1)')
    parser.add_argument(
        '--limit', type=int, metavar='N',
        help=f'at most N, evenly spread (default: {_ON_SHEET} on a sheet, '
        'else all)')
    parser.add_argument(
        '--object-thr', type=float, default=.5,
        help='presence from which a predicted object is drawn (default: .5)')
    parser.add_argument(
        '--fps', type=float, default=_FPS,
        help=f'of the movie (default: {_FPS:g})')
    parser.add_argument(
        '--tile', type=int, default=TILE, metavar='PX',
        help=f'side of each part of a picture (default: {TILE})')
    parser.add_argument(
        '--whole', action='store_true',
        help='show whole photographs instead of what is about the hand')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace what is there')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Draw, write and summarise."""
    _check(arguments)
    gallery = _open(arguments)
    refuse_to_replace(arguments.out, [
        *arguments.inputs, *{path.parent for path in gallery.files}])
    chosen = _choose(gallery, arguments)
    out: Path = arguments.out
    if out.suffix.lower() in IMAGE_SUFFIXES:
        write_picture(out, gallery.sheet(chosen, _LEGEND))
    elif out.suffix.lower() == MOVIE_SUFFIX:
        _write_movie(gallery, chosen, out, arguments.fps)
    else:
        with atomic_folder(out, arguments.overwrite) as folder:
            for row, picture in zip(chosen, gallery.pictures(chosen),
                                    strict=True):
                write_picture(folder / f'{gallery.numbers[row]:06d}.jpg',
                              picture)
            if arguments.worst is not None:
                _write_objects(gallery, folder, arguments)
    print(f'drawn        {len(chosen)} of {len(gallery.files)}')
    if arguments.labels and gallery.predictions is not None:
        errors = gallery.errors('hand')
        print(f'hand         {np.nanmean(errors):.1f} mm root-relative, '
              f'median {np.nanmedian(errors):.1f}')
    print(f'written      {out}')
    return 0


@dataclass(frozen=True, eq=False)
class Gallery:
    """Photographs with predictions, labels or both.

    Attributes:
        files: N photographs.
        numbers: Their ids.
        captions: What they are called.
        predictions: Of them, or None.
        found: (N,) rows of the predictions.
        index: Of them, or None: no labels are drawn.
        rows: (N,) rows of the index.
        bounds: Boxes of meshes.
        options: Of ``draw_scene``.
        object_thr: Presence from which a predicted object is drawn.
    """

    files: list[Path]
    numbers: list[int]
    captions: list[str]
    predictions: HandObjectPredictions | None
    found: Array
    index: HandObjectIndex | None
    rows: Array
    bounds: ObjectBounds
    options: dict[str, Any]
    object_thr: float = .5

    def pose(self, row: int) -> HandObjectPose | None:
        """What was predicted, if anything."""
        if self.predictions is None:
            return None
        return self.predictions.pose(int(self.found[row]), self.object_thr)

    def truth(self, row: int) -> HandObjectPose | None:
        """What is labelled, if labels are drawn."""
        return (None if self.index is None
                else labels_of(self.index, int(self.rows[row])))

    def draw(self, row: int) -> Array:
        """A photograph with all of it."""
        note = ''
        if self.predictions is not None:
            place = int(self.found[row])
            matrix = self.predictions.camera_matrix(place)
            if not self.predictions.columns['metric_depth'][place]:
                note = NO_CAMERA
        else:
            assert self.index is not None
            matrix = self.index.camera_matrix(int(self.rows[row])).astype(
                np.float64)
        image = read_photograph(
            self.files[row], None if self.index is None else
            self.index.size_of(int(self.rows[row])))
        return draw_scene(
            Scene(image, matrix, self.pose(row), self.truth(row),
                  self.captions[row], self.bounds, note), **self.options)

    def pictures(self, chosen: Array) -> Iterator[Array]:
        """Draw some, with progress on the standard error."""
        for row in track(chosen.tolist(), 'drawing',
                         console=Console(stderr=True), transient=True):
            yield self.draw(row)

    def sheet(self, chosen: Array, title: str) -> Array:
        """Some on a sheet."""
        tiles = list(self.pictures(chosen))
        columns = max(1, math.floor(math.sqrt(len(tiles))))
        return contact_sheet(tiles, columns, title=title)

    def errors(self, kind: str) -> Array:
        """Error (N,) of each, see ``ERRORS``; NaN: unknown."""
        values = np.full(len(self.files), np.nan)
        for row in range(len(self.files)):
            pose, truth = self.pose(row), self.truth(row)
            if pose is None or truth is None:
                continue
            if kind == 'hand':
                values[row] = joint_errors_mm(pose, truth).mean()
            else:
                assert self.predictions is not None
                # whatever its presence is said to be
                pose = self.predictions.pose(int(self.found[row]), 0.)
                angle, distance = object_errors(
                    pose, truth, truth.grasped,
                    self.bounds.get(truth.grasped))
                values[row] = angle if kind == 'rotation' else distance
        return values

    def held(self) -> Array:
        """Class (N,) of the object held in each; -1: none."""
        assert self.index is not None
        sequences = self.index['sequence_row'][self.rows]
        columns = self.index['grasped'][sequences]
        ids = self.index['ycb_ids'][sequences, np.maximum(columns, 0)]
        return np.where(columns >= 0, ids.astype(int) - 1, -1)


def _open(arguments: argparse.Namespace) -> Gallery:
    """What the arguments name.

    Raises:
        DataError: If predictions and photographs are not of each other.
    """
    *first, source = arguments.inputs
    predictions = read_predictions(first[0]) if first else None
    options = dict(tile=arguments.tile, whole=arguments.whole)
    if source.is_dir() or source.suffix.lower() != INDEX_SUFFIX:
        assert predictions is not None  # else _check has refused
        root = source if source.is_dir() else source.parent
        names = predictions.columns['file_name'].tolist()
        files = [root / name for name in names]
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise DataError(
                predictions.source, 'file_name', f'pictures of {source}',
                f'no {missing[0]}, {len(missing)} missing in all',
                'predictions of other pictures')
        numbers = predictions.columns['id'].tolist()
        rows = np.arange(len(files))
        return Gallery(files, numbers, names, predictions, rows, None, rows,
                       ObjectBounds(arguments.models_dir or root / 'models'),
                       options, arguments.object_thr)
    index = read_index(source)
    root = root_of_index(source, arguments.data_root)
    index.check_root(root)
    rows = _rows_of(index, arguments)
    found = np.full(len(rows), -1)
    if predictions is not None:
        found = predictions.rows_of(index, rows)
        rows, found = rows[found >= 0], found[found >= 0]
        if not len(rows):
            raise DataError(predictions.source, 'id', 'frames that were '
                            'chosen', 'none of them')
    captions = [
        f'{index.sequence_of(row)}   {index.serial_of(row)}   frame '
        f'{index["frame"][row]}   id {index["id"][row]}   '
        f'{SIDES[index.side_of(row)]}' for row in rows.tolist()]
    return Gallery(
        [root / index.file_of(row) for row in rows.tolist()],
        np.asarray(index['id'][rows]).tolist(), captions, predictions, found,
        index if arguments.labels else None, rows,
        ObjectBounds(arguments.models_dir or root / 'models'), options,
        arguments.object_thr)


def _rows_of(index: HandObjectIndex, arguments: argparse.Namespace) -> Array:
    """Rows of an index that options and labels leave."""
    kept = np.array(index['hand_valid'])
    for name, values, table in (
            ('sequence', index['sequence_row'], index.sequences),
            ('camera', index['camera'], index.serials)):
        wanted = getattr(arguments, name)
        if wanted is None:
            continue
        if wanted not in table:
            raise DataError(index.path, f'--{name}',
                            f'one of {", ".join(table[:8])}'
                            + (' ...' if len(table) > 8 else ''), wanted)
        kept &= np.asarray(values) == table.index(wanted)
    rows = np.flatnonzero(kept)
    if not len(rows):
        raise DataError(index.path, 'hand_valid', 'frames with a hand among '
                        'those chosen', 'none')
    return rows


def _choose(gallery: Gallery, arguments: argparse.Namespace) -> Array:
    """Rows to draw: the worst, the worst first, or some in order."""
    if arguments.worst is not None:
        return _worst(gallery.errors(arguments.by), arguments.worst)
    rows = np.arange(len(gallery.files))[::arguments.every]
    limit = arguments.limit
    if limit is None and arguments.out.suffix.lower() in IMAGE_SUFFIXES:
        limit = _ON_SHEET
    return rows if limit is None else rows[spread(len(rows), limit)]


def _worst(errors: Array, count: int) -> Array:
    """Rows of the largest errors, the largest first."""
    order = np.argsort(-np.nan_to_num(errors, nan=-1), kind='stable')
    return order[:min(count, int(np.isfinite(errors).sum()))]


def _write_objects(gallery: Gallery, folder: Path,
                   arguments: argparse.Namespace) -> None:
    """A sheet of the worst for each object that is held."""
    errors, held = gallery.errors(arguments.by), gallery.held()
    for number in np.unique(held[held >= 0]).tolist():
        own = np.where(held == number, errors, np.nan)
        chosen = _worst(own, arguments.worst)
        if len(chosen):
            name = ycb_name(number + 1)
            write_picture(
                folder / f'worst_{name}.jpg', gallery.sheet(
                    chosen, f'{name}: mean {arguments.by} error '
                    f'{np.nanmean(own):.1f} {ERRORS[arguments.by]}, the '
                    f'worst {own[chosen[0]]:.1f}'))


def _write_movie(gallery: Gallery, chosen: Array, out: Path,
                 fps: float) -> None:
    first = gallery.draw(int(chosen[0]))
    with VideoWriter(out, fps, (first.shape[1], first.shape[0])) as video:
        for picture in gallery.pictures(chosen):
            video.write(picture)


def _check(arguments: argparse.Namespace) -> None:
    """Find out what cannot be done before it takes time."""
    inputs, out = arguments.inputs, arguments.out
    source = inputs[-1]
    if len(inputs) > 2:
        raise DataError(source, 'arguments', 'PREDICTIONS and INPUT',
                        f'{len(inputs)} files')
    is_index = source.suffix.lower() == INDEX_SUFFIX and not source.is_dir()
    if len(inputs) == 1 and not (arguments.labels and is_index):
        raise DataError(source, 'arguments', 'PREDICTIONS and INPUT, or '
                        '--labels and an index alone', 'one file'
                        + ('' if is_index else ', which is no index'))
    for name, given in (('--labels', arguments.labels),
                        ('--sequence', arguments.sequence),
                        ('--camera', arguments.camera),
                        ('--data-root', arguments.data_root)):
        if given and not is_index:
            raise DataError(source, name, 'an index (.npz) as INPUT',
                            'pictures')
    check_least(out, arguments, every=1, limit=1, worst=1, tile=64)
    if not 0 < arguments.fps < math.inf:
        raise DataError(out, '--fps', 'above 0', str(arguments.fps))
    if arguments.worst is not None and not (arguments.labels
                                            and len(inputs) == 2):
        raise DataError(out, '--worst', 'predictions and --labels', 'not both')
    check_out(out, (*IMAGE_SUFFIXES, MOVIE_SUFFIX), folder=True,
              overwrite=arguments.overwrite)

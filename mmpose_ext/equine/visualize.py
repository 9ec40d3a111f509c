"""``tools/visualize.py`` for horses."""
from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.progress import track

from mmpose_ext.command_options import check_least, check_out
from mmpose_ext.drawing import contact_sheet
from mmpose_ext.equine.horse26 import NAMES
from mmpose_ext.equine.inference import (
    Poses,
    add_input_arguments,
    load_model,
    open_input,
    paths_read,
)
from mmpose_ext.equine.predict import PoseStream
from mmpose_ext.equine.sources import (
    IMAGE_SUFFIXES,
    Picture,
    PictureSource,
)
from mmpose_ext.equine.visualizer import (
    STYLES,
    Pen,
    draw_comparison,
    draw_error_table,
    draw_legend,
    draw_poses,
    stack,
)
from mmpose_ext.storage import (
    DataError,
    VideoWriter,
    atomic_file,
    atomic_folder,
    refuse_to_replace,
)
from mmpose_ext.training import choose_device

Array = np.ndarray

_TILE = 240  # px, height of a pair on a sheet
_COLUMNS = 3
_MARGIN = .2  # about the horses, of their longer side
_ON_SHEET = 12
_LEAST_WIDTH = 240  # px, for a legend that can be read
_FPS = 25.  # of a video that states none


@dataclass(frozen=True, eq=False)
class Comparison:
    """A prediction beside the truth, its pixels left on the disk.

    Attributes:
        picture: With boxes and truth.
        keypoints: (N, K, 2) px.
        scores: (N, K).
    """

    picture: Picture
    keypoints: Array
    scores: Array

    def errors(self) -> Array:
        """Distance (N, K) from the truth, px; NaN without one."""
        assert self.picture.truth is not None
        return np.linalg.norm(self.keypoints - self.picture.truth, axis=-1)

    def point_errors(self) -> Array:
        """Mean of :meth:`errors` over the horses, (K,)."""
        errors = np.ma.masked_invalid(self.errors())
        return errors.mean(0).filled(np.nan)

    def sizes(self) -> Array:
        """Size of each horse, the root of its box' area (N,), px."""
        boxes = np.asarray(self.picture.boxes, np.float64)
        return np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))

    @property
    def error(self) -> float:
        """Mean distance in parts of the horse's size."""
        return float(np.nanmean(self.errors() / self.sizes()[:, None]))

    def caption(self) -> str:
        """File, mean error and the three worst points."""
        errors = self.point_errors()
        worst = np.argsort(-np.nan_to_num(errors, nan=-1))[:3]
        points = ', '.join(f'{NAMES[i]} {errors[i]:.0f}' for i in worst
                           if np.isfinite(errors[i]))
        return (f'{self.picture.name}: {self.error:.1%}, '
                f'{np.nanmean(errors):.1f} px; {points} px')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_input_arguments(parser)
    parser.add_argument(
        '--out', type=Path, required=True,
        help='picture for a picture, .mp4 for a video, else a new folder')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the folder')
    parser.add_argument(
        '--ann', action='store_true',
        help='of a COCO file: truth beside prediction, the worst first, '
        'sheets of the worst and the best, and a table of errors')
    parser.add_argument(
        '--worst', type=int, metavar='N',
        help=f'as --ann, with N pictures on each sheet (default: {_ON_SHEET})')
    parser.add_argument(
        '--kpt-thr', type=float, default=.3,
        help='score below which a point is hollow (default: .3)')
    parser.add_argument(
        '--radius', type=float,
        help='of points, px (default: by the size of the horse)')
    parser.add_argument(
        '--thickness', type=int,
        help='of links, px (default: by the size of the horse)')
    parser.add_argument('--draw-bbox', action='store_true')
    parser.add_argument(
        '--draw-scores', action='store_true',
        help='write the score at each point')
    parser.add_argument(
        '--skeleton-style', choices=STYLES, default='sides',
        help="colours: left, right and midline, or the data set's own "
        '(default: sides)')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Estimate and draw."""
    device = choose_device(arguments.device)
    source = open_input(config, arguments, device)
    compare = arguments.ann or arguments.worst is not None
    _check(arguments, source, compare)
    model = load_model(config, arguments.checkpoint, device)
    painter = Painter(
        Pen(arguments.skeleton_style, arguments.kpt_thr, arguments.radius,
            arguments.thickness, arguments.draw_scores), arguments.draw_bbox)
    stream = PoseStream(model, source, arguments.batch_size)
    out: Path = arguments.out
    if source.video is not None:
        width, height = source.video.size
        with VideoWriter(out, source.video.fps or _FPS,
                         painter.size(width, height)) as video:
            for poses in stream:
                video.write(painter.draw(poses))
    elif _is_picture(arguments.input):
        with atomic_file(out) as temporary:
            for poses in stream:
                _write(temporary, painter.draw(poses))
    else:
        with atomic_folder(out, arguments.overwrite) as folder:
            if compare:
                found = [Comparison(poses.picture, poses.keypoints,
                                    poses.scores) for poses in stream]
                write_comparisons(folder, found, source.read, painter,
                                  arguments.worst or _ON_SHEET)
            else:
                for poses in stream:
                    _write(_place(folder, poses.picture.name),
                           painter.draw(poses))
    print(f'{stream.report()}\nwritten         {out}')
    return 0


@dataclass(frozen=True)
class Painter:
    """Draws what the options ask for.

    Attributes:
        pen: How poses are drawn.
        draw_bbox: Whether boxes are drawn.
    """

    pen: Pen
    draw_bbox: bool = False

    def draw(self, poses: Poses) -> Array:
        """A picture with its poses and, below, the legend; BGR."""
        boxes = poses.picture.boxes if self.draw_bbox else None
        drawn = draw_poses(poses.image, poses.keypoints, poses.scores, boxes,
                           self.pen)
        return self.add_legend(drawn)

    def add_legend(self, image: Array) -> Array:
        """Put the legend below a picture."""
        width = max(image.shape[1], _LEAST_WIDTH)
        return stack([image, draw_legend(width, self.pen)])

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height that a picture has with its legend."""
        drawn = self.add_legend(np.zeros((height, width, 3), np.uint8))
        return drawn.shape[1], drawn.shape[0]

    def compare(self, image: Array, comparison: Comparison,
                height: int) -> Array:
        """Truth beside prediction about the horses, `height` px high."""
        boxes, truth = comparison.picture.boxes, comparison.picture.truth
        assert boxes is not None and truth is not None
        first, last = boxes[:, :2].min(0), boxes[:, 2:].max(0)
        margin = _MARGIN * (last - first).max()
        x, y = np.maximum(first - margin, 0).astype(int)
        right, bottom = np.ceil(last + margin).astype(int)
        return draw_comparison(
            image[y:bottom, x:right], truth - (x, y),
            comparison.keypoints - (x, y), comparison.scores,
            boxes - (x, y, x, y) if self.draw_bbox else None, self.pen,
            height, comparison.picture.truth_seen)


def write_comparisons(folder: Path, found: Sequence[Comparison],
                      read: Callable[[Picture], Array], painter: Painter,
                      count: int) -> None:
    """Write what tells where a model errs.

    ``worst.jpg`` and ``best.jpg`` are sheets, ``errors.csv`` has the error of
    each point in each picture, and ``pictures`` has truth beside prediction
    for each picture, numbered from the worst on.

    Args:
        folder (Path): Existing, empty.
        found (Sequence[Comparison]): In any order.
        read (Callable): Gives the pixels of a picture.
        painter (Painter): How to draw.
        count (int): Pictures on a sheet.
    """
    if not found:
        raise DataError(folder, 'pictures', 'a readable one', 'none')
    ranked = sorted(found, key=lambda comparison: -comparison.error)
    _write_errors(folder / 'errors.csv', ranked)
    for name, chosen in (('worst', ranked[:count]),
                         ('best', ranked[:-count - 1:-1])):
        sheet = contact_sheet(
            [painter.compare(read(one.picture), one, _TILE)
             for one in chosen],
            _COLUMNS, [one.caption() for one in chosen],
            f'The {name} {len(chosen)} of {len(ranked)}: truth left, '
            'prediction right, red lines to the truth; mean error in % of '
            'the horse')
        _write(folder / f'{name}.jpg', painter.add_legend(sheet))
    (folder / 'pictures').mkdir()
    digits = len(str(len(ranked)))
    for rank, one in enumerate(track(
            ranked, 'drawing', console=Console(stderr=True),
            transient=True), 1):
        image = read(one.picture)
        pair = painter.compare(image, one,
                               int(np.clip(image.shape[0], 480, 720)))
        table = draw_error_table(one.point_errors(), .1 * float(
            one.sizes().mean()), pair.shape[0])
        name = f'{rank:0{digits}d}_{Path(one.picture.name).stem}.jpg'
        _write(folder / 'pictures' / name,
               painter.add_legend(np.concatenate([pair, table], 1)))


def _write_errors(path: Path, ranked: Sequence[Comparison]) -> None:
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['image', 'instance', 'size_px',
                         *(f'{name}_px' for name in NAMES)])
        for one in ranked:
            for i, (size, errors) in enumerate(
                    zip(one.sizes(), one.errors(), strict=True)):
                writer.writerow([
                    one.picture.name, i, f'{size:.2f}',
                    *(f'{error:.3f}' if np.isfinite(error) else ''
                      for error in errors)])


def _place(folder: Path, name: str) -> Path:
    """Where a picture of a name goes; names come from files of others."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(name, 'name', f'one that stays in {folder}',
                        'one that leads out of it')
    return path


def _write(path: Path, image: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise DataError(path, 'file', 'a picture that can be written',
                        f'{image.shape[1]} x {image.shape[0]} px')


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()


def _check(arguments: argparse.Namespace, source: PictureSource,
           compare: bool) -> None:
    """Find out what cannot be done before it takes time."""
    out: Path = arguments.out
    check_least(out, arguments, worst=1)
    if compare and source.pictures[0].truth is None:
        raise DataError(arguments.input, '--ann', 'a COCO keypoint file and '
                        'its own boxes', 'no annotated points')
    refuse_to_replace(out, paths_read(arguments, source))
    if source.video is not None:
        suffixes: tuple[str, ...] = ('.mp4', )
    elif _is_picture(arguments.input):
        suffixes = IMAGE_SUFFIXES
    else:
        suffixes = ()
    # a picture or a video is replaced, a folder if asked to
    check_out(out, suffixes, overwrite=bool(suffixes) or arguments.overwrite)

"""Synthetic horses with exact keypoints, as COCO files.

Each horse has its own build, coat, place and camera, each picture its own
pose, view and light; a horse is in one split alone. A left leg looks like a
right one: only depth, light and the way the horse faces tell them apart.
"""
from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine import Config
from rich.console import Console
from rich.progress import Progress

from mmpose_ext.layout import project_root
from mmpose_ext.storage import (
    DataError,
    atomic_folder,
    refuse_other_content,
)
from mmpose_ext.synthesis.horse_bodies import DEPTHS_M, shape_horse
from mmpose_ext.synthesis.horse_coats import Skin, cover, paint_coat
from mmpose_ext.synthesis.horse_pictures import (
    Camera,
    aim,
    cast_shadow,
    find_hidden,
    paint_horse,
)
from mmpose_ext.synthesis.horse_places import (
    Place,
    draw_place,
    finish,
    light_of,
    paint_in_front,
    paint_place,
)
from mmpose_ext.synthesis.horses import Build, Pose, draw_build, draw_pose

Array = np.ndarray

SPLITS = {'train': 4, 'val': 1, 'test': 2}  # shares of the images
FRAMES = 5  # pictures of a horse
HERD, IN_FRONT, CUT_OFF = .1, .3, .15  # shares of the pictures
_SIZES = ((320, 240), (400, 300), (480, 320), (480, 360), (640, 480))
_FEWEST = 12  # points of a horse in its picture
README = """
Synthetic horses, seed {seed}, made by mmpose_ext: {counts}. annotations has a
COCO keypoint file for each split, with the 26 points of horse26. Points are
exact, pixel centres at integers. Visibility 2: seen; 1: inside the picture
but behind the horse itself, another horse or something else; 0 (and 0, 0):
outside the picture, or an eye or ear behind the horse itself, which people
do not mark either. bbox and area are those of the horse's silhouette inside
the picture, also where something stands before it. Files are named
HORSE_FRAME; no horse is in two splits.
"""


@dataclass(frozen=True)
class Horse:
    """A horse and where it was photographed."""

    build: Build
    coat: Array  # (F, 3)
    place: Place
    size: tuple[int, int]
    quality: int  # of the JPEG files


@dataclass(frozen=True)
class Label:
    """What is known about one horse in a picture.

    Attributes:
        keypoints: (26, 3) x, y in px and visibility 0, 1 or 2.
        silhouette: (H, W) bool, whatever stands before it.
    """

    keypoints: Array
    silhouette: Array


def draw_horse(seed: int, number: int,
               size: tuple[int, int] | None = None) -> Horse:
    """Make up a horse.

    Args:
        seed (int): Decides, with `number`, everything.
        number (int): Of the horse.
        size (tuple[int, int], optional): Width and height of its pictures.
            Defaults to None: from 320 x 240 to 640 x 480.
    """
    rng = np.random.default_rng([seed, number])
    build = draw_build(rng)
    drawn = _SIZES[rng.integers(len(_SIZES))]
    return Horse(build, paint_coat(rng, build), draw_place(rng),
                 size or drawn, int(rng.integers(75, 96)))


def photograph(seed: int, number: int, frame: int,
               horse: Horse) -> tuple[Array, list[Label]]:
    """Take a picture of a horse.

    Args:
        seed (int): Decides, with `number` and `frame`, everything.
        number (int): Of the horse.
        frame (int): Of the picture.
        horse (Horse): From :func:`draw_horse`.

    Returns:
        tuple[ndarray, list[Label]]: The picture, (H, W, 3) uint8, red first,
        and a label for each horse in it, the one it was taken of first.
    """
    rng = np.random.default_rng([seed, number, frame])
    skin, points = _pose(horse.build, draw_pose(rng))
    camera = _frame(rng, horse, skin, points)
    skins, coats, marks = [skin], [horse.coat], [points]
    if rng.random() < HERD:
        skin, points, coat = _companion(rng, camera)
        skins, coats, marks = [*skins, skin], [*coats, coat], [*marks, points]
    light = light_of(horse.place, camera)
    distance = float(np.linalg.norm(camera.position[:2]))
    image = paint_place(rng, horse.place, camera, horse.size, distance)
    for skin in skins:
        shadow = cast_shadow(image.shape[:2], skin, camera, light)
        image *= 1 - .55 * (light.sun / .9)**.5 * shadow[..., None]
    silhouettes = [
        paint_horse(image, skin, coat, camera, light)
        for skin, coat in reversed(list(zip(skins, coats, strict=True)))][::-1]
    covered = np.zeros(image.shape[:2], bool)
    if rng.random() < IN_FRONT:
        covered = paint_in_front(rng, image, camera, silhouettes[0],
                                 distance, horse.place)
    labels = [
        Label(_see(points, i, skins, camera, covered), silhouette)
        for i, (points, silhouette) in enumerate(
            zip(marks, silhouettes, strict=True))]
    labels = labels[:1] + [
        label for label in labels[1:]
        if (label.keypoints[:, 2] > 0).sum() >= _FEWEST]
    return finish(rng, image), labels


def _pose(build: Build, pose: Pose) -> tuple[Skin, Array]:
    grids, points = shape_horse(build, pose)
    return cover(grids), np.array([points[name] for name in _names()])


def _frame(rng: np.random.Generator, horse: Horse, skin: Skin,
           points: Array) -> Camera:
    """Choose the view, and where in the picture the horse is."""
    kind = rng.choice(['side', 'quarter', 'front', 'rear'],
                      p=[.54, .26, .09, .11])
    from_side = {'side': rng.normal(0, 14), 'front': rng.normal(88, 8),
                 'quarter': rng.choice([-1, 1]) * rng.uniform(25, 65),
                 'rear': rng.normal(-88, 8)}[kind]
    azimuth = rng.choice([-1, 1]) * np.radians(90 - from_side)
    camera = aim(azimuth, rng.uniform(4.5, 10) * horse.build.height_m / 1.5,
                 rng.uniform(.8, 2.1))
    pixels, _ = camera.project(skin.vertices)
    size = np.array(horse.size)
    wide = pixels.max(0) - pixels.min(0)
    cut = rng.random() < CUT_OFF
    share = rng.uniform(.75, 1.15) if cut else rng.uniform(.4, .92)
    focal = share * (size / wide).min()
    slack = size - focal * wide
    # A horse that is cut off sticks out by up to a third.
    marks, _ = camera.project(points)
    for _ in range(20):
        part = rng.uniform(-.3, 1.3, 2) if cut else rng.uniform(.03, .97, 2)
        beyond = .35 * focal * wide * (part - np.clip(part, 0, 1)) / .3
        centre = (slack * np.clip(part, 0, 1) + beyond * cut
                  - focal * pixels.min(0))
        spots = centre + focal * marks
        if _inside(spots, size).sum() > _FEWEST:
            break
    return replace(camera, focal_px=focal, centre=centre)


def _companion(rng: np.random.Generator,
               camera: Camera) -> tuple[Skin, Array, Array]:
    """Another horse behind, as seen from the camera."""
    build = draw_build(rng)
    skin, points = _pose(build, draw_pose(rng))
    turn = rng.uniform(0, 2 * np.pi)
    turned = np.array([[np.cos(turn), np.sin(turn), 0],
                       [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    right, _, ahead = camera.axes
    shift = (rng.choice([-1, 1]) * rng.uniform(.6, 1.8) * right
             + rng.uniform(2.3, 4) * ahead)
    skin = replace(skin, vertices=skin.vertices @ turned + shift)
    return skin, points @ turned + shift, paint_coat(rng, build)


def _see(points: Array, which: int, skins: list[Skin], camera: Camera,
         covered: Array) -> Array:
    """Pixels and visibility (26, 3) of the points of one of the horses."""
    spots, _ = camera.project(points)
    margins = _margins()
    by_itself = find_hidden(points, margins, [skins[which]], camera)
    hidden = by_itself | find_hidden(
        points, 0 * margins, skins[:which] + skins[which + 1:], camera)
    height, width = covered.shape
    inside = _inside(spots, np.array([width, height]))
    x, y = np.rint(spots[inside]).astype(int).T
    hidden[inside] |= covered[y, x]
    visible = np.where(hidden, 1, 2)
    paired = [name[2:] in ('eye', 'ear') for name in _names()]
    visible[~inside | (by_itself & paired)] = 0
    spots[visible == 0] = 0
    return np.concatenate([spots, visible[:, None]], 1)


def _inside(spots: Array, size: Array) -> Array:
    return np.all((spots >= 0) & (spots <= size - 1), -1)


def _box(silhouette: Array) -> Array:
    """Left, top, width and height of a silhouette, px."""
    columns = np.flatnonzero(silhouette.any(0))
    rows = np.flatnonzero(silhouette.any(1))
    return np.array([columns[0], rows[0], columns[-1] - columns[0] + 1,
                     rows[-1] - rows[0] + 1])


@cache
def _metainfo() -> Any:
    path = project_root() / 'configs' / '_base_' / 'datasets' / 'horse26.py'
    return Config.fromfile(path).dataset_info


@cache
def _names() -> tuple[str, ...]:
    info = _metainfo()['keypoint_info']
    return tuple(info[i]['name'] for i in sorted(info))


@cache
def _margins() -> Array:
    """How deep below the skin each point may lie, (26,) m."""
    return np.array([
        DEPTHS_M[name if name in DEPTHS_M else name.split('_', 1)[1]]
        for name in _names()])


def write_world(out: str | Path,
                seed: int = 0,
                size: int = 700,
                image_size: tuple[int, int] | None = None,
                overwrite: bool = True) -> dict[str, int]:
    """Write labelled pictures of horses, with a progress bar.

    ``annotations/horse_{train,val,test}.json`` and ``{train,val,test}/*.jpg``
    in the layout of real data, and ``README.txt``. The folder appears whole
    or not at all. The same seed makes the same pictures, of a larger world
    more of them.

    Args:
        out (str | Path): Folder to write, made if need be.
        seed (int): Decides everything. Defaults to 0.
        size (int): Pictures in all, at least 7; 4 of 7 are to train on, 1 to
            validate and 2 to test. Defaults to 700.
        image_size (tuple[int, int], optional): Width and height, px.
            Defaults to None: different ones from 320 x 240 to 640 x 480.
        overwrite (bool): Whether an older world there may be replaced.
            Defaults to True.

    Returns:
        dict[str, int]: Number of pictures in each split.

    Raises:
        DataError: If `size` or `image_size` is too small, or `out` is a file
            or has other content than an older world.
    """
    out = Path(out)
    counts = {split: size * share // 7 for split, share in SPLITS.items()}
    counts['train'] += size - sum(counts.values())
    _check_target(out, size, image_size)
    out.parent.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    with atomic_folder(out, overwrite) as folder, Progress(
            console=console) as progress:
        task = progress.add_task('Photographing horses', total=size)
        (folder / 'annotations').mkdir()
        for place, (split, count) in enumerate(counts.items()):
            (folder / split).mkdir()
            content = _new_file()
            for i in range(count):
                # numbers that no other split has, whatever the size
                number = i // FRAMES * len(counts) + place
                if i % FRAMES == 0:
                    horse = draw_horse(seed, number, image_size)
                _add_picture(content, folder / split, seed, number,
                             i % FRAMES, horse)
                progress.advance(task)
            path = folder / 'annotations' / f'horse_{split}.json'
            path.write_text(json.dumps(content))
        text = README.format(seed=seed, counts=', '.join(
            f'{count} pictures in {split}' for split, count in counts.items()))
        (folder / 'README.txt').write_text(
            textwrap.fill(text.strip(), 79) + '\n')
    return counts


def _check_target(out: Path, size: int,
                  image_size: tuple[int, int] | None) -> None:
    if size < 7:
        raise DataError(out, 'size', 'at least 7 pictures', str(size))
    if image_size is not None and min(image_size) < 64:
        raise DataError(out, 'image_size', 'at least 64 x 64 px',
                        ' x '.join(map(str, image_size)))
    refuse_other_content(out, (*SPLITS, 'annotations', 'README.txt'))


def _new_file() -> dict[str, Any]:
    names = _names()
    links = _metainfo()['skeleton_info']
    skeleton = [[names.index(name) + 1 for name in links[i]['link']]
                for i in sorted(links)]
    category = dict(id=1, name='horse', supercategory='animal',
                    keypoints=list(names), skeleton=skeleton)
    return dict(images=[], annotations=[], categories=[category])


def _add_picture(content: dict[str, Any], folder: Path, seed: int, number: int,
                 frame: int, horse: Horse) -> None:
    """Write a picture and what is known about it."""
    image, labels = photograph(seed, number, frame, horse)
    name = f'horse{number:04d}_{frame:02d}.jpg'
    _, data = cv2.imencode('.jpg', image[..., ::-1],
                           [cv2.IMWRITE_JPEG_QUALITY, horse.quality])
    (folder / name).write_bytes(data.tobytes())
    picture = number * FRAMES + frame + 1
    content['images'].append(dict(
        id=picture, file_name=name, width=image.shape[1],
        height=image.shape[0]))
    for i, label in enumerate(labels):
        content['annotations'].append(dict(
            id=2 * picture + i, image_id=picture, category_id=1,
            keypoints=label.keypoints.round(2).ravel().tolist(),
            num_keypoints=int((label.keypoints[:, 2] > 0).sum()),
            bbox=_box(label.silhouette).tolist(),
            area=int(label.silhouette.sum()), iscrowd=0))

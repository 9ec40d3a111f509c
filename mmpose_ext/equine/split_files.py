"""The folder of a horse data set, written whole or not at all."""
from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mmpose_ext.drawing import contact_sheet
from mmpose_ext.drawing.grid import BACKGROUND
from mmpose_ext.equine.horse26 import BODY_SHARE, NAMES, SKELETON
from mmpose_ext.equine.source_pictures import Horse, SourcePicture
from mmpose_ext.equine.sources import read_image
from mmpose_ext.equine.visualizer import Pen, draw_poses
from mmpose_ext.splits import PARTS
from mmpose_ext.storage import atomic_folder, write_json

Array = np.ndarray

SHEET_TILES = 24
_TILE = 300  # px
_MARGIN = 1.3  # of a tile round the box


@dataclass(frozen=True)
class SplitData:
    """Pictures and where they go.

    Attributes:
        pictures: N pictures in the order of their names.
        groups: Group of each.
        parts: ``train``, ``val`` or ``test`` of each.
        settings: How the split was made.
        clusters: How many pictures are left if near-duplicates count once;
            None where these were not sought.
    """

    pictures: tuple[SourcePicture, ...]
    groups: tuple[str, ...]
    parts: tuple[str, ...]
    settings: Mapping[str, Any]
    clusters: int | None

    def describe(self) -> str:
        """Counts of each part and of each point's visibility."""
        lines = []
        for part in PARTS:
            rows = [i for i, own in enumerate(self.parts) if own == part]
            groups = len({self.groups[i] for i in rows})
            horses = sum(len(self.pictures[i].horses) for i in rows)
            lines.append(f'{part}: {len(rows)} pictures, {horses} horses, '
                         f'{groups} groups')
            if not rows and self.settings['split'][PARTS.index(part)] > 0:
                lines[-1] += (' (too few groups to fill it; more data, '
                              'another --seed or a finer --group-by will)')
        if self.clusters is not None:
            copies = len(self.pictures) - self.clusters
            lines.append(f'{copies} pictures are near-duplicates of others; '
                         'such are in one part.')
        visibility = np.stack([horse.visibility for picture in self.pictures
                               for horse in picture.horses])
        lines += ['', f'{"point":<12}{"visible":>9}{"occluded":>10}'
                  f'{"absent":>8}']
        for name, column in zip(NAMES, visibility.T, strict=True):
            counts = np.bincount(column, minlength=3)
            lines.append(f'{name:<12}{counts[2]:>9}{counts[1]:>10}'
                         f'{counts[0]:>8}')
        return '\n'.join(lines)


def write_data_set(out: Path, data: SplitData, text: str, images: str,
                   area: str, overwrite: bool) -> None:
    """Write annotations, pictures, split, description and contact sheet.

    Args:
        out (Path): The folder.
        data (SplitData): What goes into it.
        text (str): Its README.
        images (str): ``copy``, ``symlink`` or ``none``: the labels then name
            the pictures where they are.
        area (str): ``bbox`` or ``0.53``.
        overwrite (bool): Whether an older folder is replaced.

    Raises:
        DataError: If there is something that may not be replaced.
    """
    names = output_names(data.pictures)
    share = 1. if area == 'bbox' else BODY_SHARE
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out, overwrite) as folder:
        _write_pictures(folder, data, names, images)
        shown = names if images != 'none' else [
            str(picture.file.absolute()) for picture in data.pictures]
        (folder / 'annotations').mkdir()
        for part, content in coco_files(data, shown, share).items():
            write_json(folder / 'annotations' / f'horse_{part}.json', content,
                       indent=1)
        write_json(folder / 'split.json', split_record(data, shown), indent=1)
        (folder / 'README.txt').write_text(text + '\n', encoding='utf-8')
        sheet = draw_sheet(data)
        if not cv2.imwrite(str(folder / 'contact_sheet.png'), sheet):
            raise OSError(f'{out / "contact_sheet.png"} cannot be written')


def output_names(pictures: tuple[SourcePicture, ...]) -> list[str]:
    """File names of the pictures, flat and each once.

    Folders become part of the name. Where two would still be the same, also
    to a file system that does not tell capitals, the content's hash is added.
    """
    flat = ['_'.join(part for part in PurePosixPath(picture.name).parts
                     if part not in ('/', '..')) for picture in pictures]
    seen = Counter(name.lower() for name in flat)
    names = []
    for name, picture in zip(flat, pictures, strict=True):
        path = PurePosixPath(name)
        names.append(name if seen[name.lower()] == 1 else
                     f'{path.stem}-{picture.digest[:8]}{path.suffix}')
    return names


def coco_files(data: SplitData, names: list[str],
               share: float) -> dict[str, dict[str, Any]]:
    """Content of the annotation file of each part.

    Args:
        data (SplitData): What goes into them.
        names (list[str]): Names of the pictures.
        share (float): Of the box, as the area.
    """
    files: dict[str, dict[str, Any]] = {}
    annotation_id = 0
    image_id = 0
    for part in PARTS:
        images, annotations = [], []
        for picture, name, own in zip(data.pictures, names, data.parts,
                                      strict=True):
            if own != part:
                continue
            image_id += 1
            images.append(dict(id=image_id, file_name=name,
                               width=picture.size[0],
                               height=picture.size[1]))
            for horse in picture.horses:
                annotation_id += 1
                annotations.append(dict(
                    id=annotation_id, image_id=image_id,
                    **_annotation(horse, share)))
        files[part] = dict(
            images=images, annotations=annotations, categories=[dict(
                id=1, name='horse', supercategory='animal',
                keypoints=list(NAMES),
                skeleton=[[a + 1, b + 1] for a, b in SKELETON])])
    return files


def _annotation(horse: Horse, share: float) -> dict[str, Any]:
    keypoints = [value for point, seen in zip(
        horse.points.tolist(), horse.visibility.tolist(), strict=True)
        for value in (round(point[0], 3), round(point[1], 3), seen)]
    return dict(
        category_id=1, iscrowd=0, keypoints=keypoints,
        num_keypoints=int((horse.visibility > 0).sum()),
        bbox=[round(value, 3) for value in horse.box.tolist()],
        area=round(float(share * horse.box[2] * horse.box[3]), 3))


def split_record(data: SplitData, names: list[str]) -> dict[str, Any]:
    """What a later conversion needs to keep the split.

    A group that an earlier split divided has no part of its own; only its
    pictures do.
    """
    counts = Counter(data.parts)
    parts: dict[str, set[str]] = {}
    for group, part in zip(data.groups, data.parts, strict=True):
        parts.setdefault(group, set()).add(part)
    return dict(
        data.settings,
        counts={part: counts[part] for part in PARTS},
        groups={group: min(own) for group, own in sorted(parts.items())
                if len(own) == 1},
        pictures={
            name: dict(part=part, group=group, sha256=picture.digest)
            for name, part, group, picture in sorted(zip(
                names, data.parts, data.groups, data.pictures, strict=True),
                key=lambda row: row[0])})


def _write_pictures(folder: Path, data: SplitData, names: list[str],
                    images: str) -> None:
    if images == 'none':
        return
    for part in PARTS:
        (folder / part).mkdir()
    rows = list(zip(data.pictures, names, data.parts, strict=True))
    for picture, name, part in track(
            rows, 'writing the pictures', transient=True,
            console=Console(stderr=True)):
        target = folder / part / name
        if images == 'copy':
            shutil.copyfile(picture.file, target)
        else:
            target.symlink_to(picture.file.absolute())


def draw_sheet(data: SplitData) -> Array:
    """Some horses of the data set with their points."""
    horses = [(picture, horse, part)
              for picture, part in zip(data.pictures, data.parts, strict=True)
              for horse in picture.horses]
    count = min(SHEET_TILES, len(horses))
    shown = [horses[i] for i in
             np.linspace(0, len(horses) - 1, count).astype(int)]
    return contact_sheet(
        [_draw_horse(picture, horse) for picture, horse, _ in shown],
        columns=math.isqrt(count - 1) + 1,
        captions=[f'{part}: {picture.name}' for picture, _, part in shown],
        title='left blue, right orange, hollow: occluded')


def _draw_horse(picture: SourcePicture, horse: Horse) -> Array:
    image = read_image(picture.file)
    side = float(horse.box[2:].max()) * _MARGIN
    corner = horse.box[:2] + horse.box[2:] / 2 - side / 2
    scale = _TILE / side
    shift = -corner * scale - .5  # a tile's left edge lies at -1/2
    warp = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    tile = cv2.warpAffine(
        image, warp, (_TILE, _TILE),
        flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
        borderValue=BACKGROUND)
    points = np.where(horse.visibility[:, None] > 0,
                      horse.points * scale + shift, np.nan)
    box = np.concatenate([horse.box[:2], horse.box[:2] + horse.box[2:]])
    return draw_poses(tile, points[None], (horse.visibility == 2)[None],
                      (box * scale + np.tile(shift, 2))[None],
                      Pen(radius=3.5, thickness=2))

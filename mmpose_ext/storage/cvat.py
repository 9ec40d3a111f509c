"""Points and skeletons out of CVAT ('CVAT for images 1.1')."""
from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np

from .checks import StrPath, check_file
from .errors import DataError
from .labels import (
    ABSENT,
    OCCLUDED,
    VISIBLE,
    ImageFolder,
    LabelledImage,
    LabelSet,
    Point,
    collect_names,
    gather_points,
    read_number,
)

_Animal = tuple[str, dict[str, Point], np.ndarray | None]


def read_cvat_images(path: StrPath,
                     image_root: StrPath | None = None) -> LabelSet:
    """Read an export 'CVAT for images 1.1'.

    A skeleton is an animal. Single points are an animal if they are in one
    group; those in no group are the picture's only one. A box of the same
    group, or the only one beside a single animal, is the animal's box.
    A point that is ``outside`` is absent, an ``occluded`` one has
    visibility 1. Points are given with pixel centres at integers, half a
    pixel less than from the edge of the picture.

    Args:
        path (str | Path): The .xml.
        image_root (str | Path, optional): Folder of the pictures. Defaults
            to None (the folder of the file).

    Raises:
        DataError: If the file is damaged, holds a document type (which can
            be made to fill the memory), or a picture is not on the disk.
    """
    path = check_file(path, ['.xml'])
    folder = ImageFolder(path.parent if image_root is None
                         else Path(image_root), path)
    root = _parse(path)
    if root.tag != 'annotations':
        raise DataError(path, 'file', 'an element annotations', root.tag)
    if root.find('track') is not None:
        raise DataError(path, 'element track', 'labels of pictures',
                        'tracks of a video',
                        "export as 'CVAT for images 1.1'")
    found = [(element, *_read_image(element, path))
             for element in root.iter('image')]
    names = collect_names(points for _, _, animals in found
                          for _, points, _ in animals)
    if not names:
        raise DataError(path, 'elements points and skeleton',
                        'labelled points', 'none')
    images, empty = [], 0
    for element, size, animals in found:
        if not animals:
            empty += 1
            continue
        where = _where(element)
        file, name = folder.find(element.get('name', ''), where)
        images.append(LabelledImage(file, name, tuple(
            gather_points(points, names, f'{where}, {part}', box)
            for part, points, box in animals), size))
    return LabelSet(path, names, tuple(images),
                    {'pictures without points': empty} if empty else {})


def _parse(path: Path) -> ElementTree.Element:
    content = path.read_bytes()

    def refuse(*_: object) -> None:
        raise DataError(path, 'file', 'XML without a document type',
                        '<!DOCTYPE', 'remove it')

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError, ValueError,
            LookupError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(path, 'file', 'XML', str(error)) from error


def _where(element: ElementTree.Element) -> str:
    return f'image {element.get("name", "without a name")!r}'


def _read_image(element: ElementTree.Element, path: Path
                ) -> tuple[tuple[int, int], list[_Animal]]:
    where = _where(element)
    width, height = (
        int(read_number(element.get(key), path, f'{where}, {key}'))
        for key in ('width', 'height'))
    if min(width, height) < 1:
        raise DataError(path, where, 'a positive size', f'{width}x{height}')
    groups: dict[str, dict[str, Point]] = {}
    boxes: dict[str, list[np.ndarray]] = {}
    skeletons: list[tuple[str, dict[str, Point]]] = []
    for child in element:
        group = child.get('group_id') or '0'
        if child.tag == 'skeleton':
            points: dict[str, Point] = {}
            for part in child.iter('points'):
                _add_point(points, part, path, where)
            skeletons.append((group, points))
        elif child.tag == 'points':
            _add_point(groups.setdefault(group, {}), child, path, where)
        elif child.tag == 'box' and child.get('rotation') is None:
            boxes.setdefault(group, []).append(_read_box(child, path, where))
    animals = skeletons + list(groups.items())
    loose = [box for part in boxes.values() for box in part]
    result: list[_Animal] = []
    for number, (group, points) in enumerate(animals):
        own = boxes.get(group, []) if group != '0' else []
        if len(animals) == 1 and len(loose) == 1:
            own = loose
        result.append((f'animal {number}', points,
                       own[0] if len(own) == 1 else None))
    return (width, height), result


def _add_point(points: dict[str, Point], element: ElementTree.Element,
               path: Path, where: str) -> None:
    name = element.get('label', '')
    where = f'{where}, point {name!r}'
    if not name or name in points:
        raise DataError(path, where, 'each point of an animal once, by name',
                        'it again' if name else 'no label',
                        'several animals are told apart by skeletons or '
                        'groups')
    if _is_set(element, 'outside', path, where):
        points[name] = (0., 0., ABSENT)
        return
    text = element.get('points', '')
    parts = text.split(';')[0].split(',')
    if ';' in text or len(parts) != 2:
        raise DataError(path, where, 'one place x,y', repr(text)[:60],
                        'each point needs a label of its own')
    x, y = (read_number(part, path, where) for part in parts)
    occluded = _is_set(element, 'occluded', path, where)
    # the program counts from the edge of the picture
    points[name] = (x - .5, y - .5, OCCLUDED if occluded else VISIBLE)


def _is_set(element: ElementTree.Element, key: str, path: Path,
            where: str) -> bool:
    value = element.get(key, '0')
    if value not in ('0', '1'):
        raise DataError(path, f'{where}, {key}', '0 or 1', repr(value))
    return value == '1'


def _read_box(element: ElementTree.Element, path: Path,
              where: str) -> np.ndarray:
    left, top, right, bottom = (
        read_number(element.get(key), path, f'{where}, box, {key}')
        for key in ('xtl', 'ytl', 'xbr', 'ybr'))
    if right <= left or bottom <= top:
        raise DataError(path, f'{where}, box',
                        'a positive width and height',
                        f'{left:g},{top:g} to {right:g},{bottom:g}')
    return np.array([left, top, right - left, bottom - top])

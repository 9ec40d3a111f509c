"""Points out of Label Studio, exported as JSON or as JSON-MIN."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from .checks import StrPath, check_file
from .errors import DataError
from .labels import (
    OCCLUDED,
    VISIBLE,
    ImageFolder,
    LabelledImage,
    LabelledInstance,
    LabelSet,
    Point,
    collect_names,
    gather_points,
    read_number,
)
from .plain_files import read_json

_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
_UPLOAD_PREFIX = re.compile('[0-9a-f]{8}-')  # put before names on upload
_NO_PARENT = ''
_SLACK = .01  # per cent that rounding may add


@dataclass
class _Animal:
    """Points and box of an animal, px."""

    points: dict[str, Point] = field(default_factory=dict)
    box: np.ndarray | None = None


def read_label_studio(path: StrPath,
                      image_root: StrPath | None = None) -> LabelSet:
    """Read the points of an export, the full JSON or JSON-MIN.

    Places are stored in per cent of the picture as it was shown; turning it
    in the program changes nothing in them. Points are given with pixel
    centres at integers, half a pixel less than from the edge. A point is
    occluded (visibility 1) if its region says so: by a flag ``occluded``, in
    its meta text, or by a choice of this name made for the region. Other
    choices are passed over. Of several annotations of a task the newest counts
    that was not cancelled. Points below a rectangle in the tree of regions are
    one animal, the others of a picture another; a rectangle is the animal's
    box.

    Args:
        path (str | Path): The .json.
        image_root (str | Path, optional): Folder below which the pictures
            lie. Defaults to None (the folder of the file).

    Raises:
        DataError: If the file is damaged, or a picture is not on the disk or
            has several labellings.
    """
    path = check_file(path, ['.json'])
    folder = ImageFolder(path.parent if image_root is None
                         else Path(image_root), path)
    left_out: Counter[str] = Counter()
    labelled = []
    for task, name, items in _read_tasks(path, left_out):
        size, animals = _read_items(items, path, task)
        if animals:
            labelled.append((task, name, size, animals))
        else:
            left_out['tasks without points'] += 1
    names = collect_names(animal.points for *_, animals in labelled
                          for animal in animals)
    if not names:
        raise DataError(path, 'annotations', 'regions with keypointlabels',
                        'none')
    images = []
    for task, name, size, animals in labelled:
        file, known_as = _find(folder, name, task)
        images.append(LabelledImage(file, known_as, tuple(
            _gather(animal, names, f'{task}, animal {number}')
            for number, animal in enumerate(animals)), size))
    return LabelSet(path, names, tuple(images), left_out)


def _gather(animal: _Animal, names: tuple[str, ...],
            where: str) -> LabelledInstance:
    return gather_points(animal.points, names, where, animal.box)


def _read_tasks(path: Path, left_out: Counter[str]
                ) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Each labelled task: where it is, its picture and its regions."""
    content = read_json(path)
    if not isinstance(content, list) or not all(
            isinstance(task, dict) for task in content):
        raise DataError(path, 'file', 'a list of tasks',
                        f'a {type(content).__name__}', 'export the project '
                        'as JSON or JSON-MIN')
    newest: dict[Any, tuple[Any, str, dict[str, Any]]] = {}
    for position, task in enumerate(content):
        number = task.get('id', f'at position {position}')
        where = f'task {number}'
        if not isinstance(number, (int, str)):
            raise DataError(path, where, 'an id', repr(number)[:60])
        if 'annotations' in task or 'data' in task:
            annotation = _choose(task, path, where)
            if annotation is None:
                left_out['tasks without an annotation'] += 1
                continue
            yield (where, _picture(task.get('data'), path, where),
                   _regions(annotation.get('result'), path, where))
            continue
        # JSON-MIN has one entry an annotation, with the task's id
        age = _age(task, 'annotation_id')
        if number not in newest or age > newest[number][0]:
            newest[number] = (age, where, task)
    for _, where, task in newest.values():
        yield (where, _picture(task, path, where), [
            {**item, 'value': item} for value in task.values()
            if isinstance(value, list)
            for item in value if isinstance(item, dict)])


def _age(annotation: dict[str, Any], key: str) -> tuple[str, int]:
    number = annotation.get(key)
    return (str(annotation.get('updated_at')
                or annotation.get('created_at') or ''),
            number if isinstance(number, int) else 0)


def _choose(task: dict[str, Any], path: Path,
            where: str) -> dict[str, Any] | None:
    annotations = task.get('annotations')
    if not isinstance(annotations, list) or not all(
            isinstance(annotation, dict) for annotation in annotations):
        raise DataError(path, f"{where}, key 'annotations'",
                        'a list of objects', repr(annotations)[:60])
    valid = [annotation for annotation in annotations
             if not annotation.get('was_cancelled')]
    return max(valid, key=lambda each: _age(each, 'id'), default=None)


def _regions(result: Any, path: Path, where: str) -> list[dict[str, Any]]:
    if not isinstance(result, list) or not all(
            isinstance(item, dict) and isinstance(item.get('value', {}), dict)
            for item in result):
        raise DataError(path, f"{where}, key 'result'", 'a list of regions',
                        repr(result)[:60])
    return result


def _picture(data: Any, path: Path, where: str) -> str:
    """What the task calls its picture."""
    texts = {key: value for key, value in data.items()
             if isinstance(value, str)} if isinstance(data, dict) else {}
    found = {key: _file_name(value) for key, value in texts.items()
             if _file_name(value).lower().endswith(_SUFFIXES)}
    for key in ('image', 'img'):
        if key in found:
            return found[key]
    if len(found) != 1:
        raise DataError(path, where, 'the name of one picture',
                        ', '.join(found.values()) or 'none')
    return next(iter(found.values()))


def _file_name(url: str) -> str:
    """Path of a picture in what Label Studio stores as its address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    local = parse_qs(parts.query).get('d')
    return local[0] if local else unquote(parts.path) or url


def _find(folder: ImageFolder, name: str, where: str) -> tuple[Path, str]:
    """The picture; an upload has its name behind eight digits."""
    relative = name.removeprefix('/')
    try:
        return folder.find(relative, where)
    except DataError:
        base = relative.rsplit('/', 1)[-1]
        if not _UPLOAD_PREFIX.match(base):
            raise
        return folder.find(_UPLOAD_PREFIX.sub('', base, count=1), where)


def _read_items(items: list[dict[str, Any]], path: Path, where: str
                ) -> tuple[tuple[int, int] | None, list[_Animal]]:
    """Animals of a picture and the size that it was shown in."""
    for item in items:
        for key in ('id', 'parentID'):
            if not isinstance(item.get(key), (str, int, type(None))):
                raise DataError(path, f'{where}, key {key!r} of a region',
                                'a text', repr(item[key])[:60])
    hidden = {item.get('id') for item in items if 'occluded' in _words(
        item.get('value', {}).get('choices'))}
    hidden.discard(None)
    sizes: set[tuple[int, int]] = set()
    animals: dict[Any, _Animal] = {}
    boxes: dict[Any, np.ndarray] = {}
    for item in items:
        value = item.get('value', {})
        if 'keypointlabels' in value:
            name = _label(value, path, where)
            place = f'{where}, point {name!r}'
            sizes.add(_size(item, path, place))
            points = animals.setdefault(
                item.get('parentID') or _NO_PARENT, _Animal()).points
            if name in points:
                raise DataError(
                    path, place, 'each point of an animal once', 'it again',
                    'put the points of each animal below its rectangle')
            x, y = _scale(value, item, path, place)
            occluded = item.get('id') in hidden or _is_occluded(item, value)
            # the program counts from the edge of the picture
            points[name] = (x - .5, y - .5, OCCLUDED if occluded else VISIBLE)
        elif 'rectanglelabels' in value and not value.get('rotation'):
            place = f'{where}, rectangle'
            sizes.add(_size(item, path, place))
            x, y = _scale(value, item, path, place)
            width, height = _scale(value, item, path, place,
                                   ('width', 'height'))
            if width <= 0 or height <= 0:
                raise DataError(path, place, 'a positive width and height',
                                f'{width:g}x{height:g} px')
            boxes[item.get('id', len(boxes))] = np.array(
                [x, y, width, height])
    if len(sizes) > 1:
        raise DataError(path, where, 'one original size of the picture',
                        ' and '.join(map(str, sorted(sizes))))
    for parent, animal in animals.items():
        animal.box = boxes.get(parent)
        if len(animals) == len(boxes) == 1:
            animal.box = next(iter(boxes.values()))
    return next(iter(sizes), None), list(animals.values())


def _label(value: dict[str, Any], path: Path, where: str) -> str:
    labels = value['keypointlabels']
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(
            labels[0], str) or not labels[0]:
        raise DataError(path, f"{where}, key 'keypointlabels'", 'one name',
                        repr(labels)[:60])
    return labels[0]


def _size(item: dict[str, Any], path: Path, where: str) -> tuple[int, int]:
    size = item.get('original_width'), item.get('original_height')
    if not all(type(side) is int and side > 0 for side in size):
        raise DataError(path, where, 'original_width and original_height '
                        'in px', f'{size[0]!r} and {size[1]!r}')
    return size  # type: ignore[return-value]


def _scale(value: dict[str, Any], item: dict[str, Any], path: Path,
           where: str, keys: tuple[str, str] = ('x', 'y')
           ) -> tuple[float, float]:
    """Two per cent values as px of the original size."""
    result = []
    for key, side in zip(keys, _size(item, path, where), strict=True):
        share = read_number(value.get(key), path, f'{where}, {key}')
        if not -_SLACK <= share <= 100 + _SLACK:
            raise DataError(path, f'{where}, {key}',
                            'per cent between 0 and 100', f'{share:g}')
        result.append(share / 100 * side)
    return result[0], result[1]


def _is_occluded(item: dict[str, Any], value: dict[str, Any]) -> bool:
    meta = item.get('meta')
    text = meta.get('text') if isinstance(meta, dict) else None
    return (item.get('occluded') is True or value.get('occluded') is True
            or 'occluded' in _words(text))


def _words(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [word.strip().lower() for word in values if isinstance(word, str)]

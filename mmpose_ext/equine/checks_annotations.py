"""Checks of a COCO keypoint file that need no image.

What training must not start with is an error. Everything is looked at, and a
fault that occurs in many annotations is one :class:`Finding`.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from mmpose_ext.equine.checked_labels import Labels
from mmpose_ext.equine.findings import Finding, Place
from mmpose_ext.storage import DataError, check_file, check_keys

Array = np.ndarray

KEYS = ('images', 'annotations', 'categories')
LARGEST = 1e6  # px; what is beyond comes of another unit or a broken file
USED = 'an id used before'
CONVERT = 'tools/convert_dataset.py coco brings other keypoints to these'


def read_annotations(path: Path) -> dict[str, Any]:
    """Read a COCO file as the loader does, which knows UTF-8 alone.

    Raises:
        DataError: If there is no such file or it is not a JSON object with
            the three lists of a COCO file.
    """
    check_file(path)
    try:
        content = json.loads(path.read_text('utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, 'file', 'JSON in UTF-8', str(error)) from error
    _check_lists(path, content)
    return content


def check_annotations(path: Path, content: Any,
                      metainfo: Mapping[str, Any]) -> None:
    """Refuse annotations that would spoil training.

    Args:
        path (Path): The file, for the message.
        content (Any): What the JSON file holds.
        metainfo (Mapping): Parsed metainfo of the data set.

    Raises:
        DataError: The first kind of fault; the hint counts the others.
    """
    findings, _ = inspect_annotations(path, content, metainfo)
    errors = [item for item in findings if not item.is_warning]
    if errors:
        error = errors[0].as_error()
        hints = [error.hint] if error.hint else []
        if len(errors) > 1:
            others = ', '.join(item.field for item in errors[1:])
            hints.append(f'{len(errors) - 1} more kinds of errors ({others}): '
                         f'tools/verify_dataset.py --ann-file {path}')
        raise DataError(error.file, error.where, error.expected, error.found,
                        '; '.join(hints))


def inspect_annotations(
        path: Path, content: Any,
        metainfo: Mapping[str, Any]) -> tuple[list[Finding], Labels]:
    """Check all that needs no image.

    Args:
        path (Path): The file, for the messages.
        content (Any): What the JSON file holds.
        metainfo (Mapping): Parsed metainfo of the data set.

    Returns:
        tuple: The findings, and the annotations that are sound.

    Raises:
        DataError: If `content` is no COCO file at all.
    """
    _check_lists(path, content)
    names = tuple(name for _, name in sorted(
        metainfo['keypoint_id2name'].items()))
    inspection = _Inspection(path, content)
    names = inspection.check_categories(
        names, str(metainfo.get('dataset_name', 'the metainfo')))
    inspection.check_images()
    return inspection.findings, inspection.check_labels(names)


class _Inspection:
    """Findings gathered on the way through one file."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path
        self.findings: list[Finding] = []
        self.images: list[Any] = content['images']
        self.annotations: list[Any] = content['annotations']
        self.categories: list[Any] = content['categories']
        self.image_of: dict[int, int] = {}
        self.category_ids: set[int] = set()

    def add(self, field: str, expected: str, places: Iterable[Place],
            hint: str = '', warning: bool = False) -> None:
        """Note a kind of fault if it occurs at all."""
        if found := tuple(places):
            self.findings.append(Finding(self.path, field, expected, found,
                                         hint, warning))

    def check_categories(self, names: tuple[str, ...],
                         dataset: str) -> tuple[str, ...]:
        """Names of the keypoints that the file's annotations follow."""
        own = names
        if not self.categories:
            self.add('categories', "a category 'horse' with keypoints",
                     [Place('', 'none')])
        for position, category in enumerate(self.categories):
            number = _entry_id(category)
            place = f'category {position if number is None else number}'
            if number is None or number in self.category_ids:
                self.add('id', 'a whole number, each once',
                         [Place(place, _short(category))])
                continue
            self.category_ids.add(number)
            found = category.get('keypoints')
            if not _is_list_of(found, str):
                self.add('keypoints', f'the {len(names)} names of {dataset}',
                         [Place(place, _short(found))], CONVERT)
                continue
            if tuple(found) != names:
                own = tuple(found)
                self.add('keypoints', f'the {len(names)} names of {dataset}',
                         [Place(place, _compare_names(own, names))], CONVERT)
            self._check_skeleton(category, place, len(found))
        return own

    def _check_skeleton(self, category: dict[str, Any], place: str,
                        count: int) -> None:
        links = category.get('skeleton')
        expected = f'pairs of numbers 1 to {count}'
        if not _is_list_of(links, list) or not all(
                _is_list_of(link, int) and len(link) == 2 for link in links):
            self.add('skeleton', expected, [Place(place, _short(links))],
                     'the skeleton of the metainfo is drawn', warning=True)
            return
        numbers = [number for link in links for number in link]
        lowest, highest = min(numbers), max(numbers)
        if lowest < 1 or highest > count:
            self.add('skeleton', expected, [
                Place(place, f'{lowest} to {highest}' + (
                    ', counted from 0' if lowest == 0 else ''))],
                "COCO's skeletons count from 1", warning=True)

    def check_images(self) -> None:
        """Ids, names and sizes; fills `image_of`, id to position."""
        faults: dict[str, list[Place]] = {}
        seen: dict[str, int] = {}
        for i, image in enumerate(self.images):
            number = _entry_id(image)
            if number is None or number in self.image_of:
                found = _short(image) if number is None else USED
                name = f'image {i if number is None else number}'
                if isinstance(image, dict):
                    name += _file_in_brackets(image)
                    if number is None:
                        found = _short(image.get('id'))
                faults.setdefault('id', []).append(Place(name, found, i))
                continue
            self.image_of[number] = i
            name = self._image_name(i)
            file = image.get('file_name')
            if not is_file_name(file):
                faults.setdefault('file_name', []).append(
                    Place(name, _short(file), i))
            elif seen.setdefault(file, i) != i:
                faults.setdefault('twice', []).append(
                    Place(name, f'that of {self._image_name(seen[file])} too',
                          i))
            for key in ('width', 'height'):
                if not is_size(image.get(key)):
                    faults.setdefault(key, []).append(
                        Place(name, _short(image.get(key)), i))
        self.add('id', 'a whole number, each once', faults.pop('id', ()))
        self.add('file_name', 'a file of its own', faults.pop('twice', ()),
                 'an image labelled twice may end in two splits', warning=True)
        self.add('file_name', 'the name of a file',
                 faults.pop('file_name', ()))
        for key, places in faults.items():
            self.add(key, 'a positive whole number', places)

    def check_labels(self, names: tuple[str, ...]) -> Labels:
        """Go through the annotations, from ids to visibility."""
        if not self.annotations:
            self.add('annotations', 'annotations', [Place('', 'none')])
        rows = self._check_ids()
        self._check_bare_images()
        # The loader leaves crowds out; their points and boxes do not count.
        rows = [i for i in rows if not self._entry(i).get('iscrowd')]
        points, rows = self._take(rows, 'keypoints', 3 * len(names), [
            f'{part} of {name}' for name in names for part in 'xyv'])
        points = points.reshape(-1, len(names), 3)
        rows, points = self._check_visibility(rows, points, names)
        boxes, kept = self._take(rows, 'bbox', 4,
                                 ['x', 'y', 'width', 'height'])
        points = points[np.isin(rows, kept)]
        rows, sound = self._check_boxes(kept, boxes)
        points, boxes = points[sound], boxes[sound]
        self._check_counts(rows, (points[..., 2] > 0).sum(1))
        areas = self._check_areas(rows)
        self._check_left_out(rows)
        image_rows = np.array([self._image_row(i) for i in rows], int)
        sizes = np.array([[self.images[j]['width'], self.images[j]['height']]
                          for j in image_rows], float).reshape(-1, 2)
        return Labels(self.path, self.images, np.array(rows, int),
                      tuple(self._name(i) for i in rows), image_rows,
                      points[..., :2], points[..., 2].astype(int), boxes,
                      sizes, areas, names)

    def _check_ids(self) -> list[int]:
        """Positions of annotations that belong to a sound image."""
        seen: set[int] = set()
        rows = []
        faults: dict[str, list[Place]] = {
            'id': [], 'image_id': [], 'category_id': [], 'iscrowd': []}
        for i, entry in enumerate(self.annotations):
            number = _entry_id(entry)
            if number is None or number in seen:
                found = USED if number is not None else _short(
                    entry.get('id') if isinstance(entry, dict) else entry)
                faults['id'].append(Place(self._name(i), found, -1, i))
                continue
            seen.add(number)
            for key, known in (('image_id', self.image_of),
                               ('category_id', self.category_ids)):
                if key == 'category_id' and not known:
                    continue  # that alone is the fault
                if type(entry.get(key)) is not int or entry[key] not in known:
                    faults[key].append(
                        Place(self._name(i), _short(entry.get(key)), -1, i))
                    break
            else:
                if entry.get('iscrowd', 0) not in (0, 1):
                    faults['iscrowd'].append(
                        self._place(i, _short(entry['iscrowd'])))
                    continue
                image = self.images[self.image_of[entry['image_id']]]
                if all(is_size(image.get(key))
                       for key in ('width', 'height')):
                    rows.append(i)
        self.add('id', 'a whole number, each once', faults['id'])
        self.add('image_id', 'the id of an image', faults['image_id'])
        self.add('category_id', 'the id of a category',
                 faults['category_id'])
        self.add('iscrowd', '0 or 1', faults['iscrowd'])
        return rows

    def _check_bare_images(self) -> None:
        used = {entry.get('image_id') for entry in self.annotations
                if isinstance(entry, dict)
                and type(entry.get('image_id')) is int}
        self.add('annotations', 'an annotation', (
            Place(self._image_name(i), 'none', i)
            for number, i in self.image_of.items()
            if self.annotations and number not in used),
            'it is not trained on', warning=True)

    def _take(self, rows: list[int], key: str, count: int,
              parts: list[str]) -> tuple[Array, list[int]]:
        """Numbers (N, count) of a key, and the rows that have them."""
        values = [self._entry(i).get(key) for i in rows]
        faults: dict[str, list[Place]] = {}
        kept, sound = [], []
        for i, value in zip(rows, values, strict=True):
            if not isinstance(value, list):
                found = _short(value)
            elif any(isinstance(item, (list, dict)) for item in value[:1]):
                found = 'lists in a list'
            elif len(value) != count:
                found = f'{len(value)}'
            else:
                kept.append(i)
                sound.append(value)
                continue
            faults.setdefault(f'{count} numbers', []).append(
                self._place(i, found))
        if not set(map(type, chain.from_iterable(sound))) <= {int, float}:
            expected = f'{count} numbers'
            good = []
            for i, value in zip(kept, sound, strict=True):
                wrong = [j for j in range(count)
                         if type(value[j]) not in (int, float)]
                if wrong:
                    faults.setdefault(expected, []).append(self._place(
                        i, f'{_short(value[wrong[0]])} for '
                        f'{parts[wrong[0]]}'))
                else:
                    good.append((i, value))
            kept, sound = [i for i, _ in good], [value for _, value in good]
        numbers = _to_array(sound, count)
        finite = np.isfinite(numbers) & (np.abs(numbers) <= LARGEST)
        for row in np.flatnonzero(~finite.all(1)):
            column = int(np.argmin(finite[row]))
            faults.setdefault(f'finite numbers up to {LARGEST:.0e}', []
                              ).append(self._place(
                                  kept[row], f'{_short(sound[row][column])} '
                                  f'for {parts[column]}'))
        for expected, places in faults.items():
            self.add(key, expected, places)
        sane = finite.all(1)
        return numbers[sane], [i for i, good_row in
                               zip(kept, sane, strict=True) if good_row]

    def _check_visibility(
            self, rows: list[int], points: Array,
            names: tuple[str, ...]) -> tuple[list[int], Array]:
        known = np.isin(points[..., 2], (0, 1, 2))
        self.add('keypoints', 'visibility 0, 1 or 2', (
            self._place(rows[i], f'{points[i, k, 2]:g} for {names[k]}')
            for i, k in ((i, int(np.argmin(known[i])))
                         for i in np.flatnonzero(~known.all(1)))),
            'a third number of 0 to 1 is a score: convert the file')
        good = known.all(1)
        return [rows[i] for i in np.flatnonzero(good)], points[good]

    def _check_boxes(self, rows: list[int],
                     boxes: Array) -> tuple[list[int], Array]:
        """Boxes that the loader would not drop, which it does silently."""
        images = [self.images[self._image_row(i)] for i in rows]
        limits = np.array([[image['width'] - 1, image['height'] - 1]
                           for image in images], float).reshape(-1, 2)
        start = np.clip(boxes[:, :2], 0, limits)
        end = np.clip(boxes[:, :2] + boxes[:, 2:], 0, limits)
        positive = (boxes[:, 2:] > 0).all(1)
        inside = (end > start).all(1)
        self.add('bbox', 'a width and height above 0', (
            self._place(rows[i], _numbers(boxes[i]))
            for i in np.flatnonzero(~positive)),
            'a box is [x, y, width, height]')
        self.add('bbox', 'a box on the image', (
            self._place(rows[i], f'{_numbers(boxes[i])} on '
                        f'{images[i]["width"]}x{images[i]["height"]} px')
            for i in np.flatnonzero(positive & ~inside)))
        good = positive & inside
        return [rows[i] for i in np.flatnonzero(good)], good

    def _check_counts(self, rows: list[int], labelled: Array) -> None:
        places = []
        for i, count in zip(rows, labelled, strict=True):
            stated = self._entry(i).get('num_keypoints', int(count))
            if not _is_number(stated) or stated != count:
                places.append(self._place(i, _short(stated) + (
                    f' where {count} are labelled')))
        self.add('num_keypoints', 'the number of points of visibility 1 or 2',
                 places)

    def _check_areas(self, rows: list[int]) -> Array:
        """Areas (N,); OKS divides by them."""
        areas = np.full(len(rows), np.nan)
        places = []
        for row, i in enumerate(rows):
            area = self._entry(i).get('area')
            if 'area' not in self._entry(i):
                continue
            if _is_number(area) and 0 < area <= LARGEST**2:
                areas[row] = area
            else:
                places.append(self._place(i, _short(area)))
        self.add('area', 'a number above 0', places,
                 '0.53 times the area of the box stands for a mask')
        return areas

    def _check_left_out(self, rows: list[int]) -> None:
        for key, use in (('num_keypoints', 'the loader guesses it'),
                         ('area', '0.53 of the box is taken'),
                         ('iscrowd', 'COCO evaluation needs it')):
            self.add(key, 'the key', (
                self._place(i, 'nothing') for i in rows
                if key not in self._entry(i)), use, warning=True)

    def _entry(self, i: int) -> dict[str, Any]:
        return self.annotations[i]

    def _image_row(self, i: int) -> int:
        return self.image_of[self._entry(i)['image_id']]

    def _place(self, i: int, found: str) -> Place:
        return Place(self._name(i), found, self._image_row(i), i)

    def _name(self, i: int) -> str:
        entry = self.annotations[i]
        number = _entry_id(entry)
        if number is None:
            return f'annotation at position {i}'
        image = entry.get('image_id')
        row = self.image_of.get(image) if type(image) is int else None
        if row is None:
            return f'annotation {number}'
        return f'annotation {number}{_file_in_brackets(self.images[row])}'

    def _image_name(self, i: int) -> str:
        return f'image {self.images[i]["id"]}' + _file_in_brackets(
            self.images[i])


def _check_lists(path: Path, content: Any) -> None:
    if not isinstance(content, dict):
        raise DataError(path, 'file', 'a JSON object',
                        f'a {type(content).__name__}')
    check_keys(content, KEYS, path)
    for key in KEYS:
        if not isinstance(content[key], list):
            raise DataError(path, f'key {key!r}', 'a list',
                            f'a {type(content[key]).__name__}')


def _entry_id(entry: Any) -> int | None:
    """The id of an entry if it is one: True is no number."""
    number = entry.get('id') if isinstance(entry, dict) else None
    return number if type(number) is int else None


def is_size(value: Any) -> TypeGuard[int]:
    """Whether a picture could be that wide or high, in px."""
    return type(value) is int and 0 < value <= LARGEST


def _is_number(value: Any) -> TypeGuard[float]:
    """True and False are numbers to Python alone."""
    return type(value) in (int, float)


def is_file_name(value: Any) -> TypeGuard[str]:
    """Whether a file system could have it: some escapes are no letters."""
    if not isinstance(value, str) or not value or '\0' in value:
        return False
    return value == value.encode('utf-8', 'replace').decode()


def _file_in_brackets(image: dict[str, Any]) -> str:
    file = image.get('file_name')
    return f' ({file})' if is_file_name(file) else ''


def _is_list_of(value: Any, kind: type) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and bool(value) and all(
        type(item) is kind for item in value)


def _to_array(rows: list[list[Any]], count: int) -> Array:
    try:
        return np.array(rows, np.float64).reshape(-1, count)
    except OverflowError:  # whole numbers of hundreds of digits
        return np.array([[float(v) if abs(v) <= LARGEST else np.inf
                          for v in row] for row in rows]).reshape(-1, count)


def _compare_names(own: tuple[str, ...], names: tuple[str, ...]) -> str:
    if sorted(own) == sorted(names):
        place = next(i for i, name in enumerate(names) if own[i] != name)
        return (f'them in another order: {own[place]!r} where '
                f'{names[place]!r} belongs')
    missing = [name for name in names if name not in own]
    text = f'{len(own)} names'
    if missing:
        more = ', ...' if len(missing) > 5 else ''
        text += f', {", ".join(missing[:5])}{more} not among them'
    return text


def _numbers(values: Array) -> str:
    return f'[{", ".join(f"{value:g}" for value in values)}]'


def _short(value: Any) -> str:
    """A value as JSON has it, cut; 'nothing' for none."""
    if value is None:
        return 'nothing'
    if isinstance(value, int) and abs(value) > 10**20:
        return 'a number of more than 20 digits'
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'

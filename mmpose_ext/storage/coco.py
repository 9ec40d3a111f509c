"""COCO keypoint files."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .checks import StrPath, check_array, check_file, check_images, check_keys
from .errors import DataError
from .labels import LabelledImage, LabelledInstance, LabelSet
from .plain_files import read_json
from .records import PointTracks


def read_coco_keypoints(json_path: StrPath,
                        image_root: StrPath | None = None) -> PointTracks:
    """Read a COCO keypoint file, one row an annotation.

    Coordinates are taken as they are: pixel centres at integers. A keypoint
    of visibility 0 is missing; 1 (occluded) and 2 (visible) both score 1.

    Args:
        json_path (str | Path): The annotation file.
        image_root (str | Path, optional): Folder of the images. Defaults to
            None (the folder of the file).

    Returns:
        PointTracks: P = 1; `frames` count the annotations; `sessions` are
        the folders that the images lie in.

    Raises:
        DataError: If the file is damaged, an image is not on the disk, or
            the annotations' categories do not name the same keypoints.
    """
    path = check_file(json_path, ['.json'])
    root = path.parent if image_root is None else Path(image_root)
    content = _read_content(path)
    images = _index(content['images'], 'image', ['file_name'], path)
    categories = _index(content['categories'], 'category', [], path)
    annotations = _index(content['annotations'], 'annotation',
                         ['image_id', 'category_id', 'keypoints'], path)
    if not annotations:
        raise DataError(path, "key 'annotations'", 'annotations', 'none')
    names = _keypoint_names(annotations, categories, path)
    files = []
    points = np.empty((len(annotations), 1, len(names), 2))
    for row, (number, annotation) in enumerate(annotations.items()):
        where = f'annotation {number}'
        if not _known(annotation['image_id'], images):
            raise DataError(path, where, 'an image of the file',
                            f'image_id {annotation["image_id"]!r}')
        files.append(root / str(images[annotation['image_id']]['file_name']))
        points[row, 0] = _read_points(annotation, len(names), path, where)
        _check_box(annotation.get('bbox'), path, where)
    check_images(files, path)
    return PointTracks(names=names,
                       individuals=('individual_0', ),
                       points=points,
                       scores=np.where(np.isnan(points[..., 0]), np.nan, 1.0),
                       frames=np.arange(len(files), dtype=np.int64),
                       images=tuple(files),
                       video=None,
                       sessions=tuple(file.parent.name for file in files),
                       source=path)


def read_coco_labels(json_path: StrPath,
                     image_root: StrPath | None = None,
                     category: str | None = None,
                     preferred: str = '') -> LabelSet:
    """Read the animals of one category out of a COCO keypoint file.

    Crowds are passed over and counted, as are pictures without an animal of
    the category.

    Args:
        json_path (str | Path): The annotation file.
        image_root (str | Path, optional): Folder of the pictures. Defaults
            to None (the folder of the file).
        category (str, optional): Its name, without regard to case. Defaults
            to None: the preferred one, else the only one of the file.
        preferred (str): Name of a category. Defaults to ''.

    Raises:
        DataError: If the file is damaged, a picture is not on the disk, or
            there is no such category.
    """
    path = check_file(json_path, ['.json'])
    root = path.parent if image_root is None else Path(image_root)
    content = _read_content(path)
    images = _index(content['images'], 'image', ['file_name'], path)
    categories = _index(content['categories'], 'category', ['name'], path)
    chosen = _choose_category(categories, category, preferred, path)
    annotations = _index(content['annotations'], 'annotation',
                         ['image_id', 'category_id', 'keypoints'], path)
    wanted = {number: annotation for number, annotation in annotations.items()
              if annotation['category_id'] == chosen}
    single = {number: annotation for number, annotation in wanted.items()
              if not annotation.get('iscrowd')}
    if not single:
        raise DataError(path, "key 'annotations'", 'annotations of '
                        f'{categories[chosen]["name"]!r}', 'none')
    names = _keypoint_names(single, categories, path)
    if len(set(names)) < len(names):
        raise DataError(path, f'category {chosen}', 'each keypoint name once',
                        ', '.join(names))
    animals: dict[int | str, list[LabelledInstance]] = {}
    for number, annotation in single.items():
        where = f'annotation {number}'
        if not _known(annotation['image_id'], images):
            raise DataError(path, where, 'an image of the file',
                            f'image_id {annotation["image_id"]!r}')
        animals.setdefault(annotation['image_id'], []).append(
            _read_instance(annotation, len(names), path, where))
    labelled = tuple(
        _labelled_image(number, images[number], found, root, path)
        for number, found in animals.items())
    check_images([image.file for image in labelled], path)
    left_out = {
        'annotations of other categories': len(annotations) - len(wanted),
        'crowds': len(wanted) - len(single),
        'pictures without an animal': len(images) - len(animals)}
    return LabelSet(path, names, labelled, {
        reason: count for reason, count in left_out.items() if count})


def read_coco_names(json_path: StrPath) -> tuple[str, ...]:
    """Names of the keypoints of all categories.

    Args:
        json_path (str | Path): The annotation file.

    Raises:
        DataError: If it is not a COCO file.
    """
    path = check_file(json_path, ['.json'])
    names: dict[str, None] = {}
    for category in _read_content(path)['categories']:
        own = category.get('keypoints') if isinstance(category, dict) else ()
        names.update((name, None) for name in own or ()
                     if isinstance(name, str))
    return tuple(names)


def _choose_category(categories: dict[int | str, dict[str, Any]],
                     name: str | None, preferred: str,
                     path: Path) -> int | str:
    """Id of the category named, else of the preferred or only one."""
    by_name: dict[str, list[int | str]] = {}
    for number, category in categories.items():
        by_name.setdefault(str(category['name']).lower(), []).append(number)
    wanted = (preferred if name is None else name).lower()
    found = by_name.get(wanted, list(categories) if name is None else [])
    if len(found) != 1:
        raise DataError(path, "key 'categories'",
                        'one category' + (f' {wanted!r}' if wanted else ''),
                        ', '.join(by_name)[:300] or 'none',
                        'choose one by its name')
    return found[0]


def _read_instance(annotation: dict[str, Any], count: int, path: Path,
                   where: str) -> LabelledInstance:
    points = _read_points(annotation, count, path, where)
    visibility = np.array(annotation['keypoints'][2::3]).astype(np.int64)
    box = annotation.get('bbox')
    _check_box(box, path, where)
    return LabelledInstance(where, np.nan_to_num(points), visibility,
                            None if box is None else np.array(box, float))


def _labelled_image(number: int | str, image: dict[str, Any],
                    animals: list[LabelledInstance], root: Path,
                    path: Path) -> LabelledImage:
    name = image['file_name']
    if not isinstance(name, str) or not name or '\0' in name:
        raise DataError(path, f'image {number}', 'a file_name', repr(name))
    if 'width' not in image and 'height' not in image:
        return LabelledImage(root / name, name, tuple(animals))
    width, height = image.get('width', 0), image.get('height', 0)
    for side in (width, height):
        if type(side) is not int or side <= 0:
            raise DataError(path, f'image {number}',
                            'width and height in px',
                            f'{width!r} and {height!r}')
    return LabelledImage(root / name, name, tuple(animals), (width, height))


def _read_content(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(path, 'file', 'a JSON object',
                        f'a {type(content).__name__}')
    keys = ('images', 'annotations', 'categories')
    check_keys(content, keys, path)
    for key in keys:
        if not isinstance(content[key], list):
            raise DataError(path, f'key {key!r}', 'a list',
                            f'a {type(content[key]).__name__}')
    return content


def _index(entries: list[Any], kind: str, required: list[str],
           path: Path) -> dict[int | str, dict[str, Any]]:
    """Entries by their id, each with the required keys."""
    index: dict[int | str, dict[str, Any]] = {}
    for position, entry in enumerate(entries):
        where = f'{kind} at position {position}'
        number = entry.get('id') if isinstance(entry, dict) else None
        if not isinstance(number, (int, str)):
            raise DataError(path, where, 'an object with an id', repr(number))
        if number in index:
            raise DataError(path, f'{kind} {number}', 'each id once',
                            'several of this id')
        for key in required:
            if key not in entry:
                raise DataError(path, f'{kind} {number}', f'key {key!r}',
                                f'only {", ".join(map(repr, entry))}')
        index[number] = entry
    return index


def _known(number: Any, index: dict[int | str, dict[str, Any]]) -> bool:
    return isinstance(number, (int, str)) and number in index


def _keypoint_names(annotations: dict[int | str, dict[str, Any]],
                    categories: dict[int | str, dict[str, Any]],
                    path: Path) -> tuple[str, ...]:
    """The keypoints that all categories in use have in common."""
    names: list[str] | None = None
    for number, annotation in annotations.items():
        category = annotation['category_id']
        if not _known(category, categories):
            raise DataError(path, f'annotation {number}',
                            'a category of the file',
                            f'category_id {category!r}')
        own = categories[category].get('keypoints')
        if not isinstance(own, list) or not own or not all(
                isinstance(name, str) for name in own):
            raise DataError(path, f'category {category}',
                            'a list of keypoint names', repr(own))
        if names is not None and own != names:
            raise DataError(path, f'category {category}',
                            f'the keypoints {", ".join(names)}',
                            ', '.join(own))
        names = own
    return tuple(names or ())


def _read_points(annotation: dict[str, Any], count: int, path: Path,
                 where: str) -> np.ndarray:
    """Points of one annotation, (K, 2), NaN where not labelled."""
    where = f'{where}, keypoints'
    values = _read_numbers(annotation['keypoints'], 3 * count, path, where)
    values = values.reshape(count, 3)
    visibility = values[:, 2]
    if not np.isin(visibility, (0, 1, 2)).all():
        raise DataError(path, where, 'visibility 0, 1 or 2',
                        str(visibility.tolist()))
    return np.where(visibility[:, None] > 0, values[:, :2], np.nan)


def _read_numbers(values: Any, count: int, path: Path,
                  where: str) -> np.ndarray:
    if not isinstance(values, list) or not all(
            isinstance(value, (int, float)) for value in values):
        raise DataError(path, where, f'{count} numbers', repr(values)[:60])
    if len(values) != count:
        raise DataError(path, where, f'{count} numbers', f'{len(values)}')
    try:
        numbers = np.array(values, np.float64)
    except OverflowError as error:
        raise DataError(path, where, 'finite values', str(error)) from error
    return check_array(numbers, path, where, finite=True)


def _check_box(box: Any, path: Path, where: str) -> None:
    if box is None:
        return
    where = f'{where}, bbox'
    if (_read_numbers(box, 4, path, where)[2:] <= 0).any():
        raise DataError(path, where, 'a positive width and height', str(box))

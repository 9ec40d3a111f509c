"""InterHand2.6M in MMPose's files turned into columns of an index."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.handobject.convert_boxes import (
    BEHIND,
    OUTSIDE,
    hand_boxes,
    is_small,
    widened,
)
from mmpose_ext.handobject.hand import SIDES
from mmpose_ext.handobject.index_files import (
    FILE_PATTERN,
    INTERHAND,
    sequence_fingerprint,
)
from mmpose_ext.splits import PARTS
from mmpose_ext.storage import (
    DataError,
    check_array,
    check_file,
    check_keys,
    read_json,
)

Array = np.ndarray

ENDINGS = ('_data.json', '_camera.json', '_joint_3d.json')
# Ours from theirs: wrist last, each finger from its tip to its base
ORDER = np.array([20, *(4 * finger + 3 - segment for finger in range(5)
                        for segment in range(4))])
INCOMPLETE = 'hands with unlabelled joints, taken for none'
_MM = 1000


@dataclass(frozen=True)
class _Camera:
    """A camera: X_cam = rotation (X - place), mm; fx, fy, cx, cy in px."""

    rotation: Array
    place: Array
    intrinsics: Array


def find_prefixes(folder: Path) -> list[Path]:
    """Paths of sets of annotation files, without their endings.

    Args:
        folder (Path): Where ``*_data.json``, ``*_camera.json`` and
            ``*_joint_3d.json`` are.

    Raises:
        DataError: If there is none, or one of the three is missing.
    """
    if not folder.is_dir():
        raise DataError(folder, 'folder', 'annotations of InterHand2.6M',
                        'a file' if folder.exists() else 'nothing')
    found = [path.with_name(path.name.removesuffix(ENDINGS[0]))
             for path in sorted(folder.glob(f'*{ENDINGS[0]}'))]
    if not found:
        raise DataError(folder, 'folder', f'a file *{ENDINGS[0]}', 'none')
    for prefix in found:
        for ending in ENDINGS:
            check_file(f'{prefix}{ending}',
                       hint=f'it belongs to {prefix.name}{ENDINGS[0]}')
    return found


def split_of(prefix: Path) -> str:
    """Split that the name of a set of files tells, else ``all``."""
    words = prefix.name.lower().replace('.', '_').split('_')
    return next((split for split in PARTS if split in words), 'all')


def gather_interhand(prefix: Path, root: Path, images: Path
                     ) -> tuple[dict[str, Array], Counter[str]]:
    """Read a set of annotation files; each hand of a picture is a frame.

    Args:
        prefix (Path): See :func:`find_prefixes`.
        root (Path): The data root.
        images (Path): Folder of the pictures, in the data root.

    Returns:
        tuple[dict[str, np.ndarray], Counter[str]]: Columns of an index;
            what was found how often.

    Raises:
        DataError: If a file is damaged, a picture is missing, or there is
            no hand.
    """
    data_file, camera_file, joint_file = (
        Path(f'{prefix}{ending}') for ending in ENDINGS)
    data, joints = _read_table(data_file), _read_table(joint_file)
    cameras = _Cameras(camera_file)
    notes: Counter[str] = Counter()
    hands = list(_hands(data, data_file, joints, joint_file, cameras, notes))
    if not hands:
        raise DataError(data_file, 'annotations', 'a hand', 'none')
    below = _below(root, images)
    for name in sorted({str(hand['file_name']) for hand in hands}):
        check_file(images / name, hint='the folder of pictures is given by '
                   '--images')
    return _columns(hands, below, split_of(prefix), notes), notes


class _Cameras:
    """Cameras of a file, each checked when it is first asked for."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._content = _read_table(file)
        self._cameras: dict[tuple[str, str], _Camera] = {}

    def __getitem__(self, key: tuple[str, str]) -> _Camera:
        if key not in self._cameras:
            self._cameras[key] = self._read(*key)
        return self._cameras[key]

    def _read(self, capture: str, name: str) -> _Camera:
        check_keys(self._content, [capture], self._file, 'captures')
        tables = self._content[capture]
        parts = []
        for key, shape in (('camrot', (3, 3)), ('campos', (3, )),
                           ('focal', (2, )), ('princpt', (2, ))):
            where = f'{key} of camera {name}, capture {capture}'
            values = tables.get(key) if isinstance(tables, dict) else None
            if not isinstance(values, dict) or name not in values:
                raise DataError(self._file, where, 'numbers', 'nothing')
            parts.append(_numbers(values[name], self._file, where, shape))
        rotation, place, focal, centre = parts
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3:
            raise DataError(
                self._file, f'camrot of camera {name}, capture {capture}',
                'a rotation', 'another matrix')
        return _Camera(rotation, place, np.concatenate([focal, centre]))


def _hands(data: dict[str, Any], data_file: Path, joints: dict[str, Any],
           joint_file: Path, cameras: _Cameras,
           notes: Counter[str]) -> Iterator[dict[str, Any]]:
    """Hands in the order of the annotations, the right one first."""
    check_keys(data, ['images', 'annotations'], data_file)
    images = {image.get('id'): image
              for image in _records(data, 'images', data_file)}
    annotations = _records(data, 'annotations', data_file)
    for row, annotation in enumerate(annotations):
        where = f'annotation {row}'
        image = images.get(annotation.get('image_id'))
        if image is None:
            raise DataError(data_file, where, 'an image_id of the images',
                            repr(annotation.get('image_id')))
        for key in ('capture', 'camera', 'frame_idx', 'file_name', 'width',
                    'height', 'subject', 'seq_name'):
            if key not in image:
                raise DataError(data_file, f'image {image.get("id")}',
                                f'key {key!r}', f'only {", ".join(image)}')
        valid = _numbers(np.ravel(annotation.get('joint_valid', ())),
                         data_file, f'joint_valid of {where}', (42, )) > 0
        world = _world(joints, joint_file, str(image['capture']),
                       str(image['frame_idx']))
        camera = cameras[str(image['capture']), str(image['camera'])]
        space = (world - camera.place) @ camera.rotation.T / _MM
        for side in range(2):
            of_side = slice(21 * side, 21 * side + 21)
            if not valid[of_side].any():
                continue
            whole = bool(valid[of_side].all())
            front = bool((space[of_side, 2] > 0).all())
            notes[INCOMPLETE] += not whole
            notes[BEHIND] += whole and not front
            yield dict(image, side=side, id=2 * row + side,
                       valid=whole and front, joints=space[of_side][ORDER],
                       intrinsics=camera.intrinsics)


def _world(joints: dict[str, Any], file: Path, capture: str,
           frame: str) -> Array:
    """Joints (42, 3) of a frame in mm."""
    where = f'frame {frame} of capture {capture}'
    frames = joints.get(capture)
    if not isinstance(frames, dict) or not isinstance(
            frames.get(frame), dict):
        raise DataError(file, where, 'joints', 'nothing')
    return _numbers(frames[frame].get('world_coord'), file, where, (42, 3))


def _columns(hands: list[dict[str, Any]], below: str, split: str,
             notes: Counter[str]) -> dict[str, Array]:
    count = len(hands)
    valid = np.array([hand['valid'] for hand in hands])
    joints = np.array([hand['joints'] for hand in hands])
    intrinsics = np.array([hand['intrinsics'] for hand in hands])
    sizes = np.array([(hand['width'], hand['height']) for hand in hands])
    joints[~valid] = (-1, -1, 1)
    pixels = (joints[..., :2] / joints[..., 2:] * intrinsics[:, None, :2]
              + intrinsics[:, None, 2:])
    joints[~valid], pixels[~valid] = -1, -1
    boxes = np.zeros((count, 4), np.float32)
    for row in np.flatnonzero(valid):
        boxes[row] = hand_boxes(pixels[row][None], *sizes[row])[0]
        if is_small(boxes[row][None])[0]:
            notes[OUTSIDE] += 1
            boxes[row] = widened(boxes[row][None], *sizes[row])[0]
    keys = [(str(hand['subject']), f'capture{hand["capture"]}/'
             f'{hand["seq_name"]}/{SIDES[hand["side"]]}') for hand in hands]
    sequences = sorted({*keys})
    subjects = sorted({subject for subject, _ in keys})
    serials = sorted({str(hand['camera']) for hand in hands})
    rows = len(sequences)
    return {
        'id': np.array([hand['id'] for hand in hands]),
        'sequence_row': _places(keys, sequences).astype(np.int32),
        'camera': _places([str(hand['camera']) for hand in hands], serials
                          ).astype('u1' if len(serials) < 257 else 'u2'),
        'frame': np.array([int(hand['frame_idx']) for hand in hands],
                          np.int32),
        'hand_valid': valid, 'joints_cam': joints, 'joints_px': pixels,
        'bbox_hand': boxes, 'bbox_union': boxes, 'K': intrinsics,
        'pose_m': np.zeros((count, 51)),
        'pose_y': np.zeros((count, 1, 3, 4)),
        'object_valid': np.zeros((count, 1), bool),
        'file_name': np.array([f'{below}{hand["file_name"]}'
                               for hand in hands]),
        'picture_size': sizes.astype(np.int32),
        'sequence_subject': _places([subject for subject, _ in sequences],
                                    subjects).astype(np.uint8),
        'sequence_name': np.array([name for _, name in sequences]),
        'sequence_number': np.arange(rows, dtype=np.int32),
        'side': np.array([SIDES.index(name.rsplit('/')[-1])
                          for _, name in sequences], np.uint8),
        'ycb_ids': np.zeros((rows, 1), np.uint8),
        'grasped': np.full(rows, -1, np.int32),
        'betas': np.zeros((rows, 10)),
        'serials': np.array(serials), 'subjects': np.array(subjects),
        'source': np.array(INTERHAND), 'setup': np.array(INTERHAND),
        'split': np.array(split), 'every': np.array(1),
        'image_size': sizes[0], 'image_pattern': np.array(FILE_PATTERN),
        'fingerprint': np.array(sequence_fingerprint(
            (name for _, name in sequences), serials))}


def _places(values: list[Any], names: list[Any]) -> Array:
    place = {name: row for row, name in enumerate(names)}
    return np.array([place[value] for value in values])


def _below(root: Path, images: Path) -> str:
    """What stands before the name of a picture, seen from the root."""
    try:
        inside = images.resolve().relative_to(root.resolve())
    except ValueError as error:
        raise DataError(images, '--images', f'a folder in {root}',
                        'another one', 'or give --data-root') from error
    return '' if inside == Path() else f'{inside.as_posix()}/'


def _read_table(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(path, 'file', 'keys and values',
                        type(content).__name__)
    return content


def _records(data: Mapping[str, Any], key: str,
             file: Path) -> list[dict[str, Any]]:
    records = data[key]
    if not isinstance(records, list) or not all(
            isinstance(record, dict) for record in records):
        raise DataError(file, f'key {key!r}', 'a list of records',
                        type(records).__name__)
    return records


def _numbers(values: Any, file: Path, where: str,
             shape: tuple[int, ...]) -> Array:
    try:
        array = np.asarray(values, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(file, where, f'numbers of shape {shape}',
                        repr(values)[:60]) from error
    return check_array(array, file, where, 'f', shape, True)

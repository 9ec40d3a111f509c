"""DexYCB's labels: of frames (``labels_*.npz``), of a video (pose.npz)."""
from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .checks import StrPath, check_array, check_keys
from .dexycb import HAND_LABEL, IMAGE_SIZE, NUM_OBJECTS, skewed_rotations
from .errors import DataError
from .npz import NpzArchive

_SHAPES: dict[str, tuple[int, ...]] = {
    'pose_m': (1, 51), 'joint_3d': (1, 21, 3), 'joint_2d': (1, 21, 2)}
_MISSING = -1.
_MAX_PIXELS = 5.  # between joints and their projections, median of 21

# Records of the zip format, as far as they are looked at
_END = struct.Struct('<4s4H2LH')
_CENTRAL = struct.Struct('<4s6H3L5H2L')
_LOCAL_NAME = struct.Struct('<2H')
_LOCAL_SIZE = 30


@dataclass(frozen=True)
class FrameLabels:
    """Labels of F frames of one video, all in the camera's frame.

    Attributes:
        pose_y: (F, n, 3, 4) f4 [R|t] object to camera, m, in the order of
            the sequence's objects; 0 where unknown.
        object_valid: (F, n) bool, whether `pose_y` is known.
        pose_m: (F, 51) f4 of MANO; 0 where unknown.
        joints_cam: (F, 21, 3) f4 m; -1 without a hand.
        joints_px: (F, 21, 2) f4 px; -1 without a hand.
        hand_valid: (F, ) bool, whether there is a hand.
    """

    pose_y: np.ndarray
    object_valid: np.ndarray
    pose_m: np.ndarray
    joints_cam: np.ndarray
    joints_px: np.ndarray
    hand_valid: np.ndarray


def read_labels(files: Sequence[StrPath], num_objects: int) -> FrameLabels:
    """Read the labels of frames, without their segmentation.

    Args:
        files (Sequence[str | Path]): ``labels_*.npz`` of one video.
        num_objects (int): n, as many as the sequence's meta.yml lists.

    Returns:
        FrameLabels: F = len(files).

    Raises:
        DataError: Names the first file at fault.
    """
    shapes = {'pose_y': (num_objects, 3, 4), **_SHAPES}
    stacked = {name: np.empty((len(files), *shape), np.float32)
               for name, shape in shapes.items()}
    for row, file in enumerate(files):
        for name, array in _read_members(file, tuple(shapes)).items():
            # the quick look first: this runs half a million times
            if array.dtype != np.float32 or array.shape != shapes[name]:
                check_array(array, file, f'key {name!r}', 'f4', shapes[name])
            stacked[name][row] = array
    for name, values in stacked.items():
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).reshape(
                len(files), -1).all(1))[0])
            check_array(values[row], files[row], f'key {name!r}',
                        finite=True)
    pose_y = stacked['pose_y']
    joints = stacked['joint_3d'][:, 0]
    known = np.asarray(pose_y.any((2, 3)))
    skewed = skewed_rotations(pose_y[known][..., :3])
    if skewed.any():
        row, column = (int(each) for each in np.argwhere(known)[skewed][0])
        raise DataError(
            files[row], "key 'pose_y'", 'rotations, or rows of zeros',
            f'another matrix in row {column}')
    return FrameLabels(
        pose_y, known, stacked['pose_m'][:, 0], joints,
        stacked['joint_2d'][:, 0], (joints != _MISSING).any((1, 2)))


def check_projection(labels: FrameLabels, files: Sequence[StrPath],
                     intrinsics: np.ndarray) -> None:
    """Check that joints in space and in the picture are of one camera.

    Args:
        labels (FrameLabels): Of one video.
        files (Sequence[str | Path]): Where they were read.
        intrinsics (np.ndarray): (4, ) fx, fy, cx, cy in px.

    Raises:
        DataError: If a frame's joints are 5 px from their projections.
    """
    valid = labels.hand_valid & (labels.joints_cam[..., 2] > 0).all(1)
    joints = labels.joints_cam[valid].astype(np.float64)
    if not len(joints):
        return
    pixels = (joints[..., :2] / joints[..., 2:] * intrinsics[:2]
              + intrinsics[2:])
    error = np.median(np.linalg.norm(pixels - labels.joints_px[valid],
                                     axis=-1), axis=1)
    if (error > _MAX_PIXELS).any():
        worst = int(error.argmax())
        raise DataError(
            files[int(np.flatnonzero(valid)[worst])], "key 'joint_2d'",
            'joint_3d as the camera projects it',
            f'{error[worst]:.1f} px from it (median of 21)',
            'the intrinsics are of another camera or resolution')


def read_segmentation(path: StrPath,
                      size: tuple[int, int] = IMAGE_SIZE) -> np.ndarray:
    """Read the segmentation of a frame.

    Args:
        path (str | Path): ``labels_*.npz``.
        size (tuple[int, int]): Width and height in px. Defaults to
            (640, 480).

    Returns:
        np.ndarray: (height, width) u1: 0 background, 1..21 objects, 255
            hand.

    Raises:
        DataError: If it is missing, or of another size or content.
    """
    labels = _read_members(path, ('seg', ))['seg']
    check_array(labels, path, "key 'seg'", 'u1', size[::-1])
    wrong = (labels > NUM_OBJECTS) & (labels != HAND_LABEL)
    if wrong.any():
        raise DataError(path, "key 'seg'", f'0 to {NUM_OBJECTS} and '
                        f'{HAND_LABEL}', str(int(labels[wrong][0])))
    return labels


def _read_members(file: StrPath,
                  names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays of an archive, checksums verified, the rest not touched.

    What `NpzArchive` does, four times as fast where nothing is unusual;
    whatever is, is left to it.
    """
    try:
        return _read_plain(Path(file).read_bytes(), names)
    except (OSError, LookupError, ValueError, struct.error, zlib.error,
            EOFError):
        archive = NpzArchive(file)
        check_keys(archive.names, names, file)
        return {name: archive.read(name) for name in names}


def _read_plain(data: bytes, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays of a zip archive without a comment, zip64 or encryption."""
    mark, _, _, _, count, _, start, _ = _END.unpack_from(
        data, len(data) - _END.size)
    if mark != b'PK\x05\x06':
        raise ValueError('no end of an archive')
    wanted = {f'{name}.npy'.encode(): name for name in names}
    found = {}
    for _ in range(count):
        (mark, _, _, flags, method, _, _, crc, packed, size, name_length,
         extra, comment, _, _, _, local) = _CENTRAL.unpack_from(data, start)
        start += _CENTRAL.size
        name = wanted.get(data[start:start + name_length])
        start += name_length + extra + comment
        if mark != b'PK\x01\x02' or flags & 1 or method not in (0, 8):
            raise ValueError('an unusual member')
        if name is None:
            continue
        begin = local + _LOCAL_SIZE + sum(
            _LOCAL_NAME.unpack_from(data, local + 26))
        content = data[begin:begin + packed]
        if method:
            content = zlib.decompress(content, -zlib.MAX_WBITS, size)
        if len(content) != size or zlib.crc32(content) != crc:
            raise ValueError('a wrong checksum')
        found[name] = _parse(content)
    return {name: found[name] for name in names}


def _parse(content: bytes) -> np.ndarray:
    length = 10 + int.from_bytes(content[8:10], 'little')
    shape, fortran, dtype = _parse_header(content[:length])
    array = np.frombuffer(content, dtype, offset=length)
    return array.reshape(shape, order='F' if fortran else 'C')


@functools.lru_cache(64)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    stream = io.BytesIO(header)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError('another version')
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError('objects')
    return shape, fortran, dtype

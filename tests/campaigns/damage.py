"""Ways in which a file may be damaged, each decided by a random generator."""
from __future__ import annotations

import json
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import torch
from scipy.io import loadmat, savemat

from mmpose_ext.storage import VideoReader, VideoWriter

HUGE = 2**40


@dataclass(frozen=True)
class Damage:
    """One way to damage a file.

    Attributes:
        name: For people.
        apply: Does it to a path.
        is_fatal: Whether nothing of the content is left, so that a reader
            who accepts the file has not read it.
    """

    name: str
    apply: Callable[[Path, random.Random], None]
    is_fatal: bool = False


def damages_of(path: Path) -> list[Damage]:
    """What can happen to a sound file, told by its suffix."""
    suffix = path.suffix.lower()
    parts = list(BYTES)
    if suffix in TEXT_SUFFIXES:
        parts += TEXT
    if suffix == '.json':
        parts += JSON
    elif suffix == '.npz':
        parts += ARCHIVE
    elif h5py.is_hdf5(path):
        parts += HDF5
    elif suffix == '.mat':
        parts += MATLAB
    elif suffix in ('.png', '.jpg'):
        parts += PICTURE
    elif suffix == '.mp4':
        parts += VIDEO
    elif suffix == '.pth':
        parts += CHECKPOINT
    return parts


# --- any file -------------------------------------------------------------


def _bytes(change: Callable[[bytes, random.Random], bytes]
           ) -> Callable[[Path, random.Random], None]:
    def apply(path: Path, draw: random.Random) -> None:
        path.write_bytes(change(path.read_bytes(), draw))
    return apply


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 8, 64])):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _hole(data: bytes, draw: random.Random) -> bytes:
    """A block that never reached the disk."""
    start = draw.randrange(len(data))
    size = min(draw.choice([64, 512, 4096]), len(data) - start)
    return data[:start] + bytes(size) + data[start + size:]


def _replace_by_folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _swap(path: Path, draw: random.Random) -> None:
    """Give it the content of a file of another kind."""
    png = cv2.imencode('.png', np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    other = png if path.suffix != '.png' else b'{"images": []}'
    path.write_bytes(other)


BYTES = (
    Damage('truncated', _bytes(
        lambda data, draw: data[:draw.randrange(1, len(data))])),
    Damage('empty', _bytes(lambda data, draw: b''), True),
    Damage('zeros', _bytes(lambda data, draw: bytes(len(data))), True),
    Damage('flipped bits', _bytes(_flip)),
    Damage('a hole', _bytes(_hole)),
    Damage('noise', _bytes(lambda data, draw: draw.randbytes(
        len(data))), True),
    Damage('another kind of file', _swap, True),
    Damage('a folder', _replace_by_folder, True),
    Damage('missing', lambda path, draw: path.unlink(), True),
)

# --- text -----------------------------------------------------------------

TEXT_SUFFIXES = ('.json', '.csv', '.toml', '.yml', '.yaml', '.xml', '.obj')
_NUMBER = re.compile(rb'(?<![\w.])-?\d+(\.\d+)?(e-?\d+)?(?![\w.])')


def _insert(text: bytes) -> Callable[[Path, random.Random], None]:
    def change(data: bytes, draw: random.Random) -> bytes:
        place = draw.randrange(len(data))
        return data[:place] + text + data[place:]
    return _bytes(change)


def _number(text: bytes) -> Callable[[Path, random.Random], None]:
    """Write something else for one of the numbers."""
    def change(data: bytes, draw: random.Random) -> bytes:
        numbers = [*_NUMBER.finditer(data)]
        if not numbers:
            return data + text
        found = draw.choice(numbers)
        return data[:found.start()] + text + data[found.end():]
    return _bytes(change)


def _line(copies: int) -> Callable[[Path, random.Random], None]:
    def change(data: bytes, draw: random.Random) -> bytes:
        lines = data.splitlines(keepends=True)
        place = draw.randrange(len(lines))
        lines[place:place + 1] = [lines[place]] * copies
        return b''.join(lines)
    return _bytes(change)


TEXT = (
    Damage('not UTF-8', _insert(b'\xff\xfe\xe4')),
    Damage('a null byte', _insert(b'\x00')),
    Damage('a line lost', _line(0)),
    Damage('a line twice', _line(2)),
    Damage('a word for a number', _number(b'many')),
    Damage('NaN for a number', _number(b'NaN')),
    Damage('a huge number', _number(b'1e300')),
    Damage('a huge integer', _number(b'9' * 40)),
    Damage('a negative number', _number(b'-7')),
)

# --- JSON -----------------------------------------------------------------


def _json(change: Callable[[Any, Any, random.Random], object],
          kinds: tuple[type, ...]) -> Callable[[Path, random.Random], None]:
    """Change an item of one of the containers of some kinds."""
    def apply(path: Path, draw: random.Random) -> None:
        content = json.loads(path.read_text())
        holders = [part for part in _containers(content)
                   if isinstance(part, kinds) and part]
        if not holders:
            path.write_text('[]')
            return
        # by level, else numbers of one long list would be hit alone
        holder = holders[int(len(holders) ** draw.random()) - 1]
        keys = list(holder) if isinstance(holder, dict) else range(
            len(holder))
        change(holder, draw.choice(keys), draw)
        path.write_text(json.dumps(content))
    return apply


def _containers(content: Any) -> Iterator[Any]:
    """All lists and dicts, the outer ones first."""
    level = [content]
    while level:
        level = [item for item in level if isinstance(item, (dict, list))]
        yield from level
        level = [value for item in level for value in (
            item.values() if isinstance(item, dict) else item)]


def _retype(holder: Any, key: Any, draw: random.Random) -> None:
    holder[key] = draw.choice([
        value for value in (None, 'text', -1, 1.5, [], {}, [[]], True)
        if type(value) is not type(holder[key])])


JSON = (
    Damage('a key lost', _json(
        lambda holder, key, draw: holder.pop(key), (dict, ))),
    Damage('an item lost', _json(
        lambda holder, key, draw: holder.pop(key), (list, ))),
    Damage('an item twice', _json(
        lambda holder, key, draw: holder.append(holder[key]), (list, ))),
    Damage('another type', _json(_retype, (dict, list))),
    Damage('another type', _json(_retype, (dict, ))),
)

# --- arrays ---------------------------------------------------------------


def _change_array(array: np.ndarray, how: str,
                  draw: random.Random) -> np.ndarray:
    array = np.array(array)
    if how == 'dtype':
        kinds = [complex, bool, 'S3'] if array.dtype.kind in 'SUO' else [
            'S8', complex, np.int8, bool]
        with suppress(ValueError, TypeError):
            return array.astype(draw.choice(kinds))
        return np.zeros(array.shape)
    if how == 'shape':
        return draw.choice([array.ravel(), array[None], array.T,
                            array[..., :-1] if array.ndim else array[None]])
    if how == 'rows':
        return array[:draw.choice([0, max(len(array) - 1, 0)])] if (
            array.ndim) else array[None][:0]
    if array.dtype.kind not in 'fc' or not array.size:
        array = np.zeros(array.shape) if array.dtype.kind in 'SUOV' else (
            array.astype(float))
    if array.size:
        array.reshape(-1)[draw.randrange(array.size)] = draw.choice(
            [np.nan, np.inf, 1e30, -1e30])
    return array


def _archive(change: Callable[[dict, str, random.Random], object]
             ) -> Callable[[Path, random.Random], None]:
    def apply(path: Path, draw: random.Random) -> None:
        with np.load(path) as stored:
            content = dict(stored)
        change(content, draw.choice(sorted(content)), draw)
        np.savez(path, **content)
    return apply


def _array_of(how: str) -> Callable[[Path, random.Random], None]:
    return _archive(lambda content, key, draw: content.update(
        {key: _change_array(content[key], how, draw)}))


def _huge_header(path: Path, draw: random.Random) -> None:
    """A header that promises more than any memory holds."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = draw.choice(sorted(parts))
    with np.load(path) as stored:
        dtype = stored[name.removesuffix('.npy')].dtype
    with zipfile.ZipFile(path, 'w') as archive:
        for other, data in parts.items():
            if other != name:
                archive.writestr(other, data)
                continue
            with archive.open(name, 'w') as file:
                np.lib.format.write_array_header_1_0(file, dict(
                    descr=np.lib.format.dtype_to_descr(dtype),
                    fortran_order=False, shape=(HUGE, 3)))
                file.write(bytes(64))


ARCHIVE = (
    Damage('an array lost', _archive(
        lambda content, key, draw: content.pop(key))),
    Damage('an array renamed', _archive(
        lambda content, key, draw: content.update(
            {f'{key}s': content.pop(key)}))),
    Damage('another dtype', _array_of('dtype')),
    Damage('another shape', _array_of('shape')),
    Damage('rows lost', _array_of('rows')),
    Damage('NaN or infinity', _array_of('value')),
    Damage('objects', _archive(lambda content, key, draw: content.update(
        {key: np.array([{}] * 3)}))),
    Damage('a huge header', _huge_header),
)


def _hdf5(change: Callable[[h5py.Group, str, random.Random], object]
          ) -> Callable[[Path, random.Random], None]:
    def apply(path: Path, draw: random.Random) -> None:
        with h5py.File(path, 'r+') as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if (
                isinstance(item, h5py.Dataset)) else None)
            if names:
                change(file, draw.choice(sorted(names)), draw)
    return apply


def _dataset_of(how: str) -> Callable[[Path, random.Random], None]:
    def change(file: h5py.Group, name: str, draw: random.Random) -> None:
        old = file[name]
        attributes = {key: value for key, value in old.attrs.items()
                      if 'DIMENSION' not in key and 'REFER' not in key
                      and key not in ('CLASS', 'NAME')}
        array = _change_array(old[()], how, draw)
        if array.dtype.kind in 'OU':
            array = np.zeros(array.shape, np.int8)
        del file[name]
        file[name] = array
        for key, value in attributes.items():
            file[name].attrs[key] = value
    return _hdf5(change)


def _lose_attributes(file: h5py.Group, name: str,
                     draw: random.Random) -> None:
    holder = draw.choice([file, file[name]])
    for key in list(holder.attrs):
        del holder.attrs[key]


def _huge_dataset(file: h5py.Group, name: str, draw: random.Random) -> None:
    """One that promises more than any memory holds, all of it unwritten."""
    shape = (HUGE, *file[name].shape[1:])
    dtype = file[name].dtype
    del file[name]
    file.create_dataset(name, shape, dtype, chunks=(1, ) * len(shape))


HDF5 = (
    Damage('an array lost', _hdf5(
        lambda file, name, draw: file.__delitem__(name))),
    Damage('attributes lost', _hdf5(_lose_attributes)),
    Damage('another dtype', _dataset_of('dtype')),
    Damage('another shape', _dataset_of('shape')),
    Damage('rows lost', _dataset_of('rows')),
    Damage('NaN or infinity', _dataset_of('value')),
    Damage('a huge array', _hdf5(_huge_dataset)),
)


def _matlab(how: str) -> Callable[[Path, random.Random], None]:
    """Change a variable of a file of version 5, or a field of a struct."""
    def apply(path: Path, draw: random.Random) -> None:
        content = {key: value for key, value in loadmat(path).items()
                   if not key.startswith('__')}
        key = draw.choice(sorted(content))
        value = content[key]
        if how == 'lost':
            del content[key]
        elif value.dtype == object and value.size:
            cells = value.reshape(-1)
            row = draw.randrange(cells.size)
            cells[row] = _change_struct(cells[row], how, draw)
        else:
            content[key] = _change_array(value, how, draw)
        savemat(path, content)
    return apply


def _change_struct(value: Any, how: str, draw: random.Random) -> Any:
    names = getattr(value, 'dtype', np.dtype(float)).names
    if not names:
        return _change_array(value, how, draw)
    name = draw.choice(sorted(names))
    if how == 'field':
        left = [other for other in names if other != name]
        kept = np.empty(value.shape, [(other, object) for other in left])
        for other in left:
            kept[other] = value[other]
        return kept
    value[name].reshape(-1)[0] = _change_array(
        value[name].reshape(-1)[0], how, draw)
    return value


MATLAB = (
    Damage('a variable lost', _matlab('lost')),
    Damage('a field lost', _matlab('field')),
    Damage('another dtype', _matlab('dtype')),
    Damage('another shape', _matlab('shape')),
    Damage('rows lost', _matlab('rows')),
    Damage('NaN or infinity', _matlab('value')),
)

# --- pictures, videos, checkpoints ----------------------------------------


def _picture(change: Callable[[np.ndarray], np.ndarray]
             ) -> Callable[[Path, random.Random], None]:
    def apply(path: Path, draw: random.Random) -> None:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        suffix = '.png' if change is _deepen else path.suffix
        path.write_bytes(cv2.imencode(suffix, change(image))[1].tobytes())
    return apply


def _deepen(image: np.ndarray) -> np.ndarray:
    return image.astype(np.uint16) * 257


def _claim_size(path: Path, draw: random.Random) -> None:
    """A PNG whose header claims 60,000 x 60,000 px."""
    data = cv2.imencode('.png', np.zeros((4, 4), np.uint8))[1].tobytes()
    import zlib
    header = b'IHDR' + (60000).to_bytes(4, 'big') * 2 + data[24:29]
    path.write_bytes(data[:12] + header + zlib.crc32(header).to_bytes(
        4, 'big') + data[33:])


PICTURE = (
    Damage('another size', _picture(
        lambda image: cv2.resize(image, (31, 17)))),
    Damage('one pixel', _picture(lambda image: image[:1, :1])),
    Damage('no colours', _picture(
        lambda image: image.reshape(*image.shape[:2], -1)[..., 0])),
    Damage('16 bits', _picture(_deepen)),
    Damage('a huge size', _claim_size),
)


def _rewrite_video(path: Path, draw: random.Random) -> None:
    """Fewer frames, or others."""
    with VideoReader(path) as video:
        frames = list(video)
    size = draw.choice([frames[0].shape[1::-1], (64, 48)])
    count = draw.randrange(1, len(frames)) if len(frames) > 1 else 1
    with VideoWriter(path, 25., size) as video:
        for frame in frames[:count]:
            video.write(cv2.resize(frame, size))


VIDEO = (Damage('fewer frames or smaller ones', _rewrite_video), )


def _checkpoint(change: Callable[[dict, random.Random], object]
                ) -> Callable[[Path, random.Random], None]:
    def apply(path: Path, draw: random.Random) -> None:
        content = torch.load(path, weights_only=False)
        change(content, draw)
        torch.save(content, path)
    return apply


def _weight(change: Callable[[dict, str], object]
            ) -> Callable[[Path, random.Random], None]:
    def apply(content: dict, draw: random.Random) -> None:
        state = content['state_dict']
        change(state, draw.choice(sorted(state)))
    return _checkpoint(apply)


class Stranger:
    """An object of a class that no checkpoint has."""


CHECKPOINT = (
    Damage('a weight lost', _weight(lambda state, key: state.pop(key))),
    Damage('a weight more', _weight(
        lambda state, key: state.update({f'{key}.more': state[key]}))),
    Damage('a weight of another shape', _weight(
        lambda state, key: state.update({key: torch.zeros(3, 1, 4)}))),
    Damage('text for a weight', _weight(
        lambda state, key: state.update({key: 'text'}))),
    Damage('no weights', _checkpoint(
        lambda content, draw: content.pop('state_dict'))),
    Damage('weights of another kind', _checkpoint(
        lambda content, draw: content.update(state_dict=[1, 2]))),
    Damage('no meta data', _checkpoint(
        lambda content, draw: content.pop('meta'))),
    Damage('meta data of another kind', _checkpoint(
        lambda content, draw: content.update(meta='text'))),
    Damage('objects of a class', _checkpoint(
        lambda content, draw: content.update(more=Stranger()))),
)

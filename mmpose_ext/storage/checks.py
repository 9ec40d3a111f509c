"""Checks that turn an unfitting file, key or array into a `DataError`."""
from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError

StrPath = str | PathLike[str]


def check_file(path: StrPath,
               suffixes: Sequence[str] | None = None,
               hint: str = '') -> Path:
    """Check that a path is a readable, non-empty file of a known kind.

    Args:
        path (str | Path): The file.
        suffixes (Sequence[str], optional): Accepted endings, with the dot,
            compared without case. Defaults to None (any).
        hint (str): Added to the error. Defaults to ''.

    Returns:
        Path: The path.

    Raises:
        DataError: With `where` 'file'.
    """
    path = Path(path)
    if not path.is_file():
        found = 'a folder' if path.is_dir() else 'nothing'
        raise DataError(path, 'file', 'a file', found, hint)
    if suffixes is not None and not path.name.lower().endswith(
            tuple(suffix.lower() for suffix in suffixes)):
        raise DataError(path, 'file', f'a name ending in {_listed(suffixes)}',
                        repr(path.suffix), hint)
    try:
        with path.open('rb') as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise DataError(path, 'file', 'a readable file',
                        error.strerror or str(error), hint) from error
    if empty:
        raise DataError(path, 'file', 'content', 'an empty file', hint)
    return path


def check_keys(mapping: Collection[str],
               required: Iterable[str],
               file: StrPath,
               hint: str = '') -> None:
    """Check that keys are present; near misses are named in the hint.

    Args:
        mapping (Collection[str]): What holds the keys: a dict, an HDF5
            group, a tuple of names.
        required (Iterable[str]): The keys that must be there.
        file (str | Path): The file for the error.
        hint (str): Added to the error. Defaults to ''.

    Raises:
        DataError: With `where` "key 'first missing'".
    """
    missing = [key for key in required if key not in mapping]
    if not missing:
        return
    present = [str(key) for key in mapping]
    hints = [hint] if hint else []
    for key in missing:
        close = difflib.get_close_matches(key, present, n=2)
        if close:
            hints.insert(0, f'{_listed(close)} looks like {key!r} misspelt')
    raise DataError(file, f'key {missing[0]!r}', f'key {_listed(missing)}',
                    f'only {_listed(present)}' if present else 'no key',
                    '; '.join(hints))


def check_array(array: Any,
                file: StrPath,
                where: str,
                dtype: str | None = None,
                shape: Sequence[int | None] | None = None,
                finite: bool = False) -> np.ndarray:
    """Check an array's type, shape and values.

    Args:
        array (array_like): The array.
        file (str | Path): The file for the error.
        where (str): Its place in the file, for the error.
        dtype (str, optional): An exact type with its size ('u1', 'f4') or a
            set of kinds ('f', 'iu'). Defaults to None (any).
        shape (Sequence[int | None], optional): None stands for any length.
            Defaults to None (any).
        finite (bool): Whether NaN and infinity are refused. Defaults to
            False.

    Returns:
        np.ndarray: The array.

    Raises:
        DataError: With the given `where`.
    """
    array = np.asarray(array)
    if dtype is not None:
        exact = any(character.isdigit() for character in dtype)
        fits = (array.dtype == np.dtype(dtype)
                if exact else array.dtype.kind in dtype)
        if not fits:
            expected = (str(np.dtype(dtype))
                        if exact else f'a dtype of kind {_listed(dtype)}')
            raise DataError(file, where, expected, str(array.dtype))
    if shape is not None:
        fits = len(shape) == array.ndim and all(
            want in (None, have)
            for want, have in zip(shape, array.shape, strict=True))
        if not fits:
            wanted = ', '.join('*' if n is None else str(n) for n in shape)
            raise DataError(file, where, f'shape ({wanted})',
                            f'shape {array.shape}')
    if finite and array.dtype.kind in 'fc' and not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        count = int((~np.isfinite(array)).sum())
        raise DataError(file, where, 'finite values',
                        f'{array[first]} at {first} ({count} in all)')
    return array


def check_images(images: Sequence[Path], file: StrPath) -> None:
    """Check that images named by a file of labels are on the disk.

    Args:
        images (Sequence[Path]): The images.
        file (str | Path): The file that names them.

    Raises:
        DataError: With `where` 'images'; names the first and how many.
    """
    missing = [image for image in dict.fromkeys(images)
               if not image.is_file()]
    if missing:
        raise DataError(file, 'images', 'each image on the disk',
                        f'no {missing[0]}, {len(missing)} missing in all')


def check_no_infinity(array: np.ndarray, file: StrPath, where: str) -> None:
    """Check that what is not finite is NaN, unknown.

    Args:
        array (np.ndarray): Of floating point.
        file (str | Path): The file for the error.
        where (str): Its place in the file, for the error.

    Raises:
        DataError: With the given `where`.
    """
    if np.isinf(array).any():
        raise DataError(file, where, 'finite values or NaN', 'infinity')


def check_names(names: Sequence[str], file: StrPath, where: str) -> None:
    """Check that there are names, and none of them twice.

    Args:
        names (Sequence[str]): The names.
        file (str | Path): The file for the error.
        where (str): What they are names of, for the error.

    Raises:
        DataError: With the given `where`.
    """
    if not names:
        raise DataError(file, where, 'at least one', 'none')
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError(file, where, 'each name once',
                        f'{name!r} {count} times')


def check_texts(values: Any, file: StrPath, where: str) -> tuple[str, ...]:
    """Check that values are a list of texts, none of them blank.

    Args:
        values (Any): What was read.
        file (str | Path): The file for the error.
        where (str): Its place in the file, for the error.

    Returns:
        tuple[str]: The texts, without spaces around.

    Raises:
        DataError: With the given `where`.
    """
    if not isinstance(values, list) or not all(
            isinstance(value, str) and value.strip() for value in values):
        raise DataError(file, where, 'texts', repr(values)[:80])
    return tuple(value.strip() for value in values)


def is_shown(path: Path) -> bool:
    """Whether a name counts: neither hidden nor set aside by a ``_``."""
    return not path.name.startswith(('_', '.'))


def _listed(parts: Iterable[str]) -> str:
    """Quoted and comma-separated: 'a', 'b'."""
    return ', '.join(repr(part) for part in parts)

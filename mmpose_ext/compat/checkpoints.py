"""Loading checkpoints without running the code inside them.

torch >= 2.6 refuses MMEngine's own checkpoints, because their message hub
holds ``HistoryBuffer`` objects; older releases load anything, including
``os.system``. Both are mended here: ``weights_only=True`` always, with a list
of the harmless types that MMEngine stores.

``HistoryBuffer`` pickles itself through ``builtins.getattr``. Allowing that
would give safety away, so the name is mapped to a function of ours that
serves ``HistoryBuffer`` alone. So is ``builtins.bytes``, which the pickle of
an empty array calls: a skeleton without links has one.
"""
from __future__ import annotations

import os
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MMLogger

TRUST_VARIABLE = 'MMPOSE_EXT_TRUSTED_CHECKPOINTS'


class UnsafeCheckpointError(RuntimeError):
    """A checkpoint holds objects that could run code when loaded."""


class BrokenCheckpointError(RuntimeError):
    """A checkpoint is truncated or corrupt."""


def install_safe_loaders() -> None:
    """Make MMEngine load local files and URLs by :func:`load_checkpoint`."""
    # here, since importing the runner is what calls this
    from mmengine.runner import CheckpointLoader

    # MMEngine names the backend in its log by the function's name after the
    # tenth character, hence the names of the two wrappers.
    CheckpointLoader.register_scheme(
        prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(
        prefixes=['http://', 'https://'], loader=load_from_http, force=True)


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """MMEngine's loader of local paths, made safe."""
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such checkpoint')
    return load_checkpoint(path, map_location)


def load_from_http(filename: str, map_location: Any = None) -> Any:
    """MMEngine's loader of URLs, made safe; cached as torch hub does."""
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    path = folder / Path(urlparse(filename).path).name
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(filename, str(path))
    return load_checkpoint(path, map_location)


def load_checkpoint(path: str | os.PathLike[str],
                    map_location: Any = None,
                    mmap: bool = False) -> Any:
    """Load a checkpoint, executing nothing that it contains.

    Args:
        path: A file written by ``torch.save``.
        map_location: As in ``torch.load``. Defaults to None.
        mmap: Whether tensors stay in the file until they are used, for those
            who need few of them. Defaults to False.

    Returns:
        The stored object. MMEngine's legacy key ``meta.config``, whose text
        ``Runner.resume`` would execute, is dropped.

    Raises:
        UnsafeCheckpointError: If the file needs more than the allow-list and
            its name is not in ``$MMPOSE_EXT_TRUSTED_CHECKPOINTS`` (names or
            paths, separated by ``os.pathsep``).
        BrokenCheckpointError: If the file is truncated or corrupt.
    """
    path = Path(path)
    reason = damage(path)
    if reason:
        raise BrokenCheckpointError(
            f'{path}: {reason}. Use an older one, or `--resume` without a '
            'path, which finds the newest whole checkpoint.')
    try:
        with _harmless_types():
            checkpoint = torch.load(
                path, map_location=map_location, weights_only=True,
                mmap=mmap and zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        if not _is_trusted(path):
            _raise_unsafe(path, error)
        MMLogger.get_current_instance().warning(
            f'{path} is loaded without protection, because '
            f'{TRUST_VARIABLE} names it.')
        checkpoint = torch.load(
            path, map_location=map_location, weights_only=False)

    if isinstance(checkpoint, dict):
        meta = checkpoint.get('meta')
        if isinstance(meta, dict):
            meta.pop('config', None)
    return checkpoint


def damage(path: Path) -> str:
    """What is wrong with a checkpoint file; '' if nothing.

    The checksums of the whole file are verified, which ``torch.load`` does
    not do. A file from before torch 1.6 has none and passes.
    """
    if not path.is_file():
        return 'no such file'
    with path.open('rb') as file:
        start = file.read(2)
    if start == b'\x80\x02':
        return ''
    if start == b'':
        return 'an empty file'
    if start != b'PK':
        return 'a file that is no checkpoint'
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        return f'a truncated file of {path.stat().st_size} bytes'
    return f'a corrupt file (checksum of {broken})' if broken else ''


def _is_trusted(path: Path) -> bool:
    trusted = os.environ.get(TRUST_VARIABLE, '').split(os.pathsep)
    names = {path.name, str(path), str(path.resolve())}
    return bool(names.intersection(filter(None, trusted)))


def _raise_unsafe(path: Path, error: Exception) -> NoReturn:
    reason = str(error).split('\n')[0]
    for line in str(error).splitlines():
        if 'GLOBAL' in line or 'Unsupported' in line:
            reason = line.strip()
    raise UnsafeCheckpointError(
        f'{path}: refused, because it holds more than tensors and plain '
        f'values and could run code on loading ({reason}). If you trust its '
        f'author, set {TRUST_VARIABLE}={path.name} and load it again.'
    ) from error


def _getattr_of_history_buffer(owner: Any, name: str) -> Callable[..., Any]:
    """Serve the one lookup in HistoryBuffer's pickle, refuse all others."""
    statistics = ('mean', 'max', 'min', 'current')
    if owner is not HistoryBuffer or name not in statistics:
        raise pickle.UnpicklingError(
            f'GLOBAL getattr is allowed for HistoryBuffer\'s {statistics} '
            f'alone, asked for {name!r} of {owner!r}')
    return getattr(HistoryBuffer, name)


def _empty_bytes(*arguments: Any) -> bytes:
    """Serve the one call of bytes in an empty array's pickle."""
    if arguments:
        raise pickle.UnpicklingError(
            'GLOBAL bytes is allowed for nothing alone, asked for '
            f'{arguments!r:.80}')
    return b''


@contextmanager
def _harmless_types() -> Iterator[None]:
    """Allow-list what MMEngine's message hub and dataset metainfo hold."""
    reconstruct = np.zeros(1).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefdU'}
    # Checkpoints written under numpy 1 name numpy.core, under 2 numpy._core.
    numpy_names = [(function, f'numpy.{core}.multiarray.{name}')
                   for core in ('core', '_core')
                   for function, name in ((reconstruct, '_reconstruct'),
                                          (scalar, 'scalar'))]
    allowed = [
        HistoryBuffer, np.ndarray, np.dtype, *dtypes, *numpy_names,
        (_getattr_of_history_buffer, 'builtins.getattr'),
        (_empty_bytes, 'builtins.bytes'),
    ]
    with torch.serialization.safe_globals(allowed):
        yield

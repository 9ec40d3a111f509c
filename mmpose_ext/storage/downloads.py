"""Published weights brought to the disk: resumed, checked, whole or absent."""
from __future__ import annotations

import http
import http.client
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from .checks import StrPath
from .errors import DataError
from .plain_files import sha256_of

# Called with the bytes that are there and those of the whole file, if known.
Report = Callable[[int, int | None], None]

_CHUNK = 1 << 18
_ATTEMPTS = 4  # in a row that bring not one byte
_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException,
                   TimeoutError, ConnectionError)


@dataclass(frozen=True)
class Checkpoint:
    """A published file of weights.

    Attributes:
        file: Name on the disk.
        url: Where it is published.
        sha256: First hex digits of its SHA-256, of any length.
        description: What it was trained on.
        size_mb: About how large it is, in 10^6 bytes; None if unknown.
        optional: Whether it is only fetched when asked for by name.
    """

    file: str
    url: str
    sha256: str
    description: str
    size_mb: int | None = None
    optional: bool = False

    def sources(self, mirror: str | None = None) -> list[str]:
        """Where to look for the file, in this order.

        Args:
            mirror (str, optional): ``https://``, ``http://`` or ``file://``
                address, or a folder: it holds the file, directly or below
                the folders of the published address. Defaults to None, the
                published address.
        """
        if mirror is None:
            return [self.url]
        if '://' not in mirror:
            mirror = Path(mirror).resolve().as_uri()
        mirror = mirror.rstrip('/')
        return [f'{mirror}/{quote(self.file)}',
                f'{mirror}{urlsplit(self.url).path}']


class UnreachableError(DataError):
    """No source answers: there is no network, or not that far."""


def fetch_checkpoint(checkpoint: Checkpoint,
                     folder: StrPath,
                     mirror: str | None = None,
                     report: Report = lambda there, whole: None,
                     timeout_s: float = 20,
                     pause_s: float = 1) -> Path:
    """Have a checkpoint in a folder, downloaded if it is not there yet.

    The file grows under its name with ``.part`` added, which a later call
    takes up, and gets its name once its hash is right. A file of another
    hash, also one that was there before, is kept under its name with
    ``.wrong`` added.

    Args:
        checkpoint (Checkpoint): What to fetch.
        folder (str | Path): Folder, made if it is missing.
        mirror (str, optional): As for :meth:`Checkpoint.sources`.
        report (callable): Told of the progress.
        timeout_s (float): How long a server may be silent. Defaults to 20 s.
        pause_s (float): Before the second attempt; doubled for each further
            one. Defaults to 1 s.

    Returns:
        Path: The file.

    Raises:
        DataError: If the hash is wrong, the source does not have the file or
            the disk refuses it.
        UnreachableError: If no source answers.
    """
    target = Path(folder, checkpoint.file)
    part = target.with_name(target.name + '.part')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            if has_hash(target, checkpoint.sha256):
                return target
            _set_aside(target)
    except OSError as error:
        raise _disk_error(target, error) from error
    _download(checkpoint.sources(mirror), part, _how_to_place(
        checkpoint, target), report, timeout_s, pause_s)
    try:
        found = sha256_of(part)
        if found.startswith(checkpoint.sha256.lower()):
            os.replace(part, target)
            return target
        aside = _set_aside(part, target)
    except OSError as error:
        raise _disk_error(part, error) from error
    raise DataError(
        target, 'SHA-256', f'{checkpoint.sha256}...',
        f'{found[:len(checkpoint.sha256)]}...',
        f'what came is kept as {aside.name}; try again, or another --mirror')


def has_hash(path: StrPath, digits: str) -> bool:
    """Whether a file's SHA-256 begins with these hex digits."""
    return sha256_of(path).startswith(digits.lower())


def place_by_hand(checkpoint: Checkpoint, folder: StrPath,
                  mirror: str | None = None) -> str:
    """Say how to bring a file here from another machine."""
    source = checkpoint.sources(mirror)[0]
    return f'fetch {source}\n  ' + _how_to_place(
        checkpoint, Path(folder, checkpoint.file))


def _how_to_place(checkpoint: Checkpoint, target: Path) -> str:
    return (f'place it at {target.absolute()}, SHA-256 '
            f'{checkpoint.sha256}...')


def _download(sources: Iterable[str], part: Path, placing: str,
              report: Report, timeout_s: float, pause_s: float) -> None:
    """Complete the part from the first source that has the file."""
    failures: list[tuple[str, Exception]] = []
    for source in sources:
        try:
            _download_from(source, part, report, timeout_s, pause_s)
            return
        except _NETWORK_ERRORS as error:
            failures.append((source, error))
    answered = [(source, error) for source, error in failures
                if _has_answered(error)]
    source, last = (answered or failures)[0]
    reason = str(getattr(last, 'reason', '') or last) or type(last).__name__
    if isinstance(last, urllib.error.HTTPError):
        reason = f'HTTP {last.code} {last.reason}'
    elif isinstance(last, http.client.IncompleteRead):
        reason = 'transfers that stop early'
    kind = DataError if answered else UnreachableError
    raise kind(source, 'download', 'the file', reason,
               f'fetch it elsewhere and {placing}') from last


def _download_from(source: str, part: Path, report: Report, timeout_s: float,
                   pause_s: float) -> None:
    """Complete the part from one source, also after interruptions."""
    failed = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _transfer(source, part, before, report, timeout_s):
                return
            raise http.client.IncompleteRead(b'')
        except _NETWORK_ERRORS as error:
            grown = part.is_file() and part.stat().st_size > before
            failed = 0 if grown else failed + 1
            if failed == _ATTEMPTS or _is_final(error):
                raise
        time.sleep(pause_s * 2 ** failed / 2)


def _transfer(source: str, part: Path, start: int, report: Report,
              timeout_s: float) -> bool:
    """Append to the part what it lacks; whether it is whole then."""
    headers = {'User-Agent': 'mmpose_ext'}
    if start:
        headers['Range'] = f'bytes={start}-'
    request = urllib.request.Request(source, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # Nothing lies beyond the part: it is whole, or of another file.
        total = re.search(r'\*/(\d+)', error.headers.get('Content-Range', ''))
        if total is None or int(total[1]) != start:
            part.unlink(missing_ok=True)
            return False
        return True
    with response:
        if start and not _continues(response, start):
            start = 0
        length = response.headers.get('Content-Length') or ''
        whole = start + int(length) if length.isdigit() else None
        try:
            with part.open('ab' if start else 'wb') as stream:
                there = _copy(response, stream, start, whole, report)
        except _NETWORK_ERRORS:
            raise
        except OSError as error:
            raise _disk_error(part, error) from error
    return whole is None or there >= whole


def _continues(response: Any, start: int) -> bool:
    """Whether a server sends what lies beyond the start alone."""
    given = response.headers.get('Content-Range', '')
    return (response.status == http.HTTPStatus.PARTIAL_CONTENT
            and given.startswith(f'bytes {start}-'))


def _copy(response: Any, stream: BinaryIO, there: int, whole: int | None,
          report: Report) -> int:
    """Write what comes, down to the disk; the bytes there at the end."""
    report(there, whole)
    while piece := _read(response):
        stream.write(piece)
        there += len(piece)
        report(there, whole)
    stream.flush()
    os.fsync(stream.fileno())
    return there


def _read(response: Any) -> bytes:
    """The next bytes, few if few have come; none at the end."""
    try:
        return response.read1(_CHUNK)
    except OSError as error:  # not to be taken for one of the disk
        raise urllib.error.URLError(error) from error


def _has_answered(error: Exception) -> bool:
    """Whether an error comes from a server, or a disk, that was reached."""
    if isinstance(error, urllib.error.HTTPError):
        return True
    reason = getattr(error, 'reason', None)
    return isinstance(error, http.client.IncompleteRead) or isinstance(
        reason, FileNotFoundError)


def _is_final(error: Exception) -> bool:
    """Whether trying again makes no sense."""
    if isinstance(error, http.client.InvalidURL):
        return True
    if isinstance(error, urllib.error.HTTPError):
        return error.code < 500 and error.code not in (408, 429)
    reason = getattr(error, 'reason', None)
    # no such host, no such file, no way of the kind
    return isinstance(reason, (socket.gaierror, FileNotFoundError, str))


def _set_aside(path: Path, target: Path | None = None) -> Path:
    target = target or path
    aside = target.with_name(target.name + '.wrong')
    os.replace(path, aside)
    return aside


def _disk_error(path: Path, error: OSError) -> DataError:
    return DataError(path, 'disk', 'room to write',
                     error.strerror or str(error),
                     'choose another --dir, or make room')

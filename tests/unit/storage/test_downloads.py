"""Downloads from servers that behave, break off, lie or are not there."""
from __future__ import annotations

import hashlib
import http.server
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmpose_ext.storage import DataError, downloads
from mmpose_ext.storage.downloads import (
    Checkpoint,
    UnreachableError,
    fetch_checkpoint,
    place_by_hand,
)

CONTENT = bytes(range(256)) * 4096  # 1 MiB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, by ranges, as the server's settings say."""

    def do_GET(self) -> None:
        server: Any = self.server
        asked = self.headers.get('Range')
        server.asked.append((self.path, asked))
        status = server.answers.pop(0) if server.answers else 200
        if status != 200:
            self.send_error(status)
            return
        start = 0
        match = re.fullmatch(r'bytes=(\d+)-', asked or '')
        if match and server.ranges:
            start = int(match[1])
            if start >= len(server.content):
                self.send_response(416)
                self.send_header('Content-Range',
                                 f'bytes */{len(server.content)}')
                self.send_header('Content-Length', '0')
                self.end_headers()
                return
            self.send_response(206)
            end = len(server.content) - 1
            self.send_header('Content-Range',
                             f'bytes {start}-{end}/{len(server.content)}')
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body[:server.most])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv('no_proxy', '*')
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as found:
        found.content, found.most, found.ranges = CONTENT, None, True
        found.answers, found.asked = [], []
        found.address = f'http://127.0.0.1:{found.server_port}'
        thread = threading.Thread(target=found.serve_forever, args=(.01, ),
                                  daemon=True)
        thread.start()
        yield found
        found.shutdown()


def checkpoint(address: str, digest: str = DIGEST[:8]) -> Checkpoint:
    return Checkpoint('w.pth', f'{address}/a/b/w.pth', digest, 'nothing')


def fetch(item: Checkpoint, folder: Path, **kwargs: Any) -> Path:
    return fetch_checkpoint(item, folder, pause_s=0, timeout_s=2, **kwargs)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_file_arrives_whole_under_its_name(server: Any,
                                           tmp_path: Path) -> None:
    folder = tmp_path / 'new'
    told: list[tuple[int, int | None]] = []
    path = fetch(checkpoint(server.address), folder,
                 report=lambda *now: told.append(now))
    assert path == folder / 'w.pth' and path.read_bytes() == CONTENT
    assert names(folder) == {'w.pth'}
    assert told[0] == (0, len(CONTENT)) and told[-1] == (len(CONTENT), ) * 2
    assert told == sorted(told)


def test_file_that_is_there_is_not_fetched_again(server: Any,
                                                 tmp_path: Path) -> None:
    (tmp_path / 'w.pth').write_bytes(CONTENT)
    fetch(checkpoint(server.address, DIGEST.upper()), tmp_path)
    assert server.asked == []


def test_damaged_file_that_is_there_is_kept_and_replaced(
        server: Any, tmp_path: Path) -> None:
    (tmp_path / 'w.pth').write_bytes(b'old')
    fetch(checkpoint(server.address), tmp_path)
    assert (tmp_path / 'w.pth').read_bytes() == CONTENT
    assert (tmp_path / 'w.pth.wrong').read_bytes() == b'old'


def test_part_is_taken_up_where_it_ended(server: Any,
                                         tmp_path: Path) -> None:
    (tmp_path / 'w.pth.part').write_bytes(CONTENT[:1000])
    path = fetch(checkpoint(server.address), tmp_path)
    assert server.asked == [('/a/b/w.pth', 'bytes=1000-')]
    assert path.read_bytes() == CONTENT


def test_server_without_ranges_is_read_from_the_start(
        server: Any, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / 'w.pth.part').write_bytes(b'other bytes')
    path = fetch(checkpoint(server.address), tmp_path)
    assert path.read_bytes() == CONTENT


def test_transfers_that_break_off_are_continued(server: Any,
                                                tmp_path: Path) -> None:
    server.most = 300_000
    path = fetch(checkpoint(server.address), tmp_path)
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [
        None, 'bytes=300000-', 'bytes=600000-', 'bytes=900000-']


def test_whole_part_only_needs_its_name(server: Any,
                                        tmp_path: Path) -> None:
    (tmp_path / 'w.pth.part').write_bytes(CONTENT)
    assert fetch(checkpoint(server.address),
                 tmp_path).read_bytes() == CONTENT


def test_part_longer_than_the_file_is_begun_anew(server: Any,
                                                 tmp_path: Path) -> None:
    (tmp_path / 'w.pth.part').write_bytes(CONTENT + b'more')
    assert fetch(checkpoint(server.address),
                 tmp_path).read_bytes() == CONTENT


def test_transfer_that_never_gets_on_is_given_up(server: Any,
                                                 tmp_path: Path) -> None:
    server.most = 0
    with pytest.raises(DataError, match='stop early'):
        fetch(checkpoint(server.address), tmp_path)
    assert len(server.asked) == 4
    assert names(tmp_path) <= {'w.pth.part'}


def test_busy_server_is_asked_again(server: Any, tmp_path: Path) -> None:
    server.answers = [503, 429]
    fetch(checkpoint(server.address), tmp_path)
    assert len(server.asked) == 3


def test_file_that_does_not_exist_is_asked_for_once(server: Any,
                                                    tmp_path: Path) -> None:
    server.answers = [404] * 9
    with pytest.raises(DataError, match='HTTP 404') as error:
        fetch(checkpoint(server.address), tmp_path)
    assert not isinstance(error.value, UnreachableError)
    assert len(server.asked) == 1 and names(tmp_path) == set()
    assert str(tmp_path / 'w.pth') in error.value.hint


def test_wrong_hash_is_refused_and_kept_aside(server: Any,
                                              tmp_path: Path) -> None:
    with pytest.raises(DataError, match='SHA-256') as error:
        fetch(checkpoint(server.address, '12345678'), tmp_path)
    assert names(tmp_path) == {'w.pth.wrong'}
    assert error.value.found == f'{DIGEST[:8]}...'


def test_mirror_may_be_flat_or_keep_the_folders(server: Any,
                                                tmp_path: Path) -> None:
    item = checkpoint('https://example.invalid')
    fetch(item, tmp_path / '1', mirror=f'{server.address}/m/')
    server.answers = [404]
    fetch(item, tmp_path / '2', mirror=server.address)
    assert [path for path, _ in server.asked] == [
        '/m/w.pth', '/w.pth', '/a/b/w.pth']


@pytest.mark.parametrize('as_uri', [True, False])
def test_mirror_may_be_a_folder(tmp_path: Path, as_uri: bool) -> None:
    mirror = tmp_path / 'm i' / 'a' / 'b'
    mirror.mkdir(parents=True)
    (mirror / 'w.pth').write_bytes(CONTENT)
    where = tmp_path / 'm i'
    path = fetch(checkpoint('https://example.invalid'), tmp_path / 'out',
                 mirror=where.as_uri() if as_uri else str(where))
    assert path.read_bytes() == CONTENT


def test_mirror_without_the_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='No such file'):
        fetch(checkpoint('https://example.invalid'), tmp_path / 'out',
              mirror=str(tmp_path))


def test_nobody_answering_is_told_with_the_way_by_hand(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('no_proxy', '*')
    with socket.socket() as free:  # bound, but nobody listens
        free.bind(('127.0.0.1', 0))
        item = checkpoint(f'http://127.0.0.1:{free.getsockname()[1]}')
        with pytest.raises(UnreachableError) as error:
            fetch(item, tmp_path)
    assert str(tmp_path / 'w.pth') in error.value.hint
    assert names(tmp_path) == set()


def test_unknown_host_is_not_asked_twice(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*args: object, **kwargs: object) -> None:
        asked.append(args)
        raise socket.gaierror(-2, 'Name or service not known')

    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    with pytest.raises(UnreachableError, match='not known'):
        fetch(checkpoint('http://example.invalid'), tmp_path)
    assert len(asked) == 1


def test_silent_server_is_given_up(tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('no_proxy', '*')
    with socket.create_server(('127.0.0.1', 0)) as listener:
        address = f'http://127.0.0.1:{listener.getsockname()[1]}'
        with pytest.raises(UnreachableError, match='timed out'):
            fetch_checkpoint(checkpoint(address), tmp_path, pause_s=0,
                             timeout_s=.1)


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='no /dev/full')
def test_full_disk_is_told_and_leaves_only_the_part(
        server: Any, tmp_path: Path) -> None:
    (tmp_path / 'w.pth.part').symlink_to('/dev/full')
    with pytest.raises(DataError, match='No space left'):
        fetch(checkpoint(server.address), tmp_path)
    assert names(tmp_path) == {'w.pth.part'}


def test_interrupt_leaves_a_part_to_take_up(
        server: Any, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    read = downloads._read
    pieces = iter([True, False])

    def interrupt(response: Any) -> bytes:
        if not next(pieces):
            raise KeyboardInterrupt
        return read(response)

    monkeypatch.setattr(downloads, '_read', interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(checkpoint(server.address), tmp_path)
    there = (tmp_path / 'w.pth.part').read_bytes()
    assert 0 < len(there) < len(CONTENT) and CONTENT.startswith(there)
    monkeypatch.setattr(downloads, '_read', read)
    assert fetch(checkpoint(server.address),
                 tmp_path).read_bytes() == CONTENT
    assert server.asked[-1][1] == f'bytes={len(there)}-'


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('x')
    with pytest.raises(DataError, match='disk'):
        fetch(checkpoint('http://example.invalid'), tmp_path / 'file')


def test_way_by_hand_names_source_place_and_hash(tmp_path: Path) -> None:
    text = place_by_hand(checkpoint('https://host'), tmp_path)
    for part in ('https://host/a/b/w.pth', str(tmp_path / 'w.pth'),
                 DIGEST[:8]):
        assert part in text

"""The command that fetches published weights."""
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mmpose_ext import download_checkpoints
from mmpose_ext.download_checkpoints import run_download
from mmpose_ext.storage.downloads import Checkpoint


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / 'mirror'
    folder.mkdir()
    table = {}
    for name in ('a', 'b', 'c'):
        content = name.encode() * 1000
        (folder / f'{name}.pth').write_bytes(content)
        table[name] = Checkpoint(
            f'{name}.pth', f'https://example.invalid/{name}.pth',
            hashlib.sha256(content).hexdigest()[:8], f'set {name}', 1,
            optional=name == 'c')
    monkeypatch.setattr(download_checkpoints, 'published_checkpoints',
                        lambda: table)
    return folder


def run(tmp_path: Path, *words: str) -> tuple[int, set[str]]:
    out = tmp_path / 'out'
    code = run_download('', ['--dir', str(out), *words])
    return code, {path.name for path in out.glob('*')}


def test_all_but_the_optional_are_fetched(tmp_path: Path,
                                          mirror: Path) -> None:
    assert run(tmp_path, '--mirror', str(mirror)) == (0, {'a.pth', 'b.pth'})


def test_only_what_is_named_is_fetched(tmp_path: Path, mirror: Path) -> None:
    assert run(tmp_path, '--mirror', str(mirror), '--only', 'c',
               'a') == (0, {'a.pth', 'c.pth'})


def test_list_says_what_there_is_and_fetches_nothing(
        tmp_path: Path, mirror: Path, capsys: pytest.CaptureFixture) -> None:
    run(tmp_path, '--mirror', str(mirror), '--only', 'a')
    capsys.readouterr()
    assert run(tmp_path, '--list') == (0, {'a.pth'})
    printed = capsys.readouterr().out
    for text in ('a: set a, ~1 MB; there', 'b: set b, ~1 MB; not there',
                 'c: set c, ~1 MB, optional; not there',
                 'https://example.invalid/c.pth'):
        assert text in printed


def test_offline_says_where_to_place_what(
        tmp_path: Path, mirror: Path, capsys: pytest.CaptureFixture) -> None:
    run(tmp_path, '--mirror', str(mirror), '--only', 'a')
    capsys.readouterr()
    assert run(tmp_path, '--offline') == (1, {'a.pth'})
    printed = capsys.readouterr().out
    assert 'b: fetch https://example.invalid/b.pth' in printed
    assert str(tmp_path / 'out' / 'b.pth') in printed
    assert 'a.pth' not in printed
    run(tmp_path, '--mirror', str(mirror))
    assert run(tmp_path, '--offline')[0] == 0


def test_one_missing_file_does_not_keep_the_others(
        tmp_path: Path, mirror: Path, capsys: pytest.CaptureFixture) -> None:
    (mirror / 'a.pth').unlink()
    assert run(tmp_path, '--mirror', str(mirror)) == (1, {'b.pth'})
    captured = capsys.readouterr()
    assert 'error: a: ' in captured.err and 'a: fetch file://' in captured.out


def test_without_a_network_one_file_is_tried_and_all_are_named(
        tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    import socket
    tried = []

    def refuse(*args: object, **kwargs: object) -> None:
        tried.append(args)
        raise socket.gaierror(-2, 'Name or service not known')

    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    assert run(tmp_path) == (1, set())
    assert len(tried) == 1
    printed = capsys.readouterr().out
    assert 'a: fetch https://' in printed and 'b: fetch https://' in printed


def test_unknown_key_is_wrong_usage(tmp_path: Path, mirror: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, '--only', 'd')
    assert stop.value.code == 2

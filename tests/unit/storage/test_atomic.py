from __future__ import annotations

import os

import pytest

from mmpose_ext.storage import (
    DataError,
    atomic_file,
    atomic_folder,
    refuse_to_replace,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_only_at_the_end_under_a_hidden_name(tmp_path):
    target = tmp_path / 'a.mp4'
    target.write_text('old')
    with atomic_file(str(target)) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith('.') and temporary.suffix == '.mp4'
        temporary.write_text('new')
        assert target.read_text() == 'old'
    assert target.read_text() == 'new'
    assert names(tmp_path) == ['a.mp4']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize('old', [None, 'old'])
def test_failed_file_leaves_the_old_one(tmp_path, error, old):
    target = tmp_path / 'a.txt'
    if old:
        target.write_text(old)
    with pytest.raises(error), atomic_file(target) as temporary:
        temporary.write_text('half')
        raise error
    assert names(tmp_path) == (['a.txt'] if old else [])
    assert not old or target.read_text() == old


def test_bytes_are_on_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, 'fsync', lambda fd: (calls.append(
            os.readlink(f'/proc/self/fd/{fd}')), fsync(fd)))
    monkeypatch.setattr(
        os, 'replace', lambda a, b: (calls.append('replace'), replace(a, b)))
    with atomic_file(tmp_path / 'a.txt') as temporary:
        temporary.write_text('x')
    assert calls == [str(temporary), 'replace', str(tmp_path)]


def test_file_needs_its_folder(tmp_path):
    with (pytest.raises(DataError, match='no folder'),
          atomic_file(tmp_path / 'absent' / 'a.txt')):
        pass
    with (pytest.raises(DataError, match='found a folder'),
          atomic_file(tmp_path)):
        pass
    assert names(tmp_path) == []


def test_folder_appears_whole(tmp_path):
    target = tmp_path / 'data'
    with atomic_folder(target) as temporary:
        (temporary / 'sub').mkdir()
        (temporary / 'sub' / 'a').write_text('x')
        assert not target.exists()
    assert (target / 'sub' / 'a').read_text() == 'x'
    assert names(tmp_path) == ['data']


def test_folder_with_content_is_replaced_only_on_request(tmp_path):
    target = tmp_path / 'data'
    target.mkdir()
    with atomic_folder(target) as temporary:  # empty: nothing to lose
        (temporary / 'old').write_text('x')
    with (pytest.raises(DataError, match='allow overwriting'),
          atomic_folder(target)):
        pass
    assert names(tmp_path) == ['data']
    with atomic_folder(target, overwrite=True) as temporary:
        (temporary / 'new').write_text('x')
    assert names(target) == ['new'] and names(tmp_path) == ['data']


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_failed_folder_leaves_the_old_one(tmp_path, error):
    target = tmp_path / 'data'
    target.mkdir()
    (target / 'old').write_text('x')
    with pytest.raises(error), atomic_folder(target, overwrite=True) as new:
        (new / 'half').write_text('x')
        raise error
    assert names(target) == ['old'] and names(tmp_path) == ['data']


def test_old_folder_comes_back_if_the_last_step_fails(tmp_path, monkeypatch):
    target = tmp_path / 'data'
    target.mkdir()
    (target / 'old').write_text('x')
    replace = os.replace

    def fail_once(source, destination):
        if str(destination) == str(target) and not calls:
            calls.append(source)
            raise OSError('disk gone')
        replace(source, destination)

    calls: list = []
    monkeypatch.setattr(os, 'replace', fail_once)
    with (pytest.raises(OSError, match='disk gone'),
          atomic_folder(target, overwrite=True) as temporary):
        (temporary / 'new').write_text('x')
    assert names(target) == ['old'] and names(tmp_path) == ['data']


def test_folder_refuses_a_file(tmp_path):
    (tmp_path / 'data').write_text('x')
    with (pytest.raises(DataError, match='found a file'),
          atomic_folder(tmp_path / 'data', overwrite=True)):
        pass


def test_what_is_read_may_not_be_replaced(tmp_path, monkeypatch):
    out, other = tmp_path / 'out', tmp_path / 'other'
    (out / 'sub').mkdir(parents=True)
    other.mkdir()
    for folder in (out / 'sub', other):
        (folder / 'a.txt').write_text('a')
    (out / 'to_file').symlink_to(other / 'a.txt')
    (out / 'to_folder').symlink_to(other)
    (other / 'into').symlink_to(out / 'sub' / 'a.txt')
    (tmp_path / 'alias').symlink_to(out)
    monkeypatch.chdir(tmp_path)
    for source in (out, out / 'sub' / 'a.txt', 'out/sub', out / 'to_file',
                   out / 'to_folder' / 'a.txt', other / 'into',
                   tmp_path / 'alias' / 'sub', 'alias'):
        with pytest.raises(DataError, match='which is read'):
            refuse_to_replace(out, [other / 'a.txt', source])
    with pytest.raises(DataError, match='which is read'):
        refuse_to_replace('alias', [out / 'sub'])


def test_what_is_read_elsewhere_leaves_a_folder_free(tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    refuse_to_replace(out, [
        tmp_path, tmp_path / 'a.txt', tmp_path / 'out2',
        out / '..' / 'a.txt', tmp_path / 'missing'])
    refuse_to_replace(tmp_path / 'new', [tmp_path, out])

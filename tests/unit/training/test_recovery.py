from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from mmpose_ext.compat.checkpoints import damage
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training import find_whole_checkpoint
from mmpose_ext.training.recovery import checkpoints_by_step

TEMPLATE = 'epoch_{}.pth'


@pytest.fixture
def run(tmp_path) -> Path:
    """A folder with the checkpoints 1, 2 and 10; the last is pointed to."""
    for step in (1, 2, 10):
        torch.save(dict(step=torch.full((1000, ), step)),
                   tmp_path / f'epoch_{step}.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_10.pth'))
    return tmp_path


def find(run: Path) -> tuple[str, list[str]]:
    found, damaged = find_whole_checkpoint(run, run, TEMPLATE)
    pointer = (run / 'last_checkpoint').read_text()
    assert pointer == found
    return Path(found).name, damaged


class TestDamage:

    def test_none(self, run):
        assert damage(run / 'epoch_1.pth') == ''

    def test_legacy_format_passes(self, tmp_path):
        path = tmp_path / 'old.pth'
        torch.save(dict(a=1), path, _use_new_zipfile_serialization=False)
        assert damage(path) == ''

    @pytest.mark.parametrize('share', [.0001, .1, .5, .9, .999])
    def test_truncated(self, run, share):
        path = run / 'epoch_1.pth'
        os.truncate(path, max(int(path.stat().st_size * share), 3))
        assert 'truncated' in damage(path)

    def test_one_flipped_bit(self, run):
        path = run / 'epoch_1.pth'
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        torch.load(path)  # which sees nothing
        assert 'checksum' in damage(path)

    @pytest.mark.parametrize('content, expected', [
        (b'', 'empty'), (b'\0' * 5000, 'no checkpoint'),
        (b'<html>', 'no checkpoint')])
    def test_other_content(self, tmp_path, content, expected):
        (tmp_path / 'a.pth').write_bytes(content)
        assert expected in damage(tmp_path / 'a.pth')

    def test_missing(self, tmp_path):
        assert damage(tmp_path / 'a.pth') == 'no such file'
        assert damage(tmp_path) == 'no such file'


class TestFindWholeCheckpoint:

    def test_takes_what_is_pointed_to(self, run):
        assert find(run) == ('epoch_10.pth', [])
        (run / 'last_checkpoint').write_text(str(run / 'epoch_2.pth'))
        assert find(run) == ('epoch_2.pth', [])

    def test_new_run(self, tmp_path):
        assert find_whole_checkpoint(tmp_path, tmp_path, TEMPLATE) == (None,
                                                                      [])
        away = tmp_path / 'away'
        assert find_whole_checkpoint(away, away, TEMPLATE) == (None, [])

    @pytest.mark.parametrize('content', [
        '', '\n', '.', '/', 'epoch_3.pth', '/away/epoch_3.pth', 'x' * 5000,
        'a\0b'])
    def test_pointer_that_names_nothing(self, run, content):
        (run / 'last_checkpoint').write_text(content)
        name, damaged = find(run)
        assert name == 'epoch_10.pth' and len(damaged) == 1

    def test_pointer_that_is_missing_or_binary(self, run):
        (run / 'last_checkpoint').unlink()
        assert find(run)[0] == 'epoch_10.pth'
        (run / 'last_checkpoint').write_bytes(b'\xff\xfe\0')
        assert find(run)[0] == 'epoch_10.pth'

    def test_pointer_into_the_folder_a_run_was_copied_from(
            self, run, tmp_path_factory):
        old = tmp_path_factory.mktemp('old')
        torch.save(dict(), old / 'epoch_2.pth')
        (run / 'last_checkpoint').write_text(str(old / 'epoch_2.pth'))
        assert find_whole_checkpoint(run, run, TEMPLATE)[0] == str(
            run / 'epoch_2.pth')

    def test_pointer_elsewhere(self, run, tmp_path_factory):
        other = tmp_path_factory.mktemp('other') / 'mine.pth'
        torch.save(dict(), other)
        (run / 'last_checkpoint').write_text(str(other))
        assert find_whole_checkpoint(run, run, TEMPLATE)[0] == str(other)

    def test_takes_the_newest_whole_by_number(self, run):
        os.truncate(run / 'epoch_10.pth', 100)
        name, damaged = find(run)
        assert name == 'epoch_2.pth'
        assert len(damaged) == 1 and 'epoch_10.pth: ' in damaged[0]

    def test_names_all_when_all_are_broken(self, run):
        for path in run.glob('*.pth'):
            path.write_bytes(b'')
        with pytest.raises(DataError) as caught:
            find(run)
        for step in (1, 2, 10):
            assert f'epoch_{step}.pth' in caught.value.found

    def test_pointer_without_any_checkpoint(self, tmp_path):
        (tmp_path / 'last_checkpoint').write_text('epoch_1.pth')
        with pytest.raises(DataError, match='epoch_1.pth'):
            find_whole_checkpoint(tmp_path, tmp_path, TEMPLATE)
        (tmp_path / 'last_checkpoint').write_text('')
        with pytest.raises(DataError, match='naming no file'):
            find_whole_checkpoint(tmp_path, tmp_path, TEMPLATE)


def test_checkpoints_by_step(run):
    for name in ('epoch_x.pth', 'best_epoch_3.pth', 'epoch_3.pth.bak',
                 '.epoch_4.01234567.pth'):
        (run / name).touch()
    assert [path.name for path in checkpoints_by_step(run, TEMPLATE)] == [
        'epoch_1.pth', 'epoch_2.pth', 'epoch_10.pth']

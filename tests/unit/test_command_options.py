"""Options that commands of several families have."""
from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import pytest

from mmpose_ext.command_options import (
    check_new_folder,
    check_out,
    number_above_0,
    number_from,
)
from mmpose_ext.storage import DataError


@pytest.fixture
def parser() -> ArgumentParser:
    parser = ArgumentParser()
    parser.add_argument('--count', type=number_from(1, kind=int))
    parser.add_argument('--share', type=number_from(0, 1))
    parser.add_argument('--rate', type=number_above_0)
    return parser


def test_numbers_in_their_range_are_taken(parser: ArgumentParser) -> None:
    found = parser.parse_args(['--count=1', '--share=0.5', '--rate=1e-9'])
    assert (found.count, found.share, found.rate) == (1, .5, 1e-9)
    assert type(found.count) is int


@pytest.mark.parametrize('word, text', [
    ('--count=0', 'int of at least 1'), ('--count=1.5', 'int of at least 1'),
    ('--share=1.1', 'float from 0 to 1'), ('--share=nan', 'from 0 to 1'),
    ('--rate=0', 'more than 0'), ('--rate=inf', 'more than 0'),
    ('--rate=nan', 'more than 0')])
def test_other_numbers_are_wrong_usage(
        parser: ArgumentParser, word: str, text: str,
        capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser.parse_args([word])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_a_new_folder_replaces_nothing(tmp_path: Path) -> None:
    check_new_folder(tmp_path / 'none' / 'new', False)
    (tmp_path / 'empty').mkdir()
    check_new_folder(tmp_path / 'empty', False)
    (tmp_path / 'file').touch()
    for path, kind in ((tmp_path, 'folder'), (tmp_path / 'file', 'file')):
        with pytest.raises(DataError, match=f'existing {kind}.*--overwrite'):
            check_new_folder(path, False)
        check_new_folder(path, True)


@pytest.mark.parametrize('name', ['a.avi', 'none/a.mp4', 'folder.mp4'])
def test_the_option_is_named_that_cannot_be_written(tmp_path: Path,
                                                    name: str) -> None:
    (tmp_path / 'folder.mp4').mkdir()
    check_out(tmp_path / 'a.mp4', ['.mp4'], option='--movie')
    with pytest.raises(DataError) as caught:
        check_out(tmp_path / name, ['.mp4'], option='--movie')
    assert caught.value.where == '--movie'

"""The dump of a config is read as MMEngine would read it."""
from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from mmpose_ext.storage.run_config import (
    look_up,
    parse_config_text,
    read_dumped_config,
    read_text_log,
)

ROOT = Path(__file__).resolve().parents[3]


def test_dump_of_a_whole_config_reads_as_it_was(tmp_path: Path) -> None:
    config = Config.fromfile(
        ROOT / 'configs' / 'direction' / 'direction-cnn_tiny_synthetic.py')
    config.dump(tmp_path / 'config.py')
    found = read_dumped_config(tmp_path / 'config.py')
    assert found == config.to_dict()
    assert parse_config_text(config.pretty_text) == found
    assert look_up(found, 'train_cfg', 'max_epochs') == 10
    assert look_up(found, 'train_cfg', 'nothing', 'deeper') is None


def test_what_is_no_literal_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / 'config.py'
    path.write_text('import os\na = os.system("touch gone")\nb = -1.5\n'
                    'c = dict(d=[1, (2, None)], e={"f": open("x")})\n')
    assert read_dumped_config(path) == {
        'a': None, 'b': -1.5, 'c': {'d': [1, (2, None)], 'e': {'f': None}}}


@pytest.mark.parametrize('text', [None, 'a = (', 'a = 1\x00'])
def test_file_that_cannot_be_read_gives_nothing(
        tmp_path: Path, text: str | None) -> None:
    path = tmp_path / 'config.py'
    if text is not None:
        path.write_text(text)
    assert read_dumped_config(path) == {}
    assert read_text_log(path) == {}


def test_every_kind_of_value_survives_the_text() -> None:
    values = dict(a=-1.5, b=float('inf'), c=-float('inf'), d=1e-300, e=None,
                  f=(1, ), g=[], h=(), i=dict(), j={'a-b': [dict(k=True)]},
                  k='a\'b"\n', l=set(), m={1, 2}, n=[(1, ('x', ))], o=b'x')
    assert parse_config_text(Config(values).pretty_text) == values
    assert parse_config_text('a = nan')['a'] != parse_config_text(
        'a = nan')['a']


@pytest.mark.parametrize('text', [
    'import os', 'a = open("x")', 'a = dict([open("x")])',
    'a = [x for x in 1]',
    'a = {**b}', 'a = dict(**b)', 'a = b', 'a += 1', 'a = b = 1', 'a.b = 1',
    'a = f"{x}"', 'a = "x" % 1', 'a = 10 ** 10', 'a = -"x"', 'a = {[]: 1}',
    'a = {[]}', 'a = (', 'a = 1\x00', 'print(1)', 'a = dict(1)',
    'a = dict.x()', 'a = lambda: 1', 'a = 1 if 1 else 2', 'a = b"x".hex',
    f'a = {"[" * 500}', f'a = {"-" * 100_000}1', f'a = {"(" * 50}1'
])
def test_text_that_is_more_than_values_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_config_text(text)

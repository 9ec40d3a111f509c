"""The dump of a config is read as MMEngine would read it."""
from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from mmpose_ext.storage.run_config import (
    look_up,
    read_dumped_config,
    read_text_log,
)

ROOT = Path(__file__).resolve().parents[3]


def test_dump_of_a_whole_config_reads_as_it_was(tmp_path: Path) -> None:
    config = Config.fromfile(
        ROOT / 'configs' / 'direction' / 'direction-cnn_tiny_synthetic.py')
    config.dump(tmp_path / 'config.py')

    def as_lists(value: object) -> object:
        if isinstance(value, dict):
            return {key: as_lists(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [as_lists(item) for item in value]
        return value

    found = read_dumped_config(tmp_path / 'config.py')
    assert found == as_lists(config.to_dict())
    assert look_up(found, 'train_cfg', 'max_epochs') == 10
    assert look_up(found, 'train_cfg', 'nothing', 'deeper') is None


def test_what_is_no_literal_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / 'config.py'
    path.write_text('import os\na = os.system("touch gone")\nb = -1.5\n'
                    'c = dict(d=[1, (2, None)], e={"f": open("x")})\n')
    assert read_dumped_config(path) == {
        'a': None, 'b': -1.5, 'c': {'d': [1, [2, None]], 'e': {'f': None}}}


@pytest.mark.parametrize('text', [None, 'a = (', 'a = 1\x00'])
def test_file_that_cannot_be_read_gives_nothing(
        tmp_path: Path, text: str | None) -> None:
    path = tmp_path / 'config.py'
    if text is not None:
        path.write_text(text)
    assert read_dumped_config(path) == {}
    assert read_text_log(path) == {}

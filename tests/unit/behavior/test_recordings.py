"""Annotations of recordings: absent ones are fine, damaged ones are not."""
from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from mmpose_ext.behavior.recordings import open_recordings
from mmpose_ext.storage import DataError

from .small_models import write_models
from .track_files import write_events, write_records


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Two records that are annotated."""
    root = write_records(tmp_path / 'data', 2)
    for record in root.iterdir():
        write_events(record / 'annotations.csv', [('attack', .2, .9)])
    return root


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """One that asks for annotations."""
    write_models(tmp_path)
    return Config.fromfile(tmp_path / 'frame.py')


def test_annotations_that_are_there_are_read(config: Config,
                                             records: Path) -> None:
    store = open_recordings(config, records).store
    assert store.classes == ('attack', 'other')
    assert store.record_labels(0)[:, 0].sum() > 10


def test_records_may_lack_annotations_unless_they_are_needed(
        config: Config, records: Path) -> None:
    (records / 'b' / 'annotations.csv').unlink()
    store = open_recordings(config, records).store
    assert store.ids == ('a', 'b') and store.labels is None
    with pytest.raises(DataError, match='found none'):
        open_recordings(config, records, need_labels=True)


@pytest.mark.parametrize('content', [
    b'', b'\xff\xfe\x00', b'behavior,start_time,end_time\nattack,x,y\n'])
def test_damaged_annotations_are_one_error_that_names_them(
        config: Config, records: Path, content: bytes) -> None:
    path = records / 'b' / 'annotations.csv'
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_recordings(config, records)
    assert caught.value.file == str(path)
    del config.test_dataloader.dataset.annotation_format
    assert open_recordings(config, records).store.labels is None


def test_a_setting_out_of_range_is_an_error_of_the_config(
        config: Config, records: Path) -> None:
    config.test_dataloader.dataset.padding = 'round'
    with pytest.raises(DataError) as caught:
        open_recordings(config, records)
    assert caught.value.where == 'test_dataloader.dataset'

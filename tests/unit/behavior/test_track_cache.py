"""Packed data sets on the disk."""
from __future__ import annotations

import errno
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.behavior import packing, records, track_cache
from mmpose_ext.behavior.records import RecordOptions, load_tracks
from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.storage import DataError
from tests.unit.behavior.track_files import (
    write_events,
    write_record,
    write_records,
)


@pytest.fixture(autouse=True)
def forget() -> None:
    """As in a new process."""
    records._load_once.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_records(tmp_path / 'data', 3)
    for name in 'abc':
        write_events(tmp_path / 'data' / name / 'annotations.csv',
                     [('attack', .5, 1)])
    return tmp_path / 'data'


def load(root: Path, cache_dir: Path | None = None,
         **options) -> TrackStore:
    return load_tracks(root, RecordOptions(annotation_format='auto',
                                           **options), cache_dir)


def again(root: Path, cache_dir: Path | None = None,
          **options) -> TrackStore:
    """Load as a new process does."""
    records._load_once.cache_clear()
    return load(root, cache_dir, **options)


def folder_of(store: TrackStore) -> Path:
    assert store.tracks_file is not None
    return store.tracks_file.parent


def assert_equal(one: TrackStore, other: TrackStore) -> None:
    for name in ('tracks', 'labels', 'starts', 'lengths', 'fps', 'scales',
                 'offsets', 'first_frames'):
        np.testing.assert_array_equal(getattr(one, name),
                                      getattr(other, name), name)
    for name in ('ids', 'individuals', 'keypoints', 'axes', 'classes'):
        assert getattr(one, name) == getattr(other, name)


def refuse_reading(*arguments):
    raise AssertionError('a record was read')


@pytest.mark.parametrize('options', [
    {}, dict(scale_per='dataset'), dict(scale='per_axis', missing='zero')])
def test_mapped_and_in_memory_are_the_same(root, tmp_path, options):
    memory = load(root, **options)
    mapped = load(root, tmp_path / 'cache', **options)
    assert memory.tracks_file is None
    assert isinstance(mapped.tracks, np.memmap)
    assert not mapped.tracks.flags.writeable
    assert_equal(memory, mapped)


def test_unknown_rates_survive(tmp_path):
    write_records(tmp_path / 'data', 2, fps=None)
    store = load_tracks(tmp_path / 'data', None, tmp_path / 'cache')
    assert np.isnan(store.fps).all() and store.labels is None


def test_what_is_large_goes_to_the_disk_beside_the_data(root, monkeypatch):
    small = load(root)
    # passed while the second record is added
    monkeypatch.setattr(track_cache, 'IN_MEMORY_BYTES', 70 * 12 * 4)
    store = again(root)
    assert folder_of(store).parent == root / '.mmpose_ext_cache'
    assert_equal(small, store)


def test_a_packed_data_set_is_found_again(root, tmp_path, monkeypatch):
    first = load(root, tmp_path / 'cache')
    monkeypatch.setattr(packing, 'read_record', refuse_reading)
    second = again(root, tmp_path / 'cache')
    assert folder_of(second) == folder_of(first)
    assert_equal(first, second)


def test_changed_files_or_options_are_packed_anew(root, tmp_path):
    cache = tmp_path / 'cache'
    first = folder_of(load(root, cache))
    assert folder_of(again(root, cache, missing='keep')) != first
    os.utime(root / 'a/tracking.nc', (1, 1))
    assert folder_of(again(root, cache)) != first


def test_what_was_packed_before_the_files_changed_goes(root, tmp_path):
    cache = tmp_path / 'cache'
    write_records(tmp_path / 'other', 2)
    stale = folder_of(load(root, cache))
    kept = [folder_of(load(root, cache, missing='keep')),
            folder_of(load_tracks(tmp_path / 'other', None, cache))]
    os.utime(root / 'a/tracking.nc', (1, 1))
    kept.append(folder_of(again(root, cache)))
    assert not stale.exists()
    assert sorted(cache.iterdir()) == sorted(kept)


def cut(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-100])


def change_meta(folder: Path, **changes) -> None:
    path = folder / 'meta.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize('damage', [
    lambda folder: cut(folder, 'tracks.npy'),
    lambda folder: cut(folder, 'labels.npy'),
    lambda folder: cut(folder, 'meta.json'),
    lambda folder: (folder / 'meta.json').unlink(),
    lambda folder: (folder / 'tracks.npy').write_bytes(b''),
    lambda folder: (folder / 'labels.npy').unlink(),
    lambda folder: (folder / 'meta.json').write_text('[]'),
    lambda folder: change_meta(folder, keypoints=['nose']),
    lambda folder: change_meta(folder, lengths=[1, 2, 3]),
    lambda folder: change_meta(folder, scales=[1.]),
    lambda folder: np.save(folder / 'tracks.npy', np.zeros((3, 2)))])
def test_a_damaged_one_is_packed_anew(root, tmp_path, damage):
    cache = tmp_path / 'cache'
    first = load(root, cache)
    expected = np.array(first.tracks), np.array(first.labels)
    folder = folder_of(first)
    del first
    damage(folder)
    second = again(root, cache)
    np.testing.assert_array_equal(second.tracks, expected[0])
    np.testing.assert_array_equal(second.labels, expected[1])
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_an_error_leaves_nothing_behind(root, tmp_path):
    (root / 'c/tracking.nc').write_bytes(b'rubbish')
    with pytest.raises(DataError):
        load(root, tmp_path / 'cache')
    assert not list((tmp_path / 'cache').iterdir())


def test_a_place_that_cannot_be_written_is_replaced(root, tmp_path,
                                                    monkeypatch):
    """The tests may run as root, for whom no folder is read-only."""
    monkeypatch.setattr(track_cache, 'IN_MEMORY_BYTES', 0)
    monkeypatch.setattr(track_cache.tempfile, 'gettempdir',
                        lambda: str(tmp_path / 'temporary'))
    (root / '.mmpose_ext_cache').write_text('a file is in the way')
    store = load(root)
    assert tmp_path / 'temporary' in folder_of(store).parents
    monkeypatch.setattr(packing, 'read_record', refuse_reading)
    assert folder_of(again(root)) == folder_of(store)


def test_no_place_at_all_is_an_error_with_a_way_out(root, tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(DataError, match='set cache_dir'):
        load(root, tmp_path / 'file')


def test_a_full_disk_is_an_error_with_a_way_out(root, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(track_cache, 'write_meta', fail)
    with pytest.raises(DataError, match='No space left.*larger disk'):
        load(root, tmp_path / 'cache')
    assert not list((tmp_path / 'cache').iterdir())


def test_another_process_may_be_faster(root, tmp_path, monkeypatch):
    """Two that pack the same end with one packed data set."""
    cache = tmp_path / 'cache'
    write = track_cache.write_meta
    others = []

    def write_meta(folder, *rest):
        write(folder, *rest)
        if not others:
            others.append(folder)
            others.append(again(root, cache))

    monkeypatch.setattr(track_cache, 'write_meta', write_meta)
    store = load(root, cache)
    assert_equal(store, others[1])
    assert len(list(cache.iterdir())) == 1


def test_one_record_at_a_time_is_in_memory(tmp_path):
    """Twelve records of 2.2 MB are packed in the memory of a few."""
    rng = np.random.default_rng(0)
    position = rng.uniform(0, 500, (20_000, 2, 7, 2)).astype(np.float32)
    for name in 'abcdefghijkl':
        write_record(tmp_path / 'data' / name, position,
                     keypoints=tuple('1234567'))
    tracemalloc.start()
    try:
        store = load_tracks(tmp_path / 'data', None, tmp_path / 'cache')
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert store.tracks.nbytes > 12 * position.nbytes
    assert peak < 6 * position.nbytes


def test_a_bar_goes_to_the_error_stream_alone(root, monkeypatch, capsys):
    monkeypatch.setattr(packing, 'PATIENCE', -1)
    assert len(load(root)) == 3
    assert capsys.readouterr().out == ''

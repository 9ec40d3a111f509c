"""The packed array and its views."""
from __future__ import annotations

import pickle

import numpy as np
import pytest

from mmpose_ext.behavior.records import RecordOptions, load_tracks
from mmpose_ext.behavior.track_store import check_exclusive
from mmpose_ext.storage import DataError
from tests.unit.behavior.track_files import write_events, write_records


@pytest.fixture
def root(tmp_path):
    write_records(tmp_path / 'data', 3)
    for name in 'abc':
        write_events(tmp_path / 'data' / name / 'annotations.csv',
                     [('attack', .5, 1)])
    return tmp_path / 'data'


def load(root, cache_dir=None, **options):
    return load_tracks(root, RecordOptions(annotation_format='auto',
                                           **options), cache_dir)


def test_a_subset_shares_the_frames_of_its_store(root):
    store = load(root)
    part = store.subset([2, 0])
    assert part.ids == ('c', 'a') and len(part) == 2
    assert part.tracks is store.tracks and part.labels is store.labels
    assert part.total_frames == 130
    np.testing.assert_array_equal(part.record(0), store.record(2))
    np.testing.assert_array_equal(part.unscaled(1), store.unscaled(0))


def test_stretches_know_where_they_were_cut_out(root):
    store = load(root)
    part = store.stretches([1, 1], [0, 40], [20, 25])
    assert part.ids == ('b[0:20]', 'b[40:65]')
    assert part.first_frames.tolist() == [0, 40]
    np.testing.assert_array_equal(part.record(1), store.record(1)[40:])
    np.testing.assert_array_equal(part.record_labels(0),
                                  store.record_labels(1)[:20])


def test_some_rows_alone_can_be_drawn_back(root):
    store = load(root)
    np.testing.assert_array_equal(store.unscaled(1, slice(10, 20)),
                                  store.unscaled(1)[10:20])


def test_a_mapped_store_travels_by_its_name(root, tmp_path):
    """A worker that is spawned maps the file and gets no copy of it."""
    store = load(root, tmp_path / 'cache').subset([1])
    sent = pickle.dumps(store)
    assert len(sent) < 5000 < store.tracks.nbytes
    received = pickle.loads(sent)
    assert isinstance(received.tracks, np.memmap)
    np.testing.assert_array_equal(received.record(0), store.record(0))
    np.testing.assert_array_equal(received.record_labels(0),
                                  store.record_labels(0))


def test_a_store_in_memory_travels_whole(root):
    store = load(root)
    received = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(received.tracks, store.tracks)
    np.testing.assert_array_equal(received.labels, store.labels)


def test_a_frame_of_two_classes_is_no_class(root):
    write_events(root / 'b/annotations.csv',
                 [('attack', .5, 1), ('mount', .9, 1.2)])
    with pytest.raises(DataError, match="'attack' and 'mount'; 3 such"
                       ) as caught:
        check_exclusive(load(root))
    assert caught.value.where == "record 'b', frame 27"


def test_a_frame_of_no_class_is_no_class(root):
    store = load(root, classes=['attack'])
    with pytest.raises(DataError, match="let classes contain 'other'"):
        check_exclusive(store)
    check_exclusive(load(root))

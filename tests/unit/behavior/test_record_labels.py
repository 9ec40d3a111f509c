"""Annotations of records, and one list of classes for all."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.behavior.record_labels import (
    RecordLabels,
    pack_labels,
    unite_classes,
)
from mmpose_ext.behavior.records import RecordOptions, load_tracks
from mmpose_ext.behavior.track_store import check_exclusive
from mmpose_ext.storage import (
    DataError,
    FrameLabels,
    write_movement_annotations,
)
from tests.unit.behavior.track_files import (
    frame_labels,
    wander,
    write_csv,
    write_events,
    write_record,
    write_records,
)


def load(root, annotation_format='auto', **options):
    return load_tracks(root, RecordOptions(
        annotation_format=annotation_format, **options))


def runs(store, record: int) -> dict[str, list[int]]:
    labels = store.record_labels(record)
    return {name: np.flatnonzero(labels[:, i]).tolist()
            for i, name in enumerate(store.classes)}


def test_all_files_share_one_list_of_classes(tmp_path):
    write_records(tmp_path, 2)
    write_events(tmp_path / 'a/annotations.csv', [('mount', .5, 1)])
    write_events(tmp_path / 'b/annotations.csv', [('attack', 1, 1.5)])
    store = load(tmp_path)
    assert store.classes == ('attack', 'mount', 'other')
    assert store.labels.shape == (125, 3) and store.labels.dtype == np.uint8
    assert runs(store, 0)['mount'] == list(range(15, 30))
    assert runs(store, 0)['attack'] == []
    assert runs(store, 1)['attack'] == list(range(30, 45))
    check_exclusive(store)


def test_the_classes_asked_for_stand_in_their_order(tmp_path):
    write_records(tmp_path, 1)
    write_events(tmp_path / 'a/annotations.csv',
                 [('mount', .5, 1), ('attack', 1, 1.5)])
    store = load(tmp_path, classes=['other', 'sniff', 'mount', 'attack'])
    assert store.classes == ('other', 'sniff', 'mount', 'attack')
    assert runs(store, 0)['attack'] == list(range(30, 45))
    assert runs(store, 0)['sniff'] == []
    assert load(tmp_path, classes=['mount', 'attack']).classes == (
        'mount', 'attack')


def test_rows_of_netcdf_label_rows_of_the_tracks(tmp_path):
    write_records(tmp_path, 1)
    labels = frame_labels(dict(attack=range(20), other=range(20, 60)), 60)
    write_movement_annotations(tmp_path / 'a/annotations.nc', labels)
    store = load(tmp_path, 'movement')
    assert runs(store, 0) == dict(attack=list(range(20)),
                                  other=list(range(20, 60)))


def test_frames_without_a_row_go_on_as_the_one_before(tmp_path):
    frames = np.r_[np.arange(30), np.arange(40, 70)]
    write_record(tmp_path / 'a', frames=frames)
    labels = frame_labels(dict(attack=range(25, 30), other=[
        *range(25), *range(30, 60)]), 60)
    write_movement_annotations(tmp_path / 'a/annotations.nc', labels)
    assert runs(load(tmp_path), 0)['attack'] == list(range(25, 40))
    assert runs(load(tmp_path, frame_gaps='ignore'), 0)['attack'] == list(
        range(25, 30))


def test_events_are_in_seconds_of_the_video(tmp_path):
    write_record(tmp_path / 'a', frames=np.arange(90, 150))
    write_events(tmp_path / 'a/annotations.csv', [('attack', 3.5, 4)])
    assert runs(load(tmp_path), 0)['attack'] == list(range(15, 30))


def test_boris_and_events_say_the_same(tmp_path):
    write_records(tmp_path, 2, frames=60)
    write_csv(tmp_path / 'a/annotations_boris.csv', [
        ['Time', 'Media file path', 'Subject', 'Behavior', 'Status']], [
        [.5, 'clip.mp4', '', 'attack', 'START'],
        [1, 'clip.mp4', '', 'attack', 'STOP']])
    write_events(tmp_path / 'b/annotations.csv', [('attack', .5, 1)])
    store = load(tmp_path)
    assert runs(store, 0)['attack'] == runs(store, 1)['attack'] == list(
        range(15, 30))


def three_annotators(path: Path) -> None:
    write_events(path, [('attack', 0, 1, 'ann'), ('attack', .5, 1, 'bob'),
                        ('mount', .5, 1, 'cid')])


@pytest.mark.parametrize(('annotators', 'attack', 'mount'), [
    ('any', range(30), range(15, 30)), ('majority', range(15, 30), ())])
def test_annotators_are_united_or_vote(tmp_path, annotators, attack, mount):
    write_records(tmp_path, 1)
    three_annotators(tmp_path / 'a/annotations.csv')
    found = runs(load(tmp_path, annotators=annotators), 0)
    assert found['attack'] == list(attack)
    assert found['mount'] == list(mount)
    # other is where, taken together, nothing else is
    assert found['other'] == [row for row in range(60)
                              if row not in {*attack, *mount}]


def test_several_files_are_several_annotators(tmp_path):
    write_records(tmp_path, 1)
    for i, stop in enumerate((1, 1.5)):
        write_events(tmp_path / f'a/annotations_{i}.csv',
                     [('attack', .5, stop)])
    assert runs(load(tmp_path), 0)['attack'] == list(range(15, 45))
    assert runs(load(tmp_path, annotators='majority'), 0)['attack'] == list(
        range(15, 30))


def test_nothing_is_read_where_nothing_is_asked_for(tmp_path):
    write_records(tmp_path, 1)
    (tmp_path / 'a/annotations.csv').write_text('rubbish')
    store = load_tracks(tmp_path)
    assert store.labels is None and store.classes == ()
    with pytest.raises(DataError, match='annotation_format'):
        store.record_labels(0)


def test_other_stands_last():
    assert unite_classes([('other', 'z'), ('a', )]) == ('a', 'z', 'other')
    assert unite_classes([('z', ), ('a', )]) == ('a', 'z')


def test_packing_moves_columns_only():
    rng = np.random.default_rng(0)
    records = [
        RecordLabels(('b', 'other'), rng.integers(0, 2, (4, 2), np.uint8),
                     Path('x')),
        RecordLabels(('other', 'a'), rng.integers(0, 2, (3, 2), np.uint8),
                     Path('y'))]
    classes, table = pack_labels(records, None)
    assert classes == ('a', 'b', 'other')
    np.testing.assert_array_equal(table[:4, [1, 2]], records[0].labels)
    np.testing.assert_array_equal(table[4:, [2, 0]], records[1].labels)
    assert not table[:4, 0].any() and not table[4:, 1].any()


def test_annotators_of_netcdf_vote_too(tmp_path):
    write_record(tmp_path / 'a', wander(6))
    labels = np.zeros((6, 2, 3), np.uint8)
    labels[:, 0, 0] = labels[:3, 0, 1] = 1
    labels[:, 1] = 1 - labels[:, 0]
    write_movement_annotations(
        tmp_path / 'a/annotations.nc',
        FrameLabels(Path('x'), ('attack', 'other'), labels, ('a', 'b', 'c')))
    found = runs(load(tmp_path, annotators='majority'), 0)
    assert found == dict(attack=[0, 1, 2], other=[3, 4, 5])

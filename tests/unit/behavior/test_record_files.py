"""Which files make up the records of a data set."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmpose_ext.behavior.record_files import find_records, signature_of
from mmpose_ext.storage import DataError
from tests.unit.behavior.track_files import wander, write_dlc, write_sleap

DLC = 'clipDLC_resnet50_pairShuffle1_50000'


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'x')
    return root


def ids(root: Path, **options) -> list[str]:
    return [record.id for record in find_records(root, **options)]


def test_records_are_folders_at_any_depth_sorted(tmp_path):
    touch(tmp_path, 'wild/protB/tracking.nc', 'wild/protA/exp1/tracking.nc',
          'mutant/tracking.nc', 'mutant/notes/readme.txt')
    assert ids(tmp_path) == ['mutant', 'wild/protA/exp1', 'wild/protB']


@pytest.mark.parametrize(('name', 'kind'), [
    ('my_TRACKING_v2.nc', 'movement'), ('tracking.csv', 'dlc'),
    (f'{DLC}.csv', 'dlc'), (f'{DLC}.h5', 'dlc'), ('clip.SLP', 'sleap'),
    ('clip.analysis.h5', 'sleap'), ('x_sleap.h5', 'sleap')])
def test_tracks_are_known_by_their_names(tmp_path, name, kind):
    touch(tmp_path, f'a/{name}')
    record, = find_records(tmp_path)
    assert record.tracking == ((kind, tmp_path / 'a' / name), )
    assert ids(tmp_path, data_format=kind) == ['a']


def test_an_h5_is_told_by_what_is_in_it(tmp_path):
    write_sleap(tmp_path / 'a/tracking.h5', wander(5))
    assert find_records(tmp_path)[0].tracking[0][0] == 'sleap'


def test_several_files_of_one_folder_are_one_record(tmp_path):
    touch(tmp_path, 'a/tracking_2.nc', 'a/tracking_1.nc')
    record, = find_records(tmp_path)
    assert [path.name for _, path in record.tracking] == [
        'tracking_1.nc', 'tracking_2.nc']
    assert record.place == tmp_path / 'a'


def test_the_same_tracks_in_two_forms_are_read_once(tmp_path):
    touch(tmp_path, f'a/{DLC}.h5', f'a/{DLC}.csv', 'b/clip.slp',
          'b/clip.analysis.h5')
    names = [path.name for record in find_records(tmp_path)
             for _, path in record.tracking]
    assert names == [f'{DLC}.csv', 'clip.analysis.h5']


def test_only_the_format_asked_for_is_looked_for(tmp_path):
    touch(tmp_path, 'a/tracking.nc', 'b/clip.slp', 'b/tracking.nc')
    assert ids(tmp_path, data_format='sleap') == ['b']


def test_what_is_hidden_or_set_aside_is_left_out(tmp_path):
    touch(tmp_path, 'a/tracking.nc', '_old/tracking.nc', 'a/._tracking.nc',
          '.cache/x/tracking.nc', 'a/.git/tracking.nc')
    record, = find_records(tmp_path)
    assert [path.name for _, path in record.tracking] == ['tracking.nc']


def test_links_are_followed_and_circles_end(tmp_path):
    touch(tmp_path / 'elsewhere', 'tracking.nc')
    root = touch(tmp_path / 'root', 'a/tracking.nc')
    (root / 'b').symlink_to(tmp_path / 'elsewhere')
    (root / 'a' / 'up').symlink_to(root)
    assert ids(root) == ['a', 'b']


@pytest.mark.parametrize(('texts', 'kept'), [
    (('train', ), ['train/a', 'train/b']), (('test', 'b'), ['test/c',
                                                           'train/b']),
    ((), ['test/c', 'train/a', 'train/b'])])
def test_a_filter_keeps_ids_with_any_of_its_texts(tmp_path, texts, kept):
    touch(tmp_path, 'train/a/tracking.nc', 'train/b/tracking.nc',
          'test/c/tracking.nc')
    assert ids(tmp_path, data_filter=texts) == kept


def test_a_file_is_a_record_whatever_its_name(tmp_path):
    path = write_dlc(tmp_path / 'night 3.csv', wander(5))
    record, = find_records(path)
    assert record.id == 'night 3'
    assert record.tracking == (('dlc', path), )
    touch(tmp_path, 'day.analysis.h5')
    assert ids(tmp_path / 'day.analysis.h5') == ['day']


def test_annotations_are_not_taken_for_tracks(tmp_path):
    touch(tmp_path, 'a/tracking.nc', 'a/tracking_annotations.csv',
          'a/Manual_Scoring_tracking.nc', 'a/boris_tracking.csv')
    record, = find_records(tmp_path, annotation_format='auto')
    assert len(record.tracking) == 1
    assert len(record.annotations) == 3


@pytest.mark.parametrize(('kind', 'name'), [
    ('movement', 'x_annotations.nc'), ('csv-events', 'manual_scoring_1.csv'),
    ('boris', 'BORIS.csv'), ('boris', 'annotations.csv')])
def test_annotations_are_known_by_their_names(tmp_path, kind, name):
    touch(tmp_path, 'a/tracking.nc', f'a/{name}', 'a/other.csv')
    record, = find_records(tmp_path, annotation_format=kind)
    assert [path.name for path in record.annotations] == [name]


def test_the_signature_changes_with_the_files_and_not_with_the_place(
        tmp_path):
    root = touch(tmp_path / 'one', 'a/tracking.nc', 'b/tracking.nc')

    def signature(place: Path) -> str:
        return signature_of(place, find_records(place))

    first = signature(root)
    assert signature(root) == first
    moved = root.rename(tmp_path / 'two')
    assert signature(moved) == first
    os.utime(moved / 'a/tracking.nc', (1, 1))
    assert signature(moved) != first


def test_a_lone_record_in_the_root_is_explained(tmp_path):
    touch(tmp_path, 'tracking.nc', 'a/tracking.nc')
    with pytest.raises(DataError, match='move it to .*record1') as caught:
        find_records(tmp_path)
    assert caught.value.file == str(tmp_path / 'tracking.nc')

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmpose_ext.handobject.index_columns import (
    OPTIONAL_COLUMNS,
    REQUIRED,
    ROW_COLUMNS,
)
from mmpose_ext.handobject.index_files import (
    make_index,
    read_index,
    sequence_fingerprint,
    write_index,
)
from mmpose_ext.storage import DataError, write_npz
from tests.unit.handobject.sample_index import (
    CAMERAS,
    SEQUENCES,
    SERIALS,
    SIZE,
    SUBJECTS,
    make_columns,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_index(tmp_path / 's1_train.npz', make_columns())
    return tmp_path / 's1_train.npz'


def test_columns_come_back_mapped(path):
    index = read_index(path)
    columns = make_columns()
    assert len(index) == len(columns['id'])
    for name, values in columns.items():
        np.testing.assert_array_equal(index[name], values)
        assert index[name].dtype == np.asarray(values).dtype
    for name in (*ROW_COLUMNS, 'contact', 'joint_distance'):
        assert isinstance(index[name], np.memmap), name
        assert not index[name].flags.writeable
    assert 'contact' in index and 'file_name' not in index
    index.check_values()


def test_rows_are_named(path):
    index = read_index(path)
    row = 3 * (2 * 3 + 1) + 2  # sequence 3, camera 1, frame 2
    assert index.sequence_of(row) == SEQUENCES[3]
    assert index.subject_of(row) == SUBJECTS[1]
    assert index.serial_of(row) == SERIALS[1]
    assert index.side_of(row) == 1
    assert index.file_of(row) == (
        f'{SEQUENCES[3]}/{SERIALS[1]}/color_000002.jpg')
    assert index.label_file_of(row) == (
        f'{SEQUENCES[3]}/{SERIALS[1]}/labels_000002.npz')
    assert index.size_of(row) == index.image_size == SIZE
    fx, fy, cx, cy = CAMERAS[1]
    np.testing.assert_array_equal(
        index.camera_matrix(row), [[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    assert index.num_objects == 2
    assert (index.source, index.setup, index.split, index.every) == (
        'dexycb', 's1', 'train', 1)


def test_a_copy_in_another_process_maps_anew(path):
    index = read_index(path)
    stored = pickle.dumps(index)
    assert len(stored) < 1000
    copy = pickle.loads(stored)
    assert isinstance(copy['joints_cam'], np.memmap)
    np.testing.assert_array_equal(copy['joints_cam'], index['joints_cam'])


def test_pictures_may_have_names_and_sizes_of_their_own(tmp_path):
    columns = make_columns()
    count = len(columns['id'])
    sizes = np.tile(np.array([SIZE], np.int32), (count, 1))
    sizes[1] += 2
    columns.update(
        source=np.array('interhand2.6m'), picture_size=sizes,
        image_pattern=np.array('{file_name}'),
        file_name=np.array([f'images/{row}.jpg' for row in range(count)]))
    write_index(tmp_path / 'a.npz', columns)
    index = read_index(tmp_path / 'a.npz')
    assert index.file_of(1) == 'images/1.jpg'
    assert index.size_of(1) == (SIZE[0] + 2, SIZE[1] + 2)
    with pytest.raises(DataError, match='no such files'):
        index.label_file_of(1)
    with pytest.raises(DataError, match=r'images/0\.jpg'):
        index.check_root(tmp_path)


def test_there_may_be_many_cameras(tmp_path):
    columns = make_columns()
    columns.update(serials=np.arange(300).astype('U3'),
                   camera=np.full(len(columns['id']), 280, np.uint16))
    write_index(tmp_path / 'a.npz', columns)
    assert read_index(tmp_path / 'a.npz').serial_of(0) == '280'


def at(name: str, place: Any, value: Any) -> dict[str, Any]:
    """A column with another value at a place."""
    column = np.array(make_columns()[name])
    column[place] = value
    return {name: column}


DAMAGES: list[tuple[dict[str, Any], str, str, str]] = [
    ({'K': None}, "key 'K'", "key 'K'", "only 'id'"),
    ({'side': None}, "key 'side'", "key 'side'", "only 'id'"),
    ({'fingerprint': None}, "key 'fingerprint'", 'fingerprint', 'only'),
    ({'contact_valid': None}, "key 'contact_valid'", 'contact_valid',
     'only'),
    ({'version': np.array(7)}, 'version', '1', '7'),
    ({'joints_cam': make_columns()['joints_cam'].astype('f8')},
     'joints_cam', 'float32', 'float64'),
    ({'joints_cam': make_columns()['joints_cam'][:, :20]}, 'joints_cam',
     'shape (24, 21, 3)', 'shape (24, 20, 3)'),
    ({'K': make_columns()['K'][:-1]}, 'K', 'shape (24, 4)', 'shape (23, 4)'),
    ({'pose_y': make_columns()['pose_y'][:, :1]}, 'object_valid',
     'shape (24, 1)', 'shape (24, 2)'),
    ({'betas': np.zeros((4, 9), 'f4')}, 'betas', 'shape (4, 10)',
     'shape (4, 9)'),
    ({'source': np.array('elsewhere')}, 'source', "'dexycb'", "'elsewhere'"),
    ({'image_pattern': np.array('{secret.__class__}')}, 'image_pattern',
     '{file_name}', '{secret'),
    ({'image_pattern': np.array('{file_name}')}, "key 'file_name'",
     'file_name', 'only'),
    ({'every': np.array(0)}, 'every', 'at least 1', '0'),
    ({'image_size': np.array([0, 480])}, 'image_size', 'width and height',
     '(0, 480)'),
    (at('sequence_row', 3, 4), 'sequence_row', 'from 0 to 3', '0 to 4'),
    (at('camera', 3, 2), 'camera', 'from 0 to 1', '0 to 2'),
    (at('frame', 3, -1), 'frame', 'from 0', '-1 to 2'),
    (at('side', 2, 2), 'side', 'from 0 to 1', '0 to 2'),
    (at('ycb_ids', (0, 0), 22), 'ycb_ids', 'from 0 to 21', '0 to 22'),
    (at('grasped', 0, 2), 'grasped', 'from -1 to 1', '-1 to 2'),
    (at('grasped', 1, 1), 'grasped', 'with an object', 'without'),
    (at('sequence_subject', 0, 9), 'sequence_subject', 'from 0 to 1',
     '0 to 9'),
    (at('id', 5, 4), 'id', 'rising', 'others'),
    (at('K', (4, 2), 320), 'K of row 4', '160 x 120 px', 'cx 320'),
    (at('K', (4, 1), -141), 'K of row 4', '160 x 120 px', 'fy -141'),
    (at('K', (4, 0), np.nan), 'K', 'finite', 'nan at (4, 0)'),
    (at('K', (4, slice(2)), 320), 'K of row 4', 'onto joints_px', 'px'),
    (at('joints_cam', (7, 3, 1), np.inf), 'joints_cam of row 7', 'finite',
     'nan or infinity in 1'),
    (at('joints_cam', (7, 3, 2), -.2), 'joints_cam of row 7',
     'in front of the camera', 'z = -0.2 m'),
    (at('bbox_hand', (7, 2), 0), 'bbox_hand of row 7', 'above 0', '['),
    (at('pose_y', (7, 0, 0, 0), np.nan), 'pose_y of row 7', 'finite',
     'nan or infinity'),
]


@pytest.mark.parametrize('damage, where, expected, found', DAMAGES)
def test_damaged_indexes_are_refused(path, damage, where, expected, found):
    columns = {**make_columns(), 'version': np.array(1), **damage}
    write_npz(path, **{name: values for name, values in columns.items()
                       if values is not None})
    with pytest.raises(DataError) as caught:
        read_index(path)
    error = caught.value
    assert (error.file, error.where) == (str(path), where)
    assert expected in error.expected and found in error.found
    assert '\n' not in str(error)


@pytest.mark.parametrize('keep', [30, 5000, -100])
def test_an_index_cut_short_is_refused(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError) as caught:
        read_index(path)
    assert (caught.value.where, caught.value.found) == (
        'archive', 'one that is cut short')


@pytest.mark.parametrize('damage', [
    at('K', (4, 2), 320), at('joints_cam', (7, 3, 2), -.2),
    {'betas': np.zeros((4, 9))}, {'id': np.array(['x'] * 24)},
    {'colour': np.zeros(3)}])
def test_nothing_unfitting_is_written(tmp_path, damage):
    with pytest.raises(DataError) as caught:
        write_index(tmp_path / 'a.npz', {**make_columns(), **damage})
    assert caught.value.file == str(tmp_path / 'a.npz')
    assert not any(tmp_path.iterdir())


def test_wider_numbers_are_written_as_documented(tmp_path):
    columns = make_columns()
    write_index(tmp_path / 'a.npz', dict(
        columns, joints_cam=columns['joints_cam'].astype('f8'),
        side=columns['side'].astype('i8')))
    found = read_index(tmp_path / 'a.npz')
    assert found['joints_cam'].dtype == 'f4' and found['side'].dtype == 'u1'


def test_every_value_can_be_checked(tmp_path):
    columns = make_columns(frames=40)
    columns['joints_cam'] = columns['joints_cam'].copy()
    columns['joints_cam'][2, 5, 0] = np.nan  # between those looked at first
    write_npz(tmp_path / 'a.npz', version=np.array(1), **columns)
    index = read_index(tmp_path / 'a.npz')
    with pytest.raises(DataError) as caught:
        index.check_values()
    assert caught.value.where == 'joints_cam of row 2'
    with pytest.raises(DataError, match='joints_cam of row 2'):
        write_index(tmp_path / 'b.npz', columns)
    assert not (tmp_path / 'b.npz').exists()


def make_folders(root: Path) -> None:
    for name in SEQUENCES:
        (root / name).mkdir(parents=True)


def test_an_index_knows_its_data(path, tmp_path):
    make_folders(tmp_path)
    index = read_index(path)
    index.check_root(tmp_path)
    # of subjects that it does not use, it takes no notice
    (tmp_path / '20200820-subject-03' / '20200820_140000').mkdir(parents=True)
    index.check_root(tmp_path)


@pytest.mark.parametrize('change, found', [
    (lambda root: (root / SEQUENCES[2]).rename(
        (root / SEQUENCES[2]).with_name('20200813_999999')),
     f'no sequence {SEQUENCES[2]} there, 1 missing in all'),
    (lambda root: (root / SUBJECTS[0] / '20200709_000000').mkdir(),
     'not the 5 sequences that are there'),
])
def test_an_index_of_other_data_is_refused(path, tmp_path, change, found):
    make_folders(tmp_path)
    change(tmp_path)
    with pytest.raises(DataError) as caught:
        read_index(path).check_root(tmp_path)
    assert (caught.value.file, caught.value.where) == (
        str(path), 'fingerprint')
    assert caught.value.expected == f'an index of the data in {tmp_path}'
    assert found in caught.value.found
    assert 'convert_dataset' in caught.value.hint


def test_a_missing_data_root_is_refused(path, tmp_path):
    with pytest.raises(DataError, match='the data root'):
        read_index(path).check_root(tmp_path / 'none')


def test_fingerprints_tell_data_sets_apart():
    names = ['s/a', 's/b']
    assert sequence_fingerprint(names, ['1']) == sequence_fingerprint(
        names[::-1], ['1'])
    assert len({sequence_fingerprint(*each) for each in (
        (names, ['1']), (names, ['2']), (names[:1], ['1']),
        (['s/a'], ['s/b', '1']))}) == 4


def test_all_columns_are_documented():
    from mmpose_ext.handobject import index_columns
    for name in (*REQUIRED, *OPTIONAL_COLUMNS):
        assert f'``{name}``' in index_columns.__doc__
    assert make_index('a.npz', make_columns()).columns.keys() >= {*REQUIRED}

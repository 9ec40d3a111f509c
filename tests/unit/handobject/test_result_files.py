"""Result files are read back, and refuse what an evaluation would."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.handobject.result_files import (
    bop_scenes,
    read_bop_poses,
    read_hand_poses,
    write_bop_poses,
    write_coco_keypoints,
    write_hand_poses,
)
from mmpose_ext.storage import DataError
from tests.unit.handobject.scored_samples import write_index

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def index(tmp_path_factory: pytest.TempPathFactory) -> HandObjectIndex:
    valid = np.arange(32) >= 2
    return write_index(tmp_path_factory.mktemp('index') / 's1_train.npz',
                       hand_valid=valid)


def test_hands_in_millimetres_by_their_index(index: HandObjectIndex,
                                             tmp_path: Path) -> None:
    ids = RNG.permutation(32)
    joints = RNG.normal(0, .1, (32, 21, 3))
    path = tmp_path / 'hands.txt'
    write_hand_poses(path, ids, joints, index)
    lines = path.read_text().splitlines()
    # those of frames without a hand are not asked for
    assert [int(line.split(',')[0]) for line in lines] == [*range(2, 32)]
    assert {len(line.split(',')) for line in lines} == {64}
    place = int(np.flatnonzero(ids == 2)[0])
    assert float(lines[0].split(',')[3]) == pytest.approx(
        1000 * joints[place, 0, 2], abs=1e-4)
    found, points = read_hand_poses(path)
    np.testing.assert_array_equal(found, np.arange(2, 32))
    np.testing.assert_allclose(points[np.argsort(np.argsort(
        ids[ids >= 2]))], joints[ids >= 2], atol=1e-7)


def expect(error: DataError, where: str, expected: str, found: str) -> None:
    assert error.where == where
    assert expected in error.expected
    assert found in error.found


def test_every_hand_must_be_there_once(index: HandObjectIndex,
                                       tmp_path: Path) -> None:
    path = tmp_path / 'hands.txt'
    ids, joints = np.arange(32), np.zeros((32, 21, 3))
    path.write_text('older')
    with pytest.raises(DataError) as caught:
        write_hand_poses(path, ids[:-2], joints[:-2], index)
    expect(caught.value, 'samples', 'all 30 samples with a hand',
           '28, no 30')
    with pytest.raises(DataError) as caught:
        write_hand_poses(path, [*ids, 5], [*joints, joints[0]], index)
    expect(caught.value, 'samples', 'each once', 'some twice')
    joints[7, 3, 1] = np.nan
    with pytest.raises(DataError) as caught:
        write_hand_poses(path, ids, joints, index)
    expect(caught.value, 'joints', 'finite values', 'nan')
    assert path.read_text() == 'older'
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(('line', 'expected', 'found'), [
    ('1,2,3', '64 values', '3'),
    (','.join(['1', *['x'] * 63]), 'numbers', "'x'"),
    (','.join(['1.5', *['2'] * 63]), 'numbers', "'1.5'"),
])
def test_damaged_hands(tmp_path: Path, line: str, expected: str,
                       found: str) -> None:
    path = tmp_path / 'hands.txt'
    path.write_text(','.join(['1'] * 64) + f'\n{line}\n')
    with pytest.raises(DataError) as caught:
        read_hand_poses(path)
    expect(caught.value, 'line 2', expected, found)
    path.write_bytes(b'\xff\xfe')
    with pytest.raises(DataError, match='expected text'):
        read_hand_poses(path)


def test_objects_of_keyframes_by_scene(index: HandObjectIndex,
                                       tmp_path: Path) -> None:
    ids = RNG.permutation(32)
    rotations = RNG.normal(size=(32, 21, 3, 3))
    translations = RNG.normal(size=(32, 21, 3))
    scores = RNG.random((32, 21))
    path = tmp_path / 'objects.csv'
    count = write_bop_poses(path, ids, rotations, translations, scores,
                            index)
    found = read_bop_poses(path)
    # 4 sequences, 2 cameras, frame 0 of 0 to 3, 2 objects
    assert count == len(found['obj_id']) == 16
    assert path.read_text().startswith('scene_id,im_id,obj_id,score,R,t,time')
    assert (found['time'] == -1).all()
    assert (found['im_id'] == 0).all()
    np.testing.assert_array_equal(found['scene_id'],
                                  np.repeat(np.arange(8), 2))
    np.testing.assert_array_equal(found['obj_id'][:4], [2, 5, 2, 5])
    place = int(np.flatnonzero(ids == 4)[0])  # second camera, frame 0
    np.testing.assert_allclose(found['R'][3], rotations[place, 4], atol=1e-8)
    np.testing.assert_allclose(found['t'][3], translations[place, 4],
                               atol=1e-7)
    assert found['score'][3] == pytest.approx(scores[place, 4], abs=1e-6)


def test_scenes_of_a_split_of_some_cameras(tmp_path: Path) -> None:
    other = write_index(tmp_path / 's0_val.npz', setup=np.array('s0'),
                        split=np.array('val'))
    np.testing.assert_array_equal(
        bop_scenes(other), other['sequence_row'] * 2 + other['camera'])
    one = write_index(tmp_path / 's2.npz', setup=np.array('s2'),
                      split=np.array('test'))
    with pytest.raises(DataError) as caught:
        bop_scenes(one)
    expect(caught.value, 'camera of row 0', 'those of the split', '0')
    none = write_index(tmp_path / 'none.npz', setup=np.array('all'))
    with pytest.raises(DataError) as caught:
        bop_scenes(none)
    expect(caught.value, 'setup', 'a setup of DexYCB', 'all train')


def test_every_keyframe_and_number_must_be_there(index: HandObjectIndex,
                                                 tmp_path: Path) -> None:
    path = tmp_path / 'objects.csv'
    rotations, translations = np.zeros((32, 21, 3, 3)), np.zeros((32, 21, 3))
    scores = np.zeros((32, 21))
    ids = np.arange(32)
    with pytest.raises(DataError) as caught:
        write_bop_poses(path, ids[:9], rotations, translations, scores, index)
    expect(caught.value, 'samples', 'all 7 keyframes', '2, no 12')
    translations[8, 12, 1] = np.inf
    with pytest.raises(DataError) as caught:
        write_bop_poses(path, ids, rotations, translations, scores, index)
    expect(caught.value, 'object 13 of sample 8', 'finite values', 'inf')
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(('text', 'where', 'expected', 'found'), [
    ('a,b\n1,2\n', 'line 1', 'scene_id,im_id', 'a,b'),
    ('scene_id,im_id,obj_id,score,R,t,time\n1,2,3,1,1 2,1 2 3,-1\n',
     'line 2', 'R of 9', 'reshape'),
    ('scene_id,im_id,obj_id,score,R,t,time\n1,2\n', 'line 2',
     'three numbers', 'unpack'),
])
def test_damaged_objects(tmp_path: Path, text: str, where: str,
                         expected: str, found: str) -> None:
    path = tmp_path / 'objects.csv'
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_bop_poses(path)
    expect(caught.value, where, expected, found)


def test_keypoints_of_coco(tmp_path: Path) -> None:
    pixels = RNG.uniform(0, 400, (2, 21, 2))
    write_coco_keypoints(tmp_path / 'k.json', np.array([7, 9]), pixels,
                         np.full((2, 21), .5))
    entries = json.loads((tmp_path / 'k.json').read_text())
    assert [entry['image_id'] for entry in entries] == [7, 9]
    assert {entry['category_id'] for entry in entries} == {22}
    assert entries[0]['score'] == .5
    np.testing.assert_allclose(
        np.reshape(entries[1]['keypoints'], (21, 3)),
        np.column_stack([pixels[1], np.full(21, .5)]), atol=1e-3)

from __future__ import annotations

import os

import numpy as np
import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.storage.mabe22 import read_mabe22

RNG = np.random.default_rng(0)
KINDS = ['Discrete', 'Continious', 'Discrete']


def make_content(**change):
    points = RNG.integers(1, 850, (2, 6, 3, 12, 2)).astype('i4')
    points[0, 2, 1, 4] = 0
    parts = dict(
        sequences={'S2': dict(keypoints=points[0]),
                   'S1': dict(keypoints=points[1])},
        vocabulary=['chases', 'hour', 'lights'], task_type=KINDS,
        label_array=RNG.integers(0, 2, (3, 12)).astype(float),
        frame_number_map={'S1': (0, 6), 'S2': (6, 12)})
    return {**parts, **change}


def save(path, content):
    np.save(path, np.array(content, object), allow_pickle=True)
    return path


def read(path, *words):
    return list(read_mabe22(path, *words))


@pytest.mark.parametrize('apart', [False, True])
def test_sequences_become_records(tmp_path, apart):
    content = make_content()
    path = save(tmp_path / 'train.npy', {'sequences': content['sequences']}
                if apart else content)
    labels = [save(tmp_path / 'l.npy', content)] if apart else []
    one, two = read(path, *labels)
    assert (one.id, two.id) == ('S1', 'S2')
    points = content['sequences']['S2']['keypoints']
    missing = np.isnan(two.tracks.position)
    assert missing.sum() == 2 and missing[2, 1, 4].all()
    np.testing.assert_array_equal(
        np.where(missing, 0, two.tracks.position), points)
    assert two.tracks.individuals == ('mouse_0', 'mouse_1', 'mouse_2')
    assert two.tracks.keypoints[-1] == 'tail_tip'
    assert two.tracks.fps == 30 and two.tracks.image_size == (850, 850)
    assert two.labels.classes == ('chases', 'lights')
    np.testing.assert_array_equal(two.labels.labels[..., 0],
                                  content['label_array'][[0, 2], 6:].T)


def test_tracks_alone_are_read(tmp_path):
    path = save(tmp_path / 'a.npy', {
        'sequences': make_content()['sequences']})
    assert all(record.labels is None for record in read(path))


@pytest.mark.parametrize('change, where', [
    (dict(sequences={}), "key 'sequences'"),
    (dict(sequences=[1]), "key 'sequences'"),
    (dict(sequences={'S1': {}}), "sequence 'S1'"),
    (dict(sequences={'S1': dict(keypoints=np.zeros((6, 3, 12)))}),
     "sequence 'S1', keypoints"),
    (dict(sequences={'S1': dict(keypoints=np.zeros((6, 11, 24, 2)))}),
     "sequence 'S1', keypoints"),
    (dict(sequences={'S1': dict(keypoints=['x'])}),
     "sequence 'S1', keypoints"),
    (dict(sequences={'S3': dict(keypoints=np.ones((6, 3, 12, 2)))}),
     "key 'S3'"),
    (dict(label_array=np.zeros((2, 12))), "key 'label_array'"),
    (dict(label_array=np.full((3, 12), .5)),
     "sequence 'S1', 'chases', frame 0"),
    (dict(label_array=np.zeros((3, 9))), "frame_number_map, 'S2'"),
    (dict(frame_number_map={'S1': (0, 5), 'S2': (6, 12)}),
     "record 'S1', labels"),
    (dict(frame_number_map={'S1': (0, ), 'S2': (6, 12)}),
     "frame_number_map, 'S1'"),
    (dict(frame_number_map=[0, 6]), "key 'frame_number_map'"),
    (dict(task_type=['Discrete']), "key 'task_type'"),
    (dict(task_type=['Continious'] * 3), "key 'task_type'")])
def test_damaged_files_are_refused(tmp_path, refused, change, where):
    path = save(tmp_path / 'a.npy', make_content(**change))
    with refused(where):
        read(path)


def test_a_list_is_refused(tmp_path, refused):
    path = tmp_path / 'a.npy'
    array = np.empty((), object)
    array[()] = ['sequences']
    np.save(path, array, allow_pickle=True)
    with refused('file'):
        read(path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ('bomb', )


def test_a_file_that_would_run_code_does_not(tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / 'a.npy', make_content(sequences=Bomb()))
    with refused('file'):
        read(path)
    assert not (tmp_path / 'bomb').exists()


def test_a_missing_file_tells_where_the_data_are(tmp_path):
    with pytest.raises(DataError, match='10.22002/rdsa8-rde65'):
        read(tmp_path / 'none.npy')

from __future__ import annotations

import json

import numpy as np
import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.storage.calms21 import read_calms21

RNG = np.random.default_rng(0)
VOCAB = {'other': 3, 'attack': 0, 'mount': 2, 'investigation': 1}


def video(rows=5, **change):
    parts = dict(keypoints=RNG.uniform(0, 500, (rows, 2, 2, 7)).tolist(),
                 scores=RNG.uniform(size=(rows, 2, 7)).tolist(),
                 annotations=RNG.integers(0, 4, rows).tolist(),
                 metadata=dict(fps=30, vocab=VOCAB))
    return {**parts, **change}


def write(path, content):
    path.write_text(content if isinstance(content, str)
                    else json.dumps(content))
    return path


def test_videos_become_records(tmp_path):
    videos = {'task1/train/mouse002': video(4),
              'task1/train/mouse001': video()}
    found = read_calms21(write(tmp_path / 'a.json',
                               {'annotator-id_0': videos}))
    assert [record.id for record in found] == sorted(videos)
    for record in found:
        truth, tracks = videos[record.id], record.tracks
        points = np.array(truth['keypoints'], 'f4')
        assert tracks.individuals == ('resident', 'intruder')
        assert tracks.keypoints[-1] == 'tail' and tracks.fps == 30
        assert tracks.image_size == (1024, 570)
        for mouse in range(2):
            for part in range(7):
                np.testing.assert_array_equal(
                    tracks.position[:, mouse, part],
                    points[:, mouse, :, part])
        np.testing.assert_array_equal(tracks.confidence,
                                      np.array(truth['scores'], 'f4'))
        labels = record.labels
        assert labels.classes == ('attack', 'investigation', 'mount', 'other')
        assert labels.annotators == ('annotator-id_0', )
        assert labels.labels[..., 0].argmax(1).tolist() == truth['annotations']
        assert (labels.labels.sum(1) == 1).all()


def test_videos_without_labels_are_read(tmp_path):
    bare = video()
    del bare['annotations'], bare['metadata'], bare['scores']
    bare['keypoints'][2][1] = [[float('nan')] * 7] * 2
    record, = read_calms21(write(tmp_path / 'a.json', {
        'unlabeled_videos': {'unlabeled/part1/mouse': bare}}))
    assert record.labels is None and record.tracks.confidence is None
    assert np.isnan(record.tracks.position[2, 1]).all()


def test_a_video_of_two_groups_is_two_records(tmp_path):
    found = read_calms21(write(tmp_path / 'a.json', {
        'annotator-id_1': {'m1': video()}, 'annotator-id_2': {'m1': video()}}))
    assert [record.id for record in found] == ['annotator-id_1/m1',
                                               'annotator-id_2/m1']
    assert [record.labels.annotators for record in found] == [
        ('annotator-id_1', ), ('annotator-id_2', )]


@pytest.mark.parametrize('change, where', [
    (dict(keypoints=[[1, 2], [3]]), 'm: keypoints'),
    (dict(keypoints=None), 'm: keypoints'),
    (dict(keypoints=np.zeros((5, 2, 7, 2)).tolist()), 'm: keypoints'),
    (dict(keypoints=np.zeros((5, 2, 2, 7)).astype(str).tolist()),
     'm: keypoints'),
    (dict(scores=np.zeros((4, 2, 7)).tolist()), 'm: scores'),
    (dict(annotations=[0, 1, 2]), 'm: annotations'),
    (dict(annotations=[0, 1, 2, 3, 4]), 'm: annotations, frame 4'),
    (dict(annotations=[0, 1, -1, 3, 2]), 'm: annotations, frame 2'),
    (dict(annotations=[0, .5, 1, 1, 1]), 'm: annotations'),
    (dict(metadata={}), 'm: metadata, vocab'),
    (dict(metadata=dict(vocab={'a': 0, 'b': 2})), 'm: metadata, vocab')])
def test_damaged_videos_are_refused(tmp_path, refused, change, where):
    path = write(tmp_path / 'a.json', {'g': {'m': video(**change)}})
    with refused(where):
        read_calms21(path)


def test_half_a_point_is_refused(tmp_path, refused):
    broken = video()
    broken['keypoints'][3][0][1][4] = float('nan')
    path = write(tmp_path / 'a.json', {'g': {'m': broken}})
    with refused("frame 3, 'resident', 'left_hip'"):
        read_calms21(path)


@pytest.mark.parametrize('content', [
    '{"a": ', '[1, 2]', '{"images": [], "annotations": []}',
    '{"g": {"m": {"features": [1]}}}', '[' * 100000])
def test_other_files_are_refused(tmp_path, refused, content):
    path = write(tmp_path / 'a.json', content)
    with refused('file'):
        read_calms21(path)


def test_a_video_named_twice_is_refused(tmp_path, refused):
    text = json.dumps(video(1))
    path = write(tmp_path / 'a.json',
                 f'{{"g": {{"m": {text}, "m": {text}}}}}')
    with refused("key 'm'"):
        read_calms21(path)


def test_a_missing_file_tells_where_the_data_are(tmp_path):
    with pytest.raises(DataError, match='data.caltech.edu.*D1.1991'):
        read_calms21(tmp_path / 'none.json')

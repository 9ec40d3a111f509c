from __future__ import annotations

import itertools

import numpy as np
import pytest

from mmpose_ext.handobject.dexycb_splits import (
    SETUPS,
    SPLITS,
    is_keyframe,
    running_ids,
    split_videos,
)

FULL = [100] * 10
# subjects x cameras x sequences, of the data set's paper
VIDEOS = {
    's0': (10 * 8 * 80, 2 * 8 * 20, 8 * 8 * 20),
    's1': (7 * 8 * 100, 1 * 8 * 100, 2 * 8 * 100),
    's2': (10 * 6 * 100, 10 * 1 * 100, 10 * 1 * 100),
    's3': (10 * 8 * 75, 10 * 8 * 10, 10 * 8 * 15),
}


def triples(setup, split, sequences=FULL, cameras=8):
    videos = split_videos(setup, split, sequences, cameras)
    return list(zip(videos.subject.tolist(), videos.number.tolist(),
                    videos.camera.tolist(), strict=True))


@pytest.mark.parametrize('setup', SETUPS)
def test_splits_have_the_published_numbers_of_videos(setup):
    found = tuple(len(split_videos(setup, split, FULL)) for split in SPLITS)
    assert found == VIDEOS[setup]
    assert VIDEOS['s0'] == (6400, 320, 1280)
    assert VIDEOS['s3'] == (6000, 800, 1200)


@pytest.mark.parametrize('setup', SETUPS)
def test_splits_share_out_all_videos(setup):
    parts = [set(triples(setup, split)) for split in SPLITS]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert set.union(*parts) == set(
        itertools.product(range(10), range(100), range(8)))


@pytest.mark.parametrize('setup, split, takes', [
    ('s0', 'train', lambda s, i, c: i % 5 != 4),
    ('s0', 'val', lambda s, i, c: s < 2 and i % 5 == 4),
    ('s0', 'test', lambda s, i, c: s >= 2 and i % 5 == 4),
    ('s1', 'train', lambda s, i, c: s < 6 or s == 9),
    ('s1', 'val', lambda s, i, c: s == 6),
    ('s1', 'test', lambda s, i, c: s in (7, 8)),
    ('s2', 'train', lambda s, i, c: c < 6),
    ('s2', 'val', lambda s, i, c: c == 6),
    ('s2', 'test', lambda s, i, c: c == 7),
    ('s3', 'train', lambda s, i, c: i // 5 not in (3, 7, 11, 15, 19)),
    ('s3', 'val', lambda s, i, c: i // 5 in (3, 19)),
    ('s3', 'test', lambda s, i, c: i // 5 in (7, 11, 15)),
])
def test_videos_come_by_subject_then_sequence_then_camera(setup, split,
                                                          takes):
    expected = [video for video in itertools.product(
        range(10), range(100), range(8)) if takes(*video)]
    assert triples(setup, split) == expected


def test_a_part_of_the_data_set_keeps_the_rules():
    few = [6, 0, 0, 0, 0, 0, 5, 0, 0, 3]
    assert triples('s0', 'train', few, 1) == [
        (subject, number, 0) for subject, count in enumerate(few)
        for number in range(count) if number % 5 != 4]
    assert triples('s0', 'val', few, 1) == [(0, 4, 0)]
    assert triples('s0', 'test', few, 1) == [(6, 4, 0)]
    assert triples('s1', 'val', few, 1) == [(6, i, 0) for i in range(5)]
    assert triples('s1', 'test', few) == []
    assert triples('s2', 'val', few, 6) == []


@pytest.mark.parametrize('setup, split, cameras', [
    ('s0', 'test', 8), ('s2', 'train', 6), ('s2', 'test', 1)])
def test_every_sequence_has_the_cameras_of_the_split(setup, split, cameras):
    videos = split_videos(setup, split, FULL)
    scenes = np.unique(list(zip(videos.subject, videos.number, strict=True)),
                       axis=0)
    assert len(videos) == len(scenes) * cameras


def test_ids_run_through_the_videos():
    assert running_ids([3, 1, 4]).tolist() == [0, 3, 4]
    assert running_ids([]).tolist() == []


def test_every_fourth_frame_is_a_keyframe():
    frames = np.arange(74)
    keys = frames[is_keyframe(frames)]
    assert keys.tolist() == list(range(0, 74, 4))


@pytest.mark.parametrize('setup, split', [('s4', 'train'), ('s0', 'all')])
def test_unknown_splits_are_refused(setup, split):
    with pytest.raises(ValueError, match=f'no split {setup} {split}'):
        split_videos(setup, split, FULL)

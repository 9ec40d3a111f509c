from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import io

from mmpose_ext.storage import (
    DataError,
    SkeletonFile,
    read_skeleton_file,
    write_skeleton_file,
)
from tests.unit.storage.matlab_files import Cell, save_v5, save_v73

NAMES = ('Snout', 'EarL', 'EarR')
EDGES = np.array([[0, 1], [0, 2]])
PUBLISHED = (
    '0-1 1-2 0-2 0-3 1-3 2-3 3-4 4-5 5-6 6-7 8-9 9-10 10-11 11-3 12-13 13-14 '
    '14-15 15-3 16-17 17-18 18-4 19-20 20-21 21-4')


def test_the_real_profile_has_the_published_edges(real_data):
    found = read_skeleton_file(real_data / 'label3d/mouse22_skeleton.mat')
    assert len(found.names) == 22
    assert found.names[:3] == ('EarL', 'EarR', 'Snout')
    assert ' '.join(f'{a}-{b}' for a, b in found.edges) == PUBLISHED
    assert found.colors.shape == (24, 4)


@pytest.mark.parametrize('suffix', ['.mat', '.json'])
@pytest.mark.parametrize('colors', [None, np.array([[1, 0, .5], [0, 1, 0]])])
def test_what_is_written_is_read(tmp_path, suffix, colors):
    skeleton = SkeletonFile(Path('x'), NAMES, EDGES, colors)
    path = tmp_path / f'skeleton{suffix}'
    write_skeleton_file(path, skeleton)
    found = read_skeleton_file(path)
    assert found.names == NAMES
    np.testing.assert_array_equal(found.edges, EDGES)
    assert (found.colors is None) == (colors is None)
    if colors is not None:
        np.testing.assert_array_equal(found.colors, colors)


def test_profiles_count_from_one(tmp_path):
    write_skeleton_file(tmp_path / 's.mat', SkeletonFile(Path('x'), NAMES,
                                                         EDGES))
    assert io.loadmat(tmp_path / 's.mat')['joints_idx'].tolist() == [
        [1, 2], [1, 3]]


@pytest.mark.parametrize('save', [save_v5, save_v73])
def test_a_profile_of_one_point_has_no_edge(tmp_path, save):
    found = read_skeleton_file(save(tmp_path / 'com.mat', {
        'joint_names': Cell(['COM'], False),
        'joints_idx': np.array([[1, 1]]), 'color': np.ones((1, 4))}))
    assert found.names == ('COM', ) and found.edges.shape == (0, 2)


def test_colours_of_bytes_are_brought_to_one(tmp_path):
    colors = np.array([[255, 0, 51], [0, 102, 255]], np.uint8)
    found = read_skeleton_file(save_v5(tmp_path / 's.mat', {
        'joint_names': Cell(NAMES), 'joints_idx': EDGES + 1,
        'color': colors}))
    np.testing.assert_allclose(found.colors, colors / 255)


@pytest.mark.parametrize('edges', [[[0, 1], [0, 2]],
                                   [['Snout', 'EarL'], ['Snout', 'EarR']]])
def test_edges_may_be_places_or_names(tmp_path, edges):
    path = tmp_path / 's.json'
    path.write_text(json.dumps({'names': NAMES, 'edges': edges}))
    np.testing.assert_array_equal(read_skeleton_file(path).edges, EDGES)


@pytest.mark.parametrize('content, where', [
    ('{', 'file'),
    ('[]', 'file'),
    ('{"names": ["a"]}', "key 'edges'"),
    ('{"names": ["a", "a"], "edges": []}', 'names'),
    ('{"names": [], "edges": []}', 'names'),
    ('{"names": ["a", 3], "edges": []}', "key 'names'"),
    ('{"names": ["a", "b"], "edges": [["a", "c"]]}', "key 'edges'"),
    ('{"names": ["a", "b"], "edges": [[0, 2]]}', 'edge 0'),
    ('{"names": ["a", "b"], "edges": [[0, 1], [-1, 0]]}', 'edge 1'),
    ('{"names": ["a", "b"], "edges": [[0, 1, 1]]}', 'edges'),
    ('{"names": ["a", "b"], "edges": [[0, 1.5]]}', "key 'edges'"),
    ('{"names": ["a", "b"], "edges": 3}', "key 'edges'"),
    ('{"names": ["a", "b"], "edges": [[0, 1]], "colors": ["red"]}',
     "key 'colors'"),
    ('{"names": ["a", "b"], "edges": [[0, 1]], "colors": [[0, -1, 0]]}',
     'colors'),
    ('{"names": ["a", "b"], "edges": [[0, 1]], "colors": [[0, 1]]}',
     'colors'),
])
def test_damaged_json_is_refused(tmp_path, refused, content, where):
    path = tmp_path / 's.json'
    path.write_text(content)
    with refused(where):
        read_skeleton_file(path)


@pytest.mark.parametrize('change, where', [
    ({'joints_idx': np.array([[0, 1]])}, 'edge 0'),
    ({'joints_idx': np.array([[1, 4]])}, 'edge 0'),
    ({'joints_idx': np.array([[1, 2, 3]])}, "key 'joints_idx'"),
    ({'joints_idx': 'all'}, "key 'joints_idx'"),
    ({'joint_names': np.eye(2)}, "key 'joint_names'"),
    ({'joint_names': Cell(['a', np.eye(2)])}, "key 'joint_names'"),
    ({'color': np.ones((3, 4))}, "key 'color'"),
])
def test_damaged_profiles_are_refused(tmp_path, refused, change, where):
    path = save_v5(tmp_path / 's.mat', {
        'joint_names': Cell(NAMES), 'joints_idx': EDGES + 1, **change})
    with refused(where):
        read_skeleton_file(path)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(DataError, match='ending in'):
        write_skeleton_file(tmp_path / 's.txt',
                            SkeletonFile(Path('x'), NAMES, EDGES))

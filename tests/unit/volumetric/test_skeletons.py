"""Skeletons: the built-in ones as published, files, and sides by name."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.com_datasets import com_metainfo
from mmpose_ext.volumetric.skeletons import (
    BUILT_IN,
    build_metainfo,
    find_sides,
    load_skeleton,
)

COUNTS = dict(rat23=(23, 23), mouse22=(22, 24), rat7m=(20, 21),
              rat16=(16, 16), mouse14=(14, 14))


@pytest.mark.parametrize('name', BUILT_IN)
def test_built_in_skeletons_have_the_published_counts(name: str) -> None:
    meta = load_skeleton(name)
    assert (meta['num_keypoints'], len(meta['skeleton_links'])) == COUNTS[
        name]
    flips = np.array(meta['flip_indices'])
    assert (flips[flips] == np.arange(len(flips))).all()


def test_rat23_swaps_the_published_sides() -> None:
    flips = load_skeleton('rat23')['flip_indices']
    left = [1, 7, 8, 9, 10, 15, 16, 17, 18]
    right = [2, 11, 12, 13, 14, 19, 20, 21, 22]
    assert [flips[i] for i in left] == right
    assert [i for i, j in enumerate(flips) if i == j] == [0, 3, 4, 5, 6]


def test_rat7m_leaves_its_single_left_marker_in_the_middle() -> None:
    meta = load_skeleton('rat7m')
    assert meta['flip_indices'][meta['keypoint_name2id']['HeadL']] == 2


def test_mouse14_pairs_shoulders_of_different_spelling() -> None:
    meta = load_skeleton('mouse14')
    names = meta['keypoint_name2id']
    assert meta['flip_indices'][names['ForShdL']] == names['ForeShdR']


def test_published_file_is_the_built_in_mouse22(real_data: Path) -> None:
    read = load_skeleton(real_data / 'label3d' / 'mouse22_skeleton.mat')
    built_in = load_skeleton('mouse22')
    for key in ('keypoint_id2name', 'skeleton_links', 'flip_indices'):
        assert read[key] == built_in[key]


def test_relative_files_begin_at_the_data(tmp_path: Path) -> None:
    (tmp_path / 'own.json').write_text(
        '{"names": ["a", "b"], "edges": [[0, 1]]}')
    meta = load_skeleton('own.json', tmp_path)
    assert meta['keypoint_id2name'] == {0: 'a', 1: 'b'}
    with pytest.raises(DataError, match=r'other\.json'):
        load_skeleton('other.json', tmp_path)


@pytest.mark.parametrize(('left', 'right'), [
    ('EarL', 'EarR'), ('Ear_L', 'Ear_R'), ('ear_left', 'ear_right'),
    ('LeftEar', 'RightEar'), ('leftear', 'rightear'), ('l_ear', 'r_ear'),
    ('paw_L_front', 'paw_R_front'), ('lf_hoof', 'rf_hoof'),
    ('LEFT_EYE', 'RIGHT_EYE')])
def test_sides_are_found_by_name(left: str, right: str) -> None:
    assert find_sides(['snout', right, left]) == {left: right, right: left}


def test_names_without_a_counterpart_lie_in_the_middle() -> None:
    assert find_sides(['SpineL', 'tail', 'leg', 'nose', 'Ear_R']) == {}


def test_matlab_file_counts_from_one_and_colours_its_links(
        tmp_path: Path) -> None:
    path = tmp_path / 'cat.mat'
    names = np.empty(3, object)
    names[:] = ['Nose', 'EarL', 'EarR']
    savemat(path, dict(joint_names=names, joints_idx=[[1, 2], [1, 3]],
                       color=[[1., 0, 0, 1], [0, 0, 1, 1]]))
    meta = load_skeleton(path)
    assert meta['dataset_name'] == 'cat'
    assert meta['skeleton_links'] == [(0, 1), (0, 2)]
    assert meta['skeleton_link_colors'].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert meta['flip_indices'] == [0, 2, 1]


def test_python_file_is_read_as_mmpose_reads_it(tmp_path: Path) -> None:
    path = tmp_path / 'dog.py'
    path.write_text('dataset_info = dict(dataset_name="dog", keypoint_info={0:'
                    ' dict(name="a", id=0, color=[0, 0, 0], type="", swap="")'
                    '}, skeleton_info={}, joint_weights=[1.], sigmas=[.1])')
    assert load_skeleton(path)['num_keypoints'] == 1


def test_links_take_the_colour_of_their_side() -> None:
    meta = build_metainfo('x', ['a', 'EarL', 'EarR'], [(0, 1), (2, 0)])
    left, right = meta['skeleton_link_colors'].tolist()
    assert left == meta['keypoint_colors'][1].tolist()
    assert right == meta['keypoint_colors'][2].tolist() != left


def test_skeleton_without_links_survives_a_checkpoint(
        tmp_path: Path) -> None:
    (tmp_path / 'dots.json').write_text('{"names": ["a", "b"], "edges": []}')
    for meta in (load_skeleton(tmp_path / 'dots.json'), com_metainfo()):
        torch.save(dict(meta=dict(dataset_meta=meta)), tmp_path / 'a.pth')
        loaded = load_checkpoint(tmp_path / 'a.pth')['meta']['dataset_meta']
        assert loaded['skeleton_links'] == []
        assert not len(loaded['skeleton_link_colors'])


def test_misspelt_name_is_put_right() -> None:
    with pytest.raises(ValueError, match="did you mean 'rat23'"):
        load_skeleton('rat32')


@pytest.mark.parametrize('text', ['', 'x = 1', 'import nothing_here',
                                  'dataset_info = dict(dataset_name="a")'])
def test_python_file_without_a_skeleton_is_refused(text: str,
                                                   tmp_path: Path) -> None:
    path = tmp_path / 'dog.py'
    path.write_text(text)
    with pytest.raises(DataError, match='dog.py'):
        load_skeleton(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='nothing'):
        load_skeleton(tmp_path / 'cat.mat')

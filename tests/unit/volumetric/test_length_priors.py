"""Lengths of bones from files and from labels."""
from __future__ import annotations

import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from scipy import io

from mmpose_ext.storage import DataError
from mmpose_ext.storage.matlab import write_matlab
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.length_priors import (
    LengthPriors,
    check_bones,
    check_units,
    measure_bones,
    read_priors,
    write_priors,
)
from mmpose_ext.volumetric.skeletons import load_skeleton

CHAIN = BodyPlan(('a', 'b', 'c', 'd'), ((0, 1), (1, 2), (2, 3)),
                 (0, 1, 2, 3), 'chain')
TABLE = np.array([[10., 1.], [20., 2.], [5., 0.]])


def labels_with_gaps() -> np.ndarray:
    labels = 20 * np.random.default_rng(0).standard_normal((30, 4, 3))
    labels[::3, 0] = np.nan
    labels[1::4, 2, 1] = np.nan  # one coordinate is enough
    labels[1:, 3] = np.nan
    return labels


def slow_lengths(labels: np.ndarray, bone: int) -> list[float]:
    first, second = CHAIN.links[bone]
    return [math.dist(pose[first], pose[second])
            for pose in labels.tolist()]


def test_each_bone_is_measured_where_both_ends_are_known():
    labels = labels_with_gaps()
    found = measure_bones(labels, CHAIN, 'labels')
    for bone in range(2):
        known = [length for length in slow_lengths(labels, bone)
                 if not math.isnan(length)]
        assert 5 < len(known) < 30
        assert found.counts[bone] == len(known)
        assert found.mean[bone] == pytest.approx(statistics.mean(known))
        assert found.std[bone] == pytest.approx(statistics.stdev(known))
    # labelled once: no standard deviation
    assert found.counts[2] == 1 and found.known.tolist() == [True, True, False]
    assert np.isnan(found.std[2])


def test_ratios_are_taken_in_each_pose():
    labels = labels_with_gaps()
    found = measure_bones(labels, CHAIN, 'labels', reference=1)
    ratios = [length / reference for length, reference in zip(
        slow_lengths(labels, 0), slow_lengths(labels, 1), strict=True)
        if not math.isnan(length / reference)]
    assert found.mean[0] == pytest.approx(statistics.mean(ratios))
    assert found.std[0] == pytest.approx(statistics.stdev(ratios))
    assert found.mean[1] == 1 and found.std[1] == 0


def test_two_ends_at_one_place_are_no_length():
    labels = np.random.default_rng(0).standard_normal((4, 4, 3))
    labels[0, 1] = labels[0, 0]
    assert measure_bones(labels, CHAIN, '').counts.tolist() == [3, 4, 4]
    ratios = measure_bones(labels, CHAIN, '', reference=0)
    assert ratios.counts.tolist() == [3, 3, 3]


def test_nothing_labelled_is_nothing_known():
    for labels in (np.zeros((0, 4, 3)), np.full((5, 4, 3), np.nan)):
        assert not measure_bones(labels, CHAIN, '').known.any()


@pytest.mark.parametrize('suffix', ['.npy', '.mat'])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str):
    path = tmp_path / f'priors{suffix}'
    written = measure_bones(labels_with_gaps(), CHAIN, 'labels')
    write_priors(path, written)
    found = read_priors(str(path))
    np.testing.assert_array_equal(found.mean, written.mean)
    np.testing.assert_array_equal(found.std, written.std)
    assert found.bones == (CHAIN.link_names if suffix == '.mat' else None)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    check_bones(found, CHAIN)


def test_published_rat_has_a_length_for_each_bone_by_name():
    priors = read_priors('rat23')
    plan = BodyPlan.from_metainfo(load_skeleton('rat23'))
    check_bones(priors, plan)
    lengths = dict(zip(plan.link_names, priors.mean.tolist(), strict=True))
    assert lengths['EarL-EarR'] == 29.6
    assert lengths['Snout-SpineF'] == 85.
    assert lengths['KneeR-AnkleR'] == 28.6
    # the two sides agree, so no row has slipped
    for left, right in (('HipL-KneeL', 'HipR-KneeR'),
                        ('KneeL-AnkleL', 'KneeR-AnkleR'),
                        ('AnkleL-FootL', 'AnkleR-FootR'),
                        ('ShoulderL-ElbowL', 'ShoulderR-ElbowR')):
        assert lengths[left] == pytest.approx(lengths[right], rel=.05)


@pytest.mark.parametrize('variables', [
    dict(priors=TABLE, other=TABLE), dict(bone_lengths=TABLE),
    dict(anything=TABLE, joints_idx=np.array([[1, 2], [2, 3], [3, 4]])),
    dict(priors=TABLE.astype(np.float32), text='rat')])
def test_matlab_users_may_name_it_as_they_like(tmp_path: Path, variables):
    io.savemat(tmp_path / 'a.mat', variables)
    np.testing.assert_allclose(read_priors(tmp_path / 'a.mat').mean,
                               TABLE[:, 0])


@pytest.mark.parametrize('variables, match', [
    (dict(one=TABLE, two=TABLE), 'one, two'),
    (dict(joints_idx=TABLE.astype(np.uint8), joint_names='abc'),
     'is it a skeleton'),
    (dict(priors='long'), 'dtype'), (dict(priors=TABLE.T), 'shape'),
    (dict(priors=TABLE, bones='a-b'), "3 names, one a row of key 'priors'")])
def test_other_matlab_files_are_refused(tmp_path: Path, variables, match):
    write_matlab(tmp_path / 'a.mat', variables)
    with pytest.raises(DataError, match=match):
        read_priors(tmp_path / 'a.mat')


def table_with(place: tuple[int, int], value: float) -> np.ndarray:
    table = TABLE.copy()
    table[place] = value
    return table


@pytest.mark.parametrize('table, match', [
    (TABLE[:, :1], r'expected shape \(\*, 2\)'), (TABLE[0], 'shape'),
    (TABLE.astype(str), 'dtype'), (TABLE.astype(complex), 'dtype'),
    (TABLE[:0], 'no row'), (np.full((2, 2), np.nan), 'NaN alone'),
    (table_with((1, 0), np.nan), 'row 1.*mean of nan'),
    (table_with((1, 0), 0), 'row 1.*mean of 0'),
    (table_with((2, 0), -4), 'row 2.*mean of -4'),
    (table_with((0, 0), np.inf), 'row 0.*mean of inf'),
    (table_with((0, 1), -1), 'row 0.*deviation of -1'),
    (table_with((1, 1), np.nan), 'row 1.*deviation of nan')])
def test_other_arrays_are_refused(tmp_path: Path, table, match):
    np.save(tmp_path / 'a.npy', table)
    with pytest.raises(DataError, match=match) as caught:
        read_priors(tmp_path / 'a.npy')
    assert 'a.npy' in caught.value.file


def test_damaged_files_are_refused(tmp_path: Path):
    path = tmp_path / 'a.npy'
    with pytest.raises(DataError, match='nothing'):
        read_priors(path)
    path.write_bytes(b'')
    with pytest.raises(DataError, match='empty'):
        read_priors(path)
    np.save(path, TABLE)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match='as numpy.save writes it'):
        read_priors(path)
    np.save(path, np.array([TABLE, 'code'], object), allow_pickle=True)
    with pytest.raises(DataError, match='as numpy.save writes it'):
        read_priors(path)
    with path.open('wb') as stream:
        np.savez(stream, TABLE)
    with pytest.raises(DataError, match='archive'):
        read_priors(path)
    (tmp_path / 'a.mat').write_bytes(b'MATLAB 5.0 MAT-file'.ljust(200))
    with pytest.raises(DataError, match='MATLAB'):
        read_priors(tmp_path / 'a.mat')


@pytest.mark.parametrize('name', ['rat22', 'label', 'priors.csv'])
def test_unknown_names_are_refused(name: str):
    with pytest.raises(ValueError, match='priors: expected'):
        read_priors(name)


def test_nothing_is_written_under_another_ending(tmp_path: Path):
    with pytest.raises(DataError, match='.npy or .mat'):
        write_priors(tmp_path / 'a.csv', read_priors('rat23'))
    assert not list(tmp_path.iterdir())


def test_priors_of_another_skeleton_are_refused():
    with pytest.raises(DataError, match=r'3, one for each bone.*found 23'):
        check_bones(read_priors('rat23'), CHAIN)
    named = LengthPriors(*TABLE.T, 'p.mat', None, ('b-a', 'b-c', 'c-e'))
    with pytest.raises(DataError, match="row 2: expected bone 'c-d'"):
        check_bones(named, CHAIN)


@pytest.mark.parametrize('scale, fits', [
    (1, True), (2, True), (.4, True), (.001, False), (10, False)])
def test_priors_of_another_unit_are_refused(scale: float, fits: bool):
    labels = np.cumsum(np.pad(
        np.random.default_rng(0).standard_normal((9, 3, 3)),
        ((0, 0), (1, 0), (0, 0))), 1)
    own = measure_bones(labels, CHAIN, 'data')
    other = LengthPriors(own.mean * scale, own.std, 'priors.npy')
    counted = np.arange(3)
    if fits:
        check_units(other, labels, CHAIN, counted, 'data')
        return
    with pytest.raises(DataError, match=f'priors.npy.*{scale:g} times'):
        check_units(other, labels, CHAIN, counted, 'data')
    # nothing to compare with
    check_units(other, labels[:0], CHAIN, counted, 'data')

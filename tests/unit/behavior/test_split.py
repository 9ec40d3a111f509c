"""Which records, or stretches, train, validate and test."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.behavior.split import SplitRule, split_store
from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.storage import DataError


def store_of(*lengths: int, ids: tuple[str, ...] | None = None) -> TrackStore:
    sizes = np.array(lengths, np.int64)
    count = len(sizes)
    return TrackStore(
        Path('data'), np.zeros((sizes.sum() + 1, 2, 1, 2), np.float32),
        np.cumsum(sizes) - sizes, sizes, None,
        ids or tuple(f'r{i:02}' for i in range(count)), ('a', 'b'),
        ('nose', ), ('x', 'y'), (), np.full(count, 30.), np.ones((count, 2)),
        np.zeros((count, 2)), np.zeros(count, np.int64))


def split(store: TrackStore, **rule) -> dict[str, TrackStore]:
    return split_store(store, SplitRule(**rule))


def ids(parts: dict[str, TrackStore]) -> dict[str, tuple[str, ...]]:
    return {part: store.ids for part, store in parts.items()}


def test_records_are_dealt_out_whole_each_to_one_part():
    store = store_of(*range(50, 90))
    parts = split(store)
    assert [len(part) for part in parts.values()] == [30, 5, 5]
    assert sorted(name for part in parts.values() for name in part.ids) == (
        list(store.ids))
    assert all(part.tracks is store.tracks for part in parts.values())
    assert all(part.ids == tuple(sorted(part.ids))
               for part in parts.values())


def test_the_seed_decides_which():
    store = store_of(*[50] * 40)
    assert ids(split(store, seed=1)) == ids(split(store_of(*[50] * 40),
                                                  seed=1))
    assert ids(split(store, seed=1)) != ids(split(store, seed=2))


@pytest.mark.parametrize('count', range(3, 12))
def test_every_part_with_a_share_gets_a_record(count):
    parts = split(store_of(*[50] * count), fractions=(.9, .05, .05))
    assert min(len(part) for part in parts.values()) >= 1
    assert sum(len(part) for part in parts.values()) == count


def test_a_part_without_a_share_gets_none():
    parts = split(store_of(50, 50), fractions=(.5, .5, 0))
    assert [len(part) for part in parts.values()] == [1, 1, 0]


def test_too_few_records_are_told_to_be_cut():
    with pytest.raises(DataError, match='method=block'):
        split(store_of(500))


def test_blocks_follow_each_other_with_gaps():
    parts = split(store_of(1000, 400), method='block',
                  fractions=(.5, .25, .25), gap=10)
    assert ids(parts) == dict(
        train=('r00[0:500]', 'r01[0:200]'),
        val=('r00[510:750]', 'r01[210:300]'),
        test=('r00[760:1000]', 'r01[310:400]'))
    assert parts['test'].starts.tolist() == [760, 1310]
    assert parts['test'].lengths.tolist() == [240, 90]


def test_several_blocks_interleave_and_share_no_frame():
    parts = split(store_of(1003), method='block', blocks=4, gap=5,
                  fractions=(.6, .2, .2))
    used = np.zeros(1003, int)
    for part in parts.values():
        assert len(part) == 4
        for start, length in zip(part.starts, part.lengths, strict=True):
            used[start:start + length] += 1
    assert used.max() == 1
    # eleven borders of four blocks of three stretches
    assert (used == 0).sum() == 11 * 5
    assert parts['train'].total_frames == pytest.approx(600, abs=20)


def test_a_stretch_that_the_gap_eats_up_is_an_error():
    with pytest.raises(DataError, match='frames for val'):
        split(store_of(100), method='block', gap=30)


@pytest.mark.parametrize(('count', 'ratio', 'seed'), [
    (10, .2, 42), (7, .3, 1991), (25, .1, 0)])
def test_the_published_split_is_that_of_scikit_learn(count, ratio, seed):
    selection = pytest.importorskip('sklearn.model_selection')
    store = store_of(*[50] * count)
    train, val = selection.train_test_split(
        list(store.ids), test_size=ratio, random_state=seed)
    assert ids(split(store, method='dev_ratio', ratio=ratio, seed=seed)) == (
        dict(train=tuple(sorted(train)), val=tuple(sorted(val)), test=()))


def test_a_published_split_of_one_record_is_an_error():
    pytest.importorskip('sklearn')
    with pytest.raises(DataError, match='at least 2 records'):
        split(store_of(50), method='dev_ratio', ratio=.5)


def test_ids_may_say_where_they_belong():
    store = store_of(50, 50, 50, ids=('train/a', 'train/b', 'test/c'))
    assert ids(split(store, method='filter', train='train', test=['test'])
               ) == dict(train=('train/a', 'train/b'), val=(),
                         test=('test/c', ))
    assert ids(split(store, method='filter', train='*', val='/b')) == dict(
        train=('train/a', 'test/c'), val=('train/b', ), test=())


@pytest.mark.parametrize(('rule', 'where'), [
    (dict(train='train', val='/a'), "record 'train/a'"),
    (dict(train='train', test='tset'), 'split_by.test'),
    (dict(train='*', test='*'), 'split by filter')])
def test_texts_that_decide_nothing_are_an_error(rule, where):
    store = store_of(50, 50, ids=('train/a', 'train/b'))
    with pytest.raises(DataError) as caught:
        split(store, method='filter', **rule)
    assert where in caught.value.where


@pytest.mark.parametrize('rule', [
    dict(method='group'), dict(fractions=(.5, .5)),
    dict(fractions=(.5, .5, .5)), dict(fractions=(1.5, -.5, 0)),
    dict(gap=-1), dict(blocks=0), dict(method='dev_ratio'), dict(ratio=.2),
    dict(method='dev_ratio', ratio=1.), dict(method='filter'),
    dict(train='a')])
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(ValueError, match='split_by'):
        SplitRule(**rule)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.direction.split import SplitRule, split_rows
from mmpose_ext.storage import DataError
from tests.unit.direction.data_files import draw_animals

FILE = Path('rats.npz')
IMAGES = draw_animals(120)[0]


def split(ids: dict | None = None, images=IMAGES, **rule: object):
    ids = {key: np.asarray(value).astype(str)
           for key, value in (ids or {}).items()}
    return split_rows(FILE, images, ids, SplitRule(**rule))


def test_every_row_is_in_one_part() -> None:
    found = split(dict(source_id=np.arange(120)))
    rows = np.concatenate(list(found.parts.values()))
    assert sorted(rows) == list(range(120))
    assert [len(part) for part in found.parts.values()] == [90, 15, 15]


@pytest.mark.parametrize('key', ['session', 'animal', 'source_id'])
def test_groups_stay_together(key: str) -> None:
    groups = np.random.default_rng(0).integers(0, 20, 120)
    found = split({key: groups})
    assert found.grouped_by == key
    sides = [set(groups[rows]) for rows in found.parts.values()]
    assert not sides[0] & sides[1] and not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert set(found.part_of_group().values()) == {'train', 'val', 'test'}


def test_sessions_come_before_animals_before_sources() -> None:
    ids = dict(source_id=np.arange(120), animal=np.arange(120) % 12,
               session=np.arange(120) // 10)
    assert split(ids).grouped_by == 'session'
    assert split(ids, key='animal').grouped_by == 'animal'
    del ids['session']
    assert split(ids).grouped_by == 'animal'


def test_without_ids_copies_are_grouped() -> None:
    images = np.concatenate([IMAGES[:40], IMAGES[:40, ::-1]])
    found = split(images=images)
    assert found.grouped_by == 'near-duplicates'
    part = np.empty(80, int)
    for i, rows in enumerate(found.parts.values()):
        part[rows] = i
    np.testing.assert_array_equal(part[:40], part[40:])


def test_seed_decides() -> None:
    ids = dict(source_id=np.arange(120))
    one, same, other = (split(ids, seed=seed).parts['val']
                        for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_blocks_keep_their_order_and_gap() -> None:
    found = split(method='block', fractions=(.7, .1, .2), gap=3)
    assert found.parts['train'].tolist() == list(range(84))
    assert found.parts['val'].tolist() == list(range(87, 96))
    assert found.parts['test'].tolist() == list(range(99, 120))


def test_one_animal_is_held_out() -> None:
    animal = np.array(['a', 'b', 'c'])[np.arange(120) % 3]
    found = split(dict(animal=animal, session=np.arange(120) // 6),
                  holdout='b', key='animal', fractions=(.5, .5, 0))
    assert set(animal[found.parts['test']]) == {'b'}
    assert 'b' not in animal[found.parts['train']]


def test_rows_are_split_only_when_asked_by_name() -> None:
    with pytest.raises(ValueError, match='allow_leaky_split'):
        SplitRule(method='row')
    many = np.empty((8000, 1, 1), np.uint8)  # rows are split unseen
    found = split(images=many, method='row', allow_leaky_split=True,
                  bootstrap=True)
    used = np.unique(np.concatenate(list(found.parts.values())))
    # drawing with replacement uses 1 - 1/e of the rows
    assert len(used) / len(many) == pytest.approx(.632, abs=.02)


def test_blocks_cut_every_session() -> None:
    session = np.arange(120) // 60
    found = split(dict(session=session), method='block',
                  fractions=(.5, .25, .25), gap=2)
    for name in (0, 1):
        rows = [part[session[part] == name] for part in found.parts.values()]
        assert [len(part) for part in rows] == [30, 13, 13]
        assert rows[0].max() < rows[1].min() and (
            rows[1].max() < rows[2].min())


def test_leak_is_refused_or_reported() -> None:
    images = np.concatenate([IMAGES[:40], IMAGES[:40]])
    ids = dict(source_id=np.arange(80))
    with pytest.raises(DataError, match='rows [0-9]+ and [0-9]+'):
        split(ids, images=images)
    found = split(ids, images=images, allow_leaky_split=True)
    assert len(found.leaks) > 0
    train = set(found.parts['train'])
    for one, other in found.leaks:
        assert one in train and other not in train
        assert abs(one - other) == 40


@pytest.mark.parametrize(('rule', 'ids', 'where'), [
    (dict(), dict(session=np.zeros(120)), 'split by session'),
    (dict(key='animal'), dict(session=np.arange(120)), 'split_by.key'),
    (dict(holdout='x'), dict(animal=np.arange(120)), 'split_by.holdout'),
    (dict(holdout='x'), dict(session=np.arange(120)), 'split_by.holdout'),
    (dict(holdout='0.0'), dict(animal=np.zeros(120)), 'split by animal'),
    (dict(method='block', gap=60), {}, 'split by blocks of frames'),
])
def test_impossible_split_is_refused(rule: dict, ids: dict,
                                     where: str) -> None:
    with pytest.raises(DataError) as caught:
        split(ids, **rule)
    assert caught.value.where == where


@pytest.mark.parametrize('rule', [
    dict(method='rows'), dict(fractions=(.5, .6, .1)), dict(fractions=(1, )),
    dict(fractions=(1.2, -.1, -.1))])
def test_bad_rule_is_refused(rule: dict) -> None:
    with pytest.raises(ValueError, match=r'split_by\.'):
        SplitRule(**rule)

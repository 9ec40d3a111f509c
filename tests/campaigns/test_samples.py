"""A few cases of each campaign, so that they do not rot.

``make campaign`` runs hundreds.
"""
from __future__ import annotations

from collections import Counter

import pytest

from tests.campaigns import damaged, dead_process, disk_full, kills
from tests.campaigns.cases import Case, Place, PromiseError
from tests.front_door.client import shared_server

MODULES = (damaged, kills, disk_full, dead_process)
FAMILY = 'direction'  # the quickest


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp('campaigns')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMPOSE_EXT_DATA', str(folder / 'data'))
        yield Place(folder, folder / 'data')


def run(case: Case, place: Place) -> str:
    folder = place.folder / case.campaign / str(case.seed)
    folder.mkdir(parents=True)
    return case.run(place, shared_server(), folder)


@pytest.mark.parametrize('module', MODULES, ids=lambda module: module.NAME)
def test_a_seed_decides_everything(module) -> None:
    one, other = ([(case.seed, case.family, case.what) for case in module.plan(
        seeds, None)] for seeds in (range(40), range(20, 40)))
    assert one[20:] == other
    assert len({family for _, family, _ in one}) == 5 or module is damaged


def test_every_kind_of_file_meets_every_damage() -> None:
    kinds = Counter((case.family, case.kind)
                    for case in damaged.plan(range(damaged.COUNT), None))
    assert len(kinds) > 50 and len({family for family, _ in kinds}) == 5
    assert min(kinds.values()) >= 3


@pytest.mark.parametrize('seed', [0, 3, 5, 19, 34])
def test_damaged_input_is_refused(place: Place, seed: int) -> None:
    case, = damaged.plan(range(seed, seed + 1), FAMILY)
    assert run(case, place) in ('refused', 'harmless')


@pytest.mark.parametrize(('code', 'text'), [
    (-11, ''), (-9, ''), (2, 'usage: predict.py'), (1, 'error: oh'),
    (1, 'Traceback (most recent call last):\nerror: a: b: expected c, found d')
])
def test_a_poor_ending_is_found_out(code: int, text: str) -> None:
    damaged.check_ending(1, 'error: a.npz: key: expected b, found c')
    with pytest.raises(PromiseError):
        damaged.check_ending(code, text)


@pytest.mark.dist
def test_a_death_ends_the_other_process(place: Place) -> None:
    case, = dead_process.plan(range(1), FAMILY)
    assert run(case, place) == 'an error, soon'


def test_full_disk(place: Place) -> None:
    case, = disk_full.plan(range(1, 2), FAMILY)
    assert run(case, place) == 'to the bit'

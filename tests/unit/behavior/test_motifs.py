"""Motifs: known states are found, and parity is hmmlearn itself."""
from __future__ import annotations

import sys

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from sklearn.metrics import adjusted_rand_score

from mmpose_ext.behavior.motifs import (
    MotifOptions,
    draw_records,
    scan_motifs,
    whitening,
)
from mmpose_ext.storage import DataError


def make_records(count: int = 5, states: int = 4,
                 seed: int = 0) -> tuple[list, list]:
    """Embeddings (T, 6) about the corners of known states, and the states."""
    generator = np.random.default_rng(seed)
    corners = 3 * np.eye(states, 6)
    known = [np.repeat(generator.integers(0, states, 15),
                       generator.integers(8, 40, 15)) for _ in range(count)]
    return [(corners[one] + generator.normal(0, 1, (len(one), 6))).astype(
        np.float32) for one in known], known


def scan(records: list, number: int, **options: object):
    return dict(scan_motifs(records, [number], MotifOptions(**options)))[
        number]


@pytest.mark.parametrize('options', [
    {}, dict(whiten=None), dict(covariance='diag'), dict(covariance='tied'),
    dict(whiten=4, sticky=10.)])
def test_known_states_are_found(options: dict) -> None:
    records, known = make_records()
    found = scan(records, 4, **options)
    assert adjusted_rand_score(np.concatenate(known),
                               np.concatenate(found.states)) > .9


def test_bic_and_held_out_likelihood_point_at_the_number_of_states() -> None:
    records, _ = make_records(6)
    scans = dict(scan_motifs(records, range(2, 7), MotifOptions()))
    assert min(scans, key=lambda n: scans[n].figures['bic']) == 4
    held_out = {n: one.figures['held_out_ll_per_frame']
                for n, one in scans.items()}
    assert held_out[4] > held_out[3] + .1
    assert held_out[6] < held_out[4] + .05


@pytest.mark.parametrize('fraction', [1., .5])
def test_parity_is_hmmlearn_with_its_defaults(fraction: float) -> None:
    records, _ = make_records()
    found = scan(records, 3, parity=True, fit_fraction=fraction, seed=7,
                 iterations=5)
    chosen = draw_records(len(records), MotifOptions(
        parity=True, fit_fraction=fraction, seed=7))[0]
    assert len(chosen) == (5 if fraction == 1 else 3)
    machine = GaussianHMM(3, 'full', n_iter=5, tol=1e-3, random_state=7)
    machine.fit(np.concatenate([records[i] for i in chosen]).astype(float),
                [len(records[i]) for i in chosen])
    values = np.concatenate(records).astype(float)
    lengths = list(map(len, records))
    assert np.array_equal(np.concatenate(found.states),
                          machine.predict(values, lengths))
    for name, wanted in (('ll', machine.score(values, lengths)),
                         ('aic', machine.aic(values, lengths)),
                         ('bic', machine.bic(values, lengths))):
        assert found.figures[name] == pytest.approx(wanted, rel=1e-9)
    assert found.model.history.tolist() == list(machine.monitor_.history)


def test_records_are_drawn_with_and_without_replacement() -> None:
    drawn = [draw_records(40, MotifOptions(parity=True, fit_fraction=.9,
                                           seed=seed))[0]
             for seed in range(3)]
    assert all(len(np.unique(one)) < len(one) == 36 for one in drawn)
    fitted, held_out = draw_records(40, MotifOptions(fit_fraction=.9))
    assert sorted([*fitted, *held_out]) == list(range(40))
    assert len(held_out) == 4
    assert not len(draw_records(1, MotifOptions())[1])


def test_states_are_ordered_by_their_share() -> None:
    records, _ = make_records(seed=3)
    found = scan(records, 4)
    counts = np.bincount(np.concatenate(found.states), minlength=4)
    assert (np.diff(counts) <= 0).all()
    # the model was put in the same order
    again = np.concatenate([found.model.segment(one) for one in records])
    assert np.array_equal(again, np.concatenate(found.states))


def test_same_seed_same_motifs() -> None:
    records, _ = make_records()
    one, other = scan(records, 4), scan(records, 4)
    assert all(map(np.array_equal, one.states, other.states))
    several = dict(scan_motifs(records, [3, 4], MotifOptions(), jobs=2))
    assert all(map(np.array_equal, one.states, several[4].states))


def test_sticky_prior_makes_longer_bouts() -> None:
    records, _ = make_records()
    records = [one * .4 for one in records]  # states that are hard to tell
    noisy = [one + np.random.default_rng(1).normal(0, .8, one.shape)
             for one in records]
    bouts = [scan(noisy, 4, sticky=sticky).figures['mean_bout']
             for sticky in (0., 3., 100.)]
    assert bouts[0] < bouts[1] < bouts[2]


def test_more_states_than_clusters_leave_some_empty_not_broken() -> None:
    generator = np.random.default_rng(0)
    corners = np.array([[0., 0], [9, 0]])
    records = [corners[generator.integers(0, 2, 80)] + 1e-3 * generator.normal(
        size=(80, 2)) for _ in range(3)]
    found = scan(records, 6, iterations=30)
    assert np.allclose(found.model.transitions.sum(1), 1)
    assert np.isfinite(found.figures['ll'])
    counts = np.bincount(np.concatenate(found.states), minlength=6)
    assert found.figures['empty_states'] == (counts == 0).sum()


def test_whitening_leaves_components_of_equal_size() -> None:
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(500, 5)) @ generator.normal(size=(5, 5))
    mixed[:, 4] = mixed[:, 3]
    centre, projection = whitening([mixed[:200], mixed[200:]],
                                   MotifOptions(whiten=16))
    assert projection.shape == (5, 4)  # what does not vary is left out
    assert np.allclose(np.cov(((mixed - centre) @ projection).T), np.eye(4))


def test_what_cannot_be_segmented_is_told() -> None:
    with pytest.raises(DataError, match='at most 8'):
        scan([np.zeros((10, 2))[:8]], 9, whiten=None)
    with pytest.raises(DataError, match='embeddings that vary'):
        scan([np.ones((50, 2))], 2)


def test_absent_package_is_named_with_its_cure(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'hmmlearn', None)
    with pytest.raises(DataError, match=r'pip install mmpose_ext\[behavior\]'):
        scan(make_records(2)[0], 2)


@pytest.mark.parametrize('options', [
    dict(iterations=0), dict(fit_fraction=0.), dict(fit_fraction=1.1),
    dict(covariance='round'), dict(whiten=0), dict(sticky=-1.)])
def test_settings_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        MotifOptions(**options)

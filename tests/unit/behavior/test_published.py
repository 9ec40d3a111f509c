"""Parity: the draws of the original in their order, however reached."""
from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from mmpose_ext.behavior.ground import WindowGround
from mmpose_ext.behavior.published import (
    PublishedSettings,
    PublishedStream,
    named_seeds,
    worker_seed,
)
from mmpose_ext.behavior.windows import WindowShape
from mmpose_ext.storage import DataError

from .stores import make_store

W, SEED, COUNT = 16, 123, 200
LENGTHS = (60, 40, 80)


def stream(task, store=None, **settings):
    ground = WindowGround(store or make_store(LENGTHS),
                          WindowShape(W, 0, 'zero'), whole=False)
    return PublishedStream(task, ground, PublishedSettings(**settings), SEED)


class ByHand:
    """The stated draws, one after another, of a task."""

    def __init__(self, store):
        self.store = store
        self.g = torch.Generator().manual_seed(SEED)

    def integer(self, low, high):
        return torch.randint(low, high, (1, ), generator=self.g).item()

    def u(self):
        return torch.rand(1, generator=self.g).item()

    def frame(self):
        number = self.integer(0, sum(LENGTHS))
        for record, length in enumerate(LENGTHS):
            if number < length:
                return record, number
            number -= length
        raise AssertionError

    def window(self, record, frame):
        track = self.store.record(record)
        padded = np.concatenate([np.zeros((W, *track.shape[1:])), track])
        return padded[frame + 1:frame + 1 + W]

    def cons(self):
        r, f = self.frame()
        window = self.window(r, f).copy()
        if not self.u() < .5:
            return window, 0
        r2, f2 = self.frame()
        while r2 == r:
            r2, f2 = self.frame()
        k = self.integer(1, 2)
        window[:, k:] = self.window(r2, f2)[:, k:]
        return window, 1

    def order(self):
        r, f = self.frame()
        label = self.u() < .5
        f2 = (self.integer(f, LENGTHS[r]) if label else
              self.integer(0, f + 1))
        c = self.integer(1, W)
        window = self.window(r, f).copy()
        window[c:] = self.window(r, f2)[c:]
        return window, label

    def shift(self):
        r, f = self.frame()
        f2 = self.integer(max(f - 60, 0), min(f + 60, LENGTHS[r]))
        k = self.integer(1, 2)
        window = self.window(r, f).copy()
        window[:, k:] = self.window(r, f2)[:, k:]
        return window, f2 > f

    def warp(self):
        r, f = self.frame()
        speed = self.u() * (1.5 - .5) + .5
        size = int(np.rint(speed * W))
        track = self.store.record(r).reshape(LENGTHS[r], -1)
        padded = np.concatenate([np.zeros((2 * W, track.shape[1])), track])
        source = padded[f + 2 * W + 1 - size:f + 2 * W + 1]
        window = np.stack([np.interp(np.linspace(0, size - 1, W),
                                     np.arange(size), column)
                           for column in source.T], 1)
        return window.reshape(W, *self.store.tracks.shape[1:]), speed > 1


@pytest.mark.parametrize('task', ['cons', 'order', 'shift', 'warp'])
def test_every_draw_is_the_stated_one(task):
    store = make_store(LENGTHS)
    part = stream(task, store).ask(range(COUNT))
    hand = ByHand(store)
    for number in range(COUNT):
        window, label = getattr(hand, task)()
        np.testing.assert_allclose(part.inputs[number], window, atol=1e-6)
        assert part.labels['labels'][number] == [label]


@pytest.mark.parametrize('task', ['cons', 'order', 'shift', 'warp',
                                  'multiclass', 'multilabel'])
def test_a_question_does_not_depend_on_how_it_is_reached(task):
    whole = stream(task).ask(range(60))
    for batches in ([range(30, 40), range(40, 50)],  # of a second worker
                    [range(50, 60), range(0, 10)]):  # back to the start
        one = stream(task)
        for batch in batches:
            part = one.ask(batch)
            np.testing.assert_array_equal(part.inputs,
                                          whole.inputs[list(batch)])
            np.testing.assert_array_equal(
                part.labels['labels'], whole.labels['labels'][list(batch)])


def test_rates_of_the_answers():
    for task in ('cons', 'order', 'warp'):
        labels = stream(task, make_store((400, 400))).ask(
            range(3000)).labels['labels']
        assert labels.mean() == pytest.approx(.5, abs=.03)
    labels = stream('shift', make_store((4000, ))).ask(
        range(3000)).labels['labels']
    assert labels.mean() == pytest.approx(59 / 120, abs=.03)


def test_regression_asks_for_numbers():
    shift = stream('shift', regression=True).ask(range(500)).labels['labels']
    assert shift.min() >= 0 and shift.max() <= 119 / 120
    assert len(np.unique(shift)) > 50


def test_simple_order_may_take_another_record():
    part = stream('order', order_method='simple').ask(range(300))
    assert set(part.labels['labels'][:, 0]) == {0, 1}


def test_frames_keep_their_labels():
    store = make_store(LENGTHS)
    part = stream('multiclass', store).ask(range(50))
    hand = ByHand(store)
    for window, label in zip(part.inputs, part.labels['labels'],
                             strict=True):
        record, frame = hand.frame()
        np.testing.assert_allclose(window, hand.window(record, frame),
                                   atol=1e-7)
        assert store.record_labels(record)[frame].argmax() == label


def test_seeds_are_spawned_in_order():
    numbers = np.random.default_rng(1991).integers(0, 2**31 - 1, 13)
    seeds = named_seeds(1991, ['cons', 'warp'])
    assert list(seeds.values()) == numbers.tolist()
    assert list(seeds)[:5] == ['torch', 'dev_split', 'test_split',
                               'train_shuffle_cons', 'train_shuffle_warp']
    packed = (seeds['dataset_warp']).to_bytes(4, 'big') + bytes(4)
    digest = hashlib.blake2b(packed, digest_size=8).digest()
    assert worker_seed(seeds['dataset_warp']) == int.from_bytes(digest, 'big')


@pytest.mark.parametrize(('task', 'lengths', 'individuals', 'named'), [
    ('cons', (60, ), 2, 'records'), ('cons', (60, 50), 1, 'individuals'),
    ('shift', (60, 50), 1, 'individuals')])
def test_what_would_hang_or_mean_nothing_is_refused(task, lengths,
                                                    individuals, named):
    with pytest.raises(DataError, match=named):
        stream(task, make_store(lengths, individuals=individuals))


def test_frames_without_labels_are_refused_before_they_are_asked():
    store = make_store(LENGTHS)
    object.__setattr__(store, 'labels', None)
    with pytest.raises(DataError, match='labelled frames, for multilabel'):
        stream('multilabel', store)


@pytest.mark.parametrize('settings', [
    dict(max_warp=100), dict(max_shift=0), dict(order_method='loose')])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match='expected'):
        PublishedSettings(**settings)

"""Questions have the answers they are given, half yes and half no."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.ground import WindowGround
from mmpose_ext.behavior.pretext import (
    LisbetConsistencyTask,
    LisbetOrderTask,
    LisbetShiftTask,
)
from mmpose_ext.behavior.windows import WindowShape
from mmpose_ext.storage import DataError

from .stores import make_store

W, COUNT = 32, 2000


def numbered_store(lengths=(500, 400, 600), individuals=2):
    """Tracks in which every point tells its row."""
    store = make_store(lengths, individuals=individuals, keypoints=1)
    rows = np.arange(len(store.tracks) - 1, dtype=np.float32)
    store.tracks[:-1] = rows[:, None, None, None]
    return store


def ask(task, store, count=COUNT, seed=0, sources=None):
    """Questions, and the row that each frame of each individual shows."""
    ground = WindowGround(store, WindowShape(W, 4))
    task.prepare(ground)
    rng = np.random.default_rng(seed)
    anchors = ground.locate(rng.integers(0, ground.count, count))
    part = task.ask(anchors, rng.random((count, task.draws)), sources)
    rows = part.inputs[:, :, :, 0, 0].astype(int)
    return part.labels['labels'][:, 0], rows, ground, anchors


def record_of(store, rows):
    return np.searchsorted(store.starts, rows, 'right') - 1


def test_consistent_windows_are_untouched_and_others_come_from_elsewhere():
    store = numbered_store()
    labels, rows, ground, _ = ask(LisbetConsistencyTask(), store)
    assert abs(labels.mean() - .5) < .04
    same = (rows[:, :, 0] == rows[:, :, 1]).all(1)
    np.testing.assert_array_equal(same, labels == 0)
    # each individual by itself is an unbroken stretch
    assert (np.diff(rows, axis=1) == 1).all()
    last = rows[labels == 1, -1]
    records = record_of(store, last)
    inside = records[:, 0] == records[:, 1]
    assert abs(inside.mean() - .5) < .06
    assert np.abs(np.diff(last[inside], axis=1)).min() >= 2 * W


def test_partners_of_other_records_are_spread_over_all_their_frames():
    store = numbered_store((500, 100, 100))
    labels, rows, _, _ = ask(LisbetConsistencyTask(same_record=0.), store,
                             8000)
    records = record_of(store, rows[labels == 1, -1])
    assert (records[:, 0] != records[:, 1]).all()
    partners = np.bincount(records[records[:, 0] == 1, 1], minlength=3)
    # windows that fit: 469 and 69
    assert partners[0] / partners.sum() == pytest.approx(469 / 538, abs=.05)


def test_a_single_record_is_its_own_partner():
    labels, rows, _, _ = ask(LisbetConsistencyTask(),
                             numbered_store((400, )))
    distance = np.abs(rows[labels == 1, 0, 0] - rows[labels == 1, 0, 1])
    assert distance.min() >= 2 * W


def test_order_joins_parts_whose_distance_has_the_sign_of_the_answer():
    labels, rows, _, _ = ask(LisbetOrderTask(5, 20), numbered_store())
    assert abs(labels.mean() - .5) < .04
    steps = np.diff(rows[:, :, 0], axis=1)
    assert ((steps != 1).sum(1) == 1).all()
    jumps = steps[steps != 1] - 1
    np.testing.assert_array_equal(jumps > 0, labels == 1)
    assert set(np.abs(jumps)) == set(range(5, 21))
    joints = np.argwhere(steps != 1)[:, 1] + 1
    assert joints.min() >= W // 8 and joints.max() <= W - W // 8


def test_where_a_window_lies_tells_nothing_of_its_order():
    """The published task puts the later part where f2 >= f: late ones."""
    labels, rows, _, _ = ask(LisbetOrderTask(5, 20),
                             numbered_store((500, )), 8000)
    middle = rows[:, :, 0].mean(1)
    assert abs(middle[labels == 1].mean() - middle[labels == 0].mean()) < 8


def test_shift_shows_the_last_ones_later_where_it_says_so():
    task = LisbetShiftTask(5, 20, regression=True)
    answers, rows, _, _ = ask(task, numbered_store(individuals=3))
    delays = rows[:, 0, 2] - rows[:, 0, 0]
    np.testing.assert_allclose(answers, (delays + 20) / 40, atol=1e-6)
    assert set(np.abs(delays)) == set(range(5, 21))
    # both ways of cutting three individuals occur
    middle = rows[:, 0, 1] == rows[:, 0, 0]
    assert abs(middle.mean() - .5) < .05
    labels, rows, _, _ = ask(LisbetShiftTask(5, 20), numbered_store())
    np.testing.assert_array_equal(rows[:, 0, 1] > rows[:, 0, 0], labels == 1)


def test_permuted_identities_keep_the_answer():
    store = numbered_store()
    store.tracks[:-1, 1] += .5  # which one is seen
    swapped = np.broadcast_to([1, 0], (COUNT, 1, 2))
    labels, rows, ground, anchors = ask(LisbetShiftTask(5, 20), store,
                                        sources=swapped)
    np.testing.assert_array_equal(rows[:, 0, 1] > rows[:, 0, 0], labels == 1)
    part = ground.cut(anchors, swapped)[:, 0, :, 0, 0] % 1
    assert (part == [.5, 0]).all()


def test_windows_lie_within_their_records():
    for task in (LisbetConsistencyTask(), LisbetOrderTask(5, 20),
                 LisbetShiftTask(5, 20)):
        store = numbered_store()
        _, rows, _, _ = ask(task, store)
        edges = record_of(store, rows[:, [0, -1]])
        assert (edges[:, 0] == edges[:, 1]).all()


@pytest.mark.parametrize(('task', 'store', 'named'), [
    (LisbetConsistencyTask(), make_store(individuals=1), 'individuals'),
    (LisbetShiftTask(), make_store(individuals=1), 'individuals'),
    (LisbetConsistencyTask(), make_store((100, )), 'cons'),
    (LisbetOrderTask(40, 60), make_store((300, 60)), 'r1'),
], ids=['cons alone', 'shift alone', 'one short record', 'short record'])
def test_data_that_cannot_be_asked_are_refused(task, store, named):
    with pytest.raises(DataError, match=named):
        task.prepare(WindowGround(store, WindowShape(W)))


@pytest.mark.parametrize('make', [
    lambda: LisbetOrderTask(0, 5), lambda: LisbetShiftTask(9, 5),
    lambda: LisbetOrderTask(margin=.5), lambda: LisbetConsistencyTask(0),
    lambda: LisbetConsistencyTask(same_record=2)])
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError, match='expected'):
        make()


def test_every_number_has_a_frame_of_its_own():
    store = numbered_store((500, 10, 600))  # the second is all padding
    ground = WindowGround(store, WindowShape(W, 4))
    numbers = np.arange(ground.count)
    anchors = ground.locate(numbers)
    assert (np.diff(anchors.rows) > 0).all()
    assert np.bincount(anchors.records).tolist() == [469, 10, 569]
    assert ground.counts.tolist() == [469, 10, 569]

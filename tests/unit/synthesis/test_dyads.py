"""Mice that meet: what they are said to do is what one sees them do."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.synthesis.behavior import Recording, record_dyads
from mmpose_ext.synthesis.dyads import ARENA, BEHAVIOURS

FRAMES = 3000
NOSE, NECK, TAIL = 0, 3, 6
SIDES = ((1, 2), (4, 5))  # left and right ears, hips


@pytest.fixture(scope='module')
def recordings() -> list[Recording]:
    return record_dyads(5, list(range(10)), FRAMES)


def bouts(recordings: list[Recording], name: str, least: int = 1,
          skip: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Exact points of whole bouts without their first frames.

    Of the actor and of the other, (T, 7, 2) each.
    """
    found = []
    for recording in recordings:
        inside = recording.dyad.behaviours == BEHAVIOURS.index(name)
        edges = np.flatnonzero(np.diff(np.r_[0, inside.astype(int), 0]))
        for start, stop in edges.reshape(-1, 2):
            if stop - start >= least + skip:
                rows = slice(start + skip, stop)
                actor = recording.dyad.actor[start]
                found.append((recording.points[rows, actor],
                              recording.points[rows, 1 - actor]))
    assert len(found) > 5
    return found


def speeds(points: np.ndarray) -> np.ndarray:
    """Of the trunk, px a frame, smoothed."""
    trunk = points[..., 3:, :].mean(-2)
    return np.linalg.norm(trunk[5:] - trunk[:-5], axis=-1) / 5


def headings(points: np.ndarray) -> np.ndarray:
    axis = points[..., NECK, :] - points[..., TAIL, :]
    return np.unwrap(np.arctan2(axis[..., 1], axis[..., 0]), axis=0)


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one[:, 3:].mean(1) - other[:, 3:].mean(1), axis=-1)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def test_all_behaviours_take_turns(recordings: list[Recording]) -> None:
    for recording in recordings:
        changes = np.flatnonzero(np.diff(recording.dyad.behaviours))
        assert 20 < len(changes) < 70
    shares = np.bincount(np.concatenate([
        recording.dyad.behaviours for recording in recordings]),
        minlength=6) / (len(recordings) * FRAMES)
    assert shares.min() > .03 and shares.max() < .45


def test_either_animal_takes_the_lead(recordings: list[Recording]) -> None:
    for name in ('approach', 'attack', 'follow', 'investigation'):
        inside = [recording.dyad.actor[
            recording.dyad.behaviours == BEHAVIOURS.index(name)]
            for recording in recordings]
        assert .25 < np.concatenate(inside).mean() < .75


def test_who_follows_comes_where_the_leader_was(
        recordings: list[Recording]) -> None:
    lags = np.arange(-30, 31)
    best, off = [], []
    for actor, leader in bouts(recordings, 'follow', 60, skip=30):
        neck, path = actor[:, NECK], leader[:, NECK]
        misses = [np.linalg.norm(
            neck[max(lag, 0):len(neck) + min(lag, 0)]
            - path[max(-lag, 0):len(path) + min(-lag, 0)], axis=-1).mean()
                  for lag in lags]
        best.append(lags[np.argmin(misses)])
        off.append(min(misses))
    assert 10 <= np.median(best) <= 14  # .4 s
    assert np.mean(np.array(best) > 5) > .9
    assert np.median(off) < 15


def test_who_follows_is_as_fast_as_the_leader_was(
        recordings: list[Recording]) -> None:
    lags = np.arange(-30, 31)
    total = np.zeros(len(lags))
    for actor, leader in bouts(recordings, 'follow', 80, skip=30):
        one, other = (speeds(points) for points in (actor, leader))
        one, other = ((each - each.mean()) / each.std()
                      for each in (one, other))
        total += [(one[max(lag, 0):len(one) + min(lag, 0)]
                   * other[max(-lag, 0):len(other) + min(-lag, 0)]).mean()
                  for lag in lags]
    assert 8 <= lags[total.argmax()] <= 18


def test_who_approaches_comes_nearer_and_fast(
        recordings: list[Recording]) -> None:
    gained, fast = [], []
    for actor, other in bouts(recordings, 'approach', 30, skip=10):
        apart = distances(actor, other)
        gained.append(apart[0] - apart[-1])
        fast.append(speeds(actor).mean() > 2 * speeds(other).mean())
    assert np.mean(np.array(gained) > 20) > .8
    assert np.mean(fast) > .75


def test_attacks_are_fast_close_and_winding(
        recordings: list[Recording]) -> None:
    attack, other = (
        [(np.median(distances(one, two)), speeds(one).mean(),
          np.abs(np.diff(headings(two))).mean())
         for one, two in bouts(recordings, name, 40, skip=15)]
        for name in ('attack', 'other'))
    apart, speed, turn = np.median(attack, 0)
    assert apart < 70 and speed > 3.5 and turn > .05
    usual = np.median(other, 0)
    assert apart < .6 * usual[0] and turn > 2 * usual[2]


def test_who_investigates_has_its_nose_at_the_other(
        recordings: list[Recording]) -> None:
    near, slow = [], []
    for actor, other in bouts(recordings, 'investigation', 40, skip=25):
        gap = np.linalg.norm(actor[:, NOSE, None] - other, axis=-1)
        near.append(np.median(gap.min(1)))
        slow.append(speeds(actor).mean())
    assert np.median(near) < 25
    assert np.median(slow) < 3


def test_idle_animals_stay_but_fidget(recordings: list[Recording]) -> None:
    for actor, other in bouts(recordings, 'idle', 20, skip=15):
        for points in (actor, other):
            trunk = points[:, 3:].mean(1)
            assert np.linalg.norm(np.ptp(trunk, axis=0)) < 15
            nose = points[:, NOSE] - points[:, NECK]
            assert nose.std(0).max() > 1


def test_left_is_left_and_the_nose_is_ahead(
        recordings: list[Recording]) -> None:
    for recording in recordings:
        points = recording.points
        axis = points[..., NECK, :] - points[..., TAIL, :]
        face = points[..., NOSE, :] - points[..., NECK, :]
        for (left, right), ahead in zip(SIDES, (face, axis), strict=True):
            side = points[..., right, :] - points[..., left, :]
            assert (cross(ahead, side) > 0).all()  # y is down
        assert (np.einsum('tnx,tnx->tn', axis, face) > 0).mean() > .97
        # about as long as a mouse in CalMS21
        assert 50 < np.linalg.norm(axis, axis=-1).mean() < 75


def test_animals_go_forward(recordings: list[Recording]) -> None:
    """So a jump back in time is a jump backward."""
    for recording in recordings:
        points = recording.points
        axis = points[..., NECK, :] - points[..., TAIL, :]
        step = points[10:, :, 3:].mean(2) - points[:-10, :, 3:].mean(2)
        moved = np.linalg.norm(step, axis=-1) > 15
        ahead = np.einsum('tnx,tnx->tn', step, axis[5:-5]) > 0
        assert ahead[moved].mean() > .97


def test_animals_stay_in_the_arena_and_use_all_of_it(
        recordings: list[Recording]) -> None:
    points = np.concatenate([recording.points for recording in recordings])
    outside = (points < 0) | (points > np.array(ARENA) - 1)
    assert outside.mean() < .002
    middle = points.mean(2)
    assert (np.ptp(middle, axis=(0, 1)) > .8 * np.array(ARENA)).all()


def test_nothing_drifts(recordings: list[Recording]) -> None:
    """When a window was cut out must not be seen from where it lies."""
    more = np.array([
        [*(late.mean((0, 1, 2)) - early.mean((0, 1, 2))),
         speeds(late).mean() - speeds(early).mean()]
        for recording in recordings
        for early, late in [(recording.points[:1500],
                             recording.points[1500:])]])
    assert (np.abs(more.mean(0)) < 3 * more.std(0) / len(more)**.5).all()


def test_the_head_keeps_its_own_time(recordings: list[Recording]) -> None:
    """Strides grow with the speed; the scanning head tells the tempo."""
    scans: dict[str, list[float]] = {'slow': [], 'fast': []}
    strides: dict[str, list[float]] = {'slow': [], 'fast': []}
    for recording in recordings:
        for animal in range(2):
            points = recording.points[:, animal]
            axis = points[:, NECK] - points[:, TAIL]
            face = points[:, NOSE] - points[:, NECK]
            angle = np.arctan2(cross(axis, face), (axis * face).sum(-1))
            axis = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
            step = ((points[:, 4] - points[:, 5]) * axis).sum(-1)
            pace = speeds(points)
            for start in range(0, FRAMES - 100, 50):
                rows = slice(start, start + 90)
                kind = ('slow' if pace[rows].max() < 3 else
                        'fast' if pace[rows].min() > 4 else '')
                if kind:
                    scans[kind].append(peak_hz(angle[rows]))
                    if pace[rows].min() > .8:
                        strides[kind].append(peak_hz(step[rows]))
    slow, fast = (np.median(scans[kind]) for kind in ('slow', 'fast'))
    assert 2.5 < slow < 3.5 and fast == pytest.approx(slow, abs=.25)
    assert np.median(strides['fast']) > 1.15 * np.median(strides['slow'])


def peak_hz(values: np.ndarray) -> float:
    """Where the spectrum above 1.5 Hz is highest."""
    values = np.diff(values - values.mean()) * np.hanning(len(values) - 1)
    power = np.abs(np.fft.rfft(values, 512))
    hertz = np.fft.rfftfreq(512, 1 / 30)
    return hertz[hertz > 1.5][power[hertz > 1.5].argmax()]


def test_who_is_ahead_comes_from_later(recordings: list[Recording]) -> None:
    """A delay of one animal shows, whoever leads."""
    rng = np.random.default_rng(0)
    right = []
    for _ in range(2000):
        points = recordings[rng.integers(len(recordings))].points
        start = rng.integers(60, FRAMES - 124)
        delay = rng.integers(10, 61) * rng.choice([-1, 1])
        one = points[start:start + 64, 0]
        two = points[start + delay:start + delay + 64, 1]
        way = (two - one)[:, 3:].mean(1)
        axes = (one[:, NECK] - one[:, TAIL]) + (two[:, NECK] - two[:, TAIL])
        right.append(((way * axes).sum(-1).mean() > 0) == (delay > 0))
    assert .7 < np.mean(right) < .95


def test_a_pair_does_not_depend_on_the_others() -> None:
    alone, = record_dyads(5, [3], 400)
    among = record_dyads(5, [1, 3, 2], 400)[1]
    np.testing.assert_allclose(alone.points, among.points, atol=1e-6)
    np.testing.assert_array_equal(alone.dyad.behaviours,
                                  among.dyad.behaviours)

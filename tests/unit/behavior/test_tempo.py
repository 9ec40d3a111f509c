"""Windows at other speeds keep the motion, and tell nothing else."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.ground import Anchors, WindowGround
from mmpose_ext.behavior.pretext import LisbetWarpTask
from mmpose_ext.behavior.published import PublishedSettings, PublishedStream
from mmpose_ext.behavior.tempo import (
    BOX,
    KERNEL,
    estimate_noise,
    play_at_speeds,
)
from mmpose_ext.behavior.windows import WindowShape

from .stores import make_store

NOISE = .003


def play(tracks, middles, speeds, size=64, noise=0.):
    count = len(speeds)
    return play_at_speeds(
        tracks, np.asarray(middles, float), np.zeros(count, np.int64),
        np.full(count, len(tracks) - 1), np.asarray(speeds), size, None,
        np.full(count, noise), 1 / 1.5, np.arange(count) * 9973)


def test_a_steady_course_stays_steady_and_keeps_its_tempo():
    tracks = np.zeros((301, 1, 1, 2), np.float32)
    tracks[:, 0, 0, 0] = np.arange(301)
    tracks[-1] = np.nan
    speeds = np.array([.7, 1., 1.45])
    windows = play(tracks, [150.3] * 3, speeds)[:, :, 0, 0, 0]
    # a frame stands for the time from its number to the next
    wanted = 150.3 - .5 + speeds[:, None] * (np.arange(64) - 31.5)
    np.testing.assert_allclose(windows, wanted, atol=.12)


def test_an_average_agrees_with_a_fine_sum():
    rng = np.random.default_rng(0)
    tracks = rng.normal(size=(200, 1, 1, 1)).astype(np.float32)
    tracks[-1] = np.nan
    window = play(tracks, [90.37], [1.3], size=20)[0, :, 0, 0, 0]
    left = 90.37 - (19 + KERNEL) / 2 * 1.3
    for place in (0, 7, 19):
        boxes = [
            tracks[np.linspace(left + (place + i) * 1.3,
                               left + (place + i + BOX) * 1.3,
                               200_001)[:-1].astype(int), 0, 0, 0].mean()
            for i in range(BOX)]
        np.testing.assert_allclose(window[place], np.mean(boxes), atol=1e-3)


def test_missing_frames_make_the_boxes_that_hold_them_missing():
    tracks = np.full((200, 1, 2, 1), .5, np.float32)
    tracks[100:104, 0, 0] = np.nan
    tracks[-1] = np.nan
    window = play(tracks, [101.], [1.], size=40)[0]
    assert 4 <= np.isnan(window[:, 0, 0, 0]).sum() <= 4 + KERNEL + 1
    assert not np.isnan(window[:, 0, 1]).any()


def test_noise_is_estimated_beside_motion():
    tracks = make_store((4000, )).record(0).astype(np.float64)
    noisy = tracks + np.random.default_rng(0).normal(0, NOISE, tracks.shape)
    assert estimate_noise(tracks) < .4 * NOISE
    assert estimate_noise(noisy) == pytest.approx(NOISE, rel=.1)


def noise_alone():
    """Animals that do not move: nothing can be known of the tempo."""
    store = make_store((4000, ) * 4, keypoints=4)
    rng = np.random.default_rng(0)
    store.tracks[:-1] = .5 + rng.normal(
        0, NOISE, store.tracks[:-1].shape).astype(np.float32)
    return store


def shortcut_accuracy(windows, labels):
    """How well statistics of second differences give the answer."""
    ensemble = pytest.importorskip('sklearn.ensemble')
    flat = windows.reshape(len(windows), windows.shape[1], -1)
    second = np.diff(flat, 2, axis=1)
    power = np.abs(np.fft.rfft(second, axis=1)).mean(2)
    lags = [(second[:, k:] * second[:, :-k]).mean((1, 2))
            / second.var((1, 2)) for k in (1, 2, 3)]
    statistics = np.stack([
        second.std((1, 2)), np.abs(second).mean((1, 2)),
        np.median(np.abs(second), (1, 2)),
        (second**4).mean((1, 2)) / second.var((1, 2))**2,
        second.var(1).std(1), np.abs(second).mean(2).std(1), *lags,
        power[:, :8].sum(1) / power.sum(1),
        power[:, 8:16].sum(1) / power.sum(1)], 1)
    half = len(labels) // 2
    model = ensemble.HistGradientBoostingClassifier(max_iter=60,
                                                    random_state=0)
    model.fit(statistics[:half], labels[:half])
    return model.score(statistics[half:], labels[half:])


def test_noise_gives_nothing_away_but_did_in_the_original():
    store, count = noise_alone(), 2400
    shape = WindowShape(64, 0, 'zero')
    numbers = np.random.default_rng(1).integers(0, 10_000, count)
    ground = WindowGround(store, shape)
    task = LisbetWarpTask()
    task.prepare(ground)
    draws = np.random.default_rng(2).random((count, task.draws))
    ours = task.ask(ground.locate(numbers), draws)
    theirs = PublishedStream('warp', WindowGround(store, shape),
                             PublishedSettings(), 0).ask(range(count))
    closed, open_ = (
        shortcut_accuracy(part.inputs, part.labels['labels'][:, 0])
        for part in (ours, theirs))
    assert open_ > .85
    assert closed < .56


def test_speeds_are_symmetric_and_leave_out_those_near_one():
    ground = WindowGround(make_store((4000, )), WindowShape(64))
    task = LisbetWarpTask(regression=True)
    task.prepare(ground)
    draws = np.random.default_rng(0).random((4000, task.draws))
    anchors = Anchors(np.zeros(4000, np.int64), np.full(4000, 2000))
    answers = task.ask(anchors, draws).labels['labels'][:, 0]
    change = (2 * answers - 1) * np.log(1.5)
    assert np.abs(change).min() > np.log(1.1) - 1e-6
    assert np.abs(change).max() < np.log(1.5) + 1e-6
    assert abs((change > 0).mean() - .5) < .03

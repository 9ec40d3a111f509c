"""Bouts and changes, against loops over frames."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.behavior.bouts import (
    bout_rates,
    find_bouts,
    mean_durations,
    transition_matrix,
)


def loop(labels: np.ndarray, lengths: list[int]) -> list[tuple]:
    """Class, start, stop and record of each bout, frame by frame."""
    found = []
    for column in range(labels.shape[1]):
        first = 0
        for record, length in enumerate(lengths):
            start = None
            for frame in range(first, first + length):
                if labels[frame, column] and start is None:
                    start = frame
                if start is not None and not labels[frame, column]:
                    found.append((column, start, frame, record))
                    start = None
            if start is not None:
                found.append((column, start, first + length, record))
            first += length
    return found


@pytest.mark.parametrize('lengths', [[60], [1, 59], [20, 15, 25],
                                     [10] * 6])
def test_bouts_are_those_of_a_loop(lengths: list[int]) -> None:
    labels = np.random.default_rng(len(lengths)).random((60, 4)) < .6
    labels[:, 3] = False
    bouts = find_bouts(labels, lengths)
    assert list(zip(bouts.classes, bouts.starts, bouts.stops, bouts.records,
                    strict=True)) == loop(labels, lengths)


def test_without_lengths_bouts_run_on() -> None:
    labels = np.ones((10, 1))
    assert len(find_bouts(labels)) == 1
    assert len(find_bouts(labels, [4, 6])) == 2


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match='9 frames for 10'):
        find_bouts(np.ones((10, 1)), [4, 5])


def test_durations_and_rates() -> None:
    labels = np.zeros((60, 2))
    labels[0:10, 0] = labels[20:40, 0] = 1
    bouts = find_bouts(labels)
    assert mean_durations(bouts, 2, 10.).tolist() == [1.5, 0]
    assert bout_rates(bouts, 2, 60, 10.).tolist() == [20, 0]


def test_changes_leave_out_staying_borders_and_gaps() -> None:
    states = np.array([0, 0, 1, 0, 1, 1, 2, -1, 0, 2])
    shares = transition_matrix(states, 4, [4, 6])
    # 0>1, 1>0 | 1>2, 0>2
    assert shares.tolist() == [
        [0, .5, .5, 0], [.5, 0, .5, 0], [0, 0, 0, 0], [0, 0, 0, 0]]

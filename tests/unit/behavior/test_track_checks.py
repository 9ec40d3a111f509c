"""What is odd about tracks is found, and what is usual is not."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.behavior.record_files import RecordFiles
from mmpose_ext.behavior.record_labels import RecordLabels
from mmpose_ext.behavior.record_reader import Record
from mmpose_ext.behavior.scaling import Extent
from mmpose_ext.behavior.track_checks import (
    identity_swaps,
    odd_tracks,
    record_statistics,
    step_lengths,
    usual_step,
)
from tests.unit.behavior.track_files import INDIVIDUALS, KEYPOINTS, wander


def record_of(position: np.ndarray, **changes) -> Record:
    parts = dict(
        files=RecordFiles('a', (('movement', Path('tracking.nc')), )),
        individuals=INDIVIDUALS, keypoints=KEYPOINTS, axes=('x', 'y'),
        position=position, extent=Extent.of_position(position),
        first_frame=100, fps=30., image_size=None, labels=None)
    return Record(**{**parts, **changes})


def apart(frames: int = 300, seed: int = 0) -> np.ndarray:
    """Two animals that keep well away from each other."""
    position = wander(frames, seed=seed)
    middles = position.mean((0, 2), keepdims=True)
    return position - middles + np.float32([[100, 300], [400, 300]]).reshape(
        1, 2, 1, 2)


def findings(position: np.ndarray, **changes) -> list[str]:
    return [str(item) for item in odd_tracks(record_of(position, **changes))]


@pytest.mark.parametrize('seed', range(5))
def test_usual_tracks_are_not_odd(seed):
    assert findings(apart(seed=seed)) == []


def test_figures_of_a_record():
    position = apart(60)
    position[10:25, 1, 2] = np.nan
    labels = RecordLabels(('attack', 'other'), np.repeat(
        np.uint8([[1, 0], [0, 1]]), [20, 40], axis=0), Path('x'))
    figures = record_statistics(record_of(position, labels=labels), 7)
    assert figures['frames'] == 60 and figures['seconds'] == 2
    assert figures['frames_left_out'] == 7
    assert figures['missing'] == pytest.approx(15 / 360)
    assert figures['missing_by_individual'] == pytest.approx(
        dict(resident=0, intruder=15 / 180))
    assert figures['missing_by_keypoint'] == pytest.approx(
        dict(nose=0, neck=0, tail=15 / 120))
    assert figures['longest_gap'] == 15
    assert figures['ranges']['x'] == pytest.approx(
        [np.nanmin(position[..., 0]), np.nanmax(position[..., 0])])
    assert figures['class_frames'] == dict(attack=20, other=40)


def test_a_point_that_jumps_is_found():
    position = apart()
    position[50, 0, 1] += 200
    warning, = findings(position)
    assert 'frame 150, 151' in warning and 'resident neck' in warning


def test_exchanged_identities_are_found_and_are_no_jumps():
    position = apart()
    position[80:120] = position[80:120, ::-1]
    warning, = findings(position)
    assert 'frame 180, 220' in warning
    assert 'resident and intruder' in warning


def test_exchanges_among_three_name_the_two():
    position = np.concatenate([apart(), apart(seed=1)[:, :1] + 900], 1)
    position[80:, [0, 2]] = position[80:, [2, 0]]
    limit = 4 * usual_step(step_lengths(position))
    assert identity_swaps(position, limit) == [(80, 0, 2)]


def test_animals_that_run_past_each_other_are_not_exchanged():
    """Each goes where the other was, in many frames in place of one."""
    x = np.linspace(0, 500, 60)
    position = np.zeros((60, 2, 3, 2), np.float32)
    position[..., 0] = np.stack([x, x[::-1]], 1)[..., None]
    position[..., 1] = [[0, 10, 20], [0, 10, 20]]
    assert findings(position) == []


def test_a_tracker_that_is_stuck_is_found():
    position = apart()
    position[100:140, 1] = position[100, 1]
    warning, = findings(position)
    assert "'intruder'" in warning and '40 frames on end' in warning
    position = apart()
    position[100:125, 1] = position[100, 1]
    assert findings(position) == []


def test_a_point_that_is_mostly_missing_is_found():
    position = apart()
    position[:200, 0, 2] = np.nan
    warning, = findings(position)
    assert "'resident'" in warning and 'tail 67%' in warning


def test_points_off_the_picture_are_found():
    warning, = findings(apart(), image_size=(300., 480.))
    assert "axis 'x'" in warning and '0 to 300' in warning


def test_steps_leave_missing_points_out():
    position = np.zeros((4, 1, 1, 2), np.float32)
    position[:, 0, 0] = [[0, 0], [3, 4], [np.nan, np.nan], [0, 0]]
    np.testing.assert_array_equal(step_lengths(position).ravel(),
                                  [5, np.nan, np.nan])
    assert usual_step(step_lengths(position)) == 5
    assert usual_step(np.full((3, 1, 1), np.nan)) == 0


def test_few_frames_are_no_reason_to_fail():
    for frames in (1, 2, 3):
        assert findings(apart(frames)) == []

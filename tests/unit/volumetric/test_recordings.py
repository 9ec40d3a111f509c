"""Recordings: what is read, joined and filtered; what is only told."""
from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.logging import MMLogger
from scipy.signal import medfilt

from mmpose_ext.storage import VideoReader
from mmpose_ext.storage.calibrations import CameraCalibration
from mmpose_ext.storage.com3d import ComTrack, write_com3d
from mmpose_ext.storage.label3d import read_label3d, write_label3d
from mmpose_ext.volumetric.body_centres import (
    BodyCentres,
    centroids,
    filter_centres,
)
from mmpose_ext.volumetric.calibration_checks import label_residuals
from mmpose_ext.volumetric.recordings import build_cameras, open_recording
from tests.unit.volumetric.recording_files import (
    FRAMES,
    NAMES,
    make_cameras,
    make_record,
    write_recording,
    write_videos,
)


def change_labels(folder: Path, **changes: Any) -> None:
    made = make_record(folder)
    write_label3d(made.source, replace(made, **changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_recording(tmp_path / 'monday')


def test_everything_is_read(folder: Path) -> None:
    recording, made = open_recording(folder), make_record(folder)
    assert recording.name == 'monday' and recording.fps == 30
    assert recording.cameras.names == NAMES
    assert recording.cameras.sizes.tolist() == [[96, 72]] * 3
    assert (recording.sample_ids == made.sample_ids).all()
    assert (recording.frames == made.frames).all()
    assert recording.labelled.all() and len(recording) == FRAMES
    np.testing.assert_allclose(recording.points[:, 0], made.points)
    np.testing.assert_allclose(recording.com, made.com)


def test_frames_are_those_of_the_time_point_across_chunks(
        folder: Path) -> None:
    recording = open_recording(folder)
    for row, file, frame in ((0, '0', 0), (6, '0', 6), (7, '7', 0),
                             (11, '7', 4)):
        for view, name in enumerate(NAMES):
            video = VideoReader(folder / 'videos' / name / f'{file}.mp4')
            assert (recording.read(row, view) == video.read(frame)).all()


def test_projection_agrees_with_the_labels_in_pixels_from_zero(
        folder: Path) -> None:
    recording, made = open_recording(folder), make_record(folder)
    pixels, _ = recording.cameras.project(recording.points[:, 0])
    np.testing.assert_allclose(pixels, made.pixels - 1, atol=1e-9)


def test_recording_travels_to_workers(folder: Path) -> None:
    recording = open_recording(folder)
    recording.read(3, 1)
    copy = pickle.loads(pickle.dumps(recording))
    assert (copy.read(3, 1) == recording.read(3, 1)).all()
    recording.close()


def test_cameras_come_in_the_order_asked_for(folder: Path) -> None:
    recording = open_recording(folder, camera_names=('Camera3', 'Camera1'))
    assert recording.cameras.names == ('Camera3', 'Camera1')
    assert recording.frames.shape == (FRAMES, 2)
    assert (recording.read(4, 0) == open_recording(folder).read(4, 2)).all()


def test_unlabelled_time_points_come_from_sync(tmp_path: Path) -> None:
    recording = open_recording(write_recording(tmp_path / 'a', labelled=4))
    assert recording.labelled.tolist() == [True] * 4 + [False] * 8
    assert np.isnan(recording.points[4:]).all()
    assert np.isfinite(recording.com).all()


def test_unlabelled_time_points_without_a_picture_are_left_out(
        tmp_path: Path) -> None:
    folder = write_recording(tmp_path / 'a', labelled=4)
    (folder / 'videos' / 'Camera2' / '7.mp4').unlink()
    assert len(open_recording(folder)) == 7


def test_rows_of_nan_are_unlabelled(folder: Path) -> None:
    points = make_record(folder).points
    points[3] = np.nan
    points[5, :9, 1] = np.nan  # only some coordinates
    change_labels(folder, points=points, pixels=None)
    recording = open_recording(folder, com_source='label_file')
    assert np.flatnonzero(~recording.labelled).tolist() == [3]


def test_rows_of_nan_need_neither_picture_nor_sync(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / 'a', frames=12)
    shutil.rmtree(folder / 'videos')
    write_videos(folder / 'videos', frames=9)
    made = make_record(folder)
    points = made.points.copy()
    points[9:] = np.nan
    change_labels(folder, points=points, pixels=None, label_ids=np.array(
        [*made.label_ids[:11], 10**6]))
    recording = open_recording(folder)
    assert len(recording) == 9 and recording.labelled.all()
    np.testing.assert_array_equal(recording.points[:, 0], points[:9])


def test_without_labels_and_skeleton_it_opens(folder: Path) -> None:
    change_labels(
        folder, points=np.zeros((0, 0, 3)), pixels=None,
        label_ids=np.zeros(0, int), label_frames=np.zeros((0, 3), int))
    recording = open_recording(folder)
    assert recording.points.shape == (12, 1, 0, 3)
    assert not recording.labelled.any() and np.isfinite(recording.com).all()


def test_a_link_has_a_name_of_its_own(folder: Path) -> None:
    link = folder.parent / 'tuesday'
    link.symlink_to(folder, target_is_directory=True)
    assert open_recording(link).name == 'tuesday'


def test_no_videos_are_needed_where_no_picture_is(folder: Path) -> None:
    recording = open_recording(folder, videos=None)
    assert recording.videos == () and len(recording) == FRAMES
    assert recording.cameras.sizes is None


def test_converters_settings_are_used(folder: Path) -> None:
    made = make_record(folder)
    moved = tuple(replace(item, matrix=item.matrix - np.array(
        [[0, 0, 0], [0, 0, 0], [1., 1, 0]])) for item in made.calibrations)
    change_labels(folder, calibrations=moved, pixels=made.pixels - 1)
    before = open_recording(folder, pixel_origin=0)
    (folder / 'recording.json').write_text(json.dumps(
        dict(pixel_origin=0, fps=100.)))
    recording = open_recording(folder)
    assert recording.pixel_origin == 0 and recording.fps == 100
    np.testing.assert_array_equal(recording.cameras.intrinsics,
                                  before.cameras.intrinsics)


def test_middles_come_from_where_they_are_wanted(folder: Path) -> None:
    made = make_record(folder)
    write_com3d(folder / 'com3d.mat', ComTrack(
        folder, made.com_ids, made.com + 5), {})
    com = {source: open_recording(
        folder, com_source=source,
        com_file='com3d.mat' if source == 'file' else None).com
        for source in ('auto', 'file', 'label_file', 'labels')}
    np.testing.assert_allclose(com['label_file'], made.com)
    np.testing.assert_allclose(com['auto'], made.com)
    np.testing.assert_allclose(com['file'], made.com + 5)
    np.testing.assert_allclose(com['labels'][:, 0], made.points.mean(1))


def test_contradicting_sources_are_refused(folder: Path) -> None:
    for arguments in (dict(com_source='file'), dict(com_source='best'),
                      dict(com_source='labels', com_file='com3d.mat')):
        with pytest.raises(ValueError, match='com_'):
            open_recording(folder, **arguments)


def test_far_middles_count_as_unknown(folder: Path) -> None:
    com = make_record(folder).com
    com[[2, 5]] += 700.
    change_labels(folder, com=com)
    com[[2, 5]] = np.nan
    np.testing.assert_array_equal(
        open_recording(folder, com_limit_mm=600.).com, com)


def test_two_animals_share_columns(folder: Path) -> None:
    made = make_record(folder)
    change_labels(folder,
                  points=np.concatenate([made.points, made.points + 9], 1),
                  pixels=None, com=np.concatenate([made.com, made.com + 9],
                                                  1))
    recording = open_recording(folder)
    assert recording.points.shape == (FRAMES, 2, 16, 3)
    np.testing.assert_allclose(recording.points[:, 1], made.points + 9)


def test_noisy_labels_are_told_not_refused(
        folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = make_record(folder)
    noise = np.random.default_rng(0).normal(0, 1.5, made.pixels.shape)
    change_labels(folder, pixels=made.pixels + noise)
    current = MMLogger.get_current_instance()
    current.addHandler(caplog.handler)
    try:
        open_recording(folder)
    finally:
        current.removeHandler(caplog.handler)
    assert 'noisy' in caplog.text


@pytest.mark.parametrize('name', ['mouse_label3d_demo', 'rat_social_dannce'])
def test_published_labels_fit_their_calibration(real_data: Path,
                                                name: str) -> None:
    path = real_data / 'label3d' / f'{name}.mat'
    record = read_label3d(path)
    cameras = build_cameras(path, record.calibrations, 1, None)
    residuals = label_residuals(record, cameras, 1)
    assert (residuals.largest_px < .01).all()
    shifted = label_residuals(record, cameras, 0)
    np.testing.assert_allclose(shifted.shift_px, 1, atol=.01)


def test_conventions_lead_to_the_same_cameras() -> None:
    matlab = make_cameras()
    opencv = []
    for item in matlab:
        matrix = item.matrix.T.copy()
        matrix[:2, 2] -= 1
        opencv.append(CameraCalibration(
            item.name, matrix, item.rotation.T, item.translation,
            item.radial, item.tangential, 'opencv', (96, 72)))
    first = build_cameras('a', matlab, 1, None)
    second = build_cameras('b', opencv, 0, None)
    for name in ('intrinsics', 'rotations', 'translations', 'distortions'):
        np.testing.assert_allclose(getattr(first, name),
                                   getattr(second, name))
    assert second.sizes.tolist() == [[96, 72]] * 3


def test_centroids_leave_out_what_is_missing() -> None:
    labels = np.array([[[0., 0, 0], [2, 4, 6], [np.nan, 1, 1]],
                       [[np.nan] * 3] * 3])
    np.testing.assert_array_equal(centroids(labels),
                                  [[1, 2, 3], [np.nan] * 3])


def track(points: Any, ids: Any = None) -> BodyCentres:
    points = np.asarray(points, np.float64)
    ids = np.arange(len(points)) if ids is None else np.asarray(ids)
    return BodyCentres(Path('com3d.mat'), 'com', ids,
                       np.repeat(points[:, None, None], 3, 2))


def test_median_filter_is_scipys_away_from_the_ends() -> None:
    values = np.random.default_rng(1).normal(size=60)
    smooth = filter_centres(track(values), 7).points[:, 0, 0]
    np.testing.assert_array_equal(smooth[3:-3], medfilt(values, 7)[3:-3])


def test_median_filter_repeats_the_ends() -> None:
    smooth = filter_centres(track([9., 8, 7, 6, 5, 4]), 4).points[:, 0, 0]
    assert smooth.tolist() == [9, 8, 7, 6, 5, 4]


def test_median_filter_removes_a_jump_and_skips_unknown_ones() -> None:
    smooth = filter_centres(track([1., 1, np.nan, 90, 1, 1]), 5).points
    np.testing.assert_array_equal(smooth[:, 0, 0], [1, 1, np.nan, 1, 1, 1])


def test_median_filter_does_not_look_across_a_gap() -> None:
    ids = [0, 10, 20, 30, 5000, 5010, 5020, 5030]
    values = [1., 1, 1, 2, 50, 60, 60, 60]
    smooth = filter_centres(track(values, ids), 7).points[:, 0, 0]
    assert smooth[:4].max() <= 2 and smooth[4:].min() >= 50


@pytest.mark.parametrize('window', [None, 1])
def test_no_window_changes_nothing(window: int | None) -> None:
    before = track([1., 5, 2])
    assert filter_centres(before, window) is before

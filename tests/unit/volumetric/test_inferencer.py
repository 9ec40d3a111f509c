"""Recordings and images to samples, as the command would write them."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from scipy import io

from mmpose_ext.commands import run_command
from mmpose_ext.layout import project_root
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.storage.com3d import ComTrack, read_com3d, write_com3d
from mmpose_ext.volumetric.inferencer import TimePointInferencer, load
from mmpose_ext.volumetric.prediction_files import read_poses_mat
from mmpose_ext.volumetric.recordings import Recording, open_recording

from .com_files import ball_config, write_ball
from .small_models import write_pose_model

Array = np.ndarray


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_pose_model(tmp_path_factory.mktemp('inferencer'))


@pytest.fixture(scope='module')
def poses(files: dict[str, Path]) -> TimePointInferencer:
    return load(Config.fromfile(files['config']), files['checkpoint'], 'cpu')


@pytest.fixture(scope='module')
def recording(files: dict[str, Path]) -> Recording:
    return open_recording(files['recording'])


def time_point(recording: Recording, row: int = 0) -> list[Array]:
    return [recording.read(row, view) for view in range(3)]


def test_a_recording_gives_what_the_command_writes(
        files: dict[str, Path], poses: TimePointInferencer,
        recording: Recording, tmp_path: Path) -> None:
    com = recording.com + 5.
    com[3] = np.nan
    path = tmp_path / 'com3d.mat'
    write_com3d(path, ComTrack(path, recording.sample_ids, com), {})
    words = ('--com', path, '--start', 1, '--stop', 9, '--every', 2,
             '--turn-average', 2)
    assert run_command('predict', '', [
        str(files['config']), str(files['checkpoint']),
        str(files['recording']), '--out', str(tmp_path / 'out'), '--device',
        'cpu', *map(str, words)]) == 0
    wanted = read_poses_mat(tmp_path / 'out' / 'save_data_AVG.mat')
    samples = list(poses(files['recording'], com=path, start=1, stop=9,
                         every=2, turn_average=2))
    assert [sample.sample_id for sample in samples] == (
        wanted.sample_ids.tolist())
    assert [sample.time_point for sample in samples] == [1, 5, 7]
    for i, sample in enumerate(samples):
        found = sample.pred_instances
        np.testing.assert_array_equal(found.keypoints, wanted.points[i])
        np.testing.assert_array_equal(found.keypoint_scores,
                                      wanted.scores[i])
        assert found.spread_mm.shape == (1, 16) and len(found) == 1
        np.testing.assert_array_equal(sample.com, wanted.com[i])
        assert sample.keypoint_names == wanted.keypoints
        assert sample.cameras == wanted.cameras
        assert sample.frames.tolist() == [sample.time_point] * 3
        assert sample.source == str(files['recording'])


def test_images_give_what_their_recording_gives(
        poses: TimePointInferencer, recording: Recording) -> None:
    wanted = list(poses(recording.folder, stop=5))
    given = (time_point(recording, row) for row in range(5))
    found = list(poses(given, 2, cameras=recording.cameras,
                       com=recording.com))
    assert [sample.time_point for sample in found] == [0, 1, 2, 3, 4]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(
            one.pred_instances.keypoints, other.pred_instances.keypoints,
            atol=1e-3)


def test_missing_images_are_blank_and_one_alone_gives_nothing(
        poses: TimePointInferencer, recording: Recording) -> None:
    first, second, third = time_point(recording)
    both, alone, lost = poses(
        [[first, None, third], [None, second, None], [first, second, third]],
        cameras=recording.cameras,
        com=iter([recording.com[0], recording.com[0], [[np.nan] * 3]]))
    assert both.blank_views == [1]
    assert np.isfinite(both.pred_instances.keypoints).all()
    assert np.isnan(alone.pred_instances.keypoints).all()
    assert np.isnan(lost.pred_instances.keypoints).all()


def test_an_endless_stream_is_read_a_batch_at_a_time(
        poses: TimePointInferencer, recording: Recording) -> None:
    given = []

    def stream() -> Iterator[list[Array]]:
        for row in count():
            given.append(row)
            yield time_point(recording, row % 12)

    samples = poses(stream(), 3, cameras=recording.cameras,
                    com=(recording.com[row % 12] for row in count()))
    assert not given
    for wanted in (3, 3, 3, 6):
        next(samples)
        assert len(given) == wanted


def test_leaving_a_recording_early_leaves_no_thread(
        poses: TimePointInferencer, files: dict[str, Path]) -> None:
    before = threading.active_count()
    samples = poses(files['recording'])
    next(samples)
    samples.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_frame_that_cannot_be_read_costs_its_view_or_ends_it(
        poses: TimePointInferencer, files: dict[str, Path],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before is given first, be it of the same batch."""
    read = Recording.read

    def damaged(self: Recording, row: int, view: int) -> Array:
        if (row, view) in ((1, 0), (2, 1), (2, 2)):
            raise DataError('0.mp4', f'frame {row}', 'a picture', 'damage')
        return read(self, row, view)

    monkeypatch.setattr(Recording, 'read', damaged)
    samples = poses(files['recording'])
    assert [next(samples).blank_views for _ in range(2)] == [[], [0]]
    with pytest.raises(DataError, match='0.mp4: frame 2'):
        next(samples)


def test_a_model_for_centres_of_mass_gives_them(
        tmp_path: Path, files: dict[str, Path],
        poses: TimePointInferencer) -> None:
    write_ball(tmp_path / 'one', 4)
    path = project_root() / 'configs/volumetric/com_tiny_synthetic.py'
    config = ball_config(path, tmp_path)
    config.dump(tmp_path / 'com.py')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict()),
               tmp_path / 'com.pth')
    locator = load(config, tmp_path / 'com.pth', 'cpu')
    assert run_command('predict', '', [
        str(tmp_path / 'com.py'), str(tmp_path / 'com.pth'),
        str(tmp_path / 'one'), '--out', str(tmp_path / 'out'), '--device',
        'cpu']) == 0
    wanted = read_com3d(tmp_path / 'out' / 'com3d.mat')
    samples = list(locator(tmp_path / 'one', 3))
    np.testing.assert_array_equal(
        [sample.pred_instances.com for sample in samples], wanted.points)
    assert [sample.sample_id for sample in samples] == (
        wanted.sample_ids.tolist())
    written = io.loadmat(tmp_path / 'out' / 'com3d.mat',
                         simplify_cells=True)['metadata']
    for name in ('scores', 'error_px', 'num_views'):
        np.testing.assert_array_equal(
            [np.squeeze(sample.pred_instances[name]) for sample in samples],
            written[name], name)
    assert written['scores'].shape == (4, 3) and written['scores'].any()
    # one hands over to the other
    recording = open_recording(tmp_path / 'one')
    shown = [time_point(recording, row) for row in range(2)]
    middles = (sample.pred_instances.com for sample in locator(
        shown, cameras=recording.cameras))
    assert len(list(poses(shown, cameras=recording.cameras,
                          com=middles))) == 2
    with pytest.raises(ValueError, match='com: expected a model for poses'):
        locator(tmp_path / 'one', com=tmp_path / 'out' / 'com3d.mat')


GREY = np.zeros((72, 96, 3), np.uint8)


@pytest.mark.parametrize(('points', 'com', 'told'), [
    ([], [], 'inputs: .*none'),
    ([[GREY] * 3, [GREY] * 2], [[[0., 0, 0]]] * 2,
     r'inputs\[1\]: images: expected 3, one a camera: Camera1'),
    ([[GREY] * 3, GREY], [[[0., 0, 0]]] * 2, r'inputs\[1\]: images'),
    ([[GREY] * 3, None], [[[0., 0, 0]]] * 2, r'inputs\[1\]: .*NoneType'),
    ([[GREY, GREY[:9], GREY]], [[[0., 0, 0]]],
     r'inputs\[0\]: camera Camera2: .*\(72, 96, 3\).*\(9, 96, 3\)'),
    ([[GREY, GREY, GREY / 2.]], [[[0., 0, 0]]], 'Camera3: .*float64'),
    ([[GREY, GREY, 'a.png']], [[[0., 0, 0]]], 'Camera3: .*str'),
    ([[GREY] * 3] * 2, [[[0., 0, 0]]], r'inputs\[1\]: com: .*found none'),
    ([[GREY] * 3], [[0., 0, 0]], r'inputs\[0\]: com: .*shape \(3,\)'),
    ([[GREY] * 3] * 2, [[[0., 0, 0]], [[0., 0, 0]] * 2],
     r'inputs\[1\]: com: .*\(1, 3\)'),
])
def test_what_does_not_fit_is_named_when_its_turn_comes(
        poses: TimePointInferencer, recording: Recording, points: Any,
        com: Any, told: str) -> None:
    seen = 0
    with pytest.raises(DataError, match=told):
        for _ in poses(iter(points), cameras=recording.cameras, com=com):
            seen += 1
    assert seen == (r'\[1\]' in told)


@pytest.mark.parametrize(('inputs', 'options', 'kind', 'told'), [
    ('nothing', {}, DataError, 'nothing: folder'),
    ('day', dict(start=99), DataError, '0 to 11'),
    ('day', dict(every=0), ValueError, 'every: expected at least 1'),
    ('day', dict(turn_average=0), ValueError, 'turn_average'),
    ('day', dict(com='nowhere.mat'), DataError, 'nowhere.mat'),
    ('day', dict(com=[1]), ValueError, 'com: expected the file'),
    ('day', dict(cameras=1), ValueError, 'cameras: expected None'),
    ('day', dict(pace=1), TypeError, 'pace'),
    ([], {}, ValueError, 'cameras: expected those'),
])
def test_wrong_options_are_errors_at_once(
        files: dict[str, Path], poses: TimePointInferencer, inputs: Any,
        options: dict[str, Any], kind: type[Exception], told: str) -> None:
    place = files['root'] / inputs if isinstance(inputs, str) else inputs
    with pytest.raises(kind, match=told):
        poses(place, **options)


def test_time_points_need_cameras_of_known_size_and_their_middles(
        poses: TimePointInferencer, recording: Recording) -> None:
    unknown = recording.cameras.crop(np.zeros((3, 2)))
    with pytest.raises(ValueError, match='with sizes, found none of these'):
        poses([], cameras=unknown, com=[])
    with pytest.raises(ValueError, match='com: expected where'):
        poses([], cameras=recording.cameras)
    with pytest.raises(ValueError, match='expected a recording'):
        poses([], cameras=recording.cameras, com=[], stop=3)

"""The world of synthetic pairs of mice: whole files that say the truth."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext import commands
from mmpose_ext.storage import (
    DataError,
    PoseTracks,
    read_event_csv,
    read_movement_netcdf,
)
from mmpose_ext.synthesis import behavior
from mmpose_ext.synthesis.behavior import record_dyads, write_world
from mmpose_ext.synthesis.dyad_tracking import track_points
from mmpose_ext.synthesis.dyads import BEHAVIOURS

FRAMES = 600


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('world') / 'deep' / 'behavior'
    assert write_world(out, seed=3, size=8, frames=FRAMES) == {
        'train': 4, 'val': 2, 'test': 2}
    return out


def contents(world: Path) -> dict[str, bytes]:
    return {str(path.relative_to(world)): path.read_bytes()
            for path in sorted(world.rglob('*')) if path.is_file()}


def test_records_are_in_folders_of_their_own(world: Path) -> None:
    assert {path.name for path in world.iterdir()} == {
        'train', 'val', 'test', 'README.txt'}
    for split, count in (('train', 4), ('val', 2), ('test', 2)):
        records = list((world / split).iterdir())
        assert len(records) == count
        for record in records:
            assert {path.name for path in record.iterdir()} == {
                'tracking.nc', 'annotations.csv'}
    assert 'seed 3' in (world / 'README.txt').read_text()


def test_tracks_are_those_of_two_mice(world: Path) -> None:
    for path in world.rglob('tracking.nc'):
        tracks = read_movement_netcdf(path)
        assert isinstance(tracks, PoseTracks)
        assert tracks.individuals == ('resident', 'intruder')
        assert tracks.keypoints == (
            'nose', 'left_ear', 'right_ear', 'neck', 'left_hip', 'right_hip',
            'tail')
        assert tracks.axes == ('x', 'y')
        assert tracks.fps == 30 and tracks.image_size == (1024, 570)
        assert tracks.position.shape == (FRAMES, 2, 7, 2)
        assert np.nanmin(tracks.position) >= 0
        assert (np.nanmax(tracks.position, (0, 1, 2)) <= (1023, 569)).all()
        np.testing.assert_array_equal(tracks.frames, np.arange(FRAMES))


def test_files_hold_what_was_recorded(world: Path) -> None:
    recording = record_dyads(3, [200_001], FRAMES)[0]
    folder = world / 'test' / 'dyad_200001'
    tracks = read_movement_netcdf(folder / 'tracking.nc')
    np.testing.assert_allclose(tracks.position, recording.position, atol=.01)
    np.testing.assert_allclose(tracks.confidence, recording.confidence,
                               atol=1e-4)
    labels = read_event_csv(folder / 'annotations.csv', FRAMES, 30.)
    assert labels.annotators == ('annotator_0', )
    assert (labels.labels.sum(1) == 1).all()
    names = np.array(labels.classes)[labels.labels[..., 0].argmax(1)]
    np.testing.assert_array_equal(
        names, np.array(BEHAVIOURS)[recording.dyad.behaviours])


def test_splits_are_of_different_animals(world: Path) -> None:
    lengths = []
    for path in world.rglob('tracking.nc'):
        tracks = read_movement_netcdf(path)
        body = tracks.position[:, :, 3] - tracks.position[:, :, 6]
        lengths += np.nanmedian(np.linalg.norm(body, axis=-1), 0).tolist()
    assert len({round(length, 2) for length in lengths}) > 12
    assert .03 < np.std(lengths) / np.mean(lengths) < .15


def test_trackers_are_nearly_right() -> None:
    for recording in record_dyads(3, [0, 1], 3000):
        off = recording.position - recording.points
        missing = np.isnan(recording.position[..., 0])
        assert (missing == np.isnan(recording.position[..., 1])).all()
        assert .005 < missing.mean() < .05
        far = np.linalg.norm(off, axis=-1) > 10
        assert 0 < far.mean() < .004
        assert .9 < np.std(off[~missing & ~far]) < 1.1
        assert recording.confidence[missing].max() <= .2
        assert recording.confidence[~missing & ~far].mean() > .9
        assert recording.confidence[far].max() <= .7


def test_touching_animals_are_lost_more_often() -> None:
    still = np.zeros((4000, 2, 7, 2)) + 200.
    apart = still.copy()
    apart[:, 1] += 200
    near, far = (np.isnan(track_points(
        np.random.default_rng(0), points, (1024, 570))[0]).mean()
        for points in (still, apart))
    assert near > 2 * far > 0


def test_same_seed_same_files(world: Path, tmp_path: Path) -> None:
    write_world(tmp_path / 'twin', seed=3, size=8, frames=FRAMES)
    assert contents(tmp_path / 'twin') == contents(world)
    write_world(tmp_path / 'twin', seed=4, size=6, frames=300)
    assert not set(contents(tmp_path / 'twin').values()) & set(
        contents(world).values())


def test_smallest_world_has_two_recordings_in_each_split() -> None:
    assert behavior.plan_world(6) == {'train': 2, 'val': 2, 'test': 2}
    assert behavior.plan_world(24) == {'train': 16, 'val': 4, 'test': 4}
    assert behavior.plan_world(64) == {'train': 44, 'val': 10, 'test': 10}


@pytest.mark.parametrize('settings', [
    {'size': 5}, {'size': 0}, {'size': -1}, {'frames': 299}])
def test_too_small_worlds_are_refused(tmp_path: Path,
                                      settings: dict[str, int]) -> None:
    with pytest.raises(DataError, match='at least'):
        write_world(tmp_path / 'world', **settings)
    assert not list(tmp_path.iterdir())


def test_other_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'thesis.txt').write_text('mine')
    with pytest.raises(DataError, match='other content'):
        write_world(tmp_path, size=6, frames=300)
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']
    with pytest.raises(DataError):
        write_world(tmp_path / 'thesis.txt', size=6, frames=300)
    assert (tmp_path / 'thesis.txt').read_text() == 'mine'


def test_an_older_world_is_replaced_if_allowed(tmp_path: Path) -> None:
    out = tmp_path / 'world'
    write_world(out, size=7, frames=300)
    before = contents(out)
    with pytest.raises(DataError):
        write_world(out, size=6, frames=300, overwrite=False)
    assert contents(out) == before
    write_world(out, size=6, frames=300)
    assert len(contents(out)) == 13


def test_nothing_is_left_of_a_world_that_failed(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / 'world'
    write_world(out, size=6, frames=300)
    before = contents(out)
    calls = []

    def fail(*args: object) -> None:
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(behavior, 'write_event_csv', fail)
    with pytest.raises(KeyboardInterrupt):
        write_world(out, seed=1, size=6, frames=300)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ['world']


def test_the_command_writes_it(tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'behavior'
    assert commands.run_synthesize(
        '', ['behavior', '--out', str(out), '--size', '6']) == 0
    assert 'written' in capsys.readouterr().out
    assert len(list(out.rglob('tracking.nc'))) == 6
    assert commands.run_synthesize(
        '', ['behavior', '--out', str(out), '--size', '2']) == 1
    assert 'at least 6 recordings' in capsys.readouterr().err

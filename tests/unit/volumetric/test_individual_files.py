"""Recordings of several animals with a file each."""
from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.storage.label3d import read_label3d, write_label3d
from mmpose_ext.volumetric.individual_files import (
    align_cameras,
    list_files,
    merge_labels,
)
from mmpose_ext.volumetric.prediction_plan import read_centres
from mmpose_ext.volumetric.recording_lists import open_once
from mmpose_ext.volumetric.recordings import open_recording
from tests.unit.volumetric.pair_files import (
    APART,
    CENTRES,
    EACH,
    LABELS,
    ROWS,
    make_animal,
    true_centres,
    write_pair,
)
from tests.unit.volumetric.recording_files import FRAMES, NAMES, make_record


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp('pair') / 'dyad')


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / 'dyad'))


def test_each_animal_comes_from_its_own_files(sound: Path) -> None:
    recording = open_recording(sound, **EACH)
    assert recording.num_individuals == 2 and recording.num_keypoints == 16
    assert [file.name for file in recording.label_files] == list(LABELS)
    assert recording.label_file.name == LABELS[0]
    np.testing.assert_allclose(recording.com, true_centres(sound))
    points = make_record(sound).points
    for animal, rows in enumerate(ROWS):
        labelled = np.isfinite(recording.points[:, animal]).all((1, 2))
        assert np.flatnonzero(labelled).tolist() == list(rows)
        np.testing.assert_allclose(
            recording.points[list(rows), animal],
            points[list(rows)] + animal * APART)
    assert np.flatnonzero(recording.labelled).tolist() == sorted(
        {*ROWS[0], *ROWS[1]})


def test_the_order_of_the_files_is_that_of_the_animals(sound: Path) -> None:
    turned = open_recording(sound, label_file=LABELS[::-1],
                            com_file=CENTRES[::-1])
    recording = open_recording(sound, **EACH)
    np.testing.assert_array_equal(turned.points, recording.points[:, ::-1])
    np.testing.assert_array_equal(turned.com, recording.com[:, ::-1])


@pytest.mark.parametrize('settings', [
    dict(label_file='*dannce.mat', com_file='com3d.mat'),
    dict(label_file='?_*dannce.mat', com_file='instance*com3d.mat'),
    dict(label_file=[Path(name) for name in LABELS], com_file='com3d.mat'),
], ids=['columns', 'patterns', 'paths'])
def test_files_are_found_by_patterns_and_middles_in_columns(
        sound: Path, settings: dict) -> None:
    one, other = open_recording(sound, **EACH), open_recording(
        sound, **settings)
    np.testing.assert_array_equal(one.points, other.points)
    np.testing.assert_array_equal(one.com, other.com)


def test_one_label_file_may_have_middles_in_a_file_each(
        folder: Path) -> None:
    made = make_record(folder)
    both = np.concatenate([made.points, made.points + APART], 1)
    write_label3d(folder / 'both.mat', replace(
        made, points=both, pixels=None, com=None, com_ids=None))
    recording = open_recording(folder, 'both.mat', CENTRES,
                               num_keypoints=16)
    np.testing.assert_allclose(recording.com, true_centres(folder))
    np.testing.assert_allclose(recording.points[:, 1], both[:, 16:])


def test_without_files_the_middles_are_those_of_each_file_or_the_labels(
        folder: Path) -> None:
    recording = open_recording(folder, label_file=LABELS)
    labels = recording.points
    np.testing.assert_allclose(recording.com[4], labels[4].mean(1))
    assert np.isnan(recording.com[0, 1]).all()  # not labelled there
    assert np.isnan(recording.com[11]).all()
    for animal in range(2):
        made = make_animal(folder, animal)
        write_label3d(made.source, replace(
            made, com_ids=made.sample_ids,
            com=true_centres(folder)[:, [animal]]))
    recording = open_recording(folder, label_file=LABELS)
    np.testing.assert_allclose(recording.com, true_centres(folder))


def test_cameras_may_stand_in_another_order(sound: Path) -> None:
    one, other = make_animal(sound, 0), make_animal(sound, 1)
    order = [2, 0, 1]
    assert other.pixels is not None
    turned = replace(
        other, calibrations=tuple(other.calibrations[i] for i in order),
        frames=other.frames[:, order], pixels=other.pixels[order],
        label_frames=other.label_frames[:, order])
    aligned = align_cameras([one, turned])[1]
    assert aligned.names == NAMES
    np.testing.assert_array_equal(aligned.pixels, other.pixels)


def test_time_points_are_those_of_any_file(sound: Path) -> None:
    one, other = make_animal(sound, 0), make_animal(sound, 1)
    short = replace(one, sample_ids=one.sample_ids[:9],
                    frames=one.frames[:9])
    late = replace(other, sample_ids=other.sample_ids[4:],
                   frames=other.frames[4:])
    merged = merge_labels([short, late])
    np.testing.assert_array_equal(merged.sample_ids, one.sample_ids)
    np.testing.assert_array_equal(merged.frames, one.frames)
    np.testing.assert_array_equal(
        merged.label_frames,
        merged.frames[np.searchsorted(merged.sample_ids, merged.label_ids)])


def test_an_animal_may_have_no_label_at_all(folder: Path) -> None:
    other = make_animal(folder, 1)
    write_label3d(other.source, replace(
        other, label_ids=other.label_ids[:0], points=other.points[:0],
        label_frames=other.label_frames[:0], pixels=None))
    recording = open_recording(folder, **EACH)
    assert np.isnan(recording.points[:, 1]).all()
    assert np.isfinite(recording.com).all()
    assert recording.labelled.sum() == len(ROWS[0])


def test_rounding_of_calibrations_is_no_contradiction(folder: Path) -> None:
    other = make_animal(folder, 1)
    write_label3d(other.source, replace(other, calibrations=tuple(
        replace(item, matrix=item.matrix.astype('f4').astype('f8'),
                radial=np.append(item.radial, 0.))
        for item in other.calibrations)))
    assert len(open_recording(folder, **EACH)) == FRAMES


def test_numbers_in_names_count_as_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        (tmp_path / f'instance{number}com3d.mat').touch()
    (tmp_path / '_instance3com3d.mat').touch()
    found = list_files(tmp_path, 'instance*com3d.mat', 'com_file')
    assert [file.name[8:-9] for file in found] == ['1', '2', '10']
    with pytest.raises(DataError, match='none'):
        list_files(tmp_path, '*.txt', 'com_file')


def test_a_prediction_takes_a_file_of_middles_an_animal(
        sound: Path) -> None:
    recording = open_recording(sound, label_file=LABELS)
    for name in ('com3d.mat', 'instance*com3d.mat'):
        np.testing.assert_allclose(
            read_centres(sound / name, recording, None, None),
            true_centres(sound))
    limited = read_centres(sound / CENTRES[1], recording, 3, 60.)
    assert limited.shape == (FRAMES, 1, 3)
    assert np.isnan(limited).any() and np.isfinite(limited).any()
    with pytest.raises(DataError, match='none'):
        read_centres(sound / 'rat*.mat', recording, None, None)


def test_a_recording_is_opened_again_when_any_file_changes(
        folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / 'elsewhere.mat'
    shutil.move(folder / LABELS[1], elsewhere)
    settings = {**EACH, 'label_file': [LABELS[0], str(elsewhere)]}
    first = open_once(folder, settings)
    assert open_once(folder, settings) is first
    write_label3d(elsewhere, replace(read_label3d(elsewhere), pixels=None))
    assert open_once(folder, settings) is not first

"""Damaged recordings of several animals: one clear DataError each."""
from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.storage.label3d import Label3D, write_label3d
from mmpose_ext.volumetric.datasets import VolumetricPoseDataset
from tests.unit.volumetric.pair_files import (
    APART,
    CENTRES,
    EACH,
    LABELS,
    make_animal,
    true_centres,
    write_centres,
    write_pair,
)
from tests.unit.volumetric.recording_files import project

A, B = LABELS
Change = Callable[[Path], object]


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp('sound') / 'dyad')


def second(**changes: Callable[[Label3D], Any]) -> Change:
    """Write the second animal's labels anew with some fields changed."""
    def apply(folder: Path) -> None:
        made = make_animal(folder, 1)
        write_label3d(made.source, replace(made, **{
            name: change(made) for name, change in changes.items()}))
    return apply


def cameras(**changes: Callable[[Any], Any]) -> Callable[[Label3D], Any]:
    """The second camera's calibration with some fields changed."""
    def apply(made: Label3D) -> tuple:
        one, two, three = made.calibrations
        return (one, replace(two, **{
            name: change(two) for name, change in changes.items()}), three)
    return apply


def centres(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda folder: write_centres(folder, change(true_centres(folder)))


def exchange(names: Sequence[str]) -> Change:
    def apply(folder: Path) -> None:
        first, other = (folder / name for name in names)
        first.rename(folder / 'between')
        other.rename(first)
        (folder / 'between').rename(other)
    return apply


def nothing(folder: Path) -> None:
    """What is wrong is what the config says."""


def both_with_middles(folder: Path) -> None:
    """Each label file has the middles of both animals."""
    for animal in range(2):
        made = make_animal(folder, animal)
        write_label3d(made.source, replace(
            made, com_ids=made.sample_ids, com=true_centres(folder)))


def one_with_middles(folder: Path) -> None:
    made = make_animal(folder, 0)
    write_label3d(made.source, replace(
        made, com_ids=made.sample_ids, com=true_centres(folder)[:, :1]))


def third_animal(folder: Path) -> None:
    made = make_animal(folder, 1)
    points = made.points - 2 * APART
    write_label3d(folder / 'c_dannce.mat', replace(
        made, points=points, pixels=project(made.calibrations, points)))


def nan_of_second(com: np.ndarray) -> np.ndarray:
    com[7, 1] = np.nan
    return com


def far_second(com: np.ndarray) -> np.ndarray:
    return com + [[[0, 0, 0], [500, 0, 0]]]


ALL = dict(EACH, com_file='com3d.mat')
CASES: dict[str, tuple[Change, dict, tuple[str, ...]]] = {
    'label files exchanged': (
        exchange(LABELS), EACH, (A, B, *CENTRES, 'look exchanged')),
    'middles exchanged': (
        exchange(CENTRES), EACH, (A, B, *CENTRES, 'look exchanged')),
    'columns of the middles exchanged': (
        centres(lambda com: com[:, ::-1]), ALL,
        (A, B, 'animal 2 of com3d.mat', 'look exchanged')),
    'label file named twice': (
        nothing, dict(EACH, label_file=[A, f'../dyad/{A}']),
        ('label_file', A, '2 times')),
    'file of middles named twice': (
        nothing, dict(EACH, com_file=[CENTRES[0]] * 2),
        ('com_file', CENTRES[0], '2 times')),
    'label file a copy': (
        lambda f: shutil.copy(f / A, f / B), EACH,
        (B, A, 'the same points', 'copy')),
    'three label files, two of middles': (
        third_animal,
        dict(EACH, label_file='*dannce.mat'),
        ('com_file', '3', 'c_dannce.mat', '2: ' + CENTRES[0])),
    'two label files, one middle': (
        nothing, dict(EACH, com_file=CENTRES[0]),
        (CENTRES[0], '2 animals', 'those of 1')),
    'two files of middles, one animal labelled': (
        nothing, dict(EACH, label_file=A),
        (CENTRES[0], '1 animals', 'those of 2')),
    'file of middles with both animals': (
        nothing, dict(EACH, com_file=['com3d.mat', CENTRES[1]]),
        ('com3d.mat', 'one animal', 'the middles of 2')),
    'second label file missing': (
        lambda f: (f / B).unlink(), EACH, (B, 'nothing')),
    'second file of middles missing': (
        lambda f: (f / CENTRES[1]).unlink(), EACH, (CENTRES[1], 'nothing')),
    'no file of a pattern': (
        nothing, dict(EACH, label_file='rat*dannce.mat'),
        ('label_file', 'rat*dannce.mat', 'none')),
    'two label files, none named': (
        nothing, dict(com_file=list(CENTRES)), (A, B, 'one an animal')),
    'another calibration': (
        second(calibrations=cameras(matrix=lambda c: c.matrix * [
            [1.01], [1.01], [1]]), pixels=lambda m: None), EACH,
        (A, B, 'Camera2', 'matrix differs by 1.5')),
    'a camera turned': (
        second(calibrations=cameras(
            rotation=lambda c: c.rotation[:, [1, 0, 2]] * [1, -1, 1]),
            pixels=lambda m: None), EACH,
        (A, B, 'Camera2', 'rotation differs')),
    'other cameras': (
        second(calibrations=cameras(name=lambda c: 'Top')), EACH,
        (B, A, 'camnames', 'Top')),
    'a camera less': (
        second(calibrations=lambda m: m.calibrations[:2],
               frames=lambda m: m.frames[:, :2],
               label_frames=lambda m: m.label_frames[:, :2],
               pixels=lambda m: m.pixels[:2]), EACH,
        (B, A, 'camnames', 'Camera3')),
    'frames of another sync': (
        second(frames=lambda m: m.frames + (m.sample_ids > 50)[:, None],
               label_frames=lambda m: m.label_frames + (
                   m.label_ids > 50)[:, None]), EACH,
        (B, A, 'Camera1, sampleID 51', 'data_frame 5', '7 of 12')),
    'sampleIDs of another sync': (
        second(sample_ids=lambda m: m.sample_ids + 3,
               label_ids=lambda m: m.label_ids + 3), EACH,
        (B, A, 'sync.data_sampleID', '1 for frame 0', 'found 4')),
    'fewer keypoints': (
        second(points=lambda m: m.points[:, :14],
               pixels=lambda m: m.pixels[:, :, :14]), EACH,
        (B, '16 keypoints', '14')),
    'both animals in the second file': (
        second(points=lambda m: np.concatenate(
            [m.points - APART, m.points], 1), pixels=lambda m: None), EACH,
        (B, '16 keypoints', '32')),
    'no middle of the second animal': (
        centres(nan_of_second), EACH, (CENTRES[1], '1 of 8', 'sampleID 71')),
    'second middle of another recording': (
        centres(far_second), EACH,
        (CENTRES[1], B, 'another recording or animal')),
    'file of middles a copy': (
        lambda f: shutil.copy(f / CENTRES[0], f / CENTRES[1]), EACH,
        (*CENTRES, 'copy')),
    'second labels in metres': (
        second(points=lambda m: m.points / 1000, pixels=lambda m: None),
        EACH, (B, 'metres')),
    'second labels of another calibration': (
        second(points=lambda m: m.points + [0, 0, 90.],), EACH,
        (B, 'data_2d')),
    'second labels beside all images': (
        second(points=lambda m: m.points + 400., pixels=lambda m: project(
            m.calibrations, m.points + 400.)), EACH,
        (B, 'inside the images')),
    'middles in one label file alone': (
        one_with_middles, dict(label_file=list(LABELS)),
        (B, "'com'", A, 'none')),
    'middles of both in each label file': (
        both_with_middles, dict(label_file=list(LABELS)),
        (A, 'com.com3d', 'one animal')),
}


@pytest.mark.parametrize('case', CASES)
def test_damage_is_one_clear_error(case: str, sound: Path,
                                   tmp_path: Path) -> None:
    change, settings, fragments = CASES[case]
    folder = tmp_path / 'dyad'
    shutil.copytree(sound, folder)
    change(folder)
    with pytest.raises(DataError) as caught:
        VolumetricPoseDataset(
            str(folder), '.', skeleton='rat16', num_individuals=2,
            recording_settings=settings)
    error = caught.value
    assert error.file.startswith(str(folder))
    assert error.where and error.expected and error.found
    for fragment in fragments:
        assert fragment in str(error), str(error)


def test_the_sound_recording_is_taken(sound: Path) -> None:
    for settings in (EACH, ALL):
        dataset = VolumetricPoseDataset(
            str(sound), '.', skeleton='rat16', num_individuals=2,
            recording_settings=settings)
        assert len(dataset) == 8

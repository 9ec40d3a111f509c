"""The metric beside scipy, cv2 and loops; counted once, and not lost."""
from __future__ import annotations

import csv
import json
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from scipy.spatial.transform import Rotation

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.registry import METRICS
from mmpose_ext.volumetric.metric import VolumetricMetric

NAMES = ('nose', 'neck', 'hip', 'tail')
LINKS = ((0, 1), (1, 2), (2, 3))
POSE = np.array([[60., 0, 5], [20., 8, 12], [-20., -6, 10], [-70., 0, 2]])


def make_cameras() -> Cameras:
    """Three cameras in a ring, 600 mm away, that look at the middle."""
    rotations, translations = [], []
    for angle in (0., 2.1, 4.2):
        ahead = -np.array([np.cos(angle), np.sin(angle), .5])
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotations.append(np.stack([right, np.cross(ahead, right), ahead]))
        translations.append([0., 0., 600.])
    return Cameras(
        ('a', 'b', 'c'), np.tile(
            np.array([[500., 0, 320], [0, 500, 240], [0, 0, 1]]), (3, 1, 1)),
        np.array(rotations), np.array(translations),
        np.tile([-.1, .02, 1e-3, -1e-3, 0], (3, 1)))


def about_z(angle: float) -> np.ndarray:
    return Rotation.from_euler('z', angle).as_matrix()


def make_samples(count: int = 12, turns: tuple[float, ...] = (0., np.pi / 2),
                 noise: float = 3., labelled: bool = True,
                 individuals: int = 1, seed: int = 0) -> list[dict]:
    """Samples as the evaluator hands them over."""
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        com = rng.uniform(-50, 50, (individuals, 3))
        heading = rng.uniform(0, 6)
        pose = (POSE + rng.normal(0, 4, POSE.shape)) @ about_z(heading).T
        truth = com[:, None] + pose + [1., 2, 3]
        if number % 3 == 0:
            truth[:, 1] = np.nan
        if number % 4 == 0:
            truth[:, 2, 1] = np.nan  # one coordinate is no label
        if not labelled:
            truth = np.full_like(truth, np.nan)
        whole = com[:, None] + pose + [1., 2, 3]
        for turn in turns:
            sample = PoseDataSample(metainfo=dict(
                sample_id=10 * number + 1, recording_index=0, turn=turn,
                cameras=make_cameras(), com=com, keypoint_names=NAMES,
                skeleton_links=LINKS, grid_centres=com,
                grid_axes=np.tile(about_z(turn), (individuals, 1, 1))))
            sample.pred_instances = InstanceData(
                keypoints=torch.tensor(
                    whole + rng.normal(0, noise, whole.shape)),
                keypoint_scores=torch.tensor(
                    rng.uniform(.1, 1, whole.shape[:2])))
            sample.gt_instances = InstanceData(
                keypoints=truth.astype(np.float32))
            samples.append(sample.to_dict())
    return samples


def evaluate(samples: list[dict], **options: Any
             ) -> tuple[VolumetricMetric, dict[str, float]]:
    metric = METRICS.build(dict(type='mmpose_ext.VolumetricMetric',
                                **options))
    for start in range(0, len(samples), 5):
        metric.process(None, samples[start:start + 5])
    figures = metric.evaluate(len(samples))
    return metric, {name.removeprefix('volumetric/'): value
                    for name, value in figures.items()}


def pairs(samples: list[dict]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Predicted and true keypoints of each instance with labels."""
    found = []
    for sample in samples:
        predicted = sample['pred_instances']['keypoints'].numpy()
        truth = sample['gt_instances']['keypoints'].astype(float)
        for points, labels in zip(predicted, truth, strict=True):
            known = np.isfinite(labels).all(-1)
            found.append((points[known], labels[known]))
    return found


def test_errors_are_those_of_a_plain_loop():
    samples = make_samples(individuals=2)
    _, figures = evaluate(samples, thresholds=(3, 6))
    distances = np.concatenate([
        np.linalg.norm(points - labels, axis=1)
        for points, labels in pairs(samples)])
    assert len(distances) < 12 * 2 * 2 * 4
    assert figures['MPJPE'] == pytest.approx(distances.mean())
    assert figures['median'] == pytest.approx(np.median(distances))
    for limit in (3, 6):
        assert figures[f'PCK@{limit}mm'] == pytest.approx(
            (distances <= limit).mean())


def test_aligned_error_is_that_of_scipys_rotation():
    samples = make_samples(noise=15.)
    _, figures = evaluate(samples)
    errors = []
    for points, labels in pairs(samples):
        if len(points) < 3:
            continue
        moving, still = points - points.mean(0), labels - labels.mean(0)
        turn, _ = Rotation.align_vectors(still, moving)
        errors.append(np.linalg.norm(turn.apply(moving) - still, axis=1))
    assert figures['P-MPJPE'] == pytest.approx(np.concatenate(errors).mean())
    assert figures['P-MPJPE'] < figures['MPJPE']


def test_a_moved_and_turned_answer_has_no_aligned_error_a_mirrored_one_has():
    samples = make_samples(noise=0.)
    turn = Rotation.from_euler('xyz', [.4, -.3, 2.]).as_matrix()
    for sample in samples:
        points = sample['pred_instances']['keypoints'].numpy() @ turn.T
        sample['pred_instances']['keypoints'] = points + 30.
    _, figures = evaluate(samples)
    assert figures['P-MPJPE'] < 1e-4 < 20 < figures['MPJPE']
    for sample in samples:
        sample['pred_instances']['keypoints'][..., 0] *= -1
    _, figures = evaluate(samples)
    assert figures['P-MPJPE'] > 1


def test_trivial_answer_is_the_best_constant_in_the_grids_frame():
    samples = make_samples(40, turns=(0., 1.3, 4.))
    metric, figures = evaluate(samples)
    local, rows = [], []
    for sample in samples:
        axes, centre = sample['grid_axes'][0], sample['grid_centres'][0]
        truth = sample['gt_instances']['keypoints'][0].astype(float)
        truth[~np.isfinite(truth).all(1)] = np.nan
        local.append((truth - centre) @ axes)  # axes^T (p - centre)
        rows.append((truth, axes, centre))
    pose = np.nanmean(local, 0)
    errors = [np.linalg.norm(pose @ axes.T + centre - truth, axis=1)
              for truth, axes, centre in rows]
    expected = np.nanmean(errors)
    assert figures['trivial/MPJPE'] == pytest.approx(expected)
    assert figures['ratio'] == pytest.approx(figures['MPJPE'] / expected)
    assert metric.report['trivial']['keypoints']['nose']['MPJPE'] == (
        pytest.approx(np.nanmean(np.array(errors)[:, 0])))


def test_reprojection_error_is_that_of_opencv():
    samples = make_samples()
    _, figures = evaluate(samples)
    cameras = make_cameras()
    errors = []
    for points, labels in pairs(samples):
        for view in range(3):
            there, here = (cv2.projectPoints(
                values, cv2.Rodrigues(cameras.rotations[view])[0],
                cameras.translations[view], cameras.intrinsics[view],
                cameras.distortions[view])[0][:, 0]
                for values in (points, labels))
            errors.append(np.linalg.norm(there - here, axis=1))
    assert figures['reprojection_px'] == pytest.approx(
        np.concatenate(errors).mean())


def test_centres_of_mass_and_share_of_the_body():
    samples = make_samples()
    metric, figures = evaluate(samples)
    given, own, lengths = [], [], []
    for sample, (points, labels) in zip(samples, pairs(samples),
                                        strict=True):
        given.append(np.linalg.norm(sample['com'][0] - labels.mean(0)))
        own.append(np.linalg.norm(points.mean(0) - labels.mean(0)))
        lengths.append(max(np.linalg.norm(a - b)
                           for a, b in combinations(labels, 2)))
    assert figures['COM_input'] == pytest.approx(np.mean(given))
    assert figures['COM'] == pytest.approx(np.mean(own))
    assert metric.report['body_length'] == pytest.approx(np.median(lengths))
    assert figures['body_share'] == pytest.approx(
        figures['MPJPE'] / np.median(lengths))


def test_bones_vary_within_an_animal_not_between_animals():
    samples = make_samples(20, turns=(0., ), noise=0.)
    for number, sample in enumerate(samples):
        scale = 1. if number < 10 else 2.
        sample['recording_index'] = number // 10
        sample['pred_instances']['keypoints'] = torch.tensor(
            POSE[None] * scale)
        sample['pred_instances']['keypoints'][0, 0] *= 1 + .1 * (number % 2)
    metric, figures = evaluate(samples)
    bones = metric.report['bones']
    assert list(bones) == ['nose-neck', 'neck-hip', 'hip-tail']
    lengths = [np.linalg.norm(POSE[0] * (1 + .1 * odd) - POSE[1])
               for odd in (0, 1)]
    variation = np.std(lengths) / np.mean(lengths)
    assert bones['nose-neck']['cv'] == pytest.approx(variation)
    assert bones['hip-tail']['cv'] == pytest.approx(0, abs=1e-9)
    assert figures['bone_cv'] == pytest.approx(variation / 3)
    assert figures['bone_cv_labels'] > .02


def test_jitter_is_the_second_difference_of_neighbouring_time_points():
    samples = make_samples(9, turns=(0., 1.), noise=0.)
    ids = [1, 11, 21, 31, 51, 61, 71, 200, 300]  # 31 to 51 is a gap
    rng = np.random.default_rng(1)
    paths = rng.normal(0, 5, (2, 9, 4, 3))
    for number, sample in enumerate(samples):
        sample['sample_id'] = ids[number // 2]
        sample['pred_instances']['keypoints'] = torch.tensor(
            paths[number % 2, number // 2][None])
    _, figures = evaluate(list(reversed(samples)))
    expected = np.mean([
        np.linalg.norm(path[i] - 2 * path[i + 1] + path[i + 2], axis=-1)
        for path in paths for i in (0, 1, 4)])
    assert figures['jitter'] == pytest.approx(expected)


def test_padding_counts_once_and_order_does_not_matter():
    samples = make_samples(11)
    _, figures = evaluate(samples)
    padded = [*reversed(samples), *samples[:3]]
    _, again = evaluate(padded)
    assert again == figures


def test_without_labels_only_bones_and_jitter_are_reported(tmp_path):
    samples = make_samples(6, labelled=False)
    metric, figures = evaluate(samples, out_dir=str(tmp_path))
    assert set(figures) == {'bone_cv', 'jitter'}
    assert not (tmp_path / 'keypoints.csv').exists()
    assert json.loads((tmp_path / 'keypoints.json').read_text())['count'] == 12
    assert metric.report['labelled'] == 0


def test_a_network_that_diverged_is_infinitely_far_off():
    samples = make_samples(6)
    samples[0]['pred_instances']['keypoints'][:] = np.nan
    _, figures = evaluate(samples)
    assert figures['MPJPE'] == np.inf
    assert figures['median'] < 20


def test_files_hold_a_line_a_keypoint(tmp_path):
    metric, figures = evaluate(make_samples(), out_dir=str(tmp_path))
    with (tmp_path / 'keypoints.csv').open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row['name'] for row in rows] == [*NAMES, 'all']
    assert float(rows[-1]['MPJPE']) == pytest.approx(figures['MPJPE'])
    assert float(rows[-1]['trivial']) == pytest.approx(
        figures['trivial/MPJPE'])
    stored = json.loads((tmp_path / 'keypoints.json').read_text())
    assert stored['keypoints']['nose']['count'] == 24
    assert stored['ratio'] == pytest.approx(figures['ratio'])


def test_thresholds_must_be_lengths():
    with pytest.raises(ValueError, match='above 0'):
        METRICS.build(dict(type='mmpose_ext.VolumetricMetric',
                           thresholds=(0, 5)))

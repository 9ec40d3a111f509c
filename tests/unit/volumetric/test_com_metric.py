from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.volumetric.com_frames import FrameReduction
from mmpose_ext.volumetric.com_metric import ComMetric, triangulate_com

Array = np.ndarray
TIMES = 12


def rig(views: int = 4) -> Cameras:
    """Cameras of 640 x 512 px on a ring, looking at the origin."""
    angles = 2 * np.pi * (np.arange(views) + .3) / views
    positions = 700 * np.stack(
        [np.cos(angles), np.sin(angles), np.full(views, .5)], 1)
    ahead = -positions / np.linalg.norm(positions, axis=1)[:, None]
    right = np.cross(ahead, [0, 0, 1.])
    right /= np.linalg.norm(right, axis=1)[:, None]
    rotations = np.stack([right, np.cross(ahead, right), ahead], 1)
    intrinsics = np.tile(
        [[600., 0, 320], [0, 600, 256], [0, 0, 1]], (views, 1, 1))
    return Cameras(
        tuple(f'cam{i}' for i in range(views)), intrinsics, rotations,
        -np.einsum('vij,vj->vi', rotations, positions),
        np.tile([-.1, .02, 1e-3, 1e-3, 0], (views, 1)),
        np.tile([640, 512], (views, 1)))


def samples(com: Array, moved: Array, factor: int = 4,
            scores: Array | None = None) -> list[dict]:
    """Packed results (T x V of them) that see ``com`` where ``moved`` is."""
    cameras = FrameReduction(factor).reduce_cameras(rig())
    truth, _ = cameras.project(com)
    pixels, _ = cameras.project(moved)
    if scores is None:
        scores = np.ones(pixels.shape[:2])
    return [
        dict(recording_index=int(t >= TIMES // 2), sample_id=10 * t, view=v,
             com=com[t][None], cameras=cameras, reduction=factor,
             pred_instances=dict(
                 keypoints=pixels[v, t][None, None],
                 keypoint_scores=scores[v, t][None, None]),
             gt_instances=dict(
                 keypoints=truth[v, t][None, None],
                 keypoints_visible=np.ones((1, 1))))
        for t in range(len(com)) for v in range(4)]


def evaluate(items: list[dict], **settings: float) -> dict[str, float]:
    metric = ComMetric(**settings)
    metric.process(None, items)
    return metric.compute_metrics(metric.results)


@pytest.fixture
def com() -> Array:
    generator = np.random.default_rng(0)
    return generator.uniform(-100, 100, (TIMES, 3))


def test_errors_are_those_in_space_and_in_frames(com: Array) -> None:
    steps = np.random.default_rng(1).normal(0, 4, com.shape)
    figures = evaluate(samples(com, com + steps))
    distances = np.linalg.norm(steps, axis=1)
    assert figures['mm_mean'] == pytest.approx(distances.mean(), rel=1e-6)
    assert figures['mm_median'] == pytest.approx(np.median(distances))
    for limit in (5, 10):
        assert figures[f'within@{limit}mm'] == (distances <= limit).mean()
    there, _ = rig().project(com + steps)
    apart = np.linalg.norm(there - rig().project(com)[0], axis=-1)
    assert figures['px_mean'] == pytest.approx(apart.mean())
    assert figures['px/cam2'] == pytest.approx(np.median(apart[2]))
    assert figures['found'] == 1 and figures['views_used'] == 4
    assert figures['reprojection_px'] == pytest.approx(0, abs=1e-6)


def test_the_best_constant_answer_stands_beside(com: Array) -> None:
    """One for each recording: their worlds need not be the same."""
    figures = evaluate(samples(com, com))
    halves = np.split(com, 2)
    trivial = np.concatenate(
        [np.linalg.norm(half - half.mean(0), axis=1) for half in halves])
    assert figures['trivial_mm_mean'] == pytest.approx(trivial.mean())
    assert figures['trivial_mm_median'] == pytest.approx(np.median(trivial))
    assert figures['ratio'] == pytest.approx(0, abs=1e-6)


def test_a_view_that_is_wrong_does_not_count(com: Array) -> None:
    items = samples(com, com)
    for t in range(TIMES):
        items[4 * t + t % 4]['pred_instances']['keypoints'] = (
            items[4 * t]['pred_instances']['keypoints'] + [25, -15])
    figures = evaluate(items)
    assert figures['mm_median'] < 1e-6 and figures['views_used'] == 3
    assert figures['px_mean'] > 10


def test_doubtful_views_have_no_say(com: Array) -> None:
    scores = np.ones((4, TIMES))
    scores[:3, 0], scores[0, 1] = .1, .1
    figures = evaluate(samples(com, com, scores=scores))
    assert figures['found'] == pytest.approx(11 / 12)
    assert figures['mm_mean'] < 1e-6  # of those that are found
    assert figures['within@5mm'] == pytest.approx(11 / 12)
    assert figures['views_used'] == pytest.approx((0 + 3 + 40) / 12)


def test_padding_and_order_change_nothing(com: Array) -> None:
    steps = np.random.default_rng(1).normal(0, 4, com.shape)
    items = samples(com, com + steps)
    figures = evaluate(items)
    shuffled = [items[i] for i in np.random.default_rng(2).permutation(48)]
    assert evaluate([*shuffled, *items[:5]]) == pytest.approx(figures)


def test_what_is_not_labelled_is_not_counted(com: Array) -> None:
    items = samples(com, com + 3)
    for item in items[:4]:
        item['com'] = np.full((1, 3), np.nan)
        item['gt_instances']['keypoints_visible'] = np.zeros((1, 1))
    figures = evaluate(items)
    assert figures['mm_mean'] == pytest.approx(27**.5, rel=1e-6)
    assert np.isfinite(list(figures.values())).all()


def test_thresholds_are_in_pixels_of_the_frames(com: Array) -> None:
    pixels = np.stack([item for item in rig().project(com)[0]])
    pixels[0] += [0, 20]
    for factor in (1, 4):
        cameras = FrameReduction(factor).reduce_cameras(rig())
        reduced = (pixels + .5) / factor - .5
        scores = np.ones(pixels.shape[:2])
        loose, tight = (triangulate_com(cameras, reduced, scores, factor, t)
                        for t in (40., 8.))
        assert loose.used.all() and not tight.used[0].any()
        assert tight.used[1:].all()
        assert loose.errors_px.mean() == pytest.approx(9, abs=3)
    assert replace(loose, used=None).used is None


def pair_samples(com: Array, moved: Array, shared: bool) -> list[dict]:
    """Packed results of two animals, of a shared map in any order."""
    generator = np.random.default_rng(3)
    parts = [samples(com[:, i], moved[:, i]) for i in range(2)]
    items = []
    for one, other in zip(*parts, strict=True):
        order = generator.permutation(2) if shared else [0, 1]
        item = dict(one, com=np.concatenate([one['com'], other['com']]))
        for name in ('pred_instances', 'gt_instances'):
            item[name] = {
                key: np.concatenate([one[name][key], other[name][key]], 1)
                for key in one[name]}
        for key, value in item['pred_instances'].items():
            item['pred_instances'][key] = value[:, order]
        items.append(item)
    return items


@pytest.fixture
def pair(com: Array) -> Array:
    """Two animals (T, 2, 3) that are 130 mm apart."""
    return np.stack([com / 2, com / 2 + [130., 0, 0]], 1)


def test_animals_of_a_shared_map_are_scored_as_they_fit(pair: Array) -> None:
    """As well as from a map each, whatever the order in each view."""
    moved = pair + np.random.default_rng(1).normal(0, 4, pair.shape)
    own = evaluate(pair_samples(pair, moved, shared=False))
    shared = evaluate(pair_samples(pair, moved, shared=True),
                      shared_map=True)
    assert shared['mm_mean'] == pytest.approx(np.linalg.norm(
        moved - pair, axis=-1).mean(), rel=1e-6)
    for name in ('mm_median', 'found', 'views_used', 'px_mean', 'px/cam2'):
        assert shared[name] == pytest.approx(own[name], rel=1e-6), name
    mixed = evaluate(pair_samples(pair, moved, shared=True))
    assert mixed['mm_median'] > 20 or mixed['found'] < .9


def test_a_missed_animal_of_a_shared_map_counts_as_not_found(
        pair: Array) -> None:
    items = pair_samples(pair, pair, shared=True)
    for item in items[:3]:  # three of four views of the first time point
        found, true = item['pred_instances'], item['gt_instances']
        apart = np.linalg.norm(
            found['keypoints'][0] - true['keypoints'][0, 1], axis=-1)
        found['keypoint_scores'][0, apart.argmin()] = 0
    figures = evaluate(items, shared_map=True)
    assert figures['found'] == pytest.approx(1 - 1 / (2 * TIMES))
    assert figures['mm_mean'] < 1e-6 and figures['px_mean'] < 1e-6

"""Figures of hands beside scipy, MMPose and loops, and by hand."""
from __future__ import annotations

import numpy as np
import pytest
from mmpose.evaluation.functional import keypoint_mpjpe
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.hand_scores import (
    HandResults,
    absolute_errors,
    align_poses,
    aligned_errors,
    area_under_curve,
    hand_errors,
    hand_report,
    mean_of_joints,
    pixel_errors,
    pooled_mean,
    relative_errors,
    share_within,
    spread_ratio,
    spreads,
)

N = 40


def random_hands(seed: int = 0, holes: float = 0.
                 ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, labels (N, 21, 3) m, and which are valid."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, .05, (N, 21, 3)) + [.1, 0, .7]
    points = truth + rng.normal(0, .02, truth.shape)
    valid = rng.random((N, 21)) >= holes
    valid[:, 0] = True
    return points, truth, valid


def make_results(seed: int = 0) -> HandResults:
    points, truth, valid = random_hands(seed, .1)
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, 480, (N, 21, 2))
    return HandResults(
        ids=np.arange(N), points=points, truth=truth, valid=valid,
        pixels=pixels + rng.normal(0, 5, pixels.shape), true_pixels=pixels,
        seen=valid & (rng.random((N, 21)) < .8),
        box_sides=rng.uniform(80, 200, N), left=rng.random(N) < .5,
        groups=dict(subject=np.where(np.arange(N) % 3, 'a', 'b')))


def kit_aligned(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What FreiHAND's and DexYCB's evaluation does to one pose."""
    means = points.mean(0), truth.mean(0)
    moving, still = points - means[0], truth - means[1]
    sizes = np.linalg.norm(moving), np.linalg.norm(still)
    turn, scale = orthogonal_procrustes(still / sizes[1], moving / sizes[0])
    return (moving / sizes[0]) @ turn.T * scale * sizes[1] + means[1]


def test_absolute_errors_are_mmposes() -> None:
    points, truth, valid = random_hands(1, .2)
    errors = absolute_errors(points, truth, valid)
    assert pooled_mean(errors) == pytest.approx(
        1000 * keypoint_mpjpe(points, truth, valid), rel=1e-9)
    assert np.isnan(errors[~valid]).all()


def test_relative_errors_subtract_each_wrist() -> None:
    points, truth, valid = random_hands(2, .2)
    errors = relative_errors(points, truth, valid)
    assert pooled_mean(errors) == pytest.approx(1000 * keypoint_mpjpe(
        points - points[:, :1], truth - truth[:, :1], valid), rel=1e-9)
    # the wrist's error is 0, and counts or not
    assert (errors[:, 0] == 0).all()
    without = relative_errors(points, truth, valid, include_root=False)
    assert np.isnan(without[:, 0]).all()
    assert pooled_mean(without) * (valid.sum() - N) == pytest.approx(
        pooled_mean(errors) * valid.sum())
    valid[3, 0] = False
    assert np.isnan(relative_errors(points, truth, valid)[3]).all()


def test_moved_hand_has_no_relative_error() -> None:
    _, truth, valid = random_hands()
    points = truth + [.03, .04, 0]
    np.testing.assert_allclose(relative_errors(points, truth, valid), 0,
                               atol=1e-9)
    np.testing.assert_allclose(absolute_errors(points, truth, valid), 50)


def test_procrustes_is_mmposes() -> None:
    points, truth, valid = random_hands(3)
    assert pooled_mean(aligned_errors(points, truth, valid)) == (
        pytest.approx(1000 * keypoint_mpjpe(points, truth, valid,
                                            'procrustes'), rel=1e-9))


def test_procrustes_of_the_kit_is_scipys() -> None:
    points, truth, valid = random_hands(4)
    points[:20, :, 0] *= -1  # mirrored
    expected = [1000 * np.linalg.norm(kit_aligned(a, b) - b, axis=1)
                for a, b in zip(points, truth, strict=True)]
    np.testing.assert_allclose(
        aligned_errors(points, truth, valid, reflection=True), expected,
        rtol=1e-6)


def test_masked_procrustes_is_that_of_the_valid_joints() -> None:
    points, truth, valid = random_hands(5, .3)
    errors = aligned_errors(points, truth, valid)
    for row in range(N):
        known = valid[row]
        alone = aligned_errors(points[row:row + 1, known],
                               truth[row:row + 1, known],
                               np.ones((1, known.sum()), bool))
        np.testing.assert_allclose(errors[row, known], alone[0], rtol=1e-9)
        assert np.isnan(errors[row, ~known]).all()


def test_similarity_is_undone() -> None:
    _, truth, valid = random_hands(6)
    turns = Rotation.random(N, random_state=0).as_matrix()
    points = np.einsum('nij,nkj->nki', turns, truth) * 1.7 + [3, -2, 1]
    np.testing.assert_allclose(align_poses(points, truth, valid), truth,
                               atol=1e-12)


def test_mirrored_hand_is_forgiven_by_the_kit_alone() -> None:
    _, truth, valid = random_hands(7)
    points = truth * [-1, 1, 1]
    kit = pooled_mean(aligned_errors(points, truth, valid, reflection=True))
    proper = pooled_mean(aligned_errors(points, truth, valid))
    assert kit == pytest.approx(0, abs=1e-9)
    assert proper > 20
    # close to the truth the two are one
    near, truth, valid = random_hands(8)
    np.testing.assert_allclose(
        aligned_errors(near, truth, valid),
        aligned_errors(near, truth, valid, reflection=True), rtol=1e-9)


def test_too_few_joints_and_predictions_that_are_none() -> None:
    points, truth, valid = random_hands(9)
    valid[0, 2:] = False
    points[1, 5] = np.nan
    points[2] = np.inf
    points[3] = 0  # all in one place: nothing to turn
    errors = aligned_errors(points, truth, valid)
    assert np.isnan(errors[0]).all()
    assert np.isinf(errors[1:3]).all()
    np.testing.assert_allclose(
        errors[3], 1000 * np.linalg.norm(truth[3] - truth[3].mean(0),
                                         axis=1))
    assert np.isinf(relative_errors(points, truth, valid)[2]).all()
    assert np.isinf(absolute_errors(points, truth, valid)[1]).sum() == 1


def test_area_under_curve_beside_a_loop() -> None:
    errors = np.random.default_rng(0).gamma(2, 12, (N, 21))
    errors[np.random.default_rng(1).random(errors.shape) < .2] = np.nan
    thresholds = np.linspace(0, 50, 100)
    areas = []
    for column in errors.T:
        known = column[~np.isnan(column)]
        curve = [np.mean(known <= limit) for limit in thresholds]
        areas.append(np.trapezoid(curve, thresholds) / 50)
    assert area_under_curve(errors) == pytest.approx(np.mean(areas),
                                                     rel=1e-9)


@pytest.mark.parametrize(('error', 'limits', 'expected'), [
    (0., (0, 50), 1.),
    (60., (0, 50), 0.),
    (np.inf, (0, 50), 0.),
    # 50 of 99 steps lie above 25, and one is half
    (25., (0, 50), 49.5 / 99),
    (20., (20, 50), 1.),
])
def test_area_under_curve_by_hand(error: float, limits: tuple[float, float],
                                  expected: float) -> None:
    found = area_under_curve(np.full((3, 2), error), limits)
    assert found == pytest.approx(expected)
    assert np.isnan(area_under_curve(np.full((3, 2), np.nan)))


def test_shares_and_means_by_hand() -> None:
    errors = np.array([[10., 20.], [30., np.nan]])
    assert pooled_mean(errors) == 20
    assert mean_of_joints(errors) == 20
    assert mean_of_joints(np.array([[10., 50.], [30., np.nan]])) == 35
    assert share_within(errors, 20) == pytest.approx(2 / 3)
    assert share_within(errors, 20, strict=True) == pytest.approx(1 / 3)
    assert np.isnan(share_within(errors * np.nan, 20))


def test_pixel_errors_are_in_pixels() -> None:
    pixels = np.zeros((1, 21, 2))
    moved = pixels + [3, 4]
    moved[0, 1] = np.nan  # behind the camera
    seen = np.ones((1, 21), bool)
    seen[0, 2] = False
    errors = pixel_errors(moved, pixels, seen)[0]
    assert errors[0] == pytest.approx(5)
    assert np.isinf(errors[1])
    assert np.isnan(errors[2])


def test_spread_of_a_collapsed_and_of_a_shrunk_prediction() -> None:
    _, truth, valid = random_hands(10)
    left = np.arange(N) % 2 == 1
    true = spreads(truth, valid, left)
    relative = (truth - truth[:, :1]) * np.where(left[:, None, None],
                                                 [-1, 1, 1], 1)
    np.testing.assert_allclose(
        true, 1000 * np.sqrt(relative.var(0).sum(-1)), rtol=1e-9)
    assert spread_ratio(true, true) == pytest.approx(1)
    wrists = truth[:, :1]
    half = spreads(wrists + (truth - wrists) / 2, valid, left)
    assert spread_ratio(half, true) == pytest.approx(.5)
    # one pose for all, wherever its wrist is, and mirrored for left hands
    constant = truth[:1] - truth[:1, :1]
    mirrored = constant * np.where(left[:, None, None], [-1, 1, 1], 1)
    collapsed = spreads(wrists + mirrored, valid, left)
    assert spread_ratio(collapsed, true) == pytest.approx(0, abs=1e-9)
    assert np.isnan(spread_ratio(true, true * 0))


def test_report_joins_tables_and_figures() -> None:
    results = make_results()
    report = hand_report(results)
    errors = hand_errors(results)
    overall = report['all']
    assert report['count'] == N
    for name in ('MPJPE', 'MPJPE_abs', 'PA-MPJPE', 'PA-MPJPE_kit', 'EPE'):
        assert overall[name] == pytest.approx(np.nanmean(errors[name]))
    seen = results.seen
    distances = np.linalg.norm(results.pixels - results.true_pixels, axis=-1)
    assert overall['PCK2D@5px'] == pytest.approx((distances < 5)[seen].mean())
    sides = results.box_sides[:, None]
    for share in (.05, .2):
        assert overall[f'PCK2D@{share:g}box'] == pytest.approx(
            (distances < share * sides)[seen].mean())
    assert overall['PCK3D@20mm'] == pytest.approx(
        (errors['MPJPE'][results.valid] <= 20).mean())
    assert overall['MPJPE_joints'] == pytest.approx(np.mean(
        np.nanmean(errors['MPJPE'], axis=0)))
    assert list(report['joint'])[:2] == ['wrist', 'thumb_mcp']
    assert report['joint']['index_tip']['MPJPE'] == pytest.approx(
        np.nanmean(errors['MPJPE'][:, 8]))
    assert report['joint']['index_tip']['count'] == results.valid[:, 8].sum()
    rows = results.groups['subject'] == 'b'
    assert report['subject']['b']['MPJPE'] == pytest.approx(
        np.nanmean(errors['MPJPE'][rows]))
    assert {name: row['count'] for name, row in report['side'].items()} == {
        'left': results.left.sum(), 'right': (~results.left).sum()}
    assert .9 < report['spread_ratio'] < 1.3
    wider = hand_report(results, auc_range=(0, 100))
    assert wider['all']['AUC'] > overall['AUC']

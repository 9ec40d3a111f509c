"""Distances to surfaces beside closed forms, contact beside scikit-learn."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from sklearn.metrics import (
    average_precision_score,
    precision_recall_fscore_support,
)

from mmpose_ext.handobject.contact import (
    average_precision,
    contact_figures,
    contact_of,
    joint_distances,
)
from mmpose_ext.handobject.meshes import Mesh
from mmpose_ext.handobject.surface import SurfaceSearch, closest_on_triangles
from mmpose_ext.storage import DataError
from tests.unit.handobject.object_meshes import (
    BALL_RADIUS,
    BOX_SIDES,
    CENTRE,
    write_solids,
)

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_solids(tmp_path_factory.mktemp('models'))


def box_distances(points: np.ndarray) -> np.ndarray:
    """Distances to the surface of the box of the test."""
    beyond = np.abs(points - CENTRE) - BOX_SIDES / 2
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
    return np.where(outside > 0, outside, -beyond.max(-1))


def test_distances_to_a_box_within_a_tenth_of_a_millimetre(
        models_dir: Path) -> None:
    joints = RNG.uniform(-.15, .15, (60, 21, 3))
    found = joint_distances(models_dir, 2, joints)
    assert (found.shape, found.dtype) == ((60, 21), np.float32)
    np.testing.assert_allclose(found, box_distances(joints), atol=1e-4)


def test_distances_to_a_ball(models_dir: Path) -> None:
    joints = CENTRE + RNG.normal(0, .06, (60, 21, 3))
    true = np.abs(np.linalg.norm(joints - CENTRE, axis=-1) - BALL_RADIUS)
    found = joint_distances(models_dir, 5, joints)
    # the ball's triangles are chords
    np.testing.assert_allclose(found, true, atol=4e-4)
    ball = trimesh.creation.icosphere(3, BALL_RADIUS)
    ball.apply_translation(CENTRE)
    _, exact, _ = trimesh.proximity.closest_point_naive(ball, joints[0])
    np.testing.assert_allclose(found[0], exact, atol=2e-5)


def test_unknown_joints_stay_unknown(models_dir: Path) -> None:
    joints = np.zeros((2, 21, 3))
    joints[1, 3, 2] = np.nan
    found = joint_distances(models_dir, 2, joints)
    assert np.isnan(found[1, 3])
    assert np.isfinite(found).sum() == 41
    assert joint_distances(models_dir, 2, joints[:0]).shape == (0, 21)


def test_missing_mesh(models_dir: Path) -> None:
    with pytest.raises(DataError) as caught:
        joint_distances(models_dir, 3, np.zeros((1, 21, 3)))
    assert '004_sugar_box' in caught.value.file
    assert (caught.value.expected, caught.value.found) == ('a file',
                                                           'nothing')


def test_closest_on_triangles_beside_trimesh() -> None:
    triangles = RNG.normal(size=(500, 3, 3))
    triangles[0, 1:] = triangles[0, :1]  # a point
    triangles[1, 2] = (triangles[1, 0] + triangles[1, 1]) / 2  # a line
    points = RNG.normal(0, 2, (500, 3))
    found, weights = closest_on_triangles(points, triangles)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights >= 0).all()
    np.testing.assert_allclose(
        found[2:], trimesh.triangles.closest_point(triangles[2:],
                                                   points[2:]), atol=1e-9)
    np.testing.assert_allclose(found[0], triangles[0, 0])
    shares = np.linspace(0, 1, 10001)[:, None]
    line = triangles[1, 0] + shares * (triangles[1, 1] - triangles[1, 0])
    nearest = np.linalg.norm(line - points[1], axis=1).min()
    assert np.linalg.norm(found[1] - points[1]) == pytest.approx(nearest,
                                                                1e-5)


def test_gaps_of_the_samples_are_small() -> None:
    box = trimesh.creation.box(BOX_SIDES)
    search = SurfaceSearch(Mesh(np.array(box.vertices), np.array(box.faces)))
    assert search.gap < .004


def test_contact_of_tips_and_other_joints() -> None:
    distances = np.full((2, 21), .022)
    distances[1] = np.nan
    touching = contact_of(distances)
    assert np.flatnonzero(touching[0]).tolist() == [4, 8, 12, 16, 20]
    assert not touching[1].any()
    assert contact_of(np.full(21, .019)).all()
    assert not contact_of(np.full(21, .025)).any()


@pytest.mark.parametrize('levels', [None, 5])
def test_average_precision_is_scikit_learns(levels: int | None) -> None:
    truth = RNG.random(400) < .3
    scores = RNG.random(400)
    if levels:  # many equal scores
        scores = np.round(scores * levels) / levels
    assert average_precision(truth, scores) == pytest.approx(
        average_precision_score(truth, scores), 1e-12)
    assert np.isnan(average_precision(np.zeros(3, bool), np.arange(3)))


def test_contact_figures_are_scikit_learns() -> None:
    truth = RNG.random((50, 21)) < .3
    scores = np.clip(truth * .3 + RNG.random((50, 21)) * .7, 0, 1)
    known = np.broadcast_to(RNG.random((50, 1)) < .8, truth.shape)
    figures = contact_figures(truth, scores, known, .4)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth[known], scores[known] >= .4, average='binary')
    assert figures['count'] == known.sum()
    np.testing.assert_allclose(
        [figures[name] for name in ('precision', 'recall', 'F1')],
        [precision, recall, f1], rtol=1e-12)
    assert figures['touching'] == pytest.approx(truth[known].mean())


def test_contact_figures_where_nothing_is_said_or_true() -> None:
    known = np.ones((1, 21), bool)
    none, all_ = np.zeros((1, 21)), np.ones((1, 21))
    silent = contact_figures(all_ > 0, none, known)
    assert (silent['F1'], silent['recall']) == (0, 0)
    assert np.isnan(silent['precision'])
    nothing = contact_figures(none > 0, none, known)
    assert np.isnan([nothing['F1'], nothing['AP']]).all()
    assert np.isnan(contact_figures(all_ > 0, all_, ~known)['touching'])

"""Figures of objects beside loops and scipy, and of known motions."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.meshes import ObjectModels, load_mesh
from mmpose_ext.handobject.object_scores import (
    ObjectResults,
    angles_between,
    object_errors,
    object_figures,
    object_report,
)
from mmpose_ext.storage import DataError
from tests.unit.handobject.object_meshes import (
    BOX_SIDES,
    CENTRE,
    write_solids,
)

M = 24
BOX, BALL, BOWL, BRICK = 1, 4, 12, 20  # classes


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> ObjectModels:
    return ObjectModels(write_solids(tmp_path_factory.mktemp('models')),
                        num_points=200, steps=36)


def make_results(classes: np.ndarray, turn: np.ndarray | None = None,
                 shift: np.ndarray | None = None, seed: int = 0,
                 noise: float = .1) -> ObjectResults:
    """Poses that differ by a motion in the object's frame, or by noise."""
    rng = np.random.default_rng(seed)
    count = len(classes)
    rotations = Rotation.random(count, random_state=seed).as_matrix()
    translations = rng.normal(0, .1, (count, 3)) + [0, 0, .7]
    if turn is None:
        turn = Rotation.from_rotvec(rng.normal(0, noise, (count, 3))
                                    ).as_matrix()
        shift = rng.normal(0, noise / 5, (count, 3))
    else:
        shift = np.zeros(3) if shift is None else shift
    return ObjectResults(
        ids=np.arange(count), classes=classes, rotations=rotations @ turn,
        translations=translations + np.einsum(
            'nij,...j->ni' if shift.ndim == 1 else 'nij,nj->ni', rotations,
            shift),
        true_rotations=rotations, true_translations=translations,
        grasped=np.arange(count) % 2 == 0,
        groups=dict(subject=np.where(np.arange(count) % 3, 'a', 'b')))


def about_centre(turn: np.ndarray) -> np.ndarray:
    """Shift that keeps the middle of the solids where it is."""
    return CENTRE - turn @ CENTRE


def places(results: ObjectResults, row: int,
           points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true places of points of the object."""
    return (points @ results.rotations[row].T + results.translations[row],
            points @ results.true_rotations[row].T
            + results.true_translations[row])


def test_all_errors_beside_loops(models: ObjectModels) -> None:
    classes = np.resize([BOX, BALL, BOWL, BRICK], M)
    results = make_results(classes)
    errors = object_errors(results, models)
    for row, number in enumerate(classes):
        model = models[number + 1]
        found, true = places(results, row, model.points)
        add = np.linalg.norm(found - true, axis=1).mean()
        adds = cdist(true, found).min(1).mean()
        # every vertex of the mesh, not those of the hull alone
        vertices = load_mesh(models.models_dir, number + 1).vertices
        group = model.symmetries
        largest, angles = [], []
        for turn, shift in zip(group.rotations, group.translations,
                               strict=True):
            found, _ = places(results, row, vertices @ turn.T + shift)
            _, true = places(results, row, vertices)
            largest.append(np.linalg.norm(found - true, axis=1).max())
            angles.append(Rotation.from_matrix(
                results.true_rotations[row].T @ results.rotations[row]
                @ turn).magnitude())
        best = int(np.argmin(angles))
        moved = results.translations[row] + results.rotations[row] @ (
            group.translations[best])
        found, true = places(results, row, model.corners)
        expected = {
            'ADD': add, 'ADD-S': adds, 'MSSD': min(largest),
            'ADD(-S)': adds if number in (BOWL, BRICK) else add,
            'corner': np.linalg.norm(found - true, axis=1).mean(),
            'translation_mm': np.linalg.norm(
                moved - results.true_translations[row]),
            'rotation_deg': np.degrees(angles[best]) / 1000}
        for name, value in expected.items():
            assert errors[name][row] == pytest.approx(1000 * value,
                                                      rel=1e-6), name
        assert errors['share'][row] == pytest.approx(
            expected['ADD(-S)'] / model.diameter, rel=1e-6)


def test_moved_box_by_hand(models: ObjectModels) -> None:
    results = make_results(np.full(4, BOX), np.eye(3),
                           np.array([.03, 0, .04]))
    errors = object_errors(results, models)
    for name in ('ADD', 'ADD(-S)', 'MSSD', 'corner', 'translation_mm'):
        np.testing.assert_allclose(errors[name], 50)
    assert (errors['ADD-S'] < 50).all()
    np.testing.assert_allclose(errors['rotation_deg'], 0, atol=1e-6)
    figures = object_figures(errors)
    diameter = np.linalg.norm(BOX_SIDES)
    assert figures['ADD-0.1D'] == float(diameter > .5)
    assert figures['AUC'] == pytest.approx(.5, abs=1e-3)
    near = make_results(np.full(4, BOX), np.eye(3), np.array([.02, 0, 0]))
    assert object_figures(object_errors(near, models))['ADD-0.1D'] == 1


@pytest.mark.parametrize(('number', 'axis', 'angle', 'symmetric'), [
    (BRICK, [0, 1, 0], 180, True),
    (BRICK, [1, 0, 0], 180, True),
    (BRICK, [0, 1, 0], 90, False),
    (BOWL, [0, 0, 1], 130, True),  # a multiple of 10 degrees
    (BOWL, [1, 0, 0], 180, False),
    (BOX, [0, 0, 1], 180, False),  # it has print on it
])
def test_turned_objects(models: ObjectModels, number: int, axis: list[float],
                        angle: float, symmetric: bool) -> None:
    turn = Rotation.from_rotvec(np.radians(angle) * np.array(axis)
                                ).as_matrix()
    results = make_results(np.full(3, number), turn, about_centre(turn))
    errors = object_errors(results, models)
    assert (errors['ADD'] > 10).all()
    if symmetric:
        np.testing.assert_allclose(errors['rotation_deg'], 0, atol=1e-6)
        np.testing.assert_allclose(errors['translation_mm'], 0, atol=1e-9)
        np.testing.assert_allclose(errors['MSSD'], 0, atol=1e-5)
        # other samples of the same surface
        assert (errors['ADD(-S)'] < 10).all()
    else:
        np.testing.assert_allclose(errors['rotation_deg'], angle)
        assert (errors['MSSD'] > 2).all()


def test_rotation_error_of_all_sizes() -> None:
    angles = np.radians([0, 1e-6, 1e-3, 1, 90, 179, 179.999, 180])
    turns = Rotation.from_rotvec(angles[:, None] * np.array([.6, 0, .8])
                                 ).as_matrix()
    np.testing.assert_allclose(angles_between(turns), angles, rtol=1e-6,
                               atol=1e-12)


def test_predictions_that_are_no_numbers(models: ObjectModels) -> None:
    results = make_results(np.full(4, BALL))
    results.rotations[0, 0, 0] = np.nan
    results.translations[1] = np.inf
    errors = object_errors(results, models)
    for values in errors.values():
        assert np.isinf(values[:2]).all()
        assert np.isfinite(values[2:]).all()
    assert object_figures(errors)['AUC'] < .51


def test_report_tells_held_from_all(models: ObjectModels) -> None:
    classes = np.resize([BOX, BALL, BOWL, BRICK, BOX], M)
    results = make_results(classes)
    errors = object_errors(results, models)
    report = object_report(results, errors)
    held = results.grasped
    assert report['count'] == report['all']['count'] == M
    assert report['grasped']['count'] == held.sum()
    assert report['grasped']['ADD'] == pytest.approx(
        errors['ADD'][held].mean())
    assert report['all']['ADD'] == pytest.approx(errors['ADD'].mean())
    assert {*report['object']} == {
        '003_cracker_box', '006_mustard_bottle', '024_bowl',
        '061_foam_brick'}
    rows = held & (classes == BOX)
    assert report['object']['003_cracker_box']['MSSD'] == pytest.approx(
        errors['MSSD'][rows].mean())
    assert report['object_all']['003_cracker_box']['count'] == (
        classes == BOX).sum()
    rows = held & (results.groups['subject'] == 'b')
    assert report['subject']['b']['corner'] == pytest.approx(
        errors['corner'][rows].mean())
    assert report['grasped']['ADD-0.1D'] == pytest.approx(
        (errors['share'][held] < .1).mean())


def test_areas_beside_a_loop(models: ObjectModels) -> None:
    errors = object_errors(make_results(np.resize([BOX, BOWL], M)), models)
    figures = object_figures(errors)
    thresholds = np.linspace(0, 100, 1000)
    for name, kind in (('AUC', 'ADD(-S)'), ('AUC_ADD', 'ADD'),
                       ('AUC_ADD-S', 'ADD-S')):
        curve = [(errors[kind] <= limit).mean() for limit in thresholds]
        assert figures[name] == pytest.approx(
            np.trapezoid(curve, thresholds) / 100, rel=1e-9)


def test_missing_mesh_of_an_object(models: ObjectModels) -> None:
    with pytest.raises(DataError, match='002_master_chef_can'):
        object_errors(make_results(np.array([0])), models)

"""Meshes: surface, corners and diameter of solids that are known."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.distance import pdist

from mmpose_ext.handobject.meshes import (
    Mesh,
    ObjectModels,
    hull_vertices,
    largest_distance,
    load_mesh,
    load_mesh_bounds,
    sample_surface,
)
from mmpose_ext.handobject.objects import ycb_name
from mmpose_ext.storage import DataError
from tests.unit.handobject.object_meshes import (
    BALL_RADIUS,
    BOX_SIDES,
    CENTRE,
    write_mesh,
    write_solids,
)


@pytest.fixture(scope='module')
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_solids(tmp_path_factory.mktemp('models'))


def test_bounds_of_a_box(models_dir: Path) -> None:
    np.testing.assert_allclose(
        load_mesh_bounds(models_dir, 2),
        [CENTRE - BOX_SIDES / 2, CENTRE + BOX_SIDES / 2], atol=1e-7)


def test_mesh_equals_what_was_written(models_dir: Path) -> None:
    mesh = load_mesh(models_dir, 5)
    ball = trimesh.Trimesh(mesh.vertices, mesh.faces)
    assert ball.is_watertight
    assert ball.volume == pytest.approx(4 / 3 * np.pi * BALL_RADIUS**3, .02)


def test_faces_are_turned_outwards(tmp_path: Path) -> None:
    mesh = trimesh.creation.box((.1, .1, .1))
    mesh.invert()
    write_mesh(tmp_path, 2, mesh)
    found = load_mesh(tmp_path, 2)
    assert trimesh.Trimesh(found.vertices, found.faces).volume > 0


def test_vertices_of_no_triangle_are_left_out(tmp_path: Path) -> None:
    path = write_mesh(tmp_path, 2, trimesh.creation.box((.1, .1, .1)))
    path.write_text(f'v 9 9 9\n{path.read_text()}'.replace('\nf ', '\n#f ')
                    + '\nf 2 3 4\n')
    assert load_mesh(tmp_path, 2).vertices.shape == (3, 3)


def test_surface_samples_lie_on_the_surface_evenly() -> None:
    ball = trimesh.creation.icosphere(4, .05)
    mesh = Mesh(np.array(ball.vertices), np.array(ball.faces))
    points, owners = sample_surface(mesh, 4000)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), .05, rtol=.003)
    _, distances, _ = trimesh.proximity.closest_point_naive(
        ball, points[:50])
    np.testing.assert_allclose(distances, 0, atol=1e-9)
    # the share of a cap is that of its height
    assert (points[:, 2] > .025).mean() == pytest.approx(.25, abs=.02)
    normals = ball.face_normals[owners]
    assert ((points * normals).sum(1) > 0).all()
    np.testing.assert_array_equal(points, sample_surface(mesh, 4000)[0])
    assert (points != sample_surface(mesh, 4000, seed=1)[0]).any()


def test_model_of_a_box(models_dir: Path) -> None:
    model = ObjectModels(models_dir)[2]
    assert model.points.shape == (1000, 3)
    assert model.diameter == pytest.approx(np.linalg.norm(BOX_SIDES))
    assert len({*map(tuple, model.corners)}) == 8
    np.testing.assert_allclose(np.abs(model.corners - CENTRE),
                               np.tile(BOX_SIDES / 2, (8, 1)), atol=1e-7)
    assert sorted(map(tuple, model.hull)) == sorted(map(tuple, model.corners))
    assert (len(model.symmetries), model.symmetric) == (1, False)


def test_models_are_cached_and_symmetric_by_the_list(
        models_dir: Path) -> None:
    models = ObjectModels(models_dir, num_points=50, steps=8)
    assert models[13] is models[13]
    assert len(models[13].symmetries) == 8
    assert len(models[21].symmetries) == 4
    assert models[21].points.shape == (50, 3)
    assert (models.has(21), models.has(20)) == (True, False)
    none = ObjectModels(models_dir, symmetric=())
    assert (len(none[13].symmetries), none[13].symmetric) == (1, False)
    other = ObjectModels(models_dir, symmetries={21: dict(
        axis='y', folds=2)})
    assert len(other[21].symmetries) == 2


def test_models_info_replaces_rules_about_the_mesh(models_dir: Path,
                                                   tmp_path: Path) -> None:
    path = tmp_path / 'models_info.json'
    path.write_text(json.dumps({'21': dict(
        min_x=-25, min_y=-40, min_z=-25.5, size_x=50, size_y=80, size_z=51,
        symmetries_discrete=[np.diag([-1., 1, -1, 1]).ravel().tolist()])}))
    models = ObjectModels(models_dir, models_info=path)
    group = models[21].symmetries
    assert len(group) == 2
    # BOP's mesh is centred, this one is not
    np.testing.assert_allclose(
        group.rotations[1] @ CENTRE + group.translations[1], CENTRE)
    assert len(models[13].symmetries) == 1


def test_largest_distance_is_that_of_all_pairs() -> None:
    points = np.random.default_rng(0).normal(size=(80, 3))
    assert largest_distance(hull_vertices(points)) == pytest.approx(
        pdist(points).max())
    flat = points * [1, 1, 0]
    assert largest_distance(hull_vertices(flat)) == pytest.approx(
        pdist(flat).max())


def test_arguments_out_of_range(models_dir: Path) -> None:
    with pytest.raises(ValueError, match='num_points'):
        ObjectModels(models_dir, num_points=20_000)
    with pytest.raises(ValueError, match='steps'):
        ObjectModels(models_dir, steps=0)
    with pytest.raises(ValueError, match='YCB id'):
        ObjectModels(models_dir)[22]


def check_error(folder: Path, where: str, expected: str, found: str,
                file: Path | None = None) -> None:
    with pytest.raises(DataError) as caught:
        load_mesh(folder, 2)
    error = caught.value
    assert error.file == str(
        file or folder / ycb_name(2) / 'textured_simple.obj')
    assert error.where == where
    assert expected in error.expected
    assert found in error.found


def test_missing_folder_and_mesh(tmp_path: Path) -> None:
    missing = tmp_path / 'none'
    check_error(missing, 'folder', 'a folder of meshes', 'nothing', missing)
    check_error(tmp_path, 'file', 'a file', 'nothing')
    with pytest.raises(DataError, match='a folder of meshes'):
        ObjectModels(missing)


@pytest.mark.parametrize(('text', 'expected', 'found'), [
    (b'v 0 0 0\nv 1 0 0\n', 'triangles', 'no triangle'),
    (b'\x89PNG\x00\xff' * 50, 'triangles', 'no triangle'),
    (b'v 0 0 0\nv .1 0 0\nv 0 .1 0\nf 1 2 9\n', 'an .obj mesh',
     'IndexError'),
    (b'v 0 0 x\nv .1 0 0\nv 0 .1 0\nf 1 2 3\n', 'an .obj mesh',
     'ValueError'),
])
def test_what_is_no_mesh(tmp_path: Path, text: bytes, expected: str,
                         found: str) -> None:
    path = tmp_path / ycb_name(2) / 'textured_simple.obj'
    path.parent.mkdir()
    path.write_bytes(text)
    check_error(tmp_path, 'file', expected, found)


def test_mesh_in_millimetres_or_of_no_size(tmp_path: Path) -> None:
    write_mesh(tmp_path, 2, trimesh.creation.box(1000 * BOX_SIDES))
    check_error(tmp_path, 'vertices', '0.005 to 1 m', '270')
    with pytest.raises(DataError, match='looks like mm'):
        load_mesh(tmp_path, 2)
    write_mesh(tmp_path, 2, trimesh.creation.box(BOX_SIDES / 1000))
    check_error(tmp_path, 'vertices', '0.005 to 1 m', '0.00027')


def test_without_trimesh_the_extra_is_named(
        models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'trimesh', None)
    with pytest.raises(DataError) as caught:
        load_mesh(models_dir, 2)
    assert caught.value.where == 'package'
    assert caught.value.hint == 'pip install mmpose_ext[handobject]'

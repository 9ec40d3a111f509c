"""Grids of signed distances beside the closed forms of box and ball."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from mmpose_ext.handobject.distance_fields import (
    FAR,
    MARGIN,
    HandObjectDistanceField,
    build_distance_fields,
    signed_distances,
)
from mmpose_ext.handobject.meshes import Mesh
from mmpose_ext.storage import DataError, NpzArchive, write_npz
from tests.unit.handobject.object_meshes import (
    BALL_RADIUS,
    BOX_SIDES,
    CENTRE,
    write_solids,
)

BOX, BALL = 1, 4  # classes
RESOLUTION = 24
STEP = (BOX_SIDES.max() + 2 * MARGIN) / (RESOLUTION - 1)


@pytest.fixture(scope='module')
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_solids(tmp_path_factory.mktemp('models'))


@pytest.fixture(scope='module')
def field_file(models_dir: Path) -> Path:
    path = models_dir / 'fields.npz'
    build_distance_fields(models_dir, [5, 2], RESOLUTION, path)
    return path


@pytest.fixture(scope='module')
def field(field_file: Path) -> HandObjectDistanceField:
    return HandObjectDistanceField(field_file)


def signed_box(points: np.ndarray) -> np.ndarray:
    beyond = np.abs(points - CENTRE) - BOX_SIDES / 2
    return np.linalg.norm(np.maximum(beyond, 0), axis=-1) + np.minimum(
        beyond.max(-1), 0)


def signed_ball(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points - CENTRE, axis=-1) - BALL_RADIUS


def test_box_and_ball_in_one_batch(field: HandObjectDistanceField) -> None:
    rng = np.random.default_rng(0)
    points = CENTRE + rng.uniform(-1, 1, (2, 500, 3)) * (
        np.array([BOX_SIDES, [2 * BALL_RADIUS] * 3]) / 2 + .9 * MARGIN
    )[:, None]
    found = field(torch.tensor(points), torch.tensor([BOX, BALL])).numpy()
    assert found.dtype == np.float32
    for values, true in zip(found, (signed_box(points[0]),
                                    signed_ball(points[1])), strict=True):
        assert np.abs(values - true).mean() < STEP / 10
        assert np.abs(values - true).max() < STEP
        clear = np.abs(true) > STEP / 2
        assert ((values < 0) == (true < 0))[clear].all()


def test_nodes_are_exact_to_a_tenth_of_a_millimetre() -> None:
    box = trimesh.creation.box(BOX_SIDES)
    grid, origin, spacing = signed_distances(
        Mesh(np.array(box.vertices) + CENTRE, np.array(box.faces)), 16)
    nodes = origin + spacing * np.stack(np.meshgrid(
        *[np.arange(16)] * 3, indexing='ij'), -1)
    np.testing.assert_allclose(grid, signed_box(nodes), atol=1e-4)


def test_inside_of_a_bowl_is_outside() -> None:
    """Walls thinner than a step: the flood comes in from above."""
    profile = np.array([[0, 0], [.08, 0], [.08, .05], [.077, .05],
                        [.077, .003], [0, .003]])
    bowl = trimesh.creation.revolve(profile, sections=128)
    bowl.fix_normals()
    assert bowl.is_watertight
    grid, origin, spacing = signed_distances(
        Mesh(np.array(bowl.vertices), np.array(bowl.faces)), 32)
    nodes = origin + spacing * np.stack(np.meshgrid(
        *[np.arange(32)] * 3, indexing='ij'), -1)
    radius, height = np.hypot(nodes[..., 0], nodes[..., 1]), nodes[..., 2]
    inside = ((radius < .08) & (height > 0) & (height < .05)
              & ~((radius < .077) & (height > .003)))
    # circles of the mesh are polygons, .02 mm inside
    clear = np.abs(grid) > 1e-4
    np.testing.assert_array_equal((grid < 0)[clear], inside[clear])


def test_gradient_is_the_way_out(field: HandObjectDistanceField) -> None:
    offsets = torch.tensor([[.03, 0, 0], [0, -.06, 0], [0, 0, .055]])
    points = (torch.tensor(CENTRE).float() + offsets)[None].requires_grad_()
    field(points, torch.tensor([BALL])).sum().backward()
    expected = offsets / offsets.norm(dim=1, keepdim=True)
    torch.testing.assert_close(points.grad[0], expected, atol=.05, rtol=0)


def test_beyond_the_grid_it_grows_and_has_a_gradient(
        field: HandObjectDistanceField) -> None:
    away = torch.tensor([.1, .2, .5, 3.])
    points = torch.tensor(CENTRE).float().repeat(1, 4, 1)
    points[0, :, 0] += away
    points.requires_grad_()
    found = field(points, torch.tensor([BALL]))
    torch.testing.assert_close(found[0], away - BALL_RADIUS, atol=.002,
                               rtol=0)
    found.sum().backward()
    torch.testing.assert_close(points.grad[0, :, 0], torch.ones(4))


def test_objects_without_a_grid_are_far(
        field: HandObjectDistanceField) -> None:
    points = torch.zeros(3, 2, 3)
    found = field(points, torch.tensor([0, -1, BALL]))
    assert (found[:2] == FAR).all()
    assert (found[2] < 0).all()


def test_it_is_not_saved_with_a_model(field: HandObjectDistanceField
                                      ) -> None:
    assert not field.state_dict()
    assert not [*field.parameters()]


def test_nothing_to_do(models_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='found '):
        build_distance_fields(models_dir, [], 16, tmp_path / 'fields.npz')


def test_missing_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        HandObjectDistanceField(tmp_path / 'fields.npz')
    error = caught.value
    assert (error.where, error.expected, error.found) == (
        'file', 'a file', 'nothing')
    assert '-m mmpose_ext.handobject.build_distance_fields' in error.hint


@pytest.mark.parametrize(('name', 'change', 'expected', 'found'), [
    ('ids', lambda a: a * 0, 'different numbers of 1 to 21', '[0, 0]'),
    ('ids', lambda a: np.array([5, 5]), 'different numbers', '[5, 5]'),
    ('grids', lambda a: a[:, :5], 'shape (2, 24, 24, 24)', '5'),
    ('grids', lambda a: a * np.nan, 'finite values', 'nan'),
    ('grids', lambda a: a.astype('f8'), 'float32', 'float64'),
    ('origins', lambda a: a[:1], 'shape (2, 3)', 'shape (1, 3)'),
    ('spacings', lambda a: -a, 'steps above 0 m', '-'),
])
def test_damaged_files(field_file: Path, tmp_path: Path, name: str,
                       change: object, expected: str, found: str) -> None:
    archive = NpzArchive(field_file)
    arrays = {key: archive.read(key) for key in archive.names}
    path = tmp_path / 'damaged.npz'
    write_npz(path, **{**arrays, name: change(arrays[name])})
    with pytest.raises(DataError) as caught:
        HandObjectDistanceField(path)
    error = caught.value
    assert (error.file, error.where) == (str(path), f"key '{name}'")
    assert expected in error.expected
    assert found in error.found
    del arrays[name]
    write_npz(path, **arrays)
    with pytest.raises(DataError, match=f"expected key '{name}'"):
        HandObjectDistanceField(path)

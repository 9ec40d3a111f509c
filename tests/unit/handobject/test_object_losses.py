"""Losses of objects: symmetric ones, mirrored ones, and those not there."""
from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from scipy.spatial.transform import Rotation

import mmpose_ext.handobject  # noqa: F401
from mmpose_ext.geometry.rotations import rotation_angle
from mmpose_ext.handobject.codec import encode_depth, project
from mmpose_ext.handobject.distance_fields import build_distance_fields
from mmpose_ext.handobject.object_losses import (
    SymmetryTable,
    mirror_rotations,
)
from mmpose_ext.handobject.objects import ycb_name
from mmpose_ext.handobject.records import (
    HandObjectPrediction,
    HandObjectTargets,
    HandPose,
    ObjectPose,
)
from mmpose_ext.registry import MODELS
from tests.unit.handobject.batches import SIZE, make_samples

BRICK = 21  # turned by half about any axis of its box it is the same


@pytest.fixture(autouse=True)
def scope() -> None:
    init_default_scope('mmpose')


@pytest.fixture
def targets() -> HandObjectTargets:
    return HandObjectTargets.stack(make_samples(3), SIZE)


@pytest.fixture(scope='module')
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes of 6 x 4 x 10 cm for two objects."""
    trimesh = pytest.importorskip('trimesh')
    folder = tmp_path_factory.mktemp('models')
    for ycb_id in (5, BRICK):
        path = folder / ycb_name(ycb_id) / 'textured_simple.obj'
        path.parent.mkdir()
        trimesh.creation.box((.06, .04, .1)).export(path)
    return folder


def build(name: str, **settings: object) -> torch.nn.Module:
    return MODELS.build(dict(type=f'mmpose_ext.HandObject{name}Loss',
                             **settings))


def true_objects(targets: HandObjectTargets) -> ObjectPose:
    translations = targets.object_translations
    return ObjectPose(
        project(translations, targets.view_camera),
        encode_depth(translations[..., 2], targets.view_camera, SIZE),
        targets.object_rotations.clone(), translations.clone(),
        torch.where(targets.object_weights > 0, 20., -20.),
        40. * torch.nn.functional.one_hot(targets.grasped_class, 21),
        torch.zeros(3, 21, 8, 8))


def predict(objects: ObjectPose, joints: torch.Tensor | None = None
            ) -> HandObjectPrediction:
    empty = torch.zeros(3, 21)
    hand = HandPose(empty, empty, empty[:, 0],
                    torch.zeros(3, 21, 3) if joints is None else joints)
    return HandObjectPrediction([hand], torch.zeros(3, 21, 8, 8), empty,
                                objects)


@pytest.mark.parametrize('name', ['Centre', 'Rotation', 'Point', 'Presence',
                                  'Grasp'])
def test_the_truth_costs_nothing(name: str, targets: HandObjectTargets,
                                 models_dir: Path) -> None:
    settings = dict(models_dir=str(models_dir)) if name == 'Point' else {}
    loss = build(name, **settings)(predict(true_objects(targets)), targets)
    assert loss.item() == pytest.approx(0, abs=2e-6)


@pytest.mark.parametrize('name', ['Centre', 'Rotation', 'Point'])
def test_objects_that_are_not_there_are_not_seen(
        name: str, targets: HandObjectTargets, models_dir: Path) -> None:
    settings = dict(models_dir=str(models_dir)) if name == 'Point' else {}
    loss = build(name, **settings)
    objects = true_objects(targets)
    absent = targets.object_weights == 0
    objects.pixels[absent] += 50.
    objects.translations[absent] = float('nan')
    objects.rotations[absent] = torch.eye(3)
    assert loss(predict(objects), targets).item() == pytest.approx(
        0, abs=2e-6)
    targets.object_weights[:] = 0
    assert loss(predict(objects), targets).item() == 0


def test_maps_of_origins_want_the_bump(targets: HandObjectTargets) -> None:
    targets.object_translations[..., :2] = 0  # at the principal point
    objects = true_objects(targets)
    loss = build('CentreMap', sigma=.06)
    flat = loss(predict(objects), targets).item()
    centres = (torch.arange(8.) + .5) * SIZE / 8 - .5
    x, y = (objects.pixels[..., axis, None] - centres for axis in (0, 1))
    squares = x[:, :, None].square() + y[..., None].square()
    objects.maps = -squares / (2 * (.06 * SIZE)**2)
    assert loss(predict(objects), targets).item() == pytest.approx(
        0, abs=1e-5)
    assert flat > .5


def test_rotation_loss_is_the_weighted_angle(
        targets: HandObjectTargets) -> None:
    objects = true_objects(targets)
    turn = torch.from_numpy(Rotation.from_rotvec(
        [.3, 0, 0]).as_matrix()).float()
    objects.rotations[:, 4] = objects.rotations[:, 4] @ turn
    loss = build('Rotation')(predict(objects), targets)
    weights = targets.object_weights
    share = weights[:, 4].sum() / weights.sum()
    assert loss.item() == pytest.approx(.3 * share.item(), rel=1e-4)


def test_a_turned_brick_is_the_same_brick(targets: HandObjectTargets,
                                          models_dir: Path) -> None:
    targets.object_weights[:] = 0
    targets.object_weights[:, BRICK - 1] = 1
    objects = true_objects(targets)
    half = torch.diag(torch.tensor([-1., -1, 1]))
    objects.rotations = objects.rotations @ half
    for name in ('Rotation', 'Point'):
        loss = build(name, models_dir=str(models_dir))
        assert loss(predict(objects), targets).item() == pytest.approx(
            0, abs=1e-4)
    # without knowing of the symmetry it is all wrong
    loss = build('Rotation')
    assert loss(predict(objects), targets).item() == pytest.approx(
        math.pi, abs=1e-3)


def test_point_loss_of_a_known_turn(targets: HandObjectTargets,
                                    models_dir: Path) -> None:
    targets.object_weights[:] = 0
    targets.object_weights[:, 4] = 1
    objects = true_objects(targets)
    objects.translations = objects.translations + torch.tensor([0, .03, 0])
    loss = build('Point', models_dir=str(models_dir))
    assert loss(predict(objects), targets).item() == pytest.approx(.03,
                                                                   rel=1e-4)
    half = torch.diag(torch.tensor([-1., -1, 1]))
    objects.translations = targets.object_translations
    objects.rotations = objects.rotations @ half
    points = loss.table.points[4]
    expected = 2 * points[:, :2].norm(dim=-1).mean()
    assert loss(predict(objects), targets).item() == pytest.approx(
        expected.item(), rel=1e-4)


def test_mirrored_meshes() -> None:
    rotations = torch.from_numpy(
        Rotation.random(5, random_state=0).as_matrix()).float()
    mirror = torch.diag(torch.tensor([-1., 1, 1]))
    mirrored = torch.tensor([1., 0, 1, 0, 1])
    found = mirror_rotations(rotations, mirrored)
    for row in range(5):
        expected = (mirror @ rotations[row] @ mirror if mirrored[row] else
                    rotations[row])
        torch.testing.assert_close(found[row], expected)


def test_nearest_of_a_bowl(tmp_path: Path) -> None:
    trimesh = pytest.importorskip('trimesh')
    path = tmp_path / ycb_name(13) / 'textured_simple.obj'
    path.parent.mkdir()
    trimesh.creation.cylinder(.08, .05).export(path)
    table = SymmetryTable(str(tmp_path))
    turn = torch.from_numpy(Rotation.from_euler(
        'z', 123., degrees=True).as_matrix()).float()
    base = torch.from_numpy(
        Rotation.random(random_state=0).as_matrix()).float()
    nearest = table.nearest((base @ turn)[None], base[None],
                            torch.tensor([12]), torch.zeros(1))
    # a continuous turn is stood for by 36 steps
    assert rotation_angle(nearest[0], base @ turn) <= math.radians(5.01)


def test_presence_and_grasp_are_cross_entropies(
        targets: HandObjectTargets) -> None:
    objects = true_objects(targets)
    objects.presence = torch.zeros(3, 21)
    objects.grasped = torch.zeros(3, 21)
    prediction = predict(objects)
    assert build('Presence')(prediction, targets).item() == pytest.approx(
        math.log(2))
    assert build('Grasp')(prediction, targets).item() == pytest.approx(
        math.log(21))
    targets.grasped_class[:] = -1
    assert build('Grasp')(prediction, targets).item() == 0


def test_contact_loss_and_its_focus(targets: HandObjectTargets) -> None:
    prediction = predict(true_objects(targets))
    prediction.contact = torch.zeros(3, 21)
    assert build('Contact')(prediction, targets).item() == pytest.approx(
        math.log(2))
    assert build('Contact', focus=2.)(prediction, targets).item() == (
        pytest.approx(math.log(2) / 4))
    # the weight of touching joints does not change which count as hard
    targets.contact[:] = 1
    assert build('Contact', focus=2., positive_weight=3.)(
        prediction, targets).item() == pytest.approx(3 * math.log(2) / 4)
    targets.contact_weights[:] = 0
    assert build('Contact')(prediction, targets).item() == 0


def test_penetration_is_the_depth_inside(
        targets: HandObjectTargets, models_dir: Path,
        tmp_path: Path) -> None:
    fields = tmp_path / 'fields.npz'
    build_distance_fields(str(models_dir), [5], 48, fields)
    loss = build('Penetration', fields=str(fields))
    objects = true_objects(targets)
    inside = torch.tensor([0., 0, .04])  # 1 cm below the box's top
    rotations, places = objects.rotations[:, 4], objects.translations[:, 4]
    joints = (rotations @ inside + places)[:, None].expand(
        -1, 21, -1).clone().requires_grad_()
    value = loss(predict(objects, joints), targets)
    assert value.item() == pytest.approx(.01, abs=.002)
    value.backward()
    # outwards, along the object's z
    expected = -rotations[:, :, 2]
    for row in range(3):
        direction = torch.nn.functional.normalize(joints.grad[row, 0], dim=0)
        torch.testing.assert_close(direction, expected[row], atol=.15, rtol=0)
    outside = (rotations @ torch.tensor([0., 0, .07]) + places)[:, None]
    assert loss(predict(objects, outside.expand(-1, 21, -1)),
                targets).item() == 0

"""The layer gives what MANO's equations give, vertex by vertex."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.mano import (
    HandObjectManoLayer,
    axis_angle_to_matrix,
)
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

from .mano_stand_in import mano_arrays, write_mano

PARENTS = [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]
REORDER = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8,
           9, 20]


def naive_mano(arrays, pose, betas, tips):
    """Equations of the paper for one hand, by loops and 4x4 matrices."""
    angles = np.concatenate([pose[:3], arrays['hands_mean']
                             + pose[3:48] @ arrays['hands_components']])
    matrices = Rotation.from_rotvec(angles.reshape(16, 3)).as_matrix()
    shaped = arrays['v_template'].copy()
    for number, beta in enumerate(betas):
        shaped += beta * arrays['shapedirs'][:, :, number]
    rest = arrays['J_regressor'] @ shaped
    feature = (matrices[1:] - np.eye(3)).ravel()
    posed = shaped + arrays['posedirs'] @ feature
    chain = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = matrices[joint]
        local[:3, 3] = rest[joint] - (rest[parent] if joint else 0)
        chain.append(chain[parent] @ local if joint else local)
    back = np.stack([np.eye(4)] * 16)
    back[:, :3, 3] = -rest
    moves = np.stack(chain) @ back
    vertices = np.stack([
        sum(weight * (move @ [*point, 1.])[:3]
            for weight, move in zip(weights, moves, strict=True))
        for weights, point in zip(arrays['weights'], posed, strict=True)])
    joints = np.stack([*(link[:3, 3] for link in chain), *vertices[tips]])
    return vertices + pose[48:], joints[REORDER] + pose[48:]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mano')
    for side in ('right', 'left'):
        write_mano(folder, side)
    return folder


@pytest.fixture(scope='module')
def layers(folder):
    return {side: HandObjectManoLayer(
        folder / f'MANO_{side.upper()}.npz', side).double()
            for side in ('right', 'left')}


def poses(count=3, seed=1):
    rng = np.random.default_rng(seed)
    pose = rng.normal(size=(count, 51)) * .5
    pose[:, 48:] = rng.normal(size=(count, 3)) * .1 + [0, 0, .8]
    return torch.from_numpy(pose), torch.from_numpy(
        rng.normal(size=(count, 10)))


@pytest.mark.parametrize('side, tips', [
    ('right', [745, 317, 444, 556, 673]),
    ('left', [745, 317, 445, 556, 673])])
def test_it_equals_a_loop_over_vertices(folder, side, tips):
    layer = HandObjectManoLayer(folder / f'MANO_{side.upper()}.npz', side)
    arrays = mano_arrays(side)
    pose, betas = poses()
    exact = {name: torch.as_tensor(array) for name, array in arrays.items()
             if name in ('v_template', 'shapedirs', 'posedirs', 'weights',
                         'hands_mean')}
    with torch.no_grad():
        single = layer(pose.float(), betas.float())
        layer.double()
        for name, value in exact.items():  # as read, not by way of fp32
            setattr(layer, name, value)
        layer.components = torch.as_tensor(arrays['hands_components'])
        layer.joint_regressor = torch.as_tensor(arrays['J_regressor'])
        double = layer(pose, betas)
    assert single[0].dtype == torch.float32
    for row in range(3):
        wanted = naive_mano(arrays, pose[row].numpy(), betas[row].numpy(),
                            tips)
        for found, rough, want in zip(double, single, wanted, strict=True):
            np.testing.assert_allclose(found[row], want, atol=1e-12)
            np.testing.assert_allclose(rough[row], want, atol=2e-6)
    assert double[0].shape == (3, 778, 3) and double[1].shape == (3, 21, 3)


def test_rotation_turns_about_the_wrist_and_translation_is_added(layers):
    layer = layers['right']
    pose, betas = poses(2)
    pose[1], betas[1] = pose[0], betas[0]
    pose[1, :3] = torch.tensor([.3, -1., 2.])
    pose[1, 48:] += torch.tensor([.1, .2, .3])
    joints = layer(pose, betas)[1]
    np.testing.assert_allclose(joints[1, 0] - joints[0, 0], [.1, .2, .3])
    shaped = layer.v_template + layer.shapedirs @ betas[0]
    np.testing.assert_allclose(
        joints[0, 0], layer.joint_regressor[0] @ shaped + pose[0, 48:])


def test_fewer_components_and_flat_hands(folder):
    path = folder / 'MANO_RIGHT.npz'
    whole = HandObjectManoLayer(path).double()
    few = HandObjectManoLayer(path, num_pca=6).double()
    plain = HandObjectManoLayer(path, num_pca=None,
                                flat_hand_mean=True).double()
    pose, betas = poses()
    pose[:, 9:48] = 0
    short = torch.cat([pose[:, :9], pose[:, 48:]], 1)
    assert few.pose_size == 12 and plain.pose_size == 51
    want = whole(pose, betas)[0]
    torch.testing.assert_close(few(short, betas)[0], want)
    angles, translation = whole.split_pose(pose)
    full = torch.cat([angles.flatten(1), translation], 1)
    torch.testing.assert_close(plain(full, betas)[0], want)
    with pytest.raises(ValueError, match='12 numbers, not 51'):
        few(pose, betas)
    with pytest.raises(DataError, match='num_pca'):
        HandObjectManoLayer(path, num_pca=46)


def test_derivatives_are_right_and_finite_at_rest(layers):
    layer = layers['right']
    pose, betas = poses(1)
    pose, betas = pose.requires_grad_(), betas.requires_grad_()
    chosen = torch.tensor([0, 4, 12])
    assert torch.autograd.gradcheck(
        lambda p, b: layer(p, b)[1][:, chosen], (pose, betas))
    rest = torch.zeros(2, 51, dtype=torch.float64, requires_grad=True)
    layer(rest, betas.detach().expand(2, -1))[0].square().sum().backward()
    assert rest.grad.isfinite().all() and rest.grad[:, :3].abs().sum() > 0


def test_it_has_no_state_and_is_registered(folder):
    layer = MODELS.build(dict(type='mmpose_ext.HandObjectManoLayer',
                              path=str(folder / 'MANO_RIGHT.npz')))
    assert not layer.state_dict() and not list(layer.parameters())
    with torch.autocast('cpu', torch.bfloat16):
        pose, betas = poses(2)
        vertices, _ = layer(pose.float(), betas.float())
    assert vertices.dtype == torch.float32
    torch.testing.assert_close(
        vertices, layer(pose.float(), betas.float())[0])


@pytest.mark.parametrize('scale', [0., 1e-9, 1e-5, 1e-4, 1., math.pi, 9.])
def test_rotation_matrices_equal_those_of_scipy(scale):
    vectors = np.random.default_rng(2).normal(size=(20, 3))
    vectors *= scale / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(
        axis_angle_to_matrix(torch.from_numpy(vectors)),
        Rotation.from_rotvec(vectors).as_matrix(), atol=1e-14)


def test_the_sign_of_the_left_shape_can_be_changed(folder):
    path = folder / 'MANO_LEFT.npz'
    plain = HandObjectManoLayer(path, 'left')
    changed = HandObjectManoLayer(path, 'left', flip_left_shape=True)
    assert torch.equal(changed.shapedirs[:, 0], -plain.shapedirs[:, 0])
    assert torch.equal(changed.shapedirs[:, 1:], plain.shapedirs[:, 1:])

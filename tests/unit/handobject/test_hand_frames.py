"""Frames of a hand are rotations, whatever the hand looks like."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.hand_frames import (
    PALM,
    hand_frames,
    palm_axes,
    points_in_frames,
)

from .jointed_hand import jointed_hand


def hands(*more: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(more))


def degenerate_hands() -> torch.Tensor:
    rng = np.random.default_rng(0)
    flat = jointed_hand()
    vertical = np.zeros((21, 3))
    vertical[:, 1] = -np.arange(21) * .01
    upright = jointed_hand(mcp=90)   # bones along the normal of the palm
    line = np.linspace(0, 1, 21)[:, None] * rng.normal(size=3)
    folded = flat.copy()
    folded[17] = folded[5]           # little and index in one place
    return hands(flat, vertical, upright, line, folded, np.zeros((21, 3)),
                 np.ones((21, 3)), flat * 1e-7, flat * 1e4,
                 rng.normal(size=(21, 3)))


def assert_rotations(rotations: torch.Tensor, atol: float) -> None:
    eye = torch.eye(3, dtype=rotations.dtype).expand_as(rotations)
    torch.testing.assert_close(rotations.mT @ rotations, eye, rtol=0,
                               atol=atol)
    torch.testing.assert_close(
        torch.linalg.det(rotations), torch.ones(rotations.shape[:-2],
                                                dtype=rotations.dtype),
        rtol=0, atol=atol)


@pytest.mark.parametrize('dtype, atol', [
    (torch.float64, 1e-9), (torch.float32, 2e-6)])
def test_frames_are_rotations_for_any_hand(dtype, atol):
    rng = np.random.default_rng(1)
    drawn = torch.from_numpy(rng.normal(size=(300, 21, 3)) * .1)
    for joints in (drawn, degenerate_hands()):
        origins, rotations = hand_frames(joints.to(dtype))
        assert origins.shape == (len(joints), 22, 3)
        assert_rotations(rotations, atol)


def test_a_bone_a_little_off_the_normal_stays_a_rotation():
    for angle in (0., 1e-9, 1e-6, 1e-3, .0573, .0574, 1.):
        joints = hands(jointed_hand(mcp=90 - angle)).float()
        assert_rotations(hand_frames(joints)[1], 2e-6)


def test_axes_follow_the_bones():
    joints = hands(jointed_hand(mcp=30, pip=20, dip=10, thumb=15))
    origins, rotations = hand_frames(joints)
    joint, z = joints[0].numpy(), rotations[0, :, :, 2].numpy()
    ends = {0: (0, 9), 4: (3, 4), 8: (7, 8), 5: (5, 6), 1: (1, 2),
            15: (15, 16), 20: (19, 20), 19: (19, 20), PALM: (0, 9)}
    for frame, (start, end) in ends.items():
        bone = joint[end] - joint[start]
        np.testing.assert_allclose(z[frame], bone / np.linalg.norm(bone),
                                   atol=1e-12)
    assert torch.equal(origins[:, :21], joints)
    np.testing.assert_allclose(origins[0, PALM],
                               joint[[0, 1, 5, 9, 13, 17]].mean(0))
    # across the palm's normal
    _, normal = palm_axes(joints)
    across = rotations[0, :21, :, 0] @ normal[0]
    np.testing.assert_allclose(across, 0, atol=1e-12)


def test_the_normal_leaves_the_palm():
    joints = hands(jointed_hand())
    forward, normal = palm_axes(joints)
    np.testing.assert_allclose(forward[0], [0, -1, 0], atol=1e-12)
    assert normal[0, 2] > .99  # the back is to the camera


def test_left_hands_have_the_frames_of_their_mirror():
    joints = hands(jointed_hand(mcp=40, pip=30))
    flip = torch.tensor([-1., 1., 1.], dtype=torch.float64)
    _, right = palm_axes(joints, torch.ones(1))
    _, left = palm_axes(joints * flip, -torch.ones(1))
    torch.testing.assert_close(left, right * flip)


def test_frames_turn_with_the_hand():
    joints = hands(jointed_hand(mcp=40, pip=30, dip=20, thumb=10))
    turn = torch.from_numpy(Rotation.random(random_state=3).as_matrix())
    move = torch.tensor([.1, -.2, .9], dtype=torch.float64)
    _, rotations = hand_frames(joints)
    origins, turned = hand_frames(joints @ turn.T + move)
    torch.testing.assert_close(turned, turn @ rotations)
    points = torch.randn(1, 50, 3, dtype=torch.float64)
    torch.testing.assert_close(
        points_in_frames(points @ turn.T + move, origins, turned),
        points_in_frames(points, *hand_frames(joints)))


def test_points_in_frames_are_those_of_a_loop():
    joints = hands(jointed_hand(), jointed_hand(pip=70))
    origins, rotations = hand_frames(joints)
    points = torch.randn(2, 5, 3, dtype=torch.float64)
    found = points_in_frames(points, origins, rotations)
    assert found.shape == (2, 22, 5, 3)
    for b, f, p in ((0, 0, 0), (1, 21, 4), (1, 7, 2)):
        want = rotations[b, f].T @ (points[b, p] - origins[b, f])
        torch.testing.assert_close(found[b, f, p], want)
    # the end of a bone lies on the z axis
    at = points_in_frames(joints, origins, rotations)[0, 5, 6]
    np.testing.assert_allclose(at, [0, 0, .04], atol=1e-12)


def test_derivatives_are_right_and_finite_for_any_hand():
    joints = degenerate_hands().requires_grad_()
    for part in hand_frames(joints):
        part.square().mul(torch.rand_like(part)).sum().backward(
            retain_graph=True)
    assert joints.grad.isfinite().all()
    plain = hands(jointed_hand(mcp=30, pip=20, thumb=9)).requires_grad_()
    weights = torch.rand(22, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda j: (hand_frames(j)[1] * weights).sum(), plain)


def test_half_precision_is_left_out():
    joints = hands(jointed_hand()).bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        origins, rotations = hand_frames(joints)
        assert rotations.dtype == origins.dtype == torch.float32
    assert_rotations(rotations, 2e-6)

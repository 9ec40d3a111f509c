"""Hands that bend as hands do cost nothing, others do."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.joint_limits import (
    joint_limit_violation,
    palm_axes,
)

from .jointed_hand import jointed_hand


def violation(joints, sign=None, **more) -> float:
    joints = torch.as_tensor(np.asarray(joints))[None]
    side = None if sign is None else torch.tensor([sign])
    return float(joint_limit_violation(joints, side, **more)[0])


FLAT, FIST = dict(), dict(mcp=90, pip=100, dip=70, thumb=50)


@pytest.mark.parametrize('bend', [
    FLAT, FIST, dict(mcp=-15), dict(mcp=60), dict(pip=90), dict(spread=15),
    dict(spread=-15), dict(mcp=45, pip=45, dip=45, thumb=90),
    dict(finger=1, mcp=0, pip=0), dict(finger=4, mcp=90, pip=100)])
def test_plausible_hands_cost_nothing(bend):
    assert violation(jointed_hand(**bend)) == 0


@pytest.mark.parametrize('bend', [
    dict(mcp=-45), dict(mcp=130), dict(pip=-35), dict(pip=140),
    dict(dip=-35), dict(dip=120), dict(spread=50), dict(spread=-55),
    dict(thumb=120), *(dict(finger=finger, pip=-45)
                       for finger in range(1, 5))])
def test_what_no_hand_does_costs(bend):
    assert violation(jointed_hand(**bend)) > 1e-3


@pytest.mark.parametrize('joint, low, high', [
    ('mcp', -20, 95), ('pip', 0, 110), ('dip', 0, 90)])
def test_the_cost_is_that_of_the_angle(joint, low, high):
    middle, half = (low + high) / 2, (high - low) / 2
    # one finger whose bone in the palm is straight ahead
    straight = jointed_hand(finger=2)
    assert straight[9, 0] == 0
    for angle in (low - 1, high + 1, low - 30, high + 30, low + 1, high - 1):
        found = violation(jointed_hand(finger=2, **{joint: angle}), margin=0)
        want = max(0., math.cos(math.radians(half))
                   - math.cos(math.radians(angle - middle))) / 18
        assert found == pytest.approx(want, abs=1e-7)


def test_the_margin_widens_limits():
    bent = jointed_hand(pip=-8)
    assert violation(bent, margin=0) > 0 == violation(bent)


@pytest.mark.parametrize('bend', [FIST, dict(pip=-45), dict(spread=50)])
def test_it_depends_on_the_shape_alone(bend):
    joints = jointed_hand(**bend)
    turn = Rotation.random(random_state=5).as_matrix()
    moved = 1.3 * joints @ turn.T + [.1, .2, .7]
    assert violation(moved) == pytest.approx(violation(joints), abs=1e-9)
    mirrored = joints * [-1, 1, 1]
    assert violation(mirrored, -1.) == pytest.approx(violation(joints),
                                                     abs=1e-9)


def test_the_side_matters():
    mirrored = jointed_hand(**FIST) * [-1, 1, 1]
    assert violation(mirrored, 1.) > 1e-2 > violation(mirrored, -1.)


def test_the_normal_leaves_the_palm():
    forward, normal = palm_axes(torch.from_numpy(jointed_hand())[None])
    np.testing.assert_allclose(forward[0], [0, -1, 0], atol=1e-12)
    assert normal[0, 2] > .99  # the back is to the camera


def test_axes_of_the_palm_are_at_right_angles_for_any_hand():
    rng = np.random.default_rng(0)
    vertical = np.zeros((21, 3))
    vertical[:, 1] = -np.arange(21) * .01
    folded = jointed_hand()
    folded[17] = folded[5]  # little and index in one place
    joints = torch.from_numpy(np.stack([
        vertical, folded, np.zeros((21, 3)), np.ones((21, 3)),
        jointed_hand() * 1e-7, rng.normal(size=(21, 3)),
        np.linspace(0, 1, 21)[:, None] * rng.normal(size=3)]))
    for axes in (palm_axes(joints), palm_axes(joints.float())):
        for axis in axes:
            torch.testing.assert_close(axis.norm(dim=-1),
                                       torch.ones(7).to(axis))
        across = (axes[0] * axes[1]).sum(-1)
        torch.testing.assert_close(across, torch.zeros(7).to(across),
                                   rtol=0, atol=2e-6)


def test_gradients_lead_back_to_what_hands_do():
    joints = torch.from_numpy(np.stack([
        jointed_hand(pip=-50), jointed_hand(spread=55),
        jointed_hand(dip=130)])).requires_grad_()
    assert torch.autograd.gradcheck(joint_limit_violation, joints)
    optimizer = torch.optim.Adam([joints], 2e-3)
    before = joint_limit_violation(joints).detach()
    for _ in range(60):
        optimizer.zero_grad()
        joint_limit_violation(joints).sum().backward()
        optimizer.step()
    assert (joint_limit_violation(joints) < .1 * before).all()


def test_derivatives_are_finite_for_any_hand():
    line = np.linspace(0, 1, 21)[:, None] * [1., 2., 3.]
    joints = torch.from_numpy(np.stack([
        np.zeros((21, 3)), np.ones((21, 3)), line,
        jointed_hand(spread=90), jointed_hand(mcp=-90, pip=180)])).float()
    joints.requires_grad_()
    values = joint_limit_violation(joints)
    values.sum().backward()
    assert values.isfinite().all() and joints.grad.isfinite().all()


def test_half_precision_is_left_out():
    joints = torch.from_numpy(jointed_hand(pip=-45))[None].bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        assert joint_limit_violation(joints).dtype == torch.float32

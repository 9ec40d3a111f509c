"""Features say what is seen from a body, wherever it is and looks."""
from __future__ import annotations

import math

import pytest
import torch

from mmpose_ext.behavior.features import (
    GROUPS,
    Layout,
    count_features,
    describe_frames,
)

LAYOUT = Layout(2, 4, 2, body_axis=(3, (0, 1)))
SEEN = ('pose', 'motion', 'partner')


def tracks(count=3, frames=20, layout=LAYOUT):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, frames, layout.individuals, layout.keypoints,
                      layout.axes, generator=generator)


def turned(points, angle, move):
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = torch.eye(points.shape[-1])
    matrix[:2, :2] = torch.tensor([[cos, -sin], [sin, cos]])
    return points @ matrix.T + move


@pytest.mark.parametrize('axes', [2, 3])
def test_what_is_seen_from_a_body_does_not_depend_on_place_or_heading(axes):
    layout = Layout(2, 4, axes, body_axis=(3, (0, 1)))
    points = tracks(layout=layout)
    moved = turned(points, 2.1, .7)
    for group in SEEN:
        torch.testing.assert_close(
            describe_frames(moved, layout, [group]),
            describe_frames(points, layout, [group]), rtol=1e-4, atol=1e-5)
    for group in ('raw', 'position'):
        assert not torch.allclose(describe_frames(moved, layout, [group]),
                                  describe_frames(points, layout, [group]))


def test_the_front_lies_ahead_and_forward_motion_is_forward():
    """A body of two points that runs along its own axis, any way."""
    layout = Layout(1, 2, 2, body_axis=(0, 1))
    for angle in (0., 1.3, -2.5):
        ahead = torch.tensor([math.cos(angle), math.sin(angle)])
        centre = .01 * torch.arange(10)[:, None] * ahead
        points = torch.stack([centre - .1 * ahead, centre + .1 * ahead], 1)
        points = points[None, :, None]
        pose = describe_frames(points, layout, ['pose'])
        torch.testing.assert_close(
            pose[0, 3], torch.tensor([-.1, 0, .1, 0]), atol=1e-6, rtol=0)
        motion = describe_frames(points, layout, ['motion'])
        torch.testing.assert_close(
            motion[0, 3], torch.tensor([.01, 0, 0]), atol=1e-6, rtol=0)


def test_a_turn_has_the_sign_of_its_sense():
    layout = Layout(1, 2, 2, body_axis=(0, 1))
    angles = .05 * torch.arange(10.)
    ends = torch.stack([angles.cos(), angles.sin()], -1)
    points = torch.stack([-ends, ends], 1)[None, :, None]
    motion = describe_frames(points, layout, ['motion'])[0, :, 2]
    assert motion[0] == 0
    torch.testing.assert_close(motion[1:], torch.full((9, ), math.sin(.05)))


def test_the_partner_is_where_it_is_seen():
    """To the left of a body that looks up is at negative x."""
    layout = Layout(2, 2, 2, body_axis=(0, 1))
    one = torch.tensor([[.5, .4], [.5, .6]])
    other = torch.tensor([[.2, .5], [.2, .5]])
    points = torch.stack([one, other])[None, None].expand(1, 4, 2, 2, 2)
    seen = describe_frames(points, layout, ['partner'])[0, 0, :4]
    torch.testing.assert_close(seen, torch.tensor([0, .3, 0, .3]),
                               atol=1e-6, rtol=0)


def test_nothing_moves_in_the_first_frame():
    for group in ('velocity', 'motion'):
        assert (describe_frames(tracks(), LAYOUT, [group])[:, 0] == 0).all()


@pytest.mark.parametrize('layout', [
    LAYOUT, Layout(2, 4, 2), Layout(1, 3, 3, (0, 1)), Layout(3, 3, 3)])
def test_counts_are_those_of_the_features(layout):
    points = tracks(layout=layout)
    for group in GROUPS:
        assert describe_frames(points, layout, [group]).shape == (
            3, 20, count_features(layout, [group]))
    with pytest.raises(ValueError, match='features'):
        count_features(layout, ['velocities'])


def test_a_missing_point_is_missing_where_it_is_needed_alone():
    points = tracks()
    points[:, 5, 0, 2] = float('nan')  # not on the body's axis
    raw = describe_frames(points, LAYOUT, ['raw'])
    assert raw[:, 5].isnan().sum() == 3 * 2
    pose = describe_frames(points, LAYOUT, ['pose'])
    assert pose[:, 5].isnan().sum() == 3 * 2
    assert not pose[:, 6].isnan().any()

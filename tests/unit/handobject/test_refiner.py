"""Refinement looks at the right pixels."""
from __future__ import annotations

import torch

from mmpose_ext.handobject.branches import make_hand
from mmpose_ext.handobject.decoder import patch_centres
from mmpose_ext.handobject.refiner import JointRefiner, sample_map
from mmpose_ext.handobject.sigma_linear import linear_factory
from tests.unit.handobject.batches import SIZE, make_camera


def coordinate_map(side: int) -> torch.Tensor:
    """A map (1, 2, h, w) whose content is the crop's pixels."""
    centres = patch_centres(side, side, SIZE, torch.device('cpu'))
    return centres.T.reshape(1, 2, side, side)


def test_sampling_a_map_of_coordinates_gives_the_coordinates() -> None:
    pixels = torch.rand(1, 50, 2) * (SIZE - 8) + 4
    for side in (8, 16, 64):
        inside = pixels.clamp(SIZE / side / 2, SIZE - 1 - SIZE / side / 2)
        found = sample_map(coordinate_map(side), inside, torch.ones(1, 50),
                           torch.zeros(2), SIZE)
        torch.testing.assert_close(found, inside, atol=1e-3, rtol=0)


def test_outside_and_behind_get_the_learnt_token() -> None:
    token = torch.tensor([-7., 9.])
    pixels = torch.tensor([[[-1., 5], [5, SIZE], [5, 5], [5, 5],
                            [-.5, 0]]])
    depth = torch.tensor([[1., 1, .05, 1, 1]])
    found = sample_map(coordinate_map(8), pixels, depth, token, SIZE)[0]
    assert torch.equal(found[:3], token.expand(3, 2))
    assert not torch.equal(found[3], token)
    assert not torch.equal(found[4], token)  # half of the border's pixel


def test_centres_of_patches() -> None:
    centres = patch_centres(4, 4, SIZE, torch.device('cpu'))
    assert centres[0].tolist() == [7.5, 7.5]  # pixels 0 to 15
    assert centres[5].tolist() == [23.5, 23.5]
    assert centres[1].tolist() == [23.5, 7.5]  # x first


def test_steps_are_bounded_and_start_from_constants() -> None:
    torch.manual_seed(0)
    refiner = JointRefiner(16, SIZE, 2, linear_factory(None), steps=3,
                           shared=False, max_shift=.1, max_depth=.02)
    with torch.no_grad():  # wants to go far
        for layer in refiner.layers:
            layer.move.last.bias.fill_(50.)
    camera = torch.from_numpy(make_camera())[None]
    pixels = (torch.rand(1, 21, 2) * SIZE).requires_grad_()
    coarse = make_hand(pixels, torch.zeros(1, 21), torch.tensor([-1.]),
                       camera, SIZE)
    hands = refiner(coarse, torch.randn(1, 21, 16), torch.randn(1, 1, 16),
                    torch.randn(1, 16, 8, 8), camera)
    assert len(hands) == 3
    torch.testing.assert_close(hands[0].pixels - pixels,
                               torch.full((1, 21, 2), .1 * SIZE))
    torch.testing.assert_close(hands[2].pixels - pixels,
                               torch.full((1, 21, 2), .3 * SIZE))
    hands[-1].joints.sum().backward()
    assert pixels.grad is None
    # all moved by the same, and the wrist's depth is the root's
    assert hands[-1].depth_offsets.abs().max() < 1e-6


def test_no_steps_leave_the_coarse_hand() -> None:
    refiner = JointRefiner(16, SIZE, 2, linear_factory(None), steps=0)
    assert not list(refiner.parameters())
    camera = torch.from_numpy(make_camera())[None]
    coarse = make_hand(torch.zeros(1, 21, 2), torch.zeros(1, 21),
                       torch.tensor([-1.]), camera, SIZE)
    assert refiner(coarse, torch.randn(1, 21, 16), torch.randn(1, 1, 16),
                   torch.randn(1, 16, 8, 8), camera) == []

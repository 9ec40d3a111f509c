"""The graph that refines poses."""
from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.head import DannceExpectationHead
from mmpose_ext.volumetric.network import DannceUNet
from mmpose_ext.volumetric.pose_graph import DanncePoseGraph
from mmpose_ext.volumetric.skeletons import load_skeleton

CHANNELS = (8, 4)
OFFSETS = (torch.arange(8) + .5) * 4 - 16


def build(**settings: object) -> DanncePoseGraph:
    torch.manual_seed(0)
    options = dict(type='mmpose_ext.DanncePoseGraph', in_channels=CHANNELS,
                   num_keypoints=23, skeleton='rat23', hidden=8, layers=1,
                   fuse_channels=6)
    return MODELS.build({**options, **settings})


def awake(graph: DanncePoseGraph) -> DanncePoseGraph:
    """In evaluation mode, with a last layer that does something."""
    for value in (graph.last.own, graph.last.neighbour, graph.last.bias):
        nn.init.normal_(value)
    return graph.eval()


def draw(count: int = 4) -> tuple[tuple[Tensor, ...], Tensor]:
    torch.manual_seed(1)
    feats = tuple(torch.randn(count, channels, side, side, side)
                  for channels, side in zip(CHANNELS, (4, 8), strict=True))
    return feats, 10 * torch.randn(count, 23, 3)


def size_of(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize('norm', ['layer', 'batch'])
def test_published_settings_have_the_published_size(norm):
    graph = build(in_channels=(128, 64, 32), hidden=128, layers=3,
                  fuse_channels=128, norm=norm)
    assert size_of(graph) == 262_955
    assert size_of(graph, DannceUNet(6), DannceExpectationHead(32, 23)
                   ) == 5_878_110


def test_defaults_are_the_published_settings():
    graph = MODELS.build(dict(
        type='mmpose_ext.DanncePoseGraph', in_channels=(128, 64, 32),
        num_keypoints=23, skeleton='rat23'))
    assert size_of(graph) == 262_955
    assert isinstance(graph.first.norm, nn.LayerNorm)
    assert graph.first.dropout == .2


def test_poses_begin_as_they_are():
    graph = build()
    feats, mean = draw()
    assert not graph(feats, mean, OFFSETS).any()


def test_the_second_step_teaches_every_weight():
    graph = build(dropout=0.)
    optimizer = torch.optim.SGD(graph.parameters(), .1)
    feats, mean = draw()
    for _ in range(3):
        optimizer.zero_grad()
        (graph(feats, mean, OFFSETS) - 1).square().mean().backward()
        optimizer.step()
    assert all(p.grad.abs().max() > 0 for p in graph.parameters())


def test_a_keypoint_learns_from_what_two_links_away_is_seen(tmp_path):
    """It moves by what the features at another keypoint say."""
    path = tmp_path / 'chain.json'
    path.write_text(json.dumps(dict(
        names=['A', 'B', 'C', 'alone'], edges=[[0, 1], [1, 2]])))
    graph = build(skeleton=str(path), num_keypoints=4, hidden=16, dropout=0.)
    optimizer = torch.optim.Adam(graph.parameters(), 3e-3)
    places = OFFSETS[torch.tensor([[6, 6, 6], [4, 4, 4], [2, 2, 2],
                                   [1, 6, 1]])]
    for _ in range(250):
        feats = [torch.zeros(16, channels, side, side, side)
                 for channels, side in zip(CHANNELS, (4, 8), strict=True)]
        told = torch.randn(16)
        feats[1][:, 0, 6, 6, 6] = told  # at A
        shift = graph(tuple(feats), places.expand(16, 4, 3), OFFSETS)
        wanted = torch.zeros(16, 4, 3)
        wanted[:, 2:, 0] = told[:, None]  # of C, and of one without links
        error = (shift - wanted).square().mean((0, 2))
        optimizer.zero_grad()
        error.sum().backward()
        optimizer.step()
    assert error[2] < .03
    assert error[3] > .1  # nobody tells it


def test_gradients_reach_features_and_positions():
    graph = awake(build())
    feats, mean = draw()
    feats = tuple(feature.requires_grad_() for feature in feats)
    graph(feats, mean.requires_grad_(), OFFSETS).sum().backward()
    for value in (*feats, mean):
        assert value.grad.isfinite().all() and value.grad.any()


def test_without_residual_the_result_takes_the_place_of_the_position():
    plain, other = (awake(build(residual=value)) for value in (True, False))
    other.load_state_dict(plain.state_dict())
    feats, mean = draw()
    torch.testing.assert_close(
        other(feats, mean, OFFSETS) + mean / 4, plain(feats, mean, OFFSETS),
        atol=1e-4, rtol=1e-4)
    # such a layer cannot begin at 0: that is the middle of the volume
    assert build(residual=False).last.own.any()


@pytest.mark.parametrize('levels, first, second', [
    ((), False, False), ((0, ), True, False), ((1, ), False, True),
    (None, True, True)])
def test_levels_choose_which_features_count(levels, first, second):
    graph = awake(build(levels=levels))
    feats, mean = draw()
    before = graph(feats, mean, OFFSETS)
    for level, counts in enumerate((first, second)):
        changed = list(feats)
        changed[level] = changed[level] + 1
        found = graph(tuple(changed), mean, OFFSETS)
        assert torch.equal(found, before) != counts
    assert (graph.fuse is None) == (levels == ())


def test_levels_are_counted_from_the_finest():
    graph = awake(build(in_channels=(4, )))
    feats, mean = draw()
    torch.testing.assert_close(graph(feats, mean, OFFSETS),
                               graph(feats[1:], mean, OFFSETS))


def test_animals_are_by_themselves_unless_asked_for():
    graph = awake(build())
    feats, mean = draw()
    found = graph(feats, mean, OFFSETS, torch.zeros(4, dtype=torch.long))
    alone = graph(tuple(f[:1] for f in feats), mean[:1], OFFSETS)
    torch.testing.assert_close(found[:1], alone)


def scene(count: int) -> tuple[Tensor, Tensor]:
    """Middles and axes of grids that are turned alike."""
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    return 40 * torch.randn(count, 3), turn.expand(count, 3, 3)


def test_animals_of_other_scenes_do_not_matter():
    graph = awake(build(between_animals=True))
    feats, mean = draw(5)
    centres, axes = scene(5)
    animals = torch.tensor([7, 2, 7, 2, 9])
    found = graph(feats, mean, OFFSETS, animals, centres, axes)
    for rows in ([0, 2], [1, 3], [4]):
        alone = graph(tuple(f[rows] for f in feats), mean[rows], OFFSETS,
                      torch.zeros(len(rows)), centres[rows], axes[rows])
        torch.testing.assert_close(found[rows], alone, atol=1e-5, rtol=1e-4)


def test_order_of_the_animals_is_none():
    graph = awake(build(between_animals=True))
    feats, mean = draw(3)
    centres, axes = scene(3)
    order = [2, 0, 1]
    found, other = (
        graph(tuple(f[rows] for f in feats), mean[rows], OFFSETS,
              torch.zeros(3), centres[rows], axes[rows])
        for rows in ([0, 1, 2], order))
    torch.testing.assert_close(found[order], other, atol=1e-5, rtol=1e-4)


def test_where_the_others_are_counts_but_not_where_the_scene_is():
    graph = awake(build(between_animals=True))
    feats, mean = draw(2)
    centres, axes = scene(2)
    animals = torch.zeros(2)

    def shift_by(middles: Tensor) -> Tensor:
        return graph(feats, mean, OFFSETS, animals, middles, axes)

    before = shift_by(centres)
    torch.testing.assert_close(shift_by(centres + 500), before,
                               atol=1e-3, rtol=1e-3)
    apart = torch.tensor([[1.], [-1.]]) * 30
    assert not torch.allclose(shift_by(centres + apart), before, atol=1e-2)


def test_a_lone_animal_needs_no_others():
    joint = awake(build(between_animals=True))
    feats, mean = draw(1)
    centres, axes = scene(1)
    torch.testing.assert_close(
        joint(feats, mean, OFFSETS, torch.zeros(1), centres, axes),
        joint(feats, mean, OFFSETS), atol=1e-5, rtol=1e-4)


def test_number_of_animals_is_no_part_of_the_weights():
    assert size_of(build(between_animals=True)) == size_of(build()) + 4 * 23


def test_skeleton_may_be_a_file(tmp_path):
    path = tmp_path / 'three.json'
    path.write_text(json.dumps(dict(
        names=['A', 'B', 'C'], edges=[[0, 1], [1, 2]])))
    graph = build(skeleton=str(path), num_keypoints=3)
    assert graph.plan.names == ('A', 'B', 'C')
    assert len(graph.last.edges) == 7


@pytest.mark.parametrize('changes, message', [
    (dict(skeleton='mouse22'), '23 keypoints.*found 22 of mouse22'),
    (dict(skeleton='rat32'), 'did you mean .rat23'),
    (dict(norm='instance'), 'layer, batch, none'),
    (dict(dropout=1.), 'a probability below 1'),
    (dict(levels=(2, )), 'numbers from 0 to 1'),
    (dict(levels=(-1, )), 'numbers from 0 to 1')])
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(DataError, match=message):
        build(**changes)


def test_data_set_must_have_the_keypoints_of_the_graph():
    graph = build()
    plan = BodyPlan.from_metainfo(load_skeleton('rat23'))
    graph.prepare(plan)
    for name in ('rat7m', 'mouse22'):
        other = BodyPlan.from_metainfo(load_skeleton(name))
        with pytest.raises(DataError, match='refiner.skeleton.*rat23'):
            graph.prepare(other)
    turned = BodyPlan(plan.names[::-1], plan.links, plan.flip_indices)
    with pytest.raises(DataError, match='keypoints of the data set'):
        graph.prepare(turned)

"""Losses on groups of poses, against loops over volumes and points."""
from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor

from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.group_losses import (
    DannceConsistencyLoss,
    DanncePairRepulsionLoss,
    DannceSeparationLoss,
    DannceTemporalLoss,
)
from mmpose_ext.volumetric.pose_batch import PoseBatch

Row = tuple[int, int, int, int, int]
KEYPOINTS = 4


def make_batch(points: Tensor, rows: list[Row]) -> PoseBatch:
    """Sample, copy, animal, chunk and time of each volume; no labels."""
    return PoseBatch(points, torch.full_like(points, math.nan),
                     *torch.tensor(rows).unbind(1))


def draw_points(count: int, scale: float = 10.) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    points = scale * torch.randn(
        (count, KEYPOINTS, 3), generator=generator, dtype=torch.float64)
    return points.requires_grad_()


def shuffled(rows: list[Row]) -> list[Row]:
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]


def copies(*counts: int) -> list[Row]:
    """One animal at each time point, in so many copies."""
    return shuffled([(sample, copy, 0, sample, 0)
                     for sample, count in enumerate(counts)
                     for copy in range(count)])


def frames(*runs: tuple[int, ...], animals: int = 1) -> list[Row]:
    """Runs of frames at given times, in two copies."""
    rows, sample = [], 0
    for chunk, times in enumerate(runs):
        for time in times:
            rows += [(sample, copy, animal, chunk, time)
                     for copy in range(2) for animal in range(animals)]
            sample += 1
    return shuffled(rows)


def scenes(*animals: int) -> list[Row]:
    """Time points with so many animals each, in two copies."""
    return shuffled([(sample, copy, animal, sample, 0)
                     for sample, count in enumerate(animals)
                     for copy in range(2) for animal in range(count)])


def length(vector: Tensor) -> Tensor:
    return (vector[0]**2 + vector[1]**2 + vector[2]**2).sqrt()


def sizes(vector: Tensor, kind: str) -> list[Tensor]:
    return [length(vector)] if kind == 'l2' else list(vector.abs())


def mean(values: list[Tensor], points: Tensor) -> Tensor:
    return sum(values) / len(values) if values else 0 * points.sum()


def slow_consistency(points: Tensor, rows: list[Row], kind: str) -> Tensor:
    found = []
    for row in rows:
        group = [i for i, other in enumerate(rows)
                 if (other[0], other[2]) == (row[0], row[2])]
        if len(group) < 2:
            continue
        for k in range(KEYPOINTS):
            middle = sum(points[i, k] for i in group) / len(group)
            found += sizes(points[rows.index(row), k] - middle, kind)
    return mean(found, points)


def slow_temporal(points: Tensor, rows: list[Row], kind: str,
                  order: int) -> Tensor:
    place = {(row[3], row[2], row[1], row[4]): i
             for i, row in enumerate(rows)}
    found = []
    for *run, time in place:
        steps = [place.get((*run, time + step)) for step in range(order + 1)]
        if None in steps:
            continue
        for k in range(KEYPOINTS):
            at = [points[i, k] for i in steps]
            found += sizes(at[1] - at[0] if order == 1
                           else at[2] - 2 * at[1] + at[0], kind)
    return mean(found, points)


def slow_repulsion(points: Tensor, rows: list[Row], pairwise: bool,
                   distance: float) -> Tensor:
    found = []
    for i, j in itertools.combinations(range(len(rows)), 2):
        if rows[i][:2] == rows[j][:2] and rows[i][2] != rows[j][2]:
            for a, b in itertools.product(range(KEYPOINTS), repeat=2):
                if a == b or not pairwise:
                    gap = distance - length(points[i, a] - points[j, b])
                    found.append(gap.clamp(min=0))
    return mean(found, points)


def slow_separation(points: Tensor, distance: float) -> Tensor:
    return mean([
        (distance - length(pose[a] - pose[b])).clamp(min=0)
        for pose in points
        for a, b in itertools.combinations(range(KEYPOINTS), 2)], points)


def assert_same(loss: Callable[[PoseBatch], Tensor], rows: list[Row],
                slow: Callable[[Tensor], Tensor]) -> Tensor:
    """Value and gradient; returns the value."""
    points = draw_points(len(rows))
    found = loss(make_batch(points, rows))
    wanted = .5 * slow(points)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, points)[0]
          for value in (found, wanted)), atol=1e-9, rtol=1e-6)
    return found


@pytest.mark.parametrize('kind', ['l1', 'l2'])
@pytest.mark.parametrize('counts, counted', [
    ((4, 4), True), ((1, 2, 3, 1, 4), True), ((1, 1, 1), False), ((1, ), False)
])
def test_copies_are_compared_with_their_mean(kind, counts, counted):
    rows = copies(*counts)
    found = assert_same(
        DannceConsistencyLoss(kind, .5), rows,
        lambda points: slow_consistency(points, rows, kind))
    assert (found > 0) == counted


def test_copies_of_each_animal_are_a_group():
    rows = scenes(2, 3)
    assert_same(DannceConsistencyLoss(loss_weight=.5), rows,
                lambda points: slow_consistency(points, rows, 'l1'))


def test_consistency_beside_successive_copies():
    """The factors by which a published weight is to be translated."""
    for count, factor in ((2, 2.), (4, 1.63)):
        noise = torch.randn(
            2000, count, KEYPOINTS, 3,
            generator=torch.Generator().manual_seed(0))
        rows = [(sample, copy, 0, sample, 0) for sample in range(2000)
                for copy in range(count)]
        ours = DannceConsistencyLoss(loss_weight=1.)(
            make_batch(noise.flatten(0, 1), rows))
        assert noise.diff(dim=1).abs().mean() / ours == pytest.approx(
            factor, rel=.01)


@pytest.mark.parametrize('order', [1, 2])
@pytest.mark.parametrize('kind', ['l1', 'l2'])
@pytest.mark.parametrize('runs, counted', [
    (((0, 1, 2), (0, 1, 2)), True),
    (((0, 1, 2, 4, 5, 6, 8), (3, ), (5, 4)), True),
    (((0, 2, 4), (7, )), False),
    (((0, ), (1, )), False),
])
def test_successive_frames_of_a_run_are_compared(order, kind, runs, counted):
    rows = frames(*runs, animals=2)
    found = assert_same(
        DannceTemporalLoss(kind, order, .5), rows,
        lambda points: slow_temporal(points, rows, kind, order))
    assert (found > 0) == counted


@pytest.mark.parametrize('count', [1, 2])
def test_no_change_of_movement_in_less_than_three_frames(count):
    points = draw_points(count)
    rows = [(time, 0, 0, 0, time) for time in range(count)]
    loss = DannceTemporalLoss(order=2)(make_batch(points, rows))
    loss.backward()
    assert loss == 0 and not points.grad.any()


def test_even_movement_costs_its_speed_and_no_change():
    rows = frames((0, 1, 2, 3))
    times = torch.tensor([row[4] for row in rows])
    points = torch.tensor([3., 0., 4.]) * times[:, None, None] + torch.randn(
        1, KEYPOINTS, 3, generator=torch.Generator().manual_seed(0))
    batch = make_batch(points, rows)
    assert DannceTemporalLoss('l2')(batch).item() == pytest.approx(5, 1e-5)
    assert DannceTemporalLoss('l2', 2)(batch).item() == pytest.approx(
        0, abs=1e-5)


@pytest.mark.parametrize('pairwise', [False, True])
@pytest.mark.parametrize('animals, counted', [
    ((2, 2), True), ((3, 1, 2), True), ((1, 1), False)])
def test_animals_of_a_scene_keep_apart(pairwise, animals, counted):
    rows = scenes(*animals)
    found = assert_same(
        DanncePairRepulsionLoss(15., pairwise, .5), rows,
        lambda points: slow_repulsion(points, rows, pairwise, 15.))
    assert (found > 0) == counted


def test_keypoints_of_an_animal_keep_apart():
    found = assert_same(
        DannceSeparationLoss(15., .5), scenes(2, 1),
        lambda points: slow_separation(points, 15.))
    assert found > 0


def test_descent_parts_what_is_too_near_and_nothing_else():
    points = torch.zeros(2, 1, 3)
    points[1, 0, 0] = 2.
    rows = [(0, 0, 0, 0, 0), (0, 0, 1, 0, 0)]
    for gap, slope in ((5., 1.), (1., 0.)):
        points.requires_grad_().grad = None
        DanncePairRepulsionLoss(gap)(make_batch(points, rows)).backward()
        assert points.grad[:, 0, 0].tolist() == [slope, -slope]


LOSSES = [
    DannceConsistencyLoss('l1'), DannceConsistencyLoss('l2'),
    DannceTemporalLoss('l1'), DannceTemporalLoss('l2', 2),
    DanncePairRepulsionLoss(15.), DanncePairRepulsionLoss(15., True),
    DannceSeparationLoss(15.),
]


@pytest.mark.parametrize('loss', LOSSES)
def test_points_in_the_same_place_have_finite_gradients(loss):
    rows = frames((0, 1, 2), animals=2)
    points = torch.zeros(len(rows), KEYPOINTS, 3, requires_grad=True)
    value = loss(make_batch(points, rows))
    value.backward()
    assert value.isfinite() and points.grad.isfinite().all()


@pytest.mark.parametrize('loss', LOSSES[:-1])
def test_what_does_not_count_spoils_nothing(loss):
    """A lone volume that is not finite, beside others that count."""
    rows = frames((0, 1, 2), animals=2)
    points = draw_points(len(rows) + 1)
    with torch.no_grad():
        points[-1] = math.nan
    value = loss(make_batch(points, [*rows, (99, 0, 0, 99, 0)]))
    value.backward()
    assert value > 0 and points.grad.isfinite().all()
    assert not points.grad[-1].any()
    torch.testing.assert_close(
        loss(make_batch(points[:-1], rows)), value)


@pytest.mark.parametrize('build, word', [
    (lambda: DannceConsistencyLoss('l3'), 'kind'),
    (lambda: DannceTemporalLoss(order=3), 'order'),
    (lambda: DanncePairRepulsionLoss(0.), 'distance_mm'),
])
def test_options_that_do_not_exist_are_errors(build, word):
    with pytest.raises(ValueError, match=word):
        build()


PLAN = BodyPlan(('Snout', 'EarL', 'EarR', 'TailBase'), ((0, 1), (0, 2)),
                (0, 2, 1, 3))


def test_a_distance_beyond_that_of_most_labels_is_an_error():
    labels = np.array([[[0, 0, 0], [9, 0, 0], [0, 20, 0], [0, 0, 50]],
                       [[0, 0, 0], [8, 0, 0], [0, 20, 0], [0, 0, 50]],
                       [[0, 0, 0], [1, 0, 0], [0, 20, 0], [0, 0, 50]],
                       [[0, 0, 0], [np.nan, 0, 0], [0, 1, 0], [0, 0, 50]]])
    DannceSeparationLoss(7.9).prepare(PLAN, labels, 'rats.mat')
    with pytest.raises(DataError) as error:
        DannceSeparationLoss(8.1).prepare(PLAN, labels, 'rats.mat')
    for word in ('rats.mat', 'Snout', 'EarL', '8.1 mm', '8.0 mm',
                 '3 labels', 'distance_mm'):
        assert word in str(error.value)
    DannceSeparationLoss(99.).prepare(PLAN, labels * np.nan, 'rats.mat')


def loss_and_gradient(points: Tensor, rows: list[Row]) -> dict[str, Tensor]:
    """Of each loss, for a network of one layer whose input are points."""
    layer = torch.eye(3).add(.1).requires_grad_()
    found = {}
    for number, loss in enumerate(LOSSES):
        value = loss(make_batch(points @ layer, rows))
        gradient, = torch.autograd.grad(value, layer)
        found[f'value {number}'] = value.detach()
        found[f'gradient {number}'] = gradient
    return found


def compute_of_rank(rank: int, parts: list[list[int]], points: Tensor,
                    rows: list[Row], folder: Path) -> None:
    """Write what a process finds in its part of the volumes."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/group', rank=rank,
        world_size=len(parts))
    part = parts[rank]
    torch.save(loss_and_gradient(points[part], [rows[i] for i in part]),
               folder / f'rank{rank}.pth')


@pytest.mark.dist
@pytest.mark.parametrize('rows', [
    copies(4, 4),  # one process of two groups, two of one
    copies(4, 2), copies(4, 1),
    frames((0, 1, 2), (5, ), animals=2),
    scenes(3, 1), scenes(1, 2),
])
def test_one_process_with_two_groups_is_two_with_one(rows, tmp_path):
    chunks = [row[3] for row in rows]
    parts = [[i for i, chunk in enumerate(chunks) if chunk == wanted]
             for wanted in (0, 1)]
    assert sum(map(len, parts)) == len(rows)
    points = draw_points(len(rows)).detach().float()
    whole = loss_and_gradient(points, rows)
    mp.start_processes(
        compute_of_rank, args=(parts, points, rows, tmp_path), nprocs=2,
        start_method='forkserver')
    halves = [torch.load(tmp_path / f'rank{rank}.pth') for rank in (0, 1)]
    for name, value in whole.items():
        torch.testing.assert_close(
            (halves[0][name] + halves[1][name]) / 2, value, rtol=1e-5,
            atol=1e-5, msg=lambda text, name=name: f'{name}: {text}')

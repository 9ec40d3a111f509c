"""Losses on bones, against loops over volumes and bones."""
from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric import losses
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.bone_losses import (
    DannceBoneLengthLoss,
    DannceBoneVectorLoss,
    DannceJointAngleLoss,
    DannceSymmetryLoss,
    neighbouring_bones,
    symmetric_bones,
)
from mmpose_ext.volumetric.pose_batch import PoseBatch
from mmpose_ext.volumetric.skeletons import load_skeleton

# a head, and two legs of two bones at a spine
PLAN = BodyPlan(
    ('head', 'spine', 'kneeL', 'footL', 'kneeR', 'footR'),
    ((0, 1), (1, 2), (2, 3), (1, 4), (4, 5)), (0, 1, 4, 5, 2, 3), 'figure')
BODY = np.array([[0., 0, 30], [0, 0, 0], [20, 0, 0], [20, 0, -25],
                 [-20, 0, 0], [-20, 0, -25]])


def rat() -> BodyPlan:
    return BodyPlan.from_metainfo(load_skeleton('rat23'))


def draw_labels(count: int = 12, noise: float = 2.) -> np.ndarray:
    generator = np.random.default_rng(0)
    labels = BODY + noise * generator.standard_normal((count, 6, 3))
    labels[::3, 0] = np.nan
    labels[1, 2, 2] = np.nan
    labels[2] = np.nan
    return labels


def batch_of(points: Tensor, target: Tensor | None = None) -> PoseBatch:
    numbers = torch.arange(len(points))
    if target is None:
        target = torch.full_like(points, math.nan)
    return PoseBatch(points, target, numbers, *[torch.zeros_like(numbers)] * 4)


def draw_points(count: int = 5, noise: float = 12.) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    points = torch.from_numpy(BODY) + noise * torch.randn(
        (count, 6, 3), generator=generator).double()
    return points.requires_grad_()


def prepared(loss, labels: np.ndarray | None = None, plan: BodyPlan = PLAN):
    loss.prepare(plan, draw_labels() if labels is None else labels, 'data')
    return loss


@pytest.fixture
def priors(tmp_path: Path) -> str:
    np.save(tmp_path / 'priors.npy', np.array(
        [[30., 3.], [20., 4.], [25., 1.], [22., 2.], [24., 5.]]))
    return str(tmp_path / 'priors.npy')


def slow_hinge(value: float, mean: float, reach: float,
               upper_only: bool = False) -> float:
    if value > mean + reach:
        return value - mean - reach
    return 0. if upper_only else max(mean - reach - value, 0.)


def slow_lengths(points: Tensor) -> list[list[float]]:
    return [[math.dist(pose[a], pose[b]) for a, b in PLAN.links]
            for pose in points.tolist()]


class TestBoneLength:

    @pytest.mark.parametrize('multiplier', [1., 2.5])
    @pytest.mark.parametrize('upper_only', [False, True])
    def test_mean_distance_outside_the_interval(self, priors, multiplier,
                                                upper_only):
        points = draw_points()
        loss = prepared(DannceBoneLengthLoss(
            priors, multiplier, upper_only, mask=['spine-kneeL', 4],
            min_std_share=.1, loss_weight=.5))
        # the third and fourth are widened to a tenth of their mean
        table = [(30., 3.), None, (25., 2.5), (22., 2.2), None]
        each = [slow_hinge(lengths[bone], mean, multiplier * std, upper_only)
                for lengths in slow_lengths(points)
                for bone, (mean, std) in enumerate(
                    row or (0, 0) for row in table) if table[bone]]
        assert len(each) == 15 and sum(value > 0 for value in each) > 5
        assert loss(batch_of(points)).item() == pytest.approx(
            .5 * statistics.mean(each))
        assert torch.autograd.gradcheck(
            lambda points: loss(batch_of(points)), points)

    def test_proportions_by_a_reference(self, priors):
        points = draw_points()
        loss = prepared(DannceBoneLengthLoss(
            priors, relative_to='kneeR-spine', reference_weight=.3,
            mask=['head-spine'], loss_weight=.5))
        table = [None, (20., 4.), (25., 1.), None, (24., 5.)]
        each = [slow_hinge(lengths[bone] / lengths[3], row[0] / 22,
                           row[1] / 22)
                for lengths in slow_lengths(points)
                for bone, row in enumerate(table) if row]
        apart = statistics.mean(
            abs(lengths[3] - 22) for lengths in slow_lengths(points))
        assert loss(batch_of(points)).item() == pytest.approx(
            .5 * (statistics.mean(each) + .3 * apart))
        assert torch.autograd.gradcheck(
            lambda points: loss(batch_of(points)), points)

    def test_a_larger_animal_of_equal_proportions_is_right(self, priors):
        body = torch.from_numpy(np.stack([BODY, 4 * BODY]))
        means = [30., 20., 25., 20., 25.]
        np.save(priors, np.stack([means, np.zeros(5)], 1))
        loss = prepared(DannceBoneLengthLoss(
            priors, relative_to=0, reference_weight=0., min_std_share=0.))
        assert loss(batch_of(body)).item() == pytest.approx(0, abs=1e-12)
        whole = prepared(DannceBoneLengthLoss(
            priors, min_std_share=0., loss_weight=1.))
        assert whole(batch_of(body)).item() == pytest.approx(
            3 * statistics.mean(means) / 2)

    def test_priors_from_labels(self):
        labels, points = draw_labels(), draw_points()
        loss = prepared(DannceBoneLengthLoss('labels', loss_weight=1.), labels)
        each = []
        for bone in range(5):
            known = [lengths[bone] for lengths in slow_lengths(
                torch.from_numpy(labels)) if not math.isnan(lengths[bone])]
            assert 5 < len(known) < 12
            mean, std = statistics.mean(known), statistics.stdev(known)
            each += [slow_hinge(lengths[bone], mean, max(std, .02 * mean))
                     for lengths in slow_lengths(points)]
        assert loss(batch_of(points)).item() == pytest.approx(
            statistics.mean(each))
        assert '5 bones' in loss.describe() and '12 labels' in loss.describe()

    def test_labelled_proportions_are_of_single_poses(self):
        """Labels of animals of all sizes, one body: nothing varies."""
        labels = BODY * np.array([1., 2., 5.])[:, None, None]
        loss = prepared(DannceBoneLengthLoss(
            'labels', relative_to='spine-kneeR', reference_weight=0.,
            min_std_share=0., loss_weight=1.), labels)
        points = draw_points()
        body = [30 / 20, 1., 25 / 20, None, 25 / 20]
        each = [abs(lengths[bone] / lengths[3] - share)
                for lengths in slow_lengths(points)
                for bone, share in enumerate(body) if share]
        assert loss(batch_of(points)).item() == pytest.approx(
            statistics.mean(each))

    def test_bones_without_labels_are_named_and_do_not_count(
            self, monkeypatch):
        told: list[str] = []
        monkeypatch.setattr('mmpose_ext.volumetric.bone_losses.print_log',
                            lambda text, *rest: told.append(text))
        labels = draw_labels()
        labels[:, 5] = np.nan
        points = draw_points()
        loss = prepared(DannceBoneLengthLoss('labels'), labels)
        assert 'kneeR-footR' in ''.join(told)
        assert loss.describe().startswith('4 bones')
        loss(batch_of(points)).backward()
        assert not points.grad[:, 5].any() and points.grad[:, 4].any()

    def test_labels_of_no_bone_are_an_error(self):
        for labels in (draw_labels()[:1], np.zeros((0, 6, 3))):
            with pytest.raises(DataError, match='data: labels: expected 2'):
                prepared(DannceBoneLengthLoss('labels'), labels)
        labels = draw_labels()
        labels[:, 0] = np.nan
        with pytest.raises(DataError, match='bone head-spine'):
            prepared(DannceBoneLengthLoss('labels', relative_to=0), labels)

    def test_unknown_lengths_of_a_file_have_to_be_masked(self, priors):
        table = np.load(priors)
        table[1] = np.nan
        np.save(priors, table)
        with pytest.raises(DataError, match='bone spine-kneeL'):
            prepared(DannceBoneLengthLoss(priors))
        with pytest.raises(DataError, match='bone spine-kneeL'):
            prepared(DannceBoneLengthLoss(priors, mask=[1], relative_to=1))
        loss = prepared(DannceBoneLengthLoss(priors, mask=['kneeL-spine']))
        assert loss(batch_of(draw_points())).isfinite()

    def test_damaged_priors_are_found_when_it_is_built(self, tmp_path):
        np.save(tmp_path / 'a.npy', np.zeros((5, 2)))
        with pytest.raises(DataError, match='mean of 0'):
            MODELS.build(dict(type='mmpose_ext.DannceBoneLengthLoss',
                              priors=str(tmp_path / 'a.npy')))

    def test_what_does_not_fit_the_skeleton_is_an_error(self, priors):
        with pytest.raises(DataError, match='one for each bone of figure'):
            prepared(DannceBoneLengthLoss('rat23'))
        for settings in (dict(mask=['head-tail']), dict(mask=[5]),
                         dict(relative_to='EarL-EarR')):
            with pytest.raises(DataError, match='figure: bone'):
                prepared(DannceBoneLengthLoss(priors, **settings))
        with pytest.raises(DataError, match='not masked'):
            prepared(DannceBoneLengthLoss(priors, mask=range(5)))
        with pytest.raises(DataError, match='another unit'):
            prepared(DannceBoneLengthLoss(priors), draw_labels() / 1000)
        prepared(DannceBoneLengthLoss(priors, relative_to=0),
                 draw_labels() / 1000)

    def test_published_setting(self):
        """Interval and mask as in the original's recipe, by hand."""
        loss = DannceBoneLengthLoss(
            'rat23', mask=['Snout-SpineF'], relative_to='EarL-EarR',
            reference_weight=0.)
        prepared(loss, np.zeros((0, 23, 3)), rat())
        points = torch.zeros(1, 23, 3)
        points[0, 1, 0] = 29.6  # EarL, 0.0 from the others but EarR
        points[0, 0, 0] = 29.6
        # Snout-EarL 0, Snout-EarR 1, the other 19 are 0
        table = np.delete(loss.priors.mean, [2, 3]) / 29.6
        lower = table - np.delete(loss.priors.std, [2, 3]) / 29.6
        wanted = np.abs(lower - np.eye(21)[1]).sum() / 21
        assert loss(batch_of(points)).item() == pytest.approx(.5 * wanted)


class TestBoneVector:

    @pytest.mark.parametrize('known', ['all', 'some', 'none'])
    def test_mean_distance_of_labelled_bones(self, known):
        points, target = draw_points(), draw_points(noise=3.).detach()
        if known == 'some':
            target[0, 1] = math.nan
            target[2, 3, 1] = math.nan
        elif known == 'none':
            target[:] = math.nan
        loss = prepared(DannceBoneVectorLoss(mask=['head-spine'],
                                             loss_weight=2.))
        each = []
        for pose, label in zip(points.tolist(), target.tolist(), strict=True):
            for a, b in PLAN.links[1:]:
                error = math.dist(
                    [x - y for x, y in zip(pose[b], pose[a], strict=True)],
                    [x - y for x, y in zip(label[b], label[a], strict=True)])
                each += [] if math.isnan(error) else [error]
        assert len(each) == dict(all=20, some=17, none=0)[known]
        found = loss(batch_of(points, target))
        assert found.item() == pytest.approx(
            2 * statistics.mean(each) if each else 0)
        found.backward()
        assert points.grad.isfinite().all()
        assert points.grad[1].any() == bool(each)
        assert torch.autograd.gradcheck(
            lambda points: loss(batch_of(points, target)), points)

    def test_moving_the_whole_animal_costs_nothing(self):
        target = draw_points().detach()
        loss = prepared(DannceBoneVectorLoss())
        assert loss(batch_of(target + 50, target)).item() < 1e-12

    def test_masking_everything_is_an_error(self):
        with pytest.raises(DataError, match='all of them masked'):
            prepared(DannceBoneVectorLoss(mask=range(5)))


class TestSymmetry:

    def test_each_pair_of_each_pose_counts(self):
        points = draw_points()
        loss = prepared(DannceSymmetryLoss(loss_weight=3.))
        each = [abs(lengths[left] - lengths[right])
                for lengths in slow_lengths(points)
                for left, right in ((1, 3), (2, 4))]
        assert loss(batch_of(points)).item() == pytest.approx(
            3 * statistics.mean(each))
        assert torch.autograd.gradcheck(
            lambda points: loss(batch_of(points)), points)

    def test_errors_of_two_poses_do_not_cancel(self):
        body = torch.from_numpy(np.stack([BODY, BODY[list(
            PLAN.flip_indices)]]))
        body[0, 3, 2] -= 10
        body[1, 5, 2] -= 10
        loss = prepared(DannceSymmetryLoss())
        assert loss(batch_of(body)).item() == pytest.approx(5)

    @pytest.mark.parametrize('name, pairs', [
        # as published
        ('mouse22', '1-2|0-2 0-3|1-3 9-10|13-14 10-11|14-15 11-3|15-3 '
         '12-13|8-9 16-17|19-20 17-18|20-21 18-4|21-4'),
        # by the names
        ('rat23', '0-1|0-2 3-7|3-11 5-15|5-19 7-8|11-12 8-9|12-13 9-10|13-14 '
         '15-16|19-20 16-17|20-21 17-18|21-22')])
    def test_pairs_of_usual_skeletons(self, name, pairs):
        plan = BodyPlan.from_metainfo(load_skeleton(name))
        found = symmetric_bones(plan)
        assert len(found) == 9
        assert {frozenset(frozenset(plan.links[bone]) for bone in pair)
                for pair in found} == {
            frozenset(frozenset(map(int, link.split('-')))
                      for link in pair.split('|'))
            for pair in pairs.split()}

    def test_a_skeleton_without_sides_is_an_error(self):
        plan = BodyPlan(('a', 'b'), ((0, 1), ), (0, 1), 'worm')
        with pytest.raises(DataError, match='worm: bones'):
            prepared(DannceSymmetryLoss(), np.zeros((1, 2, 3)), plan)


def slow_cosine(pose: list, shared: int, one: int, other: int) -> float:
    first, second = (
        [x - y for x, y in zip(pose[end], pose[shared], strict=True)]
        for end in (one, other))
    return sum(map(math.prod, zip(first, second, strict=True))) / (
        math.hypot(*first) * math.hypot(*second))


class TestJointAngle:

    # head-spine, both thighs: three at the spine; one at each knee
    angles = [(1, 2, 0), (2, 3, 1), (1, 4, 0), (1, 4, 2), (4, 5, 1)]

    def test_neighbours_share_a_keypoint(self):
        bones, ends = neighbouring_bones(PLAN)
        assert ends.tolist() == [list(row) for row in self.angles]
        for pair, (shared, one, other) in zip(bones, ends, strict=True):
            assert {*PLAN.links[pair[0]]} == {shared, one}
            assert {*PLAN.links[pair[1]]} == {shared, other}
        # a keypoint of n bones has n (n - 1) / 2
        degrees = np.bincount(np.array(rat().links).ravel())
        assert len(neighbouring_bones(rat())[1]) == sum(
            degree * (degree - 1) // 2 for degree in degrees.tolist())

    @pytest.mark.parametrize('multiplier', [1., 2.])
    def test_mean_distance_outside_the_labelled_angles(self, multiplier):
        labels, points = draw_labels(), draw_points()
        loss = prepared(DannceJointAngleLoss(multiplier, .7), labels)
        each = []
        for angle in self.angles:
            known = [cosine for pose in labels.tolist() if not math.isnan(
                cosine := slow_cosine(pose, *angle))]
            assert 5 < len(known) < 12
            each += [slow_hinge(slow_cosine(pose, *angle),
                                statistics.mean(known),
                                multiplier * statistics.stdev(known))
                     for pose in points.tolist()]
        assert sum(value > 0 for value in each) > 5
        assert loss(batch_of(points)).item() == pytest.approx(
            .7 * statistics.mean(each))
        assert torch.autograd.gradcheck(
            lambda points: loss(batch_of(points)), points)
        assert loss.describe() == '5 of 5 angles, from 12 labels'

    def test_angles_that_nobody_labelled_do_not_count(self):
        labels = draw_labels()
        labels[:, 5] = np.nan
        points = draw_points()
        loss = prepared(DannceJointAngleLoss(), labels)
        assert loss.describe().startswith('4 of 5')
        loss(batch_of(points)).backward()
        assert not points.grad[:, 5].any()

    def test_labels_of_no_angle_are_an_error(self):
        labels = np.full((4, 6, 3), np.nan)
        labels[:, :2] = 1.
        for some in (labels, labels[:0]):
            with pytest.raises(DataError, match='angle between two'):
                prepared(DannceJointAngleLoss(), some)


ALL: dict[str, Callable] = {
    'length': lambda: DannceBoneLengthLoss('labels'),
    'relative': lambda: DannceBoneLengthLoss('labels', relative_to=0),
    'vector': DannceBoneVectorLoss, 'symmetry': DannceSymmetryLoss,
    'angle': DannceJointAngleLoss}


@pytest.mark.parametrize('make', ALL.values(), ids=ALL)
class TestAll:

    def test_bones_of_no_length_have_a_finite_gradient(self, make):
        loss = prepared(make())
        target = torch.from_numpy(BODY).float()[None].repeat(3, 1, 1)
        points = target.clone()
        points[0] = 1.  # all keypoints at one place
        points[1, 0] = points[1, 1] + torch.tensor([1e-30, 0., 1e-20])
        points.requires_grad_()
        value = loss(batch_of(points, target))
        value.backward()
        assert value.isfinite() and points.grad.isfinite().all()
        assert points.grad.abs().max() < 10

    def test_unlabelled_poses_have_a_finite_gradient(self, make):
        points = draw_points()
        value = prepared(make())(batch_of(points))
        value.backward()
        assert value.isfinite() and points.grad.isfinite().all()

    def test_two_processes_with_unlike_shares_are_one(self, make,
                                                      monkeypatch):
        loss = prepared(make())
        points, target = draw_points(), draw_points(noise=3.).detach()
        target[3:, 1] = math.nan
        whole = loss(batch_of(points, target))
        whole.backward()
        monkeypatch.setattr(losses, 'get_world_size', lambda: 2)
        parts = [(points.detach()[rows].requires_grad_(), target[rows])
                 for rows in (slice(1), slice(1, 5))]

        def run(part: tuple[Tensor, Tensor],
                reduce: Callable[[Tensor], object]) -> Tensor:
            monkeypatch.setattr(losses, 'all_reduce', reduce)
            return loss(batch_of(*part))

        counts: list[list[Tensor]] = []
        for part in parts:
            seen: list[Tensor] = []
            run(part, lambda count, seen=seen: seen.append(count.clone()))
            counts.append(seen)
        values = []
        for part in parts:
            totals = iter([sum(both) for both in zip(*counts, strict=True)])
            value = run(part, lambda count, totals=totals: count.copy_(
                next(totals)))
            value.backward()
            values.append(value.item())
        assert statistics.mean(values) == pytest.approx(whole.item())
        torch.testing.assert_close(
            torch.cat([part.grad for part, _ in parts]) / 2, points.grad)

    def test_it_must_be_prepared(self, make):
        with pytest.raises(RuntimeError, match='DannceLossHook'):
            make()(batch_of(draw_points()))

    def test_it_adds_nothing_to_checkpoints_or_averages(self, make):
        loss = prepared(make())
        assert not loss.state_dict() and not list(loss.buffers())
        points = draw_points()
        twin = copy.deepcopy(loss)
        assert twin(batch_of(points)) == loss(batch_of(points))

    def test_it_follows_the_points_to_another_type(self, make):
        loss, points = prepared(make()), draw_points()
        target = draw_points(noise=3.).detach()
        single = loss(batch_of(points.float(), target.float()))
        assert single.dtype == torch.float32
        assert loss(batch_of(points, target)).item() == pytest.approx(
            single.item(), rel=1e-4)

    def test_preparing_again_replaces_what_was_found(self, make):
        points, target = draw_points(), draw_points(noise=3.).detach()
        loss = prepared(make(), draw_labels(9, 1.))
        loss(batch_of(points, target))
        prepared(loss)
        assert loss(batch_of(points, target)).item() == pytest.approx(
            prepared(make())(batch_of(points, target)).item())

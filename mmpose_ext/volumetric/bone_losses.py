"""Losses on the bones of poses; most of them need no label.

M volumes, K keypoints, E bones. All look at whole poses in world mm, so that
neither the turn of a volume nor its mirror matters.
"""
from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.length_priors import (
    FEWEST,
    LengthPriors,
    check_bones,
    check_units,
    measure,
    measure_bones,
    read_priors,
)
from mmpose_ext.volumetric.losses import share_of
from mmpose_ext.volumetric.pose_batch import PoseBatch
from mmpose_ext.volumetric.pose_losses import PoseLoss

Array = np.ndarray
Bones = Sequence[str | int]

# of a bone's usual length; a shorter one is taken as so long where it is
# divided by, for the gradient would grow without bound
_SHORTEST_SHARE = .1


class BoneLoss(PoseLoss):
    """What the losses on bones share: what they learn before a training.

    ``DannceLossHook`` calls :meth:`prepare`. What that finds follows from the
    config and the labels, so no checkpoint holds it; and it is no buffer,
    because averages of a model pair buffers by their order, which new ones
    would shift.

    Args:
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, loss_weight: float = 1.) -> None:
        super().__init__(loss_weight)
        self._kept: dict[str, Tensor] = {}
        self._summary = ''

    def describe(self) -> str:
        """What :meth:`prepare` found, for the log."""
        return self._summary

    def keep(self, **values: Array) -> None:
        """Keep arrays that :meth:`forward` needs."""
        self._kept = {name: torch.from_numpy(np.array(value))
                      for name, value in values.items()}

    def kept(self, points: Tensor) -> dict[str, Tensor]:
        """What was kept, where the points are and of their type.

        Raises:
            RuntimeError: If the loss was not prepared.
        """
        if not self._kept:
            raise RuntimeError(
                f'{type(self).__name__} was not prepared: it needs '
                "dict(type='mmpose_ext.DannceLossHook') in custom_hooks")
        self._kept = {
            name: value.to(points.device, points.dtype if
                           value.is_floating_point() else value.dtype)
            for name, value in self._kept.items()}
        return self._kept


@MODELS.register_module()
class DannceBoneLengthLoss(BoneLoss):
    """Bones outside the lengths that they have: mean distance to these.

    A length may lie within ``std_multiplier`` standard deviations of its
    mean. The loss is the mean, over the bones that count of all volumes, of
    how far the length is outside. It needs no labels.

    Differs from the original: bones that are masked, and the reference, do
    not count in the mean; a reference that has nearly vanished is taken as a
    tenth of its usual length; the measured standard deviation is that of a
    sample; each bone is measured wherever both its ends are labelled.

    Args:
        priors (str): Lengths of the skeleton's bones: ``labels``, measured
            on those of the training data set; ``rat23``, published ones of
            adult rats; or a file, see
            :func:`~mmpose_ext.volumetric.length_priors.read_priors`.
        std_multiplier (float): Defaults to 1.
        upper_only (bool): Whether bones may be shorter. Defaults to False.
        mask (Sequence[str | int]): Bones that do not count, as
            ``first-second`` or by number. Defaults to ().
        relative_to (str | int, optional): A bone by whose length in the same
            pose all are divided, for animals of unlike sizes; the loss has
            no unit then. Defaults to None, lengths in mm.
        reference_weight (float): With ``relative_to``, weight of the mean
            distance of that bone from its own mean, mm. Defaults to 0.1;
            published results have 0.
        min_std_share (float): The standard deviation is at least this share
            of the mean, for few labels may agree by chance. Defaults to
            0.02.
        loss_weight (float): Of everything. Defaults to 0.5.

    Raises:
        DataError: If a file is missing, damaged, or holds other than
            lengths; in :meth:`prepare` if it does not fit the skeleton or
            there are too few labels.
    """

    def __init__(self,
                 priors: str,
                 std_multiplier: float = 1.,
                 upper_only: bool = False,
                 mask: Bones = (),
                 relative_to: str | int | None = None,
                 reference_weight: float = .1,
                 min_std_share: float = .02,
                 loss_weight: float = .5) -> None:
        super().__init__(loss_weight)
        self.priors = None if priors == 'labels' else read_priors(priors)
        self.std_multiplier = std_multiplier
        self.upper_only = upper_only
        self.mask = tuple(mask)
        self.relative_to = relative_to
        self.reference_weight = reference_weight
        self.min_std_share = min_std_share

    def prepare(self, plan: BodyPlan, labels: Array, file: str) -> None:
        """See :meth:`PoseLoss.prepare`."""
        left_out = {plan.bone_number(bone) for bone in self.mask}
        reference = None
        if self.relative_to is not None:
            reference = plan.bone_number(self.relative_to)
        lengths = self._lengths(plan, labels, file, left_out)
        shares, scale = lengths, 1.
        if reference is not None:
            left_out.add(reference)
            scale = float(lengths.mean[reference])
            if not lengths.known[reference]:
                raise _no_length(
                    lengths, f'bone {plan.link_names[reference]}')
            shares = (
                measure_bones(labels, plan, file, reference)
                if self.priors is None else LengthPriors(
                    lengths.mean / scale, lengths.std / scale,
                    lengths.source))
        counted = np.array([
            bone for bone in np.flatnonzero(shares.known)
            if bone not in left_out], np.int64)
        if not len(counted):
            raise DataError(
                'config', 'DannceBoneLengthLoss.mask',
                'some bones that are not masked, of known length',
                f'none of {len(plan.links)}, with priors from '
                f'{lengths.source}')
        if reference is None and self.priors is not None:
            check_units(lengths, labels, plan, counted, file)
        mean = shares.mean[counted]
        reach = self.std_multiplier * np.maximum(
            shares.std[counted], self.min_std_share * mean)
        first, second = np.array(plan.links)[counted].T
        ends = dict(first=first, second=second)
        if reference is not None:
            ends['reference'] = np.array(plan.links[reference])
        self.keep(lower=np.zeros_like(mean) if self.upper_only
                  else mean - reach, upper=mean + reach,
                  scale=np.array(scale), **ends)
        unit = ('mm' if reference is None else
                f'times {plan.link_names[reference]}')
        self._summary = (f'{len(counted)} bones, {mean.min():.3g} to '
                         f'{mean.max():.3g} {unit}, from {lengths.source}')

    def forward(self, poses: PoseBatch) -> Tensor:
        """See :meth:`PoseLoss.forward`."""
        kept, points = self.kept(poses.points), poses.points
        lengths = distances(points, kept['first'], kept['second'])
        extra = points.new_zeros(())
        if 'reference' in kept:
            reference = distances(points, *kept['reference'].split(1))
            off = (reference - kept['scale']).abs()
            extra = self.reference_weight * common_mean(off)
            lengths = lengths / reference.clamp(
                min=_SHORTEST_SHARE * kept['scale'])
        outside = distance_outside(lengths, kept['lower'], kept['upper'])
        return self.loss_weight * (common_mean(outside) + extra)

    def _lengths(self, plan: BodyPlan, labels: Array, file: str,
                 masked: set[int]) -> LengthPriors:
        """The bones' lengths, mm; says of which there are none."""
        if self.priors is not None:
            check_bones(self.priors, plan)
            for bone in np.flatnonzero(~self.priors.known):
                if bone not in masked:
                    raise _no_length(
                        self.priors, f'bone {plan.link_names[bone]}')
            return self.priors
        found = measure_bones(labels, plan, f'{len(labels)} labels')
        unknown = [plan.link_names[bone]
                   for bone in np.flatnonzero(~found.known)
                   if bone not in masked]
        if not found.known.any():
            raise DataError(
                file, 'labels', f'{FEWEST} or more of a bone, to measure its '
                'length', f'none such in {len(labels)} labelled poses',
                'priors may come from a file')
        if unknown:
            print_log(
                f'{file}: too few labels to measure {", ".join(unknown)}; '
                'these do not count in the loss on bone lengths', 'current',
                logging.WARNING)
        return found


@MODELS.register_module()
class DannceBoneVectorLoss(BoneLoss):
    """Bones beside the labelled ones as vectors: mean distance, mm.

    A bone counts where both its ends are labelled.

    Args:
        mask (Sequence[str | int]): Bones that do not count, as
            ``first-second`` or by number. Defaults to ().
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, mask: Bones = (), loss_weight: float = 1.) -> None:
        super().__init__(loss_weight)
        self.mask = tuple(mask)

    def prepare(self, plan: BodyPlan, labels: Array, file: str) -> None:
        """See :meth:`PoseLoss.prepare`."""
        masked = {plan.bone_number(bone) for bone in self.mask}
        counted = [link for bone, link in enumerate(plan.links)
                   if bone not in masked]
        if not counted:
            raise DataError(plan.source, 'bones', 'one that is not masked',
                            f'{len(plan.links)}, all of them masked')
        first, second = np.array(counted).T
        self.keep(first=first, second=second)
        self._summary = f'{len(counted)} bones'

    def forward(self, poses: PoseBatch) -> Tensor:
        """See :meth:`PoseLoss.forward`."""
        kept = self.kept(poses.points)
        found, wanted = (
            points[:, kept['second']] - points[:, kept['first']]
            for points in (poses.points, poses.target))
        known = wanted.isfinite().all(-1)
        difference = torch.where(known.unsqueeze(-1), found - wanted, 0.)
        error = torch.linalg.vector_norm(difference, dim=-1)
        return self.loss_weight * common_mean(error, known)


@MODELS.register_module()
class DannceSymmetryLoss(BoneLoss):
    """Bones of the left and the right side: mean difference in length, mm.

    Differs from the original: each pair of each pose counts by itself, so
    that errors do not cancel. It needs no labels, and the pairs follow from
    any skeleton that names the sides.

    Args:
        loss_weight (float): Defaults to 1.
    """

    def prepare(self, plan: BodyPlan, labels: Array, file: str) -> None:
        """See :meth:`PoseLoss.prepare`."""
        pairs = symmetric_bones(plan)
        if not pairs:
            raise DataError(
                plan.source, 'bones', 'bones of a left and a right side',
                f'none among {", ".join(plan.link_names) or "no bone"}')
        left, right = np.array([
            [plan.links[bone] for bone in pair] for pair in pairs]).swapaxes(
                0, 1)
        self.keep(left=left, right=right)
        self._summary = f'{len(pairs)} pairs of bones'

    def forward(self, poses: PoseBatch) -> Tensor:
        """See :meth:`PoseLoss.forward`."""
        kept = self.kept(poses.points)
        left, right = (
            distances(poses.points, *kept[side].unbind(1))
            for side in ('left', 'right'))
        return self.loss_weight * common_mean((left - right).abs())


@MODELS.register_module()
class DannceJointAngleLoss(BoneLoss):
    """Angles between neighbouring bones outside those that were labelled.

    Neighbours share a keypoint; both point away from it. The cosine of their
    angle may lie within ``std_multiplier`` standard deviations of its mean
    over the labels. The loss is the mean, over the angles of all volumes, of
    how far the cosine is outside; angles that were labelled less than twice
    do not count. Poses need no label.

    Differs from the original: both ends of the interval are as far from the
    mean.

    Args:
        std_multiplier (float): Defaults to 2: angles vary, and a third of
            the right ones is beyond a single standard deviation.
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, std_multiplier: float = 2.,
                 loss_weight: float = 1.) -> None:
        super().__init__(loss_weight)
        self.std_multiplier = std_multiplier

    def prepare(self, plan: BodyPlan, labels: Array, file: str) -> None:
        """See :meth:`PoseLoss.prepare`."""
        bones, ends = neighbouring_bones(plan)
        lengths = measure_bones(labels, plan, file).mean
        shortest = _SHORTEST_SHARE * lengths[bones]
        mean, std, counts = measure(cosines(
            torch.from_numpy(np.array(labels, np.float64)),
            torch.from_numpy(ends), torch.from_numpy(shortest)).numpy())
        counted = np.flatnonzero(counts >= FEWEST)
        if not len(counted):
            raise DataError(
                file, 'labels', f'{FEWEST} or more of an angle between two '
                'bones', f'none such in {len(labels)} labelled poses of '
                f'{len(plan.links)} bones')
        reach = self.std_multiplier * std[counted]
        self.keep(ends=ends[counted], shortest=shortest[counted],
                  lower=mean[counted] - reach, upper=mean[counted] + reach)
        self._summary = (f'{len(counted)} of {len(ends)} angles, from '
                         f'{len(labels)} labels')

    def forward(self, poses: PoseBatch) -> Tensor:
        """See :meth:`PoseLoss.forward`."""
        kept = self.kept(poses.points)
        found = cosines(poses.points, kept['ends'], kept['shortest'])
        return self.loss_weight * common_mean(
            distance_outside(found, kept['lower'], kept['upper']))


def symmetric_bones(plan: BodyPlan) -> list[tuple[int, int]]:
    """Find the bones that have a counterpart on the other side.

    Args:
        plan (BodyPlan): A bone's counterpart joins the counterparts of its
            ends.

    Returns:
        list[tuple[int, int]]: Numbers of both, the lower first.
    """
    numbers = {frozenset(link): bone for bone, link in enumerate(plan.links)}
    pairs = []
    for bone, link in enumerate(plan.links):
        other = numbers.get(frozenset(plan.flip_indices[end] for end in link))
        if other is not None and bone < other:
            pairs.append((bone, other))
    return pairs


def neighbouring_bones(plan: BodyPlan) -> tuple[Array, Array]:
    """Find the pairs of bones that share a keypoint.

    Returns:
        tuple[ndarray, ndarray]: Numbers (A, 2) of the bones, and (A, 3)
        keypoints: the shared one, and the other end of each.
    """
    bones, ends = [], []
    for one, first in enumerate(plan.links):
        for other, second in enumerate(plan.links[:one]):
            for shared in sorted({*first} & {*second}):
                bones.append((one, other))
                ends.append((shared, sum(first) - shared,
                             sum(second) - shared))
    return (np.array(bones, np.int64).reshape(-1, 2),
            np.array(ends, np.int64).reshape(-1, 3))


def distances(points: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Lengths (M, E) from keypoints to keypoints of (M, K, 3), mm.

    The gradient of a length of 0 is 0.
    """
    # torch defines it so for the norm
    return torch.linalg.vector_norm(
        points[:, second] - points[:, first], dim=-1)


def cosines(points: Tensor, ends: Tensor, shortest: Tensor) -> Tensor:
    """Cosines (M, A) of the angles between neighbouring bones.

    Args:
        points (Tensor): (M, K, 3) mm.
        ends (Tensor): (A, 3), see :func:`neighbouring_bones`.
        shortest (Tensor): (A, 2) mm; a shorter bone is taken as so long,
            which brings the cosine towards 0 and bounds the gradient.
    """
    bones = points[:, ends[:, 1:]] - points[:, ends[:, :1]]
    lengths = torch.linalg.vector_norm(bones, dim=-1)
    directions = bones / torch.maximum(lengths, shortest).unsqueeze(-1)
    one, other = directions.unbind(-2)
    return (one * other).sum(-1)


def distance_outside(values: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """How far values lie outside of intervals; 0 inside."""
    return (lower - values).relu() + (values - upper).relu()


def common_mean(errors: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean over the entries of all processes.

    Args:
        errors (Tensor): (M, E), 0 where it does not count.
        known (Tensor, optional): (M, E) bool, what counts. Defaults to None,
            everything.
    """
    if known is None:
        known = torch.ones_like(errors, dtype=torch.bool)
    return share_of(known) * errors.sum()


def _no_length(priors: LengthPriors, where: str) -> DataError:
    return DataError(priors.source, where, 'a length', 'none',
                     'mask the bones whose length nobody knows')

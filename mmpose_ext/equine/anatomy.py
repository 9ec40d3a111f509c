"""What a horse can look like: lengths of bones, and left told from right.

Both compare an annotation with the others of its data set, so no table of
lengths is needed, and both need some dozens of them. N annotations, K
keypoints, B bones, P left-right pairs.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmpose_ext.equine.horse26 import FLIP_INDICES, NAMES, PAIRS, SKELETON

Array = np.ndarray

LONG_BONE = 4.  # robust standard deviations
# Gain of the log-likelihood. On synthetic horses it finds 82 % of the
# exchanged parts, half of the ears and nearly all of whole legs, and calls
# 1.6 % of the sound annotations exchanged.
LIKELY_SWAP = 8.
LEAST_BONES = 4  # that tell the size of a body
LEAST_LENGTHS = 20  # that tell what is usual
LEAST_HORSES = 100  # whose sides tell what is usual
FRONT = tuple(map(NAMES.index, ('neck', 'withers', 'l_elbow', 'r_elbow')))
REAR = tuple(map(NAMES.index, ('tail_base', 'l_hip', 'r_hip')))
_HEAVINESS = 5.  # degrees of freedom: labels err more often than a Gaussian
_SHRINKAGE = .02


def bone_z_scores(points: Array, visibility: Array) -> Array:
    """How unusual the length of each bone is for a horse of this size.

    The size of a body is found together with the usual proportions: by turns
    the median over bones and the median over annotations of the logarithms.
    A bone and its mirror image share one distribution.

    Args:
        points (ndarray): (N, K, 2), px.
        visibility (ndarray): (N, K); 0 is absent.

    Returns:
        ndarray: (N, B) robust z-scores, positive for too long; NaN where an
        end is absent or too little is known. A bone that points at the
        camera is rightly short, so only long ones speak of wrong labels.
    """
    first, second = np.array(SKELETON).T
    length = np.linalg.norm(points[:, first] - points[:, second], axis=-1)
    known = (visibility[:, first] > 0) & (visibility[:, second] > 0)
    logs = np.where(known, np.log(np.maximum(length, .5)), np.nan)
    kinds = _bone_kinds()
    size = np.zeros((len(points), 1))
    usual = np.zeros((1, len(SKELETON)))
    for _ in range(4):
        usual = _median_by_kind(logs - size, kinds)
        size = _nanmedian(logs - usual, 1)
    rest = logs - usual - size
    rest[known.sum(1) < LEAST_BONES] = np.nan
    spread = 1.4826 * _median_by_kind(np.abs(rest), kinds)
    enough = np.array([np.isfinite(rest[:, kinds == kind]).sum()
                       >= LEAST_LENGTHS for kind in kinds])
    return np.where(enough, rest / np.maximum(spread, .05), np.nan)


def _bone_kinds() -> Array:
    """(B,): one number for a bone and its mirror image."""
    kinds: dict[tuple[int, ...], int] = {}
    return np.array([
        kinds.setdefault(
            min(tuple(sorted(link)),
                tuple(sorted(FLIP_INDICES[end] for end in link))), len(kinds))
        for link in SKELETON])


def _median_by_kind(values: Array, kinds: Array) -> Array:
    """(1, B) medians of (N, B), over all bones of a kind."""
    medians = np.array([
        _nanmedian(values[:, kinds == kind].reshape(1, -1), 1)[0, 0]
        for kind in np.unique(kinds)])
    return medians[kinds][None]


def _nanmedian(values: Array, axis: int) -> Array:
    """Median without NaN, 0 where there is nothing else; keeps the axis."""
    empty = np.isnan(values).all(axis, keepdims=True)
    return np.nanmedian(np.where(empty, 0., values), axis, keepdims=True)


def swap_scores(points: Array,
                visibility: Array) -> tuple[Array, tuple[str, ...]]:
    """How much likelier labels are with left and right exchanged somewhere.

    An annotation is described by what changes sign when sides are exchanged:
    in each pair, left minus right of x, and of y and visibility times the
    way the body faces. For a horse seen from its left, the left hooves are
    lower in the picture and the right eye is hidden; seen from ahead, every
    left point lies to the right. A Student distribution is fitted to the data
    set, whose labels are mostly right. Exchanging a part flips the signs of
    its pairs; the score is the gain of the log-likelihood.

    Args:
        points (ndarray): (N, K, 2), px.
        visibility (ndarray): (N, K) of 0, 1, 2.

    Returns:
        tuple: Scores (N,), above 0 if an exchange explains the labels
        better, and the part of the best exchange of each. Scores are -inf
        if there are too few annotations.
    """
    signs = np.array([_signs(part) for part in _PARTS.values()])
    names = tuple(_PARTS)
    evidence = _side_evidence(points, visibility)
    usable = evidence.any(1)
    if usable.sum() < LEAST_HORSES:
        return np.full(len(points), -np.inf), (names[0], ) * len(points)
    scores = np.empty((len(points), len(names)))
    fitted = usable
    for _ in range(2):  # the second time without what looks exchanged
        mean, inverse = _fit(evidence[fitted])
        own = _log_student(evidence, mean, inverse)
        for part, sign in enumerate(signs):
            flipped = evidence * sign
            scores[:, part] = _log_student(flipped, mean, inverse) - own
            # nothing to exchange
            scores[(flipped == evidence).all(1), part] = -np.inf
        fitted = usable & (scores.max(1) < 0)
        if fitted.sum() < LEAST_HORSES // 2:
            break
    best = scores.argmax(1)
    return scores.max(1), tuple(names[part] for part in best)


def _parts() -> dict[str, tuple[str, ...]]:
    """Parts that annotators exchange, by the left points in them."""
    fore = ('l_elbow', 'l_knee', 'lf_fetlock', 'lf_hoof')
    hind = ('l_hip', 'l_hock', 'lh_fetlock', 'lh_hoof')
    parts = {
        'the whole horse': tuple(NAMES[left] for left, _ in PAIRS),
        'the head': ('l_eye', 'l_ear'),
        'eyes': ('l_eye', ),
        'ears': ('l_ear', ),
    }
    for leg, chain in (('fore', fore), ('hind', hind)):
        words = [point.split('_')[1] for point in chain]
        parts[f'{leg} legs'] = chain
        for i, (word, point) in enumerate(zip(words, chain, strict=True)):
            plural = 'hooves' if word == 'hoof' else f'{word}s'
            parts[f'{leg} {plural}'] = (point, )
            if 0 < i < len(chain) - 1:
                parts[f'{leg} legs from the {word} down'] = chain[i:]
    return parts


def _signs(part: Sequence[str]) -> Array:
    """(3P,): -1 for the evidence of the pairs in a part."""
    flips = [-1. if NAMES[left] in part else 1. for left, _ in PAIRS]
    return np.repeat(flips, 3)


_PARTS = _parts()


def _side_evidence(points: Array, visibility: Array) -> Array:
    """(N, 3P); 0 where a pair says nothing."""
    present = visibility > 0
    left, right = np.array(PAIRS).T
    low = np.where(present[..., None], points, np.inf).min(1)
    high = np.where(present[..., None], points, -np.inf).max(1)
    side = np.where(present.any(1), (high - low).max(-1), 1.)
    side = np.maximum(side, 1.)[:, None]
    # 1 for a horse that faces left, whose left side is near
    facing = np.clip(_facing(points, present) / side * 2, -1., 1.)
    both = (present[:, left] & present[:, right])[..., None]
    apart = np.where(both, points[:, left] - points[:, right], 0.)
    apart = apart / side[..., None]
    seen = (visibility[:, left] - visibility[:, right]) / 2.
    return np.stack([apart[..., 0], apart[..., 1] * facing, seen * facing],
                    -1).reshape(len(points), -1)


def _facing(points: Array, present: Array) -> Array:
    """How far (N, 1) the front lies left of the rear, px; 0 if unknown."""
    ends = [
        _nanmedian(np.where(present[:, part], points[:, part, 0], np.nan), 1)
        for part in (FRONT, REAR)]
    known = np.logical_and(present[:, FRONT].any(1), present[:, REAR].any(1))
    return np.where(known[:, None], ends[1] - ends[0], 0.)


def _fit(evidence: Array) -> tuple[Array, Array]:
    mean = evidence.mean(0)
    covariance = np.cov(evidence, rowvar=False)
    variance = np.diag(covariance)
    floor = np.diag(_SHRINKAGE * variance + 1e-4)
    return mean, np.linalg.inv(covariance * (1 - _SHRINKAGE) + floor)


def _log_student(evidence: Array, mean: Array, inverse: Array) -> Array:
    """Log density (N,) of a Student distribution, up to a constant."""
    away = evidence - mean
    square = np.einsum('ni,ij,nj->n', away, inverse, away)
    return -.5 * (_HEAVINESS + len(mean)) * np.log1p(square / _HEAVINESS)

"""Figures of answers: accuracy, F1, areas, and what guessing comes to."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmpose_ext.scoring.bootstrap import grouped_interval

Array = np.ndarray

_DRAWS = 1000  # of records, for intervals of figures that are no means
_TINY = 1e-7


def binary_figures(truth: Array, scores: Array,
                   records: Array) -> dict[str, Any]:
    """Figures of yes-or-no questions.

    Args:
        truth (ndarray): (B,), 0 or 1.
        scores (ndarray): (B,) probability of 1.
        records (ndarray): (B,) text, what the interval draws.

    Returns:
        dict: ``main`` for the log, and ``confusion`` (2, 2), truth by row.
    """
    answers = scores > .5
    right = answers == (truth > .5)
    low, high = grouped_interval(right, records)
    positive = float(np.mean(truth))
    return dict(
        main=dict(
            acc=float(right.mean()), acc_low=low, acc_high=high,
            acc_trivial=max(positive, 1 - positive),
            auc=area_under_curve(truth > .5, scores),
            loss=_cross_entropy(truth, scores)),
        classes=('no', 'yes'),
        confusion=count_pairs(truth.astype(int), answers.astype(int), 2))


def regression_figures(truth: Array, scores: Array,
                       records: Array) -> dict[str, Any]:
    """Figures of questions for a number.

    Args:
        truth (ndarray): (B,).
        scores (ndarray): (B,).
        records (ndarray): (B,) text, what the interval draws.
    """
    error = np.abs(scores - truth)
    low, high = grouped_interval(error, records)
    vary = np.std(truth) > 0 and np.std(scores) > 0
    return dict(main=dict(
        mae=float(error.mean()), mae_low=low, mae_high=high,
        mae_trivial=float(np.abs(truth - np.median(truth)).mean()),
        correlation=float(np.corrcoef(truth, scores)[0, 1]) if vary else 0.))


def multiclass_figures(truth: Array, scores: Array, records: Array,
                       classes: Sequence[str],
                       ignored: Sequence[str] = ()) -> dict[str, Any]:
    """Figures of questions with one class for an answer.

    Args:
        truth (ndarray): (B,) class numbers.
        scores (ndarray): (B, C) probabilities.
        records (ndarray): (B,) text, what the interval draws.
        classes (Sequence[str]): C names.
        ignored (Sequence[str]): Classes that mean figures leave out. Defaults
            to ().

    Returns:
        dict: ``main``, ``per_class`` and ``confusion`` (C, C), truth by row.
    """
    count = len(classes)
    if not len(truth):
        return dict(main={}, classes=tuple(classes), per_class={},
                    confusion=np.zeros((count, count), int))
    answers = scores.argmax(1)
    confusion = count_pairs(truth, answers, count)
    common = int(confusion.sum(1).argmax())
    trivial = np.zeros_like(confusion)
    trivial[:, common] = confusion.sum(1)
    kept = np.array([name not in ignored for name in classes])
    right = answers == truth
    low, high = grouped_interval(right, records)
    precision = [average_precision(truth == i, scores[:, i])
                 for i in range(count)]

    def macro(table: Array) -> float:
        return _macro_f1(np.diag(table), table.sum(1), table.sum(0), kept)

    f1_low, f1_high = _interval(
        records, lambda rows: count_pairs(truth[rows], answers[rows], count),
        macro)
    chosen = scores[np.arange(len(truth)), truth]
    return dict(
        main=dict(
            acc=float(right.mean()), acc_low=low, acc_high=high,
            acc_trivial=float(confusion.sum(1).max() / len(truth)),
            macro_f1=macro(confusion), macro_f1_low=f1_low,
            macro_f1_high=f1_high, macro_f1_trivial=macro(trivial),
            map=_known_mean(np.array(precision)[kept]),
            map_trivial=_known_mean(_shares(truth, count)[kept]),
            loss=float(-np.log(np.maximum(chosen, _TINY)).mean())),
        classes=tuple(classes),
        per_class=_by_class(classes, np.diag(confusion), confusion.sum(1),
                            confusion.sum(0), precision),
        confusion=confusion)


def multilabel_figures(truth: Array, scores: Array, records: Array,
                       classes: Sequence[str], threshold: float = .5,
                       ignored: Sequence[str] = ()) -> dict[str, Any]:
    """Figures of questions with any number of classes for an answer.

    Args:
        truth (ndarray): (B, C), 0 or 1.
        scores (ndarray): (B, C) probabilities.
        records (ndarray): (B,) text, what the interval draws.
        classes (Sequence[str]): C names.
        threshold (float): From which a class holds. Defaults to .5.
        ignored (Sequence[str]): Classes that mean figures leave out. Defaults
            to ().

    Returns:
        dict: ``main`` and ``per_class``.
    """
    true = truth > .5
    answers = scores >= threshold
    right = answers == true
    kept = np.array([name not in ignored for name in classes])
    low, high = grouped_interval(right.mean(1), records)
    share = true.mean(0)
    precision = [average_precision(true[:, i], scores[:, i])
                 for i in range(len(classes))]

    def counts(rows: Any) -> Array:
        return np.stack([(answers[rows] & true[rows]).sum(0),
                         true[rows].sum(0), answers[rows].sum(0)])

    def macro(table: Array) -> float:
        hits, known, answered = table
        return _macro_f1(hits, known, answered, kept)

    f1_low, f1_high = _interval(records, counts, macro)
    table = counts(slice(None))
    always = np.where(share >= .5, len(true), 0)
    trivial = np.stack([np.where(always > 0, table[1], 0), table[1], always])
    return dict(
        main=dict(
            acc=float(right.mean()), acc_low=low, acc_high=high,
            acc_trivial=float(np.maximum(share, 1 - share).mean()),
            macro_f1=macro(table), macro_f1_low=f1_low,
            macro_f1_high=f1_high, macro_f1_trivial=macro(trivial),
            map=_known_mean(np.array(precision)[kept]),
            map_trivial=_known_mean(np.where(share > 0, share, np.nan)[kept]),
            loss=_cross_entropy(truth, scores)),
        classes=tuple(classes),
        per_class=_by_class(classes, table[0], table[1], table[2],
                            precision))


def area_under_curve(truth: Array, scores: Array) -> float:
    """How often a positive has the higher score than a negative.

    Args:
        truth (ndarray): (B,) bool.
        scores (ndarray): (B,); equal ones count half.

    Returns:
        float: NaN without positives or negatives.
    """
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float('nan')
    _, inverse, counts = np.unique(scores, return_inverse=True,
                                   return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2)
                 / (positives * negatives))


def average_precision(truth: Array, scores: Array) -> float:
    """Precision averaged over recall; NaN without positives.

    Args:
        truth (ndarray): (B,) bool.
        scores (ndarray): (B,).
    """
    if not truth.any():
        return float('nan')
    order = np.argsort(-scores, kind='stable')
    found = np.cumsum(truth[order])
    # equal scores are one step
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    precision = found[last] / (last + 1)
    recall = found[last] / found[-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def count_pairs(truth: Array, answers: Array, count: int) -> Array:
    """Confusion matrix (C, C), truth by row."""
    return np.bincount(truth * count + answers,
                       minlength=count**2).reshape(count, count)


def _f1(hits: Array, true: Array, answered: Array) -> Array:
    total = true + answered
    return np.divide(2 * hits, total, out=np.zeros(len(total)),
                     where=total > 0)


def _macro_f1(hits: Array, true: Array, answered: Array,
              kept: Array) -> float:
    """Mean F1 over the classes that occur, in truth or answers."""
    return _known_mean(_f1(hits, true, answered)[
        kept & (true + answered > 0)])


def _interval(records: Array, counts: Callable[[Any], Array],
              figure: Callable[[Array], float]) -> tuple[float, float]:
    """95 % interval of a figure of counts, drawing records."""
    names, numbers = np.unique(records, return_inverse=True)
    if len(names) < 2:
        return float('nan'), float('nan')
    tables = np.stack([counts(numbers == i) for i in range(len(names))])
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, len(names), (_DRAWS, len(names)))
    times = np.stack([np.bincount(row, minlength=len(names))
                      for row in drawn])
    totals = np.tensordot(times, tables, 1)
    low, high = np.nanquantile([figure(table) for table in totals],
                               [.025, .975])
    return float(low), float(high)


def _by_class(classes: Sequence[str], hits: Array, true: Array,
              answered: Array,
              precisions: Sequence[float]) -> dict[str, dict[str, float]]:
    f1 = _f1(hits, true, answered)
    return {
        name: dict(
            f1=float(f1[i]),
            precision=float(hits[i] / answered[i]) if answered[i] else 0.,
            recall=float(hits[i] / true[i]) if true[i] else 0.,
            average_precision=precisions[i],
            count=int(true[i])) for i, name in enumerate(classes)}


def _shares(truth: Array, count: int) -> Array:
    """Share of each class; NaN of one that does not occur."""
    share = np.bincount(truth, minlength=count) / len(truth)
    return np.where(share > 0, share, np.nan)


def _cross_entropy(truth: Array, scores: Array) -> float:
    scores = np.clip(scores, _TINY, 1 - _TINY)
    return float(-np.mean(truth * np.log(scores)
                          + (1 - truth) * np.log(1 - scores)))


def _known_mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float('nan')

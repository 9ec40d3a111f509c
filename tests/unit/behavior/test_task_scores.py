"""Figures of answers, against scikit-learn's and by hand."""
from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from mmpose_ext.behavior.task_scores import (
    area_under_curve,
    average_precision,
    binary_figures,
    multiclass_figures,
    multilabel_figures,
    regression_figures,
)

NAMES = ('attack', 'mount', 'rest', 'other')


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, scores that are partly right, and records, of 400 frames."""
    generator = np.random.default_rng(0)
    truth = generator.choice(4, 400, p=[.1, .2, .2, .5])
    scores = generator.dirichlet(np.ones(4), 400) + .5 * np.eye(4)[truth]
    return truth, scores / scores.sum(1, keepdims=True), np.repeat(
        ['a', 'b', 'c', 'd', 'e'], 80)


@pytest.mark.parametrize('decimals', [1, 6])
def test_areas_are_those_of_scikit_learn(decimals: int) -> None:
    generator = np.random.default_rng(1)
    truth = generator.random(300) < .3
    scores = (generator.random(300) + .3 * truth).round(decimals)
    assert area_under_curve(truth, scores) == pytest.approx(
        metrics.roc_auc_score(truth, scores))
    assert average_precision(truth, scores) == pytest.approx(
        metrics.average_precision_score(truth, scores))


def test_areas_without_positives_are_unknown() -> None:
    none = np.zeros(5, bool)
    assert np.isnan(area_under_curve(none, np.arange(5.)))
    assert np.isnan(average_precision(none, np.arange(5.)))


def test_classes_are_scored_as_scikit_learn_does(answers: tuple) -> None:
    truth, scores, records = answers
    found = multiclass_figures(truth, scores, records, NAMES)
    best = scores.argmax(1)
    main = found['main']
    assert main['acc'] == pytest.approx(metrics.accuracy_score(truth, best))
    assert main['macro_f1'] == pytest.approx(
        metrics.f1_score(truth, best, average='macro'))
    assert main['macro_f1_trivial'] == pytest.approx(metrics.f1_score(
        truth, np.full(400, 3), average='macro', zero_division=0))
    assert main['map'] == pytest.approx(metrics.average_precision_score(
        np.eye(4)[truth], scores, average='macro'))
    assert main['loss'] == pytest.approx(metrics.log_loss(truth, scores))
    assert np.array_equal(found['confusion'],
                          metrics.confusion_matrix(truth, best))
    precision, recall, f1, count = metrics.precision_recall_fscore_support(
        truth, best)
    for i, name in enumerate(NAMES):
        one = found['per_class'][name]
        assert [one[key] for key in ('precision', 'recall', 'f1', 'count')
                ] == pytest.approx([precision[i], recall[i], f1[i],
                                    count[i]])


def test_intervals_draw_records(answers: tuple) -> None:
    truth, scores, records = answers
    main = multiclass_figures(truth, scores, records, NAMES)['main']
    for name in ('acc', 'macro_f1'):
        assert main[f'{name}_low'] < main[name] < main[f'{name}_high']
    alone = multiclass_figures(truth, scores, np.full(400, 'a'),
                               NAMES)['main']
    assert np.isnan(alone['macro_f1_low'])
    assert np.isnan(alone['acc_high'])
    # frames of a record are no more certain for being many
    twice = multiclass_figures(*(np.concatenate([one, one]) for one in (
        truth, scores, records)), NAMES)['main']
    assert twice['macro_f1_low'] == pytest.approx(main['macro_f1_low'])


def test_class_may_be_left_out_of_means_and_absent_ones_are(
        answers: tuple) -> None:
    truth, scores, records = answers
    f1 = metrics.f1_score(truth, scores.argmax(1), average=None)
    found = multiclass_figures(truth, scores, records, NAMES, ['other'])
    assert found['main']['macro_f1'] == pytest.approx(f1[:3].mean())
    kept = truth < 2
    sure = np.pad(scores[kept][:, :2], ((0, 0), (0, 2)))
    few = multiclass_figures(truth[kept], sure, records[kept], NAMES)
    assert few['main']['macro_f1'] == pytest.approx(metrics.f1_score(
        truth[kept], sure.argmax(1), average='macro'))
    assert few['per_class']['rest']['count'] == 0


@pytest.mark.parametrize('count', [2, 4])
def test_classes_that_meet_are_scored_as_scikit_learn_does(
        answers: tuple, count: int) -> None:
    generator = np.random.default_rng(4)
    truth = (generator.random((400, count)) < .3).astype(float)
    scores = np.clip(generator.random((400, count)) * .7 + .3 * truth, 0, 1)
    found = multilabel_figures(truth, scores, answers[2], NAMES[:count], .6)
    main = found['main']
    assert main['macro_f1'] == pytest.approx(metrics.f1_score(
        truth, scores >= .6, average='macro'))
    assert main['acc'] == pytest.approx(((scores >= .6) == truth).mean())
    assert main['map'] == pytest.approx(metrics.average_precision_score(
        truth, scores, average='macro'))
    assert main['macro_f1_trivial'] == 0
    assert main['acc_trivial'] > .5


def test_yes_or_no() -> None:
    truth = np.array([0., 1, 1, 1])
    found = binary_figures(truth, np.array([.2, .9, .4, .6]),
                           np.array(list('aabb')))
    assert found['main']['acc'] == .75
    assert found['main']['acc_trivial'] == .75
    assert found['main']['acc_low'] == .5
    assert found['confusion'].tolist() == [[1, 0], [1, 2]]
    assert found['main']['loss'] == pytest.approx(
        metrics.log_loss(truth, [.2, .9, .4, .6]))


def test_numbers() -> None:
    main = regression_figures(np.array([0., .5, 1]), np.array([.1, .5, .8]),
                              np.array(list('abc')))['main']
    assert main['mae'] == pytest.approx(.1)
    assert main['mae_trivial'] == pytest.approx(1 / 3)
    assert main['correlation'] > .99


def test_nothing_to_score_is_no_error() -> None:
    empty = multiclass_figures(np.zeros(0, int), np.zeros((0, 4)),
                               np.zeros(0, str), NAMES)
    assert empty['main'] == {}

"""The metric: one result an item, whatever tasks and processes there are."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.behavior.metric import LisbetMetric
from mmpose_ext.registry import METRICS


def sample(task: str, items: list[int], predicted: dict,
           labels: object = None) -> dict:
    """A task's sample of a batch, as the evaluator hands it over."""
    found = PoseDataSample()
    found.set_metainfo(dict(task=task, first=0, item_ids=items,
                            record_ids=[f'r{item % 3}' for item in items]))
    found.gt_instance_labels = InstanceData(
        **({} if labels is None else dict(labels=labels)))
    found.pred_instances = InstanceData(**predicted)
    return found.to_dict()


def evaluate(batches: list[list[dict]], count: int, **settings: object):
    metric = METRICS.build(dict(type='mmpose_ext.LisbetMetric', **settings))
    metric.dataset_meta = dict(classes=['attack', 'rest', 'other'])
    for batch in batches:
        metric.process({}, batch)
    return metric, metric.evaluate(count)


def window_batches(items: list[int], size: int = 4) -> list[list[dict]]:
    """Two tasks: of ``cons`` every answer is right, of ``order`` half."""
    batches = []
    for start in range(0, len(items), size):
        some = items[start:start + size]
        truth = torch.tensor([[float(item % 2)] for item in some])
        half = torch.tensor([[.9 if item % 4 < 2 else .1] for item in some])
        batches.append([
            sample('cons', some, dict(scores=truth * .8 + .1), truth),
            sample('order', some, dict(scores=half), truth)])
    return batches


def test_each_task_has_its_figures_and_their_mean() -> None:
    metric, figures = evaluate(window_batches(list(range(12))), 12)
    assert figures['lisbet/cons_acc'] == 1
    assert figures['lisbet/order_acc'] == .5
    assert figures['lisbet/mean_acc'] == .75
    assert figures['lisbet/mean_acc_trivial'] == .5
    assert metric.report['count'] == 12
    assert metric.report['tasks']['cons']['main']['auc'] == 1
    assert not any(name.endswith(('_auc', '_loss')) for name in figures)


def test_items_repeated_by_padding_count_once() -> None:
    items = list(range(12))
    _, figures = evaluate(window_batches(items), 12)
    # two processes: the second one got the first items again
    metric, padded = evaluate(window_batches([*items, 0, 1, 2, 3]), 16)
    assert metric.report['count'] == 12
    assert padded == figures


def test_one_result_an_item_however_many_tasks() -> None:
    metric = LisbetMetric()
    for batch in window_batches(list(range(12))):
        metric.process({}, batch)
    assert len(metric.results) == 12


def test_classes_by_name_and_frames_left_out() -> None:
    truth = torch.tensor([0, 0, 1, 2, -1, 2])
    scores = torch.eye(3)[[0, 1, 1, 0, 0, 2]]
    batch = [sample('multiclass', list(range(6)), dict(scores=scores),
                    truth)]
    metric, figures = evaluate([batch], 6)
    assert figures['lisbet/multiclass_acc'] == pytest.approx(3 / 5)
    assert list(metric.report['tasks']['multiclass']['per_class']) == [
        'attack', 'rest', 'other']
    _, without = evaluate([batch], 6, ignore_index=2)
    assert without['lisbet/multiclass_acc'] == pytest.approx(2 / 3)
    _, mean = evaluate([batch], 6, ignore_classes=['other'])
    assert mean['lisbet/multiclass_macro_f1'] == pytest.approx(
        (.5 + 2 / 3) / 2)


def test_shares_of_annotators_count_as_their_first_class() -> None:
    truth = torch.tensor([[.7, .3, 0], [0, 0, 0], [0, .2, .8]])
    scores = torch.eye(3)
    _, figures = evaluate([[sample('multiclass', [0, 1, 2],
                                   dict(scores=scores), truth)]], 3)
    assert figures['lisbet/multiclass_acc'] == 1


def test_classes_that_meet_have_a_threshold() -> None:
    truth = torch.tensor([[1., 0, 1], [0, 1, 0]])
    scores = torch.tensor([[.4, .1, .9], [.1, .4, .2]])
    batch = [[sample('multilabel', [0, 1], dict(scores=scores), truth)]]
    assert evaluate(batch, 2)[1]['lisbet/multilabel_acc'] == pytest.approx(
        4 / 6)
    assert evaluate(batch, 2, threshold=.3)[1][
        'lisbet/multilabel_acc'] == 1


def test_numbers_errors_and_pairs_are_told_each_in_its_way() -> None:
    items = [0, 1, 2, 3]
    batch = [
        sample('warp', items, dict(scores=torch.full((4, 1), .5)),
               torch.tensor([[.2], [.4], [.6], [.8]])),
        sample('masked', items, dict(
            scores=torch.zeros(4, 5), errors=torch.full((4, ), .1),
            trivial_errors=torch.full((4, ), .3))),
        sample('contrast', items, dict(scores=torch.ones(4),
                                       vectors=torch.zeros(4, 2)))]
    metric, figures = evaluate([batch], 4)
    assert figures['lisbet/warp_mae'] == pytest.approx(.2)
    assert figures['lisbet/masked_error'] == pytest.approx(.1)
    assert figures['lisbet/masked_error_trivial'] == pytest.approx(.3)
    assert figures['lisbet/contrast_found'] == 1
    assert figures['lisbet/contrast_found_trivial'] == pytest.approx(1 / 7)
    assert 'lisbet/mean_acc' not in figures
    kinds = {name: task['kind']
             for name, task in metric.report['tasks'].items()}
    assert kinds == dict(warp='regression', masked='error', contrast='found')


def test_classes_without_names_are_numbered() -> None:
    metric = LisbetMetric()
    metric.process({}, [sample('multiclass', [0, 1], dict(
        scores=torch.eye(2)), torch.tensor([0, 1]))])
    metric.evaluate(2)
    assert list(metric.report['tasks']['multiclass']['per_class']) == [
        '0', '1']


def test_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match='threshold'):
        LisbetMetric(threshold=1.)


def test_records_give_the_interval() -> None:
    figures = evaluate(window_batches(list(range(12))), 12)[1]
    assert figures['lisbet/order_acc_low'] <= .5
    assert np.isfinite(figures['lisbet/order_acc_high'])

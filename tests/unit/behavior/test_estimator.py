"""One pass for all tasks equals a pass for each."""
from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mmpose_ext.behavior.estimator import LisbetClassBalanceHook
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

from .window_batches import SMALL, batch_of, sample_of, small_head

TASKS = ('cons', 'order', 'shift', 'warp')
BACKBONES = [
    SMALL,
    dict(type='mmpose_ext.LisbetLSTM', in_channels=8, embed_dims=16,
         hidden_channels=12),
    dict(type='mmpose_ext.LisbetTCN', in_channels=8, embed_dims=16,
         hidden_channels=12, kernel_size=3, dilation_base=2)]


def build(tasks: tuple[str, ...] = TASKS, **settings: Any) -> Any:
    torch.manual_seed(0)
    return MODELS.build(dict(
        dict(type='mmpose_ext.LisbetModel', backbone=SMALL,
             heads={task: small_head() for task in tasks}), **settings))


@pytest.mark.parametrize('backbone', BACKBONES,
                         ids=lambda config: config['type'])
def test_one_pass_gives_the_gradients_of_a_pass_for_each_task(
        backbone: dict) -> None:
    model = build(backbone=backbone)
    inputs, samples = batch_of(TASKS)
    apart = copy.deepcopy(model)
    losses = model(inputs, samples, mode='loss')
    model.parse_losses(losses)[0].backward()
    for place, sample in enumerate(samples):
        tokens = apart.backbone(inputs[5 * place:5 * place + 5])[0]
        loss = apart.heads[TASKS[place]].loss(tokens, sample)['loss']
        torch.testing.assert_close(losses[f'loss_{TASKS[place]}'], loss)
        loss.backward()
    for (name, one), other in zip(model.named_parameters(),
                                  apart.parameters(), strict=True):
        assert one.grad is not None, name  # all take part, as DDP wants it
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-6)
    assert set(losses) == {f'{kind}_{task}' for task in TASKS
                           for kind in ('loss', 'acc')}


def test_only_losses_enter_the_sum() -> None:
    model = build()
    losses = model(*batch_of(TASKS), mode='loss')
    total, logged = model.parse_losses(losses)
    torch.testing.assert_close(
        total, sum(losses[f'loss_{task}'] for task in TASKS))
    assert 'acc_cons' in logged


def test_weights_of_tasks_scale_their_losses() -> None:
    plain = build()(*batch_of(TASKS), mode='loss')
    found = build(loss_weights=dict(order=3.))(*batch_of(TASKS), mode='loss')
    torch.testing.assert_close(found['loss_order'], 3 * plain['loss_order'])
    torch.testing.assert_close(found['loss_cons'], plain['loss_cons'])


def test_uncertainty_divides_by_learned_variances() -> None:
    model = build(weighting='uncertainty')
    torch.nn.init.constant_(model.log_variances['warp'], .7)
    plain = build()(*batch_of(TASKS), mode='loss')
    found = model(*batch_of(TASKS), mode='loss')
    variance = torch.tensor(.7).exp()
    torch.testing.assert_close(
        found['loss_warp'],
        plain['loss_warp'] / variance + variance.sqrt().log())
    model.parse_losses(found)[0].backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(('settings', 'place'), [
    (dict(loss_weights=dict(speed=1.)), 'loss_weights.speed'),
    (dict(weighting='random'), 'weighting')])
def test_setting_that_cannot_be_is_named(settings: dict, place: str) -> None:
    with pytest.raises(DataError, match=place):
        build(**settings)


@pytest.mark.parametrize('tasks', [('cons', ), ('cons', 'order', 'warp')])
def test_other_tasks_in_data_and_model_are_named(
        tasks: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        build(('cons', 'order'))(*batch_of(tasks), mode='loss')
    assert ', '.join(tasks) in caught.value.expected
    assert 'cons, order' in caught.value.found


def test_predictions_are_those_of_the_heads() -> None:
    model = build().eval()
    inputs, samples = batch_of(TASKS)
    with torch.no_grad():
        found = model(inputs, samples, mode='predict')
        tokens = model(inputs)
    for place, sample in enumerate(found):
        instances = sample.pred_instances
        assert len(instances) == 5
        torch.testing.assert_close(
            instances.scores, model.heads[TASKS[place]](
                tokens[5 * place:5 * place + 5]).sigmoid())


def test_task_may_have_more_windows_than_questions() -> None:
    model = build(heads=dict(
        contrast=dict(type='mmpose_ext.LisbetContrastHead', in_channels=16),
        cons=small_head()))
    inputs, (cons, ) = batch_of(('cons', ))
    pairs = torch.randn(6, 12, 8)
    cons.set_metainfo(dict(first=6))
    contrast = sample_of('contrast', 0, 6)
    losses = model(torch.cat([pairs, inputs]), [contrast, cons], mode='loss')
    tokens = model.backbone(inputs)[0]
    torch.testing.assert_close(
        losses['loss_cons'], model.heads['cons'].loss(tokens, cons)['loss'])
    found = model(torch.cat([pairs, inputs]), [contrast, cons],
                  mode='predict')
    assert found[0].pred_instances.scores.shape == (3, )


def test_classes_of_the_training_data_reach_the_losses() -> None:
    model = build(heads=dict(multiclass=dict(
        type='mmpose_ext.LisbetFrameHead', num_classes=3, in_channels=16)))
    dataset = SimpleNamespace(
        metainfo=dict(class_counts=[1, 2, 3], classes=['a', 'b', 'c']),
        store=SimpleNamespace(total_frames=6))
    runner = SimpleNamespace(
        model=model, cfg=SimpleNamespace(filename='c.py'),
        train_loop=SimpleNamespace(
            dataloader=SimpleNamespace(dataset=dataset)))
    LisbetClassBalanceHook().before_train(runner)
    torch.testing.assert_close(
        model.heads['multiclass'].loss_module.class_weight,
        torch.tensor([2., 1., 2 / 3]))
    dataset.metainfo['class_counts'] = None
    with pytest.raises(DataError, match='annotation_format'):
        LisbetClassBalanceHook().before_train(runner)


def test_another_offset_than_that_of_the_data_is_refused() -> None:
    inputs, samples = batch_of(TASKS)
    for sample in samples:
        sample.set_metainfo(dict(window_offset=5))
    for mode in ('loss', 'predict'):
        build(window_offset=5)(inputs, samples, mode=mode)
        with pytest.raises(DataError, match='that of the data, 5, found 0'):
            build()(inputs, samples, mode=mode)


def test_a_network_takes_as_many_features_as_are_made() -> None:
    made = dict(type='mmpose_ext.LisbetPreprocessor', individuals=2,
                keypoints=2, axes=2)
    build(data_preprocessor=made)
    with pytest.raises(DataError, match='in_channels: expected 12, what'):
        build(data_preprocessor=dict(made, missing='mask'))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_ends_with_the_backbone(
        dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads add up in full precision, in losses and in predictions."""
    model = build().eval()
    inputs, samples = batch_of(TASKS)
    tokens = model.extract_feat(inputs).detach().to(dtype)
    monkeypatch.setattr(model, 'extract_feat', lambda _: tokens)
    with torch.autocast('cpu', dtype):
        losses = model(inputs, samples, mode='loss')
        found = [sample.pred_instances.logits.clone()
                 for sample in model(inputs, samples, mode='predict')]
    exact = tokens.float()
    monkeypatch.setattr(model, 'extract_feat', lambda _: exact)
    for name, wanted in model(inputs, samples, mode='loss').items():
        assert torch.equal(losses[name], wanted), name
    for logits, sample in zip(found, model(
            inputs, samples, mode='predict'), strict=True):
        assert torch.equal(logits, sample.pred_instances.logits)

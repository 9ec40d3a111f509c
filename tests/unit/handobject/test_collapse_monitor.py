"""The monitor tells the signs of a failing training, and nothing else."""
from __future__ import annotations

import logging
import math
import re

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch import multiprocessing as mp

from mmpose_ext.handobject.collapse_monitor import (
    HandObjectCollapseMonitorHook,
)
from mmpose_ext.handobject.feature_spectrum import (
    FeatureCollector,
    effective_rank,
    pool_features,
    singular_values,
)
from mmpose_ext.handobject.sigma_linear import HandObjectSigmaLinear
from mmpose_ext.handobject.update_guard import (
    UpdateGuard,
    component_groups,
    gradient_norms,
)
from mmpose_ext.registry import METRICS, MODELS
from mmpose_ext.storage import DataError
from tests.unit.training.conftest import Killed, KillHook, quick, toy_config

__all__ = ['quick']  # the fixture


class Attention(nn.Module):
    """Has an entropy to tell, if it is asked."""

    entropy = .5

    def __init__(self) -> None:
        super().__init__()
        self.record_entropy = False
        self.last_entropy: Tensor | None = None
        self.asked = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.record_entropy:
            self.asked += 1
            self.last_entropy = torch.tensor(self.entropy)
        return x


@MODELS.register_module(force=True)
class CollapseToy(BaseModel):
    """Says of its hands what the test wants it to say."""

    def __init__(self, spread=(40., 1.), bad=(), bad_gradient=(),
                 weight: float = .05) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(6, 8))
        self.head = nn.Module()
        self.head.hand = HandObjectSigmaLinear(8, 1)
        self.head.attention = Attention()
        self.head.unused = nn.Linear(1, 1)
        self.spread, self.bad = spread, set(bad)
        self.bad_gradient = set(bad_gradient)
        self.weight, self.count = weight, 0

    def forward(self, inputs: Tensor, target: Tensor, mode: str):
        feats = self.head.attention(self.backbone(
            torch.stack(list(inputs)))).relu()
        error = self.head.hand(feats)[:, 0] - torch.stack(list(target))
        if mode != 'loss':
            return list(error.square())
        self.count += 1
        loss = self.weight * error.square().mean()
        if self.count in self.bad_gradient:
            zero = 0 * feats.sum()
            loss = loss + zero.sqrt()  # finite, its derivative is not
        other = torch.tensor(math.nan if self.count in self.bad else .1)
        mm, ratio = self.spread
        return dict(loss_rel=loss, loss_rho=other,
                    spread_mm=torch.tensor(mm),
                    spread_ratio=torch.tensor(ratio))


@METRICS.register_module(force=True)
class CollapseToyMetric(BaseMetric):
    """Figures that the test gives."""

    def __init__(self, **figures: float) -> None:
        super().__init__(prefix='hand')
        self.figures = figures

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0.)

    def compute_metrics(self, results: list) -> dict:
        return self.figures


GOOD = dict(spread_ratio=.9, MPJPE=10., MPJPE_trivial=40.)


def make_runner(folder, model=(), metric=(), hook=(), **changes) -> Runner:
    return Runner.from_cfg(toy_config(folder, **{
        'model': dict(_delete_=True, type='mmpose_ext.CollapseToy',
                      **dict(model)),
        'val_evaluator': dict(_delete_=True,
                              type='mmpose_ext.CollapseToyMetric',
                              **{**GOOD, **dict(metric)}),
        'optim_wrapper.optimizer.lr': .001,
        'default_hooks.checkpoint.save_best': None,
        'train_cfg.max_epochs': 2,
        'custom_hooks': [{
            'type': 'mmpose_ext.HandObjectCollapseMonitorHook',
            'interval': 3, 'grace': 0., 'min_rank': 1., **dict(hook)}],
        **changes}))


@pytest.fixture
def words(tmp_path):
    """Warnings and errors of a training, and its runner."""

    def run(*args, **kwargs) -> list[str]:
        runner = run.runner = make_runner(tmp_path / 'run', *args, **kwargs)
        said: list[str] = []

        class Ear(logging.Handler):

            def emit(self, record: logging.LogRecord) -> None:
                said.append(f'{record.levelname} {record.getMessage()}')

        ear = Ear(logging.WARNING)
        runner.logger.addHandler(ear)
        try:
            runner.train()
        finally:
            runner.logger.removeHandler(ear)
        run.said = [line for line in said if 'no best' not in line]
        return run.said

    return run


def test_a_healthy_training_hears_nothing(words):
    assert words() == []


def scalar(runner: Runner, name: str) -> float:
    return float(runner.message_hub.get_scalar(name).current())


class TestSpread:

    @pytest.mark.parametrize('spread, level, texts', [
        ((40., .4), 'WARNING', ['over the true one is 0.4, below 0.5']),
        ((40., .05), 'ERROR', ['over the true one is 0.05, below 0.1']),
        ((8., 1.), 'WARNING', ['mm, is 8, below 10']),
        ((.3, 1.), 'ERROR', ['mm, is 0.3, below 1']),
        ((.3, .01), 'ERROR', ['is 0.01, below 0.1', 'is 0.3, below 1'])])
    def test_a_collapse_is_told_once_an_epoch(self, words, spread, level,
                                              texts):
        said = words(dict(spread=spread))
        assert len(said) == 2 * len(texts)
        for line, text in zip(said, 2 * texts, strict=True):
            assert line.startswith(level) and text in line
            for cure in ('VarianceMatch', 'sigma_reparam', 'learning rate',
                         'collapse_report'):
                assert cure in line

    def test_nothing_is_said_in_the_beginning(self, words):
        said = words(dict(spread=(.1, .1)), hook=dict(grace=.5))
        assert len(said) == 4  # of the two epochs' ends: 12 iterations

    def test_one_odd_batch_is_none(self, tmp_path):
        runner = make_runner(tmp_path, hook=dict(window=50))
        hook = monitor_of(runner)
        for value in [1.] * 9 + [0.]:
            runner.message_hub.update_scalar('train/spread_ratio', value)
        hook._compare = lambda runner, name, value, *_: seen.append(value)
        seen: list[float] = []
        hook._check_spread(runner)
        assert seen == pytest.approx([.9])


def monitor_of(runner: Runner) -> HandObjectCollapseMonitorHook:
    return next(hook for hook in runner.hooks if isinstance(
        hook, HandObjectCollapseMonitorHook))


class TestValidation:

    def test_the_mean_hand_is_no_result(self, words):
        said = words(metric=dict(MPJPE=38.5))
        assert len(said) == 2
        assert 'MPJPE of 38.5 mm' in said[0] and '40.0 mm' in said[0]
        assert 'verify_dataset' in said[0] and 'refiner' in said[0]

    @pytest.mark.parametrize('ratio, level', [(.3, 'WARNING'),
                                              (.05, 'ERROR')])
    def test_the_spread_counts_too(self, words, ratio, level):
        said = words(metric=dict(spread_ratio=ratio))
        assert len(said) == 2
        assert said[0].startswith(f'{level} validation: spread')

    def test_figures_may_be_missing(self, words):
        assert words(metric=dict(MPJPE_trivial=math.nan,
                                 spread_ratio=math.nan)) == []

    def test_an_error_that_no_longer_falls(self, words):
        said = words(hook=dict(patience=2), **{'train_cfg.max_epochs': 4})
        assert len(said) == 2 and words.runner.epoch == 4
        assert said[0].startswith('WARNING validation: no MPJPE below 10.0 '
                                  'mm in 2 validations: ')
        assert 'browse_dataset' in said[0]

    def test_features_without_variety_are_told(self, words):
        words()
        assert 1 < scalar(words.runner, 'val/effective_rank') < 9
        said = words(hook=dict(min_rank=9.))
        assert re.search(r'features of 7 samples have an effective rank of '
                         r'\d\.\d\d, below 9: .*backbone', said[0])
        assert not words.runner.model.backbone._forward_hooks


class TestNumbers:

    def test_it_raises_with_the_names_and_whole_weights(self, tmp_path):
        runner = make_runner(tmp_path, dict(bad=[8]))
        with pytest.raises(FloatingPointError) as caught:
            runner.train()
        text = str(caught.value)
        assert 'iteration 8: loss_rho is NaN or infinite;' in text
        assert 'learning rate' in text and 'clip_grad' in text
        assert all(value.isfinite().all()
                   for value in runner.model.parameters())
        whole = make_runner(tmp_path / 'b', **{
            'train_cfg.max_epochs': 2, 'custom_hooks': [
                dict(type='mmpose_ext.KillHook', stage='after_train_iter',
                     at=7)]})
        with pytest.raises(Killed):
            whole.train()
        assert_same(runner, whole)

    def test_updates_are_left_out(self, words):
        said = words(dict(bad=[3, 4, 7]), hook=dict(nan='skip'))
        assert [re.search(r'iteration (\d+).*out, (\d) in', line).groups()
                for line in said] == [('3', '1'), ('4', '2'), ('7', '1')]
        assert all(value.isfinite().all()
                   for value in words.runner.model.parameters())
        assert words.runner.iter == 12

    def test_not_too_many_of_them(self, words):
        with pytest.raises(FloatingPointError, match='3 times in a row'):
            words(dict(bad=[5, 6, 7]), hook=dict(nan='skip', max_skips=2))
        assert words.runner.iter == 6

    def test_it_may_only_warn(self, words):
        said = words(dict(bad=[11]), hook=dict(nan='warn'))
        assert len(said) == 1 and 'iteration 11: loss_rho' in said[0]

    def test_gradients_count_too(self, words, tmp_path):
        runner = make_runner(tmp_path / 'raise', dict(bad_gradient=[2]))
        with pytest.raises(FloatingPointError,
                           match='gradients of backbone.0 are NaN'):
            runner.train()
        said = words(dict(bad_gradient=[2]), hook=dict(nan='skip'))
        assert len(said) == 1 and 'gradients of backbone.0' in said[0]
        assert all(value.isfinite().all()
                   for value in words.runner.model.parameters())

    def test_the_rest_of_an_accumulation_counts(self, tmp_path):
        """What the bad batch leaves is the mean without it."""
        runner = make_runner(tmp_path, dict(bad=[2]), hook=dict(nan='skip'),
                             **{'optim_wrapper.accumulative_counts': 2})
        runner.register_hook(KillHook('after_train_iter', 2))
        start = {name: value.clone() for name, value
                 in runner.model.named_parameters()}
        with pytest.raises(Killed):
            runner.train()
        moved = [name for name, value in runner.model.named_parameters()
                 if not torch.equal(value, start[name])]
        assert 'backbone.0.weight' in moved
        assert runner.optim_wrapper._inner_count == 2

    def test_the_optimiser_is_left_as_it_was(self, words):
        words()
        # MMEngine's schedulers put one there that counts
        assert 'Guard' not in repr(vars(words.runner.optim_wrapper))
        assert hasattr(words.runner.optim_wrapper.step, '_with_counter')
        assert 'update_params' not in vars(words.runner.optim_wrapper)


class TestGradients:

    def test_norms_are_logged_by_component(self, words):
        words()
        hub = words.runner.message_hub
        names = {name for name in hub.log_scalars if 'grad_norm' in name}
        assert names == {'train/grad_norm/backbone.0',
                         'train/grad_norm/head.hand'}
        for name in ('sigma_max', 'gamma_max', 'attention_entropy'):
            assert scalar(words.runner, f'train/{name}') > 0
        assert scalar(words.runner, 'train/gamma_max') == pytest.approx(
            words.runner.model.head.hand.gamma.item(), rel=1e-2)

    @pytest.mark.parametrize('weight, text, cure', [
        (1e4, 'above 100', 'clip_grad'), (1e-12, 'below 1e-07',
                                          'model_report')])
    def test_extremes_are_told(self, words, weight, text, cure):
        said = words(dict(weight=weight),
                     **{'optim_wrapper.optimizer.lr': 1e-9})
        found = [line for line in said if text in line]
        assert any('gradient norm of head.hand' in line for line in found)
        assert all(cure in line for line in found)

    def test_norms_are_those_before_clipping(self, tmp_path):
        found = []
        for clip in (None, dict(max_norm=1e-3)):
            runner = make_runner(
                tmp_path / str(clip), dict(weight=3.), hook=dict(interval=1),
                **{'optim_wrapper.clip_grad': clip})
            runner.register_hook(KillHook('after_train_iter', 1))
            with pytest.raises(Killed):
                runner.train()
            found.append(scalar(runner, 'train/grad_norm/backbone.0'))
        assert found[0] == found[1] > 1

    def test_groups_hold_each_parameter_once(self):
        model = CollapseToy()
        model.head.again = model.head.hand
        model.scale = nn.Parameter(torch.ones(3))
        groups = component_groups(model)
        assert list(groups) == ['scale', 'backbone.0', 'head.hand',
                                'head.unused']
        held = [id(value) for group in groups.values() for value in group]
        assert sorted(held) == sorted(map(id, model.parameters()))
        model.scale.grad = torch.tensor([3., 0., 4.])
        assert gradient_norms(groups, .5) == {'scale': 2.5}
        model.scale.grad = torch.full((3, ), math.nan)
        assert math.isnan(gradient_norms(groups)['scale'])


def test_entropy_is_asked_for_in_due_iterations_alone(words, monkeypatch):
    words(hook=dict(interval=4))
    layer = words.runner.model.head.attention
    assert layer.asked == 3 and not layer.record_entropy
    monkeypatch.setattr(Attention, 'entropy', .001)
    said = words(hook=dict(grad_norm=(1e9, 0.)))
    assert len(said) == 2 and 'entropy of 0.001' in said[0]
    assert 'sigma_reparam' in said[0]


def assert_same(one: Runner, other: Runner) -> None:
    for name, value in one.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[name], value), name


def test_it_changes_nothing_and_resumes(tmp_path):
    plain = make_runner(tmp_path / 'plain', custom_hooks=[])
    plain.train()
    killed = make_runner(tmp_path / 'run', dict(spread=(40., .4)))
    killed.register_hook(KillHook('after_train_iter', 10))
    with pytest.raises(Killed):
        killed.train()
    resumed = make_runner(tmp_path / 'run', dict(spread=(40., .4)),
                          resume=True)
    resumed.train()
    assert_same(plain, resumed)
    history = resumed.message_hub.get_scalar('train/spread_ratio')
    assert len(history._log_history) == 12  # the past is known


@pytest.mark.parametrize('settings, where, found', [
    (dict(nan='ignore'), 'nan', 'ignore'), (dict(interval=0), 'interval', '0'),
    (dict(max_skips=0), 'max_skips', '0'),
    (dict(spread_ratio=(.1, .5)), 'spread_ratio', '(0.1, 0.5)'),
    (dict(grad_norm=(1., )), 'grad_norm', '(1.0,)')])
def test_settings_out_of_range_are_told(settings, where, found):
    with pytest.raises(DataError) as caught:
        HandObjectCollapseMonitorHook(**settings)
    assert caught.value.where.endswith(f'.{where}')
    assert found in caught.value.found


class TestSpectrum:

    def test_effective_rank(self):
        assert effective_rank(np.ones(7)) == pytest.approx(7)
        assert effective_rank(np.array([3., 0., 0.])) == pytest.approx(1)
        shares = np.array([.5, .25, .25])
        assert effective_rank(4 * shares) == pytest.approx(2**1.5)
        assert effective_rank(np.zeros(3)) == 0
        assert math.isnan(effective_rank(np.array([1., math.nan])))

    def test_singular_values_are_those_of_what_differs(self):
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(50, 4)) @ np.diag([3., 1., .1, 0.]) + 100
        values = singular_values(vectors)
        covariance = np.cov(vectors.T) * 49
        np.testing.assert_allclose(
            values**2, np.linalg.eigvalsh(covariance)[::-1], atol=1e-8)
        assert not singular_values(np.zeros((0, 0))).size

    def test_features_are_pooled_and_limited(self):
        maps = (torch.zeros(2, 3, 4, 4), torch.rand(2, 5, 4, 4))
        torch.testing.assert_close(pool_features(maps),
                                   maps[1].mean((2, 3)))
        collector, layer = FeatureCollector(3), nn.Linear(2, 2)
        assert collector.features.shape == (0, 0)
        with collector.listening(layer):
            for _ in range(4):
                layer(torch.rand(2, 2))
        layer(torch.rand(2, 2))
        assert collector.features.shape == (3, 2)


def _skip_in_group(rank: int, folder) -> None:
    from mmengine.optim import OptimWrapper
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/group', rank=rank, world_size=2)
    torch.manual_seed(0)
    layer = nn.Linear(3, 1)
    model = nn.parallel.DistributedDataParallel(layer)
    wrapper = OptimWrapper(torch.optim.SGD(layer.parameters(), .1),
                           accumulative_counts=2)
    guard = UpdateGuard(wrapper, 'skip', 9, component_groups(layer))
    guard.attach()
    torch.manual_seed(rank)
    seen = []
    for count in range(8):
        with wrapper.optim_context(model):
            loss = model(torch.randn(4, 3)).square().mean()
        if rank == 1 and count in (1, 4):  # one that shares, one that waits
            loss = loss * math.nan
        wrapper.update_params(loss)
        seen.append(guard.bad_loss)
    torch.save((seen, layer.weight.detach()), folder / f'{rank}.pth')
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.dist
def test_two_processes_leave_out_the_same_updates(tmp_path):
    mp.start_processes(_skip_in_group, args=(tmp_path, ), nprocs=2,
                       start_method='forkserver')
    (seen, weight), (others, other) = (
        torch.load(tmp_path / f'{rank}.pth') for rank in (0, 1))
    assert seen == others == [count in (1, 4) for count in range(8)]
    assert torch.equal(weight, other) and weight.isfinite().all()

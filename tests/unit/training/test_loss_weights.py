"""Weights of losses follow the progress of a run."""
from __future__ import annotations

import math

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmpose_ext.registry import MODEL_WRAPPERS, MODELS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training.loss_weights import WeightRamp

from .conftest import Killed, KillHook


@MODELS.register_module(force=True)
class WeightToyLoss(nn.Module):
    """Squared error that notes the weight it had."""

    def __init__(self, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.seen: list[float] = []

    def forward(self, error: Tensor) -> Tensor:
        self.seen.append(self.loss_weight)
        return self.loss_weight * error.square().mean()


@MODELS.register_module(force=True)
class WeightToy(BaseModel):
    """A linear layer with two losses below its head."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 1)
        self.head = nn.Module()
        self.head.losses = nn.ModuleDict(dict(
            bones=WeightToyLoss(.5), other=WeightToyLoss()))

    def forward(self, inputs: Tensor, target: Tensor, mode: str):
        error = self.layer(torch.stack(list(inputs)))[:, 0] - torch.stack(
            list(target))
        if mode == 'loss':
            return {f'loss_{name}': loss(error)
                    for name, loss in self.head.losses.items()}
        return list(error.square())


@MODEL_WRAPPERS.register_module(force=True)
class WeightToyWrapper(nn.Module):
    """What a wrapper for several processes looks like."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def __getattr__(self, name: str):
        return (super().__getattr__(name) if name == 'module' else
                getattr(self.module, name))


BONES = 'head.losses.bones'


def changes(*schedules: dict, **more) -> dict:
    return {
        'model': dict(_delete_=True, type='mmpose_ext.WeightToy'),
        'custom_hooks': [dict(type='mmpose_ext.LossWeightHook',
                              schedules=list(schedules))], **more}


@pytest.fixture
def train(toy_runner):
    """The losses of a run of 4 epochs of 6 iterations."""

    def run(*schedules: dict, wrapped: bool = False, **more) -> nn.ModuleDict:
        runner = toy_runner(**changes(*schedules, **more))
        model = runner.model
        if wrapped:
            runner.model = WeightToyWrapper(model)
        run.runner = runner
        runner.train()
        return model.head.losses

    return run


class ScalarHook(Hook):
    """Notes what would be drawn as curves."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.tags: list[dict] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None) -> None:
        tag, _ = runner.log_processor.get_log_after_iter(
            runner, batch_idx, 'train')
        self.tags.append(tag)


class TestRamp:

    @pytest.mark.parametrize('curve, middle', [
        ('linear', .25), ('cosine', (1 - math.sqrt(.5)) / 2), ('step', 0.)])
    def test_curves_run_from_start_to_end(self, curve, middle):
        ramp = WeightRamp('a', .2, 3., 4., 12., curve)
        assert [ramp.factor(i) for i in (0, 4)] == [.2, .2]
        assert [ramp.factor(i) for i in (12, 100)] == [3., 3.]
        assert ramp.factor(6) == pytest.approx(.2 + 2.8 * middle)

    @pytest.mark.parametrize('curve', ['linear', 'cosine', 'step'])
    def test_factors_never_fall_on_the_way_up(self, curve):
        ramp = WeightRamp('a', 0., 1., 2.5, 17.25, curve)
        factors = [ramp.factor(i) for i in range(25)]
        assert factors == sorted(factors)


class TestRun:

    def test_a_fraction_of_the_run_ramps_by_iterations(self, train):
        losses = train(dict(loss=BONES, until=.5))
        assert losses['bones'].seen == pytest.approx(
            [.5 * min(i / 12, 1.) for i in range(24)])
        assert losses['other'].seen == [1.] * 24

    def test_whole_numbers_are_epochs(self, train):
        losses = train(dict(loss=BONES, start=2., end=0., begin=1, until=3,
                            curve='cosine'))
        seen = losses['bones'].seen
        assert seen[:7] == [1.] * 7 and seen[18:] == [0.] * 6
        assert seen[12] == pytest.approx(.5)

    def test_a_step_is_taken_at_once(self, train):
        losses = train(dict(loss=BONES, until=2, curve='step'))
        assert losses['bones'].seen == [0.] * 12 + [.5] * 12

    def test_a_ramp_may_last_the_whole_run(self, train):
        losses = train(dict(loss=BONES, until=1.))
        assert losses['bones'].seen == pytest.approx(
            [.5 * i / 24 for i in range(24)])

    def test_factors_of_a_loss_multiply(self, train):
        losses = train(dict(loss=BONES, until=.25),
                       dict(loss=BONES, start=1., end=0., begin=.5, until=1.),
                       dict(loss='head.losses.other', until=1,
                            curve='step'))
        seen = losses['bones'].seen
        assert seen[6:13] == [.5] * 7 and seen[0] == 0
        assert seen[18] == pytest.approx(.25)
        assert losses['other'].seen == [0.] * 6 + [1.] * 18

    def test_loops_without_epochs_count_iterations(self, train):
        losses = train(
            dict(loss=BONES, begin=2, until=10),
            **{'train_cfg': dict(_delete_=True, by_epoch=False, max_iters=16,
                                 val_interval=100),
               'default_hooks.checkpoint.by_epoch': False})
        assert losses['bones'].seen == pytest.approx(
            [.5 * min(max(i - 2, 0) / 8, 1) for i in range(16)])

    def test_a_wrapped_model_is_looked_into(self, train):
        losses = train(dict(loss=BONES, until=.5), wrapped=True)
        assert losses['bones'].seen[6] == pytest.approx(.25)

    def test_a_second_training_begins_with_the_configured_weight(self, train):
        losses = train(dict(loss=BONES, until=.5, end=.1))
        hook = next(hook for hook in train.runner.hooks
                    if type(hook).__name__ == 'LossWeightHook')
        hook.before_train(train.runner)
        train.runner.train_loop._iter = 6
        hook.before_train_iter(train.runner, 0)
        assert losses['bones'].loss_weight == pytest.approx(.025)

    def test_weights_are_drawn_as_curves(self, toy_runner):
        runner = toy_runner(**changes(dict(loss=BONES, until=.5)))
        watch = ScalarHook()
        runner.register_hook(watch)
        runner.train()
        assert [tag['weight/bones'] for tag in watch.tags] == pytest.approx(
            runner.model.head.losses['bones'].seen)

    def test_a_resumed_run_goes_on_with_the_same_weights(self, toy_runner):
        settings = changes(dict(loss=BONES, until=.8, curve='cosine'))
        whole = toy_runner('whole', **settings)
        whole.train()
        killed = toy_runner('part', **settings)
        killed.register_hook(KillHook('after_train_iter', 15))
        with pytest.raises(Killed):
            killed.train()
        resumed = toy_runner('part', resume=True, **settings)
        resumed.train()
        assert resumed.model.head.losses['bones'].seen == (
            whole.model.head.losses['bones'].seen[12:])
        for name, value in whole.model.state_dict().items():
            assert torch.equal(resumed.model.state_dict()[name], value)


@pytest.mark.parametrize('schedule, match', [
    (dict(loss='head.losses.bone'),
     r'schedules\[0\].loss: .*head.losses.bones, head.losses.other.*no such '
     'module.*did you mean head.losses.bones'),
    (dict(loss='head'), 'a module without loss_weight'), (dict(), 'None'),
    (dict(loss=BONES, untill=.3), 'did you mean until'),
    (dict(loss=BONES, curve='log'), 'linear, cosine, step'),
    (dict(loss=BONES, curve='step', begin=.1), 'a step has no length'),
    (dict(loss=BONES, start=-1.), 'start: expected a factor'),
    (dict(loss=BONES, end=math.nan), 'end: expected a factor'),
    (dict(loss=BONES, end='1'), 'end: expected a factor'),
    (dict(loss=BONES, until=1.5), 'until: expected a fraction'),
    (dict(loss=BONES, begin=1.), 'begin: expected a fraction'),
    (dict(loss=BONES, begin=.5), 'until: expected after begin, 0.5'),
    (dict(loss=BONES, begin=2, until=.5), 'iteration 12 of 24')])
def test_what_is_no_schedule_stops_before_the_training(train, schedule,
                                                       match):
    with pytest.raises(DataError, match=match):
        train(schedule)
    assert train.runner.iter == 0

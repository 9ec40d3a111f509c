from __future__ import annotations

import os
import sys
from types import ModuleType

import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer
from mmengine.visualization.vis_backend import BaseVisBackend

from mmpose_ext.registry import VISBACKENDS
from mmpose_ext.training import OptionalVisBackend

from .conftest import ToyMetric


@VISBACKENDS.register_module(force=True)
class RecordingVisBackend(BaseVisBackend):
    """Notes every call."""

    fails: Exception | None = None
    fails_to_build: Exception | None = None

    def __init__(self, save_dir: str, colour: str = 'red') -> None:
        if self.fails_to_build:
            raise self.fails_to_build
        super().__init__(save_dir)
        self.calls = []

    def _init_env(self) -> None:
        if self.fails:
            raise self.fails
        self.calls.append(('_init_env', (), {}))

    @property
    def experiment(self) -> str:
        return 'experiment'

    def __getattribute__(self, name: str):
        if name.startswith('add_') or name == 'close':
            return lambda *args, **kwargs: self.calls.append(
                (name, args, kwargs))
        return super().__getattribute__(name)


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning',
                        found.append)
    return found


def optional(type: str = 'mmpose_ext.RecordingVisBackend',
             **options) -> OptionalVisBackend:
    return VISBACKENDS.build(
        dict(type='mmpose_ext.OptionalVisBackend', save_dir='folder',
             backend=dict(type=type, **options)))


def use(backend: OptionalVisBackend) -> None:
    backend.add_config('config')
    backend.add_graph('model', ['batch'])
    backend.add_image('name', np.zeros((2, 2, 3), np.uint8), 3)
    backend.add_scalar('loss', .5, 4)
    backend.add_scalars(dict(loss=.5), 5, 'path')
    backend.close()


def test_behaves_as_the_wrapped_one(warnings):
    backend = optional()
    backend.close()  # never used: nothing to close
    assert backend._backend.calls == []
    assert backend.experiment == 'experiment'
    use(backend)
    names = [name for name, _, _ in backend._backend.calls]
    assert names == ['_init_env', 'add_config', 'add_graph', 'add_image',
                     'add_scalar', 'add_scalars', 'close']
    assert backend._backend.calls[4][1:] == (('loss', .5, 4), {})
    assert backend._backend._save_dir == 'folder'
    assert warnings == []


@pytest.mark.parametrize('attribute', ['fails', 'fails_to_build'])
def test_missing_package_warns_once(warnings, monkeypatch, attribute):
    monkeypatch.setattr(RecordingVisBackend, attribute,
                        ModuleNotFoundError('No module named thing',
                                            name='thing'))
    backend = optional()
    use(backend)
    use(backend)
    assert backend.experiment is None
    assert len(warnings) == 1 and 'pip install thing' in warnings[0]


def test_tensorboard_missing(warnings, monkeypatch, tmp_path):
    for name in ('torch.utils.tensorboard', 'tensorboardX'):
        monkeypatch.setitem(sys.modules, name, None)
    backend = VISBACKENDS.build(
        dict(type='mmpose_ext.OptionalVisBackend', save_dir=str(tmp_path),
             backend=dict(type='TensorboardVisBackend')))
    use(backend)
    assert len(warnings) == 1 and '`pip install tensorboard`' in warnings[0]


def test_wandb_that_cannot_start(warnings, monkeypatch, tmp_path):
    wandb = ModuleType('wandb')

    def init(**kwargs) -> None:
        raise RuntimeError('api_key not configured')

    wandb.init = init
    monkeypatch.setitem(sys.modules, 'wandb', wandb)
    backend = VISBACKENDS.build(
        dict(type='mmpose_ext.OptionalVisBackend', save_dir=str(tmp_path),
             backend=dict(type='WandbVisBackend')))
    use(backend)
    assert len(warnings) == 1
    assert 'api_key not configured' in warnings[0]
    assert 'pip install' not in warnings[0]


def test_errors_of_a_running_backend_are_passed_on(monkeypatch):
    backend = optional()
    assert backend.experiment == 'experiment'
    monkeypatch.setattr(
        RecordingVisBackend, 'experiment',
        property(lambda self: (_ for _ in ()).throw(RuntimeError('late'))))
    with pytest.raises(RuntimeError, match='late'):
        _ = backend.experiment


def test_mistakes_in_the_config_are_errors(monkeypatch):
    with pytest.raises(TypeError, match='color'):
        optional(color='red')
    with pytest.raises(KeyError, match='NoSuchVisBackend'):
        optional('mmpose_ext.NoSuchVisBackend')
    monkeypatch.setattr(RecordingVisBackend, 'fails', ValueError('metric'))
    with pytest.raises(ValueError, match='metric'):
        use(optional())


def test_two_in_a_visualizer(tmp_path):
    visualizer = Visualizer(
        vis_backends=[
            dict(type='mmpose_ext.OptionalVisBackend', name=name,
                 backend=dict(type='mmpose_ext.RecordingVisBackend'))
            for name in ('one', 'other')
        ],
        save_dir=str(tmp_path))
    visualizer.add_scalar('loss', 1.)
    for name in ('one', 'other'):
        calls = visualizer.get_backend(name)._backend.calls
        assert [call[0] for call in calls] == ['_init_env', 'add_scalar']


def test_line_of_a_validation_leaves_details_to_the_monitors(
        toy_runner, monkeypatch) -> None:
    figures = {'horse/PCK': .5, 'horse/PCK/l_knee': .25, 'horse/PCK_low': .4,
               'coco/AP (M)': -1.}
    monkeypatch.setattr(ToyMetric, 'compute_metrics',
                        lambda self, results: {'error': 0., **figures})
    runner = toy_runner(log_processor=dict(
        type='mmpose_ext.ShortLogProcessor', num_digits=2))
    runner.train()
    logged, line = runner.log_processor.get_log_after_epoch(runner, 2, 'val')
    assert {key: logged[key] for key in figures} == figures
    assert line.split('  ')[2:5] == [
        'error: 0.00', 'horse/PCK: 0.50', 'coco/AP (M): -1.00']


def test_line_of_training_leaves_components_to_the_monitors(
        toy_runner) -> None:
    runner = toy_runner(log_processor=dict(
        type='mmpose_ext.ShortLogProcessor', num_digits=2))
    runner.train()
    scalars = {'grad_norm': 2., 'grad_norm/head.hand': 1.,
               'grad_norm/backbone.0': .5, 'weight/bones': .25}
    for name, value in scalars.items():
        runner.message_hub.update_scalar(f'train/{name}', value)
    logged, line = runner.log_processor.get_log_after_iter(
        runner, 0, 'train')
    assert {key: logged[key] for key in scalars} == scalars
    assert line.endswith('  grad_norm: 2.00  weight/bones: 0.25')
    assert 'loss: ' in line and 'grad_norm/' not in line


class TestSwitch:

    def build(self, tmp_path, kind: str, **settings) -> OptionalVisBackend:
        return OptionalVisBackend(
            dict(type=kind), save_dir=str(tmp_path), **settings)

    def test_backend_waits_for_its_variable(
            self, tmp_path, monkeypatch, caplog) -> None:
        monkeypatch.delenv('SEND_IT', raising=False)
        off = self.build(tmp_path, 'LocalVisBackend', enabled_by='SEND_IT')
        off.add_scalar('loss', 1.)
        assert off.experiment is None and not list(tmp_path.iterdir())
        monkeypatch.setenv('SEND_IT', 'yes')
        self.build(tmp_path, 'LocalVisBackend',
                   enabled_by='SEND_IT').add_scalar('loss', 1.)
        assert (tmp_path / 'scalars.json').is_file()

    @pytest.mark.parametrize('key', ['', 'secret'])
    def test_weights_and_biases_without_a_key_stays_offline(
            self, tmp_path, monkeypatch, key: str) -> None:
        monkeypatch.setenv('HOME', str(tmp_path))
        monkeypatch.setenv('WANDB_API_KEY', key)
        # deleted again at the end of the test, whoever sets it
        monkeypatch.setenv('WANDB_MODE', 'x')
        monkeypatch.delenv('WANDB_MODE')
        self.build(tmp_path, 'WandbVisBackend')
        assert os.environ.get('WANDB_MODE') == (None if key else 'offline')

"""A training that goes wrong says so, and what helps."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmpose_ext.handobject.feature_spectrum import (
    FeatureCollector,
    effective_rank,
    singular_values,
)
from mmpose_ext.handobject.update_guard import (
    NAN_CURE,
    POLICIES,
    NanPolicy,
    UpdateGuard,
    component_groups,
)
from mmpose_ext.registry import HOOKS
from mmpose_ext.storage import DataError
from mmpose_ext.training import bare_model

_NAME = 'HandObjectCollapseMonitorHook'
_WARNING, _ALERT = 1, 2
_FEATURES = 256

_COLLAPSE_CURE = (
    'hands all look alike to the model: give '
    'HandObjectVarianceMatchLoss or HandObjectDiversityHingeLoss a weight, '
    'switch sigma_reparam on in the head, lower the learning rate, augment '
    'more; tools/collapse_report.py shows which joints')
_BASELINE_CURE = (
    'check the cameras and labels by tools/verify_dataset.py and the crops '
    'by tools/browse_dataset.py; then more steps in head.refiner, or more '
    'weight on the loss in pixels')
_PATIENCE_CURE = (
    'see what the network is shown by tools/browse_dataset.py, whether the '
    'learning rate still is one, and whether training goes on to fall')
_EXPLODING_CURE = ('lower the learning rate, lengthen the warm-up, or clip '
                   'by clip_grad=dict(max_norm=1.)')
_VANISHING_CURE = ('no loss reaches it, or one with hardly any weight: '
                   'tools/model_report.py lists parameters without gradient')
_ENTROPY_CURE = ('each query looks at one token alone: switch sigma_reparam '
                 'on in the head, or lower the learning rate')
_RANK_CURE = ('pictures all look alike to the backbone: check that its '
              'weights are loaded, thaw less of it, lower its learning rate')


@HOOKS.register_module()
class HandObjectCollapseMonitorHook(Hook):
    """Watches for the signs of a training that fails.

    A network may learn to answer with the mean hand whatever it sees. The
    spread of absolute positions hides that, for hands are in many places; so
    the spread of joints behind the wrist is watched: over a batch as the
    head logs it (``spread_ratio`` to the true one, ``spread_mm``), and over
    the validation set. Every warning says what helps, once an epoch at
    most. What it knows of the past is in the run's own log, so that a
    resumed run goes on alike. Nothing is said in the beginning of a run, when
    every network answers alike; of NaN always.

    Logged are ``grad_norm/<component>`` before clipping,
    ``attention_entropy`` (the least of all layers, a share of the largest
    possible), ``sigma_max`` and ``gamma_max`` of reparametrised matrices,
    and at validation ``effective_rank`` of the backbone's features.

    Args:
        interval (int): Iterations between two looks. Defaults to 50.
        window (int): Iterations that the spread is averaged over. Defaults
            to 50.
        nan ('raise' | 'skip' | 'warn'): What becomes of a loss or gradient
            that is NaN or infinite: an error that names it, no update, or an
            update all the same. The weights stay whole in the first two.
            Defaults to 'raise'.
        max_skips (int): Most updates left out in a row; then it is an error.
            Defaults to 10.
        grace (float): Share of the run in which nothing but NaN counts.
            Defaults to 0.1.
        spread_ratio (Sequence[float]): Ratios below which there is a warning
            and an alert. Defaults to (0.5, 0.1).
        spread_mm (Sequence[float]): mm, the same. Defaults to (10, 1).
        baseline_share (float): A validation error of that share of the
            trivial answer's is a warning. Defaults to 0.95.
        grad_norm (Sequence[float]): A norm above the first or below the
            second is a warning. Defaults to (100, 1e-7).
        min_entropy (float): Share of the largest possible, below which there
            is a warning. Defaults to 0.02.
        min_rank (float): Effective rank of features, the same. Defaults to
            2.
        patience (int): Validations without a better MPJPE, after which there
            is a warning. Defaults to 10.

    Raises:
        DataError: If an argument is out of range.
    """

    def __init__(self,
                 interval: int = 50,
                 window: int = 50,
                 nan: NanPolicy = 'raise',
                 max_skips: int = 10,
                 grace: float = .1,
                 spread_ratio: Sequence[float] = (.5, .1),
                 spread_mm: Sequence[float] = (10., 1.),
                 baseline_share: float = .95,
                 grad_norm: Sequence[float] = (100., 1e-7),
                 min_entropy: float = .02,
                 min_rank: float = 2.,
                 patience: int = 10) -> None:
        if nan not in POLICIES:
            raise DataError('config', f'{_NAME}.nan',
                            f'one of {", ".join(POLICIES)}', repr(nan))
        for name, value in (('interval', interval), ('window', window),
                            ('max_skips', max_skips), ('patience', patience)):
            if value < 1:
                raise DataError('config', f'{_NAME}.{name}', 'at least 1',
                                repr(value))
        for name, pair in (('spread_ratio', spread_ratio),
                           ('spread_mm', spread_mm),
                           ('grad_norm', grad_norm)):
            if len(pair) != 2 or not pair[0] >= pair[1]:
                raise DataError('config', f'{_NAME}.{name}',
                                'two falling limits', repr(pair))
        self.interval, self.window, self.grace = interval, window, grace
        self.nan, self.max_skips = nan, max_skips
        self.spread_ratio, self.spread_mm = spread_ratio, spread_mm
        self.baseline_share, self.grad_norm = baseline_share, grad_norm
        self.min_entropy, self.min_rank = min_entropy, min_rank
        self.patience = patience
        self._told: dict[str, int] = {}
        self._guard: UpdateGuard | None = None
        self._collector: tuple[FeatureCollector, Any] | None = None

    def before_train(self, runner: Runner) -> None:
        """Stand before the optimiser."""
        self._release()
        self._guard = UpdateGuard(
            runner.optim_wrapper, self.nan, self.max_skips,
            component_groups(bare_model(runner.model)))
        self._guard.attach()

    def after_train(self, runner: Runner) -> None:
        """Leave the optimiser as it was."""
        self._release()

    def before_train_epoch(self, runner: Runner) -> None:
        """What was told may be told again."""
        self._told.clear()

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Let be measured what costs time, if its turn has come."""
        if self._guard is not None and self._is_due(runner):
            self._guard.wants_norms = True
            for layer in _attention_layers(runner):
                layer.record_entropy = True

    def after_train_iter(self, runner: Runner, batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict[str, Any] | None = None) -> None:
        """Look at losses always, at the rest if its turn has come.

        Raises:
            FloatingPointError: If a loss or gradient is no number and that
                is an error.
        """
        self._check_numbers(runner, outputs or {})
        if not self._is_due(runner):
            return
        self._check_spread(runner)
        self._check_gradients(runner)
        self._check_attention(runner)
        self._log_spectra(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Listen to the backbone."""
        backbone = getattr(bare_model(runner.model), 'backbone', None)
        if isinstance(backbone, nn.Module):
            collector = FeatureCollector(_FEATURES)
            self._collector = collector, collector.attach(backbone)

    def after_val_epoch(self, runner: Runner,
                        metrics: Mapping[str, float] | None = None) -> None:
        """Look at the figures of a validation, and at its features."""
        self._check_features(runner)
        found = dict(metrics or {})
        ratio, error, trivial = (
            float(found.get(f'hand/{name}', math.nan))
            for name in ('spread_ratio', 'MPJPE', 'MPJPE_trivial'))
        self._compare(runner, 'validation: spread of root-relative joints '
                      'over the true one', ratio, self.spread_ratio,
                      _COLLAPSE_CURE)
        if error >= self.baseline_share * trivial:
            self._tell(
                runner, 'baseline', _WARNING,
                f'validation: MPJPE of {error:.1f} mm is no better than '
                f'{trivial:.1f} mm, the mean hand put into each box',
                _BASELINE_CURE)
        self._check_progress(runner)

    def _check_numbers(self, runner: Runner, outputs: dict[str, Any]) -> None:
        guard = self._guard
        bad = [name for name, value in outputs.items()
               if 'loss' in name and not _is_finite(value)]
        if guard is None or not (bad or guard.bad_loss
                                 or guard.bad_gradients):
            return
        # the sum is no number whenever a part is none
        parts = [name for name in bad if name != 'loss'] or bad
        what = ', '.join(parts) or (
            'the loss of another process' if guard.bad_loss else
            f'the gradients of {", ".join(guard.bad_gradients)}')
        text = (f'iteration {runner.iter + 1}: {what} '
                f'{"are" if len(parts) > 1 else "is"} NaN or infinite')
        if not bad and guard.bad_gradients:
            text = text.replace(' is NaN', ' are NaN')
        if self.nan == 'warn':
            self._tell(runner, 'nan', _ALERT, text, NAN_CURE, always=True)
        elif guard.too_many:
            in_a_row = (f', {guard.skipped} times in a row'
                        if self.nan == 'skip' else '')
            raise FloatingPointError(
                f'{text}{in_a_row}; no weight was changed by it. {NAN_CURE}')
        else:
            runner.logger.warning(f'{text}; the update is left out, '
                                  f'{guard.skipped} in a row. {NAN_CURE}')

    def _check_spread(self, runner: Runner) -> None:
        for key, name, limits in (
                ('spread_ratio', 'spread of root-relative joints over the '
                 'true one', self.spread_ratio),
                ('spread_mm', 'spread of root-relative joints, mm,',
                 self.spread_mm)):
            scalars = runner.message_hub.log_scalars
            if f'train/{key}' in scalars:
                value = float(scalars[f'train/{key}'].mean(self.window))
                self._compare(runner, name, value, limits, _COLLAPSE_CURE)

    def _check_gradients(self, runner: Runner) -> None:
        assert self._guard is not None
        high, low = self.grad_norm
        for name, norm in self._guard.norms.items():
            runner.message_hub.update_scalar(f'train/grad_norm/{name}', norm)
            if norm > high:
                self._tell(runner, f'high {name}', _WARNING,
                           f'gradient norm of {name} is {norm:.3g}, above '
                           f'{high:g}', _EXPLODING_CURE)
            elif norm < low:
                self._tell(runner, f'low {name}', _WARNING,
                           f'gradient norm of {name} is {norm:.3g}, below '
                           f'{low:g}', _VANISHING_CURE)
        self._guard.norms = {}

    def _check_attention(self, runner: Runner) -> None:
        found = []
        for layer in _attention_layers(runner):
            layer.record_entropy = False
            if layer.last_entropy is not None:
                found.append(layer.last_entropy)
                layer.last_entropy = None
        if not found:
            return
        least = float(torch.stack([value.float() for value in found]).min())
        runner.message_hub.update_scalar('train/attention_entropy', least)
        if least < self.min_entropy:
            self._tell(runner, 'entropy', _WARNING,
                       f'attention has an entropy of {least:.3g} of the '
                       f'largest, below {self.min_entropy:g}', _ENTROPY_CURE)

    def _log_spectra(self, runner: Runner) -> None:
        layers: list[Any] = [
            module for module in bare_model(runner.model).modules()
            if callable(getattr(module, 'sigma', None))
            and isinstance(getattr(module, 'gamma', None), Tensor)]
        if not layers:
            return
        with torch.no_grad():
            for name, values in (
                    ('sigma', [layer.sigma() for layer in layers]),
                    ('gamma', [layer.gamma.abs() for layer in layers])):
                largest = float(torch.stack(
                    [value.float().max() for value in values]).max())
                runner.message_hub.update_scalar(f'train/{name}_max', largest)

    def _check_features(self, runner: Runner) -> None:
        if self._collector is None:
            return
        collector, handle = self._collector
        handle.remove()
        self._collector = None
        features = collector.features
        if len(features) < 2:
            return
        rank = effective_rank(singular_values(features))
        runner.message_hub.update_scalar('val/effective_rank', rank)
        if rank < self.min_rank:
            self._tell(runner, 'rank', _WARNING,
                       f'features of {len(features)} samples have an '
                       f'effective rank of {rank:.2f}, below '
                       f'{self.min_rank:g}', _RANK_CURE)

    def _check_progress(self, runner: Runner) -> None:
        """Whether the error still falls, by the run's own log."""
        buffer = runner.message_hub.log_scalars.get('val/hand/MPJPE')
        if buffer is None:
            return
        errors, _ = buffer.data
        late, early = errors[-self.patience:], errors[:-self.patience]
        if len(early) and min(late) >= min(early):
            self._tell(runner, 'progress', _WARNING,
                       f'validation: no MPJPE below {min(early):.1f} mm in '
                       f'{self.patience} validations', _PATIENCE_CURE)

    def _compare(self, runner: Runner, name: str, value: float,
                 limits: Sequence[float], cure: str) -> None:
        """Warn below the first limit, alert below the second."""
        level = sum(value < limit for limit in limits)
        if level:
            self._tell(runner, name, level,
                       f'{name} is {value:.3g}, below {limits[level - 1]:g}',
                       cure)

    def _tell(self, runner: Runner, key: str, level: int, text: str,
              cure: str, always: bool = False) -> None:
        """Log once an epoch, again if it becomes worse."""
        is_new = level > self._told.get(key, 0)
        if not (is_new or always) or (
                not always and self._progress(runner) < self.grace):
            return
        self._told[key] = level
        if is_main_process():
            log = (runner.logger.error if level == _ALERT else
                   runner.logger.warning)
            log(f'{text}: {cure}')

    def _progress(self, runner: Runner) -> float:
        return (runner.iter + 1) / max(runner.max_iters, 1)

    def _is_due(self, runner: Runner) -> bool:
        return (runner.iter + 1) % self.interval == 0

    def _release(self) -> None:
        if self._guard is not None:
            self._guard.detach()
            self._guard = None


def _attention_layers(runner: Runner) -> list[Any]:
    return [module for module in bare_model(runner.model).modules()
            if hasattr(module, 'record_entropy')]


def _is_finite(value: Any) -> bool:
    return bool(torch.isfinite(torch.as_tensor(value)).all())

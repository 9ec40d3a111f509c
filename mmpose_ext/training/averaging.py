"""A moving average of the weights that suits any run."""
from __future__ import annotations

import math
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.runner import BaseLoop, Runner
from mmpose.engine.hooks import ExpMomentumEMA
from torch import Tensor

from mmpose_ext.registry import HOOKS, MODELS

_EPOCHS, _SHARE = 10, 1 / 20
_MIN_MOMENTUM, _MIN_SPAN = 2e-4, 2
_MAX_GAMMA = 2000


@MODELS.register_module()
class LerpExpMomentumEMA(ExpMomentumEMA):
    """``ExpMomentumEMA`` in which frozen weights keep their bits.

    MMPose's adds two products, whose sum differs from a weight that has not
    changed in the last bit.
    """

    def avg_func(self, averaged_param: Tensor, source_param: Tensor,
                 steps: int) -> None:
        """Move the average towards the source, in place."""
        early = math.exp(-(1 + steps) / self.gamma)
        averaged_param.lerp_(
            source_param, (1 - self.momentum) * early + self.momentum)


@HOOKS.register_module()
class AutoEMAHook(EMAHook):
    """``EMAHook`` whose average spans ten epochs, however short these are.

    The usual momentum of 0.0002 averages over 5000 iterations, which are 140
    epochs of 560 pictures in batches of 16. Here it averages over ten epochs,
    at most a twentieth of the run and at most 5000 iterations; the momentum
    is one over that number of iterations. The early phase of
    ``ExpMomentumEMA``, in which the average follows the weights closely, is
    shortened alike: ``gamma`` is ``min(2000, 1 / momentum)`` unless given.

    Args:
        **kwargs: As in ``EMAHook``, except ``momentum``; ``ema_type``
            defaults to :class:`LerpExpMomentumEMA`, ``update_buffers`` to
            True.

    Raises:
        TypeError: If a momentum is given.
    """

    def __init__(self, **kwargs: Any) -> None:
        if 'momentum' in kwargs:
            raise TypeError('AutoEMAHook computes the momentum; EMAHook '
                            'takes one')
        super().__init__(**{'ema_type': 'mmpose_ext.LerpExpMomentumEMA',
                            'update_buffers': True, **kwargs})

    def before_run(self, runner: Runner) -> None:
        """Set the momentum and build the average."""
        momentum = _MIN_MOMENTUM
        if isinstance(runner._train_loop, BaseLoop):
            span = min(_EPOCHS * len(runner.train_dataloader),
                       _SHARE * runner.max_iters)
            momentum = max(momentum, 1 / max(span, _MIN_SPAN))
            runner.logger.info(
                f'weights are averaged over {1 / momentum:.0f} iterations')
        self.ema_cfg['momentum'] = momentum
        if self.ema_cfg['type'].endswith('ExpMomentumEMA'):
            self.ema_cfg.setdefault('gamma',
                                    min(_MAX_GAMMA, math.ceil(1 / momentum)))
        super().before_run(runner)

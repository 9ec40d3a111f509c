"""Warm-up of a length that suits any run."""
from __future__ import annotations

from typing import Any

from mmengine.optim import LinearLR

from mmpose_ext.registry import PARAM_SCHEDULERS
from mmpose_ext.storage.errors import DataError

_UNLIMITED = int(1e9)  # MMEngine's `end` where none is given


@PARAM_SCHEDULERS.register_module()
class WarmupLR(LinearLR):
    """Linear warm-up over a share of the run, at most a count of iterations.

    It needs no number, for the Runner tells each scheduler the run's length:
    ``dict(type='mmpose_ext.WarmupLR', by_epoch=False)``. List it before the
    scheduler of the decay: MMEngine's multiply into the rate in their order,
    and a decay to a minimum above 0 would else act on the rate of the first
    iteration, which is nearly 0.

    Args:
        optimizer (OptimWrapper): The Runner gives it.
        start_factor (float): Multiplier of the rate in the first iteration.
            Defaults to 1e-3.
        share (float): Share of the run. Defaults to 0.05.
        max_iters (int): Most iterations. Defaults to 500.
        begin (int): First iteration. Defaults to 0.
        end (int): Iterations of the run; the Runner gives it.
        by_epoch (bool): Must be False, or ``convert_to_iter_based=True`` be
            given.
        **kwargs: ``last_step``, ``verbose`` as in ``LinearLR``.

    Raises:
        DataError: If it is told epochs, or no length of the run.
    """

    def __init__(self,
                 optimizer: Any,
                 start_factor: float = 1e-3,
                 share: float = .05,
                 max_iters: int = 500,
                 begin: int = 0,
                 end: int = _UNLIMITED,
                 by_epoch: bool = True,
                 **kwargs: Any) -> None:
        if by_epoch or end >= _UNLIMITED:
            raise DataError(
                'config', 'param_scheduler', 'WarmupLR counting iterations',
                'epochs' if by_epoch else 'a run without an end',
                'write by_epoch=False and leave `end` to the Runner')
        # At least one: the first iteration is never made at the full rate.
        iterations = max(1, min(max_iters, round(share * (end - begin))))
        super().__init__(
            optimizer,
            start_factor=start_factor,
            begin=begin,
            end=begin + iterations + 1,
            by_epoch=False,
            **kwargs)

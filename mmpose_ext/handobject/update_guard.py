"""What stands between the losses and the optimiser's step."""
from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmpose_ext.storage import DataError

NanPolicy = Literal['raise', 'skip', 'warn']
POLICIES = ('raise', 'skip', 'warn')
NAN_CURE = ('the learning rate is too high: lower it or lengthen the warm-up, '
            'clip gradients (clip_grad=dict(max_norm=1.)), take bfloat16 in '
            'place of float16; check the labels by tools/verify_dataset.py')
_METHODS = ('update_params', 'step')


class UpdateGuard:
    """Keeps losses and gradients that are no numbers from the weights.

    It takes the place of two methods of an optimiser wrapper until it is
    detached. All processes decide alike.

    Args:
        wrapper (OptimWrapper): The wrapper.
        policy ('raise' | 'skip' | 'warn'): Whether an update by a NaN or an
            infinity is an error, is left out, or is made.
        max_skips (int): Most updates left out in a row.
        groups (Mapping[str, list[nn.Parameter]]): Parameters by component,
            whose gradients to measure.

    Attributes:
        bad_loss (bool): Whether the latest loss was no number, in any of the
            processes.
        norms (dict[str, float]): Of the gradients, by component, before they
            are clipped, at the latest step that measured them.
        wants_norms (bool): Whether the next step shall measure them; it sets
            it to False.
    """

    def __init__(self, wrapper: OptimWrapper, policy: NanPolicy,
                 max_skips: int,
                 groups: Mapping[str, list[nn.Parameter]]) -> None:
        if not isinstance(wrapper, OptimWrapper):
            raise DataError('config', 'HandObjectCollapseMonitorHook',
                            'one optimizer', type(wrapper).__name__)
        self.wrapper: Any = wrapper
        self.policy, self.max_skips = policy, max_skips
        self.groups = groups
        self.bad_loss = self.wants_norms = False
        self.bad_gradients: list[str] = []
        self.norms: dict[str, float] = {}
        self.skipped = 0  # in a row
        self._update: Callable[..., None] = wrapper.update_params
        self._step: Callable[..., None] = wrapper.step
        # MMEngine's schedulers count steps by a method of the instance
        self._before = {name: vars(wrapper)[name] for name in _METHODS
                        if name in vars(wrapper)}

    def attach(self) -> None:
        """Stand before the wrapper's methods."""
        for name in _METHODS:
            ours, theirs = getattr(self, name), getattr(self.wrapper, name)
            setattr(self.wrapper, name, _marked_as(theirs, ours))

    def detach(self) -> None:
        """Leave the wrapper as it was."""
        for name in _METHODS:
            vars(self.wrapper).pop(name, None)
        vars(self.wrapper).update(self._before)

    def update_params(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """As the wrapper's, but for a loss that is no number.

        Such a batch takes part in no update; those that gradients were
        accumulated from do, unless several processes would have shared them
        with it.
        """
        self.bad_gradients = []
        self.bad_loss = self.policy != 'warn' and _is_bad(loss)
        if not self.bad_loss:
            self._update(loss, *args, **kwargs)
            if not self.bad_gradients:
                self.skipped = 0
            return
        self.skipped += 1
        wrapper = self.wrapper
        wrapper._inner_count += 1
        if wrapper.should_update():
            # several processes share gradients in the backward pass that is
            # left out: what was accumulated differs between them
            if get_world_size() == 1 and any(
                    parameter.grad is not None
                    for group in wrapper.optimizer.param_groups
                    for parameter in group['params']):
                self.step()
            wrapper.zero_grad()

    def step(self, **kwargs: Any) -> None:
        """As the wrapper's, but for gradients that are no numbers."""
        # with a scale that moves, infinities are told and dealt with there
        scaler = getattr(self.wrapper, 'loss_scaler', None)
        scale = float(scaler.get_scale()) if scaler is not None else 1.
        is_guarded = self.policy != 'warn' and scale == 1
        if self.wants_norms or is_guarded:
            norms = gradient_norms(self.groups, 1 / scale)
            if self.wants_norms:
                self.norms, self.wants_norms = norms, False
            bad = [name for name, norm in norms.items()
                   if not math.isfinite(norm)]
            if bad and is_guarded:
                self.bad_gradients = bad
                self.skipped += 1
                return
        self._step(**kwargs)

    @property
    def too_many(self) -> bool:
        """Whether more updates in a row were left out than may be."""
        return self.skipped > (self.max_skips if self.policy == 'skip' else 0)


def component_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Parameters by component: the children of backbone, neck and head.

    Args:
        model (nn.Module): The bare model.

    Returns:
        dict[str, list[nn.Parameter]]: ``backbone.blocks`` and the like; what
        a part holds itself goes by the part's name. Those without parameters
        are left out.
    """
    groups: dict[str, list[nn.Parameter]] = {}
    seen: set[int] = set()
    for name, parameter in model.named_parameters():
        parts = name.split('.')[:-1]
        if id(parameter) not in seen:
            seen.add(id(parameter))
            groups.setdefault('.'.join(parts[:2]) or name,
                              []).append(parameter)
    return groups


def gradient_norms(groups: Mapping[str, list[nn.Parameter]],
                   scale: float = 1.) -> dict[str, float]:
    """Norms of the gradients that there are, by group.

    Args:
        groups (Mapping[str, list[nn.Parameter]]): Parameters.
        scale (float): Factor on the gradients. Defaults to 1.

    Returns:
        dict[str, float]: Groups without any gradient are left out.
    """
    gradients = {name: [parameter.grad for parameter in group
                        if parameter.grad is not None]
                 for name, group in groups.items()}
    gradients = {name: group for name, group in gradients.items() if group}
    if not gradients:
        return {}
    totals = torch.stack([
        torch.stack([norm.float() for norm in torch._foreach_norm(group)]
                    ).norm() for group in gradients.values()])
    return dict(zip(gradients, (scale * totals).tolist(), strict=True))


def _marked_as(theirs: Callable[..., Any],
               ours: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the marks that schedulers look for."""

    @functools.wraps(theirs)
    def call(*args: Any, **kwargs: Any) -> None:
        ours(*args, **kwargs)

    return call


def _is_bad(loss: Tensor) -> bool:
    """Whether the loss of any process is no number."""
    flag = (~torch.isfinite(loss.detach()).all()).float()
    if get_world_size() > 1:
        all_reduce(flag, 'max')
    return bool(flag)

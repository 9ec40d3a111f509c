"""Mixed precision on machines without an accelerator.

MMEngine's ``AmpOptimWrapper``, which ``tools/train.py --amp`` asks for,
asserts a GPU, though MMEngine's autocast knows bfloat16 on CPUs. MMPose turns
what its heads say into numpy arrays, which know no bfloat16.
"""
from __future__ import annotations

import functools
import sys
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS


def allow_bfloat16_on_cpus() -> None:
    """Put :class:`CpuAmpOptimWrapper` in the place of MMEngine's wrapper.

    Does nothing where there is another device to train on than the CPU.
    """
    if get_device() == 'cpu':
        OPTIM_WRAPPERS.register_module(
            'AmpOptimWrapper', force=True, module=CpuAmpOptimWrapper)


def widen_before_numpy() -> None:
    """Let MMPose's heads turn half precision into arrays of float32."""
    from mmpose.utils import tensor_utils
    convert = tensor_utils.to_numpy

    @functools.wraps(convert)
    def to_numpy(x: Any, *args: Any, **kwargs: Any) -> Any:
        return convert(_widen(x), *args, **kwargs)

    # the modules that have it by name already, too
    for module in [*sys.modules.values()]:
        if getattr(module, 'to_numpy', None) is convert:
            module.to_numpy = to_numpy  # type: ignore[attr-defined]


def _widen(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_widen(part) for part in x]
    if isinstance(x, torch.Tensor) and x.is_floating_point():
        return x.to(torch.promote_types(x.dtype, torch.float32))
    return x


class CpuAmpOptimWrapper(AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` for CPUs: bfloat16, nothing scaled.

    bfloat16 has the range of float32, so that gradients need no scale. What a
    GPU has saved can be resumed here, and the other way round.

    Args:
        loss_scale (str | float | dict): Not needed; taken because
            ``tools/train.py --amp`` sets it. Defaults to 'dynamic'.
        dtype (str | torch.dtype, optional): bfloat16. Defaults to None, which
            means it.
        use_fsdp (bool): As in MMEngine; it makes no difference here. Defaults
            to False.
        **kwargs: As in ``OptimWrapper``.

    Raises:
        ValueError: If `dtype` is another one.
    """

    def __init__(self,
                 loss_scale: str | float | dict[str, Any] = 'dynamic',
                 dtype: str | torch.dtype | None = None,
                 use_fsdp: bool = False,
                 **kwargs: Any) -> None:
        if str(dtype).rpartition('.')[2] not in ('None', 'bfloat16'):
            raise ValueError(
                f'optim_wrapper.dtype: expected bfloat16 on a CPU, found '
                f'{dtype}; leave it out, or train on a GPU')
        # past the parent's, which asserts a GPU
        OptimWrapper.__init__(self, **kwargs)
        self.cast_dtype = torch.bfloat16
        self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
        self._scale_update_param = None

    def state_dict(self) -> dict[str, Any]:
        """What is saved: no scale, which a GPU would have to refuse."""
        return OptimWrapper.state_dict(self)

"""Distributed training on machines without CUDA.

MMEngine sets a CUDA device whatever the backend is, and hands CUDA device
ids to DDP. Both fail on a CPU. If the process group exists already, MMEngine
skips its own; so it is made here, when torchrun or slurm started the process
and no CUDA device is there.
"""
from __future__ import annotations

import argparse
import atexit
import inspect
import os
import subprocess
import sys
import time
from typing import Any

import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from torch import Tensor, nn

from mmpose_ext.registry import MODEL_WRAPPERS


def join_cpu_process_group() -> None:
    """Join a gloo group if this is one process of a CPU launch.

    Does nothing with CUDA, without ``--launcher pytorch|slurm`` on the
    command line, or when a group exists.
    """
    launcher = _launcher_on_command_line()
    if (launcher == 'none' or torch.cuda.is_available()
            or not dist.is_available() or dist.is_initialized()):
        return
    if launcher == 'slurm':
        _translate_slurm_environment()
    if 'RANK' in os.environ and 'MASTER_ADDR' in os.environ:
        dist.init_process_group('gloo')
        atexit.register(_leave_process_group)


def _leave_process_group() -> None:
    """Let gloo's threads end before Python does.

    Else, in one of five runs or so, a thread that still holds tensors of the
    last exchange ends in an abort, by which torchrun takes the training for
    failed and stops the first process while it writes its report.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
    time.sleep(.1)  # DDP keeps the group, so that they are not waited for


def _launcher_on_command_line() -> str:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('--launcher', default='none')
    return parser.parse_known_args(sys.argv[1:])[0].launcher


def _translate_slurm_environment() -> None:
    """Name slurm's variables as torch.distributed expects them."""
    if 'SLURM_PROCID' not in os.environ:
        return
    if 'MASTER_ADDR' not in os.environ:
        hosts = subprocess.run(
            ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']],
            capture_output=True, text=True, check=True)
        os.environ['MASTER_ADDR'] = hosts.stdout.split()[0]
    os.environ.setdefault('MASTER_PORT', '29500')
    os.environ['RANK'] = os.environ['SLURM_PROCID']
    os.environ['WORLD_SIZE'] = os.environ['SLURM_NTASKS']
    os.environ['LOCAL_RANK'] = os.environ.get('SLURM_LOCALID', '0')


@MODEL_WRAPPERS.register_module()
class AnyDeviceDistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's DDP on whatever device the model lives.

    On a CPU it drops the CUDA device ids and replaces torch's SyncBN, which
    runs on CUDA alone, by :class:`CpuSyncBatchNorm`.

    Args:
        module (nn.Module): The model.
        device_ids (list[int], optional): Used on CUDA alone. Defaults to
            None.
        broadcast_buffers (bool): Whether each forward pass copies the first
            process's buffers. Defaults to False, as in MMEngine.
        **kwargs: As in ``MMDistributedDataParallel``.
    """

    def __init__(self,
                 module: nn.Module,
                 device_ids: list[int] | None = None,
                 broadcast_buffers: bool = False,
                 **kwargs: Any) -> None:
        if next(module.parameters()).device.type == 'cpu':
            device_ids = None
            module = replace_sync_batchnorm(module)
        # torch 2.13 renamed the argument and warns of the old name.
        known = inspect.signature(nn.parallel.DistributedDataParallel)
        name = ('forward_sync_buffers' if 'forward_sync_buffers'
                in known.parameters else 'broadcast_buffers')
        kwargs[name] = broadcast_buffers
        super().__init__(module=module, device_ids=device_ids, **kwargs)


class _SumOverProcesses(torch.autograd.Function):
    """Sum a tensor over all processes; so are its gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient


class CpuSyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over all processes, for any device and backend.

    With the same global batch, two processes then compute what one does.
    Input and output have shape (B, C, ...).
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f'expected (B, C, ...), found {input.dim()}D')

    def forward(self, input: Tensor) -> Tensor:
        """Normalise with the statistics of all processes."""
        if not self.training or dist.get_world_size() == 1:
            return super().forward(input)
        # sums of half precision are too coarse
        exact = input.to(torch.promote_types(input.dtype, torch.float32))
        return self._normalise(exact).to(input.dtype)

    def _normalise(self, input: Tensor) -> Tensor:
        dims = [0, *range(2, input.dim())]
        count = input.new_tensor([input.numel() / input.shape[1]])
        total = _SumOverProcesses.apply(
            torch.cat([input.sum(dims), count]))
        size, mean = total[-1], total[:-1] / total[-1]
        shape = (1, -1, *([1] * (input.dim() - 2)))
        centred = input - mean.view(shape)
        var = _SumOverProcesses.apply(centred.square().sum(dims)) / size
        self._update_running(mean.detach(), var.detach(),
                             size.detach())
        normed = centred * (var + self.eps).rsqrt().view(shape)
        if not self.affine:
            return normed
        return normed * self.weight.view(shape) + self.bias.view(shape)

    def _update_running(self, mean: Tensor, var: Tensor,
                        size: Tensor) -> None:
        if not self.track_running_stats:
            return
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        momentum = (1. / float(self.num_batches_tracked)  # type: ignore
                    if self.momentum is None else self.momentum)
        unbiased = var * size / (size - 1).clamp(min=1)
        self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
        self.running_var.lerp_(unbiased, momentum)  # type: ignore


def replace_sync_batchnorm(module: nn.Module) -> nn.Module:
    """Replace every torch SyncBN in a model by :class:`CpuSyncBatchNorm`."""
    if isinstance(module, nn.SyncBatchNorm):
        portable = CpuSyncBatchNorm(module.num_features, module.eps,
                                    module.momentum, module.affine,
                                    module.track_running_stats)
        portable.load_state_dict(module.state_dict())
        portable.train(module.training)
        return portable
    for name, child in module.named_children():
        setattr(module, name, replace_sync_batchnorm(child))
    return module

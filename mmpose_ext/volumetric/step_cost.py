"""What a training step of a network costs, beside the plain network's.

A step is forward pass, expected positions, their refinement if there is one,
L1 loss, backward pass and Adam, on ready volumes. Peak memory is that of a
process of its own for each side::

    python -m mmpose_ext.volumetric.step_cost ours 6 3 compressed 23 64 null
"""
from __future__ import annotations

import copy
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmpose_ext.training.stopwatch import peak_memory
from mmpose_ext.volumetric.expectation import softmax_moments
from mmpose_ext.volumetric.head import DannceExpectationHead
from mmpose_ext.volumetric.network import SIZES, DannceUNet
from mmpose_ext.volumetric.pose_graph import DanncePoseGraph
from mmpose_ext.volumetric.reference import (
    PlainPoseGraph,
    PlainUNet,
    plain_soft_argmax,
)

SIDE = 240.  # of the volume, mm
_PROCESS_SECONDS = 600

Step = Callable[[], float]


def make_networks(num_views: int, view_channels: int,
                  size: str | Sequence[int],
                  keypoints: int,
                  refiner: dict[str, Any] | None = None
                  ) -> tuple[DannceUNet, DannceExpectationHead]:
    """A network with layer norm, and a head, of which the weights are drawn.

    Args:
        num_views (int): V.
        view_channels (int): C.
        size (str | Sequence[int]): See :class:`DannceUNet`.
        keypoints (int): K.
        refiner (dict, optional): Config of a :class:`DanncePoseGraph`.
            Defaults to None.
    """
    torch.manual_seed(0)
    network = DannceUNet(num_views, view_channels, size)
    head = DannceExpectationHead(network.out_channels, keypoints,
                                 refiner=refiner)
    if isinstance(head.refiner, DanncePoseGraph):
        # from 0, where it begins, all shifts are equal
        nn.init.normal_(head.refiner.last.own, std=.01)
    for module in (*network.modules(), *head.modules()):
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return network, head


def plain_copy(network: DannceUNet) -> PlainUNet:
    """The plain network with the same weights."""
    first: Any = network.get_submodule('enc1.conv1')
    widths = [
        network.get_submodule(f'enc{level}.conv1').out_channels
        for level in range(1, network.levels + 1)]
    plain = PlainUNet(first.in_channels, widths)
    plain.load_state_dict(network.state_dict())
    return plain


def plain_copy_of_head(head: DannceExpectationHead) -> DannceExpectationHead:
    """The head with a plain graph, if it has one, of the same weights."""
    plain = copy.deepcopy(head)
    ours = head.refiner
    if isinstance(ours, DanncePoseGraph):
        assert ours.fuse is not None
        graph = PlainPoseGraph(
            ours.fuse.in_features,
            ours.last.place < len(ours.last.edges),
            len(ours.last.own), len(ours.blocks), ours.fuse.out_features,
            ours.first.dropout)
        graph.load_state_dict(ours.state_dict())
        plain.refiner = graph
    return plain


def locate(network: nn.Module, head: DannceExpectationHead,
           volumes: Tensor) -> Tensor:
    """Positions (B, K, 3) in mm, either network's own way."""
    nvox = volumes.shape[-1]
    offsets = (torch.arange(nvox) + .5) * (SIDE / nvox) - SIDE / 2
    feats = network(volumes)
    if isinstance(network, DannceUNet):
        points = softmax_moments(head(feats), offsets).mean
    else:
        logits = head.final_layer(feats[-1])
        y, x, z = torch.meshgrid(offsets, offsets, offsets, indexing='ij')
        points = plain_soft_argmax(
            logits, torch.stack([x, y, z], -1).flatten(0, 2))
    if head.refiner is not None:
        shift = head.refiner(feats, points, offsets)
        points = points + shift * (offsets[1] - offsets[0])
    return points


def make_step(network: nn.Module, head: DannceExpectationHead, channels: int,
              keypoints: int, nvox: int) -> Step:
    """A training step, batch 1, that returns its loss in mm."""
    generator = torch.Generator().manual_seed(0)
    volumes = torch.rand(
        (1, channels, nvox, nvox, nvox), generator=generator) * 2 - 1
    target = torch.randn((1, keypoints, 3), generator=generator) * 40
    optimizer = torch.optim.Adam(
        [*network.parameters(), *head.parameters()], 1e-3)

    def step() -> float:
        optimizer.zero_grad()
        loss = (locate(network, head, volumes) - target).abs().mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def compare_steps(num_views: int, view_channels: int,
                  size: str | Sequence[int], keypoints: int, nvox: int,
                  repetitions: int = 3,
                  refiner: dict[str, Any] | None = None) -> dict[str, Any]:
    """Cost of a step, ours and the plain network's by turns.

    Args:
        num_views (int): V.
        view_channels (int): C.
        size (str | Sequence[int]): See :class:`DannceUNet`.
        keypoints (int): K.
        nvox (int): Voxels a side.
        repetitions (int): Steps of each side that count, after one that does
            not. Defaults to 3.
        refiner (dict, optional): See :func:`make_networks`. Defaults to
            None.

    Returns:
        dict: ``ours`` and ``plain`` with ``cpu_seconds`` (median) and
        ``peak_mib``; ``cpu_ratio`` and ``memory_ratio``; ``difference``, the
        largest of features and, ``difference_mm``, of positions.
    """
    network, head = make_networks(num_views, view_channels, size, keypoints,
                                  refiner)
    channels = num_views * view_channels
    plain, plain_head = plain_copy(network), plain_copy_of_head(head)
    volumes = torch.rand(1, channels, nvox, nvox, nvox) * 2 - 1
    with torch.no_grad():
        difference = max(
            float((one - other).abs().max()) for one, other in zip(
                network(volumes), plain(volumes), strict=True))
        # of which dropout would draw
        difference_mm = float((
            locate(network, head.eval(), volumes)
            - locate(plain, plain_head.eval(), volumes)).abs().max())
    head.train(), plain_head.train()
    steps = dict(
        ours=make_step(network, head, channels, keypoints, nvox),
        plain=make_step(plain, plain_head, channels, keypoints, nvox))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repetitions + 1):
        for name, step in steps.items():
            began = time.process_time()
            step()
            times[name].append(time.process_time() - began)
    result: dict[str, Any] = {
        name: dict(
            cpu_seconds=statistics.median(found[1:]),
            peak_mib=_peak_of_process(
                name, num_views, view_channels, size, keypoints, nvox,
                refiner))
        for name, found in times.items()}
    ours, other = result['ours'], result['plain']
    return dict(
        result,
        cpu_ratio=ours['cpu_seconds'] / other['cpu_seconds'],
        memory_ratio=ours['peak_mib'] / other['peak_mib'],
        difference=difference,
        difference_mm=difference_mm)


def _peak_of_process(name: str, num_views: int, view_channels: int,
                     size: str | Sequence[int], keypoints: int,
                     nvox: int, refiner: dict[str, Any] | None) -> float:
    text = size if isinstance(size, str) else ','.join(map(str, size))
    found = subprocess.run(
        [sys.executable, '-m', __name__, name, str(num_views),
         str(view_channels), text, str(keypoints), str(nvox),
         json.dumps(refiner)],
        check=True, capture_output=True, text=True,
        timeout=_PROCESS_SECONDS).stdout
    return float(json.loads(found.splitlines()[-1]))


def _main(name: str, views: str, channels: str, size: str, keypoints: str,
          nvox: str, refiner: str) -> None:
    torch.set_num_threads(1)
    widths = size if size in SIZES else [int(w) for w in size.split(',')]
    network: nn.Module
    network, head = make_networks(
        int(views), int(channels), widths, int(keypoints),
        json.loads(refiner))
    if name != 'ours':
        network, head = plain_copy(network), plain_copy_of_head(head)
    step = make_step(network, head, int(views) * int(channels),
                     int(keypoints), int(nvox))
    # Adam has its memory from the second on
    if not all(math.isfinite(step()) for _ in range(2)):
        raise RuntimeError('the loss is not finite')
    print(json.dumps(peak_memory()['process']))


if __name__ == '__main__':
    _main(*sys.argv[1:])

"""``tools/export_onnx.py`` for horses."""
from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.equine.horse26 import FLIP_INDICES, NAMES, SKELETON
from mmpose_ext.equine.inference import load_model
from mmpose_ext.onnx_files import (
    ExportGraph,
    add_export_options,
    channel_normalisation,
    run_export,
)
from mmpose_ext.storage import DataError

_DECODED = ('SimCCLabel', 'MSRAHeatmap')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_export_options(parser, 'horses', any_batch=True)
    parser.add_argument(
        '--decode', action='store_true',
        help='the graph gives keypoints in px of its input, and scores')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    return run_export(config, arguments, build_graph)


def build_graph(config: Config,
                arguments: argparse.Namespace) -> PoseGraph:
    """What the command exports."""
    return PoseGraph(load_model(config, arguments.checkpoint),
                     arguments.decode)


class PoseGraph(ExportGraph):
    """What is exported: normalised pictures to what the head says.

    The input is ``input`` (B, 3, H, W) float32, an RGB crop of a horse less
    ``mean`` and divided by ``std``. The outputs are ``simcc_x`` (B, K, Wx)
    and ``simcc_y`` (B, K, Wy), or ``heatmap`` (B, K, H, W); decoded,
    ``keypoints`` (B, K, 2) in px of the input, pixel centres at integers,
    and ``scores`` (B, K). How to cut the crop and what the outputs mean is in
    the metadata; averaging with the mirrored picture is not in the graph.

    Args:
        model (nn.Module): A top-down estimator with a SimCC or heatmap head,
            on the CPU.
        decode (bool): Whether coordinates are found in the graph. Defaults
            to False.

    Attributes:
        codec: MMPose's codec of the head.

    Raises:
        DataError: If what the head gives cannot be decoded in a graph.
    """

    inputs = ('input', )

    def __init__(self, model: nn.Module, decode: bool = False) -> None:
        super().__init__()
        head: Any = model.head
        self.model: Any = model.eval()
        self.codec: Any = head.decoder
        self.decode = decode
        self.is_simcc = hasattr(self.codec, 'simcc_split_ratio')
        if decode and (
                type(self.codec).__name__ not in _DECODED
                or getattr(self.codec, 'use_dark', False)
                or getattr(self.codec, 'unbiased', False)):
            config: Any = self.model.cfg
            raise DataError(
                config.filename, 'model.head.decoder',
                f'{" or ".join(_DECODED)} without DARK refinement',
                type(self.codec).__name__, 'export without --decode')
        self.outputs = (
            ('keypoints', 'scores') if decode else
            ('simcc_x', 'simcc_y') if self.is_simcc else ('heatmap', ))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Outputs in the order of `outputs`, of (B, 3, H, W)."""
        found = self.model(image, None, mode='tensor')
        if not self.decode:
            return tuple(found) if self.is_simcc else (found, )
        if self.is_simcc:
            simcc_x, simcc_y = found
            return decode_simcc(simcc_x, simcc_y,
                                self.codec.simcc_split_ratio)
        return decode_heatmap(found, self.codec.scale_factor)

    def example(self, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Pictures of noise."""
        width, height = map(int, self.codec.input_size)
        return (torch.randn(
            (batch, 3, height, width),
            generator=torch.Generator().manual_seed(seed)), )

    def metadata(self) -> dict[str, str]:
        """What a program has to know that uses the file alone."""
        mean, std = channel_normalisation(self.model)
        config: Any = self.model.cfg
        padding = next(
            (step.get('padding', 1.25)
             for step in config.test_dataloader.dataset.pipeline
             if step['type'] == 'GetBBoxCenterScale'), 1.25)
        values = dict(
            keypoint_names=NAMES,
            skeleton=SKELETON,
            flip_indices=FLIP_INDICES,
            input_size=tuple(map(int, self.codec.input_size)),
            mean=mean,
            std=std,
            bbox_padding=padding)
        texts = {name: json.dumps(value) for name, value in values.items()}
        texts['input'] = (
            'float32, RGB, (level - mean) / std; a box, enlarged by '
            'bbox_padding and to the aspect of input_size')
        if self.decode:
            texts['outputs'] = 'keypoints x, y in px of the input; scores'
        elif self.is_simcc:
            texts['outputs'] = 'place in px: argmax / simcc_split_ratio'
            texts['simcc_split_ratio'] = json.dumps(
                self.codec.simcc_split_ratio)
        else:
            texts['outputs'] = 'place in px: argmax * heatmap_stride'
            texts['heatmap_stride'] = json.dumps(
                [float(value) for value in self.codec.scale_factor])
        return texts

    def difference(self, name: str, found: np.ndarray,
                   wanted: np.ndarray) -> float:
        """Where values are above 1, it is in parts of the largest of them.

        Of decoded points the median is taken: where two bins are as high as
        one another, rounding decides, and the point jumps.
        """
        gaps = np.abs(found - wanted)
        gap = np.median(gaps) if name == 'keypoints' else gaps.max()
        return float(gap / max(1., np.abs(wanted).max()))


def decode_simcc(simcc_x: Tensor, simcc_y: Tensor,
                 split_ratio: float) -> tuple[Tensor, Tensor]:
    """Points and scores of SimCC vectors, as MMPose's codec finds them.

    Args:
        simcc_x (Tensor): (B, K, Wx).
        simcc_y (Tensor): (B, K, Wy).
        split_ratio (float): Bins a pixel.

    Returns:
        tuple[Tensor, Tensor]: (B, K, 2) px and (B, K).
    """
    (value_x, x), (value_y, y) = simcc_x.max(-1), simcc_y.max(-1)
    scores = torch.minimum(value_x, value_y)
    places = torch.stack([x, y], -1).to(scores.dtype)
    # MMPose's mark of a point that is not there
    places = torch.where(scores[..., None] > 0, places, -1.)
    return places / split_ratio, scores


def decode_heatmap(heatmaps: Tensor,
                   scale_factor: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Points and scores of heatmaps, as MMPose's codec finds them.

    The maximum is moved by a quarter of a bin to the higher neighbour on each
    axis, except at the edges that MMPose leaves out.

    Args:
        heatmaps (Tensor): (B, K, H, W).
        scale_factor (Sequence[float]): Pixels a bin, in x and y.

    Returns:
        tuple[Tensor, Tensor]: (B, K, 2) px and (B, K).
    """
    # constants of the graph
    count, height, width = (int(size) for size in heatmaps.shape[1:])
    flat = heatmaps.reshape(-1, count, height * width)
    scores, index = flat.max(-1)
    x, y = index % width, index // width

    def at(dx: int, dy: int) -> Tensor:
        place = (y + dy).clamp(0, height - 1) * width + (x + dx).clamp(
            0, width - 1)
        return flat.gather(-1, place[..., None])[..., 0]

    inside_x, inside_y = (x > 0) & (x < width), (y > 0) & (y < height)
    step_x = torch.sign(at(1, 0) - at(-1, 0))
    step_y = torch.sign(at(0, 1) - at(0, -1))
    step_x = step_x * ((x > 1) & (x < width - 1) & inside_y)
    step_y = step_y * ((y > 1) & (y < height - 1) & inside_x)
    places = torch.stack([x, y], -1).to(scores.dtype)
    places = torch.where(
        scores[..., None] > 0,
        places + .25 * torch.stack([step_x, step_y], -1), -1.)
    scale = torch.as_tensor(np.asarray(scale_factor, np.float32))
    return places * scale, scores

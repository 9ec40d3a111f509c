"""``tools/export_onnx.py`` for horses."""
from __future__ import annotations

import argparse
import inspect
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.equine.horse26 import FLIP_INDICES, NAMES, SKELETON
from mmpose_ext.equine.inference import load_model
from mmpose_ext.onnx_files import (
    check_name,
    open_session,
    packages_are_there,
    require_parity,
    save_checked,
)
from mmpose_ext.storage import DataError, atomic_file

TOLERANCE = 1e-4
_DECODED = ('SimCCLabel', 'MSRAHeatmap')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=Path, required=True, help='.onnx file')
    parser.add_argument(
        '--opset', type=int, choices=(17, 18), default=17,
        help='(default: 17)')
    parser.add_argument(
        '--dynamic-batch', action='store_true',
        help='any number of horses at a time (default: one)')
    parser.add_argument(
        '--decode', action='store_true',
        help='the graph gives keypoints in px of its input, and scores')
    parser.add_argument(
        '--check', action=argparse.BooleanOptionalAction, default=True,
        help='compare with torch, and write nothing if it differs by '
        f'{TOLERANCE:g}')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    if not packages_are_there():
        return 1
    out: Path = arguments.out
    check_name(out)
    graph = PoseGraph(load_model(config, arguments.checkpoint),
                      arguments.decode)
    with atomic_file(out) as temporary:
        export(graph, temporary, arguments.dynamic_batch, arguments.opset)
        if arguments.check:
            sizes = (1, 3) if arguments.dynamic_batch else (1, )
            found = compare(graph, temporary, sizes)
            text = require_parity(out, found, TOLERANCE)
            print(f'largest differences from torch: {text}')
    print(f'written: {out}')
    return 0


class PoseGraph(nn.Module):
    """What is exported: normalised pictures to what the head says.

    Args:
        model (nn.Module): A top-down estimator with a SimCC or heatmap head,
            on the CPU.
        decode (bool): Whether coordinates are found in the graph. Defaults
            to False.

    Attributes:
        output_names: ``simcc_x`` (B, K, Wx) and ``simcc_y`` (B, K, Wy),
            or ``heatmap`` (B, K, H, W); decoded ``keypoints`` (B, K, 2) in px
            of the input, pixel centres at integers, and ``scores`` (B, K).
        codec: MMPose's codec of the head.

    Raises:
        DataError: If what the head gives cannot be decoded in a graph.
    """

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
        self.output_names = (
            ('keypoints', 'scores') if decode else
            ('simcc_x', 'simcc_y') if self.is_simcc else ('heatmap', ))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Outputs in the order of `output_names`, of (B, 3, H, W)."""
        found = self.model(image, None, mode='tensor')
        if not self.decode:
            return tuple(found) if self.is_simcc else (found, )
        if self.is_simcc:
            simcc_x, simcc_y = found
            return decode_simcc(simcc_x, simcc_y,
                                self.codec.simcc_split_ratio)
        return decode_heatmap(found, self.codec.scale_factor)


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


def export(graph: PoseGraph,
           path: Path,
           dynamic_batch: bool = False,
           opset: int = 17) -> None:
    """Export with metadata that lets a program use the file alone.

    The input is ``input`` (B, 3, H, W) float32, an RGB crop of a horse less
    ``mean`` and divided by ``std``. How to cut it and what the outputs mean is
    in the metadata; averaging with the mirrored picture is not in the graph.

    Args:
        graph (PoseGraph): What to export.
        path (Path): File to write.
        dynamic_batch (bool): Whether B is free, else 1. Defaults to False.
        opset (int): ONNX operator set. Defaults to 17.
    """
    import onnx
    width, height = map(int, graph.codec.input_size)
    # traced with two, so that no size of one is taken for a constant
    example = torch.zeros(2 if dynamic_batch else 1, 3, height, width)
    # The newer exporter knows no operator set below 18; torch before 2.5 has
    # no such choice.
    known = inspect.signature(torch.onnx.export).parameters
    older: dict[str, Any] = dict(dynamo=False) if 'dynamo' in known else {}
    with warnings.catch_warnings(), torch.no_grad():
        # of torch about its own older exporter, and about Python values in
        # the trace, which the comparison would tell
        warnings.simplefilter('ignore')
        shapes = [value.shape for value in graph.eval()(example)]
        torch.onnx.export(
            graph, (example, ), str(path),
            input_names=['input'],
            output_names=list(graph.output_names),
            dynamic_axes={name: {0: 'B'}
                          for name in ('input', *graph.output_names)}
            if dynamic_batch else None,
            opset_version=opset,
            **older)
    exported = onnx.load(str(path))
    for output, shape in zip(exported.graph.output, shapes, strict=True):
        for i, length in enumerate(shape[1:], 1):  # the exporter loses some
            output.type.tensor_type.shape.dim[i].dim_value = length
    save_checked(exported, path, _metadata(graph))


def _metadata(graph: PoseGraph) -> dict[str, str]:
    mean, std = normalisation(graph.model)
    config: Any = graph.model.cfg
    padding = next(
        (step.get('padding', 1.25)
         for step in config.test_dataloader.dataset.pipeline
         if step['type'] == 'GetBBoxCenterScale'), 1.25)
    values = dict(
        keypoint_names=NAMES,
        skeleton=SKELETON,
        flip_indices=FLIP_INDICES,
        input_size=tuple(map(int, graph.codec.input_size)),
        mean=mean,
        std=std,
        bbox_padding=padding)
    texts = {name: json.dumps(value) for name, value in values.items()}
    texts['input'] = ('float32, RGB, (level - mean) / std; a box, enlarged '
                      'by bbox_padding and to the aspect of input_size')
    if graph.decode:
        texts['outputs'] = 'keypoints x, y in px of the input; scores'
    elif graph.is_simcc:
        texts['outputs'] = 'place in px: argmax / simcc_split_ratio'
        texts['simcc_split_ratio'] = json.dumps(graph.codec.simcc_split_ratio)
    else:
        texts['outputs'] = 'place in px: argmax * heatmap_stride'
        texts['heatmap_stride'] = json.dumps(
            [float(value) for value in graph.codec.scale_factor])
    return texts


def compare(graph: PoseGraph, path: Path,
            sizes: Sequence[int] = (1, )) -> dict[str, float]:
    """Largest difference between onnxruntime and torch for each output.

    Where values are above 1, it is in parts of the largest of them. Of
    decoded points the median is taken: where two bins are as high as one
    another, rounding decides, and the point jumps.

    Args:
        graph (PoseGraph): What was exported.
        path (Path): The exported file.
        sizes (Sequence[int]): Batches to try. Defaults to (1, ).
    """
    session = open_session(path)
    width, height = map(int, graph.codec.input_size)
    generator = torch.Generator().manual_seed(0)
    largest = dict.fromkeys(graph.output_names, 0.)
    for size in sizes:
        image = torch.randn(size, 3, height, width, generator=generator)
        with torch.no_grad():
            wanted = graph(image)
        found = session.run(list(graph.output_names),
                            {'input': image.numpy()})
        for name, value, want in zip(graph.output_names, found, wanted,
                                     strict=True):
            difference = np.abs(value - want.numpy())
            worst = (np.median(difference) if name == 'keypoints' else
                     difference.max())
            scale = max(1., float(want.abs().max()))
            largest[name] = float(np.maximum(largest[name], worst / scale))
    return largest


def normalisation(model: Any) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, of three channels in the model's order."""
    preprocessor = model.data_preprocessor
    if not getattr(preprocessor, '_enable_normalize', False):
        return [0.] * 3, [1.] * 3
    mean, std = (
        [round(float(level), 4) for level in value.flatten()]
        for value in (preprocessor.mean, preprocessor.std))
    return mean, std

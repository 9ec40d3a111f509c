"""``tools/export_onnx.py`` for windows of pose tracks."""
from __future__ import annotations

import argparse
import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.behavior.estimator import LisbetModel
from mmpose_ext.behavior.predictive_head import LisbetContrastHead
from mmpose_ext.onnx_files import (
    check_name,
    open_session,
    packages_are_there,
    require_parity,
    save_checked,
)
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError, atomic_file
from mmpose_ext.training import load_whole

EMBEDDING = 'embedding'
BATCH_SIZES = (1, 7)
TOLERANCE = 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=Path, required=True, help='.onnx file')
    parser.add_argument(
        '--raw', action='store_true',
        help='the graph takes coordinates, NaN where missing, and computes '
        'the features itself')
    parser.add_argument(
        '--opset', type=int, default=17, help='(default: 17)')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    if not packages_are_there():
        return 1
    check_name(arguments.out)
    model = load_behavior_model(config, arguments.checkpoint)
    graph = WindowGraph(model, window_size(config, model), arguments.raw)
    with atomic_file(arguments.out) as temporary:
        try:
            export(graph, temporary, arguments.opset)
        except torch.onnx.errors.UnsupportedOperatorError as error:
            raise DataError(
                arguments.out, 'operators', 'those of ONNX '
                f'{arguments.opset}', str(error).split(' to ONNX')[0],
                'try another --opset, or leave --raw out') from error
        text = require_parity(arguments.out, compare(graph, temporary),
                              TOLERANCE)
    print(f'largest differences from torch: {text}\n'
          f'written: {arguments.out}')
    return 0


def load_behavior_model(config: Config, checkpoint: Path) -> LisbetModel:
    """A config's model with the weights of a checkpoint, on the CPU.

    Raises:
        DataError: If it is another kind of model, or the weights are.
    """
    model = MODELS.build(config.model)
    if not isinstance(model, LisbetModel):
        raise DataError(config.filename, 'model.type',
                        'mmpose_ext.LisbetModel', type(model).__name__)
    load_whole(model, checkpoint, config)
    return model.eval()


def window_size(config: Config, model: LisbetModel) -> int:
    """W, of the config's data or of the learned positions.

    Raises:
        DataError: If neither tells.
    """
    for part in ('test', 'val', 'train'):
        dataset = (config.get(f'{part}_dataloader') or {}).get('dataset', {})
        if 'window_size' in dataset:
            return int(dataset['window_size'])
    places = getattr(getattr(model.backbone, 'pos_embedder', None),
                     'pos_emb', None)
    if places is None:
        raise DataError(config.filename, 'test_dataloader.dataset',
                        'window_size', 'none')
    return len(places)


class WindowGraph(nn.Module):
    """What is exported: windows to an embedding and scores of tasks.

    Args:
        model (LisbetModel): Trained, on the CPU.
        size (int): W.
        raw (bool): Whether the graph takes coordinates.

    Attributes:
        shape: Of one window.
        outputs: Names of the outputs.
    """

    def __init__(self, model: LisbetModel, size: int, raw: bool) -> None:
        super().__init__()
        self.model, self.raw = model.eval(), raw
        backbone: Any = model.backbone
        self.shape: tuple[int, ...] = (size, backbone.in_channels)
        if raw:
            layout: Any = model.data_preprocessor.layout
            self.shape = (size, layout.individuals, layout.keypoints,
                          layout.axes)
        # which windows belong together is no question to one window
        self.tasks = [task for task, head in model.heads.items()
                      if not isinstance(head, LisbetContrastHead)]
        self.outputs = [EMBEDDING, *(f'scores_{task}'
                                     for task in self.tasks)]

    def forward(self, windows: Tensor) -> tuple[Tensor, ...]:
        """Outputs in the order of ``outputs``."""
        if self.raw:
            preprocessor: Any = self.model.data_preprocessor
            windows = preprocessor.describe(windows)
        tokens = self.model.extract_feat(windows)
        place = self.shape[0] - 1 - self.model.window_offset
        heads: Any = self.model.heads
        return (tokens[:, place], *(heads[task].predict(tokens)['scores']
                                    for task in self.tasks))


def export(graph: WindowGraph, path: Path, opset: int = 17) -> None:
    """Export with metadata that lets a program use the file alone.

    The input ``windows`` is (B, W, F) features or, raw, (B, W, N, K, S)
    coordinates scaled as in training, NaN where missing. The outputs are
    ``embedding`` (B, D) and ``scores_<task>``, chances (B, 1) or (B, C).

    Args:
        graph (WindowGraph): What to export.
        path (Path): File to write.
        opset (int): ONNX operator set. Defaults to 17.
    """
    import onnx
    # The newer exporter knows no operator set below 18; torch before 2.5 has
    # no such choice.
    known = inspect.signature(torch.onnx.export).parameters
    older: dict[str, Any] = dict(dynamo=False) if 'dynamo' in known else {}
    with warnings.catch_warnings(), torch.no_grad():
        # of torch about its own older exporter, and about sizes that are
        # fixed here
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph.eval(), (example_of(graph, 2), ), str(path),
            input_names=['windows'],
            output_names=graph.outputs,
            dynamic_axes={name: {0: 'B'}
                          for name in ('windows', *graph.outputs)},
            opset_version=opset,
            **older)
    model = graph.model
    save_checked(onnx.load(str(path)), path, dict(
        input='coordinates (B, W, N, K, S), scaled as in training, NaN '
        'missing' if graph.raw else 'features (B, W, F)',
        shape=json.dumps(graph.shape),
        window_offset=str(model.window_offset),
        tasks=json.dumps(graph.tasks)))


def example_of(graph: WindowGraph, count: int) -> Tensor:
    """Smooth random windows (B, ...), some points missing if raw."""
    generator = torch.Generator().manual_seed(0)
    steps = .02 * torch.randn((count, *graph.shape), generator=generator)
    windows = .5 + steps.cumsum(1)
    if graph.raw:
        missing = torch.rand(windows.shape[:-1], generator=generator) < .05
        windows[missing] = torch.nan
    return windows


def compare(graph: WindowGraph, path: Path) -> dict[str, float]:
    """Largest difference between onnxruntime and torch for each output.

    Args:
        graph (WindowGraph): What was exported.
        path (Path): The exported file.
    """
    session = open_session(path)
    largest = dict.fromkeys(graph.outputs, 0.)
    for count in BATCH_SIZES:
        windows = example_of(graph, count)
        with torch.no_grad():
            wanted = graph(windows)
        found = session.run(graph.outputs, {'windows': windows.numpy()})
        for name, value, want in zip(graph.outputs, found, wanted,
                                     strict=True):
            difference = np.abs(value - want.numpy()).max()
            # not max(): a NaN is no parity
            largest[name] = float(np.maximum(largest[name], difference))
    return largest

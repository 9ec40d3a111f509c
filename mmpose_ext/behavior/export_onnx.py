"""``tools/export_onnx.py`` for windows of pose tracks."""
from __future__ import annotations

import argparse
import json
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from mmpose_ext.behavior.estimator import LisbetModel
from mmpose_ext.behavior.inference import load_model
from mmpose_ext.behavior.predictive_head import LisbetContrastHead
from mmpose_ext.onnx_files import ExportGraph, add_export_options, run_export
from mmpose_ext.storage import DataError

EMBEDDING = 'embedding'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_export_options(parser, 'windows', any_batch=True)
    parser.add_argument(
        '--raw', action='store_true',
        help='the graph takes coordinates, NaN where missing, and computes '
        'the features itself')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    return run_export(config, arguments, build_graph)


def build_graph(config: Config,
                arguments: argparse.Namespace) -> WindowGraph:
    """What the command exports."""
    model, _ = load_model(config, arguments.checkpoint, torch.device('cpu'))
    return WindowGraph(model, window_size(config, model), arguments.raw)


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


class WindowGraph(ExportGraph):
    """What is exported: windows to an embedding and scores of tasks.

    The input ``windows`` is (B, W, F) features or, raw, (B, W, N, K, S)
    coordinates scaled as in training, NaN where missing. The outputs are
    ``embedding`` (B, D) and ``scores_<task>``, chances (B, 1) or (B, C).

    Args:
        model (LisbetModel): Trained, on the CPU.
        size (int): W.
        raw (bool): Whether the graph takes coordinates.

    Attributes:
        shape: Of one window.
    """

    inputs = ('windows', )

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
        self.outputs = (EMBEDDING, *(f'scores_{task}'
                                     for task in self.tasks))

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

    def example(self, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Smooth random windows (B, ...), some points missing if raw."""
        generator = torch.Generator().manual_seed(seed)
        steps = .02 * torch.randn((batch, *self.shape), generator=generator)
        windows = .5 + steps.cumsum(1)
        if self.raw:
            missing = torch.rand(
                windows.shape[:-1], generator=generator) < .05
            windows[missing] = torch.nan
        return (windows, )

    def metadata(self) -> dict[str, str]:
        """What a program has to know that uses the file alone."""
        return dict(
            input='coordinates (B, W, N, K, S), scaled as in training, NaN '
            'missing' if self.raw else 'features (B, W, F)',
            shape=json.dumps(self.shape),
            window_offset=str(self.model.window_offset),
            tasks=json.dumps(self.tasks))

"""``tools/benchmark.py`` for the behaviour transformer.

Every rate stands beside that of a bare PyTorch loop on ready tensors, as one
would write it by hand: ``nn.TransformerEncoder`` with the same weights, one
task after the other, and the config's optimiser.
"""
from __future__ import annotations

import argparse
import copy
import itertools
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from mmpose_ext.behavior.estimator import LisbetModel
from mmpose_ext.behavior.network import LisbetTransformer
from mmpose_ext.registry import DATA_SAMPLERS, DATASETS
from mmpose_ext.training.benchmark import Benchmark, ScalingAxis, Work
from mmpose_ext.training.benchmark_figures import Session, bare_optimizer
from mmpose_ext.training.stopwatch import Step, Stopwatch

WINDOW_SIZES = (16, 32, 64, 128, 256)


class LisbetBenchmark(Benchmark):
    """Windows of all tasks."""

    unit = 'windows'
    batch_sizes = (1, 4, 16, 64)

    def count_samples(self, session: Session) -> int:
        """Windows, of which a batch has one a task and sample."""
        return len(session.batch['inputs'])

    def bare_training(self, runner: Runner, batch: Any) -> Step:
        """See :func:`bare_training`."""
        return bare_training(runner, batch)

    def inference(self, session: Session) -> dict[str, Work]:
        """Embedding windows whose features are ready."""
        count = session.batch_size
        ours, bare = embedding_steps(
            session.runner.model, count, session.batch['inputs'].shape[1])
        return dict(ours=Work(ours, count), bare=Work(bare, count))

    def axes(self, config: Config) -> dict[str, ScalingAxis]:
        """Frames of a window, and the batch."""
        batch = super().axes(config)['batch']._replace(
            label='windows of each task in a batch')
        return dict(window=ScalingAxis('frames of a window', WINDOW_SIZES,
                                       set_window_size), batch=batch)

    def measure_more(self, session: Session,
                     arguments: argparse.Namespace) -> dict[str, Any]:
        """Making features, and cutting windows of each task."""
        return dict(
            tasks=len(session.batch['data_samples']),
            preprocessing=measure_preprocessing(
                session, arguments.iterations),
            assembly=measure_assembly(session, arguments.iterations))


def set_window_size(config: Config, frames: int) -> None:
    """Let windows look as far ahead as back."""
    window = dict(window_size=frames, window_offset=frames // 2 - 1)
    config.train_dataloader.dataset.update(window)
    config.model.window_offset = window['window_offset']
    config.model.backbone.max_length = frames


class BareTransformer(nn.Module):
    """The network as torch's own modules, with the weights of ours.

    Args:
        backbone (LisbetTransformer): Whose weights to copy.
    """

    def __init__(self, backbone: LisbetTransformer) -> None:
        super().__init__()
        first: Any = backbone.transformer_encoder.layers[0]
        layer = nn.TransformerEncoderLayer(
            backbone.embed_dims, backbone.num_heads,
            first.linear1.out_features, 0., 'gelu', batch_first=True,
            norm_first=True)
        self.embedder = copy.deepcopy(backbone.frame_embedder)
        self.positions = copy.deepcopy(backbone.pos_embedder)
        self.encoder = nn.TransformerEncoder(
            layer, len(backbone.transformer_encoder.layers),
            norm=copy.deepcopy(backbone.layer_norm),
            enable_nested_tensor=False)
        state = {f'layers.{name}': value for name, value
                 in backbone.transformer_encoder.layers.state_dict().items()}
        state.update({f'norm.{name}': value for name, value
                      in backbone.layer_norm.state_dict().items()})
        self.encoder.load_state_dict(state)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Map windows (B, W, F) to tokens (B, W, D)."""
        tokens = self.positions(self.embedder(x))
        return (self.encoder(tokens), )


def bare_network(model: LisbetModel) -> LisbetModel:
    """A copy of a model, with torch's transformer where it has ours."""
    network = copy.deepcopy(model)
    backbone = network.backbone
    if isinstance(backbone, LisbetTransformer) and (
            backbone.positions != 'rotary' and not backbone.causal):
        network.backbone = BareTransformer(backbone)
    return network


def bare_training(runner: Runner, batch: Any) -> Step:
    """An iteration of training on ready tensors.

    For each task in turn a forward pass of its windows, its loss and a
    backward pass; then one step of the optimiser. There is no clipping, EMA
    or schedule.

    Args:
        runner (Runner): Whose network to copy.
        batch (dict): As the data loader gives it.
    """
    network: Any = bare_network(runner.model).train()
    with torch.no_grad():
        data = runner.model.data_preprocessor(copy.deepcopy(batch), True)
    inputs, samples = data['inputs'], data['data_samples']
    optimizer = bare_optimizer(runner, network)
    parts = []
    for sample in samples:
        first = sample.metainfo['first']
        windows = inputs[first:first + sample.metainfo['windows']]
        parts.append((windows.clone(), sample,
                      network.heads[sample.metainfo['task']]))

    def step() -> None:
        optimizer.zero_grad()
        for windows, sample, head in parts:
            tokens = network.backbone(windows)[-1]
            head.loss(tokens, sample)['loss'].backward()
        optimizer.step()

    return step


def embedding_steps(model: LisbetModel, count: int,
                    frames: int) -> tuple[Step, Step]:
    """Embed a batch of windows, by our network and by the bare one.

    Args:
        model (LisbetModel): Not changed.
        count (int): Windows.
        frames (int): Of a window.
    """
    model = copy.deepcopy(model).eval()
    backbone: Any = model.backbone
    bare: Any = bare_network(model).eval()
    windows = torch.rand(count, frames, backbone.in_channels,
                         device=next(model.parameters()).device)
    token = frames - 1 - model.window_offset

    def ours_step() -> None:
        with torch.inference_mode():
            if hasattr(backbone, 'forward_token'):
                backbone.forward_token(windows, token)
            else:
                backbone(windows)

    def bare_step() -> None:
        with torch.inference_mode():
            bare.backbone(windows)[-1][:, token]

    return ours_step, bare_step


def measure_assembly(session: Session,
                     iterations: int) -> dict[str, dict[str, float]]:
    """Rates of cutting and mixing windows of each task by itself.

    Returns:
        dict: Rates by task, for as many windows as a batch has.
    """
    loader = session.runner.cfg.train_dataloader
    rates = {}
    for sample in session.batch['data_samples']:
        name = sample.metainfo['task']
        told = loader.dataset.get('task_settings') or {}
        dataset = DATASETS.build(dict(
            loader.dataset, tasks=[name],
            task_settings={name: told[name]} if name in told else None))
        sampler = iter(DATA_SAMPLERS.build(
            dict(loader.sampler, dataset=dataset, seed=0, infinite=True)))
        watch = Stopwatch()
        for _ in range(iterations):
            draws = list(itertools.islice(sampler, session.batch_size))
            with watch.timing():
                dataset.__getitems__(draws)
        rates[name] = watch.rate(session.batch_size)
    return rates


def measure_preprocessing(session: Session,
                          iterations: int) -> dict[str, float]:
    """Rate of making features of windows, augmentation included."""
    preprocess = session.runner.model.data_preprocessor
    batches = [copy.deepcopy(session.batch) for _ in range(iterations + 1)]
    preprocess(batches.pop(), True)
    watch = Stopwatch()
    with watch.timing(iterations):
        for batch in batches:
            preprocess(batch, True)
    return watch.rate(session.batch_size)


_BENCHMARK = LisbetBenchmark()
add_arguments, run = _BENCHMARK.add_arguments, _BENCHMARK.run

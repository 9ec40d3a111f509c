"""``tools/benchmark.py`` for the behaviour transformer.

Every rate stands beside that of a bare PyTorch loop on ready tensors, as one
would write it by hand: ``nn.TransformerEncoder`` with the same weights, one
task after the other, and the config's optimiser.
"""
from __future__ import annotations

import argparse
import copy
import itertools
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from mmpose_ext.behavior.estimator import LisbetModel
from mmpose_ext.behavior.network import LisbetTransformer
from mmpose_ext.registry import DATA_SAMPLERS, DATASETS
from mmpose_ext.training.benchmark import (
    Session,
    Stopwatch,
    add_common_arguments,
    bare_optimizer,
    count_complexity,
    describe_machine,
    measure_by_turns,
    measure_loading,
    measure_training,
    open_session,
    peak_memory,
    publish,
)

Step = Callable[[], None]

BATCH_SIZE = 128  # windows at a time when embedding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_common_arguments(parser)


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Measure and publish."""
    torch.set_num_threads(arguments.threads)
    with open_session(config) as session:
        figures = measure(session, arguments)
    publish(figures, arguments.json)
    return 0


def measure(session: Session,
            arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures of a config, rates in windows of all tasks."""
    model = session.runner.model
    windows = len(session.batch['inputs'])
    # rates count windows, of which a batch has several a sample
    session = Session(session.runner, session.batch, windows)
    figures: dict[str, Any] = dict(
        config=str(session.runner.cfg.filename),
        machine=describe_machine(model),
        batch_size=windows,
        tasks=len(session.batch['data_samples']),
        complexity=count_complexity(session),
        inference_windows=measure_inference(model, session,
                                            arguments.seconds),
        preprocessing_windows=measure_preprocessing(
            session, arguments.iterations),
        loading_windows=measure_loading(session, arguments.iterations),
        assembly_windows=measure_assembly(session, arguments.iterations),
        training_windows=measure_training(
            session, arguments.iterations, bare_training))
    figures['peak_memory_mib'] = peak_memory()
    return figures


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


def measure_inference(model: LisbetModel, session: Session,
                      seconds: float) -> dict[str, Any]:
    """Rates of embedding windows whose features are ready.

    Returns:
        dict: ``ours`` and ``bare``, rates and latencies of batches of
        `BATCH_SIZE`, and ``ratio``, that of the CPU rates.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    shape = session.batch['inputs'].shape
    backbone: Any = model.backbone
    windows = torch.rand(BATCH_SIZE, shape[1], backbone.in_channels,
                         device=device)
    token = shape[1] - 1 - model.window_offset
    bare: Any = bare_network(model).eval()

    def ours_step() -> None:
        with torch.inference_mode():
            if hasattr(backbone, 'forward_token'):
                backbone.forward_token(windows, token)
            else:
                backbone(windows)

    def bare_step() -> None:
        with torch.inference_mode():
            bare.backbone(windows)[-1][:, token]

    result: dict[str, Any] = dict(measure_by_turns(
        dict(ours=ours_step, bare=bare_step),
        dict.fromkeys(('ours', 'bare'), BATCH_SIZE), seconds))
    model.train(training)
    result['ratio'] = (result['ours']['per_cpu_second']
                       / result['bare']['per_cpu_second'])
    return result


def measure_assembly(session: Session,
                     iterations: int) -> dict[str, dict[str, float]]:
    """Rates of cutting and mixing windows of each task by itself.

    Returns:
        dict: Rates of batches of `BATCH_SIZE` by task.
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
            draws = list(itertools.islice(sampler, BATCH_SIZE))
            with watch.timing():
                dataset.__getitems__(draws)
        rates[name] = watch.rate(BATCH_SIZE)
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

"""``tools/benchmark.py`` for the direction tagger.

Every rate stands beside that of a bare PyTorch loop on ready tensors: the
same network and the same optimiser, and nothing else, which is what one
would write by hand.
"""
from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmpose_ext.direction.estimator import DirectionEstimator
from mmpose_ext.direction.inference import DirectionTagger
from mmpose_ext.training.benchmark import (
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

BATCH_SIZES = (1, 64, 512)
BARE_BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_common_arguments(parser)


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Measure and publish."""
    torch.set_num_threads(arguments.threads)
    with open_session(config) as session:
        model = session.runner.model
        figures: dict[str, Any] = dict(
            config=str(config.filename),
            machine=describe_machine(model),
            batch_size=session.batch_size,
            complexity=count_complexity(session),
            inference_images=measure_inference(model, arguments.seconds),
            loading_images=measure_loading(session, arguments.iterations),
            training_images=measure_training(session, arguments.iterations,
                                             bare_training))
        figures['peak_memory_mib'] = peak_memory()
    publish(figures, arguments.json)
    return 0


def bare_training(runner: Runner, batch: Any) -> Step:
    """An iteration of training on ready, unaugmented tensors.

    Its network is a copy in channels_last format and its optimiser has the
    settings of the config; there is no EMA, clipping or schedule.

    Args:
        runner (Runner): Whose network to copy.
        batch (dict): As the data loader gives it.
    """
    network = copy.deepcopy(runner.model).train()
    network.to(memory_format=torch.channels_last)
    device = next(network.parameters()).device
    inputs = batch['inputs'].to(device).float() / 255 - .5
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    labels = batch['data_samples'][0].gt_instance_labels.to(device)
    target, weight = labels.keypoint_labels, labels.keypoint_weights
    optimizer = bare_optimizer(runner, network)
    head = network.head

    def step() -> None:
        optimizer.zero_grad()
        points, sigma = head.locate(network.backbone(inputs))
        loss = head.loss_module(points, sigma, target, weight)
        if head.angle_loss is not None:
            loss = loss + head.angle_loss(points, target, weight)
        loss.backward()
        optimizer.step()

    return step


def bare_inference(model: DirectionEstimator,
                   batch_size: int = BARE_BATCH) -> Step:
    """A forward pass on ready float tensors, in torch's default layout."""
    network = copy.deepcopy(model).eval().to(
        memory_format=torch.contiguous_format)
    size = int(model.head.decoder.input_size[0])
    device = next(network.parameters()).device
    inputs = torch.rand(batch_size, 1, size, size, device=device) - .5

    def step() -> None:
        with torch.inference_mode():
            network.head.locate(network.backbone(inputs))

    return step


def measure_inference(model: DirectionEstimator,
                      seconds: float) -> dict[str, Any]:
    """Rates of tagging uint8 images as ``tools/predict.py`` does.

    Returns:
        dict: ``batch_1``, ``batch_64``, ``batch_512``, ``bare_64`` and
        ``d4_64``, each with rates and latencies, and ``ratio_64``, that of
        the CPU rates to the bare loop's.
    """
    device = str(next(model.parameters()).device)
    tagger = DirectionTagger(model, device)
    careful = DirectionTagger(model, device, 'd4')
    images = np.random.default_rng(0).integers(
        0, 256, (max(BATCH_SIZES), tagger.size, tagger.size), np.uint8)

    def tagging(which: DirectionTagger, count: int) -> Step:

        def step() -> None:
            which.tag(images[:count])

        return step

    steps = {f'batch_{count}': tagging(tagger, count)
             for count in BATCH_SIZES}
    steps[f'd4_{BARE_BATCH}'] = tagging(careful, BARE_BATCH)
    steps[f'bare_{BARE_BATCH}'] = bare_inference(model)
    samples = {name: int(name.rpartition('_')[2]) for name in steps}
    result: dict[str, Any] = dict(measure_by_turns(steps, samples, seconds))
    ours, bare = (result[f'{name}_{BARE_BATCH}']['per_cpu_second']
                  for name in ('batch', 'bare'))
    result[f'ratio_{BARE_BATCH}'] = ours / bare
    return result

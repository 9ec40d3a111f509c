"""``tools/benchmark.py`` for the direction tagger.

Every rate stands beside that of a bare PyTorch loop on ready tensors: the
same network and the same optimiser, and nothing else, which is what one
would write by hand.
"""
from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner

from mmpose_ext.direction.estimator import DirectionEstimator
from mmpose_ext.direction.inference import DirectionTagger
from mmpose_ext.training.benchmark import Benchmark, Work
from mmpose_ext.training.benchmark_figures import Session, bare_optimizer
from mmpose_ext.training.stopwatch import Step

OTHER_BATCHES = (1, 512)


class DirectionBenchmark(Benchmark):
    """Images of one animal."""

    unit = 'images'

    def bare_training(self, runner: Runner, batch: Any) -> Step:
        """See :func:`bare_training`."""
        return bare_training(runner, batch)

    def inference(self, session: Session) -> dict[str, Work]:
        """Tagging uint8 images as ``tools/predict.py`` does.

        Returns:
            dict[str, Work]: ``ours``, ``bare``, ``batch_1``, ``batch_512``
            and ``d4``, in all eight positions.
        """
        model: Any = session.runner.model
        device = str(next(model.parameters()).device)
        tagger = DirectionTagger(model, device)
        careful = DirectionTagger(model, device, 'd4')
        count = session.batch_size
        images = np.random.default_rng(0).integers(
            0, 256, (max(count, *OTHER_BATCHES), tagger.size, tagger.size),
            np.uint8)

        def tagging(which: DirectionTagger, count: int) -> Work:

            def step() -> None:
                which.tag(images[:count])

            return Work(step, count)

        return dict(
            ours=tagging(tagger, count),
            bare=Work(bare_inference(model, count), count),
            **{f'batch_{few}': tagging(tagger, few)
               for few in OTHER_BATCHES},
            d4=tagging(careful, count))


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
                   batch_size: int = 64) -> Step:
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


_BENCHMARK = DirectionBenchmark()
add_arguments, run = _BENCHMARK.add_arguments, _BENCHMARK.run

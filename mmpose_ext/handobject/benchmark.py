"""``tools/benchmark.py`` for hands and objects.

A plain loop over ready batches stands beside the Runner, MMPose's own
top-down pipeline beside ours. ``--step`` measures a training step at the
config's real size instead, for which no data set is needed.
"""
from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmpose_ext.handobject.model_report import without_weights
from mmpose_ext.handobject.pipeline_benchmark import compare_pipelines
from mmpose_ext.handobject.records import HandObjectTargets
from mmpose_ext.handobject.sigma_linear import fold_sigma
from mmpose_ext.handobject.step_cost import compare_steps
from mmpose_ext.storage import DataError
from mmpose_ext.training.benchmark import (
    Session,
    add_common_arguments,
    bare_optimizer,
    describe_machine,
    measure_by_turns,
    measure_loading,
    measure_training,
    open_session,
    peak_memory,
    publish,
)

Step = Callable[[], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_common_arguments(parser)
    parser.set_defaults(iterations=40)
    parser.add_argument(
        '--step', action='store_true',
        help='time and memory of a training step, with activations kept and '
        'with blocks that run twice; the data set is not needed')
    parser.add_argument(
        '--batch', type=int, default=1,
        help='samples of --step (default: 1)')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Measure and publish."""
    if arguments.batch < 1:
        raise DataError('command line', '--batch', 'at least 1',
                        str(arguments.batch))
    torch.set_num_threads(arguments.threads)
    figures: dict[str, Any] = dict(config=str(config.filename))
    if arguments.step:
        figures['step'] = compare_steps(config, arguments.batch)
    else:
        figures.update(_measure(config, arguments))
    publish(figures, arguments.json)
    return 0


def count_head_complexity(session: Session) -> dict[str, int]:
    """Parameters, and operations of one sample's forward pass.

    Returns:
        dict[str, int]: ``parameters``, ``trainable``, ``flops`` and
        ``macs``, half of these; ``backbone_flops`` among them.
    """
    parameters = list(session.runner.model.parameters())
    # the counter's hooks take parameters for inputs with a gradient
    model: Any = copy.deepcopy(session.runner.model).requires_grad_(False)
    model.eval()
    inputs, camera = _inputs_of(session)
    # as products of matrices, attention is counted on every device
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as of_backbone:
            feats = model.extract_feat(inputs)
        with FlopCounterMode(display=False) as of_head:
            model.head(feats, camera)
    count = session.batch_size
    backbone = of_backbone.get_total_flops() // count
    flops = backbone + of_head.get_total_flops() // count
    return dict(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        flops=flops, macs=flops // 2, backbone_flops=backbone)


def measure_inference(session: Session,
                      seconds: float) -> dict[str, dict[str, float]]:
    """Rates of prediction.

    Args:
        session (Session): Of a model of this family.
        seconds (float): About how long to measure each.

    Returns:
        dict: Rates and latencies of ``from_crops`` (normalisation to
        predictions in the photographs' frames), of the ``network`` alone,
        ``folded``, its reparametrised layers made plain, and ``one``, that
        for a single crop.
    """
    model: Any = copy.deepcopy(session.runner.model).eval()
    folded: Any = fold_sigma(copy.deepcopy(model)).eval()
    inputs, camera = _inputs_of(session)
    batch = session.batch

    def from_crops() -> None:
        with torch.inference_mode():
            folded.val_step(batch)

    def network() -> None:
        with torch.inference_mode():
            model.head(model.extract_feat(inputs), camera)

    def plain() -> None:
        with torch.inference_mode():
            folded.head(folded.extract_feat(inputs), camera)

    def one() -> None:
        with torch.inference_mode():
            folded.head(folded.extract_feat(inputs[:1]), camera[:1])

    count = session.batch_size
    return measure_by_turns(
        dict(from_crops=from_crops, network=network, folded=plain, one=one),
        dict(from_crops=count, network=count, folded=count, one=1), seconds)


def bare_training(runner: Runner, batch: Any) -> Step:
    """An iteration of training on a ready batch, and nothing else.

    Args:
        runner (Runner): Whose network to copy.
        batch (dict): As the data loader gives it.
    """
    made: list[Any] = []

    def step() -> None:
        if not made:  # now, for hooks change the model as the run begins
            model = copy.deepcopy(runner.model).train()
            made.extend([model, model.data_preprocessor(batch, True),
                         bare_optimizer(runner, model)])
        model, ready, optimizer = made
        optimizer.zero_grad()
        losses = model.loss(**ready)
        sum(value for name, value in losses.items()
            if 'loss' in name).backward()
        optimizer.step()

    return step


def _measure(config: Config, arguments: argparse.Namespace) -> dict[str, Any]:
    pipelines = compare_pipelines(config, arguments.seconds)
    with open_session(without_weights(config)) as session:
        return dict(
            machine=describe_machine(session.runner.model),
            batch_size=session.batch_size,
            complexity=count_head_complexity(session),
            pipeline_samples=pipelines,
            inference_samples=measure_inference(session, arguments.seconds),
            loading_samples=measure_loading(session, arguments.iterations),
            training_samples=measure_training(
                session, arguments.iterations, bare_training),
            peak_memory_mib=peak_memory())


def _inputs_of(session: Session) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised crops (B, 3, S, S) and their cameras (B, 3, 3)."""
    model: Any = session.runner.model
    ready = model.data_preprocessor(session.batch, False)
    inputs = ready['inputs']
    targets = HandObjectTargets.stack(ready['data_samples'],
                                      inputs.shape[-1], inputs.device)
    return inputs, targets.view_camera

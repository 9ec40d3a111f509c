"""``tools/benchmark.py`` for volumes.

A step on ready volumes stands beside the Runner's. ``--against-reference``
sets the network against the plain one, ``--scaling`` draws what a step costs
against the voxels and the views.
"""
from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.flop_counter import FlopCounterMode

from mmpose_ext.storage import DataError, atomic_file
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
from mmpose_ext.volumetric.network import DannceUNet
from mmpose_ext.volumetric.step_cost import compare_steps, measure_scaling

Step = Callable[[], None]

SCALING_VIEWS = (1, 2, 4, 6)
SCALING_VOXELS = (32, 48, 64, 80)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_common_arguments(parser)
    parser.set_defaults(iterations=16)
    parser.add_argument(
        '--against-reference', action='store_true',
        help='compare time, memory and results of a training step with the '
        'plain network; the data set is not needed')
    parser.add_argument(
        '--scaling', type=Path, metavar='PNG',
        help='draw the cost of a training step against voxels and views; the '
        'data set is not needed')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Measure and publish."""
    torch.set_num_threads(arguments.threads)
    figures: dict[str, Any] = dict(config=str(config.filename))
    if arguments.against_reference or arguments.scaling:
        views, channels, size, keypoints, nvox = _network_of(config)
        refiner = _refiner_of(config)
        if arguments.against_reference:
            figures['against_reference'] = compare_steps(
                views, channels, size, keypoints, nvox, refiner=refiner)
        if arguments.scaling:
            figures['scaling'] = measure_scaling(
                size, keypoints, SCALING_VOXELS, SCALING_VIEWS,
                refiner=refiner)
            draw_scaling(figures['scaling'], arguments.scaling)
    else:
        figures.update(_measure(config, arguments))
    publish(figures, arguments.json)
    return 0


def _measure(config: Config, arguments: argparse.Namespace) -> dict[str, Any]:
    config = copy.deepcopy(config)
    config.load_from = None  # weights play no part
    with open_session(config) as session:
        model: Any = session.runner.model
        return dict(
            machine=describe_machine(model),
            batch_size=session.batch_size,
            complexity=count_volume_complexity(session),
            building_cpu_ms=measure_building(session, arguments.seconds),
            inference_samples=measure_inference(session, arguments.seconds),
            loading_samples=measure_loading(session, arguments.iterations),
            training_samples=measure_training(
                session, arguments.iterations, bare_training),
            peak_memory_mib=peak_memory())


def count_volume_complexity(session: Session) -> dict[str, int]:
    """Parameters, and multiplications of one volume's forward pass.

    These are those of the plain sums, whatever the convolutions make of
    them. Those of a refiner, a ten thousandth, are not counted.

    Args:
        session (Session): Of a model with volumes.
    """
    model: Any = session.runner.model
    inputs = model.data_preprocessor(session.batch, False)['inputs']
    # without a device nothing is rearranged
    backbone = copy.deepcopy(model.backbone).to('meta').eval()
    head = copy.deepcopy(model.head).to('meta').eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        head(backbone(inputs['volumes'][:1].to('meta')))
    parameters = list(model.parameters())
    return dict(
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        macs=counter.get_total_flops() // 2)


def measure_building(session: Session, seconds: float) -> float:
    """CPU-milliseconds of a sample's volumes, without augmentation."""
    preprocess = session.runner.model.data_preprocessor
    preprocess(session.batch, False)
    count, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        preprocess(session.batch, False)
        count += session.batch_size
    return (time.process_time() - began) / count * 1e3


def measure_inference(session: Session,
                      seconds: float) -> dict[str, dict[str, float]]:
    """Rates from uint8 images to points, and of the network alone."""
    model: Any = copy.deepcopy(session.runner.model).eval()
    inputs = model.data_preprocessor(session.batch, False)['inputs']

    def from_images() -> None:
        with torch.inference_mode():
            model(**model.data_preprocessor(session.batch, False),
                  mode='predict')

    def network() -> None:
        with torch.inference_mode():
            model.head(model.extract_feat(inputs))

    count = session.batch_size
    return measure_by_turns(
        dict(from_images=from_images, network=network),
        dict(from_images=count, network=count), seconds)


def bare_training(runner: Runner, batch: Any) -> Step:
    """An iteration of training on ready volumes, and nothing else.

    Args:
        runner (Runner): Whose network to copy.
        batch (dict): As the data loader gives it.
    """
    made: list[Any] = []

    def step() -> None:
        if not made:  # now, for at the start of a run losses are prepared
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


def draw_scaling(figures: dict[str, dict[str, Any]], out: Path) -> None:
    """Draw costs with lines of the law that they should follow.

    Args:
        figures (dict): As :func:`measure_scaling` gives it.
        out (Path): Picture to write; its ending decides the format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 5.6), dpi=80, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    for (what, costs), row in zip(figures.items(), axes, strict=True):
        title = dict(step='training step', building='building volumes')[what]
        _draw_cost(row[0], costs['nvox'], 3, 'voxels, thousands', title)
        _draw_cost(row[1], costs['views'], 1, 'views', title)
    with atomic_file(out) as temporary:
        figure.savefig(temporary, format=out.suffix.lstrip('.') or 'png')


def _draw_cost(axis: Any, seconds: dict[str, float], power: int, unit: str,
               title: str) -> None:
    numbers = [int(number) for number in seconds]
    x = [number**power / (1e3 if power == 3 else 1) for number in numbers]
    y = list(seconds.values())
    slope, begin = _fit_line(x, y)
    axis.plot([0, max(x)], [begin, begin + slope * max(x)],
              color='#999999', linestyle='--', label='straight line')
    axis.plot(x, y, 'o', color='#0072B2', label='measured')
    for number, a, b in zip(numbers, x, y, strict=True):
        axis.annotate(f'{number}³' if power == 3 else str(number), (a, b),
                      (4, -10), textcoords='offset points', fontsize=8)
    axis.set(xlabel=unit, ylabel='CPU-seconds', title=title,
             ylim=(0, 1.15 * max(y)), xlim=(0, 1.1 * max(x)))
    axis.spines[['top', 'right']].set_visible(False)
    axis.legend(frameon=False, fontsize=8, loc='lower right')


def _fit_line(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope and value at 0 of the line with the least squares."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = (sum((a - mean_x) * (b - mean_y)
                 for a, b in zip(x, y, strict=True))
             / sum((a - mean_x)**2 for a in x))
    return slope, mean_y - slope * mean_x


def _network_of(config: Config) -> tuple[int, int, Any, int, int]:
    """Views, their channels, size, keypoints and voxels a side."""
    model = config.model
    backbone = dict(model.backbone)
    kind = str(backbone.pop('type')).rpartition('.')[2]
    plain = dict(norm='layer', stem=None, residual=False,
                 norm_upsampling=False, checkpointing=False)
    other = [name for name, value in plain.items()
             if backbone.get(name, value) != value]
    if kind != DannceUNet.__name__ or other:
        raise DataError(
            str(config.filename), 'model.backbone',
            'DannceUNet with layer norm and no options',
            ', '.join([kind, *other]),
            'the plain network has nothing else')
    return (backbone.get('num_views', 6), backbone.get('view_channels', 3),
            backbone.get('size', 'compressed'), model.head.num_keypoints,
            model.data_preprocessor.grid.nvox)


def _refiner_of(config: Config) -> dict[str, Any] | None:
    """The head's refiner, which must be one that has a plain form."""
    refiner = config.model.head.get('refiner')
    if refiner is None:
        return None
    settings = dict(refiner)
    plain = dict(norm='layer', levels=None, residual=True,
                 between_animals=False)
    other = [name for name, value in plain.items()
             if settings.get(name, value) != value]
    if other:
        raise DataError(
            str(config.filename), 'model.head.refiner',
            'DanncePoseGraph with layer norm and no options',
            ', '.join(other), 'the plain graph has nothing else')
    return settings

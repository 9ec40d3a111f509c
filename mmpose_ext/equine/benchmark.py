"""``tools/benchmark.py`` for horses.

Rates stand beside those of a bare PyTorch loop on ready tensors: the same
network and the same optimiser, and nothing else. With ``--against-stock``
they also stand beside those of the same training with nothing of this
package in it. Weights play no part, and no layer is frozen: freezing only
makes training faster.
"""
from __future__ import annotations

import argparse
import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmpose_ext.equine.horse26 import METAINFO_FILE
from mmpose_ext.equine.inference import estimate_poses
from mmpose_ext.equine.sources import Picture
from mmpose_ext.training.benchmark import (
    Session,
    add_common_arguments,
    bare_optimizer,
    count_complexity,
    describe_machine,
    measure_by_turns,
    measure_training,
    open_session,
    peak_memory,
    publish,
)

Step = Callable[[], None]

BATCH_SIZES = (1, 32)
_PICTURE = (360, 480)  # height and width, px
# hooks that need weights or hold layers back
_LEFT_OUT = ('HorseTransferHook', 'CheckpointSanityHook', 'FreezeHook',
             'GradualUnfreezeHook')
# what takes the place of our transforms where MMPose has something like it
_STOCK = {'HorsePhotometricDistortion': 'PhotometricDistortion'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_common_arguments(parser)
    parser.set_defaults(iterations=40)
    parser.add_argument(
        '--against-stock', action='store_true',
        help="compare, in turns, with MMPose's own parts: data set, "
        'transforms, optimiser settings, hooks')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Measure and publish."""
    torch.set_num_threads(arguments.threads)
    config = without_weights(config)
    with open_session(config) as session:
        model: Any = session.runner.model
        model.cfg = config
        model.dataset_meta = session.runner.train_dataloader.dataset.metainfo
        figures: dict[str, Any] = dict(
            config=str(config.filename),
            machine=describe_machine(model),
            batch_size=session.batch_size,
            complexity=count_complexity(session),
            inference_horses=measure_inference(model, arguments.seconds))
        if not arguments.against_stock:
            figures['loading_horses'] = measure_loading(
                dict(ours=session), arguments.seconds)
        figures['training_horses'] = measure_training(
            session, arguments.iterations, bare_training)
    if arguments.against_stock:
        figures['against_stock'] = measure_against_stock(
            config, arguments.iterations, arguments.seconds)
    figures['peak_memory_mib'] = peak_memory()
    publish(figures, arguments.json)
    return 0


def without_weights(config: Config) -> Config:
    """A copy of a config that starts from nothing and freezes nothing."""
    config = copy.deepcopy(config)
    config.load_from = None
    if 'pretrained' in config:
        config.pretrained = None
    # a small data set would have an epoch, and a checkpoint, in no time
    config.default_hooks.checkpoint.interval = 10**6
    config.custom_hooks = [
        hook for hook in config.get('custom_hooks', [])
        if _name(hook) not in _LEFT_OUT]
    return config


def stock_config(config: Config) -> Config:
    """The same training with MMPose's and MMEngine's own parts alone.

    Transforms that MMPose has nothing like are left out, which is in favour
    of the stock parts.

    Args:
        config (Config): Of this family.
    """
    config = without_weights(config)
    if _name(config.model.head.loss) == 'HorseKLDiscretLoss':
        config.model.head.loss.type = 'KLDiscretLoss'
    loader = config.train_dataloader
    loader.sampler = dict(type='DefaultSampler', shuffle=True)
    loader.dataset.type = 'CocoDataset'
    loader.dataset.metainfo = dict(from_file=METAINFO_FILE)
    loader.dataset.pop('cache', None)
    loader.dataset.pipeline = [
        dict(type=_STOCK[_name(step)]) if _name(step) in _STOCK else step
        for step in loader.dataset.pipeline
        if _name(step) in _STOCK or not _is_ours(step)]
    optimizer = config.optim_wrapper.optimizer
    optimizer.pop('fused', None)
    config.optim_wrapper = dict(
        type='OptimWrapper', optimizer=optimizer,
        paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0.))
    config.param_scheduler = [
        dict(type='LinearLR', start_factor=1e-5, by_epoch=False, end=1000)]
    averaged = any('EMA' in _name(hook) for hook in config.custom_hooks)
    config.custom_hooks = [
        hook for hook in config.custom_hooks
        if not _is_ours(hook) and 'EMA' not in _name(hook)]
    if averaged:
        config.custom_hooks.append(dict(
            type='EMAHook', ema_type='ExpMomentumEMA', momentum=2e-4,
            update_buffers=True, priority=49))
    config.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=10**6)
    config.visualizer = dict(
        type='PoseLocalVisualizer', vis_backends=[
            dict(type='LocalVisBackend')])
    return config


def _name(part: dict) -> str:
    return str(part['type']).rpartition('.')[2]


def _is_ours(part: dict) -> bool:
    return str(part['type']).startswith('mmpose_ext.')


def measure_against_stock(config: Config, iterations: int,
                          seconds: float) -> dict[str, Any]:
    """Rates of loading and training, ours and stock in turns.

    Args:
        config (Config): As :func:`without_weights` gives it.
        iterations (int): Of training.
        seconds (float): Of loading.

    Returns:
        dict: ``loading`` and ``training``, each with the rates ``ours`` and
        ``stock`` and ``ratio``, that of the CPU rates: above 1, ours is
        faster.
    """
    with (open_session(config) as ours,
          open_session(stock_config(config)) as stock):
        loading = measure_loading(dict(ours=ours, stock=stock), seconds)
        loading['ratio'] = (loading['ours']['per_cpu_second'] /
                            loading['stock']['per_cpu_second'])
        found = measure_training(ours, iterations,
                                 lambda *_: training_step(stock.runner))
    return dict(loading=loading, training=dict(
        ours=found['runner'], stock=found['bare'], ratio=found['ratio']))


def measure_loading(sessions: dict[str, Session],
                    seconds: float) -> dict[str, Any]:
    """Rates of the training data loaders alone, in turns."""

    def loading(session: Session) -> Step:
        stream = _endless(session.runner.build_dataloader(
            session.runner.cfg.train_dataloader))

        def step() -> None:
            next(stream)

        return step

    return dict(measure_by_turns(
        {name: loading(session) for name, session in sessions.items()},
        {name: session.batch_size for name, session in sessions.items()},
        seconds))


def training_step(runner: Runner) -> Step:
    """Start a Runner and return an iteration of it, with all its hooks."""
    stop = _StopAtOnce()
    runner.register_hook(stop, priority='LOWEST')
    with contextlib.suppress(_Started):
        runner.train()
    runner.hooks.remove(stop)
    loop = runner.train_loop
    stream = enumerate(_endless(loop.dataloader))

    def step() -> None:
        loop.run_iter(*next(stream))

    return step


class _Started(Exception):  # noqa: N818 - it is no error
    """The first iteration is over."""


class _StopAtOnce(Hook):

    def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
        raise _Started


def _endless(loader: Iterable[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def bare_training(runner: Runner, batch: Any) -> Step:
    """An iteration of training on ready, unaugmented tensors.

    Its network is a copy in channels_last format and its optimiser has the
    settings of the config; there is no EMA, accuracy or schedule.

    Args:
        runner (Runner): Whose network to copy.
        batch (dict): As the data loader gives it.
    """
    network: Any = copy.deepcopy(runner.model).train()
    network.to(memory_format=torch.channels_last)
    ready = network.data_preprocessor(batch, True)
    inputs = ready['inputs'].contiguous(memory_format=torch.channels_last)
    samples, head = ready['data_samples'], network.head
    labels = [sample.gt_instance_labels for sample in samples]
    weights = torch.cat([label.keypoint_weights for label in labels])
    target: Any
    if 'keypoint_x_labels' in labels[0]:
        target = tuple(torch.cat([label[name] for label in labels]) for name
                       in ('keypoint_x_labels', 'keypoint_y_labels'))
    else:
        target = torch.stack([sample.gt_fields.heatmaps
                              for sample in samples])
    optimizer = bare_optimizer(runner, network)

    def step() -> None:
        optimizer.zero_grad()
        found = head.forward(network.extract_feat(inputs))
        head.loss_module(found, target, weights).backward()
        optimizer.step()

    return step


def measure_inference(model: nn.Module, seconds: float) -> dict[str, Any]:
    """Rates of finding the horse in pictures that are in memory.

    Returns:
        dict: ``batch_1``, ``batch_32`` and ``bare_32``, each with rates and
        latencies, and ``ratio_32``, that of the CPU rates to the network
        alone on ready tensors.
    """
    trained: Any = copy.deepcopy(model).eval()
    height, width = _PICTURE
    image = np.random.default_rng(0).integers(
        0, 256, (height, width, 3), np.uint8)
    picture = Picture('noise', 1, Path('noise'),
                      boxes=np.array([[40, 30, width - 40, height - 30]],
                                     np.float32), box_scores=np.ones(1))

    def estimating(count: int) -> Step:

        def step() -> None:
            for _ in estimate_poses(trained, [(picture, image)] * count,
                                    count):
                pass

        return step

    most = BATCH_SIZES[-1]
    steps = {f'batch_{count}': estimating(count) for count in BATCH_SIZES}
    steps[f'bare_{most}'] = bare_inference(trained, most)
    samples = {name: int(name.rpartition('_')[2]) for name in steps}
    result: dict[str, Any] = dict(measure_by_turns(steps, samples, seconds))
    ours, bare = (result[f'{name}_{most}']['per_cpu_second']
                  for name in ('batch', 'bare'))
    result[f'ratio_{most}'] = ours / bare
    return result


def bare_inference(model: Any, batch_size: int) -> Step:
    """The network alone, twice where the mirrored picture is looked at."""
    width, height = model.head.decoder.input_size
    passes = 2 if (model.test_cfg or {}).get('flip_test') else 1
    inputs = torch.rand(batch_size, 3, height, width,
                        device=next(model.parameters()).device)

    def step() -> None:
        with torch.inference_mode():
            for _ in range(passes):
                model(inputs, None, mode='tensor')

    return step

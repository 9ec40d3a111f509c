"""``tools/benchmark.py`` for horses.

Rates stand beside those of a bare PyTorch loop on ready tensors: the same
network and the same optimiser, and nothing else. With ``--against-stock``
they also stand beside those of the same training with nothing of this
package in it. Weights play no part, and no layer is frozen: freezing only
makes training faster.
"""
from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmpose_ext.equine.horse26 import METAINFO_FILE
from mmpose_ext.equine.inference import estimate_poses
from mmpose_ext.equine.sources import Picture
from mmpose_ext.training.benchmark import Benchmark, Work
from mmpose_ext.training.benchmark_figures import (
    Session,
    bare_optimizer,
    endless,
    measure_training,
    open_session,
    start_training,
)
from mmpose_ext.training.stopwatch import Step, measure_by_turns

_PICTURE = (360, 480)  # height and width, px
# hooks that need weights or hold layers back
_LEFT_OUT = ('HorseTransferHook', 'CheckpointSanityHook', 'FreezeHook',
             'GradualUnfreezeHook')
# what takes the place of our transforms where MMPose has something like it
_STOCK = {'HorsePhotometricDistortion': 'PhotometricDistortion'}


class HorseBenchmark(Benchmark):
    """Horses of which the boxes are known."""

    unit = 'horses'
    iterations = 40
    batch_sizes = (1, 4, 16, 32)

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the comparison with MMPose's own parts."""
        parser.add_argument(
            '--against-stock', action='store_true',
            help="compare, in turns, with MMPose's own parts: data set, "
            'transforms, optimiser settings, hooks')

    def prepare(self, config: Config) -> Config:
        """See :func:`without_weights`."""
        return without_weights(config)

    def bare_training(self, runner: Runner, batch: Any) -> Step:
        """See :func:`bare_training`."""
        return bare_training(runner, batch)

    def inference(self, session: Session) -> dict[str, Work]:
        """Finding the horse in pictures that are in memory.

        Returns:
            dict[str, Work]: ``ours``, the ``bare`` network on ready tensors,
            and ``batch_1``.
        """
        model: Any = copy.deepcopy(session.runner.model).eval()
        model.cfg = session.config
        model.dataset_meta = session.runner.train_dataloader.dataset.metainfo
        count = session.batch_size
        return dict(
            ours=_estimating(model, count),
            bare=Work(bare_inference(model, count), count),
            batch_1=_estimating(model, 1))

    def measure_more(self, session: Session,
                     arguments: argparse.Namespace) -> dict[str, Any]:
        """The comparison with stock, if asked for."""
        if not arguments.against_stock:
            return {}
        return dict(against_stock=measure_against_stock(
            session.config, arguments.iterations, arguments.seconds))


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


def _name(part: dict[str, Any]) -> str:
    return str(part['type']).rpartition('.')[2]


def _is_ours(part: dict[str, Any]) -> bool:
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
                                 lambda *_: start_training(stock.runner))
    return dict(loading=loading, training=dict(
        ours=found['runner'], stock=found['bare'], ratio=found['ratio']))


def measure_loading(sessions: dict[str, Session],
                    seconds: float) -> dict[str, Any]:
    """Rates of the training data loaders alone, in turns."""

    def loading(session: Session) -> Step:
        stream = endless(session.runner.build_dataloader(
            session.runner.cfg.train_dataloader))

        def step() -> None:
            next(stream)

        return step

    return dict(measure_by_turns(
        {name: loading(session) for name, session in sessions.items()},
        {name: session.batch_size for name, session in sessions.items()},
        seconds))


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


def _estimating(model: Any, count: int) -> Work:
    height, width = _PICTURE
    image = np.random.default_rng(0).integers(
        0, 256, (height, width, 3), np.uint8)
    picture = Picture('noise', 1, Path('noise'),
                      boxes=np.array([[40, 30, width - 40, height - 30]],
                                     np.float32), box_scores=np.ones(1))

    def step() -> None:
        for _ in estimate_poses(model, [(picture, image)] * count, count):
            pass

    return Work(step, count)


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


_BENCHMARK = HorseBenchmark()
add_arguments, run = _BENCHMARK.add_arguments, _BENCHMARK.run

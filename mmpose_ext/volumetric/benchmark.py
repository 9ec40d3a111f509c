"""``tools/benchmark.py`` for volumes, and for the middles of animals.

A step on ready volumes stands beside the Runner's. ``--against-reference``
sets the network against the plain one.
"""
from __future__ import annotations

import argparse
import copy
import time
from typing import Any

import torch
from mmengine.config import Config

from mmpose_ext.storage import DataError
from mmpose_ext.training.benchmark import Benchmark, ScalingAxis, Work
from mmpose_ext.training.benchmark_figures import (
    Session,
    count_operations,
    count_parameters,
)
from mmpose_ext.volumetric.estimator import DannceEstimator
from mmpose_ext.volumetric.network import DannceUNet
from mmpose_ext.volumetric.step_cost import compare_steps

SMALL_VOLUMES, VOLUMES = (16, 24, 32, 48), (32, 48, 64, 80)  # voxels a side
VIEWS = (1, 2, 4, 6)


class VolumetricBenchmark(Benchmark):
    """What both networks of the family have."""

    iterations = 16

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the comparison with the plain network."""
        parser.add_argument(
            '--against-reference', action='store_true',
            help='compare time, memory and results of a training step with '
            'the plain network; the data set is not needed')

    def measure_instead(self, config: Config,
                        arguments: argparse.Namespace
                        ) -> dict[str, Any] | None:
        """The comparison with the plain network, if asked for."""
        if not arguments.against_reference:
            return None
        views, channels, size, keypoints, nvox = _network_of(config)
        return dict(against_reference=compare_steps(
            views, channels, size, keypoints, nvox,
            refiner=_refiner_of(config)))

    def inference(self, session: Session) -> dict[str, Work]:
        """From uint8 images to points, and the network alone."""
        model: Any = copy.deepcopy(session.runner.model).eval()
        batch, count = session.batch, session.batch_size
        inputs = model.data_preprocessor(batch, False)['inputs']

        def ours() -> None:
            with torch.inference_mode():
                model(**model.data_preprocessor(batch, False),
                      mode='predict')

        def bare() -> None:
            with torch.inference_mode():
                model(inputs, None, mode='tensor')

        return dict(ours=Work(ours, count), bare=Work(bare, count))


class ComBenchmark(VolumetricBenchmark):
    """Pictures in which an animal is to be found."""

    unit = 'pictures'
    batch_sizes = (1, 4, 16, 64)


class DannceBenchmark(VolumetricBenchmark):
    """Time points, of which each animal has a volume."""

    unit = 'time points'
    batch_sizes = (1, 2, 4, 8)

    def count_complexity(self, session: Session) -> dict[str, Any]:
        """As for all, but the operations are those of one volume.

        These are those of the plain sums, whatever the convolutions make of
        them. Those of a refiner, a ten thousandth, are not counted.
        """
        model: Any = session.runner.model
        volumes = model.data_preprocessor(
            session.batch, False)['inputs']['volumes']
        # without a device nothing is rearranged
        flops = count_operations(
            copy.deepcopy(model).to('meta'), lambda network: network.head(
                network.backbone(volumes[:1].to('meta'))))
        return dict(
            count_parameters(model), flops=flops, macs=flops // 2,
            volumes_a_batch=len(volumes))

    def axes(self, config: Config) -> dict[str, ScalingAxis]:
        """Voxels, views and the batch."""
        usual = config.model.data_preprocessor.grid.nvox
        voxels = SMALL_VOLUMES if usual <= SMALL_VOLUMES[-1] else VOLUMES
        return dict(
            voxels=ScalingAxis('voxels a side', voxels, _set_voxels),
            views=ScalingAxis('views', VIEWS, _set_views),
            **super().axes(config))

    def measure_more(self, session: Session,
                     arguments: argparse.Namespace) -> dict[str, Any]:
        """CPU-milliseconds of the volumes of a time point."""
        return dict(building_cpu_ms=measure_building(
            session, arguments.seconds))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    VolumetricBenchmark().add_arguments(parser)


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Measure and publish."""
    of_volumes = config.model.type.endswith(DannceEstimator.__name__)
    benchmark = DannceBenchmark() if of_volumes else ComBenchmark()
    return benchmark.run(config, arguments)


def measure_building(session: Session, seconds: float) -> float:
    """CPU-milliseconds of a sample's volumes, without augmentation."""
    preprocess = session.runner.model.data_preprocessor
    preprocess(session.batch, False)
    count, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        preprocess(session.batch, False)
        count += session.batch_size
    return (time.process_time() - began) / count * 1e3


def _set_voxels(config: Config, value: int) -> None:
    config.model.data_preprocessor.grid.nvox = value


def _set_views(config: Config, value: int) -> None:
    """Cameras that a recording lacks are its own once more."""
    config.model.data_preprocessor.num_views = value
    config.model.backbone.num_views = value


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

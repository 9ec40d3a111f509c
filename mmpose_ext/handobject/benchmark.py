"""``tools/benchmark.py`` for hands and objects.

A plain loop over ready batches stands beside the Runner, MMPose's own
top-down pipeline beside ours. ``--step`` measures a training step at the
config's real size instead, for which no data set is needed.
"""
from __future__ import annotations

import argparse
import copy
from typing import Any

import torch
from mmengine.config import Config

from mmpose_ext.handobject.model_report import without_weights
from mmpose_ext.handobject.pipeline_benchmark import compare_pipelines
from mmpose_ext.handobject.records import HandObjectTargets
from mmpose_ext.handobject.sigma_linear import fold_sigma
from mmpose_ext.handobject.step_cost import compare_steps
from mmpose_ext.storage import DataError
from mmpose_ext.training.benchmark import Benchmark, Work
from mmpose_ext.training.benchmark_figures import (
    Session,
    count_operations,
    count_parameters,
)


class HandObjectBenchmark(Benchmark):
    """Crops of a hand and what it holds."""

    unit = 'crops'
    iterations = 40
    batch_sizes = (1, 4, 16)

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the cost of a step at the config's real size."""
        parser.add_argument(
            '--step', action='store_true',
            help='time and memory of a training step, with activations kept '
            'and with blocks that run twice; the data set is not needed')
        parser.add_argument(
            '--batch', type=int, default=1,
            help='samples of --step (default: 1)')

    def prepare(self, config: Config) -> Config:
        """See :func:`without_weights`."""
        return without_weights(config)

    def measure_instead(self, config: Config,
                        arguments: argparse.Namespace
                        ) -> dict[str, Any] | None:
        """Time and memory of a step."""
        if arguments.batch < 1:
            raise DataError('command line', '--batch', 'at least 1',
                            str(arguments.batch))
        if not arguments.step:
            return None
        return dict(step=compare_steps(config, arguments.batch))

    def count_complexity(self, session: Session) -> dict[str, int]:
        """As for all, and ``backbone_flops`` among them."""
        model: Any = session.runner.model
        inputs, camera = _inputs_of(session)
        backbone, flops = (
            count_operations(model, forward) // session.batch_size
            for forward in (
                lambda network: network.extract_feat(inputs),
                lambda network: network.head(
                    network.extract_feat(inputs), camera)))
        return dict(count_parameters(model), flops=flops, macs=flops // 2,
                    backbone_flops=backbone)

    def inference(self, session: Session) -> dict[str, Work]:
        """Prediction.

        Returns:
            dict[str, Work]: ``ours``, from crops to predictions in the
            photographs' frames, the ``bare`` network, ``folded``, its
            reparametrised layers made plain, and ``one``, that for a single
            crop.
        """
        model: Any = copy.deepcopy(session.runner.model).eval()
        folded: Any = fold_sigma(copy.deepcopy(model)).eval()
        inputs, camera = _inputs_of(session)
        batch, count = session.batch, session.batch_size

        def ours() -> None:
            with torch.inference_mode():
                folded.val_step(batch)

        def network(which: Any, count: int) -> Work:

            def step() -> None:
                with torch.inference_mode():
                    which.head(which.extract_feat(inputs[:count]),
                               camera[:count])

            return Work(step, count)

        return dict(ours=Work(ours, count), bare=network(model, count),
                    folded=network(folded, count), one=network(folded, 1))

    def measure_more(self, session: Session,
                     arguments: argparse.Namespace) -> dict[str, Any]:
        """MMPose's own top-down pipeline beside ours."""
        return dict(pipeline=compare_pipelines(
            session.config, arguments.seconds))


def _inputs_of(session: Session) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised crops (B, 3, S, S) and their cameras (B, 3, 3)."""
    model: Any = session.runner.model
    ready = model.data_preprocessor(session.batch, False)
    inputs = ready['inputs']
    targets = HandObjectTargets.stack(ready['data_samples'],
                                      inputs.shape[-1], inputs.device)
    return inputs, targets.view_camera


_BENCHMARK = HandObjectBenchmark()
add_arguments, run = _BENCHMARK.add_arguments, _BENCHMARK.run

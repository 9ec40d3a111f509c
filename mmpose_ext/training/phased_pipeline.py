"""Augmentation that changes with the phases of a run."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training.phases import (
    config_name,
    phase_of,
    phase_starts,
    run_progress,
    skipped_phases,
)

_NAME = 'PhasedPipelineHook'


@HOOKS.register_module()
class PhasedPipelineHook(Hook):
    """Replaces the training data's pipeline at the starts of phases.

    The data set may be wrapped (seeded, repeated, concatenated, combined, a
    subset); the outermost data sets with a pipeline of their own get the new
    one. It holds from the first sample of its phase on, with any number of
    workers: workers that persist are stopped and start anew with it.

    Args:
        switches (Sequence[dict]): The phases in their order, each with
            ``begin``, a fraction of the run in [0, 1) or a number of epochs,
            0 in the first, and ``pipeline``, a list of transforms. A phase
            shorter than an epoch is skipped with a warning.

    Example:
        >>> custom_hooks = [dict(
        >>>     type='mmpose_ext.PhasedPipelineHook',
        >>>     switches=[dict(begin=0., pipeline=aggressive),
        >>>               dict(begin=1 / 3, pipeline=medium),
        >>>               dict(begin=2 / 3, pipeline=light)])]
    """

    def __init__(self, switches: Sequence[dict[str, Any]]) -> None:
        self.switches = switches

    def before_run(self, runner: Runner) -> None:
        """Build all pipelines, so that errors come before the training.

        Raises:
            DataError: If the switches or the data do not fit.
        """
        if not isinstance(runner._train_loop, BaseLoop):
            return  # a test, for which no training data is read
        loop = runner.train_loop
        name = config_name(runner.cfg)
        if isinstance(loop, IterBasedTrainLoop):
            raise DataError(
                name, _NAME, 'a train loop with epochs',
                type(loop).__name__, 'others fetch samples of the next phase '
                'in advance')
        for number, switch in enumerate(self.switches):
            if set(switch) != {'begin', 'pipeline'}:
                raise DataError(name, f'{_NAME}.switches[{number}]',
                                'begin and pipeline', ', '.join(switch))
        total = run_progress(runner)[1]
        self._starts = phase_starts(
            [switch['begin'] for switch in self.switches], total, name,
            f'{_NAME}.switches')
        self._datasets = list(_find_datasets(loop.dataloader.dataset))
        if not self._datasets:
            raise DataError(name, _NAME, 'a data set with a pipeline',
                            type(loop.dataloader.dataset).__name__)
        self._pipelines = [self._build(number, name)
                           for number in range(len(self.switches))]
        for number in skipped_phases(self._starts, total):
            runner.logger.warning(
                f'{_NAME}: pipeline {number + 1} of {len(self.switches)} is '
                f'skipped in a run of {total} epochs')
        self._current: int | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Put the pipeline that is due in place, if it is another one."""
        epoch, _ = run_progress(runner)
        due = phase_of(epoch, self._starts)
        if due == self._current:
            return
        self._current = due
        for dataset, pipeline in zip(
                self._datasets, self._pipelines[due], strict=True):
            dataset.pipeline = pipeline
        _stop_workers(runner.train_loop.dataloader)
        steps = ', '.join(type(step).__name__
                          for step in self._pipelines[due][0].transforms)
        runner.logger.info(
            f'pipeline {due + 1} of {len(self.switches)}: {steps}')

    def _build(self, number: int, name: str) -> list[Compose]:
        """A pipeline for each data set: transforms may have a memory."""
        pipeline = self.switches[number]['pipeline']
        try:
            return [Compose(pipeline) for _ in self._datasets]
        except Exception as error:
            raise DataError(
                name, f'{_NAME}.switches[{number}].pipeline',
                'transforms that can be built', str(error)) from error


def _find_datasets(dataset: Any) -> Iterator[Any]:
    """The outermost data sets with a pipeline, in their order.

    MMPose's ``CombinedDataset`` may have one, or leave it to its parts.
    """
    parts = getattr(dataset, 'datasets', None)
    if parts is None:
        parts = [dataset.dataset] if hasattr(dataset, 'dataset') else []
    pipeline = getattr(dataset, 'pipeline', None)
    if pipeline is not None and (pipeline.transforms or not parts):
        yield dataset
        return
    for part in parts:
        yield from _find_datasets(part)


def _stop_workers(loader: DataLoader[Any]) -> None:
    """Stop workers that persist: they hold a copy of the data set."""
    if loader._iterator is not None:
        loader._iterator._shutdown_workers()  # type: ignore[attr-defined]
        loader._iterator = None

"""What losses have to know of the training data before the first step.

And whether network, losses and batches fit the data.
"""
from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage import DataError
from mmpose_ext.training import bare_model
from mmpose_ext.training.phases import config_name
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.mix_sampler import DannceMixSampler
from mmpose_ext.volumetric.pose_batch import require_whole_runs

Array = np.ndarray


@HOOKS.register_module()
class DannceLossHook(Hook):
    """Prepares the parts of a model that depend on skeleton and labels.

    Every module of the model with a method ``prepare`` is told what it asks
    for, by the names of its arguments: ``plan``, the skeleton's
    :class:`~mmpose_ext.volumetric.body_plan.BodyPlan`; ``labels``, the
    labelled poses (N, K, 3) mm of the training data, NaN missing; ``file``,
    where they are from. This happens at the start of each run, resumed ones
    included, and gives the same in all processes. The log says what was
    found.

    Batches that tear runs of frames, views that the network does not take and
    losses that compare what there is one of are refused.
    """

    # what other hooks do at the start of a training may use the losses
    priority = 'HIGH'

    def before_train(self, runner: Runner) -> None:
        """Prepare the model.

        Raises:
            DataError: If the data set has no skeleton or does not fit, or
                the batches do not fit the network or a loss.
        """
        _check_batches(runner)
        _check_groups(runner)
        waiting = {
            name: module
            for name, module in bare_model(runner.model).named_modules()
            if callable(getattr(module, 'prepare', None))}
        if not waiting:
            return
        plan, labels, file = training_labels(
            runner.train_dataloader.dataset, config_name(runner.cfg))
        told = dict(plan=plan, labels=labels, file=file)
        for name, module in waiting.items():
            prepare: Any = module.prepare
            prepare(**{key: told[key]
                       for key in inspect.signature(prepare).parameters})
            describe: Any = getattr(module, 'describe', None)
            if describe is not None:
                runner.logger.info(f'{name}: {describe()}')


def _check_batches(runner: Runner) -> None:
    """Refuse batches that the network cannot take.

    Raises:
        DataError: Names the setting.
    """
    loader = runner.train_dataloader
    check_views = getattr(bare_model(runner.model), 'check_views', None)
    for part in _with_labels(loader.dataset):
        require_whole_runs(config_name(runner.cfg), loader.batch_size,
                           part.chunk_length)
        if check_views is not None:
            check_views(len(part.recordings[0].cameras))


def _check_groups(runner: Runner) -> None:
    """Refuse losses on groups that are always too small for them.

    Raises:
        DataError: Names the loss and the setting.
    """
    model: Any = bare_model(runner.model)
    comparing = {name: module.compares
                 for name, module in model.named_modules()
                 if getattr(module, 'compares', None) is not None}
    if not comparing:
        return
    loader = runner.train_dataloader
    parts = list(_with_labels(loader.dataset))
    if 'frames' in comparing.values() and not isinstance(
            loader.sampler, DannceMixSampler):
        raise DataError(
            config_name(runner.cfg), 'train_dataloader.sampler',
            'mmpose_ext.DannceMixSampler, which keeps the frames of a run '
            'together', type(loader.sampler).__name__)
    copies = model.data_preprocessor.copies
    settings = dict(
        copies=('model.data_preprocessor.copies',
                max(copies.labelled, copies.unlabelled)),
        frames=('train_dataloader.dataset.chunk_length',
                max(part.chunk_length for part in parts)),
        animals=('train_dataloader.dataset.num_individuals',
                 max(part.num_individuals for part in parts)))
    for name, compares in comparing.items():
        setting, found = settings[compares]
        if found < 2:
            raise DataError(
                config_name(runner.cfg), setting,
                f'2 or more, for model.{name} compares {compares}',
                str(found), 'this loss would always be 0; leave it out')


def training_labels(dataset: Any,
                    name: str) -> tuple[BodyPlan, Array, str]:
    """Skeleton and labelled poses of a training data set.

    Args:
        dataset (Any): One of recordings, maybe wrapped or concatenated.
        name (str): The config, for errors.

    Returns:
        tuple[BodyPlan, ndarray, str]: The skeleton; (N, K, 3) mm, NaN
        missing; and where they are from.

    Raises:
        DataError: If there is no data set of recordings, or there are some of
            different skeletons.
    """
    parts = list(_with_labels(dataset))
    if not parts:
        raise DataError(name, 'train_dataloader.dataset',
                        'a data set of recordings, with labelled poses',
                        type(dataset).__name__)
    plans = [BodyPlan.from_metainfo(part.metainfo) for part in parts]
    files = [str(getattr(part, 'data_root', type(part).__name__))
             for part in parts]
    for plan, file in zip(plans, files, strict=True):
        if (plan.names, plan.links) != (plans[0].names, plans[0].links):
            raise DataError(
                file, 'skeleton', f'{plans[0].source}, as {files[0]} has',
                plan.source)
    # each once: a data set may be repeated in a concatenation
    labels = np.concatenate([
        part.labelled_poses()
        for part in {id(part): part for part in parts}.values()])
    return plans[0], labels, ', '.join(dict.fromkeys(files))


def _with_labels(dataset: Any) -> Iterator[Any]:
    """The data sets that know labelled poses, inside of any wrappers."""
    if hasattr(dataset, 'labelled_poses'):
        yield dataset
        return
    parts = getattr(dataset, 'datasets', None)
    if parts is None:
        parts = [dataset.dataset] if hasattr(dataset, 'dataset') else []
    for part in parts:
        yield from _with_labels(part)

"""Randomness that a resume, a validation or a worker cannot disturb.

Instead of storing the state of every generator in the checkpoint, all global
generators are seeded afresh before each epoch and iteration, from the run's
seed and the iteration's number. Nothing then depends on history, and a
resumed run draws what an undisturbed one would have drawn.
"""
from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmengine.runner.base_loop import BaseLoop

from mmpose_ext.registry import DATASETS, HOOKS
from mmpose_ext.training.draws import DrawSampler, draw_seeds, hash_words

# what the generators are seeded for; part of the hash
_TRAIN_EPOCH, _TRAIN_ITERATION, _VALIDATION, _TEST = range(4)


def seed_generators(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch.

    About 10 microseconds: ``torch.manual_seed`` takes ten times as long,
    because it visits the generators of every kind of device.

    Args:
        seed (int): In [0, 2**64); numpy gets its lower half.
    """
    _seed_cpu_generators(seed)
    if torch.cuda.is_initialized():
        device = torch.cuda.current_device()
        torch.cuda.default_generators[device].manual_seed(seed)


@contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Seed the global CPU generators for the body, then restore them."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    _seed_cpu_generators(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _seed_cpu_generators(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)


@DATASETS.register_module()
class SeededDataset:
    """Makes a data set's random transforms depend on the draw alone.

    For pipelines whose transforms use the global generators, as MMPose's do.
    Needs ``mmpose_ext.DrawSampler``; with another sampler a sample looks the
    same in every epoch, because only its index is known.

    Args:
        dataset (dict | Dataset): The data set to wrap.

    Example:
        >>> train_dataloader = dict(
        >>>     sampler=dict(type='mmpose_ext.DrawSampler'),
        >>>     dataset=dict(
        >>>         type='mmpose_ext.SeededDataset',
        >>>         dataset=dict(type='CocoDataset')))
    """

    def __init__(self, dataset: Any) -> None:
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset)
        self.dataset = dataset

    @property
    def metainfo(self) -> dict[str, Any]:
        """The wrapped data set's description of its annotations."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the annotations, if that was put off."""
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Annotations of a sample."""
        return self.dataset.get_data_info(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        with seeded_generators(int(draw_seeds([index])[0])):
            return self.dataset[index]


@HOOKS.register_module()
class DeterminismHook(Hook):
    """Seeds the global generators before each epoch and iteration.

    With ``mmpose_ext.DrawSampler`` it also lets an epoch go on after a resume
    from a checkpoint that was saved in its middle (``by_epoch=False``).
    """

    priority = 'HIGHEST'

    def before_run(self, runner: Runner) -> None:
        """Remember the seed with which the samplers were built."""
        self._seed_at_start = runner.seed

    def before_train(self, runner: Runner) -> None:
        """Hand a random seed found in the checkpoint on to the sampler.

        MMEngine restores it for the generators alone, and so shuffles a
        resumed run that was started without a fixed seed differently.
        """
        loader = runner.train_loop.dataloader
        sampler = loader.sampler
        if (runner.seed == self._seed_at_start
                or getattr(sampler, 'seed', None) != self._seed_at_start):
            return
        sampler.seed = runner.seed
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            # its iterator may have fetched batches in the old order
            iterator = runner.train_loop.dataloader_iterator
            runner.train_loop.dataloader_iterator = type(iterator)(loader)

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed for what is drawn between the iterations."""
        self._seed(runner, _TRAIN_EPOCH)
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            self._continue_epoch(runner)

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Any = None) -> None:
        """Seed for the model's forward pass."""
        self._seed(runner, _TRAIN_ITERATION)

    def before_val_epoch(self, runner: Runner) -> None:
        """Seed, so that a validation repeated after a resume is the same."""
        self._seed(runner, _VALIDATION)

    def before_test_epoch(self, runner: Runner) -> None:
        """Seed, so that a test gives the same result every time."""
        self._seed(runner, _TEST)

    def _seed(self, runner: Runner, purpose: int) -> None:
        # asking the runner itself would build the training data for a test
        loop = runner._train_loop
        training = isinstance(loop, BaseLoop)
        epoch, iteration = (loop.epoch, loop.iter) if training else (0, 0)
        seed_generators(
            hash_words(runner.seed, purpose, epoch, iteration, runner.rank))

    def _continue_epoch(self, runner: Runner) -> None:
        """Leave out what an epoch had drawn before it was interrupted."""
        began = runner.message_hub.get_info('epoch_began')
        done = 0
        if began is not None and began[0] == runner.epoch:
            done = runner.iter - began[1]
        if done <= 0:
            runner.message_hub.update_info('epoch_began',
                                           [runner.epoch, runner.iter])
            return
        loader = runner.train_loop.dataloader
        if isinstance(loader.sampler, DrawSampler) and loader.batch_size:
            loader.sampler.skip(done * loader.batch_size)
            runner.logger.info(
                f'epoch {runner.epoch + 1} goes on at iteration {done + 1}')
        else:
            runner.logger.warning(
                f'epoch {runner.epoch + 1} was interrupted after {done} '
                'iterations and starts anew, because only '
                'mmpose_ext.DrawSampler can go on in the middle; the result '
                'will differ from an undisturbed run')

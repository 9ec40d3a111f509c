from __future__ import annotations

import random
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmpose_ext.registry import DATASETS
from mmpose_ext.training import (
    DeterminismHook,
    Draw,
    DrawSampler,
    SeededDataset,
    seed_generators,
    seeded_generators,
)

from .conftest import Killed, KillHook, ToyDataset


def draw_all() -> tuple:
    return (random.random(), np.random.rand(), float(np.random.randn()),
            float(torch.rand(1)), float(torch.randn(1)))


class TestGenerators:

    @pytest.mark.parametrize('seed', [0, 7, 2**63 + 5, 2**64 - 1])
    def test_seeds_all(self, seed):
        seed_generators(seed)
        first = draw_all()
        seed_generators(seed)
        assert draw_all() == first
        seed_generators(seed ^ 1)
        assert all(a != b for a, b in zip(draw_all(), first, strict=True))

    def test_seeded_generators_restore(self):
        seed_generators(3)
        draw_all()  # half a pair of normal numbers is waiting in numpy
        expected_next = None
        for _ in range(2):
            states = (random.getstate(), np.random.get_state(),
                      torch.get_rng_state())
            with seeded_generators(9):
                inside = draw_all()
            following = draw_all()
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])
            assert draw_all() == following != inside
            assert inside == (expected_next or inside)
            expected_next = inside

    def test_restores_after_an_error(self):
        seed_generators(3)
        expected = draw_all()
        seed_generators(3)
        with pytest.raises(RuntimeError), seeded_generators(9):
            raise RuntimeError
        assert draw_all() == expected

    def test_is_cheap(self):
        times = []
        for seed in range(200):
            start = time.perf_counter()
            seed_generators(seed)
            times.append(time.perf_counter() - start)
        assert np.median(times) < .1e-3

    @pytest.mark.gpu
    def test_seeds_cuda(self):
        seed_generators(5)
        first = torch.rand(3, device='cuda')
        seed_generators(5)
        assert torch.equal(torch.rand(3, device='cuda'), first)


class TestSeededDataset:

    def test_a_draw_looks_the_same_whenever(self):
        data = SeededDataset(ToyDataset())
        first = data[Draw(3, 11)]['inputs']
        draw_all()
        assert torch.equal(data[Draw(3, 11)]['inputs'], first)
        assert not torch.equal(data[Draw(3, 12)]['inputs'], first)
        assert torch.equal(data[3]['inputs'], data[3]['inputs'])

    def test_number_of_workers_changes_nothing(self):
        batches = {}
        for workers in (0, 1, 3):
            seed_generators(workers)
            data = SeededDataset(ToyDataset())
            sampler = DrawSampler(data, seed=2)
            for epoch in range(2):
                sampler.set_epoch(epoch)
                loader = DataLoader(
                    data, 4, sampler=sampler, num_workers=workers)
                batches[workers, epoch] = torch.cat(
                    [batch['inputs'] for batch in loader])
        for epoch in range(2):
            for workers in (1, 3):
                assert torch.equal(batches[workers, epoch],
                                   batches[0, epoch])
        assert not torch.equal(batches[0, 0].sort(0)[0],
                               batches[0, 1].sort(0)[0])

    def test_stands_in_for_the_wrapped_one(self):
        built = DATASETS.build(
            dict(type='mmpose_ext.SeededDataset',
                 dataset=dict(type='mmpose_ext.ToyDataset', size=5)))
        built.full_init()
        assert len(built) == 5 and built.metainfo == dict(name='toy')
        assert not hasattr(built, '__getitems__')


class TestDeterminismHook:

    @pytest.mark.parametrize('stage', [
        'before_train_epoch', 'before_train_iter', 'before_val_epoch',
        'before_test_epoch'])
    def test_seeds_from_progress_alone(self, toy_runner, stage):
        hook = DeterminismHook()
        loops, numbers = {}, {}
        for epoch, iteration, rank, seed in [
                (0, 0, 0, 5), (0, 0, 0, 5), (0, 1, 0, 5), (1, 1, 0, 5),
                (1, 1, 1, 5), (1, 1, 1, 6)]:
            loop = loops.setdefault('loop', toy_runner().train_loop)
            loop._epoch, loop._iter = epoch, iteration
            runner = SimpleNamespace(
                _train_loop=loop, train_loop=loop, seed=seed, rank=rank,
                epoch=epoch, iter=iteration,
                message_hub=SimpleNamespace(
                    get_info=lambda key: None,
                    update_info=lambda key, value: None))
            extra = dict(batch_idx=0) if 'iter' in stage else {}
            getattr(hook, stage)(runner, **extra)
            drawn = draw_all()
            assert numbers.setdefault((epoch, iteration, rank, seed),
                                      drawn) == drawn
            draw_all()
        assert len(set(numbers.values())) == len(numbers) == 5

    def test_stages_differ(self):
        hook, seen = DeterminismHook(), set()
        runner = SimpleNamespace(_train_loop=None, seed=1, rank=0)
        for stage in ('before_val_epoch', 'before_test_epoch'):
            getattr(hook, stage)(runner)
            seen.add(draw_all())
        hook.before_train_iter(runner, 0)
        seen.add(draw_all())
        assert len(seen) == 3

    def test_test_does_not_build_the_training_data(self, toy_runner):
        config = dict(
            test_cfg=dict(), test_evaluator=dict(type='mmpose_ext.ToyMetric'),
            test_dataloader=toy_runner().cfg.val_dataloader.to_dict())
        runner = toy_runner(**config)
        runner.test()
        assert isinstance(runner._train_loop, dict)

    def test_validation_does_not_disturb_training(self, toy_runner):
        weights = []
        for interval in (1, 4):
            runner = toy_runner(**{'train_cfg.val_interval': interval})
            weights.append(runner.train().state_dict())
        for key in weights[0]:
            assert torch.equal(weights[0][key], weights[1][key])

    def test_other_sampler_in_the_middle_of_an_epoch_warns(
            self, toy_runner, train_killed):
        changes = {
            'default_hooks.checkpoint.by_epoch': False,
            'default_hooks.checkpoint.interval': 2,
            'train_dataloader.sampler.type': 'DefaultSampler',
        }
        train_killed('run', 'before_train_iter', 10, **changes)
        runner = toy_runner(resume=True, **changes)
        warnings = []
        runner.logger.warning = warnings.append
        runner.register_hook(KillHook('before_train_iter', 10))
        with pytest.raises(Killed):
            runner.train()
        assert any('starts anew' in text for text in warnings)

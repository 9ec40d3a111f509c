"""Blocks that run twice train as those that run once."""
from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.registry import MODELS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training.activation_checkpointing import (
    find_blocks,
    run_once,
    run_twice,
    select_blocks,
)


class Block(nn.Module):
    """Draws, gathers statistics, keeps a vector, takes a keyword."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(),
                                   nn.Linear(3 * width, width))
        self.norm = nn.BatchNorm1d(width)
        self.register_buffer('vector', F.normalize(torch.ones(width), dim=0))
        self.runs = 0

    def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
        self.runs += 1
        weight = self.inner[0].weight
        if self.training:  # a power iteration
            with torch.no_grad():
                across = weight @ self.vector
                self.vector.copy_(F.normalize(weight.T @ across, dim=0))
        sigma = (weight @ self.vector.clone()).norm()
        x = x + self.inner(self.norm(x)) / sigma * scale
        return F.dropout(x, .3, self.training)


@MODELS.register_module(force=True)
class BlockToy(BaseModel):
    """Frozen blocks, others, and a list of single layers."""

    def __init__(self, frozen: int = 1, depth: int = 4) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.layers = nn.ModuleList(Block(6) for _ in range(depth))
        self.backbone.layers[:frozen].requires_grad_(False)
        self.head = nn.Module()
        self.head.blocks = nn.ModuleList(Block(6) for _ in range(2))
        self.head.norms = nn.ModuleList([nn.Linear(6, 1)])
        self.head.layers = nn.ModuleList([nn.Linear(6, 1)])

    def forward(self, inputs: Tensor, target: Tensor, mode: str):
        if not isinstance(inputs, Tensor):
            inputs, target = torch.stack(list(inputs)), torch.stack(
                list(target))
        scale, x = torch.tensor(.5), inputs
        for block in [*self.backbone.layers, *self.head.blocks]:
            x = block(x, scale=scale)
        error = self.head.layers[0](x)[:, 0] - target
        if mode == 'loss':
            return dict(loss=error.square().mean())
        return list(error.square())


HOOK = dict(type='mmpose_ext.ActivationCheckpointHook')


def changes(**hook) -> dict:
    return {'model': dict(_delete_=True, type='mmpose_ext.BlockToy'),
            'optim_wrapper.optimizer.lr': .001,
            'custom_hooks': [{**HOOK, **hook},
                             dict(type='EMAHook', momentum=.1)]}


def hook_of(runner):
    return next(hook for hook in runner.hooks
                if type(hook).__name__ == 'ActivationCheckpointHook')


def step(model: nn.Module) -> tuple[Tensor, dict, dict]:
    """Loss, gradients and buffers after two passes."""
    torch.manual_seed(3)
    for _ in range(2):
        model.zero_grad()
        x = torch.randn(5, 6)
        loss = model(x, torch.ones(5), mode='loss')['loss']
        loss.backward()
        torch.rand(1)
    return loss, {name: value.grad for name, value
                  in model.named_parameters()}, dict(model.named_buffers())


@pytest.mark.parametrize('frozen', [0, 2])
def test_gradients_and_buffers_are_the_same_bits(frozen):
    torch.manual_seed(0)
    plain = BlockToy(frozen)
    model = copy.deepcopy(plain)
    for block in find_blocks(model).values():
        run_twice(block)
    torch.set_rng_state(torch.get_rng_state())
    loss, gradients, buffers = step(plain)
    after = torch.get_rng_state()
    loss2, gradients2, buffers2 = step(model)
    assert torch.equal(after, torch.get_rng_state())
    assert torch.equal(loss, loss2)
    for name, want in gradients.items():
        found = gradients2[name]
        assert (found is None) == (want is None)
        assert want is None or torch.equal(found, want), name
        assert (want is None) == name.startswith(tuple(
            f'backbone.layers.{i}.' for i in range(frozen))) or (
                name.startswith('head.norms'))
    for name, want in buffers.items():
        assert torch.equal(buffers2[name], want), name


def test_only_blocks_that_a_gradient_reaches_run_twice():
    model = BlockToy(frozen=2)
    for block in find_blocks(model).values():
        run_twice(block)
    step(model)
    runs = [block.runs for block in find_blocks(model).values()]
    assert runs == [2, 2, 4, 4, 4, 4]
    with torch.no_grad():
        model.eval()(torch.randn(5, 6), torch.ones(5), mode='tensor')
    assert [block.runs for block in find_blocks(model).values()] == [
        3, 3, 5, 5, 5, 5]


def test_a_frozen_block_behind_others_still_saves_memory():
    model = BlockToy(frozen=0)
    last = model.head.blocks[1].requires_grad_(False)
    run_twice(last)
    step(model)
    assert last.runs == 4


def test_copies_are_modules_of_their_own_and_the_class_comes_back():
    model = BlockToy(frozen=0)
    block = model.head.blocks[0]
    run_twice(block), run_twice(block)
    assert type(block) is not Block and isinstance(block, Block)
    assert type(block).__name__ == 'Block'
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for value in twin.head.blocks[0].inner[2].parameters():
            value.zero_()
        x = torch.randn(4, 6)
        model.eval(), twin.eval()
        scale = torch.tensor(.5)
        torch.testing.assert_close(twin.head.blocks[0](x, scale=scale), x)
        assert not torch.equal(block(x, scale=scale), x)
    assert not twin.state_dict().keys() ^ model.state_dict().keys()
    run_once(block), run_once(block)
    assert type(block) is Block
    assert type(twin.head.blocks[0]) is not Block
    pickle.dumps(block)


def test_memory_is_saved():
    """What the graph keeps, counted by its own hooks."""

    def kept(model: nn.Module) -> int:
        sizes: dict[int, int] = {}

        def pack(value: Tensor) -> Tensor:
            sizes[value.data_ptr()] = value.numel()
            return value

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: v):
            model(torch.randn(512, 6), torch.ones(512), mode='loss')
        return sum(sizes.values())

    model = BlockToy(frozen=0)
    before = kept(model)
    for block in find_blocks(model).values():
        run_twice(block)
    assert kept(model) < .4 * before


class TestSelection:

    @pytest.mark.parametrize('ratio, want', [
        (1., '0123'), (.5, '13'), (.25, '3'), (.75, '123'), (.3, '3')])
    def test_shares_are_spread(self, ratio, want):
        chosen = select_blocks(BlockToy(), ratio, ())
        assert [name[-1] for name in chosen
                if name.startswith('backbone')] == list(want)

    def test_patterns_match_whole_names_and_add_to_a_share(self):
        model = BlockToy()
        assert list(select_blocks(model, None, [r'head\.blocks\.\d'])) == [
            'head.blocks.0', 'head.blocks.1']
        assert list(select_blocks(model, .5, [r'.*layers\.0'])) == [
            'backbone.layers.0', 'backbone.layers.1', 'backbone.layers.3',
            'head.blocks.1']

    def test_nested_lists_belong_to_their_block(self):
        outer = nn.Module()
        outer.layers = nn.ModuleList([Block(2)])
        model = nn.Module()
        model.blocks = nn.ModuleList([outer, Block(2)])
        assert list(find_blocks(model)) == ['blocks.0', 'blocks.1']
        assert list(find_blocks(BlockToy(), ['norms'])) == []

    @pytest.mark.parametrize('settings, match', [
        (dict(patterns=['backbone.layer.1']),
         r'patterns\[0\].*name of a block.*did you mean backbone.layers.1'),
        (dict(patterns=['head']), r'patterns\[0\]: expected the name'),
        (dict(patterns=['(']), r'patterns\[0\].*regular expression'),
        (dict(ratio=.1), 'ratio: expected a share'),
        (dict(lists=['stages']), 'called stages, found none')])
    def test_what_matches_nothing_stops_before_the_training(
            self, toy_runner, settings, match):
        runner = toy_runner(**changes(**settings))
        with pytest.raises(DataError, match=match):
            runner.train()
        assert runner.iter == 0

    @pytest.mark.parametrize('ratio', [0, 1.5])
    def test_a_share_is_above_0_and_at_most_1(self, toy_runner, ratio):
        with pytest.raises(DataError, match='ratio: expected more than 0'):
            toy_runner(**changes(ratio=ratio))


class TestRun:

    def test_a_whole_training_ends_with_the_same_bits(self, toy_runner):
        ours = toy_runner('ours', **changes(ratio=1.))
        ours.train()
        plain = {**changes(), 'custom_hooks': [
            dict(type='EMAHook', momentum=.1)]}
        theirs = toy_runner('plain', **plain)
        theirs.train()
        blocks = [*ours.model.backbone.layers, *ours.model.head.blocks]
        assert {type(block) for block in blocks} == {Block}
        # a frozen one, one that trains: iterations and validation
        assert [blocks[1].runs, blocks[0].runs] == [
            2 * 24 + 4 * 2, 24 + 4 * 2]
        for name, value in theirs.model.state_dict().items():
            assert torch.equal(ours.model.state_dict()[name], value), name

    def test_names_are_logged(self, toy_runner):
        runner = toy_runner(**changes(ratio=.5), log_level='INFO')
        hook_of(runner).before_run(runner)
        text = Path(runner._log_dir, f'{runner.timestamp}.log').read_text()
        assert ('3 of 6 blocks run twice to save memory: backbone.layers.1, '
                'backbone.layers.3, head.blocks.1') in text
        hook_of(runner).after_run(runner)
        assert {type(block) for block in runner.model.head.blocks} == {Block}

    def test_mmengines_own_setting_does_not_go_with_it(self, toy_runner):
        runner = toy_runner(**changes())
        runner.cfg.activation_checkpointing = ['head.blocks.0']
        with pytest.raises(DataError, match='one way to save memory'):
            hook_of(runner).before_run(runner)


def _train_in_group(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/group', rank=rank, world_size=2)
    results = []
    for twice in (False, True):
        torch.manual_seed(0)
        model = BlockToy(frozen=2)
        # one that no gradient reaches would be waited for
        model.head.norms.requires_grad_(False)
        if twice:
            for block in find_blocks(model).values():
                run_twice(block)
        wrapped = nn.parallel.DistributedDataParallel(model)
        torch.manual_seed(rank)
        for _ in range(2):
            wrapped.zero_grad()
            wrapped(torch.randn(5, 6), torch.ones(5),
                    mode='loss')['loss'].backward()
        results.append({name: value.grad for name, value
                        in model.named_parameters()})
    same = all(
        (one is None and other is None) or torch.equal(one, other)
        for one, other in zip(*(found.values() for found in results),
                              strict=True))
    Path(folder, f'{rank}').write_text(str(same))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_get_the_same_gradients(tmp_path):
    context = torch.multiprocessing.get_context('fork')
    workers = [context.Process(target=_train_in_group,
                               args=(rank, str(tmp_path)))
               for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == [
        'True', 'True']

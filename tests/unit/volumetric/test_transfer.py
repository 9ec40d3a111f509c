"""What another rig's or skeleton's network knows reaches the new one."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop, Runner, get_priority
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import CheckpointSanityHook
from mmpose_ext.volumetric.skeletons import load_skeleton
from mmpose_ext.volumetric.transfer import (
    DannceTransferHook,
    deal_views,
    rows_by_name,
)

SIDE = 8
RAT = ('Snout', 'EarL', 'EarR', 'Tail(base)', 'HandL')
MOUSE = ('EarL', 'EarR', 'snout', 'Tail_base_', 'Tail_mid_', 'KneeL')
MOUSE_LINKS = [(0, 2), (1, 2), (3, 4)]


def meta_of(names: tuple[str, ...], links: list | None = None) -> dict:
    return dict(keypoint_id2name=dict(enumerate(names)),
                skeleton_links=links or [])


def build(views: int = 6, keypoints: int = 5, seed: int = 0,
          **backbone: object) -> nn.Module:
    torch.manual_seed(seed)
    model = MODELS.build(dict(
        type='mmpose_ext.DannceEstimator',
        backbone=dict(type='mmpose_ext.DannceUNet', num_views=views,
                      size=(4, 8), **backbone),
        head=dict(type='mmpose_ext.DannceExpectationHead', in_channels=4,
                  num_keypoints=keypoints)))
    for parameter in model.parameters():  # biases too tell rows apart
        nn.init.normal_(parameter, std=.3)
    return model


def checkpoint_of(model: nn.Module,
                  names: tuple[str, ...] | None = RAT) -> dict:
    meta = {} if names is None else dict(dataset_meta=meta_of(names))
    return dict(meta=meta, state_dict={
        name: value.clone() for name, value in model.state_dict().items()})


class FakeLoop(BaseLoop):
    """Tells that a run trains."""

    def __init__(self) -> None:
        pass

    def run(self) -> None:
        """Not called."""


def load(model: nn.Module, checkpoint: dict, metainfo: dict | None = None,
         training: bool = True, **settings: object) -> str:
    """What MMEngine does with ``load_from``; returns what is logged."""
    lines: list[str] = []
    runner = SimpleNamespace(
        model=model, _resume=False, _load_from='other.pth',
        _train_loop=FakeLoop() if training else dict(),
        logger=SimpleNamespace(info=lines.append),
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(
            metainfo=metainfo or meta_of(RAT))))
    MMLogger.get_instance('mmengine')
    hook = DannceTransferHook(**settings)
    hook.after_load_checkpoint(runner, checkpoint)
    if training:
        CheckpointSanityHook().after_load_checkpoint(runner, checkpoint)
    _load_checkpoint_to_model(model, checkpoint, strict=False)
    return '\n'.join(lines)


def volumes(views: int, batch: int = 2, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn((batch, views * channels, SIDE, SIDE, SIDE),
                       generator=generator)


@torch.no_grad()
def logits_of(model: nn.Module, inputs: Tensor) -> Tensor:
    return model(dict(volumes=inputs), None, mode='tensor')


def test_hook_comes_before_the_one_that_judges():
    assert get_priority(DannceTransferHook.priority) < get_priority(
        CheckpointSanityHook.priority)


def test_equal_rig_and_skeleton_copy_everything():
    source, model = build(seed=1), build()
    log = load(model, checkpoint_of(source))
    torch.testing.assert_close(
        logits_of(model, volumes(6)), logits_of(source, volumes(6)))
    for word in ('missing', 'not in', 'another shape', 'by name', 'views'):
        assert word not in log


@pytest.mark.parametrize('old, new', [(6, 12), (6, 8), (3, 4), (1, 5)])
@pytest.mark.parametrize('residual', [False, True])
def test_more_cameras_that_repeat_the_old_see_the_same(old, new, residual):
    source = build(old, seed=1, residual=residual)
    model = build(new, residual=residual)
    log = load(model, checkpoint_of(source))
    assert f'{old} views of 3 channels to {new} of 3 (tile)' in log
    inputs = volumes(old)
    repeated = inputs.unflatten(1, (old, 3))[
        :, torch.arange(new) % old].flatten(1, 2)
    torch.testing.assert_close(
        logits_of(model, repeated), logits_of(source, inputs),
        rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('old, new', [(6, 3), (6, 4), (8, 1)])
def test_fewer_cameras_see_what_repeated_ones_saw(old, new):
    source, model = build(old, seed=1), build(new)
    load(model, checkpoint_of(source))
    inputs = volumes(new)
    repeated = inputs.unflatten(1, (new, 3))[
        :, torch.arange(old) % new].flatten(1, 2)
    torch.testing.assert_close(
        logits_of(model, inputs), logits_of(source, repeated),
        rtol=1e-4, atol=1e-4)


def test_averaged_cameras_are_interchangeable():
    source, model = build(6, seed=1), build(4)
    load(model, checkpoint_of(source), views='average')
    inputs = volumes(4)
    other = inputs.unflatten(1, (4, 3))[:, [2, 0, 3, 1]].flatten(1, 2)
    torch.testing.assert_close(
        logits_of(model, inputs), logits_of(model, other),
        rtol=1e-4, atol=1e-4)
    # all cameras with one picture: what the old rig made of it
    same = volumes(1)
    torch.testing.assert_close(
        logits_of(model, same.repeat(1, 4, 1, 1, 1)),
        logits_of(source, same.repeat(1, 6, 1, 1, 1)), rtol=1e-4, atol=1e-4)


def test_grey_cameras_see_what_grey_pictures_showed():
    source, model = build(3, seed=1), build(3, view_channels=1)
    load(model, checkpoint_of(source))
    grey = volumes(3, channels=1)
    torch.testing.assert_close(
        logits_of(model, grey),
        logits_of(source, grey.repeat_interleave(3, 1)),
        rtol=1e-4, atol=1e-4)
    coloured = build(3)
    load(coloured, checkpoint_of(model), view_channels=1)
    torch.testing.assert_close(
        logits_of(coloured, grey.repeat_interleave(3, 1)),
        logits_of(model, grey), rtol=1e-4, atol=1e-4)


def test_channels_that_are_no_views_are_not_dealt():
    assert deal_views(torch.zeros(4, 10, 3, 3, 3), 6) is None
    assert deal_views(torch.zeros(4, 12, 3, 3, 3), 6, 2, 3) is None


def test_keypoints_are_matched_by_name():
    source, model = build(seed=1), build(keypoints=6)
    log = load(model, checkpoint_of(source), meta_of(MOUSE, MOUSE_LINKS))
    assert 'head: 4 of 6 keypoints by name' in log
    wanted, found = (logits_of(network, volumes(6))
                     for network in (source, model))
    torch.testing.assert_close(found[:, :4], wanted[:, [1, 2, 0, 3]])
    # the middle of the tail begins at its base, a knee as the whole animal
    torch.testing.assert_close(found[:, 4], wanted[:, 3])
    torch.testing.assert_close(found[:, 5], wanted.mean(1))


def test_equal_skeleton_in_another_order_is_put_in_order():
    source, model = build(seed=1), build()
    order = [4, 2, 0, 1, 3]
    load(model, checkpoint_of(source), meta_of(tuple(RAT[i] for i in order)))
    torch.testing.assert_close(logits_of(model, volumes(6)),
                               logits_of(source, volumes(6))[:, order])


def test_without_names_rows_keep_their_order_or_begin_anew():
    source, model = build(seed=1), build()
    log = load(model, checkpoint_of(source, None))
    assert 'in the order of the file' in log
    torch.testing.assert_close(
        logits_of(model, volumes(6)), logits_of(source, volumes(6)))
    other = build(keypoints=6)
    before = other.head.final_layer.weight.clone()
    log = load(other, checkpoint_of(source, None), meta_of(MOUSE))
    assert 'head.final_layer.weight (5, 4, 1, 1, 1) for (6, 4, 1, 1, 1)' in log
    assert torch.equal(other.head.final_layer.weight, before)


def test_names_of_a_nameless_checkpoint_can_be_told():
    source, model = build(keypoints=23, seed=1), build(keypoints=2)
    load(model, checkpoint_of(source, None), meta_of(('EarR', 'Snout')),
         skeleton='rat23')
    found = logits_of(model, volumes(6))
    wanted = logits_of(source, volumes(6))
    names = list(load_skeleton('rat23')['keypoint_id2name'].values())
    torch.testing.assert_close(
        found, wanted[:, [names.index('EarR'), names.index('Snout')]])


def test_rows_without_any_counterpart_are_the_mean():
    given = torch.arange(6.).view(3, 2)
    rows, count = rows_by_name(given, 'abc', 'xyzw')
    assert count == 0
    assert torch.equal(rows, given.mean(0).expand(4, 2))


def test_everything_that_does_not_fit_is_told():
    source, model = build(seed=1), build(norm_upsampling=True)
    checkpoint = checkpoint_of(source)
    checkpoint['state_dict']['refiner.weight'] = torch.zeros(2)
    log = load(model, checkpoint)
    missing = next(line for line in log.splitlines()
                   if line.startswith('not in the file'))
    assert 'backbone.up1.norm.weight' in missing
    assert 'not in the model: refiner.weight' in log


def test_a_backbone_alone_gets_its_prefix():
    source, model = build(seed=1), build()
    state = source.backbone.state_dict()
    load(model, dict(state_dict=state))
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, state[name])


def test_another_network_is_refused():
    with pytest.raises(DataError, match='other.pth.*backbone.*90%'):
        load(build(), checkpoint_of(build(norm='batch', residual=True,
                                          seed=1), None) | dict(
            state_dict=dict(weight=torch.zeros(3))))


def test_a_stem_is_not_taken_for_cameras():
    stem = dict(type='mmpose_ext.DannceViewPoolingStem', width=9)
    source = build(seed=1, stem=stem)
    model = build(4)
    state = checkpoint_of(source)
    log = load(model, state)
    assert 'backbone.enc1.conv1.weight (4, 18, 3, 3, 3) for (4, 12' in log


def build_refined(skeleton: str | None, seed: int = 0,
                  **settings: object) -> nn.Module:
    """DANNCE, with a graph if there is a skeleton."""
    torch.manual_seed(seed)
    graph = None if skeleton is None else dict(
        type='mmpose_ext.DanncePoseGraph', skeleton=skeleton, hidden=4,
        layers=1, fuse_channels=4, **settings)
    count = len(load_skeleton(skeleton or 'rat23')['keypoint_id2name'])
    model = MODELS.build(dict(
        type='mmpose_ext.DannceEstimator',
        backbone=dict(type='mmpose_ext.DannceUNet', size=(4, 8)),
        head=dict(type='mmpose_ext.DannceExpectationHead', in_channels=(4, ),
                  num_keypoints=count, refiner=graph)))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=.3)
    return model


def meta_and_state(model: nn.Module, skeleton: str) -> dict:
    return dict(checkpoint_of(model, None),
                meta=dict(dataset_meta=load_skeleton(skeleton)))


def test_dannce_reaches_all_of_s_dannce_but_its_graph():
    source, model = build_refined(None, seed=1), build_refined('rat23')
    graph = {name: value.clone()
             for name, value in model.head.refiner.state_dict().items()}
    log = load(model, meta_and_state(source, 'rat23'),
               load_skeleton('rat23'))
    assert f'not in the file: head.refiner.* ({len(graph)})' in log
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    for name, value in graph.items():
        assert torch.equal(model.head.refiner.state_dict()[name], value)


def test_s_dannce_gives_back_what_dannce_has():
    source, model = build_refined('rat23', seed=1), build_refined(None)
    log = load(model, meta_and_state(source, 'rat23'),
               load_skeleton('rat23'))
    count = len(source.head.refiner.state_dict())
    assert f'not in the model: head.refiner.* ({count})' in log
    for name, value in model.state_dict().items():
        assert torch.equal(source.state_dict()[name], value)


def test_graph_of_an_equal_skeleton_is_copied_as_it_is():
    source, model = build_refined('rat23', seed=1), build_refined('rat23')
    log = load(model, meta_and_state(source, 'rat23'),
               load_skeleton('rat23'))
    assert 'head.refiner' not in log
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_graph_of_another_skeleton_keeps_what_has_the_same_name():
    source = build_refined('rat23', seed=1, between_animals=True)
    model = build_refined('mouse22', between_animals=True)
    fresh = {name: value.clone()
             for name, value in model.state_dict().items()}
    log = load(model, meta_and_state(source, 'rat23'),
               load_skeleton('mouse22'))
    rat, mouse = source.head.refiner, model.head.refiner
    # and TailBase is Tail(base)
    count = len(set(rat.plan.names) & set(mouse.plan.names)) + 1
    assert f'head.refiner.*.between: {count} of 22 by name, the' in log
    assert 'head.refiner.*.edges: ' in log
    layer = 'first.conv'
    given, found = (graph.get_submodule(layer) for graph in (rat, mouse))
    was = fresh[f'head.refiner.{layer}.edges']

    def number(graph: nn.Module, conv: nn.Module, *pair: str) -> int:
        return int(conv.place[tuple(map(graph.plan.names.index, pair))])

    for pair in (('Snout', 'EarL'), ('EarL', 'Snout'), ('SpineF', 'SpineF'),
                 ('KneeL', 'AnkleL')):
        assert found.edges[number(mouse, found, *pair)] == given.edges[
            number(rat, given, *pair)]
    for pair in (('EarL', 'SpineF'), ('Tail(end)', 'Tail(end)')):
        place = number(mouse, found, *pair)
        assert found.edges[place] == was[place]
    # what does not depend on keypoints is the same
    assert torch.equal(mouse.fuse.weight, rat.fuse.weight)
    assert torch.equal(found.own, given.own)


def test_graph_without_names_keeps_its_weights_and_begins_its_links_anew():
    source, model = build_refined('rat23', seed=1), build_refined('mouse22')
    log = load(model, checkpoint_of(source, None), load_skeleton('mouse22'))
    assert 'head.refiner.first.conv.edges (69,) for (70,)' in log
    assert torch.equal(model.head.refiner.first.conv.own,
                       source.head.refiner.first.conv.own)


class OneVolume(Dataset):
    """A batch that is already what the preprocessor makes."""

    metainfo = meta_of(MOUSE, MOUSE_LINKS)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict:
        sample = PoseDataSample(metainfo=dict(grid_centres=torch.zeros(1, 3)))
        sample.gt_instance_labels = InstanceData(
            keypoints=torch.zeros(1, len(MOUSE), 3))
        return dict(data_samples=sample, inputs=dict(
            volumes=volumes(8, 1)[0], centres=torch.zeros(3),
            axes=torch.eye(3), offsets=torch.arange(SIDE) - 3.5))


def gather(batch: list[dict]) -> dict:
    inputs = {name: torch.stack([item['inputs'][name] for item in batch])
              for name in batch[0]['inputs']}
    inputs['offsets'] = inputs['offsets'][0]
    return dict(inputs=inputs,
                data_samples=[item['data_samples'] for item in batch])


def test_a_run_begins_with_what_the_checkpoint_knew(tmp_path):
    """By MMEngine's own order of hooks, from ``load_from`` in a config."""
    source, model = build(6, seed=1), build(8, keypoints=len(MOUSE))
    torch.save(checkpoint_of(source), tmp_path / 'rat.pth')
    runner = Runner(
        model, str(tmp_path), experiment_name=tmp_path.name,
        train_dataloader=dict(
            batch_size=1, dataset=OneVolume(), collate_fn=gather,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)),
        custom_hooks=[dict(type='mmpose_ext.CheckpointSanityHook'),
                      dict(type='mmpose_ext.DannceTransferHook')],
        load_from=str(tmp_path / 'rat.pth'))
    runner.train()
    inputs = volumes(6)
    repeated = inputs.unflatten(1, (6, 3))[
        :, torch.arange(8) % 6].flatten(1, 2)
    torch.testing.assert_close(
        logits_of(model, repeated)[:, :4],
        logits_of(source, inputs)[:, [1, 2, 0, 3]], rtol=1e-4, atol=1e-4)


def test_a_test_changes_names_alone():
    source, model = build(6, seed=1), build(8)
    checkpoint = checkpoint_of(source)
    hook, before = DannceTransferHook(), dict(checkpoint['state_dict'])
    runner = SimpleNamespace(_resume=False, _train_loop=dict(), model=model)
    hook.after_load_checkpoint(runner, checkpoint)
    assert checkpoint['state_dict'].keys() == before.keys()
    assert all(value is before[name]
               for name, value in checkpoint['state_dict'].items())


def test_a_resumed_run_is_left_alone():
    checkpoint = dict(state_dict=dict(strange=1))
    DannceTransferHook().after_load_checkpoint(
        SimpleNamespace(_resume=True), checkpoint)
    assert checkpoint == dict(state_dict=dict(strange=1))


def test_an_unknown_way_to_deal_is_an_error():
    with pytest.raises(DataError, match='tile or average'):
        DannceTransferHook(views='mean')

"""Every parameter is in one stage, and a pattern selects what it says."""
from __future__ import annotations

import mmpose.models  # noqa: F401  (registers the backbones)
import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from mmpose_ext.storage import DataError
from mmpose_ext.training import find_stages, select_parameters

CSPNEXT = dict(
    type='CSPNeXt', expand_ratio=.5, deepen_factor=.67, widen_factor=.75,
    out_indices=(4, ), norm_cfg=dict(type='BN'))


def hrnet_stage(modules: int, block: str, *channels: int) -> dict:
    return dict(
        num_modules=modules, num_branches=len(channels), block=block,
        num_blocks=(4, ) * len(channels), num_channels=channels)


HRNET = dict(
    type='HRNet',
    extra=dict(
        stage1=hrnet_stage(1, 'BOTTLENECK', 64),
        stage2=hrnet_stage(1, 'BASIC', 32, 64),
        stage3=hrnet_stage(4, 'BASIC', 32, 64, 128),
        stage4=hrnet_stage(3, 'BASIC', 32, 64, 128, 256)))


class Estimator(nn.Module):
    """A backbone, a neck and a head."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.head = nn.Linear(2, 3)
        self.backbone = backbone
        self.neck = nn.Linear(2, 2, bias=False)


class Blocks(nn.Module):
    """A vision transformer's children."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1))
        self.patch_embed = nn.Linear(1, 1)
        self.blocks = nn.ModuleList(nn.Linear(1, 1) for _ in range(11))
        self.norm = nn.LayerNorm(1)


class WithDepths(Blocks):
    """The same, with mmpretrain's protocol."""

    def get_layer_depth(self, name: str, prefix: str) -> tuple[int, int]:
        parts = name.removeprefix(prefix).split('.')
        if parts[0] == 'blocks':
            return int(parts[1]) + 1, 13
        return (12 if parts[0] == 'norm' else 0), 13


def sizes(backbone: dict | nn.Module) -> dict[str, int]:
    """Parameters of each stage of an estimator; all are in one."""
    if isinstance(backbone, dict):
        with torch.device('meta'):
            backbone = MODELS.build(backbone)
    model = Estimator(backbone)
    parameters = dict(model.named_parameters())
    stages = find_stages(model)
    names = [name for stage in stages for name in stage.parameters]
    assert sorted(names) == sorted(parameters)
    return {stage.name: sum(parameters[name].numel()
                            for name in stage.parameters) for stage in stages}


def test_cspnext_m_has_its_published_sizes() -> None:
    assert list(sizes(CSPNEXT).items()) == [
        ('stem', 16_392), ('stage1', 118_848), ('stage2', 658_368),
        ('stage3', 2_606_976), ('stage4', 8_878_848), ('head', 9 + 4)]


def test_transitions_of_hrnet_belong_to_the_stage_that_they_lead_to() -> None:
    assert list(sizes(HRNET).items()) == [
        ('stem', 38_848), ('layer1', 286_208), ('stage2', 221_376 + 390_848),
        ('stage3', 73_984 + 6_821_632), ('stage4', 295_424 + 20_407_232),
        ('head', 13)]


@pytest.mark.parametrize('deep_stem', [False, True])
def test_resnet(deep_stem: bool) -> None:
    found = sizes(dict(type='ResNet', depth=18, deep_stem=deep_stem))
    assert list(found) == ['stem', 'layer1', 'layer2', 'layer3', 'layer4',
                           'head']
    assert found['layer4'] == 8_393_728


@pytest.mark.parametrize('kind, name', [(Blocks, 'block{}'),
                                        (WithDepths, 'layer{}')])
def test_transformer_has_a_stage_a_block(kind: type, name: str) -> None:
    found = sizes(kind())
    shift = int(kind is WithDepths)
    first = 'layer0' if shift else 'stem'
    assert found[first] == 3
    assert list(found) == [
        first, *(name.format(number + shift) for number in range(11)), 'head']
    assert list(found.values()) == [3, *[2] * 10, 4, 13]


def test_wrapped_network_is_looked_into() -> None:
    wrapper = nn.Module()
    wrapper.timm_model = Blocks()
    assert sizes(wrapper) == sizes(Blocks())


def test_backbone_without_numbers_has_a_stage_a_child() -> None:
    backbone = nn.Sequential()
    for name in ('first', 'second'):
        backbone.add_module(name, nn.Linear(1, 1))
    assert sizes(backbone) == dict(first=2, second=2, head=13)


def test_declared_map_is_followed() -> None:
    backbone = Blocks()
    backbone.get_stage_map = lambda: dict(
        low=['cls_token', 'patch_embed', 'blocks.0', 'blocks.1'],
        high=[f'blocks.{n}' for n in range(2, 11)] + ['norm'])
    assert sizes(backbone) == dict(low=7, high=20, head=13)
    # blocks.1 is not the start of blocks.10
    assert 'backbone.blocks.10.bias' in find_stages(
        Estimator(backbone))[1].parameters


def test_declared_map_that_leaves_something_out_is_refused() -> None:
    backbone = Blocks()
    backbone.get_stage_map = lambda: dict(low=['cls_token', 'patch_embed'])
    with pytest.raises(DataError, match=r'backbone\.blocks\.0\.weight'):
        find_stages(Estimator(backbone))


def test_estimator_can_declare_its_neck() -> None:
    model = Estimator(Blocks())
    model.get_stage_map = lambda: dict(all=['backbone'], between=['neck'])
    assert [stage.name for stage in find_stages(model)] == [
        'all', 'between', 'head']


def test_model_without_a_backbone_is_all_head() -> None:
    stage, = find_stages(nn.Linear(2, 2))
    assert (stage.name, stage.parameters) == ('head', ('weight', 'bias'))


def test_wrapped_model_has_bare_names() -> None:
    model = Estimator(Blocks())
    assert find_stages(nn.DataParallel(model)) == find_stages(model)
    chosen = select_parameters(nn.DataParallel(model), ['neck'], 'x')
    assert chosen == {'neck.weight': model.neck.weight}


def selected(*patterns: str) -> list[str]:
    return list(select_parameters(Estimator(Blocks()), patterns, 'here'))


def test_components_match_whole() -> None:
    assert selected('backbone.blocks.1') == [
        'backbone.blocks.1.weight', 'backbone.blocks.1.bias']
    assert len(selected('backbone.blocks.1?')) == 2
    assert len(selected('backbone.blocks.*.bias')) == 11
    assert selected('*.weight') == ['head.weight', 'neck.weight']


def test_name_of_a_stage_counts() -> None:
    assert selected('stem') == [
        'backbone.cls_token', 'backbone.patch_embed.weight',
        'backbone.patch_embed.bias']
    # the stage holds the neck, the module does not
    assert selected('head') == ['head.weight', 'head.bias', 'neck.weight']


def test_several_patterns_are_a_union_in_the_models_order() -> None:
    assert selected('neck', 'head.bias', 'neck') == [
        'head.bias', 'neck.weight']


def test_pattern_without_a_match_is_refused_with_its_neighbours() -> None:
    with pytest.raises(DataError) as caught:
        selected('head', 'backbone.patch_embedd')
    assert caught.value.where == 'here'
    assert 'backbone.patch_embedd' in caught.value.found
    assert 'did you mean backbone.patch_embed' in caught.value.hint

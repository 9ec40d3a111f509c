"""The vision transformer: weights that stay what they were."""
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

import mmpose_ext.handobject  # noqa: F401
from mmpose_ext.handobject.network import HandObjectVit, resize_positions
from mmpose_ext.registry import MODELS
from tests.unit.handobject.batches import model_config

ARCH = dict(embed_dims=32, depth=3, num_heads=2)


@pytest.fixture(autouse=True)
def scope() -> None:
    init_default_scope('mmpose')
    torch.manual_seed(0)


def make_vit(**settings: object) -> HandObjectVit:
    settings = dict(arch=ARCH, img_size=56, patch_size=14, layer_scale=1.,
                    **settings)
    return HandObjectVit(**settings)


def digest(module: nn.Module) -> dict[str, str]:
    return {name: hashlib.sha1(tensor.numpy().tobytes()).hexdigest()
            for name, tensor in module.state_dict().items()}


def plain_forward(vit: HandObjectVit, inputs: torch.Tensor) -> torch.Tensor:
    """The transformer by torch's own layers."""
    patches = nn.functional.conv2d(
        inputs, vit.patch_embed.proj.weight, vit.patch_embed.proj.bias,
        stride=14).flatten(2).mT
    tokens = torch.cat([vit.cls_token.expand(len(inputs), -1, -1), patches],
                       1) + vit.pos_embed
    for block in vit.blocks:
        attention = nn.MultiheadAttention(32, 2, batch_first=True)
        attention.in_proj_weight.data = block.attn.qkv.weight.data
        attention.in_proj_bias.data = block.attn.qkv.bias.data
        attention.out_proj.weight.data = block.attn.proj.weight.data
        attention.out_proj.bias.data = block.attn.proj.bias.data
        normed = block.norm1(tokens)
        tokens = tokens + block.ls1.gamma * attention(normed, normed,
                                                      normed)[0]
        hidden = nn.functional.gelu(block.mlp.fc1(block.norm2(tokens)))
        tokens = tokens + block.ls2.gamma * block.mlp.fc2(hidden)
    return vit.norm(tokens)[:, 1:].mT.unflatten(2, (4, 4))


def test_it_is_the_plain_transformer() -> None:
    vit, inputs = make_vit().eval(), torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        torch.testing.assert_close(vit(inputs)[0], plain_forward(vit, inputs),
                                   atol=1e-5, rtol=1e-5)


def test_parts_have_dinov2s_names_and_sizes() -> None:
    with torch.device('meta'):
        small = HandObjectVit('small', 518)
    shapes = {name: tuple(tensor.shape)
              for name, tensor in small.state_dict().items()}
    assert shapes['pos_embed'] == (1, 1 + 37 * 37, 384)
    assert shapes['blocks.11.attn.qkv.weight'] == (1152, 384)
    assert shapes['blocks.0.ls1.gamma'] == (384, )
    # 22,056,576 of the published file, its mask token among them
    count = sum(tensor.numel() for tensor in small.parameters())
    assert count == 22_056_576 - 384


def test_pretrained_weights_are_intact(tmp_path: Path) -> None:
    source = make_vit()
    path = tmp_path / 'dinov2.pth'
    torch.save({**source.state_dict(), 'mask_token': torch.zeros(1, 32)},
               path)
    config = model_config()
    config['backbone'].update(
        arch=ARCH, img_size=56, patch_size=14,
        init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    config['head'].update(input_size=(56, 56))
    model = MODELS.build(config)
    model.init_weights()
    assert digest(model.backbone) == digest(source)
    model.init_weights()  # what the Runner may do again
    assert digest(model.backbone) == digest(source)


def test_weights_of_mmpretrain_and_of_another_size_load() -> None:
    source = make_vit()
    renamed = {}
    for name, tensor in source.state_dict().items():
        for ours, theirs in (('blocks.', 'layers.'), ('norm1.', 'ln1.'),
                             ('norm2.', 'ln2.'),
                             ('ls1.gamma', 'attn.gamma1.weight'),
                             ('ls2.gamma', 'ffn.gamma2.weight'),
                             ('mlp.fc1.', 'ffn.layers.0.0.'),
                             ('mlp.fc2.', 'ffn.layers.1.'),
                             ('patch_embed.proj', 'patch_embed.projection')):
            name = name.replace(ours, theirs)
        renamed['ln1' + name[4:] if name.startswith('norm.') else name
                ] = tensor
    other = make_vit()
    other.load_state_dict(renamed)
    assert digest(other) == digest(source)
    larger = HandObjectVit(ARCH, 84, 14)
    larger.load_state_dict(renamed)
    assert larger.pos_embed.shape == (1, 1 + 36, 32)
    assert torch.equal(larger.blocks[1].mlp.fc1.weight,
                       source.blocks[1].mlp.fc1.weight)


def test_positions_of_a_plane_stay_one_when_resized() -> None:
    y, x = torch.meshgrid(torch.arange(8.), torch.arange(8.), indexing='ij')
    plane = torch.stack([x, y], -1).reshape(1, 64, 2)
    resized = resize_positions(torch.cat([torch.full((1, 1, 2), 9.), plane],
                                         1), 16)
    assert torch.equal(resized[:, 0], torch.full((1, 2), 9.))
    grid = resized[0, 1:].reshape(16, 16, 2)[4:12, 4:12]
    expected = (torch.arange(4., 12) + .5) / 2 - .5
    torch.testing.assert_close(grid[0, :, 0], expected, atol=.06, rtol=0)
    torch.testing.assert_close(grid[:, 0, 1], expected, atol=.06, rtol=0)


def test_frozen_blocks_take_no_part_in_the_graph() -> None:
    vit = make_vit(frozen_stages=2, drop_path=.5).train()
    assert not vit.blocks[1].training and vit.blocks[2].training
    seen = {}
    vit.blocks[2].register_forward_pre_hook(
        lambda _, inputs: seen.update(graph=inputs[0].grad_fn))
    vit(torch.randn(1, 3, 56, 56))[0].sum().backward()
    assert seen['graph'] is None
    trained = {name for name, parameter in vit.named_parameters()
               if parameter.grad is not None}
    assert trained == {name for name, _ in vit.named_parameters()
                       if name.startswith(('blocks.2.', 'norm.'))}


def test_pictures_have_the_size_of_the_settings() -> None:
    with pytest.raises(ValueError,
                       match='pictures of 56 x 56 px, found 70 x 56'):
        make_vit()(torch.randn(1, 3, 56, 70))


def test_levels_are_those_asked_for() -> None:
    vit = make_vit(out_indices=[0, -1]).eval()
    first, last = vit(torch.randn(1, 3, 56, 56))
    assert first.shape == last.shape == (1, 32, 4, 4)
    assert not torch.allclose(first, last)


def test_learning_rates_fall_with_depth_and_scales_do_not_decay() -> None:
    model = MODELS.build(model_config())
    wrapper = build_optim_wrapper(model, dict(
        type='OptimWrapper',
        constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=.1),
        paramwise_cfg=dict(layer_decay=.5)))
    groups = {
        id(parameter): group for group in wrapper.optimizer.param_groups
        for parameter in group['params']}

    def of(name: str) -> dict:
        return groups[id(model.get_parameter(name))]

    assert of('head.queries.embedding')['lr'] == 1e-3
    assert of('backbone.blocks.1.attn.qkv.weight')['lr'] == 5e-4
    assert of('backbone.blocks.0.attn.qkv.weight')['lr'] == 2.5e-4
    assert of('backbone.patch_embed.proj.weight')['lr'] == 1.25e-4
    for name in ('head.queries.layers.0.attention.query.gamma',
                 'backbone.blocks.1.ls1.gamma', 'backbone.norm.weight'):
        assert of(name)['weight_decay'] == 0
    assert of('head.queries.layers.0.attention.query.weight'
              )['weight_decay'] == .1


@pytest.mark.parametrize(('settings', 'message'), [
    (dict(img_size=50), 'multiple of 14'),
    (dict(arch='huge'), 'one of small, base, large'),
    (dict(frozen_stages=4), 'frozen_stages: expected -1 to 3'),
    (dict(out_indices=[0, 3]), 'out_indices: expected -3 to 2'),
    (dict(stem='linear'), 'patch or conv'),
    (dict(stem='conv'), 'power of two'),
])
def test_settings_that_do_not_fit(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HandObjectVit(**{**dict(arch=ARCH, img_size=56, patch_size=14),
                         **settings})

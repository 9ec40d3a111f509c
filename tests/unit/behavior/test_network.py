"""Published sizes, equality with torch's encoder, options, stages."""
from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmpose_ext.behavior.attention import rotate
from mmpose_ext.behavior.network import LisbetTransformer
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import find_stages

from .window_batches import SMALL, batch_of, small_head


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def small(**changes: object) -> LisbetTransformer:
    torch.manual_seed(0)
    return MODELS.build({**SMALL, **changes})


def test_published_numbers_of_parameters() -> None:
    assert count(LisbetTransformer()) == 414_656
    assert count(LisbetTransformer(
        embed_dims=32, num_layers=4, num_heads=4,
        hidden_channels=128)) == 58_208


@pytest.mark.parametrize('sizes', [
    dict(in_channels=5, embed_dims=24, num_layers=3, num_heads=3,
         hidden_channels=40, max_length=17),
    dict(in_channels=9, embed_dims=8, num_layers=1, num_heads=2,
         hidden_channels=8, max_length=1)])
def test_number_of_parameters_by_its_formula(sizes: dict) -> None:
    width, hidden = sizes['embed_dims'], sizes['hidden_channels']
    layer = (4 * width**2 + 4 * width + 2 * width * hidden + hidden + width
             + 4 * width)
    assert count(LisbetTransformer(**sizes)) == (
        sizes['in_channels'] * width + width + sizes['max_length'] * width
        + sizes['num_layers'] * layer + 2 * width)


def torch_encoder(network: LisbetTransformer) -> nn.TransformerEncoder:
    first = network.transformer_encoder.layers[0]
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(
            network.embed_dims, network.num_heads, first.linear1.out_features,
            0., 'gelu', batch_first=True, norm_first=True),
        len(network.transformer_encoder.layers), enable_nested_tensor=False)
    # strict: the names are torch's, too
    encoder.load_state_dict(network.transformer_encoder.state_dict())
    return encoder


def test_network_computes_what_the_encoder_of_torch_does() -> None:
    network = LisbetTransformer(num_layers=3)
    encoder = torch_encoder(network)
    x = torch.randn(11, 200, 28)  # more than go through at once
    tokens = x @ network.frame_embedder.weight.t() + (
        network.frame_embedder.bias) + network.pos_embedder.pos_emb
    wanted = network.layer_norm(encoder(tokens))
    found, = network(x)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(wanted) / wanted.numel()**.5
    found.backward(weights)
    ours = [p.grad for p in network.transformer_encoder.parameters()]
    for one, other in zip(ours, torch.autograd.grad(
            wanted, list(encoder.parameters()), weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('settings', [
    {}, dict(causal=True), dict(positions='rotary'),
    dict(positions='rotary', causal=True), dict(positions='none')])
def test_every_way_of_computing_gives_the_same(
        settings: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small(**settings).eval()
    x = torch.randn(5, 12, 8)
    fast, = network(x)
    torch.testing.assert_close(network.forward_token(x, 7), fast[:, 7],
                               rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network.forward_token(x, -1), fast[:, -1],
                               rtol=1e-5, atol=1e-5)
    monkeypatch.setattr('mmpose_ext.behavior.network._FAST_LENGTH', 0)
    torch.testing.assert_close(network(x)[0], fast, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr('mmpose_ext.behavior.network._TOKENS_AT_ONCE', 24)
    torch.testing.assert_close(network(x)[0], fast, rtol=1e-5, atol=1e-5)


def test_causal_network_does_not_see_what_follows() -> None:
    x = torch.randn(2, 12, 8)
    other = x.clone()
    other[:, 7:] += 1
    for causal in (True, False):
        network = small(causal=causal)
        same = torch.isclose(network(x)[0][:, :7], network(other)[0][:, :7],
                             atol=1e-6)
        assert same.all() == causal


def test_longer_window_than_was_learned_is_an_error() -> None:
    network = small()
    assert network(torch.randn(2, 5, 8))[0].shape == (2, 5, 16)
    with pytest.raises(DataError, match='max_length.*13.*12.*rotary'):
        network(torch.randn(2, 13, 8))
    assert small(positions='rotary')(torch.randn(2, 30, 8))[0].shape == (
        2, 30, 16)


def test_rotary_positions_see_distances_alone() -> None:
    network = small(positions='rotary', num_layers=1)
    query, key = torch.randn(2, 8)
    cosine, sine = network._angles(20, query)
    turned = [rotate(part.expand(20, 8).t(), cosine, sine, 0)
              for part in (query, key)]
    scores = turned[0].t() @ turned[1]
    for distance in range(-19, 20):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal,
                                   diagonal[:1].expand_as(diagonal))
    assert scores[0].std() > .1


def test_layers_begin_apart_unless_asked() -> None:
    for identical in (False, True):
        first, second = small(
            identical_layers=identical).transformer_encoder.layers
        assert torch.equal(first.linear1.weight,
                           second.linear1.weight) == identical


def test_zero_residual_begins_with_the_embedding() -> None:
    network = small(zero_residual=True)
    x = torch.randn(3, 12, 8)
    torch.testing.assert_close(network(x)[0], network.layer_norm(
        network.pos_embedder(network.frame_embedder(x))))


@pytest.mark.parametrize('settings', [dict(dropout=.5), dict(drop_path=.5)])
def test_dropout_acts_in_training_alone(settings: dict) -> None:
    network, plain = small(**settings), small()
    x = torch.randn(3, 12, 8)
    assert not torch.allclose(network(x)[0], plain(x)[0], atol=1e-3)
    torch.testing.assert_close(network.eval()(x)[0], plain(x)[0])


def test_half_precision_takes_the_way_of_torch() -> None:
    network = small()
    x = torch.randn(3, 12, 8)
    with torch.autocast('cpu', torch.bfloat16):
        tokens, = network(x)
        tokens.float().square().mean().backward()
    torch.testing.assert_close(tokens.float(), network(x)[0], rtol=.1,
                               atol=.1)


def test_network_is_copied_and_pickled() -> None:
    network = small()
    network(torch.randn(3, 12, 8))[0].sum().backward()
    x = torch.randn(2, 12, 8)
    for other in (copy.deepcopy(network),
                  pickle.loads(pickle.dumps(network))):
        assert torch.equal(other(x)[0], network(x)[0])


@pytest.mark.parametrize(('settings', 'place'), [
    (dict(num_heads=3), 'num_heads'), (dict(positions='sine'), 'positions'),
    (dict(embed_dims=6, num_heads=2, positions='rotary'), 'num_heads'),
    (dict(frozen_stages=3), 'frozen_stages')])
def test_setting_that_cannot_be_is_named(settings: dict, place: str) -> None:
    with pytest.raises(DataError, match=place):
        small(**settings)


def build_model() -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(dict(type='mmpose_ext.LisbetModel', backbone=SMALL,
                             heads=dict(cons=small_head())))


def test_stages_are_embedder_layers_and_head() -> None:
    stages = find_stages(build_model())
    assert [stage.name for stage in stages] == [
        'embedder', 'layer1', 'layer2', 'head']
    assert 'backbone.layer_norm.weight' in stages[2].parameters


@pytest.mark.parametrize(('number', 'learning'), [
    (-1, {'embedder', 'layer1', 'layer2'}), (0, {'layer1', 'layer2'}),
    (1, {'layer2'}), (2, set())])
def test_frozen_stages(number: int, learning: set[str]) -> None:
    network = small(frozen_stages=number)
    parameters = dict(network.named_parameters())
    found = {stage for stage, names in network.get_stage_map().items()
             for name in names for path, parameter in parameters.items()
             if path.startswith(name) and parameter.requires_grad}
    assert found == learning


def train(tmp_path: Path, *hooks: dict, **settings: object) -> nn.Module:
    inputs, samples = batch_of(('cons', ))
    batches = [dict(inputs=inputs, data_samples=samples)] * 3
    runner = Runner(
        build_model(), str(tmp_path),
        train_dataloader=DataLoader(
            batches, batch_size=1, collate_fn=lambda batch: batch[0]),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=.01), **settings),
        custom_hooks=list(hooks), experiment_name=tmp_path.name)
    return runner.train()


def moved_parts(model: nn.Module) -> set[str]:
    start = build_model().state_dict()
    return {name.split('.')[0] for name, value in model.state_dict().items()
            if not torch.equal(value, start[name])}


def test_freeze_hook_leaves_the_head_alone_to_learn(tmp_path: Path) -> None:
    model = train(tmp_path, dict(type='mmpose_ext.FreezeHook',
                                 patterns=['backbone']))
    assert moved_parts(model) == {'heads'}


def test_freeze_hook_takes_stages(tmp_path: Path) -> None:
    model = train(tmp_path, dict(type='mmpose_ext.FreezeHook',
                                 patterns=['embedder', 'layer1']))
    start = build_model().state_dict()
    moved = {name for name, value in model.state_dict().items()
             if not torch.equal(value, start[name])}
    assert not any('embedder' in name or 'layers.0' in name for name in moved)
    assert any('layers.1' in name for name in moved)


def test_pattern_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='layer9'):
        train(tmp_path, dict(type='mmpose_ext.FreezeHook',
                             patterns=['layer9']))


def test_learning_rates_by_stage_reach_the_layers(tmp_path: Path) -> None:
    model = train(
        tmp_path, constructor='mmpose_ext.StageWiseOptimWrapperConstructor',
        paramwise_cfg=dict(stage_lrs=dict(embedder=1e-4, layer1=1e-4)))
    start = build_model().state_dict()
    for name, value in model.state_dict().items():
        slow = 'embedder' in name or 'layers.0' in name
        moved = (value - start[name]).abs().max()
        # three steps of AdamW, each of about the learning rate
        assert moved < 4e-6 if slow else moved > 1e-3, name

"""Original checkpoints against a network written down from its description."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from mmpose_ext.behavior import original_checkpoints
from mmpose_ext.behavior.original_checkpoints import convert_original
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

FEATURES, WIDTH, HIDDEN, LAYERS, HEADS, LENGTH = 28, 16, 24, 3, 4, 10
GENERATOR = torch.Generator()


def tensor(*shape: int) -> Tensor:
    return torch.randn(shape, generator=GENERATOR) * .3


def linear(name: str, out: int, into: int) -> dict[str, Tensor]:
    return {f'{name}.weight': tensor(out, into), f'{name}.bias': tensor(out)}


def transformer_weights() -> dict[str, Tensor]:
    state = {
        **linear('backbone.frame_embedder', WIDTH, FEATURES),
        'backbone.pos_embedder.pos_emb': tensor(LENGTH, WIDTH),
        'backbone.layer_norm.weight': 1 + tensor(WIDTH),
        'backbone.layer_norm.bias': tensor(WIDTH)}
    for number in range(LAYERS):
        layer = f'backbone.transformer_encoder.layers.{number}'
        state.update({
            f'{layer}.self_attn.in_proj_weight': tensor(3 * WIDTH, WIDTH),
            f'{layer}.self_attn.in_proj_bias': tensor(3 * WIDTH),
            **linear(f'{layer}.self_attn.out_proj', WIDTH, WIDTH),
            **linear(f'{layer}.linear1', HIDDEN, WIDTH),
            **linear(f'{layer}.linear2', WIDTH, HIDDEN)})
        for norm in ('norm1', 'norm2'):
            state[f'{layer}.{norm}.weight'] = 1 + tensor(WIDTH)
            state[f'{layer}.{norm}.bias'] = tensor(WIDTH)
    return state


def head_weights(task: str, classes: int = 1) -> dict[str, Tensor]:
    name = f'task_heads.{task}.logits'
    return {**linear(f'{name}.linear1', HIDDEN, WIDTH),
            **linear(f'{name}.linear2', classes, HIDDEN)}


def settings_of(tasks: dict[str, int], **backbone: Any) -> dict[str, Any]:
    return dict(
        backbone=dict(dict(
            type='transformer', feature_dim=FEATURES, embedding_dim=WIDTH,
            hidden_dim=HIDDEN, num_heads=HEADS, num_layers=LAYERS,
            max_length=LENGTH), **backbone),
        input_features=dict(
            individuals=['resident', 'intruder'],
            keypoints=[f'point{i}' for i in range(7)], space=['x', 'y']),
        model_id='published', window_offset=3, window_size=LENGTH,
        out_heads={task: dict(input_dim=WIDTH, num_classes=classes,
                              hidden_dim=HIDDEN)
                   for task, classes in tasks.items()})


def write(folder: Path, settings: Any,
          state: Any) -> tuple[Path, Path]:
    config, weights = folder / 'model_config.yml', folder / 'weights_last.pt'
    config.write_text(yaml.safe_dump(settings))
    torch.save(state, weights)
    return config, weights


def norm(x: np.ndarray, state: dict, name: str) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    return x * state[f'{name}.weight'] + state[f'{name}.bias']


def affine(x: np.ndarray, state: dict, name: str) -> np.ndarray:
    return x @ state[f'{name}.weight'].T + state[f'{name}.bias']


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + torch.erf(torch.from_numpy(x / 2**.5)).numpy()) / 2


def original_tokens(state: dict, x: np.ndarray) -> np.ndarray:
    """The network, window by window and head by head, in float64."""
    tokens = affine(x, state, 'backbone.frame_embedder')
    tokens = tokens + state['backbone.pos_embedder.pos_emb'][:len(x)]
    size = WIDTH // HEADS
    for number in range(LAYERS):
        layer = f'backbone.transformer_encoder.layers.{number}'
        packed = norm(tokens, state, f'{layer}.norm1') @ state[
            f'{layer}.self_attn.in_proj_weight'].T + state[
                f'{layer}.self_attn.in_proj_bias']
        query, key, value = np.split(packed, 3, -1)
        mixed = []
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            scores = np.exp(query[:, part] @ key[:, part].T / size**.5)
            mixed.append(scores / scores.sum(-1, keepdims=True)
                         @ value[:, part])
        tokens = tokens + affine(np.concatenate(mixed, -1), state,
                                 f'{layer}.self_attn.out_proj')
        hidden = gelu(affine(norm(tokens, state, f'{layer}.norm2'), state,
                             f'{layer}.linear1'))
        tokens = tokens + affine(hidden, state, f'{layer}.linear2')
    return norm(tokens, state, 'backbone.layer_norm')


def original_logits(state: dict, task: str, token: np.ndarray) -> np.ndarray:
    name = f'task_heads.{task}.logits'
    return affine(gelu(affine(token, state, f'{name}.linear1')), state,
                  f'{name}.linear2')


def test_converted_model_answers_as_the_original(tmp_path: Path) -> None:
    GENERATOR.manual_seed(0)
    state = {**transformer_weights(), **head_weights('smp'),
             **head_weights('warp'), **head_weights('multiclass', 4)}
    files = write(tmp_path, settings_of(
        dict(smp=1, warp=1, multiclass=4)), state)
    converted = convert_original(*files)
    model = MODELS.build(
        dict(converted['meta']['model'], data_preprocessor=None))
    model.load_state_dict(converted['state_dict'])
    assert set(model.heads) == {'cons', 'warp', 'multiclass'}
    x = torch.rand(5, LENGTH, FEATURES, generator=GENERATOR)
    exact = {name: value.double().numpy() for name, value in state.items()}
    with torch.no_grad():
        tokens = model(x)
        found = {task: head(tokens).numpy()
                 for task, head in model.heads.items()}
    for place, window in enumerate(x.double().numpy()):
        wanted = original_tokens(exact, window)
        np.testing.assert_allclose(tokens[place], wanted, atol=1e-5)
        for ours, theirs in (('cons', 'smp'), ('warp', 'warp')):
            np.testing.assert_allclose(found[ours][place], original_logits(
                exact, theirs, wanted.max(0)), atol=1e-5)
        # offset 3: the frame is the fourth token from the end
        np.testing.assert_allclose(found['multiclass'][place], original_logits(
            exact, 'multiclass', wanted[-4]), atol=1e-5)


def test_what_the_original_knows_of_its_data_is_kept(tmp_path: Path) -> None:
    files = write(tmp_path, settings_of(dict(order=1)),
                  {**transformer_weights(), **head_weights('order')})
    meta = convert_original(*files)['meta']
    known = meta['dataset_meta']
    assert known['individuals'] == ['resident', 'intruder']
    assert known['keypoint_id2name'][6] == 'point6'
    assert known['window_size'] == LENGTH
    assert meta['model']['window_offset'] == 3
    assert meta['model']['data_preprocessor'] == dict(
        type='mmpose_ext.LisbetPreprocessor', individuals=2, keypoints=7,
        axes=2)


def test_linear_heads_and_embedders_are_known(tmp_path: Path) -> None:
    files = write(tmp_path, settings_of(dict(vsp=1)), {
        **transformer_weights(), **linear('task_heads.vsp.logits', 1, WIDTH)})
    converted = convert_original(*files)
    assert converted['meta']['model']['heads']['warp'][
        'hidden_channels'] is None
    embedder = settings_of({})
    embedder['out_heads'] = dict(embedding=dict(output_token_idx=-4))
    converted = convert_original(*write(tmp_path, embedder,
                                        transformer_weights()))
    assert converted['meta']['model']['heads'] == {}


def test_other_networks_are_converted(tmp_path: Path) -> None:
    GENERATOR.manual_seed(0)
    lstm = torch.nn.LSTM(WIDTH, HIDDEN, 2, batch_first=True)
    before, after = (linear('a', WIDTH, FEATURES), linear('a', WIDTH, HIDDEN))
    state = {
        **{f'backbone.input_layer.{name[2:]}': value
           for name, value in before.items()},
        **{f'backbone.lstm.{name}': value.detach()
           for name, value in lstm.named_parameters()},
        **{f'backbone.output_layer.{name[2:]}': value
           for name, value in after.items()}}
    converted = convert_original(*write(tmp_path, settings_of(
        {}, type='lstm', num_layers=2), state))
    model = MODELS.build(
        dict(converted['meta']['model'], data_preprocessor=None))
    model.load_state_dict(converted['state_dict'])
    x = torch.rand(3, LENGTH, FEATURES)
    wanted = lstm(x @ before['a.weight'].t() + before['a.bias'])[0]
    torch.testing.assert_close(
        model(x), wanted @ after['a.weight'].t() + after['a.bias'])

    tcn = MODELS.build(dict(
        type='mmpose_ext.LisbetTCN', in_channels=FEATURES, embed_dims=WIDTH,
        hidden_channels=HIDDEN))
    converted = convert_original(*write(
        tmp_path, settings_of({}, type='tcn', num_blocks=2),
        {f'backbone.{name}': value
         for name, value in tcn.state_dict().items()}))
    assert converted['meta']['model']['backbone']['num_blocks'] == 2


def test_command_writes_what_load_from_takes(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, weights = write(
        tmp_path, settings_of(dict(cons=1)),
        {**transformer_weights(), **head_weights('cons'), 'steps': tensor(1)})
    out = tmp_path / 'ours.pth'
    assert original_checkpoints.main([str(config), str(weights),
                                      str(out)]) == 0
    text = capsys.readouterr().out
    assert 'left out, without a counterpart: steps' in text
    assert "'mmpose_ext.LisbetTransformer'" in text
    loaded = torch.load(out, weights_only=True)
    assert 'heads.cons.logits.linear1.weight' in loaded['state_dict']


def refuse(tmp_path: Path, settings: Any, state: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        convert_original(*write(tmp_path, settings, state))
    return caught.value


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    state = {**transformer_weights(), **head_weights('cons')}
    good = settings_of(dict(cons=1))
    wrong = settings_of(dict(cons=1), num_layers=LAYERS + 1)
    assert refuse(tmp_path, wrong, state).where == 'weights'
    assert refuse(tmp_path, settings_of(dict(cons=1), feature_dim=6),
                  state).where == 'weights'
    assert refuse(tmp_path, settings_of(dict(cons=1), type='mamba'),
                  state).where == 'settings'
    missing = settings_of(dict(cons=1))
    del missing['backbone']['num_heads']
    assert 'num_heads' in refuse(tmp_path, missing, state).found
    assert refuse(tmp_path, dict(epochs=3), state).where == 'backbone'
    assert refuse(tmp_path, good, dict(a=tensor(2))).where == 'content'
    assert refuse(tmp_path, good, [tensor(2)]).where == 'content'


def test_damaged_and_hostile_files_are_refused(tmp_path: Path) -> None:
    config, weights = write(tmp_path, settings_of({}), {'a': print})
    with pytest.raises(DataError, match='tensors alone'):
        convert_original(config, weights)
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(DataError, match='truncated'):
        convert_original(config, weights)
    config.write_text('backbone: !!python/object/apply:os.getcwd []')
    with pytest.raises(DataError, match='YAML'):
        convert_original(config, weights)
    assert original_checkpoints.main(
        [str(config), str(tmp_path / 'none.pt'), str(tmp_path / 'o')]) == 1

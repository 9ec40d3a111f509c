"""The original networks' weights, in a network written from their names."""
from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmpose_ext.compat.checkpoints import load_checkpoint
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.original_checkpoints import (
    convert_original,
    describe_network,
    main,
    read_original,
)
from mmpose_ext.volumetric.original_names import rename_original

SIDE, WIDTHS, KEYPOINTS, VIEWS = 16, (4, 6, 8, 10), 23, 2


class OriginalNorm(nn.Module):
    """Of a sample as a whole, with one gamma and one beta."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(1) + .5)
        self.beta = nn.Parameter(torch.rand(1) - .5)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        mean, std = flat.mean(1), flat.std(1, correction=0)
        mean, std = (value[:, None, None, None, None]
                     for value in (mean, std))
        return (x - mean) / (std + 1e-3) * self.gamma + self.beta


def original_norm(kind: str, width: int) -> nn.Module:
    if kind == 'layer':
        return OriginalNorm()
    norm = nn.BatchNorm3d(width)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.running_mean.normal_()
    return norm


class OriginalBlock(nn.Module):
    """Named as the specification says: ``block.{0,1,3,4}``."""

    def __init__(self, before: int, width: int, norm: str) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(before, width, 3, padding=1),
            original_norm(norm, width), nn.ReLU(),
            nn.Conv3d(width, width, 3, padding=1),
            original_norm(norm, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class OriginalUp(nn.Module):
    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ConvTranspose3d(before, width, 2, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class OriginalNetwork(nn.Module):
    """Encoder, decoder and output layer under the originals' names."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        one, two, three, four = WIDTHS
        self.encoder_decoder = nn.ModuleDict(dict(
            encoder_res1=OriginalBlock(3 * VIEWS, one, norm),
            encoder_res2=OriginalBlock(one, two, norm),
            encoder_res3=OriginalBlock(two, three, norm),
            encoder_res4=OriginalBlock(three, four, norm),
            decoder_upsample3=OriginalUp(four, three),
            decoder_res3=OriginalBlock(2 * three, three, norm),
            decoder_upsample2=OriginalUp(three, two),
            decoder_res2=OriginalBlock(2 * two, two, norm),
            decoder_upsample1=OriginalUp(two, one),
            decoder_res1=OriginalBlock(2 * one, one, norm)))
        self.output_layer = nn.Conv3d(one, KEYPOINTS, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts, skips = self.encoder_decoder, []
        for level in (1, 2, 3):
            x = parts[f'encoder_res{level}'](x)
            skips.append(x)
            x = nn.functional.max_pool3d(x, 2)
        x = parts['encoder_res4'](x)
        for level in (3, 2, 1):
            x = parts[f'decoder_upsample{level}'](x)
            x = parts[f'decoder_res{level}'](
                torch.cat([x, skips[level - 1]], 1))
        return self.output_layer(x)


class Settings:
    """An object of a training script that nobody else has."""

    def __init__(self) -> None:
        self.lr = 1e-4


class Dangerous:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.system, ('touch pwned', )


def write_original(path: Path, norm: str = 'layer', prefix: str = '',
                   **params: object) -> OriginalNetwork:
    torch.manual_seed(0)
    network = OriginalNetwork(norm).eval()
    state = OrderedDict((f'{prefix}{name}', value) for name, value
                        in network.state_dict().items())
    torch.save(dict(epoch=17, state_dict=state,
                    optimizer=torch.optim.Adam(
                        network.parameters()).state_dict(),
                    params=params), path)
    return network


def build_ours(norm: str = 'layer') -> nn.Module:
    model = MODELS.build(dict(
        type='mmpose_ext.DannceEstimator',
        backbone=dict(type='mmpose_ext.DannceUNet', num_views=VIEWS,
                      size=WIDTHS, norm=norm),
        head=dict(type='mmpose_ext.DannceExpectationHead',
                  in_channels=WIDTHS[0], num_keypoints=KEYPOINTS)))
    return model.eval()


@pytest.mark.parametrize('prefix', ['', 'pose_generator.', 'module.'])
@pytest.mark.parametrize('norm', ['layer', 'batch'])
def test_outputs_are_those_of_the_original(tmp_path, norm, prefix):
    network = write_original(tmp_path / 'in.pth', norm, prefix)
    assert main([str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth'),
                 '--skeleton', 'rat23']) == 0
    model = build_ours(norm)
    converted = load_checkpoint(tmp_path / 'out.pth')
    model.load_state_dict(converted['state_dict'])  # strict
    names = converted['meta']['dataset_meta']['keypoint_id2name']
    assert len(names) == KEYPOINTS
    volumes = torch.rand(2, 3 * VIEWS, SIDE, SIDE, SIDE) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(
            model(dict(volumes=volumes), None, mode='tensor'),
            network(volumes), rtol=1e-4, atol=1e-4)


def test_objects_of_the_training_are_never_made(tmp_path, monkeypatch):
    params = dict(
        settings=Settings(), folder=Path('x'), scale=np.float64(3),
        table=np.eye(3), kinds={1, 2}, nested=[dict(more=Settings())])
    write_original(tmp_path / 'in.pth', **params)
    monkeypatch.setattr(Settings, '__new__', None)
    found = read_original(tmp_path / 'in.pth')
    assert found['epoch'] == 17
    inside = found['params']
    for value in (inside['settings'], inside['nested'][0]['more'],
                  inside['table']):
        assert type(value).__name__.startswith('StandInFor_')


def test_a_file_that_would_run_a_command_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_original(tmp_path / 'in.pth', harmless=Dangerous())
    with pytest.raises(DataError, match='in.pth: objects.*posix'):
        read_original(tmp_path / 'in.pth')
    assert not (tmp_path / 'pwned').exists()


def test_what_has_no_counterpart_is_told(tmp_path, capsys):
    network = write_original(tmp_path / 'in.pth')
    state = {f'pose_generator.{name}': value
             for name, value in network.state_dict().items()}
    state['gcn.layer.weight'] = torch.zeros(3)
    torch.save(dict(state_dict=state), tmp_path / 'in.pth')
    assert main([str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth'),
                 '--skeleton', 'rat23']) == 0
    said = capsys.readouterr().out
    assert 'left out, without a counterpart: gcn.layer.weight' in said
    assert 'num_views=2, view_channels=3' in said


def test_the_graph_of_s_dannce_is_said_to_begin_anew(tmp_path, capsys):
    write_original(tmp_path / 'plain.pth')
    write_original(tmp_path / 'refined.pth', prefix='pose_generator.')
    for name, refined in (('plain', False), ('refined', True)):
        assert main([str(tmp_path / f'{name}.pth'),
                     str(tmp_path / f'{name}_out.pth'),
                     '--skeleton', 'rat23']) == 0
        assert ('begins the graph anew' in capsys.readouterr().out) == refined
        meta = load_checkpoint(tmp_path / f'{name}_out.pth')['meta']
        assert meta['algorithm'] == ('sdannce' if refined else 'dannce')


def test_the_original_is_never_replaced(tmp_path, capsys):
    path = tmp_path / 'in.pth'
    write_original(path)
    before = path.read_bytes()
    assert main([str(path), str(path), '--skeleton', 'rat23']) == 1
    assert 'which is read' in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize('damage, message', [
    ('truncated', 'truncated'), ('text', 'no checkpoint'),
    ('corrupt', 'corrupt'), ('missing', 'a file'),
    ('list', 'a dict'), ('other', 'encoder_decoder'),
    ('skeleton', 'the 22 keypoints of mouse22, found 23')])
def test_damaged_files_end_in_one_clear_line(tmp_path, capsys, damage,
                                             message):
    path, out = tmp_path / 'in.pth', tmp_path / 'out.pth'
    write_original(path)
    if damage == 'truncated':
        path.write_bytes(path.read_bytes()[:-2000])
    elif damage == 'text':
        path.write_text('weights')
    elif damage == 'corrupt':
        with zipfile.ZipFile(path) as archive:
            largest = max(archive.infolist(),
                          key=lambda entry: entry.file_size)
        data = bytearray(path.read_bytes())
        data[largest.header_offset + largest.file_size] ^= 255
        path.write_bytes(data)
    elif damage == 'missing':
        path.unlink()
    elif damage == 'list':
        torch.save([1, 2], path)
    elif damage == 'other':
        torch.save(dict(state_dict=dict(weight=torch.zeros(2))), path)
    skeleton = 'mouse22' if damage == 'skeleton' else 'rat23'
    assert main([str(path), str(out), '--skeleton', skeleton]) == 1
    error = capsys.readouterr().err
    assert 'in.pth' in error and message in error
    assert error.count('\n') == 1
    assert not out.exists()


def test_names_and_shapes_become_ours():
    renamed, left = rename_original({
        'encoder_decoder.encoder_res1.block.1.gamma':
            torch.full((1, 1, 1, 1, 1), 2.),
        'encoder_decoder.decoder_upsample2.block.0.bias': torch.zeros(8),
        'encoder_decoder.encoder_res2.block.4.num_batches_tracked':
            torch.tensor(3),
        'encoder_decoder.encoder_res2.block.7.weight': torch.zeros(1),
        'encoder_decoder.mystery.weight': torch.zeros(1)})
    assert renamed['backbone.enc1.norm1.weight'].shape == (1, )
    assert 'backbone.up2.conv.bias' in renamed
    assert renamed['backbone.enc2.norm2.num_batches_tracked'].shape == ()
    assert left == ['encoder_decoder.encoder_res2.block.7.weight',
                    'encoder_decoder.mystery.weight']


def test_settings_are_read_off_the_weights(tmp_path):
    write_original(tmp_path / 'in.pth', 'batch')
    state = convert_original(tmp_path / 'in.pth', 'rat23')['state_dict']
    assert describe_network(state) == (
        "num_views=2, view_channels=3, size=4, norm='batch'")
    state['backbone.enc1.conv1.weight'] = torch.zeros(32, 6, 3, 3, 3)
    assert "num_views=6, view_channels=1, size='compressed'" in (
        describe_network(state, view_channels=1))

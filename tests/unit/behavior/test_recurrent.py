"""The LSTM against its equations."""
from __future__ import annotations

import pytest
import torch

from mmpose_ext.behavior.recurrent import LisbetLSTM
from mmpose_ext.storage import DataError


def test_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in LisbetLSTM().parameters()) == 61_376


def test_network_follows_the_equations_of_an_lstm() -> None:
    torch.manual_seed(0)
    network = LisbetLSTM(5, 4, 6, num_layers=2)
    x = torch.randn(3, 7, 5)
    tokens = network.frame_embedder(x)
    weights = dict(network.lstm.named_parameters())
    for layer in range(2):
        hidden, cell = torch.zeros(3, 6), torch.zeros(3, 6)
        outputs = []
        for step in range(7):
            gates = sum(
                value @ weights[f'weight_{kind}_l{layer}'].t()
                + weights[f'bias_{kind}_l{layer}']
                for kind, value in (('ih', tokens[:, step]), ('hh', hidden)))
            enter, forget, new, leave = gates.chunk(4, -1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            outputs.append(hidden)
        tokens = torch.stack(outputs, 1)
    torch.testing.assert_close(network(x)[0], network.output(tokens))


def test_every_parameter_is_in_one_stage() -> None:
    network = LisbetLSTM(5, 4, 6, num_layers=3)
    stages = network.get_stage_map()
    assert list(stages) == ['embedder', 'layer1', 'layer2', 'layer3']
    named = [f'{name}.' for names in stages.values() for name in names]
    for parameter, _ in network.named_parameters():
        assert sum(f'{parameter}.'.startswith(name) for name in named) == 1


def test_frozen_stages_come_first() -> None:
    network = LisbetLSTM(5, 4, 6, frozen_stages=1)
    learning = {name for name, p in network.named_parameters()
                if p.requires_grad}
    assert learning == {
        *(f'lstm.{kind}_l1' for kind in ('weight_ih', 'weight_hh', 'bias_ih',
                                         'bias_hh')),
        'output.weight', 'output.bias'}
    with pytest.raises(DataError, match='frozen_stages'):
        LisbetLSTM(frozen_stages=3)

"""The convolutions against loops over time."""
from __future__ import annotations

import torch
from torch import Tensor, nn

from mmpose_ext.behavior.convolutional import LisbetTCN


def test_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in LisbetTCN().parameters()) == 75_808


def convolve(x: Tensor, layer: nn.Conv1d, dilation: int) -> Tensor:
    """Sum over the past of (B, W, C), step by step."""
    size = layer.kernel_size[0]
    outputs = []
    for step in range(x.shape[1]):
        total = layer.bias.expand(len(x), -1)
        for tap in range(size):
            past = step - (size - 1 - tap) * dilation
            if past >= 0:
                total = total + x[:, past] @ layer.weight[:, :, tap].t()
        outputs.append(total)
    return torch.stack(outputs, 1)


def test_network_sums_over_the_dilated_past() -> None:
    torch.manual_seed(0)
    network = LisbetTCN(5, 4, 6, num_blocks=3, kernel_size=3, dilation_base=2)
    tokens = x = torch.randn(2, 15, 5)
    for number, block in enumerate(network.network):
        hidden = tokens
        for layer in (block.conv1, block.conv2):
            hidden = convolve(hidden, layer, 2**number).relu()
        shortcut = (tokens if isinstance(block.downsample, nn.Identity) else
                    convolve(tokens, block.downsample, 1))
        tokens = (hidden + shortcut).relu()
    torch.testing.assert_close(network(x)[0], tokens, rtol=1e-5, atol=1e-6)
    assert isinstance(network.network[1].downsample, nn.Identity)


def test_token_does_not_see_what_follows_and_is_not_negative() -> None:
    network = LisbetTCN()
    x = torch.randn(2, 30, 28)
    other = x.clone()
    other[:, 11:] += 1
    one, two = network(x)[0], network(other)[0]
    torch.testing.assert_close(one[:, :11], two[:, :11])
    assert (one >= 0).all()


def test_blocks_are_the_stages() -> None:
    network = LisbetTCN(frozen_stages=0)
    assert network.get_stage_map() == dict(
        layer1=['network.0'], layer2=['network.1'])
    assert {name[:9] for name, p in network.named_parameters()
            if p.requires_grad} == {'network.1'}

"""The table says what is in the model and the optimiser."""
from __future__ import annotations

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmpose_ext.training import parameter_table


class Pair(nn.Module):
    """One stage and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict(dict(stage1=nn.Linear(30, 100)))
        self.head = nn.Linear(2, 1)


def rows(model: nn.Module, optimizer: torch.optim.Optimizer) -> list:
    table = parameter_table(model, OptimWrapper(optimizer))
    return [line.split() for line in table.splitlines()]


def test_every_column() -> None:
    model = Pair()
    model.backbone.stage1.bias.requires_grad = False
    optimizer = torch.optim.AdamW([
        dict(params=[model.backbone.stage1.weight], lr=1e-4),
        dict(params=[model.backbone.stage1.bias], lr=1e-3, weight_decay=0.),
    ], lr=7., weight_decay=.05)
    header, _, stage1, head, total = rows(model, optimizer)
    assert header == ['stage', 'tensors', 'parameters', 'trainable', 'LR',
                      'decay']
    assert stage1 == ['stage1', '2', '3,100', '3,000', '0.0001', 'to',
                      '0.001', '0', 'to', '0.05']
    assert head == ['head', '2', '3', '3', '-', '-']
    assert total == ['all', '4', '3,103', '3,003']


def test_rate_is_the_one_before_warm_up() -> None:
    model = Pair()
    optimizer = torch.optim.SGD(model.parameters(), lr=.5)
    optimizer.param_groups[0].update(lr=1e-9, initial_lr=.5)
    assert rows(model, optimizer)[2][4] == '0.5'

"""The network against the plain one, and what a step costs."""
import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmpose_ext.storage import DataError
from mmpose_ext.training.benchmark_figures import Session
from mmpose_ext.volumetric import step_cost
from mmpose_ext.volumetric.benchmark import (
    DannceBenchmark,
    _network_of,
    _refiner_of,
)

GRAPH = dict(type='mmpose_ext.DanncePoseGraph', skeleton='rat23', hidden=8,
             layers=1, fuse_channels=8)


class Volumes(torch.nn.Module):
    """A network and a head, which get three volumes."""

    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.head = backbone, head

    def data_preprocessor(self, batch, training):
        return dict(inputs=dict(volumes=torch.zeros(3, 6, 8, 8, 8)))


def config(refiner=None, **backbone):
    return Config(dict(model=dict(
        backbone=dict(type='mmpose_ext.DannceUNet', num_views=2, size=(4, 8),
                      **backbone),
        head=dict(num_keypoints=5, refiner=refiner),
        data_preprocessor=dict(grid=dict(nvox=8)))))


def test_both_sides_find_the_same_positions(monkeypatch):
    monkeypatch.setattr(step_cost, '_peak_of_process', lambda *_: 1.)
    found = step_cost.compare_steps(2, 3, (4, 8), 5, 8, repetitions=1)
    assert found['difference'] < 1e-4
    assert found['difference_mm'] < 1e-3
    assert found['cpu_ratio'] > 0


def test_both_sides_learn_the_same():
    network, head = step_cost.make_networks(2, 3, (4, 8), 5)
    plain_head = step_cost.plain_copy_of_head(head)
    plain = step_cost.plain_copy(network)
    ours = step_cost.make_step(network, head, 6, 5, 8)
    other = step_cost.make_step(plain, plain_head, 6, 5, 8)
    for _ in range(3):
        assert math.isclose(ours(), other(), rel_tol=1e-4)


def test_both_refine_and_learn_to_refine_the_same(monkeypatch):
    monkeypatch.setattr(step_cost, '_peak_of_process', lambda *_: 1.)
    found = step_cost.compare_steps(2, 3, (4, 8, 8), 23, 8, 1, GRAPH)
    assert found['difference_mm'] < 1e-3
    network, head = step_cost.make_networks(
        2, 3, (4, 8, 8), 23, dict(GRAPH, dropout=0.))
    plain = step_cost.plain_copy(network)
    plain_head = step_cost.plain_copy_of_head(head)
    assert type(plain_head.refiner).__name__ == 'PlainPoseGraph'
    volumes = torch.rand(1, 6, 8, 8, 8)
    refined = step_cost.locate(plain, plain_head, volumes)
    plain_head.refiner, graph = None, plain_head.refiner
    shift = refined - step_cost.locate(plain, plain_head, volumes)
    assert shift.abs().max() > .1  # it does something
    plain_head.refiner = graph
    ours = step_cost.make_step(network, head, 6, 23, 8)
    other = step_cost.make_step(plain, plain_head, 6, 23, 8)
    for _ in range(4):
        assert math.isclose(ours(), other(), rel_tol=1e-4)


def test_network_is_read_from_the_config():
    assert _network_of(config()) == (2, 3, (4, 8), 5, 8)
    assert _refiner_of(config()) is None
    assert _refiner_of(config(GRAPH)) == GRAPH


@pytest.mark.parametrize('option', [
    dict(norm='batch'), dict(levels=(0, )), dict(residual=False),
    dict(between_animals=True)])
def test_graph_that_has_no_plain_form_is_refused(option):
    with pytest.raises(DataError, match='model.head.refiner'):
        _refiner_of(config(dict(GRAPH, **option)))


@pytest.mark.parametrize('option', [dict(norm='batch'), dict(residual=True)])
def test_network_that_has_no_plain_form_is_refused(option):
    with pytest.raises(DataError, match='model.backbone'):
        _network_of(config(**option))


def test_scaling_changes_what_the_network_is_given():
    changed = config()
    axes = DannceBenchmark().axes(changed)
    assert list(axes) == ['voxels', 'views', 'batch']
    axes['voxels'].apply(changed, 16)
    axes['views'].apply(changed, 3)
    preprocessor = changed.model.data_preprocessor
    assert (preprocessor.grid.nvox, preprocessor.num_views) == (16, 3)
    assert changed.model.backbone.num_views == 3
    # a network of four levels halves the volume three times
    assert all(value % 8 == 0 for value in axes['voxels'].values)


def test_operations_of_a_volume_are_counted():
    network, head = step_cost.make_networks(2, 3, (4, 8), 5)
    model = Volumes(network, head)
    runner = SimpleNamespace(model=model)
    found = DannceBenchmark().count_complexity(Session(runner, None, 3))
    convolutions = [
        (module.weight.numel(), 8 if 'enc1' in name or 'dec1' in name
         or 'final' in name else 4)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Conv3d)]
    macs = sum(weights * side**3 for weights, side in convolutions)
    # a weight of a transposed convolution meets every voxel at its input
    macs += sum(module.weight.numel() * 4**3 for module in model.modules()
                if isinstance(module, torch.nn.ConvTranspose3d))
    assert found['macs'] == macs
    assert found['flops'] == 2 * macs
    assert found['volumes_a_batch'] == 3
    assert next(model.parameters()).device.type == 'cpu'

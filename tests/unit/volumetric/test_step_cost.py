"""The network against the plain one, and what a step costs."""
import math

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmpose_ext.storage import DataError
from mmpose_ext.volumetric import step_cost
from mmpose_ext.volumetric.benchmark import (
    _network_of,
    _refiner_of,
    draw_scaling,
)

GRAPH = dict(type='mmpose_ext.DanncePoseGraph', skeleton='rat23', hidden=8,
             layers=1, fuse_channels=8)


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


def test_scaling_is_drawn(tmp_path):
    figures = step_cost.measure_scaling((4, 8), 2, (4, 8), (1, 2), 1)
    assert set(figures) == {'step', 'building'}
    assert set(figures['building']['nvox']) == {'4', '8'}
    draw_scaling(figures, tmp_path / 'scaling.png')
    assert (tmp_path / 'scaling.png').stat().st_size > 5000


def test_cameras_of_the_ring_see_its_middle_in_the_middle():
    ring = step_cost.ring_of_cameras(5)
    for rotation, translation in zip(ring.rotations, ring.translations,
                                     strict=True):
        assert math.isclose(np.linalg.det(rotation), 1.)
        np.testing.assert_allclose(translation, [0., 0., 1000.])
    volume = step_cost.make_building(5, 4)()
    assert volume.shape == (15, 4, 4, 4)
    np.testing.assert_allclose(volume, 99 / 127.5 - 1, atol=1e-6)

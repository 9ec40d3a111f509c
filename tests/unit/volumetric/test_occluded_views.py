"""Views in which another animal stands in front: left out, or replaced."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmpose_ext.registry import MODELS
from mmpose_ext.volumetric.occluded_views import OccludedViews
from tests.unit.geometry.camera_rigs import ring

CAMERAS = ring(6).resize(.125)
RADIUS = 50.
ORDER = np.arange(6)


def in_front_of(view: int, gap_mm: float = 150.) -> np.ndarray:
    """Middles (2, 3) of an animal and of one between it and a camera."""
    away = CAMERAS.positions[view]
    return np.stack([np.zeros(3), gap_mm * away / np.linalg.norm(away)])


def build(training: bool = False, **settings):
    """Inputs of two animals, of which the second stands before camera 2."""
    preprocessor = MODELS.build(dict(
        type='mmpose_ext.VolumetricDataPreprocessor',
        grid=dict(vmin=-40., vmax=40., nvox=4), **settings))
    packed = PoseDataSample(metainfo=dict(
        cameras=CAMERAS, com=in_front_of(2), turn=0., draw_seed=5,
        flip_indices=[0]))
    packed.gt_instances = InstanceData(
        keypoints=np.full((2, 1, 3), np.nan, np.float32))
    images = [torch.full((3, int(height), int(width)), 40 * view,
                         dtype=torch.uint8)
              for view, (width, height) in enumerate(CAMERAS.sizes)]
    return preprocessor(pseudo_collate([
        dict(inputs=images, data_samples=packed)]), training)['inputs']


def test_the_view_that_another_animal_hides_is_found():
    hidden = OccludedViews(RADIUS).find(CAMERAS, in_front_of(2))
    assert hidden.shape == (2, 6)
    assert hidden[0].argmax() == 2 and hidden[0, 2] > .9
    assert hidden[1, 2] == 0  # the one in front


@pytest.mark.parametrize('action, expected', [
    ('blank', [0, -1, 2, 3, -1, 5]), ('replace', [0, 3, 2, 3, 5, 5])])
def test_poor_views_go_or_make_room_for_the_best(action, expected):
    hidden = np.array([.4, .8, .3, 0., 1., .2])
    found = OccludedViews(RADIUS, action=action).apply(ORDER, hidden)
    assert found.tolist() == expected
    assert ORDER.tolist() == list(range(6))  # as it was


@pytest.mark.parametrize('action', ['blank', 'replace'])
def test_two_views_stay_whatever_they_show(action):
    hidden = np.array([.95, .8, 1., .9, 1., .85])
    found = OccludedViews(RADIUS, action=action).apply(ORDER, hidden)
    assert set(found.tolist()) - {-1} == {1, 5}
    assert found[1] == 1 and found[5] == 5


def test_a_share_at_the_limit_is_seen():
    hidden = np.array([.7, .7, .7, .7, .71, 0.])
    found = OccludedViews(RADIUS, .7).apply(ORDER, hidden)
    assert found.tolist() == [0, 1, 2, 3, -1, 5]


def test_blank_views_stay_blank_and_repeated_ones_count_each():
    views = np.array([-1, 3, 3, 1, -1, 0])
    hidden = np.array([0., 0., 0., 1., 0., 0.])
    blank = OccludedViews(RADIUS).apply(views, hidden)
    assert blank.tolist() == [-1, -1, -1, 1, -1, 0]
    other = OccludedViews(RADIUS, action='replace').apply(views, hidden)
    assert other[[0, 3, 4, 5]].tolist() == [-1, 1, -1, 0]
    assert set(other[[1, 2]].tolist()) == {0, 1}


def test_a_single_animal_loses_no_view():
    hidden = OccludedViews(RADIUS).find(CAMERAS, np.zeros((1, 3)))
    assert OccludedViews(RADIUS, 0.).apply(ORDER, hidden[0]) is ORDER


@pytest.mark.parametrize('training', [False, True])
def test_hidden_views_are_blank_in_the_volume_of_the_hidden_alone(training):
    inputs = build(training, occlusion=dict(radius_mm=RADIUS))
    assert inputs['view_mask'].tolist() == [
        [view != 2 for view in range(6)], [True] * 6]


def test_hidden_views_of_every_copy_are_blank():
    inputs = build(True, copies=2, occlusion=dict(radius_mm=RADIUS),
                   augment=dict(rotate='any'))
    assert inputs['view_mask'][:, 2].tolist() == [False, True] * 2
    assert inputs['view_mask'].sum() == 22


def test_replaced_views_show_what_another_camera_sees():
    inputs = build(occlusion=dict(radius_mm=RADIUS, action='replace'))
    assert inputs['view_mask'].all()
    plain = build()['volumes']
    shades = inputs['volumes'].reshape(2, 6, -1)[..., 0]
    before = plain.reshape(2, 6, -1)[..., 0]
    changed = (shades != before).tolist()
    assert changed == [[view == 2 for view in range(6)], [False] * 6]
    assert shades[0, 2] in before[0, [0, 1, 3, 4, 5]]


@pytest.mark.parametrize('settings', [
    dict(radius_mm=0.), dict(radius_mm=np.nan), dict(radius_mm=9., limit=1.1),
    dict(radius_mm=9., action='drop')])
def test_a_rule_that_is_none_is_refused(settings):
    with pytest.raises(ValueError, match='occlusion'):
        OccludedViews(**settings)

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.dataset import Compose
from mmpose.datasets.transforms import PackPoseInputs, RandomBBoxTransform
from scipy.stats import ks_2samp

from mmpose_ext.geometry.crop_views import (
    apply_homography,
    intrinsic_matrix,
    make_view,
    project,
)
from mmpose_ext.handobject.codec import HandObjectLabel
from mmpose_ext.handobject.transforms import (
    META_KEYS,
    HandObjectOcclusion,
    HandObjectPackInputs,
    HandObjectRandomBBoxTransform,
    HandObjectTopdownView,
    find_footprint,
    warp_crop,
)
from mmpose_ext.storage import DataError
from mmpose_ext.training import seeded_generators
from tests.unit.handobject.sample_index import (
    STRONG,
    make_columns,
    view_pipeline,
)

Array = np.ndarray
COLUMNS = make_columns(frames=4)


def sample(row: int = 0, mirrored: bool = False,
           image: Array | None = None) -> dict[str, Any]:
    """Results as the data set gives them."""
    pose = np.zeros((1, 21, 3, 4), np.float32)
    pose[0, 3:5] = COLUMNS['pose_y'][row]
    joints = COLUMNS['joints_cam'][row][None]
    x, y, width, height = COLUMNS['bbox_hand'][row]
    return dict(
        img=np.zeros((120, 160, 3), np.uint8) if image is None else image,
        img_path='a.jpg', img_size=(160, 120), id=row, img_id=row,
        bbox=np.array([[x, y, x + width, y + height]]),
        bbox_score=np.ones(1, np.float32), camera_matrix=intrinsic_matrix(
            COLUMNS['K'][row]), keypoints=COLUMNS['joints_px'][row][None],
        keypoints_visible=np.ones((1, 21), np.float32), joints_cam=joints,
        hand_valid=np.ones(1, bool), pose_y=pose, mirrored=mirrored,
        object_rotations=pose[..., :3], object_translations=pose[..., 3],
        grasped_class=3,
        object_valid=pose.any((2, 3)), contact=np.ones((1, 21), np.float32),
        contact_valid=np.ones(1, np.float32), side=int(mirrored))


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), row=st.integers(0, 31),
       mirrored=st.booleans(), virtual=st.booleans(),
       size=st.sampled_from([48, 128]))
def test_labels_project_where_the_pixels_went(
        seed: int, row: int, mirrored: bool, virtual: bool,
        size: int) -> None:
    with seeded_generators(seed):
        seen = Compose(view_pipeline(virtual, size))(sample(row, mirrored))
    moved = apply_homography(COLUMNS['joints_px'][row], seen['pixel_map'])
    np.testing.assert_allclose(seen['transformed_keypoints'][0], moved,
                               atol=1e-3)
    found = project(seen['view_joints'][0], seen['view_camera'])
    assert np.abs(found - moved).max() < 1e-3
    # the way back
    np.testing.assert_allclose(
        seen['view_joints'][0] @ seen['view_rotation'], sample(
            row)['joints_cam'][0], atol=1e-6)
    # objects: points of the mesh, mirrored or not
    points = np.random.default_rng(seed).normal(0, .05, (9, 3))
    pose = seen['pose_y'][0, 3]
    pixels = project(points @ pose[:, :3].T + pose[:, 3],
                     seen['camera_matrix'])
    mesh = points * [-1, 1, 1] if mirrored else points
    rotation = seen['view_object_rotations'][0, 3]
    assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-5)
    found = project(mesh @ rotation.T +
                    seen['view_object_translations'][0, 3],
                    seen['view_camera'])
    expected = apply_homography(pixels, seen['pixel_map'])
    assert np.abs(found - expected).max() < 2e-3
    assert not seen['view_object_rotations'][0, 0].any()
    mirror = np.diag([-1 if mirrored else 1, 1, 1])
    np.testing.assert_allclose(
        seen['view_rotation'].T @ rotation @ mirror, pose[:, :3], atol=1e-5)


@pytest.mark.parametrize('virtual', [True, False])
@pytest.mark.parametrize('mirrored', [True, False])
def test_dot_of_the_picture_is_found_where_the_label_is(
        virtual: bool, mirrored: bool) -> None:
    for seed in range(3):
        image = np.zeros((120, 160, 3), np.uint8)
        joints = COLUMNS['joints_px'][seed]
        joint = int(np.linalg.norm(joints - joints.mean(0), axis=1).argmin())
        place = np.rint(joints[joint] * 16).astype(int)
        cv2.circle(image, tuple(place.tolist()), 32, (0, 255, 255), -1,
                   cv2.LINE_AA, 4)
        with seeded_generators(seed):
            seen = Compose(view_pipeline(virtual, 96))(
                sample(seed, mirrored, image))
        weight = seen['img'][..., 1].astype(float)
        rows, columns = np.indices(weight.shape)
        middle = np.array([(columns * weight).sum(), (rows * weight).sum()])
        np.testing.assert_allclose(
            middle / weight.sum(), seen['transformed_keypoints'][0, joint],
            atol=.3)
        assert not seen['img'][..., 0].any()


def test_picture_is_that_of_a_slow_warp() -> None:
    draw = np.random.default_rng(0)
    image = cv2.GaussianBlur(draw.integers(0, 256, (120, 160, 3)).astype(
        np.uint8), (0, 0), 2)
    for virtual in (True, False):
        view = make_view(intrinsic_matrix(COLUMNS['K'][0]), 160,
                         np.array([90., 50]), 60., 48, 20., True, virtual)
        crop = warp_crop(image, view)
        at = apply_homography(np.stack(np.meshgrid(
            np.arange(48.), np.arange(48.)), -1), np.linalg.inv(
                view.pixel_map)).astype(np.float32)
        slow = cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
        assert np.abs(crop.astype(int) - slow).max() <= 2
        left, top, right, bottom = find_footprint(view, (160, 120))
        assert 3 <= top < bottom <= 119
        assert 20 <= left < right <= 159
        np.testing.assert_array_equal(crop, warp_crop(
            image[3:119, 20:159], view, (20, 3), (left, top, right, bottom)))


def test_view_beside_the_photograph_is_black() -> None:
    image = np.full((120, 160, 3), 255, np.uint8)
    camera = intrinsic_matrix(COLUMNS['K'][0])
    for virtual in (True, False):
        view = make_view(camera, 160, np.array([-90., 50]), 30., 48,
                         virtual_camera=virtual)
        assert not warp_crop(image, view).any()


def test_nothing_is_seen_behind_the_camera() -> None:
    image = np.full((120, 160, 3), 255, np.uint8)
    camera = intrinsic_matrix(np.array([40., 40, 80, 60]))
    view = make_view(camera, 160, np.array([159., 60]), 400., 64)
    rays = np.linalg.inv(view.pixel_map)[2] @ [63, 32, 1]
    assert rays < 0  # at the crop's right
    assert not warp_crop(image, view)[:, -4:].any()
    assert find_footprint(view, (160, 120)) == (0, 0, 160, 120)


def test_shape_of_the_input() -> None:
    for size in (32, [32, 32], (32, 32)):
        seen = Compose(view_pipeline(size=size))(sample())
        assert seen['img'].shape == (32, 32, 3)
        assert seen['input_size'] == (32, 32)
        assert seen['ori_shape'] == (120, 160)
        assert seen['input_scale'].shape == (2, )
    with pytest.raises(ValueError, match='input_size'):
        HandObjectTopdownView((32, 24))


def test_without_truth_the_picture_alone_is_cut_out() -> None:
    results = sample()
    for key in ('keypoints', 'joints_cam', 'pose_y', 'img_size'):
        del results[key]
    seen = Compose([STRONG[1], *view_pipeline(start=[])])(results)
    assert seen['img'].shape == (64, 64, 3)
    assert 'view_joints' not in seen
    packed = HandObjectPackInputs()(seen)
    assert 'bboxes' in packed['data_samples'].gt_instances


def test_picture_of_another_size_is_refused() -> None:
    results = sample(image=np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(DataError) as caught:
        Compose([STRONG[1], *view_pipeline(start=[])])(results)
    error = caught.value
    assert (error.file, error.where) == ('a.jpg', 'size')
    assert error.expected.startswith('160 x 120 px')
    assert error.found == '80 x 60 px'


def test_truth_is_packed_without_a_codec() -> None:
    results = Compose(view_pipeline())(sample(3, True))
    packed = HandObjectPackInputs()(results)
    assert packed['inputs'].shape == (3, 64, 64)
    truth = packed['data_samples'].gt_instances
    np.testing.assert_array_equal(truth.joints_cam[0],
                                  COLUMNS['joints_cam'][3])
    np.testing.assert_array_equal(truth.object_rotations[0, 3:5],
                                  COLUMNS['pose_y'][3][..., :3])
    np.testing.assert_array_equal(truth.object_translations[0, 3:5],
                                  COLUMNS['pose_y'][3][..., 3])
    assert set(truth.keys()) == {
        'bboxes', 'bbox_scores', 'keypoints', 'keypoints_visible',
        'joints_cam', 'hand_valid', 'object_rotations',
        'object_translations', 'object_valid', 'contact', 'contact_valid'}
    meta = packed['data_samples'].metainfo
    assert set(meta) <= set(META_KEYS)
    assert meta['mirrored'] is True


def test_packing_is_that_of_mmpose_with_a_codec() -> None:
    encode = dict(type='GenerateTarget', encoder=dict(
        type='mmpose_ext.HandObjectLabel', input_size=(64, 64)))
    with seeded_generators(0):
        results = Compose([*view_pipeline(), encode])(sample(3, True))
    ours = HandObjectPackInputs()(dict(results))['data_samples']
    stock = PackPoseInputs(META_KEYS)(dict(results))['data_samples']
    assert set(ours.gt_instances.keys()) == set(stock.gt_instances.keys())
    for key, value in stock.gt_instances.items():
        np.testing.assert_array_equal(ours.gt_instances[key], value)
    assert set(ours.gt_instance_labels.keys()) == set(
        HandObjectLabel.label_mapping_table.values())
    labels = ours.gt_instance_labels
    found = project(labels.joints[0], labels.view_camera[0])
    assert np.abs(found - labels.pixels[0]).max() < 1e-3
    assert np.flatnonzero(labels.object_weights[0]).tolist() == [3, 4]


@pytest.mark.parametrize('filling', ['noise', 'patch'])
@pytest.mark.parametrize('shape', ['rectangle', 'ellipse'])
def test_occlusion_hides_a_share(filling: str, shape: str) -> None:
    hide = HandObjectOcclusion(1., (.1, .1), 2., [shape], [filling])
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (100, 100, 3)).astype(np.uint8)
    shares = []
    for seed in range(20):
        with seeded_generators(seed):
            found = hide(dict(img=image))['img']
        assert found.dtype == np.uint8
        shares.append((found != image).any(-1).mean())
    assert np.mean(shares) == pytest.approx(.1, abs=.02)
    with seeded_generators(19):
        np.testing.assert_array_equal(found, hide(dict(img=image))['img'])


def test_occlusion_comes_by_chance_and_leaves_the_source() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    hide = HandObjectOcclusion(.5, fillings=['noise'])
    with seeded_generators(0):
        hidden = [hide(dict(img=image))['img'].any() for _ in range(200)]
    assert .35 < np.mean(hidden) < .65
    assert not image.any()
    # patches as large as allowed still lie inside
    wide = HandObjectOcclusion(1., (.9, .99), 4.)
    for seed in range(10):
        with seeded_generators(seed):
            assert wide(dict(img=image))['img'].shape == image.shape


@pytest.mark.parametrize('setting', [
    dict(area=(.2, .1)), dict(area=(0, .1)), dict(aspect=.5),
    dict(shapes=['star']), dict(fillings=[])])
def test_impossible_occlusion_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        HandObjectOcclusion(**setting)


def test_labels_of_the_photograph_stay() -> None:
    results = sample(2, True)
    before = {key: np.copy(results[key]) for key in
              ('keypoints', 'joints_cam', 'pose_y', 'camera_matrix')}
    seen = Compose(view_pipeline())(results)
    for key, value in before.items():
        np.testing.assert_array_equal(seen[key], value)


def test_boxes_are_drawn_with_the_chances_of_mmpose() -> None:
    drawn = []
    for kind in (HandObjectRandomBBoxTransform, RandomBBoxTransform):
        with seeded_generators(3):
            drawn.append(kind._truncnorm(size=(4000, )))
    assert drawn[0].dtype == np.float32
    assert np.abs(drawn[0]).max() <= 1
    assert ks_2samp(*drawn).pvalue > .01
    assert HandObjectRandomBBoxTransform._truncnorm(size=(2, 4)).shape == (
        2, 4)

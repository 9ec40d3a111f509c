"""The labels of a crop say where everything is."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmpose_ext.handobject.codec import (
    HandObjectLabel,
    back_project,
    decode_depth,
    encode_depth,
    project,
)
from mmpose_ext.handobject.records import HandObjectTargets
from tests.unit.handobject.batches import (
    SIZE,
    make_camera,
    make_samples,
    make_view,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_decoding_gives_back_what_was_encoded(
        rng: np.random.Generator) -> None:
    codec = HandObjectLabel((SIZE, SIZE))
    view = make_view(rng)
    pixels, joints = codec.decode(codec.encode(**view))
    assert np.abs(pixels - view['keypoints']).max() < 1e-4
    assert np.abs(joints - view['view_joints']).max() < 1e-6  # m


def test_rho_does_not_change_when_a_crop_is_zoomed() -> None:
    camera = torch.from_numpy(make_camera())[None]
    zoomed = camera * torch.tensor([2., 2., 1.])[:, None]
    depth = torch.tensor([.7])
    rho = encode_depth(depth, camera, SIZE)
    torch.testing.assert_close(encode_depth(depth, zoomed, 2 * SIZE), rho)
    # the crop shows e ** rho metres at that depth
    width = back_project(torch.tensor([[[0., 0], [SIZE, 0]]]),
                         depth.expand(1, 2), camera)
    assert (width[0, 1, 0] - width[0, 0, 0]).item() == pytest.approx(
        rho.exp().item(), rel=.02)
    torch.testing.assert_close(decode_depth(rho, camera, SIZE), depth)


def test_projection_undoes_back_projection() -> None:
    camera = torch.from_numpy(make_camera())[None]
    pixels = torch.rand(1, 9, 2) * SIZE
    points = back_project(pixels, torch.rand(1, 9) + .3, camera)
    torch.testing.assert_close(project(points, camera), pixels)


def test_a_sample_without_a_hand_has_no_weight(
        rng: np.random.Generator) -> None:
    view = make_view(rng)
    view.update(hand_valid=[False], contact_valid=[0.],
                view_joints=np.full((1, 21, 3), -1., np.float32),
                keypoints=np.full((1, 21, 2), np.nan))
    labels = HandObjectLabel((SIZE, SIZE)).encode(**view)
    assert not labels['label_joint_weights'].any()
    assert not labels['label_contact_weights'].any()
    assert all(np.isfinite(value).all() for value in labels.values())


def test_objects_out_of_sight_have_no_weight(rng: np.random.Generator) -> None:
    view = make_view(rng)
    view['view_object_translations'][0, 1] = [5., 0, .5]  # far aside
    view['view_object_translations'][0, 12] = [0, 0, -.5]  # behind
    labels = HandObjectLabel((SIZE, SIZE)).encode(**view)
    weights = labels['label_object_weights'][0]
    assert weights[4] == 1 and weights[1] == weights[12] == 0
    assert not weights[[0, 2, 3, 20]].any()


def test_side_that_the_crop_shows(rng: np.random.Generator) -> None:
    codec = HandObjectLabel((SIZE, SIZE))
    for side, mirrored, expected in ((0, False, 1), (1, False, -1),
                                     (1, True, 1)):
        view = {**make_view(rng), 'side': side, 'mirrored': mirrored}
        assert codec.encode(**view)['label_chirality'] == expected


def test_labels_of_a_batch_are_stacked() -> None:
    targets = HandObjectTargets.stack(make_samples(3), SIZE)
    assert targets.joints.shape == (3, 21, 3)
    assert targets.view_camera.shape == (3, 3, 3)
    assert targets.object_rotations.shape == (3, 21, 3, 3)
    assert targets.grasped_class.dtype == torch.int64


def test_crops_are_square() -> None:
    with pytest.raises(ValueError, match='expected a square'):
        HandObjectLabel((64, 48))

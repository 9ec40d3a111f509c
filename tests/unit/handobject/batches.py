"""Made-up batches of crops, with labels that fit together."""
from __future__ import annotations

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.codec import HandObjectLabel

SIZE = 64


def make_joints(rng: np.random.Generator) -> np.ndarray:
    """Joints (21, 3) m, half a metre off."""
    return (rng.normal(0, .05, (21, 3)) + [.02, -.01, .5]).astype(np.float32)


def make_camera(focal: float = 150.) -> np.ndarray:
    """Intrinsics of a crop, off the middle a little."""
    return np.array([[focal, 0, SIZE / 2 - 3], [0, focal * 1.02, SIZE / 2],
                     [0, 0, 1]], np.float32)


def make_view(rng: np.random.Generator, mirrored: bool = False) -> dict:
    """What the codec encodes of a sample."""
    joints, camera = make_joints(rng), make_camera()
    pixels = joints @ camera.T
    valid = np.zeros((1, 21), bool)
    valid[0, [1, 4, 12]] = True
    return dict(
        keypoints=(pixels[:, :2] / pixels[:, 2:])[None],
        view_joints=joints[None], view_camera=camera, hand_valid=[True],
        view_object_rotations=Rotation.random(
            21, random_state=int(rng.integers(1 << 31))).as_matrix()[None],
        view_object_translations=joints[None] + np.float32(.01),
        object_valid=valid, grasped_class=4, mirrored=mirrored, side=0,
        contact=rng.integers(0, 2, (1, 21)), contact_valid=[1.])


def make_samples(count: int, seed: int = 0) -> list[PoseDataSample]:
    """Samples as the pipeline packs them."""
    rng = np.random.default_rng(seed)
    codec = HandObjectLabel((SIZE, SIZE))
    samples = []
    for row in range(count):
        view = make_view(rng)
        labels = codec.encode(**view)
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(**{
            name: torch.from_numpy(labels[key])
            for key, name in codec.label_mapping_table.items()})
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
        sample.set_metainfo(dict(
            view_camera=view['view_camera'], pixel_map=np.eye(3),
            view_rotation=np.eye(3), mirrored=False, id=row))
        samples.append(sample)
    return samples


def make_pictures(count: int, seed: int = 0) -> torch.Tensor:
    """Noise (B, 3, SIZE, SIZE)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, SIZE, SIZE, generator=generator)


LOSSES = {
    name: dict(type=f'mmpose_ext.HandObject{kind}Loss') for name, kind in dict(
        uv='Pixel', dz='Depth', rel='Relative', abs='Absolute',
        rho='RootDepth', bone='Bone', limits='JointLimit',
        spread='Uncertainty', maps='Map', object_centre='Centre',
        object_maps='CentreMap',
        object_rotation='Rotation', presence='Presence', grasp='Grasp',
        contact='Contact').items()
}


def model_config(**head: object) -> dict:
    """A small model."""
    return dict(
        type='mmpose_ext.HandObjectEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor'),
        backbone=dict(
            type='mmpose_ext.HandObjectVit',
            arch=dict(embed_dims=32, depth=2, num_heads=2), img_size=SIZE,
            patch_size=16, layer_scale=1.),
        head=dict(
            type='mmpose_ext.HandObjectHead', in_channels=32,
            input_size=(SIZE, SIZE), embed_dims=32, num_layers=2, num_heads=2,
            refiner=dict(steps=2), sigma_reparam=dict(gamma_init='one'),
            losses=LOSSES, **head))

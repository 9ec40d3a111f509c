"""An evaluation's samples, made of an index and predictions near it."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.index_files import HandObjectIndex, read_index
from mmpose_ext.handobject.index_files import write_index as write_columns
from tests.unit.handobject.sample_index import make_columns

HELD = (2, 5, 13, 21)  # objects that have meshes in the tests


def write_index(path: Path, seed: int = 0, **columns: Any
                ) -> HandObjectIndex:
    """An index whose objects have meshes; returned as it is read."""
    found = make_columns(frames=4, seed=seed)
    found['ycb_ids'] = np.array([[2, 5], [21, 13], [13, 2], [5, 21]],
                                np.uint8)
    found['grasped'] = np.array([0, 1, 0, 1], np.int32)
    found['object_valid'] = np.ones((len(found['id']), 2), bool)
    found['pose_y'] = make_poses(len(found['id']), seed)
    write_columns(path, {**found, **columns})
    return read_index(path)


def make_poses(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    poses = np.zeros((count, 2, 3, 4), np.float32)
    poses[..., :3] = Rotation.from_rotvec(
        rng.normal(0, .5, (2 * count, 3))).as_matrix().reshape(
            count, 2, 3, 3)
    poses[..., 3] = rng.normal(0, .05, (count, 2, 3)) + [0, 0, .75]
    return poses


def make_samples(index: HandObjectIndex, noise: float = .005,
                 leave_out: tuple[str, ...] = (),
                 rows: Any = None) -> list[dict[str, Any]]:
    """Samples as the evaluator hands them over.

    Args:
        index (HandObjectIndex): Labels.
        noise (float): m, of predictions. Defaults to .005.
        leave_out (tuple[str]): Fields the model does not predict.
        rows: Of the index. Defaults to all.
    """
    rng = np.random.default_rng(1)
    samples = []
    for row in range(len(index)) if rows is None else rows:
        sequence = index['sequence_row'][row]
        classes = index['ycb_ids'][sequence].astype(int) - 1
        held = index['grasped'][sequence]
        turns = np.tile(np.eye(3), (1, 21, 1, 1))
        shifts = np.zeros((1, 21, 3))
        there = np.zeros((1, 21), bool)
        poses = index['pose_y'][row]
        turns[0, classes], shifts[0, classes] = poses[..., :3], poses[..., 3]
        there[0, classes] = index['object_valid'][row]
        joints = index['joints_cam'][row][None]
        left, top, width, height = index['bbox_hand'][row]
        sample = PoseDataSample(metainfo=dict(
            id=int(index['id'][row]), img_id=int(index['id'][row]),
            camera_matrix=index.camera_matrix(row),
            side=index.side_of(row), mirrored=index.side_of(row) == 1,
            subject=index.subject_of(row), sequence=index.sequence_of(row),
            serial=index.serial_of(row), frame=int(index['frame'][row]),
            grasped_class=int(classes[held]), box_source='ground truth'))
        sample.gt_instances = InstanceData(
            bboxes=np.array([[left, top, left + width, top + height]]),
            keypoints=index['joints_px'][row][None],
            keypoints_visible=np.ones((1, 21), np.float32),
            joints_cam=joints, hand_valid=np.array(
                [index['hand_valid'][row]]),
            object_rotations=turns, object_translations=shifts,
            object_valid=there,
            contact=index['contact'][row][None].astype(np.float32),
            contact_valid=np.array([index['contact_valid'][row]],
                                   np.float32))
        small = Rotation.from_rotvec(rng.normal(0, 10 * noise, 3))
        grasped = np.zeros((1, 21))
        grasped[0, classes[held]] = 1
        fields = dict(
            keypoints=index['joints_px'][row][None],
            keypoint_scores=np.full((1, 21), .9),
            keypoints_cam=joints + rng.normal(0, noise, joints.shape),
            keypoints_cam_coarse=joints + rng.normal(0, 2 * noise,
                                                     joints.shape),
            object_rotations=turns @ small.as_matrix(),
            object_translations=shifts + rng.normal(0, noise, shifts.shape),
            object_scores=np.full((1, 21), .5), grasped_scores=grasped,
            contact_scores=np.clip(index['contact'][row][None] * .6
                                   + rng.random((1, 21)) * .3, 0, 1))
        sample.pred_instances = InstanceData(**{
            name: value.astype(np.float32)
            for name, value in fields.items() if name not in leave_out})
        samples.append(sample.to_dict())
    return samples

"""Poses to draw, out of predictions, labels of an index and data samples."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmpose_ext.handobject.drawing import HandObjectPose
from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.handobject.meshes import load_mesh_bounds, mesh_path
from mmpose_ext.handobject.objects import NUM_CLASSES

Array = np.ndarray


def pose_of(fields: Mapping[str, Array],
            threshold: float = .5) -> HandObjectPose:
    """What was found in one photograph.

    Args:
        fields (Mapping[str, ndarray]): ``keypoints_cam`` (21, 3) and, if
            there are any, the fields of objects and contact.
        threshold (float): See :meth:`HandObjectPredictions.pose`. Defaults
            to .5.
    """
    chosen, grasped = np.empty(0, np.int64), -1
    if 'object_rotations' in fields:
        seen = np.asarray(fields['object_scores']) >= threshold
        if 'grasped_scores' in fields:
            grasped = int(np.argmax(fields['grasped_scores']))
            seen[grasped] = True
        chosen = np.flatnonzero(seen)
    return HandObjectPose(
        joints=np.asarray(fields['keypoints_cam'], np.float64),
        contact=(np.asarray(fields['contact_scores'])
                 if 'contact_scores' in fields else None),
        classes=chosen,
        rotations=(np.asarray(fields['object_rotations'], np.float64)[chosen]
                   if len(chosen) else np.empty((0, 3, 3))),
        translations=(np.asarray(fields['object_translations'],
                                 np.float64)[chosen]
                      if len(chosen) else np.empty((0, 3))),
        grasped=grasped)


def labels_of(index: HandObjectIndex, row: int) -> HandObjectPose:
    """What an index says of a frame."""
    sequence = int(index['sequence_row'][row])
    ids = np.asarray(index['ycb_ids'][sequence])
    there = np.asarray(index['object_valid'][row]) & (ids > 0)
    poses = np.asarray(index['pose_y'][row], np.float64)[there]
    column = int(index['grasped'][sequence])
    joints = np.array(index['joints_cam'][row], np.float64)
    if not index['hand_valid'][row]:
        joints[:] = np.nan
    contact = None
    if 'contact' in index and index['contact_valid'][row]:
        contact = np.asarray(index['contact'][row], np.float64)
    return HandObjectPose(
        joints=joints, contact=contact,
        classes=ids[there].astype(np.int64) - 1,
        rotations=poses[:, :, :3], translations=poses[:, :, 3],
        grasped=int(ids[column]) - 1 if column >= 0 else -1)


def pose_of_instances(instances: Any, threshold: float = .5
                      ) -> HandObjectPose | None:
    """What the first of ``pred_instances`` says; None without joints."""
    if instances is None or 'keypoints_cam' not in instances:
        return None
    names = ('keypoints_cam', 'object_rotations', 'object_translations',
             'object_scores', 'grasped_scores', 'contact_scores')
    return pose_of({name: _first(instances[name]) for name in names
                    if name in instances}, threshold)


def truth_of_instances(instances: Any,
                       grasped: int = -1) -> HandObjectPose | None:
    """What the first of ``gt_instances`` says; None without a hand.

    Args:
        instances (InstanceData): Labels in the photograph's frame.
        grasped (int): Class of the object in the hand. Defaults to -1.
    """
    if (instances is None or 'joints_cam' not in instances
            or not _first(instances.hand_valid)):
        return None
    chosen = np.empty(0, np.int64)
    rotations, translations = np.empty((0, 3, 3)), np.empty((0, 3))
    if 'object_rotations' in instances:
        chosen = np.flatnonzero(_first(instances.object_valid))
        rotations = _first(instances.object_rotations)[chosen]
        translations = _first(instances.object_translations)[chosen]
    contact = None
    if 'contact' in instances and _first(instances.contact_valid):
        contact = _first(instances.contact)
    return HandObjectPose(_first(instances.joints_cam), contact, chosen,
                          rotations, translations, int(grasped))


class ObjectBounds(Mapping[int, Array]):
    """Boxes (2, 3) of meshes by class, m, read when they are asked for.

    An object whose mesh is not there has none.

    Args:
        models_dir (str | Path, optional): Folder of the meshes. Defaults to
            None: there are none.
    """

    def __init__(self, models_dir: str | Path | None = None) -> None:
        self.models_dir = models_dir
        self._bounds: dict[int, Array | None] = {}

    def __getitem__(self, number: int) -> Array:
        if number not in self._bounds:
            self._bounds[number] = self._read(number)
        bounds = self._bounds[number]
        if bounds is None:
            raise KeyError(number)
        return bounds

    def __iter__(self) -> Iterator[int]:
        return (number for number in range(NUM_CLASSES) if number in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _read(self, number: int) -> Array | None:
        if (self.models_dir is None or not 0 <= number < NUM_CLASSES
                or not Path(self.models_dir).is_dir()):
            return None
        # what is there but damaged ends in an error
        if not mesh_path(self.models_dir, number + 1).is_file():
            return None
        return load_mesh_bounds(self.models_dir, number + 1)


def _first(values: Any) -> Array:
    """The first instance of numbers on any device, f8."""
    if isinstance(values, torch.Tensor):
        values = values.detach().float().cpu()
    return np.asarray(values, np.float64)[0]

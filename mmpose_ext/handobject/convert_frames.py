"""One sequence of DexYCB turned into columns of an index.

These functions run in worker processes, one call a sequence.
"""
from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpose_ext.handobject.convert_boxes import (
    BEHIND,
    OUTSIDE,
    hand_boxes,
    is_small,
    mask_box,
    object_boxes,
    union_boxes,
    widened,
)
from mmpose_ext.storage import DataError
from mmpose_ext.storage.dexycb import HAND_LABEL, IMAGE_SIZE, SequenceMeta
from mmpose_ext.storage.dexycb_labels import (
    FrameLabels,
    check_projection,
    read_labels,
    read_segmentation,
)

Array = np.ndarray

NO_POSE = "hands without MANO's pose"


@dataclass(frozen=True)
class SequenceTask:
    """What is read of a sequence.

    Attributes:
        folder: Of the sequence.
        meta: Its meta.yml.
        videos: Serial, intrinsics (4, ) and frames (F, ), by camera.
        models: Folder of the meshes, None without.
        bounds: (2, 3) of the grasped object's mesh in m, None without.
        contact: Whether distances of joints to it are wanted.
    """

    folder: Path
    meta: SequenceMeta
    videos: tuple[tuple[str, Array, Array], ...]
    models: Path | None
    bounds: Array | None
    contact: bool


def gather_sequence(task: SequenceTask
                    ) -> tuple[dict[str, Array], Counter[str]]:
    """Read frames of a sequence.

    Args:
        task (SequenceTask): What to read.

    Returns:
        tuple[dict[str, np.ndarray], Counter[str]]: Columns of an index, of
            all frames, video by video; what was found how often.

    Raises:
        DataError: If a file is missing or damaged.
    """
    parts, notes = [], Counter[str]()
    for serial, intrinsics, frames in task.videos:
        folder = task.folder / serial
        _check_video(folder, frames)
        files = [folder / f'labels_{frame:06d}.npz' for frame in frames]
        labels = read_labels(files, len(task.meta.ycb_ids))
        check_projection(labels, files, intrinsics)
        parts.append(_columns_of(task, labels, files, intrinsics, notes))
    columns = {name: np.concatenate([part[name] for part in parts])
               for name in parts[0]}
    if task.contact:
        columns.update(_contacts(task, columns))
    return columns, notes


def _check_video(folder: Path, frames: Array) -> None:
    """Labels and pictures of all frames are on the disk."""
    try:
        present = {*os.listdir(folder)}
    except OSError as error:
        raise DataError(
            folder, 'folder', 'the video of a camera of meta.yml',
            'nothing' if not folder.exists() else str(error.strerror)
            ) from error
    for name in ('labels_{:06d}.npz', 'color_{:06d}.jpg'):
        for frame in frames:
            if name.format(frame) not in present:
                raise DataError(folder / name.format(frame), 'file',
                                'a file', 'nothing')


def _columns_of(task: SequenceTask, labels: FrameLabels,
                files: list[Path], intrinsics: Array,
                notes: Counter[str]) -> dict[str, Array]:
    front = (labels.joints_cam[..., 2] > 0).all(1)
    valid = labels.hand_valid & front
    notes[BEHIND] += int((labels.hand_valid & ~front).sum())
    notes[NO_POSE] += int((valid & ~labels.pose_m.any(1)).sum())
    joints, pixels = labels.joints_cam.copy(), labels.joints_px.copy()
    joints[~valid], pixels[~valid] = -1, -1
    boxes = np.zeros((len(valid), 4), np.float32)
    boxes[valid] = hand_boxes(pixels[valid], *IMAGE_SIZE)
    for row in np.flatnonzero(valid & is_small(boxes)):
        box = mask_box(read_segmentation(files[row]) == HAND_LABEL)
        notes[OUTSIDE] += box is None
        boxes[row] = widened((boxes[row] if box is None else box)[None],
                             *IMAGE_SIZE)[0]
    unions = boxes.copy()
    if task.bounds is not None:
        grasped = labels.pose_y[:, task.meta.grasped]
        around, seen = object_boxes(grasped, task.bounds, intrinsics,
                                    IMAGE_SIZE)
        seen &= labels.object_valid[:, task.meta.grasped]
        both = seen & valid
        unions[both] = union_boxes(boxes[both], around[both])
        unions[seen & ~valid] = around[seen & ~valid]
    return {
        'hand_valid': valid, 'joints_cam': joints, 'joints_px': pixels,
        'bbox_hand': boxes, 'bbox_union': unions,
        'K': np.broadcast_to(intrinsics.astype(np.float32),
                             (len(valid), 4)),
        'pose_m': labels.pose_m, 'pose_y': labels.pose_y,
        'object_valid': labels.object_valid}


def _contacts(task: SequenceTask,
              columns: dict[str, Array]) -> dict[str, Array]:
    """Distances of joints to the grasped object's surface."""
    from mmpose_ext.handobject.contact import contact_of, joint_distances
    assert task.models is not None
    grasped = task.meta.grasped
    known = columns['hand_valid'] & columns['object_valid'][:, grasped]
    distances = np.full((len(known), 21), np.nan, np.float32)
    if known.any():
        pose = columns['pose_y'][known, grasped].astype(np.float64)
        # R^T (X - t), rows being points
        points = (columns['joints_cam'][known] - pose[:, None, :, 3]
                  ) @ pose[..., :3]
        distances[known] = joint_distances(
            task.models, task.meta.ycb_ids[grasped], points)
    return {'joint_distance': distances, 'contact_valid': known,
            'contact': contact_of(distances).astype(np.uint8)}

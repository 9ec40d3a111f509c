"""What one answers who looks at the box alone: means of the training data.

Everything is learnt and said of right hands; a left one is mirrored before
and after, so that both sides share one answer.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmpose_ext.geometry.crop_views import intrinsic_matrix
from mmpose_ext.handobject.hand import WRIST, mirror_signs, root_relative
from mmpose_ext.handobject.index_files import (
    BOX_COLUMNS,
    HandObjectIndex,
    read_index,
)
from mmpose_ext.handobject.objects import NUM_CLASSES
from mmpose_ext.storage import DataError

Array = np.ndarray

_MOST_ROWS = 50_000  # evenly spread; more would not move a mean


@dataclass(frozen=True, eq=False)
class MeanAnswers:
    """Means of training data.

    A place is one of a box: across and down from its middle as shares of its
    longer side, and the log of depth times side over focal length, which
    does not depend on how near the camera is.

    Attributes:
        count: Hands that were averaged.
        pose: (21, 3) m behind the wrist, in the camera's frame.
        root: (3,) place of the wrist.
        object_places: (21, 3) place of each class's origin where it is held.
        object_rotations: (21, 3, 3) its mean rotation. A class that is never
            held has the mean of all.
        contact: (21,) how often each joint touches; 1 where unknown.
    """

    count: int
    pose: Array
    root: Array
    object_places: Array
    object_rotations: Array
    contact: Array

    def hands(self, boxes: Array, cameras: Array, left: Array) -> Array:
        """The mean pose in each box.

        Args:
            boxes (ndarray): (N, 4) corners, px.
            cameras (ndarray): (N, 3, 3).
            left (ndarray): (N,) bool.

        Returns:
            ndarray: (N, 21, 3) m in the camera's frame.
        """
        pose = self.pose * mirror_signs(left)[:, None]
        return pose + from_places(self.root[None], boxes, cameras,
                                  left)[:, None]

    def objects(self, classes: Array, boxes: Array, cameras: Array,
                left: Array) -> tuple[Array, Array]:
        """The mean pose of each held object.

        Args:
            classes (ndarray): (M,) int, 0..20.
            boxes (ndarray): (M, 4) corners, px.
            cameras (ndarray): (M, 3, 3).
            left (ndarray): (M,) bool.

        Returns:
            tuple[ndarray, ndarray]: (M, 3, 3), and (M, 3) m.
        """
        signs = mirror_signs(left)
        rotations = (signs[:, :, None] * self.object_rotations[classes]
                     * signs[:, None])
        return rotations, from_places(self.object_places[classes], boxes,
                                      cameras, left)


def read_mean_answers(source: str | Path | HandObjectIndex,
                      bbox_mode: str = 'hand') -> MeanAnswers:
    """Average an index of training data.

    Args:
        source (str | Path | HandObjectIndex): The index or its file.
        bbox_mode (str): Box of the places, ``hand`` or ``hand_object``.
            Defaults to ``hand``.

    Raises:
        DataError: If the index is damaged or has no hand.
    """
    index = source if isinstance(source, HandObjectIndex) else read_index(
        source)
    rows = np.flatnonzero(index['hand_valid'])
    if not len(rows):
        raise DataError(index.path, 'hand_valid', 'frames with a hand',
                        f'none of {len(index)}')
    step = -(-len(rows) // _MOST_ROWS)
    rows = rows[::step]
    sequences = index['sequence_row'][rows]
    left = index['side'][sequences] == 1
    joints = index['joints_cam'][rows].astype(np.float64)
    boxes = index[BOX_COLUMNS[bbox_mode]][rows].astype(np.float64)
    boxes[:, 2:] += boxes[:, :2]
    cameras = intrinsic_matrix(index['K'][rows].astype(np.float64))
    relative = root_relative(joints) * mirror_signs(left)[:, None]
    roots = to_places(joints[:, WRIST], boxes, cameras, left)
    places, rotations = _mean_objects(index, rows, boxes, cameras, left)
    return MeanAnswers(len(rows), relative.mean(0), roots.mean(0), places,
                       rotations, _mean_contact(index, rows))


def to_places(points: Array, boxes: Array, cameras: Array,
              left: Array) -> Array:
    """Places (N, 3) in boxes of points (N, 3) m of the camera's frame."""
    middles, sides, focal = _scales(boxes, cameras)
    seen = np.einsum('nij,nj->ni', cameras, points)
    offsets = (seen[:, :2] / seen[:, 2:] - middles) / sides[:, None]
    offsets[left, 0] *= -1
    return np.column_stack([offsets, np.log(points[:, 2] * sides / focal)])


def from_places(places: Array, boxes: Array, cameras: Array,
                left: Array) -> Array:
    """Points (N, 3) m of places (N, 3) in boxes; undoes `to_places`."""
    middles, sides, focal = _scales(boxes, cameras)
    places = np.broadcast_to(places, (len(boxes), 3))
    offsets = places[:, :2] * mirror_signs(left)[:, :2]
    pixels = np.column_stack([middles + offsets * sides[:, None],
                              np.ones(len(boxes))])
    rays = np.linalg.solve(cameras, pixels[..., None])[..., 0]
    return rays * (np.exp(places[:, 2]) * focal / sides)[:, None]


def _scales(boxes: Array, cameras: Array) -> tuple[Array, Array, Array]:
    """Middles (N, 2) and longer sides (N,) of boxes, focal lengths (N,)."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return ((boxes[:, :2] + boxes[:, 2:]) / 2, sizes.max(1),
            np.sqrt(cameras[:, 0, 0] * cameras[:, 1, 1]))


def _mean_objects(index: HandObjectIndex, rows: Array, boxes: Array,
                  cameras: Array, left: Array) -> tuple[Array, Array]:
    """Places (21, 3) and rotations (21, 3, 3) of objects that are held."""
    sequences = index['sequence_row'][rows]
    columns = index['grasped'][sequences]
    chosen = np.flatnonzero(
        (columns >= 0)
        & index['object_valid'][rows][np.arange(len(rows)), columns])
    places = np.zeros((NUM_CLASSES, 3))
    rotations = np.tile(np.eye(3), (NUM_CLASSES, 1, 1))
    if not len(chosen):
        return places, rotations
    columns = columns[chosen]
    classes = index['ycb_ids'][sequences[chosen], columns].astype(int) - 1
    poses = index['pose_y'][rows[chosen]][np.arange(len(chosen)),
                                          columns].astype(np.float64)
    signs = mirror_signs(left[chosen])
    turns = signs[:, :, None] * poses[..., :3] * signs[:, None]
    found = to_places(poses[..., 3], boxes[chosen], cameras[chosen],
                      left[chosen])
    places[:], rotations[:] = found.mean(0), _mean_rotation(turns)
    for number in np.unique(classes):
        own = classes == number
        places[number] = found[own].mean(0)
        rotations[number] = _mean_rotation(turns[own])
    return places, rotations


def _mean_rotation(rotations: Array) -> Array:
    """The rotation (3, 3) with the least sum of squared differences."""
    left, _, right = np.linalg.svd(rotations.mean(0))
    left[:, 2] *= np.sign(np.linalg.det(left @ right))
    return left @ right


def _mean_contact(index: HandObjectIndex, rows: Array) -> Array:
    known = rows[index['contact_valid'][rows]] if 'contact' in index else ()
    if not len(known):
        return np.ones(21)
    return index['contact'][known].astype(np.float64).mean(0)

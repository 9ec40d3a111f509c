"""A small data set of hands and objects: an index and its pictures."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from mmpose_ext.geometry.crop_views import project
from mmpose_ext.handobject.index_files import (
    DEXYCB_PATTERN,
    sequence_fingerprint,
    write_index,
)

Array = np.ndarray

SIZE = (160, 120)
SERIALS = ('836212060125', '839512060362')
SUBJECTS = ('20200709-subject-01', '20200813-subject-02')
SEQUENCES = tuple(f'{subject}/20200709_14175{number}'
                  for subject in SUBJECTS for number in range(2))
IDS = np.array([[2, 5], [21, 0], [1, 3], [6, 7]], np.uint8)
GRASPED = np.array([1, 0, 0, -1], np.int32)
CAMERAS = np.array([[150., 141., 82., 57.], [170., 171., 75., 62.]],
                   np.float32)


def rest_hand() -> Array:
    """Joints (21, 3) of an open hand about its middle, m."""
    joints = np.zeros((21, 3))
    for finger in range(5):
        angle = np.radians(20 * finger - 40)
        along = np.array([np.sin(angle), -np.cos(angle), .1])
        joints[1 + 4 * finger:5 + 4 * finger] = np.outer(
            [.045, .065, .08, .092], along)
    return joints - joints.mean(0)


def make_columns(frames: int = 3, hands: float = 1.,
                 seed: int = 0) -> dict[str, Any]:
    """Columns of an index of 4 sequences and 2 cameras.

    Sequences 0 and 2 are of right hands, 1 and 3 of left ones.

    Args:
        frames (int): Of each video.
        hands (float): Share of the frames that have one; the first ones
            have none.
        seed (int): Of poses.
    """
    draw = np.random.default_rng(seed)
    shape = len(SEQUENCES), len(SERIALS), frames
    sequence, camera, frame = (part.ravel() for part in np.indices(shape))
    count = len(frame)
    turns = Rotation.from_rotvec(draw.normal(0, .4, (count, 3)))
    joints = np.stack([turn.apply(rest_hand()) for turn in turns])
    places = draw.uniform([-.08, -.06, .6], [.08, .06, .9], (count, 3))
    joints = (joints + places[:, None]).astype(np.float32)
    cameras = CAMERAS[camera]
    matrices = np.zeros((count, 1, 3, 3))
    matrices[:, 0, 0, 0], matrices[:, 0, 1, 1] = cameras[:, :2].T
    matrices[:, 0, :2, 2], matrices[:, 0, 2, 2] = cameras[:, 2:], 1
    pixels = project(joints.astype(np.float64), matrices).astype(np.float32)
    low, high = pixels.min(1), pixels.max(1)
    boxes = np.c_[low, high - low]
    poses = np.zeros((count, 2, 3, 4), np.float32)
    poses[..., :3] = Rotation.random(
        2 * count, random_state=seed).as_matrix().reshape(count, 2, 3, 3)
    poses[..., 3] = places[:, None] + draw.normal(0, .05, (count, 2, 3))
    known = np.repeat((IDS > 0)[sequence][None], 1, 0)[0].copy()
    known[::5, 1] = False
    poses[~known] = 0
    valid = frame >= round(frames * (1 - hands))
    joints[~valid], pixels[~valid], boxes[~valid] = -1, -1, 0
    columns = dict(
        id=np.arange(count), sequence_row=sequence.astype(np.int32),
        camera=camera.astype(np.uint8), frame=frame.astype(np.int32),
        hand_valid=valid, joints_cam=joints, joints_px=pixels,
        bbox_hand=boxes.astype(np.float32), K=cameras,
        bbox_union=(boxes + valid[:, None] * [-6, -4, 20, 10]).astype(
            np.float32),
        pose_m=draw.normal(0, .3, (count, 51)).astype(np.float32),
        pose_y=poses, object_valid=known,
        contact=draw.integers(0, 2, (count, 21)).astype(np.uint8),
        contact_valid=valid,
        joint_distance=draw.uniform(0, .1, (count, 21)).astype(np.float32))
    return {**columns, **_tables()}


def _tables() -> dict[str, Any]:
    return dict(
        sequence_subject=np.array([0, 0, 1, 1], np.uint8),
        sequence_name=np.array(SEQUENCES),
        sequence_number=np.array([0, 1, 0, 1], np.int32),
        side=np.array([0, 1, 0, 1], np.uint8), ycb_ids=IDS, grasped=GRASPED,
        betas=np.linspace(-1, 1, 40, dtype=np.float32).reshape(4, 10),
        serials=np.array(SERIALS), subjects=np.array(SUBJECTS),
        source=np.array('dexycb'), setup=np.array('s1'),
        split=np.array('train'), every=np.int64(1),
        image_size=np.array(SIZE), image_pattern=np.array(DEXYCB_PATTERN),
        fingerprint=np.array(sequence_fingerprint(SEQUENCES, SERIALS)))


def paint(columns: dict[str, Any], row: int, seed: int = 0) -> Array:
    """Picture of a frame: smooth colours, each joint a bright dot."""
    draw = np.random.default_rng(seed + row)
    coarse = draw.integers(20, 160, (6, 8, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
    for place in columns['joints_px'][row]:
        cv2.circle(picture, tuple(np.rint(place * 16).astype(int).tolist()),
                   24, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return picture


def write_sample(root: Path, name: str = 's1_train',
                 columns: dict[str, Any] | None = None,
                 **settings: Any) -> dict[str, Any]:
    """Write pictures and index below a folder; returns the columns."""
    columns = make_columns(**settings) if columns is None else columns
    for row in range(len(columns['id'])):
        path = picture_path(root, columns, row)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), paint(columns, row),
                    [cv2.IMWRITE_JPEG_QUALITY, 95])
    (root / 'index').mkdir(exist_ok=True)
    write_index(root / f'index/{name}.npz', columns)
    return columns


def picture_path(root: Path, columns: dict[str, Any], row: int) -> Path:
    """Picture of a frame."""
    return root / DEXYCB_PATTERN.format(
        sequence=SEQUENCES[columns['sequence_row'][row]],
        serial=SERIALS[columns['camera'][row]],
        frame=int(columns['frame'][row]))


# what training does to a view, at its strongest
STRONG = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.5),
    dict(type='RandomBBoxTransform', shift_factor=.1, shift_prob=1.,
         scale_factor=(.8, 1.25), rotate_factor=45., rotate_prob=1.)]


def view_pipeline(virtual_camera: bool = True, size: int = 64,
                  start: Any = STRONG) -> list[Any]:
    """A pipeline up to the view."""
    return [*start, dict(type='mmpose_ext.HandObjectTopdownView',
                         input_size=size, virtual_camera=virtual_camera)]

"""A tiny data root in DexYCB's layout: 2 subjects, sequences and cameras."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from scipy.spatial.transform import Rotation

Array = np.ndarray

SUBJECTS = ('20200709-subject-01', '20200813-subject-02')
SEQUENCES = ('20200709_141754', '20200709_142022')
SERIALS = ('836212060125', '839512060362')
INTRINSICS = {SERIALS[0]: (613., 612., 313., 245.),
              SERIALS[1]: (615.5, 615.2, 319.7, 237.1)}
FRAMES = 3
YCB_IDS = {SEQUENCES[0]: (2, 5, 9), SEQUENCES[1]: (1, 20)}
GRASPED = {SEQUENCES[0]: 1, SEQUENCES[1]: 0}
SIDES = {SUBJECTS[0]: 'right', SUBJECTS[1]: 'left'}
MESHES = {1: '002_master_chef_can', 5: '006_mustard_bottle'}
HALF_SIDES = (.03, .02, .04)  # m, of every mesh
_CUBE = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1)
                  for z in (-1, 1)])
_FACES = ((1, 2, 4), (1, 4, 3), (5, 7, 8), (5, 8, 6), (1, 5, 6), (1, 6, 2),
          (3, 4, 8), (3, 8, 7), (1, 3, 7), (1, 7, 5), (2, 6, 8), (2, 8, 4))


@dataclass(frozen=True)
class Video:
    """A video of the folder.

    Attributes:
        folder: Where it is.
        subject: Folder name.
        sequence: Folder name.
        serial: Of the camera.
    """

    folder: Path
    subject: str
    sequence: str
    serial: str


def videos(root: Path) -> Iterator[Video]:
    """Videos in the official order."""
    for subject in SUBJECTS:
        for sequence in SEQUENCES:
            for serial in SERIALS:
                yield Video(root / subject / sequence / serial, subject,
                            sequence, serial)


def label_file(root: Path, subject: int = 0, sequence: int = 0,
               camera: int = 0, frame: int = 1) -> Path:
    """Path of a frame's labels."""
    return (root / SUBJECTS[subject] / SEQUENCES[sequence] / SERIALS[camera]
            / f'labels_{frame:06d}.npz')


def meta_file(root: Path, subject: int = 0, sequence: int = 0) -> Path:
    """Path of a sequence's meta.yml."""
    return root / SUBJECTS[subject] / SEQUENCES[sequence] / 'meta.yml'


def change_labels(path: Path, **arrays: Any) -> None:
    """Replace arrays of a label file; None removes one."""
    with np.load(path) as stored:
        content = {**stored, **arrays}
    np.savez_compressed(path, **{
        name: values for name, values in content.items()
        if values is not None})


def change_meta(path: Path, **values: Any) -> None:
    """Replace values of a .yml file; None removes one."""
    content = {**yaml.safe_load(path.read_text()), **values}
    path.write_text(yaml.safe_dump({
        key: value for key, value in content.items() if value is not None}))


def write_folder(root: Path, meshes: bool = True,
                 frames: int = FRAMES) -> None:
    """Write the folder; the first frame of each video has no hand.

    Args:
        root (Path): Made if it is not there.
        meshes (bool): Whether there are meshes of the grasped objects.
        frames (int): Of each video.
    """
    for row, video in enumerate(videos(root)):
        video.folder.mkdir(parents=True)
        for frame in range(frames):
            write_frame(video, frame, 100 * row + frame)
        if video.serial == SERIALS[-1]:
            _write_meta(video, frames)
    _write_calibration(root)
    for name in MESHES.values() if meshes else ():
        path = root / 'models' / name / 'textured_simple.obj'
        path.parent.mkdir(parents=True)
        path.write_text('\n'.join([
            *('v {:f} {:f} {:f}'.format(*point)
              for point in _CUBE * HALF_SIDES),
            *('f {} {} {}'.format(*face) for face in _FACES), '']))


def write_frame(video: Video, frame: int, seed: int) -> None:
    """Write labels and picture of a frame; the hand is at the object."""
    draw = np.random.default_rng(seed)
    fx, fy, cx, cy = INTRINSICS[video.serial]
    objects = YCB_IDS[video.sequence]
    grasped = GRASPED[video.sequence]
    poses = np.zeros((len(objects), 3, 4), np.float32)
    poses[:, :, :3] = Rotation.random(
        len(objects), random_state=seed).as_matrix()
    poses[:, :, 3] = draw.uniform([-.1, -.1, .6], [.1, .1, .9],
                                  (len(objects), 3))
    if frame == 1:  # an object that is not known
        poses[1 - min(grasped, 1)] = 0
    joints = poses[grasped, :, 3] + draw.normal(0, .04, (21, 3))
    pixels = (joints[:, :2] / joints[:, 2:] * [fx, fy] + [cx, cy])
    labels = np.zeros((480, 640), np.uint8)
    for row, place in enumerate(poses):
        if place.any():
            centre = place[:2, 3] / place[2, 3] * [fx, fy] + [cx, cy]
            x, y = np.rint(centre).astype(int)
            labels[max(y - 9, 0):y + 9, max(x - 9, 0):x + 9] = objects[row]
    pose = draw.normal(0, .3, (1, 51)).astype(np.float32)
    if frame == 0:
        joints, pixels, pose = joints * 0 - 1, pixels * 0 - 1, pose * 0
    else:
        for x, y in np.clip(np.rint(pixels), 0, [639, 479]).astype(int)[::2]:
            labels[y, x] = 255
    np.savez_compressed(
        video.folder / f'labels_{frame:06d}.npz', seg=labels, pose_y=poses,
        pose_m=pose, joint_3d=joints[None].astype(np.float32),
        joint_2d=pixels[None].astype(np.float32))
    cv2.imwrite(str(video.folder / f'color_{frame:06d}.jpg'),
                np.full((480, 640, 3), seed % 256, np.uint8))


def _write_meta(video: Video, frames: int) -> None:
    objects = YCB_IDS[video.sequence]
    (video.folder.parent / 'meta.yml').write_text(yaml.safe_dump(dict(
        serials=list(SERIALS), num_frames=frames,
        extrinsics='20200702_151821', ycb_ids=list(objects),
        ycb_grasp_ind=GRASPED[video.sequence],
        mano_sides=[SIDES[video.subject]],
        mano_calib=[f'{video.subject}_{SIDES[video.subject]}'])))
    quaternions = np.zeros((frames, len(objects), 7), np.float32)
    quaternions[..., 3] = 1
    np.savez_compressed(video.folder.parent / 'pose.npz', pose_y=quaternions,
                        pose_m=np.zeros((frames, 1, 51), np.float32))


def _write_calibration(root: Path) -> None:
    folder = root / 'calibration'
    (folder / 'intrinsics').mkdir(parents=True)
    for serial, (fx, fy, cx, cy) in INTRINSICS.items():
        (folder / 'intrinsics' / f'{serial}_640x480.yml').write_text(
            yaml.safe_dump(dict(color=dict(fx=fx, fy=fy, ppx=cx, ppy=cy))))
    (folder / 'extrinsics_20200702_151821').mkdir()
    (folder / 'extrinsics_20200702_151821' / 'extrinsics.yml').write_text(
        yaml.safe_dump(dict(master=SERIALS[0], extrinsics={
            name: np.eye(3, 4).ravel().tolist()
            for name in (*SERIALS, 'apriltag')})))
    for row, (subject, side) in enumerate(SIDES.items()):
        (folder / f'mano_{subject}_{side}').mkdir()
        (folder / f'mano_{subject}_{side}' / 'mano.yml').write_text(
            yaml.safe_dump(dict(betas=[.1 * row + .5] * 10)))

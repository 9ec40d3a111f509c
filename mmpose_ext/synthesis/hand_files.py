"""Files of DexYCB: calibration, models, and sequences with their labels."""
from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from mmpose_ext.storage.dexycb import IMAGE_SIZE, SERIALS, SIDES
from mmpose_ext.synthesis.grasp_objects import GraspObject
from mmpose_ext.synthesis.hand_bodies import HandBody
from mmpose_ext.synthesis.hand_pictures import Shot
from mmpose_ext.synthesis.hand_scenes import (
    MASTER,
    TABLE_M,
    Moment,
    Rig,
    Scene,
)

Array = np.ndarray

# corner of the table from where its volume is measured
TAG = np.array([-TABLE_M[0] / 2, -.3, 0])
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]
# quick to write
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1,
        cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]


def write_intrinsics(folder: Path, matrices: Array) -> None:
    """Write camera matrices (8, 3, 3) below ``calibration``."""
    place = folder / 'calibration' / 'intrinsics'
    place.mkdir(parents=True)
    for serial, matrix in zip(SERIALS, matrices, strict=True):
        numbers = dict(fx=matrix[0, 0], fy=matrix[1, 1], ppx=matrix[0, 2],
                       ppy=matrix[1, 2])
        _write_yaml(place / f'{serial}_{IMAGE_SIZE[0]}x{IMAGE_SIZE[1]}.yml',
                    dict(color={name: float(number) for name, number
                                in numbers.items()}))


def write_calibration(folder: Path, name: str, rig: Rig,
                      body: HandBody) -> None:
    """Write where a subject's cameras are and what its hand is like."""
    place = folder / 'calibration' / f'extrinsics_{name}'
    place.mkdir()
    poses = {serial: rig.to_world(camera).ravel().tolist()
             for camera, serial in enumerate(SERIALS)}
    poses['apriltag'] = rig.table_to_world(TAG).ravel().tolist()
    _write_yaml(place / 'extrinsics.yml',
                dict(master=SERIALS[MASTER], extrinsics=poses))
    place = folder / 'calibration' / f'mano_{name}'
    place.mkdir()
    _write_yaml(place / 'mano.yml', dict(betas=body.betas.tolist()))


def write_model(folder: Path, thing: GraspObject) -> None:
    """Write a thing as ``models/<name>/textured_simple.obj``."""
    place = folder / 'models' / thing.name
    place.mkdir(parents=True)
    lines = ['mtllib textured_simple.mtl', 'usemtl paint']
    lines += [f'v {x:.6f} {y:.6f} {z:.6f}' for x, y, z in thing.vertices]
    spots, rows = np.unique(thing.corners.reshape(-1, 2).round(6), axis=0,
                            return_inverse=True)
    lines += [f'vt {u:.6f} {v:.6f}' for u, v in spots]
    for face, row in zip(thing.faces + 1, rows.reshape(-1, 3) + 1,
                         strict=True):
        lines.append('f ' + ' '.join(f'{a}/{b}' for a, b in
                                     zip(face, row, strict=True)))
    (place / 'textured_simple.obj').write_text('\n'.join(lines) + '\n')
    (place / 'textured_simple.mtl').write_text(
        'newmtl paint\nKa 1 1 1\nKd 1 1 1\nmap_Kd texture_map.png\n')
    (place / 'texture_map.png').write_bytes(
        _encoded('.png', thing.paint[..., ::-1]))


def write_meta(folder: Path, scene: Scene, calibration: str,
               moments: list[Moment], rig: Rig) -> None:
    """Make a sequence's folder with what holds for all of its cameras."""
    folder.mkdir(parents=True)
    for serial in SERIALS:
        (folder / serial).mkdir()
    _write_yaml(folder / 'meta.yml', dict(
        serials=list(SERIALS), num_frames=len(moments),
        extrinsics=calibration, ycb_ids=list(scene.ycb_ids),
        ycb_grasp_ind=scene.grasped, mano_sides=[SIDES[scene.left]],
        mano_calib=[calibration]))
    things = np.zeros((len(moments), len(scene.ycb_ids), 7), np.float32)
    hands = np.zeros((len(moments), 1, 51), np.float32)
    for row, moment in enumerate(moments):
        for column, pose in enumerate(moment.poses):
            turn = rig.rotations[MASTER] @ pose[:, :3]
            things[row, column, :4] = Rotation.from_matrix(turn).as_quat()
            things[row, column, 4:] = rig.to_camera(MASTER, pose[:, 3])
        hands[row, 0] = _hand_numbers(moment, rig, MASTER)
    (folder / 'pose.npz').write_bytes(_archive(pose_y=things, pose_m=hands))


def write_frame(folder: Path, frame: int, camera: int, shot: Shot,
                moment: Moment, rig: Rig) -> bool:
    """Write a frame of a camera of the sequence in a folder.

    Returns:
        bool: Whether the hand is labelled: some of it is in the picture.
    """
    place = folder / SERIALS[camera]
    (place / f'color_{frame:06d}.jpg').write_bytes(
        _encoded('.jpg', shot.colour[..., ::-1], _JPEG))
    (place / f'aligned_depth_to_color_{frame:06d}.png').write_bytes(
        _encoded('.png', shot.depth_mm(), _PNG))
    poses = np.stack([
        np.column_stack([rig.rotations[camera] @ pose[:, :3],
                         rig.to_camera(camera, pose[:, 3])])
        for pose in moment.poses]).astype(np.float32)
    joints = np.full((21, 3), -1, np.float32)
    pixels = np.full((21, 2), -1, np.float32)
    numbers = np.zeros(51, np.float32)
    labelled = False
    if moment.hand is not None:
        seen = rig.to_camera(camera, moment.hand.joints).astype(np.float32)
        spots = shot.eye.project(seen.astype(np.float64))
        inside = (spots >= 0) & (spots < IMAGE_SIZE)
        labelled = bool(inside.all(1).any())
        if labelled:
            joints, pixels = seen, spots.astype(np.float32)
            numbers = _hand_numbers(moment, rig, camera)
    (place / f'labels_{frame:06d}.npz').write_bytes(_archive(
        seg=shot.seg, pose_y=poses, pose_m=numbers[None],
        joint_3d=joints[None], joint_2d=pixels[None]))
    return labelled


def sequence_name(subject: str, number: int) -> str:
    """A time stamp on the day of a subject, later for each number."""
    seconds = 10 * 3600 + 133 * number + int(subject[-2:])
    clock = f'{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}'
    return f'{subject[:8]}_{clock}'


def _hand_numbers(moment: Moment, rig: Rig, camera: int) -> Array:
    """What stands for MANO's numbers (51,).

    They are the turn of the hand, the 20 angles of its fingers, for which
    MANO has coefficients, and the place of the wrist.
    """
    numbers = np.zeros(51, np.float32)
    hand = moment.hand
    if hand is not None:
        turn = rig.rotations[camera] @ hand.rotation
        numbers[:3] = Rotation.from_matrix(turn).as_rotvec()
        numbers[3:23] = hand.angles.ravel()
        numbers[48:] = rig.to_camera(camera, hand.translation)
    return numbers


def _archive(**arrays: Array) -> bytes:
    """An .npz file, quickly deflated, the same for the same arrays."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED,
                         compresslevel=1) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            info = zipfile.ZipInfo(f'{name}.npy')
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    return content.getvalue()


def _encoded(kind: str, picture: Array, options: list[int] | None = None
             ) -> bytes:
    return cv2.imencode(kind, picture, options or [])[1].tobytes()


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False))


"""The frames of an index written as COCO annotations of hands."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mmpose_ext.handobject.hand import BONES, JOINT_NAMES, SIDES
from mmpose_ext.handobject.index_files import DEXYCB, HandObjectIndex
from mmpose_ext.handobject.objects import HAND_CATEGORY, YCB_IDS, ycb_name
from mmpose_ext.storage import atomic_file
from mmpose_ext.storage.dexycb import HAND_LABEL
from mmpose_ext.storage.dexycb_labels import read_segmentation

Array = np.ndarray

_METRES, _PIXELS = 6, 3  # decimals


def write_coco(path: Path, index: HandObjectIndex, root: Path,
               advance: Callable[[int], None] = lambda count: None) -> None:
    """Write one annotation for each frame with a hand, whole or not at all.

    Joints have v = 2 where they are seen: inside of the picture and, with
    DexYCB's segmentation, on a pixel of the hand; otherwise 1.

    Args:
        path (Path): The .json file; its folder exists.
        index (HandObjectIndex): The frames.
        root (Path): Data root, where the segmentations are.
        advance (Callable[[int], None]): Told how many were written.

    Raises:
        DataError: If a segmentation is missing or damaged.
    """
    rows = np.flatnonzero(index['hand_valid']).tolist()
    with atomic_file(path) as temporary, temporary.open(
            'w', encoding='utf-8') as stream:
        information = json.dumps(
            dict(source=index.source, setup=index.setup, split=index.split,
                 every=index.every))
        stream.write(f'{{"info": {information},\n"categories": '
                     f'{json.dumps(_categories())},\n')
        _write_list(stream, 'images', (_image(index, row) for row in rows))
        stream.write(',\n')
        _write_list(stream, 'annotations', _annotations(
            index, rows, root, advance))
        stream.write('}\n')


def _write_list(stream: TextIO, name: str,
                records: Iterator[dict[str, Any]]) -> None:
    """Records as they come; half a million are not held at once."""
    stream.write(f'"{name}": [')
    for row, record in enumerate(records):
        stream.write((',\n' if row else '\n')
                     + json.dumps(record, allow_nan=False))
    stream.write(']')


def _categories() -> list[dict[str, Any]]:
    objects = [dict(id=ycb_id, name=ycb_name(ycb_id)) for ycb_id in YCB_IDS]
    return [*objects, dict(
        id=HAND_CATEGORY, name='hand', keypoints=list(JOINT_NAMES),
        skeleton=[[parent + 1, child + 1] for parent, child in BONES])]


def _image(index: HandObjectIndex, row: int) -> dict[str, Any]:
    width, height = index.size_of(row)
    return dict(
        id=int(index['id'][row]), file_name=index.file_of(row), width=width,
        height=height, subject=index.subject_of(row),
        sequence=index.sequence_of(row), serial=index.serial_of(row),
        frame=int(index['frame'][row]))


def _annotations(index: HandObjectIndex, rows: list[int], root: Path,
                 advance: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    for row in rows:
        sequence = index['sequence_row'][row]
        objects = np.flatnonzero(index['ycb_ids'][sequence])
        box = _rounded(index['bbox_hand'][row], _PIXELS)
        number = int(index['id'][row])
        record = dict(
            id=number, image_id=number, category_id=HAND_CATEGORY, bbox=box,
            area=round(box[2] * box[3], _PIXELS), iscrowd=0,
            keypoints=_keypoints(index, row, root), num_keypoints=21,
            joint_cam=_rounded(index['joints_cam'][row], _METRES),
            mano_pose=_rounded(index['pose_m'][row], _METRES),
            mano_betas=_rounded(index['betas'][sequence], _METRES),
            mano_side=SIDES[index.side_of(row)],
            K=_rounded(index['K'][row], _PIXELS),
            ycb_ids=index['ycb_ids'][sequence][objects].tolist(),
            ycb_grasp_ind=int(index['grasped'][sequence]),
            pose_y=_rounded(index['pose_y'][row][objects].reshape(
                len(objects), 12), _METRES),
            obj_valid=index['object_valid'][row][objects].tolist(),
            hand_valid=True)
        if 'contact' in index and index['contact_valid'][row]:
            record['contact'] = index['contact'][row].tolist()
        if 'joint_distance' in index and np.isfinite(
                index['joint_distance'][row]).all():
            record['joint_sdf'] = _rounded(index['joint_distance'][row],
                                           _METRES)
        yield record
        advance(1)


def _keypoints(index: HandObjectIndex, row: int, root: Path) -> list[float]:
    pixels = index['joints_px'][row].astype(np.float64)
    seen = ((pixels >= 0) & (pixels < index.size_of(row))).all(1)
    if index.source == DEXYCB:
        mask = read_segmentation(root / index.label_file_of(row),
                                 index.image_size) == HAND_LABEL
        last = np.array(index.image_size) - 1
        columns, rows = np.clip(np.rint(pixels), 0, last).astype(int).T
        seen &= mask[rows, columns]
    return _rounded(np.c_[pixels, np.where(seen, 2, 1)].ravel(), _PIXELS)


def _rounded(values: Array, decimals: int) -> list[Any]:
    return np.round(values.astype(np.float64), decimals).tolist()

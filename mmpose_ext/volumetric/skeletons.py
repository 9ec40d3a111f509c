"""Skeletons: names of keypoints, links, and which is left of which."""
from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_ext.layout import project_root
from mmpose_ext.storage import DataError
from mmpose_ext.storage.checks import StrPath, check_file
from mmpose_ext.storage.skeleton_files import read_skeleton_file

_FOLDER = project_root() / 'configs' / '_base_' / 'datasets'

BUILT_IN = ('rat23', 'mouse22', 'rat7m', 'rat16', 'mouse14')
LEFT, RIGHT, MIDDLE = (51, 153, 255), (255, 128, 0), (0, 200, 83)  # RGB

_SIDES = (('left', 'right'), ('Left', 'Right'), ('LEFT', 'RIGHT'))


def load_skeleton(skeleton: StrPath, root: StrPath = '.') -> dict[str, Any]:
    """Load a skeleton as MMPose's metainfo.

    Args:
        skeleton (str | Path): One of ``BUILT_IN``, or a file: Label3D's
            ``.mat``, a ``.json``, or MMPose's ``.py``.
        root (str | Path): Folder in which a relative file is looked for
            first. Defaults to ``.``.

    Returns:
        dict: Parsed metainfo: ``dataset_name``, ``keypoint_id2name``,
        ``skeleton_links``, ``flip_indices`` and so on.

    Raises:
        DataError: If the file is missing, damaged, or no skeleton.
        ValueError: If it is neither a file nor the name of a skeleton.
    """
    name = str(skeleton)
    if name in BUILT_IN:
        return parse_pose_metainfo(dict(from_file=str(_FOLDER / f'{name}.py')))
    path = Path(root) / skeleton
    if not path.is_file():
        path = Path(skeleton)
    if not path.suffix:
        near = difflib.get_close_matches(name, BUILT_IN, n=1)
        raise ValueError(
            f'skeleton: expected one of {", ".join(BUILT_IN)}, or a .mat, '
            f'.json or .py file, found {name!r}'
            + (f'; did you mean {near[0]!r}?' if near else ''))
    if path.suffix == '.py':
        check_file(path)
        try:
            return parse_pose_metainfo(dict(from_file=str(path)))
        except Exception as error:  # whatever Python in the file raises
            raise DataError(path, 'dataset_info', "MMPose's description of "
                            'keypoints', repr(error)) from error
    check_file(path, ('.mat', '.json', '.py'))
    file = read_skeleton_file(path)
    return build_metainfo(path.stem, file.names, file.edges.tolist(),
                          file.colors)


def build_metainfo(name: str, keypoints: Sequence[str],
                   edges: Sequence[Sequence[int]],
                   colors: Any = None) -> dict[str, Any]:
    """Metainfo of a skeleton.

    Args:
        name (str): The skeleton's name.
        keypoints (Sequence[str]): K names, each once.
        edges (Sequence[Sequence[int]]): E pairs of numbers of keypoints.
        colors (array_like, optional): (E, 3 or 4) RGB or RGBA of the links,
            to 1. Defaults to None: by side.
    """
    other = find_sides(keypoints)
    shades = [_shade(keypoint, other) for keypoint in keypoints]
    keypoint_info = {
        i: dict(name=keypoint, id=i, color=list(shades[i]), type='upper',
                swap=other.get(keypoint, ''))
        for i, keypoint in enumerate(keypoints)
    }
    links = {}
    for i, (first, second) in enumerate(edges):
        sided = second if keypoints[second] in other else first
        color = list(shades[sided])
        if colors is not None:
            color = [round(255 * float(value)) for value in colors[i][:3]]
        links[i] = dict(link=(keypoints[first], keypoints[second]), id=i,
                        color=color)
    count = len(keypoints)
    return parse_pose_metainfo(dict(
        dataset_name=name, keypoint_info=keypoint_info, skeleton_info=links,
        joint_weights=[1.] * count, sigmas=[.05] * count))


def find_sides(keypoints: Sequence[str]) -> dict[str, str]:
    """Find each keypoint's counterpart on the other side by its name.

    ``EarL`` and ``EarR``, ``ear_left`` and ``ear_right``, ``LeftEar`` and
    ``RightEar``, ``l_ear`` and ``r_ear``, ``paw_L_front`` and
    ``paw_R_front`` are pairs. A name whose counterpart is not among the
    keypoints, such as ``SpineL`` alone, lies in the middle.

    Args:
        keypoints (Sequence[str]): All names.

    Returns:
        dict[str, str]: From left to right names and back.
    """
    known = set(keypoints)
    pairs: dict[str, str] = {}
    for name in keypoints:
        for right in _right_names(name):
            if right in known and name not in pairs and right not in pairs:
                pairs[name], pairs[right] = right, name
    return pairs


def _right_names(name: str) -> list[str]:
    """What the right counterpart of a left name may be called."""
    names = [name.replace(left, right, 1) for left, right in _SIDES
             if left in name]
    for left, right in (('L', 'R'), ('l', 'r')):
        middle = f'_{left}_'
        if middle in name:
            names.append(name.replace(middle, f'_{right}_', 1))
        if name.endswith(left):
            names.append(name[:-1] + right)
        if name.startswith(left):
            names.append(right + name[1:])
    return names


def _shade(keypoint: str, other: dict[str, str]) -> tuple[int, int, int]:
    """Colour of a side; the left one was found first in its pair."""
    if keypoint not in other:
        return MIDDLE
    return LEFT if other[keypoint] in _right_names(keypoint) else RIGHT

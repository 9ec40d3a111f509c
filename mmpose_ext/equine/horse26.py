"""The 26 points, read from the config that defines them."""
from __future__ import annotations

from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_ext.layout import project_root

_FOLDER = project_root() / 'configs' / '_base_' / 'datasets'
METAINFO_FILE = str(_FOLDER / 'horse26.py')
ANATOMICAL_FILE = str(_FOLDER / 'horse26_anatomical.py')

_META = parse_pose_metainfo(dict(from_file=METAINFO_FILE))
_ANATOMICAL = parse_pose_metainfo(dict(from_file=ANATOMICAL_FILE))

NAMES: tuple[str, ...] = tuple(_META['keypoint_name2id'])
FLIP_INDICES: tuple[int, ...] = tuple(_META['flip_indices'])
# left and right of a point
PAIRS: tuple[tuple[int, int], ...] = tuple(
    (left, right) for left, right in enumerate(FLIP_INDICES) if left < right)
SKELETON: tuple[tuple[int, int], ...] = tuple(
    (first, second) for first, second in _META['skeleton_links'])
SIGMAS: tuple[float, ...] = tuple(
    round(float(sigma), 4) for sigma in _META['sigmas'])
ANATOMICAL_SIGMAS: tuple[float, ...] = tuple(
    round(float(sigma), 4) for sigma in _ANATOMICAL['sigmas'])
# the parts of the body that figures are summed up by
GROUPS: dict[str, tuple[int, ...]] = dict(
    head=(0, 1, 2, 3, 4),
    trunk=(5, 6, 7, 8, 9),
    fore=(10, 11, 12, 13, 14, 15, 16, 17),
    hind=(18, 19, 20, 21, 22, 23, 24, 25))
# of a horse's box, the part that the horse fills, as MMPose takes it
BODY_SHARE = .53
# what checkpoints of other programs call the same points
DATASET_NAMES = ('horse26', 'horse26_anatomical', 'horse_pose')

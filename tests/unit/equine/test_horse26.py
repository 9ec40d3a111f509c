"""The definition of the points, against its published table."""
from __future__ import annotations

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmpose_ext.equine.horse26 import (
    ANATOMICAL_FILE,
    ANATOMICAL_SIGMAS,
    FLIP_INDICES,
    GROUPS,
    METAINFO_FILE,
    NAMES,
    SIGMAS,
    SKELETON,
)

TABLE = """
nose       .025 1.0 255,107,107
l_eye      .025 1.0 78,205,196
r_eye      .025 1.0 69,183,209
l_ear      .035 0.8 150,206,180
r_ear      .035 0.8 255,234,167
neck       .079 1.2 223,230,233
withers    .072 1.5 162,155,254
back       .079 1.2 253,121,168
tail_base  .079 1.0 253,203,110
tail_end   .089 0.7 225,112,85
l_elbow    .072 1.3 116,185,255
r_elbow    .072 1.3 9,132,227
l_knee     .062 1.1 85,239,196
r_knee     .062 1.1 0,184,148
lf_fetlock .062 1.0 250,177,160
rf_fetlock .062 1.0 225,112,85
lf_hoof    .107 1.0 250,177,160
rf_hoof    .107 1.0 225,112,85
l_hip      .087 1.3 162,155,254
r_hip      .087 1.3 108,92,231
l_hock     .062 1.1 85,239,196
r_hock     .062 1.1 0,184,148
lh_fetlock .062 1.0 250,177,160
rh_fetlock .062 1.0 225,119,85
lh_hoof    .107 1.0 253,121,168
rh_hoof    .107 1.0 214,48,49
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.fixture(scope='module')
def meta() -> dict:
    return parse_pose_metainfo(dict(from_file=METAINFO_FILE))


def test_points_are_those_of_the_table(meta: dict) -> None:
    assert meta['dataset_name'] == 'horse26'
    assert list(meta['keypoint_name2id']) == [row[0] for row in ROWS]
    assert tuple(row[0] for row in ROWS) == NAMES
    np.testing.assert_array_equal(
        meta['sigmas'], np.float32([row[1] for row in ROWS]))
    assert [float(row[1]) for row in ROWS] == list(SIGMAS)
    np.testing.assert_array_equal(
        meta['dataset_keypoint_weights'], np.float32([r[2] for r in ROWS]))
    np.testing.assert_array_equal(
        meta['keypoint_colors'],
        np.uint8([row[3].split(',') for row in ROWS]))


def test_sides_swap_as_published(meta: dict) -> None:
    assert meta['flip_indices'] == list(FLIP_INDICES) == [
        0, 2, 1, 4, 3, 5, 6, 7, 8, 9, 11, 10, 13, 12, 15, 14, 17, 16, 19, 18,
        21, 20, 23, 22, 25, 24]
    assert len(meta['flip_pairs']) == 20  # ten pairs, in both orders
    assert meta['upper_body_ids'] == list(range(12))
    assert meta['lower_body_ids'] == list(range(12, 26))


def test_skeleton_is_as_published(meta: dict) -> None:
    assert meta['skeleton_links'] == [tuple(link) for link in SKELETON] == [
        (0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 6), (6, 7), (7, 8),
        (8, 9), (6, 10), (6, 11), (10, 12), (11, 13), (12, 14), (13, 15),
        (14, 16), (15, 17), (7, 18), (7, 19), (18, 20), (19, 21), (20, 22),
        (21, 23), (22, 24), (23, 25)]
    for (first, _), color in zip(SKELETON, meta['skeleton_link_colors'],
                                 strict=True):
        np.testing.assert_array_equal(color, meta['keypoint_colors'][first])


def test_skeleton_has_its_mirror_image() -> None:
    links = {tuple(sorted(link)) for link in SKELETON}
    assert links == {
        tuple(sorted((FLIP_INDICES[a], FLIP_INDICES[b]))) for a, b in links}


def test_anatomical_tolerances_differ_in_nothing_else(meta: dict) -> None:
    other = parse_pose_metainfo(dict(from_file=ANATOMICAL_FILE))
    assert other['dataset_name'] == 'horse26_anatomical'
    assert list(ANATOMICAL_SIGMAS) == [
        .026, .025, .025, .035, .035, .079, .079, .089, .079, .107,
        .079, .079, .072, .072, .062, .062, .062, .062, .107, .107,
        .087, .087, .087, .087, .089, .089]
    for key, value in meta.items():
        if key not in ('dataset_name', 'sigmas'):
            np.testing.assert_array_equal(other[key], value)


def test_groups_divide_the_points() -> None:
    assert sorted(i for group in GROUPS.values() for i in group) == list(
        range(26))
    for group in GROUPS.values():
        assert {FLIP_INDICES[i] for i in group} == set(group)

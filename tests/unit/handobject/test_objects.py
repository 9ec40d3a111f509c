"""Symmetries leave solids as they are, and BOP's own come out the same."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.objects import (
    CONTINUOUS_STEPS,
    NUM_CLASSES,
    SYMMETRIC_SETS,
    SYMMETRY_RULES,
    YCB_IDS,
    YCB_NAMES,
    SymmetryGroup,
    SymmetryRule,
    moved_group,
    read_models_info,
    rule_group,
    symmetric_ids,
    symmetry_rules,
    ycb_class,
    ycb_name,
)
from mmpose_ext.storage import DataError

BOUNDS = np.array([[-.03, .0, .1], [.05, .08, .3]])  # 8 x 8 x 20 cm
CENTRE = BOUNDS.mean(0)
BOP_BOX = dict(min_x=-10, min_y=-20, min_z=-30, size_x=20, size_y=40,
               size_z=60)


def as_set(points: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(point) for point in np.round(points, 9) + 0.}


def box_corners(bounds: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(*bounds.T, indexing='ij'), -1).reshape(8, 3)


def write_info(path: Path, **entry: object) -> Path:
    path.write_text(json.dumps({'13': {**BOP_BOX, **entry}}))
    return path


def test_ids_names_and_classes() -> None:
    assert (len(YCB_NAMES), NUM_CLASSES) == (21, 21)
    assert [*YCB_IDS] == [*range(1, 22)]
    assert ycb_name(1) == '002_master_chef_can'
    assert ycb_name(21) == '061_foam_brick'
    assert [ycb_class(ycb_id) for ycb_id in (1, 13, 21)] == [0, 12, 20]
    for wrong in (0, 22, -1):
        with pytest.raises(ValueError, match='expected 1 to 21'):
            ycb_name(wrong)


def test_lists_of_symmetric_objects() -> None:
    assert SYMMETRIC_SETS['ycb-video'] == (13, 16, 19, 20, 21)
    assert symmetric_ids('dex-ycb-toolkit') == (1, 13, 14, 16, 18, 19, 20, 21)
    assert symmetric_ids([21, 1]) == (1, 21)
    with pytest.raises(ValueError, match="found 'kit'"):
        symmetric_ids('kit')
    with pytest.raises(ValueError, match='found 22'):
        symmetric_ids([22])


@pytest.mark.parametrize(('rule', 'size'), [
    (SymmetryRule('longest', 4, flips=True), 8),
    (SymmetryRule('odd', 4), 4),
    (SymmetryRule('z', 2, flips=True), 4),
    (SymmetryRule('x', 2), 2),
])
def test_rules_map_a_square_prism_to_itself(rule: SymmetryRule,
                                            size: int) -> None:
    group = rule_group(rule, BOUNDS)
    corners = box_corners(BOUNDS)
    assert len(group) == size
    np.testing.assert_array_equal(group.rotations[0], np.eye(3))
    np.testing.assert_array_equal(group.translations[0], 0)
    np.testing.assert_allclose(np.linalg.det(group.rotations), 1)
    different = {tuple(turn.ravel().round(6) + 0.)
                 for turn in group.rotations}
    assert len(different) == size
    for turn, shift in zip(group.rotations, group.translations, strict=True):
        assert as_set(corners @ turn.T + shift) == as_set(corners)


def test_continuous_axis_turns_by_equal_steps_about_the_odd_side() -> None:
    group = rule_group(SymmetryRule('odd', 0), BOUNDS)
    assert len(group) == CONTINUOUS_STEPS
    steps = Rotation.from_matrix(group.rotations[:-1].transpose(0, 2, 1)
                                 @ group.rotations[1:]).as_rotvec()
    np.testing.assert_allclose(
        steps, np.tile([0, 0, 2 * np.pi / 315], (314, 1)), atol=1e-12)
    # the axis goes through the middle
    np.testing.assert_allclose(
        group.rotations @ CENTRE + group.translations,
        np.tile(CENTRE, (315, 1)), atol=1e-12)
    flat = np.array([[0., 0, 0], [.16, .055, .16]])
    turned = rule_group(SymmetryRule('odd', 0), flat, 4).rotations[1]
    np.testing.assert_allclose(turned @ [0, 1, 0], [0, 1, 0], atol=1e-12)


def test_every_symmetric_object_of_the_default_has_a_rule() -> None:
    assert {*SYMMETRIC_SETS['ycb-video']} <= {*SYMMETRY_RULES}
    # a mug has a handle
    assert 14 not in SYMMETRY_RULES


def test_config_overrides_rules() -> None:
    rules = symmetry_rules({14: dict(axis='z', folds=0), 13: None})
    assert rules[14] == SymmetryRule('z', 0)
    assert 13 not in rules
    assert 13 in SYMMETRY_RULES
    with pytest.raises(ValueError, match="found 'w'"):
        symmetry_rules({1: dict(axis='w', folds=1)})


def test_models_info_combines_discrete_and_continuous(tmp_path: Path) -> None:
    flip = np.diag([1., -1, -1, 1])
    flip[:3, 3] = [0, 0, 10]
    path = write_info(
        tmp_path / 'models_info.json',
        symmetries_discrete=[flip.ravel().tolist()],
        symmetries_continuous=[dict(axis=[0, 0, 2], offset=[5, 0, 0])])
    (group, centre), = read_models_info(path, steps=4).values()
    np.testing.assert_allclose(centre, 0, atol=1e-12)
    assert len(group) == 8
    # what BOP does: discrete first, then about the axis through the offset
    point = np.array([.02, .01, .03])
    expected = []
    for matrix in (np.eye(4), flip):
        moved = matrix[:3, :3] @ point + matrix[:3, 3] / 1000
        for step in range(4):
            turn = Rotation.from_euler('z', step * np.pi / 2).as_matrix()
            expected.append(turn @ (moved - [.005, 0, 0]) + [.005, 0, 0])
    np.testing.assert_allclose(group.rotations @ point + group.translations,
                               expected, atol=1e-12)


def test_moved_group_moves_the_shape() -> None:
    group = rule_group(SymmetryRule('z', 2, flips=True), BOUNDS)
    shift = np.array([.1, -.2, .3])
    moved = moved_group(group, shift)
    corners = box_corners(BOUNDS + shift)
    assert isinstance(moved, SymmetryGroup)
    for turn, offset in zip(moved.rotations, moved.translations,
                            strict=True):
        assert as_set(corners @ turn.T + offset) == as_set(corners)


@pytest.mark.parametrize(('entry', 'where', 'expected', 'found'), [
    (dict(symmetries_discrete=[[1, 2]]), 'object 13: symmetries_discrete',
     'shape (*, 16)', 'shape (1, 2)'),
    (dict(symmetries_discrete=[['a'] * 16]),
     'object 13: symmetries_discrete', 'rows of numbers', "'a'"),
    (dict(symmetries_continuous=[dict(axis=[0, 0, 1])]), "key 'offset'",
     "key 'offset'", "'axis'"),
    (dict(symmetries_continuous=[dict(axis=[0, 0, 0], offset=[0, 0, 0])]),
     'object 13: symmetries_continuous', 'an axis of some length', '0'),
    (dict(symmetries_continuous=[7]), 'object 13: symmetries_continuous',
     'an axis and its offset', '7'),
    (dict(size_z=None), 'object 13', 'finite values', 'nan'),
])
def test_damaged_models_info(tmp_path: Path, entry: dict, where: str,
                             expected: str, found: str) -> None:
    path = write_info(tmp_path / 'models_info.json', **entry)
    with pytest.raises(DataError) as caught:
        read_models_info(path)
    error = caught.value
    assert (error.file, error.where) == (str(path), where)
    assert expected in error.expected
    assert found in error.found


def test_models_info_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / 'models_info.json'
    path.write_text('{')
    with pytest.raises(DataError, match='expected JSON'):
        read_models_info(path)
    path.write_text('[1]')
    with pytest.raises(DataError, match='found list'):
        read_models_info(path)
    path.write_text(json.dumps({'13': {'min_x': 0}}))
    with pytest.raises(DataError, match="key 'size_x'"):
        read_models_info(path)

"""The 21 objects of YCB-Video: numbers, names and symmetries.

Numbers are those of the data, 1 to 21; in the network object ``id`` is class
``id - 1``.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.storage import DataError, check_array, check_keys, read_json

Array = np.ndarray

YCB_NAMES = (
    '002_master_chef_can', '003_cracker_box', '004_sugar_box',
    '005_tomato_soup_can', '006_mustard_bottle', '007_tuna_fish_can',
    '008_pudding_box', '009_gelatin_box', '010_potted_meat_can', '011_banana',
    '019_pitcher_base', '021_bleach_cleanser', '024_bowl', '025_mug',
    '035_power_drill', '036_wood_block', '037_scissors', '040_large_marker',
    '051_large_clamp', '052_extra_large_clamp', '061_foam_brick')
YCB_IDS = tuple(range(1, len(YCB_NAMES) + 1))
NUM_CLASSES = len(YCB_NAMES)
HAND_CATEGORY = NUM_CLASSES + 1  # in files of COCO

# which objects count as symmetric; results name the list they used
SYMMETRIC_SETS = {
    'ycb-video': (13, 16, 19, 20, 21),
    'dex-ycb-toolkit': (1, 13, 14, 16, 18, 19, 20, 21),
}

# rotations that stand for all about a continuous axis, as many as BOP takes
CONTINUOUS_STEPS = 315


@dataclass(frozen=True)
class SymmetryRule:
    """Turns that leave the shape of an object as it is.

    Attributes:
        axis: ``x``, ``y`` or ``z`` of the mesh; or a side of its bounding
            box: ``longest``, or ``odd``, the one that differs most from the
            other two. Sides say it for a mesh in any orientation.
        folds: Turns of a whole about the axis; 0 is any angle.
        flips: Whether a half turn about the axes across counts too.
    """

    axis: str
    folds: int
    flips: bool = False

    def __post_init__(self) -> None:
        axes = ('x', 'y', 'z', 'longest', 'odd')
        if self.axis not in axes or self.folds < 0:
            raise ValueError('symmetry: expected an axis of '
                             f'{", ".join(axes)} and folds from 0 on, found '
                             f'{self.axis!r} and {self.folds}')


# By shape, of the ideal solid: print and small dents do not count. A mug has
# a handle, no turn maps it to itself, although one list calls it symmetric.
SYMMETRY_RULES: dict[int, SymmetryRule] = {
    1: SymmetryRule('odd', 0),
    13: SymmetryRule('odd', 0),
    16: SymmetryRule('longest', 4, flips=True),
    18: SymmetryRule('longest', 0),
    19: SymmetryRule('longest', 2),
    20: SymmetryRule('longest', 2),
    21: SymmetryRule('longest', 2, flips=True),
}


@dataclass(frozen=True, eq=False)
class SymmetryGroup:
    """Rigid motions of an object's frame that leave its shape as it is.

    The first one is no motion.

    Attributes:
        rotations: (G, 3, 3).
        translations: (G, 3) m.
    """

    rotations: Array
    translations: Array

    def __len__(self) -> int:
        return len(self.rotations)


def ycb_class(ycb_id: int) -> int:
    """Class 0..20 of an object 1..21.

    Raises:
        ValueError: If there is no such object.
    """
    if ycb_id not in YCB_IDS:
        raise ValueError(f'YCB id: expected 1 to {NUM_CLASSES}, found '
                         f'{ycb_id}')
    return int(ycb_id) - 1


def ycb_name(ycb_id: int) -> str:
    """Name of an object 1..21, which is that of its folder.

    Raises:
        ValueError: If there is no such object.
    """
    return YCB_NAMES[ycb_class(ycb_id)]


def symmetric_ids(symmetric: str | Collection[int]) -> tuple[int, ...]:
    """Objects of a list of symmetric ones.

    Args:
        symmetric (str | Collection[int]): ``ycb-video``,
            ``dex-ycb-toolkit``, or the ids.

    Raises:
        ValueError: If there is no such list or no such object.
    """
    if isinstance(symmetric, str):
        if symmetric not in SYMMETRIC_SETS:
            raise ValueError('symmetric: expected ids or one of '
                             f'{", ".join(SYMMETRIC_SETS)}, found '
                             f'{symmetric!r}')
        return SYMMETRIC_SETS[symmetric]
    return tuple(sorted(ycb_class(ycb_id) + 1 for ycb_id in symmetric))


def symmetry_rules(overrides: Mapping[int, Mapping[str, Any] | None] | None
                   = None) -> dict[int, SymmetryRule]:
    """The table of rules, with those of a config in place.

    Args:
        overrides (Mapping, optional): Id to ``dict(axis=, folds=, flips=)``;
            None takes the rule of an object away. Defaults to None.

    Raises:
        ValueError: If an object or a rule is none.
    """
    rules = dict(SYMMETRY_RULES)
    for ycb_id, rule in (overrides or {}).items():
        ycb_class(ycb_id)
        if rule is None:
            rules.pop(ycb_id, None)
        else:
            rules[ycb_id] = SymmetryRule(**rule)
    return rules


def no_symmetry() -> SymmetryGroup:
    """The group of an object that only fits itself unmoved."""
    return SymmetryGroup(np.eye(3)[None], np.zeros((1, 3)))


def rule_group(rule: SymmetryRule, bounds: Array,
               steps: int = CONTINUOUS_STEPS) -> SymmetryGroup:
    """Motions of a rule, about the middle of a mesh's bounding box.

    Args:
        rule (SymmetryRule): The rule.
        bounds (ndarray): (2, 3) smallest and largest corner, m.
        steps (int): Rotations that stand for a continuous axis. Defaults to
            315, BOP's number.

    Returns:
        SymmetryGroup: ``folds`` motions (``steps`` of a continuous axis),
        twice as many with flips.
    """
    axis = _axis_of(rule.axis, np.ptp(bounds, axis=0))
    count = rule.folds or steps
    turn = np.eye(3)[axis]
    rotations = np.stack([
        rotation_about(turn, 2 * np.pi * i / count) for i in range(count)])
    if rule.flips:
        across = np.eye(3)[(axis + 1) % 3]
        rotations = np.concatenate(
            [rotations, rotations @ rotation_about(across, np.pi)])
    centre = np.mean(bounds, axis=0)
    return SymmetryGroup(rotations, centre - rotations @ centre)


def rotation_about(axis: Array, angle: float) -> Array:
    """Rotation (3, 3) by an angle in rad about an axis (3,) of length 1."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    # of whole and half turns nothing but 0 and 1 is left
    sine, cosine = np.round([np.sin(angle), np.cos(angle)], 15)
    return np.eye(3) + sine * cross + (1 - cosine) * cross @ cross


def read_models_info(path: str | Path, ids: Collection[int] = YCB_IDS,
                     steps: int = CONTINUOUS_STEPS
                     ) -> dict[int, tuple[SymmetryGroup, Array]]:
    """Read symmetries from a ``models_info.json`` of BOP.

    Its meshes may have another origin than the ones in use: move a group to
    them by :func:`moved_group`.

    Args:
        path (str | Path): The file; lengths in mm.
        ids (Collection[int]): Objects to read, those it has. Defaults to
            all.
        steps (int): Rotations that stand for a continuous axis. Defaults to
            315.

    Returns:
        dict: Id to its group, and the middle (3,) of its bounding box in the
        frame of the group, m.

    Raises:
        DataError: If the file is damaged.
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(path, 'file', 'objects by their number',
                        type(content).__name__)
    found = {}
    for ycb_id in ids:
        entry = content.get(str(ycb_id))
        if entry is None:
            continue
        if not isinstance(entry, dict):
            raise DataError(path, f'object {ycb_id}', 'an entry of BOP',
                            type(entry).__name__)
        check_keys(entry, [f'{kind}_{axis}' for axis in 'xyz'
                           for kind in ('min', 'size')], path)
        sides = _numbers([[entry[f'{kind}_{axis}'] for axis in 'xyz']
                          for kind in ('min', 'size')], path,
                         f'object {ycb_id}', (2, 3))
        found[ycb_id] = (_bop_group(entry, path, ycb_id, steps),
                         (sides[0] + sides[1] / 2) / 1000)
    return found


def moved_group(group: SymmetryGroup, shift: Array) -> SymmetryGroup:
    """The group of a shape whose points all moved by a shift (3,) m."""
    return SymmetryGroup(group.rotations,
                         group.translations + shift - group.rotations @ shift)


def _bop_group(entry: Mapping[str, Any], path: Path, ycb_id: int,
               steps: int) -> SymmetryGroup:
    """Each discrete motion, and it after each step about each axis."""
    where = f'object {ycb_id}: symmetries_discrete'
    rows = entry.get('symmetries_discrete') or np.empty((0, 16))
    matrices = np.concatenate([
        np.eye(4).reshape(1, 16),
        _numbers(rows, path, where, (None, 16))]).reshape(-1, 4, 4)
    rotations, translations = matrices[:, :3, :3], matrices[:, :3, 3] / 1000
    where = f'object {ycb_id}: symmetries_continuous'
    for axis in entry.get('symmetries_continuous') or ():
        if not isinstance(axis, dict):
            raise DataError(path, where, 'an axis and its offset',
                            repr(axis)[:80])
        check_keys(axis, ('axis', 'offset'), path)
        line = _numbers([axis['axis'], axis['offset']], path, where, (2, 3))
        length = np.linalg.norm(line[0])
        if not length:
            raise DataError(path, where, 'an axis of some length', '0')
        turns = np.stack([
            rotation_about(line[0] / length, 2 * np.pi * i / steps)
            for i in range(steps)])
        offset = line[1] / 1000
        shifts = offset - turns @ offset
        translations = (np.einsum('sij,gj->gsi', turns, translations)
                        + shifts).reshape(-1, 3)
        rotations = np.einsum('sij,gjk->gsik', turns,
                              rotations).reshape(-1, 3, 3)
    return SymmetryGroup(rotations, translations)


def _numbers(values: Any, path: Path, where: str,
             shape: tuple[int | None, ...]) -> Array:
    """What was read as an array of finite numbers."""
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(path, where, 'rows of numbers',
                        repr(values)[:80]) from error
    return check_array(array, path, where, shape=shape, finite=True)


def _axis_of(name: str, sides: Array) -> int:
    """Number of the axis that a rule names, given the sides of the box."""
    if name == 'longest':
        return int(np.argmax(sides))
    if name == 'odd':
        return int(np.argmax(np.abs(sides - np.median(sides))))
    return 'xyz'.index(name)

"""Figures of predicted poses of objects beside their labels.

M poses, each of one object of one photograph. Positions are in metres of the
camera's frame, all errors in mm or degrees. A prediction that is no number
is infinitely far off.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmpose_ext.handobject.hand_scores import (
    area_under_curve,
    pooled_mean,
    share_within,
)
from mmpose_ext.handobject.meshes import ObjectModel, ObjectModels
from mmpose_ext.handobject.objects import SymmetryGroup, ycb_name

Array = np.ndarray
# predicted R and t, true R and t
Poses = tuple[Array, Array, Array, Array]

FIGURES = ('ADD', 'ADD-S', 'ADD(-S)', 'MSSD', 'corner', 'rotation_deg',
           'translation_mm')
AUC_RANGE = (0., 100.)
_AUC_STEPS = 1000
_DIAMETER_SHARE = .1
_MM = 1000.
_CHUNK = 1 << 21  # numbers of one step, which stay in the cache


@dataclass(frozen=True, eq=False)
class ObjectResults:
    """Predictions beside the labels.

    Attributes:
        ids: (M,) int, number of the sample.
        classes: (M,) int, 0..20.
        rotations: (M, 3, 3) object to camera, predicted.
        translations: (M, 3) m, predicted.
        true_rotations: (M, 3, 3).
        true_translations: (M, 3) m.
        grasped: (M,) bool, whether it is the object that is held.
        groups: Names of what (M,) the tables go by, like ``subject``.
    """

    ids: Array
    classes: Array
    rotations: Array
    translations: Array
    true_rotations: Array
    true_translations: Array
    grasped: Array
    groups: dict[str, Array]

    def select(self, rows: Array) -> ObjectResults:
        """Some of the poses."""
        return ObjectResults(
            self.ids[rows], self.classes[rows], self.rotations[rows],
            self.translations[rows], self.true_rotations[rows],
            self.true_translations[rows], self.grasped[rows],
            {name: values[rows] for name, values in self.groups.items()})

    def with_poses(self, rotations: Array,
                   translations: Array) -> ObjectResults:
        """The same labels beside other predictions."""
        return replace(self, rotations=rotations, translations=translations)


def add_errors(model: ObjectModel, poses: Poses) -> Array:
    """Mean distance (M,) m between each point's two places, ADD."""
    rotations, translations, true_rotations, true_translations = poses
    found = np.empty(len(rotations))
    for rows in _chunks(len(rotations), model.points.size):
        # (R̂ x + t̂) - (R x + t)
        offsets = model.points @ (rotations[rows] - true_rotations[rows]
                                  ).transpose(0, 2, 1)
        offsets += (translations[rows] - true_translations[rows])[:, None]
        found[rows] = _norms(offsets).mean(1)
    return found


def adds_errors(model: ObjectModel, poses: Poses) -> Array:
    """Mean distance (M,) m of true points to the nearest predicted, ADD-S.

    As BOP's ``adi``: the nearest estimated point of each true one.
    """
    found = np.empty(len(poses[0]))
    for rows in _chunks(len(found), model.points.size):
        # seen from the predicted object, all poses search in one tree
        places = _true_in_predicted(model.points, poses, rows)
        distances, _ = model.tree.query(places.reshape(-1, 3))
        found[rows] = distances.reshape(places.shape[:2]).mean(1)
    return found


def mssd_errors(model: ObjectModel, poses: Poses) -> Array:
    """Largest distance (M,) m of a point, under the best symmetry, MSSD.

    Vertices of the convex hull are enough: no point of the mesh is further
    off than one of these.
    """
    group = model.symmetries
    # (H, G, 3) where each symmetry takes each vertex
    turned = np.einsum('gij,hj->hgi', group.rotations, model.hull
                       ) + group.translations
    squares = np.square(turned).sum(-1)
    found = np.empty(len(poses[0]))
    for rows in _chunks(len(found), squares.size):
        places = _true_in_predicted(model.hull, poses, rows)
        distances = turned @ places.transpose(1, 2, 0)  # (H, G, m)
        distances *= -2
        distances += squares[..., None]
        distances += np.square(places).sum(-1).T[:, None]
        found[rows] = distances.max(0).min(0)
    # the squares' difference is good to 1e-9 m
    return np.sqrt(np.maximum(found, 0))


def corner_errors(model: ObjectModel, poses: Poses) -> Array:
    """Mean distance (M,) m of the corners of the bounding box."""
    rotations, translations, true_rotations, true_translations = poses
    offsets = model.corners @ (rotations - true_rotations).transpose(0, 2, 1)
    return _norms(offsets + (translations - true_translations)[:, None]
                  ).mean(1)


def rotation_errors(group: SymmetryGroup,
                    poses: Poses) -> tuple[Array, Array]:
    """Angle between two poses, and the distance of their origins.

    Of the poses that symmetry makes equal, the one nearest in rotation
    counts.

    Args:
        group (SymmetryGroup): Motions that leave the object as it looks.
        poses (tuple[ndarray, ...]): M of them.

    Returns:
        tuple[ndarray, ndarray]: (M,) degrees, and (M,) m.
    """
    rotations, translations, true_rotations, true_translations = poses
    angles = np.empty(len(rotations))
    distances = np.empty(len(rotations))
    for rows in _chunks(len(rotations), group.rotations.size):
        turns = true_rotations[rows].transpose(0, 2, 1) @ rotations[rows]
        all_angles = angles_between(np.einsum('nij,gjk->ngik', turns,
                                              group.rotations))
        best = all_angles.argmin(1)
        angles[rows] = all_angles[np.arange(len(best)), best]
        moved = translations[rows] + np.einsum(
            'nij,nj->ni', rotations[rows], group.translations[best])
        distances[rows] = _norms(moved - true_translations[rows])
    return np.degrees(angles), distances


def angles_between(turns: Array) -> Array:
    """Angles (...) rad of rotations (..., 3, 3), exact near 0 and pi."""
    sines = np.stack([turns[..., 2, 1] - turns[..., 1, 2],
                      turns[..., 0, 2] - turns[..., 2, 0],
                      turns[..., 1, 0] - turns[..., 0, 1]], -1)
    return np.arctan2(_norms(sines),
                      np.trace(turns, axis1=-2, axis2=-1) - 1)


def object_errors(results: ObjectResults,
                  models: ObjectModels) -> dict[str, Array]:
    """Each kind of error of each pose.

    Args:
        results (ObjectResults): M poses.
        models (ObjectModels): The meshes.

    Returns:
        dict[str, ndarray]: (M,) each of :data:`FIGURES`, in mm or degrees,
        and ``ADD(-S)`` and ``MSSD`` as shares of the diameter, ``share`` and
        ``MSSD_share``. ``ADD(-S)`` is ADD-S of what counts as symmetric and
        ADD of the rest.

    Raises:
        DataError: If the mesh of an object is missing or damaged.
    """
    names = (*FIGURES, 'share', 'MSSD_share')
    errors = {name: np.full(len(results.ids), np.inf) for name in names}
    sound = (np.isfinite(results.rotations).all((1, 2))
             & np.isfinite(results.translations).all(1))
    for number in np.unique(results.classes):
        model = models[int(number) + 1]
        rows = np.flatnonzero(sound & (results.classes == number))
        poses = (results.rotations[rows], results.translations[rows],
                 results.true_rotations[rows],
                 results.true_translations[rows])
        found = {'ADD': add_errors(model, poses),
                 'ADD-S': adds_errors(model, poses),
                 'MSSD': mssd_errors(model, poses),
                 'corner': corner_errors(model, poses)}
        angles, found['translation_mm'] = rotation_errors(
            model.symmetries, poses)
        found['ADD(-S)'] = found['ADD-S' if model.symmetric else 'ADD']
        for name, values in found.items():
            errors[name][rows] = _MM * values
        errors['rotation_deg'][rows] = angles
        errors['share'][rows] = found['ADD(-S)'] / model.diameter
        errors['MSSD_share'][rows] = found['MSSD'] / model.diameter
    return errors


def object_figures(errors: dict[str, Array]) -> dict[str, float]:
    """Figures of errors.

    Args:
        errors (dict[str, ndarray]): Of :func:`object_errors`, or some rows.

    Returns:
        dict: Means of :data:`FIGURES`; ``ADD-0.1D`` and ``MSSD-0.1D``,
        shares of poses whose ADD(-S) or MSSD is below a tenth of the
        diameter; ``AUC`` of ADD(-S) over 0 to 100 mm, ``AUC_ADD`` and
        ``AUC_ADD-S``. NaN of none.
    """
    figures = {name: pooled_mean(errors[name]) for name in FIGURES}
    for name, kind in (('ADD-0.1D', 'share'), ('MSSD-0.1D', 'MSSD_share')):
        figures[name] = share_within(errors[kind], _DIAMETER_SHARE,
                                     strict=True)
    for name, kind in (('AUC', 'ADD(-S)'), ('AUC_ADD', 'ADD'),
                       ('AUC_ADD-S', 'ADD-S')):
        figures[name] = area_under_curve(errors[kind][:, None], AUC_RANGE,
                                         _AUC_STEPS)
    return figures


def object_report(results: ObjectResults,
                  errors: dict[str, Array]) -> dict[str, Any]:
    """Tables of predicted poses of objects.

    Args:
        results (ObjectResults): M poses.
        errors (dict[str, ndarray]): Of :func:`object_errors`.

    Returns:
        dict: ``count`` of poses; ``grasped`` and ``all`` objects
        (:func:`object_figures`, ``count``); tables of grasped objects by
        ``object`` and the groups, and ``object_all`` of all.
    """
    held = results.grasped
    names = np.array([ycb_name(int(number) + 1)
                      for number in results.classes], dtype=str)
    report: dict[str, Any] = dict(
        count=len(results.ids),
        grasped=_row(errors, held), all=_row(errors, held | True),
        object=_rows(errors, names, held),
        object_all=_rows(errors, names, held | True))
    for group, values in results.groups.items():
        report[group] = _rows(errors, values, held)
    return report


def _true_in_predicted(points: Array, poses: Poses, rows: slice) -> Array:
    """Places (m, P, 3) of true points in the frame of the predicted pose."""
    rotations, translations, true_rotations, true_translations = (
        part[rows] for part in poses)
    # R̂^T (R x + t - t̂), as rows
    turns = true_rotations.transpose(0, 2, 1) @ rotations
    shifts = (true_translations - translations)[:, None] @ rotations
    return points @ turns + shifts


def _chunks(count: int, each: int) -> list[slice]:
    """Pieces of poses that need ``each`` numbers of memory."""
    size = max(_CHUNK // max(each, 1), 1)
    return [slice(start, start + size) for start in range(0, count, size)]


def _norms(vectors: Array) -> Array:
    return np.sqrt(np.einsum('...i,...i->...', vectors, vectors))


def _row(errors: dict[str, Array], rows: Array) -> dict[str, float]:
    return dict(count=int(rows.sum()), **object_figures(
        {name: values[rows] for name, values in errors.items()}))


def _rows(errors: dict[str, Array], names: Sequence[str] | Array,
          rows: Array) -> dict[str, dict[str, float]]:
    names = np.asarray(names)
    return {str(name): _row(errors, rows & (names == name))
            for name in np.unique(names[rows])}

"""What an evaluation asks of its data, looked at before any training."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import MMLogger

from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.handobject.meshes import MESH_FILE, ObjectModels
from mmpose_ext.handobject.objects import ycb_name
from mmpose_ext.handobject.result_files import bop_scenes
from mmpose_ext.storage import DataError


def labelled_modes(index: HandObjectIndex,
                   modes: Sequence[str]) -> tuple[str, ...]:
    """Modes that an index has labels for; a log line names the others.

    Args:
        index (HandObjectIndex): Of the data.
        modes (Sequence[str]): Of ``hand``, ``object`` and ``contact``.

    Raises:
        DataError: If none is left.
    """
    known = {'hand'}
    if index['ycb_ids'].any():
        known.add('object')
        if 'contact' in index and index['contact_valid'].any():
            known.add('contact')
    left = tuple(mode for mode in modes if mode in known)
    missing = ' and '.join(mode for mode in modes if mode not in known)
    if not left:
        raise DataError(index.path, 'labels', f'those of {missing}', 'none',
                        "choose modes=['hand'] of the metric")
    if missing:
        MMLogger.get_current_instance().info(
            f'{index.path} has no labels of {missing}: left out of the '
            'evaluation')
    return left


def check_meshes(index: HandObjectIndex, models: ObjectModels | None,
                 held_only: bool) -> None:
    """Load the mesh of every object of an index.

    Args:
        index (HandObjectIndex): Of the data.
        models (ObjectModels, optional): None if there is no folder.
        held_only (bool): Whether objects that no hand holds do not matter.

    Raises:
        DataError: If the folder or a mesh is missing, or one is damaged.
    """
    ids = index['ycb_ids']
    if held_only:
        rows = np.flatnonzero(index['grasped'] >= 0)
        ids = ids[rows, index['grasped'][rows]]
    wanted = np.unique(ids[ids > 0]).astype(int).tolist()
    if not wanted:
        return
    hint = "name models_dir of the metric, or modes without 'object'"
    if models is None:
        raise DataError(
            index.path, 'ycb_ids', f'meshes of {len(wanted)} objects, in a '
            'folder models of the data root', 'no such folder', hint)
    missing = [ycb_id for ycb_id in wanted if not models.has(ycb_id)]
    if missing:
        raise DataError(
            index.path, 'ycb_ids', f'meshes of {len(wanted)} objects in '
            f'{models.models_dir}', f'no {ycb_name(missing[0])}/{MESH_FILE}, '
            f'{len(missing)} missing in all', hint)
    for ycb_id in wanted:
        models[ycb_id]  # a damaged one is told now


def check_result_files(prefix: str | Path, index: HandObjectIndex,
                       modes: Sequence[str],
                       left_out: Mapping[str, int]) -> None:
    """Whether the files of DexYCB's evaluations can be written.

    Args:
        prefix (str | Path): Before their names.
        index (HandObjectIndex): Of the data.
        modes (Sequence[str]): What is evaluated.
        left_out (Mapping[str, int]): What
            :func:`~mmpose_ext.handobject.row_selection.count_left_out`
            counted.

    Raises:
        DataError: If the data set leaves out what these must have, or poses
            of objects are not of one of DexYCB's setups.
    """
    for mode, file, kind, every in (
            ('hand', 'hands.txt', 'hands', '1'),
            ('object', 'objects.csv', 'keyframes', '1 or 4')):
        count = left_out.get(kind, 0)
        if mode in modes and count:
            raise DataError(
                f'{prefix}_{file}', 'samples', 'all frames with a hand'
                if kind == 'hands' else 'all keyframes with a hand',
                f'a data set that leaves out {count} of them',
                f'the evaluation wants every one: no subset, and every '
                f'{every}; or do without outfile_prefix')
    if 'object' in modes:
        bop_scenes(index)

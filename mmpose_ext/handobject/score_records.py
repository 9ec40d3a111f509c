"""What an evaluation keeps of each sample, and all of it together."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from mmpose_ext.geometry.crop_views import project
from mmpose_ext.handobject.hand_scores import HandResults
from mmpose_ext.handobject.object_scores import ObjectResults
from mmpose_ext.handobject.objects import ycb_name

Array = np.ndarray

# by the name in a record, of pred_instances; a model may lack some
_PREDICTED = dict(
    points='keypoints_cam', coarse='keypoints_cam_coarse',
    rotations='object_rotations', translations='object_translations',
    contact_scores='contact_scores', grasped_scores='grasped_scores')
# for result files alone
_WRITTEN = dict(keypoints='keypoints', scores='keypoint_scores',
                object_scores='object_scores')
_TRUE = dict(
    truth='joints_cam', visible='keypoints_visible', box='bboxes',
    hand_valid='hand_valid', true_rotations='object_rotations',
    true_translations='object_translations', object_valid='object_valid',
    contact='contact', contact_valid='contact_valid')
_META = ('id', 'camera_matrix', 'side', 'mirrored', 'subject', 'sequence',
         'serial', 'frame', 'grasped_class', 'box_source')


def sample_record(sample: Mapping[str, Any],
                  whole: bool = False) -> dict[str, Any]:
    """The small arrays of a sample, without its batch axis.

    Args:
        sample (Mapping): With ``gt_instances``, ``pred_instances`` and meta
            information.
        whole (bool): Whether objects that are not in the picture are kept
            too, and pixels, as result files need. Defaults to False.

    Raises:
        KeyError: If meta information or a label is missing.
    """
    labels, predicted = sample['gt_instances'], sample['pred_instances']
    record = {name: sample[name] for name in _META}
    record.update((name, _array(labels[field]))
                  for name, field in _TRUE.items())
    fields = {**_PREDICTED, **_WRITTEN} if whole else _PREDICTED
    record.update((name, _array(predicted[field]))
                  for name, field in fields.items() if field in predicted)
    known = np.flatnonzero(record['object_valid'])
    record['classes'] = known
    for name in ('true_rotations', 'true_translations'):
        record[name] = record[name][known]
    if not whole:
        for name in ('rotations', 'translations'):
            if name in record:
                record[name] = record[name][known]
    return record


class CollectedSamples:
    """The records of an evaluation, N samples in the order of their ids.

    Args:
        records (Sequence[dict]): Of :func:`sample_record`, each id once.
    """

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        self._records = records
        self.ids = np.array([record['id'] for record in records], int)
        self.boxes = self.column('box')
        self.cameras = self.column('camera_matrix')
        self.left = np.array([record['side'] == 1 for record in records],
                             bool)
        self.mirrored = any(bool(record['mirrored']) for record in records)
        self.box_sources = sorted(
            {str(record['box_source']) for record in records})
        self.hand_rows = np.flatnonzero(
            [bool(record['hand_valid']) for record in records])

    def __len__(self) -> int:
        return len(self._records)

    def has(self, name: str) -> bool:
        """Whether a prediction is there, of every sample."""
        return bool(self._records) and all(
            name in record for record in self._records)

    def column(self, name: str) -> Array:
        """A value of all samples (N, ...)."""
        return np.array([record[name] for record in self._records],
                        np.float64)

    def hands(self, points: Array | None = None) -> HandResults:
        """The labelled hands.

        Args:
            points (ndarray, optional): (H, 21, 3) m, in place of what was
                predicted of these. Defaults to None.
        """
        rows = self.hand_rows
        truth = self.column('truth')[rows]
        if points is None:
            points = self.column('points')[rows]
        # where labels are missing, joints are -1 or NaN
        valid = np.isfinite(truth).all(-1) & ~(truth == -1).all(-1)
        boxes = self.boxes[rows]
        cameras = self.cameras[rows, None]
        return HandResults(
            ids=self.ids[rows], points=points, truth=truth, valid=valid,
            pixels=project(points, cameras),
            true_pixels=project(truth, cameras),
            seen=valid & (self.column('visible')[rows] > 0),
            box_sides=(boxes[:, 2:] - boxes[:, :2]).max(1),
            left=self.left[rows],
            groups={name: values[rows] for name, values in
                    {**self._groups, 'object': self._grasped}.items()})

    def objects(self) -> tuple[ObjectResults, Array]:
        """The labelled objects.

        Returns:
            tuple[ObjectResults, ndarray]: M poses, and (M,) the sample of
            each.
        """
        counts = [len(record['classes']) for record in self._records]
        rows = np.repeat(np.arange(len(self)), counts)
        classes = self._join('classes', ()).astype(int)
        held = np.array([record['grasped_class']
                         for record in self._records], int)[rows]
        return ObjectResults(
            ids=self.ids[rows], classes=classes,
            rotations=self._join('rotations', (3, 3)),
            translations=self._join('translations', (3, )),
            true_rotations=self._join('true_rotations', (3, 3)),
            true_translations=self._join('true_translations', (3, )),
            grasped=classes == held,
            groups={name: values[rows]
                    for name, values in self._groups.items()}), rows

    def contact(self) -> tuple[Array, Array]:
        """Which joints touch, and where that is known, (N, 21) bool each."""
        truth = self.column('contact') >= .5
        known = np.array([bool(record['contact_valid'])
                          and bool(record['hand_valid'])
                          for record in self._records], bool)
        return truth, np.broadcast_to(known[:, None], truth.shape)

    def grasped_accuracy(self) -> float | None:
        """How often the right object is said to be held; None: unknown."""
        if not self.has('grasped_scores'):
            return None
        held = np.array([record['grasped_class']
                         for record in self._records], int)
        said = self.column('grasped_scores').argmax(1)
        known = held >= 0
        return float((said == held)[known].mean()) if known.any() else None

    @cached_property
    def _groups(self) -> dict[str, Array]:
        return {
            name: np.array([str(record[field])
                            for record in self._records], str)
            for name, field in (('subject', 'subject'), ('camera', 'serial'))
        }

    @cached_property
    def _grasped(self) -> Array:
        return np.array([
            ycb_name(record['grasped_class'] + 1)
            if record['grasped_class'] >= 0 else 'none'
            for record in self._records], str)

    def _join(self, name: str, shape: tuple[int, ...]) -> Array:
        """Values of all labelled objects (M, ...)."""
        parts = [np.empty((0, *shape))]
        for record in self._records:
            values = record[name]
            # of records for files, objects that are not there are kept too
            if len(values) != len(record['classes']):
                values = values[record['classes']]
            parts.append(values)
        return np.concatenate(parts).astype(np.float64)


def collect_samples(records: Sequence[dict[str, Any]]) -> CollectedSamples:
    """Put records in order, each sample once.

    Padding of the last distributed batch repeats samples, and the order must
    not depend on the number of processes.
    """
    found = {record['id']: record for record in records}
    return CollectedSamples([found[number] for number in sorted(found)])


def _array(values: Any) -> Array:
    """The only instance of an array, or of a tensor on any device."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    values = np.asarray(values)
    if len(values) != 1:
        raise ValueError(f'expected one hand a sample, found {len(values)}')
    return values[0]

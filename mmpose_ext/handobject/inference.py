"""Hands and objects in photographs, by a trained model."""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.structures import PoseDataSample
from torch.utils.data import DataLoader, Dataset

from mmpose_ext.handobject.hand import METAINFO, SIDES, root_relative
from mmpose_ext.handobject.photographs import (
    Photograph,
    check_view,
    guess_camera,
)
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import choose_device, in_batches, load_whole

Array = np.ndarray
Found = dict[str, Any]

BATCH = 16
# what of pred_instances goes on, by its name there
_FIELDS = ('keypoints', 'keypoint_scores', 'keypoints_cam',
           'keypoints_cam_coarse', 'object_rotations', 'object_translations',
           'object_scores', 'grasped_scores', 'contact_scores')
# transforms that make targets of labels, which photographs have none of
_LABEL_TRANSFORMS = ('GenerateTarget', )


class HandObjectInferencer:
    """A trained model, ready for photographs.

    Crops are made by the config's test pipeline, left hands mirrored as its
    test data set mirrors them; results are in the frame of the photograph's
    own camera all the same.

    Args:
        config (Config): Of the training.
        checkpoint (str | Path): A checkpoint, or weights alone.
        device (str): ``auto``, ``cpu``, ``cuda`` ... Defaults to ``auto``.

    Raises:
        DataError: If the checkpoint cannot be loaded or is of another model,
            or the config has no test data set.
    """

    def __init__(self, config: Config, checkpoint: str | Path,
                 device: str = 'auto') -> None:
        init_default_scope(config.get('default_scope', 'mmpose'))
        dataset = dict((config.get('test_dataloader') or {}).get(
            'dataset') or {})
        if not dataset.get('pipeline'):
            raise DataError(config.filename or 'config',
                            'test_dataloader.dataset.pipeline',
                            'the transforms of a test', 'none')
        self.config = config
        self.mirror_left = bool(dataset.get('mirror_left', True))
        self.pipeline = [step for step in dataset['pipeline']
                         if step['type'] not in _LABEL_TRANSFORMS]
        self.device = choose_device(device)
        self.model = _load_model(config, checkpoint).to(self.device)
        self._cut = _Cutter(self.pipeline, self.mirror_left)

    def predict(self, photographs: Sequence[Photograph],
                batch_size: int = BATCH,
                workers: int = 0) -> Iterator[Found]:
        """Predict one after the other, in their order.

        Args:
            photographs (Sequence[Photograph]): Any number; no more than a
                few batches are in memory.
            batch_size (int): Photographs at a time. Defaults to 16.
            workers (int): Processes that read and cut. Defaults to 0: this
                one.

        Yields:
            dict: ``joints`` (21, 3) m about the wrist, ``joints_cam``
            (21, 3) m in the photograph's camera frame, ``keypoints``
            (21, 2) px, ``keypoint_scores`` (21,), ``camera_matrix`` (3, 3),
            ``metric_depth`` (whether that was given), ``bbox`` (4,) left,
            top, right, bottom, ``side`` and ``photograph``; of models that
            have them ``keypoints_cam_coarse`` (21, 3) m and, by class of
            object, ``object_rotations`` (21, 3, 3), ``object_translations``
            (21, 3) m, ``object_scores``, ``grasped_scores``; and
            ``contact_scores`` (21,).

        Raises:
            DataError: If a picture cannot be read, or box or camera are not
                of it.
        """
        loader = DataLoader(
            _Samples(photographs, self._cut), batch_size,
            num_workers=workers, collate_fn=_collate)
        rows = iter(photographs)
        for batch in loader:
            for sample, known in self._run(batch):
                yield self._collect(sample.pred_instances,
                                    {**known, 'photograph': next(rows)})

    def stream(self, photographs: Iterable[Photograph],
               batch_size: int = BATCH) -> Iterator[PoseDataSample]:
        """Predict as MMPose's estimators do, maybe without an end.

        Args:
            photographs (Iterable[Photograph]): No more than a batch is read
                ahead.
            batch_size (int): Photographs at a time. Defaults to 16.

        Yields:
            PoseDataSample: The estimator's, ``pred_instances`` as NumPy
            arrays. Beside it ``joints`` (1, 21, 3) m about the wrist and, as
            metainfo, ``metric_depth`` and ``bbox``, see :meth:`predict`.

        Raises:
            DataError: As :meth:`predict`; what came before is given first.
        """
        for batch in in_batches(map(self._cut, photographs), batch_size):
            for sample, known in self._run(_collate(batch)):
                found = sample.pred_instances.numpy()
                self._check(found)
                found.joints = root_relative(found.keypoints_cam)
                sample.pred_instances = found
                sample.set_metainfo({
                    name: known[name] for name in ('metric_depth', 'bbox')})
                yield sample

    def _run(self, batch: dict[str, Any]) -> Iterator[tuple[Any, Found]]:
        """Results of a batch, and what is known of their photographs."""
        known = batch.pop('known')
        with torch.inference_mode():
            results = self.model.test_step(batch)
        return zip(results, known, strict=True)

    def _check(self, instances: Any) -> None:
        if 'keypoints_cam' not in instances:
            raise DataError(self.config.filename or 'config', 'model.head',
                            'a head that finds joints in space',
                            'predictions without keypoints_cam')

    def _collect(self, instances: Any, extra: Mapping[str, Any]) -> Found:
        self._check(instances)
        found: Found = {
            name: _numbers(instances[name])
            for name in _FIELDS if name in instances}
        found['joints_cam'] = found.pop('keypoints_cam')
        found['joints'] = root_relative(found['joints_cam'])
        return {**found, **extra}


class _Cutter:
    """Photographs as the model takes them; pickles for workers."""

    def __init__(self, pipeline: Sequence[dict[str, Any]],
                 mirror_left: bool) -> None:
        self.pipeline = Compose(pipeline)
        self.mirror_left = mirror_left

    def __call__(self, photograph: Photograph) -> dict[str, Any]:
        if photograph.side not in SIDES:
            raise DataError(photograph.source, 'side', 'right or left',
                            repr(photograph.side))
        image = photograph.read()
        height, width = image.shape[:2]
        check_view(photograph, (width, height))
        matrix = (guess_camera((width, height)) if photograph.matrix is None
                  else np.asarray(photograph.matrix, np.float64))
        # to the edges of the outermost pixels, whose centres are at integers
        box = (np.array([-.5, -.5, width - .5, height - .5])
               if photograph.box is None else photograph.box)
        side = SIDES.index(photograph.side)
        sample = self.pipeline(dict(
            img=image,
            img_path=(str(photograph.image) if isinstance(
                photograph.image, Path) else None),
            img_id=photograph.number,
            id=photograph.number,
            bbox=np.asarray(box, np.float32)[None],
            bbox_score=np.ones(1, np.float32),
            camera_matrix=matrix.astype(np.float32),
            mirrored=bool(side and self.mirror_left),
            side=side,
            grasped_class=-1,
            box_source='file'))
        sample['known'] = dict(
            camera_matrix=matrix, metric_depth=photograph.matrix is not None,
            bbox=np.asarray(box), side=photograph.side)
        return sample


class _Samples(Dataset[Any]):
    """Photographs, each cut when asked for."""

    def __init__(self, photographs: Sequence[Photograph],
                 cut: _Cutter) -> None:
        self.photographs, self.cut = photographs, cut

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.cut(self.photographs[row])


def _collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch; what is known of each photograph stays apart."""
    known = [sample.pop('known') for sample in samples]
    return {**pseudo_collate(samples), 'known': known}


def _load_model(config: Config, checkpoint: str | Path) -> Any:
    with contextlib.redirect_stdout(sys.stderr):
        settings = config.model.to_dict()
        # weights come from the checkpoint; nothing is to be downloaded
        if isinstance(settings.get('backbone'), dict):
            settings['backbone'].pop('init_cfg', None)
        model: Any = MODELS.build(settings)
    load_whole(model, checkpoint, config)
    model.cfg, model.dataset_meta = config, METAINFO
    return model.eval()


def _numbers(values: Any) -> Array:
    """The one instance of a field, f4."""
    if isinstance(values, torch.Tensor):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, np.float32)[0]

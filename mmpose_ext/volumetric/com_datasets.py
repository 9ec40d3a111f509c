"""Pictures of animals with the place of their middles.

V views, I individuals.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import Compose
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training import draw_seeds, seeded_generators
from mmpose_ext.volumetric.body_centres import centroids
from mmpose_ext.volumetric.com_frames import FrameReduction, image_sample
from mmpose_ext.volumetric.recording_lists import (
    list_recordings,
    open_once,
)
from mmpose_ext.volumetric.recordings import Recording
from mmpose_ext.volumetric.skeletons import build_metainfo
from mmpose_ext.volumetric.split import split_rows

Array = np.ndarray


def com_metainfo(individuals: int = 1) -> dict[str, Any]:
    """Metainfo of a point an individual: ``com``, or ``com1``, ``com2``..."""
    names = ['com'] if individuals == 1 else [
        f'com{i + 1}' for i in range(individuals)]
    return build_metainfo('com', names, ())


@DATASETS.register_module()
class ComImageDataset(Dataset[Any]):
    """One view of one labelled time point a sample.

    The middle of an animal is the mean of its labelled keypoints in space,
    projected into the view. Where it falls outside the picture or behind the
    camera it has no weight; to train on, views that see nobody are left out.

    All pictures are read once, reduced, when the data set is made: a damaged
    video ends here, and training decodes none.

    Args:
        data_root (str): Folder of the recordings.
        recordings (str | Sequence): As in
            :class:`~mmpose_ext.volumetric.datasets.VolumetricPoseDataset`.
            Defaults to ``*``.
        split (str): ``train``, ``val``, ``test`` or ``all``. Defaults to
            ``all``.
        split_by (dict, optional): As there. Defaults to None.
        factor (int): By how much frames are reduced. Defaults to 1.
        crop (Sequence[int], optional): Part of the frames, see
            :class:`~mmpose_ext.volumetric.com_frames.FrameReduction`.
            Defaults to None.
        pipeline (Sequence[dict]): Transforms. Defaults to none.
        test_mode (bool): Keep every view, and leave the transforms no
            chance. Defaults to False.
        recording_settings (dict, optional): As there. Several animals in
            one file need ``num_keypoints``. Defaults to None.
        shared_map (bool): Whether the animals share one map, see
            :class:`~mmpose_ext.volumetric.com_peaks.ComSharedHeatmap`: time
            points at which one is not labelled are left out, since its place
            would count as empty. Defaults to False.

    Attributes:
        recordings (tuple[Recording]): All of them, opened.
        shared_map (bool): As given.

    Raises:
        DataError: If a recording is damaged, or nothing is labelled.
    """

    def __init__(self,
                 data_root: str,
                 recordings: str | Sequence[str | Mapping[str, Any]] = '*',
                 split: str = 'all',
                 split_by: dict[str, Any] | None = None,
                 factor: int = 1,
                 crop: Sequence[int] | None = None,
                 pipeline: Sequence[dict[str, Any]] = (),
                 test_mode: bool = False,
                 recording_settings: dict[str, Any] | None = None,
                 shared_map: bool = False) -> None:
        self.test_mode = test_mode
        self.pipeline = Compose(pipeline)
        self.reduction = FrameReduction(factor, crop)
        # the middles are the labels' own: no other source is looked at
        opened = [
            open_once(folder, {'com_source': 'labels',
                                **(recording_settings or {}), **settings})
            for folder, settings in list_recordings(
                Path(data_root), recordings)]
        individuals = {recording.points.shape[1] for recording in opened}
        if len(individuals) != 1:
            raise DataError(data_root, 'recordings',
                            'the same number of animals in each',
                            f'{sorted(individuals)}')
        self._metainfo = com_metainfo(individuals.pop())
        self.recordings, self.shared_map = tuple(opened), shared_map
        self.samples: list[dict[str, Any]] = []
        rows = split_rows(
            data_root, [recording.name for recording in opened],
            [_labelled_rows(recording, shared_map) for recording in opened],
            split, split_by)
        for index, recording in enumerate(opened):
            self._add(recording, index, rows[index])
        if not self.samples:
            raise DataError(
                data_root, f'split {split!r}', 'labelled time points',
                f'none in {", ".join(item.name for item in opened)}',
                'shared_map=True needs labels of all animals' if shared_map
                else '')
        size = sum(sample['img'].nbytes for sample in self.samples)
        print_log(f'{data_root}, {split}: {len(self.samples)} pictures of '
                  f'{", ".join(item.name for item in opened)}, '
                  f'{size / 2**20:.1f} MB', 'current')

    @property
    def metainfo(self) -> dict[str, Any]:
        """What is known of the keypoints."""
        return dict(self._metainfo)

    def __len__(self) -> int:
        return len(self.samples)

    def get_data_info(self, index: int) -> dict[str, Any]:
        """A sample before the pipeline; coordinates in the reduced frame."""
        sample = self.samples[index]
        return {**self._metainfo, **sample, **image_sample(sample['img']),
                'id': int(index), 'img_id': int(index)}

    def __getitem__(self, index: int) -> Any:
        with seeded_generators(int(draw_seeds([index])[0])):
            return self.pipeline(self.get_data_info(index))

    def _add(self, recording: Recording, index: int, rows: Array) -> None:
        """Read the pictures of a recording's time points."""
        cameras = self.reduction.reduce_cameras(recording.cameras)
        com = centroids(recording.points[rows])
        pixels, _ = cameras.project(com)
        seen = cameras.inside(pixels)
        for view, name in enumerate(cameras.names):
            for i, row in enumerate(rows):
                if not (self.test_mode or seen[view, i].any()):
                    continue
                frame = self.reduction.reduce_frame(
                    recording.read(int(row), view))
                visible = seen[view, i]
                self.samples.append(dict(
                    img=frame,
                    img_path=f'{recording.name}/{name}/'
                    f'{recording.frames[row, view]}',
                    keypoints=np.where(visible[:, None], pixels[view, i],
                                       0)[None].astype(np.float32),
                    keypoints_visible=visible[None].astype(np.float32),
                    recording=recording.name, recording_index=index,
                    sample_id=int(recording.sample_ids[row]), view=view,
                    com=com[i], cameras=cameras,
                    reduction=self.reduction.factor))
        recording.close()


def _labelled_rows(recording: Recording, all_animals: bool) -> Array:
    """Time points at which any animal, or each, is labelled."""
    return np.flatnonzero(recording.labelled_animals.all(1) if all_animals
                          else recording.labelled)

"""Photographs of horses with COCO annotations."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

from mmpose_ext.equine.checks_annotations import (
    check_annotations,
    read_annotations,
)
from mmpose_ext.equine.crop_cache import CropCache
from mmpose_ext.equine.horse26 import METAINFO_FILE
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError, check_images
from mmpose_ext.training import (
    Draw,
    draw_seeds,
    seeded_generators,
    telling_of_picture,
)


@DATASETS.register_module()
class HorsePoseDataset(BaseCocoStyleDataset):
    """26 points of each horse, one sample a horse.

    Differs from MMPose's data sets of the kind: what would spoil training is
    an error before it starts; with ``mmpose_ext.DrawSampler``, random
    transforms depend on the draw alone, not on workers or what came before;
    decoded photographs can be kept.

    Args:
        *args: As ``BaseCocoStyleDataset`` takes them.
        cache (dict, optional): Arguments of
            :class:`~mmpose_ext.equine.crop_cache.CropCache`, to keep the
            surroundings of each horse in memory. For training alone.
            Defaults to None, every photograph is read every time.
        **kwargs: As ``BaseCocoStyleDataset`` takes them.

    Raises:
        DataError: If annotations are damaged or of other keypoints, or
            photographs are missing.
    """

    METAINFO = dict(from_file=METAINFO_FILE)

    def __init__(self, *args: Any, cache: dict[str, Any] | None = None,
                 **kwargs: Any) -> None:
        if cache is not None and kwargs.get('test_mode'):
            raise ValueError('cache: a data set to test on has predictions '
                             'in pixels of the whole photograph')
        self._cache_settings = cache
        self.cache: CropCache | None = None
        super().__init__(*args, **kwargs)

    def full_init(self) -> None:
        """Load and check the annotations, once."""
        if self._fully_initialized:
            return
        super().full_init()
        if self._cache_settings is not None:
            self.cache = CropCache(
                (self.get_data_info(i) for i in range(len(self))),
                **self._cache_settings)
            MMLogger.get_current_instance().info(
                f'{self.ann_file}: {self.cache}')

    def filter_data(self) -> list[dict[str, Any]]:
        """Leave out what the settings exclude; something must remain."""
        infos = super().filter_data()
        if not infos:
            raise DataError(self.ann_file, 'annotations', 'a labelled horse',
                            'none with a box and a point')
        return infos

    def parse_data_info(
            self, raw_data_info: dict[str, Any]) -> dict[str, Any] | None:
        """Read an annotation; adds ``img_size``, width and height in px."""
        info = super().parse_data_info(raw_data_info)
        if info is not None:
            image = raw_data_info['raw_img_info']
            info['img_size'] = image['width'], image['height']
        return info

    def prepare_data(self, idx: int) -> Any:
        """Send a sample through the pipeline, from the cache if there is."""
        info = self.get_data_info(idx)
        if self.cache is not None:
            self.cache.check_pipeline(self.pipeline)
            info = self.cache.load(info)
        info['dataset'] = self  # for transforms that mix several samples
        with telling_of_picture(info['img_path']):
            return self.pipeline(info)

    def __getitem__(self, idx: int) -> Any:
        if not (self.test_mode or isinstance(idx, Draw)):
            # an index of a stock sampler: as random as MMPose's data sets
            return super().__getitem__(idx)
        with seeded_generators(int(draw_seeds([idx])[0])):
            return super().__getitem__(idx)

    def _load_annotations(
            self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Annotations and images of the file, after all checks."""
        path = Path(self.ann_file)
        content = read_annotations(path)
        check_annotations(path, content, self.metainfo)
        self._metainfo['CLASSES'] = content['categories']
        folder = Path(self.data_prefix['img'])
        images = {
            image['id']: dict(
                image,
                img_id=image['id'],
                img_path=str(folder / image['file_name']))
            for image in content['images'][::self.sample_interval]
        }
        check_images([Path(image['img_path']) for image in images.values()],
                     path)
        instances = [
            self.parse_data_info(
                dict(raw_ann_info=annotation,
                     raw_img_info=images[annotation['image_id']]))
            for annotation in content['annotations']
            if annotation['image_id'] in images
        ]
        return ([instance for instance in instances if instance is not None],
                list(images.values()))

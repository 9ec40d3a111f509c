"""Pictures of predictions while validating and testing."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.structures import PoseDataSample
from torch import Tensor

from mmpose_ext.registry import HOOKS


@HOOKS.register_module()
class BatchVisualizationHook(PoseVisualizationHook):
    """MMPose's ``--show-dir`` for images that are not files.

    MMPose's hook reads each image again from ``img_path``. This one takes
    it from the batch, so that it also serves rows of an array and crops. The
    arguments are those of ``PoseVisualizationHook``; pictures of a test go to
    ``<work_dir>/<timestamp>/<out_dir>``.
    """

    def after_val_iter(self, runner: Any, batch_idx: int,
                       data_batch: dict[str, Any],
                       outputs: Sequence[PoseDataSample]) -> None:
        """Give the backends the first image of each ``interval``-th batch."""
        if not self.enable or (runner.iter + batch_idx) % self.interval:
            return
        self._visualizer.set_dataset_meta(runner.val_evaluator.dataset_meta)
        self._draw('val_img', data_batch, outputs, 0, runner.iter + batch_idx)

    def after_test_iter(self, runner: Any, batch_idx: int,
                        data_batch: dict[str, Any],
                        outputs: Sequence[PoseDataSample]) -> None:
        """Draw every image, into files if there is a folder for them."""
        if not self.enable:
            return
        self._visualizer.set_dataset_meta(runner.test_evaluator.dataset_meta)
        for i, sample in enumerate(outputs):
            out_file = None
            if self.out_dir is not None:
                name = f'{sample.get("img_id", self._test_index):06d}.png'
                out_file = str(
                    Path(runner.work_dir) / runner.timestamp / self.out_dir /
                    name)
            self._draw('test_img', data_batch, outputs, i, self._test_index,
                       out_file)
            self._test_index += 1

    def _draw(self,
              name: str,
              data_batch: dict[str, Any],
              outputs: Sequence[PoseDataSample],
              index: int,
              step: int,
              out_file: str | None = None) -> None:
        self._visualizer.add_datasample(
            name,
            self.image_of(data_batch, index),
            data_sample=outputs[index],
            draw_gt=True,
            show=self.show,
            wait_time=self.wait_time,
            kpt_thr=self.kpt_thr,
            out_file=out_file,
            step=step)

    def image_of(self, data_batch: dict[str, Any], index: int) -> Any:
        """What the visualizer gets of a sample.

        Args:
            data_batch (dict): As the data loader gives it.
            index (int): In the batch.
        """
        return to_image(data_batch['inputs'][index])


def to_image(tensor: Tensor) -> np.ndarray:
    """A picture (H, W, 3) uint8 of a tensor (3, H, W), or (1, H, W) grey."""
    image = tensor.permute(1, 2, 0).cpu().numpy()
    if image.shape[-1] == 1:
        image = np.repeat(image, 3, -1)
    return np.ascontiguousarray(image.astype(np.uint8))

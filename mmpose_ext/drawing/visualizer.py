"""MMPose's visualizer for families that draw samples their own way."""
from __future__ import annotations

from abc import abstractmethod
from typing import Any

import mmcv
import numpy as np
from mmengine.dist import master_only
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer

Array = np.ndarray


class PictureVisualizer(PoseLocalVisualizer):
    """Shows, writes and logs what :meth:`draw_picture` draws.

    Arguments are those of ``PoseLocalVisualizer``.
    """

    @master_only  # type: ignore[untyped-decorator]
    def add_datasample(self,
                       name: str,
                       image: Any,
                       data_sample: PoseDataSample,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       draw_heatmap: bool = False,
                       draw_bbox: bool = False,
                       show_kpt_idx: bool = False,
                       skeleton_style: str = 'mmpose',
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: str | None = None,
                       kpt_thr: float = 0.3,
                       step: int = 0) -> Array:
        """Draw a sample and save it, as MMPose's visualizer does.

        The arguments `draw_heatmap`, `draw_bbox`, `show_kpt_idx` and
        `skeleton_style` change nothing.

        Args:
            name (str): Identifier of the picture.
            image (ndarray | Sequence[ndarray]): See :meth:`draw_picture`.
            data_sample (PoseDataSample): See there.
            draw_gt (bool): Whether to draw the truth. Defaults to True.
            draw_pred (bool): Whether to draw the prediction. Defaults to
                True.
            draw_heatmap (bool): Not used.
            draw_bbox (bool): Not used.
            show_kpt_idx (bool): Not used.
            skeleton_style (str): Not used.
            show (bool): Whether to open a window. Defaults to False.
            wait_time (float): How long, in s; 0 until a key is pressed.
                Defaults to 0.
            out_file (str, optional): Picture to write; without it the
                backends get the picture. Defaults to None.
            kpt_thr (float): See :meth:`draw_picture`. Defaults to 0.3.
            step (int): For the backends. Defaults to 0.

        Returns:
            ndarray: What was drawn, RGB.
        """
        drawn = np.ascontiguousarray(self.draw_picture(
            image, data_sample, draw_gt, draw_pred, kpt_thr)[..., ::-1])
        self.set_image(drawn)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(drawn[..., ::-1], out_file)
        else:
            self.add_image(name, drawn, step)
        return self.get_image()

    @abstractmethod
    def draw_picture(self, image: Any, data_sample: PoseDataSample,
                     draw_gt: bool, draw_pred: bool,
                     kpt_thr: float) -> Array:
        """Draw a sample.

        Args:
            image (ndarray | Sequence[ndarray]): As the hook hands it over.
            data_sample (PoseDataSample): With ``gt_instances`` and
                ``pred_instances``.
            draw_gt (bool): Whether to draw the truth.
            draw_pred (bool): Whether to draw the prediction.
            kpt_thr (float): Score below which points may be left out.

        Returns:
            ndarray: BGR.
        """

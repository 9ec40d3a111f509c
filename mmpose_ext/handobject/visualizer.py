"""MMPose's ``--show-dir`` for hands and objects."""
from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmpose.structures import PoseDataSample

from mmpose_ext.drawing.visualizer import PictureVisualizer
from mmpose_ext.handobject.hand import SIDES
from mmpose_ext.handobject.scene_pictures import TILE, Scene, draw_scene
from mmpose_ext.handobject.scene_sources import (
    ObjectBounds,
    pose_of_instances,
    truth_of_instances,
)
from mmpose_ext.registry import VISUALIZERS

Array = np.ndarray


@VISUALIZERS.register_module()
class HandObjectVisualizer(PictureVisualizer):
    """Hand and objects in the photograph, from the side and from above.

    For MMPose's ``PoseVisualizationHook``. What is drawn are the points in
    space, projected by the photograph's own camera, not the predicted
    pixels: what is wrong with a camera, a crop or a mirror is seen. Without
    the meshes' sizes objects are drawn as axes.

    Args:
        name (str): Of the instance. Defaults to 'visualizer'.
        models_dir (str, optional): Folder of the meshes; ``models_dir`` of
            the data set's meta information goes before it. Defaults to
            None.
        tile (int): Width and height of each part of the picture, px.
            Defaults to 400.
        whole (bool): Whether to show whole photographs instead of what is
            about the hand. Defaults to False.
        labels (bool): Whether labels are drawn beside predictions, which
            MMPose's hook never asks for. Defaults to True.
        object_thr (float): Presence from which a predicted object is drawn.
            Defaults to 0.5.
        **kwargs: Those of ``PoseLocalVisualizer``.
    """

    def __init__(self,
                 name: str = 'visualizer',
                 models_dir: str | None = None,
                 tile: int = TILE,
                 whole: bool = False,
                 labels: bool = True,
                 object_thr: float = .5,
                 **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.tile, self.whole = tile, whole
        self.labels, self.object_thr = labels, object_thr
        self.models_dir = models_dir
        self._bounds = ObjectBounds(models_dir)

    def set_dataset_meta(self, dataset_meta: dict[str, Any],
                         skeleton_style: str = 'mmpose') -> None:
        """Take over the meta information, and where meshes lie."""
        super().set_dataset_meta(dataset_meta, skeleton_style)
        folder = dataset_meta.get('models_dir', self.models_dir)
        if folder != self._bounds.models_dir:
            self._bounds = ObjectBounds(folder)

    def draw_picture(self, image: Array, data_sample: PoseDataSample,
                     draw_gt: bool, draw_pred: bool,
                     kpt_thr: float) -> Array:
        """See :func:`~mmpose_ext.handobject.scene_pictures.draw_scene`.

        The photograph comes as RGB; `kpt_thr` changes nothing.
        """
        scene = scene_of_sample(
            np.ascontiguousarray(image[..., ::-1]), data_sample,
            self._bounds, draw_gt or self.labels, draw_pred, self.object_thr)
        if not scene.poses:  # neither hand nor prediction
            side = self.tile
            return cv2.resize(scene.image, (side, side * scene.image.shape[0]
                                            // scene.image.shape[1]))
        return draw_scene(scene, self.tile, whole=self.whole)


def scene_of_sample(image: Array,
                    sample: PoseDataSample,
                    bounds: ObjectBounds,
                    draw_gt: bool = True,
                    draw_pred: bool = True,
                    object_thr: float = .5) -> Scene:
    """What there is to draw of a data sample.

    Args:
        image (ndarray): (H, W, 3) BGR uint8, the photograph.
        sample (PoseDataSample): With ``camera_matrix`` in its meta
            information, ``gt_instances`` and ``pred_instances``.
        bounds (ObjectBounds): Boxes of meshes.
        draw_gt (bool): Whether to take the labels. Defaults to True.
        draw_pred (bool): Whether to take the prediction. Defaults to True.
        object_thr (float): Presence from which a predicted object counts.
            Defaults to 0.5.

    Returns:
        Scene: Without pose and truth where there is nothing.
    """
    truth = truth_of_instances(
        sample.get('gt_instances'),
        sample.get('grasped_class', -1)) if draw_gt else None
    pose = pose_of_instances(sample.get('pred_instances'),
                             object_thr) if draw_pred else None
    return Scene(image, np.asarray(sample.camera_matrix, np.float64), pose,
                 truth, _caption(sample), bounds)


def _caption(sample: PoseDataSample) -> str:
    """Which photograph it is."""
    parts = [str(sample.get(name)) for name in ('sequence', 'serial')
             if sample.get(name)]
    if not parts and sample.get('img_path'):
        parts = [str(sample.img_path)]
    if sample.get('frame') is not None:
        parts.append(f'frame {sample.frame}')
    if sample.get('id') is not None:
        parts.append(f'id {sample.id}')
    if sample.get('side') is not None:
        parts.append(SIDES[int(sample.side)])
    return '   '.join(parts)

"""From a photograph with a box to a view: one warp, all labels with it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from mmpose.datasets.transforms import PackPoseInputs, RandomBBoxTransform
from mmpose.datasets.transforms.formatting import image_to_tensor
from mmpose.structures import PoseDataSample
from scipy.special import ndtr, ndtri

from mmpose_ext.geometry.crop_views import (
    MIRROR,
    CropView,
    apply_homography,
    make_view,
)
from mmpose_ext.handobject.codec import HandObjectLabel
from mmpose_ext.handobject.crop_cache import check_size, read_photograph
from mmpose_ext.registry import TRANSFORMS

Array = np.ndarray
Span = tuple[float, float]
Footprint = tuple[int, int, int, int]

META_KEYS = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape',
             'input_size', 'input_center', 'input_scale', 'camera_matrix',
             'pixel_map', 'view_rotation', 'view_camera', 'mirrored', 'side',
             'subject', 'sequence', 'serial', 'frame', 'grasped_class',
             'box_source')
SHAPES = ('rectangle', 'ellipse')
FILLINGS = ('noise', 'patch')


@TRANSFORMS.register_module()
class HandObjectTopdownView(BaseTransform):
    """Cut out a box as the picture of a camera of its own.

    Takes the place of ``TopdownAffine``: mirrors, turns, shifts and scales in
    one warp, and makes the camera and the labels that belong to the crop (see
    :mod:`mmpose_ext.geometry.crop_views`). The box is made square by its
    longer side.

    Required keys: ``img``, ``bbox_center`` (1, 2) and ``bbox_scale`` (1, 2)
    px, ``camera_matrix`` (3, 3). Used if they are there: ``bbox_rotation``
    (1,) degrees, ``mirrored``, ``keypoints`` (1, 21, 2) px, ``joints_cam``
    (1, 21, 3) m, ``pose_y`` (1, 21, 3, 4), ``img_size``, and ``img_offset``,
    which says that ``img`` is a part of the photograph.

    Modified keys: ``img``, ``img_shape``, ``ori_shape``, ``bbox_scale``.
    Added keys: ``pixel_map`` (3, 3) float64, ``view_rotation`` (3, 3),
    ``view_camera`` (3, 3), ``input_size``, ``input_center``,
    ``input_scale``, and as far as their sources are there
    ``transformed_keypoints`` (1, 21, 2) px of the crop, ``view_joints``
    (1, 21, 3) m, ``view_object_rotations`` (1, 21, 3, 3), of the mirrored
    mesh if mirrored, and ``view_object_translations`` (1, 21, 3) m.

    Args:
        input_size (int | Sequence[int]): Side of the crop, px, or the side
            twice.
        virtual_camera (bool): Whether the camera turns towards the box.
            Defaults to True.

    Raises:
        ValueError: If the crop is not square.
    """

    def __init__(self, input_size: int | Sequence[int],
                 virtual_camera: bool = True) -> None:
        sides = ([input_size] * 2 if isinstance(input_size, int) else
                 list(input_size))
        if len(sides) != 2 or sides[0] != sides[1] or sides[0] < 1:
            raise ValueError('input_size: expected one side for width and '
                             f'height, found {input_size}')
        self.input_size = int(sides[0]), int(sides[0])
        self.virtual_camera = virtual_camera

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut out the box; labels follow."""
        image = results['img']
        width, height = results.get('img_size', image.shape[1::-1])
        centre = np.asarray(results['bbox_center'][0], np.float32)
        side = float(np.max(results['bbox_scale'][0]))
        view = make_view(
            results['camera_matrix'], width, centre, side,
            self.input_size[0],
            rotation_deg=float(results.get('bbox_rotation', [0.])[0]),
            mirrored=bool(results.get('mirrored', False)),
            virtual_camera=self.virtual_camera)
        results['img'] = self._picture(results, image, view, (width, height))
        square = np.full(2, side, np.float32)
        results.update(
            bbox_scale=square[None], input_size=self.input_size,
            input_center=centre, input_scale=square,
            img_shape=self.input_size[::-1], ori_shape=(height, width),
            pixel_map=view.pixel_map,
            view_rotation=view.rotation.astype(np.float32),
            view_camera=view.camera.astype(np.float32))
        _move_labels(results, view)
        return results

    def _picture(self, results: dict[str, Any], image: Array,
                 view: CropView, size: tuple[int, int]) -> Array:
        """The crop, from the kept part if that shows all of it."""
        footprint = find_footprint(view, size)
        if 'img_offset' not in results:
            check_size(results.get('img_path') or 'img', image, size)
            return warp_crop(image, view, footprint=footprint)
        left, top = results['img_offset']
        height, width = image.shape[:2]
        if (footprint[0] < left or footprint[1] < top
                or footprint[2] > left + width
                or footprint[3] > top + height):
            image, left, top = read_photograph(
                results['img_path'], size), 0, 0
        return warp_crop(image, view, (left, top), footprint)


@TRANSFORMS.register_module()
class HandObjectOcclusion(BaseTransform):
    """Hide a part of the crop behind something, by chance.

    What hides it is uniform noise about a random colour, or another part of
    the same crop. Labels stay: hands are to be guessed behind objects. Draws
    from ``np.random``; values stay levels of 8 bits.

    Required and modified key: ``img``, uint8 (H, W, 3).

    Args:
        prob (float): Chance that anything is hidden. Defaults to .3.
        area (tuple[float, float]): Least and greatest share of the crop that
            is hidden. Defaults to (.02, .15).
        aspect (float): Largest ratio of the sides. Defaults to 2.5.
        shapes (Sequence[str]): ``rectangle``, ``ellipse``; one is chosen.
            Defaults to both.
        fillings (Sequence[str]): ``noise``, ``patch``; one is chosen.
            Defaults to both.
        noise_levels (float): Half the width of the noise. Defaults to 40.

    Raises:
        ValueError: If a setting is impossible.
    """

    def __init__(self,
                 prob: float = .3,
                 area: Span = (.02, .15),
                 aspect: float = 2.5,
                 shapes: Sequence[str] = SHAPES,
                 fillings: Sequence[str] = FILLINGS,
                 noise_levels: float = 40.) -> None:
        if not 0 < area[0] <= area[1] < 1:
            raise ValueError('area: expected shares of the crop, the least '
                             f'first, found {area}')
        if aspect < 1:
            raise ValueError(f'aspect: expected at least 1, found {aspect}')
        for name, chosen, known in (('shapes', shapes, SHAPES),
                                    ('fillings', fillings, FILLINGS)):
            if not chosen or not set(chosen) <= set(known):
                raise ValueError(f'{name}: expected some of {known}, found '
                                 f'{tuple(chosen)}')
        self.prob, self.area, self.aspect = prob, area, aspect
        self.shapes, self.fillings = tuple(shapes), tuple(fillings)
        self.noise_levels = noise_levels

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Hide a part of ``img``."""
        if np.random.random() >= self.prob:
            return results
        image = results['img'].copy()
        total = image.shape[0] * image.shape[1]
        share = np.random.uniform(*self.area)
        ratio = self.aspect**np.random.uniform(-1, 1)
        shape = self.shapes[np.random.randint(len(self.shapes))]
        # an ellipse fills so much of the rectangle about it
        around = share * total / (np.pi / 4 if shape == 'ellipse' else 1)
        height = int(np.clip(np.sqrt(around / ratio), 1, image.shape[0]))
        width = int(np.clip(np.sqrt(around * ratio), 1, image.shape[1]))
        place = self._place(image, height, width)
        hidden = cv2.getStructuringElement(
            cv2.MORPH_ELLIPSE if shape == 'ellipse' else cv2.MORPH_RECT,
            (width, height)) > 0
        filling = self._filling(results['img'], height, width)
        image[place][hidden] = filling[hidden]
        results['img'] = image
        return results

    def _filling(self, image: Array, height: int, width: int) -> Array:
        """What hides, uint8 (height, width, 3)."""
        if self.fillings[np.random.randint(len(self.fillings))] == 'patch':
            return image[self._place(image, height, width)]
        colour = np.random.uniform(0, 255, 3)
        noise = np.random.uniform(-self.noise_levels, self.noise_levels,
                                  (height, width, 3))
        return np.clip(colour + noise, 0, 255).astype(np.uint8)

    @staticmethod
    def _place(image: Array, height: int, width: int) -> tuple[slice, slice]:
        """A random place for a rectangle inside the crop."""
        top = np.random.randint(image.shape[0] - height + 1)
        left = np.random.randint(image.shape[1] - width + 1)
        return slice(top, top + height), slice(left, left + width)


@TRANSFORMS.register_module()
class HandObjectRandomBBoxTransform(RandomBBoxTransform):
    """MMPose's ``RandomBBoxTransform``, with the same chances, sooner.

    SciPy takes longer for four truncated normal numbers than OpenCV for the
    warp.
    """

    @staticmethod
    def _truncnorm(low: float = -1., high: float = 1.,
                   size: tuple[int, ...] = ()) -> Array:
        """Normal numbers between two limits, by the inverse of their
        distribution."""
        share = np.random.uniform(ndtr(low), ndtr(high), size)
        return np.asarray(ndtri(share), np.float32)


@TRANSFORMS.register_module()
class HandObjectPackInputs(PackPoseInputs):
    """Pack a view; the truth comes along whether or not there are targets.

    MMPose takes the fields of ``gt_instances`` from a codec, of which a test
    without targets has none. Here they are those of the data set, in the
    photograph's frame: ``bboxes``, ``bbox_scores``, ``keypoints``,
    ``keypoints_visible``, ``joints_cam``, ``hand_valid``,
    ``object_rotations`` (1, 21, 3, 3), ``object_translations`` (1, 21, 3),
    ``object_valid``, ``contact`` and ``contact_valid``, as far as they are
    known. What it gives is MMPose's, but for labels, which stay arrays;
    it copies less.

    Args:
        meta_keys (Sequence[str]): As ``PackPoseInputs`` has them. Defaults
            to ``META_KEYS``.
    """

    instance_mapping_table = HandObjectLabel.instance_mapping_table

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(meta_keys=meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the picture, truth, targets and meta information."""
        truth, labels = InstanceData(), InstanceData()
        sample = PoseDataSample()
        for key, name in self.instance_mapping_table.items():
            if key in results:
                truth.set_field(results[key], name)
        for key, name in results.get('label_mapping_table', {}).items():
            # arrays: a worker hands over bytes, where each small tensor
            # would be a piece of shared memory
            labels.set_field(results[key], name)
        sample.gt_instances, sample.gt_instance_labels = truth, labels
        for key in self.meta_keys:
            if key in results:
                sample.set_field(results[key], key, field_type='metainfo')
        return dict(inputs=image_to_tensor(results['img']),
                    data_samples=sample)


def find_footprint(view: CropView, size: Sequence[int]) -> Footprint:
    """What of a photograph takes part in a view.

    Args:
        view (CropView): Of the photograph.
        size (Sequence[int]): Width and height of the photograph, px.

    Returns:
        tuple[int, int, int, int]: First column and row, and those behind the
        last; nothing where the view misses the photograph.
    """
    last = view.size - 1
    corners = np.array([[0, 0, 1], [last, 0, 1], [0, last, 1],
                        [last, last, 1.]]) @ view.inverse.T
    width, height = size
    if corners[:, 2].min() <= 0:  # some is behind the camera
        return 0, 0, width, height
    corners = corners[:, :2] / corners[:, 2:]
    # neighbours take part in the interpolation
    left, top = (np.floor(corners.min(0)) - 1).clip(0, size).astype(int)
    right, bottom = (np.ceil(corners.max(0)) + 2).clip(0, size).astype(int)
    return int(left), int(top), int(right), int(bottom)


def warp_crop(image: Array, view: CropView,
              offset: Sequence[int] = (0, 0),
              footprint: Footprint | None = None) -> Array:
    """Make the picture of a view.

    Args:
        image (ndarray): uint8 (H, W, 3), the photograph, or a part of it
            that has all of the footprint.
        view (CropView): Of the whole photograph.
        offset (Sequence[int]): Column and row of the photograph where the
            image begins. Defaults to (0, 0).
        footprint (tuple[int, int, int, int], optional): As
            :func:`find_footprint` gives it. Defaults to None: found, the
            image being the whole photograph.

    Returns:
        ndarray: uint8 (S, S, 3), black beyond the photograph.
    """
    size = view.size, view.size
    left, top, right, bottom = footprint or find_footprint(
        view, image.shape[1::-1])
    if right <= left or bottom <= top:
        return np.zeros((*size, 3), np.uint8)
    # whatever is left out, the same pixels go into the same arithmetic
    image = image[top - offset[1]:bottom - offset[1],
                  left - offset[0]:right - offset[0]]
    ahead = view.inverse[2]
    inverse = view.inverse - np.outer([left, top, 0], ahead)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if view.is_affine:
        return cv2.warpAffine(image, inverse[:2], size, flags=flags)
    crop = cv2.warpPerspective(image, inverse, size, flags=flags)
    last = view.size - 1
    if min(ahead[2], ahead[2] + last * ahead[0], ahead[2] + last * ahead[1],
           ahead[2] + last * (ahead[0] + ahead[1])) <= 0:
        # what lies behind the photograph's camera, it has not seen
        column = np.arange(view.size)
        depth = ahead[0] * column + ahead[1] * column[:, None] + ahead[2]
        crop[depth <= 0] = 0
    return crop


def _move_labels(results: dict[str, Any], view: CropView) -> None:
    """Labels in the view's frame."""
    if results.get('keypoints') is not None:
        results['transformed_keypoints'] = apply_homography(
            results['keypoints'], view.pixel_map).astype(np.float32)
    back = view.rotation.T
    if results.get('joints_cam') is not None:
        results['view_joints'] = (
            results['joints_cam'] @ back).astype(np.float32)
    if results.get('pose_y') is not None:
        poses = results['pose_y']
        rotations = view.rotation @ poses[..., :3]
        if results.get('mirrored', False):
            rotations = rotations @ MIRROR
        results['view_object_rotations'] = rotations.astype(np.float32)
        results['view_object_translations'] = (
            poses[..., 3] @ back).astype(np.float32)

"""Crops of a photograph as cameras of their own.

A crop is seen by a camera that stands where the photograph's does, may be
turned and may look into a mirror. What it shows and what it would predict
then agree exactly: with ``pixel_map`` H, ``rotation`` Q and ``camera`` K' of a
view, and K of the photograph, ``proj(K', Q X) == H proj(K, X)`` for all X.

Conventions: pixel centres lie at integers, the first at (0, 0); the camera
looks along z, x right, y down; vectors are columns.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Array = np.ndarray

MIRROR = np.diag([-1., 1., 1.])


@dataclass(frozen=True, eq=False)
class CropView:
    """A square crop and its camera.

    Attributes:
        pixel_map: Homography from the photograph's pixels to the crop's,
            (3, 3).
        rotation: From the photograph's camera frame to the view's,
            orthogonal, of determinant -1 if mirrored, (3, 3).
        camera: Intrinsics of the crop, px, (3, 3).
        size: Side of the crop, px.
        is_affine: Whether the last row of ``pixel_map`` is (0, 0, 1).
    """

    pixel_map: Array
    rotation: Array
    camera: Array
    size: int
    is_affine: bool

    @cached_property
    def inverse(self) -> Array:
        """Homography from the crop's pixels to the photograph's, (3, 3)."""
        return np.linalg.inv(self.pixel_map)


def make_view(intrinsics: Array,
              width: int,
              centre: Array,
              side: float,
              size: int,
              rotation_deg: float = 0.,
              mirrored: bool = False,
              virtual_camera: bool = True) -> CropView:
    """The view of a square box in a photograph.

    Mirroring comes first, x to ``width - 1 - x``, then the turn.

    Args:
        intrinsics (ndarray): K of the photograph, (3, 3), px.
        width (int): Of the photograph, px.
        centre (ndarray): Of the box in the photograph as it is, (2,), px.
        side (float): Of the box, px.
        size (int): Side of the crop, px.
        rotation_deg (float): Turn of the box in the photograph, clockwise as
            one sees it; what is shown turns the other way. That of MMPose's
            ``bbox_rotation``. Defaults to 0.
        mirrored (bool): Whether the photograph is mirrored first. Defaults to
            False.
        virtual_camera (bool): Whether the camera turns towards the box, which
            takes away the distortion of what lies off the photograph's
            centre; its pixels are square, and the box's area is that of the
            crop, to first order. Else it turns about its axis alone and the
            box's side is that of the crop. Defaults to True.

    Returns:
        CropView: In float64.

    Raises:
        ValueError: If side or size is not positive.
    """
    if not (side > 0 and size > 0):
        raise ValueError(f'a view needs a box and a crop, not {side} px and '
                         f'{size} px')
    camera = np.array(intrinsics, np.float64)
    flip, centre = np.eye(3), np.array([centre[0], centre[1], 1.])
    if mirrored:
        flip[0] = -1, 0, width - 1
        camera[0, 1:] = -camera[0, 1], width - 1 - camera[0, 2]
        centre = flip @ centre
    to_rays = np.linalg.inv(camera)
    turn = rotation_about_axis(rotation_deg)
    zoom, middle = size / side, (size - 1) / 2
    crop = np.eye(3)
    if virtual_camera:
        ray = to_rays @ centre
        distance = math.sqrt(ray @ ray)
        turn = turn @ rotation_towards(ray)
        focal = (zoom * math.sqrt(camera[0, 0] * camera[1, 1]) *
                 distance**1.5)
        crop[0] = focal, 0, middle
        crop[1] = 0, focal, middle
        pixel_map = crop @ turn @ to_rays
    else:
        turned = camera @ turn @ to_rays
        turned[2] = 0, 0, 1  # exactly
        x, y, _ = turned @ centre
        crop[0] = zoom, 0, middle - zoom * x
        crop[1] = 0, zoom, middle - zoom * y
        pixel_map = crop @ turned
        crop = crop @ camera
    rotation = turn @ MIRROR if mirrored else turn
    return CropView(pixel_map @ flip, rotation, crop, size,
                    not virtual_camera)


def rotation_about_axis(angle_deg: float) -> Array:
    """What a camera sees after its own clockwise turn about its axis.

    Returns:
        ndarray: (3, 3), from the old camera frame to the new one.
    """
    angle = math.radians(angle_deg)
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1.]])


def rotation_towards(ray: Array) -> Array:
    """The least rotation that brings a ray to the optical axis.

    Args:
        ray (ndarray): (3,) of any length, ahead of the camera.

    Returns:
        ndarray: (3, 3), from the old camera frame to the new one.
    """
    x, y, z = (ray / math.sqrt(ray @ ray)).tolist()
    part = 1 / (1 + z)
    return np.array([[1 - x * x * part, -x * y * part, -x],
                     [-x * y * part, 1 - y * y * part, -y], [x, y, z]])


def project(points: Array, camera: Array) -> Array:
    """Project points in the frame of a camera.

    Args:
        points (ndarray): (..., 3).
        camera (ndarray): K, (3, 3), or (..., 3, 3) that broadcasts against
            the points.

    Returns:
        ndarray: (..., 2) px; of points that are not ahead, NaN.
    """
    seen = (points @ camera.T if camera.ndim == 2 else
            (camera @ points[..., None])[..., 0])
    depth = np.where(points[..., 2:] > 0, seen[..., 2:], np.nan)
    return seen[..., :2] / depth


def apply_homography(pixels: Array, homography: Array) -> Array:
    """Move pixels by a homography.

    Args:
        pixels (ndarray): (..., 2) px.
        homography (ndarray): (3, 3), or (..., 3, 3) that broadcasts against
            the pixels.

    Returns:
        ndarray: (..., 2) px, float64.
    """
    pixels = np.asarray(pixels, np.float64)
    if homography.ndim == 2:  # much sooner
        moved = pixels @ homography[:, :2].T + homography[:, 2]
        return moved[..., :2] / moved[..., 2:]
    moved = (homography[..., :2] @ pixels[..., None])[..., 0]
    moved = moved + homography[..., 2]
    return moved[..., :2] / moved[..., 2:]


def intrinsic_matrix(values: Array) -> Array:
    """K (..., 3, 3) of fx, fy, cx, cy (..., 4), px."""
    values = np.asarray(values)
    matrix = np.zeros((*values.shape[:-1], 3, 3), values.dtype)
    matrix[..., 0, 0], matrix[..., 1, 1] = values[..., 0], values[..., 1]
    matrix[..., :2, 2] = values[..., 2:]
    matrix[..., 2, 2] = 1
    return matrix

"""Pictures of horses: the camera, the light, and what hides what.

The camera looks level, x right, y down, z ahead: pictures are shifted rather
than tilted, as with a shift lens, so that uprights stay upright. Pixel
centres lie at integers; colours are red, green and blue from 0 to 1.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mmpose_ext.synthesis.horse_coats import Skin
from mmpose_ext.synthesis.horses import LEGS

Array = np.ndarray
_FINE, _SHIFT = 2, 4  # painted so many times finer, with so many binary places
_NEAREST_M = .3
# A part that sticks out of the trunk by less than a facet is painted whole.
_IN_FRONT_M = .06


@dataclass(frozen=True)
class Camera:
    """A level camera.

    Attributes:
        position: (3,) x, y and height above the ground, m.
        axes: (3, 3) unit vectors right, down and ahead.
        focal_px: Focal length.
        centre: (2,) where a point at infinity straight ahead lies, px; its y
            is the horizon's.
    """

    position: Array
    axes: Array
    focal_px: float
    centre: Array

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) and depths (...,), m, of points (..., 3), m."""
        local = (points - self.position) @ self.axes.T
        depth = np.maximum(local[..., 2:], _NEAREST_M)
        return (self.centre + self.focal_px * local[..., :2] / depth,
                depth[..., 0])


@dataclass(frozen=True)
class Light:
    """Sun and sky.

    Attributes:
        towards_sun: (3,) unit vector.
        sun: Strength of the sun on a surface that faces it.
        sky: Strength of the sky from straight above.
    """

    towards_sun: Array
    sun: float
    sky: float


def aim(azimuth: float, distance: float, height: float) -> Camera:
    """A camera that looks at the origin, with a focal length of 1 px.

    Args:
        azimuth (float): Radians from the x axis to the y axis.
        distance (float): m, along the ground.
        height (float): m.
    """
    out = np.array([np.cos(azimuth), np.sin(azimuth), 0])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
    return Camera(distance * out + [0, 0, height],
                  np.stack([right, np.array([0, 0, -1.]), -out]), 1.,
                  np.zeros(2))


def paint_horse(image: Array, skin: Skin, colours: Array, camera: Camera,
                light: Light) -> Array:
    """Paint a horse, farther facets first.

    Args:
        image (ndarray): (H, W, 3) float32; painted on in place.
        skin (Skin): In the camera's world.
        colours (ndarray): (F, 3).
        camera (Camera): What looks.
        light (Light): What shines.

    Returns:
        ndarray: (H, W) bool, the horse's silhouette.
    """
    height, width = image.shape[:2]
    silhouette = np.zeros((height, width), bool)
    pixels, depth = camera.project(skin.vertices)
    low = np.clip(np.floor(pixels.min(0)).astype(int) - 1, 0, [width, height])
    high = np.clip(np.ceil(pixels.max(0)).astype(int) + 2, 0, [width, height])
    if (high <= low).any():
        return silhouette
    corners = skin.vertices[skin.facets]
    normals = np.cross(corners[:, 2] - corners[:, 0],
                       corners[:, 3] - corners[:, 1])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
    view = camera.position - corners.mean(1)
    facing = (normals * view).sum(-1)
    normals[skin.sheet & (facing < 0)] *= -1
    shown = np.flatnonzero(skin.sheet | (facing > 0))
    distance = depth[skin.facets].mean(1)
    for name, part in skin.parts.items():
        if name != 'trunk':  # which would show through in patches
            distance[part] -= _IN_FRONT_M
    shown = shown[np.argsort(-distance[shown])]
    shades = np.empty((len(shown), 4))
    shades[:, :3] = 255 * _lit(skin, normals, colours, view, light)[shown]
    shades[:, 3] = 255
    fine = ((pixels - low + .5) * _FINE - .5) * 2**_SHIFT
    outlines = np.rint(np.clip(fine, -2e5, 2e5)).astype(np.int32)
    canvas = np.zeros((*_FINE * (high - low)[::-1], 4), np.uint8)
    for outline, shade in zip(outlines[skin.facets[shown]], shades.tolist(),
                              strict=True):
        cv2.fillConvexPoly(canvas, outline, shade, cv2.LINE_8, _SHIFT)
    canvas = cv2.blur(canvas, (3, 3))  # facets have visible edges
    small = cv2.resize(canvas, None, fx=1 / _FINE, fy=1 / _FINE,
                       interpolation=cv2.INTER_AREA)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    cover = small.astype(np.float32) / 255
    image[window] = image[window] * (1 - cover[..., 3:]) + cover[..., :3]
    silhouette[window] = small[..., 3] > 127
    return silhouette


def _lit(skin: Skin, normals: Array, colours: Array, view: Array,
         light: Light) -> Array:
    """Colours (F, 3) in the light, with the gloss of a coat."""
    sunny = np.clip(normals @ light.towards_sun, 0, None)
    half = view / np.linalg.norm(view, axis=-1, keepdims=True)
    half = half + light.towards_sun
    half /= np.linalg.norm(half, axis=-1, keepdims=True)
    gloss = .12 * np.clip((normals * half).sum(-1), 0, None)**16
    # The trunk keeps the sun from the legs of the other side.
    left = skin.vertices[skin.facets[skin.parts['lh_leg'].start]].mean(0)
    right = skin.vertices[skin.facets[skin.parts['rh_leg'].start]].mean(0)
    for leg in LEGS:
        away = (right - left) if leg[0] == 'l' else (left - right)
        if away @ light.towards_sun > 0:
            for part in ('leg', 'hoof'):
                sunny[skin.parts[f'{leg}_{part}']] *= .3
    sky = light.sky * (.62 + .38 * normals[:, 2])
    bright = sky + light.sun * sunny
    return np.clip(colours * bright[:, None] + (gloss * light.sun)[:, None],
                   0, 1)


def cast_shadow(shape: tuple[int, int], skin: Skin, camera: Camera,
                light: Light) -> Array:
    """Where a horse keeps the sun from level ground; (H, W) from 0 to 1."""
    height, width = shape
    sun = light.towards_sun
    ground = skin.vertices[skin.facets].mean(1)
    ground = ground - sun * (ground[:, 2:] / sun[2])
    pixels, depth = camera.project(ground)
    part = 4
    small = np.zeros((-(-height // part), -(-width // part)), np.uint8)
    x, y = np.rint(pixels / part).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < small.shape[1]) & (
        y < small.shape[0]) & (depth > _NEAREST_M)
    small[y[inside], x[inside]] = 255
    # facets are about a decimetre wide and lie flat
    wide = camera.focal_px * .12 / np.median(depth) / part
    kernel = cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE, (2 * int(np.ceil(wide)) + 1,
                            2 * int(np.ceil(wide / 3)) + 1))
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel)
    soft = cv2.GaussianBlur(closed, (0, 0), max(.25 * wide, .6))
    shadow = cv2.resize(soft, (small.shape[1] * part, small.shape[0] * part))
    return np.asarray(shadow[:height, :width], np.float32) / 255


def find_hidden(points: Array, margins: Array, skins: list[Skin],
                camera: Camera) -> Array:
    """Which points (K, 3) have a horse's skin before them.

    The line of sight to each point is cut with every facet, split into two
    triangles.

    Args:
        points (ndarray): (K, 3).
        margins (ndarray): (K,) skin up to so far before a point does not
            hide it, m.
        skins (list[Skin]): All horses.
        camera (Camera): What looks.

    Returns:
        ndarray: (K,) bool.
    """
    spots, reach = camera.project(points)
    hidden = np.zeros(len(points), bool)
    for skin in skins:
        pixels, depths = camera.project(skin.vertices)
        corners = pixels.T[:, skin.facets]
        near = np.ones((len(points), len(skin.facets)), bool)
        for axis, spot in zip(corners, spots.T[..., None], strict=True):
            near &= (axis.min(-1) <= spot) & (spot <= axis.max(-1))
        point, facet = np.nonzero(near)
        for triangle in ([0, 1, 2], [0, 2, 3]):
            rows = skin.facets[facet][:, triangle]
            depth = _depth_at(spots[point], pixels[rows], depths[rows])
            before = depth < (reach - margins)[point]
            hidden[point[before]] = True
    return hidden


def _depth_at(spots: Array, corners: Array, depths: Array) -> Array:
    """Depth (N,) of triangles (N, 3, 2) at pixels (N, 2); inf outside."""
    a, b, c = corners.transpose(1, 0, 2)

    def cross(u: Array, v: Array) -> Array:
        return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]

    area = cross(b - a, c - a)
    flat = np.abs(area) < 1e-12
    area = np.where(flat, 1, area)
    second = cross(spots - a, c - a) / area
    third = cross(b - a, spots - a) / area
    first = 1 - second - third
    shares = np.stack([first, second, third], -1)
    inside = ~flat & (shares >= 0).all(-1)
    # in a picture it is the inverse of the depth that changes evenly
    inverse = (shares / depths).sum(-1)
    return np.where(inside, 1 / np.where(inside, inverse, 1), np.inf)

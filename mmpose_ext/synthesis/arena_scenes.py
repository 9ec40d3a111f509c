"""An arena and the animals in it, as calibrated cameras see them.

The empty arena is painted once for each camera, by a ray through every
pixel; animals are drawn point by point, the nearest last, at twice the
resolution. World in mm, z up, the floor at z = 0; colours red, green, blue
from 0 to 1; pixel centres at integers. V cameras, I animals.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mmpose_ext.geometry.cameras import Cameras

Array = np.ndarray

FLOOR_MM, WALL_MM = 245., 45.  # radius of the arena, height of its wall
_FINE = 2  # animals are drawn so many times finer
_CELL_MM = 2.  # of maps of the floor
_REACH_MM = 420.  # half side of the maps
_SIDE = int(2 * _REACH_MM / _CELL_MM)
_SHADOW_CELL_MM, _SHADOW_SLACK_MM = 3.5, 9.
_DEPTH_STEPS = 20  # of a mm, up to 3.2 m
_BLUR_PX = .55  # sigma of a lens
_NOISE_ROOM = 64


@dataclass(frozen=True)
class Scene:
    """An arena, its light and its cameras.

    Attributes:
        cameras: V of them, with sizes all alike.
        empty: (V, H, W, 3) float32, the arena without animals as each
            sensor counts it, 0 to 255.
        floor: (V, 2, H, W) float32, column and row of the floor's maps that
            each pixel looks at; outside where it looks elsewhere.
        light: (3,) unit vector towards the lamp.
        gain: (V, 3) float32, what a sensor makes of a colour of 1.
        noise: (H + 64, W + 64, 3) float32 of a sensor.
    """

    cameras: Cameras
    empty: Array
    floor: Array
    light: Array
    gain: Array
    noise: Array


@dataclass(frozen=True)
class Body:
    """An animal at one time.

    Attributes:
        points: (N, 3) on the skin, mm.
        normals: (N, 3) outward.
        colours: (N, 3).
    """

    points: Array
    normals: Array
    colours: Array


@dataclass(frozen=True)
class View:
    """What one camera sees.

    Attributes:
        image: (H, W, 3) uint8, red first.
        nearest: (2H, 2W) int32, twice as fine: the point of skin that is
            seen there, -1 for none. Points are those that face the camera.
        depth: (N,) of these points, mm.
        owner: (N,) the animal that each belongs to.
    """

    image: Array
    nearest: Array
    depth: Array
    owner: Array

    @property
    def silhouette(self) -> Array:
        """(H, W) bool, where the larger part of a pixel is an animal."""
        height, width = self.nearest.shape
        covered = (self.nearest >= 0).reshape(
            height // _FINE, _FINE, width // _FINE, _FINE)
        return np.asarray(covered.mean((1, 3)) > .5)


def draw_scene(rng: np.random.Generator, cameras: Cameras) -> Scene:
    """Make up an arena and paint it for each camera.

    Args:
        rng (Generator): Floor, light and sensors.
        cameras (Cameras): With sizes, all alike.
    """
    assert cameras.sizes is not None
    width, height = (int(side) for side in cameras.sizes[0])
    turn, rise = rng.uniform(0, 2 * np.pi), rng.uniform(1.0, 1.25)
    light = np.array([np.cos(rise) * np.cos(turn),
                      np.cos(rise) * np.sin(turn), np.sin(rise)])
    fine, map_at = _paint_arena(rng, cameras.positions.astype(np.float32),
                                _cast_rays(cameras, width, height),
                                light.astype(np.float32))
    empty, floor = (np.stack([
        cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA)
        for each in all_views]) for all_views in (fine, map_at))
    noise = rng.standard_normal(
        (height + _NOISE_ROOM, width + _NOISE_ROOM, 3), np.float32)
    noise = .6 * noise + .4 * noise[..., :1]
    gain = (255 * rng.normal(1, .03, (len(cameras), 3))
            * rng.normal(1, .05, (len(cameras), 1))).astype(np.float32)
    empty = np.stack([cv2.GaussianBlur(image, (0, 0), _BLUR_PX)
                      for image in empty]) * gain[:, None, None]
    return Scene(cameras, empty,
                 np.ascontiguousarray(floor.transpose(0, 3, 1, 2)), light,
                 gain, noise * np.float32(rng.uniform(2., 3.)))


def _cast_rays(cameras: Cameras, width: int, height: int) -> Array:
    """Directions in the world (V, 2H, 2W, 3), twice as fine as pixels."""
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
    rays = cameras.undistort(
        np.broadcast_to(grid, (len(cameras), height, width, 2)))
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
    rays = (rays @ cameras.rotations[:, None]).astype(np.float32)
    # between pixels they change so evenly that nobody sees the difference
    return np.stack([cv2.resize(view, None, fx=_FINE, fy=_FINE)
                     for view in rays])


def _paint_arena(rng: np.random.Generator, positions: Array, rays: Array,
                 light: Array) -> tuple[Array, Array]:
    """Colours (V, H, W, 3) and places on the floor's map (V, H, W, 2)."""
    start = positions[:, None, None]
    down = np.minimum(rays[..., 2:], -1e-6)
    spot = start - rays * (start[..., 2:] / down)
    map_at = ((spot[..., :2] + _REACH_MM) / _CELL_MM - .5).astype(np.float32)
    far = np.sqrt(_square(spot))
    tone = (rng.uniform(.50, .64) * np.array([.98, 1., 1.03])
            * rng.normal(1, .03, 3)).astype(np.float32)
    litter = _litter(rng)
    # far outside the texture's reflections would take long
    grain_at = np.clip(map_at, -3 * _SIDE, 3 * _SIDE)
    floor = np.stack([
        cv2.remap(litter, view[..., 0], view[..., 1], cv2.INTER_LINEAR,
                  borderMode=cv2.BORDER_REFLECT) for view in grain_at])
    # brighter below the lamp
    glow = np.exp(-_square(spot[..., :2] - 260 * light[:2]) / 4.5e5)
    bench = (np.array([.30, .285, .275])
             * rng.uniform(.8, 1.2)).astype(np.float32)
    inside = np.clip((FLOOR_MM - far) / 1.5 + .5, 0, 1)[..., None]
    image = (inside * tone * floor
             + (1 - inside) * bench * (.5 + .5 * floor))
    image *= (.62 + .45 * glow)[..., None]
    image *= (1 - .35 * np.exp(-np.maximum(FLOOR_MM - far, 0) / 14)
              * (far < FLOOR_MM))[..., None]
    _paint_wall(image, start, rays, light, tone)
    room = np.clip((far - 900) / 900, 0, 1)[..., None]
    image = image * (1 - room) + room * np.array(
        [.10, .105, .12], np.float32)
    floor_at = np.where(inside > .5, map_at, -10).astype(np.float32)
    return np.clip(image, 0, 1).astype(np.float32), floor_at


def _square(ways: Array) -> Array:
    """Squares (...) of the level parts of ways (..., 2 or 3)."""
    return np.asarray(ways[..., 0]**2 + ways[..., 1]**2)


def _litter(rng: np.random.Generator) -> Array:
    """The floor's texture (S, S, 3), about 1: grain and wood shavings."""
    texture = np.ones((_SIDE, _SIDE, 3), np.float32)
    for cells, strength in ((9, .05), (40, .045), (140, .04), (_SIDE, .05)):
        grain = rng.normal(0, strength, (cells, cells)).astype(np.float32)
        texture += cv2.resize(grain, (_SIDE, _SIDE),
                              interpolation=cv2.INTER_CUBIC)[..., None]
    for _ in range(int(rng.integers(160, 320))):
        at = rng.uniform(0, _SIDE, 2)
        way = rng.normal(0, 1.3, 2)
        shade = (np.array([1.30, 1.18, .96]) * rng.uniform(.75, 1.15))
        start, end = ((at + sign * way) * 8 for sign in (-1, 1))
        cv2.line(texture, np.rint(start).astype(int).tolist(),
                 np.rint(end).astype(int).tolist(), shade.tolist(), 1,
                 cv2.LINE_AA, 3)
    return texture


def _paint_wall(image: Array, start: Array, rays: Array, light: Array,
                tone: Array) -> None:
    """Paint the round wall over what lies behind it."""
    square = _square(rays)
    half = rays[..., 0] * start[..., 0] + rays[..., 1] * start[..., 1]
    rest = _square(start) - FLOOR_MM**2
    root = half**2 - square * rest
    root = np.where(root > 0, root, np.nan)
    # the far side is seen from within, the near one hides it
    for sign, shade in ((1., 1.), (-1., .55)):
        reach = (-half + sign * np.sqrt(root)) / square
        spot = start + reach[..., None] * rays
        on_wall = (spot[..., 2] > 0) & (spot[..., 2] < WALL_MM)
        facing = -sign * (spot[..., :2] @ light[:2]) / FLOOR_MM
        bright = shade * (.50 + .30 * np.clip(facing, 0, 1)
                          + .12 * np.clip(spot[..., 2] / WALL_MM, 0, 1))
        rim = np.clip((spot[..., 2] - WALL_MM + 4) / 2, 0, 1)
        bright = bright * (1 - rim) + rim * .8
        np.copyto(image, bright[..., None] * tone * 1.25,
                  where=on_wall[..., None])


def render(scene: Scene, bodies: Sequence[Body],
           rng: np.random.Generator) -> list[View]:
    """Photograph animals with every camera at one time.

    Args:
        scene (Scene): Arena, light and cameras.
        bodies (Sequence[Body]): I animals, none being none.
        rng (Generator): The sensors' noise.
    """
    points = np.concatenate([np.empty((0, 3)),
                             *(body.points for body in bodies)])
    owners = np.repeat(np.arange(len(bodies)),
                       [len(body.points) for body in bodies])
    normals, colours = (np.concatenate([np.empty((0, 3)), *parts])
                        for parts in ([body.normals for body in bodies],
                                      [body.colours for body in bodies]))
    shades = _light_up(scene.light, points, normals, colours)
    shadow = _cast_shadow(scene.light, points)
    away = np.einsum('ni,ni->n', normals, points)
    shown = []
    for v, position in enumerate(scene.cameras.positions):
        image = _sense(scene, v, shadow, rng)
        front = np.flatnonzero(normals @ position > away)
        pixels, depths = scene.cameras.select([v]).project(
            points.take(front, axis=0))
        nearest = _splat(pixels[0], depths[0], image.shape[:2])
        _blend(image, nearest, shades.take(front, axis=0) * scene.gain[v])
        shown.append(View(cv2.convertScaleAbs(image), nearest, depths[0],
                          owners[front]))
    return shown


def _sense(scene: Scene, view: int, shadow: Array,
           rng: np.random.Generator) -> Array:
    """The arena with shadows and noise, (H, W, 3) float32, 0 to 255."""
    empty = scene.empty[view]
    top, left = rng.integers(0, _NOISE_ROOM, 2)
    columns, rows = scene.floor[view]
    dark = cv2.remap(shadow, columns, rows, cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_CONSTANT)
    noise = scene.noise[top:top + len(empty), left:left + empty.shape[1]]
    return np.asarray(empty * (1 - dark)[..., None] + noise)


def _light_up(light: Array, points: Array, normals: Array,
              colours: Array) -> Array:
    """Colours (N, 3) float32 as lit, with shadows of the animals."""
    lamp = np.clip(normals @ light, 0, None) * _is_lit(light, points)
    # what faces the floor, near it, is dim
    sky = .50 + .32 * normals[:, 2]
    near = np.clip(points[:, 2] / 45, 0, 1)
    sky = sky * (.62 + .38 * np.maximum(near, normals[:, 2]))
    bright = .80 * sky + .70 * lamp
    return (colours * bright[:, None]).astype(np.float32)


def _is_lit(light: Array, points: Array) -> Array:
    """Share of the lamp (N,) that no animal keeps from each point."""
    right = np.cross([0, 0, 1.], light)
    right /= np.linalg.norm(right)
    plane = points @ np.stack([right, np.cross(light, right)]).T
    depth = -(points @ light)
    side = int(2 * _REACH_MM / _SHADOW_CELL_MM)
    cell = ((plane + _REACH_MM) / _SHADOW_CELL_MM).clip(0, side - 1)
    code = cell.astype(int) @ [side, 1]
    first = np.full(side**2, np.inf)
    np.minimum.at(first, code, depth)
    behind = depth - first[code] - _SHADOW_SLACK_MM
    return 1 - .8 * np.clip(behind / 4, 0, 1)


def _cast_shadow(light: Array, points: Array) -> Array:
    """How much darker the floor is, (S, S) float32."""
    shade = np.zeros((_SIDE, _SIDE), np.float32)
    for spot, strength, blur in (
            (points[:, :2] - light[:2] * (points[:, 2:] / light[2]), .5, 2.5),
            (points[points[:, 2] < 22][:, :2], .5, 4.)):
        cell = np.rint((spot + _REACH_MM) / _CELL_MM - .5).astype(int)
        cell = cell[((cell >= 0) & (cell < _SIDE)).all(1)]
        one = np.zeros((_SIDE, _SIDE), np.uint8)
        one[cell[:, 1], cell[:, 0]] = 255
        whole = cv2.morphologyEx(one, cv2.MORPH_CLOSE, np.ones((5, 5)))
        soft = cv2.GaussianBlur(whole, (0, 0), blur)
        np.maximum(shade, soft.astype(np.float32) * (strength / 255),
                   out=shade)
    return shade


def _splat(pixels: Array, depths: Array, shape: tuple[int, int]) -> Array:
    """The nearest point (2H, 2W) of each fine pixel; -1 for none.

    Args:
        pixels (ndarray): (N, 2).
        depths (ndarray): (N,) mm.
        shape (tuple[int, int]): H and W of the image.
    """
    height, width = shape[0] * _FINE, shape[1] * _FINE
    fine = np.nan_to_num((pixels + .5) * _FINE - .5, nan=-9.)
    x, y = np.rint(np.clip(fine, -9, 2**15)).astype(np.int32).T
    inside = np.flatnonzero((x >= 0) & (y >= 0) & (x < width) & (y < height))
    # farther ones first; small integers sort fast
    code = (depths[inside] * _DEPTH_STEPS).astype(np.uint16)
    order = inside[np.argsort(code, kind='stable')[::-1]]
    rank = np.full((height, width), -1, np.float32)
    rank[y[order], x[order]] = np.arange(len(order))
    # a point covers the pixels around it too
    wide = cv2.dilate(rank, np.ones((3, 3), np.uint8)).astype(np.int32)
    return np.append(order, -1).astype(np.int32)[wide]


def _blend(image: Array, nearest: Array, shades: Array) -> None:
    """Put animals, twice as fine, into an image (H, W, 3)."""
    there = nearest >= 0
    rows, columns = (np.flatnonzero(there.any(axis)) // _FINE
                     for axis in (1, 0))
    if not rows.size:
        return
    top, left = max(rows[0] - 2, 0), max(columns[0] - 2, 0)
    window = image[top:rows[-1] + 3, left:columns[-1] + 3]
    height, width = window.shape[:2]
    area = (slice(_FINE * top, _FINE * (top + height)),
            slice(_FINE * left, _FINE * (left + width)))
    covers = np.zeros((len(shades) + 1, 4), np.float32)  # -1 is the last
    covers[:-1, :3], covers[:-1, 3] = shades, 1
    canvas = covers.take(nearest[area], axis=0, mode='wrap')
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), _BLUR_PX)
    window *= 1 - small[..., 3:]
    window += small[..., :3]


def see(views: Sequence[View], cameras: Cameras, points: Array,
        margins: Array) -> Array:
    """Which points the cameras see.

    Args:
        views (Sequence[View]): From :func:`render`.
        cameras (Cameras): V.
        points (ndarray): (K, 3) mm.
        margins (ndarray): (K,) how deep below the skin each may lie, mm.

    Returns:
        ndarray: (V, K) bool.
    """
    pixels, depths = cameras.project(points)
    seen = np.zeros(depths.shape, bool)
    for v, view in enumerate(views):
        height, width = view.nearest.shape
        fine = np.rint((pixels[v] + .5) * _FINE - .5)
        inside = ((fine >= 0) & (fine < [width, height])).all(-1)
        x, y = fine[inside].astype(int).T
        point = view.nearest[y, x]
        before = np.append(view.depth, np.inf)[point]
        seen[v, inside] = depths[v, inside] - margins[inside] < before
    return seen

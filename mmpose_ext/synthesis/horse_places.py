"""Where horses are photographed: ground, sky, fences, and what is in the way.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mmpose_ext.synthesis.horse_pictures import Camera, Light

Array = np.ndarray
_TILE_PX, _TILE_M = 512, 10.
_MOST_HIDDEN = .35
_GROUNDS = {'grass': (.36, .47, .20), 'sand': (.70, .62, .50),
            'earth': (.47, .40, .31)}


@dataclass(frozen=True)
class Place:
    """A place, the same in all pictures of a horse. Colours are (3,)."""

    ground: Array
    texture: Array  # (T, T) about 0, goes on mirrored
    sky: Array  # (2, 3) colours, overhead and at the horizon
    trees: Array
    skyline: Array  # (W,) heights, m
    wall_m: float  # how far a wall is behind the horse, 0 none
    wall: Array
    fence_m: float  # how far a fence is behind the horse, 0 none
    fence: Array
    things: Array  # (M, 7) across, behind, width and height, m, and colour
    sun_from: float  # left to right of the photographer's back, radians
    sun_height: float
    light: Light


def draw_place(rng: np.random.Generator) -> Place:
    """Make up a place."""
    kind = rng.choice(list(_GROUNDS), p=[.5, .3, .2])
    cloudy = rng.random()
    walled = rng.random() < (.4 if kind != 'grass' else .1)
    trees = np.array([.16, .25, .12]) * rng.uniform(.6, 1.7) + rng.uniform(
        -.03, .06, 3)
    things = rng.uniform([-5, .8, .2, .2, -.2, -.2, -.2],
                         [5, 6, .9, 1.3, .2, .2, .2],
                         (rng.integers(0, 4), 7))
    things[:, 4:] += rng.uniform(.2, .8, (len(things), 1))
    return Place(
        ground=np.array(_GROUNDS[kind]) * rng.uniform(.75, 1.2)
        + rng.uniform(-.05, .05, 3),
        texture=_noise(rng, (_TILE_PX, _TILE_PX), 6)
        * np.float32(rng.uniform(.10, .22)),
        sky=np.stack([(1 - cloudy) * np.array([.35, .55, .85])
                      + cloudy * rng.uniform(.6, .9),
                      np.full(3, rng.uniform(.75, .98))]),
        trees=trees,
        skyline=rng.uniform(2, 9) * (1 + .35 * _noise(rng, (1, 512), 8)[0]),
        wall_m=rng.uniform(1.5, 6) * walled,
        wall=rng.uniform(.2, .8) + rng.uniform(-.08, .08, 3),
        fence_m=rng.uniform(1.2, 8) * (rng.random() < .5),
        fence=rng.choice([.9, .35, .15]) * rng.uniform(.9, 1.05, 3)
        * [1, .93, .85],
        things=things,
        sun_from=rng.normal(0, 1.),
        sun_height=rng.uniform(.4, 1.2),
        light=Light(np.zeros(3), sun=.9 * (1 - .85 * cloudy),
                    sky=.6 + .4 * cloudy))


def light_of(place: Place, camera: Camera) -> Light:
    """The light of a place, whose sun goes with the photographer."""
    right, _, ahead = camera.axes
    level = np.sin(place.sun_from) * right - np.cos(place.sun_from) * ahead
    towards = np.cos(place.sun_height) * level
    towards = towards + [0, 0, np.sin(place.sun_height)]
    return replace(place.light, towards_sun=towards)


def paint_place(rng: np.random.Generator, place: Place, camera: Camera,
                size: tuple[int, int], horse_m: float) -> Array:
    """Paint the surroundings.

    Args:
        rng (Generator): What differs from picture to picture.
        place (Place): What does not.
        camera (Camera): What looks.
        size (tuple[int, int]): Width and height, px.
        horse_m (float): Depth of the horse; things behind are farther.

    Returns:
        ndarray: (H, W, 3) float32.
    """
    width, height = size
    u = np.arange(width, dtype=np.float32)
    v = np.arange(height, dtype=np.float32)
    up = (camera.centre[1] - v) / camera.focal_px
    blend = np.clip(up / .5, 0, 1)[:, None]
    sky = (blend * place.sky[0] + (1 - blend) * place.sky[1])[:, None]
    image = np.repeat(sky.astype(np.float32), width, 1)
    tall = camera.position[2]
    view = rng.uniform(0, 512)
    if place.wall_m:
        depth = horse_m + place.wall_m
        board = np.abs(((u - camera.centre[0]) * depth / camera.focal_px
                        + view) % 1.2 - .6) < .03
        tone = place.wall * (1 - .3 * board)[:, None]
        band = (up * depth + tall < 3.2)
        image[band] = tone
    else:
        depth = 45.
        column = (view + (u - camera.centre[0]) / camera.focal_px * 150) % 512
        top = (np.interp(column, np.arange(512), place.skyline) - tall) / depth
        rows = slice(np.searchsorted(-up, -top.max()), np.searchsorted(
            -up, tall / depth, side='right'))
        if rows.start < rows.stop:
            leaves = cv2.resize(place.texture[:256, :256], (width, height))
            leaves = (1 + 2.2 * leaves[rows, :, None]) * np.float32(
                place.trees)
            forest = up[rows, None] < top
            np.copyto(image[rows], leaves, where=forest[..., None])
    _paint_ground(image, place, camera, up, view, depth)
    for thing in place.things:
        _paint_box(image, camera, thing[0], horse_m + thing[1],
                   (thing[0] + thing[2], 0, thing[3]), thing[4:])
    if place.fence_m:
        _paint_fence(image, None, place.fence, camera, horse_m + place.fence_m,
                     view)
    return image


def _paint_ground(image: Array, place: Place, camera: Camera, up: Array,
                  view: float, farthest: float) -> None:
    width = image.shape[1]
    depth = camera.position[2] / np.maximum(-up, 1e-4)
    rows = np.flatnonzero((up < 0) & (depth < farthest))
    if not rows.size:
        return
    depth = depth[rows].astype(np.float32)
    scale = _TILE_PX / _TILE_M
    across = np.arange(width, dtype=np.float32) - np.float32(
        camera.centre[0])
    x = across * (depth[:, None] * np.float32(scale / camera.focal_px))
    y = np.repeat(depth[:, None] * np.float32(scale), width, 1)
    grain = cv2.remap(place.texture, x + np.float32(view), y,
                      cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    # far away the grain is too fine to see
    grain *= 1 / (1 + depth[:, None] / 15)
    image[rows] = (1 + grain)[..., None] * place.ground.astype(np.float32)


def _paint_box(image: Array, camera: Camera, across: float, depth: float,
               limits: tuple[float, float, float], colour: Array) -> Array:
    """Paint an upright rectangle that faces the camera.

    Args:
        image (ndarray): (H, W, 3).
        camera (Camera): What looks.
        across (float): Left edge, m right of the optical axis.
        depth (float): m.
        limits (tuple): Right edge, m, and lower and upper edge, m above the
            ground.
        colour (ndarray): (3,).

    Returns:
        ndarray: (4,) left, top, right and bottom of it, px.
    """
    right, low, high = limits
    tall = camera.position[2]
    corners = np.array([across, tall - high, right, tall - low])
    box = np.tile(camera.centre, 2) + corners * (camera.focal_px / depth)
    whole = np.rint(np.clip(box, -9e3, 9e3)).astype(int)
    cv2.rectangle(image, whole[:2].tolist(), whole[2:].tolist(),
                  np.clip(colour, 0, 1).tolist(), -1)
    return box


def _paint_fence(image: Array, mask: Array | None, colour: Array,
                 camera: Camera, depth: float, view: float) -> None:
    """Paint posts and two rails; where `mask` is given, mark them there."""
    reach = (image.shape[1] + abs(camera.centre[0])) * depth / camera.focal_px
    boxes = [(-reach, (reach, rail, rail + .10)) for rail in (.55, 1.05)]
    posts = np.arange(-reach - view % 2.4, reach, 2.4)
    boxes += [(post, (post + .12, 0., 1.25)) for post in posts[:200]]
    for i, (across, limits) in enumerate(boxes):
        tone = colour * (.93 if i < 2 else .85)
        _paint_box(image, camera, across, depth, limits, tone)
        if mask is not None:
            _paint_box(mask, camera, across, depth, limits, np.ones(3))


def paint_in_front(rng: np.random.Generator, image: Array, camera: Camera,
                   silhouette: Array, horse_m: float,
                   place: Place) -> Array:
    """Paint a fence, a bush or a person before the horse.

    Args:
        rng (Generator): What is in the way, and where.
        image (ndarray): (H, W, 3) float32; painted on in place.
        camera (Camera): What looks.
        silhouette (ndarray): (H, W) bool, of the horse, which stays in
            sight for the greater part.
        horse_m (float): Depth of the horse.
        place (Place): Colours.

    Returns:
        ndarray: (H, W) bool, what is covered.
    """
    untouched = image.copy()
    mask = np.zeros(image.shape[:2], np.float32)
    kind = rng.choice(['fence', 'bush', 'person'], p=[.4, .35, .25])
    depth = max(horse_m - rng.uniform(1., 1.8), 1.5)
    columns = np.flatnonzero(silhouette.any(0))
    spot = rng.uniform(columns[0], columns[-1])
    if kind == 'fence':
        _paint_fence(image, mask, place.fence, camera, depth,
                     rng.uniform(0, 10))
    elif kind == 'bush':
        scale = camera.focal_px / depth
        ground = camera.centre[1] + scale * camera.position[2]
        size = scale * rng.uniform(.25, .5)
        centres = rng.normal(0, size / 2, (400, 2)) * [1, .8]
        for x, y in centres + [spot, ground - .5 * size]:
            at = [int(np.clip(x, -9e3, 9e3)), int(np.clip(y, -9e3, 9e3))]
            axes = [int(size * .09) + 1, int(size * .05) + 1]
            turn = float(rng.uniform(0, 180))
            tone = np.clip(place.trees * rng.uniform(.6, 2.2), 0, 1).tolist()
            cv2.ellipse(image, at, axes, turn, 0, 360, tone, -1)
            cv2.ellipse(mask, at, axes, turn, 0, 360, 1., -1)
    else:
        _paint_person(rng, image, mask, camera, depth, spot)
    covered = mask > 0
    if (covered & silhouette).sum() > _MOST_HIDDEN * silhouette.sum():
        image[:] = untouched
        covered[:] = False
    return covered


def _paint_person(rng: np.random.Generator, image: Array, mask: Array,
                  camera: Camera, depth: float, spot: float) -> None:
    scale = camera.focal_px / depth
    ground = camera.centre[1] + scale * camera.position[2]
    tall = rng.uniform(1.6, 1.85)

    def at(x: float, z: float) -> list[int]:
        place = np.array([spot + scale * x, ground - scale * z * tall / 1.75])
        return np.rint(np.clip(place, -9e3, 9e3)).astype(int).tolist()

    shirt, trousers = rng.uniform(.05, .9, (2, 3)).tolist()
    skin = (np.array([.85, .65, .52]) * rng.uniform(.45, 1.)).tolist()
    lines = [((-.09, .05), (-.08, .9), .15, trousers),
             ((.10, .05), (.08, .9), .15, trousers),
             ((0, .95), (0, 1.35), .34, shirt),
             ((-.22, 1.38), (-.27, .95), .10, shirt),
             ((.22, 1.38), (.27, .95), .10, shirt),
             ((0, 1.6), (0, 1.66), .19, skin)]
    for start, end, wide, colour in lines:
        for target, tone in ((image, colour), (mask, 1.)):
            cv2.line(target, at(*start), at(*end), tone,
                     max(int(wide * scale), 1), cv2.LINE_8)


def finish(rng: np.random.Generator, image: Array) -> Array:
    """Photograph a painted picture.

    Args:
        rng (Generator): Focus, exposure, white balance and noise.
        image (ndarray): (H, W, 3) float32.

    Returns:
        ndarray: (H, W, 3) uint8.
    """
    sigma = rng.uniform(.3, .6) + rng.exponential(.15)
    image = cv2.GaussianBlur(image, (0, 0), sigma * image.shape[1] / 640 + .1)
    tint = rng.uniform(.75, 1.2) * rng.normal(1, .04, 3)
    image = image * tint.astype(np.float32)
    grain = rng.standard_normal(image.shape[:2], np.float32)
    grain *= np.float32(rng.uniform(.004, .02))
    image = (image + grain[..., None]) * 255
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, shape: tuple[int, int],
           octaves: int) -> Array:
    """Noise (H, W) of many scales, about 0, nearly all within 1."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cells = [max(side >> octave + 1, 1) for side in shape]
        field = rng.standard_normal(cells).astype(np.float32)
        total += cv2.resize(field, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total / octaves**.5 / 1.5

"""Things that hands grasp: closed meshes with paint, in m.

Their sizes are about those of the YCB objects whose names they bear; each
lies about the origin. The paint tells one side from another, but for the two
that are symmetric: a bowl, which looks the same all around, and a brick,
which looks the same after half a turn about each axis.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from mmpose_ext.synthesis.grasp_meshes import (
    Mesh,
    along,
    blocks,
    joined,
    scatter,
    smoothed,
    tube,
    turned,
)

Array = np.ndarray

NAMES = {2: '003_cracker_box', 3: '004_sugar_box', 5: '006_mustard_bottle',
         10: '011_banana', 13: '024_bowl', 14: '025_mug',
         15: '035_power_drill', 21: '061_foam_brick'}
FAR_M = .06
_PAINT = 256  # px, side of a texture


@dataclass(frozen=True)
class Grip:
    """A way to take hold of a thing.

    Attributes:
        centre: (3,) what comes between thumb and fingers, m.
        across: (3,) from thumb to fingers, or the other way round.
        towards: (3,) the way the hand comes, at right angles to `across`.
        thickness: Along `across`, m.
        spread: By how much `towards` may turn about `across`, rad.
        slack: How far off the centre, at right angles to both, m.
        flips: Whether thumb and fingers may change sides.
    """

    centre: Array
    across: Array
    towards: Array
    thickness: float
    spread: float
    slack: float
    flips: bool = True


@dataclass(frozen=True)
class GraspObject:
    """A thing to grasp.

    Attributes:
        ycb_id: 1 to 21.
        vertices: (V, 3) m.
        faces: (F, 3) triangles, counter-clockwise as seen from outside.
        corners: (F, 3, 2) u to the right and v up in the texture, 0 to 1.
        normals: (F, 3, 3) out of the surface at the corners.
        smooth: Whether normals differ within a face.
        paint: (T, T, 3) uint8, red first.
        grips: Ways to take hold of it.
        rests: (R, 3) which ways may be up when it lies on a table.
        surface: Points on it, 2 mm apart.
        outward: (P, 3) normals at those points.
    """

    ycb_id: int
    vertices: Array
    faces: Array
    corners: Array
    normals: Array
    smooth: bool
    paint: Array
    grips: tuple[Grip, ...]
    rests: Array
    surface: cKDTree
    outward: Array

    @property
    def name(self) -> str:
        """As YCB has it."""
        return NAMES[self.ycb_id]


@cache
def grasp_object(ycb_id: int) -> GraspObject:
    """One of the things of :data:`NAMES`."""
    return {2: _cracker_box, 3: _sugar_box, 5: _mustard, 10: _banana,
            13: _bowl, 14: _mug, 15: _drill, 21: _brick}[ycb_id]()


def distances_to(thing: GraspObject, points: Array) -> Array:
    """Distances of points to the surface of a thing.

    Args:
        thing (GraspObject): What it is.
        points (ndarray): (..., 3) m, in its frame.

    Returns:
        ndarray: (...,) m; :data:`FAR_M` for all that is farther.
    """
    found, _ = thing.surface.query(points, distance_upper_bound=FAR_M)
    return np.minimum(found, FAR_M)


def _finished(ycb_id: int, mesh: Mesh, paint: Array,
              grips: Sequence[Grip], rests: Sequence[Sequence[float]]
              ) -> GraspObject:
    triangles = mesh.vertices[mesh.faces]
    flat = np.cross(triangles[:, 1] - triangles[:, 0],
                    triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(flat, axis=1) / 2
    keep = area > 1e-10
    triangles, flat, area = triangles[keep], flat[keep], area[keep]
    faces, corners = mesh.faces[keep], mesh.corners[keep]
    normals = np.repeat((flat / (2 * area[:, None]))[:, None], 3, 1)
    if mesh.smooth:
        normals = smoothed(len(mesh.vertices), faces, normals, area)
    points, outward = scatter(triangles, flat / (2 * area[:, None]))
    picture = np.rint(255 * np.clip(paint, 0, 1)).astype(np.uint8)
    return GraspObject(
        ycb_id, mesh.vertices, faces, corners, normals, mesh.smooth, picture,
        tuple(grips), np.array(rests, float), cKDTree(points), outward)


def _cracker_box() -> GraspObject:
    return _box(2, (.0718, .1640, .2134), [0], [(0, 0, 1), (0, 1, 0),
                                                (1, 0, 0)])


def _sugar_box() -> GraspObject:
    return _box(3, (.0495, .0940, .1760), [0, 1], [(0, 0, 1), (1, 0, 0)])


def _brick() -> GraspObject:
    return _box(21, (.0530, .0780, .0510), [0, 1, 2], [(0, 0, 1), (1, 0, 0)])


def _box(ycb_id: int, size: Sequence[float], across: Sequence[int],
         rests: Sequence[Sequence[float]]) -> GraspObject:
    """A box that is gripped across some of its axes."""
    half = np.array(size) / 2
    x, y, z = ([-side, side] for side in half)
    mesh = blocks(x, y, z, np.ones((1, 1, 1)))
    grips = []
    for axis in across:
        for other in sorted({0, 1, 2} - {axis}):
            for sign in (-1, 1):
                # from one of the four sides, near to it
                towards, centre = np.zeros((2, 3))
                towards[other] = -sign
                centre[other] = sign * max(half[other] - .045, 0)
                third = 3 - axis - other
                grips.append(Grip(
                    centre, np.eye(3)[axis], towards, 2 * half[axis], .5,
                    max(half[third] - .035, 0)))
    paint = _paint_sides(ycb_id, symmetric=ycb_id == 21)
    return _finished(ycb_id, mesh, paint, grips, rests)


def _mustard() -> GraspObject:
    profile = [(.046, -.096), (.0485, -.090), (.0485, -.055), (.047, -.02),
               (.047, .015), (.0445, .035), (.037, .050), (.022, .060),
               (.0165, .062), (.0160, .078), (.0105, .082), (.0085, .096)]
    mesh = tube(turned(profile, 28, .62))
    u, v = _texture_grid()
    paint = _pick(np.floor(u * 4) % 4, [(.95, .82, .1), (.15, .25, .75),
                                        (.98, .6, .08), (.1, .6, .35)])
    label = (np.abs((u * 4) % 1 - .5) < .3) & (np.abs(v - .24) < .11)
    paint[label] = _pick(np.floor(u * 4) % 2, [(.9, .1, .1), (1, 1, 1)]
                         )[label]
    paint[v > .69] = (.85, .05, .12)
    paint[v < .03] = (.2, .1, .3)
    grips = [Grip(np.array([0, 0, z]), np.array([0, 1., 0]),
                  np.array([sign, 0, 0.]), .060, .45, .02)
             for z in (-.035, .0) for sign in (-1., 1.)]
    grips.append(Grip(np.array([0, 0, .045]), np.array([0, 1., 0]),
                      np.array([0, 0, -1.]), .040, .4, 0.))
    return _finished(5, mesh, paint, grips, [(0, 0, 1), (0, 1, 0),
                                             (0, -1, 0)])


def _banana() -> GraspObject:
    turn = np.linspace(-.92, .92, 19)
    path = np.stack([.098 * (1 - np.cos(turn)), .098 * np.sin(turn),
                     0 * turn], 1)
    path[:, 0] -= path[:, 0].mean()
    ends = np.minimum(np.arange(19), np.arange(19)[::-1])
    radii = np.interp(ends, [0, 1, 2, 4, 9], [.006, .0075, .012, .0165,
                                              .0185])
    mesh = tube(along(path, radii, np.array([0, 0, 1.]), 12))
    u, v = _texture_grid()
    paint = _pick(np.floor(u * 3) % 3, [(.98, .88, .15), (.75, .5, .1),
                                        (.6, .85, .2)])
    paint[v < .14] = (.25, .15, .08)
    paint[v > .86] = (.2, .55, .15)
    paint[(np.abs(v - .5) < .06) & (u > .1) & (u < .6)] = (.1, .3, .85)
    grips = []
    for y in (-.035, 0, .035):
        near = path[np.argmin(np.abs(path[:, 1] - y))]
        for across, towards in (((0, 0, 1.), (1., 0, 0)),
                                ((0, 0, 1.), (-1., 0, 0)),
                                ((1., 0, 0), (0, 0, -1.)),
                                ((1., 0, 0), (0, 0, 1.))):
            grips.append(Grip(near, np.array(across), np.array(towards),
                              .036, .5, .01))
    return _finished(10, mesh, paint, grips, [(0, 0, 1), (0, 0, -1)])


def _bowl() -> GraspObject:
    outside = [(.002, -.027), (.036, -.027), (.043, -.022), (.060, -.008),
               (.072, .008), (.079, .024), (.0795, .0275)]
    inside = [(.0765, .0275), (.075, .022), (.067, .009), (.055, -.006),
              (.038, -.018), (.020, -.0205), (.002, -.021)]
    # more rings: what is nearer is painted later, face by face
    profile = _refined([*outside, *inside], .013)
    mesh = tube(turned(profile, 32))
    v = _texture_grid()[1]
    paint = _pick(np.floor(v * 16) % 4, [(.85, .15, .2), (.95, .9, .85),
                                         (.2, .3, .75), (.95, .75, .2)])
    paint[v > .56] = _pick(np.floor(v * 16) % 2, [
        (.25, .7, .6), (.9, .95, .95)])[v > .56]
    grips = []
    for turn in np.arange(8) * np.pi / 4:
        out = np.array([np.cos(turn), np.sin(turn), 0])
        grips.append(Grip(.072 * out + [0, 0, .012], out,
                          np.array([0, 0, -1.]), .030, .35, 0.))
        grips.append(Grip(.070 * out + [0, 0, .010],
                          np.array([0, 0, 1.]), -out, .034, .3, 0.))
    return _finished(13, mesh, paint, grips, [(0, 0, 1), (0, 0, -1)])


def _mug() -> GraspObject:
    wall = _refined([(.002, -.040), (.038, -.040), (.0405, -.037),
                     (.0405, .0405), (.0375, .0405), (.0372, -.032),
                     (.033, -.036), (.002, -.036)], .016)
    body = tube(turned(wall, 28), 0., .86)
    turn = np.linspace(-1.75, 1.75, 13)
    path = np.stack([.040 + .027 * np.cos(turn), 0 * turn,
                     .0275 * np.sin(turn)], 1)
    handle = tube(along(path, np.full(13, .0052), np.array([0, 1., 0]), 8),
                  .88, 1.)
    u, v = _texture_grid()
    sector = np.floor(u / .86 * 5) % 5
    paint = _pick(sector, [(.9, .2, .15), (.95, .9, .3), (.2, .65, .3),
                           (.2, .35, .85), (.7, .3, .75)])
    # the outside comes first along the wall, then the inside
    paint[v > .62] = .45 * paint[v > .62] + .5
    band = (np.abs(v - .40) < .04) & (u < .86)
    paint[band] = 1 - paint[band]
    paint[u > .87] = (.12, .12, .14)
    grips = [Grip(np.zeros(3), np.array([np.sin(turn), -np.cos(turn), 0]),
                  np.array([np.cos(turn), np.sin(turn), 0]), .081, .3, .008)
             for turn in np.radians([-50, -25, 0, 25, 50])]
    grips += [Grip(np.array([.066, 0, 0]), np.array([0, 1., 0]),
                   np.array([-1., 0, 0]), .011, .5, .008),
              Grip(np.array([-.039, 0, .02]), np.array([1., 0, 0]),
                   np.array([0, 0, -1.]), .006, .3, .0)]
    return _finished(14, joined([body, handle]), paint, grips,
                     [(0, 0, 1), (0, 0, -1), (-1, 0, 0)])


def _drill() -> GraspObject:
    xs = [-.092, -.070, -.048, -.026, -.004, .018, .040, .066, .092]
    zs = [-.094, -.072, -.050, -.026, -.002, .022, .046, .070, .094]
    ys = [-.028, -.018, .018, .028]
    solid = np.zeros((8, 3, 8), bool)
    solid[:6, :, 6:] = True  # motor
    solid[6, :, 6] = solid[6, :, 7] = True
    solid[7, 1, 6:] = True  # chuck
    solid[1:3, 1, 2:6] = True  # grip
    solid[:5, :, :2] = True  # battery
    mesh = blocks(xs, ys, zs, solid)
    paint = _paint_sides(15, symmetric=False)
    middle = np.array([-.048, 0, -.004])
    grips = [Grip(middle, np.array([0, 1., 0]), np.array([1., 0, 0]), .036,
                  .3, .016),
             Grip(middle, np.array([0, 1., 0]), np.array([-1., 0, 0]), .036,
                  .2, .01),
             Grip(np.array([-.02, 0, .070]), np.array([0, 1., 0]),
                  np.array([0, 0, -1.]), .056, .5, .02)]
    return _finished(15, mesh, paint, grips, [(0, 0, 1), (0, 1, 0),
                                              (0, -1, 0)])


def _refined(profile: Sequence[tuple[float, float]],
             step: float) -> list[tuple[float, float]]:
    """A profile with corners no farther apart than `step`, m."""
    points = np.array(profile)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    places = np.concatenate([[0], np.cumsum(lengths)])
    fine = np.unique(np.concatenate([
        np.linspace(a, b, int(np.ceil((b - a) / step)) + 1)
        for a, b in zip(places[:-1], places[1:], strict=True)]).round(9))
    return list(zip(np.interp(fine, places, points[:, 0]),
                    np.interp(fine, places, points[:, 1]), strict=True))


def _texture_grid() -> tuple[Array, Array]:
    """u and v (T, T) of the pixels of a texture."""
    line = (np.arange(_PAINT) + .5) / _PAINT
    u, v = np.meshgrid(line, line[::-1])
    return u, v


def _pick(rows: Array, colours: Sequence[Sequence[float]]) -> Array:
    return np.array(colours, float)[rows.astype(int)]


def _paint_sides(ycb_id: int, symmetric: bool) -> Array:
    """Six sides, each with a colour and a pattern of its own.

    Args:
        ycb_id (int): Whose.
        symmetric (bool): Whether opposite sides look the same, and each the
            same after half a turn.
    """
    u, v = _texture_grid()
    axis, side = np.floor(u * 3), np.floor(v * 2)
    x, y = (u * 3) % 1, (v * 2) % 1
    kind = axis if symmetric else axis + 3 * side
    hue = (kind / (3 if symmetric else 6) + ycb_id * .137) % 1
    steps = (np.array([5, 3, 1]) + 6 * hue[..., None]) % 6
    ramp = np.clip(np.minimum(steps, 4 - steps), 0, 1)
    plain = (.95 - .3 * (kind % 2))[..., None] * (1 - .85 * ramp)
    frame = np.maximum(np.abs(x - .5), np.abs(y - .5)) > .44
    if symmetric:
        shape = np.maximum(np.abs(x - .5), np.abs(y - .5)) < .2
    else:
        patterns = [
            np.hypot(x - .3, y - .7) < .2,
            (np.abs(x - .65) < .12) | (np.abs(y - .8) < .08),
            (x + y < .7), (y * 4 % 1 < .5) & (x < .5),
            np.hypot(x - .7, y - .35) < .22,
            (np.abs(x - y) < .12) | (y < .2)]
        shape = np.choose(kind.astype(int), patterns)
    paint = np.where(shape[..., None], 1 - plain, plain)
    return np.where(frame[..., None], .55 * plain, paint)

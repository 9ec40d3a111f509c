"""Two rats that meet: sniff, follow, stand side by side, and part.

Each encounter gives both a role. Their ways are walked together,
bodies push each other apart, and what still overlaps in the final postures
is moved apart smoothly. World in mm, angles in radians. T time points.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from mmpose_ext.synthesis.rats import take
from mmpose_ext.synthesis.rodent_poses import (
    NAMES,
    RANGE_MM,
    Build,
    Motion,
    Stance,
    animate,
    draw_wishes,
    pose_rat,
    smooth,
)

Array = np.ndarray

# What the animal that comes does, what the other one does, how often, and
# for how long (s, from and to).
_ENCOUNTERS: tuple[tuple[str, str, float, tuple[float, float]], ...] = (
    ('flank', 'rest', .28, (2., 4.)),
    ('climb', 'rest', .12, (2., 3.5)),
    ('abreast', 'roam', .18, (2., 4.)),
    ('abreast', 'rest', .08, (1.5, 3.)),
    ('opposed', 'rest', .16, (2., 3.5)),
    ('greet', 'rest', .05, (1., 2.)),
    ('follow', 'roam', .10, (1.5, 2.5)),
    ('part', 'part', .20, (1.5, 3.)))
# Behaviours that go with a role.
_MOODS: dict[str, tuple[str, ...]] = {
    'flank': ('sniff', 'crouch'), 'climb': ('rear', 'sniff'),
    'abreast': ('walk', 'sniff', 'crouch'),
    'opposed': ('sniff', 'crouch', 'rear'), 'greet': ('sniff', 'crouch'),
    'follow': ('walk', 'sniff'), 'part': ('walk', 'sniff', 'rear'),
    'roam': ('walk', 'turn', 'sniff'),
    'rest': ('crouch', 'groom', 'sniff', 'rear')}
_SIDE_MM = 59.  # between the spines of animals side by side
_NOSE_MM = 138.  # from SpineL to the snout
_FASTEST, _TURNING = 280., 3.6  # mm/s and rad/s on the way to the other
_PUSHES, _PUSH_MM, _TWIST = 12, 4., .03  # in a frame, the most of each
_CLIMB = .6  # share of a height that keeps bodies apart as they walk
_MARGIN_MM = 4.  # between bodies that touch
_INSIDE_MM = 212.  # from the arena's middle, of the balls of a body
_WARM_UP_S = 2.5  # until they have met
_ROUNDS = 12  # of moving bodies apart

# A chain of balls through the trunk and the head.
_CHAIN = np.array([  # rump, hips, shoulders, head, snout: weights
    [.6, .4, 0, 0, 0], [.25, .75, 0, 0, 0], [0, 1, 0, 0, 0],
    [0, .75, .25, 0, 0], [0, .5, .5, 0, 0], [0, .25, .75, 0, 0],
    [0, 0, 1, 0, 0], [0, 0, .6, .4, 0], [0, 0, 0, 1, 0],
    [0, 0, 0, .5, .5], [0, 0, 0, .1, .9]])
_CHAIN_MM = np.array([10., 21., 27., 27., 25., 23., 20., 16., 14., 9., 5.])


@dataclass
class _Walker:
    """Where an animal is while its way is made up."""

    place: Array
    heading: float

    @property
    def ahead(self) -> Array:
        return np.array([np.cos(self.heading), np.sin(self.heading)])

    @property
    def left(self) -> Array:
        return np.array([-np.sin(self.heading), np.cos(self.heading)])


@dataclass(frozen=True)
class _Role:
    """What an animal does towards the other one.

    `spot` is where on the other's body, mm ahead of SpineL, and `side` is 1
    for its left and -1 for its right.
    """

    name: str
    spot: float = 0.
    side: float = 1.


def draw_pair(rng: np.random.Generator, builds: tuple[Build, Build],
              count: int, fps: float) -> tuple[Motion, Motion]:
    """Make up what two animals do with each other.

    Args:
        rng (Generator): What they do.
        builds (tuple[Build, Build]): The animals.
        count (int): Time points T.
        fps (float): Time points a second.
    """
    early = int(_WARM_UP_S * fps)
    roles, wishes = _draw_roles(rng, early + count, fps)
    wishes = [smooth(each, fps) for each in wishes]
    keys = [int(key) for key in rng.integers(2**32, size=2)]
    still = np.zeros(early + count)
    # postures do not depend on the way
    shapes = [chain(build, pose_rat(build, animate(
        np.random.default_rng(key), wish, np.zeros((len(still), 2)), still,
        still, fps))) for build, key, wish in zip(builds, keys, wishes,
                                                  strict=True)]
    places, headings = _walk_together(rng, roles, wishes, shapes, fps)
    motions = []
    for key, wish, place, heading in zip(keys, wishes, places, headings,
                                         strict=True):
        place, heading = smooth(place, fps), smooth(heading, fps)
        motion = animate(
            np.random.default_rng(key), wish, place, heading,
            _speed_ahead(place, heading, fps), fps)
        motions.append(take(motion, slice(early, None)))
    return _move_apart(builds, (motions[0], motions[1]), fps)


def _draw_roles(rng: np.random.Generator, count: int, fps: float
                ) -> tuple[list[tuple[_Role, _Role]], list[Array]]:
    """Both animals' roles at each time point, and wishes (T, 13) of each."""
    roles: list[tuple[_Role, _Role]] = []
    wishes: list[list[Array]] = [[], []]
    odds = np.array([each[2] for each in _ENCOUNTERS])
    while len(roles) < count:
        comes, waits, _, (least, most) = _ENCOUNTERS[
            rng.choice(len(_ENCOUNTERS), p=odds / odds.sum())]
        length = min(int(fps * rng.uniform(least, most)), count - len(roles))
        pair = (_Role(comes, rng.uniform(-10, 75), rng.choice([-1., 1.])),
                _Role(waits))
        first = int(rng.integers(2))  # who comes
        roles += [(pair[first], pair[1 - first])] * length
        for rows, role in zip(wishes, roles[-1], strict=True):
            rows.append(draw_wishes(rng, length, fps, _MOODS[role.name]))
    return roles, [np.concatenate(rows) for rows in wishes]


def _walk_together(rng: np.random.Generator,
                   roles: list[tuple[_Role, _Role]], wishes: list[Array],
                   shapes: list[tuple[Array, Array]],
                   fps: float) -> tuple[Array, Array]:
    """Places (2, T, 2) and headings (2, T); shapes are those at 0."""
    turn = rng.uniform(-np.pi, np.pi)
    start = 60 * np.array([np.cos(turn), np.sin(turn)])
    pair = [_Walker(sign * start, rng.uniform(-np.pi, np.pi))
            for sign in (-1, 1)]
    apart = shapes[0][1][:, None] + shapes[1][1] + _MARGIN_MM
    places, headings = np.empty((2, len(roles), 2)), np.empty((2, len(roles)))
    for time, both in enumerate(roles):
        steps = [_steer(pair[i], pair[1 - i], both[i], wishes[i][time])
                 for i in range(2)]
        for walker, (speed, turning) in zip(pair, steps, strict=True):
            walker.heading += turning / fps
            walker.place = walker.place + speed / fps * walker.ahead
        for _ in range(_PUSHES):
            _push(pair, [balls[time] for balls, _ in shapes], apart)
        for i, walker in enumerate(pair):
            _keep_inside(walker, shapes[i][0][time])
            places[i, time], headings[i, time] = walker.place, walker.heading
    return places, headings


def _steer(own: _Walker, other: _Walker, role: _Role,
           wish: Array) -> tuple[float, float]:
    """Speed, mm/s, and turning, rad/s, that a role asks for."""
    speed, turning = max(float(wish[0]), 0.), float(wish[1])
    if role.name == 'rest':
        speed, turning = .3 * speed, .5 * turning
    elif role.name == 'part':
        off = _bearing(own, own.place - other.place)
        turning = .3 * turning + _turn_to(off)
    elif role.name in ('abreast', 'opposed'):
        speed, turning = _come_beside(own, other, role)
    elif role.name != 'roam':
        speed, turning = _come_to(own, _goal(other, role), 20. if role.name
                                  == 'climb' else _NOSE_MM)
    # the wall is near: turn to the middle
    middle = own.place + 40 * own.ahead
    urge = float(np.clip(1.6 * np.linalg.norm(middle) / RANGE_MM - .9, 0, 1))
    homeward = _bearing(own, -middle)
    turning = (1 - urge) * turning + urge * _turn_to(homeward)
    return speed * (1 - urge * (1 - np.cos(homeward)) / 2), turning


def _goal(other: _Walker, role: _Role) -> Array:
    """The place on the other's body that a snout, or hands, go to."""
    ahead, aside = {
        'flank': (role.spot, 38.), 'climb': (role.spot, 62.),
        'greet': (_NOSE_MM + 6, 5.), 'follow': (-48., 4.)}[role.name]
    return np.asarray(other.place + ahead * other.ahead
                      + role.side * aside * other.left)


def _come_to(own: _Walker, goal: Array,
             reach: float) -> tuple[float, float]:
    """Bring what is `reach` mm ahead of SpineL to a goal."""
    way = goal - own.place
    off = _bearing(own, way)
    missing = float(np.linalg.norm(way)) - reach
    speed = np.clip(2.5 * missing, -60, _FASTEST) * max(np.cos(off), .15)
    return float(speed), _turn_to(off)


def _come_beside(own: _Walker, other: _Walker,
                 role: _Role) -> tuple[float, float]:
    """Stand beside the other one, facing as it does or the other way."""
    back = role.name == 'opposed'
    goal = other.place + role.side * _SIDE_MM * other.left
    if back:  # bodies reach 90 mm farther ahead than behind
        goal = goal + 80 * other.ahead
    way = goal - own.place
    far = float(np.linalg.norm(way))
    facing = other.heading + (np.pi if back else 0.)
    turned = np.array([np.cos(facing), np.sin(facing)])
    near = np.exp(-(far / 60)**2)
    off = _bearing(own, (1 - near) * way / max(far, 1.) + near * turned)
    speed = np.clip(2.5 * float(way @ own.ahead), -60, _FASTEST)
    return float(speed), _turn_to(off)


def _turn_to(off: float) -> float:
    """Turning, rad/s, towards what is so far to the left."""
    return float(np.clip(4 * off, -_TURNING, _TURNING))


def _bearing(own: _Walker, way: Array) -> float:
    """How far to the left a way (2,) leads, -pi to pi."""
    return float(np.arctan2(own.left @ way, own.ahead @ way))


def _push(pair: list[_Walker], shapes: list[Array], apart: Array) -> None:
    """Move and turn bodies a little apart where they touch.

    Args:
        pair (list): Both animals, which are moved.
        shapes (list): Their balls (B, 3), were they at 0.
        apart (ndarray): (B, B) least distances, mm.
    """
    arms = [balls[:, :1] * body.ahead + balls[:, 1:2] * body.left
            for body, balls in zip(pair, shapes, strict=True)]
    way = (arms[0] + pair[0].place)[:, None] - (arms[1] + pair[1].place)
    rise = _CLIMB * (shapes[0][:, None, 2] - shapes[1][:, 2])
    gap = np.sqrt((way**2).sum(-1) + rise**2) - apart
    at = np.unravel_index(gap.argmin(), gap.shape)
    if gap[at] >= 0:
        return
    # bodies that cross part the way their middles lie
    between = arms[0].mean(0) + pair[0].place - arms[1].mean(0) - pair[
        1].place
    push = _unit(way[at] - gap[at] * _unit(between)) * min(
        -.5 * gap[at], _PUSH_MM)
    for body, arm, sign in ((pair[0], arms[0][at[0]], 1.),
                            (pair[1], arms[1][at[1]], -1.)):
        body.place = body.place + sign * push
        lever = arm - 40 * body.ahead
        twist = sign * (lever[0] * push[1] - lever[1] * push[0]) / 60**2
        body.heading += float(np.clip(twist, -_TWIST, _TWIST))


def _keep_inside(body: _Walker, shape: Array) -> None:
    """Move a body away from the wall; its balls (B, 3) are as at 0."""
    places = (body.place + shape[:, :1] * body.ahead
              + shape[:, 1:2] * body.left)
    far = np.linalg.norm(places, axis=-1)
    over = max(float(far.max()) - _INSIDE_MM, 0.)
    body.place = body.place - over * _unit(places[far.argmax()])


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(
        np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6))


def _speed_ahead(place: Array, heading: Array, fps: float) -> Array:
    """Speed (T,) that the paws have to walk, mm/s."""
    if len(place) < 2:
        return np.zeros(len(place))
    moved = np.gradient(place, axis=0) * fps
    return np.maximum(
        moved[:, 0] * np.cos(heading) + moved[:, 1] * np.sin(heading), 0)


def chain(build: Build, stance: Stance) -> tuple[Array, Array]:
    """Balls that fill an animal's trunk and head.

    Args:
        build (Build): The animal.
        stance (Stance): Its T postures.

    Returns:
        tuple[ndarray, ndarray]: Middles (T, B, 3) and radii (B,), mm.
    """
    at = {name: stance.points[:, i] for i, name in enumerate(NAMES)}
    places = np.stack([
        at['TailBase'], (at['HipL'] + at['HipR']) / 2,
        (at['ShoulderL'] + at['ShoulderR']) / 2,
        (at['SpineF'] + at['Snout']) / 2, at['Snout']], 1)
    return (np.einsum('bp,tpi->tbi', _CHAIN, places),
            _CHAIN_MM * build.girth)


def gaps(one: tuple[Array, Array],
         two: tuple[Array, Array]) -> tuple[Array, Array]:
    """How far apart two animals are where they are nearest.

    Args:
        one (tuple[ndarray, ndarray]): From :func:`chain`.
        two (tuple[ndarray, ndarray]): Likewise.

    Returns:
        tuple[ndarray, ndarray]: The gap (T,), mm, below 0 where bodies
        overlap, and the way (T, 3) from the second to the first there, mm.
    """
    way = one[0][:, :, None] - two[0][:, None]
    gap = (np.linalg.norm(way, axis=-1)
           - (one[1][:, None] + two[1])).reshape(len(way), -1)
    row, nearest = np.arange(len(gap)), gap.argmin(1)
    return gap[row, nearest], way.reshape(len(gap), -1, 3)[row, nearest]


def _move_apart(builds: tuple[Build, Build], pair: tuple[Motion, Motion],
                fps: float) -> tuple[Motion, Motion]:
    """The motions, moved smoothly where bodies would overlap."""
    shift = np.zeros((len(pair[0].place), 2))
    moved = pair
    width = max(int(.4 * fps), 1)
    for _ in range(_ROUNDS):
        chains = [chain(build, pose_rat(build, motion))
                  for build, motion in zip(builds, moved, strict=True)]
        gap, way = gaps(chains[0], chains[1])
        if gap.min() > -1:
            break
        between = (chains[0][0].mean(1) - chains[1][0].mean(1))[:, :2]
        deep = np.maximum(-gap, 0)[:, None]
        level = _unit(way[:, :2] + deep * _unit(between))
        # what comes before and after gives way too
        more = maximum_filter1d(np.maximum(1 - gap, 0), 2 * width + 1)
        more = gaussian_filter1d(more, .5 * width)
        level = gaussian_filter1d(level, .5 * width, axis=0)
        shift += .3 * more[:, None] * level
        moved = tuple(  # type: ignore[assignment]
            replace(motion, place=motion.place + sign * shift)
            for motion, sign in zip(pair, (.5, -.5), strict=True))
    return moved

"""Two mice that meet: who does what, and where each of them goes.

Behaviours take turns, each for a while that is drawn at random; which one
comes next depends on the last one and on how far apart the animals are. An
animal knows where the other was some frames ago, not where it is: so what it
does comes later than what it answers.
"""
from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from mmpose_ext.synthesis.dyad_gaits import (
    FPS,
    Traits,
    Trunks,
    steady_noise,
)

Array = np.ndarray

BEHAVIOURS = ('approach', 'attack', 'follow', 'idle', 'investigation',
              'other')
ARENA = (1024, 570)  # px
_MARGIN = 62.  # of the middle of a trunk from a wall, px
_APPROACH, _ATTACK, _FOLLOW, _IDLE, _INVESTIGATION, _OTHER = range(6)
_SECONDS = np.array([4., 2.4, 3.8, 2., 3.3, 4.2])  # of approach at most
_SHORTEST = .8  # s
_CONTACT, _FAR = 85., 190.  # px between the middles of the trunks
# What comes next, behaviours as columns: after a behaviour (rows) of animals
# that are close to each other, and of animals that are not.
_NEAR = np.array([
    [0, .22, .38, 0, .40, 0],
    [0, 0, .45, .05, .20, .30],
    [0, .20, 0, .08, .37, .35],
    [0, .10, .35, 0, .30, .25],
    [0, .18, .42, .10, 0, .30],
    [.10, .12, .35, .13, .30, 0]])
_APART = np.array([
    [0, 0, 0, .2, 0, .8],
    [.6, 0, 0, .1, 0, .3],
    [.6, 0, 0, .1, 0, .3],
    [.7, 0, 0, 0, 0, .3],
    [.6, 0, 0, .1, 0, .3],
    [.8, 0, 0, .2, 0, 0]])
_WARM_UP = 150  # frames until nothing is left of how the animals were put
_ARC_PX = 100.
_LOOK_AHEAD = 5  # frames along the path of who is pursued


@dataclass(frozen=True)
class Manner:
    """How an animal moves in a role; px, rad, frames.

    Attributes:
        speed: Of its own, a frame.
        unsteady: Share by which that wanders.
        turning: By which it wanders, rad a frame.
        circling: Rad a frame, to the same side all along.
        pursuit: How hard it steers to where the other was.
        herd: How hard it steers as the other did.
        company: How hard it steers to keep some way from the other.
        fellow: How much of its speed is the other's.
        gain: How much faster for each px that it lags behind.
        most: The highest speed.
        delay: Of its answers, relative to a usual one.
        behind: How far behind the other's middle the spot lies that it
            goes for.
        standoff: How far it stays away from that.
        attention: How much it looks at the other.
        eagerness: How wide its head scans.
    """

    speed: float = 0.
    unsteady: float = 0.
    turning: float = .004
    circling: float = 0.
    pursuit: float = 0.
    herd: float = 0.
    company: float = 0.
    fellow: float = 0.
    gain: float = 0.
    most: float = 9.
    delay: float = 1.
    behind: float = 0.
    standoff: float = 0.
    attention: float = 0.
    eagerness: float = 1.


_STROLL = Manner(
    speed=3.8, unsteady=.4, turning=.018, herd=.015, company=.05, fellow=.4,
    attention=.7)
_REST = Manner(most=.3, attention=.6)
# of the actor, then of the other one
_MANNERS = (
    Manner(pursuit=.16, gain=.12, standoff=60, attention=1.),
    Manner(speed=1., unsteady=.5, turning=.015, most=3., attention=1.),
    Manner(pursuit=.22, fellow=1., gain=.2, delay=.6, standoff=8,
           turning=.04, attention=.3, eagerness=.9),
    Manner(speed=5.4, unsteady=.25, turning=.03, circling=.11, eagerness=.9),
    Manner(pursuit=.18, fellow=1., gain=.12, attention=.2),
    Manner(speed=5.2, unsteady=.35, turning=.02, attention=.1),
    _REST, _REST,
    Manner(pursuit=.16, fellow=1., gain=.1, most=5., delay=.9, behind=36,
           standoff=48, attention=.8, eagerness=1.25),
    Manner(speed=1.8, unsteady=.45, turning=.018, most=4., attention=.3),
    _STROLL, _STROLL)
_BY_ROLE = {field.name: np.array([getattr(manner, field.name)
                                  for manner in _MANNERS])
            for field in fields(Manner)}


@dataclass(frozen=True)
class Dyad:
    """A recording's two animals, what they do and where they go.

    Attributes:
        traits: Arrays of shape (2,).
        trunks: T frames of both.
        behaviours: (T,) int64, places in `BEHAVIOURS`.
        actor: (T,) int64, the one who approaches, attacks, follows or
            investigates; arbitrary in `idle` and `other`.
    """

    traits: Traits
    trunks: Trunks
    behaviours: Array
    actor: Array


class _Course:
    """Which behaviour a pair is in; asked when one ends."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.behaviour, self.actor, self.side, self.left = _OTHER, 0, 1, 0
        self._start()

    def change(self, distance: float, facing: Array) -> None:
        """Take up another behaviour.

        Args:
            distance (float): Between the animals, px.
            facing (ndarray): (2,) how far before each the other is, px.
        """
        chances = (_NEAR if distance < _FAR else _APART)[self.behaviour]
        if self.behaviour == _APPROACH and distance >= _CONTACT:
            chances = _APART[_APPROACH]  # it gave up
        last = self.behaviour
        self.behaviour = int(self._rng.choice(len(BEHAVIOURS), p=chances))
        # who came to the other goes on; else mostly who sees the other
        if self.behaviour == _APPROACH:
            self.actor = int(self._rng.integers(2))
        elif last != _APPROACH or self._rng.random() < .1:
            first = self._rng.random() < .85
            self.actor = int(facing.argmax() if first else facing.argmin())
        self._start()

    def _start(self) -> None:
        mean = _SECONDS[self.behaviour]
        seconds = (mean if self.behaviour == _APPROACH else _SHORTEST
                   + self._rng.gamma(3, (mean - _SHORTEST) / 3))
        self.left = round(FPS * seconds)
        self.side = int(self._rng.choice([-1, 1]))


class _Herd:
    """All pairs at once, frame after frame; P pairs."""

    def __init__(self, rngs: list[np.random.Generator], traits: Traits,
                 frames: int) -> None:
        pairs = len(rngs)
        self.traits = traits
        self.position = np.empty((frames, pairs, 2, 2))
        self.heading, self.turn, self.speed = np.zeros((3, frames, pairs, 2))
        self.role = np.empty((frames, pairs, 2), np.int64)
        self.behaviour, self.actor = np.empty((2, frames, pairs), np.int64)
        low, high = np.full(2, _MARGIN), np.array(ARENA) - _MARGIN
        self.position[0] = [rng.uniform(low, high, (2, 2)) for rng in rngs]
        self.heading[0] = [rng.uniform(-np.pi, np.pi, 2) for rng in rngs]
        self.hurry, self.whim = (np.stack([
            steady_noise(rng, (frames, 2), constant) for rng in rngs], 1)
            for constant in (18., 10.))
        self.courses = [_Course(rng) for rng in rngs]
        self._pairs = np.arange(pairs)[:, None]
        self._other = np.array([[1, 0]])

    def advance(self, t: int) -> None:
        """Find where the animals are in frame `t` + 1."""
        side = self._choose_roles(t)
        way = {name: values[self.role[t]]
               for name, values in _BY_ROLE.items()}
        ahead = _unit(self.heading[t])
        delay = np.rint(self.traits.reaction * way['delay']).astype(int)
        goal, error = self._seek(t, delay, way, ahead)
        seen = np.maximum(t - delay, 0), self._pairs, self._other
        speed = self.traits.pace * way['speed'] * np.exp(
            way['unsteady'] * self.hurry[t])
        speed = ((1 - way['fellow']) * speed + way['fellow']
                 * self.speed[seen] + way['gain'] * error)
        speed = np.clip(speed, 0, way['most'] * self.traits.pace)
        turn = (way['turning'] * self.whim[t] + way['circling']
                * side[:, None]
                + (way['pursuit'] + way['company'] * self._loneliness(t))
                * np.sin(goal - self.heading[t])
                + way['herd'] * np.sin(self.heading[seen] - self.heading[t])
                + self._avoid_walls(t, ahead))
        # who stands does not turn on the spot
        turn = self.traits.agility * np.clip(turn, -.2, .2) * np.tanh(
            .15 + self.speed[t] / 2)
        speed = speed * (1 - 2.5 * np.abs(turn).clip(0, .16))
        self.speed[t + 1] = self.speed[t] + (speed - self.speed[t]) / 4
        self.turn[t + 1] = self.turn[t] + (turn - self.turn[t]) / 3
        self.heading[t + 1] = self.heading[t] + self.turn[t + 1]
        self._move(t, ahead)

    def _choose_roles(self, t: int) -> Array:
        way = self.position[t, :, ::-1] - self.position[t]
        distances = np.hypot(way[:, 0, 0], way[:, 0, 1])
        facing = (way * _unit(self.heading[t])).sum(-1)
        for pair, course in enumerate(self.courses):
            arrived = (course.behaviour == _APPROACH
                       and distances[pair] < _CONTACT)
            if course.left <= 0 or arrived:
                course.change(distances[pair], facing[pair])
            course.left -= 1
        behaviour, actor, side = np.array([
            (course.behaviour, course.actor, course.side)
            for course in self.courses]).T
        self.behaviour[t], self.actor[t] = behaviour, actor
        self.role[t] = 2 * behaviour[:, None] + (
            actor[:, None] != np.arange(2))
        return side

    def _seek(self, t: int, delay: Array, way: dict[str, Array],
              ahead: Array) -> tuple[Array, Array]:
        """The direction of the other, and how far it is still to go."""
        def recall(frames: Array) -> Array:
            seen = (np.maximum(t - np.maximum(frames, 0), 0), self._pairs,
                    self._other)
            return (self.position[seen] - way['behind'][..., None]
                    * _unit(self.heading[seen]) - self.position[t])

        aim, mark = recall(delay - _LOOK_AHEAD), recall(delay)
        # what is reached has no direction: then its own path is as good
        aim = aim + 6 * ahead
        # who is behind it is reached in an arc, and for that one has to walk
        far = np.hypot(mark[..., 0], mark[..., 1])
        error = np.maximum(np.einsum('pia,pia->pi', mark, ahead),
                           .4 * far * (far > _ARC_PX))
        return (np.arctan2(aim[..., 1], aim[..., 0]),
                error - way['standoff'])

    def _loneliness(self, t: int) -> Array:
        """From -1, too close, to 1, too far from each other."""
        way = self.position[t, :, 0] - self.position[t, :, 1]
        distance = np.hypot(way[:, 0], way[:, 1])[:, None]
        return np.clip((distance - 220) / 100, -1, 1)

    def _avoid_walls(self, t: int, ahead: Array) -> Array:
        """Turn to the middle where the way ahead leaves the arena."""
        reach = 30 + 14 * self.speed[t]
        spot = self.position[t] + reach[..., None] * ahead
        low, high = _MARGIN, np.array(ARENA) - _MARGIN
        beyond = np.maximum(low - spot, 0) + np.maximum(spot - high, 0)
        home = np.array(ARENA) / 2 - self.position[t]
        angle = np.arctan2(home[..., 1], home[..., 0])
        return .0022 * beyond.sum(-1) * np.sin(angle - self.heading[t])

    def _move(self, t: int, ahead: Array) -> None:
        """Go on, but not through the other nor through a wall."""
        place = self.position[t] + self.speed[t + 1][..., None] * _unit(
            self.heading[t + 1])
        way = place[:, 0] - place[:, 1]
        distance = np.hypot(way[:, 0], way[:, 1])[:, None] + 1e-6
        push = .1 * np.maximum(38 - distance, 0) * way / distance
        place[:, 0] += push
        place[:, 1] -= push
        self.position[t + 1] = np.clip(
            place, _MARGIN - 10, np.array(ARENA) - _MARGIN + 10)


def simulate_dyads(rngs: list[np.random.Generator], traits: Traits,
                   frames: int) -> list[Dyad]:
    """Let pairs of mice live, all at once.

    Args:
        rngs (list[Generator]): One for each of the P pairs: what a pair does
            does not depend on the others.
        traits (Traits): Arrays of shape (P, 2).
        frames (int): T.

    Returns:
        list[Dyad]: P of them.
    """
    herd = _Herd(rngs, traits, frames + _WARM_UP + 1)
    for t in range(frames + _WARM_UP):
        herd.advance(t)
    rows = slice(_WARM_UP, -1)
    dyads = []
    for pair in range(len(rngs)):
        roles = herd.role[rows, pair]
        trunks = Trunks(
            herd.position[rows, pair], herd.heading[rows, pair],
            herd.turn[rows, pair], herd.speed[rows, pair],
            _BY_ROLE['attention'][roles], _BY_ROLE['eagerness'][roles])
        own = Traits(**{name: values[pair]
                        for name, values in vars(traits).items()})
        dyads.append(Dyad(own, trunks, herd.behaviour[rows, pair],
                          herd.actor[rows, pair]))
    return dyads


def _unit(angle: Array) -> Array:
    return np.stack([np.cos(angle), np.sin(angle)], -1)

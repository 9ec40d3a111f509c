"""Horses: what stays with one, and what it does from image to image."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
LEGS = ('lf', 'rf', 'lh', 'rh')
MANE_LOCKS = 24


@dataclass(frozen=True)
class Build:
    """What stays with a horse; factors of a middling one unless said."""

    height_m: float  # at the withers
    legs: float
    girth: float
    belly: float
    neck: float
    crest: float
    head: float
    tail_m: float
    mane_side: int  # 1 hangs to the left, -1 to the right
    mane: Array  # (MANE_LOCKS,) how far down the neck it hangs, 0 to 1
    saddled: bool
    bridled: bool


@dataclass(frozen=True)
class Pose:
    """What changes from image to image; degrees. Legs in the order of LEGS."""

    protraction: Array  # (4,) forward positive
    flexion: Array  # (4,) of the legs in the air
    stance: Array  # (4,) bool
    abduction: Array  # (4,) outward positive
    neck: float  # elevation at the trunk
    neck_change: float  # up to the poll
    neck_turn: float  # to the left
    head: float  # of the nose below the poll
    head_turn: float
    ears: float  # forward positive
    tail_lift: float
    tail_swing: float
    grazing: bool  # the neck then goes down as far as the grass

    @classmethod
    def rest(cls) -> Pose:
        """Standing square, looking ahead."""
        zeros = np.zeros(4)
        return cls(zeros, zeros, zeros == 0, zeros, 45., 0., 0., 50., 0., 0.,
                   0., 0., False)


def draw_build(rng: np.random.Generator) -> Build:
    """Make up a horse, from a pony to a warmblood."""
    height = rng.uniform(1.15, 1.75)
    stout = (1.45 - height) / .6 + rng.normal(0, .35)
    return Build(
        height_m=height,
        legs=1 - .06 * stout + rng.normal(0, .015),
        girth=1 + .07 * stout + rng.normal(0, .03),
        belly=1 + .09 * stout + rng.normal(0, .03),
        neck=1 - .05 * stout + rng.normal(0, .03),
        crest=1 + .09 * stout + rng.normal(0, .05),
        head=1 + .06 * stout + rng.normal(0, .03),
        tail_m=rng.uniform(.7, 1.05),
        mane_side=int(rng.choice([-1, 1])),
        mane=rng.uniform(.25, .75) + .25 * rng.random(MANE_LOCKS),
        saddled=bool(rng.random() < .2),
        bridled=bool(rng.random() < .4))


def draw_pose(rng: np.random.Generator) -> Pose:
    """Make up a pose: standing, walking, trotting or grazing."""
    gait = rng.choice(['stand', 'walk', 'trot', 'graze'],
                      p=[.33, .25, .2, .22])
    grazing = bool(gait == 'graze')
    if gait in ('stand', 'graze'):
        protraction = rng.normal(0, 6, 4)
        if grazing:  # one fore leg ahead of the other
            protraction += rng.choice([-9, 9]) * np.array([1, -1, 0, 0])
        flexion, stance = np.zeros(4), np.ones(4, bool)
        if rng.random() < .25:  # rests a hind leg
            leg = rng.integers(2, 4)
            stance[leg], flexion[leg] = False, 18
    else:
        protraction, flexion, stance = _step(
            rng.random(), bool(gait == 'trot'), rng.uniform(.75, 1.2))
    neck = rng.normal(8 if rng.random() < .25 else 47, 9)
    return Pose(
        protraction=protraction,
        flexion=flexion,
        stance=stance,
        abduction=rng.normal(0, 2, 4),
        neck=neck,
        neck_change=rng.normal(-15 if grazing else 0, 8),
        neck_turn=np.clip(rng.normal(0, 16), -45, 45),
        head=np.clip(rng.normal(80 if grazing else 50, 10), 20, 100),
        head_turn=np.clip(rng.normal(0, 12), -30, 30),
        ears=rng.normal(0, 15),
        tail_lift=abs(rng.normal(0, 14)) + 12 * (gait == 'trot'),
        tail_swing=rng.normal(0, 14),
        grazing=grazing)


def _step(phase: float, trot: bool,
          stride: float) -> tuple[Array, Array, Array]:
    """Protraction, flexion and stance of the legs at a phase of the stride."""
    offsets = [0, .5, .5, 0] if trot else [.25, .75, 0, .5]
    phases = (phase + np.array(offsets)) % 1
    duty, reach, lift = (.42, 24., 60.) if trot else (.62, 20., 42.)
    swing = np.clip((phases - duty) / (1 - duty), 0, 1)
    stance = swing == 0
    forth = np.where(stance, 1 - 2 * phases / duty, -np.cos(np.pi * swing))
    return (stride * reach * forth, stride * lift * np.sin(np.pi * swing**.8),
            stance)

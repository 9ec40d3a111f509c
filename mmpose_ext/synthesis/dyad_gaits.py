"""How mice that are seen from above are built, stride and hold their heads.

The trunk bends into the turn, hips and shoulders sway with each stride, and
the head scans from side to side at a pace that does not depend on how fast
the animal walks. By both paces together one sees how fast a film is played.
"""
from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.signal import lfilter

Array = np.ndarray

KEYPOINTS = ('nose', 'left_ear', 'right_ear', 'neck', 'left_hip', 'right_hip',
             'tail')
FPS = 30.
_SIGHT_PX = 280.  # within this an animal looks at the other
_MOST_GAZE = 1.  # rad to either side
_GAZE_FRAMES = 5.  # time constant of a head that turns
_BEND = 4.  # rad of bend for a turn of one rad a frame


@dataclass(frozen=True)
class Traits:
    """Build and gait, an array each; axes as the owner likes.

    Attributes:
        scale: Size relative to a usual mouse.
        pace: Walking speed relative to a usual mouse.
        reaction: Frames until an animal answers what another does.
        stride_hz: Strides a second of an animal that hardly moves.
        stride_slope: Further strides a second for each px a frame.
        sway: Of the hips to either side, px.
        scan_hz: How often the head swings, whatever the speed.
        scan: How far it swings to either side, rad.
        agility: How hard an animal steers relative to a usual mouse.
    """

    scale: Array
    pace: Array
    reaction: Array
    stride_hz: Array
    stride_slope: Array
    sway: Array
    scan_hz: Array
    scan: Array
    agility: Array


@dataclass(frozen=True)
class Trunks:
    """Where the animals are and how they move; T frames, N individuals.

    Attributes:
        position: (T, N, 2) middle of the trunk, px, y downward.
        heading: (T, N) rad, 0 along x, growing from x to y.
        turn: (T, N) rad a frame.
        speed: (T, N) px a frame, forward.
        attention: (T, N) how much an animal looks at the other, 0 to 1.
        eagerness: (T, N) how wide the head scans, relative to `Traits.scan`.
    """

    position: Array
    heading: Array
    turn: Array
    speed: Array
    attention: Array
    eagerness: Array


def draw_traits(rng: np.random.Generator, count: int) -> Traits:
    """Make up animals.

    Args:
        rng (Generator): Decides.
        count (int): Animals.

    Returns:
        Traits: Arrays of shape (`count`,).
    """
    def about(middle: float, share: float) -> Array:
        return middle * np.exp(rng.normal(0, share, count).clip(
            -2 * share, 2 * share))

    return Traits(
        scale=about(1., .08), pace=about(1., .1),
        reaction=rng.integers(10, 15, count), stride_hz=about(2.2, .06),
        stride_slope=about(.22, .06), sway=about(2.6, .1),
        scan_hz=about(3., .07), scan=about(.24, .08), agility=about(1., .1))


def stack_traits(traits: list[Traits]) -> Traits:
    """Join traits along a new first axis."""
    return Traits(**{
        field.name: np.stack([getattr(each, field.name) for each in traits])
        for field in fields(Traits)})


def steady_noise(rng: np.random.Generator, shape: tuple[int, ...],
                 frames: float) -> Array:
    """Noise that changes smoothly along the first axis, std 1 all along.

    Args:
        rng (Generator): Decides.
        shape (tuple[int, ...]): Of the result.
        frames (float): Time constant.
    """
    keep = np.exp(-1 / frames)
    noise = rng.normal(0, np.sqrt(1 - keep**2), shape)
    noise[0] /= np.sqrt(1 - keep**2)
    return lfilter([1], [1, -keep], noise, axis=0)


def pose_mice(rng: np.random.Generator, traits: Traits,
              trunks: Trunks) -> Array:
    """Put the keypoints on moving trunks.

    Args:
        rng (Generator): Of the gaits' irregularities.
        traits (Traits): Arrays of shape (N,).
        trunks (Trunks): T frames of N = 2 animals.

    Returns:
        ndarray: (T, N, 7, 2) px, points in the order of `KEYPOINTS`.
    """
    shape = trunks.heading.shape
    stride = _phase(rng, traits.stride_hz + traits.stride_slope
                    * trunks.speed, .04)
    swing = np.sin(stride)[..., None]
    effort = np.tanh(trunks.speed / 2)[..., None]
    sway = traits.sway[:, None] * effort * swing
    bend = _BEND * _smooth(trunks.turn, 4.)
    ahead, across = _axes(trunks.heading)
    length = traits.scale[:, None]
    front, _ = _axes(trunks.heading + bend)
    rear, rear_across = _axes(trunks.heading - bend)
    neck = trunks.position + 26 * length * front - .5 * sway * across
    hips = trunks.position - 20 * length * rear + sway * rear_across
    tail = trunks.position - 36 * length * rear + .6 * sway * rear_across
    scan = (traits.scan * trunks.eagerness
            * np.exp(.15 * steady_noise(rng, shape, 20.))
            * np.sin(_phase(rng, np.broadcast_to(traits.scan_hz, shape),
                            .03)))
    gaze = _gaze(traits, trunks) + .12 * steady_noise(rng, shape, 12.)
    face, cheek = _axes(trunks.heading + bend + gaze + scan)
    # sniffing also pushes the nose forth and back
    reach = 24 + 1.5 * np.sin(2 * stride)
    step = 3.5 * effort * swing * rear
    return np.stack([
        neck + length * reach[..., None] * face,
        neck + length * (8 * face - 9 * cheek),
        neck + length * (8 * face + 9 * cheek), neck,
        hips + length * (step - 11 * rear_across),
        hips + length * (-step + 11 * rear_across), tail], 2)


def _gaze(traits: Traits, trunks: Trunks) -> Array:
    """How far an animal has turned its head towards the other, (T, N) rad."""
    frames = np.arange(len(trunks.heading))[:, None]
    seen = np.maximum(frames - traits.reaction, 0)
    other = trunks.position[seen, [1, 0]]
    way = other - trunks.position
    off = np.arctan2(way[..., 1], way[..., 0]) - trunks.heading
    off = (off + np.pi) % (2 * np.pi) - np.pi
    distance = np.linalg.norm(way, axis=-1)
    # none looks far behind itself, nor at what is far off
    interest = trunks.attention * np.exp(-(distance / _SIGHT_PX)**2)
    interest = interest * (np.cos(off) > -.5)
    return _smooth(interest * off.clip(-_MOST_GAZE, _MOST_GAZE),
                   _GAZE_FRAMES)


def _axes(angle: Array) -> tuple[Array, Array]:
    """Ahead and to the right as seen in the picture, where y is down."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos, sin], -1), np.stack([-sin, cos], -1)


def _phase(rng: np.random.Generator, hertz: Array, spread: float) -> Array:
    """Phase of a slightly irregular oscillation, rad, like `hertz`."""
    uneven = np.exp(spread * steady_noise(rng, hertz.shape, 10.))
    start = rng.uniform(0, 2 * np.pi, hertz.shape[1])
    return start + np.cumsum(2 * np.pi / FPS * hertz * uneven, 0)


def _smooth(values: Array, frames: float) -> Array:
    """Follow with inertia along the first axis."""
    keep = np.exp(-1 / frames)
    start = keep * values[:1]
    return lfilter([1 - keep], [1, -keep], values, axis=0, zi=start)[0]

"""Films of rats and their files, as a laboratory leaves them.

A session has animals, an arena and a calibration of its own. One camera
starts some frames earlier than the others, and labels that no camera could
see are missing, as in real files.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import (
    CameraCalibration,
    ComTrack,
    Label3D,
    VideoWriter,
    write_com3d,
    write_label3d,
    write_npz,
)
from mmpose_ext.synthesis.arena_cameras import draw_rig
from mmpose_ext.synthesis.arena_scenes import (
    Body,
    Scene,
    View,
    draw_scene,
    render,
    see,
)
from mmpose_ext.synthesis.rat_pairs import draw_pair
from mmpose_ext.synthesis.rats import take
from mmpose_ext.synthesis.rodent_bodies import (
    cover,
    keypoint_depths,
    paint_coat,
)
from mmpose_ext.synthesis.rodent_poses import (
    NAMES,
    Build,
    Motion,
    Stance,
    draw_build,
    draw_motion,
    pose_rat,
)

Array = np.ndarray

FPS = 10.
VIEWS = 4
IMAGE_SIZE = (320, 256)
CHUNK = 300  # frames of a video file, at most half a recording
COATS = ('hooded', 'agouti')  # of the first and second animal of a pair
_SIZES = ((.97, 1.05), (.9, .98))  # likewise
_COM_NOISE_MM = 1.2  # an axis, about 2 mm in all
_BATCH = 16  # time points whose skins are laid out together


@dataclass(frozen=True)
class Plan:
    """What a recording holds.

    Attributes:
        number: Of the session; decides with the seed what happens in it.
        labels: Labelled time points, evenly spread.
        times: Time points that all cameras record, M.
        first: Global frame of the first image.
        animals: 1 or 2.
    """

    number: int
    labels: int
    times: int
    first: int = 0
    animals: int = 1


@dataclass(frozen=True)
class Animal:
    """An animal and what it does.

    Attributes:
        build: Its bones.
        coat: (N, 3) colours of its skin.
        motion: T time points.
    """

    build: Build
    coat: Array
    motion: Motion


@dataclass(frozen=True)
class Session:
    """Who does what where: I animals, arena and cameras."""

    animals: tuple[Animal, ...]
    scene: Scene


@dataclass(frozen=True)
class Timing:
    """How time points map to frames.

    M time points; the videos of a camera that is ahead start earlier.

    Attributes:
        frames: (M, V) global frames.
        ahead: (V,) by how many frames each camera started earlier.
        first: Global frame of the first image of every camera.
    """

    frames: Array
    ahead: Array
    first: int

    @property
    def sample_ids(self) -> Array:
        """(M,) identities of the time points, which are no frame numbers."""
        return 10 * self.frames[:, 0] + 1


def draw_session(seed: int, plan: Plan, count: int) -> Session:
    """Make up a session.

    Args:
        seed (int): Decides, with the plan's number, everything.
        plan (Plan): The number, and of one or two animals.
        count (int): Time points T.
    """
    animal, life, place = (np.random.default_rng([seed, plan.number, part])
                           for part in range(3))
    animals = (_draw_one if plan.animals == 1 else _draw_two)(
        animal, life, count)
    return Session(animals, draw_scene(place, draw_rig(place, VIEWS,
                                                       IMAGE_SIZE)))


def _draw_one(animal: np.random.Generator, life: np.random.Generator,
              count: int) -> tuple[Animal, ...]:
    build = draw_build(animal)
    return (Animal(build, paint_coat(animal, build),
                   draw_motion(life, count, FPS)), )


def _draw_two(animal: np.random.Generator, life: np.random.Generator,
              count: int) -> tuple[Animal, ...]:
    """A hooded rat and a smaller, brown one that meet."""
    builds = [draw_build(animal, sizes) for sizes in _SIZES]
    coats = [paint_coat(animal, build, coat) for build, coat in zip(
        builds, COATS, strict=True)]
    motions = draw_pair(life, (builds[0], builds[1]), count, FPS)
    return tuple(Animal(*each) for each in zip(builds, coats, motions,
                                               strict=True))


def draw_timing(seed: int, number: int, count: int, first: int) -> Timing:
    """Make up which camera started earlier, by 2 to 5 frames.

    Args:
        seed (int): Decides, with `number`, what is drawn.
        number (int): Of the session.
        count (int): Time points M that all cameras recorded.
        first (int): Global frame of the first image.
    """
    rng = np.random.default_rng([seed, number, 3])
    ahead = np.zeros(VIEWS, np.int64)
    ahead[rng.integers(1, VIEWS)] = rng.integers(2, 6)
    return Timing(first + np.arange(count)[:, None] + ahead, ahead, first)


class _Chunks:
    """Writes the videos of a camera, one after the other."""

    def __init__(self, folder: Path, first: int, length: int) -> None:
        self._folder, self._first, self._length = folder, first, length
        self._written = 0
        self._stack = ExitStack()
        folder.mkdir(parents=True)

    def __enter__(self) -> _Chunks:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, view: View) -> None:
        if self._written % self._length == 0:
            self._stack.close()
            path = self._folder / f'{self._first + self._written}.mp4'
            self._video = self._stack.enter_context(
                VideoWriter(path, FPS, IMAGE_SIZE))
        self._video.write(np.ascontiguousarray(view.image[..., ::-1]))
        self._written += 1


def write_recording(folder: Path, seed: int, plan: Plan,
                    advance: Callable[[], None] | None = None) -> None:
    """Make up a session, film it and write its files.

    Args:
        folder (Path): The recording's folder, which is made.
        seed (int): Decides, with the plan's number, everything.
        plan (Plan): What the recording holds.
        advance (Callable, optional): Called after each time point. Defaults
            to None.
    """
    timing = draw_timing(seed, plan.number, plan.times, plan.first)
    early = int(timing.ahead.max())
    session = draw_session(seed, plan, plan.times + early)
    rng = np.random.default_rng([seed, plan.number, 4])
    stances = [pose_rat(animal.build, animal.motion)
               for animal in session.animals]
    visible = _film(folder / 'videos', session, stances, timing, rng,
                    advance or (lambda: None))[early:]
    points = np.stack([stance.points for stance in stances], 1)[early:]
    com = points.mean(2)
    rows = np.linspace(0, plan.times - 1, plan.labels).round().astype(int)
    labelled = np.where(visible[rows].any(1)[..., None], points[rows],
                        np.nan).reshape(plan.labels, -1, 3)
    cameras = session.scene.cameras
    path = folder / 'label3d_dannce.mat'
    write_label3d(path, Label3D(
        source=path, calibrations=_calibrations(cameras),
        sample_ids=timing.sample_ids, frames=timing.frames,
        label_ids=timing.sample_ids[rows], label_frames=timing.frames[rows],
        points=labelled, pixels=cameras.project(labelled)[0] + 1))
    found = com + rng.normal(0, _COM_NOISE_MM, com.shape)
    path = folder / 'com3d.mat'
    write_com3d(path, ComTrack(path, timing.sample_ids, found),
                {'synthetic': True, 'noise_mm': _COM_NOISE_MM})
    (folder / 'recording.json').write_text(
        json.dumps({'pixel_origin': 1, 'fps': FPS}, indent=2) + '\n')
    if plan.animals == 1:
        points, com, visible = points[:, 0], com[:, 0], visible[:, :, 0]
    write_npz(
        folder / 'truth.npz', keypoints=points, com=com, visible=visible,
        sample_ids=timing.sample_ids, frames=timing.frames)


def _film(videos: Path, session: Session, stances: list[Stance],
          timing: Timing, rng: np.random.Generator,
          advance: Callable[[], None]) -> Array:
    """Write all videos; what each camera sees, (T, V, I, 23) bool."""
    scene, early = session.scene, int(timing.ahead.max())
    length = min(CHUNK, -(-len(timing.frames) // 2))
    depths, seen = np.tile(keypoint_depths(), len(stances)), []
    with ExitStack() as stack:
        files = [stack.enter_context(_Chunks(videos / name, timing.first,
                                             length))
                 for name in scene.cameras.names]
        bodies = zip(*(_bodies(animal, stance) for animal, stance in zip(
            session.animals, stances, strict=True)), strict=True)
        for time, together in enumerate(bodies):
            views = render(scene, together, rng)
            points = np.concatenate([stance.points[time]
                                     for stance in stances])
            seen.append(see(views, scene.cameras, points, depths))
            for file, view, ahead in zip(files, views, timing.ahead,
                                         strict=True):
                if time >= early - ahead:
                    file.write(view)
            advance()
    return np.array(seen).reshape(len(seen), VIEWS, -1, len(NAMES))


def _bodies(animal: Animal, stance: Stance) -> Iterator[Body]:
    """The animal at each time point."""
    for start in range(0, len(stance.points), _BATCH):
        skin = cover(animal.build, take(stance, slice(start, start + _BATCH)))
        for points, normals in zip(skin.points, skin.normals, strict=True):
            yield Body(points, normals, animal.coat)


def _calibrations(cameras: Cameras) -> tuple[CameraCalibration, ...]:
    return tuple(
        CameraCalibration(
            name, cameras.intrinsics[v], cameras.rotations[v],
            cameras.translations[v], cameras.distortions[v, :2],
            cameras.distortions[v, 2:4], 'opencv', IMAGE_SIZE)
        for v, name in enumerate(cameras.names))

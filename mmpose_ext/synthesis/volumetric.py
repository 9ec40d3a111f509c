"""Synthetic rats before calibrated cameras, as a laboratory records them.

A recording has an animal, an arena and a calibration of its own: videos cut
into chunks, a Label3D file with some time points labelled, and the track of
the centre of mass for all. One camera started some frames earlier than the
others, and labels that no camera could see are missing, as in real files.
"""
from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.progress import Progress

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.storage import (
    CameraCalibration,
    ComTrack,
    DataError,
    Label3D,
    VideoWriter,
    atomic_folder,
    refuse_other_content,
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
from mmpose_ext.synthesis.rats import take
from mmpose_ext.synthesis.rodent_bodies import (
    cover,
    keypoint_depths,
    paint_coat,
)
from mmpose_ext.synthesis.rodent_poses import (
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
# shares of `size`; a network that knows few animals fails on others
_LABELS = {**{f'train_{i + 1}': 1 / 8 for i in range(8)},
           'val': .25, 'test': .25}
_FEWEST = 8  # labels of a recording
_FRAMES = 1.5  # time points for each label
_FIRST_FRAMES = {'test': 1000}  # 0 elsewhere
_COM_NOISE_MM = 1.2  # an axis, about 2 mm in all
_BATCH = 16  # time points whose skins are laid out together
README = """
Synthetic rats, seed {seed}, made by mmpose_ext: {counts}. Each folder is a
recording: videos/CAMERA/FIRST_FRAME.mp4, label3d_dannce.mat (calibration,
sync and labels in MATLAB's convention, pixels counted from 1), com3d.mat
(centre of mass of all time points, with about 2 mm of noise) and
recording.json. World in mm, z up, the 23 keypoints of rat23. A label is
missing where no camera sees the point. truth.npz, which no laboratory has,
holds for all time points the exact keypoints (T, 23, 3), the centre of mass
(T, 3), what each camera sees (T, V, 23), and sampleIDs and frames.
"""


@dataclass(frozen=True)
class Session:
    """An animal and what it does, where.

    Attributes:
        build: The animal.
        coat: (N, 3) colours of its skin.
        motion: T time points.
        scene: Arena and cameras.
    """

    build: Build
    coat: Array
    motion: Motion
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


def draw_session(seed: int, number: int, count: int) -> Session:
    """Make up a session.

    Args:
        seed (int): Decides, with `number`, everything.
        number (int): Of the session.
        count (int): Time points T.
    """
    animal, life, place = (np.random.default_rng([seed, number, part])
                           for part in range(3))
    build = draw_build(animal)
    return Session(
        build, paint_coat(animal, build), draw_motion(life, count, FPS),
        draw_scene(place, draw_rig(place, VIEWS, IMAGE_SIZE)))


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


def write_world(out: str | Path,
                seed: int = 0,
                size: int = 400,
                overwrite: bool = True) -> dict[str, int]:
    """Write recordings of synthetic rats, with a progress bar.

    ``train_1`` to ``train_8``, ``val`` and ``test``, each a recording of
    another animal; ``README.txt`` says what is in them. The folder appears
    whole or not at all. The same seed makes the same files.

    Args:
        out (str | Path): Folder to write, made if need be.
        seed (int): Decides everything. Defaults to 0.
        size (int): Labelled time points to train on, at least 8; ``val``
            and ``test`` have a quarter as many each, none fewer than 8.
            Videos are half as long again. Defaults to 400.
        overwrite (bool): Whether an older world there may be replaced.
            Defaults to True.

    Returns:
        dict[str, int]: Number of labelled time points in each recording.

    Raises:
        DataError: If `size` is too small, or `out` is a file or has other
            content than an older world.
    """
    out = Path(out)
    _check_target(out, size)
    counts = {split: max(int(share * size), _FEWEST)
              for split, share in _LABELS.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out, overwrite) as folder, Progress(
            console=Console(stderr=True)) as progress:
        task = progress.add_task('Filming rats', total=_FRAMES * sum(
            counts.values()))
        for number, (split, labels) in enumerate(counts.items()):
            write_recording(folder / split, seed, number, labels,
                            _FIRST_FRAMES.get(split, 0),
                            lambda: progress.advance(task))
        text = README.format(seed=seed, counts=', '.join(
            f'{count} labels in {split}' for split, count in counts.items()))
        (folder / 'README.txt').write_text(
            textwrap.fill(text.strip(), 79) + '\n')
    return counts


def _check_target(out: Path, size: int) -> None:
    if size < _FEWEST:
        raise DataError(out, 'size', f'at least {_FEWEST} labelled time '
                        'points', str(size))
    refuse_other_content(out, (*_LABELS, 'README.txt'))


def write_recording(folder: Path, seed: int, number: int, labels: int,
                    first_frame: int = 0,
                    advance: Callable[[], None] | None = None) -> None:
    """Make up a session, film it and write its files.

    Args:
        folder (Path): The recording's folder, which is made.
        seed (int): Decides, with `number`, everything.
        number (int): Of the session.
        labels (int): Labelled time points, evenly spread over half as many
            again.
        first_frame (int): Global frame of the first image. Defaults to 0.
        advance (Callable, optional): Called after each time point. Defaults
            to None.
    """
    timing = draw_timing(seed, number, int(_FRAMES * labels), first_frame)
    session = draw_session(
        seed, number, len(timing.frames) + int(timing.ahead.max()))
    rng = np.random.default_rng([seed, number, 4])
    stance = pose_rat(session.build, session.motion)
    visible = _film(folder / 'videos', session, stance, timing, rng,
                    advance or (lambda: None))
    early = int(timing.ahead.max())
    points, visible = stance.points[early:], visible[early:]
    com = points.mean(1)
    rows = np.linspace(0, len(points) - 1, labels).round().astype(int)
    labelled = np.where(visible[rows].any(1)[..., None], points[rows],
                        np.nan)
    cameras = session.scene.cameras
    path = folder / 'label3d_dannce.mat'
    write_label3d(path, Label3D(
        source=path, calibrations=_calibrations(cameras),
        sample_ids=timing.sample_ids, frames=timing.frames,
        label_ids=timing.sample_ids[rows], label_frames=timing.frames[rows],
        points=labelled, pixels=cameras.project(labelled)[0] + 1))
    found = com + rng.normal(0, _COM_NOISE_MM, com.shape)
    path = folder / 'com3d.mat'
    write_com3d(path, ComTrack(path, timing.sample_ids, found[:, None]),
                {'synthetic': True, 'noise_mm': _COM_NOISE_MM})
    (folder / 'recording.json').write_text(
        json.dumps({'pixel_origin': 1, 'fps': FPS}, indent=2) + '\n')
    write_npz(
        folder / 'truth.npz', keypoints=points, com=com, visible=visible,
        sample_ids=timing.sample_ids, frames=timing.frames)


def _film(videos: Path, session: Session, stance: Stance, timing: Timing,
          rng: np.random.Generator, advance: Callable[[], None]) -> Array:
    """Write all videos; what each camera sees, (T, V, 23) bool."""
    scene, early = session.scene, int(timing.ahead.max())
    length = min(CHUNK, -(-len(timing.frames) // 2))
    depths, seen = keypoint_depths(), []
    with ExitStack() as stack:
        files = [stack.enter_context(_Chunks(videos / name, timing.first,
                                             length))
                 for name in scene.cameras.names]
        for time, body in enumerate(_bodies(session, stance)):
            views = render(scene, [body], rng)
            seen.append(see(views, scene.cameras, stance.points[time],
                            depths))
            for file, view, ahead in zip(files, views, timing.ahead,
                                         strict=True):
                if time >= early - ahead:
                    file.write(view)
            advance()
    return np.array(seen)


def _bodies(session: Session, stance: Stance) -> Iterator[Body]:
    """The animal at each time point."""
    for start in range(0, len(stance.points), _BATCH):
        skin = cover(session.build, take(stance, slice(start, start + _BATCH)))
        for points, normals in zip(skin.points, skin.normals, strict=True):
            yield Body(points, normals, session.coat)


def _calibrations(cameras: Cameras) -> tuple[CameraCalibration, ...]:
    return tuple(
        CameraCalibration(
            name, cameras.intrinsics[v], cameras.rotations[v],
            cameras.translations[v], cameras.distortions[v, :2],
            cameras.distortions[v, 2:4], 'opencv', IMAGE_SIZE)
        for v, name in enumerate(cameras.names))

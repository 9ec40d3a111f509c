"""Synthetic rats seen from above, with exact tail base, neck and nose.

Each animal has its own size, build and coat; each session its own floor,
light, litter and camera; each image its own pose and place. Everything is
drawn by signed distances for a batch at a time, about a thousand images a
second.
"""
from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from mmpose_ext.geometry.symmetries import transform_image, transform_points
from mmpose_ext.storage import DataError, atomic_file, write_npz
from mmpose_ext.synthesis import rats

Array = np.ndarray
Advance = Callable[[int], Any]

IMAGES_A_SESSION = 5
LABEL_SIGMA_PX = .7
UNSEEN, UNSEEN_ANIMALS, FRAMES = 2000, 200, 600
README = """
Synthetic rats seen from above, seed {seed}, made by mmpose_ext. rats.npz has
{size} images of {labelled} animals with labels as a careful person would set
them: the truth plus {sigma} px of noise along each axis. unseen.npz has
{unseen} images of {animals} other animals and movie.npz {frames} frames of
one animal at 30 per second, both with the truth itself. Arrays: images
(N, 50, 50) uint8 grey; locs_base, locs_neck, locs_head (N, 2) as x, y in px,
pixel centres at integers; source_id, animal and session (N,), where a session
has its own floor, litter, light and camera.
"""
_CHUNK = 128  # images drawn at a time, for the cache's sake


@dataclass(frozen=True)
class RatImages:
    """Pictures of rats and the truth about them.

    Attributes:
        images: (N, S, S) uint8.
        points: (N, 3, 2) float64, exact tail base, neck and nose as x, y px.
        source_id: (N,) int64, different for each image.
        animal: (N,) int64.
        session: (N,) int64.
    """

    images: Array
    points: Array
    source_id: Array
    animal: Array
    session: Array


def render_rats(count: int,
                seed: int,
                size: int = 50,
                animals: int = 4,
                first_animal: int = 0,
                advance: Advance | None = None) -> RatImages:
    """Draw rats in all orientations, bends and places.

    Sessions are five images long and go round the animals in turn. An animal
    looks the same wherever its number is used with the same seed.

    Args:
        count (int): Images, N.
        seed (int): Decides everything.
        size (int): Side of the images, px. Defaults to 50, where the body
            measures about 16 px and the head 7.5 px.
        animals (int): How many there are. Defaults to 4.
        first_animal (int): Number of the first one. Defaults to 0.
        advance (Callable, optional): Called with the number of images just
            drawn. Defaults to None.

    Returns:
        RatImages: With exact points.
    """
    session = np.arange(count) // IMAGES_A_SESSION
    animal = first_animal + session % animals
    rng = np.random.default_rng([seed, 1, first_animal, count])
    sessions = rats.draw_sessions(rng, -(-count // IMAGES_A_SESSION))
    images, points = _render(
        rats.draw_animals(seed, animal), rats.take(sessions, session),
        rats.draw_poses(rng, count), rng, size, advance)
    return RatImages(images, points, np.arange(count), animal, session)


def render_movie(frames: int,
                 seed: int,
                 size: int = 50,
                 fps: float = 30.,
                 advance: Advance | None = None) -> RatImages:
    """Draw one rat walking and looking about, followed by the camera.

    Args:
        frames (int): Length, N.
        seed (int): Decides everything.
        size (int): Side of the images, px. Defaults to 50.
        fps (float): Frames per second; speeds do not depend on it. Defaults
            to 30.
        advance (Callable, optional): As in :func:`render_rats`.

    Returns:
        RatImages: Consecutive frames; angles change smoothly.
    """
    number = np.zeros(frames, np.int64)
    rng = np.random.default_rng([seed, 2])
    images, points = _render(
        rats.draw_animals(seed, number),
        rats.take(rats.draw_sessions(rng, 1), number),
        rats.draw_walk(rng, frames, fps), rng, size, advance)
    return RatImages(images, points, np.arange(frames), number, number)


def augment_as_published(images: Array, points: Array,
                         seed: int) -> tuple[Array, Array]:
    """Make 64 copies of each image, as in the published data set.

    All combinations of four quarter turns, vertical flip or not, pixel noise
    (sigma 4) or not, shift (integers up to 2 px along each axis, the edge
    repeated) or not, and label noise (sigma .4 px, pixels unchanged) or not,
    applied in this order. Rows are source-major: row ``64 * i + j`` shows
    image i, and the binary digits of j tell turn (two digits), flip, pixel
    noise, shift and label noise, the last one changing fastest.

    Args:
        images (ndarray): (N, S, S) uint8.
        points (ndarray): (N, 3, 2), px.
        seed (int): Of the noise and the shifts.

    Returns:
        tuple[ndarray, ndarray]: (64 N, S, S) uint8 and (64 N, 3, 2) float64.
    """
    rng = np.random.default_rng([seed, 3])
    count, size = images.shape[:2]
    copies = np.empty((count, 64, size, size), np.uint8)
    labels = np.empty((count, 64, *points.shape[1:]))
    recipe = itertools.product(range(4), *[(False, True)] * 4)
    for j, (turns, flip, noise, shift, jitter) in enumerate(recipe):
        symmetry = turns + 4 * flip
        copy = transform_image(images, symmetry)
        label = transform_points(points.astype(np.float64), symmetry, size)
        if noise:
            copy = _quantise(copy + rng.normal(0, 4, copy.shape))
        if shift:
            moves = rng.integers(-2, 3, (count, 2))
            rows, columns = (
                np.clip(np.arange(size) - moves[:, axis, None], 0, size - 1)
                for axis in (1, 0))
            copy = copy[np.arange(count)[:, None, None], rows[:, :, None],
                        columns[:, None, :]]
            label = label + moves[:, None]
        if jitter:
            label = label + rng.normal(0, .4, label.shape)
        copies[:, j], labels[:, j] = copy, label
    return (copies.reshape(-1, size, size),
            labels.reshape(-1, *points.shape[1:]))


def write_world(out: str | Path,
                seed: int = 0,
                size: int = 360,
                overwrite: bool = True) -> dict[str, int]:
    """Write labelled rats, unseen rats and a movie, with a progress bar.

    ``rats.npz`` has labels with noise of .7 px along each axis;
    ``unseen.npz`` (2,000 images of 200 other animals) and ``movie.npz`` (600
    frames) have the exact points; ``README.txt`` says so. Each file appears
    whole or not at all. The same arguments write the same arrays.

    Args:
        out (str | Path): Folder to write into, made if need be.
        seed (int): Decides everything. Defaults to 0.
        size (int): Labelled images. Defaults to 360, in 72 sessions: 160 to
            learn from and 200 to validate on, each session with an animal
            of its own.
        overwrite (bool): Whether files of these names may be replaced.
            Defaults to True.

    Returns:
        dict[str, int]: Number of images in each file.

    Raises:
        DataError: If `size` is not positive, `out` is a file, or a file
            exists and may not be replaced.
    """
    out = Path(out)
    counts = {'rats.npz': size, 'unseen.npz': UNSEEN, 'movie.npz': FRAMES}
    _check_target(out, [*counts, 'README.txt'], size, overwrite)
    with Progress() as progress:
        task = progress.add_task('Drawing rats', total=sum(counts.values()))

        def advance(images: int) -> None:
            progress.advance(task, images)

        # An animal in each session: what is validated on is as new to the
        # network as what it is tested on.
        animals = -(-size // IMAGES_A_SESSION)
        rats = render_rats(size, seed, animals=animals, advance=advance)
        unseen = render_rats(UNSEEN, seed, animals=UNSEEN_ANIMALS,
                             first_animal=animals, advance=advance)
        movie = render_movie(FRAMES, seed, advance=advance)
    noise = np.random.default_rng([seed, 4]).normal(
        0, LABEL_SIGMA_PX, rats.points.shape)
    _write_images(out / 'rats.npz', rats, rats.points + noise)
    _write_images(out / 'unseen.npz', unseen, unseen.points)
    _write_images(out / 'movie.npz', movie, movie.points)
    with atomic_file(out / 'README.txt') as readme:
        text = README.format(
            seed=seed, size=size, sigma=LABEL_SIGMA_PX, unseen=UNSEEN,
            labelled=animals, animals=UNSEEN_ANIMALS, frames=FRAMES)
        readme.write_text(textwrap.fill(text.strip(), 79) + '\n')
    return counts


def _check_target(out: Path, names: list[str], size: int,
                  overwrite: bool) -> None:
    if size < 1:
        raise DataError(out, 'size', 'at least one labelled image', str(size))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(out, 'folder', 'a folder that can be made',
                        error.strerror or str(error)) from error
    present = [name for name in names if (out / name).exists()]
    if present and not overwrite:
        raise DataError(out, 'folder', f'none of {", ".join(names)}',
                        ', '.join(present), 'allow overwriting')


def _write_images(path: Path, rats: RatImages, points: Array) -> None:
    write_npz(
        path,
        images=rats.images,
        locs_base=points[:, 0],
        locs_neck=points[:, 1],
        locs_head=points[:, 2],
        source_id=rats.source_id,
        session=rats.session,
        animal=rats.animal)


def _render(animals: rats.Animals, sessions: rats.Sessions, poses: rats.Poses,
            rng: np.random.Generator, size: int,
            advance: Advance | None) -> tuple[Array, Array]:
    """Draw a scene chunk by chunk; images and points."""
    figures = rats.place_figures(animals, poses)
    images = np.empty((len(figures.points), size, size), np.uint8)
    for start in range(0, len(images), _CHUNK):
        rows = slice(start, start + _CHUNK)
        camera = rats.take(sessions, rows)
        grey = rats.paint_rats(
            rats.take(animals, rows), camera, rats.take(poses, rows),
            rats.take(figures, rows), size)
        images[rows] = rats.expose(grey, camera, rng)
        if advance is not None:
            advance(len(grey))
    # Shapes are laid out in a 50 px image; the outer edges of both agree.
    points = (figures.points + .5) * (size / rats.SIDE) - .5
    return images, points


def _quantise(grey: Array) -> Array:
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)

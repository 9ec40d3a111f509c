"""Synthetic rats: exact points, honest variety, whole files."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.synthesis import direction, rats
from mmpose_ext.synthesis.direction import RatImages, render_movie, render_rats


@pytest.fixture(scope='module')
def some_rats() -> RatImages:
    return render_rats(400, seed=5)


def vectors(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points[:, 1] - points[:, 0], points[:, 2] - points[:, 1]


def angle(vector: np.ndarray) -> np.ndarray:
    return np.arctan2(vector[:, 1], vector[:, 0])


def test_shapes_types_and_groups(some_rats: RatImages) -> None:
    assert some_rats.images.shape == (400, 50, 50)
    assert some_rats.images.dtype == np.uint8
    assert some_rats.points.shape == (400, 3, 2)
    assert some_rats.points.dtype == np.float64
    assert len(np.unique(some_rats.source_id)) == 400
    assert set(some_rats.animal) == {0, 1, 2, 3}
    sessions, sizes = np.unique(some_rats.session, return_counts=True)
    assert len(sessions) == 80 and set(sizes) == {5}
    for session in sessions:
        assert len(set(some_rats.animal[some_rats.session == session])) == 1


def test_seed_decides(some_rats: RatImages) -> None:
    again, other = render_rats(400, seed=5), render_rats(400, seed=6)
    np.testing.assert_array_equal(again.images, some_rats.images)
    np.testing.assert_array_equal(again.points, some_rats.points)
    assert (other.images != some_rats.images).mean() > .5


def test_default_size(some_rats: RatImages) -> None:
    body, head = (np.linalg.norm(v, axis=-1)
                  for v in vectors(some_rats.points))
    assert body.mean() == pytest.approx(16, abs=1.2)
    assert head.mean() == pytest.approx(7.5, abs=.6)
    assert body.min() > 10 and head.min() > 5.5


def test_all_orientations_turns_and_places(some_rats: RatImages) -> None:
    body, head = vectors(some_rats.points)
    heading = angle(body)
    counts = np.histogram(heading, 8, (-np.pi, np.pi))[0]
    assert counts.min() > 400 / 8 / 2
    turn = np.degrees(np.angle(np.exp(1j * (angle(head) - heading))))
    assert np.abs(turn).max() <= 60 + 1e-6
    assert turn.min() < -50 and turn.max() > 50
    middle = some_rats.points[:, [0, 2]].mean(1)
    assert np.abs(middle - 24.5).max() > 4
    assert some_rats.points.min() >= 1 and some_rats.points.max() <= 48


def quiet_scene(count: int) -> tuple:
    """Animals on an even floor under even light, without a camera's noise."""
    rng = np.random.default_rng(0)
    sessions = rats.draw_sessions(rng, count)
    still = {'floor': .5, 'shadow': 0, 'gradient': 0, 'stain': 0,
             'tether': False, 'polarity': 1, 'blur': .3, 'noise': 0,
             'wall_shade': .5}
    for name, value in still.items():
        getattr(sessions, name)[...] = value
    sessions.litter[..., 5] = 0
    animals = rats.draw_animals(0, np.arange(count))
    poses = rats.draw_poses(rng, count)
    return animals, sessions, poses, rats.place_figures(animals, poses)


def test_points_lie_where_the_picture_has_them() -> None:
    animals, sessions, poses, figures = quiet_scene(40)
    animals.tail_radius[:] = -1  # no tail: the outline ends at its base
    animals.contrast[:], animals.hood[:] = .4, 0
    grey = rats.paint_rats(animals, sessions, poses, figures, 200)
    for image, points in zip(grey, figures.points, strict=True):
        outline = np.argwhere(np.abs(image - .5) > .12)[:, ::-1]
        outline = (outline + .5) / 4 - .5  # four pixels a unit
        base, neck, nose = points
        forward = (nose - neck) / np.linalg.norm(nose - neck)
        # the nose is the tip of the head, on its axis
        near = outline[np.linalg.norm(outline - nose, axis=-1) < 2]
        assert ((near - nose) @ forward).max() == pytest.approx(0, abs=.4)
        # the tail base is a disc's radius inside the rump's outline
        assert np.linalg.norm(outline - base, axis=-1).min() < .3
        backward = (base - neck) / np.linalg.norm(base - neck)
        behind = outline[np.linalg.norm(outline - base, axis=-1) < 3]
        assert 0 < ((behind - base) @ backward).max() < 2.5


def test_points_scale_with_the_image() -> None:
    small = render_rats(12, seed=1, size=50)
    large = render_rats(12, seed=1, size=150)
    np.testing.assert_allclose(large.points, (small.points + .5) * 3 - .5)
    shrunk = np.stack([
        cv2.resize(image, (50, 50), interpolation=cv2.INTER_AREA)
        for image in large.images
    ]).astype(float)
    likeness = [np.corrcoef(a.ravel(), b.ravel())[0, 1]
                for a, b in zip(shrunk, small.images, strict=True)]
    assert min(likeness) > .9


def test_animals_and_floors_come_in_both_polarities(
        some_rats: RatImages) -> None:
    middle = some_rats.points[:, :2].mean(1).round().astype(int)
    rows = np.arange(400)
    on_animal = some_rats.images[rows, middle[:, 1], middle[:, 0]]
    floor = np.median(some_rats.images, (1, 2))
    lighter = (on_animal > floor).mean()
    assert .2 < lighter < .8


def test_an_animal_keeps_its_build() -> None:
    few = rats.draw_animals(3, np.array([7]))
    many = rats.draw_animals(3, np.array([2, 7, 7, 9]))
    assert many.girth[1] == many.girth[2] == few.girth[0]
    assert len(set(many.length)) == 3


def test_unseen_animals_are_others() -> None:
    assert set(render_rats(40, 0, animals=2, first_animal=4).animal) == {4, 5}


def test_movie_moves_smoothly() -> None:
    movie = render_movie(150, seed=2, fps=30.)
    for vector in vectors(movie.points):
        step = np.diff(np.unwrap(angle(vector)))
        assert np.degrees(np.abs(step)).max() < 20
        assert np.degrees(np.ptp(np.cumsum(step))) > 30
    assert np.abs(np.diff(movie.points, axis=0)).max() < 2
    change = np.abs(np.diff(movie.images.astype(float), axis=0)).mean((1, 2))
    assert change.max() < 3 * np.median(change)  # no cut


def test_movie_speed_does_not_depend_on_the_frame_rate() -> None:
    spin = [np.diff(np.unwrap(angle(vectors(
        render_movie(frames, seed=0, size=8, fps=fps).points)[0]))).std() * fps
            for frames, fps in ((400, 20.), (2000, 100.))]
    assert spin[0] == pytest.approx(spin[1], rel=.4)


# --- the published recipe ------------------------------------------------


def by_hand(point: np.ndarray, turns: int, flip: bool) -> np.ndarray:
    """Formulas of the format: (x, y) -> (y, 49 - x), then (x, 49 - y)."""
    x, y = point
    for _ in range(turns):
        x, y = y, 49 - x
    return np.array([x, 49 - y if flip else y])


def digits(row: int) -> tuple[int, bool, bool, bool, bool]:
    j = row % 64
    return (j >> 4, *(bool(j >> bit & 1) for bit in (3, 2, 1, 0)))


def test_recipe_makes_64_copies_in_the_documented_order(
        some_rats: RatImages) -> None:
    images, points = some_rats.images[:3], some_rats.points[:3]
    copies, labels = direction.augment_as_published(images, points, seed=0)
    assert copies.shape == (192, 50, 50) and labels.shape == (192, 3, 2)
    assert copies.dtype == np.uint8
    for row in range(192):
        turns, flip, noise, shift, jitter = digits(row)
        image = np.rot90(images[row // 64], turns)
        image = np.flipud(image) if flip else image
        if not (noise or shift):
            np.testing.assert_array_equal(copies[row], image)
        elif not shift:
            unclipped = (image > 15) & (image < 240)
            sigma = (copies[row].astype(float) - image)[unclipped].std()
            assert sigma == pytest.approx(4, rel=.1)
        expected = [by_hand(p, turns, flip) for p in points[row // 64]]
        off = labels[row] - expected
        if not jitter:
            whole = off[0].round()
            np.testing.assert_allclose(off, [whole] * 3, atol=1e-9)
            assert (np.abs(whole) <= 2).all()
        if not (shift or jitter):
            np.testing.assert_allclose(off, 0, atol=1e-9)


def test_recipe_moves_points_with_the_pixels() -> None:
    """A dot stays under its point through every turn, flip and shift."""
    images = np.zeros((1, 50, 50), np.uint8)
    images[0, 30, 12] = 255
    points = np.array([[[12., 30.]] * 3])
    copies, labels = direction.augment_as_published(images, points, seed=3)
    for row in range(64):
        if not digits(row)[4]:
            y, x = np.unravel_index(copies[row].argmax(), (50, 50))
            np.testing.assert_allclose(labels[row, 0], [x, y], atol=1e-9)


def test_recipe_shifts_repeat_the_edge() -> None:
    ramp = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (200, 50, 1))
    copies, labels = direction.augment_as_published(
        ramp, np.full((200, 3, 2), 20.), seed=0)
    moves = (labels[2::64, 0] - 20).round()
    assert set(np.unique(moves)) == {-2, -1, 0, 1, 2}
    expected = np.clip(
        (np.arange(50) - moves[:, :1]) * 5, 0, 245)[:, None, :]
    np.testing.assert_array_equal(
        copies[2::64], np.broadcast_to(expected, (200, 50, 50)))


def test_recipe_label_noise(some_rats: RatImages) -> None:
    _, labels = direction.augment_as_published(
        some_rats.images[:40], some_rats.points[:40], seed=0)
    labels = labels.reshape(40, 64, 3, 2)
    noise = labels[:, 1] - labels[:, 0]  # differ by label noise alone
    assert noise.std() == pytest.approx(.4, rel=.15)


# --- the world -----------------------------------------------------------


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direction, 'UNSEEN', 30)
    monkeypatch.setattr(direction, 'FRAMES', 20)


@pytest.mark.usefixtures('small_world')
def test_world_is_written_whole(tmp_path: Path) -> None:
    out = tmp_path / 'deep' / 'world'
    counts = direction.write_world(out=out, seed=1, size=60)
    assert counts == {'rats.npz': 60, 'unseen.npz': 30, 'movie.npz': 20}
    assert {path.name for path in out.iterdir()} == {*counts, 'README.txt'}
    for name, count in counts.items():
        with np.load(out / name) as archive:
            assert set(archive) == {
                'images', 'locs_base', 'locs_neck', 'locs_head', 'source_id',
                'session', 'animal'}
            assert {len(archive[key]) for key in archive} == {count}
            assert archive['images'].shape[1:] == (50, 50)
    assert 'seed 1' in (out / 'README.txt').read_text()


@pytest.mark.usefixtures('small_world')
def test_world_has_noisy_labels_and_exact_truth(tmp_path: Path) -> None:
    direction.write_world(out=tmp_path, seed=1, size=400)
    exact = render_rats(400, seed=1, animals=80)
    with np.load(tmp_path / 'rats.npz') as archive:
        noise = archive['locs_head'] - exact.points[:, 2]
        np.testing.assert_array_equal(archive['images'], exact.images)
        seen = set(archive['animal'])
    assert noise.std() == pytest.approx(.7, rel=.1)
    with np.load(tmp_path / 'unseen.npz') as archive:
        assert not seen & set(archive['animal'])
    movie = render_movie(20, seed=1)
    with np.load(tmp_path / 'movie.npz') as archive:
        np.testing.assert_array_equal(archive['locs_neck'],
                                      movie.points[:, 1])


@pytest.mark.usefixtures('small_world')
def test_world_touches_nothing_else(tmp_path: Path) -> None:
    (tmp_path / 'mine.txt').write_text('kept')
    direction.write_world(tmp_path, size=10)
    direction.write_world(tmp_path, size=10)  # overwrites its own
    assert (tmp_path / 'mine.txt').read_text() == 'kept'
    with pytest.raises(DataError, match='allow overwriting'):
        direction.write_world(tmp_path, size=10, overwrite=False)


def test_unfit_targets_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='folder'):
        direction.write_world(tmp_path / 'file')
    with pytest.raises(DataError, match='size'):
        direction.write_world(tmp_path / 'new', size=0)
    assert not (tmp_path / 'new').exists()

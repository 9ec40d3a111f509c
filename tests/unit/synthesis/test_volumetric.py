"""The world of synthetic rats: real geometry, whole and honest files."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine import Config
from scipy import io

from mmpose_ext.geometry.cameras import Cameras
from mmpose_ext.layout import project_root
from mmpose_ext.storage import (
    ChunkedVideo,
    DataError,
    NpzArchive,
    read_com3d,
    read_label3d,
)
from mmpose_ext.synthesis import arena_films
from mmpose_ext.synthesis import volumetric as world_of
from mmpose_ext.synthesis.arena_cameras import draw_rig
from mmpose_ext.synthesis.arena_scenes import Body, draw_scene, render, see
from mmpose_ext.synthesis.rats import take
from mmpose_ext.synthesis.rodent_bodies import (
    cover,
    keypoint_depths,
    paint_coat,
)
from mmpose_ext.synthesis.rodent_poses import (
    NAMES,
    Build,
    Stance,
    draw_build,
    draw_motion,
    pose_rat,
)

LINKS = np.array([
    (0, 1), (0, 2), (0, 3), (1, 2), (3, 4), (3, 7), (3, 11), (4, 5), (5, 6),
    (5, 15), (5, 19), (7, 8), (8, 9), (9, 10), (11, 12), (12, 13), (13, 14),
    (15, 16), (16, 17), (17, 18), (19, 20), (20, 21), (21, 22)])
SIZE = (320, 256)
SESSIONS = (*(f'train_{i + 1}' for i in range(8)), 'val', 'test')
PAIRS = (*(f'pair_{i + 1}' for i in range(10)), 'pair_val', 'pair_test')
PLANS = world_of.plan_world(80)


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('world') / 'deep' / 'volumetric'
    assert world_of.write_world(out, seed=3, size=80) == {
        **{name: 10 if name.startswith('train') else 20
           for name in SESSIONS},
        **dict(zip(PAIRS, (*[2] * 10, 4, 12), strict=True))}
    return out


@pytest.fixture(scope='module')
def animal() -> tuple[Build, Stance]:
    rng = np.random.default_rng(5)
    build = draw_build(rng)
    return build, pose_rat(build, draw_motion(rng, 300, 10.))


@pytest.fixture(scope='module')
def rig() -> Cameras:
    return draw_rig(np.random.default_rng(6), 4, SIZE)


def bodies(build: Build, stance: Stance, frames: list[int]) -> list[Body]:
    skin = cover(build, take(stance, np.array(frames)))
    coat = paint_coat(np.random.default_rng(0), build)
    return [Body(points, normals, coat) for points, normals in zip(
        skin.points, skin.normals, strict=True)]


def truth(recording: Path) -> dict[str, np.ndarray]:
    archive = NpzArchive(recording / 'truth.npz')
    return {name: archive.read(name) for name in (
        'keypoints', 'com', 'visible', 'sample_ids', 'frames')}


def test_skeleton_is_that_of_rat23() -> None:
    path = project_root() / 'configs' / '_base_' / 'datasets' / 'rat23.py'
    info = Config.fromfile(path).dataset_info
    points = info['keypoint_info']
    assert tuple(points[i]['name'] for i in range(23)) == NAMES
    links = info['skeleton_info']
    assert [(NAMES[a], NAMES[b]) for a, b in LINKS] == [
        tuple(links[i]['link']) for i in range(len(LINKS))]


def test_bones_keep_their_lengths(animal: tuple) -> None:
    ends = animal[1].points[:, LINKS]
    lengths = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-9
    assert lengths.min() > 10 and lengths.max() < 90
    left = [name.endswith('L') and name != 'SpineL' for name in NAMES]
    mirror = {i: NAMES.index(NAMES[i][:-1] + 'R')
              for i in np.flatnonzero(left)}
    for (a, b), length in zip(LINKS, lengths[0], strict=True):
        if a in mirror and b in mirror:
            other = animal[1].points[0, [mirror[a], mirror[b]]]
            assert np.linalg.norm(other[0] - other[1]) == pytest.approx(
                length)


def test_animals_differ_a_little() -> None:
    heads = [draw_build(np.random.default_rng(i)).head for i in range(20)]
    assert .02 < np.std(heads) / np.mean(heads) < .06


def test_rat_stays_above_the_floor_and_in_the_arena(animal: tuple) -> None:
    points = animal[1].points
    assert points[..., 2].min() > 0
    assert np.linalg.norm(points[..., :2], axis=-1).max() < 245
    reared = points[:, NAMES.index('Snout'), 2]
    assert reared.min() < 20 and reared.max() > 120


def test_poses_differ(animal: tuple) -> None:
    points = animal[1].points - animal[1].points.mean(1, keepdims=True)
    ahead = animal[1].pelvis[:, :2, 1]  # the left of a level heading
    turn = np.stack([np.stack([ahead[:, 1], -ahead[:, 0]], -1), ahead], 1)
    points[..., :2] = np.einsum('tij,tkj->tki', turn, points[..., :2])
    off = np.linalg.norm(points - points.mean(0), axis=-1)
    assert off.mean() > 12  # mm, though all look along x


def test_skin_encloses_the_joints(animal: tuple, rig: Cameras) -> None:
    build, stance = animal
    frames = [0, 60, 120, 180, 240, 299]
    scene = draw_scene(np.random.default_rng(1), rig)
    for frame, body in zip(frames, bodies(build, stance, frames),
                           strict=True):
        views = render(scene, [body], np.random.default_rng(0))
        pixels = np.rint(rig.project(stance.points[frame])[0]).astype(int)
        for view, spots in zip(views, pixels, strict=True):
            near = cv2.dilate(view.silhouette.astype(np.uint8),
                              np.ones((3, 3)))
            assert near[spots[:, 1], spots[:, 0]].all()
            assert view.silhouette.sum() < 6000
        seen = see(views, rig, stance.points[frame], keypoint_depths())
        assert .25 < seen.mean() < .9


def test_normals_point_outward(animal: tuple) -> None:
    build, stance = animal
    skin = cover(build, take(stance, slice(0, 50, 10)))
    for part in ('trunk', 'head', 'earL', 'eyeR'):
        rows = skin.parts[part]
        out = skin.points[:, rows] - skin.points[:, rows].mean(
            1, keepdims=True)
        assert ((out * skin.normals[:, rows]).sum(-1) > 0).mean() > .95


def test_left_is_told_from_right_by_colour() -> None:
    build = draw_build(np.random.default_rng(0))
    coat = paint_coat(np.random.default_rng(0), build)
    stance = pose_rat(build, draw_motion(np.random.default_rng(0), 1, 10.))
    parts = cover(build, stance).parts
    yellow, green = [.92, .78, .10], [.20, .50, .30]
    for left, right, dye in (('earL', 'earR', yellow),
                             ('legL', 'legR', green)):
        near, far = (np.abs(coat[parts[side]] - dye).max(1).min()
                     for side in (left, right))
        assert near < .15 < far


def test_two_animals_hide_each_other(animal: tuple, rig: Cameras) -> None:
    build, stance = animal
    one, = bodies(build, stance, [0])
    towards = rig.positions[0] / np.linalg.norm(rig.positions[0])
    other = Body(one.points + 150 * towards, one.normals, one.colours)
    scene = draw_scene(np.random.default_rng(1), rig)
    rng = np.random.default_rng(0)
    alone = render(scene, [one], rng)[0].nearest >= 0
    both = render(scene, [one, other], rng)[0]
    owners = both.owner[both.nearest[both.nearest >= 0]]
    assert (owners == 1).sum() > alone.sum()  # nearer and larger
    assert 0 < (owners == 0).sum() < .3 * alone.sum()
    nobody = render(scene, [], rng)
    assert all((view.nearest < 0).all() for view in nobody)
    assert all(view.image.shape == (256, 320, 3) for view in nobody)


def test_rigs_distort_and_look_at_the_arena(rig: Cameras) -> None:
    spots, depths = rig.project(np.array([0, 0, 35.]))
    assert ((spots > 90) & (spots < 230)).all()
    assert ((depths > 500) & (depths < 900)).all()
    corner = np.tile([0., 0.], (4, 1))
    straight = rig.undistort(corner)
    flat = np.einsum('vij,vj->vi', rig.intrinsics[:, :2], np.c_[
        straight, np.ones(4)])
    assert (np.linalg.norm(flat - corner, axis=-1) > 2).all()
    assert (rig.intrinsics[:, 0, 1] != 0).all()


def test_layout_is_that_of_a_laboratory(world: Path) -> None:
    assert {path.name for path in world.iterdir()} == {
        *SESSIONS, *PAIRS, 'README.txt'}
    assert 'seed 3' in (world / 'README.txt').read_text()
    for split in (*SESSIONS, *PAIRS):
        first = 1000 if split.endswith('test') else 0
        count = PLANS[split].times
        recording = world / split
        settings = json.loads((recording / 'recording.json').read_text())
        assert settings == {'pixel_origin': 1, 'fps': 10.}
        record = read_label3d(recording / 'label3d_dannce.mat')
        assert record.names == ('Camera1', 'Camera2', 'Camera3', 'Camera4')
        assert len(record.sample_ids) == count
        ahead = record.frames - record.frames[:, :1]
        assert (ahead == ahead[0]).all() and 2 <= ahead.max() <= 5
        assert (record.sample_ids == 10 * record.frames[:, 0] + 1).all()
        for view, name in enumerate(record.names):
            video = ChunkedVideo(recording / 'videos' / name)
            assert (video.first, video.size) == (first, SIZE)
            assert video.stop == record.frames[-1, view] + 1
            assert len(list((recording / 'videos' / name).iterdir())) >= 2


def test_labels_reproject_as_opencv_says(world: Path) -> None:
    for split in (*SESSIONS, *PAIRS):
        content = io.loadmat(world / split / 'label3d_dannce.mat',
                             simplify_cells=True)
        for camera, label in zip(content['params'], content['labelData'],
                                 strict=True):
            points = label['data_3d'].reshape(-1, 3)
            known = np.isfinite(points[:, 0])
            lens = np.r_[camera['RDistort'], camera['TDistort']]
            # OpenCV knows no skew: its lens, but not its matrix
            bent, _ = cv2.projectPoints(
                points[known], cv2.Rodrigues(camera['r'].T)[0], camera['t'],
                np.eye(3), lens)
            pixels = np.c_[bent[:, 0], np.ones(known.sum())] @ camera['K']
            found = label['data_2d'].reshape(-1, 2)
            assert np.abs(pixels[:, :2] - found[known]).max() < .01
            assert np.isnan(found[~known]).all()


def test_labels_and_track_are_the_truth(world: Path) -> None:
    missing = []
    for split in SESSIONS:
        exact = truth(world / split)
        record = read_label3d(world / split / 'label3d_dannce.mat')
        rows = np.searchsorted(exact['sample_ids'], record.label_ids)
        assert (exact['frames'][rows] == record.label_frames).all()
        hidden = ~exact['visible'][rows].any(1)
        assert (np.isnan(record.points[..., 0]) == hidden).all()
        np.testing.assert_allclose(
            record.points[~hidden], exact['keypoints'][rows][~hidden])
        missing.append(hidden.mean())
        track = read_com3d(world / split / 'com3d.mat')
        assert (track.sample_ids == exact['sample_ids']).all()
        off = np.linalg.norm(track.points[:, 0] - exact['com'], axis=-1)
        assert 1 < off.mean() < 3
    assert 0 < np.mean(missing) < .1


def test_frames_of_a_time_point_show_it(world: Path) -> None:
    """And the frames of that number in the camera that is ahead do not."""
    record = read_label3d(world / 'val' / 'label3d_dannce.mat')
    exact = truth(world / 'val')
    view = int((record.frames[0] - record.frames[0, 0]).argmax())
    camera = arena_films.draw_session(
        3, PLANS['val'], 1).scene.cameras.select([view])
    video = ChunkedVideo(world / 'val' / 'videos' / f'Camera{view + 1}')
    stack = np.stack([video.read(i) for i in range(video.stop)]).astype(int)
    moved = np.abs(stack - np.median(stack, 0)).max(-1) > 25
    pixels = np.rint(camera.project(exact['keypoints'])[0][0]).astype(int)

    def on_animal(shift: int) -> float:
        frames = exact['frames'][:, view, None] - shift
        return moved[frames, pixels[..., 1], pixels[..., 0]].mean()

    ahead = int(np.ptp(record.frames[0]))
    assert on_animal(0) > .75
    assert on_animal(0) > on_animal(ahead) + .1


def test_recordings_are_of_different_animals_and_rigs(world: Path) -> None:
    records = [read_label3d(world / split / 'label3d_dannce.mat')
               for split in (*SESSIONS, *PAIRS)]
    for one, other in zip(records, records[1:], strict=False):
        assert not np.allclose(one.calibrations[0].translation,
                               other.calibrations[0].translation, atol=1)
    heads = [np.nanmean(np.linalg.norm(
        record.points[:, first] - record.points[:, first + 3], axis=-1))
             for record in records
             for first in range(0, record.points.shape[1], 23)]
    assert len({round(head, 3) for head in heads}) == len(
        SESSIONS) + 2 * len(PAIRS)


def test_same_seed_same_files(world: Path, tmp_path: Path) -> None:
    for name in ('val', 'pair_1'):
        arena_films.write_recording(tmp_path / name, 3, PLANS[name])
        assert len(list((world / name).rglob('*'))) == len(
            list((tmp_path / name).rglob('*')))
        for path in (world / name).rglob('*'):
            if path.is_file():
                twin = tmp_path / path.relative_to(world)
                assert path.read_bytes() == twin.read_bytes(), path
    one, other = (arena_films.draw_session(seed, PLANS['train_1'], 30)
                  for seed in (3, 4))
    assert not np.allclose(other.scene.cameras.translations,
                           one.scene.cameras.translations)


def test_single_rats_stay_what_they_were() -> None:
    """Results on record were found with them."""
    for name, snout, camera in (
            ('train_1', [-3.135, -122.406, 26.227], [9.032, 24.493, 733.438]),
            ('test', [57.935, 117.721, 46.100], [4.218, 27.505, 682.005])):
        session = arena_films.draw_session(
            0, world_of.plan_world(400)[name], 40)
        animal, = session.animals
        points = pose_rat(animal.build, animal.motion).points
        np.testing.assert_allclose(points[39, 0], snout, atol=.01)
        np.testing.assert_allclose(session.scene.cameras.translations[0],
                                   camera, atol=.01)


def test_most_time_points_of_pairs_are_unlabelled() -> None:
    plans = world_of.plan_world(400)
    train = [plans[name] for name in PAIRS[:10]]
    assert sum(plan.labels for plan in train) == 20
    assert sum(plan.times - plan.labels for plan in train) == 400
    assert (plans['pair_test'].labels, plans['pair_test'].times) == (60, 60)
    numbers = [plan.number for plan in plans.values()]
    assert len(set(numbers)) == len(numbers)


def test_labels_and_tracks_of_pairs_are_the_truth(world: Path) -> None:
    lost = []
    for split in PAIRS:
        exact = truth(world / split)
        times = PLANS[split].times
        assert exact['keypoints'].shape == (times, 2, 23, 3)
        assert exact['visible'].shape == (times, 4, 2, 23)
        record = read_label3d(world / split / 'label3d_dannce.mat')
        rows = np.searchsorted(exact['sample_ids'], record.label_ids)
        assert rows[0] == 0 and rows[-1] == times - 1
        assert np.ptp(np.diff(rows)) <= 1
        labels = record.points.reshape(-1, 2, 23, 3)
        hidden = ~exact['visible'][rows].any(1)
        assert (np.isnan(labels).all(-1) == hidden).all()
        np.testing.assert_allclose(
            labels[~hidden], exact['keypoints'][rows][~hidden])
        lost.extend(hidden.ravel())  # some recordings have two labels
        track = read_com3d(world / split / 'com3d.mat')
        assert track.points.shape == (times, 2, 3)
        np.testing.assert_allclose(exact['com'],
                                   exact['keypoints'].mean(2))
        off = np.linalg.norm(track.points - exact['com'], axis=-1)
        assert 1 < off.mean() < 3 and off.max() < 7
    assert 0 < np.mean(lost) < .25


def test_pictures_show_whose_label_it_is(world: Path) -> None:
    """A point that a camera sees has the colour of its animal there."""
    record = read_label3d(world / 'pair_test' / 'label3d_dannce.mat')
    exact = truth(world / 'pair_test')
    seen = exact['visible']
    hip = NAMES.index('HipR')  # white, and brown
    bright: list[list[float]] = [[], []]
    for view, name in enumerate(record.names):
        video = ChunkedVideo(world / 'pair_test' / 'videos' / name)
        for time, frame in enumerate(exact['frames'][:, view]):
            image = video.read(int(frame)).astype(float)
            pixels = record.pixels[view, time].reshape(2, 23, 2) - 1
            for animal in range(2):
                if seen[time, view, animal, hip]:
                    x, y = np.rint(pixels[animal, hip]).astype(int)
                    bright[animal].append(image[y, x].mean())
    assert min(map(len, bright)) > 10
    assert np.median(bright[0]) > 1.6 * np.median(bright[1])
    light, dark = (np.array(each) for each in bright)
    assert (light[:, None] > dark).mean() > .9


def test_rats_of_a_pair_hide_each_other(world: Path) -> None:
    """Alone before the same cameras, more of each would be seen."""
    exact = truth(world / 'pair_1')
    plan = PLANS['pair_1']
    early = int(np.ptp(exact['frames'][0]))
    session = arena_films.draw_session(3, plan, plan.times + early)
    cameras, rows = session.scene.cameras, list(range(0, plan.times, 5))
    more = 0
    for i, animal in enumerate(session.animals):
        stance = take(pose_rat(animal.build, animal.motion),
                      np.array(rows) + early)
        np.testing.assert_allclose(stance.points, exact['keypoints'][rows, i])
        skin = cover(animal.build, stance)
        for k, row in enumerate(rows):
            body = Body(skin.points[k], skin.normals[k], animal.coat)
            views = render(session.scene, [body], np.random.default_rng(0))
            alone = see(views, cameras, stance.points[k], keypoint_depths())
            together = exact['visible'][row, :, i]
            # dots beside each other may fall on one fine pixel
            assert (together & ~alone).sum() <= 1
            more += int((alone & ~together).sum())
    assert more > 2 * len(rows)  # of 184 points in four views


def test_coats_of_a_pair_differ(animal: tuple) -> None:
    build = animal[0]
    hooded, agouti = (paint_coat(np.random.default_rng(1), build, coat)
                      for coat in arena_films.COATS)
    legs = cover(build, take(animal[1], slice(0, 1))).parts['legR']
    assert hooded[legs].mean() > agouti[legs].mean() + .2
    for coat in (hooded, agouti):  # left is told from right on both
        assert np.abs(coat - [.92, .78, .10]).max(1).min() < .01


def test_bad_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='at least 8'):
        world_of.write_world(tmp_path / 'new', size=7)
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(DataError, match='other content'):
        world_of.write_world(tmp_path, size=16)
    with pytest.raises(DataError):
        world_of.write_world(tmp_path / 'notes.txt', size=16)
    assert [path.name for path in tmp_path.iterdir()] == ['notes.txt']

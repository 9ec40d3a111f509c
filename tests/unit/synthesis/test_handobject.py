"""The world of synthetic hands: DexYCB's files, whose numbers agree."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh
import yaml
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from mmpose_ext.handobject.dexycb_splits import SPLITS, split_rule
from mmpose_ext.storage import DataError, NpzArchive
from mmpose_ext.storage.dexycb import SERIALS, SUBJECTS
from mmpose_ext.synthesis import handobject
from mmpose_ext.synthesis.grasp_objects import NAMES
from mmpose_ext.synthesis.handobject import plan_world, write_world

Array = np.ndarray
PARENTS = [-1, *(0 if row % 4 == 0 else row for row in range(20))]
TIPS = [4, 8, 12, 16, 20]


@dataclass
class Frame:
    """A frame as its files have it; `camera` is fx, fy, cx, cy."""

    place: Path
    subject: str
    meta: dict[str, Any]
    number: int
    serial: str
    camera: Array
    to_world: Array
    labels: dict[str, Array]

    @property
    def joints(self) -> Array:
        return self.labels['joint_3d'][0].astype(float)

    @property
    def held(self) -> Array:
        pose = self.labels['pose_y'][self.meta['ycb_grasp_ind']]
        return pose.astype(float)

    @property
    def has_hand(self) -> bool:
        return not (self.labels['joint_3d'] == -1).all()

    def picture(self, kind: str) -> Array:
        path, = self.place.glob(f'{kind}_{self.number:06d}.*')
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence of each subject."""
    out = tmp_path_factory.mktemp('world') / 'deep' / 'handobject'
    plans = [plan for plan in plan_world(64) if not plan.number]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handobject, 'plan_world', lambda size: plans)
        counts = write_world(out, seed=7, size=64)
    assert counts['sequences'] == 10
    assert counts['pictures'] < 120
    return out


@pytest.fixture(scope='module')
def frames(world: Path) -> list[Frame]:
    return [*_read(world)]


@pytest.fixture(scope='module')
def meshes(world: Path) -> dict[int, tuple[trimesh.Trimesh, cKDTree]]:
    """Each with points on its surface, about 1 mm apart."""
    found = {}
    for path in sorted((world / 'models').glob('*/*.obj')):
        mesh = trimesh.load(path, process=False, force='mesh')
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        points, _ = trimesh.sample.sample_surface(mesh, 120_000, seed=1)
        number = _number_of(path.parent.name)
        found[number] = (mesh, cKDTree(points))
    return found


def _number_of(name: str) -> int:
    return {value: key for key, value in NAMES.items()}[name]


def _read(root: Path) -> Iterator[Frame]:
    for path in sorted(root.glob('*-subject-*/*/meta.yml')):
        meta = yaml.safe_load(path.read_text())
        places = yaml.safe_load((
            root / 'calibration' / f'extrinsics_{meta["extrinsics"]}'
            / 'extrinsics.yml').read_text())['extrinsics']
        for serial in meta['serials']:
            numbers = yaml.safe_load((
                root / 'calibration' / 'intrinsics' /
                f'{serial}_640x480.yml').read_text())['color']
            camera = np.array([numbers[key] for key in
                               ('fx', 'fy', 'ppx', 'ppy')])
            for number in range(meta['num_frames']):
                place = path.parent / serial
                labels = np.load(place / f'labels_{number:06d}.npz')
                yield Frame(place, path.parent.parent.name, meta, number,
                            serial, camera,
                            np.reshape(places[serial], (3, 4)), dict(labels))


def held_firmly(frames: list[Frame]) -> Iterator[Frame]:
    """One camera's frames in which the thing is off the table."""
    for frame in frames:
        if frame.has_hand and frame.serial == SERIALS[0]:
            yield frame


def test_files_are_those_of_dexycb(world: Path, frames: list[Frame]) -> None:
    assert {path.name for path in world.iterdir()} == {
        *SUBJECTS, 'calibration', 'models', 'index', 'README.txt'}
    for frame in frames:
        assert frame.meta['serials'] == list(SERIALS)
        assert 2 <= len(frame.meta['ycb_ids']) <= 4
        color = frame.picture('color')
        assert color.shape == (480, 640, 3) and color.dtype == np.uint8
        depth = frame.picture('aligned_depth_to_color')
        assert depth.shape == (480, 640) and depth.dtype == np.uint16
        count = len(frame.meta['ycb_ids'])
        assert {name: (array.dtype, array.shape) for name, array
                in frame.labels.items()} == {
                    'seg': (np.uint8, (480, 640)),
                    'pose_y': (np.float32, (count, 3, 4)),
                    'pose_m': (np.float32, (1, 51)),
                    'joint_3d': (np.float32, (1, 21, 3)),
                    'joint_2d': (np.float32, (1, 21, 2))}
    assert 'seed 7' in (world / 'README.txt').read_text()


def test_a_small_world_has_something_of_everything(
        world: Path, frames: list[Frame]) -> None:
    hands = {}
    for setup in ('s0', 's1', 's2'):
        for split in SPLITS:
            rule = split_rule(setup, split)
            assert any(rule.takes(plan.subject, plan.number)
                       for plan in plan_world(64))
            file = world / 'index' / f'{setup}_{split}.npz'
            if setup != 's0':  # what it needs was not taken
                hands[setup, split] = int(
                    NpzArchive(file).read('hand_valid').sum())
    assert min(hands.values()) > 0
    assert hands['s1', 'train'] >= 40
    assert min(hands['s1', 'val'], hands['s1', 'test']) >= 8
    assert {frame.subject for frame in frames} == {*SUBJECTS}
    for training in (True, False):
        assert {frame.meta['mano_sides'][0] for frame in frames if (
            frame.subject in (*SUBJECTS[:6], SUBJECTS[9])) == training
            } == {'left', 'right'}


def test_cameras_all_differ(frames: list[Frame]) -> None:
    cameras = {frame.serial: frame.camera for frame in frames}
    numbers = np.array([*cameras.values()])
    assert len(numbers) == 8
    for column in numbers.T:
        assert len({*column}) == 8
    assert (np.abs(numbers[:, 0] - numbers[:, 1]) > .5).all()


def test_pixels_are_projections(frames: list[Frame]) -> None:
    for frame in frames:
        if frame.has_hand:
            fx, fy, cx, cy = frame.camera
            expected, _ = cv2.projectPoints(
                frame.joints, np.zeros(3), np.zeros(3),
                np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), None)
            np.testing.assert_allclose(frame.labels['joint_2d'][0],
                                       expected[:, 0], atol=1e-3)


def test_cameras_agree_about_the_world(frames: list[Frame]) -> None:
    seen: dict[tuple, Array] = {}
    for frame in frames:
        turn, place = frame.to_world[:, :3], frame.to_world[:, 3]
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        poses = np.load(frame.place.parent / 'pose.npz')
        for row, pose in enumerate(frame.labels['pose_y']):
            numbers = poses['pose_y'][frame.number, row]
            np.testing.assert_allclose(
                turn @ pose[:, :3],
                Rotation.from_quat(numbers[:4]).as_matrix(), atol=1e-5)
            np.testing.assert_allclose(turn @ pose[:, 3] + place,
                                       numbers[4:], atol=1e-5)
        if frame.has_hand:
            joints = frame.joints @ turn.T + place
            key = (frame.place.parent, frame.number)
            np.testing.assert_allclose(joints, seen.setdefault(key, joints),
                                       atol=1e-6)
            # the wrist is where pose_m says, in the world as in the camera
            np.testing.assert_allclose(frame.labels['pose_m'][0, 48:],
                                       frame.joints[0], atol=1e-6)
            np.testing.assert_allclose(
                poses['pose_m'][frame.number, 0, 48:], joints[0], atol=1e-5)


def test_sequences_may_begin_without_a_hand(frames: list[Frame]) -> None:
    empty = [frame for frame in frames if not frame.has_hand]
    assert empty and all(frame.number == 0 for frame in empty)
    for frame in empty:
        assert (frame.labels['joint_2d'] == -1).all()
        assert not frame.labels['pose_m'].any()
        assert frame.labels['pose_y'].any((1, 2)).all()
        assert not (frame.labels['seg'] == 255).any()


def test_surfaces_lie_where_depth_says(frames: list[Frame],
                                       meshes: dict) -> None:
    rng = np.random.default_rng(0)
    for frame in frames[::3]:
        seg = frame.labels['seg']
        assert {*np.unique(seg)} <= {0, 255, *frame.meta['ycb_ids']}
        depth = frame.picture('aligned_depth_to_color')
        for ycb_id, pose in zip(frame.meta['ycb_ids'], frame.labels['pose_y'],
                                strict=True):
            points = _lifted(frame, depth, seg == ycb_id, rng)
            local = (points - pose[:, 3]) @ pose[:, :3]
            if len(local):
                found = meshes[ycb_id][1].query(local)[0]
                # but for pixels at a rim
                assert np.quantile(found, .97) < .004 and found.max() < .03
        if frame.has_hand:
            points = _lifted(frame, depth, seg == 255, rng)
            assert _from_bones(points, frame.joints).max() < .036


def _lifted(frame: Frame, depth: Array, mask: Array,
            rng: np.random.Generator) -> Array:
    """Up to 200 pixels of a mask as points (N, 3), m."""
    rows, columns = np.nonzero(mask)
    some = rng.permutation(len(rows))[:200]
    rows, columns = rows[some], columns[some]
    z = depth[rows, columns] / 1000
    fx, fy, cx, cy = frame.camera
    return np.stack([(columns - cx) / fx * z, (rows - cy) / fy * z, z], 1)


def _from_bones(points: Array, joints: Array) -> Array:
    """Distances (N,) to the nearest of many points on the bones."""
    part = np.linspace(0, 1, 30)[:, None]
    line = np.concatenate([
        joints[parent] + part * (joints[row] - joints[parent])
        for row, parent in enumerate(PARENTS) if parent >= 0])
    return cKDTree(line).query(points)[0]


def test_joints_lie_below_the_skin(frames: list[Frame]) -> None:
    below = []
    for frame in frames:
        pixels = np.rint(frame.labels['joint_2d'][0]).astype(int)
        inside = ((pixels >= 0) & (pixels < [640, 480])).all(1)
        if not frame.has_hand:
            continue
        x, y = pixels[inside].T
        shown = frame.labels['seg'][y, x] == 255
        depth = frame.picture('aligned_depth_to_color')[y, x] / 1000
        below.extend((frame.joints[inside, 2] - depth)[shown])
    assert np.min(below) > .002
    # most are seen straight; others have another finger before them
    assert np.median(below) < .02 and np.mean(np.array(below) < .025) > .65


def test_hands_really_hold(frames: list[Frame], meshes: dict) -> None:
    several = []
    for frame in held_firmly(frames):
        _, surface = meshes[frame.meta['ycb_ids'][
            frame.meta['ycb_grasp_ind']]]
        local = (frame.joints - frame.held[:, 3]) @ frame.held[:, :3]
        distances = surface.query(local)[0]
        # joints are inside fingers, and fingers outside the thing
        assert distances.min() > .003
        assert distances[0] > .02
        several.append((distances[TIPS] < .014).sum() >= 3
                       and distances[4] < .014)
    assert np.mean(several) > .7


def test_index_knows_contacts(world: Path, frames: list[Frame],
                              meshes: dict) -> None:
    archive = NpzArchive(world / 'index' / 's1_test.npz')
    known = archive.read('contact_valid')
    found = archive.read('joint_distance')[known]
    labels = archive.read('contact')[known]
    frames = [frame for frame in frames
              if frame.subject in SUBJECTS[7:9] and frame.has_hand]
    assert len(frames) == len(found)
    limits = np.where(np.isin(np.arange(21), TIPS), .025, .020)
    for frame, row, label in zip(frames, found, labels, strict=True):
        _, surface = meshes[frame.meta['ycb_ids'][
            frame.meta['ycb_grasp_ind']]]
        local = (frame.joints - frame.held[:, 3]) @ frame.held[:, :3]
        expected = surface.query(local)[0]
        np.testing.assert_allclose(np.abs(row), expected, atol=.0008)
        clear = np.abs(expected - limits) > .001
        np.testing.assert_array_equal(label[clear],
                                      (expected < limits)[clear])


def test_left_hands_are_mirrored_right_ones(frames: list[Frame]) -> None:
    for frame in frames:
        if frame.has_hand:
            joints = frame.joints
            palm = np.cross(joints[5] - joints[0], joints[17] - joints[0])
            bend = (joints[[8, 12, 16]] - joints[[5, 9, 13]]).mean(0)
            right = frame.meta['mano_sides'] == ['right']
            assert (palm @ bend > 0) == right


def test_bones_are_those_of_the_subject(frames: list[Frame]) -> None:
    lengths: dict[str, list] = {}
    for frame in frames:
        if frame.has_hand:
            joints = frame.joints
            lengths.setdefault(frame.subject, []).append(np.linalg.norm(
                joints[1:] - joints[PARENTS[1:]], axis=1))
    means = np.array([np.mean(rows, 0) for rows in lengths.values()])
    for rows, mean in zip(lengths.values(), means, strict=True):
        np.testing.assert_allclose(rows, mean[None].repeat(len(rows), 0),
                                   atol=1e-5)
    middle = means[:, 8:12].sum(1)  # wrist to the tip of the middle finger
    assert middle.min() > .155 and middle.max() < .235
    assert np.ptp(middle) > .02


def test_meshes_are_closed_and_of_real_sizes(meshes: dict) -> None:
    assert len(meshes) == 8
    for mesh, _ in meshes.values():
        assert mesh.is_watertight and mesh.volume > 0
    np.testing.assert_allclose(meshes[3][0].extents, [.0495, .094, .176],
                               atol=1e-4)
    np.testing.assert_allclose(meshes[13][0].extents, [.16, .16, .055],
                               atol=2e-3)


def test_the_default_world_is_large_enough() -> None:
    plans = plan_world(1176)
    trained = [plan for plan in plans if plan.subject in (*range(6), 9)]
    assert sum(8 * plan.frames for plan in trained) == 1176
    assert {plan.subject for plan in plans} == {*range(10)}
    assert sum(8 * (plan.frames + plan.empty) for plan in plans) < 1850


def test_the_same_seed_makes_the_same_files(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handobject, 'plan_world',
                        lambda size: [handobject.Plan(0, 1, 1, 0)])
    monkeypatch.setattr(handobject, 'SUBJECTS', SUBJECTS[:1])
    monkeypatch.setattr(handobject, '_write_index', lambda folder: None)
    monkeypatch.setattr(handobject, 'CAMERAS', 2)
    monkeypatch.setattr(handobject, 'NAMES', {3: NAMES[3]})

    def write(name: str, seed: int) -> dict[Path, bytes]:
        folder = tmp_path / name
        write_world(folder, seed, 56)
        return {path.relative_to(folder): path.read_bytes()
                for path in folder.rglob('*') if path.is_file()}

    first = write('one', 1)
    assert write('same', 1) == first
    # an older world is replaced with what was made of it, nothing else
    (tmp_path / 'one' / 'distance_fields.npz').write_bytes(b'grids')
    other = write('one', 2)
    assert other.keys() == first.keys()
    pictures = [path for path in first if path.suffix == '.jpg']
    assert len(pictures) == 2
    assert all(other[path] != first[path] for path in pictures)
    assert b'seed 2' in other[Path('README.txt')]
    (tmp_path / 'one' / 'mine.txt').write_text('kept')
    with pytest.raises(DataError, match='other content'):
        write_world(tmp_path / 'one', 1, 56)
    assert (tmp_path / 'one' / 'mine.txt').read_text() == 'kept'


def test_an_interrupted_world_leaves_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(handobject, 'write_frame', interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_world(tmp_path / 'new', size=56)
    assert list(tmp_path.iterdir()) == []


def test_unfit_targets_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='folder'):
        write_world(tmp_path / 'file')
    with pytest.raises(DataError) as caught:
        write_world(tmp_path / 'new', size=55)
    assert caught.value.where == 'size' and caught.value.found == '55'
    assert caught.value.expected == 'at least 56 pictures'
    assert Path(caught.value.file) == tmp_path / 'new'
    assert not (tmp_path / 'new').exists()

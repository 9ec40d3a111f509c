from __future__ import annotations

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from mmpose_ext.commands import run_convert
from mmpose_ext.direction.crops import crop_to_frame
from mmpose_ext.direction.datasets import DirectionDataset
from mmpose_ext.storage import VideoWriter
from tests.unit.direction.data_files import (
    BODYPARTS,
    animal_points,
    draw_frame,
    write_dlc_project,
    write_dlc_tracks,
)


def convert(*words: object) -> int:
    return run_convert('', [str(word) for word in words])


def read(out: Path) -> dict[str, np.ndarray]:
    with np.load(out / 'direction.npz') as file:
        return dict(file)


def landmarks(points: np.ndarray) -> np.ndarray:
    """Base, neck and head (N, 3, 2) of BODYPARTS."""
    return np.stack([points[:, 3], points[:, 1:3].mean(1), points[:, 0]], 1)


def stored_points(data: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([data[f'locs_{name}'] for name in
                     ('base', 'neck', 'head')], 1)


def test_project_becomes_a_data_set(tmp_path: Path, capsys) -> None:
    points = animal_points(12)
    project = write_dlc_project(tmp_path / 'project', points)
    out = tmp_path / 'new' / 'set'
    assert convert('dlc', project, '--out', out) == 0
    data = read(out)
    assert data['images'].shape == (12, 50, 50)
    assert data['images'].dtype == np.uint8
    assert set(data['session']) == {'rat1'}
    np.testing.assert_array_equal(data['frame'], np.arange(12))
    assert data['image'][3] == 'rat1/img003.png'
    assert 'vis' not in data
    # the way back to the frame is exact
    for i in range(12):
        frame = crop_to_frame(
            stored_points(data)[i],
            data['crop_center'][i] - (data['crop_size'][i] - 1) / 2,
            data['crop_size'][i], 50)
        np.testing.assert_allclose(frame, landmarks(points)[i], atol=1e-5)
    text = capsys.readouterr().out
    readme = (out / 'README.txt').read_text()
    assert readme.strip() in text
    assert 'neck = left_ear + right_ear' in readme
    sheet = cv2.imread(str(out / 'contact_sheet.png'))
    assert sheet is not None and sheet.std() > 10
    assert len(DirectionDataset(str(out / 'direction.npz'), split='all')) == 12


def test_crops_of_a_session_have_one_scale(tmp_path: Path) -> None:
    points = animal_points(12)
    # another animal of half the length, in a session of its own
    small = points.mean(1, keepdims=True) + (
        points - points.mean(1, keepdims=True)) / 2
    project = write_dlc_project(tmp_path / 'p', points)
    other = write_dlc_project(tmp_path / 'q', small, session='rat2')
    (other / 'labeled-data' / 'rat2').rename(project / 'labeled-data' / 'rat2')
    assert convert('dlc', project, '--out', tmp_path / 'o') == 0
    data = read(tmp_path / 'o')
    sides = [np.unique(data['crop_size'][data['session'] == name])
             for name in ('rat1', 'rat2')]
    assert [len(side) for side in sides] == [1, 1]
    assert sides[0] / sides[1] == pytest.approx(2, rel=.03)
    lengths = np.linalg.norm(data['locs_head'] - data['locs_base'], axis=-1)
    assert lengths == pytest.approx(50 / 1.6, rel=.03)


@pytest.mark.parametrize(('size', 'scale'), [(50, 1.6), (64, 2.5), (128, 1.2)])
def test_a_dot_lies_where_its_point_says(tmp_path: Path, size: int,
                                         scale: float) -> None:
    """Shrinking and enlarging: the centroid is the oracle."""
    points = animal_points(8, seed=3)
    project = write_dlc_project(tmp_path / 'p', points)
    folder = project / 'labeled-data' / 'rat1'
    y, x = np.mgrid[:160, :200]
    for i, (_, _, head) in enumerate(landmarks(points)):
        distance = np.square(x - head[0]) + np.square(y - head[1])
        dot = 40 + 200 * np.exp(-distance / (2 * 3**2))
        cv2.imwrite(str(folder / f'img{i:03d}.png'), np.rint(dot))
    assert convert('dlc', project, '--out', tmp_path / 'o', '--size', size,
                   '--crop-scale', scale) == 0
    data = read(tmp_path / 'o')
    grid = np.arange(size)
    inside = 0
    for image, point in zip(data['images'], data['locs_head'], strict=True):
        margin = 9 * size / data['crop_size'][0]
        if (np.abs(point - (size - 1) / 2) > size / 2 - margin).any():
            continue  # part of the dot may be cut off
        mass = image.astype(float) - 40
        found = np.array([mass.sum(0) @ grid, mass.sum(1) @ grid]) / mass.sum()
        np.testing.assert_allclose(found, point, atol=.1)
        inside += 1
    assert inside >= 3


def test_shrinking_does_not_alias(tmp_path: Path) -> None:
    points = animal_points(4)
    project = write_dlc_project(tmp_path / 'p', points)
    stripes = np.zeros((160, 200, 3), np.uint8)
    stripes[:, ::2] = 200  # finer than a pixel of the crop
    for path in project.rglob('*.png'):
        cv2.imwrite(str(path), stripes)
    assert convert('dlc', project, '--out', tmp_path / 'o', '--size', 16,
                   '--jitter', 0) == 0
    images = read(tmp_path / 'o')['images'].astype(float)
    assert images[:, 2:-2, 2:-2].std() < 12  # 100 without averaging


def test_border_is_repeated_where_the_crop_leaves_the_frame(
        tmp_path: Path) -> None:
    points = animal_points(4)
    points[0] += [2, 80] - points[0].min(0)
    project = write_dlc_project(tmp_path / 'p', points)
    image = project / 'labeled-data' / 'rat1' / 'img000.png'
    frame = np.full((160, 200, 3), 90, np.uint8)
    frame[:, 0] = 180
    cv2.imwrite(str(image), frame)
    assert convert('dlc', project, '--out', tmp_path / 'o', '--crop-scale',
                   3) == 0
    data = read(tmp_path / 'o')
    left = data['crop_center'][0, 0] - (data['crop_size'][0] - 1) / 2
    rim = int(-left / data['crop_size'][0] * 50)
    assert rim > 5
    assert (data['images'][0][10:-10, :rim] == 180).all()


def test_jitter_hides_the_middle_and_is_seeded(tmp_path: Path) -> None:
    project = write_dlc_project(tmp_path / 'p', animal_points(40))

    def middles(*words: object) -> np.ndarray:
        assert convert('dlc', project, '--out', tmp_path / 'o', '--overwrite',
                       *words) == 0
        data = read(tmp_path / 'o')
        return (data['locs_base'] + data['locs_head']) / 2 - 24.5

    default = middles()
    assert np.abs(default).max() <= .1 * 50 + 1
    assert np.abs(default).std() > 1
    assert np.abs(middles('--jitter', 0)).max() <= 1
    np.testing.assert_array_equal(middles(), default)
    assert not np.array_equal(middles('--seed', 1), default)


def test_missing_points_are_hidden_or_left_out(tmp_path: Path,
                                               capsys) -> None:
    points = animal_points(10)
    points[2, 1] = np.nan  # one ear: no neck
    points[3, 0] = np.nan  # no head
    points[4, [0, 3]] = np.nan  # neither head nor base
    project = write_dlc_project(tmp_path / 'p', points)
    assert convert('dlc', project, '--out', tmp_path / 'o') == 0
    data = read(tmp_path / 'o')
    assert list(data['frame']) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    expected = np.ones((9, 3), bool)
    expected[2, 1] = expected[3, 2] = False
    np.testing.assert_array_equal(data['vis'], expected)
    assert '2 points hidden, 1 rows left out' in capsys.readouterr().out
    dataset = DirectionDataset(str(tmp_path / 'o' / 'direction.npz'),
                               split='all')
    labels = dataset.__getitems__(range(9))['data_samples'][0]
    np.testing.assert_array_equal(
        labels.gt_instance_labels.keypoint_weights, expected)


def test_given_names_override_the_usual_ones(tmp_path: Path) -> None:
    points = animal_points(5)
    project = write_dlc_project(tmp_path / 'p', points)
    assert convert('dlc', project, '--out', tmp_path / 'o', '--neck',
                   'right_ear', '--head', 'nose+leftear') == 0
    text = (tmp_path / 'o' / 'README.txt').read_text()
    assert 'neck = right_ear, head = nose + left_ear' in text


def test_tracks_take_frames_from_the_video(tmp_path: Path) -> None:
    points = animal_points(12, seed=2)
    with VideoWriter(tmp_path / 'v.mp4', 25, (200, 160)) as video:
        for row in points:
            video.write(draw_frame(landmarks(row[None])[0]))
    table = write_dlc_tracks(tmp_path / 'vDLC_net.csv', points)
    assert convert('tracks', table, '--video', tmp_path / 'v.mp4', '--out',
                   tmp_path / 'o', '--every', 3) == 0
    data = read(tmp_path / 'o')
    assert list(data['frame']) == [0, 3, 6, 9]
    for image, point in zip(data['images'], data['locs_head'], strict=True):
        x, y = np.rint(point).astype(int)
        assert image[y, x] > 150  # the dot of this frame, not another's


def test_low_scores_hide_points(tmp_path: Path) -> None:
    points = animal_points(4)
    with VideoWriter(tmp_path / 'v.mp4', 25, (200, 160)) as video:
        for row in points:
            video.write(draw_frame(row))
    table = write_dlc_tracks(tmp_path / 'v.csv', points, score=.3)
    words = ('tracks', table, '--video', tmp_path / 'v.mp4', '--out',
             tmp_path / 'o')
    assert convert(*words) == 1
    assert convert(*words, '--min-score', .2) == 0


def test_analysis_of_sleap(tmp_path: Path) -> None:
    points = animal_points(6)
    with VideoWriter(tmp_path / 'v.mp4', 25, (200, 160)) as video:
        for row in points:
            video.write(draw_frame(row))
    with h5py.File(tmp_path / 'v.analysis.h5', 'w') as file:
        file['node_names'] = [name.encode() for name in BODYPARTS]
        file['track_names'] = [b'rat']
        file['tracks'] = points.transpose(2, 1, 0)[None]
    assert convert('sleap', tmp_path / 'v.analysis.h5', '--video',
                   tmp_path / 'v.mp4', '--out', tmp_path / 'o') == 0
    assert len(read(tmp_path / 'o')['images']) == 6


def test_coco(tmp_path: Path) -> None:
    points = animal_points(6)
    project = write_dlc_project(tmp_path / 'p', points)
    three = landmarks(points)
    content = dict(
        categories=[dict(id=1, keypoints=['tail_base', 'neck', 'nose'])],
        images=[dict(id=i, file_name=f'img{i:03d}.png') for i in range(6)],
        annotations=[
            dict(id=i, image_id=i, category_id=1,
                 keypoints=[v for x, y in three[i] for v in (x, y, 2)])
            for i in range(6)
        ])
    path = tmp_path / 'labels.json'
    path.write_text(json.dumps(content))
    assert convert('coco', path, '--images',
                   project / 'labeled-data' / 'rat1', '--out',
                   tmp_path / 'o') == 0
    assert len(read(tmp_path / 'o')['images']) == 6


def test_existing_folder_is_kept_unless_told(tmp_path: Path, capsys) -> None:
    project = write_dlc_project(tmp_path / 'p', animal_points(5))
    out = tmp_path / 'o'
    out.mkdir()
    (out / 'mine.txt').write_text('mine')
    assert convert('dlc', project, '--out', out) == 1
    assert '--overwrite' in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ['mine.txt']
    assert convert('dlc', project, '--out', out, '--overwrite') == 0
    assert sorted(path.name for path in out.iterdir()) == [
        'README.txt', 'contact_sheet.png', 'direction.npz']


def test_the_input_is_not_replaced(tmp_path: Path, capsys) -> None:
    project = write_dlc_project(tmp_path / 'p', animal_points(5))
    before = sorted(tmp_path.rglob('*'))
    for out in (project, project / 'labeled-data', tmp_path):
        assert convert('dlc', project, '--out', out, '--overwrite') == 1
        assert 'which is read' in capsys.readouterr().err
    assert sorted(tmp_path.rglob('*')) == before


def test_real_mouse(tmp_path: Path, real_data: Path) -> None:
    out = tmp_path / 'openfield_mouse'
    assert convert('dlc', real_data / 'openfield_mouse', '--out', out) == 0
    data = read(out)
    assert data['images'].shape == (116, 50, 50)
    assert len(np.unique(data['crop_size'])) == 1
    points = stored_points(data)
    assert ((points > 1) & (points < 48)).all()
    # the mouse is dark: its points and the middle between them lie on it
    places = np.rint(points[:, :2].mean(1)).astype(int)
    on = data['images'][np.arange(116), places[:, 1], places[:, 0]]
    assert np.median(on) < 60 < np.median(data['images'])

"""The world of synthetic horses: whole files, exact and honest labels."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmpose_ext.equine.horse26 import NAMES, SKELETON
from mmpose_ext.storage import DataError, read_coco_keypoints
from mmpose_ext.synthesis import equine
from mmpose_ext.synthesis.equine import write_world

SIZE = 70


@pytest.fixture(scope='module')
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('world') / 'deep' / 'equine'
    counts = write_world(out, seed=3, size=SIZE)
    assert counts == {'train': 40, 'val': 10, 'test': 20}
    return out


@pytest.fixture(scope='module')
def files(world: Path) -> dict[str, dict[str, Any]]:
    return {split: json.loads(
        (world / 'annotations' / f'horse_{split}.json').read_text())
            for split in ('train', 'val', 'test')}


def keypoints(content: dict[str, Any]) -> np.ndarray:
    return np.array([annotation['keypoints'] for annotation
                     in content['annotations']], float).reshape(-1, 26, 3)


def boxes(content: dict[str, Any]) -> np.ndarray:
    return np.array([annotation['bbox'] for annotation
                     in content['annotations']], float)


def everything(files: dict[str, dict[str, Any]]) -> tuple:
    return (np.concatenate([keypoints(content) for content in files.values()]),
            np.concatenate([boxes(content) for content in files.values()]))


def test_layout_is_that_of_real_data(world: Path, files: dict) -> None:
    assert {path.name for path in world.iterdir()} == {
        'annotations', 'train', 'val', 'test', 'README.txt'}
    for split, content in files.items():
        listed = {image['file_name'] for image in content['images']}
        assert {path.name for path in (world / split).iterdir()} == listed
        for image in content['images']:
            picture = cv2.imread(str(world / split / image['file_name']))
            assert picture.shape == (image['height'], image['width'], 3)
    assert 'seed 3' in (world / 'README.txt').read_text()


def test_category_is_the_horse_of_26_points(files: dict) -> None:
    for content in files.values():
        category, = content['categories']
        assert category['id'] == 1 and category['name'] == 'horse'
        assert category['supercategory'] == 'animal'
        assert tuple(category['keypoints']) == NAMES
        # COCO counts from 1
        assert category['skeleton'] == [[a + 1, b + 1] for a, b in SKELETON]


def test_the_reader_takes_every_file(world: Path, files: dict) -> None:
    for split, content in files.items():
        tracks = read_coco_keypoints(
            world / 'annotations' / f'horse_{split}.json', world / split)
        assert tracks.names == NAMES
        expected = keypoints(content)
        found = tracks.points[:, 0]
        np.testing.assert_array_equal(np.isnan(found[..., 0]),
                                      expected[..., 2] == 0)


def test_ids_and_horses_are_of_one_split_alone(files: dict) -> None:
    for key in ('images', 'annotations'):
        ids = [item['id'] for content in files.values()
               for item in content[key]]
        assert len(set(ids)) == len(ids)
    horses = [{image['file_name'].split('_')[0] for image in content['images']}
              for content in files.values()]
    assert [len(names) for names in horses] == [8, 2, 4]
    assert len(set.union(*horses)) == 14
    for content in files.values():
        known = {image['id'] for image in content['images']}
        assert {annotation['image_id'] for annotation
                in content['annotations']} == known


def test_annotations_agree_with_themselves(files: dict) -> None:
    for content in files.values():
        size = {image['id']: (image['width'], image['height'])
                for image in content['images']}
        for annotation, points in zip(content['annotations'],
                                      keypoints(content), strict=True):
            width, height = size[annotation['image_id']]
            left, top, wide, high = annotation['bbox']
            assert min(left, top) >= 0
            assert left + wide <= width and top + high <= height
            assert .05 * wide * high < annotation['area'] <= wide * high
            seen = points[:, 2] > 0
            assert annotation['num_keypoints'] == seen.sum() >= 12
            assert annotation['iscrowd'] == 0
            assert (points[~seen] == 0).all()
            assert (points[seen, :2] >= 0).all()
            assert (points[seen, :2] <= [width - 1, height - 1]).all()


def test_points_lie_in_their_boxes(files: dict) -> None:
    points, box = everything(files)
    seen = points[..., 2] > 0
    low = points[..., :2] - box[:, None, :2]
    high = box[:, None, :2] + box[:, None, 2:] - points[..., :2]
    assert (low[seen] > -1.5).all() and (high[seen] > -1.5).all()


def test_box_and_area_are_those_of_the_silhouette() -> None:
    for number in range(6):
        horse = equine.draw_horse(8, number, (320, 240))
        _, labels = equine.photograph(8, number, 0, horse)
        for label in labels:
            x, y, w, h = cv2.boundingRect(label.silhouette.astype(np.uint8))
            assert equine._box(label.silhouette).tolist() == [x, y, w, h]


def test_visible_points_look_like_a_horse_not_like_its_surroundings() -> None:
    """A point called visible lies on the horse's own pixels."""
    inside = total = 0
    for number in range(12):
        horse = equine.draw_horse(5, number, (480, 360))
        _, labels = equine.photograph(5, number, 0, horse)
        for label in labels:
            x, y = np.rint(label.keypoints[:, :2]).astype(int).T
            shown = label.keypoints[:, 2] == 2
            wide = cv2.dilate(label.silhouette.astype(np.uint8),
                              np.ones((3, 3), np.uint8))
            inside += wide[y[shown], x[shown]].sum()
            total += shown.sum()
    assert total > 150 and inside / total > .99


def test_what_stands_before_a_horse_hides_its_points(
        monkeypatch: pytest.MonkeyPatch) -> None:
    horse = equine.draw_horse(2, 0, (320, 240))
    monkeypatch.setattr(equine, 'IN_FRONT', 1.)
    monkeypatch.setattr(equine, 'HERD', 0.)
    monkeypatch.setattr(equine, 'paint_in_front',
                        lambda rng, image, *_: np.ones(image.shape[:2], bool))
    _, (label, ) = equine.photograph(2, 0, 0, horse)
    assert set(label.keypoints[:, 2]) <= {0, 1}


def test_views_poses_and_visibility_are_varied(files: dict) -> None:
    points, box = everything(files)
    share = [(points[..., 2] == value).mean() for value in (0, 1, 2)]
    assert .02 < share[0] < .2 and .1 < share[1] < .4
    nose, tail = (NAMES.index(name) for name in ('nose', 'tail_base'))
    both = (points[:, [nose, tail], 2] > 0).all(1)
    to_left = points[both, nose, 0] < points[both, tail, 0]
    assert .3 < to_left.mean() < .7
    aspect = box[:, 2] / box[:, 3]
    assert (aspect < .7).mean() > .1 and (aspect > 1).mean() > .35


def test_the_mean_pose_does_not_do(files: dict) -> None:
    """Points at the middle of all training poses are mostly far off."""
    def normal(content: dict[str, Any]) -> tuple:
        points, box = keypoints(content), boxes(content)
        place = (points[..., :2] - box[:, None, :2]) / box[:, None, 2:]
        return place, points[..., 2:] > 0, box

    place, seen, _ = normal(files['train'])
    mean = (place * seen).sum(0) / seen.sum(0)
    place, seen, box = normal(files['test'])
    error = np.linalg.norm((place - mean) * box[:, None, 2:], axis=-1)
    near = error < .2 * box[:, 2:].max(-1, keepdims=True)
    assert near[seen[..., 0]].mean() < .62


def test_a_larger_world_begins_like_a_smaller_one(
        world: Path, files: dict, tmp_path: Path) -> None:
    write_world(tmp_path / 'small', seed=3, size=14)
    for split, content in files.items():
        small = json.loads((tmp_path / 'small' / 'annotations' /
                            f'horse_{split}.json').read_text())
        count = len(small['images'])
        assert small['images'] == content['images'][:count]
        assert small['annotations'] == content['annotations'][
            :len(small['annotations'])]
        for image in small['images']:
            name = f'{split}/{image["file_name"]}'
            assert (tmp_path / 'small' / name).read_bytes() == (
                world / name).read_bytes()
    write_world(tmp_path / 'other', seed=4, size=7)
    name = f'train/{files["train"]["images"][0]["file_name"]}'
    assert (tmp_path / 'other' / name).read_bytes() != (
        world / name).read_bytes()


def test_image_size_is_kept(tmp_path: Path) -> None:
    write_world(tmp_path / 'wide', size=7, image_size=(640, 360))
    for path in (tmp_path / 'wide').glob('*/*.jpg'):
        assert cv2.imread(str(path)).shape == (360, 640, 3)


def test_an_interrupted_world_leaves_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(equine, 'photograph', interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_world(tmp_path / 'new', size=7)
    assert list(tmp_path.iterdir()) == []


def test_unfit_targets_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='folder'):
        write_world(tmp_path / 'file', size=7)
    with pytest.raises(DataError, match='size'):
        write_world(tmp_path / 'new', size=6)
    with pytest.raises(DataError, match='image_size'):
        write_world(tmp_path / 'new', size=7, image_size=(20, 300))
    assert not (tmp_path / 'new').exists()


def test_only_an_older_world_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / 'world'
    write_world(out, size=7, image_size=(160, 120))
    write_world(out, seed=1, size=7, image_size=(160, 120))
    assert 'seed 1' in (out / 'README.txt').read_text()
    with pytest.raises(DataError, match='overwriting'):
        write_world(out, size=7, overwrite=False)
    (out / 'mine.txt').write_text('kept')
    with pytest.raises(DataError, match='other content'):
        write_world(out, size=7)
    assert (out / 'mine.txt').read_text() == 'kept'

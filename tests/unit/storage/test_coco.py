from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import (
    DataError,
    read_coco_keypoints,
    read_coco_labels,
    read_coco_names,
)

CONTENT = {
    'images': [{'id': 5, 'file_name': 'day1/a.png'},
               {'id': 'x', 'file_name': 'b.png'}],
    'categories': [{'id': 1, 'name': 'rat', 'keypoints': ['nose', 'tail']},
                   {'id': 2, 'name': 'car'}],
    'annotations': [
        {'id': 1, 'image_id': 'x', 'category_id': 1, 'bbox': [0, 0, 5, 5],
         'keypoints': [1, 2, 2, 3.5, 4, 1]},
        {'id': 2, 'image_id': 5, 'category_id': 1,
         'keypoints': [0, 0, 0, 7, 8, 2]},
        {'id': 3, 'image_id': 5, 'category_id': 1,
         'keypoints': [9, 9, 2, 7, 8, 2]},
    ],
}


@pytest.fixture
def save(tmp_path):
    folder = tmp_path / 'set'
    (folder / 'day1').mkdir(parents=True)
    for name in ('day1/a.png', 'b.png'):
        (folder / name).write_bytes(b'png')

    def write(content):
        path = folder / 'labels.json'
        path.write_text(content if isinstance(content, str) else
                        json.dumps(content))
        return path

    return write


def test_one_row_an_annotation(save):
    path = save(CONTENT)
    tracks = read_coco_keypoints(path)
    assert tracks.names == ('nose', 'tail')
    assert np.array_equal(
        tracks.points[:, 0],
        [[[1, 2], [3.5, 4]], [[np.nan] * 2, [7, 8]], [[9, 9], [7, 8]]],
        equal_nan=True)
    assert np.array_equal(tracks.scores[:, 0], [[1, 1], [np.nan, 1], [1, 1]],
                          equal_nan=True)
    assert tracks.sessions == ('set', 'day1', 'day1')
    assert tracks.frames.tolist() == [0, 1, 2]
    assert tracks.images[1] == path.parent / 'day1' / 'a.png'


def test_images_in_another_folder(save, tmp_path, refused):
    path = save(CONTENT)
    moved = path.rename(tmp_path / 'labels.json')
    assert len(read_coco_keypoints(moved, path.parent).images) == 3
    with refused('images'):
        read_coco_keypoints(moved)


def test_agrees_with_the_official_reader(real_data):
    coco = pytest.importorskip('xtcocotools.coco')
    path = real_data / 'horse10' / 'test_horse10.json'
    tracks = read_coco_keypoints(path)
    official = coco.COCO(str(path))
    for row, annotation in enumerate(official.dataset['annotations']):
        expected = np.array(annotation['keypoints'], float).reshape(-1, 3)
        seen = expected[:, 2] > 0
        assert np.array_equal(tracks.points[row, 0][seen], expected[seen, :2])
        assert np.isnan(tracks.points[row, 0][~seen]).all()
        image = official.loadImgs(annotation['image_id'])[0]['file_name']
        assert tracks.images[row].name == image
    assert tracks.points.shape == (3, 1, 22, 2)


def change(*keys, value):

    def damage(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return damage


def drop(*keys):

    def damage(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return damage


FIRST = ('annotations', 0)


@pytest.mark.parametrize(('damage', 'where'), [
    (drop('images'), "key 'images'"),
    (drop('annotations'), "key 'annotations'"),
    (drop('categories'), "key 'categories'"),
    (change('images', value={}), "key 'images'"),
    (change('annotations', value=[]), "key 'annotations'"),
    (drop('images', 0, 'id'), 'image at position 0'),
    (drop('images', 0, 'file_name'), 'image 5'),
    (change('images', 1, 'id', value=5), 'image 5'),
    (change('images', 0, value='a.png'), 'image at position 0'),
    (change('images', 1, 'file_name', value='c.png'), 'images'),
    (change(*FIRST, 'id', value=2), 'annotation 2'),
    (change(*FIRST, 'id', value=[1]), 'annotation at position 0'),
    (change(*FIRST, 'image_id', value=6), 'annotation 1'),
    (change(*FIRST, 'image_id', value=[6]), 'annotation 1'),
    (change(*FIRST, 'category_id', value=9), 'annotation 1'),
    (change(*FIRST, 'category_id', value=2), 'category 2'),
    (drop(*FIRST, 'keypoints'), 'annotation 1'),
    (change(*FIRST, 'keypoints', value=[1, 2, 2]), 'annotation 1, keypoints'),
    (change(*FIRST, 'keypoints', value='123456'), 'annotation 1, keypoints'),
    (change(*FIRST, 'keypoints', 0, value=None), 'annotation 1, keypoints'),
    (change(*FIRST, 'keypoints', 0, value=float('nan')),
     'annotation 1, keypoints'),
    (change(*FIRST, 'keypoints', 0, value=10**400),
     'annotation 1, keypoints'),
    (change(*FIRST, 'keypoints', 2, value=3), 'annotation 1, keypoints'),
    (change(*FIRST, 'bbox', value=[0, 0, -5, 5]), 'annotation 1, bbox'),
    (change(*FIRST, 'bbox', value=[0, 0, 5]), 'annotation 1, bbox'),
    (drop('categories', 0, 'keypoints'), 'category 1'),
    (change('categories', 0, 'keypoints', value=[]), 'category 1'),
    (change('categories', 0, 'keypoints', value=['a', 'a']), 'names'),
])
def test_damaged_content_is_refused(save, refused, damage, where):
    content = copy.deepcopy(CONTENT)
    damage(content)
    path = save(content)
    with refused(where):
        read_coco_keypoints(path)


@pytest.mark.parametrize('text', ['', '{"images": [', '[]', '[' * 100_000])
def test_other_text_is_refused(save, refused, text):
    path = save(text)
    with refused('file'):
        read_coco_keypoints(path)


def test_categories_with_other_keypoints_are_refused(save, refused):
    content = copy.deepcopy(CONTENT)
    content['categories'][1]['keypoints'] = ['tail', 'nose']
    content['annotations'][2]['category_id'] = 2
    path = save(content)
    with refused('category 2'):
        read_coco_keypoints(path)


def write_species(folder: Path, **changes: object) -> Path:
    """Two horses in a picture, a crowd of them and a cow in another."""
    for name in ('x.png', 'y.png'):
        (folder / name).touch()
    points = [1, 2, 2, 0, 0, 0, 5, 6, 1]
    content: dict = dict(
        images=[dict(id='a', file_name='x.png', width=20, height=10),
                dict(id='b', file_name='y.png'),
                dict(id='c', file_name='gone.png')],
        annotations=[
            dict(id=i, image_id=image, category_id=category, iscrowd=crowd,
                 keypoints=points, bbox=[1, 2, 3, 4])
            for i, (image, category, crowd) in enumerate([
                ('a', 2, 0), ('a', 2, 0), ('b', 2, 1), ('b', 1, 0)])],
        categories=[dict(id=1, name='cow', keypoints=['p', 'q', 'r']),
                    dict(id=2, name='Horse', keypoints=['p', 'q', 's'])])
    content.update(changes)
    path = folder / 'species.json'
    path.write_text(json.dumps(content))
    return path


def test_labels_of_one_category(tmp_path: Path) -> None:
    path = write_species(tmp_path)
    labels = read_coco_labels(path, preferred='horse')
    assert labels.names == ('p', 'q', 's')
    [image] = labels.images
    assert (image.file, image.size) == (tmp_path / 'x.png', (20, 10))
    first, second = image.instances
    assert first.points.tolist() == [[1, 2], [0, 0], [5, 6]]
    assert first.visibility.tolist() == [2, 0, 1]
    assert first.box.tolist() == [1, 2, 3, 4]
    assert labels.left_out == {
        'annotations of other categories': 1, 'crowds': 1,
        'pictures without an animal': 2}
    [image] = read_coco_labels(path, category='COW').images
    assert image.size is None


def test_a_category_must_be_chosen_where_there_are_several(
        tmp_path: Path) -> None:
    path = write_species(tmp_path)
    for choice in (dict(), dict(category='dog', preferred='horse')):
        with pytest.raises(DataError, match='cow, horse'):
            read_coco_labels(path, **choice)


def test_names_of_all_categories(tmp_path: Path) -> None:
    assert read_coco_names(write_species(tmp_path)) == ('p', 'q', 'r', 's')

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmpose_ext.storage import DataError, LabelSet, read_label_studio


def region(name: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    return {'type': 'keypointlabels', 'original_width': 200,
            'original_height': 100, 'image_rotation': 0,
            'value': {'x': x, 'y': y, 'keypointlabels': [name]}, **more}


def rectangle(number: str, *box: float) -> dict[str, Any]:
    return {'type': 'rectanglelabels', 'id': number, 'original_width': 200,
            'original_height': 100, 'value': dict(
                zip(('x', 'y', 'width', 'height'), box, strict=True),
                rectanglelabels=['horse'], rotation=0)}


def read(folder: Path, *results: list[dict], image: str = 'x.png',
         **annotation: Any) -> LabelSet:
    (folder / 'x.png').touch()
    path = folder / 'labels.json'
    path.write_text(json.dumps([{
        'id': 5, 'data': {'image': image}, 'annotations': [
            {'id': i, 'result': result, **annotation}
            for i, result in enumerate(results)]}]))
    return read_label_studio(path)


def test_per_cent_become_pixels(tmp_path: Path) -> None:
    labels = read(tmp_path, [region('nose', 50, 25), region('tail', 0, 100)])
    [image] = labels.images
    assert labels.names == ('nose', 'tail')
    assert (image.size, image.name) == ((200, 100), 'x.png')
    assert image.instances[0].points.tolist() == [[99.5, 24.5], [-.5, 99.5]]
    assert image.instances[0].visibility.tolist() == [2, 2]


def test_turning_the_view_changes_nothing(tmp_path: Path) -> None:
    """The program turns the places back before it stores them."""
    labels = read(tmp_path, [region('nose', 50, 25, image_rotation=270)])
    assert labels.images[0].instances[0].points.tolist() == [[99.5, 24.5]]


@pytest.mark.parametrize('more', [
    {'meta': {'text': ['Occluded']}}, {'occluded': True},
    {'id': 'r'}])
def test_occluded_points(tmp_path: Path, more: dict) -> None:
    choice = {'id': 'r', 'type': 'choices', 'value': {'choices': ['occluded']}}
    whole = {'id': 'q', 'type': 'choices', 'value': {'choices': ['nice']}}
    labels = read(tmp_path, [region('nose', 1, 1, **more),
                             region('tail', 2, 2, id='q'), choice, whole])
    assert labels.images[0].instances[0].visibility.tolist() == [1, 2]


def test_points_below_a_rectangle_are_an_animal(tmp_path: Path) -> None:
    labels = read(tmp_path, [
        rectangle('a', 0, 0, 50, 50), rectangle('b', 50, 50, 50, 50),
        region('nose', 10, 10, parentID='a'),
        region('nose', 60, 60, parentID='b'),
        region('tail', 90, 90, parentID='b')])
    first, second = labels.images[0].instances
    assert first.points[0].tolist() == [19.5, 9.5]
    assert first.visibility.tolist() == [2, 0]
    assert second.points.tolist() == [[119.5, 59.5], [179.5, 89.5]]
    assert second.box.tolist() == [100, 50, 100, 50]


def test_the_only_rectangle_is_the_only_animals(tmp_path: Path) -> None:
    labels = read(tmp_path, [region('nose', 10, 10),
                             rectangle('a', 0, 0, 50, 50)])
    assert labels.images[0].instances[0].box.tolist() == [0, 0, 100, 50]


def test_the_newest_annotation_counts_unless_cancelled(
        tmp_path: Path) -> None:
    (tmp_path / 'x.png').touch()
    path = tmp_path / 'labels.json'
    annotations = [
        {'id': 3, 'updated_at': '2024-01-02T00:00:00Z',
         'result': [region('nose', 20, 20)]},
        {'id': 9, 'updated_at': '2024-01-01T00:00:00Z',
         'result': [region('nose', 10, 10)]},
        {'id': 4, 'updated_at': '2024-01-03T00:00:00Z',
         'was_cancelled': True, 'result': [region('nose', 30, 30)]}]
    path.write_text(json.dumps(
        [{'id': 1, 'data': {'image': 'x.png'}, 'annotations': annotations},
         {'id': 2, 'data': {'image': 'y.png'}, 'annotations': []}]))
    labels = read_label_studio(path)
    assert labels.images[0].instances[0].points.tolist() == [[39.5, 19.5]]
    assert labels.left_out == {'tasks without an annotation': 1}


def test_json_min_has_an_entry_for_each_annotation(tmp_path: Path) -> None:
    (tmp_path / 'x.png').touch()
    path = tmp_path / 'labels.json'
    entries = [{
        'id': 1, 'image': 'x.png', 'annotation_id': number,
        'updated_at': f'2024-01-0{day}T00:00:00Z', 'kp': [{
            'x': 10 * day, 'y': 50, 'keypointlabels': ['nose'],
            'original_width': 200, 'original_height': 100}]}
        for number, day in ((7, 2), (8, 1))]
    path.write_text(json.dumps(entries))
    [image] = read_label_studio(path).images
    np.testing.assert_allclose(image.instances[0].points, [[39.5, 49.5]])


@pytest.mark.parametrize('address', [
    'x.png', '/data/upload/3/x.png', '/data/upload/3/0a1b2c3d-x.png',
    '/data/local-files/?d=a/b/x.png', 's3://bucket/a/x.png',
    'https://host/a/x.png?signature=1', 'gs://bucket/%78.png'])
def test_addresses_of_pictures(tmp_path: Path, address: str) -> None:
    labels = read(tmp_path, [region('nose', 1, 1)], image=address)
    assert labels.images[0].file == tmp_path / 'x.png'


@pytest.mark.parametrize('key', ['id', 'parentID'])
@pytest.mark.parametrize('value', [['r'], {'r': 1}])
def test_names_of_regions_are_texts(tmp_path: Path, key: str,
                                    value: object) -> None:
    with pytest.raises(DataError, match=f"task 5, key '{key}'"):
        read(tmp_path, [region('nose', 1, 1, **{key: value})])


@pytest.mark.parametrize('key', ['id', 'parentID'])
def test_names_of_rectangles_are_texts(tmp_path: Path, key: str) -> None:
    with pytest.raises(DataError, match=f"task 5, key '{key}'"):
        read(tmp_path, [region('nose', 1, 1),
                        {**rectangle('a', 0, 0, 5, 5), key: ['a']}])

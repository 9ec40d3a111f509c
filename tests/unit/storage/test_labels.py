from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmpose_ext.storage import DataError, PointTracks, labels_of_tracks
from mmpose_ext.storage.labels import ImageFolder, gather_points, read_number

FILE = Path('labels.csv')


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    for name in ('a/x.png', 'b/x.png', 'b/c/y.png', 'z.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return ImageFolder(tmp_path, FILE)


@pytest.mark.parametrize('name, found', [
    ('z.png', 'z.png'), ('b/x.png', 'b/x.png'), ('b\\x.png', 'b/x.png'),
    ('y.png', 'b/c/y.png'), ('/elsewhere/y.png', 'b/c/y.png'),
    ('C:\\data\\y.png', 'b/c/y.png'), ('../z.png', 'z.png')])
def test_pictures_are_found_by_path_then_by_name(
        folder: ImageFolder, name: str, found: str) -> None:
    assert folder.find(name, 'line 2') == (folder.root / found, found)


@pytest.mark.parametrize('name, count', [
    ('x.png', 'a/x.png and'), ('no.png', 'none'), ('', 'none'), ('b', 'none'),
    ('b\0.png', 'none'), ('n' * 5000, 'none')])
def test_a_picture_that_is_not_one_is_refused(folder: ImageFolder, name: str,
                                              count: str) -> None:
    with pytest.raises(DataError, match=count) as caught:
        folder.find(name, 'line 2')
    assert caught.value.where == 'line 2'


def test_points_come_in_the_order_of_the_names() -> None:
    instance = gather_points(
        {'b': (1., 2., 1), 'c': (5., 6., 0)}, ('a', 'b', 'c'), 'x')
    assert instance.points.tolist() == [[0, 0], [1, 2], [0, 0]]
    assert instance.visibility.tolist() == [0, 1, 0]
    assert instance.visibility.dtype == np.int64


@pytest.mark.parametrize('value', [None, True, 'x', '', [], 'nan', 'inf',
                                   10**400])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(DataError, match='here'):
        read_number(value, FILE, 'here')


def test_individuals_of_tracks_become_animals() -> None:
    points = np.full((2, 2, 3, 2), np.nan)
    points[0, 0, 1] = 7, 8
    points[1] = np.arange(12).reshape(2, 3, 2)
    tracks = PointTracks(
        ('p', 'q', 'r'), ('one', 'two'), points,
        np.where(np.isnan(points[..., 0]), np.nan, 1.), np.arange(2),
        (Path('s/a.png'), Path('s/b.png')), None, ('s', 's'), Path('project'))
    labels = labels_of_tracks(tracks)
    assert [image.name for image in labels.images] == ['s/a.png', 's/b.png']
    first, second = labels.images
    [animal] = first.instances
    assert animal.visibility.tolist() == [0, 2, 0]
    assert animal.points[1].tolist() == [7, 8]
    assert len(second.instances) == 2

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmpose_ext.equine.split import (
    check_grouping,
    group_key,
    read_earlier,
    split_groups,
)
from mmpose_ext.storage import DataError

FRACTIONS = (.7, .15, .15)
FILE = Path('/data/day1/img.png')


@pytest.mark.parametrize('name, group_by, key', [
    ('a/horse3_0012.png', 'image', 'a/horse3_0012.png'),
    ('a/horse3_0012.png', 'none', 'a/horse3_0012.png'),
    ('a/horse3_0012.png', 'prefix', 'a/horse3'),
    ('a/0012.png', 'prefix', 'a/0012'),
    ('a/b/horse.png', 'folder', 'b'),
    ('horse.png', 'folder', 'day1'),
    ('a/horse3_0012.png', 'regex:horse[0-9]+', 'horse3'),
    ('a/horse3_0012.png', 'regex:horse([0-9]+)', '3')])
def test_groups_come_from_names(name: str, group_by: str, key: str) -> None:
    assert group_key(FILE, name, group_by) == key


def test_groups_come_from_the_camera_and_day(tmp_path: Path) -> None:
    path = tmp_path / 'x.jpg'
    exif = Image.Exif()
    exif[0x0110] = 'X100'
    exif[0x0132] = '2024:05:06 10:11:12'
    Image.new('RGB', (8, 8)).save(path, exif=exif)
    assert group_key(path, 'x.jpg', 'exif') == 'X100 2024:05:06'
    Image.new('RGB', (8, 8)).save(path)
    with pytest.raises(DataError, match='date the picture was taken'):
        group_key(path, 'x.jpg', 'exif')


@pytest.mark.parametrize('text', ['clip', 'folders', 'regex', 'regex:('])
def test_unknown_groupings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        check_grouping(text)


def test_a_name_without_the_pattern_is_refused() -> None:
    with pytest.raises(DataError, match="'x.png'"):
        group_key(FILE, 'x.png', 'regex:horse')


def test_shares_are_met_and_groups_whole() -> None:
    groups = [f'clip{i // 5}' for i in range(10000)]
    parts = split_groups(groups, FRACTIONS, 42)
    for part, share in zip(('train', 'val', 'test'), FRACTIONS, strict=True):
        # three standard deviations of 2000 draws
        assert abs(parts.count(part) / 10000 - share) < .031
    assert all(len(set(parts[i:i + 5])) == 1 for i in range(0, 10000, 5))


def test_the_split_of_a_group_does_not_depend_on_the_others() -> None:
    groups = [f'g{i}' for i in range(50)]
    parts = split_groups(groups, FRACTIONS, 42)
    more = split_groups(groups[::-1] + ['new'] * 9, FRACTIONS, 42)
    assert more[:50] == parts[::-1]
    assert split_groups(groups, FRACTIONS, 43) != parts


def test_clusters_join_groups() -> None:
    groups = [f'g{i // 2}' for i in range(40)]
    # a chain through all of them
    clusters = np.array([(i + 1) // 2 for i in range(40)])
    assert len(set(split_groups(groups, FRACTIONS, 42, clusters))) == 1
    assert len(set(split_groups(groups, FRACTIONS, 42))) == 3


def test_earlier_parts_are_kept() -> None:
    groups = ['a', 'a', 'b', 'c', 'd']
    before = ['test', None, 'val', None, None]
    parts = split_groups(groups, (1, 0, 0), 42, None, before)
    assert parts == ['test', 'test', 'val', 'train', 'train']
    # the fourth ties the first two groups, of two parts: it belongs to none
    parts = split_groups(groups, (1, 0, 0), 42, np.array([0, 0, 0, 0, 1]),
                         before)
    assert parts == ['test', None, 'val', None, 'train']


def test_earlier_parts_are_found_by_content_or_group() -> None:
    content = dict(groups={'a': 'val'}, pictures={'11': 'test'})
    assert read_earlier(content, ['a', 'b', 'c'], ['00', '11', '22']) == [
        'val', 'test', None]


def test_divided_groups_give_no_part_to_new_pictures() -> None:
    content = dict(groups={'a': 'train', 'b': 'test'},
                   pictures={'11': 'train', '22': 'val', '33': 'test'})
    assert read_earlier(content, ['a', 'a', 'a', 'b', 'b'],
                        ['11', '22', '99', '33', '88']) == [
        'train', 'val', None, 'test', 'test']

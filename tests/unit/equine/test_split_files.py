from __future__ import annotations

from pathlib import Path

import numpy as np

from mmpose_ext.equine.source_pictures import Horse, SourcePicture
from mmpose_ext.equine.split_files import (
    SplitData,
    output_names,
    split_record,
)


def picture(name: str, digest: str = 'f' * 64) -> SourcePicture:
    return SourcePicture(Path(name), name, (4, 4), (), digest, np.uint64(0))


def test_names_are_flat_and_each_once() -> None:
    names = output_names((
        picture('a/b/x.jpg'), picture('/data/../y.png'),
        picture('z.png', '1' * 64), picture('Z.png', '2' * 64),
        picture('a_b_X.jpg', '3' * 64)))
    assert names == ['a_b_x-ffffffff.jpg', 'data_y.png', 'z-11111111.png',
                     'Z-22222222.png', 'a_b_X-33333333.jpg']


def test_an_empty_part_is_told() -> None:
    horse = Horse(np.zeros((26, 2)), np.full(26, 2), np.ones(4))
    one = SourcePicture(Path('x'), 'x', (4, 4), (horse, ), 'f',
                        np.uint64(0))
    text = SplitData((one, ), ('g', ), ('train', ),
                     dict(split=[.8, .2, 0.]), None).describe()
    train, val, test = text.splitlines()[:3]
    assert train == 'train: 1 pictures, 1 horses, 1 groups'
    assert 'too few groups' in val and 'too few groups' not in test


def test_a_divided_group_has_no_part_but_its_pictures_do() -> None:
    pictures = tuple(picture(f'{i}.png', str(i)) for i in range(3))
    record = split_record(SplitData(
        pictures, ('a', 'a', 'b'), ('train', 'val', 'val'), {}, None),
        ['0.png', '1.png', '2.png'])
    assert record['groups'] == {'b': 'val'}
    assert [each['part'] for each in record['pictures'].values()] == [
        'train', 'val', 'val']

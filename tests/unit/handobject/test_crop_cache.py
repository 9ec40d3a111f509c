from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmpose.datasets.transforms import (
    GetBBoxCenterScale,
    RandomBBoxTransform,
)

from mmpose_ext.handobject import crop_cache, transforms
from mmpose_ext.handobject.crop_cache import PictureCache, Reach, find_parts
from mmpose_ext.handobject.datasets import HandObjectDataset
from mmpose_ext.storage import DataError
from mmpose_ext.training import Draw
from tests.unit.handobject.sample_index import (
    make_columns,
    picture_path,
    view_pipeline,
    write_sample,
)

INDEX = 'index/s1_train.npz'


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('hands')
    columns = make_columns(frames=2)
    # small hands, so that parts are parts
    columns['bbox_hand'][:, :2] += columns['bbox_hand'][:, 2:] / 4
    columns['bbox_hand'][:, 2:] /= 2
    write_sample(folder, columns=columns)
    return folder


def build(root: Path, **settings: Any) -> HandObjectDataset:
    return HandObjectDataset(INDEX, str(root), **settings)


@pytest.mark.parametrize('virtual', [True, False])
def test_cache_changes_nothing(root: Path, virtual: bool,
                               monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = view_pipeline(virtual)
    plain = build(root, pipeline=pipeline)
    cached = build(root, pipeline=pipeline, cache={})
    assert cached.cache is not None
    assert 0 < cached.cache.used < .6 * 3 * 160 * 120 * len(cached)
    draws = [Draw(i, seed) for seed in range(6) for i in range(len(plain))]
    expected = [plain[draw] for draw in draws]
    [cached[i] for i in range(len(cached))]  # now all are kept
    monkeypatch.setattr(crop_cache, 'read_photograph', _never)
    monkeypatch.setattr(transforms, 'read_photograph', _never)
    for draw, sample in zip(draws, expected, strict=True):
        found = cached[draw]
        np.testing.assert_array_equal(found['img'], sample['img'])
        assert set(found) - set(sample) == {'img_offset'}
        for key in ('pixel_map', 'view_joints', 'transformed_keypoints',
                    'camera_matrix', 'bbox', 'keypoints', 'ori_shape'):
            np.testing.assert_array_equal(found[key], sample[key])


def _never(*_: Any) -> None:
    raise AssertionError('a photograph was read')


def test_view_beyond_the_part_reads_the_photograph(root: Path) -> None:
    far = view_pipeline(start=[
        dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=3.)])
    plain = build(root, pipeline=far)
    cached = build(root, pipeline=far, cache=dict(reach=dict(padding=1.)))
    np.testing.assert_array_equal(cached[3]['img'], plain[3]['img'])


def test_what_is_beyond_the_memory_is_read_each_time(root: Path) -> None:
    dataset = build(root, pipeline=view_pipeline(), cache=dict(megabytes=.05))
    assert dataset.cache is not None
    assert 0 < dataset.cache.kept < len(dataset)
    assert dataset.cache.used <= .05 * 2**20
    info = dataset.get_data_info(len(dataset) - 1)
    assert dataset.cache.load(len(dataset) - 1, info) is info
    assert str(dataset.cache) == (
        f'{dataset.cache.kept} of 16 pictures kept, 0 MB')
    nothing = PictureCache(np.ones((2, 4)), np.array([[9, 9]]), Reach(), 0)
    assert nothing.kept == nothing.used == 0


def test_copy_of_another_process_keeps_nothing(root: Path) -> None:
    dataset = build(root, pipeline=view_pipeline(), cache={})
    sample = dataset[Draw(0, 1)]
    data = pickle.dumps(dataset)
    assert len(data) < 30_000
    copy = pickle.loads(data)
    np.testing.assert_array_equal(copy[Draw(0, 1)]['img'], sample['img'])
    info = copy.get_data_info(0)
    assert copy.cache.load(0, info) is info


def test_memory_is_shared_and_read_only(root: Path) -> None:
    dataset = build(root, cache={})
    assert dataset.cache is not None
    one = dataset.cache.load(0, dataset.get_data_info(0))['img']
    other = dataset.cache.load(0, dataset.get_data_info(0))['img']
    assert np.shares_memory(one, other)
    assert not one.flags.writeable


def test_reach_is_read_off_a_pipeline() -> None:
    steps = [GetBBoxCenterScale(1.5), RandomBBoxTransform(
        shift_factor=.2, scale_factor=(.5, .9), rotate_factor=30), object()]
    assert Reach.of_pipeline(steps) == Reach(1.5, .2, 1., 30.)
    assert Reach.of_pipeline([]) == Reach()


def test_parts_lie_in_the_photograph_and_hold_the_box() -> None:
    boxes = np.array([[10., 10, 20, 10], [-5, -5, 500, 400],
                      [-90, 20, 20, 20]])
    parts = find_parts(boxes, np.array([[160, 120]]), Reach(1.2, .1))
    assert (parts[:, :2] >= 0).all()
    assert (parts[:, 2:] >= 1).all()
    assert (parts[:, :2] + parts[:, 2:] <= [160, 120]).all()
    assert parts[1].tolist() == [0, 0, 160, 120]
    left, top, width, height = parts[0]
    assert left < 10
    assert top < 10
    assert left + width > 30
    assert top + height > 20


def test_damaged_picture_is_not_kept(root: Path, tmp_path: Path) -> None:
    columns = make_columns(frames=3)
    write_sample(tmp_path, columns=columns)
    dataset = build(tmp_path, pipeline=view_pipeline(), cache={})
    path = picture_path(tmp_path, columns, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-300])
    with pytest.raises(DataError) as caught:
        dataset[1]
    assert (caught.value.file, caught.value.where) == (str(path), 'file')
    assert caught.value.expected == 'a whole JPEG file'
    assert caught.value.found == (
        f'one cut short after {len(whole) - 300} bytes')
    path.write_bytes(whole)
    assert dataset[1]['img'].any()

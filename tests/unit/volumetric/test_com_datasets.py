from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training import Draw
from mmpose_ext.volumetric.com_datasets import ComImageDataset, com_metainfo

from .com_files import write_ball
from .recording_files import HEIGHT, NAMES, WIDTH


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('balls')
    for name in ('one', 'two'):
        write_ball(folder / name, frames=6)
    return folder


def test_every_view_of_every_time_point_is_tested_on(root: Path) -> None:
    dataset = ComImageDataset(str(root), test_mode=True)
    assert len(dataset) == 2 * 6 * 3
    keys = {(sample['recording'], sample['sample_id'], sample['view'])
            for sample in dataset.samples}
    assert len(keys) == len(dataset)
    assert {sample['sample_id'] for sample in dataset.samples} == set(
        range(1, 61, 10))
    assert len(ComImageDataset(str(root), ['two'], test_mode=True)) == 18


def test_labels_are_where_the_ball_is(root: Path) -> None:
    """A mean of keypoints, NaN left out, in the reduced picture."""
    for factor, side in ((1, 1.), (2, .5)):
        dataset = ComImageDataset(str(root), ['one'], factor=factor,
                                  test_mode=True)
        for sample in (dataset[i] for i in range(len(dataset))):
            image = sample['img'].astype(float).max(-1)
            assert image.shape == (HEIGHT // factor, WIDTH // factor)
            visible = sample['keypoints_visible'][0, 0] > 0
            if not visible:
                continue
            rows, columns = np.nonzero(image > 150)
            seen = np.array([columns.mean(), rows.mean()])
            where = sample['keypoints'][0, 0]
            inside = ((where > 8 * side) & (
                where < np.array(image.shape[::-1]) - 8 * side)).all()
            if inside:
                assert np.abs(where - seen).max() < .6


def test_views_that_see_nobody_have_no_weight(root: Path) -> None:
    test = ComImageDataset(str(root), ['one'], test_mode=True)
    blind = [sample for sample in test.samples
             if not sample['keypoints_visible'].any()]
    assert [(s['sample_id'], s['view']) for s in blind] == [(51, 0)]
    train = ComImageDataset(str(root), ['one'])
    assert len(train) == len(test) - 1
    assert all(s['keypoints_visible'].any() for s in train.samples)


def test_sample_is_a_function_of_its_draw(root: Path) -> None:
    pipeline = [
        dict(type='GetBBoxCenterScale', padding=1.),
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform'), dict(type='PhotometricDistortion'),
        dict(type='TopdownAffine', input_size=(48, 36), use_udp=True),
        dict(type='GenerateTarget', encoder=dict(
            type='UDPHeatmap', input_size=(48, 36), heatmap_size=(48, 36))),
        dict(type='PackPoseInputs')]
    dataset = DATASETS.build(dict(
        type='mmpose_ext.ComImageDataset', data_root=str(root),
        pipeline=pipeline))

    def inputs(data: ComImageDataset, seed: int) -> list:
        return data[Draw(3, seed)]['inputs'].tolist()

    first = inputs(dataset, 7)
    assert inputs(dataset, 8) != first
    np.random.rand(5)
    assert inputs(dataset, 7) == first
    assert inputs(pickle.loads(pickle.dumps(dataset)), 7) == first
    before = [sample['img'].copy() for sample in dataset.samples]
    for i in range(len(dataset)):
        dataset[i]
    for image, sample in zip(before, dataset.samples, strict=True):
        np.testing.assert_array_equal(image, sample['img'])


def test_split_takes_time_points_not_views(root: Path) -> None:
    ranges = dict(train=[[0, 4]], test=[[4, 6]])
    parts = [ComImageDataset(str(root), ['one'], split=split,
                             split_by=ranges, test_mode=True)
             for split in ('train', 'test')]
    ids = [{sample['sample_id'] for sample in part.samples}
           for part in parts]
    assert ids == [{1, 11, 21, 31}, {41, 51}]


def test_metainfo_names_each_animal() -> None:
    assert com_metainfo()['keypoint_id2name'] == {0: 'com'}
    assert com_metainfo(2)['keypoint_id2name'] == {0: 'com1', 1: 'com2'}
    assert com_metainfo(2)['flip_indices'] == [0, 1]


def test_metainfo_in_a_checkpoint_is_safe_to_load(tmp_path: Path) -> None:
    torch.save(dict(meta=com_metainfo(), state_dict={}), tmp_path / 'a.pth')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'), 'cpu')
    assert loaded['meta']['dataset_name'] == 'com'


def test_two_animals_in_a_file_have_a_map_each(root: Path) -> None:
    dataset = ComImageDataset(
        str(root), ['one'], test_mode=True,
        recording_settings=dict(num_keypoints=8))
    assert dataset.metainfo['num_keypoints'] == 2
    sample = dataset[4]
    assert sample['keypoints'].shape == (1, 2, 2)
    assert sample['keypoints_visible'].shape == (1, 2)
    assert sample['com'].shape == (2, 3)
    assert not np.allclose(*sample['keypoints'][0])


def test_damaged_recordings_are_refused(tmp_path: Path) -> None:
    write_ball(tmp_path / 'one', frames=6)
    with pytest.raises(DataError, match='crop'):
        ComImageDataset(str(tmp_path), ['one'], crop=(90, 0, 20, 20))
    with pytest.raises(DataError, match='nothing'):
        ComImageDataset(str(tmp_path), ['none'])
    video = tmp_path / 'one/videos' / NAMES[1] / '0.mp4'
    content = video.read_bytes()
    video.write_bytes(content[:len(content) // 2])
    with pytest.raises(DataError, match='0.mp4'):
        ComImageDataset(str(tmp_path), ['one'])

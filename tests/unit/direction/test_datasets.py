from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmpose_ext.direction.datasets import DirectionDataset, read_direction_file
from mmpose_ext.storage import write_npz
from mmpose_ext.training import Draw
from tests.unit.direction.data_files import arrays_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    vis = np.ones((40, 3), bool)
    vis[3, 2] = False
    arrays = arrays_of(vis=vis, session=np.arange(40) // 4,
                       animal=np.repeat(['a', 'b'], 20), source_id=None)
    arrays['locs_head'][3] = np.nan
    arrays['locs_base'][5] = (-3, 20)
    write_npz(tmp_path / 'rats.npz', **arrays)
    return tmp_path / 'rats.npz'


def test_batch_is_one_sample_with_all_labels(file: Path) -> None:
    dataset = DirectionDataset(str(file), split='all')
    batch = dataset.__getitems__([0, 3, 5])
    assert batch['inputs'].shape == (3, 1, 50, 50)
    assert batch['inputs'].dtype == torch.uint8
    sample, = batch['data_samples']
    labels = sample.gt_instance_labels
    assert labels.keypoint_labels.shape == (3, 3, 2)
    assert labels.keypoint_labels.dtype == torch.float32
    assert torch.isfinite(labels.keypoint_labels).all()
    # hidden, and off the image
    np.testing.assert_array_equal(labels.keypoint_weights,
                                  [[1, 1, 1], [1, 1, 0], [0, 1, 1]])
    assert labels.draw_seeds.shape == (3, )


def test_labels_are_the_points_about_the_middle(file: Path) -> None:
    dataset = DirectionDataset(str(file), split='all')
    labels = dataset.__getitems__([7])['data_samples'][0].gt_instance_labels
    np.testing.assert_allclose(
        labels.keypoint_labels[0], (dataset.record.points[7] - 25) / 25,
        rtol=1e-5)


def test_test_mode_gives_a_sample_an_image(file: Path) -> None:
    dataset = DirectionDataset(str(file), split='val', test_mode=True)
    batch = dataset.__getitems__(range(3))
    assert len(batch['data_samples']) == 3
    for i, sample in enumerate(batch['data_samples']):
        row = dataset.rows[i]
        assert sample.img_id == row
        np.testing.assert_array_equal(sample.gt_instances.keypoints[0],
                                      dataset.record.points[row])
        assert sample.session == str(row // 4)
        assert sample.animal == 'ab'[row // 20]
        assert sample.group == sample.session


def test_single_items_collate_as_in_mmpose(file: Path) -> None:
    dataset = DirectionDataset(str(file), split='all')
    item = dataset[2]
    assert item['inputs'].shape == (1, 50, 50)
    assert item['data_samples'].gt_instance_labels.keypoint_labels.shape == (
        1, 3, 2)


def test_seeds_are_those_of_the_draw(file: Path) -> None:
    dataset = DirectionDataset(str(file), split='all', repeat=3)
    assert len(dataset) == 120
    batch = dataset.__getitems__([Draw(41, 123), Draw(1, 124)])
    labels = batch['data_samples'][0].gt_instance_labels
    assert labels.draw_seeds.tolist() == [123, 124]
    # repetitions show the same image
    assert torch.equal(batch['inputs'][0], batch['inputs'][1])


def test_three_data_sets_share_one_record_and_split(file: Path) -> None:
    parts = [DirectionDataset(str(file), split=split)
             for split in ('train', 'val', 'test')]
    assert parts[0].record is parts[1].record is parts[2].record
    assert parts[0].split is parts[1].split
    assert sorted(np.concatenate([part.rows for part in parts])) == list(
        range(40))


def test_changed_file_is_read_again(file: Path) -> None:
    before = read_direction_file(file)
    write_npz(file, **arrays_of(44, seed=1))
    assert len(before.images) == 40
    assert len(read_direction_file(file).images) == 44


@pytest.mark.parametrize('setting', [
    dict(split='training'), dict(repeat=0), dict(rows='all')])
def test_bad_setting_is_refused(file: Path, setting: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        DirectionDataset(str(file), **setting)

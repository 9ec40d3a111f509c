from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmpose.datasets.transforms import TopdownAffine

from mmpose_ext.handobject.datasets import HandObjectDataset
from mmpose_ext.handobject.pipeline_benchmark import (
    compare_pipelines,
    stock_steps,
)
from mmpose_ext.registry import TRANSFORMS
from mmpose_ext.storage import DataError
from tests.unit.handobject.sample_index import STRONG, write_sample

PIPELINE = [
    *STRONG[:2], dict(
        type='mmpose_ext.HandObjectRandomBBoxTransform', rotate_factor=9.),
    dict(type='mmpose_ext.HandObjectTopdownView', input_size=32),
    dict(type='PhotometricDistortion'),
    dict(type='mmpose_ext.HandObjectOcclusion'),
    dict(type='GenerateTarget', encoder=dict(
        type='mmpose_ext.HandObjectLabel', input_size=(32, 32))),
    dict(type='mmpose_ext.HandObjectPackInputs')]


def config_of(dataset: dict) -> Config:
    return Config(dict(train_dataloader=dict(dataset=dict(
        type='mmpose_ext.SeededDataset', dataset=dataset))))


def test_pipelines_are_measured_in_turns(tmp_path: Path) -> None:
    write_sample(tmp_path)
    found = compare_pipelines(config_of(dict(
        type='mmpose_ext.HandObjectDataset', ann_file='index/s1_train.npz',
        data_root=str(tmp_path), pipeline=PIPELINE, cache=dict())), .05)
    assert set(found) == {'ours', 'stock', 'ratio', 'samples'}
    assert found['samples'] == 24
    assert found['ratio'] == pytest.approx(
        found['ours']['per_cpu_second'] / found['stock']['per_cpu_second'])
    assert found['stock']['cpu_ms'] > 0


def test_stock_has_its_own_view_and_the_same_colours(tmp_path: Path) -> None:
    write_sample(tmp_path)
    dataset = HandObjectDataset('index/s1_train.npz', str(tmp_path),
                                pipeline=PIPELINE)
    ours = dataset.pipeline.transforms
    stock = stock_steps(ours)
    kinds = [step['type'] if isinstance(step, dict) else
             type(step).__name__ for step in stock]
    assert kinds == ['LoadImage', 'GetBBoxCenterScale', 'RandomBBoxTransform',
                     TopdownAffine.__name__, 'PhotometricDistortion',
                     'HandObjectOcclusion', 'GenerateTarget',
                     'PackPoseInputs']
    assert stock[4] is ours[4]
    assert vars(TRANSFORMS.build(stock[2])) == vars(ours[2])


def test_config_without_such_data_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        compare_pipelines(config_of(dict(type='CocoDataset')))
    assert caught.value.where == 'train_dataloader'
    assert caught.value.expected == 'a mmpose_ext.HandObjectDataset'
    assert caught.value.found == 'none'

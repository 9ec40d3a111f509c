"""The metric: counted once, told with its protocol, and not lost."""
from __future__ import annotations

import csv
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.evaluation.functional import keypoint_mpjpe

from mmpose_ext.handobject.index_files import HandObjectIndex
from mmpose_ext.handobject.metric import HandObjectMetric
from mmpose_ext.handobject.result_files import (
    read_bop_poses,
    read_hand_poses,
)
from mmpose_ext.handobject.score_tables import render_tables
from mmpose_ext.registry import METRICS
from mmpose_ext.storage import DataError
from tests.unit.handobject.object_meshes import write_solids
from tests.unit.handobject.scored_samples import make_samples, write_index
from tests.unit.handobject.small_run import write_run


@pytest.fixture(scope='module')
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_solids(tmp_path_factory.mktemp('models'))


@pytest.fixture(scope='module')
def index(models_dir: Path) -> HandObjectIndex:
    return write_index(models_dir / 's1_val.npz', split=np.array('val'),
                       seed=3)


@pytest.fixture(scope='module')
def train_file(models_dir: Path) -> Path:
    return write_index(models_dir / 's1_train.npz').path


def build(models_dir: Path, meta: dict | None = None,
          **settings: Any) -> HandObjectMetric:
    metric = METRICS.build(dict(
        type='mmpose_ext.HandObjectMetric', num_points=100,
        models_dir=str(models_dir), **settings))
    metric.dataset_meta = dict(
        setup='s1', split='val', subset='all', bbox_mode='hand',
        **(meta or {}))
    return metric


def evaluate(metric: HandObjectMetric,
             samples: list[dict]) -> dict[str, float]:
    for start in range(0, len(samples), 8):
        metric.process({}, samples[start:start + 8])
    return metric.evaluate(len(samples))


def test_main_figures(models_dir: Path, index: HandObjectIndex,
                      train_file: Path, tmp_path: Path) -> None:
    metric = build(models_dir, mean_pose_from=str(train_file),
                   dump_dir=str(tmp_path))
    samples = make_samples(index)
    figures = evaluate(metric, samples)
    for name in ('hand/MPJPE', 'hand/MPJPE_abs', 'hand/PA-MPJPE',
                 'hand/PA-MPJPE_kit', 'hand/AUC', 'hand/PCK2D@5px',
                 'hand/PCK3D@20mm', 'hand/spread_ratio', 'hand/MPJPE_coarse',
                 'object/ADD', 'object/ADD-S', 'object/ADD-0.1D',
                 'object/AUC', 'object/MSSD', 'object/corner',
                 'object/rotation_deg', 'object/translation_mm',
                 'object_all/ADD', 'object/grasped_acc', 'contact/F1',
                 'contact/AP', 'contact/precision', 'contact/recall'):
        assert name in figures
        assert np.isfinite(figures[name])
    points = np.concatenate([sample['pred_instances']['keypoints_cam']
                             for sample in samples]).astype(float)
    truth = index['joints_cam'].astype(float)
    assert figures['hand/MPJPE_abs'] == pytest.approx(
        1000 * keypoint_mpjpe(points, truth, np.ones((32, 21), bool)),
        rel=1e-6)
    assert figures['object/grasped_acc'] == 1
    assert figures['contact/F1'] == 1
    assert .8 < figures['hand/spread_ratio'] < 1.2
    # the trivial answers are of the objects held alone
    text = render_tables(metric.report)
    for row in ('all', 'grasped', 'grasped trivial'):
        count = 64 if row == 'all' else 32
        assert re.search(rf'^ *{row} +{count} ', text.split('object')[-1],
                         re.MULTILINE), text
    # whoever looks at the image should beat who does not
    for name in ('hand/MPJPE', 'hand/MPJPE_abs', 'hand/PA-MPJPE',
                 'object/ADD', 'object/rotation_deg', 'object/MSSD',
                 'object/translation_mm'):
        assert figures[name] < figures[f'{name}_trivial'] / 2
    assert figures['contact/AP'] > figures['contact/AP_trivial']


def test_perfect_predictions(models_dir: Path,
                             index: HandObjectIndex) -> None:
    figures = evaluate(build(models_dir), make_samples(index, noise=0))
    for name in ('hand/MPJPE', 'hand/MPJPE_abs', 'hand/PA-MPJPE',
                 'object/ADD', 'object/MSSD', 'object/corner',
                 'object_all/ADD', 'object/rotation_deg'):
        assert figures[name] == pytest.approx(0, abs=.05)
    for name in ('hand/PCK2D@5px', 'hand/PCK3D@20mm', 'object/ADD-0.1D'):
        assert figures[name] == 1
    assert figures['hand/AUC'] > .99
    assert 'hand/MPJPE_trivial' not in figures


def test_samples_that_come_twice_count_once(models_dir: Path,
                                            index: HandObjectIndex) -> None:
    samples = make_samples(index)
    once = evaluate(build(models_dir), samples)
    twice = evaluate(build(models_dir), samples[::-1] + samples[5:9])
    assert once == twice


def test_hands_without_label_do_not_count(models_dir: Path,
                                          index: HandObjectIndex) -> None:
    samples = make_samples(index)
    for sample in samples[:4]:
        sample['gt_instances'].update(
            hand_valid=np.zeros(1, bool),
            joints_cam=np.full((1, 21, 3), -1, np.float32))
    metric = build(models_dir)
    figures = evaluate(metric, samples)
    rest = evaluate(build(models_dir, modes=['hand']), samples[4:])
    assert metric.report['hand']['count'] == 28
    assert metric.report['protocol']['hands'] == 28
    for name in ('hand/MPJPE', 'hand/AUC', 'hand/PA-MPJPE'):
        assert figures[name] == rest[name]
    # their objects do
    assert metric.report['object']['all']['count'] == 64


def test_tables_and_files(models_dir: Path, index: HandObjectIndex,
                          train_file: Path, tmp_path: Path) -> None:
    metric = build(models_dir, dump_dir=str(tmp_path / 'new'),
                   mean_pose_from=str(train_file))
    figures = evaluate(metric, make_samples(index))
    report = json.loads(
        (tmp_path / 'new/hand_object_scores.json').read_text())
    assert report['hand']['all']['MPJPE'] == figures['hand/MPJPE']
    assert len(report['hand']['joint']) == 21
    assert {*report['hand']['subject']} == {*index.subjects}
    assert {*report['object']['camera']} == {*index.serials}
    assert {*report['hand']['side']} == {'left', 'right'}
    assert {*report['hand']['object']} == {
        '003_cracker_box', '024_bowl', '061_foam_brick'}
    assert report['trivial']['hand']['all']['MPJPE'] == (
        figures['hand/MPJPE_trivial'])
    with (tmp_path / 'new/hand_object_scores.csv').open() as stream:
        rows = {(row['part'], row['table'], row['name'], row['figure']):
                row['value'] for row in csv.DictReader(stream)}
    assert float(rows['hand', 'joint', 'little_tip', 'MPJPE']) == (
        report['hand']['joint']['little_tip']['MPJPE'])
    assert float(rows['object trivial', 'grasped', '', 'ADD']) == (
        figures['object/ADD_trivial'])


def test_protocol_is_told(models_dir: Path, index: HandObjectIndex,
                          caplog: pytest.LogCaptureFixture) -> None:
    from mmengine.logging import MMLogger
    logger = MMLogger.get_current_instance()
    metric = build(models_dir, symmetric=[13, 21], include_root=False)
    caplog.set_level(logging.INFO)
    logger.addHandler(caplog.handler)
    try:
        evaluate(metric, make_samples(index))
    finally:
        logger.removeHandler(caplog.handler)
    text = caplog.text
    for part in ('32 hands of 32 samples', 'setup: s1', 'split: val',
                 'subset: all', 'boxes: ground truth', 'bbox mode: hand',
                 'left hands: mirrored', 'symmetric: [13, 21]',
                 '20, without the wrist', 'index_tip', '024_bowl',
                 '836212060125', 'PA-MPJPE'):
        assert part in text


def test_what_is_not_predicted_is_left_out(
        models_dir: Path, index: HandObjectIndex,
        caplog: pytest.LogCaptureFixture) -> None:
    from mmengine.logging import MMLogger
    metric = build(models_dir)
    leave_out = ('object_rotations', 'object_translations', 'contact_scores',
                 'grasped_scores', 'keypoints_cam_coarse')
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        figures = evaluate(metric, make_samples(index, leave_out=leave_out))
    finally:
        logger.removeHandler(caplog.handler)
    assert {name.split('/')[0] for name in figures} == {'hand'}
    assert 'object: nothing to compare, the model predicts no' in caplog.text
    assert 'contact: nothing to compare' in caplog.text
    with pytest.raises(ValueError, match='nothing to compare'):
        evaluate(build(models_dir, modes=['contact']),
                 make_samples(index, leave_out=leave_out))


def test_only_what_is_held(models_dir: Path, index: HandObjectIndex) -> None:
    samples = make_samples(index)
    both = evaluate(build(models_dir), samples)
    metric = build(models_dir, all_objects=False)
    held = evaluate(metric, samples)
    assert metric.report['object']['count'] == 32
    assert held['object/ADD'] == both['object/ADD']
    assert held['object_all/ADD'] == held['object/ADD']


def test_meshes_of_the_data_set(models_dir: Path,
                                index: HandObjectIndex) -> None:
    metric = HandObjectMetric(num_points=50)
    with pytest.raises(ValueError, match='expected models_dir'):
        evaluate(metric, make_samples(index))
    metric = HandObjectMetric(num_points=50)
    metric.dataset_meta = dict(models_dir=str(models_dir))
    assert 'object/ADD' in evaluate(metric, make_samples(index))


def test_result_files(models_dir: Path, index: HandObjectIndex,
                      tmp_path: Path) -> None:
    prefix = tmp_path / 'results' / 's1'
    files = dict(meta=dict(index_file=str(index.path)),
                 outfile_prefix=str(prefix))
    metric = build(models_dir, format_only=True, **files)
    assert evaluate(metric, make_samples(index, noise=0)) == {}
    ids, joints = read_hand_poses(f'{prefix}_hands.txt')
    np.testing.assert_array_equal(ids, index['id'])
    np.testing.assert_allclose(joints, index['joints_cam'], atol=1e-7)
    poses = read_bop_poses(f'{prefix}_objects.csv')
    assert len(poses['obj_id']) == 16
    np.testing.assert_allclose(poses['t'][0], index['pose_y'][0, 0, :, 3],
                               atol=1e-7)
    assert len(json.loads(Path(
        f'{prefix}_keypoints.json').read_text())) == 32
    # with figures too, and those do not change
    plain = evaluate(build(models_dir), make_samples(index))
    assert evaluate(build(models_dir, **files), make_samples(index)) == plain
    half = build(models_dir, **files)
    with pytest.raises(DataError, match='all 32 samples with a hand'):
        evaluate(half, make_samples(index, rows=range(8)))
    assert half.report['hand']['count'] == 8  # figures come first


@pytest.mark.parametrize(('modes', 'left_out', 'file', 'hint'), [
    (['hand'], dict(hands=16), 'hands.txt', 'every 1;'),
    (['object'], dict(hands=16, keyframes=4), 'objects.csv', 'every 1 or 4'),
    (['object'], dict(hands=16, keyframes=0), None, None)])
def test_files_of_a_part_are_refused_before(
        models_dir: Path, index: HandObjectIndex, modes: list[str],
        left_out: dict[str, int], file: str | None, hint: str | None
        ) -> None:
    settings: dict[str, Any] = dict(
        outfile_prefix='x', modes=modes,
        meta=dict(index_file=str(index.path), left_out=left_out))
    if file is None:
        build(models_dir, **settings)
        return
    with pytest.raises(DataError) as caught:
        build(models_dir, **settings)
    assert caught.value.file == f'x_{file}'
    assert caught.value.where == 'samples'
    assert 'with a hand' in caught.value.expected
    assert 'leaves out' in caught.value.found
    assert hint in caught.value.hint


def test_an_index_is_needed_for_files(models_dir: Path) -> None:
    with pytest.raises(ValueError, match='expected index_file'):
        build(models_dir, outfile_prefix='x')


def test_one_mode_is_one(models_dir: Path, index: HandObjectIndex) -> None:
    metric = build(models_dir, modes='hand')
    assert metric.modes == ('hand', )
    assert {name.split('/')[0] for name in evaluate(
        metric, make_samples(index))} == {'hand'}


def test_missing_meshes_are_told_at_once(
        models_dir: Path, index: HandObjectIndex, tmp_path: Path) -> None:
    meta = dict(index_file=str(index.path))
    for name in ('003_cracker_box', '024_bowl'):
        shutil.copytree(models_dir / name, tmp_path / name)
    with pytest.raises(DataError) as caught:
        build(tmp_path, meta)
    assert caught.value.file == str(index.path)
    assert caught.value.where == 'ycb_ids'
    assert caught.value.expected == f'meshes of 4 objects in {tmp_path}'
    assert caught.value.found == (
        'no 006_mustard_bottle/textured_simple.obj, 2 missing in all')
    # what needs none is as before
    assert build(tmp_path, meta, modes=['hand', 'contact']).modes
    assert build(tmp_path, meta, format_only=True, outfile_prefix='x').modes
    metric = HandObjectMetric()
    with pytest.raises(DataError) as caught:
        metric.dataset_meta = dict(meta, models_dir=None)
    assert caught.value.found == 'no such folder'
    (tmp_path / '024_bowl/textured_simple.obj').write_text('v 0 0')
    with pytest.raises(DataError, match='024_bowl'):
        build(tmp_path, dict(index_file=str(write_index(
            tmp_path / 'bowl.npz', ycb_ids=np.full((4, 2), 13, np.uint8)
            ).path)))


def test_data_without_objects(models_dir: Path, tmp_path: Path,
                              caplog: pytest.LogCaptureFixture) -> None:
    from mmengine.logging import MMLogger
    index = write_index(tmp_path / 'hands.npz',
                        ycb_ids=np.zeros((4, 2), np.uint8),
                        grasped=np.full(4, -1, np.int32))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    metric = HandObjectMetric()
    try:
        metric.dataset_meta = dict(index_file=str(index.path),
                                   models_dir=None)
    finally:
        logger.removeHandler(caplog.handler)
    assert metric.modes == ('hand', )
    said, = (record.message for record in caplog.records)
    assert 'no labels of object and contact: left out' in said
    with pytest.raises(DataError) as caught:
        build(models_dir, dict(index_file=str(index.path)),
              modes=['object'])
    assert caught.value.where == 'labels'
    assert caught.value.expected == 'those of object'
    assert caught.value.found == 'none'


@pytest.mark.parametrize('settings', [
    dict(modes=['object']), dict(modes=['hand'], outfile_prefix='x')])
def test_training_does_not_begin(tmp_path: Path, settings: dict) -> None:
    path = write_run(tmp_path, work_dir=str(tmp_path))
    config = Config.fromfile(path)
    config.val_evaluator.update(settings)
    config.val_dataloader.dataset.subset = 'right'
    config.experiment_name = str(tmp_path)
    runner = Runner.from_cfg(config)
    with pytest.raises(DataError, match=r'folder of|leaves out|no such'):
        runner.train()
    assert runner.iter == 0


def test_file_of_training_data_is_read_at_once(models_dir: Path,
                                               tmp_path: Path) -> None:
    with pytest.raises(DataError, match='train.npz'):
        build(models_dir, mean_pose_from=str(tmp_path / 'train.npz'))
    with pytest.raises(DataError, match='a folder of meshes'):
        build(tmp_path / 'none')


@pytest.mark.parametrize(('settings', 'text'), [
    (dict(modes=['head']), 'modes'),
    (dict(modes='head'), 'modes'),
    (dict(modes=[]), 'modes'),
    (dict(format_only=True), 'outfile_prefix'),
    (dict(auc_range=(50, 20)), 'auc_range'),
    (dict(num_points=0), 'num_points'),
    (dict(symmetric='none'), 'symmetric'),
])
def test_arguments_out_of_range(models_dir: Path, settings: dict,
                                text: str) -> None:
    with pytest.raises(ValueError, match=text):
        HandObjectMetric(models_dir=str(models_dir), **settings)

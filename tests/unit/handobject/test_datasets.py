from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.runner.runner import _SlicedDataset

from mmpose_ext.handobject.box_files import read_boxes
from mmpose_ext.handobject.datasets import HandObjectDataset
from mmpose_ext.handobject.hand import JOINT_NAMES
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError, write_npz
from mmpose_ext.training import Draw
from tests.unit.handobject.sample_index import (
    SEQUENCES,
    SIZE,
    SUBJECTS,
    make_columns,
    picture_path,
    view_pipeline,
    write_sample,
)

INDEX = 'index/s1_train.npz'
PACKED = [
    *view_pipeline(size=32), dict(type='GenerateTarget', encoder=dict(
        type='mmpose_ext.HandObjectLabel', input_size=(32, 32))),
    dict(type='mmpose_ext.HandObjectPackInputs')]


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('hands')
    write_sample(root, hands=.67)
    return root


@pytest.fixture
def root(shared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared, tmp_path / 'data'))


COLUMNS = make_columns(hands=.67)


def build(root: Path, **settings: Any) -> HandObjectDataset:
    return HandObjectDataset(INDEX, str(root), **settings)


def test_sample_is_what_the_index_says(shared: Path) -> None:
    dataset = build(shared)
    rows = np.flatnonzero(COLUMNS['hand_valid'])
    assert len(dataset) == len(rows)
    for number in (0, len(rows) - 1, -1):
        info, row = dataset.get_data_info(number), rows[number]
        assert info['id'] == info['img_id'] == COLUMNS['id'][row]
        assert Path(info['img_path']) == picture_path(shared, COLUMNS, row)
        np.testing.assert_array_equal(info['joints_cam'][0],
                                      COLUMNS['joints_cam'][row])
        np.testing.assert_array_equal(info['keypoints'][0],
                                      COLUMNS['joints_px'][row])
        x, y, width, height = COLUMNS['bbox_hand'][row]
        np.testing.assert_allclose(info['bbox'],
                                   [[x, y, x + width, y + height]])
        sequence = COLUMNS['sequence_row'][row]
        assert info['sequence'] == SEQUENCES[sequence]
        assert info['subject'] in SUBJECTS
        assert info['side'] == sequence % 2
        assert info['mirrored'] == (sequence % 2 == 1)
        assert info['box_source'] == 'ground truth'
    assert dataset.metainfo['num_keypoints'] == 21
    assert dataset.metainfo['keypoint_id2name'][8] == JOINT_NAMES[8]


def test_objects_are_sorted_by_their_class(shared: Path) -> None:
    dataset = build(shared)
    seen = set()
    for number in range(len(dataset)):
        info = dataset.get_data_info(number)
        row = dataset.rows[number]
        ids = COLUMNS['ycb_ids'][COLUMNS['sequence_row'][row]]
        for column, identity in enumerate(ids):
            known = bool(COLUMNS['object_valid'][row, column])
            assert identity == 0 or info[
                'object_valid'][0, identity - 1] == known
            if known:
                np.testing.assert_array_equal(
                    info['pose_y'][0, identity - 1],
                    COLUMNS['pose_y'][row, column])
        assert info['object_valid'].sum() == COLUMNS['object_valid'][
            row].sum()
        seen.add(info['grasped_class'])
    assert seen == {4, 20, 0, -1}  # ids 5, 21, 1 and none


def test_visible_is_what_lies_inside(root: Path) -> None:
    columns = make_columns()
    columns['K'][:, 2] += 25
    columns['joints_px'][..., 0] += 25
    columns['joints_px'][0, 3] = 160.2, 5  # within the index's tolerance
    shutil.rmtree(root)
    write_sample(root, columns=columns)
    info = build(root).get_data_info(0)
    inside = ((info['keypoints'] >= 0) & (info['keypoints'] < SIZE)).all(-1)
    assert not inside[0, 3]
    np.testing.assert_array_equal(info['keypoints_visible'], inside)


@pytest.mark.parametrize(('settings', 'rows'), [
    (dict(), COLUMNS['hand_valid']),
    (dict(valid_hands_only=False), np.ones(24, bool)),
    (dict(subset='right'),
     COLUMNS['hand_valid'] & (COLUMNS['sequence_row'] % 2 == 0)),
    (dict(subset='close', close_mm=2.),
     COLUMNS['hand_valid'] & (COLUMNS['sequence_row'] % 2 == 0)
     & (COLUMNS['joint_distance'].min(1) <= .002)),
    (dict(every=2), COLUMNS['hand_valid'] & (COLUMNS['frame'] % 2 == 0)),
    (dict(subjects=[1]), COLUMNS['hand_valid']
     & (COLUMNS['sequence_row'] >= 2)),
    (dict(subjects=[SUBJECTS[0]]), COLUMNS['hand_valid']
     & (COLUMNS['sequence_row'] < 2))])
def test_rows_are_those_asked_for(shared: Path, settings: dict[str, Any],
                                  rows: np.ndarray) -> None:
    dataset = build(shared, **settings)
    np.testing.assert_array_equal(dataset.rows, np.flatnonzero(rows))
    assert rows.any()


def test_limit_is_spread_over_all(shared: Path) -> None:
    dataset = build(shared, limit=8)
    assert len(dataset) == 8
    videos = {(COLUMNS['sequence_row'][row], COLUMNS['camera'][row])
              for row in dataset.rows}
    assert len(videos) == 8


def test_log_counts_what_is_used(shared: Path, monkeypatch: Any) -> None:
    lines: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info',
                        lines.append)
    build(shared, every=2, subset='right')
    assert len(lines) == 1
    assert 'setup s1, train, subset right, boxes: ground truth' in lines[0]
    assert '4 of 24 frames, 4 with a hand, 4 right and 0 left' in lines[0]
    assert '8 whose number 2 does not divide' in lines[0]
    assert '8 without a hand' in lines[0]
    assert '4 of left hands' in lines[0]


def test_left_hands_stay_as_they_are_if_asked(shared: Path) -> None:
    dataset = build(shared, mirror_left=False)
    assert not any(dataset.get_data_info(i)['mirrored']
                   for i in range(len(dataset)))


def test_frame_without_hand_shows_the_whole_picture(shared: Path) -> None:
    info = build(shared, valid_hands_only=False).get_data_info(0)
    assert not info['hand_valid'][0]
    assert not info['keypoints_visible'].any()
    np.testing.assert_array_equal(info['bbox'], [[-.5, -.5, 159.5, 119.5]])


def test_boxes_of_hand_and_object(shared: Path) -> None:
    one = build(shared).get_data_info(0)['bbox']
    both = build(shared, bbox_mode='hand_object').get_data_info(0)['bbox']
    np.testing.assert_allclose(both - one, [[-6, -4, 14, 6]], atol=1e-3)


def test_boxes_of_a_detector(shared: Path, tmp_path: Path) -> None:
    entries = [dict(image_id=i, bbox=[i, 2, 30, 40], score=.5)
               for i in COLUMNS['id'].tolist()]
    entries.append(dict(id=3, bbox=[9, 9, 9, 9], score=.9))
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(entries))
    dataset = build(shared, box_file=str(path))
    by_id = {info['id']: info for info in map(dataset.get_data_info,
                                              range(len(dataset)))}
    row = int(dataset.index['id'][dataset.rows[-1]])
    np.testing.assert_array_equal(by_id[row]['bbox'],
                                  [[row, 2, row + 30, 42]])
    assert by_id[row]['bbox_score'][0] == .5
    assert by_id[row]['box_source'] == str(path)
    assert 3 not in by_id or by_id[3]['bbox_score'][0] == pytest.approx(.9)
    npz = tmp_path / 'boxes.npz'
    write_npz(npz, id=[3, 1], bbox=[[1, 2, 3, 4], [5., 6, 7, 8]])
    boxes, scores = read_boxes(npz, np.array([1, 3]))
    np.testing.assert_array_equal(boxes, [[5, 6, 7, 8], [1, 2, 3, 4]])
    assert scores.tolist() == [1, 1]


@pytest.mark.parametrize(('content', 'where', 'expected', 'found'), [
    ('{}', 'file', 'a list of boxes', 'dict'),
    ('[', 'file', 'JSON', 'Expecting value'),
    ('[]', 'id', 'a box for each of 2 samples', 'none for 2, the first 4'),
    ('[{"id": 4, "bbox": [1, 2, 3]}]', 'entry 0', 'id (or image_id) and '
     'bbox of 4 numbers', "{'id': 4"),
    ('[{"id": Infinity, "bbox": [1, 2, 3, 9]}]', 'entry 0', 'id (or '
     'image_id) and bbox of 4 numbers', "{'id': inf"),
    ('[{"id": 99999999999999999999, "bbox": [1, 2, 3, 9]}]', 'entry 0',
     'id (or image_id) and bbox of 4 numbers', "{'id': 9999"),
    ('[{"id": 4, "bbox": [1, 2, 0, 9]}]', 'bbox of id 4',
     'a width and a height above 0', '[1.0, 2.0, 0.0, 9.0]'),
    ('[{"id": 4, "bbox": [1, 2, NaN, 9]}]', 'bbox', 'finite values', 'nan'),
    ('[{"id": 4, "bbox": [1, 2, 3, 9]}]', 'id', 'a box for each of 2 '
     'samples', 'none for 1, the first 7')])
def test_damaged_boxes(tmp_path: Path, content: str, where: str,
                       expected: str, found: str) -> None:
    path = tmp_path / 'boxes.json'
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_boxes(path, np.array([4, 7]))
    error = caught.value
    assert (error.file, error.where) == (str(path), where)
    assert error.expected == expected
    assert error.found.startswith(found)


def _other_image(root: Path) -> None:
    path = picture_path(root, COLUMNS, 2)
    cv2.imwrite(str(path), np.zeros((60, 80, 3), np.uint8))


def _cut_image(root: Path) -> None:
    path = picture_path(root, COLUMNS, 1)
    path.write_bytes(path.read_bytes()[:-500])


def _text_image(root: Path) -> None:
    picture_path(root, COLUMNS, 1).write_text('no picture')


@pytest.mark.parametrize(('damage', 'file', 'where', 'expected', 'found'), [
    (lambda root: (root / INDEX).unlink(), INDEX, 'file', 'an index',
     'nothing'),
    (lambda root: shutil.rmtree(root / SEQUENCES[2] / '839512060362'), INDEX,
     'pictures', 'each below', f'no {SEQUENCES[2]}/839512060362/color_000001'
     '.jpg, 2 of the 16 looked for are missing'),
    (lambda root: picture_path(root, COLUMNS, 23).unlink(), INDEX,
     'pictures', 'each below', f'no {SEQUENCES[3]}/'),
    (lambda root: shutil.rmtree(root / SEQUENCES[1]), INDEX, 'fingerprint',
     'an index of the data in', 'one of other data: no sequence '
     + SEQUENCES[1]),
    (lambda root: (root / SEQUENCES[1]).rename(
        root / SUBJECTS[0] / '20200709_999999'), INDEX, 'fingerprint',
     'an index of the data in', 'one of other data'),
    (_cut_image, SEQUENCES[0], 'file', 'a whole JPEG file', 'one cut short'),
    (_text_image, SEQUENCES[0], 'file', 'a picture', 'none that OpenCV')])
def test_damaged_data_is_one_error_before_training(
        root: Path, damage: Callable[[Path], Any], file: str, where: str,
        expected: str, found: str) -> None:
    damage(root)
    with pytest.raises(DataError) as caught:
        build(root)
    error = caught.value
    assert file in error.file
    assert error.where == where
    assert error.expected.startswith(expected)
    assert error.found.startswith(found)


def test_picture_of_another_size_is_found_early_or_late(root: Path) -> None:
    _other_image(root)
    dataset = build(root, pipeline=PACKED)  # the second of its camera
    with pytest.raises(DataError) as caught:
        dataset[1]
    assert caught.value.where == 'size'
    assert caught.value.expected.startswith('160 x 120 px')
    assert caught.value.found == '80 x 60 px'
    cv2.imwrite(str(picture_path(root, COLUMNS, 1)),
                np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(DataError) as caught:
        build(root)
    assert caught.value.where == 'size'


def test_picture_cut_short_later_is_an_error(root: Path) -> None:
    dataset = build(root, pipeline=PACKED)
    _cut_image(root)
    with pytest.raises(DataError) as caught:
        dataset[0]
    assert caught.value.found.startswith('one cut short')


@pytest.mark.parametrize(('settings', 'where', 'found'), [
    (dict(subset='close', close_mm=0.), 'frames',
     '24, of which left out: 8 without a hand, 8 of left hands, 8 not within'
     ' 0 mm of an object'),
    (dict(subjects=['nobody']), 'subjects', "'nobody'"),
    (dict(subjects=[2]), 'subjects', '2')])
def test_selection_that_leaves_nothing(
        shared: Path, settings: dict[str, Any], where: str,
        found: str) -> None:
    with pytest.raises(DataError) as caught:
        build(shared, **settings)
    assert caught.value.file == str(shared / INDEX)
    assert (caught.value.where, caught.value.found) == (where, found)
    assert caught.value.expected.startswith('some')


def test_close_needs_distances(root: Path) -> None:
    columns = make_columns(hands=.67)
    del columns['joint_distance']
    write_sample(root, columns=columns)
    with pytest.raises(DataError) as caught:
        build(root, subset='close')
    assert caught.value.where == "key 'joint_distance'"
    assert caught.value.hint == 'convert with --contact'


@pytest.mark.parametrize('settings', [
    dict(subset='left'), dict(bbox_mode='object'), dict(every=0),
    dict(limit=0), dict(cache={}, test_mode=True)])
def test_unknown_setting_is_refused(shared: Path,
                                    settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        build(shared, **settings)


def _equal(one: Any, other: Any) -> bool:
    return torch.equal(one['inputs'], other['inputs']) and all(
        np.array_equal(one['data_samples'].gt_instance_labels[key],
                       other['data_samples'].gt_instance_labels[key])
        for key in one['data_samples'].gt_instance_labels.keys())  # noqa: SIM118


def test_draw_decides_what_a_sample_looks_like(shared: Path) -> None:
    dataset = build(shared, pipeline=PACKED)
    first = dataset[Draw(2, 7)]
    dataset[5]  # whatever came before
    assert _equal(first, dataset[Draw(2, 7)])
    assert not _equal(first, dataset[Draw(2, 8)])
    tested = build(shared, pipeline=PACKED, test_mode=True)
    assert _equal(tested[2], tested[2])


def test_pickle_and_lazy_reading(shared: Path) -> None:
    lazy = build(shared, pipeline=PACKED, lazy_init=True)
    assert not hasattr(lazy, 'rows')
    copy = pickle.loads(pickle.dumps(lazy))
    copy.full_init()
    full = build(shared, pipeline=PACKED)
    data = pickle.dumps(full)
    assert len(data) < 30_000  # no column travels
    assert _equal(pickle.loads(data)[Draw(1, 3)], copy[Draw(1, 3)])
    assert len(_SlicedDataset(full, 3)) == 3


def test_rejected_sample_is_replaced(shared: Path) -> None:
    seen = []

    def reject(results: dict[str, Any]) -> dict[str, Any] | None:
        seen.append(results['id'])
        return None if len(seen) < 3 else results

    dataset = build(shared, pipeline=[reject])
    assert dataset[Draw(0, 1)]['id'] == seen[-1]
    assert len(seen) == 3
    seen.clear()
    dataset.test_mode = True
    with pytest.raises(RuntimeError, match='sample 0'):
        dataset[0]


def test_registry_and_loader_find_it(shared: Path) -> None:
    settings = dict(
        batch_size=4, num_workers=0, persistent_workers=False,
        sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
        dataset=dict(type='mmpose_ext.HandObjectDataset', ann_file=INDEX,
                     data_root=str(shared), pipeline=PACKED))
    batch = next(iter(Runner.build_dataloader(settings, seed=0)))
    assert len(batch['inputs']) == 4
    assert DATASETS.get('HandObjectDataset') is HandObjectDataset


def test_workers_draw_what_one_process_draws(shared: Path) -> None:
    loaders = [Runner.build_dataloader(dict(
        batch_size=4, num_workers=workers, persistent_workers=False,
        sampler=dict(type='mmpose_ext.DrawSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
        dataset=dict(type='mmpose_ext.HandObjectDataset', ann_file=INDEX,
                     data_root=str(shared), pipeline=PACKED, limit=8)),
        seed=3) for workers in (0, 1)]
    for one, other in zip(*loaders, strict=True):
        assert torch.equal(torch.stack(one['inputs']),
                           torch.stack(other['inputs']))

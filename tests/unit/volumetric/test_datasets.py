"""The data set: samples, splits, turns and seeds."""
from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training import DrawSampler
from mmpose_ext.volumetric.datasets import VolumetricPoseDataset
from mmpose_ext.volumetric.split import split_rows, split_samples
from tests.unit.volumetric.recording_files import (
    FRAMES,
    make_record,
    write_recording,
)

PIPELINE = [dict(type='mmpose_ext.DannceLoadFrames'),
            dict(type='mmpose_ext.DannceCropToVolume', reach_mm=40.),
            dict(type='mmpose_ext.DanncePackInputs')]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('root')
    write_recording(folder / 'monday')
    write_recording(folder / 'tuesday', labelled=5)
    return folder


def build(root: Path, **arguments: Any) -> VolumetricPoseDataset:
    return VolumetricPoseDataset(**{
        'data_root': str(root), 'skeleton': 'rat16', 'pipeline': PIPELINE,
        **arguments})


def sample_ids(dataset: VolumetricPoseDataset) -> list[tuple[str, int]]:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(info['recording'], info['sample_id']) for info in infos]


def test_it_is_built_by_name(root: Path) -> None:
    dataset = DATASETS.build(dict(
        type='mmpose_ext.VolumetricPoseDataset', data_root=str(root),
        skeleton='rat16'))
    assert dataset.metainfo['dataset_name'] == 'rat16'


def test_all_labelled_time_points_of_all_recordings(root: Path) -> None:
    assert sample_ids(build(root)) == [
        *(('monday', 1 + 10 * i) for i in range(FRAMES)),
        *(('tuesday', 1 + 10 * i) for i in range(5))]
    assert len(build(root, recordings='monday')) == FRAMES
    assert len(build(root / 'monday', recordings='.')) == FRAMES
    assert len(build(root, recordings=[dict(
        folder='tuesday', com_source='labels')])) == 5
    assert len(build(root, labelled_only=False)) == 2 * FRAMES
    assert len(build(root, indices=3)) == 3
    assert sample_ids(build(root, indices=[2, 14]))[1] == ('tuesday', 21)


def test_patterns_take_recordings_by_name(root: Path) -> None:
    assert len(build(root, recordings='mon*')) == FRAMES
    hidden = root / '.monday.1234.tmp'
    hidden.symlink_to(root / 'monday')
    try:
        assert len(build(root, recordings='*')) == len(build(
            root, recordings=sorted(
                path.name for path in root.iterdir()
                if path.name[0] != '.' and path.is_dir())))
    finally:
        hidden.unlink()
    with pytest.raises(DataError, match=r'frid\*/'):
        build(root, recordings='frid*')


def test_cameras_of_all_recordings_stand_in_one_order(root: Path) -> None:
    turned = dict(folder='tuesday',
                  camera_names=['Camera2', 'Camera1', 'Camera3'])
    with pytest.raises(DataError, match='Camera1, Camera2, Camera3, as '
                       'monday.*found Camera2, Camera1'):
        build(root, recordings=['monday', turned])


def test_skeleton_of_the_first_recording_is_found(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / 'a')
    with pytest.raises(ValueError, match='names none'):
        build(tmp_path, skeleton=None)
    with pytest.raises(DataError, match='a recording'):
        build(tmp_path, skeleton=None, recordings='b')
    names = [f'p{i}' for i in range(16)]
    (folder / 's.json').write_text(json.dumps(dict(names=names, edges=[])))
    (folder / 'recording.json').write_text('{"skeleton": "s.json"}')
    assert build(tmp_path, skeleton=None).metainfo['dataset_name'] == 's'


def test_sample_has_its_labels_and_middle(root: Path) -> None:
    made = make_record(root)
    sample = build(root)[7]['data_samples']
    assert sample.sample_id == 71 and sample.recording == 'monday'
    assert sample.fps == 30 and sample.turn == 0
    np.testing.assert_allclose(sample.gt_instances.keypoints[0],
                               made.points[7], atol=1e-4)
    np.testing.assert_allclose(sample.com, made.com[7])
    assert sample.com.dtype == np.float64
    assert sample.flip_indices[:3] == [1, 0, 2]


def test_unlabelled_sample_has_nan_alone(root: Path) -> None:
    dataset = build(root, recordings='tuesday', labelled_only=False)
    truth = dataset[9]['data_samples'].gt_instances
    assert np.isnan(truth.keypoints).all()
    assert not truth.keypoints_visible.any()


def test_each_turn_comes_once_with_its_own_fixed_jitter(root: Path) -> None:
    dataset = build(root, recordings='monday', test_mode=True,
                    turns=(0., 90., 180.), com_jitter_mm=10.)
    assert len(dataset) == 3 * FRAMES
    samples = [dataset[i]['data_samples'] for i in range(6)]
    assert [s.sample_id for s in samples] == [1, 1, 1, 11, 11, 11]
    np.testing.assert_allclose([s.turn for s in samples[:3]],
                               [0, np.pi / 2, np.pi])
    com = make_record(root).com[[0, 0, 0, 1, 1, 1]]
    moved = np.stack([s.com for s in samples]) - com
    assert (abs(moved) <= 10).all() and len(np.unique(moved)) == 18
    again = build(root, recordings='monday', test_mode=True,
                  turns=(0., 90., 180.), com_jitter_mm=10.)
    assert (again[4]['data_samples'].com == samples[4].com).all()


def test_turns_are_for_tests_alone(root: Path) -> None:
    for arguments in (dict(turns=(0., 90.)), dict(com_jitter_mm=5.)):
        with pytest.raises(ValueError, match='test_mode'):
            build(root, **arguments)


@pytest.mark.parametrize('test_mode', [False, True])
def test_cache_changes_no_pixel(root: Path, test_mode: bool) -> None:
    arguments = dict(test_mode=True, turns=(0., 45.),
                     com_jitter_mm=8.) if test_mode else {}
    plain = build(root, **arguments)
    cached = build(root, cache=dict(megabytes=64), **arguments)
    for index in (0, 9, 16, len(plain) - 1):
        first, second = plain[index], cached[index]
        for a, b in zip(first['inputs'], second['inputs'], strict=True):
            assert a.shape == b.shape and (a == b).all()
        np.testing.assert_array_equal(
            first['data_samples'].cameras.intrinsics,
            second['data_samples'].cameras.intrinsics)


def test_workers_change_nothing(root: Path) -> None:
    dataset = build(root, cache=dict(megabytes=64))
    seen = []
    for workers in (0, 2):
        loader = DataLoader(
            dataset, batch_size=4, num_workers=workers,
            sampler=DrawSampler(dataset, seed=3), collate_fn=pseudo_collate)
        batch = next(iter(loader))
        seen.append([(int(image.sum()), sample.draw_seed)
                     for images, sample in zip(
                         zip(*batch['inputs'], strict=True),
                         batch['data_samples'], strict=True)
                     for image in images])
    assert seen[0] == seen[1]
    assert len({seed for _, seed in seen[0]}) == 4


def test_draw_seed_is_a_signed_word_and_fixed_without_a_sampler(
        root: Path) -> None:
    dataset = build(root)
    seeds = [dataset.get_data_info(i)['draw_seed'] for i in range(5)]
    assert len(set(seeds)) == 5
    assert all(-2**63 <= seed < 2**63 for seed in seeds)
    assert seeds[2] == build(root).get_data_info(2)['draw_seed']


def test_it_travels_to_workers(root: Path) -> None:
    dataset = build(root, cache={})
    copy = pickle.loads(pickle.dumps(dataset))
    assert (copy[3]['inputs'][1] == dataset[3]['inputs'][1]).all()


def test_recordings_are_opened_once_for_all_splits(root: Path) -> None:
    first = build(root, split='train')
    second = build(root, split='test', split_by=dict(fractions=(.5, .1, .4),
                                                     method='blocks'))
    assert first.recordings[0] is second.recordings[0]


def test_changed_file_is_read_anew(tmp_path: Path) -> None:
    write_recording(tmp_path / 'a')
    assert len(build(tmp_path)) == FRAMES
    write_recording(tmp_path / 'a', labelled=3)
    assert len(build(tmp_path)) == 3


def test_recordings_own_skeleton_is_the_default(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / 'a')
    with pytest.raises(ValueError, match='name one'):
        build(tmp_path, skeleton=None)
    (folder / 'body.json').write_text(json.dumps(dict(
        names=[f'p{i}' for i in range(16)], edges=[[0, 1]])))
    (folder / 'recording.json').write_text('{"skeleton": "body.json"}')
    assert build(tmp_path, skeleton=None).metainfo['num_keypoints'] == 16


def test_other_number_of_cameras_is_refused(tmp_path: Path) -> None:
    write_recording(tmp_path / 'a')
    write_recording(tmp_path / 'b')
    with pytest.raises(DataError, match='3 cameras, as a has'):
        build(tmp_path, recordings=['a', dict(
            folder='b', camera_names=['Camera1', 'Camera2'])])


COUNTS = dict(a=20, b=10)


def parts_of(rule: dict | None) -> dict[str, dict[str, list[int]]]:
    return {part: {name: rows.tolist() for name, rows in split_samples(
        'data', COUNTS, part, rule).items()}
        for part in ('train', 'val', 'test')}


def test_blocks_keep_time_together_with_a_gap() -> None:
    parts = parts_of(dict(method='blocks', fractions=(.5, .2, .3), gap=1))
    assert parts['train'] == dict(a=list(range(10)), b=list(range(5)))
    assert parts['val'] == dict(a=[11, 12, 13], b=[6])
    assert parts['test'] == dict(a=[15, 16, 17, 18, 19], b=[8, 9])


def test_default_shares_out_everything_once() -> None:
    parts = parts_of(None)
    together = sum((parts[part]['a'] for part in parts), [])
    assert together == list(range(20))


def test_random_split_is_as_large_as_asked_and_fixed() -> None:
    rule = dict(method='random', num_validation=3, num_test=2, seed=1)
    parts = parts_of(rule)
    assert [len(parts[part]['a']) for part in parts] == [15, 3, 2]
    assert sorted(sum((parts[part]['b'] for part in parts), [])) == list(
        range(10))
    assert parts == parts_of(rule) != parts_of({**rule, 'seed': 2})


def test_ranges_and_recordings_are_taken_as_named() -> None:
    rule = dict(train=[[0, 3], [7, 9]], val=[[3, 5]], test=[[3, 5]])
    assert parts_of(rule)['train']['b'] == [0, 1, 2, 7, 8]
    assert parts_of(rule)['test']['a'] == [3, 4]
    rule = dict(train=['a'], val=['b'], test=['b'])
    assert parts_of(rule)['val'] == dict(a=[], b=list(range(10)))


@pytest.mark.parametrize('rule', [
    dict(train=[[0, 5]], test=[[4, 6]]), dict(train=['a'], val=['a']),
    dict(method='magic'), dict(train=[[5, 2]]), dict(trian=[[0, 5]]),
    dict(method='blocks', fractions=(.9, .2, .1)), dict(seed=3)])
def test_wrong_rules_are_refused(rule: dict) -> None:
    with pytest.raises(ValueError, match='split_by'):
        split_samples('data', COUNTS, 'train', rule)


def test_unknown_part_and_recording_are_named() -> None:
    with pytest.raises(ValueError, match="'training'"):
        split_samples('data', COUNTS, 'training', None)
    with pytest.raises(DataError, match="'c'"):
        split_samples('data', COUNTS, 'train', dict(train=['c']))


def test_recordings_of_one_name_are_split_apart():
    rows = [np.arange(10, 20), np.arange(30, 50)]
    found = split_rows('data', ['monday', 'monday'], rows, 'train',
                       dict(train=[[0, 2]]))
    np.testing.assert_array_equal(found, [[10, 11], [30, 31]])

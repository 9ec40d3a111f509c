"""Batches of questions: the seed decides, and nothing else."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmpose_ext.behavior import datasets
from mmpose_ext.behavior.datasets import (
    LisbetWindowDataset,
    draw_uniform,
    find_factors,
    read_tasks,
)
from mmpose_ext.behavior.samplers import LisbetStreamSampler
from mmpose_ext.storage import DataError
from mmpose_ext.training import Draw, DrawSampler

from .stores import make_store

FOUR = 'cons,order,shift,warp'


@pytest.fixture
def store():
    return make_store((300, 200, 400))


@pytest.fixture
def make(store, monkeypatch):
    """Makes data sets of a store in memory."""
    monkeypatch.setattr(datasets, 'load_tracks', lambda *_: store)

    def build(tasks=FOUR, **kwargs):
        return LisbetWindowDataset('toy', tasks, **{
            'window_size': 32, **kwargs})
    return build


def draws(count, first=0):
    rng = np.random.default_rng(first)
    return [Draw(int(i), int(s)) for i, s in zip(
        rng.integers(0, 700, count), rng.integers(0, 2**62, count),
        strict=True)]


def windows_of(batch, task):
    sample, = (s for s in batch['data_samples'] if s.task == task)
    part = slice(sample.first, sample.first + sample.windows)
    return batch['inputs'][part], sample


def test_a_batch_holds_the_same_number_of_windows_of_every_task(make):
    batch = make().__getitems__(draws(8))
    assert batch['inputs'].shape == (32, 32, 2, 3, 2)
    assert batch['valid'].tolist() == [[0, 32]] * 32
    assert len(set(batch['draw_seeds'].tolist())) == 32
    for place, (task, sample) in enumerate(
            zip(FOUR.split(','), batch['data_samples'], strict=True)):
        assert (sample.task, sample.first, sample.windows) == (
            task, 8 * place, 8)
        labels = sample.gt_instance_labels.labels
        assert labels.shape == (8, 1) and labels.dtype == torch.float32
        assert len(sample.record_ids) == len(sample.item_ids) == 8


@pytest.mark.parametrize('augmentation', [
    '', 'all_perm_id:p=0.5,blk_perm_id:p=0.3:frac=0.2'])
def test_an_item_looks_the_same_in_any_batch(make, augmentation):
    data = make(FOUR + ',masked,forecast', augmentation=augmentation)
    items = draws(12)
    whole = data.__getitems__(items)
    part = data.__getitems__(items[5:8])
    for task in data.tasks:
        one, sample = windows_of(whole, task)
        other, again = windows_of(part, task)
        torch.testing.assert_close(one[5:8], other, rtol=0, atol=1e-6)
        for key, value in again.gt_instance_labels.items():
            assert torch.equal(value, sample.gt_instance_labels[key][5:8])


def test_a_task_does_not_depend_on_the_others(make):
    alone = make('warp').__getitems__(draws(5))['data_samples'][0]
    beside = windows_of(make('warp,cons').__getitems__(draws(5)), 'warp')[1]
    assert torch.equal(alone.gt_instance_labels.labels,
                       beside.gt_instance_labels.labels)


def test_all_frames_are_asked_about_in_an_epoch(make):
    data = make('order', window_size=16)
    sampler = DrawSampler(data, seed=3)
    numbers = data._numbers('order', 0, list(sampler),
                            np.zeros(len(data)))
    assert sorted(numbers) == list(range(len(data)))


def test_test_mode_asks_the_same_in_every_epoch(make):
    data = make(test_mode=True, stride=10)
    assert len(data) == -(-make()._count // 10)
    one, other = (
        data.__getitems__([Draw(3, seed), Draw(4, seed)])
        for seed in (1, 2))
    assert torch.equal(one['inputs'], other['inputs'])
    assert not torch.equal(make().__getitems__([Draw(3, 1)])['inputs'],
                           make().__getitems__([Draw(3, 2)])['inputs'])


def test_frames_of_supervised_tasks_are_all_there_with_their_labels(make,
                                                                    store):
    data = make('multiclass', test_mode=True, padding='edge')
    assert len(data) == 900
    batch = data.__getitems__([0, 299, 300, 899])
    labels = batch['data_samples'][0].gt_instance_labels.labels
    assert labels.tolist() == store.labels[[0, 299, 300, 899]].argmax(
        1).tolist()
    assert batch['valid'].tolist() == [[31, 32], [0, 32], [31, 32], [0, 32]]
    np.testing.assert_array_equal(batch['inputs'][:, -1],
                                  store.tracks[[0, 299, 300, 899]])
    labels = make('multilabel').__getitems__(draws(4))['data_samples'][
        0].gt_instance_labels.labels
    assert labels.shape == (4, 2) and labels.dtype == torch.float32


def test_the_dataset_tells_what_weights_need_to_know(make):
    info = make('cons,multiclass', window_offset=5).metainfo
    assert (info['window_size'], info['window_offset']) == (32, 5)
    assert info['tasks'] == ['cons', 'multiclass']
    assert info['individuals'] == ['mouse0', 'mouse1']
    assert sum(info['class_counts']) == 900
    assert info['classes'] == ['run', 'other']


def test_other_frame_rates_are_played_at_the_models(store, make):
    """A record of half the frame rate gives windows of half the frames."""
    store.fps[:] = [30, 30, 15]
    with pytest.raises(DataError, match='fps_scaling'):
        make()
    data = make('multiclass', fps_scaling='auto', model_fps=30)
    assert data._factors.tolist() == [1, 1, .5]
    window = data.__getitems__([800])['inputs'][0, :, 0, 0, 0].numpy()
    frames = store.tracks[785:801, 0, 0, 0]
    np.testing.assert_allclose(window, np.interp(
        np.linspace(0, 15, 32), np.arange(16), frames), atol=1e-6)


def test_unknown_frame_rates_are_refused_where_they_are_needed(store, make):
    store.fps[1] = np.nan
    with pytest.raises(DataError, match='r1'):
        make(fps_scaling='auto', model_fps=30)
    with pytest.raises(ValueError, match='model_fps'):
        find_factors(store, 'auto', None)
    assert find_factors(store, .833, None).tolist() == [.833] * 3


@pytest.mark.parametrize('settings', [
    dict(tasks='cons,ordr'), dict(tasks=''), dict(window=20),
    dict(split='training'), dict(stride=0), dict(window_offset=32),
    dict(augmentation='all_perm'), dict(fps_scaling=0)])
def test_settings_that_nothing_reads_are_refused(make, settings):
    with pytest.raises(ValueError, match='expected|unknown'):
        make(**settings)


def test_mirrors_need_to_know_the_sides(make, store):
    make(augmentation='mirror')
    object.__setattr__(store, 'keypoints', ('nose', 'neck', 'tail'))
    with pytest.raises(DataError, match='flip_pairs'):
        make(augmentation='mirror')
    make(augmentation='mirror', flip_pairs=[])


def test_tasks_may_be_a_list_and_have_settings():
    assert list(read_tasks(['warp'])) == list(read_tasks(' warp ,'))
    settings = read_tasks('shift,cons', dict(shift=dict(max_delay=20)))
    assert settings['shift'] == dict(type='mmpose_ext.LisbetShiftTask',
                                     max_delay=20)
    assert list(settings) == ['shift', 'cons']
    with pytest.raises(ValueError, match='did you mean shift'):
        read_tasks('shift', dict(shft=dict(max_delay=20)))


def test_uniform_numbers_reach_every_frame_of_millions():
    numbers = draw_uniform(torch.arange(100_000), 1, 5)[:, 0]
    assert numbers.min() >= 0 and numbers.max() < 1
    frames = (numbers * 10**9).astype(int)
    assert len(np.unique(frames)) > 99_980
    assert (frames % 2).mean() == pytest.approx(.5, abs=.01)


def test_parity_follows_the_numbers_of_the_stream(make):
    data = make(padding='zero', parity=dict(seed=7),
                augmentation='all_perm_id:p=0.5,gauss_jitter')
    sampler = LisbetStreamSampler(data, seed=0, epoch_fraction=.1)
    first = list(sampler)
    assert [draw.seed for draw in first] == list(range(90))
    sampler.set_epoch(2)
    assert [draw.seed for draw in sampler][:2] == [180, 181]
    sampler.skip(80)
    assert [draw.seed for draw in sampler] == list(range(260, 270))
    whole = data.__getitems__(first[:20])
    other = make(padding='zero', parity=dict(seed=7),
                 augmentation='all_perm_id:p=0.5,gauss_jitter')
    part = other.__getitems__(first[10:20])
    for task in data.tasks:
        torch.testing.assert_close(windows_of(part, task)[0],
                                   windows_of(whole, task)[0][10:20])
    assert not torch.equal(
        make(padding='zero', parity=True).__getitems__(first[:20])['inputs'],
        whole['inputs'])


def test_the_endless_stream_goes_on_counting(make):
    data = make('cons', padding='zero', parity=True)
    sampler = LisbetStreamSampler(data, seed=0, epoch_fraction=.01,
                                  infinite=True)
    stream = iter(sampler)
    assert [next(stream).seed for _ in range(20)] == list(range(20))


def test_the_command_lines_list_of_augmentations_is_joined(make):
    text = 'all_perm_id:p=0.5,blk_perm_id:p=0.3:frac=0.2'
    assert make(augmentation=text.split(',')).augmentations == (
        make(augmentation=text).augmentations)

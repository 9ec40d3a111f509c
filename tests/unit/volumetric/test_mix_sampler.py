"""Labelled and unlabelled time points take turns, in all processes alike."""
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.runner.runner import _SlicedDataset

from mmpose_ext.storage import DataError
from mmpose_ext.training.draws import Draw
from mmpose_ext.volumetric.mix_sampler import DannceMixSampler


def dataset(labelled=6, unlabelled=10, length=1):
    count = labelled + unlabelled
    chunks = np.arange(count * length).reshape(count, length)

    class Data(SimpleNamespace):

        def __len__(self):
            return count * length

    return Data(chunks=chunks, num_labelled=labelled)


def draws(sampler, rank=0, world=1, epoch=0):
    """What one of several processes draws in an epoch."""
    other = DannceMixSampler.__new__(DannceMixSampler)
    other.__dict__.update(sampler.__dict__)
    other.rank, other.world_size, other.epoch = rank, world, epoch
    other._turns = -(-len(other._runs[0]) // (other.mix[0] * world))
    return list(other)


@pytest.mark.parametrize('mix', [(1, 1), (1, 3), (2, 1)])
def test_each_turn_holds_the_mix(mix):
    sampler = DannceMixSampler(dataset(), mix, seed=3)
    found = np.array(list(sampler)).reshape(-1, sum(mix))
    assert len(sampler) == found.size
    assert ((found < 6).sum(1) == mix[0]).all()
    assert (found[:, :mix[0]] < 6).all()


def test_an_epoch_shows_each_label_once_and_goes_on_with_the_others():
    sampler = DannceMixSampler(dataset(6, 10), (1, 1), seed=0)
    seen = []
    for epoch in range(5):
        found = np.array(draws(sampler, epoch=epoch))
        assert sorted(found[found < 6]) == list(range(6))
        seen.extend(found[found >= 6])
    # 30 of 10: each three times, though an epoch takes 6
    assert (np.bincount(seen)[6:] == 3).all()


def test_labels_come_in_another_order_in_each_epoch():
    sampler = DannceMixSampler(dataset(20, 5), seed=0)
    first, second = (draws(sampler, epoch=epoch)[::2] for epoch in range(2))
    assert first != second
    assert list(map(int, first)) == list(map(
        int, draws(DannceMixSampler(dataset(20, 5), seed=0))[::2]))


@pytest.mark.parametrize('mix, size', [((1, 1), 2), ((1, 2), 3),
                                       ((2, 1), 6)])
@pytest.mark.parametrize('length', [1, 3])
def test_batches_of_two_processes_are_one_of_a_single_process(
        mix, size, length):
    """A process' batch has `size` time points; the single one's twice."""
    sampler = DannceMixSampler(dataset(24, 7, length), mix, seed=5)
    single = draws(sampler, epoch=1)
    pair = [draws(sampler, rank, 2, epoch=1) for rank in range(2)]
    step = size * length
    for i in range(len(pair[0]) // step):
        together = [draw for own in pair
                    for draw in own[i * step:(i + 1) * step]]
        alone = single[2 * i * step:2 * (i + 1) * step]
        assert (sorted((int(draw), draw.seed) for draw in together)
                == sorted((int(draw), draw.seed) for draw in alone))
        for own in pair:
            labelled = sum(int(draw) < 24 * length
                           for draw in own[i * step:(i + 1) * step])
            assert labelled == length * size * mix[0] // sum(mix)


def test_runs_of_frames_stay_together():
    sampler = DannceMixSampler(dataset(4, 4, 3), seed=0)
    found = np.array(list(sampler)).reshape(-1, 3)
    assert (found[:, 0] % 3 == 0).all()
    assert (np.diff(found) == 1).all()


def test_every_draw_has_a_seed_of_its_own():
    sampler = DannceMixSampler(dataset(8, 3, 3), seed=0)
    found = [*draws(sampler), *draws(sampler, epoch=1)]
    assert all(isinstance(draw, Draw) for draw in found)
    assert len({draw.seed for draw in found}) == len(found)


def test_a_resumed_epoch_goes_on_where_it_ended():
    sampler = DannceMixSampler(dataset(), (1, 2), seed=1)
    whole = list(sampler)
    sampler.skip(7)
    rest = list(sampler)
    assert [(int(d), d.seed) for d in rest] == [
        (int(d), d.seed) for d in whole[7:]]
    assert len(list(sampler)) == len(whole)


def test_too_few_labels_are_shown_twice_rather_than_leave_a_process_out():
    sampler = DannceMixSampler(dataset(3, 5), (2, 1), seed=0)
    found = np.array(list(sampler))
    assert len(found) == 6
    assert set(found[found < 3]) == {0, 1, 2}


def test_num_batch_per_epoch_ends_an_epoch_and_all_are_seen_over_several():
    """MMEngine cuts the data set to so many samples."""
    sampler = DannceMixSampler(
        _SlicedDataset(dataset(6, 10), 5), (1, 1), seed=0)
    assert len(sampler) == len(list(sampler)) == 4  # two whole turns
    seen = set()
    for epoch in range(20):
        sampler.set_epoch(epoch)
        found = np.array(list(sampler))
        assert (found.reshape(-1, 2) < 6).tolist() == [[True, False]] * 2
        seen.update(found.tolist())
    assert seen == set(range(16))
    # more than an epoch has changes nothing
    assert len(DannceMixSampler(_SlicedDataset(dataset(), 99))) == 12


def test_an_epoch_of_less_than_a_turn_is_refused():
    with pytest.raises(DataError, match='num_batch_per_epoch'):
        DannceMixSampler(_SlicedDataset(dataset(), 3), (1, 3))


@pytest.mark.parametrize('labelled, unlabelled, kind', [
    (3, 0, 'unlabelled'), (0, 3, 'labelled')])
def test_a_data_set_of_one_kind_is_refused(labelled, unlabelled, kind):
    with pytest.raises(DataError, match=f'{kind} time points'):
        DannceMixSampler(dataset(labelled, unlabelled))


def test_a_data_set_without_kinds_is_refused():
    with pytest.raises(DataError, match='labelled time points'):
        DannceMixSampler(list(range(5)))


@pytest.mark.parametrize('mix', [(1, ), (0, 1), (1, 0), (1., 1), 'ab'])
def test_what_is_no_mix_is_refused(mix):
    with pytest.raises(ValueError, match='mix'):
        DannceMixSampler(dataset(), mix)

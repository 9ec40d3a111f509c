from __future__ import annotations

import copy
import pickle
import time

import numpy as np
import pytest
import torch
from mmengine.dataset import (
    BaseDataset,
    ConcatDataset,
    DefaultSampler,
    RepeatDataset,
)
from scipy import stats
from torch.utils.data import DataLoader

from mmpose_ext.registry import DATA_SAMPLERS
from mmpose_ext.training import (
    Draw,
    DrawSampler,
    draw_seeds,
    hash_words,
    hashed_normal,
    hashed_uniform,
)


class Seeds:
    """A data set whose samples are the seeds they are drawn with."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[int, int]:
        return int(index), int(draw_seeds([index])[0])


class SeedsOfMMEngine(BaseDataset):
    """The same for MMEngine's wrappers."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(serialize_data=False)

    def load_data_list(self) -> list[dict]:
        return [{} for _ in range(self.size)]

    def __getitem__(self, index: int) -> tuple[int, int]:
        return int(index), int(draw_seeds([index])[0])


def sampler_of(rank: int, world_size: int, size: int = 24,
               **options) -> DrawSampler:
    sampler = DrawSampler(range(size), seed=3, **options)
    sampler.rank, sampler.world_size = rank, world_size
    if sampler.round_up:
        sampler.num_samples = -(-size // world_size)
        sampler.total_size = sampler.num_samples * world_size
    return sampler


def draws_of(sampler: DrawSampler, count: int | None = None) -> list:
    found = []
    for draw in sampler:
        if len(found) == count:
            break
        found.append((int(draw), draw.seed))
    return found


def reference_splitmix(seed: int, count: int) -> list[int]:
    """splitmix64 as published, with Python's integers."""
    word, numbers = (1 << 64) - 1, []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & word
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & word
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & word
        numbers.append(z ^ (z >> 31))
    return numbers


class TestHashedUniform:

    def test_first_word_is_splitmix64s(self):
        # the published test vector of splitmix64 with seed 1234567
        assert reference_splitmix(1234567, 1) == [6457827717110365317]
        assert hash_words(1234567) == 6457827717110365317

    def test_equals_splitmix64_in_big_integers(self):
        seeds = torch.tensor([0, -1, 1, 2**63 - 1, -2**63])
        got = hashed_uniform(seeds, 50)
        for row, seed in zip(got, seeds.tolist(), strict=True):
            start = (seed + hash_words(0)) % 2**64
            # the seed's own mixing is one step of splitmix64 from start - step
            state = reference_splitmix(start - 0x9E3779B97F4A7C15, 1)[0]
            words = reference_splitmix(state, 50)
            expected = [(word >> 40) / 2**24 for word in words]
            assert row.tolist() == expected

    @pytest.mark.parametrize('seeds', [
        torch.arange(4096),
        torch.arange(4096) * -7046029254386353131,  # splitmix64's own step
        torch.arange(4096) << 50,
    ])
    def test_statistics(self, seeds):
        numbers = hashed_uniform(seeds, 32).double()
        assert numbers.min() >= 0 and numbers.max() < 1
        flat = numbers.flatten().numpy()
        count = len(flat)
        assert abs(flat.mean() - .5) < 4 * (1 / 12 / count)**.5
        assert abs(flat.var() - 1 / 12) < 4 * (1 / 180 / count)**.5
        assert stats.kstest(flat, 'uniform').pvalue > 1e-3
        columns = np.corrcoef(numbers.numpy().T) - np.eye(32)
        assert np.abs(columns).max() < 5 / 4096**.5
        for lag in (1, 2, 64):  # neighbouring seeds, the same column
            pair = np.corrcoef(
                numbers[lag:].flatten(), numbers[:-lag].flatten())[0, 1]
            assert abs(pair) < 4 / count**.5
        # and across columns, as a counter shared between seeds would show
        for lag in (1, 2, 3):
            pair = np.corrcoef(
                numbers[lag:, :-lag].flatten(),
                numbers[:-lag, lag:].flatten())[0, 1]
            assert abs(pair) < 4.5 / count**.5

    def test_low_bits_and_pairs_are_even(self):
        numbers = hashed_uniform(torch.arange(1 << 14), 8)
        words = (numbers * 2**24).long()
        for bit in range(24):
            share = ((words >> bit) & 1).double().mean()
            assert abs(share - .5) < 4 * .5 / words.numel()**.5
        cells = (numbers[:, 0] * 16).long() * 16 + (numbers[:, 1] * 16).long()
        counts = torch.bincount(cells, minlength=256).numpy()
        assert stats.chisquare(counts).pvalue > 1e-3

    def test_columns_do_not_depend_on_their_number(self):
        seeds = torch.arange(10)
        few, many = hashed_uniform(seeds, 3), hashed_uniform(seeds, 9)
        assert torch.equal(few, many[:, :3])

    def test_streams_are_independent(self):
        seeds = torch.arange(1 << 14)
        one, other = (hashed_uniform(seeds, 8, stream=s).flatten().numpy()
                      for s in (0, 1))
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / len(one)**.5

    def test_leaves_the_seeds_alone(self):
        seeds = torch.arange(5)
        hashed_uniform(seeds, 4)
        assert torch.equal(seeds, torch.arange(5))

    @pytest.mark.parametrize('seeds', [
        torch.zeros(3), torch.zeros(3, 1, dtype=torch.int64)])
    def test_refuses_other_seeds(self, seeds):
        with pytest.raises(TypeError, match='int64'):
            hashed_uniform(seeds, 2)

    def test_is_fast(self):
        seeds = torch.from_numpy(
            draw_seeds(range(256)).view(np.int64))
        times = []
        for _ in range(50):
            start = time.perf_counter()
            hashed_uniform(seeds, 32)
            times.append(time.perf_counter() - start)
        assert min(times) < .5e-3

    @pytest.mark.gpu
    def test_same_bits_on_cuda(self):
        seeds = torch.arange(1 << 16)
        on_cuda = hashed_uniform(seeds.cuda(), 32)
        assert torch.equal(on_cuda.cpu(), hashed_uniform(seeds, 32))
        torch.testing.assert_close(
            hashed_normal(seeds.cuda(), 32).cpu(), hashed_normal(seeds, 32),
            rtol=2e-7, atol=0)


class TestHashedNormal:

    def test_statistics(self):
        numbers = hashed_normal(torch.arange(4096), 32)
        assert numbers.dtype == torch.float32 and numbers.isfinite().all()
        flat = numbers.double().flatten().numpy()
        assert abs(flat.mean()) < 4 / len(flat)**.5
        assert abs(flat.var() - 1) < 4 * (2 / len(flat))**.5
        assert abs(stats.kurtosis(flat)) < 4 * (24 / len(flat))**.5
        assert stats.kstest(flat, 'norm').pvalue > 1e-3
        assert abs(np.corrcoef(numbers[1:].flatten(),
                               numbers[:-1].flatten())[0, 1]) < .015

    def test_is_independent_of_the_uniform_numbers(self):
        seeds = torch.arange(1 << 14)
        pair = np.corrcoef(hashed_normal(seeds, 8).flatten(),
                           hashed_uniform(seeds, 8).flatten())[0, 1]
        assert abs(pair) < 4 / (8 << 14)**.5

    def test_tails(self):
        numbers = hashed_normal(torch.arange(1 << 14), 64)
        for bound in (2, 3, 4):
            expected = numbers.numel() * stats.norm.sf(bound)
            for tail in (numbers > bound, numbers < -bound):
                assert abs(int(tail.sum()) - expected) < 4 * expected**.5


class TestDraw:

    def test_travels_with_its_seed(self):
        draw = Draw(7, 2**64 - 1)
        for other in (pickle.loads(pickle.dumps(draw)), copy.deepcopy(draw)):
            assert other == 7 and other.seed == 2**64 - 1

    def test_is_an_index(self):
        draw = Draw(2, 9)
        assert 'abc'[draw] == 'c' and np.arange(5)[draw] == 2
        assert draw + .5 == 2.5 and type(draw + .5) is float

    def test_wrappers_of_mmengine_keep_the_seed(self):
        concatenated = ConcatDataset([SeedsOfMMEngine(4), SeedsOfMMEngine(6)])
        assert concatenated[Draw(7, 55)] == (3, 55)
        assert RepeatDataset(SeedsOfMMEngine(6), 5)[Draw(20, 77)] == (2, 77)


class TestDrawSeeds:

    def test_draws_give_their_own_and_indices_a_hash(self):
        seeds = draw_seeds([Draw(3, 2**63 + 5), 3, 3, 4, np.int64(4)])
        assert seeds.dtype == np.uint64 and seeds[0] == 2**63 + 5
        assert seeds[1] == seeds[2] != seeds[3] and seeds[3] == seeds[4]

    def test_nothing_gives_nothing(self):
        assert draw_seeds([]).shape == (0, )


class TestDrawSampler:

    def test_is_registered(self):
        built = DATA_SAMPLERS.build(
            dict(type='mmpose_ext.DrawSampler', dataset=range(3), seed=1))
        assert isinstance(built, DrawSampler)

    @pytest.mark.parametrize('options', [
        dict(), dict(shuffle=False), dict(round_up=False)])
    def test_order_is_default_samplers(self, options):
        ours, stock = (kind(range(25), seed=3, **options)
                       for kind in (DrawSampler, DefaultSampler))
        for epoch in (0, 4):
            ours.set_epoch(epoch)
            stock.set_epoch(epoch)
            assert list(ours) == list(stock) and len(ours) == len(stock)

    def test_seeds_are_new_in_each_epoch_and_place(self):
        sampler, seen = sampler_of(0, 1), []
        for epoch in range(50):
            sampler.set_epoch(epoch)
            seen += [seed for _, seed in draws_of(sampler)]
        assert len(set(seen)) == 50 * 24
        sampler.set_epoch(0)
        assert [seed for _, seed in draws_of(sampler)] == seen[:24]

    @pytest.mark.parametrize('world_size', [2, 3, 4])
    def test_ranks_together_draw_what_one_draws(self, world_size):
        one = draws_of(sampler_of(0, 1))
        ranks = [draws_of(sampler_of(r, world_size))
                 for r in range(world_size)]
        batch = 12 // world_size
        for step in range(2):
            union = {draw for rank in ranks
                     for draw in rank[step * batch:(step + 1) * batch]}
            assert union == set(one[step * 12:(step + 1) * 12])

    def test_round_up_repeats_with_other_seeds(self):
        ranks = [draws_of(sampler_of(r, 4, size=10)) for r in range(4)]
        assert [len(rank) for rank in ranks] == [3] * 4
        flat = [draw for rank in ranks for draw in rank]
        assert {index for index, _ in flat} == set(range(10))
        assert len(set(flat)) == 12

    def test_skip_leaves_out_the_first_draws_once(self):
        sampler = sampler_of(1, 2)
        whole = draws_of(sampler)
        sampler.skip(5)
        assert draws_of(sampler) == whole[5:]
        assert draws_of(sampler) == whole

    def test_infinite_goes_through_the_epochs(self):
        finite, expected = sampler_of(0, 1, size=7), []
        for epoch in range(4):
            finite.set_epoch(epoch)
            expected += draws_of(finite)
        one = sampler_of(0, 1, size=7, infinite=True)
        assert draws_of(one, 25) == expected[:25]
        ranks = [draws_of(sampler_of(r, 3, size=7, infinite=True), 8)
                 for r in range(3)]
        assert [draw for turn in zip(*ranks, strict=True)
                for draw in turn] == expected[:24]
        one.skip(10)
        assert draws_of(one, 15) == expected[10:25]

    @pytest.mark.parametrize('workers', [0, 2])
    def test_seeds_reach_the_workers(self, workers):
        data = Seeds(11)
        sampler = DrawSampler(data, seed=3)
        loader = DataLoader(data, 4, sampler=sampler, num_workers=workers,
                            collate_fn=list)
        assert [sample for batch in loader
                for sample in batch] == draws_of(sampler)


def test_an_epoch_may_be_a_random_part_and_another_one_each_time():
    sampler = DrawSampler(range(1000), seed=3, epoch_fraction=.05)
    assert len(sampler) == sampler.epoch_size == 50
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append({int(draw) for draw in sampler})
    assert all(len(drawn) == 50 for drawn in epochs)
    assert len(set.union(*epochs)) == 150
    whole = DrawSampler(range(1000), seed=3)
    assert [(int(draw), draw.seed) for draw in whole][:50] == [
        (int(draw), draw.seed)
        for draw in DrawSampler(range(1000), seed=3, epoch_fraction=.05)]


def test_epochs_of_a_part_go_through_everything_before_it_comes_again():
    sampler = DrawSampler(range(100), seed=3, epoch_fraction=.3)
    stream = []
    for epoch in range(10):
        sampler.set_epoch(epoch)
        stream += [int(draw) for draw in sampler]
    for first in (0, 100, 200):
        assert sorted(stream[first:first + 100]) == list(range(100))
    assert stream[:100] != stream[100:200]


@pytest.mark.parametrize('fraction', [0, -.1, 1.1])
def test_an_impossible_part_is_refused(fraction):
    with pytest.raises(ValueError, match='epoch_fraction'):
        DrawSampler(range(10), epoch_fraction=fraction)


def test_a_long_epoch_is_drawn_in_blocks(monkeypatch):
    from mmpose_ext.training import draws
    whole = [(int(draw), draw.seed)
             for draw in DrawSampler(range(1000), seed=3)]
    monkeypatch.setattr(draws, '_BLOCK', 7)
    sampler = DrawSampler(range(1000), seed=3)
    assert [(int(draw), draw.seed) for draw in sampler] == whole
    sampler.skip(123)
    assert [(int(draw), draw.seed) for draw in sampler] == whole[123:]

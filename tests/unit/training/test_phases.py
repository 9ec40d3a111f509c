from __future__ import annotations

from types import SimpleNamespace

import pytest
from mmengine.runner import IterBasedTrainLoop

from mmpose_ext.storage.errors import DataError
from mmpose_ext.training.phases import (
    nearest_start,
    phase_of,
    phase_starts,
    run_progress,
    skipped_phases,
)

THIRDS = (0., 1 / 3, 2 / 3)
ROUGH_THIRDS = (0, .333, .667)


class TestStarts:

    @pytest.mark.parametrize('begins', [THIRDS, ROUGH_THIRDS])
    @pytest.mark.parametrize(('total', 'expected'), [
        (300, (0, 100, 200)), (12, (0, 4, 8)), (4, (0, 1, 3)),
        (3, (0, 1, 2)), (2, (0, 1, 1)), (1, (0, 0, 1))])
    def test_fractions_move_with_the_run(self, begins, total, expected):
        assert phase_starts(begins, total, 'config', 'phases') == expected

    def test_whole_numbers_stay(self):
        for total in (3, 300):
            assert phase_starts((0, 1, 100), total, '', '') == (0, 1, 100)

    def test_a_shift_is_added_before_rounding(self):
        # 12 epochs: a third and two twelfths; 3 epochs: 1 + 0.5 goes up
        assert nearest_start(1 / 3, 12, 2 / 12) == 6
        assert nearest_start(1 / 3, 3, 1 / 6) == 2
        assert nearest_start(1 / 3, 12, 3) == 7
        assert nearest_start(4, 12, .25) == 7

    @pytest.mark.parametrize(('begins', 'where'), [
        ((), 'phases'), ((.1, .5), r'phases\[0\]'), ((0, 1.), r'phases\[1\]'),
        ((0, 2.5), r'phases\[1\]'), ((0, -1), r'phases\[1\]'),
        ((0, True), r'phases\[1\]'), ((0, '5'), r'phases\[1\]'),
        ((0, float('nan')), r'phases\[1\]'),
        ((0, .5, .4), r'phases\[2\].*0.5 or later'),
        ((0, 9, .5), r'phases\[2\].*9 or later')])
    def test_refuses_what_is_no_order_of_phases(self, begins, where):
        with pytest.raises(DataError, match=where):
            phase_starts(begins, 12, 'config', 'phases')


class TestPhase:

    @pytest.mark.parametrize(('total', 'expected'), [
        (12, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]), (3, [0, 1, 2]),
        (2, [0, 2]), (1, [1])])
    def test_an_epoch_belongs_to_the_last_phase_begun(self, total, expected):
        starts = phase_starts(THIRDS, total, '', '')
        assert [phase_of(epoch, starts) for epoch in range(total)] == expected
        skipped = set(range(3)) - set(expected)
        assert set(skipped_phases(starts, total)) == skipped

    def test_a_phase_after_the_end_is_skipped(self):
        assert skipped_phases((0, 2, 5, 9), 5) == [2, 3]
        assert skipped_phases((0, ), 5) == []


def test_loops_without_epochs_count_iterations():
    epochs = SimpleNamespace(train_loop=SimpleNamespace(
        epoch=2, max_epochs=9, iter=20, max_iters=90))
    assert run_progress(epochs) == (2, 9)
    loop = object.__new__(IterBasedTrainLoop)
    loop._iter, loop._max_iters, loop._epoch = 20, 90, 0
    assert run_progress(SimpleNamespace(train_loop=loop)) == (20, 90)

"""Intervals draw groups, not rows."""
import numpy as np
import pytest
from scipy import stats

from mmpose_ext.scoring.bootstrap import grouped_interval


def test_agrees_with_scipy_for_single_rows():
    values = np.random.default_rng(0).normal(5, 2, 200)
    low, high = grouped_interval(values, np.arange(200))
    oracle = stats.bootstrap((values, ), np.mean, method='percentile',
                             random_state=0).confidence_interval
    assert low == pytest.approx(oracle.low, abs=.05)
    assert high == pytest.approx(oracle.high, abs=.05)


def test_copies_add_no_certainty():
    values = np.random.default_rng(1).normal(0, 1, 30)
    single = np.ptp(grouped_interval(values, np.arange(30)))
    copied = np.ptp(grouped_interval(
        np.repeat(values, 50), np.repeat(np.arange(30), 50)))
    assert copied == pytest.approx(single, rel=.1)


def test_nan_is_left_out_and_one_group_says_nothing():
    low, high = grouped_interval([1., np.nan, 3.], ['a', 'b', 'c'])
    assert 1 <= low <= high <= 3
    assert np.isnan(grouped_interval([1., 2.], ['a', 'a'])).all()

"""Shares of the parts, and what must stay in one of them."""
from __future__ import annotations

import numpy as np
import pytest

from mmpose_ext.splits import check_shares, link_clusters


@pytest.mark.parametrize('shares', [(.7, .2, .1), [1, 0, 0], (.1, .2, .7)])
def test_shares_that_add_up_are_taken(shares) -> None:
    assert check_shares(shares, 'fractions') == tuple(shares)


@pytest.mark.parametrize('shares', [
    (.5, .5), (.5, .6, .1), (1.2, -.1, -.1), (.5, .5, float('nan')), ()])
def test_other_shares_are_refused_by_name(shares) -> None:
    with pytest.raises(ValueError, match='^fractions: expected three shares'):
        check_shares(shares, 'fractions')


def test_clusters_are_what_pairs_link() -> None:
    numbers = link_clusters(np.array([[0, 3], [3, 5], [1, 2]]), 6)
    assert numbers[0] == numbers[3] == numbers[5]
    assert numbers[1] == numbers[2]
    assert len(set(numbers)) == 3
    assert len(set(link_clusters(np.empty((0, 2), int), 4))) == 4

"""Batches of a stream."""
from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import pytest

from mmpose_ext.storage import DataError
from mmpose_ext.training import in_batches


def test_the_last_batch_may_be_shorter() -> None:
    assert list(in_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_batches(range(4), 2)) == [[0, 1], [2, 3]]
    assert list(in_batches([], 2)) == []


def test_an_endless_stream_is_never_read_ahead() -> None:
    given = []

    def stream() -> Iterator[int]:
        for number in count():
            given.append(number)
            yield number

    batches = in_batches(stream(), 4)
    assert given == []
    assert list(islice(batches, 2)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(given) == 8


def test_items_may_count_for_several() -> None:
    assert list(in_batches([1, 1, 5, 2, 1, 1], 3, lambda item: item)) == [
        [1, 1, 5], [2, 1], [1]]


def test_what_came_before_a_damaged_item_comes_before_its_error() -> None:

    def stream() -> Iterator[int]:
        yield from range(5)
        raise DataError('a.png', 'file', 'a picture', 'none')

    batches = in_batches(stream(), 3)
    assert [next(batches), next(batches)] == [[0, 1, 2], [3, 4]]
    with pytest.raises(DataError, match=r'a\.png'):
        next(batches)

"""Batches: of what a stream gives, and those that a data set builds."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from mmpose_ext.registry import FUNCTIONS
from mmpose_ext.storage.errors import DataError

Item = TypeVar('Item')


def in_batches(items: Iterable[Item], size: int,
               size_of: Callable[[Item], int] = lambda item: 1
               ) -> Iterator[list[Item]]:
    """Up to `size` items at a time, of which none is read ahead.

    What came before a damaged item comes before its error.

    Args:
        items (Iterable): Maybe endless.
        size (int): At least 1.
        size_of (Callable): How much an item counts. Defaults to 1 each.

    Yields:
        list: The last one may be shorter.

    Raises:
        DataError: The items' own.
    """
    batch: list[Item] = []
    filled = 0
    source = iter(items)
    damage: DataError | None = None
    while True:
        try:
            item = next(source)
        except StopIteration:
            break
        except DataError as error:
            damage = error
            break
        batch.append(item)
        filled += size_of(item)
        if filled >= size:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch
    if damage is not None:
        raise damage


@FUNCTIONS.register_module()  # type: ignore[untyped-decorator]
def pass_batch(batch: Any) -> Any:
    """Collate function of data sets whose ``__getitems__`` returns a batch.

    Cutting a batch of tiny samples into pieces and joining them again costs
    more than training on it.
    """
    return batch

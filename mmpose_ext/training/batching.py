"""Batches that a data set builds whole."""
from __future__ import annotations

from typing import Any

from mmpose_ext.registry import FUNCTIONS


@FUNCTIONS.register_module()
def pass_batch(batch: Any) -> Any:
    """Collate function of data sets whose ``__getitems__`` returns a batch.

    Cutting a batch of tiny samples into pieces and joining them again costs
    more than training on it.
    """
    return batch

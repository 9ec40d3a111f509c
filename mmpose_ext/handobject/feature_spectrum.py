"""In how many directions features, or poses, of many samples differ."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Array = np.ndarray


class FeatureCollector:
    """Keeps the features of passing samples, one vector each.

    Args:
        limit (int): Most samples. Defaults to 256.
    """

    def __init__(self, limit: int = 256) -> None:
        self.limit = limit
        self._parts: list[Tensor] = []
        self._count = 0

    @contextmanager
    def listening(self, module: nn.Module) -> Iterator[None]:
        """Collect what a module gives out while the body runs."""
        handle = self.attach(module)
        try:
            yield
        finally:
            handle.remove()

    def attach(self, module: nn.Module) -> Any:
        """Collect until the handle that is returned is removed."""
        return module.register_forward_hook(self._keep)

    @property
    def features(self) -> Array:
        """(N, C) float64; (0, 0) if nothing passed."""
        if not self._parts:
            return np.zeros((0, 0))
        return torch.cat(self._parts)[:self.limit].double().numpy()

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._count < self.limit:
            self._parts.append(pool_features(output).float().cpu())
            self._count += len(self._parts[-1])


def pool_features(output: Tensor | Sequence[Tensor]) -> Tensor:
    """One vector (B, C) a sample, from maps (B, C, ...).

    Args:
        output (Tensor | Sequence[Tensor]): What a backbone gives out; the
            last level is taken.
    """
    while not isinstance(output, Tensor):
        output = output[-1]
    output = output.detach()
    return output.flatten(2).mean(-1) if output.ndim > 2 else output


def singular_values(vectors: Array) -> Array:
    """Singular values of vectors (N, C) without their mean, falling."""
    vectors = np.asarray(vectors, float)
    if not vectors.size:
        return np.zeros(0)
    return np.linalg.svd(vectors - vectors.mean(0), compute_uv=False)


def effective_rank(values: Array) -> float:
    """Number of directions that matter: exp of the values' entropy.

    Roy and Vetterli, "The effective rank: a measure of effective
    dimensionality", EUSIPCO 2007.

    Args:
        values (np.ndarray): Singular values.

    Returns:
        float: 1 to their number; 0 where all are 0, NaN where one is.
    """
    total = float(np.sum(values))
    if not total > 0:
        return total if total != total else 0.
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))

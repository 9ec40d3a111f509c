"""Losses of the heads; all are means over a batch.

Where a mean is weighted, its denominator is that of all processes together,
so that processes which share a batch compute what one does.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of values with weights of their shape; 0 if all of these are 0."""
    return (values * weights).sum() / _denominator(weights)


def _denominator(weights: Tensor) -> Tensor:
    """Sum of weights, averaged over the processes; positive."""
    total = weights.sum().detach()
    if dist.is_available() and dist.is_initialized():
        # the gradients of all processes are averaged afterwards
        total = total.clone()
        dist.all_reduce(total)
        total /= dist.get_world_size()
    return total.clamp(min=torch.finfo(total.dtype).tiny)


@MODELS.register_module()
class LisbetBinaryLoss(nn.Module):
    """Loss of yes-or-no answers and of shares between 0 and 1.

    Args:
        kind (str): ``bce``, cross-entropy, which takes shares as well; or
            ``mse``, the squared difference of probability and target, for
            regression. Defaults to ``bce``.
        label_smoothing (float): Moves targets towards one half. Defaults to
            0.

    Raises:
        ValueError: If the kind is another.
    """

    def __init__(self, kind: str = 'bce',
                 label_smoothing: float = 0.) -> None:
        super().__init__()
        if kind not in ('bce', 'mse'):
            raise ValueError(f"kind: expected 'bce' or 'mse', found {kind!r}")
        self.kind, self.label_smoothing = kind, label_smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss of logits and targets of one shape."""
        target = target + self.label_smoothing * (.5 - target)
        if self.kind == 'mse':
            return F.mse_loss(logits.sigmoid(), target)
        return F.binary_cross_entropy_with_logits(logits, target)


class _BalancedLoss(nn.Module):
    """A loss whose weights come from the classes of the training data."""

    class_weight: Tensor | None

    def __init__(self, needs_counts: bool,
                 class_weight: Sequence[float] | None = None) -> None:
        super().__init__()
        self.needs_counts = needs_counts
        # found anew in every training, so no part of a checkpoint
        self.register_buffer(
            'class_weight',
            None if class_weight is None else torch.tensor(
                class_weight, dtype=torch.float32),
            persistent=False)

    def set_class_counts(self, counts: Tensor, frames: int,
                         classes: Sequence[str] = ()) -> None:
        """Find the weights.

        Args:
            counts (Tensor): (C,) frames of the training data that show each
                class.
            frames (int): All frames of the training data.
            classes (Sequence[str]): Names, for the error. Defaults to ().

        Raises:
            DataError: If a class does not occur, or there are classes more
                or less than in the network.
        """
        if not self.needs_counts:
            return
        counts = torch.as_tensor(counts, dtype=torch.float64)
        missing = (counts == 0).nonzero().flatten().tolist()
        if missing:
            names = [classes[i] if i < len(classes) else str(i)
                     for i in missing]
            raise DataError(
                'training data', 'annotations',
                'every class at least once, to balance them',
                f'none of {", ".join(names)}',
                'leave the class out, or give the loss other weights')
        device = (torch.device('cpu') if self.class_weight is None else
                  self.class_weight.device)
        self.class_weight = self.weigh(counts, frames).float().to(device)

    def weigh(self, counts: Tensor, frames: int) -> Tensor:
        """Weights (C,) of classes that occur so often."""
        raise NotImplementedError

    def weights_for(self, like: Tensor) -> Tensor | None:
        """Weights on the device of a tensor with C as its last size."""
        if self.class_weight is None:
            if self.needs_counts:
                raise DataError(
                    'config', 'custom_hooks', 'mmpose_ext.'
                    'LisbetClassBalanceHook, which counts the classes',
                    'none that has run', f'or set {type(self).__name__} '
                    'without weights from the data')
            return None
        if len(self.class_weight) != like.shape[-1]:
            raise DataError(
                'config', 'num_classes of the head',
                f'the {len(self.class_weight)} classes of the data',
                f'{like.shape[-1]}')
        return self.class_weight.to(like)


@MODELS.register_module()
class LisbetClassLoss(_BalancedLoss):
    """Cross-entropy of one class a frame.

    Args:
        class_weight (str | Sequence[float], optional): ``balanced`` weighs a
            class by ``n / (C * n_c)`` of the training data, as published.
            Defaults to ``balanced``; None weighs all alike.
        label_smoothing (float): Defaults to 0.
        focal_gamma (float): Weighs down what is known by ``(1 - p)`` to this
            power. Defaults to 0.
        ignore_index (int): Label of frames that do not count. Defaults to
            -1.
    """

    def __init__(self,
                 class_weight: str | Sequence[float] | None = 'balanced',
                 label_smoothing: float = 0.,
                 focal_gamma: float = 0.,
                 ignore_index: int = -1) -> None:
        if isinstance(class_weight, str):
            if class_weight != 'balanced':
                raise ValueError("class_weight: expected 'balanced', numbers "
                                 f'or None, found {class_weight!r}')
            super().__init__(True)
        else:
            super().__init__(False, class_weight)
        self.label_smoothing = label_smoothing
        self.focal_gamma, self.ignore_index = focal_gamma, ignore_index

    def weigh(self, counts: Tensor, frames: int) -> Tensor:
        """See :meth:`_BalancedLoss.weigh`."""
        return counts.sum() / (len(counts) * counts)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss, weighted by the class of each frame.

        Args:
            logits (Tensor): (B, C).
            target (Tensor): int64 (B,) labels, or (B, C) shares of several
                annotators.
        """
        count = logits.shape[-1]
        if target.dim() == 1:
            counts = target != self.ignore_index
            target = F.one_hot(
                target.where(counts, 0), count).to(logits.dtype)
        else:
            counts = target.sum(-1) > 0
        weights = self.weights_for(logits)
        if weights is None:
            weights = logits.new_ones(count)
        smooth = target + self.label_smoothing * (1 / count - target)
        logp = logits.log_softmax(-1)
        each = -smooth * weights * logp
        if self.focal_gamma:
            each = each * (1 - logp.exp()).clamp(min=0)**self.focal_gamma
        # the weights are in the losses already
        return (each.sum(-1) * counts).sum() / _denominator(
            (target * weights).sum(-1) * counts)


@MODELS.register_module()
class LisbetMultilabelLoss(_BalancedLoss):
    """Binary cross-entropy of any number of classes a frame.

    Args:
        balance (str): ``positives`` weighs what is there by how rare it is,
            ``(n - n_c) / n_c``; ``published`` weighs whole classes by
            ``n / (2 n_c + 1e-6)``, as the original does; ``none``. Defaults
            to ``positives``.
        focal_gamma (float): As for :class:`LisbetClassLoss`. Defaults to 0.

    Raises:
        ValueError: If the balance is another.
    """

    def __init__(self, balance: str = 'positives',
                 focal_gamma: float = 0.) -> None:
        if balance not in ('positives', 'published', 'none'):
            raise ValueError("balance: expected 'positives', 'published' or "
                             f"'none', found {balance!r}")
        super().__init__(balance != 'none')
        self.balance, self.focal_gamma = balance, focal_gamma

    def weigh(self, counts: Tensor, frames: int) -> Tensor:
        """See :meth:`_BalancedLoss.weigh`."""
        if self.balance == 'positives':
            return (frames - counts).clamp(min=0) / counts
        return frames / (2 * counts + 1e-6)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss over frames and classes.

        Args:
            logits (Tensor): (B, C).
            target (Tensor): (B, C), shares of several annotators or 0 and 1;
                negative where unknown, which does not count.
        """
        known = (target >= 0).to(logits.dtype)
        target = target.clamp(min=0)
        weights = self.weights_for(logits)
        positive = weights if self.balance == 'positives' else None
        each = F.binary_cross_entropy_with_logits(
            logits, target, pos_weight=positive, reduction='none')
        if self.balance == 'published' and weights is not None:
            each = each * weights
        if self.focal_gamma:
            chance = logits.sigmoid()
            wrong = target + chance - 2 * target * chance
            each = each * wrong.clamp(min=0)**self.focal_gamma
        return weighted_mean(each, known)

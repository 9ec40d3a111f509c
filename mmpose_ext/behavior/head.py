"""Heads that answer with a number or with classes.

Shapes: B windows of a task, W frames, D features of a token, C classes.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmpose_ext.behavior.tasks import KINDS
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError

POOLINGS = ('max', 'mean', 'attention')


class TwoLayers(nn.Module):
    """Linear, GELU, linear.

    Args:
        in_channels (int): Features at its input.
        hidden_channels (int): Between the layers.
        out_channels (int): At its output.
    """

    def __init__(self, in_channels: int, hidden_channels: int,
                 out_channels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(in_channels, hidden_channels)
        self.linear2 = nn.Linear(hidden_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_channels) to (..., out_channels)."""
        return self.linear2(F.gelu(self.linear1(x)))


def make_layers(in_channels: int, hidden_channels: int | None,
                out_channels: int) -> nn.Module:
    """Two layers, or a linear one where `hidden_channels` is None."""
    if hidden_channels is None:
        return nn.Linear(in_channels, out_channels)
    return TwoLayers(in_channels, hidden_channels, out_channels)


class LisbetHead(BaseModule):
    """What every head offers.

    Attributes:
        window_offset: o; the frame of a window is its token W - 1 - o. Set by
            the model.
    """

    window_offset = 0

    @abstractmethod
    def loss(self, feats: Tensor, sample: Any) -> dict[str, Tensor]:
        """Loss of a task's windows.

        Args:
            feats (Tensor): Tokens (B, W, D).
            sample (PoseDataSample): With ``gt_instance_labels`` of length B.

        Returns:
            dict: ``loss``, a mean over the windows, and ``acc``, which is
            better the closer it is to 1.
        """

    @abstractmethod
    def predict(self, feats: Tensor,
                sample: Any = None) -> dict[str, Tensor]:
        """Answers for a task's windows.

        Args:
            feats (Tensor): Tokens (B, W, D).
            sample (PoseDataSample, optional): For heads whose answer is
                told in relation to a target. Defaults to None.

        Returns:
            dict: ``scores`` and maybe more, each with B rows.
        """

    def token(self, feats: Tensor) -> Tensor:
        """The token (B, D) of the windows' frame, which may come alone."""
        if feats.dim() == 2:
            return feats
        return feats[:, feats.shape[1] - 1 - self.window_offset]

    def set_class_counts(self, counts: Tensor, frames: int,
                         classes: Sequence[str] = ()) -> None:
        """Tell the head's loss how frequent classes are, if it asks."""


@MODELS.register_module()
class LisbetWindowHead(LisbetHead):
    """One number of a whole window.

    With 64 input and 256 hidden channels it has the published 16,897
    parameters, with 32 and 128 4,353.

    Args:
        in_channels (int): D. Defaults to 64.
        hidden_channels (int, optional): Width of the hidden layer; None for
            a linear head. Defaults to 256.
        pooling (str): ``max`` over time as published, ``mean``, or
            ``attention``, a learned weighted mean. Defaults to ``max``.
        loss (dict, optional): Config of the loss. Defaults to None:
            ``LisbetBinaryLoss``.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.

    Raises:
        ValueError: If the pooling is another.
    """

    def __init__(self,
                 in_channels: int = 64,
                 hidden_channels: int | None = 256,
                 pooling: str = 'max',
                 loss: dict[str, Any] | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        if pooling not in POOLINGS:
            raise ValueError(
                f'pooling: expected one of {POOLINGS}, found {pooling!r}')
        self.pooling = pooling
        self.logits = make_layers(in_channels, hidden_channels, 1)
        if pooling == 'attention':
            self.attention = nn.Linear(in_channels, 1)
        self.loss_module = MODELS.build(
            loss or dict(type='mmpose_ext.LisbetBinaryLoss'))

    def forward(self, feats: Tensor) -> Tensor:
        """Map tokens (B, W, D) to logits (B, 1)."""
        if self.pooling == 'max':
            pooled = feats.max(1).values
        elif self.pooling == 'mean':
            pooled = feats.mean(1)
        else:
            weights = self.attention(feats).softmax(1)
            pooled = (weights * feats).sum(1)
        logits: Tensor = self.logits(pooled)
        return logits

    def loss(self, feats: Tensor, sample: Any) -> dict[str, Tensor]:
        """See :meth:`LisbetHead.loss`; labels are float32 (B, 1)."""
        logits = self(feats)
        labels = sample.gt_instance_labels.labels
        right = (logits > 0) == (labels > .5)
        return dict(loss=self.loss_module(logits, labels),
                    acc=right.float().mean())

    def predict(self, feats: Tensor,
                sample: Any = None) -> dict[str, Tensor]:
        """``scores``, chances of yes, and ``logits``, both (B, 1)."""
        logits = self(feats)
        return dict(scores=logits.sigmoid(), logits=logits)


@MODELS.register_module()
class LisbetFrameHead(LisbetHead):
    """Classes of the frame of a window.

    Args:
        num_classes (int): C.
        in_channels (int): D. Defaults to 64.
        hidden_channels (int, optional): Width of the hidden layer; None for
            a linear head. Defaults to 256.
        kind (str): ``multiclass``, one class a frame, or ``multilabel``.
            Defaults to ``multiclass``.
        loss (dict, optional): Config of the loss. Defaults to None:
            ``LisbetClassLoss`` or ``LisbetMultilabelLoss``.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.

    Raises:
        ValueError: If the kind is another.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 64,
                 hidden_channels: int | None = 256,
                 kind: str = 'multiclass',
                 loss: dict[str, Any] | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        if kind not in KINDS:
            raise ValueError(f'kind: expected one of {KINDS}, found {kind!r}')
        self.kind, self.num_classes = kind, num_classes
        self.logits = make_layers(in_channels, hidden_channels, num_classes)
        usual = dict(multiclass='LisbetClassLoss',
                     multilabel='LisbetMultilabelLoss')[kind]
        self.loss_module = MODELS.build(
            loss or dict(type=f'mmpose_ext.{usual}'))

    def forward(self, feats: Tensor) -> Tensor:
        """Map tokens (B, W, D), or those of the frame (B, D), to (B, C)."""
        logits: Tensor = self.logits(self.token(feats))
        return logits

    def loss(self, feats: Tensor, sample: Any) -> dict[str, Tensor]:
        """See :meth:`LisbetHead.loss`.

        Labels are int64 (B,), or float32 (B, C) for several classes a frame
        or shares of annotators.
        """
        logits = self(feats)
        labels = sample.gt_instance_labels.labels
        return dict(loss=self.loss_module(logits, labels),
                    acc=self._accuracy(logits.detach(), labels))

    def predict(self, feats: Tensor,
                sample: Any = None) -> dict[str, Tensor]:
        """``scores``, chances of the classes, and ``logits``, both (B, C)."""
        logits = self(feats)
        scores = (logits.softmax(-1) if self.kind == 'multiclass' else
                  logits.sigmoid())
        return dict(scores=scores, logits=logits)

    def set_class_counts(self, counts: Tensor, frames: int,
                         classes: Sequence[str] = ()) -> None:
        """See :meth:`LisbetHead.set_class_counts`."""
        if len(counts) != self.num_classes:
            raise DataError(
                'config', 'num_classes of the head',
                f'the {len(counts)} classes of the data'
                + (f', {", ".join(classes)}' if classes else ''),
                str(self.num_classes))
        if hasattr(self.loss_module, 'set_class_counts'):
            self.loss_module.set_class_counts(counts, frames, classes)

    def _accuracy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Share of right answers among frames that have a label."""
        if self.kind == 'multilabel':
            right, known = (logits > 0) == (labels > .5), labels >= 0
        else:
            if labels.dim() == 2:
                known = labels.sum(-1) > 0
                labels = labels.argmax(-1)
            else:
                known = labels >= 0
            right = logits.argmax(-1) == labels
        return (right & known).sum() / torch.clamp(known.sum(), min=1)

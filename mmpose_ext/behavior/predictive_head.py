"""Heads that foresee, fill in, or tell moments apart.

Shapes: B windows of a task, W frames, D features of a token, F coordinates of
a frame, H frames ahead.
"""
from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from mmpose_ext.behavior.head import LisbetHead, make_layers
from mmpose_ext.behavior.losses import weighted_mean
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError


class _TrackHead(LisbetHead):
    """A head whose answer are coordinates.

    Args:
        in_channels (int): D.
        hidden_channels (int, optional): Width of the hidden layer; None for
            a linear head.
        out_channels (int): Numbers of an answer.
        beta (float): Where the loss turns from square to linear, in units of
            the coordinates.
        scale (float): Coordinates are multiplied by it before they are
            compared.
        init_cfg (dict, optional): As in MMEngine.
    """

    def __init__(self, in_channels: int, hidden_channels: int | None,
                 out_channels: int, beta: float, scale: float,
                 init_cfg: dict[str, Any] | None) -> None:
        super().__init__(init_cfg)
        self.beta, self.scale = beta, scale
        self.layers = make_layers(in_channels, hidden_channels, out_channels)

    def loss(self, feats: Tensor, sample: Any) -> dict[str, Tensor]:
        """See :meth:`LisbetHead.loss`.

        Labels are ``target`` and, bool, ``target_mask``, which says what is
        asked. ``acc`` is the share of the squared error of an answer that
        does not look at the window which is gone; -1 at least, for there may
        be next to nothing to answer.
        """
        answer, target, asked = self._compare(feats, sample)
        error = F.smooth_l1_loss(answer * self.scale, target * self.scale,
                                 reduction='none', beta=self.beta * self.scale)
        with torch.no_grad():
            left = ((answer - target).square() * asked).sum()
            trivial = (self._trivial(target, asked).square() * asked).sum()
            acc = (1 - left / trivial.clamp(min=1e-12)).clamp(min=-1)
        return dict(loss=weighted_mean(error, asked), acc=acc)

    def predict(self, feats: Tensor,
                sample: Any = None) -> dict[str, Tensor]:
        """``scores``, the answers.

        With a sample that has targets also ``errors``, (B,) root mean squares
        of what was asked, and ``trivial_errors``, those of an answer that
        does not look at the window.
        """
        if sample is None or 'target' not in sample.gt_instance_labels:
            return dict(scores=self(feats))
        answer, target, asked = self._compare(feats, sample)
        found = dict(scores=answer)
        trivial = self._trivial(target, asked)
        for name, error in (('errors', answer - target),
                            ('trivial_errors', trivial)):
            square = (error.square() * asked).flatten(1).sum(1)
            count = asked.flatten(1).sum(1).clamp(min=1)
            found[name] = (square / count).sqrt()
        return found

    def _compare(self, feats: Tensor,
                 sample: Any) -> tuple[Tensor, Tensor, Tensor]:
        labels = sample.gt_instance_labels
        answer = self(feats)
        if answer.shape != labels.target.shape:
            raise DataError(
                'config', f'model.heads, {type(self).__name__}',
                f'answers {tuple(labels.target.shape[1:])} for a window, as '
                'the task has them', f'{tuple(answer.shape[1:])}')
        return answer, labels.target, labels.target_mask.to(answer.dtype)

    def _trivial(self, target: Tensor, asked: Tensor) -> Tensor:
        """Error of an answer that does not look at the window."""
        return target


@MODELS.register_module()
class LisbetReconstructionHead(_TrackHead):
    """Coordinates of points that were hidden, ``masked``.

    Args:
        out_channels (int): F, coordinates of a frame. Defaults to 28.
        in_channels (int): D. Defaults to 64.
        hidden_channels (int, optional): Width of the hidden layer; None for
            a linear head. Defaults to 256.
        beta (float): Where the loss turns from square to linear, in units
            of the coordinates. Defaults to .1.
        scale (float): Coordinates are multiplied by it before they are
            compared. Defaults to 10.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    def __init__(self,
                 out_channels: int = 28,
                 in_channels: int = 64,
                 hidden_channels: int | None = 256,
                 beta: float = .1,
                 scale: float = 10.,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(in_channels, hidden_channels, out_channels, beta,
                         scale, init_cfg)

    def forward(self, feats: Tensor) -> Tensor:
        """Map tokens (B, W, D) to coordinates (B, W, F)."""
        return self.layers(feats)

    def _trivial(self, target: Tensor, asked: Tensor) -> Tensor:
        """The mean of what is asked of each coordinate is foreseen."""
        count = asked.sum((0, 1)).clamp(min=1)
        return target - (target * asked).sum((0, 1)) / count


@MODELS.register_module()
class LisbetForecastHead(_TrackHead):
    """Where points will have moved after the window, ``forecast``.

    Args:
        horizon (int): H, frames ahead. Defaults to 15.
        out_channels (int): F, coordinates of a frame. Defaults to 28.
        in_channels (int): D. Defaults to 64.
        hidden_channels (int, optional): Width of the hidden layer; None for
            a linear head. Defaults to 256.
        beta (float): Where the loss turns from square to linear, in units
            of the coordinates. Defaults to .02.
        scale (float): Coordinates are multiplied by it before they are
            compared. Defaults to 20: what moves in half a second is small.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    def __init__(self,
                 horizon: int = 15,
                 out_channels: int = 28,
                 in_channels: int = 64,
                 hidden_channels: int | None = 256,
                 beta: float = .02,
                 scale: float = 20.,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(in_channels, hidden_channels, horizon * out_channels,
                         beta, scale, init_cfg)
        self.horizon = horizon

    def forward(self, feats: Tensor) -> Tensor:
        """Map tokens (B, W, D) to displacements (B, H, F).

        They are counted from the last frame of the window, whose token is
        read.
        """
        return self.layers(feats[:, -1]).unflatten(-1, (self.horizon, -1))


@MODELS.register_module()
class LisbetContrastHead(LisbetHead):
    """Which windows show one moment, ``contrast``.

    Of 2B windows i and i + B belong together. Each has to find its partner
    among all others of the batch: in training those of all processes, which
    must have equally many; of predictions those of its own process.

    Args:
        in_channels (int): D. Defaults to 64.
        hidden_channels (int, optional): Width of the hidden layer; None for
            a linear head. Defaults to 256.
        out_channels (int): Width in which windows are compared. Defaults to
            32.
        temperature (float): Of the cosines. Defaults to .1.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    def __init__(self,
                 in_channels: int = 64,
                 hidden_channels: int | None = 256,
                 out_channels: int = 32,
                 temperature: float = .1,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        self.temperature = temperature
        self.layers = make_layers(in_channels, hidden_channels, out_channels)

    def forward(self, feats: Tensor) -> Tensor:
        """Map tokens (2B, W, D) to unit vectors (2B, out_channels)."""
        return F.normalize(self.layers(self.token(feats)), dim=-1)

    def loss(self, feats: Tensor, sample: Any) -> dict[str, Tensor]:
        """See :meth:`LisbetHead.loss`; ``acc``: partners found."""
        vectors = self(feats)
        if dist.is_available() and dist.is_initialized():
            # gradients come back from all processes
            others = torch.cat(all_gather(vectors))
            first = dist.get_rank() * len(vectors)
        else:
            others, first = vectors, 0
        cosines, partner = self._cosines(vectors, others, first)
        return dict(
            loss=F.cross_entropy(cosines / self.temperature, partner),
            acc=(cosines.detach().argmax(-1) == partner).float().mean())

    def predict(self, feats: Tensor,
                sample: Any = None) -> dict[str, Tensor]:
        """``scores``, (B,) shares of the pair that finds its partner.

        ``vectors`` are the first windows' (B, out_channels).
        """
        vectors = self(feats)
        cosines, partner = self._cosines(vectors, vectors)
        found = (cosines.argmax(-1) == partner).float()
        return dict(scores=found.view(2, -1).mean(0),
                    vectors=vectors[:len(vectors) // 2])

    @staticmethod
    def _cosines(vectors: Tensor, others: Tensor,
                 first: int = 0) -> tuple[Tensor, Tensor]:
        """Cosines, none of a window with itself, and places of partners.

        Args:
            vectors (Tensor): (2B, out_channels).
            others (Tensor): (M, out_channels), `vectors` among them.
            first (int): Where these begin. Defaults to 0.

        Returns:
            tuple[Tensor, Tensor]: (2B, M), and (2B,) among the M.
        """
        places = first + torch.arange(len(vectors), device=vectors.device)
        cosines = (vectors @ others.t()).scatter(
            1, places[:, None], -torch.inf)
        return cosines, places.roll(len(vectors) // 2)

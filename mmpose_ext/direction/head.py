"""Heads that locate base, neck and head of an animal."""
from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.base_head import BaseHead
from torch import Tensor, nn

from mmpose_ext.direction.codec import CenteredRegressionLabel
from mmpose_ext.registry import KEYPOINT_CODECS, MODELS

Features = tuple[Tensor, ...]


class DirectionHead(BaseHead):
    """What the heads share: losses, and predictions in pixels.

    Args:
        num_keypoints (int): K.
        loss (dict): Config of the point loss.
        angle_loss (dict, optional): Config of an additional loss on vectors.
            Defaults to None.
        decoder (dict): Config of the codec.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.
    """

    loss_module: nn.Module
    angle_loss: nn.Module | None
    decoder: CenteredRegressionLabel

    def __init__(self,
                 num_keypoints: int,
                 loss: dict[str, Any],
                 angle_loss: dict[str, Any] | None,
                 decoder: dict[str, Any],
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        self.num_keypoints = num_keypoints
        self.loss_module = MODELS.build(loss)
        self.angle_loss = None if angle_loss is None else MODELS.build(
            angle_loss)
        self.decoder = KEYPOINT_CODECS.build(decoder)

    @abstractmethod
    def locate(self, feats: Features) -> tuple[Tensor, Tensor | None]:
        """Locate the points.

        Args:
            feats (tuple[Tensor]): Features of the backbone.

        Returns:
            tuple: Coordinates (B, K, 2) in label space and their standard
            deviation (B, K), None where the head has no idea of it.
        """

    def forward(self, feats: Features) -> Tensor:
        """Coordinates (B, K, 2) in label space."""
        return self.locate(feats)[0]

    def loss(self,
             feats: Features,
             batch_data_samples: list[Any],
             train_cfg: Any = None) -> dict[str, Tensor]:
        """Losses of a batch.

        Each data sample may hold one image's labels or those of a whole
        batch: they are joined along the first axis.
        """
        target, weight = (
            torch.cat([
                getattr(sample.gt_instance_labels, name)
                for sample in batch_data_samples
            ]) for name in ('keypoint_labels', 'keypoint_weights'))
        # Half precision is too coarse for coordinates: 1/2048 of the image.
        with torch.autocast(target.device.type, enabled=False):
            labels, sigma = self.locate(tuple(f.float() for f in feats))
            losses = dict(
                loss_points=self.loss_module(labels, sigma, target, weight))
            if self.angle_loss is not None:
                losses['loss_angle'] = self.angle_loss(labels, target, weight)
        return losses

    def estimate(self, feats: Features) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and their standard deviation (B, K), both in px.

        The deviation is 0 where the head does not estimate one.
        """
        # in full precision, as in `loss`
        with torch.autocast(feats[-1].device.type, enabled=False):
            labels, sigma = self.locate(tuple(f.float() for f in feats))
        points = self.decoder.to_pixels(labels)
        if sigma is None:
            # not zeros_like: traced for ONNX, it keeps this batch's size
            return points, 0. * points[..., 0]
        # label space is half the image's side; images are square
        return points, sigma * (self.decoder.input_size[0] / 2)

    def predict(self,
                feats: Features,
                batch_data_samples: list[Any],
                test_cfg: Any = None) -> list[InstanceData]:
        """One :class:`InstanceData` an image, for MMPose's estimators."""
        points, sigma = self.estimate(feats)
        scores = score_of(sigma)
        return [
            InstanceData(keypoints=k[None], keypoint_scores=s[None])
            for k, s in zip(
                points.detach().cpu().numpy(),
                scores.detach().cpu().numpy(),
                strict=True)
        ]


def score_of(sigma: Tensor) -> Tensor:
    """Confidence in [0, 1] of a standard deviation in px: exp(-sigma / 2)."""
    return torch.exp(-sigma / 2)


@MODELS.register_module()
class DirectionRegressionHead(DirectionHead):
    """Two linear layers from the feature map to coordinates.

    Args:
        in_channels (int): Channels of the feature map.
        in_size (tuple[int, int]): Height and width of the feature map. The
            plain network turns 50x50 images into 3x3.
        hidden (int): Width of the hidden layer. Defaults to 128.
        num_keypoints (int): Defaults to 3.
        dropout (float): Before the last layer. Defaults to 0.
        predict_sigma (bool): Estimate a standard deviation for each point,
            to be trained by ``DirectionLikelihoodLoss``. Defaults to False.
        loss (dict): Defaults to the published mean squared error.
        angle_loss (dict, optional): Defaults to None.
        decoder (dict): Config of the codec.
        init_cfg (dict, optional): Defaults to None.
    """

    def __init__(self,
                 in_channels: int,
                 in_size: tuple[int, int],
                 decoder: dict[str, Any],
                 hidden: int = 128,
                 num_keypoints: int = 3,
                 dropout: float = 0.,
                 predict_sigma: bool = False,
                 loss: dict[str, Any] | None = None,
                 angle_loss: dict[str, Any] | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
        loss = loss or dict(type='mmpose_ext.DirectionPointLoss', kind='mse')
        super().__init__(num_keypoints, loss, angle_loss, decoder, init_cfg)
        self.predict_sigma = predict_sigma
        outputs = num_keypoints * (3 if predict_sigma else 2)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * in_size[0] * in_size[1], hidden),
            nn.ReLU(inplace=True),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Linear(hidden, outputs))

    def locate(self, feats: Features) -> tuple[Tensor, Tensor | None]:
        """See :meth:`DirectionHead.locate`."""
        outputs = self.layers(feats[-1]).unflatten(
            1, (self.num_keypoints, -1))
        if not self.predict_sigma:
            return outputs, None
        # starts at about 0.1 of half the image, 2.5 px of fifty
        return outputs[..., :2], (outputs[..., 2] - 2).exp()


@MODELS.register_module()
class DirectionHeatmapHead(DirectionHead):
    """Centre of mass of one heatmap a point (integral regression).

    The spread of the heatmap is the point's standard deviation.

    Args:
        in_channels (int): Channels of the feature map.
        num_keypoints (int): Defaults to 3.
        loss (dict): Defaults to ``DirectionLikelihoodLoss``, under which the
            spread of the heatmap becomes an honest sigma.
        angle_loss (dict, optional): Defaults to None.
        decoder (dict): Config of the codec.
        init_cfg (dict, optional): Defaults to None.
    """

    def __init__(self,
                 in_channels: int,
                 decoder: dict[str, Any],
                 num_keypoints: int = 3,
                 loss: dict[str, Any] | None = None,
                 angle_loss: dict[str, Any] | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
        loss = loss or dict(type='mmpose_ext.DirectionLikelihoodLoss')
        super().__init__(num_keypoints, loss, angle_loss, decoder, init_cfg)
        self.final_layer = nn.Conv2d(in_channels, num_keypoints, 1)

    def locate(self, feats: Features) -> tuple[Tensor, Tensor | None]:
        """See :meth:`DirectionHead.locate`."""
        logits = self.final_layer(feats[-1])
        height, width = logits.shape[-2:]
        mass = logits.flatten(2).softmax(-1).unflatten(2, (height, width))
        columns, rows = mass.sum(-2), mass.sum(-1)
        x = self._cell_centres(width, 0, columns)
        y = self._cell_centres(height, 1, rows)
        labels = torch.stack([columns @ x, rows @ y], -1)
        spread = (columns @ x.square() + rows @ y.square() -
                  labels.square().sum(-1))
        # per axis; the clamp keeps the root's gradient finite
        return labels, (spread / 2).clamp(min=1e-6).sqrt()

    def _cell_centres(self, count: int, axis: int, like: Tensor) -> Tensor:
        side = self.decoder.input_size[axis]
        cells = torch.arange(count, device=like.device, dtype=like.dtype)
        pixels = (cells + .5) * (side / count) - .5
        return (pixels - side / 2) / (side / 2)

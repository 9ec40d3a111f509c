"""Augmentation of a whole batch on the model's device."""
from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmpose_ext.direction.codec import CenteredRegressionLabel
from mmpose_ext.registry import KEYPOINT_CODECS, MODELS
from mmpose_ext.training import hashed_uniform

NOISE_BANK = 1 << 20
Draws = Iterator[Tensor]  # one uniform number (B,) for each image at a time


@MODELS.register_module()
class BatchDirectionAugment(nn.Module):
    """Any-angle geometry and photometry for a batch, in one warp.

    For ``batch_augments`` of MMPose's ``PoseDataPreprocessor``. All random
    numbers of an image come from its own draw seed
    (``gt_instance_labels.draw_seeds``), so that what an image looks like does
    not depend on batch size, workers or processes.

    The image is filled by repeating its edge: a constant would tell the
    network where the image ends. Points that leave it get weight 0.

    Args:
        codec (dict): Config of the codec of the labels.
        rotation (float): Largest rotation to either side, degrees. Defaults
            to 180.
        flip_prob (float): Defaults to .5.
        scale (tuple[float, float]): Defaults to (.9, 1.1).
        shift (float): Largest shift along each axis, px. Defaults to 4.
        brightness (float): Largest change, share of the grey range. Defaults
            to .1.
        contrast (tuple[float, float]): Factor about the mean. Defaults to
            (.8, 1.2).
        gamma (tuple[float, float]): Defaults to (.8, 1.25).
        noise (float): Largest standard deviation of the pixel noise, grey
            levels of 255. Defaults to 4.
        blur_prob (float): 3x3 binomial blur. Defaults to .1.
        cutout_prob (float): Defaults to .2.
        cutout_size (int): Largest side of the grey square, px. Defaults to
            8.
    """

    codec: CenteredRegressionLabel
    noise_bank: Tensor
    blur_kernel: Tensor

    def __init__(self,
                 codec: dict[str, Any],
                 rotation: float = 180.,
                 flip_prob: float = .5,
                 scale: tuple[float, float] = (.9, 1.1),
                 shift: float = 4.,
                 brightness: float = .1,
                 contrast: tuple[float, float] = (.8, 1.2),
                 gamma: tuple[float, float] = (.8, 1.25),
                 noise: float = 4.,
                 blur_prob: float = .1,
                 cutout_prob: float = .2,
                 cutout_size: int = 8) -> None:
        super().__init__()
        self.codec = KEYPOINT_CODECS.build(codec)
        self.rotation, self.flip_prob, self.scale = rotation, flip_prob, scale
        self.shift, self.brightness, self.contrast = (shift, brightness,
                                                      contrast)
        self.gamma, self.noise, self.blur_prob = gamma, noise, blur_prob
        self.cutout_prob, self.cutout_size = cutout_prob, cutout_size
        generator = torch.Generator().manual_seed(0)
        self.register_buffer(
            'noise_bank',
            torch.randn(NOISE_BANK, generator=generator),
            persistent=False)
        binomial = torch.tensor([1., 2., 1.]) / 4
        self.register_buffer(
            'blur_kernel', (binomial[:, None] * binomial)[None, None],
            persistent=False)

    def forward(self, inputs: Tensor,
                data_samples: list[Any]) -> tuple[Tensor, list[Any]]:
        """Augment a batch.

        Args:
            inputs (Tensor): Images (B, 1, S, S) in [-.5, .5].
            data_samples (list[PoseDataSample]): One sample that holds the
                labels of all B images; they are replaced in place.
        """
        # mixed precision, in which a training calls this, would turn labels
        # by matrices of 8 bits
        with torch.autocast(inputs.device.type, enabled=False):
            return self._augment(inputs, data_samples), data_samples

    def _augment(self, inputs: Tensor, data_samples: list[Any]) -> Tensor:
        labels = data_samples[0].gt_instance_labels
        draws = iter(hashed_uniform(labels.draw_seeds, 16).unbind(1))
        matrix, shift = self._draw_geometry(draws)
        size = inputs.shape[-1]

        points = self.codec.to_pixels(labels.keypoint_labels)
        middle = (size - 1) / 2
        points = torch.einsum('bij,bkj->bki', matrix,
                              points - middle) + shift[:, None] + middle
        labels.keypoint_weights = (
            labels.keypoint_weights * self.codec.is_inside(points))
        labels.keypoint_labels = self.codec.to_labels(points)

        images = self._warp(inputs, matrix, shift)
        images = self._blur(images, draws)
        images = self._change_greys(images, draws)
        return self._cut_out(images, draws)

    def _draw_geometry(self, draws: Draws) -> tuple[Tensor, Tensor]:
        """Matrices (B, 2, 2) about the image's middle and shifts (B, 2)."""
        angle = _between(next(draws), -self.rotation,
                         self.rotation) * math.pi / 180
        mirror = 1. - 2. * (next(draws) < self.flip_prob).float()
        scale = _between(next(draws), *self.scale)
        cos, sin = scale * angle.cos(), scale * angle.sin()
        matrix = torch.stack([cos, -sin * mirror, sin, cos * mirror],
                             -1).unflatten(-1, (2, 2))
        shift = torch.stack([next(draws), next(draws)], -1)
        return matrix, _between(shift, -self.shift, self.shift)

    @staticmethod
    def _warp(images: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """Move pixels as ``p -> matrix (p - middle) + shift + middle``."""
        back = torch.linalg.inv(matrix)
        offset = -back @ shift[..., None] * (2 / (images.shape[-1] - 1))
        # With align_corners, -1 and 1 are the centres of the outer pixels:
        # the grid's origin is the image's middle, as the matrix needs it.
        # As affine_grid, at a tenth of its cost on a CPU.
        line = torch.linspace(-1, 1, images.shape[-1], device=images.device)
        grid = images.new_empty(len(images), len(line), len(line), 2)
        for axis in range(2):
            columns = back[:, axis, 0, None] * line
            rows = back[:, axis, 1, None] * line + offset[:, axis]
            torch.add(
                rows[:, :, None], columns[:, None, :], out=grid[..., axis])
        return F.grid_sample(
            images, grid, padding_mode='border', align_corners=True)

    def _blur(self, images: Tensor, draws: Draws) -> Tensor:
        chosen = torch.nonzero(next(draws) < self.blur_prob).flatten()
        padded = F.pad(images[chosen], (1, 1, 1, 1), mode='replicate')
        return images.index_copy(0, chosen,
                                 F.conv2d(padded, self.blur_kernel))

    def _change_greys(self, images: Tensor, draws: Draws) -> Tensor:
        """Gamma, contrast about the mean, brightness, noise."""
        gamma, contrast, brightness, sigma, start = (
            next(draws).view(-1, 1, 1, 1) for _ in range(5))
        # a power by way of the logarithm, which is vectorised better
        images = (images + .5).clamp_(0, 1).log_().mul_(
            _between(gamma, *self.gamma)).exp_()
        mean = images.mean((1, 2, 3), keepdim=True)
        contrast = _between(contrast, *self.contrast)
        brightness = _between(brightness, -self.brightness, self.brightness)
        # about the mean: (v - mean) * contrast + mean + brightness
        images.mul_(contrast).add_(mean * (1 - contrast) + brightness)
        images.addcmul_(self._noise(images, start), sigma * self.noise / 255)
        return images.clamp_(0, 1).sub_(.5)

    def _noise(self, images: Tensor, start: Tensor) -> Tensor:
        """Standard normal noise: a window of a fixed bank for each image.

        Fresh numbers would have to be drawn per pixel from each image's own
        seed, at ten times the cost.
        """
        length = images[0].numel()
        windows = self.noise_bank.unfold(0, length, 1)
        starts = (start.flatten() * len(windows)).long()
        return windows[starts].view_as(images)

    def _cut_out(self, images: Tensor, draws: Draws) -> Tensor:
        """Cover a square by the image's mean grey."""
        chosen = torch.nonzero(next(draws) < self.cutout_prob).flatten()
        side, x, y = (next(draws)[chosen] for _ in range(3))
        size = images.shape[-1]
        half = _between(side, 1, self.cutout_size) / 2
        line = torch.arange(size, device=images.device)
        inside_x = (line - x[:, None] * size).abs() <= half[:, None]
        inside_y = (line - y[:, None] * size).abs() <= half[:, None]
        square = (inside_y[:, :, None] & inside_x[:, None, :])[:, None]
        cut = images[chosen]
        mean = cut.mean((1, 2, 3), keepdim=True)
        return images.index_copy(0, chosen, torch.where(square, mean, cut))


def _between(unit: Tensor, low: float, high: float) -> Tensor:
    """Stretch numbers in [0, 1) to [low, high)."""
    return low + (high - low) * unit

"""Linear layers whose spectral norm is learnt: sigma-reparametrisation.

A weight W acts as ``gamma / sigma(W) * W``, where sigma is its largest
singular value and gamma a learnt number. Attention whose matrices grow no
further than gamma keeps its entropy (Zhai et al., ICML 2023).
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor, nn
from torch.nn import functional as F

GammaInit = Literal['one', 'spectral']
LinearFactory = Callable[[int, int], nn.Module]


class HandObjectSigmaLinear(nn.Module):
    """A linear layer with its spectral norm as a parameter.

    The singular vector is followed by one power iteration a training step,
    see :func:`follow_spectra`; in evaluation it stays. The forward pass
    itself changes nothing, so that it can be computed twice by activation
    checkpointing. Sigma is computed in float32, under autocast too; the
    factor scales the output, which is cheaper than to scale the weight.

    Args:
        in_features (int): Size of the input.
        out_features (int): Size of the output.
        bias (bool): Whether to add a bias. Defaults to True.
        gamma_init ('one' | 'spectral'): Gamma at the start: 1, or the norm
            of the weight, with which the layer acts as a plain one of this
            weight. Defaults to 'one'.
        weight_std (float, optional): Spread of the weight at the start.
            Defaults to 0.02, that of the paper; None for
            ``in_features ** -.5``, that of the plain layers here. With gamma
            1 it does not matter how large a weight is. With its norm it
            does: of ``dict(gamma_init='spectral', weight_std=None)`` layers
            start as plain ones do, while 0.02 makes narrow ones act weakly.
    """

    vector: Tensor
    # a scale, which does not decay
    norm_parameters = ('gamma', )

    def __init__(self, in_features: int, out_features: int, bias: bool = True,
                 gamma_init: GammaInit = 'one',
                 weight_std: float | None = .02) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.gamma_init = gamma_init
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = (nn.Parameter(torch.zeros(out_features)) if bias else None)
        self.gamma = nn.Parameter(torch.ones(()))
        self.register_buffer('vector', torch.empty(in_features))
        nn.init.trunc_normal_(
            self.weight,
            std=in_features**-.5 if weight_std is None else weight_std)
        self.reset_spectrum()

    @torch.no_grad()
    def reset_spectrum(self) -> None:
        """Find the singular vector anew, and gamma as at the start."""
        weight = self.weight.detach().double().cpu().numpy()
        if min(weight.shape) == 1:
            right = np.linalg.svd(weight, full_matrices=False)[2]
        else:
            start = np.ones(min(weight.shape))
            right = svds(weight, k=1, v0=start, return_singular_vectors='vh',
                         tol=1e-7)[2]
        self.vector.copy_(torch.from_numpy(right[0].copy()))
        self.gamma.fill_(
            1. if self.gamma_init == 'one' else float(self.sigma()))

    @torch.no_grad()
    def follow_spectrum(self) -> None:
        """One power iteration towards the top singular vector."""
        weight = self.weight.float()
        left = F.normalize(weight @ self.vector.float(), dim=0)
        self.vector.copy_(F.normalize(weight.T @ left, dim=0))

    def sigma(self) -> Tensor:
        """Spectral norm of the weight, a scalar in float32.

        The singular vectors count as constants of its gradient.
        """
        with torch.autocast(self.weight.device.type, enabled=False):
            weight = self.weight.float()
            # an average of vectors (EMA) is a little short
            right = F.normalize(self.vector.float(), dim=0)
            image = weight @ right
            left = F.normalize(image.detach(), dim=0)
            return left @ image

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        factor = self.gamma.float() / self.sigma()
        output = F.linear(inputs, self.weight) * factor.to(inputs.dtype)
        # a bias in float32 would make the output so, under autocast
        return (output if self.bias is None
                else output + self.bias.to(output.dtype))

    def fold(self) -> nn.Linear:
        """A plain layer that computes the same."""
        linear = nn.Linear(self.in_features, self.out_features,
                           self.bias is not None)
        linear.to(self.weight.device, self.weight.dtype)
        linear.train(self.training)
        with torch.no_grad():
            linear.weight.copy_(self.weight * (self.gamma / self.sigma()))
            if self.bias is not None:
                linear.bias.copy_(self.bias)
        return linear

    def extra_repr(self) -> str:
        """Sizes, as ``nn.Linear`` shows them."""
        return (f'in_features={self.in_features}, '
                f'out_features={self.out_features}, '
                f'bias={self.bias is not None}, '
                f'gamma={float(self.gamma.detach()):.3g}')


def linear_factory(sigma_reparam: dict[str, Any] | None) -> LinearFactory:
    """What makes the linear layers of attention and feed-forward parts.

    Args:
        sigma_reparam (dict, optional): Options of
            :class:`HandObjectSigmaLinear`; None for plain layers.
    """
    if sigma_reparam is None:
        return _plain_linear
    settings = dict(sigma_reparam)

    def make(in_features: int, out_features: int) -> nn.Module:
        return HandObjectSigmaLinear(in_features, out_features, **settings)

    return make


def follow_spectra(module: nn.Module) -> None:
    """One power iteration in every layer of a module; once a step."""
    for part in module.modules():
        if isinstance(part, HandObjectSigmaLinear):
            part.follow_spectrum()


def fold_sigma(module: nn.Module) -> nn.Module:
    """Replace the layers of a module by plain ones, in place.

    Returns:
        nn.Module: The module, or a plain layer if it is one itself.
    """
    if isinstance(module, HandObjectSigmaLinear):
        return module.fold()
    for name, child in module.named_children():
        setattr(module, name, fold_sigma(child))
    return module


def _plain_linear(in_features: int, out_features: int) -> nn.Module:
    linear = nn.Linear(in_features, out_features)
    nn.init.trunc_normal_(linear.weight, std=in_features**-.5)
    nn.init.zeros_(linear.bias)
    return linear

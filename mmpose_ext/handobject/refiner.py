"""Refinement: look again at the pixels where the joints are thought to be."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.handobject.attention import HandObjectLayer, HandObjectMlp
from mmpose_ext.handobject.branches import make_hand
from mmpose_ext.handobject.codec import NEAR_M, rays
from mmpose_ext.handobject.hand import JOINT_NAMES, WRIST, root_relative
from mmpose_ext.handobject.records import HandPose
from mmpose_ext.handobject.sigma_linear import LinearFactory

_GEOMETRY = 7  # ray 3, depth 1, place relative to the wrist 3


class JointRefiner(nn.Module):
    """Moves the joints by what the map shows at their pixels.

    Each step samples the map where the joints project to, mixes the joints
    with each other and with the object, and moves pixels and depths within
    bounds. Steps begin at what the step before said, as a constant. A
    joint outside the crop, or too near, gets a learnt token, not the border.

    Args:
        embed_dims (int): Channels of queries and map.
        size (int): Side of the crops, px.
        num_heads (int): Heads of attention.
        linear (LinearFactory): Makes the attention's layers.
        steps (int): How often. Defaults to 2; 0 does nothing.
        shared (bool): Whether the steps have the same weights. Defaults to
            True.
        max_shift (float): Bound of a step, as a share of the crop's side.
            Defaults to 0.125.
        max_depth (float): Bound of a step along the ray, m. Defaults to 0.1.
    """

    def __init__(self, embed_dims: int, size: int, num_heads: int,
                 linear: LinearFactory, steps: int = 2, shared: bool = True,
                 max_shift: float = .125, max_depth: float = .1) -> None:
        super().__init__()
        self.size, self.steps = size, steps
        self.max_shift, self.max_depth = max_shift, max_depth
        count = min(steps, 1) if shared else steps
        self.layers = nn.ModuleList(
            _RefinementStep(embed_dims, num_heads, linear)
            for _ in range(count))
        if steps:
            self.step_embedding = nn.Parameter(
                torch.zeros(steps, 1, embed_dims))

    def forward(self, hand: HandPose, joints: Tensor, scene: Tensor,
                content: Tensor, camera: Tensor) -> list[HandPose]:
        """Refine.

        Args:
            hand (HandPose): The coarse hand.
            joints (Tensor): (B, K, C) the joints' queries.
            scene (Tensor): (B, 1, C) the object held, or the hand as a whole.
            content (Tensor): (B, C, h, w) the map.
            camera (Tensor): (B, 3, 3) intrinsics of the crops.

        Returns:
            list[HandPose]: One a step.
        """
        hands = []
        for number in range(self.steps):
            layer = self.layers[min(number, len(self.layers) - 1)]
            pixels, offsets = hand.pixels.detach(), hand.depth_offsets.detach()
            points = hand.joints.detach()
            moves = layer(joints + self.step_embedding[number], scene,
                          content, pixels, points, camera, self.size)
            shift = torch.tanh(moves[..., :2]) * self.max_shift * self.size
            depth = torch.tanh(moves[..., 2]) * self.max_depth
            # the wrist's depth is rho's alone
            depth = depth - depth[:, WRIST:WRIST + 1]
            hand = make_hand(pixels + shift, offsets + depth, hand.root_rho,
                             camera, self.size)
            hands.append(hand)
        return hands


class _RefinementStep(nn.Module):

    def __init__(self, embed_dims: int, num_heads: int,
                 linear: LinearFactory) -> None:
        super().__init__()
        self.look = nn.Linear(embed_dims + _GEOMETRY, embed_dims)
        self.outside = nn.Parameter(torch.zeros(embed_dims))
        self.joint_embedding = nn.Parameter(
            torch.zeros(len(JOINT_NAMES), embed_dims))
        nn.init.normal_(self.joint_embedding, std=.02)
        self.layer = HandObjectLayer(embed_dims, num_heads, 2 * embed_dims,
                                     linear, with_memory=False)
        self.norm = nn.LayerNorm(embed_dims)
        self.move = HandObjectMlp(embed_dims, 3, embed_dims, std=.001)

    def forward(self, joints: Tensor, scene: Tensor, content: Tensor,
                pixels: Tensor, points: Tensor, camera: Tensor,
                size: int) -> Tensor:
        """Unbounded moves, (B, K, 3) in float32."""
        seen = sample_map(content, pixels, points[..., 2], self.outside, size)
        geometry = torch.cat([rays(pixels, camera), points[..., 2:],
                              root_relative(points) / .1], -1)
        looked = self.look(torch.cat([seen, geometry.to(seen.dtype)], -1))
        tokens = torch.cat([joints + looked + self.joint_embedding, scene], 1)
        mixed = self.norm(self.layer(tokens))[:, :joints.shape[1]]
        return self.move(mixed).float()


def sample_map(content: Tensor, pixels: Tensor, depth: Tensor,
               outside: Tensor, size: int) -> Tensor:
    """What a map shows at pixels of the crop.

    Args:
        content (Tensor): (B, C, h, w) of the whole crop.
        pixels (Tensor): (B, N, 2) px of the crop, pixel centres at integers.
        depth (Tensor): (B, N) m.
        outside (Tensor): (C,) for what lies outside or too near.
        size (int): Side of the crop, px.

    Returns:
        Tensor: (B, N, C), bilinear.
    """
    grid = 2 * (pixels + .5) / size - 1
    inside = ((grid.abs() <= 1).all(-1) & (depth > NEAR_M))[..., None]
    sampled = F.grid_sample(
        content.float(), grid[:, :, None].float(), align_corners=False,
        padding_mode='border')[..., 0].transpose(1, 2).to(content.dtype)
    return torch.where(inside, sampled, outside.to(content.dtype))

"""What is read from the queries: hand, objects, contact, parametric hand."""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.geometry.rotations import rotation_from_6d, rotation_to_ray
from mmpose_ext.handobject.attention import HandObjectAttention, HandObjectMlp
from mmpose_ext.handobject.codec import (
    back_project,
    decode_depth,
    decode_joints,
    rays,
)
from mmpose_ext.handobject.decoder import PatchTokens, patch_centres
from mmpose_ext.handobject.hand import WRIST, root_relative
from mmpose_ext.handobject.mano import HandObjectManoLayer
from mmpose_ext.handobject.records import HandPose, ObjectPose
from mmpose_ext.handobject.sigma_linear import LinearFactory

TYPICAL_RHO = -1.3  # log of 27 cm, what a crop of a hand is wide
_DEPTH_SCALE_M = .1


class PointLocator(nn.Module):
    """Finds the pixel of each query: where the patches answer it most.

    The expectation over a map of likeness, refined between the patches, plus
    an offset, with which a point can lie outside the crop. What the patches
    show there is added to the query: maps are learnt soon, and with them
    what to look at.

    Args:
        embed_dims (int): Channels.
        size (int): Side of the crops, px.
        upsample (int): By how much the map is finer than the patches.
    """

    def __init__(self, embed_dims: int, size: int, upsample: int) -> None:
        super().__init__()
        self.size, self.upsample = size, upsample
        self.query = nn.Linear(embed_dims, embed_dims)
        self.key = nn.Conv2d(embed_dims, embed_dims, 1)
        self.offset = HandObjectMlp(embed_dims, 2, embed_dims, std=.001)
        self.look = nn.Linear(embed_dims, embed_dims)

    def forward(self, queries: Tensor, tokens: PatchTokens
                ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the queries.

        Args:
            queries (Tensor): (B, N, C).
            tokens (PatchTokens): The patches.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Pixels (B, N, 2) and the logits of
            the maps (B, N, H, W), in float32, and the queries (B, N, C) with
            what is seen there.
        """
        keys = self.key(tokens.content)
        likeness = torch.einsum('bnc,bchw->bnhw', self.query(queries), keys)
        with torch.autocast(likeness.device.type, enabled=False):
            likeness = likeness.float() * keys.shape[1]**-.5
            fine = F.interpolate(likeness, scale_factor=self.upsample,
                                 mode='bilinear', align_corners=False)
            height, width = fine.shape[2:]
            centres = patch_centres(height, width, self.size, fine.device)
            mean = fine.flatten(2).softmax(-1) @ centres
            pixels = mean + self.offset(queries).float() * self.size
        where = likeness.flatten(2).softmax(-1).to(queries.dtype)
        seen = where @ tokens.content.flatten(2).transpose(1, 2)
        return pixels, fine, queries + self.look(seen)


class HandBranch(nn.Module):
    """Pixels and depths of the joints.

    Args:
        embed_dims (int): Channels.
        size (int): Side of the crops, px.
        upsample (int): See :class:`PointLocator`.
    """

    def __init__(self, embed_dims: int, size: int, upsample: int) -> None:
        super().__init__()
        self.size = size
        self.locator = PointLocator(embed_dims, size, upsample)
        # depths count from the wrist's: a bias would cancel
        self.depth = HandObjectMlp(embed_dims, 1, embed_dims, bias=None)
        self.root = HandObjectMlp(embed_dims, 1, embed_dims, bias=TYPICAL_RHO)
        self.spread = HandObjectMlp(embed_dims, 1, embed_dims, bias=-3.)

    def forward(self, joints: Tensor, whole: Tensor, tokens: PatchTokens,
                camera: Tensor
                ) -> tuple[HandPose, Tensor, Tensor, Tensor]:
        """Read the hand.

        Args:
            joints (Tensor): (B, K, C) queries.
            whole (Tensor): (B, C) query of the hand.
            tokens (PatchTokens): The patches.
            camera (Tensor): (B, 3, 3) intrinsics of the crops.

        Returns:
            tuple[HandPose, Tensor, Tensor, Tensor]: The coarse hand, the
            maps of its joints (B, K, H, W), log spreads (B, K), and the
            joints' queries with what is seen at them.
        """
        pixels, maps, joints = self.locator(joints, tokens)
        depth = self.depth(joints)[..., 0].float() * _DEPTH_SCALE_M
        depth = depth - depth[:, WRIST:WRIST + 1]  # a bias cancels
        rho = self.root(whole)[:, 0].float()
        spread = self.spread(joints)[..., 0].float()
        hand = make_hand(pixels, depth, rho, camera, self.size)
        return hand, maps, spread, joints


class ObjectBranch(nn.Module):
    """Pose of each object of the set, and whether it is there and held.

    Args:
        embed_dims (int): Channels.
        size (int): Side of the crops, px.
        upsample (int): See :class:`PointLocator`.
        rotation_frame ('allocentric' | 'camera'): See the head.

    Raises:
        ValueError: If there is no such frame.
    """

    def __init__(self, embed_dims: int, size: int, upsample: int,
                 rotation_frame: str) -> None:
        super().__init__()
        if rotation_frame not in ('allocentric', 'camera'):
            raise ValueError('rotation_frame: expected allocentric or camera, '
                             f'found {rotation_frame!r}')
        self.size, self.rotation_frame = size, rotation_frame
        self.locator = PointLocator(embed_dims, size, upsample)
        self.depth = HandObjectMlp(embed_dims, 1, embed_dims, bias=TYPICAL_RHO)
        self.rotation = HandObjectMlp(embed_dims, 6, embed_dims)
        with torch.no_grad():  # no rotation, of length 1
            self.rotation.last.bias[[1, 5]] = 1.
        self.presence = HandObjectMlp(embed_dims, 2, embed_dims, bias=-1.)

    def forward(self, queries: Tensor, tokens: PatchTokens,
                camera: Tensor) -> tuple[ObjectPose, Tensor]:
        """Read the objects.

        Args:
            queries (Tensor): (B, O, C).
            tokens (PatchTokens): The patches.
            camera (Tensor): (B, 3, 3) intrinsics of the crops.

        Returns:
            tuple[ObjectPose, Tensor]: The objects, and their queries with
            what is seen at them.
        """
        pixels, maps, queries = self.locator(queries, tokens)
        rho = self.depth(queries)[..., 0].float()
        # Two axes are predicted, the third follows. A mirrored picture shows
        # y and z of a mirrored mesh where the mesh has them, and x turned
        # round, so y and z are those that can be seen without knowing.
        rotations = rotation_from_6d(self.rotation(queries))[..., [2, 0, 1]]
        if self.rotation_frame == 'allocentric':
            with torch.autocast(rotations.device.type, enabled=False):
                # the ray counts as known: a wrong pixel is the pixels' loss
                seen = rays(pixels.detach(), camera)
                rotations = rotation_to_ray(seen) @ rotations
        depth = decode_depth(rho, camera, self.size)
        presence, grasped = self.presence(queries).float().unbind(-1)
        translations = back_project(pixels, depth, camera)
        return ObjectPose(pixels, rho, rotations, translations, presence,
                          grasped, maps), queries


class ContactBranch(nn.Module):
    """Whether each joint touches the object held.

    Args:
        embed_dims (int): Channels.
        num_heads (int): Heads of attention.
        linear (LinearFactory): Makes the attention's layers.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 linear: LinearFactory) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims)
        self.attention = HandObjectAttention(embed_dims, num_heads, linear)
        self.logits = HandObjectMlp(embed_dims, 1, embed_dims)

    def forward(self, joints: Tensor, objects: Tensor) -> Tensor:
        """Logits (B, K) of queries of joints (B, K, C), objects (B, O, C)."""
        mixed = self.attention(self.norm(joints), objects, objects)
        return self.logits(joints + mixed)[..., 0].float()


class ManoBranch(nn.Module):
    """A parametric right hand, whose weights the user has.

    Args:
        embed_dims (int): Channels.
        path (str): MANO's file of the right hand, to which the views are
            mirrored.
    """

    def __init__(self, embed_dims: int, path: str) -> None:
        super().__init__()
        self.layer = HandObjectManoLayer(path, 'right')
        self.pose = HandObjectMlp(embed_dims, 16 * 6, embed_dims)
        self.shape = HandObjectMlp(embed_dims, 10, embed_dims)
        with torch.no_grad():  # no rotation
            self.pose.last.bias.view(16, 6)[:, [0, 4]] = 1.

    def forward(self, whole: Tensor) -> tuple[Tensor, Tensor]:
        """Joints (B, K, 3) m behind the wrist and shape (B, 10)."""
        rotations = rotation_from_6d(
            self.pose(whole).unflatten(-1, (16, 6)))
        shape = self.shape(whole).float()
        _, joints = self.layer.from_rotations(rotations, shape,
                                              shape.new_zeros(len(shape), 3))
        return root_relative(joints), shape


def make_hand(pixels: Tensor, depth_offsets: Tensor, root_rho: Tensor,
              camera: Tensor, size: int) -> HandPose:
    """A hand with its joints in space."""
    return HandPose(pixels, depth_offsets, root_rho, decode_joints(
        pixels, depth_offsets, root_rho, camera, size))

"""A graph network that moves the keypoints of a pose together."""
from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.body_plan import BodyPlan
from mmpose_ext.volumetric.expectation import place_in_grid
from mmpose_ext.volumetric.feature_sampling import sample_features
from mmpose_ext.volumetric.graph_convolutions import (
    GraphBlock,
    ResidualGraphBlock,
    SemanticGraphConv,
    edges_of,
)
from mmpose_ext.volumetric.skeletons import load_skeleton

Features = tuple[Tensor, ...]


@MODELS.register_module()
class DanncePoseGraph(nn.Module):
    """Shifts the expected positions by what the skeleton's neighbours know.

    A node is a keypoint. It begins with the decoder's features at its
    expected position and with that position itself, in voxels from the
    grid's middle. Graph convolutions along the bones make a shift of it.

    With `size='compressed'` of the backbone, rat23 and the defaults it has
    262,955 parameters, whichever norm; DANNCE with it 5,878,110.

    Differs from the original: the last layer begins at 0, so that a model
    that starts from DANNCE's weights starts with DANNCE's poses. The layer
    norm, which does not depend on the rest of the batch, is the default.
    Positions are in the axes of the grid, as the features are, also where it
    is turned.

    Args:
        in_channels (Sequence[int]): Channels of the features, coarse to fine;
            of the finest ones alone, where the backbone has more.
        num_keypoints (int): K.
        skeleton (str): Whose links are the graph: a built-in skeleton or a
            file, see :func:`~mmpose_ext.volumetric.skeletons.load_skeleton`.
        hidden (int): Channels of the graph. Defaults to 128.
        layers (int): Residual blocks. Defaults to 3.
        levels (Sequence[int], optional): Which features are looked at, by
            their place in `in_channels`; () is none of them, the pose alone.
            Defaults to None: all.
        fuse_channels (int): Channels to which those of all levels are
            brought first. Defaults to 128.
        dropout (float): Probability. Defaults to 0.2.
        norm ('layer' | 'batch' | 'none'): See
            :class:`~mmpose_ext.volumetric.graph_convolutions.GraphBlock`.
            Defaults to 'layer'.
        residual (bool): Whether the result is added to the expected
            position. If not, it takes its place. Defaults to True.
        between_animals (bool): Whether the animals of a scene are one graph,
            with links between their equal keypoints; of any number, also
            where some are not found. Defaults to False: each is by itself.

    Raises:
        DataError: If the skeleton is unknown or has another number of
            keypoints, or an option is none.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 num_keypoints: int,
                 skeleton: str,
                 hidden: int = 128,
                 layers: int = 3,
                 levels: Sequence[int] | None = None,
                 fuse_channels: int = 128,
                 dropout: float = .2,
                 norm: str = 'layer',
                 residual: bool = True,
                 between_animals: bool = False) -> None:
        super().__init__()
        self.plan = _load_plan(skeleton, num_keypoints)
        self.num_levels = len(in_channels)
        self.levels = tuple(
            range(self.num_levels) if levels is None else levels)
        if any(not 0 <= level < self.num_levels for level in self.levels):
            raise DataError(
                'config', 'model.head.refiner.levels',
                f'numbers from 0 to {self.num_levels - 1}, or none',
                str(self.levels), 'one for each of head.in_channels')
        if not 0 <= dropout < 1:
            raise DataError('config', 'model.head.refiner.dropout',
                            'a probability below 1', str(dropout))
        self.residual, self.between_animals = residual, between_animals
        edges = edges_of(self.plan.links, num_keypoints)
        width = 3
        self.fuse: nn.Linear | None = None
        if self.levels:
            self.fuse = nn.Linear(
                sum(in_channels[level] for level in self.levels),
                fuse_channels)
            width += fuse_channels
        self.first = GraphBlock(width, hidden, edges, norm, dropout,
                                between_animals)
        self.blocks = nn.ModuleList(
            ResidualGraphBlock(hidden, edges, norm=norm, dropout=dropout,
                               between=between_animals)
            for _ in range(layers))
        self.last = SemanticGraphConv(hidden, 3, edges, between_animals)
        if residual:
            for value in (self.last.own, self.last.neighbour,
                          self.last.bias):
                nn.init.zeros_(value)

    def prepare(self, plan: BodyPlan) -> None:
        """Check that a data set has the keypoints of the graph.

        Args:
            plan (BodyPlan): Of the data set.

        Raises:
            DataError: If these are others, or in another order.
        """
        if plan.names == self.plan.names:
            return
        raise DataError(
            'config', 'model.head.refiner.skeleton',
            f'the keypoints of the data set, {", ".join(plan.names)}',
            f'{", ".join(self.plan.names)}, of {self.plan.source}',
            'name the skeleton of the data set')

    def forward(self,
                feats: Features,
                mean: Tensor,
                offsets: Tensor,
                animals: Tensor | None = None,
                centres: Tensor | None = None,
                axes: Tensor | None = None) -> Tensor:
        """Shift keypoints.

        Args:
            feats (tuple[Tensor]): Features, coarse to fine, each
                (M, C, m, m, m) over the same cube.
            mean (Tensor): (M, K, 3) expected positions in the grid's axes,
                mm.
            offsets (Tensor): (n, ), voxel centres along every axis, mm.
            animals (Tensor, optional): (M, ) integers, equal for the volumes
                of one scene. Defaults to None: each is by itself.
            centres (Tensor, optional): (M, 3) middle of the grids, world mm,
                by which the animals of a scene know where the others are.
                Defaults to None: they do not.
            axes (Tensor, optional): (M, 3, 3), the grids' axes as columns,
                equal within a scene; with `centres`. Defaults to None.

        Returns:
            Tensor: (M, K, 3) shifts in the grid's axes, voxels.
        """
        voxel = offsets[1] - offsets[0]
        scenes = None
        pose = own = mean / voxel
        if self.between_animals and animals is not None:
            same = animals[:, None] == animals
            scenes = same & ~torch.eye(
                len(same), dtype=torch.bool, device=same.device)
            if centres is not None and axes is not None:
                pose = own + _places_in_scene(same, centres, axes) / voxel
        nodes = [pose]
        if self.fuse is not None:
            nodes.insert(0, self.fuse(self._sample(feats, mean, offsets)))
        x = self.first(torch.cat(nodes, -1), scenes)
        for block in self.blocks:
            x = block(x, scenes)
        found = cast(Tensor, self.last(x, scenes))
        return found if self.residual else found - own

    def _sample(self, feats: Features, mean: Tensor,
                offsets: Tensor) -> Tensor:
        """Features (M, K, C) of the levels that are looked at."""
        return torch.cat([
            sample_features(feats[level - self.num_levels], mean, offsets)
            for level in self.levels], -1)


def _places_in_scene(same: Tensor, centres: Tensor, axes: Tensor) -> Tensor:
    """Middles of grids (M, 1, 3) from the middle of their scene, mm.

    In the grid's own axes and length, as keypoints are.

    Args:
        same (Tensor): (M, M) bool, whether two grids are of one scene.
        centres (Tensor): (M, 3) world mm.
        axes (Tensor): (M, 3, 3), columns.
    """
    share = same.to(centres.dtype)
    middle = share @ centres / share.sum(-1, keepdim=True)
    return place_in_grid(centres.unsqueeze(1), middle, axes)


def _load_plan(skeleton: str, num_keypoints: int) -> BodyPlan:
    try:
        plan = BodyPlan.from_metainfo(load_skeleton(skeleton))
    except DataError:  # of a file; it says enough
        raise
    except ValueError as error:
        raise DataError('config', 'model.head.refiner.skeleton',
                        'a known skeleton or a file', str(error)) from error
    if len(plan.names) != num_keypoints:
        raise DataError(
            'config', 'model.head.refiner.skeleton',
            f'{num_keypoints} keypoints, as model.head.num_keypoints says',
            f'{len(plan.names)} of {plan.source}',
            'name the skeleton of the data set')
    return plan

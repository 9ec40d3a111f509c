"""``tools/export_onnx.py`` for volumes, and for pictures with a middle."""
from __future__ import annotations

import argparse
import json
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.geometry.voxels import turned_axes
from mmpose_ext.onnx_files import (
    ExportGraph,
    add_export_options,
    channel_normalisation,
    run_export,
)
from mmpose_ext.storage import DataError
from mmpose_ext.training import keypoint_names
from mmpose_ext.volumetric.com_network import ComUNet
from mmpose_ext.volumetric.estimator import DannceEstimator
from mmpose_ext.volumetric.inference import load_model

INPUTS = ('volumes', 'centres', 'axes')
SCENES = 'scenes'  # where the animals of a scene are one graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_export_options(parser, 'volumes or pictures', any_batch=False)


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    return run_export(config, arguments, build_graph)


def build_graph(config: Config,
                arguments: argparse.Namespace) -> ExportGraph:
    """What the command exports."""
    model: Any = load_model(config, arguments.checkpoint)
    if isinstance(model, DannceEstimator):
        return VolumeGraph(model)
    if isinstance(getattr(model, 'backbone', None), ComUNet):
        return ComGraph(model)
    raise DataError(
        config.filename, 'model', 'a mmpose_ext.DannceEstimator, or an '
        'estimator with a mmpose_ext.ComUNet', type(model).__name__)


class VolumeGraph(ExportGraph):
    """What is exported of DANNCE: volumes to points in the world.

    The inputs are ``volumes`` (B, V * C, n, n, n) float32 in [-1, 1], axes
    [y, x, z], channels view by view, ``centres`` (B, 3) world mm and ``axes``
    (B, 3, 3), the grid's axes as columns; the outputs ``keypoints``
    (B, K, 3) world mm, ``scores`` (B, K) and ``spread`` (B, K) mm. A model
    that refines the animals of a scene together has one more input,
    ``scenes`` (B, ) int64, equal for these.

    Args:
        model (DannceEstimator): Trained, on the CPU.

    Attributes:
        shape: Of one volume, (V * C, n, n, n).
    """

    outputs = ('keypoints', 'scores', 'spread')
    # mm for keypoints and spread; scores lie in [0, 1]
    limits = MappingProxyType(dict(keypoints=1e-2, scores=1e-4, spread=1e-2))
    traced = False

    def __init__(self, model: DannceEstimator) -> None:
        super().__init__()
        backbone: Any = model.backbone
        preprocessor: Any = model.data_preprocessor
        self.model = model.eval()
        self.grid = preprocessor.grid
        self.register_buffer('offsets', torch.from_numpy(
            np.asarray(self.grid.offsets, np.float32)), persistent=False)
        channels = backbone.num_views * backbone.view_channels
        self.shape = (channels, *[int(self.grid.nvox)] * 3)
        refiner = getattr(model.head, 'refiner', None)
        self.inputs: tuple[str, ...] = INPUTS
        if getattr(refiner, 'between_animals', False):
            self.inputs += (SCENES, )

    def forward(self, volumes: Tensor, centres: Tensor, axes: Tensor,
                scenes: Tensor | None = None
                ) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs in the order of ``outputs``."""
        head: Any = self.model.head
        inputs = dict(volumes=volumes, centres=centres, axes=axes,
                      offsets=self.offsets)
        if scenes is not None:
            inputs.update(samples=scenes, copies=torch.zeros_like(scenes))
        feats = self.model.extract_feat(inputs)
        found = head.estimate(feats, head(feats), inputs, as_graph=True)
        return found.points, found.scores, found.spread

    def example(self, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Volumes of noise, each turned another way."""
        generator = torch.Generator().manual_seed(seed)
        # coarse noise: what differs from voxel to voxel, convolutions average
        side = self.shape[-1]
        small = torch.rand((batch, self.shape[0], *[max(side // 8, 1)] * 3),
                           generator=generator)
        volumes = nn.functional.interpolate(2 * small - 1, size=self.shape[1:])
        axes = np.stack([turned_axes(.7 * number + .3)
                         for number in range(batch)])
        # the first two animals are of one scene
        scenes = torch.arange(batch).sub(1).clamp(min=0)
        return (volumes,
                100 * torch.randn((batch, 3), generator=generator),
                torch.from_numpy(axes).float(),
                scenes)[:len(self.inputs)]

    def metadata(self) -> dict[str, str]:
        """What a program has to know that uses the file alone."""
        estimator: Any = self.model
        preprocessor = estimator.data_preprocessor
        found = dict(
            keypoint_names=json.dumps(
                keypoint_names(getattr(estimator, 'dataset_meta', None))),
            grid=json.dumps(dict(vmin=float(self.grid.vmin),
                                 vmax=float(self.grid.vmax),
                                 nvox=int(self.grid.nvox))),
            views=str(estimator.backbone.num_views),
            volumes='float32, level / 127.5 - 1, axes y, x, z; view by view, '
            + ('grey' if preprocessor.mono else 'red, green, blue'),
            sampling=json.dumps({
                name: getattr(preprocessor, name)
                for name in ('interpolation', 'padding', 'peer_compat')}),
            centres='middle of the volume, world mm',
            axes="the grid's x, y, z in the world as columns",
            keypoints='x, y, z world mm',
            spread='mm')
        if SCENES in self.inputs:
            found[SCENES] = (
                'a number for each volume, equal for animals that were '
                'filmed together; their axes are equal, too')
        return found


class ComGraph(ExportGraph):
    """What is exported of COM: pictures to maps of where the middles are.

    The input is ``image`` (B, 3, H, W) float32, RGB, less ``mean`` and
    divided by ``std``; the output is ``heatmap`` (B, I, H, W), a map an
    animal, or one for all, about 1 at its middle.

    Args:
        model (nn.Module): An estimator with a :class:`ComUNet`, trained, on
            the CPU.
    """

    inputs = ('image', )
    outputs = ('heatmap', )
    traced = False

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model.eval()

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Outputs in the order of ``outputs``."""
        return (self.model(image, None, mode='tensor'), )

    def example(self, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Pictures of noise."""
        width, height = map(int, self.model.head.decoder.input_size)
        return (torch.randn(
            (batch, 3, height, width),
            generator=torch.Generator().manual_seed(seed)), )

    def metadata(self) -> dict[str, str]:
        """What a program has to know that uses the file alone."""
        codec = self.model.head.decoder
        mean, std = channel_normalisation(self.model)
        dataset = self.model.cfg.test_dataloader.dataset
        values = dict(
            input_size=tuple(map(int, codec.input_size)),
            heatmap_size=tuple(map(int, codec.heatmap_size)), mean=mean,
            std=std, factor=dataset.get('factor', 1),
            crop=dataset.get('crop'))
        return dict(
            {name: json.dumps(value) for name, value in values.items()},
            image='float32, RGB, (level - mean) / std; a frame, cut to crop '
            'and reduced by factor',
            heatmap='about 1 at the middle of an animal; from its first to '
            'its last pixel it spans input_size')

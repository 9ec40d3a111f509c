"""``tools/export_onnx.py`` for volumes."""
from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.geometry.voxels import turned_axes
from mmpose_ext.onnx_files import (
    add_export_options,
    check_export_options,
    open_session,
    packages_are_there,
    require_parity,
    save_checked,
)
from mmpose_ext.storage import DataError, atomic_file
from mmpose_ext.training import keypoint_names
from mmpose_ext.volumetric.estimator import DannceEstimator
from mmpose_ext.volumetric.inference import load_model

INPUTS = ('volumes', 'centres', 'axes')
SCENES = 'scenes'  # where the animals of a scene are one graph
OUTPUTS = ('keypoints', 'scores', 'spread')
# mm for keypoints and spread; scores lie in [0, 1]
TOLERANCE = dict(keypoints=1e-2, scores=1e-4, spread=1e-2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_export_options(parser, 'volumes')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    if not packages_are_there():
        return 1
    out: Path = arguments.out
    check_export_options(arguments)
    model = load_model(config, arguments.checkpoint)
    if not isinstance(model, DannceEstimator):
        raise DataError(config.filename, 'model.type',
                        'mmpose_ext.DannceEstimator', type(model).__name__)
    graph = VolumeGraph(model)
    with atomic_file(out) as temporary:
        export(graph, temporary, arguments.batch, arguments.opset)
        if arguments.check:
            found = compare(graph, temporary, arguments.batch)
            text = require_parity(out, found, TOLERANCE)
            print(f'largest differences from torch: {text}')
    print(f'written: {out}')
    return 0


class VolumeGraph(nn.Module):
    """What is exported: volumes to points in the world.

    Args:
        model (DannceEstimator): Trained, on the CPU.

    Attributes:
        shape: Of one volume, (V * C, n, n, n).
        inputs: Names of the inputs.
    """

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
        """Outputs in the order of ``OUTPUTS``."""
        head: Any = self.model.head
        inputs = dict(volumes=volumes, centres=centres, axes=axes,
                      offsets=self.offsets)
        if scenes is not None:
            inputs.update(samples=scenes, copies=torch.zeros_like(scenes))
        feats = self.model.extract_feat(inputs)
        found = head.estimate(feats, head(feats), inputs, as_graph=True)
        return found.points, found.scores, found.spread


def export(graph: VolumeGraph,
           path: Path,
           batch: int = 1,
           opset: int = 18) -> None:
    """Export with metadata that lets a program use the file alone.

    The inputs are ``volumes`` (B, V * C, n, n, n) float32 in [-1, 1], axes
    [y, x, z], channels view by view, ``centres`` (B, 3) world mm and ``axes``
    (B, 3, 3), the grid's axes as columns; the outputs ``keypoints``
    (B, K, 3) world mm, ``scores`` (B, K) and ``spread`` (B, K) mm. A model
    that refines the animals of a scene together has one more input,
    ``scenes`` (B, ) int64, equal for these.

    Args:
        graph (VolumeGraph): What to export.
        path (Path): File to write.
        batch (int): B, which is fixed. Defaults to 1.
        opset (int): ONNX operator set, at least 18. Defaults to 18.
    """
    import onnx
    with warnings.catch_warnings(), torch.no_grad():
        # of torch about its own parts
        warnings.simplefilter('ignore')
        # not the older exporter: to it, sizes are no numbers
        torch.onnx.export(
            graph.eval(), example_of(graph, batch), str(path),
            input_names=list(graph.inputs),
            output_names=list(OUTPUTS),
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False)
    save_checked(onnx.load(str(path)), path, _metadata(graph))


def example_of(graph: VolumeGraph, batch: int = 1) -> tuple[Tensor, ...]:
    """Inputs of the graph: volumes of noise, each turned another way.

    Args:
        graph (VolumeGraph): What is exported.
        batch (int): B. Defaults to 1.
    """
    generator = torch.Generator().manual_seed(0)
    # coarse noise: what differs from voxel to voxel, convolutions average
    side = graph.shape[-1]
    small = torch.rand((batch, graph.shape[0], *[max(side // 8, 1)] * 3),
                       generator=generator)
    volumes = nn.functional.interpolate(2 * small - 1, size=graph.shape[1:])
    axes = np.stack([turned_axes(.7 * number + .3)
                     for number in range(batch)])
    # the first two animals are of one scene
    scenes = torch.arange(batch).sub(1).clamp(min=0)
    return (volumes,
            100 * torch.randn((batch, 3), generator=generator),
            torch.from_numpy(axes).float(),
            scenes)[:len(graph.inputs)]


def compare(graph: VolumeGraph, path: Path,
            batch: int = 1) -> dict[str, float]:
    """Largest difference between onnxruntime and torch for each output.

    Args:
        graph (VolumeGraph): What was exported.
        path (Path): The exported file.
        batch (int): As exported. Defaults to 1.
    """
    session = open_session(path)
    example = example_of(graph, batch)
    with torch.no_grad():
        wanted = graph(*example)
    found = session.run(
        list(OUTPUTS), {name: value.numpy() for name, value in zip(
            graph.inputs, example, strict=True)})
    return {name: float(np.abs(value - want.numpy()).max())
            for name, value, want in zip(OUTPUTS, found, wanted, strict=True)}


def _metadata(graph: VolumeGraph) -> dict[str, str]:
    estimator: Any = graph.model
    preprocessor = estimator.data_preprocessor
    found = dict(
        keypoint_names=json.dumps(
            keypoint_names(getattr(estimator, 'dataset_meta', None))),
        grid=json.dumps(dict(vmin=float(graph.grid.vmin),
                             vmax=float(graph.grid.vmax),
                             nvox=int(graph.grid.nvox))),
        views=str(estimator.backbone.num_views),
        volumes='float32, level / 127.5 - 1, axes y, x, z; view by view, '
        + ('grey' if preprocessor.mono else 'red, green, blue'),
        sampling=json.dumps({name: getattr(preprocessor, name) for name in (
            'interpolation', 'padding', 'peer_compat')}),
        centres='middle of the volume, world mm',
        axes="the grid's x, y, z in the world as columns",
        keypoints='x, y, z world mm',
        spread='mm')
    if SCENES in graph.inputs:
        found[SCENES] = 'a number for each volume, equal for animals that '\
            'were filmed together; their axes are equal, too'
    return found

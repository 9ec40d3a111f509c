"""``tools/export_onnx.py`` for hands and objects."""
from __future__ import annotations

import argparse
import copy
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.handobject.hand import BONES, JOINT_NAMES
from mmpose_ext.handobject.inference import HandObjectInferencer
from mmpose_ext.handobject.objects import ycb_name
from mmpose_ext.handobject.sigma_linear import fold_sigma
from mmpose_ext.onnx_files import (
    add_export_options,
    check_export_options,
    open_session,
    packages_are_there,
    require_parity,
    save_checked,
)
from mmpose_ext.storage import atomic_file

INPUTS = ('image', 'camera')
# what differs from torch less than that is equal: m, px, shares
TOLERANCE = dict(
    joints=1e-4, joints_coarse=1e-4, pixels=5e-2, scores=1e-4,
    object_rotations=1e-3, object_translations=1e-3, object_scores=1e-4,
    grasped_scores=1e-4, contact_scores=1e-4)
_OBJECTS = ('object_rotations', 'object_translations', 'object_scores',
            'grasped_scores')
_MEANINGS = dict(
    image='float32, RGB, (level - mean) / std; a crop of the hand, as the '
    "config's test pipeline cuts it, left hands mirrored if mirror_left",
    camera='intrinsics of the crop, 3 x 3, px',
    joints='x right, y down, z forward in the frame of the crop, m',
    joints_coarse='before refinement',
    pixels='x, y in px of the crop, pixel centres at integers',
    scores='of the joints, 0 to 1',
    object_rotations='object to crop, by class; of mirrored crops those of '
    'the mirrored mesh',
    object_translations='m, by class', object_scores='being in the scene',
    grasped_scores='being held, they sum to 1',
    contact_scores='of the joints with the object held')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_export_options(parser, 'crops')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    if not packages_are_there():
        return 1
    out: Path = arguments.out
    check_export_options(arguments)
    inferencer = HandObjectInferencer(config, arguments.checkpoint, 'cpu')
    graph = CropGraph(inferencer.model)
    metadata = describe(graph, inferencer)
    with atomic_file(out) as temporary:
        export(graph, temporary, metadata, arguments.batch, arguments.opset)
        if arguments.check:
            found = compare(graph, inferencer.model, temporary,
                            arguments.batch)
            text = require_parity(out, found, TOLERANCE)
            print(f'largest differences from torch: {text}')
    print(f'written: {out}')
    return 0


class CropGraph(nn.Module):
    """What is exported: a crop and its camera to hand and objects.

    Reparametrised layers are plain ones in it, with the weights that they
    act by. Cutting the crop, and turning results into the photograph's
    frame, is the program's.

    Args:
        model (HandObjectEstimator): Trained, on the CPU; it is copied.

    Attributes:
        outputs (tuple[str]): Names of the outputs.
        size (int): Side of the crop, px.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = fold_sigma(copy.deepcopy(model)).eval()
        head: Any = self.model.head
        self.size = int(head.size)
        outputs = ['joints', 'joints_coarse', 'pixels', 'scores']
        if head.num_objects:
            outputs += _OBJECTS
        if hasattr(head, 'contact'):
            outputs.append('contact_scores')
        self.outputs = tuple(outputs)

    def forward(self, image: Tensor, camera: Tensor) -> tuple[Tensor, ...]:
        """Outputs in the order of `outputs`.

        Args:
            image (Tensor): (B, 3, S, S), normalised.
            camera (Tensor): (B, 3, 3).
        """
        found = outputs_of(self.model, image, camera)
        return tuple(found[name] for name in self.outputs)


def outputs_of(model: Any, image: Tensor,
               camera: Tensor) -> dict[str, Tensor]:
    """What a model says of crops, by the names in the graph.

    Args:
        model (HandObjectEstimator): Folded or not.
        image (Tensor): (B, 3, S, S), normalised.
        camera (Tensor): (B, 3, 3).
    """
    prediction = model.head(model.backbone(image), camera)
    found = dict(
        joints=prediction.hands[-1].joints,
        joints_coarse=prediction.hands[0].joints,
        pixels=prediction.hands[-1].pixels,
        scores=prediction.scores)
    if prediction.objects is not None:
        objects = prediction.objects
        found.update(
            object_rotations=objects.rotations,
            object_translations=objects.translations,
            object_scores=objects.presence.sigmoid(),
            grasped_scores=objects.grasped.softmax(-1))
    if prediction.contact is not None:
        found['contact_scores'] = prediction.contact.sigmoid()
    return found


def example_of(size: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    """Crops of noise and cameras of different focal lengths.

    Args:
        size (int): Side of the crops, px.
        batch (int): B. Defaults to 1.
    """
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(batch, 3, size, size, generator=generator)
    camera = torch.eye(3).repeat(batch, 1, 1)
    focal = size * (1.5 + torch.rand(batch, generator=generator))
    camera[:, 0, 0], camera[:, 1, 1] = focal, 1.02 * focal
    camera[:, :2, 2] = size * (.4 + .2 * torch.rand(
        batch, 2, generator=generator))
    return image, camera


def export(graph: CropGraph, path: Path, metadata: Mapping[str, str],
           batch: int = 1, opset: int = 18) -> None:
    """Write the graph, with metadata that lets it be used alone.

    Args:
        graph (CropGraph): What to export.
        path (Path): File to write.
        metadata (Mapping[str, str]): Of :func:`describe`.
        batch (int): B, which is fixed. Defaults to 1.
        opset (int): ONNX operator set, at least 18. Defaults to 18.
    """
    import onnx
    with warnings.catch_warnings(), torch.no_grad():
        # of torch about its own parts
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph.eval(), example_of(graph.size, batch), str(path),
            input_names=list(INPUTS), output_names=list(graph.outputs),
            opset_version=opset, dynamo=True, external_data=False,
            verbose=False)
    save_checked(onnx.load(str(path)), path, metadata)


def compare(graph: CropGraph, model: nn.Module, path: Path,
            batch: int = 1) -> dict[str, float]:
    """Largest difference between onnxruntime and torch for each output.

    Args:
        graph (CropGraph): What was exported.
        model (nn.Module): The model as it was trained, nothing folded.
        path (Path): The exported file.
        batch (int): As exported. Defaults to 1.
    """
    image, camera = example_of(graph.size, batch)
    with torch.no_grad():
        wanted = outputs_of(model.eval(), image, camera)
    found = open_session(path).run(
        list(graph.outputs), dict(image=image.numpy(),
                                  camera=camera.numpy()))
    return {name: float(np.abs(value - wanted[name].numpy()).max())
            for name, value in zip(graph.outputs, found, strict=True)}


def describe(graph: CropGraph,
             inferencer: HandObjectInferencer) -> dict[str, str]:
    """What a program needs to know of the file."""
    preprocessor: Any = inferencer.model.data_preprocessor
    mean, std = ([round(float(level), 4) for level in values.flatten()]
                 for values in (preprocessor.mean, preprocessor.std))
    padding = next((step.get('padding', 1.25) for step in inferencer.pipeline
                    if step['type'] == 'GetBBoxCenterScale'), 1.25)
    found: dict[str, Any] = dict(
        keypoint_names=JOINT_NAMES, skeleton=BONES, input_size=graph.size,
        mean=mean, std=std, bbox_padding=padding,
        mirror_left=inferencer.mirror_left)
    head: Any = graph.model.head
    if head.num_objects:
        found['objects'] = [ycb_name(number) for number in range(1, 22)]
    return {**{name: json.dumps(value) for name, value in found.items()},
            **{name: _MEANINGS[name] for name in (*INPUTS, *graph.outputs)}}

"""``tools/export_onnx.py`` for hands and objects."""
from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.handobject.hand import BONES, JOINT_NAMES
from mmpose_ext.handobject.inference import HandObjectInferencer
from mmpose_ext.handobject.objects import ycb_name
from mmpose_ext.handobject.sigma_linear import fold_sigma
from mmpose_ext.onnx_files import (
    ExportGraph,
    add_export_options,
    channel_normalisation,
    run_export,
)

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
    add_export_options(parser, 'crops', any_batch=False)


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and keep the file only if equal."""
    return run_export(config, arguments, build_graph)


def build_graph(config: Config,
                arguments: argparse.Namespace) -> CropGraph:
    """What the command exports."""
    inferencer = HandObjectInferencer(config, arguments.checkpoint, 'cpu')
    padding = next(
        (step.get('padding', 1.25) for step in inferencer.pipeline
         if step['type'] == 'GetBBoxCenterScale'), 1.25)
    return CropGraph(inferencer.model, padding, inferencer.mirror_left)


class CropGraph(ExportGraph):
    """What is exported: a crop and its camera to hand and objects.

    Reparametrised layers are plain ones in it, with the weights that they
    act by. Cutting the crop, and turning results into the photograph's
    frame, is the program's.

    Args:
        model (HandObjectEstimator): Trained, on the CPU; it is copied.
        padding (float): By which boxes are enlarged. Defaults to 1.25.
        mirror_left (bool): Whether left hands were mirrored. Defaults to
            True.

    Attributes:
        size (int): Side of the crop, px.
    """

    inputs = INPUTS
    limits = TOLERANCE
    traced = False

    def __init__(self, model: nn.Module, padding: float = 1.25,
                 mirror_left: bool = True) -> None:
        super().__init__()
        self.model: Any = fold_sigma(copy.deepcopy(model)).eval()
        self.trained = (model.eval(), )  # no part of what is exported
        self.padding, self.mirror_left = padding, mirror_left
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

    def example(self, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Crops of noise and cameras of different focal lengths."""
        generator = torch.Generator().manual_seed(seed)
        size = self.size
        image = torch.randn(batch, 3, size, size, generator=generator)
        camera = torch.eye(3).repeat(batch, 1, 1)
        focal = size * (1.5 + torch.rand(batch, generator=generator))
        camera[:, 0, 0], camera[:, 1, 1] = focal, 1.02 * focal
        camera[:, :2, 2] = size * (.4 + .2 * torch.rand(
            batch, 2, generator=generator))
        return image, camera

    def expected(self, *example: Tensor) -> Sequence[Tensor]:
        """What the model says as it was trained, nothing folded."""
        found = outputs_of(self.trained[0], *example)
        return [found[name] for name in self.outputs]

    def metadata(self) -> dict[str, str]:
        """What a program has to know that uses the file alone."""
        mean, std = channel_normalisation(self.model)
        found: dict[str, Any] = dict(
            keypoint_names=JOINT_NAMES, skeleton=BONES, input_size=self.size,
            mean=mean, std=std, bbox_padding=self.padding,
            mirror_left=self.mirror_left)
        if self.model.head.num_objects:
            found['objects'] = [ycb_name(number) for number in range(1, 22)]
        return {
            **{name: json.dumps(value) for name, value in found.items()},
            **{name: _MEANINGS[name] for name in (*INPUTS, *self.outputs)}}


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

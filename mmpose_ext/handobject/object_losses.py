"""Losses of the objects and of contact.

Only objects that are in the crop count, the one that is held most.
"""
from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmpose_ext.geometry.rotations import rotation_angle
from mmpose_ext.handobject.codec import encode_depth, project
from mmpose_ext.handobject.distance_fields import HandObjectDistanceField
from mmpose_ext.handobject.losses import (
    HandObjectBumpLoss,
    HandObjectLoss,
    lengths,
    masked_mean,
)
from mmpose_ext.handobject.meshes import ObjectModels
from mmpose_ext.handobject.objects import NUM_CLASSES, YCB_IDS
from mmpose_ext.handobject.records import (
    HandObjectPrediction,
    HandObjectTargets,
    ObjectPose,
)
from mmpose_ext.registry import MODELS

_STEPS = 36  # turns that stand for a continuous symmetry


class SymmetryTable(nn.Module):
    """Symmetries and points of all objects, as tensors.

    Args:
        models_dir (str, optional): Folder of the meshes. Defaults to None:
            nothing is symmetric, and there are no points.
        num_points (int): On each object. Defaults to 1.
    """

    rotations: Tensor
    points: Tensor
    known: Tensor

    def __init__(self, models_dir: str | None, num_points: int = 1) -> None:
        super().__init__()
        groups = [np.eye(3)[None]] * NUM_CLASSES
        points = np.zeros((NUM_CLASSES, num_points, 3))
        known = np.zeros(NUM_CLASSES)
        if models_dir is not None:
            models = ObjectModels(models_dir, num_points, steps=_STEPS)
            for row, ycb_id in enumerate(YCB_IDS):
                if models.has(ycb_id):
                    model = models[ycb_id]
                    groups[row] = model.symmetries.rotations
                    # turned about the middle, not about the origin
                    points[row] = model.points - model.corners.mean(0)
                    known[row] = 1
        most = max(map(len, groups))
        # a group is filled up with its first, which is no motion
        padded = np.stack([
            np.concatenate([group, np.repeat(group[:1], most - len(group), 0)])
            for group in groups])
        for name, values in dict(rotations=padded, points=points,
                                 known=known).items():
            self.register_buffer(name, torch.from_numpy(values).float(),
                                 persistent=False)

    def nearest(self, predicted: Tensor, true: Tensor, classes: Tensor,
                mirrored: Tensor) -> Tensor:
        """Of all true rotations, which look alike, those nearest.

        Args:
            predicted (Tensor): (N, 3, 3).
            true (Tensor): (N, 3, 3).
            classes (Tensor): (N,) int.
            mirrored (Tensor): (N,) whether the mesh is mirrored.

        Returns:
            Tensor: (N, 3, 3), without gradients.
        """
        with torch.no_grad():
            group = mirror_rotations(self.rotations[classes],
                                     mirrored[:, None])
            alike = true[:, None] @ group
            angles = rotation_angle(predicted.detach()[:, None], alike)
            return alike[torch.arange(len(true)), angles.argmin(1)]


class _ObjectLoss(HandObjectLoss):
    """Base of losses of the objects, each as if it were there."""

    needs = 'objects'

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Mean over the objects in the crops."""
        assert prediction.objects is not None  # the head sees to it
        return self.of_objects(prediction.objects, targets)

    def of_objects(self, objects: ObjectPose,
                   targets: HandObjectTargets) -> Tensor:
        """The loss of the objects of a batch."""
        raise NotImplementedError


@MODELS.register_module()
class HandObjectCentreLoss(_ObjectLoss):
    """L1 of where the objects' origins are seen, and of their rho.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        depth_weight (float): Of rho beside the pixels, which are shares of
            the crop's side. Defaults to 0.2.
    """

    def __init__(self, loss_weight: float = 1.,
                 depth_weight: float = .2) -> None:
        super().__init__(loss_weight)
        self.depth_weight = depth_weight

    def of_objects(self, objects: ObjectPose,
                   targets: HandObjectTargets) -> Tensor:
        """The loss of the objects of a batch."""
        camera, size = targets.view_camera, targets.crop_size
        true = targets.object_translations
        pixels = project(true, camera)
        rho = encode_depth(true[..., 2], camera, size)
        error = ((objects.pixels - pixels).abs().sum(-1) / size
                 + self.depth_weight * (objects.rho - rho).abs())
        return masked_mean(error, targets.object_weights)


@MODELS.register_module()
class HandObjectCentreMapLoss(HandObjectBumpLoss, _ObjectLoss):
    """Divergence of the objects' maps from a bump about their origins.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        sigma (float): Of the bump, as a share of the crop's side. Defaults
            to 0.03.
    """

    def of_objects(self, objects: ObjectPose,
                   targets: HandObjectTargets) -> Tensor:
        """The loss of the objects of a batch."""
        # most of the set is not there: its maps need not be looked at
        rows, classes = (targets.object_weights > 0).nonzero().T
        pixels = project(targets.object_translations, targets.view_camera)
        return self.of_maps(
            objects.maps[rows, classes], pixels[rows, classes],
            targets.object_weights[rows, classes], targets.crop_size)


@MODELS.register_module()
class HandObjectRotationLoss(_ObjectLoss):
    """How far off the true rotation is; of symmetric ones the nearest.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        models_dir (str, optional): Folder of the meshes, whose symmetries
            count. Defaults to None: no object is symmetric.
        distance ('angle' | 'chord'): The angle, rad, whose gradient is the
            same near and far; or the squared chord, 2 - 2 cos of it, which
            is smooth at 0 and from which a network learns sooner. Defaults
            to 'angle'.

    Raises:
        ValueError: If there is no such distance.
    """

    def __init__(self, loss_weight: float = 1.,
                 models_dir: str | None = None,
                 distance: str = 'angle') -> None:
        super().__init__(loss_weight)
        if distance not in ('angle', 'chord'):
            raise ValueError('distance: expected angle or chord, found '
                             f'{distance!r}')
        self.models_dir = models_dir
        self.distance = distance

    @cached_property
    def table(self) -> SymmetryTable:
        """Of the meshes, which are read when the first batch comes."""
        return SymmetryTable(self.models_dir)

    def of_objects(self, objects: ObjectPose,
                   targets: HandObjectTargets) -> Tensor:
        """The loss of the objects of a batch."""
        rows, classes = (targets.object_weights > 0).nonzero().T
        predicted = objects.rotations[rows, classes]
        table = self.table.to(predicted.device)
        true = table.nearest(
            predicted, targets.object_rotations[rows, classes], classes,
            targets.mirrored[rows])
        if self.distance == 'angle':
            error = rotation_angle(predicted, true)
        else:  # of nine entries, each of two differing axes counts twice
            error = (predicted - true).square().sum((-2, -1)) / 2
        return masked_mean(error, targets.object_weights[rows, classes])


@MODELS.register_module()
class HandObjectPointLoss(_ObjectLoss):
    """How far the points of a mesh are moved by a wrong pose, m.

    By the wrong rotation about the middle of the mesh, and by the wrong
    translation, each with the other one right.

    Args:
        models_dir (str): Folder of the meshes; objects without one do not
            count.
        loss_weight (float): Factor on it. Defaults to 1.
        num_points (int): On each mesh. Defaults to 200.
    """

    def __init__(self, models_dir: str, loss_weight: float = 1.,
                 num_points: int = 200) -> None:
        super().__init__(loss_weight)
        self.models_dir, self.num_points = models_dir, num_points

    @cached_property
    def table(self) -> SymmetryTable:
        """Of the meshes, which are read when the first batch comes."""
        return SymmetryTable(self.models_dir, self.num_points)

    def of_objects(self, objects: ObjectPose,
                   targets: HandObjectTargets) -> Tensor:
        """The loss of the objects of a batch."""
        rows, classes = (targets.object_weights > 0).nonzero().T
        mirrored = targets.mirrored[rows]
        predicted = objects.rotations[rows, classes]
        table = self.table.to(predicted.device)
        true = table.nearest(
            predicted, targets.object_rotations[rows, classes], classes,
            mirrored)
        points = table.points[classes].clone()
        points[..., 0] *= 1 - 2 * mirrored[:, None]
        turned = points @ (predicted - true).transpose(-1, -2)
        moved = (objects.translations - targets.object_translations
                 )[rows, classes]
        error = lengths(turned).mean(-1) + lengths(moved)
        return masked_mean(error, targets.object_weights[rows, classes]
                           * table.known[classes])


@MODELS.register_module()
class HandObjectPresenceLoss(_ObjectLoss):
    """Cross entropy of which objects are in the crop."""

    def of_objects(self, objects: ObjectPose,
                   targets: HandObjectTargets) -> Tensor:
        """The loss of the objects of a batch."""
        truth = (targets.object_weights > 0).float()
        return F.binary_cross_entropy_with_logits(objects.presence, truth)


@MODELS.register_module()
class HandObjectGraspLoss(_ObjectLoss):
    """Cross entropy of which object is held, where one is."""

    def of_objects(self, objects: ObjectPose,
                   targets: HandObjectTargets) -> Tensor:
        """The loss of the objects of a batch."""
        known = targets.grasped_class >= 0
        entropy = F.cross_entropy(
            objects.grasped, targets.grasped_class.clamp(min=0),
            reduction='none')
        return masked_mean(entropy, known.float())


@MODELS.register_module()
class HandObjectContactLoss(HandObjectLoss):
    """Focal cross entropy of which joints touch the object held.

    Args:
        loss_weight (float): Factor on it. Defaults to 1.
        focus (float): Exponent that plays down what is right already; 0 is
            plain cross entropy. Defaults to 0.
        positive_weight (float): Of joints that touch. Defaults to 1.
    """

    needs = 'contact'

    def __init__(self, loss_weight: float = 1., focus: float = 0.,
                 positive_weight: float = 1.) -> None:
        super().__init__(loss_weight)
        self.focus, self.positive_weight = focus, positive_weight

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Mean over the joints of which it is known."""
        assert prediction.contact is not None  # the head sees to it
        truth = targets.contact
        entropy = F.binary_cross_entropy_with_logits(
            prediction.contact, truth, reduction='none')
        if self.focus:  # exp(-entropy) is the chance given to the truth
            entropy = entropy * (1 - (-entropy).exp())**self.focus
        entropy = entropy * (1 + (self.positive_weight - 1) * truth)
        return masked_mean(entropy, targets.contact_weights)


@MODELS.register_module()
class HandObjectPenetrationLoss(HandObjectLoss):
    """How deep the joints lie inside the object held, m.

    By a grid of signed distances. The true object's place is among the
    labels, but what counts is where both are predicted to be.

    Args:
        fields (str): The grids, see
            :mod:`mmpose_ext.handobject.distance_fields`.
        loss_weight (float): Factor on it. Defaults to 1.
        move_object (bool): Whether the object is moved, too; else the hand
            alone. Defaults to False.
    """

    needs = 'objects'

    def __init__(self, fields: str, loss_weight: float = 1.,
                 move_object: bool = False) -> None:
        super().__init__(loss_weight)
        self.move_object = move_object
        self.field = HandObjectDistanceField(fields)

    def measure(self, prediction: HandObjectPrediction,
                targets: HandObjectTargets) -> Tensor:
        """Mean depth over the joints of hands that hold something."""
        objects = prediction.objects
        assert objects is not None  # the head sees to it
        classes = targets.grasped_class
        row = torch.arange(len(classes), device=classes.device)
        rotation = objects.rotations[row, classes.clamp(min=0)]
        translation = objects.translations[row, classes.clamp(min=0)]
        if not self.move_object:
            rotation, translation = rotation.detach(), translation.detach()
        joints = prediction.hands[-1].joints - translation[:, None]
        points = joints @ rotation  # rows: the transposed rotation's product
        points = torch.cat([
            points[..., :1] * (1 - 2 * targets.mirrored[:, None, None]),
            points[..., 1:]], -1)
        depth = F.relu(-self.field(points, classes))
        # an object whose pose is unknown, or out of sight, counts for nothing
        held = ((classes >= 0) * targets.hand_valid
                * targets.object_weights[row, classes.clamp(min=0)].gt(0))
        return masked_mean(depth, held[:, None].expand_as(depth))


def mirror_rotations(rotations: Tensor, mirrored: Tensor) -> Tensor:
    """Rotations of the mirrored mesh, S R S, where x is mirrored.

    Args:
        rotations (Tensor): (..., 3, 3).
        mirrored (Tensor): (...) 1 or 0, broadcast.
    """
    sign = torch.ones(*mirrored.shape, 3, device=rotations.device)
    sign[..., 0] -= 2 * mirrored
    return sign[..., :, None] * rotations * sign[..., None, :]

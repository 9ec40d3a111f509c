"""What a network says about a batch of crops, and what is true of them.

B crops, K = 21 joints, O = 21 objects, one an id of the YCB set. All of it is
in the frame of the crop's own camera (the view), in metres and pixels.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass
class HandPose:
    """A hand, as one step of the network has it.

    Attributes:
        pixels: (B, K, 2) px of the crop.
        depth_offsets: (B, K) m behind the wrist; that of the wrist is 0.
        root_rho: (B,) log of the root's depth times the crop's side over the
            focal length: the size of the crop at the wrist, in metres.
        joints: (B, K, 3) m, what the three above say together.
    """

    pixels: Tensor
    depth_offsets: Tensor
    root_rho: Tensor
    joints: Tensor


@dataclass
class ObjectPose:
    """All objects, each as if it were there.

    Attributes:
        pixels: (B, O, 2) px of the crop, where each one's origin is seen.
        rho: (B, O) as that of the hand's root.
        rotations: (B, O, 3, 3) object to view.
        translations: (B, O, 3) m.
        presence: (B, O) logits of being in the scene.
        grasped: (B, O) logits of being the one that is held.
        maps: (B, O, H, W) logits of where the origins are seen, over the
            crop.
    """

    pixels: Tensor
    rho: Tensor
    rotations: Tensor
    translations: Tensor
    presence: Tensor
    grasped: Tensor
    maps: Tensor


@dataclass
class HandObjectPrediction:
    """Everything about a batch.

    Attributes:
        hands: The steps, the coarse one first.
        maps: (B, K, H, W) logits of where the coarse one's joints are seen,
            over the crop.
        log_spread: (B, K) log of the expected error of the pixels, as a
            share of the crop's side.
        objects: None without an object branch.
        contact: (B, K) logits of touching the object; None without the
            branch.
        mano_joints: (B, K, 3) m behind the wrist, of the parametric hand;
            None without it.
        mano_shape: (B, 10) its coefficients; None without it.
    """

    hands: list[HandPose]
    maps: Tensor
    log_spread: Tensor
    objects: ObjectPose | None = None
    contact: Tensor | None = None
    mano_joints: Tensor | None = None
    mano_shape: Tensor | None = None

    @property
    def scores(self) -> Tensor:
        """Of the joints, (B, K), 0 to 1; an expected error of a twentieth of
        the crop counts as half sure."""
        return 1 / (1 + 20 * self.log_spread.exp())


@dataclass
class HandObjectTargets:
    """What is true of a batch; what is unknown has the weight 0.

    Attributes:
        crop_size: Side of the crops, px.
        view_camera: (B, 3, 3) intrinsics of the crops.
        mirrored: (B,) 1 where the photograph was mirrored.
        chirality: (B,) 1 for what looks like a right hand in the crop, -1
            for a left one.
        joints: (B, K, 3) m.
        pixels: (B, K, 2) px.
        joint_weights: (B, K) 1 where a joint is labelled, and before the
            camera.
        hand_valid: (B,) 1 where there is a hand.
        root_rho: (B,)
        object_rotations: (B, O, 3, 3)
        object_translations: (B, O, 3) m.
        object_weights: (B, O) 1 for the one held, less for others, 0 for
            what is not there.
        grasped_class: (B,) int64; -1 for none.
        contact: (B, K) 1 where a joint touches the object held.
        contact_weights: (B, K) 1 where that is known.
    """

    crop_size: int
    view_camera: Tensor
    mirrored: Tensor
    chirality: Tensor
    joints: Tensor
    pixels: Tensor
    joint_weights: Tensor
    hand_valid: Tensor
    root_rho: Tensor
    object_rotations: Tensor
    object_translations: Tensor
    object_weights: Tensor
    grasped_class: Tensor
    contact: Tensor
    contact_weights: Tensor

    @classmethod
    def stack(cls, samples: Sequence[Any], crop_size: int,
              device: torch.device | str = 'cpu') -> HandObjectTargets:
        """Join the labels of a batch.

        Args:
            samples (Sequence[PoseDataSample]): With
                ``gt_instance_labels``, one instance each: arrays, or tensors
                as MMPose packs them.
            crop_size (int): Side of the crops, px.
            device (torch.device | str): Where to bring them, all of a kind at
                once. Defaults to 'cpu'.
        """
        names = [field.name for field in fields(cls)][1:]
        labels = [sample.gt_instance_labels for sample in samples]
        return cls(crop_size, **{
            name: _join([label[name] for label in labels]).to(device)
            for name in names
        })


def _join(parts: list[Any]) -> Tensor:
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    return torch.from_numpy(np.concatenate(parts))

"""MANO: a hand of 778 vertices from 48 angles and 10 numbers of its shape.

"Embodied Hands: Modeling and Capturing Hands and Bodies Together", Romero,
Tzionas and Black, SIGGRAPH Asia 2017. The conventions are those of DexYCB's
labels: 45 principal components over the mean pose, the translation added
after everything else, tips that are vertices.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from mmpose_ext.handobject.mano_files import PARENTS, read_mano
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.storage.checks import StrPath

# Vertices at the tips of thumb to little finger.
TIP_VERTICES = dict(right=(745, 317, 444, 556, 673),
                    left=(745, 317, 445, 556, 673))
# Places of our 21 joints among MANO's 16 and the five tips.
ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8,
         9, 20)


@MODELS.register_module()
class HandObjectManoLayer(nn.Module):
    """Vertices and joints of MANO, differentiable, in fp32 or fp64.

    It has no parameters; the model is in buffers that no checkpoint holds.

    Args:
        path (str | Path): ``MANO_RIGHT.pkl`` or ``MANO_LEFT.pkl``, which the
            user gets from https://mano.is.tue.mpg.de, or an .npz of the same
            arrays.
        side (str): ``right`` or ``left``.
        num_pca (int, optional): Principal components that a pose has; None
            for 45 axis-angle numbers. Defaults to 45.
        flat_hand_mean (bool): Whether angles of 0 are the flat hand, not
            MANO's mean pose. Defaults to False.
        flip_left_shape (bool): Whether to change the sign of x in the left
            hand's directions of shape, as some programs do. DexYCB's labels
            are without. Defaults to False.

    Raises:
        DataError: If the file is missing or is not what it should be.
    """

    v_template: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    joint_regressor: Tensor
    weights: Tensor
    components: Tensor
    hands_mean: Tensor
    faces: Tensor

    def __init__(self,
                 path: StrPath,
                 side: str = 'right',
                 num_pca: int | None = 45,
                 flat_hand_mean: bool = False,
                 flip_left_shape: bool = False) -> None:
        super().__init__()
        if num_pca is not None and not 1 <= num_pca <= 45:
            raise DataError('config', 'num_pca', '1 to 45, or None',
                            str(num_pca))
        found = read_mano(path, side)
        self.side, self.num_pca = side, num_pca
        self.flat_hand_mean = flat_hand_mean
        shapedirs = found.shapedirs
        if flip_left_shape and side == 'left':
            shapedirs = shapedirs * [[[-1.], [1.], [1.]]]
        mean = 0 * found.hands_mean if flat_hand_mean else found.hands_mean
        for name, array in dict(
                v_template=found.v_template, shapedirs=shapedirs,
                posedirs=found.posedirs, weights=found.weights,
                joint_regressor=found.joint_regressor, hands_mean=mean,
                components=found.components[:num_pca]).items():
            self.register_buffer(
                name, torch.tensor(array, dtype=torch.get_default_dtype()),
                persistent=False)
        self.register_buffer('faces', torch.from_numpy(found.faces),
                             persistent=False)
        self._tips = list(TIP_VERTICES[side])

    @property
    def pose_size(self) -> int:
        """Numbers of a pose: rotation, fingers, translation."""
        return 6 + (self.num_pca or 45)

    def split_pose(self, pose_m: Tensor) -> tuple[Tensor, Tensor]:
        """Axis-angles and translation of a pose.

        Args:
            pose_m (Tensor): (B, 3 + num_pca + 3), as DexYCB has it: global
                axis-angle, components of the fingers, translation in m.

        Returns:
            tuple[Tensor, Tensor]: (B, 16, 3) with the mean pose added, and
            (B, 3).
        """
        if pose_m.shape[-1] != self.pose_size:
            raise ValueError(f'poses have {self.pose_size} numbers, not '
                             f'{pose_m.shape[-1]}')
        fingers = pose_m[:, 3:-3]
        if self.num_pca is not None:
            fingers = fingers @ self.components
        fingers = fingers + self.hands_mean
        angles = torch.cat([pose_m[:, :3], fingers], 1)
        return angles.reshape(-1, 16, 3), pose_m[:, -3:]

    def forward(self, pose_m: Tensor,
                betas: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices and joints of poses.

        Args:
            pose_m (Tensor): (B, 3 + num_pca + 3), see :meth:`split_pose`.
            betas (Tensor): (B, 10) shapes.

        Returns:
            tuple[Tensor, Tensor]: (B, 778, 3) and (B, 21, 3), m, the latter
            in the family's order.
        """
        with torch.autocast(pose_m.device.type, enabled=False):
            pose_m = pose_m.to(self.hands_mean.dtype)
            angles, translation = self.split_pose(pose_m)
            return self.from_rotations(axis_angle_to_matrix(angles), betas,
                                       translation)

    def from_rotations(self, rotations: Tensor, betas: Tensor,
                       translation: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices and joints of rotation matrices.

        Args:
            rotations (Tensor): (B, 16, 3, 3) of the joints in MANO's order,
                each relative to its parent's.
            betas (Tensor): (B, 10).
            translation (Tensor): (B, 3) m.

        Returns:
            tuple[Tensor, Tensor]: As of :meth:`forward`.
        """
        with torch.autocast(rotations.device.type, enabled=False):
            dtype = self.hands_mean.dtype
            rotations, betas, translation = (
                value.to(dtype) for value in (rotations, betas, translation))
            shaped = self.v_template + torch.einsum(
                'vxs,bs->bvx', self.shapedirs, betas)
            rest = self.joint_regressor @ shaped
            bends = rotations[:, 1:] - torch.eye(
                3, dtype=dtype, device=rotations.device)
            posed = shaped + torch.einsum(
                'vxp,bp->bvx', self.posedirs, bends.flatten(1))
            turned, places = _chain(rotations, rest)
            # of each bone: what a point at rest is moved by
            shift = places - (turned @ rest[..., None])[..., 0]
            skin = torch.einsum('vj,bjxy->bvxy', self.weights, turned)
            vertices = (skin @ posed[..., None])[..., 0] + self.weights @ shift
            joints = torch.cat([places, vertices[:, self._tips]], 1)
            move = translation[:, None]
            return vertices + move, joints[:, list(ORDER)] + move


def axis_angle_to_matrix(angles: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of axis-angles (..., 3).

    Derivatives are finite everywhere, at no rotation too.
    """
    square = angles.square().sum(-1)[..., None, None]
    small = square < 1e-8
    angle = torch.where(small, 1., square).sqrt()
    first = torch.where(small, 1 - square / 6, angle.sin() / angle)
    # 1 - cos, without what is lost in it
    half = (angle / 2).sin() / angle
    second = torch.where(small, .5 - square / 24, 2 * half * half)
    zero = torch.zeros_like(angles[..., 0])
    x, y, z = angles.unbind(-1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1)
    cross = cross.unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=angles.dtype, device=angles.device)
    return eye + first * cross + second * (cross @ cross)


def _chain(rotations: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations (B, 16, 3, 3) and places (B, 16, 3) in the hand's frame."""
    turned, places = [rotations[:, 0]], [rest[:, 0]]
    for joint, parent in enumerate(PARENTS[1:], 1):
        offset = rest[:, joint] - rest[:, parent]
        turned.append(turned[parent] @ rotations[:, joint])
        places.append(places[parent]
                      + (turned[parent] @ offset[..., None])[..., 0])
    return torch.stack(turned, 1), torch.stack(places, 1)

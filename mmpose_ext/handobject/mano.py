"""MANO: a hand of 778 vertices from 48 angles and 10 numbers of its shape.

"Embodied Hands: Modeling and Capturing Hands and Bodies Together", Romero,
Tzionas and Black, SIGGRAPH Asia 2017. The conventions are those of DexYCB's
labels: 45 principal components over the mean pose, the translation added
after everything else, tips that are vertices.
"""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmpose_ext.handobject.hand import SIDES, WRIST
from mmpose_ext.handobject.mano_files import PARENTS, SOURCE, read_mano
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError, check_array
from mmpose_ext.storage.checks import StrPath

# Vertices at the tips of thumb to little finger.
TIP_VERTICES = dict(right=(745, 317, 444, 556, 673),
                    left=(745, 317, 445, 556, 673))
# Places of our 21 joints among MANO's 16 and the five tips.
ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8,
         9, 20)
LABEL_TOLERANCE_MM = 1.


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

    def rest_root(self, betas: Tensor) -> Tensor:
        """Wrist (B, 3), m, of shapes (B, 10) at rest, before translation."""
        shaped = self.v_template + torch.einsum(
            'vxs,bs->bvx', self.shapedirs, betas)
        return self.joint_regressor[WRIST] @ shaped


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


def mirror_mano_pose(pose_m: Tensor, betas: Tensor,
                     source: HandObjectManoLayer,
                     target: HandObjectManoLayer) -> Tensor:
    """The pose of the other hand that looks like this one in a mirror.

    Components of the two hands differ, so the angles are mirrored: (a, b, c)
    becomes (a, -b, -c). The mirror is x = 0 of the camera; where it is that
    of an image, move the camera's principal point along.

    Args:
        pose_m (Tensor): (B, source.pose_size).
        betas (Tensor): (B, 10), which both have.
        source (HandObjectManoLayer): Whose pose it is.
        target (HandObjectManoLayer): Whose pose it becomes; with all 45
            components or none.

    Returns:
        Tensor: (B, target.pose_size).
    """
    if target.num_pca not in (None, 45):
        raise ValueError('components are left out in the target: the pose '
                         'cannot be told in them')
    angles, translation = source.split_pose(pose_m)
    angles = angles * angles.new_tensor([1., -1., -1.])
    root = source.rest_root(betas) + translation
    root = root * root.new_tensor([-1., 1., 1.])
    fingers = angles[:, 1:].flatten(1) - target.hands_mean
    if target.num_pca is not None:
        fingers = torch.linalg.solve(target.components.T, fingers.T).T
    return torch.cat([angles[:, 0], fingers, root - target.rest_root(betas)],
                     1)


def load_mano_layers(folder: StrPath) -> dict[str, HandObjectManoLayer]:
    """The layers of a folder with the models of both hands, by side.

    Args:
        folder (str | Path): With ``MANO_RIGHT`` and ``MANO_LEFT``, each as
            .pkl or .npz.

    Raises:
        DataError: If one is missing or damaged.
    """
    layers = {}
    for side in SIDES:
        paths = [Path(folder) / f'MANO_{side.upper()}{suffix}'
                 for suffix in ('.pkl', '.npz')]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise DataError(folder, 'MANO models', paths[0].name, 'nothing',
                            SOURCE)
        layers[side] = HandObjectManoLayer(path, side)
    return layers


def check_mano_labels(pose_m: np.ndarray, betas: np.ndarray,
                      joints_cam: np.ndarray, sides: np.ndarray,
                      layers: Mapping[str, HandObjectManoLayer],
                      batch: int = 256) -> dict[str, float]:
    """Largest distance of MANO's joints from labelled ones, by side.

    It stays below 1 mm (``LABEL_TOLERANCE_MM``) where files, sides, shapes
    and the order of the joints are right. Rows without a hand, of which the
    pose is 0 or the joints are -1, are left out.

    Args:
        pose_m (np.ndarray): (N, 51).
        betas (np.ndarray): (N, 10).
        joints_cam (np.ndarray): (N, 21, 3) m.
        sides (np.ndarray): (N, ) 0 right, 1 left.
        layers (Mapping): By side; rows of a side without one are left out.
        batch (int): Rows at a time. Defaults to 256.

    Returns:
        dict[str, float]: mm, for each side that has rows.

    Raises:
        DataError: If the arrays do not fit together.
    """
    count = len(pose_m)
    for name, array, shape in (('pose_m', pose_m, (count, 51)),
                               ('betas', betas, (count, 10)),
                               ('joints_cam', joints_cam, (count, 21, 3)),
                               ('sides', sides, (count, ))):
        check_array(array, 'labels', name, 'fiu', shape)
    valid = (pose_m != 0).any(1) & (joints_cam != -1).any((1, 2))
    errors = {}
    for number, side in enumerate(SIDES):
        rows = np.flatnonzero(valid & (sides == number))
        if not len(rows) or side not in layers:
            continue
        layer = layers[side]
        worst = 0.
        for start in range(0, len(rows), batch):
            chosen = rows[start:start + batch]
            pose, beta, truth = (
                torch.as_tensor(np.asarray(array[chosen]),
                                dtype=layer.hands_mean.dtype,
                                device=layer.hands_mean.device)
                for array in (pose_m, betas, joints_cam))
            with torch.no_grad():
                distance = (layer(pose, beta)[1] - truth).norm(dim=-1)
            # a NaN is no small distance
            largest = float(distance.max())
            worst = largest if largest != largest else max(worst, largest)
            if worst != worst:
                break
        errors[side] = 1e3 * worst
    return errors


def _chain(rotations: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations (B, 16, 3, 3) and places (B, 16, 3) in the hand's frame."""
    turned, places = [rotations[:, 0]], [rest[:, 0]]
    for joint, parent in enumerate(PARENTS[1:], 1):
        offset = rest[:, joint] - rest[:, parent]
        turned.append(turned[parent] @ rotations[:, joint])
        places.append(places[parent]
                      + (turned[parent] @ offset[..., None])[..., 0])
    return torch.stack(turned, 1), torch.stack(places, 1)

"""The head: from maps of patches to hand, objects and contact."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.base_head import BaseHead
from torch import Tensor, nn

from mmpose_ext.handobject.branches import (
    ContactBranch,
    HandBranch,
    ManoBranch,
    ObjectBranch,
)
from mmpose_ext.handobject.decoder import PatchNeck, QueryDecoder
from mmpose_ext.handobject.hand import JOINT_NAMES
from mmpose_ext.handobject.losses import batch_spread
from mmpose_ext.handobject.records import (
    HandObjectPrediction,
    HandObjectTargets,
)
from mmpose_ext.handobject.refiner import JointRefiner
from mmpose_ext.handobject.sigma_linear import follow_spectra, linear_factory
from mmpose_ext.handobject.views import to_instances
from mmpose_ext.registry import KEYPOINT_CODECS, MODELS
from mmpose_ext.storage import DataError

NUM_JOINTS = len(JOINT_NAMES)
# what losses need: the setting with which it is predicted, and that without
_SETTINGS = dict(
    objects=('num_objects=21', 'num_objects=0'),
    contact=('predict_contact=True', 'predict_contact=False'),
    mano=('mano=dict(path=...)', 'mano=None'))


@MODELS.register_module()
class HandObjectHead(BaseHead):
    """Joints, object poses and contact of a crop, by one decoder's queries.

    Queries are the 21 joints, the hand as a whole, and the 21 objects of the
    YCB set, each an identity: nothing has to be matched. What is predicted
    depends on the picture and on the crop's intrinsics alone.

    Args:
        in_channels (int | Sequence[int]): Channels of the backbone's maps,
            one each.
        input_size (tuple[int, int]): Width and height of the crops, px,
            equal; those of the codec.
        embed_dims (int): Channels of the queries. Defaults to 512.
        num_layers (int): Layers of the decoder. Defaults to 6.
        num_heads (int): Heads of attention. Defaults to 8.
        feedforward_channels (int, optional): Hidden channels. Defaults to
            None: four times `embed_dims`.
        dropout (float): In the decoder. Defaults to 0.
        upsample (int): By how much maps of pixels are finer than patches.
            Defaults to 4.
        num_objects (int): 21, or 0 for hands alone. Defaults to 21.
        rotation_frame ('allocentric' | 'camera'): What an object's rotation
            is predicted against: the ray to it, or the axis. Defaults to
            'allocentric'.
        predict_contact (bool): Whether to tell which joints touch the
            object held. Needs objects. Defaults to True.
        refiner (dict, optional): Options of
            :class:`~mmpose_ext.handobject.refiner.JointRefiner`; None for no
            refinement. Defaults to None.
        mano (dict, optional): Options of
            :class:`~mmpose_ext.handobject.branches.ManoBranch`, with the
            ``path`` of the user's MANO file. Defaults to None.
        sigma_reparam (dict, optional): Options of the decoder's and the
            refiner's linear layers, such as ``dict(gamma_init='one')``, see
            :class:`~mmpose_ext.handobject.sigma_linear
            .HandObjectSigmaLinear`; None for plain ones. Defaults to None.
        losses (dict[str, dict], optional): The losses by name; the log calls
            them ``loss_<name>``, and None in place of one drops it. Defaults
            to None: none.
        decoder (dict, optional): The codec of the labels, whose crops must
            be of the same size. Defaults to None.
        init_cfg (dict, optional): Defaults to None.

    Raises:
        DataError: If the codec's crops are of another size, or a loss is
            about what is not predicted.
        ValueError: If other settings do not fit each other.
    """

    def __init__(self,
                 in_channels: int | Sequence[int],
                 input_size: tuple[int, int],
                 embed_dims: int = 512,
                 num_layers: int = 6,
                 num_heads: int = 8,
                 feedforward_channels: int | None = None,
                 dropout: float = 0.,
                 upsample: int = 4,
                 num_objects: int = 21,
                 rotation_frame: str = 'allocentric',
                 predict_contact: bool = True,
                 refiner: dict[str, Any] | None = None,
                 mano: dict[str, Any] | None = None,
                 sigma_reparam: dict[str, Any] | None = None,
                 losses: dict[str, dict[str, Any] | None] | None = None,
                 decoder: dict[str, Any] | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(init_cfg)
        if predict_contact and not num_objects:
            raise ValueError('predict_contact: expected objects, found '
                             'num_objects=0')
        channels = ([in_channels] if isinstance(in_channels, int) else
                    list(in_channels))
        hidden = feedforward_channels or 4 * embed_dims
        linear = linear_factory(sigma_reparam)
        self.size, self.num_objects = int(input_size[0]), num_objects
        self.input_size = tuple(input_size)
        self.neck = PatchNeck(channels, embed_dims, self.size)
        self.queries = QueryDecoder(
            NUM_JOINTS + 1 + num_objects, embed_dims, num_layers, num_heads,
            hidden, linear, dropout)
        self.hand = HandBranch(embed_dims, self.size, upsample)
        if num_objects:
            self.object = ObjectBranch(embed_dims, self.size, upsample,
                                       rotation_frame)
        if predict_contact:
            self.contact = ContactBranch(embed_dims, num_heads, linear)
        if refiner is not None:
            self.refiner = JointRefiner(
                embed_dims, self.size, num_heads, linear, **refiner)
        if mano is not None:
            self.mano = ManoBranch(embed_dims, **mano)
        self.losses = nn.ModuleDict({
            name: MODELS.build(config)
            for name, config in (losses or {}).items() if config is not None
        })
        _check_losses(self.losses, dict(
            objects=bool(num_objects), contact=predict_contact,
            mano=mano is not None))
        if decoder is not None:
            self.decoder = KEYPOINT_CODECS.build(decoder)
            self._check_size(self.decoder.input_size, 'the codec')

    def forward(self, feats: Sequence[Tensor],
                camera: Tensor) -> HandObjectPrediction:
        """Predict.

        Args:
            feats (Sequence[Tensor]): (B, C, h, w) the backbone's maps.
            camera (Tensor): (B, 3, 3) intrinsics of the crops.

        Returns:
            HandObjectPrediction: In the crops' own frames, float32.
        """
        tokens = self.neck(feats, camera)
        queries = self.queries(tokens)
        joints, whole = queries[:, :NUM_JOINTS], queries[:, NUM_JOINTS]
        hand, maps, log_spread, joints = self.hand(joints, whole, tokens,
                                                   camera)
        prediction = HandObjectPrediction([hand], maps, log_spread)
        scene = whole[:, None]
        if self.num_objects:
            prediction.objects, objects = self.object(
                queries[:, NUM_JOINTS + 1:], tokens, camera)
            share = prediction.objects.grasped.softmax(-1)[..., None]
            scene = (share * objects).sum(1, keepdim=True)
            if hasattr(self, 'contact'):
                prediction.contact = self.contact(joints, objects)
        if hasattr(self, 'refiner'):
            prediction.hands += self.refiner(hand, joints, scene,
                                             tokens.content, camera)
        if hasattr(self, 'mano'):
            prediction.mano_joints, prediction.mano_shape = self.mano(whole)
        return prediction

    def loss(self, feats: Sequence[Tensor], batch_data_samples: Sequence[Any],
             train_cfg: dict[str, Any] | None = None) -> dict[str, Tensor]:
        """Losses of a batch, and how much its hands vary.

        Args:
            feats (Sequence[Tensor]): The backbone's maps.
            batch_data_samples (Sequence[PoseDataSample]): With labels.
            train_cfg (dict, optional): Not used.

        Returns:
            dict[str, Tensor]: ``loss_<name>`` each, and for the monitors
            ``spread_mm`` and ``spread_ratio``, the standard deviation of
            predicted joints over the batch, wrists in the origin, and its
            ratio to that of the true ones.

        Raises:
            DataError: If the crops are of another size than `input_size`.
        """
        self._check_crops(batch_data_samples)
        if self.training:
            follow_spectra(self)
        targets = HandObjectTargets.stack(batch_data_samples, self.size,
                                          feats[0].device)
        prediction = self(feats, targets.view_camera)
        with torch.autocast(feats[0].device.type, enabled=False):
            results = {f'loss_{name}': loss(prediction, targets)
                       for name, loss in self.losses.items()}
            with torch.no_grad():
                spread = batch_spread(prediction.hands[-1].joints,
                                      targets.hand_valid)[1:].mean()
                true = batch_spread(targets.joints,
                                    targets.hand_valid)[1:].mean()
        results['spread_mm'] = spread * 1e3
        results['spread_ratio'] = spread / true.clamp(min=1e-6)
        return results

    def predict(self, feats: Sequence[Tensor],
                batch_data_samples: Sequence[Any],
                test_cfg: dict[str, Any] | None = None) -> list[InstanceData]:
        """Predictions in the photographs' own frames.

        Args:
            feats (Sequence[Tensor]): The backbone's maps.
            batch_data_samples (Sequence[PoseDataSample]): With the view in
                their metainfo; labels are not looked at.
            test_cfg (dict, optional): Not used.

        Returns:
            list[InstanceData]: One a sample, see
            :func:`~mmpose_ext.handobject.views.to_instances`.

        Raises:
            DataError: If the crops are of another size than `input_size`.
        """
        self._check_crops(batch_data_samples)
        views = [sample.metainfo for sample in batch_data_samples]
        camera = torch.stack([
            torch.as_tensor(view['view_camera'], dtype=torch.float32)
            for view in views
        ]).to(feats[0].device)
        return to_instances(self(feats, camera), views)

    def _check_crops(self, samples: Sequence[Any]) -> None:
        size = samples[0].metainfo.get('input_size')
        if size is not None:
            self._check_size(size, 'the crops')

    def _check_size(self, size: Sequence[int], owner: str) -> None:
        if tuple(size) != self.input_size:
            raise DataError(
                'config', 'model.head.input_size',
                '{} x {} px, the size of {}'.format(*size, owner),
                '{} x {}'.format(*self.input_size))


def _check_losses(losses: nn.ModuleDict,
                  predicted: Mapping[str, bool]) -> None:
    """Refuse losses of what the head does not predict, all at once."""
    needs = {name: getattr(loss, 'needs', None)
             for name, loss in losses.items()}
    lacking = {name: need for name, need in needs.items()
               if need is not None and not predicted[need]}
    if lacking:
        names = ', '.join(lacking)
        settings = [_SETTINGS[need] for need in dict.fromkeys(
            lacking.values())]
        raise DataError(
            'config', f'model.head.losses.{names}',
            ', '.join(wanted for wanted, _ in settings),
            ', '.join(found for _, found in settings),
            'None in place of a loss drops it, as in --cfg-options '
            f'model.head.losses.{next(iter(lacking))}=None')

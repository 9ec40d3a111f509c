"""From volumes to points in the world."""
from __future__ import annotations

from typing import Any

from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor, nn

from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.volumetric.head import VolumetricHead


@MODELS.register_module()
class DannceEstimator(BasePoseEstimator):
    """MMPose's estimator for volumes that several cameras were cast into.

    Arguments are those of ``TopdownPoseEstimator``. There is nothing to set
    in ``train_cfg`` and ``test_cfg``, and whatever is there is an error.

    The inputs of all modes are what the data preprocessor makes: a dict of
    ``volumes`` (M, C, n, n, n), axes [y, x, z], ``centres`` (M, 3), ``axes``
    (M, 3, 3), ``offsets`` (n, ) and, for a backbone that takes it,
    ``view_mask`` (M, V).

    Raises:
        DataError: If the parts do not fit together.
    """

    backbone: nn.Module
    head: VolumetricHead
    data_preprocessor: nn.Module

    def __init__(self,
                 backbone: dict[str, Any],
                 head: dict[str, Any],
                 data_preprocessor: dict[str, Any] | None = None,
                 train_cfg: dict[str, Any] | None = None,
                 test_cfg: dict[str, Any] | None = None,
                 init_cfg: dict[str, Any] | None = None,
                 metainfo: dict[str, Any] | None = None) -> None:
        for name, settings in (('train_cfg', train_cfg),
                               ('test_cfg', test_cfg)):
            if settings:
                raise DataError('config', f'model.{name}', 'no settings',
                                ', '.join(map(repr, settings)))
        super().__init__(
            backbone=backbone,
            head=head,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
            metainfo=metainfo)
        self._check_scenes()
        self._check_features()
        self.check_views()

    def check_views(self, cameras: int | None = None) -> None:
        """Check that the backbone takes the volumes of the preprocessor.

        Args:
            cameras (int, optional): Of a recording, which fill the volumes
                where the preprocessor has no ``num_views``. Defaults to
                None: unknown, and nothing is checked there.

        Raises:
            DataError: If it takes others.
        """
        preprocessor: Any = self.data_preprocessor
        views = getattr(preprocessor, 'num_views', None) or cameras
        check: Any = getattr(self.backbone, 'check_volumes', None)
        if check is not None and views is not None:
            check(views * (1 if preprocessor.mono else 3),
                  preprocessor.grid.nvox)

    def _check_features(self) -> None:
        """The head needs the features that the backbone gives."""
        given: Any = getattr(self.backbone, 'out_channels', None)
        wanted = self.head.in_channels
        if given is not None and tuple(given)[-len(wanted):] != wanted:
            raise DataError(
                'config', 'model.head.in_channels',
                f'the last of {tuple(given)}, as the backbone gives them',
                str(wanted))

    def _check_scenes(self) -> None:
        """A graph that joins animals needs them in the same axes."""
        refiner: Any = getattr(self.head, 'refiner', None)
        augment: Any = getattr(self.data_preprocessor, 'augment', None)
        if getattr(refiner, 'between_animals', False) and (
                augment is not None and not augment.together):
            raise DataError(
                'config', 'model.data_preprocessor.augment.together',
                'True, for model.head.refiner.between_animals joins the '
                'animals of a scene', 'False')

    def extract_feat(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Features of the volumes, coarse to fine.

        Args:
            inputs (dict[str, Tensor]): See the class.
        """
        return self.backbone(inputs['volumes'], inputs.get('view_mask'))

    def loss(self, inputs: dict[str, Tensor],
             data_samples: list[Any]) -> dict[str, Tensor]:
        """Losses, and ``mpjpe_mm`` of the batch, see the head.

        Args:
            inputs (dict[str, Tensor]): See the class.
            data_samples (list[PoseDataSample]): With labels.
        """
        return self.head.loss(self.extract_feat(inputs), inputs, data_samples)

    def predict(self, inputs: dict[str, Tensor],
                data_samples: list[Any]) -> list[Any]:
        """Predict the keypoints.

        Args:
            inputs (dict[str, Tensor]): See the class.
            data_samples (list[PoseDataSample]): With ``grid_centres``.

        Returns:
            list[PoseDataSample]: The same, with ``pred_instances`` holding
            ``keypoints`` (I, K, 3) world mm, ``keypoint_scores`` (I, K) and
            ``spread_mm`` (I, K).
        """
        found = self.head.predict(
            self.extract_feat(inputs), inputs, data_samples)
        for sample, instances in zip(data_samples, found, strict=True):
            sample.pred_instances = instances
        return data_samples

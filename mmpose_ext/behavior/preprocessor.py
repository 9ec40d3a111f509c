"""From windows of tracks to what a network reads, on the device."""
from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseDataPreprocessor
from mmengine.runner import Runner
from torch import Tensor

from mmpose_ext.behavior.augmentation import parse_augmentations
from mmpose_ext.behavior.batch_augmentation import augment_windows
from mmpose_ext.behavior.features import (
    Layout,
    count_features,
    describe_frames,
)
from mmpose_ext.registry import HOOKS, MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import bare_model

MISSING = ('zero', 'mask')
_LIMIT = 10.  # deviations; what lies further is taken for an outlier
_SAMPLES = 512  # windows of each task from which the scale is found
_ROWS = 100_000  # and about as many of their frames


@MODELS.register_module()
class LisbetPreprocessor(BaseDataPreprocessor):
    """Augments windows and computes the features of their frames.

    Args:
        individuals (int): N. Defaults to 2.
        keypoints (int): K. Defaults to 7.
        axes (int): S. Defaults to 2.
        features (Sequence[str]): Groups of
            :data:`~mmpose_ext.behavior.features.GROUPS`. Defaults to
            ``('raw',)``, the coordinates as they are.
        body_axis (Sequence, optional): Keypoints at the back and at the
            front, as numbers or lists of numbers: features are then seen from
            the body. Defaults to None.
        missing (str): ``zero`` puts 0 for what is unknown; ``mask`` also
            tells which points are known, N * K features more. Defaults to
            ``zero``.
        standardize (bool): Subtract the mean of the training data and divide
            by its deviation; needs ``LisbetStandardizeHook``. Defaults to
            False.

    Attributes:
        feature_dim: Numbers of a frame: ``in_channels`` of the backbone.
        layout: Of a frame's coordinates.
    """

    mean: Tensor
    deviation: Tensor
    fitted: Tensor

    def __init__(self,
                 individuals: int = 2,
                 keypoints: int = 7,
                 axes: int = 2,
                 features: Sequence[str] = ('raw', ),
                 body_axis: Sequence[Any] | None = None,
                 missing: str = 'zero',
                 standardize: bool = False) -> None:
        super().__init__()
        if missing not in MISSING:
            raise ValueError(
                f'missing: expected one of {MISSING}, found {missing!r}')
        self.layout = Layout(individuals, keypoints, axes,
                             _check_axis(body_axis, keypoints))
        self.features = tuple(features)
        self.missing, self.standardize = missing, standardize
        count = count_features(self.layout, self.features)
        self.feature_dim = count + (
            individuals * keypoints if missing == 'mask' else 0)
        if standardize:
            self.register_buffer('mean', torch.zeros(count))
            self.register_buffer('deviation', torch.ones(count))
            self.register_buffer('fitted', torch.zeros((), dtype=torch.bool))

    def forward(self, data: dict[str, Any],
                training: bool = False) -> dict[str, Any]:
        """Prepare a batch.

        Args:
            data (dict): ``inputs`` (M, W, N, K, S), ``data_samples``, one a
                task, and maybe ``valid`` (M, 2) and ``draw_seeds`` (M,), as
                ``LisbetWindowDataset`` makes them.
            training (bool): Not used: the data set decides what is augmented.

        Returns:
            dict: ``inputs`` (M, W, feature_dim) float32, ``data_samples``.
        """
        # mixed precision, in which a training calls this, would turn animals
        # by matrices of 8 bits
        with torch.autocast(self.device.type, enabled=False):
            windows, samples = self.prepare(data)
            return dict(inputs=self.describe(windows, data.get('valid')),
                        data_samples=samples)

    def prepare(self, data: dict[str, Any]) -> tuple[Tensor, Any]:
        """Augment the windows of a batch, and hide what is asked for.

        Args:
            data (dict): As in :meth:`forward`; brought to the device.

        Returns:
            tuple: Windows (M, W, N, K, S), and the data samples.
        """
        data.update(self.cast_data(data))
        windows, samples = data['inputs'], data.get('data_samples')
        self.check_windows(windows)
        meta = samples[0].metainfo if samples else {}
        if meta.get('augmentation'):
            windows = augment_windows(
                windows, data['draw_seeds'], _parse(meta['augmentation']),
                meta['flip_indices'])
        for sample in samples or ():
            windows = self._set_targets(windows, sample)
        return windows, samples

    def check_windows(self, windows: Tensor) -> None:
        """Check that windows have the layout of the model.

        Raises:
            DataError: If they do not.
        """
        layout = self.layout
        wanted = (layout.individuals, layout.keypoints, layout.axes)
        if tuple(windows.shape[2:]) != wanted:
            raise DataError(
                'config', 'model.data_preprocessor',
                'individuals, keypoints, axes of the data, '
                f'{tuple(windows.shape[2:])}', f'{wanted}',
                'select the same points as in training')

    def describe(self, windows: Tensor,
                 valid: Tensor | None = None) -> Tensor:
        """Features of windows.

        Args:
            windows (Tensor): (M, W, N, K, S), NaN = missing.
            valid (Tensor, optional): int64 (M, 2), first and last + 1
                position that is no padding. Defaults to None: all.

        Returns:
            Tensor: (M, W, feature_dim).
        """
        found = describe_frames(windows, self.layout, self.features)
        if self.standardize:
            found = (found - self.mean) / self.deviation
        found = found.nan_to_num(0.)
        if self.standardize:
            found = found.clamp(-_LIMIT, _LIMIT)
        if self.missing == 'zero':
            return found
        known = ~windows[..., 0].isnan().flatten(2)
        if valid is not None:
            steps = torch.arange(windows.shape[1], device=windows.device)
            known &= ((steps >= valid[:, :1])
                      & (steps < valid[:, 1:]))[..., None]
        return torch.cat([found, known.to(found.dtype)], -1)

    def fit(self, windows: Tensor) -> None:
        """Find mean and deviation of the features of windows."""
        found = describe_frames(windows.to(self.mean.device), self.layout,
                                self.features).flatten(0, 1)
        found = found[::len(found) // _ROWS + 1].double()
        known = ~found.isnan()
        count = known.sum(0).clamp(min=1)
        # trimmed: outliers of tracking would set the scale of velocities
        middle = found.nanmedian(0).values
        spread = (found - middle).abs().nan_to_num(0.)
        limit = spread.quantile(.99, dim=0)
        kept = found.clamp(middle - 2 * limit, middle + 2 * limit)
        mean = kept.nan_to_num(0.).sum(0) / count
        variance = (kept - mean).square().nan_to_num(0.).sum(0) / count
        self.mean.copy_(mean)
        self.deviation.copy_(variance.sqrt().clamp(min=1e-6))
        self.fitted.fill_(True)

    def _set_targets(self, windows: Tensor, sample: Any) -> Tensor:
        """Hide what a task asks for, and keep it as the answer."""
        labels = sample.gt_instance_labels
        first = sample.metainfo['first']
        if 'hidden' in labels:
            hidden = labels.hidden
            part = windows[first:first + len(hidden)]
            asked = hidden[..., None] & ~part.isnan()
            labels.target = part.nan_to_num(0.).flatten(2)
            labels.target_mask = asked.flatten(2)
            windows = windows.clone()
            windows[first:first + len(hidden)] = part.masked_fill(
                hidden[..., None], float('nan'))
            del labels.hidden
        if 'future' in labels:
            future = labels.future
            last = windows[first:first + len(future), -1:]
            moved = future - last
            labels.target = moved.nan_to_num(0.).flatten(2)
            labels.target_mask = ~moved.isnan().flatten(2)
            del labels.future
        return windows


@HOOKS.register_module()
class LisbetStandardizeHook(Hook):
    """Finds the scale of the features from the training data.

    Before the first step, unless the weights that were loaded bring it along.
    All processes find the same.
    """

    def before_train(self, runner: Runner) -> None:
        """Fit the model's data preprocessor."""
        preprocessor: Any = bare_model(runner.model).data_preprocessor
        if not preprocessor.standardize:
            raise DataError(
                runner.cfg.filename or 'config', 'custom_hooks',
                'data_preprocessor.standardize=True beside '
                'LisbetStandardizeHook', 'False')
        if preprocessor.fitted:
            return
        dataset = runner.train_loop.dataloader.dataset
        count = min(_SAMPLES, len(dataset))
        batch = dataset.__getitems__(
            [i * len(dataset) // count for i in range(count)])
        preprocessor.check_windows(batch['inputs'])
        preprocessor.fit(batch['inputs'])


@functools.lru_cache(maxsize=8)
def _parse(text: str) -> tuple[Any, ...]:
    return parse_augmentations(text)


def _check_axis(axis: Sequence[Any] | None, keypoints: int) -> Any:
    """Back and front of a body, checked."""
    if axis is None:
        return None
    ends = tuple(part if isinstance(part, int) else tuple(part)
                 for part in axis)
    numbers = [number for part in ends
               for number in ((part, ) if isinstance(part, int) else part)]
    if len(ends) != 2 or not all(
            isinstance(number, int) and 0 <= number < keypoints
            for number in numbers):
        raise ValueError('body_axis: expected numbers of keypoints at the '
                         f'back and at the front, below {keypoints}, found '
                         f'{axis}')
    return ends

"""The model: one network for all tasks, a head for each."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmpose_ext.behavior.head import LisbetHead
from mmpose_ext.registry import HOOKS, MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import bare_model

WEIGHTINGS = ('fixed', 'uncertainty')


@MODELS.register_module()
class LisbetModel(BaseModel):
    """Reads windows once and lets the heads of all tasks answer.

    The windows of all tasks of a batch go through the network together; the
    sum of the losses and its gradients are those of a pass for each task.

    Args:
        backbone (dict): Config of the network, windows (M, W, F) to tokens
            (M, W, D).
        heads (dict[str, dict], optional): Configs of the heads by task.
            Defaults to None: no task, to embed only.
        window_offset (int): o of the data; the frame of a window is its token
            W - 1 - o. Defaults to 0.
        loss_weights (dict[str, float], optional): Of tasks; 1 for others.
            Defaults to None.
        weighting (str): ``fixed``, by `loss_weights`; or ``uncertainty``,
            which also learns a variance for each task, by which its loss is
            divided. Defaults to ``fixed``.
        data_preprocessor (dict, optional): Config of what makes windows
            (M, W, F). Defaults to None.
        init_cfg (dict, optional): As in MMEngine. Defaults to None.

    Raises:
        DataError: If a setting is not one of the above.
    """

    def __init__(self,
                 backbone: dict[str, Any],
                 heads: Mapping[str, dict[str, Any]] | None = None,
                 window_offset: int = 0,
                 loss_weights: Mapping[str, float] | None = None,
                 weighting: str = 'fixed',
                 data_preprocessor: dict[str, Any] | nn.Module | None = None,
                 init_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        _check_channels(self.data_preprocessor, self.backbone)
        self.heads = nn.ModuleDict({
            task: MODELS.build(head) for task, head in (heads or {}).items()})
        self.window_offset = window_offset
        for task in self.heads:
            self._head(task).window_offset = window_offset
        self.loss_weights = dict(loss_weights or {})
        _check_weights(self.loss_weights, weighting, list(self.heads))
        self.log_variances = (
            nn.ParameterDict({task: nn.Parameter(torch.zeros(()))
                              for task in self.heads})
            if weighting == 'uncertainty' else None)

    def forward(self, inputs: Tensor,
                data_samples: Sequence[Any] | None = None,
                mode: str = 'tensor') -> Any:
        """Run the model as MMEngine's loops do.

        Args:
            inputs (Tensor): Prepared windows (M, W, F), task after task.
            data_samples (Sequence[PoseDataSample], optional): One a task,
                with metainfo ``task``, ``first`` (place of its first window)
                and maybe ``windows``, their number, and ``gt_instance_labels``
                of length B. Defaults to None, for mode ``tensor``.
            mode (str): ``loss``, ``predict`` or ``tensor``. Defaults to
                ``tensor``.

        Returns:
            dict | list | Tensor: Losses ``loss_<task>`` and accuracies
            ``acc_<task>``; the data samples with ``pred_instances``; or
            tokens (M, W, D).

        Raises:
            DataError: If the tasks of the batch are not those of the heads.
        """
        if mode == 'tensor':
            return self.extract_feat(inputs)
        if mode == 'loss':
            return self.loss(inputs, data_samples or ())
        if mode == 'predict':
            return self.predict(inputs, data_samples or ())
        raise RuntimeError(f'mode: expected loss, predict or tensor, '
                           f'found {mode!r}')

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Tokens (M, W, D) of windows (M, W, F) or (M, W, N, K, S)."""
        tokens: Tensor = self.backbone(inputs.flatten(2))[-1]
        return tokens

    def loss(self, inputs: Tensor,
             data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """See :meth:`forward`."""
        tasks = [sample.metainfo['task'] for sample in data_samples]
        if set(tasks) != set(self.heads):
            raise _other_tasks(tasks, list(self.heads))
        self._check_offset(data_samples)
        feats = self._tokens_for_heads(inputs)
        results = {}
        for task, sample in zip(tasks, data_samples, strict=True):
            with torch.autocast(feats.device.type, enabled=False):
                found = self._head(task).loss(_part(feats, sample), sample)
            loss = self.loss_weights.get(task, 1.) * found.pop('loss')
            if self.log_variances is not None:
                spread = self.log_variances[task]
                loss = loss * torch.exp(-spread) + spread / 2
            results[f'loss_{task}'] = loss
            results.update({f'{name}_{task}': value
                            for name, value in found.items()})
        return results

    def predict(self, inputs: Tensor,
                data_samples: Sequence[Any]) -> Sequence[Any]:
        """See :meth:`forward`; a batch may lack tasks here."""
        tasks = [sample.metainfo['task'] for sample in data_samples]
        if not tasks or not set(tasks) <= set(self.heads):
            raise _other_tasks(tasks, list(self.heads))
        self._check_offset(data_samples)
        feats = self._tokens_for_heads(inputs)
        with torch.autocast(feats.device.type, enabled=False):
            for task, sample in zip(tasks, data_samples, strict=True):
                sample.pred_instances = InstanceData(
                    **self._head(task).predict(_part(feats, sample), sample))
        return data_samples

    def _tokens_for_heads(self, inputs: Tensor) -> Tensor:
        """Tokens in full precision: heads are small, and their sums long."""
        feats = self.extract_feat(inputs)
        return feats.to(torch.promote_types(feats.dtype, torch.float32))

    def set_class_counts(self, counts: Any, frames: int,
                         classes: Sequence[str] = ()) -> None:
        """Tell losses how frequent the classes of the training data are.

        Args:
            counts (Sequence[int]): Frames that show each class, C.
            frames (int): All frames.
            classes (Sequence[str]): Names, for errors. Defaults to ().

        Raises:
            DataError: If a loss asks for it and a class does not occur.
        """
        for task in self.heads:
            self._head(task).set_class_counts(
                torch.as_tensor(counts), frames, classes)

    def _check_offset(self, data_samples: Sequence[Any]) -> None:
        """Check that the frame of a window is where the model looks for it.

        Raises:
            DataError: If it is not.
        """
        found = data_samples[0].metainfo.get('window_offset')
        if found not in (None, self.window_offset):
            raise DataError(
                'config', 'model.window_offset',
                f'that of the data, {found}', str(self.window_offset),
                'set both alike')

    def _head(self, task: str) -> LisbetHead:
        head: Any = self.heads[task]
        return head


@HOOKS.register_module()
class LisbetClassBalanceHook(Hook):
    """Tells the model how frequent the classes of the training data are."""

    def before_train(self, runner: Runner) -> None:
        """Count, once.

        Raises:
            DataError: If the data has no classes, or lacks one.
        """
        dataset = runner.train_loop.dataloader.dataset
        meta = dataset.metainfo
        counts = meta.get('class_counts')
        if counts is None:
            raise DataError(
                runner.cfg.filename or 'config', 'custom_hooks',
                'no LisbetClassBalanceHook, or annotated training data',
                'data without annotations', 'set annotation_format')
        model: Any = bare_model(runner.model)
        model.set_class_counts(counts, dataset.store.total_frames,
                               meta.get('classes', ()))


def _check_channels(preprocessor: Any, backbone: Any) -> None:
    """Check that the network takes as many features as there are.

    Raises:
        DataError: If it does not.
    """
    made = getattr(preprocessor, 'feature_dim', None)
    taken = getattr(backbone, 'in_channels', None)
    if None not in (made, taken) and made != taken:
        raise DataError(
            'config', 'model.backbone.in_channels',
            f'{made}, what data_preprocessor makes of a frame', str(taken))


def _part(feats: Tensor, sample: Any) -> Tensor:
    """The tokens of a sample's windows."""
    first = sample.metainfo['first']
    count = sample.metainfo.get('windows')
    if count is None:
        count = len(sample.gt_instance_labels)
    return feats[first:first + count]


def _other_tasks(tasks: list[str], heads: list[str]) -> DataError:
    return DataError(
        'config', 'model.heads',
        f'heads for the tasks of the data: {", ".join(sorted(tasks)) or "-"}',
        f'heads for {", ".join(sorted(heads)) or "no task"}',
        'name the same tasks in dataset.tasks and model.heads')


def _check_weights(weights: Mapping[str, float], weighting: str,
                   tasks: list[str]) -> None:
    if weighting not in WEIGHTINGS:
        raise DataError('config', 'model.weighting',
                        f'one of {", ".join(WEIGHTINGS)}', repr(weighting))
    for task in weights:
        if task not in tasks:
            raise DataError('config', f'model.loss_weights.{task}',
                            f'one of {", ".join(tasks)}', repr(task))

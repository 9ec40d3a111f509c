"""What is logged, and monitors that may be missing."""
from __future__ import annotations

import netrc
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import LogProcessor, Runner
from mmengine.visualization.vis_backend import BaseVisBackend

from mmpose_ext.registry import LOG_PROCESSORS, VISBACKENDS

_PACKAGES = dict(
    TensorboardVisBackend='tensorboard',
    WandbVisBackend='wandb',
    MLflowVisBackend='mlflow',
    ClearMLVisBackend='clearml',
    NeptuneVisBackend='neptune',
    DVCLiveVisBackend='dvclive',
    AimVisBackend='aim')

# a figure of a part ('horse/PCK@0.1/l_knee') or an end of an interval
_DETAIL = re.compile(r'\s\s(?:[^\s/]+/[^\s/]+/\S+|\S+_(?:low|high)): \S+')
# the norm of a component ('grad_norm/head.hand'), not 'grad_norm' of all
_COMPONENT = re.compile(r'\s\sgrad_norm/\S+: \S+')


@LOG_PROCESSORS.register_module()
class ShortLogProcessor(LogProcessor):
    """``LogProcessor`` that prints the main figures alone.

    Figures of single parts (names with two slashes) and the ends of
    intervals (``_low``, ``_high``) of a validation, and norms of components'
    gradients (``grad_norm/...``) of training, go to all monitors, but not
    into the line on the screen, which would be pages long.
    """

    def get_log_after_iter(self, runner: Runner, batch_idx: int,
                           mode: str) -> tuple[dict[str, Any], str]:
        """Scalars of an iteration, and the line about them."""
        scalars, line = super().get_log_after_iter(runner, batch_idx, mode)
        return scalars, _COMPONENT.sub('', line)

    def get_log_after_epoch(self, runner: Runner, batch_idx: int, mode: str,
                            with_non_scalar: bool = False
                            ) -> tuple[dict[str, Any], str]:
        """Figures of a validation or test, and the line about them."""
        figures, line = super().get_log_after_epoch(
            runner, batch_idx, mode, with_non_scalar)
        return figures, _DETAIL.sub('', line)


@VISBACKENDS.register_module()
class OptionalVisBackend(BaseVisBackend):
    """A visualization backend that is left out where it cannot run.

    It behaves as the wrapped one. If that one's package is missing, or it
    cannot start (no key, no network), one warning tells what to do and
    nothing is sent from then on. A mistake in its config stays an error.

    Args:
        backend (dict): Config of the wrapped backend.
        save_dir (str): Where it writes; the visualizer fills it in.
        enabled_by (str, optional): Name of an environment variable without
            which it is left out in silence. Defaults to None.

    Weights & Biases without a key writes to the work directory alone
    (``WANDB_MODE=offline``), in place of asking for one.

    Example:
        >>> visualizer = dict(vis_backends=[
        >>>     dict(type='LocalVisBackend'),
        >>>     # MMEngine wants a name where a type occurs twice
        >>>     dict(type='mmpose_ext.OptionalVisBackend', name='tensorboard',
        >>>          backend=dict(type='TensorboardVisBackend'))])
    """

    def __init__(self, backend: dict[str, Any], save_dir: str,
                 enabled_by: str | None = None) -> None:
        super().__init__(save_dir)
        self._type = backend['type']
        self._backend: BaseVisBackend | None = None
        if enabled_by is not None and not os.environ.get(enabled_by):
            return
        if self._type == 'WandbVisBackend' and not _has_wandb_key():
            os.environ.setdefault('WANDB_MODE', 'offline')
        try:
            self._backend = VISBACKENDS.build(
                {'save_dir': save_dir, **backend})
        except ImportError as error:
            self._leave_out(error)

    @property
    def experiment(self) -> Any:
        """What the wrapped backend writes to; None if it is left out."""
        backend = self._started()
        return None if backend is None else backend.experiment

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config."""
        if backend := self._started():
            backend.add_config(config, **kwargs)

    def add_graph(self, model: torch.nn.Module,
                  data_batch: Sequence[dict[str, Any]],
                  **kwargs: Any) -> None:
        """Record the graph of a model."""
        if backend := self._started():
            backend.add_graph(model, data_batch, **kwargs)

    def add_image(self,
                  name: str,
                  image: np.ndarray,
                  step: int = 0,
                  **kwargs: Any) -> None:
        """Record an image, uint8 RGB (H, W, 3)."""
        if backend := self._started():
            backend.add_image(name, image, step, **kwargs)

    def add_scalar(self,
                   name: str,
                   value: float,
                   step: int = 0,
                   **kwargs: Any) -> None:
        """Record a number."""
        if backend := self._started():
            backend.add_scalar(name, value, step, **kwargs)

    def add_scalars(self,
                    scalar_dict: dict[str, Any],
                    step: int = 0,
                    file_path: str | None = None,
                    **kwargs: Any) -> None:
        """Record several numbers."""
        if backend := self._started():
            backend.add_scalars(scalar_dict, step, file_path, **kwargs)

    def close(self) -> None:
        """Close the wrapped backend, if it was ever used."""
        if self._backend is not None and self._env_initialized:
            self._backend.close()

    def _init_env(self) -> None:
        """Start the wrapped backend, or leave it out."""
        self._env_initialized = True
        if self._backend is None:
            return
        try:
            self._backend._init_env()
            self._backend._env_initialized = True
        except (TypeError, ValueError):  # a mistake in the config
            raise
        except Exception as error:  # each monitor has errors of its own
            self._leave_out(error)

    def _started(self) -> BaseVisBackend | None:
        if not self._env_initialized:
            self._init_env()
        return self._backend

    def _leave_out(self, error: Exception) -> None:
        self._backend = None
        reason = str(error).strip() or type(error).__name__
        cure = 'switch it off in `visualizer.vis_backends`'
        if isinstance(error, ImportError):
            name = str(self._type).rpartition('.')[2]
            package = _PACKAGES.get(name, error.name)
            cure = f'`pip install {package}`, or {cure}'
        MMLogger.get_current_instance().warning(
            f'{self._type} is left out: {reason}. To change that: {cure}.')


def _has_wandb_key() -> bool:
    """Whether Weights & Biases would find a key, where it looks for one."""
    if os.environ.get('WANDB_API_KEY'):
        return True
    try:
        return netrc.netrc().authenticators('api.wandb.ai') is not None
    except (OSError, netrc.NetrcParseError):
        return False

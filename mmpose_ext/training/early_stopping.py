"""Early stopping that survives a resume."""
from __future__ import annotations

from typing import Any

from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner

from mmpose_ext.registry import HOOKS
from mmpose_ext.training.phases import (
    check_boundary,
    config_name,
    nearest_start,
    run_progress,
)


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """``EarlyStoppingHook`` whose best score and patience are checkpointed.

    MMEngine's starts counting anew after a resume. It acts before the
    checkpoint hook, so that what a validation has changed is part of the
    checkpoint saved after it.

    Args:
        *args: As in ``EarlyStoppingHook``.
        begin (float): From when on validations count: a fraction of the run
            in [0, 1), or a number of epochs. Defaults to 0.
        **kwargs: As in ``EarlyStoppingHook``.
    """

    priority = 'LOW'

    def __init__(self, *args: Any, begin: float = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begin = begin

    def before_train(self, runner: Runner) -> None:
        """Refuse a `begin` that is none."""
        check_boundary(self.begin, config_name(runner.cfg),
                       f'{type(self).__name__}.begin')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Count the validation, if it counts."""
        progress, total = run_progress(runner)
        if progress >= nearest_start(self.begin, total):
            super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict[str, Any]) -> None:
        """Store the state, under the name of the monitored metric."""
        states = checkpoint.setdefault('early_stopping', {})
        states[self.monitor] = dict(
            settings=self._settings(),
            best_score=float(self.best_score),
            wait_count=self.wait_count,
            stopped=bool(runner.train_loop.stop_training))

    def after_load_checkpoint(self, runner: Runner,
                              checkpoint: dict[str, Any]) -> None:
        """Take the state up again, if the run is resumed.

        A run that had stopped stays stopped, unless the settings changed:
        who raises the patience wants it to go on.
        """
        state = checkpoint.get('early_stopping', {}).get(self.monitor)
        if state is None or not runner._resume:
            return
        self.best_score = state['best_score']
        self.wait_count = state['wait_count']
        if state['stopped'] and state['settings'] == self._settings():
            runner.train_loop.stop_training = True
            runner.logger.info(
                f'{self.monitor} had stopped this run early; raise the '
                'patience to go on')

    def _settings(self) -> list[Any]:
        return [
            self.rule, self.min_delta, self.patience, self.check_finite,
            self.stopping_threshold, self.begin
        ]

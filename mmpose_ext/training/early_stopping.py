"""Early stopping that survives a resume."""
from __future__ import annotations

from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner

from mmpose_ext.registry import HOOKS


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """``EarlyStoppingHook`` whose best score and patience are checkpointed.

    MMEngine's starts counting anew after a resume. Arguments are the same.
    It acts before the checkpoint hook, so that what a validation has changed
    is part of the checkpoint saved after it.
    """

    priority = 'LOW'

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict) -> None:
        """Store the state, under the name of the monitored metric."""
        states = checkpoint.setdefault('early_stopping', {})
        states[self.monitor] = dict(
            settings=self._settings(),
            best_score=float(self.best_score),
            wait_count=self.wait_count,
            stopped=bool(runner.train_loop.stop_training))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
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

    def _settings(self) -> list:
        return [
            self.rule, self.min_delta, self.patience, self.check_finite,
            self.stopping_threshold
        ]

"""Checkpoints that are whole or absent, and that a run goes on from."""
from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import (
    all_reduce_params,
    broadcast_object_list,
    is_main_process,
)
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmengine.runner.base_loop import BaseLoop
from torch import Tensor

from mmpose_ext.compat.checkpoints import damage
from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.atomic import atomic_file
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training.log_failures import outlive_log_failures
from mmpose_ext.training.phases import run_progress
from mmpose_ext.training.recovery import (
    find_whole_checkpoint,
    remove_temporaries,
)
from mmpose_ext.training.stages import bare_model


class AtomicLocalBackend(LocalBackend):
    """MMEngine's local file backend, writing files whole or not at all.

    Registered with ``mmengine.fileio`` as ``atomic_local``.
    """

    def __init__(self) -> None:
        self._postponed: list[str] | None = None

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; an older file stays until they are on the disk."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_file(filepath) as temporary:
                temporary.write_bytes(obj)
        except OSError as error:
            error.filename = str(filepath)  # not the temporary, or none
            raise

    def put_text(self,
                 obj: str,
                 filepath: str | Path,
                 encoding: str = 'utf-8') -> None:
        """Write text; an older file stays until it is on the disk."""
        self.put(obj.encode(encoding), filepath)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file, or note it while removals are postponed."""
        if self._postponed is None:
            super().remove(filepath)
        else:
            self._postponed.append(str(filepath))

    @contextmanager
    def postponed_removals(self) -> Iterator[list[str]]:
        """Remove files after the body, and none if it fails.

        Yields:
            list[str]: The files to be removed, open to changes.
        """
        postponed: list[str] = []
        self._postponed = postponed
        try:
            yield postponed
        finally:
            self._postponed = None
        for filepath in postponed:
            super().remove(filepath)


register_backend('atomic_local', AtomicLocalBackend, force=True)


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """``CheckpointHook`` for runs that are killed and resumed at any time.

    Arguments are the same; an unknown one is an error. What differs:

    * A checkpoint appears under its name only once it is on the disk, and
      the files it replaces (``max_keep_ckpts``, the previous best) go after
      that. The disk therefore holds one file more than kept for a moment.
    * Before a resume or a test the checksums of the file are verified.
      ``--resume`` without a path names a damaged newest file and takes the
      newest whole one; if there is none, that is an error.
    * MMEngine saves an epoch before it validates it. A run killed between
      the two makes up for the validation when it is resumed, so that best
      checkpoint, early stopping and history are those of an undisturbed run.
    * A run's folder may be moved or copied: the files in it are used, and
      never those at the old place.
    """

    def __init__(self,
                 *args: Any,
                 out_dir: str | Path | None = None,
                 file_client_args: dict[str, Any] | None = None,
                 backend_args: dict[str, Any] | None = None,
                 **kwargs: Any) -> None:
        is_local = '://' not in str(out_dir)
        if backend_args is None and file_client_args is None and is_local:
            backend_args = dict(backend='atomic_local')
        super().__init__(
            *args,
            out_dir=out_dir,
            file_client_args=file_client_args,
            backend_args=backend_args,
            **kwargs)
        if self.args:
            raise TypeError(f'{type(self).__name__} has no argument '
                            f'{", ".join(map(repr, self.args))}')
        self._is_atomic = backend_args == dict(backend='atomic_local')

    def before_run(self, runner: Runner) -> None:
        """Verify the checkpoint to be loaded, or find one.

        Raises:
            DataError: If it, or every one there is, is missing or damaged.
        """
        if runner._has_loaded:
            return
        if runner._load_from is not None:
            _on_main_process(_check_given, runner._load_from, runner._resume)
        elif runner._resume and self._is_atomic:
            folder = self._folder(runner)
            found, damaged = _on_main_process(find_whole_checkpoint,
                                              runner.work_dir, folder,
                                              self.filename_tmpl)
            if found is not None and damaged:
                runner.logger.warning(f'{"; ".join(damaged)} in {folder}. '
                                      f'Resuming from {Path(found).name}.')

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder and make up for a validation that was missed."""
        runner.logger.addFilter(_is_news)
        outlive_log_failures(runner)
        if self._is_atomic:
            folder = self._folder(runner)
            self._adopt_files(runner, folder)
            if is_main_process():
                remove_temporaries(folder)
        super().before_train(runner)
        # MMEngine formats the config's text for every save; for one of
        # MMPose's that takes half a second, and plain text serves as well
        object.__setattr__(runner.cfg, '_format_python_code', False)
        if runner.iter == 0:
            return
        self.last_ckpt = runner.message_hub.get_info('last_ckpt')
        if self._validation_was_missed(runner):
            runner.logger.info(
                'the checkpoint was saved before its validation, which '
                'follows now')
            runner.val_loop.run()

    def after_train_iter(self, runner: Runner, *args: Any,
                         **kwargs: Any) -> None:
        """Save, if iterations are counted and it is due."""
        if self.by_epoch:
            return
        with self._old_files_last():
            super().after_train_iter(runner, *args, **kwargs)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save, if epochs are counted and it is due."""
        with self._old_files_last():
            super().after_train_epoch(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Note that the validation is done, and save if it is the best."""
        if not isinstance(runner._train_loop, BaseLoop):
            return  # validation without training
        runner.message_hub.update_info('last_validation',
                                       run_progress(runner)[0])
        with self._old_files_last():
            super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict[str, Any]) -> None:
        """Add gradients that wait for the next step of the optimizer."""
        pending = _pending_gradients(runner)
        if pending and 'optimizer' in checkpoint:
            checkpoint['pending_gradients'] = {
                name: gradient.cpu()
                for name, gradient in pending.items()
            }

    def after_load_checkpoint(self, runner: Runner,
                              checkpoint: dict[str, Any]) -> None:
        """Restore gradients that wait for the next step of the optimizer."""
        pending = checkpoint.get('pending_gradients', {})
        if not runner._resume:
            return
        for name, parameter in bare_model(runner.model).named_parameters():
            if name in pending:
                parameter.grad = pending[name].to(parameter.device)

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict[str, Any]) -> None:
        # the file holds the state of the main process alone: what differs
        # between the processes has to be made equal before
        all_reduce_params(list(_pending_gradients(runner).values()), op='mean')
        if not self.by_epoch:  # after an epoch SyncBuffersHook has done it
            all_reduce_params(runner.model.buffers(), op='mean')
        super()._save_checkpoint_with_step(runner, step, meta)

    def _folder(self, runner: Runner) -> Path:
        """The folder of the checkpoints, as the base class will name it."""
        if self.out_dir is None or self.out_dir == runner.work_dir:
            return Path(runner.work_dir)
        return Path(self.out_dir) / Path(runner.work_dir).name

    @staticmethod
    def _adopt_files(runner: Runner, folder: Path) -> None:
        """Look for the files of a moved run in its new folder."""
        info = runner.message_hub.runtime_info
        for key, path in list(info.items()):
            if path and (key == 'last_ckpt' or key.startswith('best_ckpt')):
                runner.message_hub.update_info(key,
                                               str(folder / Path(path).name))

    @staticmethod
    def _validation_was_missed(runner: Runner) -> bool:
        loop, done = runner.train_loop, run_progress(runner)[0]
        if runner.val_loop is None:
            return False
        loop._decide_current_val_interval()
        end = (loop.max_iters if isinstance(loop, IterBasedTrainLoop) else
               loop.max_epochs)
        was_due = done >= max(loop.val_begin, 1) and (
            done % loop.val_interval == 0 or done == end)
        return was_due and (runner.message_hub.get_info('last_validation') !=
                            done)

    @contextmanager
    def _old_files_last(self) -> Iterator[None]:
        """Remove replaced files at the end; say so when saving fails."""
        if not self._is_atomic:
            yield
            return
        try:
            with self.file_backend.postponed_removals() as removals:
                yield
                current = {
                    self.last_ckpt,
                    getattr(self, 'best_ckpt_path', None),
                    *getattr(self, 'best_ckpt_path_dict', {}).values()
                }
                # a best checkpoint may replace the one of the same name
                removals[:] = [p for p in removals if p not in current]
        except OSError as error:
            free = shutil.disk_usage(self.out_dir).free >> 20
            raise OSError(
                error.errno,
                f'a checkpoint could not be written: {error.strerror}, '
                f'{free} MB are free. The older ones are intact: mend the '
                'cause and go on with --resume',
                error.filename or str(self.out_dir)) from error


def _check_given(path: str, resume: bool) -> None:
    """Refuse a damaged file that was named by the user; pass by URLs."""
    if '://' in path:
        return
    if reason := damage(Path(path).expanduser()):
        hint = '--resume without a path takes the newest whole one'
        raise DataError(path, 'checkpoint', 'a whole one', reason,
                        hint if resume else '')


def _on_main_process(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function once, and return or raise the outcome everywhere."""
    outcome: list[Any] = [None]
    if is_main_process():
        try:
            outcome = [function(*args)]
        except DataError as error:
            outcome = [error]
    broadcast_object_list(outcome)
    if isinstance(outcome[0], DataError):
        raise outcome[0]
    return outcome[0]


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line is not MMEngine's complaint about its own old parts."""
    message = record.getMessage()
    return '"FileClient"' not in message and (
        '"HardDiskBackend"' not in message)


def _pending_gradients(runner: Runner) -> dict[str, Tensor]:
    """Gradients gathered since the optimizer's last step."""
    wrapper = runner.optim_wrapper
    every = getattr(wrapper, '_accumulative_counts', 1)
    if every == 1 or wrapper._inner_count % every == 0:
        return {}
    return {
        name: parameter.grad
        for name, parameter in bare_model(runner.model).named_parameters()
        if parameter.grad is not None
    }

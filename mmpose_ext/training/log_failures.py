"""Logs that can no longer be written, as on a full disk.

They end no training, and do not bury in words what does: the checkpoint that
finds no space either.
"""
from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

from mmengine.runner import Runner


def outlive_log_failures(runner: Runner) -> None:
    """Make the loss of a log one warning in place of an error each time.

    Args:
        runner (Runner): Of a training about to begin.
    """
    told: set[str] = set()

    def tell(place: str, error: OSError) -> None:
        if place not in told:
            told.add(place)  # first: the warning goes to the log, too
            runner.logger.warning(
                f'{place} cannot be written any more: {error.strerror}. '
                'The training goes on without it.')

    for handler in runner.logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = functools.partial(  # type: ignore
                _handle_error, handler, tell)
    for backend in runner.visualizer._vis_backends.values():
        for name in ('add_scalar', 'add_scalars'):
            setattr(backend, name, _without_failure(
                getattr(backend, name), type(backend).__name__, tell))


def _handle_error(handler: logging.FileHandler,
                  tell: Callable[[str, OSError], None],
                  record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        tell(handler.baseFilename, error)
    else:
        logging.Handler.handleError(handler, record)


def _without_failure(write: Callable[..., Any], place: str,
                     tell: Callable[[str, OSError], None]
                     ) -> Callable[..., Any]:
    """A writer of scalars whose failure is told."""

    @functools.wraps(write)
    def attempt(*args: Any, **kwargs: Any) -> Any:
        try:
            return write(*args, **kwargs)
        except OSError as error:
            tell(f'the log of {place}', error)

    return attempt

"""A log that cannot be written is told once, and ends no training."""
from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmpose_ext.training.log_failures import outlive_log_failures


class FullBackend:
    def add_scalars(self, scalars: dict) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def add_scalar(self, name: str, value: float) -> None:
        raise ValueError(name)


@pytest.fixture
def runner(tmp_path: Path):
    logger = logging.getLogger(str(tmp_path))
    logger.setLevel('INFO')
    logger.addHandler(logging.FileHandler(tmp_path / 'a.log'))
    visualizer = SimpleNamespace(_vis_backends=dict(full=FullBackend()))
    runner = SimpleNamespace(logger=logger, visualizer=visualizer)
    outlive_log_failures(runner)
    yield runner
    with contextlib.suppress(OSError):  # what /dev/full never took
        logger.handlers[0].close()


def test_lost_log_file_is_told_once(runner, caplog, capsys) -> None:
    handler = runner.logger.handlers[0]
    handler.stream.close()
    handler.stream = open('/dev/full', 'w')  # noqa: SIM115
    for _ in range(3):
        runner.logger.info('a line')
    assert capsys.readouterr().err == ''
    [warning] = [record.message for record in caplog.records
                 if record.levelname == 'WARNING']
    assert handler.baseFilename in warning and 'No space left' in warning


def test_lost_figures_are_told_once(runner, caplog) -> None:
    backend = runner.visualizer._vis_backends['full']
    for _ in range(3):
        backend.add_scalars(dict(loss=1.))
    [warning] = [record.message for record in caplog.records]
    assert 'FullBackend' in warning and 'No space left' in warning


def test_other_mistakes_stay_errors(runner) -> None:
    with pytest.raises(ValueError, match='loss'):
        runner.visualizer._vis_backends['full'].add_scalar('loss', 1.)

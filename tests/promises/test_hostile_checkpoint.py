"""A checkpoint that would run code does not."""
from __future__ import annotations

import os

import pytest
import torch


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command, )


@pytest.fixture
def trap(undisturbed, tmp_path):
    """A checkpoint like any other, but for one entry."""
    sprung = tmp_path / 'sprung'
    checkpoint = undisturbed.checkpoint
    checkpoint['message_hub']['runtime_info']['note'] = Trap(
        f'touch {sprung}')
    path = tmp_path / 'run' / 'epoch_1.pth'
    path.parent.mkdir()
    torch.save(checkpoint, path)
    (path.parent / 'last_checkpoint').write_text(str(path))
    yield path, sprung
    assert not sprung.exists()


def test_trap_is_a_trap(trap):
    path, sprung = trap
    torch.load(path, weights_only=False)
    assert sprung.exists()
    sprung.unlink()


@pytest.mark.parametrize('way', ['resume', 'resume path', 'load', 'test'])
def test_is_refused(family, trap, new_run, way):
    path, _ = trap
    run = new_run()
    if way == 'resume':
        run.folder = path.parent
        family.train(run, '--resume')
    elif way == 'resume path':
        family.train(run, '--resume', str(path))
    elif way == 'load':
        family.train(run, load_from=path)
    else:
        family.test(run, path)
    assert run.codes == [1]
    assert 'UnsafeCheckpointError' in run.log and 'refused' in run.log
    assert path.name in run.log and 'system' in run.log

"""Work that waits for an import, and what that saves."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmpose_ext.compat.late import after_import


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module that nobody has imported yet."""
    (tmp_path / 'late_example.py').write_text('value = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'late_example', raising=False)
    return 'late_example'


def test_acts_once_when_the_module_is_whole(module: str) -> None:
    seen = []
    after_import(module, lambda: seen.append(sys.modules[module].value))
    assert seen == []
    found = __import__(module)
    __import__(module)
    assert seen == [1]
    # others find the module as if nobody had waited
    assert type(found.__spec__.loader).__name__ == 'SourceFileLoader'
    assert found.__loader__ is found.__spec__.loader


def test_acts_at_once_after_the_import(module: str) -> None:
    __import__(module)
    seen: list[int] = []
    after_import(module, lambda: seen.append(1))
    assert seen == [1]


def test_an_error_of_the_action_is_the_imports(module: str) -> None:
    def fail() -> None:
        raise OSError('no group')

    after_import(module, fail)
    with pytest.raises(OSError, match='no group'):
        __import__(module)


# Each begins the imports of MMEngine at another end.
FIRST = ('mmpose.apis', 'mmpose_ext.compat.checkpoints')


@pytest.mark.parametrize('first', FIRST)
def test_the_runner_is_mended_whatever_is_imported_first(first: str) -> None:
    code = f'''
import json, sys
import mmpose_ext
light = 'mmengine.runner' not in sys.modules
import {first}
from mmengine.runner import CheckpointLoader
from mmengine.registry import MODEL_WRAPPERS
print(json.dumps([
    light, CheckpointLoader._get_checkpoint_loader('x.pth').__module__,
    MODEL_WRAPPERS.get('mmpose_ext.AnyDeviceDistributedDataParallel'
                       ).__name__]))
'''
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                          capture_output=True, text=True, check=True)
    light, loader, wrapper = json.loads(done.stdout.splitlines()[-1])
    assert light, 'importing the package imports the runner: a second more'
    assert loader == 'mmpose_ext.compat.checkpoints'
    assert wrapper == 'AnyDeviceDistributedDataParallel'

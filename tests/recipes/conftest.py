"""Where the recipes' commands are given."""
from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def here(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a module's data, which is the current one."""
    monkeypatch.chdir(data)
    return data

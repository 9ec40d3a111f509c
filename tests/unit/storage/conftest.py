"""What the tests of damaged files share."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from mmpose_ext.storage import DataError

Refused = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Expect one `DataError` at a place, and nothing left behind."""

    @contextmanager
    def expect(where: str) -> Iterator[None]:
        before = sorted(tmp_path.rglob('*'))
        with pytest.raises(DataError) as caught:
            yield
        assert caught.value.where == where
        assert '\n' not in str(caught.value)
        assert str(tmp_path) in caught.value.file
        assert sorted(tmp_path.rglob('*')) == before

    return expect

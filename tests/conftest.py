"""What every test stands on: a quiet machine, and real data where it is."""
from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_count = itertools.count()

# Before torch, numpy and matplotlib are imported, here and in subprocesses:
# one thread for each worker of pytest-xdist, and no screen.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    needing = [item for item in items if item.get_closest_marker('gpu')]
    if not needing:
        return
    import torch
    if not torch.cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))


@pytest.fixture(autouse=True)
def default_scope(request: pytest.FixtureRequest) -> None:
    """Begin every test in the scope of configs, whatever ran before it."""
    from mmengine.registry import DefaultScope
    DefaultScope.get_instance(
        f'{request.node.nodeid} {next(_count)}', scope_name='mmpose')


@pytest.fixture(scope='session')
def real_data() -> Path:
    """The folder of published data, which the repository does not hold."""
    folder = Path(
        os.environ.get('MMPOSE_EXT_REAL_DATA', ROOT.parent / 'shared' /
                       'data'))
    if not folder.is_dir():
        pytest.skip(f'no real data in {folder} (MMPOSE_EXT_REAL_DATA)')
    return folder

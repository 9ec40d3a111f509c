"""What every test stands on: a quiet machine, and real data where it is."""
from __future__ import annotations

import itertools
import multiprocessing
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_count = itertools.count()

# Before torch, numpy and matplotlib are imported, here and in subprocesses:
# one thread for each worker of pytest-xdist, and no screen.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

# Processes that train together are forked from one that has imported MMPose
# and has no threads: a fork of this one may wait for ever for a lock that one
# of its threads held.
multiprocessing.set_forkserver_preload(['mmpose_ext', 'mmpose.apis'])


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none; share fixtures.

    What shares them goes to one worker of ``pytest -n 2 --dist loadgroup``.
    """
    for item in items:
        if not item.get_closest_marker('xdist_group'):
            item.add_marker(pytest.mark.xdist_group(_group_of(item)))
    needing = [item for item in items if item.get_closest_marker('gpu')]
    if not needing:
        return
    import torch
    if not torch.cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))


def _group_of(item: pytest.Item) -> str:
    """The tests of a file, or those of a family that trains for all."""
    parameters = getattr(item, 'callspec', None)
    family = parameters.params.get('family') if parameters else None
    if isinstance(family, Path):
        return f'promises of {family.parent.name}'
    return f'{item.path.parent.name}/{item.path.stem}'


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

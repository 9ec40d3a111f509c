"""Every family's tiny config, trained in the ways that promises compare."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.front_door.client import shared_server

from .trainings import FAMILIES, ITERATIONS, Family, Run, make_family


@pytest.fixture(scope='session')
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the configs look for data."""
    folder = tmp_path_factory.mktemp('data')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMPOSE_EXT_DATA', str(folder))
        yield folder


@pytest.fixture(
    scope='session', params=FAMILIES, ids=[path.stem for path in FAMILIES])
def family(request: pytest.FixtureRequest, data_folder: Path,
           tmp_path_factory: pytest.TempPathFactory) -> Family:
    """Each tiny config in turn, with its data."""
    path: Path = request.param
    return make_family(path, data_folder, tmp_path_factory.mktemp(path.stem),
                       shared_server())


@pytest.fixture(scope='session')
def new_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Run]:
    """Makes empty folders to train in."""
    return lambda: Run(tmp_path_factory.mktemp('run'))


@pytest.fixture(scope='session')
def undisturbed(family: Family, new_run: Callable[[], Run]) -> Run:
    """The training that all others are compared with."""
    run = family.train(new_run())
    assert run.codes == [0], run.log
    return run


@pytest.fixture(scope='session')
def killed(family: Family, new_run: Callable[[], Run]) -> Run:
    """A training killed in the middle of its last epoch; copy before use."""
    run = family.train(
        new_run(), kill=f'before_train_iter:{2 * ITERATIONS + 2}')
    assert run.codes == [-9], run.log
    return run

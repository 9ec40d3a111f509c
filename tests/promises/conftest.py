"""Every family's tiny config, shrunk further, run by the stock scripts."""
from __future__ import annotations

import copy
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = sorted((ROOT / 'configs').glob('*/*_tiny_synthetic.py'))
SEED = 7
WORLD_SIZE = 64  # of the synthetic data

# A training of three epochs of four iterations. The sets to evaluate have an
# odd size, so that two processes cannot share it evenly.
EPOCHS, ITERATIONS, BATCH, VALIDATED = 3, 4, 8, 7
LABELS = 8  # where others are mixed in without theirs


class Server:
    """Processes of the stock scripts; see ``server.py``."""

    def __init__(self, modules: list[str]) -> None:
        path = os.pathsep.join(
            [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name('server.py')),
             *modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'})
        assert self._answer() == 'ready'

    def run(self, argv: list[str], log: Path,
            processes: list[dict[str, str]], timeout: float) -> list[int]:
        """Run a script in as many processes as there are environments."""
        request = dict(argv=argv, log=str(log), processes=processes,
                       folder=str(ROOT), timeout=timeout)
        self._process.stdin.write(json.dumps(request) + '\n')
        self._process.stdin.flush()
        return json.loads(self._answer())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        assert line, 'the server ended; its output is above'
        return line.strip()


@dataclass
class Run:
    """A folder that trainings write to, and what they said."""

    folder: Path
    codes: list[int] = field(default_factory=list)

    @property
    def log(self) -> str:
        return (self.folder / 'output.txt').read_text()

    @property
    def checkpoint(self) -> dict[str, Any]:
        """The last checkpoint; it is our own, so anything is loaded."""
        path = (self.folder / 'last_checkpoint').read_text()
        return torch.load(self.folder / Path(path).name, weights_only=False)

    def lines(self, name: str) -> dict[int, dict]:
        """What a probe wrote, by iteration; the latest counts."""
        lines = (self.folder / f'{name}.jsonl').read_text().splitlines()
        return {line['iter']: line for line in map(json.loads, lines)}

    def copy(self, folder: Path) -> Run:
        shutil.copytree(self.folder, folder)
        return Run(folder)


@dataclass
class Family:
    """A tiny config of a family and the means to run it."""

    name: str
    config: Path
    server: Server

    def train(self, run: Run, *arguments: str, kill: str = '',
              processes: int = 1, **options: Any) -> Run:
        """Run tools/train.py; dotted `options` become ``--cfg-options``."""
        return self._run('train.py', run, [*arguments], options,
                         {'PROMISE_KILL': kill}, processes)

    def test(self, run: Run, checkpoint: Path, processes: int = 1) -> Run:
        """Run tools/test.py."""
        return self._run('test.py', run, [str(checkpoint)], {}, {}, processes)

    def _run(self, script: str, run: Run, arguments: list[str],
             options: dict[str, Any], env: dict[str, str],
             processes: int) -> Run:
        run.folder.mkdir(parents=True, exist_ok=True)
        argv = [str(ROOT / 'tools' / script), str(self.config), *arguments,
                '--work-dir', str(run.folder)]
        if options:
            argv += ['--cfg-options',
                     *(f'{key}={value}' for key, value in options.items())]
        envs = [env]
        if processes > 1:
            argv += ['--launcher', 'pytorch']
            envs = [{**env, **rank} for rank in as_torchrun(processes)]
        run.codes = self.server.run(argv, run.folder / 'output.txt', envs,
                                    timeout=300)
        return run


def as_torchrun(processes: int) -> list[dict[str, str]]:
    """The environments that torchrun would give to the processes."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    return [
        dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes),
             LOCAL_WORLD_SIZE=str(processes), MASTER_ADDR='127.0.0.1',
             MASTER_PORT=str(port)) for rank in range(processes)
    ]


def shrink(config: Config) -> Config:
    """Turn a tiny config into one of a few iterations, with probes."""
    config.train_cfg = dict(
        by_epoch=True, max_epochs=EPOCHS, val_interval=1)
    config.train_dataloader.update(
        batch_size=BATCH, num_workers=0, num_batch_per_epoch=ITERATIONS,
        persistent_workers=False)
    if 'epoch_fraction' in config.train_dataloader.sampler:
        config.train_dataloader.sampler.epoch_fraction = 1.
    _shrink_mix(config.train_dataloader)
    for part in ('val_dataloader', 'test_dataloader'):
        loader = config[part].to_dict()
        # one at a time: the size of a batch decides how results are rounded,
        # and that, where a network is at the start of its training, between
        # maxima that are all but equal
        config[part] = dict(
            loader, batch_size=1, num_workers=0, persistent_workers=False,
            dataset=dict(type='mmpose_ext.FirstSamples', count=VALIDATED,
                         dataset=loader['dataset']))
    grid = config.model.data_preprocessor.get('grid')
    if grid is not None:
        grid.nvox = 16  # an eighth of the work of 32
    config.default_hooks.checkpoint.update(
        interval=1, by_epoch=True, max_keep_ckpts=-1)
    config.default_hooks.logger.interval = 1
    config.custom_hooks = [
        *config.get('custom_hooks', []),
        *(dict(type=f'mmpose_ext.{name}Probe')
          for name in ('Kill', 'Loss', 'Metric'))
    ]
    config.custom_imports.imports = [
        *config.custom_imports.imports, 'tests.promises.probes'
    ]
    config.randomness = dict(seed=SEED)
    return config


def _shrink_mix(loader: Any) -> None:
    """Shorten the epochs of a sampler that mixes in what has no label.

    They are as long as the labels make them.
    """
    if 'mix' in loader.sampler:
        labelled, unlabelled = loader.sampler.mix
        loader.dataset.num_labels = LABELS
        loader.batch_size = (
            LABELS * (labelled + unlabelled) // (labelled * ITERATIONS))


def without_dropout(part: Any) -> Any:
    """A part of a config in which nothing is dropped."""
    if isinstance(part, dict):
        return {
            key: 0. if 'drop' in key and isinstance(value, float) else
            without_dropout(value)
            for key, value in part.items()
        }
    if isinstance(part, (list, tuple)):
        return [without_dropout(value) for value in part]
    return copy.deepcopy(part)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a family to one worker of ``pytest -n``: its trainings are shared.

    Takes effect with ``--dist loadgroup``.
    """
    for item in items:
        parameters = getattr(item, 'callspec', None)
        if parameters is not None and 'family' in parameters.params:
            path = parameters.params['family']
            item.add_marker(pytest.mark.xdist_group(f'promises of {path}'))


@pytest.fixture(scope='session')
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the configs look for data."""
    folder = tmp_path_factory.mktemp('data')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMPOSE_EXT_DATA', str(folder))
        yield folder


@pytest.fixture(scope='session')
def server(data_folder: Path) -> Iterator[Server]:
    modules = {'mmpose.apis', 'torch.utils.tensorboard'}
    for path in FAMILIES:
        imports = Config.fromfile(path, import_custom_modules=False)
        modules.update(imports.custom_imports.imports)
    # the package first: it supplies what MMPose lacks
    server = Server(['mmpose_ext', *sorted(modules)])
    yield server
    server.close()


@pytest.fixture(
    scope='session', params=FAMILIES, ids=[path.stem for path in FAMILIES])
def family(request: pytest.FixtureRequest, server: Server, data_folder: Path,
           tmp_path_factory: pytest.TempPathFactory) -> Family:
    """Each tiny config in turn, with its data."""
    path: Path = request.param
    name = path.parent.name
    world = data_folder / 'synthetic' / name
    if not world.exists():
        synthesis = importlib.import_module(f'mmpose_ext.synthesis.{name}')
        synthesis.write_world(world, seed=SEED, size=WORLD_SIZE)
    config = shrink(Config.fromfile(path, import_custom_modules=False))
    shrunk = tmp_path_factory.mktemp(path.stem) / path.name
    config.dump(shrunk)
    return Family(path.stem, shrunk, server)


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

"""Every family's tiny config, shrunk further, run by the stock scripts."""
from __future__ import annotations

import copy
import importlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from tests.front_door.client import ROOT, Server, as_torchrun

FAMILIES = sorted((ROOT / 'configs').glob('*/*_tiny_synthetic.py'))
SEED = 7
WORLD_SIZE = 64  # of the synthetic data

# A training of three epochs of four iterations. The sets to evaluate have an
# odd size, so that two processes cannot share it evenly.
EPOCHS, ITERATIONS, BATCH, VALIDATED = 3, 4, 8, 7
LABELS = 8  # where others are mixed in without theirs


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
              processes: int = 1, timeout: float = 300,
              disturbance: str = '', disturbed: int = 0,
              **options: Any) -> Run:
        """Run tools/train.py; dotted `options` become ``--cfg-options``.

        Args:
            run (Run): Where.
            *arguments (str): For the script.
            kill (str): When to disturb it, see ``KillProbe``.
            processes (int): How many train together.
            timeout (float): Seconds until it is killed.
            disturbance (str): What happens in place of a SIGKILL.
            disturbed (int): Rank of the process that it happens to.
            **options (Any): Of the config.
        """
        disturbing = dict(PROMISE_KILL=kill, PROMISE_DISTURBANCE=disturbance)
        envs = [disturbing if rank == disturbed else {}
                for rank in range(processes)]
        return self._run('train.py', run, [*arguments], options, envs,
                         timeout)

    def test(self, run: Run, checkpoint: Path, processes: int = 1) -> Run:
        """Run tools/test.py."""
        return self._run('test.py', run, [str(checkpoint)], {},
                         [{}] * processes)

    def _run(self, script: str, run: Run, arguments: list[str],
             options: dict[str, Any], envs: list[dict[str, str]],
             timeout: float = 300) -> Run:
        run.folder.mkdir(parents=True, exist_ok=True)
        argv = [str(ROOT / 'tools' / script), str(self.config), *arguments,
                '--work-dir', str(run.folder)]
        if options:
            argv += ['--cfg-options',
                     *(f'{key}={value}' for key, value in options.items())]
        if len(envs) > 1:
            argv += ['--launcher', 'pytorch']
            envs = [{**env, **rank} for env, rank in zip(
                envs, as_torchrun(len(envs)), strict=True)]
        run.codes = self.server.run(argv, run.folder / 'output.txt', envs,
                                    timeout)
        return run


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
          for name in ('Kill', 'Loss', 'Metric', 'Compile'))
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


def make_family(path: Path, data_folder: Path, folder: Path,
                server: Server) -> Family:
    """Shrink a tiny config and synthesise its data, unless they are there.

    Args:
        path (Path): The config.
        data_folder (Path): ``$MMPOSE_EXT_DATA``.
        folder (Path): Where the shrunk config goes.
        server (Server): To run it.
    """
    name = path.parent.name
    world = data_folder / 'synthetic' / name
    if not world.exists():
        synthesis = importlib.import_module(f'mmpose_ext.synthesis.{name}')
        synthesis.write_world(world, seed=SEED, size=WORLD_SIZE)
    shrunk = folder / path.name
    shrink(Config.fromfile(path, import_custom_modules=False)).dump(shrunk)
    return Family(path.stem, shrunk, server)

"""docs/new_family.md works as it stands: a family made from its text."""
from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.recipes.commands import ROOT

PAGE = (ROOT / 'docs/new_family.md').read_text()
FILES = dict(re.findall(r'`([\w/.-]+\.py)`:\n\n```python\n(.*?)```', PAGE,
                        re.DOTALL))
COMMANDS = [shlex.split(line) for line
            in re.search(r'```sh\n(.*?)```', PAGE, re.DOTALL)[1].splitlines()]

# what the page trains in a minute, in a few iterations
SHORT = ('--cfg-options', 'train_cfg.max_epochs=1',
         'default_hooks.logger.interval=1')


@pytest.fixture(scope='module')
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the files of the page typed into it."""
    folder = tmp_path_factory.mktemp('checkout')
    for part in ('mmpose_ext', 'configs', 'tools'):
        shutil.copytree(ROOT / part, folder / part, symlinks=True)
    for path, text in FILES.items():
        file = folder / path
        assert not file.exists(), f'{path} is taken'
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return folder


def test_page_has_all_that_it_lists() -> None:
    listed = set(re.findall(r'^\| `(mmpose_ext/[\w/.]+)`', PAGE, re.MULTILINE))
    assert listed == {path for path in FILES if path.startswith('mmpose_ext')}
    assert [words[1] for words in COMMANDS] == [
        f'tools/{name}.py' for name in ('synthesize', 'train', 'test',
                                        'predict')]


def test_files_of_the_page_keep_the_rules_of_the_house(checkout: Path) -> None:
    sources = [rules.Source(Path(path), text) for path, text in FILES.items()]
    code = [source for source in sources if source.path.parts[0] != 'configs']
    violations = [
        line for rule in (rules.forbidden_imports, rules.vague_names,
                          rules.oversized, rules.undocumented, rules.untyped)
        for source in code for line in rule(source)
    ] + [line for source in sources if source not in code
         for line in rules.bad_config(source)]
    assert not violations
    subprocess.run(
        [sys.executable, '-m', 'ruff', 'check', '--no-cache', '--config',
         str(ROOT / 'pyproject.toml'), *FILES], cwd=checkout, check=True)


def test_commands_of_the_page_run_from_a_world_to_predictions(
        checkout: Path) -> None:
    further = {'synthesize': ('--size', '64'), 'train': SHORT}
    for _, script, *words in COMMANDS:
        name = Path(script).stem
        if name == 'test':  # the training has done as much
            continue
        words = [str(next(checkout.glob(word))) if '*' in word else word
                 for word in words]
        _run(checkout, script, *words, *further.get(name, ()))
    with (checkout / COMMANDS[-1][-1]).open() as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 16
    points = [float(value) for row in rows for value in row.values()]
    assert len(points) == 16 * 6
    assert all(-4 < value < 68 for value in points)


def _run(checkout: Path, *words: str) -> None:
    """Run a command in a checkout as one would, with its own package."""
    environment = {**os.environ, 'PYTHONPATH': str(checkout)}
    environment.pop('MMPOSE_EXT_DATA', None)
    done = subprocess.run(
        [sys.executable, *words], cwd=checkout, env=environment,
        capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

"""The documentation builds, its links hold, and its commands exist."""
from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from docs.generate import stale_pages
from tests.architecture.markdown import Page, read_pages
from tests.architecture.rules import ROOT

PAGES = read_pages()
TINY = sorted(ROOT.glob('configs/*/*_tiny_synthetic.py'))
CONVERT = 'tools/convert_dataset.py'
# Files that are not there: of the walk-through, of the reader, of no one.
IMAGINED = re.compile(r'whisker|FAMILY|mine|\.\.\.|\{')


def test_pages_that_follow_from_the_code_are_up_to_date() -> None:
    assert not [*stale_pages()], 'run `python -m docs.generate`'


@pytest.mark.skipif(importlib.util.find_spec('myst_parser') is None,
                    reason='needs requirements/docs.txt')
def test_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going', '-d',
         str(tmp_path / 'trees'), 'docs', str(tmp_path / 'html')],
        cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built = {path.stem for path in (tmp_path / 'html').glob('*.html')}
    assert built >= {path.stem for path in (ROOT / 'docs').glob('*.md')}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.path))
def test_links_lead_somewhere(page: Page) -> None:
    assert not broken_links(page)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.path))
def test_files_that_are_named_exist(page: Page) -> None:
    assert not missing_files(page)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.path))
def test_options_that_are_shown_are_known(page: Page) -> None:
    assert not unknown_options(page)


def test_what_was_planted_is_found() -> None:
    page = Page(Path('docs/planted.md'), '''# A title

[here](#a-title) [nowhere](house.md#no-such-heading) ![](images/none.png)

    python tools/predict.py CONFIG CHECKPOINT INPUT \\
        --out PATH --no-such-option
    python tools/convert_dataset.py dlc IN --out OUT --overwriet  # --comment
    python -m mmpose_ext.doctor --nothing
    python tools/nothing.py configs/nothing.py
''')
    assert broken_links(page) == ['house.md#no-such-heading',
                                  'images/none.png']
    assert missing_files(page) == {'tools/nothing.py', 'configs/nothing.py'}
    assert unknown_options(page) == [
        'tools/predict.py --no-such-option',
        f'{CONVERT} --overwriet', 'mmpose_ext.doctor --nothing']


def broken_links(page: Page) -> list[str]:
    """Links to files or headings that are not there."""
    broken = []
    for link in page.links:
        target, _, anchor = link.partition('#')
        if re.match(r'\w+:', target):
            continue
        path = ROOT / page.path.parent / target
        if not path.exists() or anchor and anchor not in (
                _anchors(path) if target else page.anchors):
            broken.append(link)
    return broken


@cache
def _anchors(path: Path) -> set[str]:
    return Page(path, path.read_text()).anchors


def missing_files(page: Page) -> set[str]:
    """Scripts, configs, tests and pages that are named and not there."""
    return {
        path for path in page.paths if not IMAGINED.search(path)
        and not (ROOT / path).exists()
        and not (ROOT / page.path.parent / path).exists()
    }


def unknown_options(page: Page) -> list[str]:
    """Options that are shown and that their command does not take."""
    unknown = []
    for program, words in page.commands:
        asked = {word.split('=')[0] for word in words
                 if re.match('--[a-z]', word)}
        if asked:
            known = options_of(program, tuple(words))
            unknown += [f'{program} {word}' for word in sorted(asked - known)]
    return unknown


def options_of(program: str, words: tuple[str, ...]) -> set[str]:
    """Options that a command takes, whichever family's its words are."""
    if program == CONVERT:
        families = {path.parent.name for path in TINY}
        return {'--help'}.union(*(
            _help(program, (words[0], '--family', family, '--help'))
            for family in families)) if words else set()
    # some know their options once the config, or what stands for it, is known
    families = {Path(word).parent.name for word in words
                if word.endswith('.py')} | {*program.split('.')}
    starts = [str(path) for path in TINY if path.parent.name in families]
    if program.startswith('tools/'):
        starts = ['--all'] if '--all' in words else starts or [
            str(path) for path in TINY]
    return _help(program, ('--help', )).union(*(
        _help(program, (start, '--help')) for start in starts))


@cache
def _help(program: str, words: tuple[str, ...]) -> set[str]:
    """Options in the help that a command prints; none if it has no help."""
    argv, environment = sys.argv, dict(os.environ)
    sys.argv = [program, *words]
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text), \
                contextlib.redirect_stderr(io.StringIO()), \
                contextlib.suppress(SystemExit):
            if program.startswith('tools/'):
                runpy.run_path(str(ROOT / program), run_name='__main__')
            else:
                runpy.run_module(program, run_name='__main__')
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
    return set(re.findall(r'--[a-z][\w-]*', text.getvalue()))

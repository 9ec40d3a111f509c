"""The tests that the documentation names exist, and do what it says."""
from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.markdown import Page
from tests.architecture.rules import ROOT

COMMANDS, PROMISES = (ROOT / f'docs/{name}.md' for name in (
    'commands', 'promises'))
_TEST = re.compile(r'`(tests/[\w/]+\.py)(?:::(\w+))?`')


def rows_of(path: Path) -> list[list[str]]:
    """Cells of all rows of a page's tables, without the headings."""
    tokens = Page(path.relative_to(ROOT), path.read_text()).tokens
    rows: list[list[str]] = []
    for token, content in zip(tokens, tokens[1:], strict=False):
        if token.type == 'tr_open' and content.type == 'td_open':
            rows.append([])
        elif token.type == 'td_open':
            rows[-1].append(content.content)
    return rows


@cache
def functions_of(path: str) -> dict[str, str]:
    """Tests in a file, methods included, and their source."""
    text = (ROOT / path).read_text()
    return {node.name: ast.get_source_segment(text, node) or ''
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef)
            and node.name.startswith('test')}


@pytest.mark.parametrize('page', [COMMANDS, PROMISES],
                         ids=lambda path: path.stem)
def test_tests_that_are_named_exist(page: Path) -> None:
    missing = []
    for *_, cell in rows_of(page):
        named = _TEST.findall(cell)
        assert named, f'{cell}: names no test'
        missing += [f'{path}::{name}' for path, name in named
                    if not (ROOT / path).is_file()
                    or name and name not in functions_of(path)]
    assert not missing


def test_named_tests_run_what_stands_beside_them() -> None:
    """Tools, options and settings of a row are in the files it names."""
    absent = []
    for *_, command, cell in rows_of(COMMANDS):
        texts = [(ROOT / path).read_text() for path, _ in _TEST.findall(cell)]
        for parts in shown_by(command):
            if not any(part in text for part in parts for text in texts):
                absent.append(f'{cell}: {parts[0]}')
    assert not absent


def shown_by(command: str) -> list[tuple[str, ...]]:
    """What a test of a command has to contain, each in one of its forms."""
    shown: list[tuple[str, ...]] = []
    for code in re.findall(r'`([^`]+)`', command):
        for tool in re.findall(r'tools/(\w+)\.(?:py|sh)', code):
            scripts = dict(train=('PACKAGED', ), test=('TEST', ))
            shown.append((f"'{tool}'", f'tools/{tool}', f'{tool}.sh',
                          f'run_{tool.split("_")[0]}',
                          *scripts.get(tool, ())))
        for module in re.findall(r'-m mmpose_ext\.([\w.]+)', code):
            shown.append((module, module.rpartition('.')[2]))
        shown += [(option, ) for option
                  in re.findall(r'(?<!\S)--[a-z][\w-]+', code)
                  if option != '--cfg-options']
        shown += [(key, key.partition('_dataloader.')[2] or key) for key
                  in re.findall(r'(?<![\w/.-])\w+(?:\.\w+){1,}(?==)', code)]
    return shown


def test_every_promise_is_told() -> None:
    told = {path for path, _ in _TEST.findall(PROMISES.read_text())}
    kept = {str(path.relative_to(ROOT))
            for path in (ROOT / 'tests/promises').glob('test_*.py')}
    assert kept <= told

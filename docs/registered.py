"""The reference of what is registered, from source and docstrings.

Nothing is imported: decorators name what a class is registered as, and the
docstrings are those of the classes.
"""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from itertools import groupby
from pathlib import Path

INTRODUCTION = '''# Hooks, samplers, constructors, wrappers

What runs a training, written as `type='mmpose_ext.NAME'` in a config;
arguments go into the same dict. What is not in this list is MMEngine's or
MMPose's and is written bare. `configs/_base_/default_runtime.py` has those
that every config uses; [rates, phases, freezing](phases.md) shows how the
larger ones work together.
'''
# registries whose classes are described in full: heading, where they go
DETAILED = {
    'HOOKS': ('Hooks', '`custom_hooks` or `default_hooks`'),
    'DATA_SAMPLERS': ('Samplers', '`sampler` of a data loader'),
    'FUNCTIONS': ('Collate functions', '`collate_fn` of a data loader'),
    'OPTIM_WRAPPER_CONSTRUCTORS':
    ('Optimizer constructors', '`optim_wrapper.constructor`'),
    'PARAM_SCHEDULERS': ('Schedulers', '`param_scheduler`'),
    'MODEL_WRAPPERS': ('Model wrappers', '`model_wrapper_cfg`'),
    'LOG_PROCESSORS': ('Log processors', '`log_processor`'),
    'VISBACKENDS':
    ('Visualization backends', '`vis_backends` of the visualizer'),
}
SECTIONS = ('Args', 'Attributes', 'Raises', 'Returns', 'Yields', 'Example')


@dataclass(frozen=True)
class Registered:
    """A registered class or function.

    Attributes:
        name: As configs write it, without scope.
        registry: Name of the registry.
        path: Its file, below the repository.
        docstring: Cleaned.
    """

    name: str
    registry: str
    path: Path
    docstring: str

    @property
    def room(self) -> str:
        """Room or family."""
        return self.path.parts[1]


def reference_page(root: Path) -> str:
    """The page ``docs/hooks.md``.

    Args:
        root (Path): The repository.
    """
    found = sorted(read_registered(root), key=lambda item: item.name.lower())
    lines = [INTRODUCTION]
    for registry, (title, place) in DETAILED.items():
        lines += [f'\n## {title}\n', f'Go into {place}.\n']
        for item in found:
            if item.registry == registry:
                lines += _describe(item, root)
    lines += ['\n## All other registered names\n',
              'By room or family; their docstrings have the arguments.\n']
    others = sorted((item for item in found if item.registry not in DETAILED),
                    key=lambda item: (item.room, item.registry))
    for room, items in groupby(others, key=lambda item: item.room):
        lines += [f'### {room}\n', '| name | registry | what it is |',
                  '|---|---|---|',
                  *(f'| [{item.name}](../{item.path}) | `{item.registry}` | '
                    f'{_inline(_summary(item))} |' for item in items), '']
    return '\n'.join(lines)


def read_registered(root: Path) -> Iterator[Registered]:
    """Everything in the package with ``@REGISTRY.register_module``."""
    for path in sorted((root / 'mmpose_ext').rglob('*.py')):
        if '.mim' in path.parts:
            continue
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                continue
            for decorator in node.decorator_list:
                called = re.fullmatch(r'([A-Z_]+)\.register_module\(.*\)',
                                      ast.unparse(decorator))
                if called:
                    yield Registered(
                        node.name, called[1], path.relative_to(root),
                        ast.get_docstring(node) or '')


def _summary(item: Registered) -> str:
    return ' '.join(item.docstring.split('\n\n')[0].split())


def _describe(item: Registered, root: Path) -> Iterator[str]:
    """The section of a class, with an example of its use."""
    yield f'### {item.name}\n'
    sections = dict(_split(item.docstring))
    yield f'{_inline(sections.pop(""))}\n'
    for title, body in sections.items():
        if title == 'Args':
            yield f'Arguments:\n\n{_entries(body)}\n'
        elif title == 'Raises':
            yield f'Errors:\n\n{_entries(body)}\n'
    example = _example(sections.get('Example', '')) or _use(item.name, root)
    if example:
        yield f'```python\n{example}\n```\n'
    yield f'In [{item.path.name}](../{item.path}).\n'


def _split(docstring: str) -> Iterator[tuple[str, str]]:
    """Sections of a Google docstring; '' is the prose before and between."""
    title, lines, prose = '', [], []
    for line in [*docstring.splitlines(), 'End:']:
        heading = line.removesuffix(':')
        ends = title and line and not line.startswith(' ')
        if line.endswith(':') and heading in (*SECTIONS, 'End') or ends:
            if title:
                yield title, cleandoc('\n' + '\n'.join(lines))
            else:
                prose += lines
            title, lines = (heading, []) if heading in SECTIONS else ('', [])
            if not ends or heading in (*SECTIONS, 'End'):
                continue
        lines.append(line)
    yield '', '\n'.join(prose).strip()


def _entries(body: str) -> str:
    """``name (type): text`` lines as a list; what they nest stays nested."""
    lines = []
    for line in body.splitlines():
        if line and not line.startswith(' '):
            name, colon, text = line.partition(':')
            line = f'* `{name.strip()}`{colon}{_inline(text)}'
        else:
            line = _inline(line.removeprefix('  '))
        lines.append(line)
    return '\n'.join(lines)


def _inline(text: str) -> str:
    """reStructuredText's inline marks as markdown's."""
    text = re.sub(r':\w+:`~?(?:[\w.]+\.)?(\w+)`', r'`\1`', text)
    return text.replace('``', '`')


def _example(text: str) -> str:
    return '\n'.join(re.sub(r'^(>>>|\.\.\.) ?', '', line)
                     for line in text.splitlines())


@cache
def _config_trees(root: Path) -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text()))
            for path in sorted((root / 'configs').rglob('*.py'))]


def _use(name: str, root: Path) -> str:
    """The first ``dict(type='mmpose_ext.NAME', ...)`` of a config."""
    for path, tree in _config_trees(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and any(
                    word.arg in ('type', 'constructor')
                    and ast.unparse(word.value) == f"'mmpose_ext.{name}'"
                    for word in node.keywords):
                source = ast.get_source_segment(path.read_text(), node) or ''
                return f'# {path.relative_to(root)}\n{_dedent(source)}'
    return ''


def _dedent(source: str) -> str:
    """A call whose lines after the first are indented by four more."""
    first, *rest = source.splitlines()
    return '\n'.join(
        [first, *('    ' + line for line
                  in cleandoc('\n' + '\n'.join(rest)).splitlines())])

"""The rules of the house, each a function from a source file to violations.

A violation is one line, ``path:line: what``, so that an editor finds it.
"""
from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / 'mmpose_ext'
OPENMMLAB = {'mmcv', 'mmdet', 'mmengine', 'mmpose'}

# What a room may import of mmpose_ext beside itself. A folder that is not
# listed is a family, and may use every room.
SHARED = {'geometry', 'storage', 'registry', 'compat', 'version', 'families',
          'layout'}
ROOMS = {
    'compat': {'version', 'registry'},
    'geometry': set(),
    'storage': set(),
    'training': SHARED,
    'scoring': SHARED,
    'drawing': SHARED,
    'synthesis': SHARED,
}
WITHOUT_OPENMMLAB = {'geometry', 'storage'}

VAGUE = {'utils', 'util', 'common', 'misc', 'helpers', 'helper'}
FILE_LINES, FUNCTION_LINES, CONFIG_LINES = 500, 60, 60

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """A parsed file.

    Attributes:
        path: Relative to the repository, as violations name it.
        text: The source.
    """

    path: Path
    text: str

    @property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, str(self.path))

    @property
    def room(self) -> str:
        """Folder in the package; the module's name at its top."""
        return self.path.parts[1].removesuffix('.py')

    def at(self, line: int, what: str) -> str:
        """A violation in this file."""
        return f'{self.path}:{line}: {what}'


def read_sources(*folders: str) -> list[Source]:
    """Every Python file below the folders of the repository."""
    return [
        Source(path.relative_to(ROOT), path.read_text())
        for folder in folders for path in sorted((ROOT / folder).rglob('*.py'))
        if '.mim' not in path.parts
    ]


def imported_modules(source: Source) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every import, also inside functions.

    ``from a import b`` counts as ``a.b``, for b may be a module.
    """
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                parts = source.path.with_suffix('').parts
                base = '.'.join([*parts[:-node.level], *base.split('.')])
            yield from ((node.lineno, f'{base.strip(".")}.{name.name}')
                        for name in node.names)


def forbidden_imports(source: Source) -> Iterator[str]:
    """Imports against the order of the rooms."""
    room = source.room
    at_top = len(source.path.parts) == 2
    family = not at_top and room not in ROOMS
    for line, module in imported_modules(source):
        top, *rest = module.split('.')
        if top in {'tools', 'tests'}:
            yield source.at(line, f'the package imports {module}')
        elif top in OPENMMLAB and room in WITHOUT_OPENMMLAB:
            yield source.at(line, f'{room} imports {module}')
        elif (top in OPENMMLAB and rest[:1] == ['registry']
              and rest[-1].isupper() and room not in {'registry', 'compat'}):
            yield source.at(
                line, f'{module}: registries come from mmpose_ext.registry')
        elif top == 'mmpose_ext' and rest and rest[0] != room:
            other = rest[0]
            is_folder = (PACKAGE / other).is_dir() or other in ROOMS
            if at_top or family:
                wrong = is_folder and other not in ROOMS
            else:
                wrong = other not in ROOMS[room] and other != '__version__'
            if wrong:
                yield source.at(line, f'{room} imports {module}')


def vague_names(source: Source) -> Iterator[str]:
    """Files and folders whose name says nothing."""
    for part in source.path.with_suffix('').parts:
        if part.strip('_') in VAGUE:
            yield source.at(1, f'"{part}" names no subject')


def oversized(source: Source) -> Iterator[str]:
    """Files and functions that are too long, docstrings not counted."""
    count = len(source.text.splitlines())
    if count > FILE_LINES:
        yield source.at(1, f'{count} lines; at most {FILE_LINES}')
    for node in ast.walk(source.tree):
        if isinstance(node, FUNCTIONS):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                lines -= docstring.end_lineno - docstring.lineno + 1
            if lines > FUNCTION_LINES:
                yield source.at(
                    node.lineno, f'{node.name} has {lines} lines; at most '
                    f'{FUNCTION_LINES}')


def undocumented(source: Source) -> Iterator[str]:
    """Public modules, classes and functions without a docstring."""
    if ast.get_docstring(source.tree) is None and source.text.strip():
        yield source.at(1, 'the module has no docstring')
    for node in _public(source.tree):
        if ast.get_docstring(node) is None and node.name != '__init__':
            yield source.at(node.lineno, f'{node.name} has no docstring')


def untyped(source: Source) -> Iterator[str]:
    """Public functions whose arguments or result have no type."""
    for node in _public(source.tree):
        if not isinstance(node, FUNCTIONS):
            continue
        spec = node.args
        arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
        arguments += [item for item in (spec.vararg, spec.kwarg) if item]
        missing = [item.arg for item in arguments if item.annotation is None
                   and item.arg not in {'self', 'cls'}]
        if missing:
            yield source.at(node.lineno,
                            f'{node.name}: no type for {", ".join(missing)}')
        if node.returns is None and node.name != '__init__':
            yield source.at(node.lineno, f'{node.name}: no type of the result')


def _public(tree: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Public classes and functions, and the public methods of the former."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)) and (
                node.name == '__init__' or not node.name.startswith('_')):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def registrations(source: Source) -> Iterator[tuple[int, str, str]]:
    """Line, registry and name of each ``@REGISTRY.register_module``."""
    for node in ast.walk(source.tree):
        if not isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            continue
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            function = call.func if call else decorator
            if not (isinstance(function, ast.Attribute)
                    and function.attr == 'register_module'):
                continue
            values = [item.value for item in call.keywords
                      if item.arg == 'name'] + call.args[:1] if call else []
            names = ast.literal_eval(values[0]) if values else node.name
            for name in [names] if isinstance(names, str) else names:
                yield node.lineno, ast.unparse(function.value), name


def bad_config(source: Source) -> Iterator[str]:
    """A config that is long, imports, or inherits by more than a path."""
    count = len(source.text.splitlines())
    skeleton = source.path.parts[1:3] == ('_base_', 'datasets')
    if count > CONFIG_LINES and not skeleton:
        yield source.at(1, f'{count} lines; at most {CONFIG_LINES}')
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield source.at(node.lineno, 'a config imports nothing')
        if not (isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == '_base_'):
            continue
        bases = ast.literal_eval(node.value)
        for base in [bases] if isinstance(bases, str) else bases:
            if '::' in base or Path(base).is_absolute():
                yield source.at(node.lineno, f'_base_ {base} is not relative')

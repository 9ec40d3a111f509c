"""Each rule finds what was planted for it, and nothing in sound source."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import rules


def plant(path: str, text: str) -> rules.Source:
    """A source that exists only here."""
    return rules.Source(Path(path), text)


@pytest.mark.parametrize(('path', 'statement'), [
    ('mmpose_ext/geometry/cameras.py', 'import mmengine'),
    ('mmpose_ext/geometry/cameras.py', 'from mmpose.models import x'),
    ('mmpose_ext/geometry/cameras.py', 'from mmpose_ext.storage import x'),
    ('mmpose_ext/geometry/cameras.py', 'from ..storage import x'),
    ('mmpose_ext/geometry/cameras.py', 'from mmpose_ext import registry'),
    ('mmpose_ext/storage/npz.py', 'from .. import geometry'),
    ('mmpose_ext/training/resume.py', 'from mmpose_ext.scoring import x'),
    ('mmpose_ext/training/resume.py', 'import mmpose_ext.direction.head'),
    ('mmpose_ext/training/resume.py', 'from mmpose.registry import HOOKS'),
    ('mmpose_ext/direction/head.py', 'from mmengine.registry import MODELS'),
    ('mmpose_ext/behavior/head.py', 'def f():\n  from ..direction import x'),
    ('mmpose_ext/compat/torch.py', 'from mmpose_ext.training import x'),
    ('mmpose_ext/__init__.py', 'from mmpose_ext import direction'),
    ('mmpose_ext/direction/head.py', 'import tools.train'),
    ('mmpose_ext/direction/head.py', 'from tests.conftest import x'),
])
def test_forbidden_import_is_found(path: str, statement: str) -> None:
    found = list(rules.forbidden_imports(plant(path, statement)))
    line = len(statement.splitlines())
    assert len(found) == 1
    assert found[0].startswith(f'{path}:{line}: ')


@pytest.mark.parametrize(('path', 'statement'), [
    ('mmpose_ext/geometry/cameras.py', 'import numpy, torch'),
    ('mmpose_ext/geometry/cameras.py', 'from .rotations import x'),
    ('mmpose_ext/training/resume.py', 'from mmengine.hooks import Hook'),
    ('mmpose_ext/training/resume.py', 'from mmpose_ext.registry import HOOKS'),
    ('mmpose_ext/training/resume.py', 'from mmpose_ext.storage import x'),
    ('mmpose_ext/direction/head.py', 'from ..training import x'),
    ('mmpose_ext/direction/head.py', 'from mmpose_ext.direction import x'),
    ('mmpose_ext/direction/head.py',
     'from mmengine.registry import init_default_scope'),
    ('mmpose_ext/registry.py', 'from mmengine.registry import MODELS'),
    ('mmpose_ext/__init__.py', 'from mmpose_ext import compat'),
])
def test_allowed_import_is_passed(path: str, statement: str) -> None:
    assert not list(rules.forbidden_imports(plant(path, statement)))


@pytest.mark.parametrize('path', [
    'mmpose_ext/utils.py', 'mmpose_ext/common/x.py', 'tools/_helpers.py',
    'tests/unit/misc/test_x.py'])
def test_vague_name_is_found(path: str) -> None:
    assert list(rules.vague_names(plant(path, '')))


def test_long_file_and_function_are_found_with_their_lines() -> None:
    text = '\n' * 439 + 'def f():\n' + '    x = 1\n' * 61
    found = list(rules.oversized(plant('a.py', text)))
    assert found == ['a.py:1: 501 lines; at most 500',
                     'a.py:440: f has 62 lines; at most 60']


def test_docstring_does_not_lengthen_a_function() -> None:
    text = 'def f():\n    """A.\n' + '    b\n' * 80 + '    """\n    x = 1\n'
    assert not list(rules.oversized(plant('a.py', text)))


def test_missing_docstrings_and_types_are_found() -> None:
    source = plant('a.py', '''
class A:
    def __init__(self, a, b: int): pass
    def go(self, *args): pass
    def _hidden(self, x): pass
def _hidden(x): pass
''')
    assert [item.split(': ', 1)[1] for item in rules.undocumented(source)] == [
        'the module has no docstring', 'A has no docstring',
        'go has no docstring']
    assert [item.split(': ', 1)[1] for item in rules.untyped(source)] == [
        '__init__: no type for a', 'go: no type for args',
        'go: no type of the result']


def test_documented_and_typed_source_is_passed() -> None:
    source = plant('a.py', '''"""A."""
class A:
    """B."""
    def go(self, x: int, *rest: int) -> None:
        """C."""
        def inner(y): pass
''')
    assert not [*rules.undocumented(source), *rules.untyped(source)]


def test_registrations_are_read() -> None:
    source = plant('a.py', '''
@MODELS.register_module()
class A: pass
@HOOKS.register_module(name=['B', 'C'])
class X: pass
@registry.METRICS.register_module('D', force=True)
class Y: pass
@MODELS.register_module
class E: pass
''')
    assert [item[1:] for item in rules.registrations(source)] == [
        ('MODELS', 'A'), ('HOOKS', 'B'), ('HOOKS', 'C'),
        ('registry.METRICS', 'D'), ('MODELS', 'E')]


@pytest.mark.parametrize('text', [
    'import os\n', 'from math import pi\n', "_base_ = 'mmpose::a.py'\n",
    "_base_ = ['../a.py', '/root/b.py']\n", 'x = 1\n' * 61])
def test_bad_config_is_found(text: str) -> None:
    source = plant('configs/direction/a.py', text)
    assert len(list(rules.bad_config(source))) == 1


def test_sound_config_is_passed() -> None:
    base = plant('configs/a/b.py', "_base_ = ['../_base_/c.py']\nx = 1\n")
    skeleton = plant('configs/_base_/datasets/horse.py', 'x = 1\n' * 200)
    assert not [*rules.bad_config(base), *rules.bad_config(skeleton)]

"""The house keeps its rules (tests/architecture/rules.py)."""
from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture import rules

PACKAGE = rules.read_sources('mmpose_ext')
CODE = PACKAGE + rules.read_sources('tools', 'requirements')
TESTS = rules.read_sources('tests')
CONFIGS = rules.read_sources('configs')

# One of these is in the name of whatever a family registers.
FAMILY_WORDS = {
    'behavior': ('Behavior', 'Lisbet'),
    'direction': ('Direction', ),
    'equine': ('Equine', 'Horse'),
    'handobject': ('HandObject', 'Hot'),
    'volumetric': ('Volumetric', 'Dannce', 'Com'),
}


@pytest.mark.parametrize(('rule', 'sources'), [
    (rules.forbidden_imports, PACKAGE),
    (rules.vague_names, CODE + TESTS),
    (rules.oversized, CODE + TESTS),
    (rules.undocumented, CODE),
    (rules.untyped, CODE),
    (rules.bad_config, CONFIGS),
], ids=lambda value: getattr(value, '__name__', ''))
def test_rule_is_kept(rule: Callable[[rules.Source], Iterator[str]],
                      sources: list[rules.Source]) -> None:
    violations = [line for source in sources for line in rule(source)]
    assert not violations, '\n' + '\n'.join(violations)


def test_rooms_are_those_of_the_package() -> None:
    from mmpose_ext.families import ROOMS
    assert set(ROOMS) == set(rules.ROOMS)


def test_registered_names_carry_the_family() -> None:
    violations = [
        source.at(line, f'{name} does not name its family')
        for source in PACKAGE if source.room in FAMILY_WORDS
        for line, registry, name in rules.registrations(source)
        # Codecs are called by what they encode, as MMPose's are.
        if registry != 'KEYPOINT_CODECS'
        and not any(word in name for word in FAMILY_WORDS[source.room])
    ]
    assert not violations, '\n' + '\n'.join(violations)


def test_registered_names_are_ours_alone() -> None:
    """A name of a child registry would hide its parent's without a word."""
    theirs = Counter()
    for package in ('mmengine', 'mmcv', 'mmpose'):
        folder = Path(importlib.util.find_spec(package).origin).parent
        for path in folder.rglob('*.py'):
            text = path.read_text()
            if 'register_module' in text and '.mim' not in path.parts:
                theirs.update(name for _, _, name in rules.registrations(
                    rules.Source(path, text)))
    assert len(theirs) > 300
    ours = [(source, line, registry, name) for source in PACKAGE
            for line, registry, name in rules.registrations(source)]
    twice = Counter((registry, name) for _, _, registry, name in ours)
    violations = [
        source.at(line, f'{name} is registered elsewhere too')
        for source, line, registry, name in ours
        if name in theirs or twice[registry, name] > 1
    ]
    assert not violations, '\n' + '\n'.join(violations)

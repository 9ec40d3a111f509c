from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config

import mmpose_ext
from mmpose_ext import families


@pytest.fixture
def added_family(tmp_path: Path, monkeypatch):
    """A family `zebra` whose modules the test writes."""
    folder = tmp_path / 'zebra'
    folder.mkdir()
    (folder / '__init__.py').write_text('')
    monkeypatch.setattr(mmpose_ext, '__path__',
                        [*mmpose_ext.__path__, str(tmp_path)])
    yield folder
    for name in [name for name in sys.modules if '.zebra' in name]:
        del sys.modules[name]


def test_families_are_packages_that_are_no_rooms() -> None:
    names = families.family_names()
    assert 'direction' in names
    assert not set(names) & set(families.ROOMS)
    assert list(names) == sorted(names)


def test_a_folder_is_a_family(added_family: Path) -> None:
    assert 'zebra' in families.family_names()


def test_family_of_a_config() -> None:
    imports = dict(imports=['mmpose_ext.direction'])
    assert families.family_of(Config(dict(custom_imports=imports))) == (
        'direction')
    imports = dict(imports='mmpose_ext.direction')
    assert families.family_of(Config(dict(custom_imports=imports))) == (
        'direction')


@pytest.mark.parametrize('imports', [[], ['mmpose_ext'], ['numpy'],
                                     ['mmpose_ext.directions']])
def test_config_without_a_family(imports: list[str]) -> None:
    config = Config(dict(custom_imports=dict(imports=imports)))
    with pytest.raises(ValueError, match='mmpose_ext.direction'):
        families.family_of(config)


def test_config_of_two_families(added_family: Path) -> None:
    config = SimpleNamespace(filename='c.py', get=lambda *_: dict(
        imports=['mmpose_ext.direction', 'mmpose_ext.zebra']))
    with pytest.raises(ValueError, match='c.py'):
        families.family_of(config)


def test_absent_module_is_none_and_a_broken_one_is_not(
        added_family: Path) -> None:
    assert families.family_module('zebra', 'predict') is None
    (added_family / 'convert.py').write_text('import not_there_at_all\n')
    with pytest.raises(ModuleNotFoundError, match='not_there_at_all'):
        families.family_module('zebra', 'convert')


def test_failed_imports_are_told(added_family: Path) -> None:
    (added_family / '__init__.py').write_text('1 / 0\n')
    failures = families.import_families()
    assert list(failures) == ['zebra']
    assert isinstance(failures['zebra'], ZeroDivisionError)

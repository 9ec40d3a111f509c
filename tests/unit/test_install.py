"""The set-up script: what it tells, keeps and carries over."""
from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REQUIREMENTS = Path(__file__).resolve().parent.parent.parent / 'requirements'


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.syspath_prepend(REQUIREMENTS)
    for name in ('install', 'environment'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module('install')


@pytest.fixture
def environment(install: ModuleType, tmp_path: Path):
    """An environment in which nothing is run."""
    return install.Environment(tmp_path, install.Progress(('torch', )))


def test_script_can_be_read_by_old_pythons() -> None:
    ast.parse((REQUIREMENTS / 'install.py').read_text(),
              feature_version=(3, 6))


@pytest.mark.parametrize('version', [(3, 6, 8), (3, 9, 18), (3, 13, 0)])
def test_wrong_python_is_told_with_its_cure(version: tuple) -> None:
    answer = subprocess.run(
        [sys.executable, '-c',
         f'import runpy, sys; sys.version_info = {version}; '
         f'runpy.run_path({str(REQUIREMENTS / "install.py")!r})'],
        capture_output=True, text=True)
    assert answer.returncode == 1
    cause, cure = answer.stdout.splitlines()
    assert 'Python 3.10, 3.11 or 3.12 is needed' in cause
    assert 'Cure: ' in cure
    assert 'PYTHON=' in cure


def run_script(folder: Path, **variables: str) -> list[str]:
    """Run the script on a folder where it must stop; returns its lines."""
    answer = subprocess.run(
        [sys.executable, str(REQUIREMENTS / 'install.py'), '--venv', folder],
        capture_output=True, text=True, env={**os.environ, **variables})
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert not answer.stderr
    return answer.stdout.splitlines()


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'thesis.tex').write_text('text')
    lines = run_script(tmp_path)
    assert 'is no Python environment' in lines[0]
    assert [item.name for item in tmp_path.iterdir()] == ['thesis.tex']


@pytest.mark.slow
def test_absent_compiler_and_network_are_told_with_their_cure(
        tmp_path: Path) -> None:
    folder = tmp_path / 'environment'
    lines = run_script(folder, CC='no-such-compiler')
    assert 'there is no C compiler: "no-such-compiler"' in lines[-2]
    assert 'build-essential' in lines[-1]
    # What was made so far is found, and the setup goes on from there.
    lines = run_script(folder, PIP_INDEX_URL='https://127.0.0.1:1/simple',
                       PIP_RETRIES='1')
    assert 'found: ' in lines[0]
    assert 'the package index cannot be reached' in lines[-2]
    assert 'index-url' in lines[-1]


def test_configuration_of_pip_is_carried_over(install: ModuleType) -> None:
    variables = install.uv_variables('''\
:env:.find-links='/opt/wheels /opt/more'
global.cert='/etc/ca.crt'
global.extra-index-url='https://a/simple\\nhttps://b/simple'
global.find-links='/elsewhere'
install.index-url='https://mirror/simple'
''')
    assert variables == {
        'SSL_CERT_FILE': '/etc/ca.crt',
        'UV_DEFAULT_INDEX': 'https://mirror/simple',
        'UV_FIND_LINKS': '/opt/wheels,/opt/more',
        'UV_INDEX': 'https://a/simple https://b/simple',
        'UV_INDEX_STRATEGY': 'unsafe-best-match',
    }


@pytest.mark.parametrize(('said', 'cause'), [
    ('cause: dns error', 'cannot be reached'),
    ('Connection refused (os error 111)', 'cannot be reached'),
    ('invalid peer certificate: UnknownIssuer', 'not trusted'),
    ('No space left on device (os error 28)', 'disk is full'),
    ('No solution found when resolving', 'constraints.txt'),
    ('something new', 'torch could not be installed'),
])
def test_cause_is_told_from_the_installer(environment, said: str,
                                          cause: str) -> None:
    error = environment.failure(f'line\n{said}\n')
    assert cause in str(error)
    assert error.cure


def test_own_environment_gets_every_pin(install: ModuleType,
                                        environment) -> None:
    environment.ours = True
    environment.facts = {'packages': {'numpy': '1.26.4'}}
    assert install.wanted(environment, ['numpy>=1.24']) == ['numpy>=1.24']
    assert install.write_constraints(environment) == (
        REQUIREMENTS / 'constraints.txt')


def test_anybody_elses_environment_is_only_added_to(install: ModuleType,
                                                    environment) -> None:
    environment.facts = {'packages': {
        'mmcv': '2.1.0', 'numpy': '1.26.4', 'opencv-python-headless': '4.10',
        'setuptools': '84.0', 'torch': '2.6.0+cu124'}}
    assert install.wanted(environment, [
        'mmcv-lite<2.2', 'mmdet', 'numpy', 'opencv-python', 'setuptools<82',
        'torch']) == ['mmdet', 'setuptools<82']
    lines = install.write_constraints(environment).read_text().splitlines()
    assert {'mmcv==2.1.0', 'numpy==1.26.4', 'torch==2.6.0+cu124',
            'mmdet==3.3.0'} <= set(lines)
    assert not [line for line in lines if line.startswith((
        'setuptools', 'onnx', 'torch==2.13', 'numpy==2'))]


def test_interrupted_setup_is_noticed(install: ModuleType, environment,
                                      tmp_path: Path) -> None:
    assert not environment.interrupted
    environment.note('running')
    again = install.Environment(tmp_path, environment.progress)
    assert again.interrupted
    again.note('stopped')
    assert not install.Environment(tmp_path, environment.progress).interrupted


def test_complete_until_something_changes(
        install: ModuleType, environment,
        monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {'version': [3, 11, 7], 'packages': {'numpy': '2.4.6'}}

    def probe(self) -> dict:
        self.facts = facts
        return facts

    monkeypatch.setattr(install.Environment, 'probe', probe)
    environment.probe()
    environment.note('complete', packages=facts['packages'],
                     fingerprint=install.fingerprint(environment))

    def is_complete() -> bool:
        return install.is_complete(
            install.Environment(environment.folder, environment.progress))

    assert is_complete()
    facts = {'version': [3, 11, 7],
             'packages': {'numpy': '2.4.6', 'wandb': '1'}}
    assert is_complete()
    facts = {'version': [3, 11, 7], 'packages': {'numpy': '1.26.4'}}
    assert not is_complete()
    facts = {'version': [3, 12, 1], 'packages': {'numpy': '2.4.6'}}
    assert not is_complete()

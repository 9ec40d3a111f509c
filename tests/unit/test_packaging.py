"""What pip and mim get: metadata, the wheel, an editable install, the pins."""
from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mmpose_ext.compat.versions import REQUIREMENTS

ROOT = Path(__file__).resolve().parent.parent.parent
LISTS = ROOT / 'requirements'
PYTHONS = ('3.10', '3.11', '3.12')
# What pip must never touch in somebody's OpenMMLab environment.
STACK = {'mmcv', 'mmcv-lite', 'mmdet', 'mmengine', 'mmpose', 'numpy',
         'opencv-python', 'torch', 'torchvision', 'xtcocotools'}


def read_list(name: str) -> dict[str, list[Requirement]]:
    """Requirements of a list by the normal form of their names."""
    found: dict[str, list[Requirement]] = {}
    for line in (LISTS / name).read_text().splitlines():
        if line and not line.startswith('#'):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name),
                             []).append(requirement)
    return found


def pin(name: str, python: str) -> str | None:
    """The pinned version on a Python; one at most."""
    pins = [item for item in read_list('constraints.txt').get(name, [])
            if item.marker is None
            or item.marker.evaluate({'python_version': python})]
    assert len(pins) <= 1, f'{name} is pinned twice on Python {python}'
    return str(pins[0].specifier).removeprefix('==') if pins else None


@pytest.fixture(scope='module')
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is built from."""
    folder = tmp_path_factory.mktemp('source')
    for name in ('mmpose_ext', 'configs', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, folder / name,
                        ignore=shutil.ignore_patterns('.mim'))
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md',
                 'LICENSE', 'CHANGELOG.md', 'Makefile', 'model-index.yml'):
        shutil.copy2(ROOT / name, folder)
    return folder


def build(source: Path, what: str, out: Path) -> Path:
    """Call a hook of the build backend, as pip and build do."""
    subprocess.run(
        [sys.executable, '-c', 'import sys, setuptools.build_meta as backend; '
         f'backend.build_{what}(sys.argv[1])', str(out)],
        cwd=source, check=True, capture_output=True)
    return next(out.iterdir())


def test_wheel_and_sdist_carry_configs_and_tools(
        source: Path, tmp_path: Path) -> None:
    build(source, 'editable', tmp_path / 'editable')
    assert (source / 'mmpose_ext' / '.mim' / 'tools').is_symlink()
    with zipfile.ZipFile(build(source, 'wheel', tmp_path / 'wheel')) as wheel:
        names = wheel.namelist()
        assert len(names) == len(set(names))
        for path in ('tools/train.py', 'configs/_base_/default_runtime.py',
                     'model-index.yml'):
            assert wheel.read(f'mmpose_ext/.mim/{path}') == (
                ROOT / path).read_bytes()
    assert 'mmpose_ext/py.typed' in names
    assert not [name for name in names if '__pycache__' in name]
    assert {name.split('/')[0] for name in names} == {
        'mmpose_ext', 'mmpose_ext-' + metadata.version('mmpose_ext')
        + '.dist-info'}

    with tarfile.open(build(source, 'sdist', tmp_path / 'sdist')) as archive:
        assert not [name for name in archive.getnames() if '.mim' in name]
        archive.extractall(tmp_path / 'unpacked', filter='data')
    unpacked = next((tmp_path / 'unpacked').iterdir())
    again = build(unpacked, 'wheel', tmp_path / 'again')
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(names)


def test_editable_install_links_configs_and_tools(
        source: Path, tmp_path: Path) -> None:
    wheel = build(source, 'editable', tmp_path / 'editable')
    environment = tmp_path / 'environment'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip',
                    environment], check=True)
    python = environment / 'bin' / 'python'
    subprocess.run([sys.executable, '-m', 'pip', '--python', python, 'install',
                    '--no-deps', '--no-index', wheel], check=True,
                   capture_output=True)
    answer = subprocess.run(
        [python, '-c', 'from importlib.util import find_spec as f; '
         'print(f("mmpose_ext").origin)'],
        check=True, capture_output=True, text=True, cwd=tmp_path)
    package = Path(answer.stdout.strip()).parent
    assert package == source / 'mmpose_ext'
    mim = package / '.mim'
    assert (mim / 'tools' / 'train.py').samefile(source / 'tools/train.py')
    assert (mim / 'configs').samefile(source / 'configs')


def test_pip_touches_nothing_of_the_stack() -> None:
    required = [Requirement(line) for line in metadata.requires('mmpose_ext')]
    always = [item for item in required if 'extra' not in str(item.marker)]
    assert {str(item) for item in always} == {
        str(item) for items in read_list('runtime.txt').values()
        for item in items}
    assert not STACK & {canonicalize_name(item.name) for item in always}
    assert not [item for item in always for part in item.specifier
                if part.operator != '>=']


@pytest.mark.parametrize('python', PYTHONS)
def test_every_requirement_has_a_pin_that_fits(python: str) -> None:
    for path in LISTS.glob('*.txt'):
        for name, requirements in read_list(path.name).items():
            if not any(item.marker is None or item.marker.evaluate(
                    {'python_version': python}) for item in requirements):
                continue
            version = pin('mmcv-lite' if name == 'mmcv' else name, python)
            assert version or path.name == 'constraints.txt', (
                f'{path.name}: {name} has no pin on Python {python}')
            for item in requirements:
                if path.name != 'constraints.txt':
                    assert item.specifier.contains(version), str(item)


@pytest.mark.parametrize('python', PYTHONS)
def test_pins_are_within_the_bounds_that_import_checks(python: str) -> None:
    for requirement in REQUIREMENTS:
        version = pin(requirement.distributions[0], python)
        assert requirement.fits(version), f'{requirement.name} {version}'


def test_dependencies_of_mmpose_are_listed() -> None:
    declared = {canonicalize_name(Requirement(line).name)
                for line in metadata.requires('mmpose')
                if 'extra' not in line}
    left_out = {'chumpy', 'torchvision', 'xtcocotools'}
    listed = read_list('mmpose.txt').keys() | read_list('build.txt').keys()
    assert declared - left_out <= listed
    assert 'chumpy' not in read_list('constraints.txt')


def test_third_party_imports_are_declared() -> None:
    """What the code imports, the lists bring, and nothing comes by chance."""
    declared = {name for path in LISTS.glob('*.txt')
                if path.name != 'constraints.txt'
                for name in read_list(path.name)}
    # mmcv-lite stands for mmcv, rich and yaml are MMEngine's own; torchvision
    # is never required, only used where it is there.
    declared |= {'mmcv-lite', 'pyyaml', 'rich', 'torchvision', 'xtcocotools',
                 'mmpose-ext'}
    providers = metadata.packages_distributions()
    unknown = set()
    for folder in ('mmpose_ext', 'tools', 'tests'):
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [item.name for item in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                tops = {name.split('.')[0] for name in names}
                unknown |= {
                    f'{path.relative_to(ROOT)}: {top}' for top in tops
                    if top in providers and not declared & {
                        canonicalize_name(item) for item in providers[top]}}
    assert not unknown, '\n'.join(sorted(unknown))


def test_ignored_files_do_not_reach_a_commit() -> None:
    ignored = (ROOT / '.gitignore').read_text().splitlines()
    assert {'.venv/', 'mmpose_ext/.mim/', 'build/', '/data/*'} <= set(ignored)


def test_version_is_noted_in_the_changelog() -> None:
    newest = re.search(r'^## (\S+)', (ROOT / 'CHANGELOG.md').read_text(),
                       re.MULTILINE)
    assert newest.group(1) == metadata.version('mmpose_ext')

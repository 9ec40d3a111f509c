"""Set up an environment in which mmpose_ext works: ``make setup``.

Makes a virtual environment, or adds to one that is active, and installs torch,
the OpenMMLab packages, what they need, and mmpose_ext itself in editable mode.
In an environment of this project's own every package is brought to its version
in constraints.txt; in anybody else's, what is there stays as it is.

Only the standard library is used. There is no ``__future__`` import, so that
an older Python can read this file and say that it is too old.
"""
import argparse
import ast
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST, NEWEST = (3, 10), (3, 12)

if not OLDEST <= sys.version_info[:2] <= NEWEST:
    # A version manager's stand-in may be on PATH and start nothing.
    FITTING = [
        name for name in ('python3.12', 'python3.11', 'python3.10')
        if shutil.which(name) and not subprocess.call(
            [name, '-c', ''], stderr=subprocess.DEVNULL)]
    print(f'Setup stopped: Python 3.10, 3.11 or 3.12 is needed; '
          f'{sys.executable} is {sys.version.split()[0]}.\n  Cure: '
          + (f'make setup PYTHON={FITTING[0]}' if FITTING else
             'install one, then: make setup PYTHON=/path/to/python3.11'))
    sys.exit(1)

from environment import (  # noqa: E402  (Python is judged first)
    ROOT,
    UNREACHABLE,
    UNTRUSTED,
    Environment,
    Progress,
    SetupError,
)

LISTS = ROOT / 'requirements'
# Other distributions of the same modules.
PROVIDERS = {
    'mmcv-lite': ('mmcv', 'onedl-mmcv'),
    'mmdet': ('onedl-mmdetection', ),
    'mmengine': ('onedl-mmengine', 'mmengine-lite'),
    'opencv-python': ('opencv-contrib-python', 'opencv-python-headless',
                      'opencv-contrib-python-headless'),
}

# pip's options and what uv reads in their place.
UV_VARIABLES = {
    'cert': 'SSL_CERT_FILE',
    'extra-index-url': 'UV_INDEX',
    'find-links': 'UV_FIND_LINKS',
    'index-url': 'UV_DEFAULT_INDEX',
    'no-index': 'UV_NO_INDEX',
    'proxy': 'ALL_PROXY',
    'timeout': 'UV_HTTP_TIMEOUT',
    'trusted-host': 'UV_INSECURE_HOST',
}


def read_list(name: str) -> list[str]:
    """Requirements in a file of this folder, without its comments."""
    lines = (LISTS / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def name_of(requirement: str) -> str:
    """The distribution a requirement names, in normal form."""
    name = re.match(r'[\w.-]+', requirement).group()
    return name.lower().replace('_', '-')


def openmmlab(name: str) -> list[str]:
    """The OpenMMLab requirement ``name``, mmcv without compiled operators."""
    return [re.sub('^mmcv(?=[<>=])', 'mmcv-lite', line)
            for line in read_list('mminstall.txt') if name_of(line) == name]


def fingerprint(environment: Environment) -> str:
    """Changes when an installation made before is no longer the right one."""
    digest = hashlib.sha256(
        repr((str(ROOT), environment.facts['version'])).encode())
    for path in [*sorted(LISTS.glob('*.*')), ROOT / 'setup.py',
                 ROOT / 'pyproject.toml']:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_complete(environment: Environment) -> bool:
    """Whether the last setup stands as it was left."""
    noted = environment.noted
    return (noted.get('state') == 'complete' and bool(environment.probe())
            and noted['fingerprint'] == fingerprint(environment)
            and noted['packages'].items() <= environment.packages.items())


def make_environment(environment: Environment) -> str:
    """Make the environment unless it is there, and judge it."""
    folder, result = environment.folder, 'found'
    if environment.probe() and 'pip' not in environment.packages:
        environment.run(environment.python, '-m', 'ensurepip')
        environment.probe()
    if 'pip' not in environment.packages:
        if environment.facts and not environment.ours:
            raise SetupError(f'{folder} has no pip', 'conda install pip')
        create_environment(environment)
        result = 'made'
    version = '.'.join(map(str, environment.facts['version']))
    if not OLDEST <= tuple(environment.facts['version'][:2]) <= NEWEST:
        own = folder == ROOT / '.venv'
        raise SetupError(
            f'{folder} has Python {version}; 3.10, 3.11 or 3.12 is needed',
            (f'rm -r {folder}, then: make setup' if own else
             'make setup VENV=.venv') + f' PYTHON={sys.executable}')
    check_compiler(environment)
    environment.note('running')
    return f'{result}: {folder} (Python {version})'


def create_environment(environment: Environment) -> None:
    """Make a virtual environment, or mend a broken one, with this Python."""
    folder = environment.folder
    # What an interrupted `python -m venv` leaves; anything else is not ours.
    parts = {'bin', 'include', 'lib', 'lib64', 'share', 'pyvenv.cfg'}
    if folder.exists() and not parts >= {
            item.name for item in folder.iterdir()
            if not item.name.startswith(('.', 'mmpose_ext-setup'))}:
        raise SetupError(f'{folder} is there and is no Python environment',
                         'name another folder: make setup VENV=.venv')
    if importlib.util.find_spec('ensurepip') is None:
        raise SetupError(
            f'{sys.executable} cannot make virtual environments: its module '
            'ensurepip is missing',
            'sudo apt-get install python{}.{}-venv'.format(*sys.version_info))
    folder.mkdir(parents=True, exist_ok=True)
    status, output = environment.run(sys.executable, '-m', 'venv', '--clear',
                                     folder)
    if status or 'pip' not in environment.probe().get('packages', ()):
        raise environment.failure(output)
    environment.ours = True
    environment.interrupted = False


def check_compiler(environment: Environment) -> None:
    """Fail early where xtcocotools must be compiled and cannot be."""
    if environment.evaluate('import xtcocotools.mask') is None:
        return
    facts = environment.facts
    compiler = shlex.split(facts['compiler'])[0]
    if shutil.which(compiler) is None:
        raise SetupError(
            f'there is no C compiler: "{compiler}" is not found, and '
            'xtcocotools is compiled to fit numpy',
            'sudo apt-get install build-essential (Debian, Ubuntu), '
            'sudo dnf install gcc (Fedora, RHEL), or name one: CC=clang')
    if not facts['headers']:
        raise SetupError(
            f'the headers of Python are missing: no {facts["include"]}/'
            'Python.h',
            'sudo apt-get install python{}.{}-dev (Debian, Ubuntu), '
            'sudo dnf install python3-devel (Fedora, RHEL)'.format(
                *facts['version']))


def uv_variables(pip_config: str) -> dict[str, str]:
    """Translate pip's configuration for uv.

    Args:
        pip_config (str): What ``pip config list`` prints.

    Returns:
        dict[str, str]: Environment variables.
    """
    options = {}
    # From the general to the particular, as pip overrides.
    for section in ('global', 'install', ':env:'):
        for key, value in re.findall(
                rf'^{section}\.([\w-]+)=(.*)$', pip_config, re.MULTILINE):
            options[key.replace('_', '-')] = ast.literal_eval(value)
    variables = {
        name: ' '.join(options[key].split())
        for key, name in UV_VARIABLES.items() if options.get(key)
    }
    if 'UV_FIND_LINKS' in variables:
        variables['UV_FIND_LINKS'] = variables['UV_FIND_LINKS'].replace(
            ' ', ',')
    # All indexes are equal to pip; uv by itself stops at the first.
    return dict(variables, UV_INDEX_STRATEGY='unsafe-best-match')


def choose_installer(environment: Environment) -> str:
    """Take uv, installing it if it is absent; pip where it cannot be had."""
    pip = [environment.python, '-m', 'pip']
    uv = environment.folder / 'bin' / 'uv'
    if not uv.exists() or environment.interrupted:
        again = ['--force-reinstall'] if environment.interrupted else []
        status, output = environment.run(
            *pip, 'install', '-c', LISTS / 'constraints.txt', *again, 'uv')
        for diagnosis in (UNTRUSTED, UNREACHABLE):
            if re.search(diagnosis[0], output) and status:
                raise environment.failure(output)
        if status:
            environment.installer = [*pip, 'install']
            environment.reinstall = '--force-reinstall'
            return 'pip, which is slower: uv cannot be installed here'
    config = environment.run(*pip, 'config', 'list')[1]
    environment.variables = {**uv_variables(config), **os.environ}
    environment.installer = [uv, 'pip', 'install', '--python',
                             environment.python]
    environment.reinstall = '--reinstall'
    return 'uv'


def wanted(environment: Environment, requirements: list[str]) -> list[str]:
    """What to ask the installer for.

    Everything in an environment of ours; in another only what is absent under
    any name, and setuptools, for MMEngine needs it below 82.
    """
    if environment.ours:
        return requirements
    names = {line: name_of(line) for line in requirements}
    return [line for line, name in names.items() if name == 'setuptools'
            or not environment.packages.keys() & {
                name, *PROVIDERS.get(name, ())}]


def write_constraints(environment: Environment) -> Path:
    """The pins to install under.

    In somebody else's environment the versions that are there are kept, and
    beside them only the stack is pinned: the rest must fit what is there.
    """
    pins = LISTS / 'constraints.txt'
    if environment.ours:
        return pins
    kept = {name: version for name, version in environment.packages.items()
            if name and version and name != 'setuptools'}
    stack = {'mmcv-lite', 'torchvision', *map(
        name_of, read_list('build.txt') + read_list('mminstall.txt'))}
    path = environment.folder / 'mmpose_ext-setup-constraints.txt'
    path.write_text('\n'.join(
        [f'{name}=={version}' for name, version in kept.items()]
        + [line for line in read_list(pins.name)
           if name_of(line) in stack - kept.keys() - {'setuptools'}]) + '\n')
    return path


def install_all(environment: Environment, lists: tuple[str, ...],
                more: list[str]) -> None:
    """Install what is in the lists, and more, under the constraints."""
    requirements = wanted(
        environment, [line for name in lists for line in read_list(name)]
        + more)
    if requirements:
        # A package half written counts as installed with its installer.
        mend = environment.interrupted and environment.ours
        again = [environment.reinstall] if mend else []
        environment.install('-c', write_constraints(environment), *again,
                            *requirements)
        environment.probe()


def install_torch(environment: Environment) -> str:
    """Install torch, and torchvision where there is one for this torch."""
    had_torch = 'torch' in environment.packages
    install_all(environment, ('build.txt', ), [])
    version = environment.packages['torch']
    if had_torch and not environment.ours:
        return f'torch {version}'
    # torch 2.13 goes with torchvision 0.28; a local build (+cpu, +cu126) only
    # with its like, which the configured places may not hold.
    public, plus, local = version.partition('+')
    _, minor, patch = public.split('.')[:3]
    twin = f'torchvision==0.{int(minor) + 15}.{patch}{plus}{local}'
    status, output = environment.run(*environment.installer, '--no-deps',
                                     twin)
    if not status:
        return f'torch {version}, {twin}'
    if not local:
        raise environment.failure(output)
    return f'torch {version}; torchvision does not exist for it'


def install_packages(environment: Environment) -> str:
    """Install the OpenMMLab packages and all that stands on torch."""
    install_all(environment,
                ('runtime.txt', 'mmpose.txt', 'optional.txt', 'behavior.txt',
                 'handobject.txt', 'docs.txt', 'tests.txt'),
                openmmlab('mmengine') + openmmlab('mmcv') + openmmlab('mmdet'))
    mmpose = wanted(environment, openmmlab('mmpose'))
    if mmpose:
        # Bare: its metadata asks for chumpy, which cannot be built.
        environment.install('-c', write_constraints(environment), '--no-deps',
                            *mmpose)
    return f'{len(environment.probe()["packages"])} in all'


def install_xtcocotools(environment: Environment) -> str:
    """Compile xtcocotools against the numpy that is there.

    Its wheels know numpy 1 only. A build found in a cache may too: then it is
    made anew.
    """
    statement = 'import xtcocotools.mask'
    if environment.evaluate(statement) is None:
        return 'fits numpy'
    pin = next(line for line in read_list('constraints.txt')
               if name_of(line) == 'xtcocotools')
    build = ('--no-deps', '--no-build-isolation', '--no-binary', 'xtcocotools',
             pin)
    no_cache = '--no-cache' if environment.reinstall == '--reinstall' \
        else '--no-cache-dir'
    for again in ((), (environment.reinstall, no_cache)):
        environment.install(*build, *again)
        error = environment.evaluate(statement)
        if error is None:
            return f'compiled for numpy {environment.packages["numpy"]}'
    raise SetupError(f'xtcocotools was compiled and does not load: {error}',
                     f'the whole story is in {environment.log}')


def install_mmpose_ext(environment: Environment) -> str:
    """Install this package, to be edited in place."""
    environment.install('--no-deps', '--no-build-isolation', '-e', ROOT)
    return f'editable, {ROOT}'


def run_doctor(environment: Environment) -> str:
    """Let the doctor judge, from a folder that holds no source."""
    environment.progress.tick('')
    environment.progress.clear()
    status = subprocess.call([environment.python, '-m', 'mmpose_ext.doctor'],
                             cwd=environment.folder)
    if status:
        raise SetupError('the doctor found what is named above',
                         'run the cures above, then: make setup')
    environment.probe()
    environment.note('complete', fingerprint=fingerprint(environment),
                     packages=environment.packages)
    return 'all well'


STEPS = {
    'environment': make_environment,
    'installer': choose_installer,
    'torch': install_torch,
    'packages': install_packages,
    'xtcocotools': install_xtcocotools,
    'mmpose_ext': install_mmpose_ext,
    'doctor': run_doctor,
}


def main() -> int:
    """Set up, or tell cause and cure; returns the exit status."""
    parser = argparse.ArgumentParser(
        description='Install mmpose_ext and all it needs.')
    parser.add_argument(
        '--venv', default='.venv', metavar='DIR',
        help='the environment: made if absent, else added to (default: .venv)')
    folder = Path(os.path.abspath(parser.parse_args().venv))
    environment = Environment(folder, Progress(tuple(STEPS)))
    started = time.monotonic()
    if is_complete(environment):
        print(f'{folder} is complete; nothing to do.')
        return 0
    try:
        for step in STEPS.values():
            environment.progress.end(step(environment))
    except SetupError as error:
        environment.progress.clear()
        if environment.facts:
            environment.note('stopped')
        print(f'Setup stopped: {error}.\n  Cure: {error.cure}', flush=True)
        return 1
    except KeyboardInterrupt:
        print('\nSetup was interrupted; `make setup` goes on from here.')
        return 130
    print(f'mmpose_ext is set up in {folder} '
          f'({time.monotonic() - started:.0f} s).\nNext: make demo')
    return 0


if __name__ == '__main__':
    sys.exit(main())

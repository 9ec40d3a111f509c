"""Examine the environment: ``python -m mmpose_ext.doctor``.

Each check looks at one part that is known to break, and a failing one names
the package and the command that cures it. The exit status is 0 when nothing
fails and 1 otherwise; ``--json`` prints the findings for a program.
"""
from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import re
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

PIP = f'{shlex.quote(sys.executable)} -m pip'
LAST_CURE = 'run the cures above, if any, then: make setup'
PACKAGE = Path(__file__).resolve().parent

# Distributions that put files under one import name: two at once overwrite
# each other, and removing one breaks both.
SHARED_NAMES = {
    'cv2': ('opencv-python', 'opencv-python-headless', 'opencv-contrib-python',
            'opencv-contrib-python-headless'),
    'mmcv': ('mmcv', 'mmcv-lite', 'onedl-mmcv'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
    'mmengine': ('mmengine', 'mmengine-lite', 'onedl-mmengine'),
}


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: The part of the environment.
        status: ``'ok'``, ``'warn'`` (works, with a limit) or ``'fail'``.
        found: What is there.
        cure: The command that mends it; empty when nothing has to be done.
    """

    name: str
    status: str
    found: str
    cure: str = ''


def installed(distribution: str) -> str | None:
    """Version of an installed distribution, None when it is absent."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def import_error(statement: str) -> str | None:
    """Run an import in a Python of its own, where it can do no harm.

    Returns:
        str | None: The last line of the error, None when it worked.
    """
    answer = subprocess.run([sys.executable, '-c', statement],
                            capture_output=True, text=True)
    if answer.returncode == 0:
        return None
    return (answer.stderr.strip().splitlines() or ['killed'])[-1]


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Python is one that the stack was tested on."""
    found = '.'.join(map(str, version))
    if (3, 10) <= version <= (3, 12):
        return Finding('Python', 'ok', found)
    return Finding('Python', 'warn', f'{found}; tested on 3.10 to 3.12',
                   'make setup VENV=.venv PYTHON=python3.11')


def check_versions() -> Iterator[Finding]:
    """Each package of the stack lies within its bounds."""
    from mmpose_ext.compat.versions import REQUIREMENTS, TESTED_SETS
    for requirement in REQUIREMENTS:
        found = requirement.installed()
        bounds = f'>= {requirement.minimum}, < {requirement.below}'
        if found is None:
            text, status = f'absent; needed: {bounds}', 'fail'
        elif requirement.fits(found):
            text, status = f'{found} ({bounds})', 'ok'
        else:
            text, status = f'{found}; needed: {bounds}', 'fail'
        cure = PIP + requirement.cure.removeprefix('pip')
        yield Finding(requirement.name, status, text,
                      cure if status == 'fail' else '')
    yield Finding('tested sets', 'ok', '; or '.join(TESTED_SETS))


def check_mmcv_with_mmdet() -> Finding | None:
    """MMDetection up to 3.3 refuses mmcv 2.2, when it is imported."""
    mmcv, mmdet = installed('mmcv') or installed('mmcv-lite'), installed(
        'mmdet')
    if mmcv is None or mmdet is None:
        return None
    numbers = [tuple(map(int, re.findall(r'\d+', text)[:2]))
               for text in (mmcv, mmdet)]
    if numbers[0] < (2, 2) or numbers[1] > (3, 3):
        return None
    return Finding('mmcv', 'fail', f'{mmcv}, which mmdet {mmdet} refuses',
                   f"{PIP} install 'mmcv-lite==2.1.0' (after {PIP} uninstall "
                   '-y mmcv), or mim install mmcv==2.1.0')


def check_shared_names() -> Iterator[Finding]:
    """No two distributions provide the same module."""
    for module, distributions in SHARED_NAMES.items():
        present = [name for name in distributions if installed(name)]
        if len(present) > 1:
            kept = f'{present[0]}=={installed(present[0])}'
            yield Finding(
                module, 'fail',
                f'{" and ".join(present)} overwrite each other',
                f'{PIP} uninstall -y {" ".join(present)} && '
                f"{PIP} install --no-deps '{kept}'")


def check_setuptools() -> Finding:
    """MMEngine 0.10 imports pkg_resources, which setuptools 82 removed."""
    found = installed('setuptools')
    if importlib.util.find_spec('pkg_resources'):
        return Finding('setuptools', 'ok', f'{found}, with pkg_resources')
    return Finding(
        'setuptools', 'fail',
        f'{found or "absent"}: no pkg_resources, which MMEngine imports',
        f"{PIP} install 'setuptools<82'")


def check_xtcocotools() -> Finding:
    """The compiled part of xtcocotools fits the installed numpy."""
    version = installed('xtcocotools')
    error = import_error('import xtcocotools.mask')
    if error is None:
        return Finding('xtcocotools', 'ok',
                       f'{version}, fits numpy {installed("numpy")}')
    return Finding(
        'xtcocotools', 'fail',
        error if version else 'absent; MMPose imports it',
        f"{PIP} install cython wheel 'setuptools<82' && {PIP} install "
        '--no-deps --no-build-isolation --no-binary xtcocotools '
        '--no-cache-dir --force-reinstall xtcocotools==1.14.3')


def check_mmcv_ops() -> Finding | None:
    """Compiled mmcv operators load, or a placeholder stands for them."""
    version = installed('mmcv') or installed('mmcv-lite')
    if version is None:
        return None
    spec = importlib.util.find_spec('mmcv')
    if spec is None or spec.origin is None:
        return Finding('mmcv', 'fail', f'{version}, but its files are gone',
                       f'{PIP} install --force-reinstall --no-deps '
                       f'mmcv-lite=={version}')
    # On disk, for compat's placeholder answers to the name.
    if not list(Path(spec.origin).parent.glob('_ext.*')):
        return Finding('mmcv.ops', 'ok',
                       'a placeholder; EDPose alone needs the operators')
    error = import_error('import torch, mmcv._ext')
    if error is None:
        return Finding('mmcv.ops', 'ok', 'compiled')
    return Finding(
        'mmcv.ops', 'fail', f'compiled for another torch: {error}',
        f'{PIP} uninstall -y mmcv && {PIP} install mmcv-lite==2.1.0')


def check_torchvision() -> Finding:
    """torchvision fits torch, or is absent."""
    version, torch = installed('torchvision'), installed('torch') or ''
    if version is None:
        return Finding('torchvision', 'ok',
                       'absent; only pictures of SimCC heatmaps need it')
    error = import_error('import torchvision')
    if error is None:
        return Finding('torchvision', 'ok', version)
    cure = f'{PIP} uninstall -y torchvision'
    if '+' not in torch and torch.startswith('2.'):
        minor = int(torch.split('.')[1])
        cure = f"{PIP} install 'torchvision==0.{minor + 15}.*'"
    return Finding('torchvision', 'fail',
                   f'{version} does not fit torch {torch}: {error}', cure)


def check_chumpy() -> Finding:
    """Nothing needs chumpy, although MMPose's metadata asks for it."""
    return Finding('chumpy', 'ok',
                   f'{installed("chumpy") or "absent"}; not needed, whatever '
                   '`pip check` says')


def check_cuda() -> Finding | None:
    """torch can compute on the GPU, if there is one."""
    if installed('torch') is None:
        return None
    torch = importlib.import_module('torch')
    built = torch.version.cuda
    if built is None:
        return Finding('CUDA', 'ok', f'torch {torch.__version__} has none; '
                       'everything runs on the CPU')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        available = torch.cuda.is_available()
    if available:
        try:
            torch.zeros(1, device='cuda').add_(1).item()
        except RuntimeError as error:
            return Finding(
                'CUDA', 'fail', f'{torch.cuda.get_device_name()} cannot run '
                f'torch {torch.__version__}: {_first_line(error)}',
                'install a torch built for this GPU: https://pytorch.org')
        return Finding(
            'CUDA', 'ok', f'{built}, {torch.cuda.device_count()} x '
            f'{torch.cuda.get_device_name()}')
    if Path('/proc/driver/nvidia/version').exists():
        reason = _first_line(caught[-1].message) if caught else 'no reason'
        return Finding(
            'CUDA', 'warn', f'torch is built for CUDA {built} and cannot use '
            f'the GPU: {reason}',
            'update the NVIDIA driver, or install the torch built for it: '
            f'{PIP} install torch torchvision --index-url '
            'https://download.pytorch.org/whl/cu126')
    return Finding('CUDA', 'ok',
                   f'{built}, no NVIDIA driver: everything runs on the CPU')


def check_opencv() -> Finding:
    """OpenCV loads and writes a movie without ffmpeg."""
    if importlib.util.find_spec('cv2') is None:
        return Finding('opencv', 'fail', 'absent',
                       f'{PIP} install opencv-python')
    try:
        cv2 = importlib.import_module('cv2')
        numpy = importlib.import_module('numpy')
    except ImportError as error:  # mostly a library of the window system
        return Finding(
            'opencv', 'fail', _first_line(error),
            f'{PIP} uninstall -y opencv-python && '
            f'{PIP} install opencv-python-headless')
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, 'movie.mp4'))
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'mp4v'), 25,
                                 (64, 64))
        for _ in range(3):
            writer.write(numpy.zeros((64, 64, 3), numpy.uint8))
        writer.release()
        written = cv2.VideoCapture(path).read()[0]
    if written:
        return Finding('opencv', 'ok', f'{cv2.__version__}, writes mp4')
    return Finding(
        'opencv', 'fail', f'{cv2.__version__} cannot write mp4 (codec mp4v)',
        f'{PIP} install --force-reinstall --no-deps opencv-python')


def check_compat() -> Finding | None:
    """What mmpose_ext mends on import can be mended."""
    from mmpose_ext import compat
    try:
        compat.apply()
    except Exception as error:
        return Finding('mmpose_ext', 'fail',
                       f'cannot be imported: {_first_line(error)}',
                       LAST_CURE)
    return None


def config_folder() -> Path:
    """Where the configs are: in the repository, or in ``.mim``."""
    beside = PACKAGE.parent / 'configs'
    return beside if beside.is_dir() else PACKAGE / '.mim' / 'configs'


def check_models() -> Iterator[Finding]:
    """The model of each family's tiny config can be built."""
    configs = sorted(config_folder().glob('*/*tiny_synthetic*.py'))
    if not configs:
        yield Finding('models', 'warn', f'no configs in {config_folder()}',
                      'make setup')
    for path in configs:
        try:
            parameters = build_model(path)
        except Exception as error:
            yield Finding(
                f'model {path.parent.name}', 'fail',
                f'{path.name}: {type(error).__name__}: {_first_line(error)}',
                LAST_CURE)
        else:
            yield Finding(f'model {path.parent.name}', 'ok',
                          f'{path.name}: {parameters:,} parameters')


def build_model(path: Path) -> int:
    """Build the model of a config; returns its number of parameters."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from mmpose_ext.registry import MODELS
    config = Config.fromfile(path)
    init_default_scope(config.get('default_scope', 'mmpose'))
    model = MODELS.build(config.model)
    return sum(parameter.numel() for parameter in model.parameters())


CHECKS: tuple[Callable[[], Finding | Iterator[Finding] | None], ...] = (
    check_python, check_versions, check_mmcv_with_mmdet, check_shared_names,
    check_setuptools, check_xtcocotools, check_mmcv_ops, check_torchvision,
    check_chumpy, check_cuda, check_opencv, check_compat, check_models)


def examine() -> Iterator[Finding]:
    """Run every check; one that breaks down is a finding of its own."""
    for check in CHECKS:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                result = check()
                if isinstance(result, Finding):
                    yield result
                elif result is not None:
                    yield from result
            except ModuleNotFoundError as error:
                yield Finding(_name(check), 'fail', _first_line(error),
                              f'{PIP} install {error.name}')
            except Exception as error:
                yield Finding(_name(check), 'fail', _first_line(error),
                              LAST_CURE)


def show(findings: list[Finding]) -> None:
    """Print the findings: a table on a terminal, plain lines elsewhere."""
    if sys.stdout.isatty() and importlib.util.find_spec('rich'):
        _show_table(findings)
        return
    for finding in findings:
        print(f'{finding.status:<5} {finding.name:<18} {finding.found}')
        if finding.cure:
            print(f'{"":<5} {"cure:":>18} {finding.cure}')


def _show_table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    colours = {'ok': 'green', 'warn': 'yellow', 'fail': 'bold red'}
    table = Table('', 'part', 'found', box=None)
    for finding in findings:
        found = Text(finding.found)
        if finding.cure:
            found.append(f'\ncure: {finding.cure}', 'bold')
        table.add_row(
            Text(finding.status, colours[finding.status]), finding.name, found)
    Console().print(table)


def _name(check: Callable[[], object]) -> str:
    return check.__name__.removeprefix('check_')


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def main() -> int:
    """Examine, print, and return the exit status."""
    parser = argparse.ArgumentParser(prog='python -m mmpose_ext.doctor',
                                     description='Examine the environment.')
    parser.add_argument('--json', action='store_true',
                        help='print the findings as JSON')
    arguments = parser.parse_args()
    # What packages print while they are imported is not a finding.
    with contextlib.redirect_stdout(io.StringIO()), \
            contextlib.redirect_stderr(io.StringIO()):
        findings = list(examine())
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings)
    return int(any(finding.status == 'fail' for finding in findings))


if __name__ == '__main__':
    sys.exit(main())

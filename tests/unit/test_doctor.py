"""The doctor tells sound from broken, and names the cure."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmpose_ext import doctor
from mmpose_ext.compat import versions


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch):
    """Let the doctor believe in other versions; None means absent."""

    def believe(**packages: str | None) -> None:
        names = {name.replace('_', '-'): found
                 for name, found in packages.items()}
        real = doctor.installed
        monkeypatch.setattr(
            doctor, 'installed',
            lambda name: names[name] if name in names else real(name))

    return believe


def only(findings) -> doctor.Finding:
    """The single finding of a check."""
    found = list(findings)
    assert len(found) == 1
    return found[0]


def test_command_examines_this_environment() -> None:
    answer = subprocess.run(
        [sys.executable, '-m', 'mmpose_ext.doctor', '--json'],
        capture_output=True, text=True)
    findings = {item['name']: item for item in json.loads(answer.stdout)}
    assert {'Python', 'torch', 'numpy', 'mmpose', 'setuptools', 'xtcocotools',
            'CUDA', 'opencv'} <= findings.keys()
    failing = [item for item in findings.values() if item['status'] == 'fail']
    assert answer.returncode == bool(failing)
    assert not failing
    assert 'fits numpy' in findings['xtcocotools']['found']


def test_wrong_version_fails_with_its_bounds_and_cure(
        monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = versions.Requirement('numpy', ('numpy', ), '99', '100', '99.1')
    monkeypatch.setattr(versions, 'REQUIREMENTS', (wrong, ))
    finding = next(doctor.check_versions())
    assert finding.status == 'fail'
    assert '>= 99, < 100' in finding.found
    assert finding.cure == f"{doctor.PIP} install 'numpy==99.1'"


def test_mmdet_refuses_a_newer_mmcv(pretend) -> None:
    pretend(mmcv='2.2.0', mmdet='3.3.0')
    assert doctor.check_mmcv_with_mmdet().status == 'fail'
    pretend(mmcv='2.1.0')
    assert doctor.check_mmcv_with_mmdet() is None


def test_two_opencvs_fail(pretend) -> None:
    pretend(opencv_python='5.0.0', opencv_python_headless='4.10.0')
    finding = only(doctor.check_shared_names())
    assert finding.status == 'fail'
    assert 'uninstall -y opencv-python opencv-python-headless' in finding.cure
    assert "'opencv-python==5.0.0'" in finding.cure


def test_setuptools_without_pkg_resources_fails(
        pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(setuptools='82.0.0')
    monkeypatch.setattr(doctor.importlib.util, 'find_spec', lambda name: None)
    finding = doctor.check_setuptools()
    assert finding.status == 'fail'
    assert "'setuptools<82'" in finding.cure


def test_xtcocotools_for_another_numpy_fails(
        monkeypatch: pytest.MonkeyPatch) -> None:
    error = 'ValueError: numpy.dtype size changed'
    monkeypatch.setattr(doctor, 'import_error', lambda statement: error)
    finding = doctor.check_xtcocotools()
    assert (finding.status, finding.found) == ('fail', error)
    assert '--no-build-isolation --no-binary xtcocotools' in finding.cure


@pytest.mark.parametrize(('torch', 'cure'), [
    ('2.13.0+cpu', 'uninstall -y torchvision'),
    ('2.13.0', "install 'torchvision==0.28.*'")])
def test_torchvision_for_another_torch_fails(
        pretend, monkeypatch: pytest.MonkeyPatch, torch: str,
        cure: str) -> None:
    pretend(torch=torch, torchvision='0.20.0')
    monkeypatch.setattr(
        doctor, 'import_error',
        lambda statement: 'operator torchvision::nms does not exist')
    finding = doctor.check_torchvision()
    assert finding.status == 'fail'
    assert 'nms' in finding.found
    assert finding.cure.endswith(cure)


def test_import_error_is_the_last_line() -> None:
    assert doctor.import_error('import json') is None
    assert doctor.import_error('import no_such') == (
        "ModuleNotFoundError: No module named 'no_such'")


def fake_torch(built: str | None, available: bool, works: bool = True):
    """A torch whose CUDA is as told."""

    def zeros(*shape: int, device: str):
        if not works:
            raise RuntimeError('no kernel image is available\nsecond line')
        return SimpleNamespace(add_=lambda x: SimpleNamespace(item=int))

    cuda = SimpleNamespace(
        is_available=lambda: available, device_count=lambda: 2,
        get_device_name=lambda: 'H200')
    return SimpleNamespace(
        __version__='2.13.0', version=SimpleNamespace(cuda=built), cuda=cuda,
        zeros=zeros)


@pytest.mark.parametrize(('torch', 'driver', 'status', 'found'), [
    (fake_torch(None, False), False, 'ok', 'runs on the CPU'),
    (fake_torch('13.0', True), True, 'ok', '2 x H200'),
    (fake_torch('13.0', True, works=False), True, 'fail', 'no kernel image'),
    (fake_torch('13.0', False), True, 'warn', 'cannot use the GPU'),
    (fake_torch('13.0', False), False, 'ok', 'no NVIDIA driver'),
])
def test_cuda(monkeypatch: pytest.MonkeyPatch, torch, driver: bool,
              status: str, found: str) -> None:
    monkeypatch.setattr(doctor.importlib, 'import_module', lambda name: torch)
    monkeypatch.setattr(doctor.Path, 'exists', lambda path: driver)
    finding = doctor.check_cuda()
    assert finding.status == status
    assert found in finding.found
    assert bool(finding.cure) == (status != 'ok')


def test_python_out_of_range_is_a_warning() -> None:
    assert doctor.check_python((3, 12)).status == 'ok'
    assert doctor.check_python((3, 13)).status == 'warn'


def test_model_that_does_not_build_fails_with_its_error(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    family = tmp_path / 'direction'
    family.mkdir()
    path = family / 'x_tiny_synthetic.py'
    path.write_text("model = dict(type='NoSuchEstimator')\n")
    monkeypatch.setattr(doctor, 'config_folder', lambda: tmp_path)
    finding = only(doctor.check_models())
    assert (finding.name, finding.status) == ('model direction', 'fail')
    assert 'NoSuchEstimator' in finding.found


def test_check_that_breaks_down_is_a_finding(
        monkeypatch: pytest.MonkeyPatch) -> None:

    def check_moon() -> None:
        import no_such_package  # noqa: F401

    monkeypatch.setattr(doctor, 'CHECKS', (check_moon, ))
    finding = only(doctor.examine())
    assert (finding.name, finding.status) == ('moon', 'fail')
    assert finding.cure == f'{doctor.PIP} install no_such_package'


@pytest.mark.parametrize('status', ['ok', 'warn', 'fail'])
def test_exit_status_and_plain_lines(
        status: str, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    finding = doctor.Finding('part', status, 'found', 'the cure')
    monkeypatch.setattr(doctor, 'CHECKS', (lambda: finding, ))
    monkeypatch.setattr(sys, 'argv', ['doctor'])
    assert doctor.main() == (status == 'fail')
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [status, 'part', 'found']
    assert lines[1].split(maxsplit=1) == ['cure:', 'the cure']


@pytest.mark.parametrize('package', ['torch', 'mmengine'])
def test_doctor_runs_where_the_package_cannot_be_imported(
        package: str, tmp_path: Path) -> None:
    """A module that raises when it is imported stands for any broken part."""
    (tmp_path / f'{package}.py').write_text('raise ImportError("broken")')
    answer = subprocess.run(
        [sys.executable, '-m', 'mmpose_ext.doctor'], capture_output=True,
        text=True, env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    assert answer.returncode == 1, answer.stderr
    assert 'broken' in answer.stdout
    assert 'Traceback' not in answer.stderr

"""A wrong stack is refused with the cure."""
import os
import subprocess
import sys

import pytest

from mmpose_ext.compat import versions
from mmpose_ext.compat.versions import Requirement, check_versions


def test_installed_stack_fits():
    check_versions()


@pytest.mark.parametrize('minimum, below', [('99', '100'), ('0', '0.1')])
def test_both_bounds_hold(minimum, below):
    wrong = Requirement('numpy', ('numpy', ), minimum, below, minimum)
    with pytest.raises(versions.IncompatibleVersionError) as raised:
        check_versions((wrong, ))
    text = str(raised.value)
    for part in ('numpy: expected', minimum, below, 'pip install',
                 'Tested sets', 'doctor'):
        assert part in text


def test_absent_package_is_named():
    absent = Requirement('nowhere', ('no-such-package', ), '1', '2', '1.0')
    with pytest.raises(versions.IncompatibleVersionError,
                       match='found nothing'):
        check_versions((absent, ))


@pytest.mark.parametrize('version, fits', [
    ('2.0.1', True), ('2.1.0', True), ('2.2.0+cu121', True),
    ('2.0.0', False), ('2.4.0', False), ('2.4.0rc1', False)])
def test_bounds(version, fits):
    wanted = Requirement('mmcv', ('mmcv', ), '2.0.1', '2.4', '2.1.0')
    assert wanted.fits(version) is fits


def test_any_distribution_counts():
    either = Requirement('numpy', ('no-such-package', 'numpy'), '1', '9', '2')
    assert either.installed() is not None


def test_refusal_reaches_the_user_through_a_config(tmp_path):
    """MMEngine swallows ImportErrors; the cause must be seen nevertheless."""
    (tmp_path / 'sitecustomize.py').write_text(
        'from importlib import metadata\n'
        'real = metadata.version\n'
        "metadata.version = lambda name: '1.9' if name == 'mmpose' "
        'else real(name)\n')
    path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    code = ("from mmengine.registry import MODELS\n"
            "MODELS.get('mmpose_ext.DirectionCNN')")
    done = subprocess.run([sys.executable, '-c', code],
                          env=dict(os.environ, PYTHONPATH=path),
                          capture_output=True,
                          text=True)
    assert done.returncode != 0
    assert 'mmpose: expected >= 1.3.0, < 1.4, found 1.9' in done.stderr

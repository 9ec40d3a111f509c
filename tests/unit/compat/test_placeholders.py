"""What MMPose imports without need is replaced, and only where absent."""
import importlib
import sys
from types import ModuleType

import pytest

from mmpose_ext.compat import placeholders


@pytest.fixture
def without_ops(monkeypatch):
    monkeypatch.setattr(
        placeholders, '_is_available', lambda module: False)
    for name in (placeholders.MMCV_EXT, placeholders.SIMCC_VIS):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in (placeholders.MMCV_EXT, placeholders.SIMCC_VIS):
        sys.modules.pop(name, None)
    placeholders.install()


def test_absent_operator_raises_on_use(without_ops):
    placeholders.install()
    ext = importlib.import_module('mmcv._ext')
    assert placeholders.is_placeholder('mmcv._ext')
    assert hasattr(ext, 'nms')
    with pytest.raises(ImportError, match=r'"nms".*mim install'):
        ext.nms(1)


def test_absent_torchvision_raises_on_use(without_ops):
    placeholders.install()
    module = sys.modules[placeholders.SIMCC_VIS]
    with pytest.raises(ImportError, match='pip install torchvision'):
        module.SimCCVisualizer()


def test_mmengine_knows_that_mmcv_is_not_full(without_ops):
    from mmengine.utils.dl_utils.misc import mmcv_full_available
    placeholders.install()
    assert mmcv_full_available() is False


def test_present_parts_are_left_alone(monkeypatch):
    real = ModuleType(placeholders.MMCV_EXT)
    monkeypatch.setitem(sys.modules, placeholders.MMCV_EXT, real)
    placeholders.install()
    assert sys.modules[placeholders.MMCV_EXT] is real
    assert not placeholders.is_placeholder(placeholders.MMCV_EXT)


def test_mmpose_imports_whole():
    """Fails without the placeholders where mmcv-lite is installed."""
    for name in ('mmpose.models', 'mmpose.datasets', 'mmpose.visualization'):
        importlib.import_module(name)

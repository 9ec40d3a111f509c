"""Placeholders for parts that MMPose imports without needing them.

``mmpose.models`` imports compiled mmcv operators (for EDPose alone) and
``mmpose.visualization`` imports torchvision (for the SimCC picture alone), so
that without them no model at all can be built. The placeholders let these
imports pass and raise, with the package to install, when somebody really uses
the part.
"""
from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

MMCV_EXT = 'mmcv._ext'
SIMCC_VIS = 'mmpose.visualization.simcc_vis'


def install() -> None:
    """Install a placeholder for each part that is absent, and only then."""
    if not _is_available(MMCV_EXT):
        sys.modules[MMCV_EXT] = _CompiledOps(MMCV_EXT)
    if not _is_available('torchvision') and SIMCC_VIS not in sys.modules:
        module = ModuleType(SIMCC_VIS, 'Stands in for MMPose\'s SimCC view.')
        module.SimCCVisualizer = _SimCCVisualizer  # type: ignore[attr-defined]
        sys.modules[SIMCC_VIS] = module


def is_placeholder(module: str) -> bool:
    """Whether a module in ``sys.modules`` is one of ours.

    Args:
        module (str): ``'mmcv._ext'`` or
            ``'mmpose.visualization.simcc_vis'``.
    """
    found = sys.modules.get(module)
    return isinstance(found, _CompiledOps) or getattr(
        found, 'SimCCVisualizer', None) is _SimCCVisualizer


def _is_available(module: str) -> bool:
    if module in sys.modules:
        return not is_placeholder(module)
    return importlib.util.find_spec(module) is not None


class _CompiledOps(ModuleType):
    """Has every operator by name; each raises when called."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # MMEngine asks for the loader to learn whether mmcv is the full one;
        # a spec without a loader answers no.
        self.__spec__ = ModuleSpec(name, loader=None)

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> NoReturn:
            raise ImportError(
                f'mmcv.ops needs the compiled operator "{name}", which '
                'mmcv-lite does not contain. Install the full mmcv for your '
                'torch and CUDA: `pip uninstall mmcv-lite`, then '
                '`mim install "mmcv==2.1.0"`.')

        return missing


class _SimCCVisualizer:
    """Raises when MMPose wants to draw SimCC heatmaps."""

    def __init__(self) -> None:
        raise ImportError(
            'Drawing SimCC heatmaps needs torchvision, which is not '
            'installed: `pip install torchvision` (the release that fits '
            'your torch).')

"""mmpose_ext: six animal and hand pose systems as MMPose modules.

Importing the package checks the versions of the OpenMMLab stack and supplies
what its released packages lack on today's torch and numpy
(:mod:`mmpose_ext.compat`). It imports no model.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmpose_ext import compat
from mmpose_ext.version import __version__

if TYPE_CHECKING:
    from mmpose_ext.inferencer import Inferencer

__all__ = ['Inferencer', '__version__']

# The doctor applies it by itself, to report whatever that raises.
if not (compat.doctor_is_running() or compat.needs_no_torch()):
    compat.apply()


def __getattr__(name: str) -> Any:
    """Import MMPose only where the inferencer is asked for."""
    if name == 'Inferencer':
        from mmpose_ext.inferencer import Inferencer
        return Inferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

"""mmpose_ext: six animal and hand pose systems as MMPose modules.

Importing the package checks the versions of the OpenMMLab stack and supplies
what its released packages lack on today's torch and numpy
(:mod:`mmpose_ext.compat`). It imports no model.
"""
from __future__ import annotations

from mmpose_ext import compat
from mmpose_ext.version import __version__

__all__ = ['__version__']

# The doctor applies it by itself, to report whatever that raises.
if not (compat.doctor_is_running() or compat.needs_no_torch()):
    compat.apply()

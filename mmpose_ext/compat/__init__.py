"""What the released OpenMMLab stack lacks on today's torch and numpy.

Each part does nothing where the stack already works: with full mmcv and
torchvision no placeholder is installed, with CUDA no process group is made.
"""
from __future__ import annotations

import sys

__all__ = ['apply']


def apply() -> None:
    """Check versions, then mend imports, checkpoints and CPU training.

    Raises:
        IncompatibleVersionError: If an installed package lies outside the
            supported bounds. ``python -m mmpose_ext.doctor`` skips the check,
            because naming the wrong package is its work.
    """
    from mmpose_ext.compat.versions import check_versions
    if not _doctor_is_running():
        check_versions()

    from mmpose_ext.compat import checkpoints, distributed, placeholders
    placeholders.install()
    checkpoints.install_safe_loaders()
    distributed.join_cpu_process_group()


def _doctor_is_running() -> bool:
    words = sys.orig_argv
    return any(
        flag == '-m' and name == 'mmpose_ext.doctor'
        for flag, name in zip(words, words[1:], strict=False))

"""What the released OpenMMLab stack lacks on today's torch and numpy.

Each part does nothing where the stack already works: with full mmcv and
torchvision no placeholder is installed, with CUDA no process group is made.
"""
from __future__ import annotations

import os
import sys

__all__ = ['apply', 'doctor_is_running', 'needs_no_torch']

# Set by tools that read logs alone: importing torch would be most of their
# time.
_WITHOUT_TORCH = 'MMPOSE_EXT_WITHOUT_TORCH'


def apply() -> None:
    """Check versions, then mend imports, checkpoints and CPU training.

    Raises:
        IncompatibleVersionError: If an installed package lies outside the
            supported bounds.
    """
    from mmpose_ext.compat.versions import check_versions
    check_versions()

    from mmpose_ext.compat import (
        config_text,
        late,
        memory,
        placeholders,
        quiet,
    )
    quiet.ignore_foreign_deprecations()
    placeholders.install()
    memory.keep_freed_memory()
    config_text.remember_formatted_texts()
    late.after_import('mmengine.runner', _mend_runner)
    late.after_import('mmpose.utils.tensor_utils', _mend_conversion)


def _mend_runner() -> None:
    from mmpose_ext.compat import (
        checkpoints,
        compilation,
        distributed,
        mixed_precision,
    )
    checkpoints.install_safe_loaders()
    compilation.compile_networks_alone()
    mixed_precision.allow_bfloat16_on_cpus()
    distributed.join_cpu_process_group()


def _mend_conversion() -> None:
    from mmpose_ext.compat import mixed_precision
    mixed_precision.widen_before_numpy()


def doctor_is_running() -> bool:
    """Whether this is ``python -m mmpose_ext.doctor``."""
    words = sys.orig_argv
    return any(
        flag == '-m' and name == 'mmpose_ext.doctor'
        for flag, name in zip(words, words[1:], strict=False))


def needs_no_torch() -> bool:
    """Whether this program works on files alone, and so runs without torch."""
    return os.environ.get(_WITHOUT_TORCH) == '1'

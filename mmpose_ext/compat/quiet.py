"""Warnings that nobody who runs a training can act on."""
from __future__ import annotations

import warnings


def ignore_foreign_deprecations() -> None:
    """Ignore what the released OpenMMLab packages do to others' old names.

    MMEngine 0.10.7 imports ``pkg_resources`` and mmcv scripts functions with
    ``torch.jit``; both warn at every start. mmdet 3.3 names the device of
    autocast in the old way, in every epoch.
    """
    warnings.filterwarnings(
        'ignore', message=r'.?torch\.cuda\.amp\.autocast',
        category=FutureWarning)
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    warnings.filterwarnings(
        'ignore', message=r'.?torch\.jit\.', category=DeprecationWarning)

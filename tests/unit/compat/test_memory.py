"""Freed memory stays at hand."""
from __future__ import annotations

import platform
import resource

import pytest
import torch

from mmpose_ext.compat.memory import keep_freed_memory


@pytest.mark.skipif(
    torch.cuda.is_available() or platform.libc_ver()[0] != 'glibc',
    reason='nothing is done there')
def test_large_tensors_are_not_cleared_again() -> None:
    """Each page that the kernel has to clear counts as a minor fault."""
    assert keep_freed_memory()
    pages = 40 * 2**20 // resource.getpagesize()
    for _ in range(2):
        torch.ones(10 * 2**20)  # 40 MiB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(10 * 2**20)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert after - before < 2 * pages  # of the five times that many

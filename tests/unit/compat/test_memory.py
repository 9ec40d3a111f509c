"""Freed memory stays at hand."""
from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest
import torch

# Each page that the kernel has to clear counts as a minor fault. A process of
# its own, because the heap of the tests' is full of holes.
SCRIPT = """
import resource
import torch
from mmpose_ext.compat.memory import keep_freed_memory
assert keep_freed_memory()
for _ in range(16):  # the heap has grown to its size
    torch.ones(10 * 2**20)  # 40 MiB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(10 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    torch.cuda.is_available() or platform.libc_ver()[0] != 'glibc',
    reason='nothing is done there')
def test_large_tensors_are_not_cleared_again() -> None:
    done = subprocess.run([sys.executable, '-c', SCRIPT],
                          capture_output=True, text=True, check=True)
    pages = 40 * 2**20 // resource.getpagesize()
    assert int(done.stdout.split()[-1]) < pages  # else ten times that

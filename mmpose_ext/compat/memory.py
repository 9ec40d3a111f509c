"""Freed memory is kept for the next iteration instead of given back.

Training allocates and frees the same large tensors over and over. glibc
returns blocks beyond 32 MB, and whatever lies free at the heap's end, to the
kernel each time, which has to clear every page when it is asked for again: up
to a quarter of a small network's training time on a CPU.
"""
from __future__ import annotations

import ctypes
import platform

import torch

# of malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_TWO_GIB = 2**31 - 1  # the largest value that mallopt takes


def keep_freed_memory() -> bool:
    """Ask glibc's malloc to keep up to 2 GiB of freed memory.

    Returns:
        bool: Whether it will; False where the C library is another one, and
        with CUDA, whose allocator keeps its memory by itself.
    """
    if torch.cuda.is_available() or platform.libc_ver()[0] != 'glibc':
        return False
    libc = ctypes.CDLL(None)
    return bool(
        libc.mallopt(_M_MMAP_MAX, 0)
        and libc.mallopt(_M_TRIM_THRESHOLD, _TWO_GIB))

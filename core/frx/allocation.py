"""How the C library deals with memory that is freed."""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt(3) in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Let this process keep what it frees until it ends, where the C library is glibc.

    Else every large tensor is a new piece of zeroed memory from the system, page by page: in
    training on a CPU that takes a fifth of the time or more. A step of training needs as much as
    the one before, so the peak stays what it was.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)

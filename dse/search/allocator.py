"""How the C library keeps memory that NumPy frees.

The GNU C library gives arrays of 128 KiB and more back to the system at once, and the system clears every page that it
hands out again. A model made of many short-lived columns of that size spends a third of its time on this.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 << 20
_MAX_KEPT = 32 << 20


@cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 256 MiB of freed memory for reuse; tell whether the C library can be told so."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_MMAP_THRESHOLD, _MAX_KEPT) and library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES))

"""Arrays and text small enough to travel inside a page: rounded, byte planes apart, gzip, base64."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Packable: TypeAlias = "NDArray[np.float32] | NDArray[np.uint8] | NDArray[np.uint32]"

MANTISSA_BITS = 23
"""Stored bits of the mantissa of a single-precision number."""


def rounded(values: NDArray[np.float64], bits: int) -> NDArray[np.float32]:
    """Return single-precision numbers with only `bits` of the mantissa left, so that they compress.

    The relative error is at most ``2 ** -(bits + 1)``; NaN stays NaN, infinities stay infinite, as what is
    beyond single precision becomes.
    """
    if not 1 <= bits <= MANTISSA_BITS:
        raise ValueError(f"bits must lie in 1 to {MANTISSA_BITS}, got {bits}")
    with np.errstate(over="ignore"):
        single = np.asarray(values, dtype=np.float32)
    drop = MANTISSA_BITS - bits
    if not drop:
        return single
    half = np.uint32(1 << (drop - 1))
    words = single.view(np.uint32)
    kept = ((words + half) >> np.uint32(drop)) << np.uint32(drop)
    return np.where(np.isfinite(single), kept.view(np.float32), single)


def planes(column: Packable) -> bytes:
    """Return the bytes of a column, first the lowest of every entry, then the next: like bytes lie together."""
    little = np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<"), copy=False)
    return little.view(np.uint8).reshape(len(little), little.dtype.itemsize).T.tobytes()


def packed(content: bytes) -> str:
    """Return bytes as text: gzip in base64, the same text for the same bytes."""
    return base64.b64encode(gzip.compress(content, compresslevel=7, mtime=0)).decode("ascii")


def packed_columns(columns: Sequence[Packable]) -> str:
    """Return columns one after the other as text, each in byte planes."""
    return packed(b"".join(planes(column) for column in columns))

"""Strings of bits, counted exactly: fixed-width fields, unary counts and bitmaps.

All formats are written with these, so that a stored size is the length of something that can be read back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError


@dataclass(frozen=True, eq=False)
class BitString:
    """A string of bits.

    Attributes:
        octets: the bits, eight to a byte, lowest first; the last byte filled with zeros.
        size: number of bits.
    """

    octets: NDArray[np.uint8]
    size: int

    @classmethod
    def of(cls, bits: NDArray[np.bool_]) -> BitString:
        """Store an array of bits in the order of its memory."""
        return cls(np.packbits(bits, bitorder="little"), bits.size)

    def bits(self) -> NDArray[np.bool_]:
        """Return the ``(size,)`` bits."""
        if self.size > 8 * len(self.octets):
            raise CompressionError(f"a string of {self.size} bits is cut off after {8 * len(self.octets)}")
        return np.unpackbits(self.octets, count=self.size, bitorder="little").view(np.bool_)


def field_width(count: int) -> int:
    """Return the bits of a field that tells `count` values apart, ceil(log2 count)."""
    return (count - 1).bit_length()


def write_fields(values: NDArray[np.integer[Any]], width: int) -> BitString:
    """Store each value in `width` bits.

    Raises:
        CompressionError: a value is negative or needs more bits.
    """
    flat = np.ravel(values)
    if flat.size and (flat.min() < 0 or int(flat.max()) >> width):
        raise CompressionError(f"values from {flat.min()} to {flat.max()} do not fit fields of {width} bits")
    if width * flat.size == 0:
        return BitString(np.empty(0, np.uint8), 0)
    kind = next(size for size in (8, 16, 32, 64) if width <= size)
    octets = flat.astype(f"<u{kind // 8}").view(np.uint8).reshape(flat.size, -1)
    return BitString.of(np.unpackbits(octets, axis=1, count=width, bitorder="little").view(np.bool_))


def read_fields(string: BitString, width: int, count: int) -> NDArray[np.int64]:
    """Return the `count` values that `write_fields` has stored."""
    if width * count != string.size:
        raise CompressionError(f"{count} fields of {width} bits do not make a string of {string.size}")
    if width * count == 0:
        return np.zeros(count, np.int64)
    octets = np.zeros((count, 8), np.uint8)
    packed = np.packbits(string.bits().reshape(count, width), axis=1, bitorder="little")
    octets[:, : packed.shape[1]] = packed
    return octets.view("<i8").reshape(count)


def write_unary(counts: NDArray[np.integer[Any]]) -> BitString:
    """Store each count as that many ones and a zero."""
    bits = np.ones(int(counts.sum()) + counts.size, np.bool_)
    bits[np.cumsum(counts + 1) - 1] = False
    return BitString.of(bits)


def read_unary(string: BitString) -> NDArray[np.int64]:
    """Return the counts that `write_unary` has stored."""
    zeros = np.flatnonzero(~string.bits())
    return np.diff(zeros, prepend=-1) - 1

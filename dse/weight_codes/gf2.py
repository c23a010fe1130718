"""Bits as vectors over GF(2): sums of every subset, and words that hold many bits."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.bool_]
Integers: TypeAlias = NDArray[np.integer[Any]]


def span(basis: Integers, origin: Integers | None = None) -> Integers:
    """Return `origin` XOR every subset of `basis`: ``(k, ...)`` to ``(2^k, ...)``; entry i takes the bits set in i."""
    sums = np.empty((1 << len(basis), *basis.shape[1:]), basis.dtype)
    sums[0] = 0 if origin is None else origin
    for k, word in enumerate(basis):
        np.bitwise_xor(sums[: 1 << k], word, out=sums[1 << k : 2 << k])
    return sums


def pack_words(bits: Bits) -> Integers:
    """Return ``(..., n)`` bits as ``(words, ...)`` of the narrowest unsigned integers that hold them, or of 64 bits."""
    size = bits.shape[-1]
    width = next((width for width in (8, 16, 32) if size <= width), 64)
    words = -(-size // width)
    padded = np.zeros((*bits.shape[:-1], words * width), np.bool_)
    padded[..., :size] = bits
    packed = np.packbits(padded, axis=-1, bitorder="little").view(f"<u{width // 8}")
    return np.ascontiguousarray(np.moveaxis(packed, -1, 0))


def dequantize_words(words: Integers, size: int) -> Bits:
    """Return the first `size` bits of ``(words, ...)``: the inverse of `pack_words`."""
    octets = np.ascontiguousarray(np.moveaxis(words, 0, -1)).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=size, bitorder="little").view(np.bool_)


def count_bits(words: Integers) -> Integers:
    """Return the number of bits set in ``(words, ...)``."""
    counts = np.bitwise_count(words)
    return np.asarray(counts[0] if len(counts) == 1 else counts.sum(axis=0, dtype=np.uint16))

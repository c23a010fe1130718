"""Storage formats of unstructured sparse matrices, written and read back bit by bit.

A matrix comes as codes: ``(rows, columns)`` unsigned integers of `bits` bits, 0 where a weight has been pruned. What a
container stores is counted to the bit, and reading it gives back every code. Sizes that both sides know (shape, bits,
the settings of the container) are not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError
from dse.weight_codes.bitstream import BitString, field_width, read_fields, read_unary, write_fields, write_unary

Codes = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class Stored:
    """A matrix in a container.

    Attributes:
        shape: rows and columns.
        bits: bits of a code.
        parts: what is stored, by name.
    """

    shape: tuple[int, int]
    bits: int
    parts: Mapping[str, BitString]

    @property
    def size(self) -> int:
        """Stored bits."""
        return sum(part.size for part in self.parts.values())


class Container(Protocol):
    """A way to store codes."""

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits."""

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""


@dataclass(frozen=True)
class Dense:
    """Every code, zeros included."""

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits."""
        return Stored(check_codes(codes, bits), bits, {"values": write_fields(codes, bits)})

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        count = stored.shape[0] * stored.shape[1]
        return as_codes(read_fields(stored.parts["values"], stored.bits, count), stored)


@dataclass(frozen=True)
class Bitmap:
    """One bit per weight says whether it survives; nonzeros follow. 1 + (1 - S) b bits per weight."""

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits."""
        shape = check_codes(codes, bits)
        mask = codes != 0
        return Stored(shape, bits, {"mask": BitString.of(mask), "values": write_fields(codes[mask], bits)})

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        return place(np.flatnonzero(stored.parts["mask"].bits()), stored)


@dataclass(frozen=True)
class Csr:
    """Compressed sparse rows: column and code of every nonzero, and where each row ends.

    (1 - S) (b + i) + pointer / columns bits per weight.

    Attributes:
        index_bits: bits of a column number, i.
        pointer_bits: bits of the end of a row.
    """

    index_bits: int = 16
    pointer_bits: int = 32

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits.

        Raises:
            CompressionError: more columns or nonzeros than the numbers can count.
        """
        shape = check_codes(codes, bits)
        if field_width(shape[1]) > self.index_bits:
            raise CompressionError(f"{shape[1]} columns need more than {self.index_bits} bits of index")
        ends = np.cumsum(np.count_nonzero(codes, axis=1))
        return Stored(
            shape,
            bits,
            {
                "row_ends": write_fields(ends, self.pointer_bits),
                "columns": write_fields(np.nonzero(codes)[1], self.index_bits),
                "values": write_fields(codes[codes != 0], bits),
            },
        )

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        rows, width = stored.shape
        counts = np.diff(read_fields(stored.parts["row_ends"], self.pointer_bits, rows), prepend=0)
        columns = read_fields(stored.parts["columns"], self.index_bits, int(counts.sum()))
        return place(np.repeat(np.arange(rows) * width, counts) + columns, stored)


@dataclass(frozen=True)
class RunLength:
    """Run of zeros before every nonzero in k bits, and its code; a longer run takes entries of code 0 on the way.

    (1 - S) (1 + f) (b + k) bits per weight with f = S^(2^k) / (1 - S^(2^k)) expected extra entries per nonzero. The
    extra entries use up code 0, so that a nonzero has one value less than its bits allow.

    Attributes:
        run_bits: bits of a run, k; None takes the best for each matrix (its choice, 4 bits, is counted).
    """

    run_bits: int | None = None

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits."""
        shape = check_codes(codes, bits)
        places = np.flatnonzero(codes)
        gaps = np.diff(places, prepend=-1) - 1
        if self.run_bits is None:
            k = min(range(1, 17), key=lambda k: int((gaps >> k).sum() + len(gaps)) * (bits + k))
            choice = {"run_bits": write_fields(np.array([k - 1]), 4)}
        else:
            k, choice = self.run_bits, {}
        extra = gaps >> k
        last = np.cumsum(extra + 1) - 1  # entry of each nonzero
        runs = np.full(int(extra.sum()) + len(gaps), (1 << k) - 1)
        runs[last] = gaps & ((1 << k) - 1)
        values = np.zeros(len(runs), codes.dtype)
        values[last] = codes.ravel()[places]
        return Stored(shape, bits, choice | {"runs": write_fields(runs, k), "values": write_fields(values, bits)})

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        k = self.run_bits
        if k is None:
            (least,) = read_fields(stored.parts["run_bits"], 4, 1).tolist()
            k = least + 1
        count = stored.parts["values"].size // stored.bits
        runs = read_fields(stored.parts["runs"], k, count)
        return place(np.cumsum(runs + 1) - 1, stored)


@dataclass(frozen=True)
class RiceGaps:
    """Runs of zeros before nonzeros in a Rice code, and the nonzeros: within a few per cent of the entropy.

    A run r is r // 2^k in unary and the rest in k bits (Golomb, IEEE Trans. Inf. Theory 12, 1966; Rice, JPL 79-22).
    The best k is chosen for each matrix; it and the number of nonzeros are counted.
    """

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits."""
        shape = check_codes(codes, bits)
        return Stored(shape, bits, write_mask(codes != 0) | {"values": write_fields(codes[codes != 0], bits)})

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        return place(np.flatnonzero(read_mask(stored.parts, stored.shape)), stored)


def write_mask(mask: NDArray[np.bool_]) -> dict[str, BitString]:
    """Return a mask as Rice-coded runs of zeros."""
    gaps = np.diff(np.flatnonzero(mask), prepend=-1) - 1
    k = min(range(16), key=lambda k: int((gaps >> k).sum()) + len(gaps) * (1 + k))
    return {
        "rice_bits": write_fields(np.array([k]), 4),
        "runs": write_unary(gaps >> k),
        "rests": write_fields(gaps & ((1 << k) - 1), k),
    }


def read_mask(parts: Mapping[str, BitString], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask that `write_mask` has stored."""
    (k,) = read_fields(parts["rice_bits"], 4, 1).tolist()
    runs = read_unary(parts["runs"])
    gaps = (runs << k) + read_fields(parts["rests"], k, len(runs))
    mask = np.zeros(int(np.prod(shape)), np.bool_)
    mask[_inside(np.cumsum(gaps + 1) - 1, mask.size)] = True
    return mask.reshape(shape)


def check_codes(codes: Codes, bits: int) -> tuple[int, int]:
    """Return the shape of a matrix of codes.

    Raises:
        CompressionError: not a matrix of unsigned integers, empty, or a code that needs more bits.
    """
    if codes.ndim != 2 or codes.dtype.kind != "u":
        raise CompressionError(f"codes must be a matrix of unsigned integers, got {codes.dtype} of shape {codes.shape}")
    if codes.size == 0:
        raise CompressionError(f"the tensor of shape {codes.shape} is empty")
    if int(codes.max()) >> bits:
        raise CompressionError(f"code {codes.max()} does not fit {bits} bits")
    return codes.shape[0], codes.shape[1]


def place(places: NDArray[np.integer[Any]], stored: Stored) -> Codes:
    """Return codes with the stored values at those places of the flat matrix and 0 elsewhere."""
    flat = np.zeros(stored.shape[0] * stored.shape[1], np.int64)
    flat[_inside(places, flat.size)] = read_fields(stored.parts["values"], stored.bits, len(places))
    return as_codes(flat, stored)


def as_codes(flat: NDArray[np.int64], stored: Stored) -> Codes:
    """Return flat codes as a matrix of the narrowest unsigned integers."""
    narrow: Codes = flat.astype(np.uint8) if stored.bits <= 8 else flat.astype(np.uint16)
    return narrow.reshape(stored.shape)


def _inside(places: NDArray[np.integer[Any]], size: int) -> NDArray[np.integer[Any]]:
    if places.size and places.max() >= size:
        raise CompressionError(f"a nonzero at place {places.max()} lies outside a matrix of {size} weights")
    return places

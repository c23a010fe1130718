"""Storage formats of matrices whose nonzeros are laid out by groups or tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError
from dse.weight_codes.bitstream import field_width, read_fields, write_fields
from dse.weight_codes.containers import Codes, Stored, as_codes, check_codes
from dse.weight_codes.pruning import check_pattern


@dataclass(frozen=True)
class NofM:
    """At most n nonzeros in every m neighbours of a row, stored as n codes and where they are.

    Attributes:
        n: nonzeros stored per group; groups with fewer are filled up with zeros.
        m: neighbours in a group.
        ranked: number the C(m, n) patterns, ceil(log2 C(m, n)) bits per group; otherwise ceil(log2 m) bits per
            nonzero, as 2:4 tensor cores have them.
    """

    n: int
    m: int
    ranked: bool = False

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits.

        Raises:
            CompressionError: a group has more than n nonzeros, or m does not divide the rows.
        """
        shape = check_codes(codes, bits)
        check_pattern(self.n, self.m, shape[1])
        groups = codes.reshape(-1, self.m)
        most = int(np.count_nonzero(groups, axis=1).max())
        if most > self.n:
            raise CompressionError(f"a group of {self.m} weights has {most} nonzeros, more than {self.n}")
        # Nonzeros first, then the first zeros, the chosen ones in the order of the group.
        chosen = np.sort(np.argsort(groups == 0, axis=1, kind="stable")[:, : self.n], axis=1)
        values = write_fields(np.take_along_axis(groups, chosen, axis=1), bits)
        if self.ranked:
            marks = np.zeros(groups.shape, np.bool_)
            np.put_along_axis(marks, chosen, True, axis=1)
            ranks = np.searchsorted(_patterns(self.n, self.m), marks @ (1 << np.arange(self.m)))
            return Stored(shape, bits, {"patterns": write_fields(ranks, self._rank_bits), "values": values})
        return Stored(shape, bits, {"places": write_fields(chosen, field_width(self.m)), "values": values})

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        count = stored.shape[0] * stored.shape[1] // self.m
        flat = np.zeros((count, self.m), np.int64)
        values = read_fields(stored.parts["values"], stored.bits, count * self.n).reshape(count, self.n)
        np.put_along_axis(flat, self._chosen(stored, count), values, axis=1)
        return as_codes(flat, stored)

    @property
    def _rank_bits(self) -> int:
        return field_width(math.comb(self.m, self.n))

    def _chosen(self, stored: Stored, count: int) -> NDArray[np.int64]:
        if not self.ranked:
            return read_fields(stored.parts["places"], field_width(self.m), count * self.n).reshape(count, self.n)
        ranks = read_fields(stored.parts["patterns"], self._rank_bits, count)
        marks = (_patterns(self.n, self.m)[ranks][:, None] >> np.arange(self.m)) & 1
        return np.nonzero(marks)[1].reshape(count, self.n)


@dataclass(frozen=True)
class Tiled:
    """Tiles with the position and code of every nonzero, and where each tile ends (Tiled-CSL of Flash-LLM).

    (1 - S) (b + i) + offset / tile bits per weight. Tiles at the edges may be smaller.

    Attributes:
        rows: rows of a tile.
        columns: columns of a tile.
        index_bits: bits of a position in the tile, i.
        offset_bits: bits of the end of a tile.
    """

    rows: int = 128
    columns: int = 64
    index_bits: int = 16
    offset_bits: int = 32

    def write(self, codes: Codes, bits: int) -> Stored:
        """Store ``(rows, columns)`` codes of that many bits.

        Raises:
            CompressionError: a tile has more weights than positions can tell apart.
        """
        shape = check_codes(codes, bits)
        if self.rows < 1 or self.columns < 1 or field_width(self.rows * self.columns) > self.index_bits:
            raise CompressionError(
                f"tiles of {self.rows} x {self.columns} do not fit positions of {self.index_bits} bits"
            )
        row, column = np.nonzero(codes)
        tile = row // self.rows * self._across(shape) + column // self.columns
        position = row % self.rows * self.columns + column % self.columns
        order = np.argsort(tile, kind="stable")
        ends = np.cumsum(np.bincount(tile, minlength=self._tiles(shape)))
        return Stored(
            shape,
            bits,
            {
                "tile_ends": write_fields(ends, self.offset_bits),
                "positions": write_fields(position[order], self.index_bits),
                "values": write_fields(codes[row, column][order], bits),
            },
        )

    def read(self, stored: Stored) -> Codes:
        """Return the codes."""
        ends = read_fields(stored.parts["tile_ends"], self.offset_bits, self._tiles(stored.shape))
        tile = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        position = read_fields(stored.parts["positions"], self.index_bits, len(tile))
        row = tile // self._across(stored.shape) * self.rows + position // self.columns
        column = tile % self._across(stored.shape) * self.columns + position % self.columns
        flat = np.zeros(stored.shape, np.int64)
        flat[row, column] = read_fields(stored.parts["values"], stored.bits, len(tile))
        return as_codes(flat, stored)

    def _across(self, shape: tuple[int, int]) -> int:
        return -(-shape[1] // self.columns)

    def _tiles(self, shape: tuple[int, int]) -> int:
        return -(-shape[0] // self.rows) * self._across(shape)


_PLACES = 63
"""Bits of a signed integer beside its sign: a pattern is one."""


@lru_cache(maxsize=8)
def _patterns(n: int, m: int) -> NDArray[np.int64]:
    """Return all sets of n of m places as integers, in order; the rank of a pattern is its index.

    Raises:
        CompressionError: more patterns than a table should hold, or more places than an integer has bits.
    """
    if m > _PLACES:
        raise CompressionError(f"{n} of {m} has no numbered patterns: those are of at most {_PLACES} places")
    if math.comb(m, n) > 1 << 16:
        raise CompressionError(f"{n} of {m} has {math.comb(m, n)} patterns, more than {1 << 16}")
    result: list[Any] = [sum(1 << i for i in places) for places in combinations(range(m), n)]
    return np.sort(np.array(result, np.int64))

"""The columns that models take and return: one row per design.

A column of numbers is an ``(n,)`` float array; one that names a library entry is a `Choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
Number: TypeAlias = "float | FloatArray"
RowIndex: TypeAlias = "slice | NDArray[np.bool_] | NDArray[np.integer]"

INACTIVE = -1
"""Code of a conditional parameter in a row where its condition does not hold (NaN in a numeric column)."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A column that picks one of a few names per row.

    Attributes:
        values: the names, without repeats.
        codes: ``(n,)`` indices into `values`; `INACTIVE` where the parameter does not apply.
    """

    values: tuple[str, ...]
    codes: NDArray[np.intp]

    @classmethod
    def of(cls, *names: str) -> Choice:
        """Build a column from one name per row."""
        values = tuple(dict.fromkeys(names))
        return cls(values, np.array([values.index(name) for name in names], dtype=np.intp))

    def __len__(self) -> int:
        return len(self.codes)

    def gather(self, table: Sequence[Number]) -> FloatArray:
        """Return per row the entry of `table` (one scalar or ``(n,)`` column per value) that the row has chosen.

        Rows where the choice is inactive give NaN.
        """
        if all(np.ndim(entry) == 0 for entry in table):
            return np.append(np.asarray(table, dtype=np.float64), np.nan)[self.codes]
        if len(table) == 1 and not self.codes.any():
            # One name in every row: its column is the answer.
            shape = np.broadcast_shapes(self.codes.shape, np.shape(table[0]))
            return np.array(np.broadcast_to(table[0], shape), dtype=np.float64)
        chosen = np.full(np.broadcast_shapes(self.codes.shape, *map(np.shape, table)), np.nan)
        for code, entry in enumerate(table):
            np.copyto(chosen, entry, where=self.codes == code)
        return chosen

    def map(self, function: Callable[[str], Number]) -> FloatArray:
        """Return per row ``function(name)``, called once per name."""
        return self.gather([function(value) for value in self.values])

    def translate(self, function: Callable[[str], str]) -> Choice:
        """Return the column of ``function(name)``, for example a memory grade's technology."""
        renamed = [function(value) for value in self.values]
        values = tuple(dict.fromkeys(renamed))
        table = np.array([values.index(name) for name in renamed] + [INACTIVE], dtype=np.intp)
        return Choice(values, table[self.codes])

    def filled(self, default: str) -> Choice:
        """Return the column with `default` in the rows where the choice is inactive."""
        if not (self.codes == INACTIVE).any():
            return self
        values = self.values if default in self.values else (*self.values, default)
        return Choice(values, np.where(self.codes == INACTIVE, values.index(default), self.codes))

    def names(self) -> NDArray[np.object_]:
        """Return the chosen name of each row, None where inactive."""
        return np.array([*self.values, None], dtype=object)[self.codes]

    def rows(self, index: RowIndex) -> Choice:
        """Return the rows that `index` (slice, mask or integer array) selects."""
        return Choice(self.values, self.codes[index])


Column: TypeAlias = "FloatArray | Choice"
Designs: TypeAlias = Mapping[str, Column]
"""A table of designs: parameter name to column, all of one length."""


def row_count(designs: Designs) -> int:
    """Return the number of rows of a table of designs."""
    return len(next(iter(designs.values())))


def select(designs: Designs, index: RowIndex) -> dict[str, Column]:
    """Return the rows of a table that `index` (slice, mask or integer array) selects."""
    return {
        name: column.rows(index) if isinstance(column, Choice) else column[index] for name, column in designs.items()
    }

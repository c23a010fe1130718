"""Tables of designs: the columns that models take and return, one row per design.

A column of numbers is an ``(n,)`` float array; one that names a library entry is a `Choice`. Models read columns by
name from any mapping (`Designs`); what makes, cuts and joins rows is a `Table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from cost_models.quantities.parameters import PARAMETERS
from cost_models.tape import asarray, row_by_row

if TYPE_CHECKING:
    import pandas as pd

FloatArray: TypeAlias = NDArray[np.float64]
Number: TypeAlias = "float | FloatArray"
RowIndex: TypeAlias = "slice | NDArray[np.bool_] | NDArray[np.integer]"
Setting: TypeAlias = "float | int | str"
"""One value of a design."""

MANY_ROWS = 2048
"""Rows from which bits are mixed by `rows_where`; fewer are done sooner than its steps are begun."""

INACTIVE = -1
"""Code of a conditional parameter in a row where its condition does not hold (NaN in a numeric column)."""


Record = TypeVar("Record")


def rows_of(record: Record, rows: NDArray[np.integer], of: int) -> Record:
    """Return some of the rows of a record of columns, and of all that it has worked out already.

    Arrays are cut along their last axis, in records, tuples and mappings too; what has no column is the same object.

    Args:
        record: what may hold columns.
        rows: indices of the rows that are wanted.
        of: rows of the record; an array that is not as long stands for all of them.
    """
    part: Any = record
    if isinstance(record, np.ndarray):
        if of > 1 and record.ndim and record.shape[-1] == of:
            part = np.take(record, rows, axis=-1)
    elif isinstance(record, tuple):
        parts = tuple(rows_of(one, rows, of) for one in record)
        part = parts if any(one is not old for one, old in zip(parts, record, strict=True)) else record
    elif isinstance(record, Mapping):
        named = {name: rows_of(one, rows, of) for name, one in record.items()}
        part = named if any(named[name] is not old for name, old in record.items()) else record
    elif is_dataclass(record) and not isinstance(record, type):
        held = {name: rows_of(one, rows, of) for name, one in vars(record).items()}
        if any(held[name] is not old for name, old in vars(record).items()):
            part = object.__new__(type(record))
            vars(part).update(held)
    return cast("Record", part)


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

    @classmethod
    def same(cls, name: str, rows: int) -> Choice:
        """Build a column of `rows` rows that all have one name."""
        return cls((name,), np.zeros(rows, dtype=np.intp))

    def __len__(self) -> int:
        return len(self.codes)

    def gather(self, table: Sequence[Number]) -> FloatArray:
        """Return per row the entry of `table` (one scalar or ``(n,)`` column per value) that the row has chosen.

        Rows where the choice is inactive give NaN.
        """
        return gathered(self.codes, *table)

    def map(self, function: Callable[[str], Number]) -> FloatArray:
        """Return per row ``function(name)``, called once per name."""
        return self.gather([function(value) for value in self.values])

    def translate(self, function: Callable[[str], str]) -> Choice:
        """Return the column of ``function(name)``, for example a memory grade's technology."""
        renamed = [function(value) for value in self.values]
        values = tuple(dict.fromkeys(renamed))
        table = np.array([values.index(name) for name in renamed] + [INACTIVE], dtype=np.intp)
        return Choice(values, at_codes(table, self.codes))

    def filled(self, default: str) -> Choice:
        """Return the column with `default` in the rows where the choice is inactive."""
        if not (self.codes == INACTIVE).any():
            return self
        values = self.values if default in self.values else (*self.values, default)
        return Choice(values, np.where(self.codes == INACTIVE, values.index(default), self.codes))

    def names(self) -> NDArray[np.object_]:
        """Return the chosen name of each row, None where inactive."""
        return np.array([*self.values, None], dtype=object)[self.codes]

    def __getitem__(self, index: RowIndex) -> Choice:
        """Return the rows that `index` (slice, mask or integer array) selects."""
        return Choice(self.values, self.codes[index])


@row_by_row
def at_codes(table: NDArray[np.intp], codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return per row the entry of a table that its code counts; the last one where that is `INACTIVE`."""
    return table[codes]


@row_by_row
def gathered(codes: NDArray[np.intp], *table: Number) -> FloatArray:
    """Return per row the entry that its code counts, NaN where that is `INACTIVE`."""
    if not any([getattr(entry, "ndim", 0) for entry in table]):  # tables are short, generators take twice as long
        return np.array([*table, np.nan], dtype=np.float64).take(codes)
    if len(table) == 1 and not codes.any():
        # One name in every row: its column is the answer.
        return np.array(np.broadcast_to(table[0], np.broadcast_shapes(codes.shape, np.shape(table[0]))), np.float64)
    chosen = np.full(np.broadcast_shapes(codes.shape, *map(np.shape, table)), np.nan)
    for code, entry in enumerate(table):
        np.copyto(chosen, entry, where=codes == code)
    return chosen


Column: TypeAlias = "FloatArray | Choice"
Designs: TypeAlias = Mapping[str, Column]
"""Columns by parameter name, all of one length (or of one row that stands for all)."""


def evenly(rows: int, at_most: int) -> NDArray[np.intp]:
    """Return the places of at most so many of `rows` rows, at even steps, the first and the last among them."""
    if rows <= at_most:
        return np.arange(rows)
    return np.linspace(0, rows - 1, max(at_most, 0)).round().astype(np.intp)


def column_of(values: Iterable[Setting | None], names: Sequence[str] | None = None) -> Column:
    """Return values, one per row, as a column; where one is None, NaN or of the other kind, nothing applies.

    Args:
        values: names or numbers.
        names: what the codes of names stand for; those of the values where None, a column of numbers where empty.

    Raises:
        TypeError, ValueError: a value is neither a number nor text.
    """
    listed = list(values)
    if names is None:
        names = tuple(dict.fromkeys(value for value in listed if isinstance(value, str)))
    if not names:
        return np.array([np.nan if value is None or isinstance(value, str) else float(value) for value in listed])
    code = {name: place for place, name in enumerate(names)}
    codes = [code.get(value, INACTIVE) if isinstance(value, str) else INACTIVE for value in listed]
    return Choice(tuple(names), np.array(codes, dtype=np.intp))


def cells_of(column: Column) -> list[Setting | None]:
    """Return the value of every row of a column, None where none applies."""
    cells: list[Setting | None] = (column.names() if isinstance(column, Choice) else column).tolist()
    return [cell if cell == cell else None for cell in cells]


def positive(numbers: Number, otherwise: float = np.nan) -> FloatArray:
    """Return numbers above 0, and another one in the place of those that are not: what may be divided by."""
    return np.where(asarray(numbers) > 0, numbers, otherwise)


def as_column(number: Number) -> FloatArray:
    """Return a number, or one per row, as a column."""
    return np.atleast_1d(asarray(number, dtype=np.float64))


@row_by_row
def rows_where(condition: NDArray[np.bool_], one: Number, other: Number) -> FloatArray:
    """Return `numpy.where` of two numbers, bit for bit, in a fraction of its time where rows alternate.

    NumPy's own jumps row by row, which processors foresee only where neighbours are alike; here the bits of both are
    mixed by a mask instead.

    Args:
        condition: where `one` is taken.
        one: a scalar or column.
        other: a scalar or column.
    """
    shape, plain = (
        np.shape(condition),
        all(type(part) is np.ndarray for part in (condition, one, other) if np.ndim(part)),
    )
    if condition.size < MANY_ROWS or not plain or np.broadcast_shapes(shape, np.shape(one), np.shape(other)) != shape:
        return asarray(np.where(condition, one, other))
    first, second = (asarray(part, dtype=np.float64).view(np.int64) for part in (one, other))
    bits = condition.astype(np.int64)
    np.negative(bits, out=bits)
    bits &= first ^ second
    bits ^= second
    return bits.view(np.float64)


@row_by_row
def as_rows(*columns: Number) -> FloatArray:
    """Return numbers and columns as the rows of one ``(columns, n)`` array, what is the same for all rows repeated."""
    rows = np.empty((len(columns), max([getattr(column, "size", 1) for column in columns])))
    for place, column in enumerate(columns):
        rows[place] = column
    return rows


def distinct_rows(columns: Iterable[FloatArray]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first of each kind of equal rows of ``(n,)`` columns, in their order, and the kind of each row."""
    code: NDArray[np.intp] | None = None
    kinds = 1
    for column in columns:
        if code is None:
            code = np.zeros(len(column), np.intp)
        if (column == column[:1]).all():
            continue
        values, index = np.unique(column, return_inverse=True)
        if kinds > np.iinfo(np.intp).max // len(values):
            met, code = np.unique(code, return_inverse=True)
            kinds = len(met)
        code, kinds = code * len(values) + index, kinds * len(values)
    _, first, same = np.unique(np.zeros(0, np.intp) if code is None else code, return_index=True, return_inverse=True)
    return first, same


def first_number(value: object) -> float:
    """Return the number of a scalar, or of the first row of a column."""
    return float(np.ravel(asarray(value, dtype=np.float64))[0])


def numbers_of(column: Column) -> FloatArray:
    """Return a column that must hold numbers.

    Raises:
        TypeError: it holds names.
    """
    if isinstance(column, Choice):
        raise TypeError("a column of names stands where numbers are needed")
    return column


def stacked(columns: Sequence[Column]) -> Column:
    """Return columns one after the other; names keep the order in which they first appear.

    Raises:
        TypeError: some hold names and some numbers.
    """
    choices = [column for column in columns if isinstance(column, Choice)]
    if not choices:
        return np.concatenate([numbers_of(column) for column in columns])
    if len(choices) < len(columns):
        raise TypeError("a parameter holds names in some rows and numbers in others")
    values = tuple(dict.fromkeys(value for choice in choices for value in choice.values))
    places = [np.array([*map(values.index, choice.values), INACTIVE], dtype=np.intp) for choice in choices]
    return Choice(values, np.concatenate([place[choice.codes] for place, choice in zip(places, choices, strict=True)]))


class Table(dict[str, Column]):
    """Designs: parameter name to column, all of one length."""

    @property
    def rows(self) -> int:
        """Number of designs."""
        return len(next(iter(self.values()))) if self else 0

    def take(self, index: RowIndex) -> Table:
        """Return the rows that `index` (slice, mask or integer array) selects."""
        return Table({name: column[index] for name, column in self.items()})

    def repeated(self, times: int) -> Table:
        """Return a table that holds every row so many times, one copy after the other."""
        return self.take(np.repeat(np.arange(self.rows), times))

    @classmethod
    def broadcast(cls, columns: Designs, rows: int) -> Table:
        """Return columns of `rows` rows, or of one row that stands for all, as a table of `rows` rows."""
        all_rows = np.zeros(rows, dtype=np.intp)
        return cls({name: column if len(column) == rows else column[all_rows] for name, column in columns.items()})

    @classmethod
    def concat(cls, tables: Sequence[Table]) -> Table:
        """Return all rows of tables of the same columns, in their order."""
        return cls({name: stacked([table[name] for table in tables]) for name in tables[0]})

    # -- settings: a design as parameter to value --------------------------------------------------------------------

    @classmethod
    def from_settings(cls, *designs: Mapping[str, Setting]) -> Table:
        """Return designs as rows; what one of them does not set does not apply there."""
        names = dict.fromkeys(name for design in designs for name in design)
        return cls({name: column_of(design.get(name) for design in designs) for name in names})

    def to_settings(self) -> list[dict[str, Setting]]:
        """Return every row as parameter to value, without what does not apply; counts are whole numbers."""
        designs: list[dict[str, Setting]] = [{} for _ in range(self.rows)]
        for name, column in self.items():
            parameter = PARAMETERS.get(name)
            is_count = parameter is None or parameter.integer
            for design, cell in zip(designs, cells_of(column), strict=True):
                if cell is not None:
                    design[name] = int(cell) if is_count and isinstance(cell, float) and cell.is_integer() else cell
        return designs

    # -- frames ------------------------------------------------------------------------------------------------------

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Table:
        """Return the columns of a pandas frame."""
        return cls({str(name): _from_series(series) for name, series in frame.items()})

    def to_frame(self, *, coded: bool = False) -> pd.DataFrame:
        """Return a pandas frame; names as text, or as categories where `coded`."""
        import pandas as pd

        def cells(column: Column) -> object:
            if not isinstance(column, Choice):
                return column
            if not coded:
                return column.names()
            return pd.Categorical.from_codes(column.codes.tolist(), categories=pd.Index(column.values))

        return pd.DataFrame({name: cells(column) for name, column in self.items()})


def _from_series(series: pd.Series) -> Column:
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return Choice(tuple(map(str, series.cat.categories)), series.cat.codes.to_numpy().astype(np.intp))
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64)
    return column_of(series)

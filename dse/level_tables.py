"""Noted operations on columns of few values: done once for every combination of those, and looked up ever after.

Of a table of designs most columns hold one of a few values, and many operations of a model see nothing but two or three
such columns: what one combination gives, it gives in every row and in every table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.table import INACTIVE, FloatArray
from cost_models.tape import METHODS, ROWS, Slot, Tape, held, slots_of
from dse.replay import Levels, Operation, UnseenError

MOST_COMBINATIONS = 4096
"""Combinations of values of a table at most: it has to stay in the cache beside the columns."""

FEW_ROWS = 2048
"""Rows of a column up to which its values are searched for; in more, comparing all with each value takes less."""

ANY = (METHODS["any"], np.any)


class LevelTables:
    """What the operations of a tape give for every combination of values of the columns that they hang on.

    Args:
        tape: the operations.
        levels: by column.
    """

    def __init__(self, tape: Tape, levels: Levels) -> None:
        self._tape = tape
        self._levels = {place: one for place, one in enumerate(levels, start=1) if one is not None}
        self._columns = self._sets()
        self._values: dict[tuple[int, ...], dict[int, Any]] = {}
        self._indices: dict[tuple[int, ...], Slot] = {}
        self._added: dict[int, Operation] = {}

    def applied(self, ends: Mapping[Any, Any]) -> tuple[dict[int, Operation], dict[int, Any]]:
        """Return operations, in their order, and conditions that do what those of the tape do; both by place."""
        operations = {place: one for place, one in enumerate(self._tape.operations) if one is not None}
        conditions = {place: one for place, one in self._tape.conditions.items() if not self._is_settled(place)}
        open_, met = [*slots_of(tuple(ends.values())), *conditions], set[int]()
        while open_:
            place = open_.pop()
            if place in met or place not in operations:
                continue
            met.add(place)
            if columns := self._columns.get(place):
                values = self._table(columns)[place]
                operations[place] = values.take, (self._index(columns),), {"axis": -1} if values.ndim > 1 else {}
            else:
                open_ += slots_of(operations[place])
        return self._added | operations, conditions

    def _sets(self) -> dict[int, tuple[int, ...]]:
        """Return by place the columns that its rows hang on, each on its own, where these have few combinations."""
        found: dict[int, tuple[int, ...]] = {}
        for place, operation in enumerate(self._tape.operations):
            if operation is None:
                if place in self._levels:
                    found[place] = (place,)
            elif place in self._tape.by_row:
                # How many rows there are may say how long a result is, but not what is in it.
                needed = {*slots_of(operation)} - ({ROWS.place} if operation[0] is np.broadcast_to else set())
                columns = {column for one in needed for column in found.get(one, ())}
                if needed <= found.keys() and math.prod(map(self._count, columns)) <= MOST_COMBINATIONS:
                    found[place] = tuple(sorted(columns))
        return found

    def _count(self, column: int) -> int:
        """Return the values of a column, that of rows where it does not apply among them."""
        levels = self._levels[column]
        return 1 + (levels if isinstance(levels, int) else len(levels))

    def _strides(self, columns: tuple[int, ...]) -> list[int]:
        counts = [self._count(column) for column in columns]
        return [math.prod(counts[place + 1 :]) for place in range(len(counts))]

    def _table(self, columns: tuple[int, ...]) -> dict[int, Any]:
        """Return by place what every combination of values gives, in the order of `_index`."""
        if columns not in self._values:
            codes = np.indices([self._count(column) for column in columns]).reshape(len(columns), -1) + INACTIVE
            # Rows where nothing applies have negative places, which count from the end.
            order = np.argsort(np.array(self._strides(columns)) @ codes % codes.shape[1])
            values: dict[int, Any] = {ROWS.place: codes.shape[1]}
            for column, own in zip(columns, codes[:, order], strict=True):
                levels = self._levels[column]
                values[column] = own if isinstance(levels, int) else np.append(levels, np.nan)[own]
            with np.errstate(all="ignore"):
                for place, own_columns in self._columns.items():
                    operation = self._tape.operations[place]
                    if operation is not None and set(own_columns) <= set(columns):
                        function, *given = operation
                        arguments, options = held(
                            given, lambda one: values[one.place] if isinstance(one, Slot) else one
                        )
                        values[place] = function(*arguments, **options)
            self._values[columns] = values
        return self._values[columns]

    def _index(self, columns: tuple[int, ...]) -> Slot:
        """Return what stands for the number of each row's combination."""
        if columns not in self._indices:
            if len(columns) > 1:
                codes = tuple(self._index((column,)) for column in columns)
                index = self._add(partial(_combined, self._strides(columns)), codes)
            else:
                levels = self._levels[columns[0]]
                own = Slot(columns[0])
                index = own if isinstance(levels, int) else self._add(partial(codes_of, levels), (own,))
            self._indices[columns] = index
        return self._indices[columns]

    def _add(self, function: Callable[..., Any], arguments: tuple[Slot, ...]) -> Slot:
        """Return what stands for the result of an operation that is not on the tape."""
        place = -1 - len(self._added)
        self._added[place] = function, arguments, {}
        return Slot(place)

    def _is_settled(self, place: int) -> bool:
        """Return whether a condition is that of no row something is so, which it is of none that there can be."""
        operation = self._tape.operations[place]
        if operation is None or operation[0] not in ANY or len(operation[1]) != 1 or operation[2]:
            return False
        (of,) = slots_of(operation[1])
        columns = self._columns.get(of, ())
        return len(columns) > 0 and not self._table(columns)[of].any()


def codes_of(levels: FloatArray, column: FloatArray) -> NDArray[np.intp]:
    """Return the place of each number among ascending ones, `INACTIVE` where it is NaN.

    Raises:
        UnseenError: a number is none of them, to the last bit.
    """
    if len(column) <= FEW_ROWS:
        codes = np.minimum(np.searchsorted(levels, column), len(levels) - 1)
    else:
        # Values are few: so many comparisons take less than a search.
        above = np.zeros(len(column), dtype=np.int16)
        for level in levels[1:]:
            above += column >= level
        codes = above.astype(np.intp)
    same = levels.take(codes).view(np.int64) == column.view(np.int64)
    if not same.all():
        absent = np.isnan(column)
        if not (same | absent).all():
            raise UnseenError
        codes[absent] = INACTIVE
    return codes


def _combined(strides: Sequence[int], *codes: NDArray[np.intp]) -> NDArray[np.intp]:
    total = codes[0] * strides[0]
    for own, stride in zip(codes[1:-1], strides[1:-1], strict=True):
        total += own * stride
    total += codes[-1]
    return total

"""Evaluations noted down once and done again: the same operations on arrays, and so the same bits, in less time.

Most of what a small table takes is Python between the operations on its columns: what is asked of the library, shapes,
records. `Replayed` notes a function of tables (`cost_models.tape`) and then does no more than these operations. It asks
the function itself for a table that does not meet the conditions noted, and for every table where it cannot be noted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cost_models.table import Choice, Designs, FloatArray
from cost_models.tape import NotNotedError, Slot, Tape, held, slots_of

LEAST_ROWS = 64
"""Rows of a table from which it is replayed."""

NOTED_FROM = 256
"""Rows of a table from which it may be noted: fewer are mostly asked for a few times."""

CALLS_BEFORE = 7
"""Tables that a function is given before it is noted, which takes as long as a dozen small ones."""

NOTED_ROWS = 4096
"""Rows of a table on which it is noted at most: as many as show what its kind is like."""

AMID = (16, 64, 256)
"""Rows that are put below a table which does not meet the conditions by itself: the least of these that meet them."""

MOST_NOTES = 3
"""Kinds of tables that are noted, which differ in the conditions that they meet."""

MOST_CALLS = CALLS_BEFORE + 6
"""Tables that may meet no conditions, beyond as many as have met some, until none is replayed."""

Columns: TypeAlias = Sequence[Any]
Levels: TypeAlias = "Sequence[int | FloatArray | None]"
"""By column its values, ascending; the number of names where it holds codes; None where they are too many."""

Operation: TypeAlias = "tuple[Callable[..., Any], Any, Any]"

Results: TypeAlias = Mapping[Any, NDArray[Any]]


class MissError(Exception):
    """A table does not meet a condition under which the operations were noted."""


class UnseenError(Exception):
    """A column has a value for which nothing is looked up (`dse.level_tables`)."""


@dataclass(frozen=True)
class Notes:
    """What a function does to columns.

    Attributes:
        key: equal where the same is done.
        operations: function, places of its arguments and place of its result, in their order.
        start: what stands at the places behind the number of rows and the columns; None for results.
        outputs: places of the outputs by name.
        columns: the first rows of the columns that they were noted on; none where what becomes of a row may hang on
            others.
        otherwise: the same for columns with other values; None where any may have them.
    """

    key: Hashable
    operations: list[tuple[Callable[..., Any], tuple[int, ...], int]]
    start: list[Any]
    outputs: dict[Any, int]
    columns: Columns
    otherwise: Notes | None = None

    def replay(self, columns: Columns, rows: int) -> dict[Any, NDArray[Any]]:
        """Return what the function makes of columns.

        Raises:
            MissError: they do not meet a condition.
        """
        values = [rows, *columns, *self.start]
        try:
            with np.errstate(all="ignore"):
                for function, places, result in self.operations:
                    if len(places) == 2:
                        first, second = places
                        values[result] = function(values[first], values[second])
                    else:
                        values[result] = function(*[values[place] for place in places])
        except UnseenError:
            assert self.otherwise is not None
            return self.otherwise.replay(columns, rows)
        return {name: values[place] for name, place in self.outputs.items()}

    def amid(self) -> Amid | None:
        """Return the notes for tables that meet the conditions amid a few of these rows; None where no few do."""
        for count in AMID if self.columns else ():
            few = [column[:count] for column in self.columns]
            try:
                self.replay(few, len(few[0]))
            except MissError:
                continue
            return Amid(self, few)
        return None


@dataclass(frozen=True)
class Amid:
    """Notes for tables that lack what a condition asks of some row, of what becomes of a row whatever others there are.

    Attributes:
        notes: what is done.
        few: columns of a few rows that meet the conditions.
    """

    notes: Notes
    few: Columns

    def replay(self, columns: Columns, rows: int) -> dict[Any, NDArray[Any]]:
        """Return what the function makes of columns.

        Raises:
            MissError: they do not meet a condition even so.
        """
        more = rows + len(self.few[0])
        found = self.notes.replay([np.concatenate(pair) for pair in zip(columns, self.few, strict=True)], more)
        return {name: value[..., :rows] if value.shape[-1:] == (more,) else value for name, value in found.items()}


def taped(function: Callable[[Columns], Results], columns: Columns) -> tuple[Tape, dict[Any, Any], Hashable]:
    """Return the tape of a function of columns, slots by the name of a result, and what is equal where it does alike.

    Raises:
        NotNotedError: it cannot be noted.
    """
    tape = Tape(len(columns[0]))
    return tape, *tape.finish(function([tape.column(column) for column in columns]))


def noted(function: Callable[[Columns], Results], columns: Columns, levels: Levels = ()) -> Notes:
    """Return what a function does to columns.

    Args:
        function: from columns to arrays by name.
        columns: those that it is noted on.
        levels: the values that each has, where what they give is to be looked up.

    Raises:
        NotNotedError: it cannot be noted.
    """
    tape, ends, key = taped(function, columns)
    first = [] if tape.rows_meet(ends) else [one[: max(AMID)] for one in columns]

    def notes(operations: Mapping[int, Operation], conditions: Mapping[int, Any], otherwise: Notes | None) -> Notes:
        steps = list(_steps(operations, conditions, ends))
        return Notes(key, *_placed(steps, len(columns) + 1, ends), first, otherwise)

    plain = notes({place: one for place, one in enumerate(tape.operations) if one is not None}, tape.conditions, None)
    if not levels:
        return plain
    from dse.level_tables import LevelTables

    return notes(*LevelTables(tape, levels).applied(ends), plain)


def _steps(
    operations: Mapping[int, Operation], conditions: Mapping[int, Any], ends: Any
) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...], int | None]]:
    """Return function, arguments (slots or constants) and place of all that outputs and conditions depend on."""
    needed, open_ = set[int](), [*slots_of(ends), *conditions]
    while open_:
        place = open_.pop()
        if place not in needed:
            needed.add(place)
            open_ += slots_of(operations.get(place))
    for place, operation in operations.items():
        if place in needed:
            yield *_flat(*operation), place
            for kind, expected in conditions.get(place, {}).items():
                yield partial(_meet, kind, expected), (Slot(place),), None


def _flat(function: Callable[..., Any], arguments: Any, options: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return an operation as a function of slots and constants alone, none of them in a list."""
    nested = [one for one in (*arguments, options) if not isinstance(one, Slot)]
    if next(slots_of(nested), None) is None:
        return partial(function, **options) if options else function, arguments
    places = tuple(dict.fromkeys(slots_of((arguments, options))))
    own = held((arguments, options), lambda one: Slot(places.index(one.place)) if isinstance(one, Slot) else one)
    return partial(_again, function, *own), tuple(map(Slot, places))


def _again(function: Callable[..., Any], arguments: Any, options: Any, *values: Any) -> Any:
    own, named = held((arguments, options), lambda one: values[one.place] if isinstance(one, Slot) else one)
    return function(*own, **named)


def _meet(kind: Callable[[Any], Any], expected: Any, value: Any) -> None:
    if kind(value) != expected:
        raise MissError


def _is_slot(part: Any) -> bool:
    return isinstance(part, Slot)


def _placed(
    steps: list[tuple[Callable[..., Any], tuple[Any, ...], int | None]], given: int, ends: Mapping[Any, Any]
) -> tuple[list[tuple[Callable[..., Any], tuple[int, ...], int]], list[Any], dict[Any, int]]:
    """Return steps by places that are used again where a value is done with, what stands there first, and outputs."""
    last = {one: number for number, (_, arguments, _) in enumerate(steps) for one in arguments if isinstance(one, Slot)}
    last.update(dict.fromkeys((one for one in ends.values() if isinstance(one, Slot)), len(steps)))
    at, start, free = {Slot(place): place for place in range(given)}, list[Any](), list[int]()

    def placed(one: Any) -> int:
        if isinstance(one, Slot):
            return at[one]
        start.append(one)
        return given + len(start) - 1

    operations = []
    for number, (function, arguments, place) in enumerate(steps):
        places = tuple(map(placed, arguments))
        free += [
            at[one] for one in {*filter(_is_slot, arguments)} if last[one] == number and not 0 <= one.place < given
        ]
        result = free.pop() if free else placed(None)
        if place is None:
            free.append(result)
        else:
            at[Slot(place)] = result
        operations.append((function, places, result))
    return operations, start, {name: placed(end) for name, end in ends.items()}


@dataclass
class Kind:
    """Tables whose columns have the same names, and what a function does to them.

    Attributes:
        names: of the columns, with the names that the codes of each stand for; None where it holds numbers.
        notes: what is done, for each of the conditions that tables have met; the last used first.
        calls: tables for which the function itself was asked.
        replays: tables that were replayed.
        refusal: why nothing more is noted, empty where it may be.
    """

    names: tuple[tuple[str, tuple[str, ...] | None], ...] = ()
    notes: tuple[Notes | Amid, ...] = ()
    calls: int = 0
    replays: int = 0
    refusal: str = ""


class Replayed:
    """A function of tables of designs that is noted on one table and replayed to those that follow.

    Notes are used where they are the same from two tables of different length, as what hangs on a length without a
    word differs then, and where they give what the function gives, bit for bit. A table that meets the conditions of
    none is noted itself, as long as `MOST_NOTES` are not reached, unless some notes give the same of it amid a few rows
    that they were noted on.

    Args:
        function: from a table to arrays by name; it must hang on nothing else.
        levels: by the name of a column of numbers the few that it holds, ascending.

    Attributes:
        kind: tables like the last one.
    """

    def __init__(
        self, function: Callable[[Designs], Results], levels: Mapping[str, FloatArray] = MappingProxyType({})
    ) -> None:
        self._function, self._levels, self.kind = function, levels, Kind()

    def __call__(self, designs: Designs) -> Results:
        """Return what the function makes of a table."""
        names, columns = _columns_of(designs)
        rows = len(columns[0])
        if rows < LEAST_ROWS or any(len(column) != rows for column in columns):
            return self._function(designs)
        kind = self.kind
        if kind.names != names:
            kind = self.kind = Kind(names)
        for notes in kind.notes:
            try:
                found = notes.replay(columns, rows)
            except MissError:
                continue
            kind.replays += 1
            kind.notes = (notes, *(one for one in kind.notes if one is not notes))  # the next table is likely alike
            return found
        result = self._function(designs)
        if rows < NOTED_FROM and not kind.notes:
            return result
        kind.calls += 1
        if kind.calls > kind.replays + MOST_CALLS:
            kind.notes, kind.refusal = (), kind.refusal or "tables meet too different conditions"
        elif rows >= NOTED_FROM and not kind.refusal and len(kind.notes) < MOST_NOTES:
            if (amid := _amid(kind.notes, columns, result)) is not None:
                kind.notes += (amid,)
            elif kind.calls > CALLS_BEFORE:
                self._note(kind, [column[:NOTED_ROWS] for column in columns])
        return result

    def note(self, designs: Designs) -> None:
        """Note what the function does to tables like this one before the first is asked for."""
        names, columns = _columns_of(designs)
        self.kind = Kind(names)
        self._note(self.kind, columns)

    def _note(self, kind: Kind, columns: Columns) -> None:
        """Note what the function does to columns, where it does the same to all but their first row."""

        def function(columns: Columns) -> Results:
            pairs = zip(kind.names, columns, strict=True)
            return self._function({name: Choice(own, one) if own is not None else one for (name, own), one in pairs})

        try:
            levels = [self._levels.get(name) if own is None else len(own) for name, own in kind.names]
            fewer = taped(function, [column[1:] for column in columns])
            notes = noted(function, columns, levels)
            if not same(notes.replay(columns, len(columns[0])), function(columns)):
                raise NotNotedError("what is noted is not what is done")
        except Exception as error:  # whatever a function makes of what is no array: it is asked itself
            kind.refusal = str(error) or type(error).__name__
        else:
            kind.notes += (notes,) if notes.key == fewer[-1] else ()


def _amid(many: Sequence[Notes | Amid], columns: Columns, expected: Results) -> Amid | None:
    """Return notes that give what is expected of columns amid a few other rows; None where none do."""
    for notes in many:
        amid = notes.amid() if isinstance(notes, Notes) else None
        try:
            if amid is not None and same(amid.replay(columns, len(columns[0])), expected):
                return amid
        except MissError:
            continue
    return None


def _columns_of(designs: Designs) -> tuple[tuple[tuple[str, tuple[str, ...] | None], ...], Columns]:
    """Return the names of columns, with what codes stand for, and their codes or numbers."""
    names = tuple((name, one.values if isinstance(one, Choice) else None) for name, one in designs.items())
    return names, [one.codes if isinstance(one, Choice) else one for one in designs.values()]


def same(found: Results, expected: Results) -> bool:
    """Return whether arrays are equal, bit for bit and in their shapes."""
    return found.keys() == expected.keys() and all(
        np.shape(one) == np.shape(expected[name])
        and np.asarray(one).dtype == np.asarray(expected[name]).dtype
        and np.asarray(one).tobytes() == np.asarray(expected[name]).tobytes()
        for name, one in found.items()
    )

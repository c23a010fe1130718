"""What a model does to a table of designs, noted down as operations on arrays.

A `Tape` gives columns that note every operation done with them. They are no NumPy arrays, so that none can turn into an
array that is no longer noted: what cannot be noted is refused, whatever the model makes of the error. A single number
that a model looks at (``if any(...)``) becomes a condition.

Models take arguments by `asarray`, which leaves a noted column as it is. Steps on some rows only, or into arrays that
are there already, are functions noted `as_one`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, ParamSpec, TypeVar, cast, overload

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")


class NotNotedError(Exception):
    """An operation cannot be noted: its result could hang on the table in ways that do not show."""


@dataclass(frozen=True)
class Slot:
    """Stands for the result of an operation, by its place; `ROWS` for the number of rows."""

    place: int


ROWS = Slot(0)


class Tape:
    """The operations of one run, equal ones once.

    Args:
        rows: rows of the table.

    Attributes:
        operations: function, arguments and options by place, slots for what is at other places; None for the number of
            rows, at place 0, and for the columns behind it.
        conditions: what the model has seen of single numbers, by place and by how it looked.
        long: places of results whose last axis are the rows.
        by_row: those of them of which each row is made of those rows of the arguments alone, whatever these hold.
        refusal: why the run cannot be noted, empty where it can.
    """

    def __init__(self, rows: int) -> None:
        self.rows, self.refusal = rows, ""
        self.operations: list[tuple[Callable[..., Any], Any, Any] | None] = [None]
        self.conditions: dict[int, dict[Callable[[Any], Any], Any]] = {}
        self.long: set[int] = set()
        self.by_row: set[int] = set()
        self._places: dict[Any, int] = {}

    def column(self, values: NDArray[Any]) -> Noted:
        """Return the next column of the table."""
        self.operations.append(None)
        self.long.add(len(self.operations) - 1)
        return Noted(self, values, len(self.operations) - 1)

    def refuse(self, why: str) -> NoReturn:
        """Refuse to note a run.

        Raises:
            NotNotedError: always.
        """
        self.refusal = self.refusal or why
        raise NotNotedError(why)

    def note(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return what an operation makes of arguments, some of which are noted columns."""
        arguments, options = self._spread(arguments), self._spread(options)
        key = function, self._key(arguments), self._key(options)
        value = function(*held(arguments, values_of), **held(options, values_of))
        if not isinstance(value, np.ndarray | np.generic):
            self.refuse(f"{function} returns no array")
        if "out" in options or any(value is one for one in arguments):
            self.refuse(f"{function} returns an array that was there already")
        place = self._places.setdefault(key, len(self.operations))
        if place == len(self.operations):
            self.operations.append((function, held(arguments, self._slots), held(options, self._slots)))
            if value.shape[-1:] == (self.rows,):
                self.long.add(place)
                if isinstance(function, np.ufunc) or function in BY_ROW:
                    self.by_row.add(place)
        return Noted(self, value, place)

    def rows_meet(self, outputs: Any) -> bool:
        """Return whether some output, given by slots, may hang in a row on other rows; conditions apart."""
        met, open_ = set[int](), [*slots_of(outputs)]
        while open_:
            place = open_.pop()
            operation = self.operations[place]
            if operation is None or place in met:
                continue
            met.add(place)
            of = [*slots_of(operation)]
            apart = place in self.by_row or (place in self.long and _keeps_rows_apart(operation[0]))
            if not apart and not self.long.isdisjoint(of):
                return True
            open_ += of
        return False

    def finish(self, outputs: Mapping[Any, Any]) -> tuple[dict[Any, Any], Hashable]:
        """Return slots or arrays by the name of an output, and what is equal for two runs that do the same.

        Raises:
            NotNotedError: something has been refused.
        """
        if self.refusal:
            raise NotNotedError(self.refusal)
        spread = self._spread(dict(outputs))
        return held(spread, self._slots), (
            self._key(spread),
            *self._places,
            *((place, *seen.items()) for place, seen in self.conditions.items()),
        )

    def _spread(self, part: Any) -> Any:
        """Return arguments with noted columns for arrays that have the same numbers in every row.

        Such an array knows nothing of the table but its length.
        """
        if not isinstance(part, np.ndarray) or self.rows not in part.shape:
            return held(part, self._spread) if isinstance(part, tuple | list | dict) else part
        first = part[..., :1]
        if self.rows in first.shape or np.broadcast_to(first, part.shape).tobytes() != part.tobytes():
            self.refuse("an array as long as the table does not come from its columns")
        return self.note(_repeated if part.strides[-1] else np.broadcast_to, first, part.shape)

    def _slots(self, part: Any) -> Any:
        """Return what stands for an argument from run to run; arrays may be changed by then."""
        if isinstance(part, Noted):
            return Slot(part.place)
        if isinstance(part, np.ndarray):
            return part.copy(order="K")
        return ROWS if self._counts_rows(part) else part

    def _counts_rows(self, part: Any) -> bool:
        return type(part) is int and part == self.rows

    def _key(self, part: Any) -> Any:
        """Return what tells arguments apart; numbers by their bits."""
        if isinstance(part, Noted):
            return Slot(part.place) if part.tape is self else self.refuse("columns of two tables meet")
        if isinstance(part, np.ndarray | np.generic) and part.dtype != object:
            return type(part), part.shape, part.dtype.str, part.tobytes()
        if isinstance(part, tuple | list):
            return type(part), *map(self._key, part)
        if isinstance(part, dict):
            return tuple((name, self._key(one)) for name, one in part.items())
        if isinstance(part, slice) and not any(map(self._counts_rows, (part.start, part.stop, part.step))):
            return slice, part.start, part.stop, part.step
        if self._counts_rows(part):
            return ROWS
        if part is None or part is Ellipsis or isinstance(part, float | int | str | type | np.dtype):
            return type(part), part.hex() if isinstance(part, float) else part
        return self.refuse(f"{part!r:.40} is an argument")


def slots_of(part: Any) -> Iterator[int]:
    """Return the places of the slots among arguments."""
    if isinstance(part, Slot):
        yield part.place
    elif isinstance(part, tuple | list | dict):
        for one in part.values() if isinstance(part, dict) else part:
            yield from slots_of(one)


def held(part: Any, turned: Callable[[Any], Any]) -> Any:
    """Return arguments with each turned into something else, in lists and mappings too."""
    if isinstance(part, tuple | list):
        return type(part)([held(one, turned) for one in part])
    if isinstance(part, dict):
        return {name: held(one, turned) for name, one in part.items()}
    return turned(part)


def _repeated(first: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.array(np.broadcast_to(first, shape))


def _method(name: str) -> Callable[..., Any]:
    def called(value: Any, *arguments: Any, **options: Any) -> Any:
        return getattr(value, name)(*arguments, **options)

    return called


METHODS = {
    name: _method(name)
    for name in (
        "all", "any", "argmax", "argmin", "astype", "clip", "copy", "cumprod", "cumsum", "max", "mean", "min", "prod",
        "ravel", "reshape", "round", "squeeze", "sum", "swapaxes", "take", "transpose",
    )
}  # fmt: skip
FUNCTIONS: frozenset[Any] = frozenset({
    np.all, np.any, np.argmax, np.argmin, np.argsort, np.broadcast_to, np.clip, np.concatenate, np.cumprod, np.cumsum,
    np.diff, np.einsum, np.expand_dims, np.full_like, np.interp, np.isclose, np.isin, np.isneginf, np.isposinf, np.max,
    np.mean, np.min, np.moveaxis, np.nan_to_num, np.ones_like, np.prod, np.ravel, np.reshape, np.round, np.select,
    np.sort, np.squeeze, np.stack, np.sum, np.swapaxes, np.take, np.take_along_axis, np.transpose, np.where,
    np.zeros_like,
})  # fmt: skip
"""What changes nothing, and gives results whose shapes follow from those of the arguments."""

BY_ROW: set[Callable[..., Any]] = {
    METHODS["astype"], operator.pow, np.broadcast_to, np.concatenate, np.isposinf, np.stack, np.where, np.zeros_like,
}  # fmt: skip
"""What gives each row of a result from the same rows of the arguments alone, where all have their rows last."""

ROWS_APART: frozenset[Any] = frozenset({
    METHODS["all"], METHODS["any"], METHODS["clip"], METHODS["copy"], METHODS["max"], METHODS["min"], METHODS["prod"],
    METHODS["round"], METHODS["sum"], np.all, np.any, np.clip, np.full_like, np.isclose, np.isneginf, np.max, np.min,
    np.nan_to_num, np.ones_like, np.prod, np.round, np.select, np.sum, operator.getitem,
})  # fmt: skip
"""What lets no two rows meet where its result has all of them last."""


def _keeps_rows_apart(function: Callable[..., Any]) -> bool:
    reduces = getattr(function, "__name__", "") == "reduce" and isinstance(
        getattr(function, "__self__", None), np.ufunc
    )
    return reduces or function in ROWS_APART


class Noted(NDArrayOperatorsMixin):
    """A column, or what has been made of columns: what NumPy and models do with it is noted on its tape."""

    __slots__ = ("_values", "place", "tape")

    def __init__(self, tape: Tape, values: NDArray[Any] | np.generic, place: int) -> None:
        self.tape, self.place, self._values = tape, place, values

    shape = property(lambda self: self._values.shape)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    dtype = property(lambda self: self._values.dtype)
    T = property(lambda self: self.transpose())

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.tape.refuse("a column becomes an array that is no longer noted")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method not in {"__call__", "reduce", "accumulate"} or "where" in options:
            self.tape.refuse(f"{ufunc.__name__} on some rows only")
        return self.tape.note(ufunc if method == "__call__" else getattr(ufunc, method), *inputs, **options)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function in {np.shape, np.ndim, np.size}:
            return function(*held(arguments, values_of), **options)
        if function is np.broadcast_arrays:
            shape = np.broadcast_shapes(*map(np.shape, arguments))
            return tuple(self.tape.note(np.broadcast_to, one, shape) for one in arguments)
        if function is np.atleast_1d and len(arguments) == 1:
            return self if self.ndim else self.reshape(1)
        if function not in FUNCTIONS or (function is np.where and len(arguments) < 3):
            self.tape.refuse(f"what {function.__name__} returns may hang on the numbers in more than its own")
        return self.tape.note(function, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name in METHODS:
            return functools.partial(self.tape.note, METHODS[name], self)
        if name.startswith("__"):
            raise AttributeError(name)
        return self.tape.refuse(f"{name} of a column")

    def __pow__(self, other: Any) -> Any:
        return self.tape.note(operator.pow, self, other)  # of squares and roots, arrays know more than np.power

    def __len__(self) -> int:
        return len(cast("NDArray[Any]", self._values))

    def __getitem__(self, index: Any) -> Any:
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, bool) or getattr(part, "dtype", None) == np.bool_:
                self.tape.refuse("rows are chosen by a condition")
        return self.tape.note(operator.getitem, self, index)

    def __setitem__(self, index: object, value: object) -> NoReturn:
        self.tape.refuse("a column is changed in its place")

    def __iter__(self) -> Iterator[Any]:
        if len(self) == self.tape.rows:
            self.tape.refuse("a column is read row by row")
        return (self[place] for place in range(len(self)))

    def __contains__(self, value: object) -> NoReturn:
        self.tape.refuse("a column is searched")

    def _seen(self, kind: Callable[[Any], R]) -> R:
        """Return a single number to a model, which makes a condition of it."""
        return cast("R", self.tape.conditions.setdefault(self.place, {}).setdefault(kind, kind(self._values)))

    def __bool__(self) -> bool:
        return self._seen(bool)

    def __float__(self) -> float:
        return self._seen(float)

    def __int__(self) -> int:
        return self._seen(int)

    __index__ = __int__

    def item(self) -> Any:
        """Return a single number."""
        return self._seen(METHODS["item"])


METHODS["item"] = _method("item")


def values_of(part: Any) -> Any:
    """Return the numbers of a noted column, anything else as it is."""
    return part._values if isinstance(part, Noted) else part


@overload
def asarray(value: Any, dtype: type[np.float64]) -> NDArray[np.float64]: ...


@overload
def asarray(value: Any, dtype: type[np.generic] | None = None) -> NDArray[Any]: ...


def asarray(value: Any, dtype: type[np.generic] | None = None) -> NDArray[Any]:
    """Return an argument as an array, and a noted column as one."""
    if type(value) is np.ndarray and dtype is None:
        return value  # most arguments are arrays
    if type(value) is Noted:
        return cast("NDArray[Any]", value if dtype is None or value.dtype == dtype else value.astype(dtype))
    return np.asanyarray(value, dtype)


def as_one(function: Callable[P, R]) -> Callable[P, R]:
    """Have calls of a function noted as one operation: itself.

    For functions that pick rows, or fill an array. Each returns one new array whose shape follows from those of its
    arguments, changes nothing, and knows nothing but its arguments, which are arrays and numbers.
    """

    @functools.wraps(function)
    def called(*arguments: P.args, **options: P.kwargs) -> R:
        for one in (*arguments, *options.values()) if options else arguments:
            if type(one) is Noted:
                return cast("R", one.tape.note(function, *arguments, **options))
        return function(*arguments, **options)

    return called


def row_by_row(function: Callable[P, R]) -> Callable[P, R]:
    """Have calls of a function noted `as_one`; it makes each row of those rows alone, and ends whatever they hold."""
    BY_ROW.add(function)
    return as_one(function)

"""What is done with noted columns is noted or refused; nothing of them becomes a constant without a word."""

import math
import operator

import numpy as np
import pytest

from cost_models.tape import NotNotedError, Slot, Tape, as_one, asarray

ROWS = 7
FULL = np.linspace(1.0, 3.0, ROWS)


def tried(function):
    """Run a function on a noted column, whatever it raises; return the tape and what it makes of it."""
    tape = Tape(ROWS)
    column = tape.column(FULL.copy())
    try:
        return tape, function(column)
    except (NotNotedError, TypeError, ValueError, AttributeError):
        return tape, None


def swallowed(column):
    try:
        return float(np.asarray(column).max())
    except NotNotedError:
        return 0.0


def filled(column):
    whole = np.zeros(ROWS)
    whole[:] = column
    return whole


LEAKS = {
    "asarray": np.asarray,
    "array": np.array,
    "array of parts": lambda x: np.array([x[0], 1.0]),
    "list of parts": lambda x: np.array([x, x]),
    "swallowed": swallowed,
    "a kind of number": np.float64,
    "values": lambda x: x.values,
    "list": list,
    "rows": lambda x: x.tolist(),
    "bytes": lambda x: x.tobytes(),
    "view": lambda x: x.view(np.int64),
    "looked up in": lambda x: np.arange(9.0)[x.astype(np.intp)],
    "taken from": lambda x: np.arange(9.0).take(x.astype(np.intp)),
    "searched in": lambda x: np.arange(9.0).searchsorted(x),
    "searched": lambda x: 2.0 in x,
    "repeated": lambda x: np.repeat(x, 2),
}
IN_PLACE = {
    "a row": lambda x: operator.setitem(x, 0, 1.0),
    "a part": lambda x: x[:3].__setitem__(0, 1.0),
    "its own": lambda x: operator.iadd(x, 1.0),
    "another array": lambda x: operator.iadd(np.zeros(ROWS), x),
    "by name": lambda x: np.add(x, 1.0, out=np.zeros(ROWS)),
    "by place": lambda x: x.sum(None, None, np.zeros(())),
    "filled": filled,
    "copied": lambda x: np.copyto(np.zeros(ROWS), x),
    "sorted": lambda x: x.sort(),
    "some rows": lambda x: np.divide(x, x, where=x > 2),
    "at places": lambda x: np.add.at(x, [0], 1.0),
}
BY_VALUE = {
    "mask": lambda x: x[x > 2],
    "mask from outside": lambda x: x[np.ones(ROWS, bool)],
    "unique": np.unique,
    "places": lambda x: np.flatnonzero(x > 2),
    "places by where": lambda x: np.where(x > 2),
    "extract": lambda x: np.extract(x > 2, x),
    "histogram": np.histogram,
    "two results": np.modf,
}
OUTSIDE = {
    "counted": lambda x: x + np.arange(ROWS),
    "signs of zero": lambda x: x * np.array([0.0] * (ROWS - 1) + [-0.0]),
    "of two rows each": lambda x: x * np.ones((ROWS, ROWS)),
    "objects": lambda x: np.where(x > 2, np.array([object()]), 0.0),
    "a cut at its length": lambda x: x[:ROWS],
    "another table": lambda x: x + Tape(ROWS).column(FULL),
    "a record": lambda x: as_one(lambda one, other: one)(x, object()),
    "a number of Python's": lambda x: as_one(lambda one: 1.0)(x),
}


@pytest.mark.parametrize(
    "function",
    [pytest.param(one, id=name) for kind in (LEAKS, IN_PLACE, BY_VALUE, OUTSIDE) for name, one in kind.items()],
)
def test_what_cannot_be_noted_is_refused_whatever_becomes_of_the_error(function):
    tape, _ = tried(function)
    assert tape.refusal
    with pytest.raises(NotNotedError, match=r".+"):
        tape.finish({})


def test_an_output_as_long_as_the_table_comes_from_its_columns():
    for outside in (FULL, np.arange(ROWS)):
        with pytest.raises(NotNotedError, match="does not come from its columns"):
            Tape(ROWS).finish({"outside": outside})


@pytest.mark.parametrize(
    "look", [bool, float, int, math.exp, operator.index, lambda x: x.item(), lambda x: [1, 2, 3][x], max, abs]
)
def test_a_single_number_that_is_looked_at_becomes_a_condition(look):
    tape = Tape(ROWS)
    number = tape.column(np.arange(ROWS)).sum() - 20
    seen = look([number, 0] if look is max else number)
    assert tape.conditions if look is not abs else seen.place
    assert all(place == number.place or look is max for place in tape.conditions)
    assert not tape.refusal


DONE = {
    "arithmetic": lambda x: 2.0 * x**2 - x / 3 % 2 // 1 + (-x) ** 3 + 2.0**x + x**0.5,
    "comparison": lambda x: (x > 2) & ~(x == 3.0) | (x >= 2.5),
    "functions": lambda x: np.where(x > 2, np.sqrt(x), np.maximum(1.5, x)).clip(0, 1.6),
    "shapes": lambda x: np.concatenate([x[None], np.stack(np.broadcast_arrays(x, 1.0))]).T.reshape(-1),
    "sums": lambda x: x.sum() + np.max(x) + np.add.reduce(x) + np.multiply.accumulate(x)[-1],
    "one row": lambda x: x[0] + x[-1:],
    "rows in order": lambda x: np.take_along_axis(x, np.argsort(-x), axis=0),
    "one operation": lambda x: as_one(lambda one: one[np.argsort(one % 1)])(x),
    "spread": lambda x: np.zeros(ROWS) + x * np.broadcast_to(2.0, (ROWS,)),
    "an array already": lambda x: asarray(x) + asarray(x, dtype=np.float64) + asarray(x, dtype=np.intp),
    "columns and rows": lambda x: np.broadcast_to(np.atleast_1d(x.mean()), x.shape) * np.shape(x)[0] ** 0,
}


@pytest.mark.parametrize("function", [pytest.param(one, id=name) for name, one in DONE.items()])
def test_what_can_be_noted_gives_the_bits_of_arrays(function):
    tape, result = tried(function)
    assert not tape.refusal
    ends, _ = tape.finish({"result": result})
    assert isinstance(ends["result"], Slot) and not tape.conditions
    expected = function(FULL)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    assert as_one(lambda one: _compared(one, expected))(result) is not None


def _compared(found, expected):
    assert found.tobytes() == expected.tobytes()
    return found


def test_the_same_operation_is_noted_once_and_numbers_are_told_apart_by_their_bits():
    tape = Tape(ROWS)
    column = tape.column(FULL)
    assert (column + 1.0).place == (column + 1.0).place
    others = [column + 1, column + np.float64(1.0), column + np.ones(1), column - 1.0, column * 0.0, column * -0.0]
    assert len({(column + 1.0).place, *(other.place for other in others)}) == 1 + len(others)
    nan = [(column * np.nan).place, (column * np.nan).place]
    assert nan[0] == nan[1]


def test_runs_have_one_key_where_they_do_the_same_and_none_where_a_length_counts():
    def key(function, rows):
        tape = Tape(rows)
        return tape.finish({"result": function(tape.column(np.linspace(1.0, 3.0, rows)))})[1]

    spread, turned = lambda x: np.broadcast_to(x, x.shape) + np.full(len(x), 2.0), lambda x: x if x.max() > 2 else -x
    for function in (spread, turned, lambda x: x / len(x)):
        assert key(function, ROWS) == key(function, ROWS + 4)
    for function in (lambda x: x * ROWS, lambda x: x * np.full(len(x), 1 / len(x)), lambda x: x[: len(x) - 1]):
        assert key(function, ROWS) != key(function, ROWS + 4)
    assert key(turned, ROWS) != key(lambda x: x, ROWS)


def test_arrays_are_noted_as_they_are_when_they_are_used():
    tape = Tape(ROWS)
    factor = np.array([2.0])
    tape.column(FULL) * factor
    factor[0] = 5.0
    (_, arguments, _) = tape.operations[-1]
    assert arguments[1] == 2.0

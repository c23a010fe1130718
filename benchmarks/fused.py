"""The model's formulas as one compiled loop: the practical limit of a core, for comparison only.

The evaluator is noted on a table as it is for a search (`cost_models.tape`); of the operations that the outputs depend
on becomes one function of one design, compiled by numba and called in a loop. So the loop computes the same formulas
whatever becomes of the model, without columns in memory between them. Branches of the model that depend on all of a
table are taken as that run took them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from cost_models.table import INACTIVE, Choice, as_rows, at_codes, gathered
from cost_models.tape import Slot, Tape, held

INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "less": "<", "less_equal": "<=",
    "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=", "bitwise_and": "and",
    "bitwise_or": "or", "logical_and": "and", "logical_or": "or", "floor_divide": "//", "remainder": "%",
}  # fmt: skip
CALLS = {
    "sqrt": "math.sqrt({})", "exp": "math.exp({})", "expm1": "math.expm1({})", "log": "math.log({})",
    "log1p": "math.log1p({})", "log2": "math.log2({})", "exp2": "2.0 ** {}", "ceil": "math.ceil({})",
    "floor": "math.floor({})", "absolute": "abs({})", "negative": "-{}", "invert": "not {}", "logical_not": "not {}",
    "isnan": "math.isnan({})", "isfinite": "math.isfinite({})", "isinf": "math.isinf({})", "square": "{0} * {0}",
    "maximum": "({0} if {0} > {1} else {1})", "minimum": "({0} if {0} < {1} else {1})",
    "isposinf": "({} == math.inf)", "rint": "round({})",
}  # fmt: skip


class Lines:
    """Lines of a loop, equal ones once."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, tuple[str, ...]]] = []
        self.tables: list[np.ndarray] = []
        self._known: dict[tuple[str, tuple[str, ...]], str] = {}

    def note(self, form: str, *parts: str) -> str:
        """Return the name of the value of an expression."""
        key = form, parts
        if key not in self._known:
            self._known[key] = f"v{len(self.lines)}"
            self.lines.append(key)
        return self._known[key]

    def table(self, values: np.ndarray) -> str:
        """Return the name of a table of numbers."""
        for place, one in enumerate(self.tables):
            if np.array_equal(one, values, equal_nan=True):
                return f"t{place}"
        self.tables.append(np.array(values, dtype=np.float64))
        return f"t{len(self.tables) - 1}"


class Named(np.ndarray):
    """An array of designs on the last axis that notes what is done with it; `names` has its other axes."""

    tape: Lines
    names: np.ndarray

    def __array_finalize__(self, source: object) -> None:
        self.tape = getattr(source, "tape", None)
        self.names = None

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [_plain(value) for value in inputs]
        target = out[0] if out else None
        kept = {"out": (target.view(np.ndarray),)} if target is not None else {}
        result = getattr(ufunc, method)(*plain, **kept, **options)
        if method != "__call__" or (target is not None and not isinstance(target, Named)):
            return result
        noted = noted_like(self.tape, result, ufunc.__name__, inputs)
        if isinstance(target, Named):
            target.names = noted.names
            return target
        return noted

    def __array_function__(self, function, types, args, kwargs):
        if function in HANDLED:
            return HANDLED[function](self.tape, *args, **kwargs)
        return _bare(function)(*map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()})

    def __getitem__(self, index):
        result = super().__getitem__(index)
        if isinstance(result, Named):
            leading = index[:-1] if isinstance(index, tuple) and len(index) == self.ndim else index
            result.names = self.names[leading] if self.ndim > 1 else self.names
            if not isinstance(result.names, np.ndarray):
                result.names = np.array(result.names, dtype=object)
        return result

    def __setitem__(self, index, value):
        self.view(np.ndarray)[_plain(index)] = _plain(value)
        if not isinstance(index, Chosen):
            raise TypeError("a column is changed where it is not said by which rows")
        parts = (index.names, names_of(value, (1,)), self.names)
        self.names = np.array(self.tape.note("({1} if {0} else {2})", *(part.item() for part in parts)), dtype=object)

    def copy(self, order="C"):
        return wrapped(self.tape, np.array(self.view(np.ndarray)), self.names)

    def astype(self, kind, **options):
        if np.dtype(kind) == np.float64:
            names = np.vectorize(lambda name: self.tape.note("(1.0 * {})", name), otypes=[object])(self.names)
            return wrapped(self.tape, self.view(np.ndarray).astype(kind), names)
        return self.view(np.ndarray).astype(kind)


class Chosen(Named):
    """Places of the rows that a step is taken on; `names` is the condition that chooses them.

    A step is noted as if it were taken on every row, and its result kept where the condition holds.
    """

    def __getitem__(self, index):
        left = self.view(np.ndarray)[_plain(index)].view(Chosen)
        condition = self.tape.note("{} and {}", self.names.item(), names_of(index, np.shape(index)).item())
        left.tape, left.names = self.tape, np.array(condition, dtype=object)
        return left


def _plain(value):
    if isinstance(value, Named):
        return value.view(np.ndarray)
    return type(value)(map(_plain, value)) if isinstance(value, list | tuple) else value


def _bare(function: Callable) -> Callable:
    return getattr(function, "_implementation", function)


def wrapped(tape: Lines, values: np.ndarray, names: np.ndarray) -> Named:
    """Return an array with the names of its rows."""
    noted = np.asarray(values).view(Named)
    noted.tape, noted.names = tape, np.array(names, dtype=object)
    return noted


def names_of(value: object, shape: tuple[int, ...]) -> np.ndarray:
    """Return the names of an operand, spread over the axes before the last; numbers stand for themselves."""
    if isinstance(value, Named):
        if value.names is None:
            raise TypeError("the origin of an array is lost")
        return np.broadcast_to(value.names, shape[:-1])
    held = np.asarray(value)
    if held.ndim and held.shape[-1] > 1:
        same = (held == held[..., :1]) | (np.isnan(held) & np.isnan(held[..., :1]))
        if not same.all():
            raise TypeError("a column comes from outside of the designs")
    numbers = held[..., 0] if held.ndim else held
    texts = np.empty(np.shape(numbers), dtype=object)
    texts.flat = [_literal(number) for number in np.ravel(numbers).tolist()]
    return np.broadcast_to(texts, shape[:-1])


def _literal(number: float) -> str:
    return repr(number).replace("inf", "math.inf").replace("nan", "math.nan")


def noted_like(tape: Lines, result: np.ndarray, name: str, inputs) -> Named:
    """Return a result with the names of what an operation makes of its inputs."""
    shape = np.shape(result)
    parts = [names_of(value, shape).ravel() for value in inputs]
    form = f"{{}} {INFIX[name]} {{}}" if name in INFIX else CALLS[name]
    rows = [tape.note(form, *row) for row in zip(*parts, strict=True)]
    return wrapped(tape, result, np.array(rows, dtype=object).reshape(shape[:-1]))


def _where(tape, condition, one, other):
    result = np.where(_plain(condition), _plain(one), _plain(other))
    parts = [names_of(value, result.shape).ravel() for value in (condition, one, other)]
    rows = [tape.note("({1} if {0} else {2})", *row) for row in zip(*parts, strict=True)]
    return wrapped(tape, result, np.array(rows, dtype=object).reshape(result.shape[:-1]))


def _broadcast(tape, value, shape, **_):
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return wrapped(tape, np.broadcast_to(_plain(value), shape), names_of(value, shape))


def _broadcast_all(tape, *values, **_):
    shape = np.broadcast_shapes(*map(np.shape, values))
    return [_broadcast(tape, value, shape) for value in values]


def _stack(tape, values, axis=0, **_):
    whole = np.stack([_plain(value) for value in values], axis=axis)
    if axis != 0:  # objectives side by side: only their columns are looked at
        return whole
    return wrapped(tape, whole, np.stack([names_of(value, np.shape(value)) for value in values]))


def _concatenate(tape, values, axis=0, **_):
    whole = np.concatenate([_plain(value) for value in values], axis=axis)
    return wrapped(tape, whole, np.concatenate([names_of(value, np.shape(value)) for value in values], axis=axis))


def _chosen(tape, mask):
    rows = np.flatnonzero(_plain(mask)).view(Chosen)
    rows.tape, rows.names = tape, names_of(mask, np.shape(mask))
    return rows


def _as_it_is(tape, value):
    return value


def _nothing(tape, value, **_):
    return np.zeros(np.shape(value))


HANDLED = {
    np.where: _where, np.broadcast_to: _broadcast, np.broadcast_arrays: _broadcast_all, np.stack: _stack,
    np.concatenate: _concatenate, np.flatnonzero: _chosen, np.zeros_like: _nothing, np.atleast_1d: _as_it_is,
}  # fmt: skip


def _gathered(codes, *table):
    """Stand in for the look-up by the codes of a choice."""
    values = gathered(_plain(codes), *map(_plain, table))
    if not isinstance(codes, Named):
        return values
    code = codes.names.item()
    if all(np.ndim(entry) == 0 for entry in table):
        entries = codes.tape.table(np.array([*table, np.nan], dtype=np.float64))
        return wrapped(codes.tape, values, codes.tape.note(entries + "[{}]", code))
    name = "math.nan"
    for place, entry in enumerate(table):
        own = str(names_of(entry, (1,)).item())
        name = codes.tape.note("({0} if {1} == {2} else {3})", own, code, str(place), name)
    return wrapped(codes.tape, values, name)


def _at_codes(table, codes):
    """Stand in for the look-up of other codes."""
    name = codes.tape.note("int(" + codes.tape.table(table) + "[{}])", codes.names.item())
    return wrapped(codes.tape, table[_plain(codes)], name)


def _as_rows(*columns):
    """Stand in for columns as the rows of one array."""
    return np.stack(np.broadcast_arrays(*map(np.atleast_1d, columns)))


STAND_INS = {gathered.__wrapped__: _gathered, at_codes.__wrapped__: _at_codes, as_rows.__wrapped__: _as_rows}
"""What the evaluator notes as one operation, and has no branches here."""


def noted_outputs(
    evaluate: Callable[[Mapping[str, object]], Mapping[str, object]], designs: Mapping[str, object]
) -> tuple[Lines, dict[str, str]]:
    """Return what is done with a table, and what each output is called there.

    Raises:
        NotNotedError, TypeError: a step of the model cannot be noted down.
    """
    columns = {name: one.codes if isinstance(one, Choice) else one for name, one in designs.items()}
    run, lines = Tape(len(next(iter(columns.values())))), Lines()
    own = {name: run.column(column) for name, column in columns.items()}
    table = {
        name: Choice(one.values, own[name]) if isinstance(one, Choice) else own[name] for name, one in designs.items()
    }
    ends, _ = run.finish(evaluate(table))
    values = [run.rows]
    for name, column in columns.items():
        values.append(wrapped(lines, np.array(column), lines.note("{}[i]", "c_" + name.replace(".", "_"))))

    def filled(part):
        return values[part.place] if isinstance(part, Slot) else part

    for function, arguments, options in run.operations[len(values) :]:
        values.append(STAND_INS.get(function, function)(*held(arguments, filled), **held(options, filled)))
    return lines, {name: str(values[end.place].names) for name, end in ends.items() if isinstance(end, Slot)}


def fused_loop(evaluate: Callable[[Mapping[str, object]], Mapping[str, object]], designs: Mapping[str, object]):
    """Return a compiled function from a table of designs to ``(outputs, n)``, and the names of the outputs.

    Args:
        evaluate: the model, from a table to its outputs.
        designs: a table to run it on once.
    """
    import numba

    tape, wanted = noted_outputs(evaluate, designs)
    fields = ["c_" + name.replace(".", "_") for name in designs]
    needed, open_ = set(), list(wanted.values())
    while open_:
        name = open_.pop()
        if name[0] == "v" and name not in needed:
            needed.add(name)
            open_.extend(tape.lines[int(name[1:])][1])
    body = [
        f"        v{place} = {form.format(*parts)}"
        for place, (form, parts) in enumerate(tape.lines)
        if f"v{place}" in needed
    ]
    tables = [f"t{place}" for place in range(len(tape.tables))]
    lines = [f"def loop({', '.join([*fields, *tables, 'out'])}):", "    for i in range(out.shape[1]):", *body]
    lines += [f"        out[{place}, i] = {name}" for place, name in enumerate(wanted.values())]
    scope: dict[str, object] = {"math": __import__("math")}
    exec("\n".join(lines), scope)
    compiled = numba.njit(scope["loop"], error_model="numpy")

    def run(table: Mapping[str, object], out: np.ndarray) -> None:
        columns = [column.codes if isinstance(column, Choice) else column for column in table.values()]
        compiled(*map(np.ascontiguousarray, columns), *tape.tables, out)

    return run, tuple(wanted), len(body)


assert INACTIVE == -1, "tables end in the value of rows where a choice is inactive"

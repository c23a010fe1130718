"""Tables of designs made on purpose: crossings of chosen values, and the values of an axis."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from cost_models.table import Choice, FloatArray, Setting, Table, cells_of, column_of, evenly
from dse.space import Space

INFINITE_LEVELS = 9
"""Values that stand for a continuous range."""


def axis_values(space: Space, name: str, most: int = 10_000) -> list[Setting]:
    """Return the values of a parameter of the space, at most so many of a long list or range.

    Args:
        space: the space.
        name: the parameter.
        most: values to return; the ends are always among them.
    """
    parameter = space.parameters[name]
    values: dict[Setting, None] = {}
    for alternative in parameter.alternatives:
        levels = alternative.codec.levels
        if levels is None:
            levels = alternative.codec.decode(np.linspace(0.0, 1.0, min(most, INFINITE_LEVELS)))
        for value in levels:
            values[parameter.names[int(value)] if parameter.names else float(value)] = None
    listed = list(values) if parameter.names else sorted(values, key=float)
    return [listed[place] for place in evenly(len(listed), most)]


def crossed(values: Mapping[str, Sequence[Setting]]) -> Table:
    """Return the table of every combination of values."""
    columns = zip(*itertools.product(*values.values()), strict=True)
    return Table(zip(values, map(column_of, columns), strict=True))


def within(space: Space, designs: Table) -> Table:
    """Return the designs of the space nearest to those of a table; what the table leaves out takes its default."""
    whole = space.default_design().repeated(designs.rows) | designs
    return space.decode(space.encode({name: whole[name] for name in space.parameters}))


def neighbours(
    space: Space, settings: Mapping[str, Setting], *, kept: Sequence[str] = (), alone: int = 25, together: int = 8
) -> Table:
    """Return a table of one design, of every design that differs in one parameter, and of many that differ in two.

    Args:
        space: the values that may be taken.
        settings: the design, of names that the space has; the first row.
        kept: parameters that stay.
        alone: most values of one parameter moved alone.
        together: most values of each of two parameters moved together.
    """

    def numbers(name: str, most: int) -> FloatArray:
        return coded(space, name, axis_values(space, name, most))

    names = [name for name in space.dimensions if name not in kept]
    moves = [{name: numbers(name, alone)} for name in names]
    few = {name: numbers(name, together) for name in names}
    for first, second in itertools.combinations(names, 2):
        a, b = np.meshgrid(few[first], few[second], indexing="ij")
        moves.append({first: a.ravel(), second: b.ravel()})
    ends = np.cumsum([1, *(len(next(iter(move.values()))) for move in moves)])
    table = Table()
    for name, column in space.default_design().items():
        known = space.parameters[name].names
        blank = known[0] if known and cells_of(column) == [None] else cells_of(column)[0]
        values = np.full(ends[-1], coded(space, name, [settings.get(name, blank)])[0])
        for move, start, stop in zip(moves, ends[:-1], ends[1:], strict=True):
            if name in move:
                values[start:stop] = move[name]
        table[name] = Choice(known, values.astype(np.intp)) if known else values
    return table


def coded(space: Space, name: str, values: Sequence[Setting | None]) -> FloatArray:
    """Return values of a parameter as numbers, names by their place in the space."""
    column = column_of(values, space.parameters[name].names)
    return column.codes.astype(np.float64) if isinstance(column, Choice) else column

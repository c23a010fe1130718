"""Tables of designs made on purpose: crossings of chosen values, and the values of an axis."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from cost_models.table import Choice, Column, Designs, FloatArray, row_count
from dse.space import Space

Setting = float | int | str

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
    if len(listed) <= most:
        return listed
    return [listed[place] for place in np.unique(np.linspace(0, len(listed) - 1, most).round().astype(int))]


def column_of(values: Sequence[Setting]) -> Column:
    """Return values, all names or all numbers, as a column."""
    if any(isinstance(value, str) for value in values):
        return Choice.of(*map(str, values))
    return np.array([float(value) for value in values])


def crossed(values: Mapping[str, Sequence[Setting]]) -> dict[str, Column]:
    """Return the table of every combination of values."""
    rows = list(itertools.product(*values.values()))
    return {name: column_of([row[place] for row in rows]) for place, name in enumerate(values)}


def repeated(designs: Designs, rows: int) -> dict[str, Column]:
    """Return a table of one row, repeated."""
    index = np.zeros(rows, dtype=np.intp)
    return {
        name: column.rows(index) if isinstance(column, Choice) else np.asarray(column)[index]
        for name, column in designs.items()
    }


def within(space: Space, designs: Designs) -> dict[str, Column]:
    """Return the designs of the space nearest to those of a table; what the table leaves out takes its default."""
    rows = row_count(designs)
    whole: dict[str, Column] = {**repeated(space.default_design(), rows), **designs}
    return space.decode(space.encode({name: whole[name] for name in space.parameters}))


def neighbours(
    space: Space, settings: Mapping[str, Setting], *, kept: Sequence[str] = (), alone: int = 25, together: int = 8
) -> dict[str, Column]:
    """Return a table of one design, of every design that differs in one parameter, and of many that differ in two.

    Args:
        space: the values that may be taken.
        settings: the design; the first row.
        kept: parameters that stay.
        alone: most values of one parameter moved alone.
        together: most values of each of two parameters moved together.
    """
    axes = {name: axis_values(space, name, alone) for name in space.dimensions if name not in kept}
    rows: list[dict[str, Setting]] = [dict(settings)]
    names = list(axes)
    for place, name in enumerate(names):
        rows += [{**settings, name: value} for value in axes[name]]
        for other in names[place + 1 :]:
            first, second = axis_values(space, name, together), axis_values(space, other, together)
            rows += [{**settings, name: a, other: b} for a in first for b in second]
    default = space.default_design()
    blank: dict[str, Setting] = {}
    for name, column in default.items():
        inactive = isinstance(column, Choice) and column.names()[0] is None
        blank[name] = space.parameters[name].names[0] if inactive else _scalar(column)
    return {name: column_of([row.get(name, blank[name]) for row in rows]) for name in space.parameters}


def _scalar(column: Column) -> Setting:
    return str(column.names()[0]) if isinstance(column, Choice) else float(column[0])


def numbers_of(column: Column) -> FloatArray:
    """Return a column that must hold numbers."""
    if isinstance(column, Choice):
        raise TypeError("a column of names stands where numbers are needed")
    return column

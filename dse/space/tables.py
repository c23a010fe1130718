"""Tables of designs made on purpose: crossings of chosen values, and the values of an axis."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from cost_models.table import Setting, Table, cells_of, column_of, evenly
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
    blank: dict[str, Setting | None] = {}
    for name, column in space.default_design().items():
        (value,) = cells_of(column)
        parameter = space.parameters[name]
        blank[name] = parameter.names[0] if value is None and parameter.names else value
    return Table({name: column_of(row.get(name, blank[name]) for row in rows) for name in space.parameters})

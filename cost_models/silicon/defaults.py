"""A table of designs with a column for every parameter."""

from __future__ import annotations

import numpy as np

from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Parameter
from cost_models.table import INACTIVE, Choice, Column, Designs


def default_row(name: str) -> Column:
    """Return the default of a parameter as a column of one row; NaN or inactive where it has none."""
    parameter = PARAMETERS[name]
    if isinstance(parameter.default, str):
        return Choice.of(parameter.default)
    if parameter.is_choice:
        return Choice((), np.array([INACTIVE], dtype=np.intp))
    return np.array([np.nan if parameter.default is None else float(parameter.default)])


def _filled(parameter: Parameter, column: Column | None) -> Column:
    if column is None:
        return default_row(parameter.name)
    if isinstance(column, Choice):
        return column.filled(parameter.default) if isinstance(parameter.default, str) else column
    if parameter.default is None or not np.isnan(column).any():
        return column
    return np.where(np.isnan(column), parameter.default, column)


class FilledDesigns(dict[str, Column]):
    """A table with a column for every parameter of a design, as `fill_defaults` makes it."""


def fill_defaults(designs: Designs) -> FilledDesigns:
    """Return a table with every parameter of a design, `PARAMETERS` defaults where a column or a row is silent.

    A missing column becomes one row, which stands for all; a table that is filled already is returned as it is.
    A parameter without default (``memory_device_bits``, ``supply_v``, ``weight_method``) stays NaN or inactive: the
    library decides per entry. Other columns (``technology.*``) pass through, behind the parameters.
    """
    if isinstance(designs, FilledDesigns):
        return designs
    filled = {name: _filled(parameter, designs.get(name)) for name, parameter in PARAMETERS.items()}
    return FilledDesigns({**filled, **{name: column for name, column in designs.items() if name not in filled}})

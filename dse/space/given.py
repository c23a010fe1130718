"""Designs as people write them in Python or on a page: names and values, checked, and made a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import PydanticCustomError

from cost_models.library import Library
from cost_models.quantities.columns import TECHNOLOGY_PREFIX, parameter_of
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Parameter
from cost_models.table import Column, Table, column_of
from dse.errors import NOWHERE, Issue, SpecError
from dse.space import Space
from dse.sweep import Spec
from dse.sweep.fields import check_value
from dse.sweep.hints import quoted, suggest
from dse.sweep.library_additions import library_of
from dse.sweep.reader import SWEPT_FIELDS

if TYPE_CHECKING:
    import pandas as pd

Values = Mapping[str, Any]
"""Designs as people write them: parameter to a value, or to one value per design."""


def given_designs(space: Space, spec: Spec, designs: Values | pd.DataFrame) -> Table:
    """Return designs as a table; what is left out has the value that the sweep fixes, or else its default.

    Args:
        space: the sweep's space; values outside of it are taken all the same.
        spec: the sweep.
        designs: a frame, or parameter to a value or to one value per design.

    Raises:
        SpecError: every column that is no parameter, and every value that its parameter cannot have.
    """
    fields = [f"{workload}.{field}" for workload in spec.workloads for field in SWEPT_FIELDS]
    library = library_of(spec.library)
    ours = [f"{TECHNOLOGY_PREFIX}{path}" for path in library.parameters]
    known = (*dict.fromkeys([*PARAMETERS, *space.parameters, *fields, *ours]),)
    issues, given = [], {}
    for name, values in ((str(name), values) for name, values in designs.items()):
        if name not in known:
            issues.append(Issue(NOWHERE, name, "is no parameter", perhaps=suggest(name, known)))
            continue
        parameter = parameter_of(name)
        try:
            given[name] = _column(name, values, parameter, library)
        except SpecError as error:
            issues += error.issues
    rows = max(map(len, given.values()), default=1)
    issues += [
        Issue(NOWHERE, name, f"has {len(column)} values", f"1 value or {rows}, one per design")
        for name, column in given.items()
        if len(column) not in (1, rows)
    ]
    if issues:
        raise SpecError(issues)
    return Table.broadcast({**Table.from_settings(space.fixed), **given}, rows)


def _column(name: str, values: Any, parameter: Parameter | None, library: Library) -> Column:
    """Return values of a parameter as a column.

    Raises:
        SpecError: every value that the parameter cannot have.
    """
    if hasattr(values, "to_numpy"):
        values = values.astype(object).where(values.notna(), None).to_numpy()
    listed = np.atleast_1d(np.asarray(values, dtype=object))
    if listed.ndim != 1:
        raise SpecError([Issue(NOWHERE, name, quoted(listed.tolist()), "a value, or one per design")])
    for one in dict.fromkeys(listed.tolist()):
        if _is_there(one) and (fault := _fault_of(one, parameter, library)):
            raise SpecError([Issue(NOWHERE, name, quoted(one), *fault)])
    return column_of(one if _is_there(one) else None for one in listed.tolist())


def _is_there(value: object) -> bool:
    return value is not None and value == value


def _fault_of(value: object, parameter: Parameter | None, library: Library) -> tuple[str, ...]:
    """Return what a value must be that a parameter cannot have, and perhaps is meant to be; empty where it can."""
    if parameter is None or not parameter.is_choice:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            return ("a number",)
        value = float(value)
    try:
        check_value(value, parameter or Parameter("", "", "", None, low=-np.inf), library)
    except PydanticCustomError as error:
        told = error.context or {}
        return told["must_be"], told["perhaps"]
    return ()

"""Parameters and metrics as people look them up: unit, default, bounds, direction and meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cost_models.library import Library
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Metric, Parameter
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.number_texts import number_text
from dse.render.terminal.library import Sheet

NAMES: Mapping[str, Mapping[str, Parameter | Metric]] = {
    "sweep_parameters": {**PARAMETERS, **{f"WORKLOAD.{name}": field for name, field in WORKLOAD_FIELDS.items()}},
    "metrics": {f"WORKLOAD.{name}" if metric.scope == "workload" else name: metric for name, metric in METRICS.items()},
}
"""Names of parameters and metrics as a sweep writes them, ``WORKLOAD`` standing for the name of one of its own."""


def found_in(name: str) -> str | None:
    """Return the section, parameters or metrics, that a name or its bare form stands in; None where it is in none."""
    bare = name.rpartition(".")[2]
    for section, entries in NAMES.items():
        if any(key.rpartition(".")[2] == bare for key in entries):
            return section
    return None


def quantity_sheet(section: str, library: Library, name: str | None = None) -> Sheet:
    """Return parameters or metrics, a row each.

    Args:
        section: "sweep_parameters" or "metrics".
        library: whose names a parameter may take.
        name: the one that is wanted, perhaps bare; all where None.
    """
    bare = None if name is None else name.rpartition(".")[2]
    chosen = {key: one for key, one in NAMES[section].items() if bare is None or key.rpartition(".")[2] == bare}
    if section == "metrics":
        cells = [[key, one.unit, _better(one), one.meaning] for key, one in chosen.items() if isinstance(one, Metric)]
        return Sheet("Metrics, for objectives and constraints", ("metric", "unit", "better", "meaning"), cells)
    rows = [
        [key, one.unit, one.default if one.default is not None else "", _values(one, library, whole=name is not None),
         one.meaning]
        for key, one in chosen.items() if isinstance(one, Parameter)
    ]  # fmt: skip
    return Sheet("Parameters of a sweep, for space", ("parameter", "unit", "default", "values", "meaning"), rows)


def _better(metric: Metric) -> str:
    return {"min": "less", "max": "more", None: ""}[metric.better]


def _values(parameter: Parameter, library: Library, *, whole: bool) -> str:
    """Return what a parameter may be: names, the section that they stand in, or bounds."""
    if parameter.section is not None:
        names = list(getattr(library, parameter.section))
        return ", ".join(names) if whole else f"dse library list {parameter.section}"
    if parameter.names:
        return ", ".join(parameter.names)
    kind = "whole number" if parameter.integer else "number"
    low = f"{'above' if parameter.open_low else 'from'} {number_text(parameter.low)}"
    return f"{kind} {low}" + (f" to {number_text(parameter.high)}" if math.isfinite(parameter.high) else "")

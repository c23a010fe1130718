"""What a column of a table, or a name in a sweep, stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Metric, Parameter
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS

TECHNOLOGY_PREFIX = "technology."
"""Prefix under which a sweep names a parameter of the library, as in ``technology.tco.pue``."""

PREFILL_PREFIX = "prefill."
"""What stands before a parameter of the design that prefills where it is another than the one that decodes."""


def parameter_of(column: str) -> Parameter | None:
    """Return the parameter that a column of designs holds; None for one of technology."""
    bare = column.rpartition(".")[2]
    if column.startswith(PREFILL_PREFIX):
        return PARAMETERS.get(bare)
    return PARAMETERS.get(column) or WORKLOAD_FIELDS.get(bare)


def metric_of(name: str, metrics: Mapping[str, Metric]) -> Metric:
    """Return the metric that a column name (bare or ``workload.metric``) stands for.

    Args:
        name: the column.
        metrics: by bare name.

    Raises:
        KeyError: no such metric.
    """
    return metrics[name.rpartition(".")[2]]


def metric_names(workloads: tuple[str, ...], metrics: Mapping[str, Metric]) -> tuple[str, ...]:
    """Return every name that a sweep with these workloads may use for metrics (by bare name)."""
    design = [name for name, metric in metrics.items() if metric.scope == "design"]
    return (
        *design,
        *(f"{workload}.{name}" for workload in workloads for name, m in metrics.items() if m.scope == "workload"),
    )


@dataclass(frozen=True)
class Description:
    """What a column of a table holds.

    Attributes:
        unit: unit of its numbers, "" where they have none or it holds names.
        meaning: one line for people, "" where nothing is known of it.
        better: the direction that an architect wants, None where it depends.
        per_chip: whether it is a metric of one chip, whatever is served.
    """

    unit: str = ""
    meaning: str = ""
    better: Literal["min", "max"] | None = None
    per_chip: bool = False


def describe(column: str, metrics: Mapping[str, Metric]) -> Description:
    """Return what a column holds: a parameter, or a metric or field of a workload, bare or as ``workload.name``.

    Args:
        column: its name.
        metrics: those of the sweep, by bare name.
    """
    if column.startswith(TECHNOLOGY_PREFIX):
        return Description()
    bare = column.rpartition(".")[2]
    entry = PARAMETERS.get(column) or metrics.get(bare) or WORKLOAD_FIELDS.get(bare) or PARAMETERS.get(bare)
    if isinstance(entry, Metric):
        return Description(entry.unit, entry.meaning, entry.better, entry.scope == "design")
    return Description() if entry is None else Description(entry.unit, entry.meaning)

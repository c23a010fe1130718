"""Metrics that a program adds at run time: a name, a unit, a meaning, and a formula of other metrics."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from cost_models.quantities import METRICS, Metric
from cost_models.table import FloatArray

Formula = Callable[[Mapping[str, FloatArray]], FloatArray]


@dataclass(frozen=True)
class Derived:
    """A metric made of others.

    Attributes:
        metric: what it is.
        inputs: bare names of the metrics that it is made of.
        formula: their columns by bare name to its own; one row per design, no state.
    """

    metric: Metric
    inputs: tuple[str, ...]
    formula: Formula


DERIVED: dict[str, Derived] = {}
"""The metrics that were added, by bare name, in the order in which they were."""


def add_metric(
    name: str,
    formula: Formula,
    *,
    inputs: tuple[str, ...],
    unit: str,
    meaning: str,
    better: Literal["min", "max"] | None,
) -> Metric:
    """Add a metric that sweeps of this process may use as any other: as objective, constraint, axis and column.

    It belongs to workloads where one of its inputs does, and to the design otherwise.

    Args:
        name: bare name; its last word should be the unit.
        formula: columns of the inputs by bare name to the column of the metric.
        inputs: bare names of the metrics that the formula reads.
        unit: unit, "" for a ratio.
        meaning: one line for people.
        better: the direction that an architect wants, None where it depends.

    Raises:
        ValueError: the name is taken by one of ours or is no name, or an input does not exist.
    """
    if not name.isidentifier() or (name in METRICS and name not in DERIVED):
        raise ValueError(f"name {name!r} must be an identifier that no other metric has")
    unknown = [one for one in inputs if one not in METRICS]
    if unknown or not inputs:
        raise ValueError(f"inputs must name metrics, got {', '.join(unknown) or 'none'}")
    scope: Literal["design", "workload"] = (
        "workload" if any(METRICS[one].scope == "workload" for one in inputs) else "design"
    )
    metric = Metric(name, unit, meaning, better, scope)
    DERIVED[name] = Derived(metric, inputs, formula)
    cast("dict[str, Metric]", METRICS)[name] = metric
    return metric


def remove_metric(name: str) -> None:
    """Forget a metric that was added.

    Raises:
        KeyError: no such metric was added.
    """
    del DERIVED[name]
    del cast("dict[str, Metric]", METRICS)[name]


def with_inputs(wanted: frozenset[str]) -> frozenset[str]:
    """Return wanted metrics and what added ones among them are made of."""
    for name, derived in reversed(DERIVED.items()):
        for metric in [one for one in wanted if one.rpartition(".")[2] == name]:
            workload = metric.rpartition(".")[0]
            wanted = wanted | {_full(one, workload) for one in derived.inputs}
    return wanted


def _full(name: str, workload: str) -> str:
    return f"{workload}.{name}" if METRICS[name].scope == "workload" else name


def derived_metrics(
    found: Mapping[str, FloatArray], workloads: Collection[str], wanted: Collection[str] | None
) -> dict[str, FloatArray]:
    """Return the added metrics that are wanted, all where None.

    Args:
        found: our metrics by full name.
        workloads: names of the workloads.
        wanted: full names.
    """
    values = dict(found)
    added: dict[str, FloatArray] = {}
    for name, derived in DERIVED.items():
        for workload in workloads if derived.metric.scope == "workload" else ("",):
            full = _full(name, workload)
            inputs = {one: _full(one, workload) for one in derived.inputs}
            if (wanted is None or full in wanted) and all(one in values for one in inputs.values()):
                result = derived.formula({one: values[path] for one, path in inputs.items()})
                added[full] = values[full] = np.asarray(result, dtype=np.float64)
    return added

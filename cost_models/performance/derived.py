"""Metrics that a user derives from built-in ones: name, unit, meaning and formula. They travel with a sweep."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from cost_models.quantities.metrics import METRICS
from cost_models.quantities.records import Metric
from cost_models.table import FloatArray
from cost_models.tape import asarray

Formula = Callable[[Mapping[str, FloatArray]], FloatArray]


@dataclass(frozen=True, kw_only=True)
class DerivedMetric:
    """A metric made of others, which a sweep may use as any other: as objective, constraint, axis and column.

    It belongs to workloads where one of its inputs does, and to the design otherwise.

    Attributes:
        name: bare name; its last word should be the unit.
        formula: the columns of the inputs by bare name to its own; one row per design, no state.
        inputs: bare names of the metrics that the formula reads.
        unit: unit, "" for a ratio.
        meaning: one line for people.
        better: the direction that an architect wants, None where it depends.
    """

    name: str
    formula: Formula
    inputs: tuple[str, ...]
    unit: str
    meaning: str
    better: Literal["min", "max"] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled for workers and journals: a formula without a name of its own goes by value."""
        state = {**self.__dict__}
        try:
            pickle.dumps(self.formula)
        except (pickle.PicklingError, AttributeError, TypeError):
            from joblib import wrap_non_picklable_objects

            state["formula"] = wrap_non_picklable_objects(self.formula)
        return state


def described(derived: Sequence[DerivedMetric]) -> Mapping[str, Metric]:
    """Return the built-in and the derived metrics by bare name.

    Args:
        derived: each made of built-in ones and of those before it.

    Raises:
        ValueError: a name is taken or is no name, or an input does not exist.
    """
    table = dict(METRICS)
    for one in derived:
        if not one.name.isidentifier() or one.name in table:
            raise ValueError(f"name {one.name!r} must be an identifier that no other metric has")
        unknown = [name for name in one.inputs if name not in table]
        if unknown or not one.inputs:
            raise ValueError(f"inputs of {one.name} must name metrics, got {', '.join(unknown) or 'none'}")
        of_workload = any(table[name].scope == "workload" for name in one.inputs)
        scope: Literal["workload", "design"] = "workload" if of_workload else "design"
        table[one.name] = Metric(one.name, one.unit, one.meaning, one.better, scope, low=-math.inf)
    return MappingProxyType(table)


def with_inputs(wanted: frozenset[str], derived: Sequence[DerivedMetric]) -> frozenset[str]:
    """Return wanted metrics by full name, and what derived ones among them are made of."""
    table = described(derived)
    for one in reversed(derived):
        for metric in [full for full in wanted if full.rpartition(".")[2] == one.name]:
            workload = metric.rpartition(".")[0]
            wanted = wanted | {_full(table[name], workload) for name in one.inputs}
    return wanted


def derived_metrics(
    found: Mapping[str, FloatArray],
    workloads: Collection[str],
    wanted: Collection[str] | None,
    derived: Sequence[DerivedMetric],
) -> dict[str, FloatArray]:
    """Return the derived metrics that are wanted, all where None.

    Args:
        found: our metrics by full name.
        workloads: names of the workloads.
        wanted: full names.
        derived: what may be wanted.
    """
    table, values = described(derived), dict(found)
    added: dict[str, FloatArray] = {}
    for one in derived:
        for workload in workloads if table[one.name].scope == "workload" else ("",):
            full = _full(table[one.name], workload)
            inputs = {name: _full(table[name], workload) for name in one.inputs}
            if (wanted is None or full in wanted) and all(path in values for path in inputs.values()):
                result = one.formula({name: values[path] for name, path in inputs.items()})
                added[full] = values[full] = asarray(result, dtype=np.float64)
    return added


def _full(metric: Metric, workload: str) -> str:
    return f"{workload}.{metric.name}" if metric.scope == "workload" else metric.name

"""What the plots of a run show: plain tables, taken from the run directory once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from cost_models.quantities.metrics import METRICS
from cost_models.quantities.records import Metric
from cost_models.table import FloatArray, Setting

if TYPE_CHECKING:
    import pandas as pd

Side = Literal["max", "min"]


@dataclass(frozen=True)
class Limit:
    """A bound that a constraint sets on a metric.

    Attributes:
        value: the bound.
        side: "max" where values above are infeasible, "min" where values below are.
        text: how to write it beside the line.
    """

    value: float
    side: Side
    text: str


@dataclass(frozen=True)
class ShownPick:
    """A design that people look at first.

    Attributes:
        text: why it was picked; several reasons may pick one design.
        values: its parameters and metrics.
    """

    text: str
    values: Mapping[str, float | str]

    def number(self, column: str) -> float:
        """Return a metric or numeric parameter, NaN where the pick has none."""
        value = self.values.get(column, np.nan)
        return float("nan") if isinstance(value, str) else float(value)


@dataclass(frozen=True)
class Scene:
    """A run as the plots need it.

    Attributes:
        name: the sweep's name.
        objectives: metric of each objective.
        maximised: those among them that are to be maximised.
        parameters: what varies, in the order of the sweep.
        front: the non-dominated feasible designs; the least infeasible designs where nothing is feasible.
        feasible: whether `front` is feasible.
        others: other feasible designs, or a sample of them.
        picks: designs to point out, by how they are called.
        baselines: metrics of what the sweep compares with, by name; NaN where missing.
        limits: bounds on metrics, by metric.
        metrics: what the sweep's metrics are, by bare name.
        logarithmic: parameters that the sweep spreads over the logarithm.
        shared: parameters that the sweep fixes, with their values.
    """

    name: str
    objectives: tuple[str, ...]
    maximised: frozenset[str]
    parameters: tuple[str, ...]
    front: pd.DataFrame
    feasible: bool
    others: pd.DataFrame
    picks: tuple[ShownPick, ...] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    limits: Mapping[str, Sequence[Limit]] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=lambda: METRICS)
    logarithmic: frozenset[str] = frozenset()
    shared: Mapping[str, Setting] = field(default_factory=dict)

    def values(self, column: str) -> FloatArray:
        """Return a numeric column of everything that is drawn: designs, baselines and limits."""
        sampled = [
            *(table[column].to_numpy(dtype=np.float64) for table in (self.front, self.others) if column in table),
            np.array([metrics.get(column, np.nan) for metrics in self.baselines.values()]),
            np.array([limit.value for limit in self.limits.get(column, ())]),
            np.array([pick.number(column) for pick in self.picks]),
        ]
        known = np.concatenate(sampled)
        return np.asarray(known[np.isfinite(known)])

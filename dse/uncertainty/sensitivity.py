"""Which parameters move a design's metrics: one at a time from low to high, and their shares of the variance.

Parameters that share a cause move together, as one input; they are taken as fully tied here, where Monte Carlo samples
tie them by the cause's correlation. Shares of the variance are Sobol' indices (Saltelli et al. 2010, as in
scipy.stats).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.table import FloatArray, Setting, Table
from dse.evaluator import Evaluator
from dse.sweep import Spec
from dse.uncertainty.monte_carlo import Distribution

SOBOL_SAMPLES = 256
"""Base samples of the Sobol' estimate; (inputs + 2) times as many rows are evaluated."""


@dataclass(frozen=True)
class Input:
    """Parameters that move together: one, or those of one cause that a design depends on."""

    spreads: tuple[Distribution, ...]

    @property
    def name(self) -> str:
        """The parameter, or the factor that moves several."""
        first = self.spreads[0]
        return first.path if len(self.spreads) == 1 else f"{first.factor} ({len(self.spreads)} parameters)"

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of its parameters."""
        return tuple(spread.path for spread in self.spreads)

    @property
    def confidence(self) -> str:
        """The worst confidence of its parameters."""
        return min((spread.confidence for spread in self.spreads), key=("low", "medium", "high").index)


@dataclass(frozen=True)
class Swing:
    """What one input does to one metric, everything else at its typical value.

    Attributes:
        input: the input.
        metric: the metric.
        at_low: metric with the parameters at the low end of their ranges.
        at_typ: metric at the typical parameters.
        at_high: metric with the parameters at the high end.
        variance_fraction: first-order Sobol' index, the share of the variance that goes with this input alone; NaN
            where none was asked for.
        total_fraction: total Sobol' index, its interactions included; NaN likewise.
    """

    input: Input
    metric: str
    at_low: float
    at_typ: float
    at_high: float
    variance_fraction: float = float("nan")
    total_fraction: float = float("nan")

    @property
    def share_alone(self) -> float:
        """The share of the variance as it can be: its estimate from samples may fall outside of 0 to 1; NaN as that."""
        return float(np.clip(self.variance_fraction, 0.0, 1.0))

    @property
    def width(self) -> float:
        """How far the metric moves; infinite where it is missing at one of the ends only."""
        values = (self.at_low, self.at_typ, self.at_high)
        missing = [math.isnan(value) for value in values]
        if all(missing):
            return 0.0
        return math.inf if any(missing) else max(values) - min(values)


def inputs_of(spreads: Sequence[Distribution]) -> list[Input]:
    """Return the inputs that parameters form: those of one shared factor together."""
    groups: dict[str, list[Distribution]] = {}
    for spread in spreads:
        groups.setdefault(spread.factor or f"parameter {spread.path}", []).append(spread)
    return [Input(tuple(group)) for group in groups.values()]


def swings_of(
    spec: Spec, design: Mapping[str, Setting], spreads: Sequence[Distribution], metrics: Sequence[str]
) -> list[Swing]:
    """Return what every input does to each metric, the widest first; inputs that move nothing are left out.

    Args:
        spec: the sweep.
        design: parameter to value.
        spreads: the ranged parameters.
        metrics: columns of metrics or names of margins.
    """
    inputs = inputs_of(spreads)
    rows = 2 * len(inputs) + 1
    columns = {spread.path: np.full(rows, spread.typ) for spread in spreads}
    for place, one in enumerate(inputs):
        for spread in one.spreads:
            columns[spread.path][2 * place + 1 : 2 * place + 3] = spread.low, spread.high
    values = _metrics(spec, design, columns, metrics)
    swings = [
        Swing(one, metric, *(float(value) for value in values[k][[2 * place + 1, 0, 2 * place + 2]]))
        for k, metric in enumerate(metrics)
        for place, one in enumerate(inputs)
    ]
    moved = [swing for swing in swings if swing.width > 1e-12 * abs(swing.at_typ)]
    return sorted(moved, key=lambda swing: (metrics.index(swing.metric), -swing.width, swing.input.name))


def variance_fractions(
    spec: Spec, design: Mapping[str, Setting], swings: Sequence[Swing], *, samples: int = SOBOL_SAMPLES, seed: int = 0
) -> list[Swing]:
    """Return the swings with the Sobol' indices of their inputs beside them.

    A metric that is missing in some sample keeps NaN.

    Args:
        spec: the sweep.
        design: parameter to value.
        swings: what `swings_of` returns; inputs without a swing stay at their typical value.
        samples: base samples, a power of two.
        seed: seed of the samples.
    """
    from scipy import stats

    metrics = list(dict.fromkeys(swing.metric for swing in swings))
    inputs = list({swing.input.name: swing.input for swing in swings}.values())
    if not inputs:
        return list(swings)
    missing = np.zeros(len(metrics), dtype=bool)

    def outputs(unit: FloatArray) -> FloatArray:
        columns = {
            spread.path: spread.quantile(unit[place]) for place, one in enumerate(inputs) for spread in one.spreads
        }
        values = _metrics(spec, design, columns, metrics)
        missing[:] |= np.isnan(values).any(axis=1)
        return np.nan_to_num(values)

    uniform: Any = [stats.uniform()] * len(inputs)
    with warnings.catch_warnings():
        # A metric that nothing moves has no variance to share out.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.sobol_indices(func=outputs, n=samples, dists=uniform, rng=np.random.default_rng(seed))
    first, total = np.atleast_2d(result.first_order), np.atleast_2d(result.total_order)
    first[missing], total[missing] = np.nan, np.nan
    places = {one.name: place for place, one in enumerate(inputs)}
    return [
        Swing(
            swing.input, swing.metric, swing.at_low, swing.at_typ, swing.at_high,
            float(first[metrics.index(swing.metric), places[swing.input.name]]),
            float(total[metrics.index(swing.metric), places[swing.input.name]]),
        )
        for swing in swings
    ]  # fmt: skip


def _metrics(
    spec: Spec, design: Mapping[str, Setting], columns: Mapping[str, FloatArray], metrics: Sequence[str]
) -> FloatArray:
    """Return ``(metrics, rows)`` of one design under columns of parameters."""
    result = Evaluator(spec, columns).evaluate(Table.from_settings(design), metrics=metrics)
    rows = len(next(iter(columns.values())))
    known = {**result.margins, **result.metrics}
    return np.array([np.broadcast_to(known[name], rows) for name in metrics])

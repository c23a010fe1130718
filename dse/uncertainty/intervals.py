"""Designs under Monte Carlo samples of every ranged parameter that they depend on.

Intervals, and probabilities of meeting the targets.

Every design meets the same draws, so that differences between designs are theirs, and so do the baselines that
constraints are relative to. What a sweep decides (its space, its ``economics``) is not drawn, nor is a parameter that
it replaces by a single value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.quantities.columns import TECHNOLOGY_PREFIX
from cost_models.table import Designs, FloatArray, Setting, Table
from dse.evaluator import Evaluation, Evaluator
from dse.front import nondominated
from dse.parallelism import Parallelism
from dse.sweep import Spec
from dse.sweep.library_additions import library_of
from dse.uncertainty.monte_carlo import Distribution, monte_carlo_samples, spreads_of

QUANTILES = (0.1, 0.5, 0.9)
"""Probabilities of the quantiles that are kept: P10, P50, P90."""

ROWS_AT_ONCE = 16_384
"""Rows of one call of the evaluator: their columns stay in the cache."""

DRAWS = 2000
"""Monte Carlo samples unless told otherwise."""

Counted = Callable[[int, int], None]
"""What is told how many designs of how many are done."""


@dataclass(frozen=True)
class Robustness:
    """What Monte Carlo samples did to designs; ``d`` designs in the order in which they were given.

    Attributes:
        draws: number of Monte Carlo samples.
        seed: their seed.
        spreads: the parameters that were drawn.
        nominal: metric to ``(d,)`` values at the typical parameters.
        quantiles: metric to ``(d, 3)`` P10, P50 and P90 over the draws in which it has a value; NaN where it has none.
        p_meets: limit or constraint to the ``(d,)`` share of draws in which it is met.
        p_feasible: ``(d,)`` share of draws in which all are met at once and no objective is missing.
        nondominated_fraction: ``(d,)`` share of draws in which none of the other designs is better.
    """

    draws: int
    seed: int
    spreads: tuple[Distribution, ...]
    nominal: Mapping[str, FloatArray]
    quantiles: Mapping[str, FloatArray]
    p_meets: Mapping[str, FloatArray]
    p_feasible: FloatArray
    nondominated_fraction: FloatArray


def robustness(
    spec: Spec,
    designs: Sequence[Mapping[str, Setting]],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    metrics: Collection[str] | None = None,
    progress: Counted | None = None,
    spread: Parallelism | None = None,
) -> Robustness:
    """Re-evaluate designs under Monte Carlo samples of every ranged parameter that they or a baseline depend on.

    Several designs are one call of the evaluator, with a row per design and draw. The same seed gives the same numbers,
    and further designs change nothing but `nondominated_fraction`.

    Args:
        spec: the sweep.
        designs: at least one design, parameter to value.
        draws: number of Monte Carlo samples.
        seed: their seed.
        metrics: those that are wanted beside the ones that designs are judged by; all where None.
        progress: told after every few designs.
        spread: where they are evaluated; in this process where None.
    """
    trial = _Trial(spec, designs, draws, seed, metrics)
    met: list[_Met | None] = [None] * len(designs)
    # Designs of the same names stand together: a column of one name is the quicker to look up.
    order = sorted(range(len(designs)), key=lambda place: (_names(designs[place]), place))
    blocks = [order[start : start + trial.at_once] for start in range(0, len(designs), trial.at_once)]
    with (spread or Parallelism()).workers() as workers:
        elsewhere = partial(_tried, spec, designs, draws, seed, metrics)
        results = workers.map_with(elsewhere, [(block,) for block in blocks], here=trial.met)
        for done, (block, found) in enumerate(zip(blocks, results, strict=True), start=1):
            for place, one in zip(block, found, strict=True):
                met[place] = one
            if progress is not None:
                progress(min(done * trial.at_once, len(designs)), len(designs))
    all_met = [one for one in met if one is not None]
    return Robustness(
        draws=draws,
        seed=seed,
        spreads=trial.spreads,
        nominal=trial.nominal,
        quantiles={name: np.array([one.quantiles[name] for one in all_met]) for name in all_met[0].quantiles},
        p_meets={name: np.array([one.meets[name] for one in all_met]) for name in all_met[0].meets},
        p_feasible=np.array([one.meets_all for one in all_met]),
        nondominated_fraction=_nondominated_fraction(np.stack([one.objectives for one in all_met])),
    )


@dataclass(frozen=True)
class _Met:
    """What the draws did to one design."""

    quantiles: dict[str, FloatArray]
    meets: dict[str, float]
    meets_all: float
    objectives: NDArray[np.float32]


class _Trial:
    """Monte Carlo samples that designs meet.

    Args:
        spec: the sweep.
        designs: all designs.
        draws: number of samples.
        seed: their seed.
        metrics: those that are wanted beside the ones that designs are judged by; all where None.

    Attributes:
        nominal: metrics of all designs at the typical parameters.
        spreads: the parameters that are drawn.
        at_once: designs that are evaluated in one call.
    """

    def __init__(
        self,
        spec: Spec,
        designs: Sequence[Mapping[str, Setting]],
        draws: int,
        seed: int,
        metrics: Collection[str] | None,
    ) -> None:
        self._designs, self._draws, self._metrics = designs, draws, metrics
        self.nominal, paths = _nominal(spec, designs, metrics)
        self.spreads = tuple(spreads_of(paths, spec.parameters, library_of(spec.library)))
        sampled = monte_carlo_samples(self.spreads, draws=draws, seed=seed)
        self.at_once = max(1, min(len(designs), ROWS_AT_ONCE // draws))
        self._evaluator = Evaluator(spec, {path: np.tile(values, self.at_once) for path, values in sampled.items()})

    def met(self, places: Sequence[int]) -> list[_Met]:
        """Return what the samples do to at most `at_once` of the designs."""
        block = [self._designs[place] for place in places]
        # Every call has as many rows as the parameters; what the last one repeats is dropped again.
        filling = [block[-1]] * (self.at_once - len(block))
        table = Table.from_settings(*block, *filling).repeated(self._draws)
        result = self._evaluator.evaluate(table, metrics=self._metrics)
        return [_met(result, slice(slot * self._draws, (slot + 1) * self._draws)) for slot in range(len(block))]


def _tried(*arguments: Any) -> Callable[[Sequence[int]], list[_Met]]:
    """Return what tries designs, in a process that has made nothing of the sweep yet."""
    return _Trial(*arguments).met


def _met(found: Evaluation, rows: slice) -> _Met:
    return _Met(
        quantiles=_quantiles({name: value[rows] for name, value in found.metrics.items()}),
        meets={name: float(np.mean(margin[rows] >= 0)) for name, margin in found.margins.items()},
        meets_all=float(found.feasible[rows].mean()),
        # Single precision halves what has to be held of every draw; ties that it makes hide no order that matters.
        objectives=found.objectives[rows].astype(np.float32),
    )


def _names(design: Mapping[str, Setting]) -> tuple[str, ...]:
    return tuple(f"{name} {value}" for name, value in sorted(design.items()) if isinstance(value, str))


def parameters_of(
    spec: Spec, designs: Sequence[Mapping[str, Setting]], metrics: Collection[str] | None = None
) -> frozenset[str]:
    """Return the parameters that designs, or the baselines that constraints are relative to, depend on.

    Args:
        spec: the sweep.
        designs: at least one, parameter to value.
        metrics: those that are wanted beside the ones that designs are judged by; all where None.
    """
    return _nominal(spec, designs, metrics)[1]


def _nominal(
    spec: Spec, designs: Sequence[Mapping[str, Setting]], wanted: Collection[str] | None
) -> tuple[dict[str, FloatArray], frozenset[str]]:
    """Return metrics at the typical parameters, and the parameters read on the way that no design sets itself."""
    evaluator = Evaluator(spec)
    table = Table.from_settings(*designs)
    unswept = {name: column for name, column in table.items() if name not in _swept(table)}
    metrics = evaluator.evaluate(unswept, metrics=wanted).metrics
    if _swept(table):
        metrics = Evaluator(spec).evaluate(table, metrics=wanted).metrics
    own = {name.removeprefix(TECHNOLOGY_PREFIX) for name in _swept(table)}
    return {name: np.array(value) for name, value in metrics.items()}, evaluator.technology.reads - own


def _swept(table: Designs) -> frozenset[str]:
    """Return the columns by which designs set parameters themselves: they are read from a technology of their own."""
    return frozenset(name for name in table if name.startswith(TECHNOLOGY_PREFIX))


def _quantiles(metrics: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return P10, P50 and P90 of the values that are not missing, NaN where all are."""
    result = {name: np.full(len(QUANTILES), values[0]) for name, values in metrics.items()}
    varying = {name: values for name, values in metrics.items() if not (values == values[0]).all()}
    whole = [name for name, values in varying.items() if not np.isnan(values).any()]
    if whole:
        result.update(zip(whole, _sorted_quantiles(np.stack([varying[name] for name in whole])), strict=True))
    for name in varying.keys() - set(whole):
        known = varying[name][~np.isnan(varying[name])]
        result[name] = _sorted_quantiles(known[None])[0] if len(known) else np.full(len(QUANTILES), np.nan)
    return result


def _sorted_quantiles(rows: FloatArray) -> FloatArray:
    """Return the quantiles of each row, between its values in proportion, as `numpy.quantile` has them.

    Sorting is five times as fast here as the selection that `numpy.quantile` does.
    """
    ordered = np.sort(rows, axis=1)
    place = np.array(QUANTILES) * (rows.shape[1] - 1)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, rows.shape[1] - 1)
    return np.asarray(ordered[:, below] + (ordered[:, above] - ordered[:, below]) * (place - below))


def _nondominated_fraction(objectives: FloatArray) -> FloatArray:
    """Return the share of draws in which a design is not dominated; ``(d, draws, objectives)`` to ``(d,)``.

    Designs with equal objectives are not dominated by each other.
    """
    designs, draws, _ = objectives.shape
    kept = np.zeros(designs)
    for draw in range(draws):
        kept += nondominated(objectives[:, draw].astype(np.float64), keep_equal=True)
    return np.asarray(kept / draws, dtype=np.float64)

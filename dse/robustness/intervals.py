"""Designs under joint draws of every ranged figure that they depend on: intervals, and chances to meet the targets.

Every design meets the same draws, so that differences between designs are theirs, and so do the baselines that
constraints are relative to. What a sweep decides (its space, its ``economics``) is not drawn, nor is a figure that it
replaces by a single value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.columns import Choice, Designs, FloatArray
from cost_models.quantities import TECHNOLOGY_PREFIX
from cost_models.technology import Technology
from dse.evaluate import Evaluator
from dse.front import nondominated
from dse.results.picks import Setting, designs_of
from dse.robustness.draws import Spread, joint_draws, spreads_of
from dse.spec import Spec

QUANTILES = (0.1, 0.5, 0.9)
"""Probabilities of the quantiles that are kept: P10, P50, P90."""

DRAWS = 2000
"""Joint draws unless told otherwise."""

Counted = Callable[[int, int], None]
"""What is told how many designs of how many are done."""


@dataclass(frozen=True)
class Robustness:
    """What joint draws did to designs; ``d`` designs in the order in which they were given.

    Attributes:
        draws: number of joint draws.
        seed: their seed.
        spreads: the figures that were drawn.
        nominal: metric to ``(d,)`` values at the typical figures.
        quantiles: metric to ``(d, 3)`` P10, P50 and P90 over the draws in which it has a value; NaN where it has none.
        p_meets: limit or constraint to the ``(d,)`` share of draws in which it is met.
        p_meets_all: ``(d,)`` share of draws in which all are met at once and no objective is missing.
        nondominated_share: ``(d,)`` share of draws in which none of the other designs is better.
    """

    draws: int
    seed: int
    spreads: tuple[Spread, ...]
    nominal: Mapping[str, FloatArray]
    quantiles: Mapping[str, FloatArray]
    p_meets: Mapping[str, FloatArray]
    p_meets_all: FloatArray
    nondominated_share: FloatArray


def robustness(
    spec: Spec,
    designs: Sequence[Mapping[str, Setting]],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Counted | None = None,
) -> Robustness:
    """Re-evaluate designs under joint draws of every ranged figure that any of them, or a baseline, depends on.

    One design is one call of the evaluator with a row per draw. The same seed gives the same numbers, and further
    designs change nothing but `nondominated_share`.

    Args:
        spec: the sweep.
        designs: at least one design, parameter to value.
        draws: number of joint draws.
        seed: their seed.
        progress: told after every design.
    """
    tables = [designs_of(settings) for settings in designs]
    nominal, paths = _nominal(spec, tables)
    spreads = spreads_of(paths, spec.figures)
    drawn = joint_draws(spreads, draws=draws, seed=seed)
    evaluator = Evaluator(spec, Technology({**spec.technology, **drawn}))
    quantiles, meets, meets_all, objectives = [], [], [], []
    for done, table in enumerate(tables, start=1):
        found = evaluator.evaluate(table)
        quantiles.append(_quantiles(found.metrics))
        meets.append({name: float(np.mean(margin >= 0)) for name, margin in found.margins.items()})
        meets_all.append(float(found.feasible.mean()))
        # Single precision halves what has to be held of every draw; ties are broken by it in no draw that matters.
        objectives.append(np.broadcast_to(found.objectives, (draws, found.objectives.shape[1])).astype(np.float32))
        if progress is not None:
            progress(done, len(tables))
    return Robustness(
        draws=draws,
        seed=seed,
        spreads=tuple(spreads),
        nominal={name: np.array([one[name] for one in nominal]) for name in nominal[0]},
        quantiles={name: np.array([one[name] for one in quantiles]) for name in quantiles[0]},
        p_meets={name: np.array([one[name] for one in meets]) for name in meets[0]},
        p_meets_all=np.array(meets_all),
        nondominated_share=_nondominated_share(np.stack(objectives)),
    )


def figures_of(spec: Spec, designs: Sequence[Mapping[str, Setting]]) -> frozenset[str]:
    """Return the figures that designs, or the baselines that constraints are relative to, depend on."""
    return _nominal(spec, [designs_of(settings) for settings in designs])[1]


def _nominal(spec: Spec, tables: Sequence[Designs]) -> tuple[list[dict[str, float]], frozenset[str]]:
    """Return metrics at the typical figures, and the figures read on the way that no design sets itself."""
    evaluator = Evaluator(spec)
    metrics, reads, swept = [], set[str](), set[str]()
    for table in tables:
        found = evaluator.evaluate(table)
        metrics.append({name: float(value[0]) for name, value in found.metrics.items()})
        own = {name.removeprefix(TECHNOLOGY_PREFIX) for name in table if name.startswith(TECHNOLOGY_PREFIX)}
        if own:
            # Figures that a design replaces are read from a technology of its own.
            reads |= _reads_with(spec, table)
        swept |= own
    return metrics, frozenset((reads | evaluator.technology.reads) - swept)


def _reads_with(spec: Spec, table: Designs) -> frozenset[str]:
    own = {
        name.removeprefix(TECHNOLOGY_PREFIX): float(column[0])
        for name, column in table.items()
        if name.startswith(TECHNOLOGY_PREFIX) and not isinstance(column, Choice)
    }
    evaluator = Evaluator(spec, Technology({**spec.technology, **own}))
    evaluator.evaluate({name: column for name, column in table.items() if not name.startswith(TECHNOLOGY_PREFIX)})
    return evaluator.technology.reads


def _quantiles(metrics: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return P10, P50 and P90 of the values that are not missing, NaN where all are."""
    found = {name: np.full(len(QUANTILES), values[0]) for name, values in metrics.items()}
    # What no figure moves is one value, repeated without a copy.
    varying = {name: values for name, values in metrics.items() if values.strides != (0,)}
    whole = [name for name, values in varying.items() if not np.isnan(values).any()]
    if whole:
        stacked = np.quantile(np.stack([varying[name] for name in whole]), QUANTILES, axis=1)
        found.update(zip(whole, stacked.T, strict=True))
    for name in varying.keys() - set(whole):
        known = varying[name][~np.isnan(varying[name])]
        found[name] = np.quantile(known, QUANTILES) if len(known) else np.full(len(QUANTILES), np.nan)
    return found


def _nondominated_share(objectives: FloatArray) -> FloatArray:
    """Return the share of draws in which a design is not dominated; ``(d, draws, objectives)`` to ``(d,)``.

    Designs with equal objectives are not dominated by each other.
    """
    designs, draws, _ = objectives.shape
    kept = np.zeros(designs)
    for draw in range(draws):
        kept += nondominated(objectives[:, draw].astype(np.float64), keep_equal=True)
    return np.asarray(kept / draws, dtype=np.float64)

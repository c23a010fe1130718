"""A run directory to the tables that the plots show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cost_models.quantities.columns import metric_of
from cost_models.quantities.records import Metric
from cost_models.table import Table, evenly
from dse.analysis.explain.curve import Curve, all_curves
from dse.analysis.explain.designs import explain_baseline, explain_designs
from dse.analysis.explain.records import Explanation
from dse.number_texts import number_text
from dse.render.plots.scene import Limit, Scene, ShownPick
from dse.render.terminal.summary import named_picks, named_workloads
from dse.results.store import StoredRun
from dse.sweep import ConstraintSpec, FixedSpec, Spec
from dse.sweep.parameters import RangeSpec

if TYPE_CHECKING:
    import pandas as pd

MAX_OTHERS = 4000
"""Other feasible designs that are drawn at most."""

MAX_MISSES = 60
"""Least infeasible designs that are drawn where nothing is feasible."""


def scene_of(run: StoredRun) -> Scene:
    """Return what the plots of a run show."""
    spec = run.spec
    designs = run.designs
    feasible = run.found_feasible
    objectives = tuple(objective.metric for objective in spec.objectives)
    front = run.front if feasible else _nearest(designs, objectives)
    others = np.flatnonzero(designs["feasible"].to_numpy(dtype=bool) & ~designs["pareto"].to_numpy(dtype=bool))
    return Scene(
        name=run.name,
        objectives=objectives,
        maximised=frozenset(o.metric for o in spec.objectives if o.direction == "maximize"),
        parameters=tuple(name for name, entries in spec.space.items() if _varies(entries)),
        front=front,
        feasible=feasible,
        others=designs.iloc[others[evenly(len(others), MAX_OTHERS)]],
        picks=tuple(
            ShownPick(name, {**pick["metrics"], **pick["design"]})
            for name, pick in named_picks(run.picks, spec).items()
        ),
        baselines=_baselines(run),
        limits=_limits(spec, _baselines(run)),
        metrics=spec.metrics,
        logarithmic=frozenset(name for name, entries in spec.space.items() if counts_in_ratios(entries)),
        shared={
            name: entry.value
            for name, entries in spec.space.items()
            if not _varies(entries) and isinstance(entry := entries[0], FixedSpec)
        },
    )


def explanations_of(run: StoredRun) -> tuple[dict[str, Explanation], dict[str, Explanation]]:
    """Return the picks (once each, named by why they were picked) and the baselines of a run, explained."""
    evaluator = run.evaluator
    picks = {
        name: explain_designs(evaluator, Table.from_settings(pick["design"]), name=name)
        for name, pick in named_picks(run.picks, run.spec).items()
    }
    return picks, {name: explain_baseline(evaluator, name) for name in run.spec.baselines}


def curves_of(run: StoredRun) -> list[Curve]:
    """Return throughput against speed per user of picks and baselines, for workloads that objectives name."""
    named = {name: pick["design"] for name, pick in named_picks(run.picks, run.spec).items()}
    return all_curves(run.evaluator, named, named_workloads(run.spec))


def _varies(entries: tuple[object, ...]) -> bool:
    return len(entries) > 1 or not isinstance(entries[0], FixedSpec)


def counts_in_ratios(entries: tuple[object, ...]) -> bool:
    """Return whether a parameter of the space is spread over the logarithm."""
    return any(isinstance(entry, RangeSpec) and entry.log for entry in entries)


def _nearest(designs: pd.DataFrame, objectives: tuple[str, ...]) -> pd.DataFrame:
    """Return the designs with the least violation among those whose objectives have values."""
    known = np.isfinite(designs[list(objectives)].to_numpy(dtype=np.float64)).all(axis=1)
    order = np.lexsort((designs["id"], designs["violation"]))
    nearest: pd.DataFrame = designs.iloc[order[known[order]][:MAX_MISSES]]
    return nearest


def _baselines(run: StoredRun) -> dict[str, dict[str, float]]:
    """Return the metrics of every baseline; missing ones are NaN."""
    table = run.baselines
    if table.empty:
        return {}
    metrics = [name for name in map(str, table) if name.rpartition(".")[2] in run.spec.metrics]
    return {str(row["baseline"]): {name: float(row[name]) for name in metrics} for _, row in table.iterrows()}


def _limits(spec: Spec, baselines: Mapping[str, Mapping[str, float]]) -> dict[str, list[Limit]]:
    limits: dict[str, list[Limit]] = {}
    for constraint in spec.constraints:
        result = limits_of(constraint, spec.metrics, baselines)
        if result:
            limits.setdefault(constraint.metric, []).extend(result)
    return limits


def limits_of(
    constraint: ConstraintSpec, metrics: Mapping[str, Metric], baselines: Mapping[str, Mapping[str, float]]
) -> list[Limit]:
    """Return the bounds of one constraint in the metric's unit; none where the baseline's value is missing."""
    scale = 1.0
    if constraint.relative_to:
        scale = baselines.get(constraint.relative_to, {}).get(constraint.metric, np.nan)
    low, high = constraint.min, constraint.max
    if constraint.near is not None and constraint.within is not None:
        low, high = constraint.near * (1 - constraint.within), constraint.near * (1 + constraint.within)
    limits = []
    for bound, side, sign in ((high, "max", "≤"), (low, "min", "≥")):
        if bound is None or not np.isfinite(bound * scale):
            continue
        unit = metric_of(constraint.metric, metrics).unit
        text = f"{sign} {number_text(bound * scale)} {unit}".rstrip()
        text += f" ({number_text(bound)}x {constraint.relative_to})" if constraint.relative_to else ""
        limits.append(Limit(bound * scale, "max" if side == "max" else "min", text))
    return limits

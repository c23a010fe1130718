"""What Monte Carlo samples do to a search that has ended.

Its designs meet them, and its front answers for the probabilities.

The search itself knows typical parameters only. Where the sweep asks for draws, the front, the least infeasible designs
and, where there are constraints on ``p_feasible``, designs that keep some distance to the limits meet them. The front
is then what no other of the designs that meet those constraints dominates, at the typical parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cost_models.quantities.metrics import P_FEASIBLE
from cost_models.table import FloatArray, evenly
from dse.front import nondominated
from dse.margins import constraint_margin
from dse.parallelism import Parallelism
from dse.results.outcome import Outcome
from dse.results.picks import Pick, choose_picks, default_pick, settings_of
from dse.results.rows import Rows, joined
from dse.results.statistics.records import ConstraintCount
from dse.sweep import Spec
from dse.sweep.library_additions import library_of
from dse.uncertainty.files import RobustRun
from dse.uncertainty.intervals import Robustness, parameters_of, robustness
from dse.uncertainty.monte_carlo import spreads_of
from dse.uncertainty.sensitivity import swings_of, variance_fractions
from dse.uncertainty.stored_run import watched

DISTANCES = (0.02, 0.05, 0.1, 0.2, 0.3)
"""Relative distances to the limits at which further designs are taken: the best that keep each."""

MIN_MISSES = 20
"""Designs that are kept as nearest where none has the probability asked for."""


def under_draws(outcome: Outcome, spec: Spec, spread: Parallelism | None = None) -> tuple[Outcome, RobustRun | None]:
    """Return what a run found after its designs have met the draws that the sweep asks for, and what these did.

    `Outcome.front` and `Outcome.picks` hold designs that meet the constraints on ``p_feasible``; the probability stands
    among the metrics of every row, NaN where a design has met no draws. Without draws, or designs, nothing changes.

    Args:
        outcome: what a run found.
        spec: its sweep.
        spread: where designs are evaluated; in this process where None.
    """
    requested = spec.robustness
    candidates = _candidates(outcome, spec, requested.designs) if requested is not None else None
    if requested is None or candidates is None:
        return outcome, None
    designs = [settings_of(candidates.designs, row) for row in range(len(candidates))]
    result = robustness(spec, designs, draws=requested.draws, seed=requested.seed, spread=spread)
    meets = np.ones(len(candidates), dtype=bool)
    counts = list(outcome.constraints)
    for constraint in spec.probabilities:
        margin = constraint_margin(constraint, {P_FEASIBLE: result.p_feasible}, {})
        meets &= margin >= 0
        counts.append(_count(constraint.label, margin, candidates.evaluation.feasible))
    outcome = _with_chances(outcome, candidates, result)
    if spec.probabilities:
        outcome = _chosen(replace(outcome, constraints=tuple(counts)), spec, candidates.ids, result.p_feasible, meets)
    return outcome, _robust_run(outcome, spec, candidates, designs, result)


def _candidates(outcome: Outcome, spec: Spec, at_most: int) -> Rows | None:
    """Return the designs that meet the draws, each once, the front first as far as it goes."""
    parts = [part for part in (outcome.front, outcome.misses, outcome.sample) if part is not None]
    if not parts:
        return None
    rows = joined(parts)
    _, first = np.unique(rows.ids, return_index=True)
    rows = rows.take(first)
    on_front = np.isin(rows.ids, outcome.front.ids) if outcome.front is not None else np.zeros(len(rows), dtype=bool)
    missed = np.isin(rows.ids, outcome.misses.ids) if outcome.misses is not None else np.zeros(len(rows), dtype=bool)
    chosen = list(np.flatnonzero(on_front)) + list(np.flatnonzero(missed))
    if spec.probabilities:
        for keeping in _keeping_distance(rows, [one.label for one in spec.constraints]):
            chosen += list(keeping)
    kept = list(dict.fromkeys(int(place) for place in chosen))
    # Evenly from the list, which begins with the front and goes on from the least distance to the largest.
    return rows.take(np.array(sorted(kept[place] for place in evenly(len(kept), at_most)), dtype=np.intp))


def _keeping_distance(rows: Rows, labels: Sequence[str]) -> list[NDArray[np.intp]]:
    """Return for each distance the feasible designs that keep it and that none of those dominates."""
    result = rows.evaluation
    if not labels:
        return []
    slack = np.min([result.margins[label] for label in labels], axis=0)
    fronts = []
    for distance in DISTANCES:
        places = np.flatnonzero(result.feasible & (slack >= distance))
        fronts.append(places[nondominated(result.objectives[places])])
    return fronts


def _count(label: str, margin: FloatArray, feasible: NDArray[np.bool_]) -> ConstraintCount:
    broken = margin < 0
    met = margin[feasible & ~broken]
    return ConstraintCount(
        constraint=label,
        evaluated=len(margin),
        violated=int(broken.sum()),
        missing=0,
        sole_cause=int((broken & feasible).sum()),
        best_margin=float(margin.max()),
        tightest_margin=float(met.min()) if len(met) else float("nan"),
    )


def _with_chances(outcome: Outcome, candidates: Rows, found: Robustness) -> Outcome:
    """Return the outcome with the probability of every row among its metrics."""

    def told(rows: Rows | None) -> Rows | None:
        if rows is None:
            return None
        place = np.searchsorted(candidates.ids, rows.ids)
        known = np.isin(rows.ids, candidates.ids)
        probability = np.where(known, found.p_feasible[np.minimum(place, len(candidates) - 1)], np.nan)
        metrics = {**rows.evaluation.metrics, P_FEASIBLE: probability}
        return replace(rows, evaluation=replace(rows.evaluation, metrics=metrics))

    return replace(
        outcome, front=told(outcome.front), misses=told(outcome.misses), sampled=lambda: told(outcome.sample)
    )


def _chosen(
    outcome: Outcome, spec: Spec, ids: NDArray[np.int64], probabilities: FloatArray, meets: NDArray[np.bool_]
) -> Outcome:
    """Return the outcome with front and picks among the designs that meet the constraints on their probability."""
    rows = joined([part for part in (outcome.front, outcome.misses, outcome.sample) if part is not None])
    _, first = np.unique(rows.ids, return_index=True)
    rows = rows.take(first)
    rows = rows.take(np.isin(rows.ids, ids))
    feasible = rows.evaluation.feasible
    good = rows.take(feasible & meets)
    objectives, targets = [one.metric for one in spec.objectives], [one.label for one in spec.constraints]
    if len(good):
        front = good.take(nondominated(good.evaluation.objectives))
        picks = choose_picks(front, outcome.misses, objectives=objectives, targets=targets)
        return replace(outcome, front=front, picks=tuple(picks))
    nearest = np.argsort(-probabilities, kind="stable")[:MIN_MISSES]
    misses = rows.take(nearest)
    best = _pick_of(misses, outcome, spec, float(probabilities[nearest[0]]))
    return replace(outcome, front=None, misses=misses, picks=best)


def _pick_of(misses: Rows, outcome: Outcome, spec: Spec, probability: float) -> tuple[Pick, ...]:
    labels = ", ".join(one.label for one in spec.probabilities)
    reason = (
        f"no sampled design has the probability asked for ({labels}); this one comes nearest with {probability:.3g}"
    )
    (pick,) = choose_picks(None, misses, objectives=[one.metric for one in spec.objectives])
    return (replace(pick, reason=reason),)


def _robust_run(
    outcome: Outcome, spec: Spec, candidates: Rows, designs: Sequence[dict[str, float | int | str]], found: Robustness
) -> RobustRun:
    names: dict[int, tuple[str, ...]] = {}
    for pick in outcome.picks:
        names[pick.id] = (*names.get(pick.id, ()), pick.name)
    named = default_pick(pick.name for pick in outcome.picks)
    subject = next(pick for pick in outcome.picks if pick.name == named)
    requested = spec.robustness
    assert requested is not None
    spreads = spreads_of(parameters_of(spec, [subject.design]), spec.parameters, library_of(spec.library))
    swings = swings_of(spec, subject.design, spreads, watched(spec))
    front = outcome.front.ids if outcome.front is not None else np.zeros(0, dtype=np.int64)
    return RobustRun(
        ids=[int(one) for one in candidates.ids],
        on_front=[bool(one) for one in np.isin(candidates.ids, front)],
        names=names,
        found=found,
        subject=(subject.id, subject.name),
        swings=variance_fractions(spec, subject.design, swings, seed=requested.seed),
    )

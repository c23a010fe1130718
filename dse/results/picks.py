"""Picks: the few designs of a run that a person looks at first.

The best per objective, the knee of the front and the design nearest to the targets; where nothing is feasible, the
design that misses by least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.quantities.parameters import unmet_needs
from cost_models.silicon.defaults import fill_defaults
from cost_models.table import FloatArray, Setting, Table
from dse.front import normalised
from dse.results.rows import Rows

KNEE = "knee"
"""The pick that is nearest to the best of every objective at once."""


@dataclass(frozen=True)
class Pick:
    """One design and why it was chosen.

    Attributes:
        name: short, unique in the run: ``knee``, ``best_cost_usd``.
        reason: one line for people.
        id: the design.
        feasible: whether it meets every constraint.
        design: parameter to value, defaults written out; a sweep whose space holds it evaluates the same design.
        metrics: every metric that has a value.
    """

    name: str
    reason: str
    id: int
    feasible: bool
    design: Mapping[str, Setting]
    metrics: Mapping[str, float]


def choose_picks(
    front: Rows | None, misses: Rows | None, *, objectives: Sequence[str], targets: Sequence[str] = ()
) -> list[Pick]:
    """Return the picks of a run.

    Args:
        front: the feasible non-dominated designs, None where there are none.
        misses: infeasible designs, the least violation first.
        objectives: metric of each objective, in the order of the columns of `Evaluation.objectives`.
        targets: labels of the constraints that the user wrote, for the pick nearest to the targets.
    """
    if front is None or not len(front):
        if misses is None or not len(misses):
            return []
        return [_pick(misses, 0, "least_violation", _missed_reason(misses))]
    points = front.evaluation.objectives
    scaled = normalised(points, points.min(axis=0), points.max(axis=0))
    distance = np.sqrt((scaled**2).mean(axis=1))
    picks = []
    for place, metric in enumerate(objectives):
        best = _first(front, points[:, place], distance)
        picks.append(_pick(front, best, f"best_{metric}", f"best {metric} of all feasible designs"))
    if len(objectives) > 1:
        reason = "knee: nearest to the best of every objective at once, each scaled to its range on the front"
        picks.append(_pick(front, _first(front, distance), KNEE, reason))
    if targets:
        margins = np.stack([front.evaluation.margins[label] for label in targets], axis=1)
        slack = np.sqrt((margins**2).mean(axis=1))
        reason = "meets every constraint with the least to spare"
        picks.append(_pick(front, _first(front, slack, distance), "nearest_to_targets", reason))
    return picks


def _first(rows: Rows, *keys: FloatArray) -> int:
    """Return the row with the smallest first key, ties by the next, at last by id."""
    return int(np.lexsort((rows.ids, *reversed(keys)))[0])


def _missed_reason(misses: Rows) -> str:
    missed = [label for label, margin in misses.evaluation.margins.items() if margin[0] < 0]
    return f"nothing is feasible; this misses by least: {', '.join(missed) or 'an objective has no value'}"


def _pick(rows: Rows, row: int, name: str, reason: str) -> Pick:
    result = rows.evaluation
    return Pick(
        name=name,
        reason=reason,
        id=int(rows.ids[row]),
        feasible=bool(result.feasible[row]),
        design=settings_of(rows.designs, row),
        metrics={key: float(value[row]) for key, value in result.metrics.items() if np.isfinite(value[row])},
    )


def settings_of(designs: Table, row: int) -> dict[str, Setting]:
    """Return one design as parameter to value, defaults included, without the parameters that do not apply."""
    (settings,) = Table(fill_defaults(designs.take(np.array([row])))).to_settings()
    return settings


def in_force(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Return the settings that mean something: without those of a part that the design does not have."""
    return {name: value for name, value in settings.items() if not unmet_needs(name, settings)}


def default_pick(names: Iterable[str]) -> str | None:
    """Return the pick that stands for a run where none is named: the knee, or else the first; None of none."""
    listed = list(names)
    return KNEE if KNEE in listed else next(iter(listed), None)

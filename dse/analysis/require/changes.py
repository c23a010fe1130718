"""The best single change to a design: every parameter moved alone, through the equations that judge sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cost_models.library import Library
from cost_models.quantities.columns import metric_of
from cost_models.quantities.parameters import PARAMETERS
from cost_models.table import FloatArray, Setting, Table
from dse.evaluator import Evaluation, Evaluator
from dse.space import Space
from dse.space.tables import axis_values
from dse.violation import violation

STEPS = (0.25, 0.5, 0.75, 1.25, 1.5, 2.0, 4.0)
"""Multiples of a number that are tried where no space says what is possible."""

MAX_VALUES = 40
"""Values of one axis of a space that are tried."""

VIOLATION = "violation"
"""The goal of a design that misses something: how far it is from feasible."""

BESIDE = ("tdp_w", "cost_usd", "die_mm2")
"""What a change may cost, shown beside what it brings."""

QUALITY = "perplexity_ratio"
"""What a change may cost of every workload, or of the one that its goal is of."""


@dataclass(frozen=True)
class Change:
    """One parameter set to another value.

    Attributes:
        goal: what it serves: a metric, or `VIOLATION`.
        parameter: what changes.
        before: its value now; None where it does not apply.
        after: its new value.
        value_before: the goal now.
        value_after: the goal afterwards.
        beside: other metrics, (now, afterwards).
        meets_all: whether the changed design meets every limit and constraint.
    """

    goal: str
    parameter: str
    before: Setting | None
    after: Setting
    value_before: float
    value_after: float
    beside: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    meets_all: bool = True

    @property
    def gain(self) -> float:
        """Improvement as a share of the value now; of a violation, what is left of it taken from 1."""
        if self.value_before == 0:
            return 0.0
        return abs(self.value_after - self.value_before) / abs(self.value_before)


def best_changes(evaluator: Evaluator, settings: Mapping[str, Setting], *, space: Space | None = None) -> list[Change]:
    """Return for each goal the single change that serves it best, the largest gain first.

    Goals are the sweep's objectives and the speed of every workload. A change counts for a metric only if it breaks
    nothing that the design keeps now, and no workload's model collapses by it (``perplexity_unusable``). A design that
    misses something has `VIOLATION` as its first goal.

    Args:
        evaluator: of the sweep or design file.
        settings: the design.
        space: the values that may be taken; neighbouring numbers and every name of the library where None.
    """
    spec = evaluator.spec
    wanted = [objective.metric for objective in spec.objectives]
    wanted += [f"{workload}.{metric}" for workload in spec.workloads for metric in _HEADLINE]
    moved = _moved(settings, space, evaluator.technology.library)
    rows = [dict(settings), *({**settings, name: value} for name, value in moved)]
    judged = evaluator.evaluate(Table.from_settings(*rows))
    changes = []
    workloads = tuple(spec.workloads)
    collapsed = np.max([judged.metrics[f"{one}.perplexity_unusable"] for one in workloads], axis=0)
    missed = np.where(collapsed > collapsed[0], np.inf, violation(judged))
    if missed[0] > 0:
        changes.append(_best(VIOLATION, missed, missed, "min", moved, settings, judged, workloads))
    for metric in dict.fromkeys(wanted):
        better = metric_of(metric, spec.metrics).better
        if better is not None:
            owner = metric.rpartition(".")[0]
            named = (owner,) if owner in workloads else workloads
            changes.append(_best(metric, judged.metrics[metric], missed, better, moved, settings, judged, named))
    result = [change for change in changes if change is not None]
    return sorted(result, key=lambda change: (change.goal != VIOLATION, -change.gain))


_HEADLINE = ("tpot_ms", "tokens_per_joule", "tokens_per_s_end_to_end")


def _best(
    goal: str,
    values: FloatArray,
    missed: FloatArray,
    better: str,
    moved: Sequence[tuple[str, Setting]],
    settings: Mapping[str, Setting],
    judged: Evaluation,
    workloads: Sequence[str],
) -> Change | None:
    """Return the change with the best value of a goal among those that miss no more than now; None where none helps."""
    sign = 1.0 if better == "min" else -1.0
    allowed = np.isfinite(values) & (missed <= missed[0] + 1e-12)
    allowed[0] = False
    score = np.where(allowed, sign * values, np.inf)
    row = int(np.argmin(score))
    if not np.isfinite(values[0]) or not score[row] < sign * values[0] * (1 - sign * 1e-9):
        return None
    name, after = moved[row - 1]
    quality = [f"{one}.{QUALITY}" for one in workloads if np.isfinite(judged.metrics[f"{one}.{QUALITY}"][row])]
    return Change(
        goal=goal,
        parameter=name,
        before=settings.get(name),
        after=after,
        value_before=float(values[0]),
        value_after=float(values[row]),
        beside={key: (float(judged.metrics[key][0]), float(judged.metrics[key][row])) for key in (*BESIDE, *quality)},
        meets_all=bool(judged.feasible[row]),
    )


def _moved(settings: Mapping[str, Setting], space: Space | None, library: Library) -> list[tuple[str, Setting]]:
    """Return every (parameter, other value) that is tried."""
    moved: list[tuple[str, Setting]] = []
    if space is not None:
        for name in space.dimensions:
            if name in settings:
                moved += [(name, value) for value in axis_values(space, name, MAX_VALUES) if value != settings[name]]
        return moved
    for name, value in settings.items():
        parameter = PARAMETERS.get(name)
        if parameter is None:
            continue
        if isinstance(value, str):
            known = tuple(getattr(library, parameter.section)) if parameter.section else parameter.names
            moved += [(name, other) for other in known if other != value and not _hypothetical(name, other, library)]
            continue
        numbers = [value * step for step in STEPS]
        numbers = [float(max(1, round(number))) if parameter.integer else number for number in numbers]
        moved += [(name, number) for number in dict.fromkeys(numbers) if _allowed(parameter, number, value)]
    return moved


def _allowed(parameter: object, number: float, value: float) -> bool:
    low, high = parameter.low, parameter.high  # type: ignore[attr-defined]
    return number != value and low < number <= high


def _hypothetical(name: str, other: str, library: Library) -> bool:
    """Tell whether a name stands for something that does not exist: it must not be proposed."""
    if name == "weight_format":
        return library.weight_format(other).hypothetical
    return name == "serving_stack"

"""Why nothing is feasible, and what would make it so: the smallest relaxation of constraints, and axes worth extension.

For every constraint of the sweep, and every pair, the space is searched for the design that meets all others and
misses these by least; that design proves the relaxation. Physical limits (die edge, heat, memory that holds a required
workload) never give. For every axis the space is searched with that axis alone extended beyond what the sweep declares.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.table import FloatArray, Setting
from dse.analysis.nearest import CandidatePool, by_violation
from dse.analysis.relaxation.axes import widened_axes
from dse.evaluator import Evaluation, Evaluator
from dse.space import Space
from dse.sweep import ConstraintSpec, Spec, parse_spec
from dse.violation import summed, violation, violations

DIGITS = 4
"""Significant digits of a proposed bound, rounded to the lenient side."""


@dataclass(frozen=True)
class RelaxedBound:
    """How far one constraint gives way.

    Attributes:
        constraint: its label.
        key: the key of the sweep that changes, ``constraints[0].max``.
        bound: the bound now, as written: in the metric's unit or as a multiple of a baseline.
        new_bound: the bound that the proving design meets.
        by: relative miss of the bound.
    """

    constraint: str
    key: str
    bound: float
    new_bound: float
    by: float


@dataclass(frozen=True)
class Relaxation:
    """Constraints that give way together, and the design that this makes feasible.

    Attributes:
        gives: one or two constraints.
        design: the design that meets everything else and these new bounds.
        metrics: its constrained metrics and objectives.
        searched: designs that the search looked at.
    """

    gives: tuple[RelaxedBound, ...]
    design: Mapping[str, Setting]
    metrics: Mapping[str, float]
    searched: int

    @property
    def by(self) -> float:
        """The largest relative miss among the constraints that give way."""
        return max(given.by for given in self.gives)

    @property
    def overrides(self) -> list[str]:
        """The ``--set`` arguments that relax the sweep."""
        return [f"{given.key}={given.new_bound!r}" for given in self.gives]


@dataclass(frozen=True)
class AxisExtension:
    """What extension one axis alone does.

    Attributes:
        axis: the parameter.
        values: the values tried beyond those declared, in words.
        feasible: whether a design becomes feasible.
        violation_before: least summed violation found within the declared ranges.
        violation: least summed violation found with the axis extended; 0 where feasible.
        value: the axis in the best design found.
        design: that design.
    """

    axis: str
    values: str
    feasible: bool
    violation_before: float
    violation: float
    value: Setting | None
    design: Mapping[str, Setting]


@dataclass(frozen=True)
class RelaxationReport:
    """Why a sweep is infeasible.

    Attributes:
        relaxations: single constraints and pairs that suffice, the smallest first; pairs only where both must give and
            neither alone would do with less.
        stuck: constraints whose removal alone leaves nothing feasible.
        axis_extensions: axes, the most helpful first.
        unbuildable: limits and requirements that no design meets even without any constraint; empty where some does.
        met_by: a design that meets everything after all, where this search found one that the sweep's own missed.
    """

    relaxations: tuple[Relaxation, ...]
    stuck: tuple[str, ...]
    axis_extensions: tuple[AxisExtension, ...]
    unbuildable: tuple[str, ...]
    met_by: Mapping[str, Setting] | None = None

    @property
    def smallest(self) -> Relaxation | None:
        """The relaxation with the smallest largest miss, None where none was found."""
        return self.relaxations[0] if self.relaxations else None


def explain_infeasible(spec: Spec, *, extend: bool = True) -> RelaxationReport:
    """Return what would make a sweep feasible in which no design was found that meets every constraint.

    Args:
        spec: the sweep.
        extend: whether axes are extended as well.
    """
    pool = CandidatePool.of(spec)
    all_met = pool.best(by_violation)
    if all_met is not None and all_met.violation <= 0:
        return RelaxationReport((), (), (), (), met_by=all_met.settings)
    labels = [constraint.label for constraint in spec.constraints]
    singles: dict[str, Relaxation | None] = {label: _relaxed(pool, (index,)) for index, label in enumerate(labels)}
    result = [relaxation for relaxation in singles.values() if relaxation is not None]
    for first, second in itertools.combinations(range(len(labels)), 2):
        pair = _relaxed(pool, (first, second))
        alone = [one.by for label in (labels[first], labels[second]) if (one := singles[label]) is not None]
        if pair is not None and len(pair.gives) == 2 and pair.by < min(alone, default=np.inf):
            result.append(pair)
    result.sort(key=lambda relaxation: (relaxation.by, len(relaxation.gives)))
    unbuildable = () if result else _unbuildable(pool)
    return RelaxationReport(
        relaxations=tuple(result),
        stuck=tuple(label for label, one in singles.items() if one is None),
        axis_extensions=tuple(_axis_extensions(pool)) if extend else (),
        unbuildable=unbuildable,
    )


def relaxed_spec(spec: Spec, relaxation: Relaxation) -> Spec:
    """Return the sweep with the bounds of a relaxation."""
    return parse_spec(spec.resolved(), overrides=relaxation.overrides, metrics=spec.derived)


# -- constraints ------------------------------------------------------------------------------------------------------


def _relaxed(pool: CandidatePool, loose: Sequence[int]) -> Relaxation | None:
    """Return the least relaxation of some constraints that the search finds, None where nothing meets the others."""
    spec, evaluator = pool.evaluator.spec, pool.evaluator
    labels = [spec.constraints[index].label for index in loose]

    def judge(found: Evaluation) -> tuple[FloatArray, FloatArray]:
        missed = np.stack([np.maximum(-found.margins[label], 0.0) for label in labels], axis=1)
        values = np.stack([found.metrics[spec.constraints[index].metric] for index in loose], axis=1)
        known = np.isfinite(values).all(axis=1)
        # The largest miss decides; the rest only breaks ties.
        score = np.where(known, missed.max(axis=1) + 1e-3 * missed.sum(axis=1), np.nan)
        return score, violation(found, without=labels)

    best = pool.best(judge)
    if best is None or best.violation > 0:
        return None
    settings = best.settings
    found = pool.evaluator.evaluate(best.designs)
    gives = tuple(
        given for index in loose if (given := _given(spec.constraints[index], index, evaluator, found)) is not None
    )
    if not gives:
        return None
    named = dict.fromkeys([*(c.metric for c in spec.constraints), *(o.metric for o in spec.objectives)])
    return Relaxation(gives, settings, {name: found.metrics[name].item() for name in named}, len(pool.rows))


def _given(constraint: ConstraintSpec, index: int, evaluator: Evaluator, found: Evaluation) -> RelaxedBound | None:
    """Return how a constraint must be written so that the proving design meets it; None where it does already."""
    margin = found.margins[constraint.label].item()
    if margin >= 0:
        return None
    scale = 1.0
    if constraint.relative_to:
        scale = evaluator.baselines[constraint.relative_to][constraint.metric]
    value = found.metrics[constraint.metric].item() / scale
    key = f"constraints[{index}]"
    if constraint.near is not None:
        assert constraint.within is not None
        off = rounded(abs(value / constraint.near - 1), up=True)
        return RelaxedBound(constraint.label, f"{key}.within", constraint.within, off, -margin)
    if constraint.max is not None and value > constraint.max:
        return RelaxedBound(constraint.label, f"{key}.max", constraint.max, rounded(value, up=True), -margin)
    assert constraint.min is not None
    return RelaxedBound(constraint.label, f"{key}.min", constraint.min, rounded(value, up=False), -margin)


def rounded(value: float, *, up: bool) -> float:
    """Return a number with `DIGITS` significant digits, rounded up or down."""
    nearest = float(f"{value:.{DIGITS}g}")
    if nearest >= value if up else nearest <= value:
        return nearest
    unit = 10.0 ** (np.floor(np.log10(abs(value))) - DIGITS + 1)
    return float(f"{nearest + (unit if up else -unit):.{DIGITS}g}")


def _unbuildable(pool: CandidatePool) -> tuple[str, ...]:
    """Return the limits that the design nearest to being buildable breaks; empty where a buildable one exists."""
    labels = {constraint.label for constraint in pool.evaluator.spec.constraints}

    def judge(found: Evaluation) -> tuple[FloatArray, FloatArray]:
        # What has no value has no limit either.
        missed = summed(violations(found, without=labels)[:, :-1])
        return missed, missed

    best = pool.best(judge)
    if best is None:
        return ()
    margins = pool.evaluator.evaluate(best.designs, metrics=()).margins
    return tuple(name for name, margin in margins.items() if name not in labels and margin.item() < 0)


# -- axes -------------------------------------------------------------------------------------------------------------


def _axis_extensions(pool: CandidatePool) -> list[AxisExtension]:
    """Return what each axis does when it alone is extended, the most helpful first."""
    before = pool.best(by_violation)
    if before is None:
        return []
    axis_extensions = []
    for axis, words, wider in widened_axes(pool.evaluator.spec):
        best = pool.local_search(by_violation, [before], space=Space(wider))
        if best.violation >= before.violation * (1 - 1e-6):
            continue
        axis_extensions.append(
            AxisExtension(
                axis=axis,
                values=words,
                feasible=best.violation <= 0,
                violation_before=before.violation,
                violation=best.violation,
                value=best.settings.get(axis),
                design=best.settings,
            )
        )
    return sorted(axis_extensions, key=lambda extension: extension.violation)

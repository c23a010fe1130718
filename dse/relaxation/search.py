"""Searching one space by many judgements: its designs are evaluated once, and the best by each judgement refined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.table import FloatArray, Setting, Table
from dse.evaluate import Evaluation, Evaluator
from dse.results.picks import settings_of
from dse.results.rows import Rows, joined
from dse.samplers import make_sampler
from dse.samplers.base import Judged
from dse.space import Space
from dse.space.tables import neighbours, within
from dse.spec import Spec

GRID_UP_TO = 60_000
"""Designs of a space that is enumerated whole."""

BUDGET = 10_000
"""Designs of a larger space that are evaluated towards each goal before the best are refined."""

STARTS = 2
"""Designs of the pool from which a refinement starts."""

CHUNK = 4_096
ROUNDS = 6
"""Most steps of a refinement, each to the best of some thousand neighbours."""

UNDEFINED = 1e3
"""Violation of a design of which an objective or a constrained metric has no value: any other is nearer."""

Judge = Callable[[Evaluation], tuple[FloatArray, FloatArray]]
"""Evaluation to (score to be minimised, ``(n, k)`` violations to be 0); NaN scores never win."""


@dataclass(frozen=True)
class Best:
    """The best design by a judgement: the least violation, then the best score."""

    settings: dict[str, Setting]
    evaluation: Evaluation
    violation: float
    score: float


def total_misses(found: Evaluation) -> tuple[FloatArray, FloatArray]:
    """Judge designs by the sum of everything that they miss."""
    defined = np.isfinite(found.objectives).all(axis=1)
    violations = np.column_stack([found.violations, np.where(defined, 0.0, UNDEFINED)])
    return violations.sum(axis=1), violations


@dataclass(frozen=True)
class Ground:
    """A space with a pool of evaluated designs: all of them where they are few.

    Attributes:
        spec: the sweep.
        space: its space.
        evaluator: its equations.
        pool: evaluated designs.
        whole: whether the pool is the whole space.
    """

    spec: Spec
    space: Space
    evaluator: Evaluator
    pool: Rows
    whole: bool

    @classmethod
    def of(cls, spec: Spec) -> Ground:
        """Evaluate the designs of a sweep; of a larger space Sobol points and evolutions.

        One evolution goes for the fewest misses, and one for each constraint for the fewest misses of all others.
        """
        space, evaluator = Space(spec), Evaluator(spec)
        whole = space.is_enumerable and space.grid_size <= GRID_UP_TO
        if whole:
            return cls(spec, space, evaluator, _evaluated(spec, space, evaluator, "grid", None, total_misses), whole)
        goals = [total_misses, *(leaving_out(constraint.label) for constraint in spec.constraints)]
        parts = [_evaluated(spec, space, evaluator, "sobol+evolve", BUDGET, goal) for goal in goals]
        return cls(spec, space, evaluator, joined(parts), whole)

    @property
    def searched(self) -> int:
        """Designs of the pool."""
        return len(self.pool)

    def best(self, judge: Judge) -> Best | None:
        """Return the best design by a judgement, None where no design has a score."""
        found = best_of(
            self.evaluator, judge, self.pool.designs, self.pool.evaluation, count=1 if self.whole else STARTS
        )
        if not self.whole:
            found = [refined(self.space, self.evaluator, judge, best) for best in found]
        return min(found, key=lambda best: (best.violation, best.score), default=None)


def leaving_out(label: str) -> Judge:
    """Return the judgement by the sum of all misses but those of one constraint, which only break ties."""

    def judge(found: Evaluation) -> tuple[FloatArray, FloatArray]:
        own = np.maximum(-found.margins[label], 0.0)
        total, _ = total_misses(found)
        return total - own + 0.01 * own, np.column_stack([total - own, 0.01 * own])

    return judge


def _evaluated(spec: Spec, space: Space, evaluator: Evaluator, sampler: str, budget: int | None, goal: Judge) -> Rows:
    """Return the designs that a sampler proposes on its way to a goal."""
    options: dict[str, Any] = {} if budget is None else {"shares": (0.4, 0.6)}
    chosen = make_sampler(sampler, space, n_designs=budget, seed=spec.search.seed, n_objectives=1, options=options)
    parts, asked = [], 0
    while designs := chosen.ask(CHUNK):
        ids = np.arange(asked, asked + designs.rows, dtype=np.int64)
        asked += len(ids)
        found = evaluator.evaluate(designs, metrics=())
        score, violations = goal(found)
        chosen.tell(Judged(ids, score[:, None], violations, violations.sum(axis=1) <= 0))
        parts.append(Rows(ids, designs, found))
    return joined(parts)


def best_of(evaluator: Evaluator, judge: Judge, designs: Table, found: Evaluation, *, count: int = 1) -> list[Best]:
    """Return the best of evaluated designs, different ones, none where none has a score."""
    score, violations = judge(found)
    total = violations.sum(axis=1)
    usable = np.isfinite(score)
    order = np.lexsort((np.where(usable, score, np.inf), np.where(usable, total, np.inf)))[: 50 * count]
    best: list[Best] = []
    for row in map(int, order):
        settings = settings_of(designs, row)
        if usable[row] and len(best) < count and all(settings != other.settings for other in best):
            one = evaluator.evaluate(designs.take(np.array([row])))
            best.append(Best(settings, one, float(total[row]), float(score[row])))
    return best


def refined(space: Space, evaluator: Evaluator, judge: Judge, best: Best) -> Best:
    """Return the design that steps to better neighbours lead to from the best one known."""
    for _ in range(ROUNDS):
        designs = within(space, neighbours(space, best.settings, together=5))
        for step in best_of(evaluator, judge, designs, evaluator.evaluate(designs, metrics=())):
            if (step.violation, step.score) >= (best.violation * (1 - 1e-9), best.score):
                return best
            best = step
    return best

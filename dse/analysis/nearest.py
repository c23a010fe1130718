"""The best design of a space by a judgement: a pool of evaluated designs, and steps to better neighbours.

A judgement gives every design a score to be minimised and a violation to be 0. The best is the design of the least
violation, and of those the one of the best score. One pool serves many judgements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cost_models.table import Choice, FloatArray, Setting, Table, column_of
from dse.evaluator import Evaluation, Evaluator
from dse.replay import NOTED_ROWS
from dse.results.picks import settings_of
from dse.results.rows import Ids, Rows, joined
from dse.samplers import make_sampler
from dse.samplers.base import Feedback
from dse.space import Space
from dse.space.tables import neighbours, within
from dse.sweep import Spec
from dse.violation import violation

MAX_GRID = 200_000
"""Designs of a space that is enumerated whole."""

BUDGET = 10_000
"""Designs of a larger space that are evaluated towards each goal before the best are refined."""

SHARES = (0.4, 0.6)
"""Of Sobol points and of the evolution in that budget."""

TOGETHER = 5
"""Most values of each of two parameters that a step moves together."""

CHUNK_ROWS = 4_096
MAX_STEPS = 6
"""Most steps of a local search, each to the best of some thousand neighbours."""

Judge = Callable[[Evaluation], tuple[FloatArray, FloatArray]]
"""Evaluation to ``(n,)`` scores to be minimised and ``(n,)`` violations to be 0; NaN scores never win."""


@dataclass(frozen=True)
class Best:
    """The best design by a judgement, as settings and as a table of one row."""

    settings: dict[str, Setting]
    designs: Table
    violation: float
    score: float

    def rank(self) -> tuple[float, float]:
        """Return what it is ordered by."""
        return self.violation, self.score

    def is_better_than(self, other: Best) -> bool:
        """Tell whether it is nearer to meeting everything by more than rounding, or as near with a better score."""
        nearer = self.violation < other.violation * (1 - 1e-9)
        return nearer or (self.violation <= other.violation and self.score < other.score)


def by_violation(found: Evaluation, *, ignored: str = "") -> tuple[FloatArray, FloatArray]:
    """Judge designs by how infeasible they are; the miss of an ignored condition only breaks ties."""
    missed = violation(found, without=(ignored,))
    if ignored:
        missed += 0.01 * np.maximum(-found.margins[ignored], 0.0)
    return missed, missed


@dataclass(frozen=True)
class CandidatePool:
    """A space with a pool of evaluated designs: all of them where they are few.

    Attributes:
        space: the space.
        evaluator: the equations of its sweep.
        rows: evaluated designs, with the metrics that they are judged by.
        is_whole: whether these are the whole space.
        metrics: what they are judged by beside constraints and objectives.
        fixed: parameters that have one value in all of them.
    """

    space: Space
    evaluator: Evaluator
    rows: Rows
    is_whole: bool
    metrics: tuple[str, ...] = ()
    fixed: Mapping[str, Setting] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Spec) -> CandidatePool:
        """Evaluate designs of a sweep towards the least violation, with every constraint and without each."""
        goals = [partial(by_violation, ignored=label) for label in ("", *(one.label for one in spec.constraints))]
        return cls.towards(goals, Space(spec), Evaluator(spec))

    @classmethod
    def towards(
        cls,
        goals: Sequence[Judge],
        space: Space,
        evaluator: Evaluator,
        *,
        metrics: tuple[str, ...] = (),
        fixed: Mapping[str, Setting] = MappingProxyType({}),
    ) -> CandidatePool:
        """Evaluate the designs of a space; of a larger one Sobol points and an evolution towards each goal.

        Args:
            goals: judgements.
            space: the space.
            evaluator: the equations.
            metrics: what goals judge by beside constraints and objectives.
            fixed: parameters that take only one of their values.
        """
        is_whole = space.is_enumerable and space.grid_size <= MAX_GRID
        if not is_whole and not metrics:
            evaluator.note(space.scattered(NOTED_ROWS))
        parts = (
            [_evaluated(evaluator, _of(fixed, space.grid_at(space.grid_places(np.arange(space.grid_size)))), metrics)]
            if is_whole
            else [_sampled(space, evaluator, goal, metrics, fixed) for goal in goals]
        )
        return cls(space, evaluator, joined(parts), is_whole, metrics, fixed)

    def best(self, judge: Judge) -> Best | None:
        """Return the best design by a judgement, None where no design has a score."""
        score, missed = judge(self.rows.evaluation)
        order = ranked(score, missed)
        if self.is_whole or not len(order):
            return _best(self.rows, order[0], score, missed) if len(order) else None
        starts = [_best(self.rows, row, score, missed) for row in _first_of_each_name(self.rows.designs, order)]
        return self.local_search(judge, starts)

    def local_search(self, judge: Judge, starts: Sequence[Best], *, space: Space | None = None) -> Best:
        """Return the design that steps to the best neighbour lead to, one or two parameters at a time.

        Of several starts, the better half goes on after each step.

        Args:
            judge: what is best.
            starts: where it starts, at least one; of the names that the space has.
            space: the values that parameters may take; those of the pool where None.
        """
        space, result, best = space or self.space, list(starts), min(starts, key=Best.rank)
        for _ in range(MAX_STEPS):
            steps = [(start, self._step(judge, start, space)) for start in result]
            better = sorted((step for start, step in steps if step.is_better_than(start)), key=Best.rank)
            if not better:
                break
            result = better[: max(1, len(result) // 2)]
            best = min(best, result[0], key=Best.rank)
        return best

    def _step(self, judge: Judge, start: Best, space: Space) -> Best:
        """Return the best neighbour of a design, itself included."""
        near = within(space, neighbours(space, start.settings, kept=tuple(self.fixed), together=TOGETHER))
        rows = _evaluated(self.evaluator, near, self.metrics)
        score, missed = judge(rows.evaluation)
        order = ranked(score, missed)
        return _best(rows, order[0], score, missed) if len(order) else start


def _best(rows: Rows, row: np.intp, score: FloatArray, missed: FloatArray) -> Best:
    one = rows.designs.take(np.array([row]))
    return Best(settings_of(one, 0), one, float(missed[row]), float(score[row]))


def ranked(score: FloatArray, missed: FloatArray) -> NDArray[np.intp]:
    """Return the places of the designs that have a score, the best first."""
    usable = np.flatnonzero(~np.isnan(score))
    return np.asarray(usable[np.lexsort((score[usable], missed[usable]))])


def _first_of_each_name(designs: Table, order: NDArray[np.intp]) -> list[np.intp]:
    """Return the first places of an order by every value of every parameter of names, and the first of all.

    Steps rarely lead from one name to another where other parameters must move along.
    """
    first = {int(order[0]): order[0]}
    for column in designs.values():
        if isinstance(column, Choice):
            _, places = np.unique(column.codes[order], return_index=True)
            first |= {int(order[place]): order[place] for place in places}
    return list(first.values())


def _sampled(
    space: Space, evaluator: Evaluator, goal: Judge, metrics: tuple[str, ...], fixed: Mapping[str, Setting]
) -> Rows:
    """Return the designs that Sobol points and an evolution propose on their way to a goal."""
    seed, options = evaluator.spec.search.seed, {"shares": SHARES}
    sampler = make_sampler("sobol+evolve", space, n_designs=BUDGET, seed=seed, n_objectives=1, options=options)
    parts: list[Rows] = []
    requested = 0
    while designs := sampler.ask(CHUNK_ROWS):
        ids = np.arange(requested, requested + designs.rows, dtype=np.int64)
        rows = _evaluated(evaluator, _with(fixed, space, designs), metrics, ids)
        score, missed = goal(rows.evaluation)
        sampler.tell(Feedback(ids, score[:, None], missed[:, None], missed <= 0))
        parts.append(rows)
        requested += len(ids)
    return joined(parts)


def _with(fixed: Mapping[str, Setting], space: Space, designs: Table) -> Table:
    """Return the designs nearest to those of a table that have the fixed values."""
    if not fixed:
        return designs
    rows = designs.rows
    return within(space, Table(designs | {name: column_of([value] * rows) for name, value in fixed.items()}))


def _of(fixed: Mapping[str, Setting], designs: Table) -> Table:
    """Return the designs of a table that have the fixed values."""
    own = np.ones(designs.rows, dtype=bool)
    for name, value in fixed.items():
        column = designs[name]
        own &= column.names() == value if isinstance(column, Choice) else column == value
    return designs.take(own)


def _evaluated(evaluator: Evaluator, designs: Table, metrics: Sequence[str], ids: Ids | None = None) -> Rows:
    ids = np.arange(designs.rows, dtype=np.int64) if ids is None else ids
    return Rows(ids, designs, evaluator.evaluate(designs, metrics=metrics))

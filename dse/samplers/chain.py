"""One sampler after another: a screen of the whole space, then a search that starts from the best it found."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray, Table, evenly
from dse.errors import SamplerError
from dse.front import Front
from dse.samplers.base import Judged, LearningSampler, Sampler, Turns
from dse.space import Space

LEAST_LAST_SHARE = 0.05
LAST_DESIGNS = 50_000
"""A later stage gets 5 % of the budget, but at least this many designs where that is no more than half of it: with
fewer the founding case seldom comes within 1 % of its exact front (`benchmarks/search.py`)."""

MOST_SEEDS = 1000
"""Designs of the front that are handed on, thinned evenly."""

ENOUGH_SEEDS = 100
"""Where the front is smaller, designs that miss by least are handed on with it, up to so many in all."""


def default_shares(n_stages: int, n_designs: int) -> tuple[float, ...]:
    """Return the share of the budget of each stage."""
    later = max(LEAST_LAST_SHARE, min(0.5, LAST_DESIGNS / n_designs)) / (n_stages - 1)
    return (1 - later * (n_stages - 1), *[later] * (n_stages - 1))


class Chain:
    """Samplers in a row; each but the first starts from the best designs of all before it.

    Args:
        space: the space.
        stages: the samplers.
        n_objectives: number of objectives.
    """

    def __init__(self, space: Space, stages: Sequence[Sampler], *, n_objectives: int) -> None:
        self._space, self._stages = space, tuple(stages)
        self._place = 0
        self._turns = Turns()
        self._offset = 0
        self._waiting: list[Table] = []
        self._best = _Best(space, n_objectives)

    @property
    def total(self) -> int | None:
        """Number of designs of all stages."""
        totals = [stage.total for stage in self._stages]
        return None if None in totals else sum(total for total in totals if total is not None)

    def extend(self, more: int) -> None:
        """Let the last stage propose more designs."""
        self._stages[-1].extend(more)

    def describe(self) -> tuple[str, ...]:
        """Return the notes of every stage, and how the budget is divided."""
        shares = " + ".join(str(stage.total) for stage in self._stages)
        return (f"{shares} designs in {len(self._stages)} stages", *(n for s in self._stages for n in s.describe()))

    def ask(self, n: int) -> Table:
        """Return the next designs of the stage, at most `n`; none when the last stage has no more.

        Raises:
            SamplerError: a stage must be told of earlier designs first.
        """
        while True:
            designs = self._stages[self._place].ask(n)
            if designs or self._place == len(self._stages) - 1:
                break
            if self._turns.told < self._turns.asked:
                raise SamplerError("the chain needs to be told of a whole stage before it goes on to the next")
            self._go_on()
        if designs:
            self._turns.asked += designs.rows
            self._waiting.append(designs)
        return designs

    def _go_on(self) -> None:
        """Start the next stage from the best so far."""
        self._place += 1
        self._offset = self._turns.asked
        stage: Any = self._stages[self._place]
        unit, judged = self._best.chosen()
        if len(judged):
            learning: LearningSampler = stage
            learning.seed_with(unit, judged)

    def tell(self, judged: Judged) -> None:
        """Hear what became of the next rows."""
        self._turns.take(judged)
        if self._place < len(self._stages) - 1:
            self._remember(judged)
        else:
            self._waiting = []
        self._stages[self._place].tell(judged.renumbered(self._offset))

    def _remember(self, judged: Judged) -> None:
        """Keep the best of the told rows, whose designs are the oldest that wait."""
        start = 0
        while start < len(judged):
            designs = self._waiting.pop(0)
            stop = min(start + designs.rows, len(judged))
            if stop - start < designs.rows:
                self._waiting.insert(0, designs.take(slice(stop - start, None)))
            self._best.add(designs.take(slice(0, stop - start)), judged.rows(start, stop))
            start = stop

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> bytes:
        """Return the state of every stage and what is handed on, pickled."""
        waiting = [self._space.encode(designs) for designs in self._waiting]
        own = (self._place, self._turns, self._offset, waiting, self._best.state())
        return pickle.dumps((own, [stage.state() for stage in self._stages]))

    def restore(self, state: bytes) -> None:
        """Go on from a state.

        Raises:
            SamplerError: the state is of another sampler.
        """
        try:
            own, stages = pickle.loads(state)
            self._place, self._turns, self._offset, waiting, best = own
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, ImportError) as error:
            raise SamplerError(f"the state cannot be read: {error}") from None
        if len(stages) != len(self._stages):
            raise SamplerError("the state is of a chain of other stages")
        for stage, saved in zip(self._stages, stages, strict=True):
            stage.restore(saved)
        self._waiting = [self._space.decode(unit) for unit in waiting]
        self._best.restore(best)


class _Best:
    """The front of the designs seen so far, and those that miss by least."""

    def __init__(self, space: Space, n_objectives: int) -> None:
        self._space, self._front = space, Front(n_objectives)
        empty = np.empty((0, n_objectives))
        self._unit: FloatArray = np.empty((0, len(space.dimensions)))
        self._judged = Judged(np.empty(0, dtype=np.int64), empty, np.empty((0, 1)), np.empty(0, dtype=bool))

    def add(self, designs: Table, judged: Judged) -> None:
        """Take note of judged designs."""
        entered = self._front.update(judged.objectives, judged.ids, judged.feasible)
        rows = np.sort(np.concatenate([np.flatnonzero(entered), _nearest(judged)]))
        unit = np.concatenate([self._unit, self._space.encode(designs.take(rows))])
        pooled = _joined(self._judged, judged, rows)
        kept = self._kept(pooled)
        self._unit, self._judged = unit[kept], _taken(pooled, kept)

    def _kept(self, pooled: Judged) -> NDArray[np.intp]:
        """Return which rows of the pool are still worth keeping."""
        on_front = np.isin(pooled.ids, self._front.ids) & pooled.feasible
        return np.sort(np.concatenate([np.flatnonzero(on_front), _nearest(pooled)]))

    def chosen(self) -> tuple[FloatArray, Judged]:
        """Return the different designs to hand on: the front, thinned evenly along its first objective, and misses."""
        front = np.flatnonzero(self._judged.feasible)
        if len(front) > MOST_SEEDS:
            ordered = front[np.lexsort(self._judged.objectives[front].T[::-1])]
            front = ordered[evenly(len(ordered), MOST_SEEDS)]
        rows = np.concatenate([front, _nearest(self._judged)[: max(0, ENOUGH_SEEDS - len(front))]])
        _, first = np.unique(self._unit[rows], axis=0, return_index=True)
        rows = rows[np.sort(first)]
        return self._unit[rows], _taken(self._judged, rows)

    def state(self) -> tuple[Any, ...]:
        """Return what is kept."""
        return self._unit, self._judged, self._front.ids, self._front.objectives

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go on from what was kept."""
        self._unit, self._judged, self._front.ids, self._front.objectives = state


def _nearest(judged: Judged) -> NDArray[np.intp]:
    """Return the infeasible rows that miss by least, nearest first."""
    missed = np.flatnonzero(~judged.feasible)
    return missed[np.argsort(judged.violation[missed], kind="stable")[:ENOUGH_SEEDS]]


def _taken(judged: Judged, rows: Any) -> Judged:
    return Judged(judged.ids[rows], judged.objectives[rows], judged.violations[rows], judged.feasible[rows])


def _joined(kept: Judged, judged: Judged, rows: Any) -> Judged:
    """Return kept rows and some of the new ones, with the sum of their violations as the only one."""
    return Judged(
        np.concatenate([kept.ids, judged.ids[rows]]),
        np.concatenate([kept.objectives, judged.objectives[rows]]),
        np.concatenate([kept.violations, judged.violation[rows][:, None]]),
        np.concatenate([kept.feasible, judged.feasible[rows]]),
    )

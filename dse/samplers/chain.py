"""One sampler after another: a screen of the whole space, then a search that starts from the best it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray, Table, evenly
from dse.errors import SamplerError
from dse.front import Front
from dse.packing import Data, Record, packed, read_packed
from dse.samplers.base import AskTellCounter, Feedback, LearningSampler, Sampler, feedback_data, feedback_of
from dse.space import Space

MIN_LAST_FRACTION = 0.05
LAST_DESIGNS = 50_000
"""A later stage gets 5 % of the budget, but at least this many designs where that is no more than half of it: with
fewer the Mach-1 case rarely comes within 1 % of its exact front (`benchmarks/search.py`)."""

MAX_SEEDS = 1000
"""Designs of the front that are handed on, thinned evenly."""

MAX_SEED_DESIGNS = 100
"""Where the front is smaller, designs that miss by least are handed on with it, up to so many in all."""


def default_fractions(n_stages: int, n_designs: int) -> tuple[float, ...]:
    """Return the share of the budget of each stage."""
    later = max(MIN_LAST_FRACTION, min(0.5, LAST_DESIGNS / n_designs)) / (n_stages - 1)
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
        self._turns = AskTellCounter()
        self._offset = 0
        self._waiting: list[Table] = []
        self._n_objectives = n_objectives
        self._seeds = self.seeds()

    @property
    def total(self) -> int | None:
        """Number of designs of all stages."""
        totals = [stage.total for stage in self._stages]
        return None if None in totals else sum(total for total in totals if total is not None)

    @property
    def first(self) -> Sampler:
        """The first stage."""
        return self._stages[0]

    def seeds(self) -> Seeds:
        """Return an empty keeper of what a next stage starts from."""
        return Seeds(self._space, self._n_objectives)

    def skip(self, stop: int, seeds: Seeds) -> None:
        """Take over the next designs of a first stage that does not learn, asked for and judged elsewhere.

        Args:
            stop: the design after the last.
            seeds: what is kept of those designs; used up.
        """
        first: Any = self._stages[0]
        first.skip(stop)
        self._turns = AskTellCounter(stop, stop)
        self._seeds.merge(seeds)

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
            self._resume()
        if designs:
            self._turns.asked += designs.rows
            self._waiting.append(designs)
        return designs

    def _resume(self) -> None:
        """Start the next stage from the best so far."""
        self._place += 1
        self._offset = self._turns.asked
        stage: Any = self._stages[self._place]
        unit, feedback = self._seeds.chosen()
        if len(feedback):
            learning: LearningSampler = stage
            learning.warm_start(unit, feedback)

    def tell(self, feedback: Feedback) -> None:
        """Hear what became of the next rows."""
        self._turns.take(feedback)
        if self._place < len(self._stages) - 1:
            self._remember(feedback)
        else:
            self._waiting = []
        self._stages[self._place].tell(feedback.renumbered(self._offset))

    def _remember(self, feedback: Feedback) -> None:
        """Keep the best of the told rows, whose designs are the oldest that wait."""
        start = 0
        while start < len(feedback):
            designs = self._waiting.pop(0)
            stop = min(start + designs.rows, len(feedback))
            if stop - start < designs.rows:
                self._waiting.insert(0, designs.take(slice(stop - start, None)))
            self._seeds.add(designs.take(slice(0, stop - start)), feedback.rows(start, stop))
            start = stop

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> bytes:
        """Return the state of every stage and what is handed on."""
        waiting = [self._space.encode(designs) for designs in self._waiting]
        state: Data = {
            "place": self._place,
            "turns": self._turns.data(),
            "offset": self._offset,
            "waiting": [{"unit": unit} for unit in waiting],
            "best": self._seeds.state(),
            "stages": [{"state": stage.state()} for stage in self._stages],
        }
        return packed(state)

    def restore(self, state: bytes) -> None:
        """Go on from a state.

        Raises:
            SamplerError: the state is of another sampler.
            RecordError: it is damaged, or no state at all.
        """
        record = read_packed(state, "the state of a chain of samplers")
        stages = record.parts("stages")
        if len(stages) != len(self._stages):
            raise SamplerError("the state is of a chain of other stages")
        self._place = record.whole("place", high=len(stages) - 1)
        self._turns, self._offset = AskTellCounter.of(record, "turns"), record.whole("offset")
        for stage, saved in zip(self._stages, stages, strict=True):
            stage.restore(saved.content("state"))
        n = len(self._space.dimensions)
        waiting = [one.array("unit", np.float64, None, n) for one in record.parts("waiting")]
        self._waiting = [self._space.decode(unit) for unit in waiting]
        self._seeds.restore(record.part("best"))


class Seeds:
    """The front of the designs seen so far, and those that miss by least."""

    def __init__(self, space: Space, n_objectives: int) -> None:
        self._space, self._front = space, Front(n_objectives)
        empty = np.empty((0, n_objectives))
        self._unit: FloatArray = np.empty((0, len(space.dimensions)))
        self._judged = Feedback(np.empty(0, dtype=np.int64), empty, np.empty((0, 1)), np.empty(0, dtype=bool))

    def add(self, designs: Table, feedback: Feedback) -> None:
        """Take note of judged designs."""
        entered = self._front.update(feedback.objectives, feedback.ids, feedback.feasible)
        rows = np.sort(np.concatenate([np.flatnonzero(entered), _nearest(feedback)]))
        self._take(self._space.encode(designs.take(rows)), _taken(feedback, rows))

    def merge(self, later: Seeds) -> None:
        """Take note of what was kept of the designs that follow."""
        self._front.update(later._front.objectives, later._front.ids)
        self._take(later._unit, later._judged)

    def _take(self, unit: FloatArray, feedback: Feedback) -> None:
        """Keep what is still worth it of what was kept and of new rows, the members of the front among them."""
        unit, pooled = np.concatenate([self._unit, unit]), _joined(self._judged, feedback)
        on_front = np.isin(pooled.ids, self._front.ids) & pooled.feasible
        kept = np.sort(np.concatenate([np.flatnonzero(on_front), _nearest(pooled)]))
        self._unit, self._judged = unit[kept], _taken(pooled, kept)

    def chosen(self) -> tuple[FloatArray, Feedback]:
        """Return the different designs to hand on: the front, thinned evenly along its first objective, and misses."""
        front = np.flatnonzero(self._judged.feasible)
        if len(front) > MAX_SEEDS:
            ordered = front[np.lexsort(self._judged.objectives[front].T[::-1])]
            front = ordered[evenly(len(ordered), MAX_SEEDS)]
        rows = np.concatenate([front, _nearest(self._judged)[: max(0, MAX_SEED_DESIGNS - len(front))]])
        _, first = np.unique(self._unit[rows], axis=0, return_index=True)
        rows = rows[np.sort(first)]
        return self._unit[rows], _taken(self._judged, rows)

    def state(self) -> Data:
        """Return what is kept."""
        front = {"ids": self._front.ids, "objectives": self._front.objectives}
        return {"unit": self._unit, "judged": feedback_data(self._judged), "front": front}

    def restore(self, record: Record) -> None:
        """Go on from what was kept."""
        size, front = self._front.objectives.shape[1], record.part("front")
        self._judged = feedback_of(record.part("judged"), size)
        self._unit = record.array("unit", np.float64, len(self._judged), len(self._space.dimensions))
        self._front.ids = front.array("ids", np.int64, None)
        self._front.objectives = front.array("objectives", np.float64, len(self._front.ids), size)


def _nearest(feedback: Feedback) -> NDArray[np.intp]:
    """Return the infeasible rows that miss by least, nearest first."""
    missed = np.flatnonzero(~feedback.feasible)
    if len(missed) > MAX_SEED_DESIGNS:
        by = feedback.violation[missed]
        # Few are looked for among many: only what can be one of them is sorted.
        missed = missed[by <= np.partition(by, MAX_SEED_DESIGNS - 1)[MAX_SEED_DESIGNS - 1]]
    return missed[np.argsort(feedback.violation[missed], kind="stable")[:MAX_SEED_DESIGNS]]


def _taken(feedback: Feedback, rows: Any) -> Feedback:
    return Feedback(feedback.ids[rows], feedback.objectives[rows], feedback.violations[rows], feedback.feasible[rows])


def _joined(kept: Feedback, more: Feedback) -> Feedback:
    """Return kept rows and new ones, with the sum of their violations as the only one."""
    return Feedback(
        np.concatenate([kept.ids, more.ids]),
        np.concatenate([kept.objectives, more.objectives]),
        np.concatenate([kept.violations, more.violation[:, None]]),
        np.concatenate([kept.feasible, more.feasible]),
    )

"""What a sampler is: it proposes designs (`ask`) and hears what became of them (`tell`).

The caller asks for a table of designs, evaluates it, and tells the judgement of its rows in the order in which they
were asked, at once or in pieces. A sampler that learns cannot propose its next generation before the last one is told;
those that do not learn may be asked far ahead. The sequence of designs is a function of the space, the seed and the
judgements alone: how many rows each `ask` wants has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray, Table
from dse.errors import SamplerError
from dse.evaluator import Evaluation
from dse.packing import Data, Record, packed, read_packed
from dse.space import Space
from dse.violation import summed, violations

BEYOND_ANY = 1e30
"""Objective of rows without one, for algorithms that take finite numbers only; they are infeasible, so it decides
nothing."""

MAX_DESIGNS = 10**11
"""Designs that a search begins at all: days on one core."""


@dataclass(frozen=True, eq=False)
class Feedback:
    """What became of designs.

    Attributes:
        ids: ``(n,)`` consecutive numbers of the rows, counted from 0 in the order in which they were asked.
        objectives: ``(n, objectives)``, all to be minimised; NaN where a metric is missing.
        violations: ``(n, conditions + 1)`` as of `dse.violation.violations`; all 0 exactly where a row is feasible.
        feasible: ``(n,)`` whether every condition is met and every objective is there.
    """

    ids: NDArray[np.int64]
    objectives: FloatArray
    violations: FloatArray
    feasible: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, start: int, stop: int) -> Feedback:
        """Return rows `start` to `stop` (exclusive)."""
        part = slice(start, stop)
        return Feedback(self.ids[part], self.objectives[part], self.violations[part], self.feasible[part])

    def renumbered(self, offset: int) -> Feedback:
        """Return the same rows with `offset` subtracted from their ids."""
        return Feedback(self.ids - offset, self.objectives, self.violations, self.feasible)

    @classmethod
    def of(cls, ids: NDArray[np.int64], found: Evaluation) -> Feedback:
        """Return what became of evaluated designs."""
        return cls(ids, found.objectives, violations(found), found.feasible)

    @cached_property
    def violation(self) -> FloatArray:
        """``(n,)`` how far a row is from feasible: 0 if it is, else what reports and relaxations say as well."""
        return summed(self.violations)

    @property
    def finite_objectives(self) -> FloatArray:
        """``(n, objectives)`` with `BEYOND_ANY` for what is missing."""
        return np.where(np.isfinite(self.objectives), self.objectives, BEYOND_ANY)


def feedback_data(feedback: Feedback) -> Data:
    """Return judged rows as plain data (`dse.packing`)."""
    return {
        "ids": feedback.ids,
        "objectives": feedback.objectives,
        "violations": feedback.violations,
        "feasible": feedback.feasible,
    }


def feedback_of(record: Record, n_objectives: int) -> Feedback:
    """Return what `feedback_data` made plain data of.

    Raises:
        RecordError: it is something else.
    """
    ids = record.array("ids", np.int64, None)
    return Feedback(
        ids,
        record.array("objectives", np.float64, len(ids), n_objectives),
        record.array("violations", np.float64, len(ids), None),
        record.array("feasible", np.bool_, len(ids)),
    )


class Sampler(Protocol):
    """A way to choose designs."""

    @property
    def total(self) -> int | None:
        """Number of designs it will propose, None where it cannot tell beforehand."""
        ...

    def ask(self, n: int) -> Table:
        """Return the next designs, at most `n`; none (no columns) when there are no more.

        Raises:
            SamplerError: it must be told of earlier designs first.
        """
        ...

    def tell(self, feedback: Feedback) -> None:
        """Hear what became of the next designs that it has not been told of.

        Raises:
            SamplerError: they are not those.
        """
        ...

    def describe(self) -> tuple[str, ...]:
        """Return what a person should know: roundings, limits, choices made for them."""
        ...

    def state(self) -> bytes:
        """Return everything needed to go on later, as plain data in bytes."""
        ...

    def restore(self, state: bytes) -> None:
        """Go on from a state of a sampler that was made with the same arguments.

        Raises:
            SamplerError: the state is of another sampler.
            RecordError: it is damaged, or no state at all.
        """
        ...

    def extend(self, more: int) -> None:
        """Propose so many designs more than it was made for.

        Raises:
            SamplerError: it cannot.
        """
        ...


@runtime_checkable
class SharingSampler(Protocol):
    """A sampler with a study in a storage outside of this process."""

    def connect(self) -> None:
        """Open the study, if one is asked for.

        Raises:
            RunError: it cannot be used.
        """
        ...

    def publish(self) -> None:
        """Add what has been told to the study; called once it is kept on disk.

        Raises:
            RunError: it cannot be written.
        """
        ...


class LearningSampler(Sampler, Protocol):
    """A sampler that can start from designs that are known already."""

    def warm_start(self, unit: FloatArray, feedback: Feedback) -> None:
        """Take over known designs before the first `ask`.

        Args:
            unit: ``(n, dimensions)`` their points in the unit cube.
            feedback: what became of them; the ids have no meaning here.
        """
        ...


@dataclass
class AskTellCounter:
    """Counts what was asked and told, and refuses what is out of turn."""

    asked: int = 0
    told: int = 0

    def data(self) -> Data:
        """Return the counts as plain data."""
        return [self.asked, self.told]

    @classmethod
    def of(cls, record: Record, key: str) -> AskTellCounter:
        """Return the counts in a record.

        Raises:
            RecordError: they are none.
        """
        counts = record.wholes(key)
        if len(counts) != 2 or counts[1] > counts[0]:
            raise record.wrong(key, "what was asked and told")
        return cls(*counts)

    def take(self, feedback: Feedback) -> None:
        """Count told rows.

        Raises:
            SamplerError: they are not the next ones.
        """
        expected = np.arange(self.told, self.told + len(feedback))
        if self.told + len(feedback) > self.asked or not np.array_equal(feedback.ids, expected):
            raise SamplerError(
                f"rows are told in the order in which they were asked: next are {self.told} to {self.asked - 1}"
            )
        self.told += len(feedback)


class StreamingSampler:
    """What samplers that do not learn have in common: a position in a fixed sequence.

    Args:
        name: the sampler's name, for its state.
        space: the space.
        total: length of the sequence.
        identity: what else the sequence depends on.
    """

    def __init__(self, name: str, space: Space, total: int, identity: Mapping[str, object]) -> None:
        self._space, self._total = space, total
        self._identity = {"sampler": name, "dimensions": list(space.dimensions), "total": total, **identity}
        self._turns = AskTellCounter()
        self._next = 0

    @property
    def total(self) -> int:
        """Number of designs."""
        return self._total

    def ask(self, n: int) -> Table:
        """Return the next designs, at most `n`; none when there are no more."""
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        start = self._turns.asked
        stop = min(start + n, self._total)
        if start == stop:
            return Table()
        self._turns.asked = stop
        return self.rows(start, stop)

    def skip(self, stop: int) -> None:
        """Leave out the rows before `stop`: they were made by `rows`, and judged."""
        self._turns = AskTellCounter(stop, stop)

    def rows(self, start: int, stop: int) -> Table:
        """Return rows `start` to `stop` (exclusive) of the sequence; neither asked nor told.

        Rows after the last ones cost nothing extra; anywhere else some samplers have to count up to them.
        """
        if start != self._next:
            self._seek(start)
        self._next = stop
        return self._rows(start, stop)

    def _rows(self, start: int, stop: int) -> Table:
        """Return rows of the sequence; successive calls are for successive rows."""
        raise NotImplementedError

    def _seek(self, position: int) -> None:
        """Make `position` the next row of the sequence."""
        raise NotImplementedError

    def tell(self, feedback: Feedback) -> None:
        """Count rows; the sequence does not depend on them."""
        self._turns.take(feedback)

    def extend(self, more: int) -> None:
        """Refuse: a sequence of another length is another sampler, and its rows are known by their place alone."""
        raise SamplerError(f"{self._identity['sampler']} is made anew for another number of designs")

    def describe(self) -> tuple[str, ...]:
        """Return nothing to know."""
        return ()

    def state(self) -> bytes:
        """Return the position in the sequence."""
        return packed({"identity": self._identity, "turns": self._turns.data()})

    def restore(self, state: bytes) -> None:
        """Go on from a position.

        Raises:
            SamplerError: the state is of another sequence.
            RecordError: it is damaged, or no state at all.
        """
        record = read_packed(state, f"the state of {self._identity['sampler']}")
        if record.part("identity").data != self._identity:
            raise SamplerError(f"the state is not one of {self._identity['sampler']} with these settings")
        self._turns = AskTellCounter.of(record, "turns")

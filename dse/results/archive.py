"""What a run keeps of a stream of designs, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cost_models.table import FloatArray
from dse.front import Front
from dse.packing import Data, Record
from dse.results.rows import Rows, UniformSample, distinct, joined, rows_data, rows_of
from dse.results.statistics.counts import Statistics, tally_of
from dse.results.top import Top
from dse.space import Space
from dse.sweep import ConstraintSpec

LEAST_INFEASIBLE = 20
"""Infeasible designs that are kept because they miss by least."""

FIRST_LOOKED_AT = 100
"""Rows of a chunk among which the least infeasible designs are looked for first."""

MAX_FRONT_FOR_VOLUME = {1: 10**9, 2: 10**9, 3: 200_000, 4: 5_000, 5: 1_000}
"""By the number of objectives: the largest front of which the hypervolume is taken, which takes seconds beyond."""


class Archive:
    """Keeps the front, the least infeasible designs, a sample and the counts of the designs that it is shown.

    Args:
        space: the space that the designs are from.
        n_objectives: number of objectives.
        constraints: those of the sweep.
        sample: most designs of the sample.
        total: number of designs that will be shown where it is known.

    Attributes:
        tally: counts by constraint and by value of each axis.
        sample: a uniform sample; every design where they are few.
        parameters_read: paths of the library parameters that the models asked for on the way.
    """

    def __init__(
        self,
        space: Space,
        n_objectives: int,
        *,
        sample: int,
        constraints: Sequence[ConstraintSpec] = (),
        total: int = 0,
    ) -> None:
        self.tally: Statistics = tally_of(space, constraints)
        self.sample = UniformSample(sample, total=total)
        self._front = Front(n_objectives)
        self._members: list[Rows] = []
        self._misses: Rows | None = None
        self._tops = [Top(place) for place in range(n_objectives)]
        self._box: tuple[FloatArray, FloatArray] | None = None
        self.parameters_read: frozenset[str] = frozenset()

    def add(self, rows: Rows) -> None:
        """Take the next rows of the stream."""
        result = rows.evaluation
        self.tally.add(rows)
        self.sample.add(rows)
        entered = self._front.update(result.objectives, rows.ids, result.feasible)
        if entered.any():
            self._members.append(rows.take(entered))
        # Members that have left are dropped now and then: doing it each time would copy the front each time.
        if sum(map(len, self._members)) > 2 * len(self._front) + 10_000:
            self._compact()
        self._add_misses(rows)
        if result.feasible.any():
            for top in self._tops:
                top.add(rows)
        if self._box is None and result.feasible.any():
            first = result.objectives[result.feasible]
            worst = first.max(axis=0)
            self._box = first.min(axis=0), worst + 0.1 * np.where(worst, np.abs(worst), 1.0)

    def merge(self, later: Archive, *, offset: int = 0) -> None:
        """Take over what another keeper of the same sweep has kept of the rows that follow.

        What is kept depends on the rows alone, not on how they were cut into keepers.

        Args:
            later: the other one.
            offset: added to the ids of its rows.
        """
        if offset:
            later._renumber(offset)
        self.tally.merge(later.tally)
        self.sample.merge(later.sample)
        if (front := later.front) is not None:
            entered = self._front.update(front.evaluation.objectives, front.ids)
            if entered.any():
                self._members.append(front.take(entered))
                self._compact()
        if later._misses is not None:
            self._misses = _nearest(joined([*([self._misses] if self._misses is not None else []), later._misses]))
        for top, other in zip(self._tops, later._tops, strict=True):
            top.merge(other)
        self._box = self._box or later._box
        self.parameters_read |= later.parameters_read

    def _renumber(self, offset: int) -> None:
        self._front.ids = self._front.ids + offset
        self._members = [rows.numbered(offset) for rows in self._members]
        self._misses = None if self._misses is None else self._misses.numbered(offset)
        self.sample.renumber(offset)
        for top in self._tops:
            top.renumber(offset)

    def compact(self) -> None:
        """Drop what is no longer on the front."""
        if self._members:
            self._compact()

    def _compact(self) -> None:
        rows = joined(self._members)
        self._members = [rows.take(np.isin(rows.ids, self._front.ids))]

    def _add_misses(self, rows: Rows) -> None:
        limit = np.inf
        if self._misses is not None and len(self._misses) == LEAST_INFEASIBLE:
            limit = float(self._misses.violation[-1])
        near = np.flatnonzero(~rows.evaluation.feasible & (rows.violation < limit))
        if not len(near):
            return
        by = rows.violation[near]
        # The same design met again would push others out, so so many are looked at that enough differ.
        count = FIRST_LOOKED_AT
        while True:
            looked_at = near
            if count < len(near):
                least = np.partition(by, count - 1)[count - 1]
                looked_at = np.concatenate([near[by < least], near[by == least]])[:count]
            held = [self._misses] if self._misses is not None else []
            chosen = _nearest(joined([*held, rows.take(looked_at)]))
            if len(chosen) == LEAST_INFEASIBLE or count >= len(near):
                self._misses = chosen
                return
            count *= 10

    def state(self) -> Data:
        """Return what is kept as plain data (`dse.packing`)."""
        self.compact()
        return {
            "tally": self.tally.state(),
            "sample": self.sample.state(),
            "front": rows_data(self.front),
            "misses": rows_data(self._misses),
            "tops": [{"rows": rows_data(top.rows)} for top in self._tops],
            "box": None if self._box is None else {"best": self._box[0], "worst": self._box[1]},
            "parameters_read": sorted(self.parameters_read),
        }

    def restore(self, record: Record) -> Archive:
        """Become what a state of a keeper of the same sweep says, and return itself.

        Raises:
            RecordError: the state is of something else.
        """
        size = self._front.objectives.shape[1]
        self.tally.restore(record.part("tally"))
        self.sample.restore(record.part("sample"))
        front = self._rows_of(record, "front")
        self._members = [] if front is None else [front]
        if front is not None:
            self._front.update(front.evaluation.objectives, front.ids)
        self._misses = self._rows_of(record, "misses")
        tops = record.parts("tops")
        if len(tops) != size:
            raise record.wrong("tops", f"of {size} objectives")
        for top, held in zip(self._tops, tops, strict=True):
            top.rows = self._rows_of(held, "rows")
        if "box" in record:
            box = record.part("box")
            self._box = box.array("best", np.float64, size), box.array("worst", np.float64, size)
        self.parameters_read = frozenset(record.texts("parameters_read"))
        return self

    def _rows_of(self, record: Record, key: str) -> Rows | None:
        rows = rows_of(record.part(key)) if key in record else None
        if rows is not None and rows.evaluation.objectives.shape[1] != self._front.objectives.shape[1]:
            raise record.wrong(key, f"of {self._front.objectives.shape[1]} objectives")
        return rows

    @property
    def front_size(self) -> int:
        """Number of feasible non-dominated designs so far."""
        return len(self._front)

    @property
    def front(self) -> Rows | None:
        """The feasible non-dominated designs in the order of their ids; None where there are none."""
        if not self._members:
            return None
        self._compact()
        return self._members[0]

    @property
    def misses(self) -> Rows | None:
        """The infeasible designs that miss by least, nearest first, each design once; None where there are none."""
        return self._misses

    @property
    def tops(self) -> list[Rows | None]:
        """By objective the feasible designs with the best values of it, best first; None where there are none."""
        return [top.rows for top in self._tops]

    def hypervolume(self) -> float:
        """Return the volume that the front dominates, as a share of the box around the first feasible designs.

        The box ends 10 % beyond the worst of the first chunk that held feasible designs; the share exceeds 1 where
        later designs are better than all of those. NaN before there are any, and for fronts too large to take it of.
        """
        if self._box is None:
            return float("nan")
        best, worst = self._box
        if len(self._front) > MAX_FRONT_FOR_VOLUME.get(len(best), 300):
            return float("nan")
        return self._front.hypervolume(worst, ideal=best)


def _nearest(rows: Rows) -> Rows:
    """Return the different designs that miss by least, nearest first, of equal ones that with the lowest id."""
    return rows.take(distinct(rows, np.lexsort((rows.ids, rows.violation)))[:LEAST_INFEASIBLE])

"""Counts over all designs of a run: what binds, and which values of each axis survive.

Every design is reduced to the set of constraints that it breaks, its *pattern*. Counting
patterns, in all and per value of every axis, answers the questions afterwards, in memory that
does not grow with the number of designs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cost_models.table import INACTIVE, Choice, Column, FloatArray
from dse.packing import Data, Record
from dse.results.rows import Rows
from dse.results.statistics.axes import Binning, binning_of
from dse.results.statistics.margins import INTERVALS, MarginCount, interval_of, margin_counts
from dse.results.statistics.patterns import Counts, Mask, PatternCounts, removing
from dse.results.statistics.pruned import PrunedDesigns
from dse.results.statistics.records import AxisValueStats, BlockingConstraint, ConstraintCount, Violation
from dse.space import Space
from dse.sweep import ConstraintSpec

NO_OBJECTIVE = "objectives are defined"
"""Label of the requirement that every objective has a value."""

NOTHING = (float("nan"), float("nan"))


def tally_of(space: Space, constraints: Sequence[ConstraintSpec] = ()) -> Statistics:
    """Return a tally of the free parameters of a space under the constraints of its sweep."""
    free = [space.parameters[name] for name in space.dimensions]
    return Statistics(
        space.dimensions,
        {parameter.name: binning_of(parameter) for parameter in free if not parameter.names},
        {constraint.label: constraint.metric for constraint in constraints},
    )


class Statistics:
    """Counts designs as they come.

    Args:
        binnings: how each numeric axis is cut; axes of names need none.
        axes: the parameters that vary, in the order of the report.
        metrics: the metric of each constraint that has one, by label.

    Attributes:
        evaluated: designs counted.
        decided: those of them of which only some constraints were looked at.
        feasible: designs that meet every constraint.
    """

    def __init__(
        self, axes: Sequence[str], binnings: Mapping[str, Binning], metrics: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.axes, self.binnings, self._metrics = tuple(axes), dict(binnings), dict(metrics)
        self.evaluated = self.decided = self.feasible = 0
        self._labels: tuple[str, ...] = ()
        self._names: dict[str, tuple[str, ...]] = {}
        self._best: FloatArray = np.empty(0)
        self._tightest: FloatArray = np.empty(0)
        self._missing: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counts = self._decided = PatternCounts(0, {})
        self._ends: dict[str, tuple[FloatArray, FloatArray]] = {}
        self._nearest: dict[str, tuple[FloatArray, list[tuple[Violation, ...]]]] = {}
        self._intervals: NDArray[np.int64] = np.empty((0, INTERVALS), dtype=np.int64)
        self._looked_at: frozenset[str] = frozenset()

    def add(self, rows: Rows) -> None:
        """Count the rows."""
        result = rows.evaluation
        self.begin(rows)
        defined = np.isfinite(result.objectives[:, 0])
        for column in result.objectives.T[1:]:
            defined &= np.isfinite(column)
        margins = [*(result.margins[name] for name in self._labels[:-1]), -(~defined).astype(np.float64)]
        broken, absent = self._causes(rows, [margin < 0 for margin in margins])
        self.evaluated += len(rows)
        feasible = np.flatnonzero(result.feasible)
        self.feasible += len(feasible)
        for place, (margin, missing) in enumerate(zip(margins, absent, strict=True)):
            known = margin if missing is None else np.where(missing, -np.inf, margin)
            self._missing[place] += 0 if missing is None else int(missing.sum())
            self._best[place] = max(self._best[place], known.max())
            self._tightest[place] = min(self._tightest[place], margin[feasible].min(initial=np.inf))
            self._count_intervals(place, margin if missing is None else margin[~missing])
        codes = {axis: self.codes(axis, rows.designs[axis]) for axis in self.axes}
        present = self._counts.add(broken, codes)
        misses = np.where(result.feasible, np.inf, rows.violation)
        least = misses.min(initial=np.inf)
        for axis in self.axes:
            self._note_ends(axis, rows.designs[axis], codes[axis], feasible)
            if least < self._nearest[axis][0][present[axis]].max(initial=-np.inf):
                self._add_nearest(axis, codes[axis], misses, margins, broken)

    def add_decided(self, designs: PrunedDesigns) -> None:
        """Count designs that break at least one of the constraints that were looked at; others are not known of.

        Raises:
            ValueError: `begin` was not called, or other constraints were looked at before.
        """
        checked = frozenset(designs.margins)
        if not checked <= set(self._labels) or (self._decided and checked != self._looked_at):
            raise ValueError(f"designs cannot be decided by {sorted(checked)} here")
        if not len(designs):
            return
        self._looked_at = checked
        self.evaluated += len(designs)
        self.decided += len(designs)
        nothing = np.zeros(len(designs), dtype=bool)
        broken = [designs.margins[label] < 0 if label in checked else nothing for label in self._labels]
        self._decided.add(broken, designs.codes)
        for label, margin in designs.margins.items():
            place = self._labels.index(label)
            self._best[place] = max(self._best[place], margin.max())
            self._count_intervals(place, margin)

    def _count_intervals(self, place: int, margin: FloatArray) -> None:
        if self._labels[place] != NO_OBJECTIVE:
            self._intervals[place] += np.bincount(interval_of(margin), minlength=INTERVALS)

    def _causes(
        self, rows: Rows, broken: Sequence[NDArray[np.bool_]]
    ) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.bool_] | None]]:
        """Return what each row breaks without what only follows from it, and what follows (None where nothing does).

        Where a workload does not fit, its metrics are missing, and every constraint on them is broken for no reason of
        its own.
        """
        absent: list[NDArray[np.bool_] | None] = [None] * len(broken)
        for place, label in enumerate(self._labels):
            if label in self._metrics:
                unknown = np.isnan(rows.evaluation.metrics[self._metrics[label]])
                absent[place] = broken[place] & unknown if unknown.any() else None
        absent[-1] = broken[-1] if broken[-1].any() else None
        if all(missing is None for missing in absent):
            return list(broken), absent
        causes = [b if a is None else b & ~a for b, a in zip(broken, absent, strict=True)]
        explained = np.logical_or.reduce(causes)
        absent = [None if missing is None else missing & explained for missing in absent]
        return [b if a is None else b & ~a for b, a in zip(broken, absent, strict=True)], absent

    def begin(self, rows: Rows) -> None:
        """Learn from any rows which constraints and values there are; nothing is counted."""
        if self._labels:
            return
        self._labels = (*rows.evaluation.margins, NO_OBJECTIVE)
        self._intervals = np.zeros((len(self._labels), INTERVALS), dtype=np.int64)
        self._best = np.full(len(self._labels), -np.inf)
        self._tightest = np.full(len(self._labels), np.inf)
        self._missing = np.zeros(len(self._labels), dtype=np.int64)
        for axis in self.axes:
            column = rows.designs[axis]
            self._names[axis] = column.values if isinstance(column, Choice) else self.binnings[axis].words
            count = len(self._names[axis])
            self._nearest[axis] = np.full(count + 1, np.inf), [()] * (count + 1)
            if not isinstance(column, Choice):
                self._ends[axis] = np.full(count, np.inf), np.full(count, -np.inf)
        self._counts, self._decided = self._no_counts(), self._no_counts()

    def _no_counts(self) -> PatternCounts:
        return PatternCounts(len(self._labels), {axis: len(names) + 1 for axis, names in self._names.items()})

    def codes(self, axis: str, column: Column) -> NDArray[np.intp]:
        """Return the place of each row's value of an axis among those that are counted.

        Where the parameter is inactive it is the place behind the last.
        """
        codes = column.codes if isinstance(column, Choice) else self.binnings[axis].codes(column)
        if isinstance(column, Choice) and column.values != self._names[axis]:
            raise ValueError(f"{axis} changed its values from {self._names[axis]} to {column.values}")
        # Sums are several times as quick as a choice row by row.
        behind = len(self._names[axis]) - INACTIVE
        return codes + (codes == INACTIVE) * behind if codes.min(initial=0) == INACTIVE else codes

    def _note_ends(self, axis: str, column: Column, codes: NDArray[np.intp], feasible: NDArray[np.intp]) -> None:
        """Note the range of the feasible numbers of each value."""
        if not isinstance(column, Choice):
            counted = feasible[codes[feasible] < len(self._names[axis])]
            np.minimum.at(self._ends[axis][0], codes[counted], column[counted])
            np.maximum.at(self._ends[axis][1], codes[counted], column[counted])

    def _add_nearest(
        self,
        axis: str,
        codes: NDArray[np.intp],
        misses: FloatArray,
        margins: Sequence[FloatArray],
        broken: Sequence[NDArray[np.bool_]],
    ) -> None:
        """Note what the least violating row of each value breaks, where it is nearer than the nearest so far."""
        least, nearest = self._nearest[axis]
        nearer = np.flatnonzero(misses < least[codes])
        values, missed = codes[nearer], misses[nearer]
        here = np.full(len(least), np.inf)
        np.minimum.at(here, values, missed)
        rows = nearer[missed == here[values]]
        places, first = np.unique(codes[rows], return_index=True)
        for place, row in zip(places, rows[first], strict=True):
            least[place] = here[place]
            nearest[place] = tuple(
                Violation(label, float(-margin[row]))
                for label, margin, breaks in zip(self._labels, margins, broken, strict=True)
                if breaks[row]
            )

    def merge(self, later: Statistics) -> None:
        """Count what another tally of the same sweep has counted, as if its rows had come after these.

        Args:
            later: the other one.

        Raises:
            ValueError: it counted other constraints or axes.
        """
        if not later._labels:
            return
        if not self._labels:
            self.__dict__.update(deepcopy(later.__dict__))
            return
        if (self._labels, self._names) != (later._labels, later._names):
            raise ValueError("tallies of different constraints or axes cannot be merged")
        if later._decided and self._decided and later._looked_at != self._looked_at:
            raise ValueError("tallies of designs decided by different constraints cannot be merged")
        self.evaluated += later.evaluated
        self.decided += later.decided
        self._looked_at |= later._looked_at
        self._intervals += later._intervals
        self.feasible += later.feasible
        self._missing += later._missing
        self._best = np.maximum(self._best, later._best)
        self._tightest = np.minimum(self._tightest, later._tightest)
        self._counts.merge(later._counts)
        self._decided.merge(later._decided)
        for axis in self.axes:
            if axis in self._ends:
                (low, high), (low_later, high_later) = self._ends[axis], later._ends[axis]
                self._ends[axis] = np.minimum(low, low_later), np.maximum(high, high_later)
            least, nearest = self._nearest[axis]
            least_later, nearest_later = later._nearest[axis]
            for place in np.flatnonzero(least_later < least):
                least[place], nearest[place] = least_later[place], nearest_later[place]

    # -- state --------------------------------------------------------------------------------------------------

    def state(self) -> Data:
        """Return what was counted as plain data (`dse.packing`)."""
        return {
            "labels": list(self._labels),
            "counted": [self.evaluated, self.decided, self.feasible],
            "best": self._best,
            "tightest": self._tightest,
            "missing": self._missing,
            "intervals": self._intervals,
            "checked": sorted(self._looked_at),
            "patterns": self._counts.state(),
            "decided": self._decided.state(),
            "axes": [self._axis_state(axis) for axis in self.axes] if self._labels else [],
        }

    def _axis_state(self, axis: str) -> Data:
        least, nearest = self._nearest[axis]
        low, high = self._ends.get(axis, (np.empty(0), np.empty(0)))
        missed = [(place, one) for place, many in enumerate(nearest) for one in many]
        return {
            "values": list(self._names[axis]),
            "low": low,
            "high": high,
            "least": least,
            "missed_at": np.array([place for place, _ in missed], dtype=np.int64),
            "missed": np.array([self._labels.index(one.constraint) for _, one in missed], dtype=np.int64),
            "missed_by": np.array([one.by for _, one in missed], dtype=np.float64),
        }

    def restore(self, record: Record) -> None:
        """Become what a state of a tally of the same sweep says.

        Raises:
            RecordError: the state is of something else.
        """
        self._labels = record.texts("labels")
        n = len(self._labels)
        counted, axes = record.wholes("counted"), record.parts("axes")
        if len(counted) != 3 or len(axes) != (len(self.axes) if n else 0):
            raise record.wrong("counted", "counts of the axes of this sweep")
        self.evaluated, self.decided, self.feasible = counted
        self._best, self._tightest = record.array("best", np.float64, n), record.array("tightest", np.float64, n)
        self._missing = record.array("missing", np.int64, n)
        self._intervals = record.array("intervals", np.int64, n, INTERVALS)
        self._looked_at = frozenset(record.texts("checked"))
        for axis, held in zip(self.axes, axes, strict=False):
            self._restore_axis(axis, held)
        self._counts = self._no_counts().restore(record.part("patterns"))
        self._decided = self._no_counts().restore(record.part("decided"))

    def _restore_axis(self, axis: str, record: Record) -> None:
        names, n = record.texts("values"), len(self._labels)
        count = len(names)
        if axis in self.binnings and names != self.binnings[axis].words:
            raise record.wrong("values", f"how this sweep counts {axis}")
        self._names[axis] = names
        if axis in self.binnings:
            self._ends[axis] = record.array("low", np.float64, count), record.array("high", np.float64, count)
        least = record.array("least", np.float64, count + 1)
        missed, by = record.array("missed", np.int64, None), record.array("missed_by", np.float64, None)
        at = record.array("missed_at", np.int64, len(missed))
        if len(by) != len(missed) or (len(at) and not 0 <= at.min() <= at.max() <= count):
            raise record.wrong("missed_at", "the values of the axis")
        if len(missed) and not 0 <= missed.min() <= missed.max() < n:
            raise record.wrong("missed", "constraints of the sweep")
        nearest: list[tuple[Violation, ...]] = [()] * (count + 1)
        for place, label, amount in zip(at.tolist(), missed.tolist(), by.tolist(), strict=True):
            nearest[place] = (*nearest[place], Violation(self._labels[label], amount))
        self._nearest[axis] = least, nearest

    # -- what was counted ---------------------------------------------------------------------------------------

    def constraints(self) -> list[ConstraintCount]:
        """Return one record per constraint, in the order in which they are judged."""
        records = []
        broken = self._counts.violated() + self._decided.violated()
        for place, label in enumerate(self._labels):
            violated = int(broken[place])
            if label == NO_OBJECTIVE and not violated:
                continue
            best, tightest = (np.nan, np.nan) if label == NO_OBJECTIVE else (self._best[place], self._tightest[place])
            records.append(
                ConstraintCount(
                    constraint=label,
                    evaluated=self.evaluated if label in self._looked_at else self.evaluated - self.decided,
                    violated=violated,
                    missing=int(self._missing[place]),
                    sole_cause=self._counts.breaking_only(place),
                    best_margin=float(best) + 0.0 if np.isfinite(best) else float("nan"),
                    tightest_margin=float(tightest) + 0.0 if np.isfinite(tightest) else float("nan"),
                )
            )
        return records

    def margins(self) -> list[MarginCount]:
        """Return how many designs have a margin in each interval, constraint by constraint; missing ones are left out.

        Of designs that were decided without evaluation only the constraints that were looked at are counted.
        """
        labels = [(place, label) for place, label in enumerate(self._labels) if label != NO_OBJECTIVE]
        return [count for place, label in labels for count in margin_counts(label, self._intervals[place])]

    def values(self) -> list[AxisValueStats]:
        """Return one record per value of every axis that was evaluated at least once."""
        return [record for axis in self.axes for record in self._axis_values(axis)]

    def _axis_values(self, axis: str) -> list[AxisValueStats]:
        parts = [part for part in (self._counts, self._decided) if part]
        if not parts:
            return []
        broken, table = (
            np.concatenate([part.broken for part in parts]),
            np.concatenate([p.by_axis[axis] for p in parts]),
        )
        bounds = self.binnings[axis].bounds if axis in self.binnings else []
        records = []
        for place, name in enumerate((*self._names[axis], "inactive")):
            counts = table[:, place]
            evaluated = int(counts.sum())
            if not evaluated:
                continue
            feasible = int(counts[~broken.any(axis=1)].sum())
            removed_by = () if feasible else self._removers(broken, counts)
            low, high = bounds[place] if place < len(bounds) else NOTHING
            ends = self._ends[axis] if feasible and place < len(bounds) else None
            lowest, highest = (float(ends[0][place]), float(ends[1][place])) if ends else NOTHING
            nearest = () if feasible else self._nearest[axis][1][place]
            records.append(
                AxisValueStats(axis, name, low, high, evaluated, feasible, lowest, highest, removed_by, nearest)
            )
        return records

    def _removers(self, broken: Mask, counts: Counts) -> tuple[BlockingConstraint, ...]:
        return tuple(
            BlockingConstraint(self._labels[place], violated / int(counts.sum()))
            for place, violated in removing(broken, counts).items()
        )

"""Counts over all designs of a run: what binds, and which values of each axis survive.

Every design is reduced to the set of constraints that it breaks, its *pattern*. Counting
patterns, in all and per value of every axis, answers the questions afterwards, in memory that
does not grow with the number of designs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cost_models.columns import INACTIVE, Choice, FloatArray
from dse.results.rows import Rows
from dse.results.tally_axes import Binning, binning_of
from dse.results.tally_patterns import Pattern, distinct_patterns, removing
from dse.results.tally_records import ConstraintCount, Missed, Remover, ValueCount
from dse.space import Space
from dse.spec import ConstraintSpec

NO_OBJECTIVE = "objectives are defined"
"""Label of the requirement that every objective has a value."""

NOTHING = (float("nan"), float("nan"))


def tally_of(space: Space, constraints: Sequence[ConstraintSpec] = ()) -> Tally:
    """Return a tally of the free parameters of a space under the constraints of its sweep."""
    free = [space.parameters[name] for name in space.dimensions]
    return Tally(
        space.dimensions,
        {parameter.name: binning_of(parameter) for parameter in free if not parameter.names},
        {constraint.label: constraint.metric for constraint in constraints},
    )


class Tally:
    """Counts designs as they come.

    Args:
        binnings: how each numeric axis is cut; axes of names need none.
        axes: the parameters that vary, in the order of the report.
        metrics: the metric of each constraint that has one, by label.
    """

    def __init__(
        self, axes: Sequence[str], binnings: Mapping[str, Binning], metrics: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.axes, self.binnings, self._metrics = tuple(axes), dict(binnings), dict(metrics)
        self.evaluated = self.feasible = 0
        self._labels: tuple[str, ...] = ()
        self._names: dict[str, tuple[str, ...]] = {}
        self._best: FloatArray = np.empty(0)
        self._tightest: FloatArray = np.empty(0)
        self._missing: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._patterns: dict[Pattern, int] = {}
        self._by_axis: dict[str, dict[Pattern, NDArray[np.int64]]] = {axis: {} for axis in self.axes}
        self._ends: dict[str, tuple[FloatArray, FloatArray]] = {}
        self._nearest: dict[str, tuple[FloatArray, list[tuple[Missed, ...]]]] = {}

    def add(self, rows: Rows) -> None:
        """Count the rows."""
        found = rows.evaluation
        if not self._labels:
            self._start(rows)
        defined = np.isfinite(found.objectives[:, 0])
        for column in found.objectives.T[1:]:
            defined &= np.isfinite(column)
        margins = [*(found.margins[name] for name in self._labels[:-1]), np.where(defined, 1.0, -1.0)]
        broken, absent = self._causes(rows, [margin < 0 for margin in margins])
        self.evaluated += len(rows)
        feasible = np.flatnonzero(found.feasible)
        self.feasible += len(feasible)
        for place, (margin, missing) in enumerate(zip(margins, absent, strict=True)):
            known = margin if missing is None else np.where(missing, -np.inf, margin)
            self._missing[place] += 0 if missing is None else int(missing.sum())
            self._best[place] = max(self._best[place], known.max())
            self._tightest[place] = min(self._tightest[place], margin[feasible].min(initial=np.inf))
        patterns, which = distinct_patterns(broken)
        counts = np.bincount(which, minlength=len(patterns))
        for pattern, count in zip(patterns, counts, strict=True):
            self._patterns[pattern] = self._patterns.get(pattern, 0) + int(count)
        for axis in self.axes:
            codes = self._add_axis(axis, rows, patterns, which, feasible)
            self._add_nearest(axis, codes, rows.misses, margins, broken)

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

    def _start(self, rows: Rows) -> None:
        self._labels = (*rows.evaluation.margins, NO_OBJECTIVE)
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

    def _add_axis(
        self,
        axis: str,
        rows: Rows,
        patterns: list[Pattern],
        which: NDArray[np.intp],
        feasible: NDArray[np.intp],
    ) -> NDArray[np.intp]:
        """Count the rows by value of an axis, and return the place of each row's value."""
        column = rows.designs[axis]
        codes = column.codes if isinstance(column, Choice) else self.binnings[axis].codes(column)
        if isinstance(column, Choice) and column.values != self._names[axis]:
            raise ValueError(f"{axis} changed its values from {self._names[axis]} to {column.values}")
        if not isinstance(column, Choice):
            counted = feasible[codes[feasible] != INACTIVE]
            np.minimum.at(self._ends[axis][0], codes[counted], column[counted])
            np.maximum.at(self._ends[axis][1], codes[counted], column[counted])
        n_values = len(self._names[axis]) + 1
        # The place behind the last value is that of rows in which the parameter is inactive.
        codes = np.where(codes == INACTIVE, n_values - 1, codes) if codes.min() == INACTIVE else codes
        table = np.bincount(which * n_values + codes, minlength=len(patterns) * n_values)
        held = self._by_axis[axis]
        for pattern, counts in zip(patterns, table.reshape(-1, n_values), strict=True):
            if pattern in held:
                held[pattern] += counts
            else:
                held[pattern] = counts.copy()
        return codes

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
        here = np.full(len(least), np.inf)
        np.minimum.at(here, codes[nearer], misses[nearer])
        for place in np.flatnonzero(here < least):
            row = nearer[np.flatnonzero((codes[nearer] == place) & (misses[nearer] == here[place]))[0]]
            least[place] = here[place]
            nearest[place] = tuple(
                Missed(label, float(-margin[row]))
                for label, margin, breaks in zip(self._labels, margins, broken, strict=True)
                if breaks[row]
            )

    def merge(self, later: Tally) -> None:
        """Count what another tally of the same sweep has counted, as if its rows had come after these.

        Raises:
            ValueError: it counted other constraints or axes.
        """
        if not later._labels:
            return
        if not self._labels:
            self._adopt(later)
            return
        if (self._labels, self._names) != (later._labels, later._names):
            raise ValueError("tallies of different constraints or axes cannot be merged")
        self.evaluated += later.evaluated
        self.feasible += later.feasible
        self._missing += later._missing
        self._best = np.maximum(self._best, later._best)
        self._tightest = np.minimum(self._tightest, later._tightest)
        for pattern, count in later._patterns.items():
            self._patterns[pattern] = self._patterns.get(pattern, 0) + count
        for axis in self.axes:
            held = self._by_axis[axis]
            for pattern, counts in later._by_axis[axis].items():
                held[pattern] = held[pattern] + counts if pattern in held else counts
            if axis in self._ends:
                (low, high), (low_later, high_later) = self._ends[axis], later._ends[axis]
                self._ends[axis] = np.minimum(low, low_later), np.maximum(high, high_later)
            least, nearest = self._nearest[axis]
            least_later, nearest_later = later._nearest[axis]
            for place in np.flatnonzero(least_later < least):
                least[place], nearest[place] = least_later[place], nearest_later[place]

    def _adopt(self, other: Tally) -> None:
        """Become a copy of another tally."""
        self.__dict__.update(copy.deepcopy(other.__dict__))

    def constraints(self) -> list[ConstraintCount]:
        """Return one record per constraint, in the order in which they are judged."""
        records = []
        for place, label in enumerate(self._labels):
            violated = sum(count for pattern, count in self._patterns.items() if place in pattern)
            if label == NO_OBJECTIVE and not violated:
                continue
            best, tightest = (np.nan, np.nan) if label == NO_OBJECTIVE else (self._best[place], self._tightest[place])
            records.append(
                ConstraintCount(
                    constraint=label,
                    evaluated=self.evaluated,
                    violated=violated,
                    missing=int(self._missing[place]),
                    sole_cause=self._patterns.get((place,), 0),
                    best_margin=float(best) + 0.0 if np.isfinite(best) else float("nan"),
                    tightest_margin=float(tightest) + 0.0 if np.isfinite(tightest) else float("nan"),
                )
            )
        return records

    def values(self) -> list[ValueCount]:
        """Return one record per value of every axis that was evaluated at least once."""
        return [record for axis in self.axes for record in self._axis_values(axis)]

    def _axis_values(self, axis: str) -> list[ValueCount]:
        held = self._by_axis[axis]
        if not held:
            return []
        patterns = list(held)
        table = np.stack([held[pattern] for pattern in patterns])
        bounds = self.binnings[axis].bounds if axis in self.binnings else []
        records = []
        for place, name in enumerate((*self._names[axis], "inactive")):
            counts = table[:, place]
            evaluated = int(counts.sum())
            if not evaluated:
                continue
            feasible = int(held[()][place]) if () in held else 0
            present = {pattern: int(count) for pattern, count in zip(patterns, counts, strict=True) if count}
            removed_by = () if feasible else self._removers(present, evaluated)
            low, high = bounds[place] if place < len(bounds) else NOTHING
            ends = self._ends[axis] if feasible and place < len(bounds) else None
            lowest, highest = (float(ends[0][place]), float(ends[1][place])) if ends else NOTHING
            nearest = () if feasible else self._nearest[axis][1][place]
            records.append(ValueCount(axis, name, low, high, evaluated, feasible, lowest, highest, removed_by, nearest))
        return records

    def _removers(self, patterns: Mapping[Pattern, int], evaluated: int) -> tuple[Remover, ...]:
        return tuple(
            Remover(self._labels[place], violated / evaluated) for place, violated in removing(patterns).items()
        )

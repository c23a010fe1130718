"""Counts over all designs of a run: what binds, and which values of each axis survive.

Every design is reduced to the set of constraints that it breaks, its *pattern*. Counting
patterns, in all and per value of every axis, answers the questions afterwards, in memory that
does not grow with the number of designs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cost_models.columns import INACTIVE, Choice, FloatArray
from dse.codecs import WholeNumbers
from dse.rows import Rows
from dse.space import Space, SpaceParameter
from dse.spec import ConstraintSpec

NO_OBJECTIVE = "objectives are defined"
"""Label of the requirement that every objective has a value."""

NOTHING = (float("nan"), float("nan"))

Pattern = tuple[int, ...]
"""Positions of the constraints that a design breaks."""


@dataclass(frozen=True)
class ConstraintCount:
    """What one constraint did to the designs of a run.

    Attributes:
        constraint: its label.
        evaluated: designs judged.
        violated: designs that break it.
        missing: designs in which its metric has no value because of something else that they break, mostly memory that
            a workload does not fit; they are not counted as violated.
        sole_cause: designs that break it and nothing else.
        best_margin: largest margin of any design, negative where no design meets it; NaN where all are missing.
        tightest_margin: smallest margin of a feasible design, NaN where there is none.
    """

    constraint: str
    evaluated: int
    violated: int
    missing: int
    sole_cause: int
    best_margin: float
    tightest_margin: float


@dataclass(frozen=True)
class Remover:
    """A constraint that keeps a value of an axis from surviving.

    Attributes:
        constraint: its label.
        share: designs with the value that break it, over all designs with the value.
    """

    constraint: str
    share: float


@dataclass(frozen=True)
class Missed:
    """A constraint that a design breaks, and by how much relative to its bound."""

    constraint: str
    by: float


@dataclass(frozen=True)
class ValueCount:
    """How the designs with one value (or one interval of values) of an axis fared.

    Attributes:
        axis: the parameter.
        value: the value as text; ``inactive`` where the parameter does not apply.
        low: lower end of the interval, or the value; NaN for names.
        high: upper end of the interval, or the value; NaN for names.
        evaluated: designs with it.
        feasible: those that meet every constraint.
        feasible_low: smallest number among those, NaN for names and where there are none.
        feasible_high: largest number among those.
        removed_by: where none survives, the constraints that break all its designs; where no single one does,
            the fewest that together do, the most frequent first.
        nearest_miss: where none survives, what the design with the least summed violation breaks.
    """

    axis: str
    value: str
    low: float
    high: float
    evaluated: int
    feasible: int
    feasible_low: float
    feasible_high: float
    removed_by: tuple[Remover, ...]
    nearest_miss: tuple[Missed, ...]


@dataclass(frozen=True)
class Binning:
    """How a numeric axis is cut into counted values.

    Attributes:
        levels: the ascending values of the axis, where it has few.
        edges: the ascending bounds of intervals, where it is continuous; empty otherwise.
    """

    levels: FloatArray
    edges: FloatArray

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Lower and upper end of every counted value."""
        if len(self.edges):
            return [(float(a), float(b)) for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]
        return [(float(level), float(level)) for level in self.levels]

    def codes(self, column: FloatArray) -> NDArray[np.intp]:
        """Return the counted value of each row, `INACTIVE` where it is NaN."""
        if len(self.edges):
            codes = np.searchsorted(self.edges[1:-1], column, side="right")
        else:
            codes = np.searchsorted((self.levels[1:] + self.levels[:-1]) / 2, column, side="right")
        return np.where(np.isnan(column), INACTIVE, codes)


MOST_LEVELS = 32
"""Values of a numeric axis that are counted one by one; beyond, intervals are."""

INTERVALS = 8
"""Intervals of an axis that is not counted value by value."""


def binning_of(parameter: SpaceParameter) -> Binning:
    """Return how a numeric parameter of the space is cut: by its values where they are few, else into intervals."""
    codecs = [alternative.codec for alternative in parameter.alternatives]
    listed = [
        np.arange(codec.low, codec.high + 1.0)
        if isinstance(codec, WholeNumbers) and codec.high - codec.low < MOST_LEVELS
        else codec.levels
        for codec in codecs
    ]
    levels = [values for values in listed if values is not None]
    if len(levels) == len(codecs) and len(all_levels := np.unique(np.concatenate(levels))) <= MOST_LEVELS:
        return Binning(levels=all_levels, edges=np.empty(0))
    ends = np.concatenate([codec.decode(np.array([0.0, 1.0])) for codec in codecs] + levels)
    low, high = float(ends.min()), float(ends.max())
    log = all(getattr(codec, "log", False) for codec in codecs) or (low > 0 and high > 30 * low)
    edges = np.geomspace(low, high, INTERVALS + 1) if log else np.linspace(low, high, INTERVALS + 1)
    return Binning(levels=np.empty(0), edges=edges)


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
        margins = [found.margins[name] for name in self._labels[:-1]]
        table = np.stack([*margins, np.where(np.isfinite(found.objectives).all(axis=1), 1.0, -1.0)], axis=1)
        broken, absent = self._causes(rows, table < 0)
        self.evaluated += len(rows)
        self.feasible += int(found.feasible.sum())
        self._missing += absent.sum(axis=0)
        self._best = np.maximum(self._best, np.where(absent, -np.inf, table).max(axis=0))
        self._tightest = np.minimum(self._tightest, table[found.feasible].min(axis=0, initial=np.inf))
        patterns, which = distinct_patterns(broken)
        counts = np.bincount(which, minlength=len(patterns))
        for pattern, count in zip(patterns, counts, strict=True):
            self._patterns[pattern] = self._patterns.get(pattern, 0) + int(count)
        violations = np.where(found.feasible, np.inf, rows.violations)
        for axis in self.axes:
            codes = self._add_axis(axis, rows, patterns, which)
            self._add_nearest(axis, codes, violations, np.where(broken, -table, 0.0))

    def _causes(self, rows: Rows, broken: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return what each row breaks without what only follows from it, and what follows.

        Where a workload does not fit, its metrics are missing, and every constraint on them is broken for no reason of
        its own.
        """
        absent = np.zeros_like(broken)
        absent[:, -1] = broken[:, -1]
        for place, label in enumerate(self._labels[:-1]):
            if label in self._metrics:
                absent[:, place] = broken[:, place] & np.isnan(rows.evaluation.metrics[self._metrics[label]])
        absent &= np.asarray((broken & ~absent).any(axis=1))[:, None]
        return broken & ~absent, absent

    def _start(self, rows: Rows) -> None:
        self._labels = (*rows.evaluation.margins, NO_OBJECTIVE)
        self._best = np.full(len(self._labels), -np.inf)
        self._tightest = np.full(len(self._labels), np.inf)
        self._missing = np.zeros(len(self._labels), dtype=np.int64)
        for axis in self.axes:
            column = rows.designs[axis]
            self._names[axis] = (
                column.values
                if isinstance(column, Choice)
                else tuple(_interval(low, high) for low, high in self.binnings[axis].bounds)
            )
            count = len(self._names[axis])
            self._nearest[axis] = np.full(count + 1, np.inf), [()] * (count + 1)
            if not isinstance(column, Choice):
                self._ends[axis] = np.full(count, np.inf), np.full(count, -np.inf)

    def _add_axis(self, axis: str, rows: Rows, patterns: list[Pattern], which: NDArray[np.intp]) -> NDArray[np.intp]:
        """Count the rows by value of an axis, and return the place of each row's value."""
        column = rows.designs[axis]
        codes = column.codes if isinstance(column, Choice) else self.binnings[axis].codes(column)
        if isinstance(column, Choice) and column.values != self._names[axis]:
            raise ValueError(f"{axis} changed its values from {self._names[axis]} to {column.values}")
        if not isinstance(column, Choice):
            counted = rows.evaluation.feasible & (codes != INACTIVE)
            np.minimum.at(self._ends[axis][0], codes[counted], column[counted])
            np.maximum.at(self._ends[axis][1], codes[counted], column[counted])
        n_values = len(self._names[axis]) + 1
        # The place behind the last value is that of rows in which the parameter is inactive.
        codes = codes % n_values
        table = np.bincount(which * n_values + codes, minlength=len(patterns) * n_values)
        held = self._by_axis[axis]
        for pattern, counts in zip(patterns, table.reshape(-1, n_values), strict=True):
            if pattern in held:
                held[pattern] += counts
            else:
                held[pattern] = counts
        return codes

    def _add_nearest(self, axis: str, codes: NDArray[np.intp], violations: FloatArray, missed: FloatArray) -> None:
        """Note what the least violating row of each value breaks, where it is nearer than the nearest so far."""
        least, nearest = self._nearest[axis]
        here = np.full(len(least), np.inf)
        np.minimum.at(here, codes, violations)
        for place in np.flatnonzero(here < least):
            row = np.flatnonzero((codes == place) & (violations == here[place]))[0]
            least[place] = here[place]
            nearest[place] = tuple(
                Missed(self._labels[number], float(missed[row, number])) for number in np.flatnonzero(missed[row] > 0)
            )

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


def removing(patterns: Mapping[Pattern, int]) -> dict[int, int]:
    """Return the constraints that leave no design, with the number of designs that each breaks.

    Args:
        patterns: pattern to number of designs; none of the patterns is empty.

    Returns:
        Every constraint that breaks all the designs; where there is none, a small set of constraints such that every
        design breaks at least one: the most frequent, then the most frequent among the rest, and so on.
    """
    total = sum(patterns.values())
    violated = _counts(patterns)
    always = {place: count for place, count in sorted(violated.items()) if count == total}
    if always:
        return always
    chosen: dict[int, int] = {}
    rest = dict(patterns)
    while rest:
        counts = _counts(rest)
        place = min(counts, key=lambda place: (-counts[place], place))
        chosen[place] = violated[place]
        rest = {pattern: count for pattern, count in rest.items() if place not in pattern}
    return chosen


def _counts(patterns: Mapping[Pattern, int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for pattern, count in patterns.items():
        for place in pattern:
            counts[place] = counts.get(place, 0) + count
    return counts


def distinct_patterns(broken: NDArray[np.bool_]) -> tuple[list[Pattern], NDArray[np.intp]]:
    """Return the distinct rows of an ``(n, constraints)`` mask as positions, and which of them each row is."""
    n, width = broken.shape
    words = np.zeros((n, -(-width // 63)), dtype=np.int64)
    for place in range(width):
        words[:, place // 63] |= broken[:, place].astype(np.int64) << (place % 63)
    if words.shape[1] == 1:
        _, first, which = np.unique(words[:, 0], return_index=True, return_inverse=True)
    else:
        _, first, which = np.unique(words, axis=0, return_index=True, return_inverse=True)
    return [tuple(np.flatnonzero(broken[row]).tolist()) for row in first], which.reshape(-1)


def _interval(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:.6g} to {high:.6g}"

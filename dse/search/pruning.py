"""Designs of a grid decided without evaluation: those that break a condition which depends on few parameters.

Such a condition (memory that a model does not fit, a perplexity, a supply voltage) is worked out once for every
combination of the parameters that it depends on; a combination that breaks it rules out all designs with it. What a
condition depends on is read off the model itself: all groups of parameters but one are given as columns of one row, and
a margin that comes out with one row cannot depend on the group that was given in full.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray
from dse.evaluator import Evaluation, Evaluator
from dse.parallelism import Parallelism
from dse.results.rows import Rows
from dse.results.statistics.counts import Statistics
from dse.results.statistics.pruned import PrunedDesigns
from dse.space import Space

IntArray = NDArray[np.int64]

MAX_COMBINATIONS = 1 << 18
"""Combinations for which a condition is worked out at most: a fraction of a second in every process."""

LOOKED_AT = 256
"""Rows of a group among which it is seen what depends on it, at each of `BASES`."""

BASES = (0.0, 0.37, 0.71, 1.0)
"""Where in the other groups that is seen, as shares of their length."""

ROUNDING = 1e-9
"""Most that a margin may differ from that of the evaluation of the whole design."""


@dataclass(frozen=True, eq=False)
class MarginTable:
    """One condition, worked out for every combination of the groups of parameters that it depends on.

    Attributes:
        label: the condition.
        groups: places of the groups.
        sizes: their rows.
        margins: one per combination, the last group varying fastest.
    """

    label: str
    groups: tuple[int, ...]
    sizes: tuple[int, ...]
    margins: FloatArray

    def at(self, places: Sequence[IntArray]) -> FloatArray:
        """Return the margins of designs that are made of the given rows of the groups."""
        key: IntArray | int = 0
        for group, size in zip(self.groups, self.sizes, strict=True):
            key = key * size + places[group]
        return np.asarray(self.margins[key])


class Tables:
    """The conditions of few parameters that some designs of a grid break.

    Args:
        space: a space whose grid is searched.
        evaluator: the model.
        tally: how designs are counted.
        spread: the pieces that conditions are worked out in, and how many designs they must decide.
    """

    def __init__(self, space: Space, evaluator: Evaluator, tally: Statistics, spread: Parallelism) -> None:
        self._spread = spread
        self._space, self._evaluator = space, evaluator
        self._sizes = tuple(size for _, size in space.grid_groups)
        first = space.grid(0, 1)
        self.first = Rows(np.zeros(1, dtype=np.int64), first, evaluator.evaluate(first, metrics=()))
        tally.begin(self.first)
        self._tables = tuple(self._worth_it())
        self._codes = self._codes_by_axis(tally) if self._tables else {}

    def __bool__(self) -> bool:
        return bool(self._tables)

    def describe(self) -> tuple[str, ...]:
        """Return which conditions decide designs without evaluation."""
        if not self._tables:
            return ("prune: no condition of few parameters is broken, so every design was evaluated",)
        words = [f"{table.label} ({len(table.margins)} combinations)" for table in self._tables]
        return (f"prune: designs that break {', '.join(words)} were not evaluated",)

    def split(self, first: int, last: int, stride: int) -> tuple[IntArray, PrunedDesigns]:
        """Return the ids to be evaluated among `first` to `last` (exclusive), and the other designs as they count.

        Args:
            first: the first id.
            last: the one after the last.
            stride: every design whose id is a multiple of it is evaluated whatever it breaks; none where 0.
        """
        ids = np.arange(first, last, dtype=np.int64)
        places = self._space.grid_places(ids)
        margins = {table.label: table.at(places) for table in self._tables}
        out = np.logical_or.reduce([margin < 0 for margin in margins.values()])
        if stride:
            out[-first % stride :: stride] = False
        decided = np.flatnonzero(out)
        codes = {axis: codes[places[group][decided]] for axis, (group, codes) in self._codes.items()}
        return ids[~out], PrunedDesigns({label: margin[decided] for label, margin in margins.items()}, codes)

    def check(self, ids: IntArray, found: Evaluation) -> None:
        """Make sure that evaluated designs have the margins that the tables say.

        Raises:
            AssertionError: one depends on more than it was found to.
        """
        places = self._space.grid_places(ids)
        for table in self._tables:
            apart = np.abs(found.margins[table.label] - table.at(places))
            if not (apart <= ROUNDING * np.maximum(1.0, np.abs(found.margins[table.label]))).all():
                raise AssertionError(f"{table.label} depends on more than {self._names(table.groups)}")

    def _names(self, groups: Sequence[int]) -> str:
        return ", ".join(name for group in groups for name in self._space.grid_groups[group][0])

    # -- making ---------------------------------------------------------------------------------------------------

    def _worth_it(self) -> Iterator[MarginTable]:
        """Yield the conditions of few parameters that some combination breaks."""
        total = math.prod(self._sizes)
        for label, groups in self._dependence().items():
            sizes = tuple(self._sizes[group] for group in groups)
            count = math.prod(sizes)
            if count > MAX_COMBINATIONS or count * self._spread.least_gain > total:
                continue
            margins = self._worked_out(label, groups, sizes, count)
            if (margins < 0).any():
                yield MarginTable(label, groups, sizes, margins)

    def _dependence(self) -> dict[str, tuple[int, ...]]:
        """Return the groups that each condition depends on."""
        needs: dict[str, list[int]] = {label: [] for label in self.first.evaluation.margins}
        for group, size in enumerate(self._sizes):
            if size == 1:
                continue
            rows = np.unique(np.linspace(0, size - 1, LOOKED_AT).astype(np.int64))
            longer: set[str] = set()
            for base in BASES:
                places = [np.array([int(base * (other - 1))]) for other in self._sizes]
                places[group] = rows
                result = self._evaluator.margins(self._space.grid_at(places))
                longer |= {label for label, margin in result.items() if len(margin) > 1}
            for label in longer:
                needs[label].append(group)
        return {label: tuple(groups) for label, groups in needs.items()}

    def _worked_out(self, label: str, groups: tuple[int, ...], sizes: tuple[int, ...], count: int) -> FloatArray:
        parts, size = [], self._spread.chunk_rows
        for start in range(0, count, size):
            keys = np.arange(start, min(start + size, count), dtype=np.int64)
            places = [np.zeros(1, dtype=np.int64) for _ in self._sizes]
            for group, place in zip(groups, np.unravel_index(keys, sizes) if sizes else (), strict=True):
                places[group] = place
            margin = self._evaluator.margins(self._space.grid_at(places))[label]
            parts.append(np.broadcast_to(margin, (len(keys),)))
        return np.concatenate(parts)

    def _codes_by_axis(self, tally: Statistics) -> dict[str, tuple[int, NDArray[np.intp]]]:
        """Return the group of every axis that is counted, and the counted value of each of the group's rows."""
        codes = {}
        for group, (names, size) in enumerate(self._space.grid_groups):
            places = [np.zeros(1, dtype=np.int64) for _ in self._sizes]
            places[group] = np.arange(size, dtype=np.int64)
            columns = self._space.grid_at(places)
            for name in set(names) & set(tally.axes):
                codes[name] = (group, tally.codes(name, columns[name]))
        return codes

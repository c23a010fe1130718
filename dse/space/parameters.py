"""The parameters of a space: their names, alternatives and conditions, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.table import INACTIVE, Choice, Column, FloatArray
from dse.space.codecs import Codec, Listed, WholeNumbers, cells, range_codec
from dse.sweep import ParameterSpec, RangeSpec


@dataclass(frozen=True, eq=False)
class Alternative:
    """One declaration of a parameter.

    Attributes:
        codec: its values; names by their position in the parameter's `names`.
        when: other parameters and the values (names by position) at which it holds.
    """

    codec: Codec
    when: Mapping[str, FloatArray]

    @cached_property
    def is_single(self) -> bool:
        """Whether it leaves nothing to choose."""
        return self.codec.levels is not None and len(self.codec.levels) == 1


@dataclass(frozen=True, eq=False)
class SpaceParameter:
    """A parameter of the space.

    Attributes:
        name: key in the sweep and column of the table.
        names: every name it can take; empty where it takes numbers.
        alternatives: its declarations; at most one holds in a row.
    """

    name: str
    names: tuple[str, ...]
    alternatives: tuple[Alternative, ...]

    @cached_property
    def is_free(self) -> bool:
        """Whether there is something to choose, so that it has a coordinate."""
        return not all(alternative.is_single for alternative in self.alternatives)

    @cached_property
    def is_enumerable(self) -> bool:
        """Whether all its values are listed."""
        return all(alternative.codec.levels is not None for alternative in self.alternatives)

    @cached_property
    def _pool(self) -> tuple[FloatArray, NDArray[np.intp], FloatArray]:
        """How many values each alternative lists, where they begin, and all of them, behind a NaN for none."""
        listed = [np.array([np.nan]), *(one.codec.levels for one in self.alternatives if one.codec.levels is not None)]
        counts = np.array([len(values) for values in listed], dtype=np.intp)
        return counts.astype(np.float64), np.cumsum(counts) - counts, np.concatenate(listed)

    def listed(self, unit: FloatArray, which: NDArray[np.intp]) -> FloatArray:
        """Return the value at each coordinate as `Listed` decodes it, where all values are listed.

        Args:
            unit: ``(n,)`` coordinates.
            which: ``(n,)`` the alternative that holds, counted from 1; 0 for none, which gives NaN.
        """
        counts, starts, pool = self._pool
        count = counts.take(which)
        return pool.take(starts.take(which) + cells(unit, count))

    def few_numbers(self, at_most: int) -> FloatArray | None:
        """Return all numbers that it can take, ascending; None where it takes names, or more than so many."""
        listed: list[FloatArray] = []
        for codec in () if self.names else [alternative.codec for alternative in self.alternatives]:
            if isinstance(codec, WholeNumbers) and codec.high - codec.low < at_most:
                listed.append(np.arange(codec.low, codec.high + 1.0))
            elif codec.levels is not None:
                listed.append(codec.levels)
            else:
                return None
        numbers = np.array(sorted({*np.concatenate(listed).tolist()})) if listed else np.empty(0)
        return numbers if 0 < len(numbers) <= at_most else None

    @cached_property
    def is_conditional(self) -> bool:
        """Whether its values, or its being there, depend on another parameter."""
        return any(alternative.when for alternative in self.alternatives)

    @cached_property
    def only_level(self) -> float:
        """The value of a parameter that has one in every design."""
        (alternative,) = self.alternatives
        assert alternative.codec.levels is not None
        (level,) = alternative.codec.levels.tolist()
        return float(level)

    @property
    def needs(self) -> set[str]:
        """Names of the parameters that its conditions ask for."""
        return {name for alternative in self.alternatives for name in alternative.when}

    def column(self, numbers: FloatArray) -> Column:
        """Return numbers (NaN where inactive) as the column of a table."""
        if not self.names:
            return numbers
        there = np.where(np.isnan(numbers), INACTIVE, numbers) if self.is_conditional else numbers
        return Choice(self.names, there.astype(np.intp))

    def numbers(self, column: Column) -> FloatArray:
        """Return the column of a table as numbers, the inverse of `column`."""
        if not isinstance(column, Choice):
            return np.asarray(column, dtype=np.float64)
        table = [self.names.index(value) if value in self.names else np.nan for value in column.values]
        return np.append(np.array(table, dtype=np.float64), np.nan)[column.codes]


def parameters_of(space: Mapping[str, tuple[ParameterSpec, ...]], order: Sequence[str]) -> dict[str, SpaceParameter]:
    """Return the parameters that a sweep declares, in the given order."""
    names = {name: _names_of(entries) for name, entries in space.items()}
    return {
        name: SpaceParameter(name, names[name], tuple(_alternative(entry, names[name], names) for entry in space[name]))
        for name in order
    }


def holds_in(alternative: Alternative, numbers: Mapping[str, FloatArray], rows: int) -> NDArray[np.bool_]:
    """Return in which rows the conditions of a declaration hold; never where one it asks for is inactive."""
    holds = np.ones(rows, dtype=bool)
    for name, values in alternative.when.items():
        # Values are few: so many comparisons take less than a search.
        first, *others = values.tolist()
        asked = numbers[name] == first
        for value in others:
            asked |= numbers[name] == value
        holds &= asked
    return holds


def _names_of(entries: tuple[ParameterSpec, ...]) -> tuple[str, ...]:
    """Return every name that a parameter's declarations hold, in the order of the file."""
    return tuple(dict.fromkeys(value for entry in entries for value in _values(entry) if isinstance(value, str)))


def _values(entry: ParameterSpec) -> tuple[float | str, ...]:
    return () if isinstance(entry, RangeSpec) else entry.values


def _coded(values: tuple[float | str, ...], names: tuple[str, ...]) -> FloatArray:
    return np.array([names.index(value) if isinstance(value, str) else value for value in values], dtype=np.float64)


def _alternative(entry: ParameterSpec, names: tuple[str, ...], listed: Mapping[str, tuple[str, ...]]) -> Alternative:
    when = {name: _coded(values, listed[name]) for name, values in entry.when.items()}
    if isinstance(entry, RangeSpec):
        return Alternative(range_codec(entry), when)
    return Alternative(Listed(_coded(_values(entry), names)), when)

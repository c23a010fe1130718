"""Values of one parameter to and from the unit interval.

A codec cuts ``[0, 1)`` into one cell per value, or maps it onto a range. Numbers only: names are coded
by their position.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray
from dse.sweep import RangeSpec


class Codec(Protocol):
    """How one parameter's values lie on the unit interval."""

    @property
    def levels(self) -> FloatArray | None:
        """Every value in order, None where they are not listed."""
        ...

    def decode(self, unit: FloatArray) -> FloatArray:
        """Return the value at each coordinate in ``[0, 1]``."""
        ...

    def encode(self, values: FloatArray) -> FloatArray:
        """Return a coordinate that decodes to each value: the middle of its cell."""
        ...

    def snapped(self, unit: FloatArray) -> FloatArray:
        """Return the middle of the cell of each coordinate: `encode` of `decode`."""
        ...


def cells(unit: FloatArray, counts: float | FloatArray) -> NDArray[np.intp]:
    """Return which of so many equal cells of the unit interval holds each coordinate; the last holds 1."""
    return np.minimum(unit * counts, counts - 1).astype(np.intp)


@dataclass(frozen=True, eq=False)
class Listed:
    """Finitely many values, each on an equal share of the unit interval."""

    levels: FloatArray

    def decode(self, unit: FloatArray) -> FloatArray:
        """Return the value whose cell holds each coordinate."""
        return self.levels[cells(unit, len(self.levels))]

    def encode(self, values: FloatArray) -> FloatArray:
        """Return the middle of the cell of the nearest value."""
        order = np.argsort(self.levels, kind="stable")
        ascending = self.levels[order]
        middles = (ascending[1:] + ascending[:-1]) / 2
        return (order[np.searchsorted(middles, values)] + 0.5) / len(self.levels)

    @cached_property
    def _middles(self) -> FloatArray:
        return self.encode(self.levels)

    def snapped(self, unit: FloatArray) -> FloatArray:
        """Return the middle of the cell of each coordinate."""
        return self._middles[cells(unit, len(self.levels))]


@dataclass(frozen=True)
class Continuous:
    """Every number from `low` to `high`, evenly or evenly over the logarithm."""

    low: float
    high: float
    log: bool

    @property
    def levels(self) -> FloatArray | None:
        """None: there is no list."""
        return None

    def decode(self, unit: FloatArray) -> FloatArray:
        """Return the number at each coordinate."""
        values = self.low * (self.high / self.low) ** unit if self.log else self.low + (self.high - self.low) * unit
        return np.minimum(np.maximum(values, self.low), self.high)

    def encode(self, values: FloatArray) -> FloatArray:
        """Return the coordinate of each number."""
        if self.log:
            return np.asarray(np.log(values / self.low) / np.log(self.high / self.low))
        return (values - self.low) / (self.high - self.low)

    def snapped(self, unit: FloatArray) -> FloatArray:
        """Return the coordinate of the number at each coordinate: the same but for rounding."""
        return self.encode(self.decode(unit))


@dataclass(frozen=True)
class WholeNumbers:
    """Every whole number from `low` to `high`; over the logarithm k has the share of ``[k, k + 1)``."""

    low: int
    high: int
    log: bool

    @property
    def levels(self) -> FloatArray | None:
        """None: the file does not say that these are all to be enumerated."""
        return None

    def _spread(self) -> Continuous:
        return Continuous(self.low, self.high + 1, self.log)

    def decode(self, unit: FloatArray) -> FloatArray:
        """Return the whole number whose cell holds each coordinate."""
        return np.minimum(np.floor(self._spread().decode(unit)), self.high)

    def encode(self, values: FloatArray) -> FloatArray:
        """Return the middle of the cell of each whole number."""
        spread = self._spread()
        return (spread.encode(values) + spread.encode(values + 1)) / 2

    def snapped(self, unit: FloatArray) -> FloatArray:
        """Return the middle of the cell of each coordinate."""
        return self.encode(self.decode(unit))


def range_codec(declared: RangeSpec) -> Codec:
    """Return the codec of a range as a sweep declares it."""
    low, high = declared.bounds
    whole = declared.type == "int"
    if declared.step is not None:
        return Listed(stepped(low, high, declared.step))
    if declared.levels is not None:
        return Listed(spread(low, high, declared.levels, log=declared.log, whole=whole))
    return WholeNumbers(int(low), int(high), declared.log) if whole else Continuous(low, high, declared.log)


def stepped(low: float, high: float, step: float) -> FloatArray:
    """Return ``low, low + step, ...`` up to `high`, each as its decimals are written (0.9, not 0.8999...)."""
    count = int((high - low) / step * (1 + 1e-12)) + 1
    values = low + step * np.arange(count)
    decimals = max(0, *(-int(Decimal(repr(number)).as_tuple().exponent) for number in (low, step)))
    return np.asarray(np.round(values, decimals) if decimals <= 12 else values)


def spread(low: float, high: float, levels: int, *, log: bool, whole: bool) -> FloatArray:
    """Return `levels` values from `low` to `high`; whole ones are rounded, and repeats are dropped."""
    values = np.asarray(np.geomspace(low, high, levels) if log else np.linspace(low, high, levels), dtype=np.float64)
    if whole:
        return np.array(sorted(set(np.round(values).tolist())))
    tidy = [float(f"{value:.12g}") for value in values]
    tidy[0], tidy[-1] = low, high
    return np.array(sorted(set(tidy)))

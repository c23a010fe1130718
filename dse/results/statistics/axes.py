"""How numeric axes are cut into values that can be counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.table import INACTIVE, FloatArray
from dse.space import SpaceParameter


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

    @property
    def words(self) -> tuple[str, ...]:
        """Every counted value as text."""
        return tuple(f"{low:g}" if low == high else f"{low:.6g} to {high:.6g}" for low, high in self.bounds)

    def codes(self, column: FloatArray) -> NDArray[np.intp]:
        """Return the counted value of each row, `INACTIVE` where it is NaN."""
        bounds = self.edges[1:-1] if len(self.edges) else (self.levels[1:] + self.levels[:-1]) / 2
        # Bounds are few: so many comparisons of a column take less than looking every value up.
        above = np.zeros(len(column), dtype=np.int8)
        for bound in bounds:
            above += column >= bound
        above += np.isnan(column) * np.int8(INACTIVE)  # which nothing is above
        return above.astype(np.intp)


MAX_LEVELS = 32
"""Values of a numeric axis that are counted one by one; beyond, intervals are."""

INTERVALS = 8
"""Intervals of an axis that is not counted value by value."""


def binning_of(parameter: SpaceParameter) -> Binning:
    """Return how a numeric parameter of the space is cut: by its values where they are few, else into intervals."""
    if (few := parameter.few_numbers(MAX_LEVELS)) is not None:
        return Binning(levels=few, edges=np.empty(0))
    codecs = [alternative.codec for alternative in parameter.alternatives]
    levels = [codec.levels for codec in codecs if codec.levels is not None]
    ends = np.concatenate([codec.decode(np.array([0.0, 1.0])) for codec in codecs] + levels)
    low, high = float(ends.min()), float(ends.max())
    log = all(getattr(codec, "log", False) for codec in codecs) or (low > 0 and high > 30 * low)
    edges = np.geomspace(low, high, INTERVALS + 1) if log else np.linspace(low, high, INTERVALS + 1)
    return Binning(levels=np.empty(0), edges=edges)

"""How far designs are from every constraint, counted in intervals of the margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray

PER_UNIT = 10
"""Intervals of a margin of 100 %."""

INTERVALS = 2 * PER_UNIT + 2
"""From -100 % to +100 %, and what lies below and above."""


@dataclass(frozen=True)
class MarginCount:
    """How many designs have a margin in an interval.

    Attributes:
        constraint: its label.
        low: lower end, part of the interval; minus infinity in the first.
        high: upper end; infinity in the last.
        designs: their number.
    """

    constraint: str
    low: float
    high: float
    designs: int


def interval_of(margin: FloatArray) -> NDArray[np.intp]:
    """Return the interval of each margin; those met are in the second half, those missed in the first."""
    scaled = margin * PER_UNIT
    np.clip(np.floor(scaled, out=scaled), -PER_UNIT - 1, PER_UNIT, out=scaled)
    scaled += PER_UNIT + 1
    return scaled.astype(np.intp)


def margin_counts(constraint: str, counts: NDArray[np.int64]) -> list[MarginCount]:
    """Return the intervals of one constraint that hold designs."""
    inner = [step / PER_UNIT for step in range(-PER_UNIT, PER_UNIT + 1)]
    ends = [float("-inf"), *inner, float("inf")]
    return [
        MarginCount(constraint, ends[place], ends[place + 1], int(counts[place])) for place in np.flatnonzero(counts)
    ]

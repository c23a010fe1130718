"""Patterns: the set of constraints that a design breaks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Pattern = tuple[int, ...]
"""Positions of the constraints that a design breaks."""


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

"""Patterns: the set of constraints that a design breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


MOST_COUNTED = 16
"""Constraints up to which every possible pattern has a place in a table; beyond, patterns are sorted."""


def distinct_patterns(broken: Sequence[NDArray[np.bool_]]) -> tuple[list[Pattern], NDArray[np.intp]]:
    """Return the patterns that occur, and which of them each row has.

    Args:
        broken: one ``(n,)`` mask per constraint, at least one.
    """
    width = len(broken)
    words = [_word(broken[start : start + _BITS]) for start in range(0, width, _BITS)]
    if width <= MOST_COUNTED:
        present = np.flatnonzero(np.bincount(words[0], minlength=1 << width))
        place = np.zeros(1 << width, dtype=np.intp)
        place[present] = np.arange(len(present))
        keys, which = present[:, None], place[words[0]]
    else:
        keys, which = np.unique(np.stack(words, axis=1), axis=0, return_inverse=True)
    return [_unpacked(key) for key in keys.tolist()], which.reshape(-1)


_BITS = 62


def _word(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return masks as the bits of one number per row."""
    word = masks[0].astype(np.int64)
    for place, mask in enumerate(masks[1:], start=1):
        word |= mask.astype(np.int64) << place
    return word


def _unpacked(key: Sequence[int]) -> Pattern:
    return tuple(
        number * _BITS + place for number, word in enumerate(key) for place in range(_BITS) if word >> place & 1
    )

"""Patterns: the set of constraints that a design breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dse.packing import Data, Record

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


MAX_COUNTED = 14
"""Constraints that some rows break and some do not, up to which every possible pattern has a place in a table; beyond,
patterns are sorted."""

_BITS = 62


def distinct_patterns(broken: Sequence[NDArray[np.bool_]]) -> tuple[list[Pattern], NDArray[np.intp]]:
    """Return the patterns that occur, and which of them each row has.

    Args:
        broken: one ``(n,)`` mask per constraint, at least one.
    """
    rows = len(broken[0])
    counts = [int(np.count_nonzero(mask)) for mask in broken]
    always = tuple(place for place, count in enumerate(counts) if count == rows)
    varied = [place for place, count in enumerate(counts) if 0 < count < rows]
    words = [
        _word([broken[place] for place in varied[start : start + _BITS]]) for start in range(0, len(varied), _BITS)
    ]
    if not words:
        keys, which = np.zeros((min(rows, 1), 1), dtype=np.int64), np.zeros(rows, dtype=np.intp)
    elif len(varied) <= MAX_COUNTED:
        present = np.flatnonzero(np.bincount(words[0], minlength=1 << len(varied)))
        place = np.zeros(1 << len(varied), dtype=np.intp)
        place[present] = np.arange(len(present))
        keys, which = present[:, None], place[words[0]]
    elif len(words) == 1:
        distinct, which = np.unique(words[0], return_inverse=True)
        keys = distinct[:, None]
    else:
        keys, which = np.unique(np.stack(words, axis=1), axis=0, return_inverse=True)
    patterns = [tuple(sorted((*always, *(varied[bit] for bit in _bits(key))))) for key in keys.tolist()]
    return patterns, which.reshape(-1)


def _word(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return masks as the bits of one number per row."""
    word = masks[0].astype(np.int64)
    for place, mask in enumerate(masks[1:], start=1):
        word |= mask.astype(np.int64) << place
    return word


def _bits(key: Sequence[int]) -> list[int]:
    return [number * _BITS + place for number, word in enumerate(key) for place in range(_BITS) if word >> place & 1]


def count_patterns(
    held: dict[Pattern, int], patterns: Sequence[Pattern], counts: Sequence[int] | NDArray[np.intp]
) -> None:
    """Add the number of rows of each pattern."""
    for pattern, count in zip(patterns, counts, strict=True):
        held[pattern] = held.get(pattern, 0) + int(count)


def count_values(
    held: dict[Pattern, NDArray[np.int64]],
    patterns: Sequence[Pattern],
    which: NDArray[np.intp],
    codes: NDArray[np.intp],
    n_values: int,
) -> NDArray[np.intp]:
    """Count rows by pattern and value of an axis, and return the values that occur."""
    table = np.bincount(which * n_values + codes, minlength=len(patterns) * n_values).reshape(-1, n_values)
    add_tables(held, dict(zip(patterns, table, strict=True)))
    return np.flatnonzero(table.any(axis=0))


def add_tables(held: dict[Pattern, NDArray[np.int64]], added: Mapping[Pattern, NDArray[np.int64]]) -> None:
    """Add the numbers of rows of each pattern, value by value."""
    for pattern, counts in added.items():
        held[pattern] = held[pattern] + counts if pattern in held else counts


def counts_data(held: Mapping[Pattern, int] | Mapping[Pattern, NDArray[np.int64]], labels: int) -> Data:
    """Return counts by pattern as plain data: which constraints each pattern breaks, and what was counted of it."""
    broken = np.zeros((len(held), labels), dtype=bool)
    rows = np.repeat(np.arange(len(held)), [len(pattern) for pattern in held])
    broken[rows, list(chain.from_iterable(held))] = True
    return {"broken": broken, "counts": np.array(list(held.values()), dtype=np.int64)}


def counts_of(record: Record, labels: int, values: int | None = None) -> dict[Pattern, NDArray[np.int64]]:
    """Return what `counts_data` made plain data of.

    Args:
        record: the data.
        labels: number of constraints.
        values: counts of each pattern; a single one where None.

    Raises:
        RecordError: it is something else.
    """
    broken = record.array("broken", np.bool_, None, labels)
    if not len(broken):
        return {}
    counts = record.array("counts", np.int64, *([len(broken)] if values is None else [len(broken), values]))
    patterns = (tuple(np.flatnonzero(row).tolist()) for row in broken)
    return dict(zip(patterns, counts, strict=True))

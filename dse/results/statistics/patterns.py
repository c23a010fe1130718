"""Patterns: the set of constraints that a design breaks, and how many designs have each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dse.packing import Data, Record

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]


class PatternCounts:
    """How many designs break which constraints, in all and by the value of every axis.

    Args:
        labels: number of constraints.
        values: number of counted values of every axis.

    Attributes:
        broken: ``(patterns, labels)`` which constraints each pattern breaks, in the order in which they were met.
        totals: ``(patterns,)`` designs.
        by_axis: ``(patterns, values)`` designs, by axis.
    """

    def __init__(self, labels: int, values: Mapping[str, int]) -> None:
        self.broken: Mask = np.empty((0, labels), dtype=bool)
        self.totals: Counts = np.empty(0, dtype=np.int64)
        self.by_axis = {axis: np.empty((0, count), dtype=np.int64) for axis, count in values.items()}
        self._places: dict[bytes, int] = {}

    def __bool__(self) -> bool:
        return bool(len(self.totals))

    def add(self, broken: Sequence[Mask], codes: Mapping[str, NDArray[np.intp]]) -> dict[str, Mask]:
        """Count designs.

        Args:
            broken: ``(n,)`` which designs break each constraint.
            codes: ``(n,)`` the value of each design, by axis.

        Returns:
            Which values of each axis there are among them.
        """
        patterns, which = distinct_patterns(broken)
        places, rows = self._places_of(patterns), len(patterns)
        self.totals[places] += np.bincount(which, minlength=rows)
        present = {}
        for axis, held in self.by_axis.items():
            values = held.shape[1]
            table = np.bincount(which * values + codes[axis], minlength=rows * values).reshape(rows, values)
            held[places] += table
            present[axis] = np.asarray(table.any(axis=0))
        return present

    def merge(self, later: PatternCounts) -> None:
        """Count what another one has counted."""
        places = self._places_of(later.broken)
        self.totals[places] += later.totals
        for axis, held in self.by_axis.items():
            held[places] += later.by_axis[axis]

    def _places_of(self, broken: Mask) -> NDArray[np.intp]:
        """Return the places of different patterns; new ones get the next."""
        known, places = len(self._places), self._places
        keys = [row.tobytes() for row in np.packbits(broken, axis=1)]
        found = np.array([places.setdefault(key, len(places)) for key in keys], dtype=np.intp)
        if new := len(places) - known:
            self.broken = np.concatenate([self.broken, broken[found >= known]])
            self.totals = np.append(self.totals, np.zeros(new, dtype=np.int64))
            for axis, held in self.by_axis.items():
                self.by_axis[axis] = np.concatenate([held, np.zeros((new, held.shape[1]), dtype=np.int64)])
        return found

    def violated(self) -> Counts:
        """Return ``(labels,)`` how many designs break each constraint."""
        return np.asarray(self.totals @ self.broken)

    def breaking_only(self, label: int) -> int:
        """Return how many designs break this constraint and no other."""
        only = self.broken[:, label] & (self.broken.sum(axis=1) == 1)
        return int(self.totals[only].sum())

    def state(self) -> Data:
        """Return what was counted as plain data (`dse.packing`)."""
        axes = [{"counts": held} for held in self.by_axis.values()]
        return {"broken": self.broken, "totals": self.totals, "axes": axes}

    def restore(self, record: Record) -> PatternCounts:
        """Become what a state says, and return itself.

        Raises:
            RecordError: it is of other constraints or axes.
        """
        broken, axes = record.array("broken", np.bool_, None, self.broken.shape[1]), record.parts("axes")
        self._places_of(broken)
        if len(self.broken) != len(broken) or len(axes) != len(self.by_axis):
            raise record.wrong("broken", "different patterns of the axes of this sweep")
        self.totals = record.array("totals", np.int64, len(broken))
        for (axis, held), one in zip(list(self.by_axis.items()), axes, strict=True):
            self.by_axis[axis] = one.array("counts", np.int64, *held.shape)
        return self


def removing(broken: Mask, counts: Counts) -> dict[int, int]:
    """Return the constraints that leave no design, with the number of designs that each breaks.

    Args:
        broken: ``(patterns, labels)`` which constraints each pattern breaks, at least one.
        counts: ``(patterns,)`` designs.

    Returns:
        Every constraint that breaks all the designs; where there is none, a small set of constraints such that every
        design breaks at least one: the most frequent, then the most frequent among the rest, and so on.
    """
    violated = counts @ broken
    chosen = np.flatnonzero(violated == counts.sum()).tolist()
    rest = np.zeros_like(counts) if chosen else counts
    while rest.any():
        chosen.append(int(np.argmax(rest @ broken)))
        rest = np.where(broken[:, chosen[-1]], 0, rest)
    return {place: int(violated[place]) for place in chosen}


MAX_COUNTED = 14
"""Constraints that some rows break and some do not, up to which every possible pattern has a place in a table; beyond,
patterns are sorted."""

_BITS = 62


def distinct_patterns(broken: Sequence[Mask]) -> tuple[Mask, NDArray[np.intp]]:
    """Return the patterns that occur, ``(patterns, constraints)``, and which of them each row has.

    Args:
        broken: one ``(n,)`` mask per constraint, at least one.
    """
    rows = len(broken[0])
    counts = [int(np.count_nonzero(mask)) for mask in broken]
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
    patterns = np.zeros((len(keys), len(broken)), dtype=bool)
    patterns[:, [place for place, count in enumerate(counts) if count == rows]] = True
    for bit, label in enumerate(varied):
        patterns[:, label] = keys[:, bit // _BITS] >> bit % _BITS & 1
    return patterns, which.reshape(-1)


def _word(masks: Sequence[Mask]) -> NDArray[np.int64]:
    """Return masks as the bits of one number per row."""
    kind: Any = np.int16 if len(masks) <= MAX_COUNTED else np.int64
    word = masks[0].astype(kind)
    for place, mask in enumerate(masks[1:], start=1):
        word |= np.left_shift(mask, kind(place), dtype=kind)
    return word.astype(np.int64)

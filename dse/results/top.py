"""The feasible designs with the best values of one objective, whatever their others."""

from __future__ import annotations

import numpy as np

from dse.results.rows import Rows, distinct, joined

TOP = 20
"""Designs kept per objective."""


class Top:
    """Keeps the best feasible designs by one objective, each design once; of equal ones the lowest id first.

    Args:
        objective: its place among the objectives.
        size: most designs.

    Attributes:
        rows: the designs, best first; None where none is feasible.
    """

    def __init__(self, objective: int, size: int = TOP) -> None:
        self._objective, self._size = objective, size
        self.rows: Rows | None = None

    def add(self, rows: Rows) -> None:
        """Take the next rows, from anywhere in the stream."""
        values = rows.evaluation.objectives[:, self._objective]
        limit = np.inf
        if self.rows is not None and len(self.rows) == self._size:
            limit = self.rows.evaluation.objectives[-1, self._objective]
        near = np.flatnonzero(rows.evaluation.feasible & (values <= limit))
        near = near[np.lexsort((rows.ids[near], values[near]))]
        # The same design met again takes up places, so so many are looked at that enough differ.
        count = 5 * self._size
        while len(near):
            held = [self.rows] if self.rows is not None else []
            chosen = self._best(joined([*held, rows.take(near[:count])]))
            if len(chosen) == self._size or count >= len(near):
                self.rows = chosen
                return
            count *= 10

    def _best(self, rows: Rows) -> Rows:
        order = np.lexsort((rows.ids, rows.evaluation.objectives[:, self._objective]))
        return rows.take(distinct(rows, order)[: self._size])

    def merge(self, other: Top) -> None:
        """Take over what another one has kept of other rows."""
        if other.rows is not None:
            self.add(other.rows)

    def renumber(self, offset: int) -> None:
        """Add `offset` to every id."""
        self.rows = None if self.rows is None else self.rows.numbered(offset)

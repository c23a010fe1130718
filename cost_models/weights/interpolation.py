"""A smooth function of several columns, interpolated between its values on a grid.

Along each column stand the values themselves where they are few, else Chebyshev points between the least and the
greatest, on a scale on which the function is smooth. A polynomial through as many points as its degree asks for is then
as close as the function is smooth (Trefethen, Approximation Theory and Approximation Practice); its values come from
the barycentric form, which takes any points (Berrut and Trefethen, SIAM Review 46, 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray
from cost_models.tape import asarray

ROWS = 1 << 12
"""Rows interpolated at a time: what they are made of stays in the cache."""

Column = tuple[FloatArray, NDArray[np.intp]]
"""Values, and which of them each row has."""


@dataclass(frozen=True)
class Scale:
    """What a column is taken to, and back to values that the function takes."""

    to: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Axis:
    """Where along a column the function is known: `nodes`, ``(m,)``, and on which scale it is smooth."""

    nodes: FloatArray
    scale: Scale

    @classmethod
    def between(cls, values: FloatArray, count: int, scale: Scale) -> Axis:
        """Return an axis of at most `count` nodes for distinct values, ``(n,)`` and sorted."""
        if len(values) <= count:
            return cls(values, scale)
        first, last = scale.to(values[[0, -1]])
        points = (first + last) / 2 + (first - last) / 2 * np.cos(np.pi * np.arange(count) / (count - 1))
        return cls(np.unique(np.clip(scale.back(points), values[0], values[-1])), scale)

    def weights(self, values: FloatArray) -> FloatArray:
        """Return the weights of the nodes at so many values, ``(m, n)``; each value's add up to 1."""
        at = self.scale.to(self.nodes)
        apart = (at[:, None] - at) * 4 / max(np.ptp(at), np.finfo(np.float64).tiny)
        np.fill_diagonal(apart, 1.0)
        away = self.scale.to(values) - at[:, None]
        met = away == 0
        shares = 1 / apart.prod(axis=1, keepdims=True) / np.where(met, 1.0, away)
        shares = np.where(met.any(axis=0), met, shares)
        return asarray(shares / shares.sum(axis=0))


def interpolated(known: FloatArray, axes: Sequence[Axis], columns: Sequence[Column]) -> FloatArray:
    """Return the function at every row, ``(n,)``.

    Args:
        known: its values at all nodes, ``(m, ...)`` in the order of the axes.
        axes: of the columns.
        columns: what the function is asked for at.
    """
    # The column of most nodes first: it is done once for each of its values, the others for each row.
    order = sorted(range(len(axes)), key=lambda place: -len(axes[place].nodes))
    (first, index), *others = [(axes[place].weights(columns[place][0]), columns[place][1]) for place in order]
    table = np.einsum("mk,mv->kv", known.transpose(order).reshape(len(first), -1), first)
    result = np.empty(len(index))
    for begin in range(0, len(result), ROWS):
        rows = slice(begin, begin + ROWS)
        part = table.take(index[rows], axis=1)
        for weights, which in others:
            if len(weights) > 1:
                part = part.reshape(len(weights), -1, part.shape[-1])
                part = np.einsum("mkr,mr->kr", part, weights.take(which[rows], axis=1))
        result[rows] = part[0]
    return result

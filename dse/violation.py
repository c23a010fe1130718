"""How infeasible a design is: one number for samplers, reports, relaxations and sizing alike.

A condition (limit, constraint) counts by how far it is missed relative to its bound: 1.0 means missed by 100 %.
What has no value, as the speed of a design that cannot hold the model, counts `MISSING`; no other miss comes near
that, so a design that cannot run ranks after every one that runs, however slow, and among those by what else they miss.

A condition that is missed without a measure of how far counts 1 (`dse.margins.UNMET`). Samplers that rank by
objectives put `dse.samplers.base.BEYOND_ANY` for an objective without a value: it orders such designs last, and is
summed nowhere.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from cost_models.table import FloatArray
from dse.evaluator import Evaluation

MISSING = 1e9
"""Violation of a constraint or objective without a value."""

MAX_MISS = 1e6
"""Most that one missed condition counts: a thousand of them are still less than one missing value."""


def violations(found: Evaluation, *, without: Collection[str] = ()) -> FloatArray:
    """Return ``(n, conditions + 1)`` what each condition is missed by, 0 where met; last, what has no value.

    Args:
        found: evaluated designs.
        without: labels of conditions that do not count.
    """
    parts = [np.clip(-margin, 0.0, MAX_MISS) for label, margin in found.margins.items() if label not in without]
    return np.stack([*parts, _absent(found)]).T  # each condition in one piece


def _absent(found: Evaluation) -> FloatArray:
    return np.zeros(len(found.feasible)) if found.missing is None else MISSING * found.missing.astype(np.float64)


def violation(found: Evaluation, *, without: Collection[str] = ()) -> FloatArray:
    """Return ``(n,)`` how far each design is from feasible: 0 where it is, else its summed `violations`."""
    total = np.zeros(len(found.feasible))
    for label, margin in found.margins.items():
        if label not in without and not margin.min(initial=0.0) >= 0:
            total += np.clip(-margin, 0.0, MAX_MISS)
    return total + _absent(found)


def summed(columns: FloatArray) -> FloatArray:
    """Return ``(n,)`` sums of rows, which do not depend on how many rows there are."""
    # One column after the other: a sum over an axis may group its terms by the number of rows.
    total = np.zeros(len(columns))
    for column in columns.T:
        total += column
    return total

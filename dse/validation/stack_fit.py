"""Fitting the constants of a stack to measured times: robust least squares on the logarithm of predicted over measured.

Every constant is pulled towards its start by its spread; rows beyond a knee pull only in proportion to their distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.table import Choice, FloatArray, Number
from dse.validation import requests

STEP = 0.03
"""Step of a logarithm by which slopes are taken."""


@dataclass(frozen=True)
class Fit:
    """Constants of one stack from some rows.

    Attributes:
        values: constant to value.
        errors: standard error of each logarithm.
        rows: rows used.
        sources: their sources.
        miss: median absolute relative error on them.
    """

    values: Mapping[str, float]
    errors: Mapping[str, float]
    rows: int
    sources: tuple[str, ...]
    miss: float


@dataclass(frozen=True)
class Pull:
    """How rows and starts pull.

    Attributes:
        row: weight of each row over the standard error of its log ratio.
        spread: natural logarithm by which a constant may leave its start at the cost of one standard error.
        knee: log ratio beyond which a row's pull grows only linearly.
    """

    row: FloatArray
    spread: Number
    knee: float


def log_ratios(rows: pd.DataFrame, stack: str, technology: Technology) -> FloatArray:
    """Return the logarithm of predicted over measured time of rows under a stack."""
    choice = Choice.same(stack, len(rows))
    predicted = requests.predict(rows, technology, stack=choice, bounds=False)["predicted_s"]
    return np.asarray(np.log(predicted.to_numpy() / rows["measured_s"].to_numpy()))


def fit_constants(
    rows: pd.DataFrame,
    stack: str,
    start: Mapping[str, float],
    pull: Pull,
    library: Library,
    *,
    fixed: Mapping[str, float] | None = None,
    guess: Mapping[str, float] | None = None,
) -> Fit:
    """Return the constants of a stack that predict rows best, searched from `guess` where there is one.

    Args:
        rows: prepared, with ``measured_s`` and ``source``.
        stack: whose constants.
        start: constant to what it is pulled to, above 0.
        pull: how strongly.
        library: where the stack is.
        fixed: further constants of the stack that hold meanwhile.
        guess: constant to the value at which the search begins.
    """
    from scipy.optimize import least_squares

    rows = rows.reset_index(drop=True)
    names, first = list(start), np.array([float(value) for value in start.values()])
    held = {f"stacks.{stack}.{name}": value for name, value in (fixed or {}).items()}

    def log_ratio(x: FloatArray) -> FloatArray:
        moved = {f"stacks.{stack}.{n}": v for n, v in zip(names, first * np.exp(x), strict=True)}
        return log_ratios(rows, stack, Technology({**held, **moved}, library=library))

    def misfit(x: FloatArray) -> FloatArray:
        ratio = log_ratio(x)
        soft = np.sign(ratio) * pull.knee * np.sqrt(2 * (np.sqrt(1 + (ratio / pull.knee) ** 2) - 1))
        return np.concatenate([pull.row * soft, x / pull.spread])

    most = (library.parameters[f"stacks.{stack}.{name}"].bounds.high for name in names)
    upper = np.minimum(np.log(np.array(list(most)) / first), 6.0) + 1e-9
    lower = np.full(len(names), -6.0)

    def slopes(x: FloatArray) -> FloatArray:
        here = misfit(x)
        columns = []
        for k in range(len(x)):
            step = STEP if x[k] + STEP <= upper[k] else -STEP
            moved = x.copy()
            moved[k] += step
            columns.append((misfit(moved) - here) / step)
        return np.stack(columns, axis=1)

    result = least_squares(
        misfit,
        np.clip(np.log([(guess or start)[name] / float(start[name]) for name in names]), lower + 1e-6, upper - 1e-6),
        jac=slopes,
        bounds=(lower, upper),
        xtol=1e-3,
        ftol=1e-4,
        max_nfev=10,
    )
    jacobian = np.asarray(result.jac, dtype=np.float64)
    spreads = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    values = {name: float(value) for name, value in zip(names, first * np.exp(result.x), strict=True)}
    miss = float(np.median(np.abs(np.expm1(log_ratio(result.x)))))
    return Fit(
        values, dict(zip(names, spreads.tolist(), strict=True)), len(rows), tuple(sorted(rows["source"].unique())), miss
    )

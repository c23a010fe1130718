"""What the law of all models leaves of single ones: some lose more or less by quantisation than their training says.

Effects of models are random, around those of their families, as `e = family + model + source` with normal terms. Their
spreads are the likeliest ones, effects the best linear unbiased predictions under them: shrunk towards the family's the
less sources there are. An effect that cannot be told from none (its 90 % interval holds 0) counts as none.

k-quants are left out: their mixtures of widths and short groups show none of what harms integers of some models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from cost_models.table import FloatArray
from cost_models.weights.quality import UNAFFECTED

SCORE = 1.645
"""Standard deviations from the middle to either end of a 90 % interval."""
CERTAIN_RISE = 0.005
"""Smaller rises are the rounding of the printed numbers."""
EDGE = (-12.0, 3.0)
"""Where logarithms of variances are looked for."""


@dataclass(frozen=True)
class Effect:
    """Logarithm of a model's damage over the law's: the middle and the ends of its 90 % interval."""

    middle: float
    low: float
    high: float

    @property
    def is_told(self) -> bool:
        """Whether it can be told from none."""
        return self.low > 0 or self.high < 0


def effects_of(rows: pd.DataFrame, predicted: FloatArray) -> dict[str, Effect]:
    """Return the effect of every lineage of the rows.

    Args:
        rows: measurements with y, lineage, model_family, source and method_class.
        predicted: y of the law, row by row.
    """
    taken = affected(rows) & (rows["y"] > CERTAIN_RISE).to_numpy() & (rows["y"] < 1).to_numpy()
    seen = rows[taken].assign(error=np.log(rows["y"].to_numpy() / predicted)[taken])
    seen = seen.groupby(["lineage", "model_family", "source"])["error"].median().reset_index()
    names = seen["lineage"].unique().tolist()
    families = seen.drop_duplicates("lineage").set_index("lineage")["model_family"]
    own = _incidence(seen["lineage"], names)
    family = _incidence(seen["model_family"], families.unique().tolist())
    shared = _incidence(families[names], families.unique().tolist())
    error = seen["error"].to_numpy(dtype=np.float64)

    def covariance(logs: FloatArray) -> FloatArray:
        between, within, source = np.exp(logs)
        return np.asarray(between * family @ family.T + within * own @ own.T + source * np.eye(len(error)))

    def unlikelihood(logs: FloatArray) -> float:
        whole = covariance(logs)
        return float(np.linalg.slogdet(whole)[1] + error @ np.linalg.solve(whole, error))

    logs = minimize(unlikelihood, np.log([0.1, 0.1, 0.1]), method="L-BFGS-B", bounds=[EDGE] * 3).x
    between, within, _ = np.exp(logs)
    whole = covariance(logs)
    with_rows = between * shared @ family.T + within * own.T
    middle = with_rows @ np.linalg.solve(whole, error)
    variance = between + within - (with_rows * np.linalg.solve(whole, with_rows.T).T).sum(axis=1)
    ends = SCORE * np.sqrt(np.maximum(variance, 0))
    values = zip(middle.tolist(), (middle - ends).tolist(), (middle + ends).tolist(), strict=True)
    return {name: Effect(*one) for name, one in zip(names, values, strict=True)}


def affected(rows: pd.DataFrame) -> np.ndarray:
    """Return the rows of methods that the effects hold for."""
    return ~rows["method_class"].isin(UNAFFECTED).to_numpy()


def factors_of(rows: pd.DataFrame, effects: dict[str, Effect]) -> FloatArray:
    """Return what the law's damage of each row is to be multiplied by."""
    told = {name: np.exp(one.middle) for name, one in effects.items() if one.is_told}
    return np.where(affected(rows), rows["lineage"].map(told).fillna(1.0).to_numpy(dtype=np.float64), 1.0)


def learnt_factors(train: pd.DataFrame, predicted: FloatArray, rows: pd.DataFrame) -> FloatArray:
    """Return the factors of rows by the effects that other rows show, for `cross_validate`."""
    return factors_of(rows, effects_of(train, predicted))


def _incidence(values: pd.Series, names: list[str]) -> FloatArray:
    return np.array([[value == name for name in names] for value in values], dtype=np.float64)

"""Which parameters of the space decide: Sobol' indices of what the sweep asks for, over the whole space.

First order is the share of a metric's variance that goes with one parameter alone, total with its interactions included
(Saltelli et al. 2010, as in `scipy.stats.sobol_indices`); designs are drawn evenly from the unit cube of the space.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models.table import FloatArray
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import Spec

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 1024
"""Base samples; (parameters + 2) times as many designs are evaluated."""

FILE = "sensitivity.csv"
"""Name of the table in a run directory."""


def space_sensitivity(spec: Spec, *, samples: int = SAMPLES, seed: int = 0) -> pd.DataFrame:
    """Return the Sobol' indices of every parameter that varies for every metric that the sweep asks for.

    Metrics are taken in their logarithm where they are positive throughout. A design without a value (its chips hold no
    model) counts as the worst value seen, so that what decides whether a model fits counts as well.

    Args:
        spec: the sweep; at least one parameter varies.
        samples: base samples, a power of two.
        seed: seed of the samples.

    Returns:
        One row per metric and parameter: metric, parameter, first_order, total_order; 0 where a metric does not vary.
    """
    import pandas as pd
    from scipy import stats

    space, evaluator = Space(spec), Evaluator(spec)
    wanted_small = {one.metric: one.direction == "minimize" for one in spec.objectives}
    for constraint in spec.constraints:
        wanted_small.setdefault(constraint.metric, constraint.max is not None or constraint.near is not None)

    axes = len(space.dimensions)

    def outputs(unit: FloatArray) -> FloatArray:
        result = evaluator.evaluate(space.decode(unit.T[:, :axes]), metrics=())
        return np.stack([_complete(result.metrics[metric], small) for metric, small in wanted_small.items()])

    with warnings.catch_warnings():
        # A metric that nothing moves has no variance to share out.
        warnings.simplefilter("ignore", RuntimeWarning)
        # SciPy drops the axis of a single parameter, so that one gets a second beside it which nothing reads.
        dists: Any = [stats.uniform()] * max(axes, 2)
        result = stats.sobol_indices(func=outputs, n=samples, dists=dists, rng=np.random.default_rng(seed))
    first, total = (indices.reshape(-1, len(dists)) for indices in (result.first_order, result.total_order))
    return pd.DataFrame([
        {"metric": metric, "parameter": parameter, "first_order": first[k, j], "total_order": total[k, j]}
        for k, metric in enumerate(wanted_small)
        for j, parameter in enumerate(space.dimensions)
    ])  # fmt: skip


def _complete(values: FloatArray, wanted_small: bool) -> FloatArray:
    """Return a metric in its logarithm where it is positive, the worst value where it is missing."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(len(values))
    filled = np.where(np.isfinite(values), values, known.max() if wanted_small else known.min())
    return np.log(filled) if filled.min() > 0 else filled


def write_sensitivity(spec: Spec, directory: Path) -> pd.DataFrame:
    """Write the indices of a run's sweep into its directory and return them."""
    table = space_sensitivity(spec)
    table.to_csv(directory / FILE, index=False, float_format="%.6g", lineterminator="\n", encoding="utf-8")
    return table

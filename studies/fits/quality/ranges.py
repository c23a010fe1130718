"""Where the quality fits have data: beyond these limits a prediction counts as extrapolated."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from studies.fits.quality.fit import Constants
from studies.fits.quality.rows import PRUNING_RISE

ROWS_OF_A_MODEL = 5
"""Models with fewer rows do not extend the range."""


def ranges(quantised: pd.DataFrame, pruned: pd.DataFrame) -> Constants:
    """Return the limits of the data by path: bits per method, group, sparsity, block, model size, training tokens.

    The greatest sparsity is the last at which half of the rows or more are within the pruning fit.
    """
    bits = quantised.groupby("method_class")["bits"].agg(["min", "max"])
    result = {f"quantisation.least_bits.{name}": math.floor(low * 100) / 100 for name, low in bits["min"].items()}
    result |= {f"quantisation.most_bits.{name}": math.ceil(high * 100) / 100 for name, high in bits["max"].items()}
    result["quantisation.least_group"] = float(quantised.loc[quantised["group"] > 0, "group"].min())
    free, confined = pruned[np.isinf(pruned["block"])], pruned[np.isfinite(pruned["block"])]
    usable = (free["y"] < PRUNING_RISE).groupby(free["sparsity"]).mean()
    result["pruning.least_sparsity"] = float(free["sparsity"].min())
    result["pruning.most_sparsity"] = float(usable[usable >= 0.5].index.max())
    result["pruning.least_block"], result["pruning.most_block"] = (
        float(confined["block"].agg(f)) for f in ("min", "max")
    )
    return result | _models("quantisation", quantised) | _models("pruning", pruned)


def _models(section: str, rows: pd.DataFrame) -> Constants:
    often = rows[rows.groupby("model")["y"].transform("size") >= ROWS_OF_A_MODEL]
    return {
        f"{section}.smallest_model": _two_digits(often["params_B"].min(), math.floor),
        f"{section}.largest_model": _two_digits(often["params_B"].max(), math.ceil),
        f"{section}.least_tokens": float(often["tokens"].min()),
        f"{section}.most_tokens": float(often["tokens"].max()),
    }


def _two_digits(value: float, rounded) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(rounded(value / step) * step, 6)

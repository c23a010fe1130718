"""Constants of quantised KV caches: from ``kv_cache.csv``, and from the observations of ``quality.yaml``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.library.files import read_yaml
from cost_models.weights.quality import CALIBRATED, GROUPED, ROTATED
from studies.fits.quality.fit import Constants

RUNAWAY_BITS = 3.0
"""Below, errors of grouped scales feed on each other."""
ABOVE = 0.95
"""Percentile of the residuals of ln u that bounds the interval."""


def read_caches(alpha: float) -> pd.DataFrame:
    """Return the rows with their damage u at 2 trillion tokens, (T / 2)^alpha taken out."""
    library = shipped_library()
    rows = pd.read_csv(library.data_file("kv_cache.csv"))
    models = pd.read_csv(library.data_file("quality_models.csv")).set_index("model")
    tokens = rows["model"].map(models["training_tokens_trillions"])
    y = np.log(rows["ppl"] / rows["ppl_wide"])
    rows["training"] = (tokens / 2) ** alpha
    rows["u"] = y / (1 - y / library.parameter("quality.ceiling").typ) / rows["training"]
    return rows


def kv_constants(alpha: float, rows: pd.DataFrame | None = None) -> Constants:
    """Return every constant of every way to quantise a cache.

    Least squares of ln u over bits; where grouped scales run away, the median of the rate that their rows show.

    Args:
        alpha: exponent of training tokens, that of weights.
        rows: those of `read_caches` to fit to; all where None.
    """
    result = _rotated(alpha)
    rows = read_caches(alpha) if rows is None else rows
    for method in (GROUPED, CALIBRATED):
        own = rows[rows["method"] == method]
        usual = own[(own["bits"] >= RUNAWAY_BITS) | (method == CALIBRATED)]
        slope, at_4 = np.polyfit(usual["bits"] - 4, np.log2(usual["u"]), 1)
        left = np.log(usual["u"]) - np.log(2) * (at_4 + slope * (usual["bits"] - 4))
        rest = own.drop(usual.index)
        z = rest["training"] * np.exp2(at_4 + slope * (rest["bits"] - 4))
        rate = np.sqrt(np.log(rest["u"] * rest["training"] / z)) / z
        result |= {
            f"kv.damage_at_4_bit.{method}": float(np.exp2(at_4)),
            f"kv.decay_per_bit.{method}": float(-slope),
            f"kv.spread_above.{method}": float(left.quantile(ABOVE)),
            f"kv.least_bits.{method}": float(own["bits"].min()),
            f"kv.runaway.{method}": float(rate.median()) if len(rest) else 0.0,
        }
    return result


def _rotated(alpha: float) -> Constants:
    """Return the damage at 4 bits and T = 2, and ln of the worst measurement over it.

    Measurements are the list ``kv.observations`` of quality.yaml; a mean of y over a mean of (T / 2)^alpha.
    """
    observed = read_yaml(shipped_library().directory / "data" / "quality.yaml")["quality"]["kv"]["observations"]
    y = np.array([entry["y"] for entry in observed])
    weight = np.array([(entry["tokens"] / 2) ** alpha for entry in observed])
    damage, worst = float(y.sum() / weight.sum()), float((y / weight).max())
    return {
        f"kv.damage_at_4_bit.{ROTATED}": damage,
        f"kv.spread_above.{ROTATED}": float(np.log(worst / damage)),
    }

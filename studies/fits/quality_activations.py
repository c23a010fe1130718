"""Constants of quantised activations and of 4-bit floating-point weights, from ``activations.csv``.

A rise of ln perplexity is that of a model over the same model with wide activations (its weights as narrow), or over
the dense model where weights have 8 bits or 6, whose own rise is below the rounding of the printed numbers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.table import FloatArray
from cost_models.weights.activations import ACT_METHODS, FLOATING, ROTATED, SCALED
from studies.fits.quality.fit import Constants

CLASSES = {
    "SmoothQuant": SCALED, "OmniQuant": SCALED, "QuaRot": ROTATED, "SpinQuant": ROTATED, "Atom": ROTATED,
    "FP8": FLOATING, "MXFP8": FLOATING, "NVFP4": FLOATING,
}  # fmt: skip
"""Method of a row to class; Atom keeps outlier channels in 8 bits instead of rotating them away."""
GROUPS = {"FP4": 128, "NVFP4": 16, "MXFP4": 32}
"""Weights per scale of the 4-bit floating-point formats."""
INTERVAL = (0.05, 0.95)
"""Percentiles of the residuals of ln u that bound the interval."""
MIN_CLASS_ROWS = 10
"""Rows from which a class has an interval of its own; others take that of the class before."""


def read_activations() -> pd.DataFrame:
    """Return the rows with y (rise of ln perplexity) and tokens (trillions)."""
    library = shipped_library()
    rows = pd.read_csv(library.data_file("activations.csv"))
    models = pd.read_csv(library.data_file("quality_models.csv")).set_index("model")
    rows["y"] = np.log(rows["ppl"] / rows["ppl_wide"]) - rows["other_y"]
    rows["tokens"] = rows["model"].map(models["training_tokens_trillions"])
    return rows


def activation_constants(quantisation: Constants) -> Constants:
    """Return damage, decay and interval of every class of activations, and factors of 4-bit floating-point weights.

    Least squares of ln u over bits; a class with rows at one width takes the decay of scaled integers.

    Args:
        quantisation: constants of the fit of weights.
    """
    rows = read_activations()
    ceiling = shipped_library().parameter("quality.ceiling").typ
    training = (rows["tokens"] / 2) ** quantisation["quantisation.alpha"]
    rows["u"] = rows["y"] / (1 - rows["y"] / ceiling) / training
    acts = rows[rows["what"] == "activations"]
    classes = acts["method"].map(CLASSES)
    result: Constants = {}
    for name in ACT_METHODS:
        bits = acts.loc[classes == name, "bits"].to_numpy(dtype=np.float64)
        u = np.log2(acts.loc[classes == name, "u"].to_numpy())
        if len(np.unique(bits)) > 1:
            slope, at_4 = np.polyfit(bits - 4, u, 1)
        else:
            slope, at_4 = -result[f"activations.decay_per_bit.{SCALED}"], u.mean()
        if len(bits) >= MIN_CLASS_ROWS:
            below, above = np.quantile((u - at_4 - slope * (bits - 4)) * np.log(2), INTERVAL)
        result |= {
            f"activations.damage_at_4_bit.{name}": float(2**at_4),
            f"activations.decay_per_bit.{name}": float(-slope),
            f"activations.least_bits.{name}": float(bits.min()),
            f"activations.spread_below.{name}": float(-below),
            f"activations.spread_above.{name}": float(above),
        }
    return result | _float_factors(rows[rows["what"] == "weights"], quantisation)


def _float_factors(rows: pd.DataFrame, quantisation: Constants) -> Constants:
    """Return what 4-bit floats cost over integers of their group, and scales without a mantissa over that."""
    group = rows["method"].map(GROUPS) / 128
    integers = quantisation["quantisation.damage_at_4_bit.rtn"] * group ** quantisation["quantisation.gamma"]
    over = np.log(rows["u"] / integers).groupby(rows["method"] == "MXFP4").mean()
    return {
        "quantisation.float_codes": float(np.exp(over[False])),
        "quantisation.power_of_two_scales": float(np.exp(over[True] - over[False])),
    }


def spread_of_factors(quantisation: Constants) -> FloatArray:
    """Return the least and the greatest factor of floating-point codes with fine scales among the rows."""
    rows = read_activations()
    rows = rows[(rows["what"] == "weights") & (rows["method"] != "MXFP4")]
    u = rows["y"] / (rows["tokens"] / 2) ** quantisation["quantisation.alpha"]
    group = rows["method"].map(GROUPS) / 128
    over = u / (quantisation["quantisation.damage_at_4_bit.rtn"] * group ** quantisation["quantisation.gamma"])
    return np.array([over.min(), over.max()])

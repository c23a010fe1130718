"""The entropy bound that no lossless code of a mask goes below (Shannon 1948)."""

from __future__ import annotations

import numpy as np

from cost_models.table import FloatArray, Number
from cost_models.tape import asarray


def binary_entropy(share: Number) -> FloatArray:
    """Return H(share) in bits: what a yes-or-no that is yes with that share costs at least."""
    from scipy import special

    share = asarray(share, dtype=np.float64)
    return asarray(-(special.xlogy(share, share) + special.xlogy(1 - share, 1 - share)) / np.log(2))[()]

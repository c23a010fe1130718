"""Designs of which only some constraints were looked at, and the counts of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.table import FloatArray


@dataclass(frozen=True)
class PrunedDesigns:
    """Designs that are infeasible by the constraints that were looked at, and were not evaluated.

    Attributes:
        margins: ``(n,)`` per constraint that was looked at.
        codes: ``(n,)`` per axis: the place of each design's value among those that are counted; where the parameter is
            inactive, the place behind the last.
    """

    margins: Mapping[str, FloatArray]
    codes: Mapping[str, NDArray[np.intp]]

    def __len__(self) -> int:
        return len(next(iter(self.margins.values())))

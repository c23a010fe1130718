"""Scores of predictions: per source, then the median over sources, so that no large source decides alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

ONE_SOURCE = {name: "trtllm_static" for name in ("trtllm_v050", "trtllm_v061", "trtllm_v080", "trtllm_v090")}
"""Editions of one table that vote once, the newest value counting."""


def source_of(rows: pd.DataFrame) -> pd.Series:
    """Return the source that each row votes for."""
    return rows["source_id"].replace(ONE_SOURCE)

"""How a benchmark was run, where its source prints it and it changes the work: not what a chip or its software is."""

from __future__ import annotations

import numpy as np
import pandas as pd


def same_prompts(rows: pd.DataFrame) -> pd.Series:
    """Return which rows serve one prompt many times, so that all sequences take the same experts."""
    reported = (
        rows["same_prompts"].astype(str).str.lower() if "same_prompts" in rows else pd.Series("", index=rows.index)
    )
    return reported.isin(["yes", "true", "1"])


def chunk_rows(rows: pd.DataFrame) -> pd.Series:
    """Return the most rows that a prefill takes together as a source prints it, NaN for the software's default."""
    reported = rows["chunk_rows"] if "chunk_rows" in rows else pd.Series(np.nan, index=rows.index)
    return reported.astype(np.float64)

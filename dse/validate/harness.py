"""How a benchmark was run, where its source prints it and it changes the work: not what a chip or its software is."""

from __future__ import annotations

import numpy as np
import pandas as pd

SAME_PROMPTS = {"llm_inference_bench": r"^TensorRT-LLM"}
"""Sources whose harness feeds one text to all sequences of a batch, with the software that it is so for.

LLM-Inference-Bench repeats one word in every prompt under TensorRT-LLM (``generate_input`` of
``TensorRT-LLM/*/run*.py``) and draws random tokens under vLLM. Other files say so in a column ``same_prompts``.
"""

CHUNK_ROWS = {"dgx_spark_llamacpp": 2048.0}
"""Sources that print the most rows that a prefill takes together, where it is not the software's default.

llama.cpp's own page on DGX Spark prints ``n_ubatch = 2048`` (benches/dgx-spark.md). Other files say so in a column
``chunk_rows``.
"""


def same_prompts(rows: pd.DataFrame) -> pd.Series:
    """Return which rows serve one prompt many times, so that all sequences take the same experts."""
    told = rows["same_prompts"].astype(str).str.lower() if "same_prompts" in rows else pd.Series("", index=rows.index)
    same = told.isin(["yes", "true", "1"])
    for source, pattern in SAME_PROMPTS.items():
        same |= (rows["source_id"] == source) & rows["software"].str.contains(pattern, regex=True)
    return same


def chunk_rows(rows: pd.DataFrame) -> pd.Series:
    """Return the most rows that a prefill takes together as a source prints it, NaN for the software's default."""
    told = rows["chunk_rows"] if "chunk_rows" in rows else pd.Series(np.nan, index=rows.index)
    return told.fillna(rows["source_id"].map(CHUNK_ROWS)).astype(np.float64)

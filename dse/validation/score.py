"""Scores of predictions: per source, then the median over sources, so that no large source decides alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cost_models.library import Library
from dse.time_intervals import NARROW_BITS

ONE_SOURCE = {name: "trtllm_static" for name in ("trtllm_v050", "trtllm_v061", "trtllm_v080", "trtllm_v090")}
"""Editions of one table that vote once, the newest value counting."""

QUANTITY_NAMES = {"decode": "decode", "prefill": "prefill", "request": "end to end"}

WIDE_BITS = 15.5
"""Stored bits from which weights count as 16-bit."""


def source_of(rows: pd.DataFrame) -> pd.Series:
    """Return the source that each row votes for."""
    return rows["source_id"].replace(ONE_SOURCE)


def collapse(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per experiment: repeats of one source become their median, of several editions the newest."""
    rows = rows.assign(source=source_of(rows)).sort_values(["source_id"], kind="stable")
    key = rows["config_key"].where(rows["config_key"] != "", rows.index.astype(str))
    newest = rows.groupby(["source", key, "quantity"])["source_id"].transform("max")
    kept = rows[rows["source_id"] == newest]
    key = key[kept.index]
    grouped = kept.groupby(["source", key, "quantity"], sort=False)
    one = grouped.first()
    for name in ("measured_s", "predicted_s", "bound_s"):
        one[name] = grouped[name].median()
    return one.drop(columns=[c for c in ("source", "quantity") if c in one.columns]).reset_index(
        names=["source", "key", "quantity"]
    )


def score(
    rows: pd.DataFrame, by: Sequence[str] = ("quantity", "source"), *, predicted: str = "predicted_s"
) -> pd.DataFrame:
    """Return error parameters of rows with ``measured_s`` and a prediction, one line per group.

    Columns: ``n``, ``mdape`` and ``mape`` (median and mean absolute percentage error of time, as fractions), ``bias``
    (geometric mean of predicted over measured, below 1 is too fast), ``p90`` (of the error), ``rank`` (Spearman's
    correlation of predicted and measured, NaN below three rows).
    """
    rows = rows[np.isfinite(rows[predicted]) & np.isfinite(rows["measured_s"])]
    ratio = rows[predicted] / rows["measured_s"]
    table = rows.assign(error=(ratio - 1).abs(), log=np.log(ratio))
    grouped = table.groupby(list(by), sort=True)
    out = pd.DataFrame(
        {
            "n": grouped.size(),
            "mdape": grouped["error"].median(),
            "mape": grouped["error"].mean(),
            "bias": np.exp(grouped["log"].mean()),
            "p90": grouped["error"].quantile(0.9),
        }
    )
    ranks = {name: _rank(part[predicted], part["measured_s"]) for name, part in grouped}
    out["rank"] = [ranks[name if isinstance(name, tuple) else (name,)] for name in out.index]
    return out


def _rank(first: pd.Series, second: pd.Series) -> float:
    """Return Spearman's correlation, NaN for fewer than three rows or constant ones."""
    if len(first) < 3 or first.nunique() < 2 or second.nunique() < 2:
        return float("nan")
    return float(np.corrcoef(first.rank(), second.rank())[0, 1])


def headline(scores: pd.DataFrame) -> pd.DataFrame:
    """Return per quantity the median over sources of every parameter, the bias as the median as well."""
    level = scores.groupby(level="quantity")
    out = level[["mdape", "mape", "bias", "p90", "rank"]].median()
    out.insert(0, "sources", level.size())
    out.insert(1, "n", level["n"].sum())
    return out


def one_constant(rows: pd.DataFrame) -> pd.Series:
    """Return the roofline times one constant per quantity, fitted on the very rows: what any model must beat."""
    logs = pd.Series(np.log((rows["measured_s"] / rows["bound_s"]).to_numpy()), index=rows.index)
    constant = np.exp(logs.groupby(rows["quantity"]).transform("median").to_numpy())
    return pd.Series(rows["bound_s"].to_numpy() * constant, index=rows.index)


def weight_gain(rows: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of rows that differ in weight bits alone: measured and predicted gain of 4-bit over 16-bit weights.

    Gains are of time per generated token, so that pairs served at their own largest batches compare as well.
    """
    rows = rows[np.isfinite(rows["predicted_s"]) & np.isfinite(rows["measured_s"])]
    tokens = rows["used_batch"] * np.where(rows["quantity"] == "request", rows["output"], 1.0)
    rows = rows.assign(measured=rows["measured_s"] / tokens, predicted=rows["predicted_s"] / tokens)
    keys = ["source", "quantity", "chip", "n_chips", "model", "input_len", "output_len"]
    narrow, wide = rows[rows["weight_bits"] <= NARROW_BITS], rows[rows["weight_bits"] >= WIDE_BITS]
    best = [part.groupby(keys, dropna=False)[["measured", "predicted"]].median() for part in (wide, narrow)]
    pairs = best[0].add_suffix("_16").join(best[1].add_suffix("_4"), how="inner")
    gains = pd.DataFrame(
        {
            "measured_gain": pairs["measured_16"] / pairs["measured_4"],
            "predicted_gain": pairs["predicted_16"] / pairs["predicted_4"],
        }
    )
    gains["error"] = (gains["predicted_gain"] / gains["measured_gain"] - 1).abs()
    return gains.reset_index()


def static_rows(rows: pd.DataFrame, grades: str = "A") -> pd.Series:
    """Return which rows are static batches of the given grades."""
    return (rows["batch_mode"] == "static") & rows["grade"].isin(list(grades))


def peer_rows(rows: pd.DataFrame, library: Library) -> pd.Series:
    """Return the rows on which peers were scored: dense, NVIDIA, tensor parallel 1-8, static, grade A."""
    vendor = rows["chip"].map({key: chip.vendor for key, chip in library.chips.items()})
    dense = rows["model"].map({key: model.moe is None for key, model in library.models.items()})
    tensor = (rows["kind"] == "tensor") & (rows["tensor"] <= 8)
    return static_rows(rows) & (vendor == "NVIDIA") & (dense == True) & tensor  # noqa: E712

"""Quantiles of measured over predicted time of rows left out, and how many rows lie between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.table import Choice, FloatArray
from dse.time_intervals import LADDER, NARROW_BITS, ratios
from dse.validation.score import QUANTITY_NAMES

GRADES = ("A", "B")
"""Grades of the rows that intervals come from, and are judged on."""

QUANTILES = (0.1, 0.9)
"""Probabilities below which measured over predicted time lies at both ends: 80 % lie between."""

LEAST_ROWS, LEAST_GROUPS = 30, 3
"""Rows, and chips or sources they come from, below which more general rows are taken."""


def die_of(chip: str, library: Library) -> str:
    """Return the first of the chips of the library that are a chip's die in some package."""
    return min(variants(chip, library))


def variants(chip: str, library: Library) -> set[str]:
    """Return the chips of the library that are a chip's die in other packages: one maker, process and area."""

    def die(key: str) -> tuple[object, ...]:
        entry = library.chip(key)
        return entry.vendor, entry.process, entry.die_mm2

    if library.chip(chip).die_mm2 is None:
        return {chip}
    return {key for key in library.chips if die(key) == die(chip)}


def lines_of(rows: pd.DataFrame, kind: str, left_out: str = "") -> Iterator[dict[str, object]]:
    """Yield lines of the file: for every set of like rows that is large enough, the quantiles.

    Rows of a chip or a source weigh the square root of their number, so that none decides alone.

    Args:
        rows: predicted rows with ``die`` and ``group``, the die or the source left out of each one's prediction.
        kind: "chip" or "source", what was left out.
        left_out: a die whose rows are left out here too.
    """
    rows = rows.assign(
        batching=_batching(rows),
        format=np.where(rows["weight_bits"] <= NARROW_BITS, "narrow", "wide"),
        log=np.log(rows["measured_s"] / rows["predicted_s"]),
    )
    rows = rows[np.isfinite(rows["log"]) & (rows["die"] != left_out)]
    for shared in LADDER:
        for names, part in rows.groupby(["quantity", *shared], sort=True):
            enough = len(part) >= LEAST_ROWS and part["group"].nunique() >= LEAST_GROUPS
            if shared and not enough:
                continue
            told = dict(zip(("regime", *shared), names, strict=True))
            low, high = np.exp(_quantiles(part["log"].to_numpy(), _weights(part["group"])))
            yield {
                "left_out": left_out, "kind": kind,
                **{name: told.get(name, "") for name in ("regime", "batching", "stack", "format")},
                "rows": len(part), "groups": part["group"].nunique(), "low": f"{low:.4f}", "high": f"{high:.4f}",
            }  # fmt: skip


def _batching(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(np.where(rows["batch_mode"] == "static", "static", "in_flight"), index=rows.index)


def _weights(group: pd.Series) -> FloatArray:
    return np.asarray(group.groupby(group).transform("size").to_numpy(dtype=np.float64) ** -0.5)


def _quantiles(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the quantiles of weighted values, between them in proportion."""
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    reached = (np.cumsum(weights) - weights / 2) / weights.sum()
    return np.interp(QUANTILES, reached, values)


def with_intervals(rows: pd.DataFrame, library: Library, *, own_left_out: bool = False) -> pd.DataFrame:
    """Add to predicted rows the ends of their 80 % interval and whether the measured time lies inside.

    Args:
        rows: with ``predicted_s``, ``measured_s``, ``stack``, ``quantity``, ``chip``, ``weight_bits``, ``batch_mode``.
        library: stacks and quantiles.
        own_left_out: whether the rows of each row's own chip must not be known.
    """
    rows = rows.assign(low_s=np.nan, high_s=np.nan)
    usable = rows[np.isfinite(rows["predicted_s"])]
    die = usable["chip"].map({chip: die_of(chip, library) if own_left_out else "" for chip in usable["chip"].unique()})
    for (regime, out), part in usable.groupby([usable["quantity"], die], sort=False):
        flying = np.asarray(_batching(part) == "in_flight", dtype=np.float64)
        found = ratios(
            str(regime), Choice.of(*part["stack"]), flying, part["weight_bits"].to_numpy(), library, left_out=str(out)
        )
        rows.loc[part.index, "low_s"] = part["predicted_s"] * found.low
        rows.loc[part.index, "high_s"] = part["predicted_s"] * found.high
    inside = (rows["measured_s"] >= rows["low_s"]) & (rows["measured_s"] <= rows["high_s"])
    return rows.assign(inside=inside.where(rows["low_s"].notna() & rows["measured_s"].notna()))


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Return per quantity, and of all rows, how many lie inside their interval and how wide it is.

    Columns: ``n``, ``within`` (share of rows inside), ``width`` (median of P90 over P10).
    """
    judged = rows[rows["inside"].notna()]
    parts = {
        name: part for quantity, name in QUANTITY_NAMES.items() if len(part := judged[judged["quantity"] == quantity])
    } | {"all": judged}
    lines = {
        name: (len(part), part["inside"].astype(float).mean(), (part["high_s"] / part["low_s"]).median())
        for name, part in parts.items()
    }
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=["n", "within", "width"])
    return frame.rename_axis("regime")

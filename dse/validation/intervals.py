"""Intervals of measured over predicted time of rows left out, and how many rows lie between their ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.table import Choice, FloatArray
from dse.time_intervals import FORMATS, LADDER, MODELS, NARROW_BITS, ratios
from dse.validation.score import QUANTITY_NAMES

GRADES = ("A", "B")
"""Grades of the rows that intervals come from, and are judged on."""

INSIDE = 0.8
"""Share of rows between the ends."""

SYMMETRIC = ("chip",)
"""What is left out where the interval reaches as far below 1 as above, in proportion: constants fitted to a software
know no chip as slow or fast, and on which side the next one lies, a handful of dies cannot tell. A generic stack leans:
software is slower than the best of it more often than faster."""

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


def marked(rows: pd.DataFrame, library: Library) -> pd.DataFrame:
    """Return rows with ``regime``, ``format`` and ``model`` as the file of intervals calls them."""
    mixture = rows["model"].map({key: library.model(key).moe is not None for key in rows["model"].unique()})
    narrow = rows["weight_bits"].to_numpy() <= NARROW_BITS
    return rows.assign(
        regime=rows["quantity"],
        format=np.where(narrow, *FORMATS[::-1]),
        model=np.where(mixture.to_numpy(dtype=bool), *MODELS[::-1]),
        log=np.log(rows["measured_s"] / rows["predicted_s"]),
    )


def sets_of(rows: pd.DataFrame, ladder: Sequence[Sequence[str]] = LADDER) -> Iterator[tuple[dict[str, str], pd.Index]]:
    """Yield what like rows have in common, and their index, where they are enough; all rows of a regime always are.

    Args:
        rows: with ``regime``, ``group`` (the die or source left out of each one's prediction) and the ladder's names.
        ladder: names of columns that like rows share.
    """
    for shared in ladder:
        for names, part in rows.groupby(["regime", *shared], sort=True):
            if not shared or (len(part) >= LEAST_ROWS and part["group"].nunique() >= LEAST_GROUPS):
                yield dict(zip(("regime", *shared), map(str, names), strict=True)), part.index


def ends_of(log: FloatArray, group: pd.Series, *, symmetric: bool) -> FloatArray:
    """Return the ends of the logarithm of measured over predicted time that `INSIDE` of the rows lie between.

    Rows of a die or a source weigh the square root of their number, so that none decides alone.
    """
    codes, _ = pd.factorize(group)
    weights = np.bincount(codes)[codes].astype(np.float64) ** -0.5
    if symmetric:
        reach = _quantiles(np.abs(log), weights, [INSIDE])[0]
        return np.array([-reach, reach])
    return _quantiles(log, weights, [(1 - INSIDE) / 2, (1 + INSIDE) / 2])


def lines_of(rows: pd.DataFrame, kind: str, left_out: str = "") -> Iterator[dict[str, object]]:
    """Yield lines of the file: for every set of like rows that is large enough, the ends of its interval.

    Which sets there are does not hang on what is left out: what is judged is what is shown.

    Args:
        rows: predicted rows as `marked` returns them, with ``die`` and ``group``.
        kind: "chip" or "source", what was left out.
        left_out: a die whose rows are left out here too.
    """
    rows = rows[np.isfinite(rows["log"])]
    for told, index in sets_of(rows):
        part = rows.loc[index]
        part = part[part["die"] != left_out]
        if not len(part):
            continue
        low, high = np.exp(ends_of(part["log"].to_numpy(), part["group"], symmetric=kind in SYMMETRIC))
        yield {
            "left_out": left_out, "kind": kind, **{name: told.get(name, "") for name in ("regime", "format", "model")},
            "rows": len(part), "groups": part["group"].nunique(), "low": f"{low:.4f}", "high": f"{high:.4f}",
        }  # fmt: skip


def _quantiles(values: FloatArray, weights: FloatArray, shares: Sequence[float]) -> FloatArray:
    """Return the quantiles of weighted values, between them in proportion."""
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    reached = (np.cumsum(weights) - weights / 2) / weights.sum()
    return np.interp(shares, reached, values)


def with_intervals(rows: pd.DataFrame, library: Library, *, own_left_out: bool = False) -> pd.DataFrame:
    """Add to predicted rows the ends of their 80 % interval and whether the measured time lies inside.

    Args:
        rows: with ``predicted_s``, ``measured_s``, ``stack``, ``quantity``, ``chip``, ``model``, ``weight_bits``.
        library: stacks and intervals.
        own_left_out: whether the rows of each row's own chip must not be known.
    """
    rows = rows.assign(low_s=np.nan, high_s=np.nan)
    usable = marked(rows[np.isfinite(rows["predicted_s"])], library)
    die = usable["chip"].map({chip: die_of(chip, library) if own_left_out else "" for chip in usable["chip"].unique()})
    for (regime, out), part in usable.groupby([usable["quantity"], die], sort=False):
        mixture = part["model"].to_numpy() == "mixture"
        found = ratios(
            str(regime), Choice.of(*part["stack"]), part["weight_bits"].to_numpy(), mixture, library, left_out=str(out)
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

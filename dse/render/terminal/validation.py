"""A validation as tables: how far predictions are from what was measured, in words first."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence

from dse.number_texts import number_text, percent_text, share_text
from dse.render.terminal.tables import Lines, Part, TextTable
from dse.validation.results import ScoreTable as Score
from dse.validation.results import Validation

HEADINGS: Mapping[str, str] = {
    "n": "rows",
    "mdape": "median\nerror %",
    "mape": "mean\nerror %",
    "bias": "predicted over\nmeasured",
    "p90": "error of 9\nin 10 below %",
    "rank": "rank\ncorrelation",
    "baseline_mdape": "roofline x one\nconstant, error %",
    "energy_mdape": "median error\nof energy %",
    "constants": "fitted\nconstants",
    "target": "target\n%",
    "width": "P90 over\nP10",
}
"""What columns of scores are called."""

SHARES = ("mdape", "mape", "p90", "error", "baseline", "target", "peers", "within")
"""Beginnings, or last words, of the columns that hold shares."""

_HOW_TO_READ = (
    "median error: half of the rows are nearer; predicted over measured: 1 is right, above 1 too slow or too much",
    "rank correlation: 1 where the order of all rows is right; fitted constants: of the software stacks, per set",
)


def validation_parts(found: Validation) -> list[Part]:
    """Return every table of a validation, the headline in a line first."""
    parts: list[Part] = [Lines(_headline(found.tables), "How far predictions are off")]
    used = {str(name) for table in found.tables for name in table.frame.columns}
    if {"mdape", "bias", "rank"} & used:
        parts.append(Lines(_HOW_TO_READ, "How to read the tables"))
    for table in found.tables:
        parts.append(score_table(table))
        parts.append(Lines([table.note] if table.note else []))
    return parts


def _headline(tables: Sequence[Score]) -> list[str]:
    lines = []
    for table in tables:
        frame = table.frame
        if frame.index.names == ["quantity"] and {"mdape", "n"} <= {*frame.columns}:
            shares = [f"{name} {share_text(row['mdape'])}" for name, row in frame.iterrows()]
            lines.append(f"{table.title}: {', '.join(shares)}")
    if lines:
        return lines
    predicted = sum(int(table.frame["predicted"].sum()) for table in tables if table.key == "files")
    return ["the tables say" if predicted else "no row could be predicted: below is why"]


def score_table(table: Score) -> TextTable:
    """Return a table of scores, shares in per cent, its rows' names first."""
    frame = table.frame.reset_index() if table.frame.index.names != [None] else table.frame
    labels = [str(name) for name in table.frame.index.names if name is not None]
    names = len(labels) or 1
    headings = [_heading(str(name)) for name in frame.columns]
    rows = tuple(
        tuple(_cell(str(name), value) for name, value in zip(frame.columns, row, strict=True))
        for row in frame.itertuples(index=False)
    )
    return TextTable(table.title, tuple(headings), rows, names=names)


def _heading(name: str) -> str:
    if name in HEADINGS:
        return HEADINGS[name]
    words = name.replace("_", " ")
    return f"{words}\n%" if _is_fraction(name) else words


def _is_fraction(name: str) -> bool:
    return name.startswith(SHARES) or name.endswith((" error", "_error", "_mdape"))


def _cell(name: str, value: object) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "-"
        return percent_text(value) if _is_fraction(name) and math.isfinite(value) else number_text(value)
    if hasattr(value, "__index__") and not isinstance(value, bool):
        return number_text(float(operator.index(value)))
    return str(value)

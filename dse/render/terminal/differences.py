"""The differences between two runs as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dse.analysis.diff import Difference
from dse.render.terminal.tables import Lines, Part, Rows, TextTable

SHOWN = 60
"""Characters of a value that are shown."""


def difference_parts(runs: Sequence[Path], found: Sequence[Difference]) -> list[Part]:
    """Return which runs are compared, and everything in which they differ."""
    head = Lines([f"first:  {runs[0]}", f"second: {runs[1]}"], "Runs")
    if not found:
        return [head, Lines(["the same sweep, library, versions, counts and front"])]
    headings, rows = difference_rows(found)
    shortened = tuple((str(section), str(what), *map(_short, values)) for section, what, *values in rows)
    return [head, TextTable("What differs", tuple(headings), shortened, names=4)]


def difference_rows(found: Sequence[Difference]) -> Rows:
    """Return the differences as a sheet."""
    return ("of", "what", "first", "second"), [(one.section, one.what, one.first, one.second) for one in found]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."

"""``dse diff``: how two runs differ."""

from __future__ import annotations

import json
from dataclasses import asdict

from dse.differences import differences
from dse.results.store import open_run
from dse.terminal import console, print_lines, print_table
from dse.terminal.tables import Table, csv_text

SHOWN = 60
"""Characters of a value that are shown."""


def diff_runs(first: str, second: str, *, output: str) -> None:
    """Print everything in which two runs differ.

    Args:
        first: a run.
        second: another.
        output: "table", "json" or "csv".

    Raises:
        RunError: one of them is no run.
    """
    runs = open_run(first), open_run(second)
    found = differences(*runs)
    if output == "json":
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    headings = ("of", "what", "first", "second")
    rows = [(one.section, one.what, one.first, one.second) for one in found]
    if output == "csv":
        print(csv_text(headings, rows), end="")
        return
    print_lines(console(), [f"first:  {runs[0].path}", f"second: {runs[1].path}"], heading="Runs")
    if not rows:
        print_lines(console(), ["the same sweep, library, versions, counts and front"])
        return
    shortened = tuple((*row[:2], *map(_short, row[2:])) for row in rows)
    print_table(console(), Table("What differs", headings, shortened, names=4))


def _short(value: str) -> str:
    return value if len(value) <= SHOWN else f"{value[:SHOWN]}..."

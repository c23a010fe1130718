"""``dse show``: what a run found."""

from __future__ import annotations

import json
import math
from typing import Any

from dse.relaxation.files import read_relaxations
from dse.results.store import StoredRun, headed, open_run
from dse.terminal import console, print_lines, print_table
from dse.terminal.relaxation import stored_table
from dse.terminal.robustness import confidence_lines
from dse.terminal.summary import (
    asked,
    axes_table,
    constraints_table,
    found,
    front_table,
    misses_table,
    picks_table,
    sorted_front,
)


def show_run(where: str, *, top: int | None, output: str) -> StoredRun:
    """Print a run and return it.

    Args:
        where: a run directory, a folder of runs or "latest".
        top: rows of the front to show; 10 in a table and all in CSV and JSON where None.
        output: "table", "json" or "csv" (the front).

    Raises:
        RunError: there is no such run, or a file of it is damaged.
    """
    run = open_run(where)
    if output == "json":
        print(json.dumps(run_json(run, top=top), indent=2, allow_nan=False))
    elif output == "csv":
        front = sorted_front(run) if top is None else sorted_front(run).head(top)
        print(front.rename(columns={name: headed(str(name)) for name in front}).to_csv(index=False), end="")
    else:
        out = console()
        print_lines(out, asked(run.spec), heading=f"{run.name}  ({run.path})")
        print_lines(out, found(run), heading="Found")
        print_lines(out, confidence_lines(run), heading="Rests on figures of low confidence")
        print_table(out, picks_table(run))
        if run.found_feasible:
            print_table(out, front_table(run, top or 10))
        else:
            print_table(out, misses_table(run, top or 5))
            if rows := read_relaxations(run.path):
                print_table(out, stored_table(rows))
        print_table(out, constraints_table(run))
        print_table(out, axes_table(run))
    return run


def run_json(run: StoredRun, *, top: int | None = None) -> dict[str, Any]:
    """Return a run as plain data; None stands for what is missing."""
    front = sorted_front(run) if run.found_feasible else run.front
    shown = front if top is None else front.head(top)
    return {
        "directory": str(run.path),
        "manifest": dict(run.manifest),
        "picks": run.picks,
        "front": _records(shown),
        "constraints": _records(run.constraints),
        "axes": _records(run.axes),
        "baselines": _records(run.baselines),
        "relaxations": read_relaxations(run.path),
    }


def _records(table: Any) -> list[dict[str, Any]]:
    return [
        {str(key): None if _missing(value) else _plain(value) for key, value in record.items()}
        for record in table.to_dict("records")
    ]


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

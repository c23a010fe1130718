"""A run as people read it, part by part: what was asked, what was found, and against what."""

from __future__ import annotations

from collections.abc import Sequence

from dse.compare import Comparison
from dse.relaxation import Explanation
from dse.relaxation.files import read_relaxations
from dse.results.store import StoredRun
from dse.terminal.comparison import comparison_parts
from dse.terminal.relaxation import explanation_parts, stored_table
from dse.terminal.robustness import confidence_lines
from dse.terminal.summary import (
    asked,
    axes_table,
    constraints_table,
    found,
    front_table,
    misses_table,
    picks_table,
)
from dse.terminal.tables import Lines, Part


def run_parts(run: StoredRun, top: int | None = None) -> list[Part]:
    """Return a stored run.

    Args:
        run: the run.
        top: rows of the front, or of the nearest misses.
    """
    parts = [*_head(run, f"{run.name}  ({run.path})"), picks_table(run)]
    if run.found_feasible:
        parts.append(front_table(run, top or 10))
    else:
        parts.append(misses_table(run, top or 5))
        if rows := read_relaxations(run.path):
            parts.append(stored_table(rows))
    return [*parts, constraints_table(run), axes_table(run)]


def outcome_parts(run: StoredRun, why: Explanation | None, comparisons: Sequence[Comparison]) -> list[Part]:
    """Return the outcome of a run that has just ended.

    Args:
        run: the run.
        why: why nothing is feasible, where that is known.
        comparisons: the knee beside the baselines.
    """
    parts = _head(run, f"{run.name}: what was asked")
    if not run.manifest["counts"]["evaluated"]:
        return parts
    parts.append(picks_table(run))
    if not run.found_feasible:
        parts.append(misses_table(run))
        parts += explanation_parts(why, run.spec) if why is not None else []
    return [*parts, constraints_table(run), axes_table(run), *comparison_parts(comparisons, short=True)]


def _head(run: StoredRun, heading: str) -> list[Part]:
    return [
        Lines(asked(run.spec), heading),
        Lines(found(run), "Found"),
        Lines(confidence_lines(run), "Rests on figures of low confidence"),
    ]

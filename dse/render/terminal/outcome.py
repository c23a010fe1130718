"""A run as people read it: the answer on one screen, and everything else where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from cost_models.performance.batching import CONTINUOUS
from dse.analysis.compare import Comparison
from dse.analysis.explain.inputs import explain_run_row
from dse.analysis.relaxation.constraints import RelaxationReport
from dse.analysis.relaxation.files import read_relaxations
from dse.render.terminal.comparison import comparison_parts
from dse.render.terminal.explanation import goodput_lines
from dse.render.terminal.overview import differing_parts, overview_table, users_lines
from dse.render.terminal.relaxation import explanation_parts, relaxation_lines, stored_table
from dse.render.terminal.robustness import confidence_lines
from dse.render.terminal.summary import (
    asked,
    axes_table,
    binding_lines,
    constraints_table,
    extrapolated_lines,
    found,
    front_table,
    misses_table,
    picks_table,
)
from dse.render.terminal.tables import Lines, Part
from dse.render.terminal.verdict import remedy_words, verdict
from dse.results.store import StoredRun

FEW_MISSES = 2
"""Least infeasible designs that stand on one screen."""


def run_parts(run: StoredRun, top: int | None = None, *, full: bool = False) -> list[Part]:
    """Return a stored run.

    Args:
        run: the run.
        top: designs of the front, or of the least infeasible designs; ten of the front, evenly along it, where None.
        full: what binds, what survives and how the run went as well.
    """
    parts = [*_answer(run, f"{run.name}  ({run.path})"), *_rest(run, full)]
    if run.found_feasible:
        parts.append(front_table(run, top or 10, spread=top is None))
    else:
        parts += [misses_table(run, top or 5), *_kept_by_no_load(run)]
        if rows := read_relaxations(run.path):
            parts.append(stored_table(rows))
    return [*parts, constraints_table(run), axes_table(run)] if full else parts


def outcome_parts(run: StoredRun, comparisons: Sequence[Comparison], *, full: bool = False) -> list[Part]:
    """Return the outcome of a run that has just ended; what would make it feasible is told after it (`remedy_parts`).

    Args:
        run: the run.
        comparisons: the knee beside the baselines; read only where everything is shown.
        full: everything, and not what fits on one screen.
    """
    parts = [*_answer(run, run.name), *_rest(run, full)]
    if not run.manifest["counts"]["evaluated"]:
        return parts
    if not run.found_feasible:
        parts += [misses_table(run, 5 if full else FEW_MISSES), *_kept_by_no_load(run)]
    if full:
        return [*parts, constraints_table(run), axes_table(run), *comparison_parts(comparisons, short=True)]
    return parts


def remedy_parts(run: StoredRun, why: RelaxationReport | None, *, full: bool = False) -> list[Part]:
    """Return what would make a run feasible that has just ended without a feasible design.

    Args:
        run: the run.
        why: what was looked for and found; None where it was not looked for.
        full: everything, and not the least that would do.
    """
    if why is None:
        return []
    least = Lines([line for line in (remedy_words(run),) if line])
    if full:
        return [least, *explanation_parts(why, run.spec)]
    return [least, Lines(relaxation_lines(read_relaxations(run.path)), "What would do, each alone")]


def _kept_by_no_load(run: StoredRun) -> list[Part]:
    """Return the limits of the nearest design's workloads that no load keeps."""
    served = {one.batching for one in run.spec.workloads.values()}
    if not run.picks or run.spec.builtin_disabled or CONTINUOUS not in served:
        return []
    workloads = explain_run_row(run).workloads
    lines = [f"{key}: {line}" for key, table in workloads.items() if table.fits for line in goodput_lines(table)]
    return [Lines(lines, "Users of the nearest design")] if lines else []


def _answer(run: StoredRun, heading: str) -> list[Part]:
    """Return the verdict, and picks beside baselines."""
    parts: list[Part] = [Lines(verdict(run).lines, heading)]
    if not run.picks:
        return parts
    parts.append(overview_table(run))
    differing, lines = differing_parts(run) if run.found_feasible else ([], [])
    unseen = extrapolated_lines({str(pick["name"]): pick["metrics"] for pick in run.picks})
    return [*parts, *differing, Lines([*users_lines(run), *lines, *binding_lines(run), *unseen])]


def _rest(run: StoredRun, full: bool) -> list[Part]:
    """Return what was asked and how the run went, where that is wanted."""
    if not full:
        return []
    parts: list[Part] = [
        Lines(asked(run.spec), "What was asked"),
        Lines(found(run), "Found"),
        Lines(confidence_lines(run), "Results that depend on low-confidence inputs"),
    ]
    return [*parts, picks_table(run)] if run.picks else parts

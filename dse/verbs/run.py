"""``dse run``: search, write, report."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from dse.errors import RunError
from dse.loop import merge, resume, run
from dse.relaxation import Explanation, explain_infeasible
from dse.relaxation.files import write_relaxations
from dse.results.store import StoredRun, open_run
from dse.search.spread import Backend, Spread
from dse.spec import load_spec
from dse.terminal import console, print_lines, print_table, progress_display
from dse.terminal.relaxation import print_explanation
from dse.terminal.robustness import confidence_lines
from dse.terminal.summary import (
    asked,
    axes_table,
    constraints_table,
    found,
    misses_table,
    named_workloads,
    picks_table,
)
from dse.verbs.compare import comparisons_of, print_comparisons
from dse.verbs.show import run_json, show_run

Placing = tuple[int, str, str]
"""Processes, backend and scheduler, as the command line gives them."""


def spread_of(placing: Placing) -> Spread:
    """Return where work is done.

    Raises:
        RunError: a scheduler is given without the backend that has one.
    """
    jobs, backend, scheduler = placing
    if scheduler and backend != "dask":
        raise RunError(f"--scheduler {scheduler}: only --backend dask has a scheduler")
    return Spread(jobs, cast("Backend", backend), scheduler)


def run_sweep(
    sweep: Path,
    overrides: Sequence[str],
    *,
    out: Path | None,
    quiet: bool,
    output: str,
    plots: bool,
    html: bool,
    library: Sequence[Path] = (),
    spread: Placing = (1, "loky", ""),
) -> StoredRun:
    """Search the space of a sweep, write the run directory and print what was found.

    Args:
        sweep: the sweep file.
        overrides: ``a.b=c`` arguments.
        out: run directory to make; ``results/<name>/<time>-<hash>`` where None.
        quiet: print nothing but faults.
        output: "table", "json" or "csv" (the front).
        plots: whether figures are drawn.
        html: whether the report is written.
        library: directories whose entries are added to the library.
        spread: processes, backend and scheduler.

    Raises:
        SpecError: every fault of the sweep; nothing is written.
        RunError: the run directory exists already or cannot be written.
    """
    spec = load_spec(sweep, overrides=overrides, library=library)
    with progress_display(quiet=quiet) as progress:
        done = run(spec, out=out, progress=progress, spread=spread_of(spread))
    return finish(done, quiet=quiet, output=output, plots=plots, html=html)


def finish(done: StoredRun, *, quiet: bool, output: str, plots: bool, html: bool) -> StoredRun:
    """Draw, explain and print a run that has just been written."""
    if plots and done.manifest["counts"]["evaluated"]:
        from dse.plots import plot_run

        plot_run(done.path)
    why = None
    counts = done.manifest["counts"]
    if (
        done.spec.model is None
        and not counts["feasible"]
        and counts["evaluated"]
        and done.manifest["status"] == "complete"
    ):
        why = explain_infeasible(done.spec)
        write_relaxations(why, done.path)
    if html and not done.spec.is_replaced and done.manifest["counts"]["evaluated"]:
        from dse.report import write_report

        write_report(done.path)
    if not quiet:
        report(done, output=output, why=why)
    return done


def report(done: StoredRun, *, output: str, why: Explanation | None = None) -> None:
    """Print what a run found, and why nothing is feasible where that is known."""
    if output == "json":
        comparisons = [one.to_json() for one in comparisons_of(done)]
        print(json.dumps({**run_json(done), "comparisons": comparisons}, indent=2, allow_nan=False))
        return
    if output == "csv":
        show_run(str(done.path), top=None, output="csv")
        return
    terminal = console()
    print_lines(terminal, asked(done.spec), heading=f"{done.name}: what was asked")
    print_lines(terminal, found(done), heading="Found")
    print_lines(terminal, confidence_lines(done), heading="Rests on figures of low confidence")
    if not done.manifest["counts"]["evaluated"]:
        return
    print_table(terminal, picks_table(done))
    if not done.found_feasible:
        print_table(terminal, misses_table(done))
        if why is not None:
            print_explanation(terminal, why)
    print_table(terminal, constraints_table(done))
    print_table(terminal, axes_table(done))
    shown = named_workloads(done.spec)
    print_comparisons(terminal, [one for one in comparisons_of(done, only="knee") if one.workload in shown], short=True)
    files = ", ".join(sorted(path.name for path in done.path.iterdir()))
    print_lines(terminal, [f"{done.path}/", files], heading="Files")
    sys.stdout.flush()


def resume_run(
    where: str, *, n_designs: int | None, out: Path | None, spread: Placing, quiet: bool, **shown: Any
) -> StoredRun:
    """Go on with a run and print what was found (see `finish` for how).

    Raises:
        RunError: there is nothing to go on with.
    """
    with progress_display(quiet=quiet) as progress:
        done = resume(where, n_designs=n_designs, out=out, progress=progress, spread=spread_of(spread))
    return finish(done, quiet=quiet, **shown)


def merge_runs(runs: Sequence[str], *, out: Path | None, **shown: Any) -> StoredRun:
    """Merge runs and print what they found together (see `finish` for how).

    Raises:
        RunError: they cannot be merged.
    """
    if len(runs) < 2:
        raise RunError("merge needs at least two runs")
    return finish(merge([open_run(run) for run in runs], out=out), quiet=False, **shown)

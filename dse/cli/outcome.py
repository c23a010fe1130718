"""What `run`, `resume` and `merge` do: make the run, print its answer as soon as it is known, explain, draw."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import typer

from dse.cli.options import Drawn, Format
from dse.cli.output import emit

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from dse.analysis.compare import Comparison
    from dse.analysis.relaxation.constraints import RelaxationReport
    from dse.parallelism import Backend, Parallelism
    from dse.results.store import StoredRun
    from dse.sweep import Spec


REMEDIES = "what would make it feasible"
"""What is looked for where nothing is feasible."""


def spread_of(jobs: int | None, backend: str, scheduler: str) -> Parallelism:
    """Return where work is done.

    Raises:
        RunError: a scheduler is given without the backend that has one.
    """
    from dse.errors import RunError
    from dse.parallelism import Parallelism

    if scheduler and backend != "dask":
        raise RunError(f"--scheduler {scheduler}: only --backend dask has a scheduler")
    return Parallelism(jobs, cast("Backend", backend), scheduler)


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say in a line that something beside the result failed, and go on: the result is there without it."""
    try:
        yield
    except Exception as error:
        tell_failed(what, error)


def tell_failed(what: str, error: Exception) -> None:
    """Say in a line of standard error that something beside the result could not be made."""
    from dse.cli import TRACEBACK

    print(f"dse: {what} failed: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)


def finish(
    search: Callable[..., StoredRun],
    *,
    quiet: bool,
    output: Format,
    plots: Drawn,
    html: bool,
    full: bool = False,
    asked: Spec | None = None,
    jobs: int | None = 1,
) -> None:
    """Search, print what was found, then draw it, and end with its status.

    What was found, and what would make an infeasible sweep feasible, is printed before the sample and sheets of the run
    are written and before anything is drawn, so that nobody waits for those to see it. JSON, which is one document,
    waits for all of it where nothing is feasible.

    Args:
        search: makes the run; told where its progress and its answer go (`dse.runs.run`).
        quiet: whether no progress is shown.
        output: how it is printed.
        plots: whether plots are drawn.
        html: whether the report is written.
        full: whether everything is printed, and not what fits on one screen.
        asked: the sweep as the user wrote it, which tells what is fixed by choice and what by default.
        jobs: processes; where they may be several, another one draws plots while this one writes the report.
    """
    from dse.cli import INTERRUPTED, NONE_FEASIBLE, OK
    from dse.parallelism import beside
    from dse.render.terminal import console, progress_display
    from dse.render.terminal.layout import folded
    from dse.render.terminal.outcome import remedy_parts

    told = False

    def tell(run: StoredRun, directory: Path) -> None:
        nonlocal told
        _tell(run, directory, output, full)
        told = True
        if output is Format.table and not run.found_feasible:
            with telling(REMEDIES):
                why = _remedies(run, asked)
                emit(output, lambda: remedy_parts(run, why, full=full), lambda: None)
                sys.stdout.flush()

    with ExitStack() as display:

        def answered(run: StoredRun, directory: Path) -> None:
            display.close()
            if run.found_feasible or output is not Format.json:
                # What goes wrong here is said once the run is written.
                with suppress(Exception):
                    tell(run, directory)

        done = search(progress=display.enter_context(progress_display(quiet=quiet)), answered=answered)
    if output is not Format.table and not done.found_feasible:
        _remedies(done, asked)
    if not told:
        tell(done, done.path)
    counts, status = done.manifest["counts"], done.manifest["status"]
    reports = html and not done.spec.builtin_disabled and counts["evaluated"]
    draws = plots is not Drawn.none and counts["evaluated"]
    draw = partial(_draw, done, all_kinds=plots is Drawn.all)
    aside = bool(reports and draws) and jobs != 1
    with beside(draw) if aside else nullcontext():
        if reports:
            with telling("the report"):
                from dse.render.report import write_report

                write_report(done)
    if draws and not aside:
        draw()
    if output is Format.table:
        files = sorted(path.name for path in done.path.iterdir()) if full else _first_files(done.path)
        more = "" if full else f"; all the rest: dse show {done.path} --full"
        print(*folded(f"{done.path}/: {', '.join(files)}{more}", console().width), sep="\n")
    if status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(OK if done.found_feasible else NONE_FEASIBLE)


def _draw(done: StoredRun, *, all_kinds: bool) -> None:
    """Draw the plots of a run."""
    with telling("the plots"):
        from dse.render.plots import first_kinds, plot_run

        kinds = None if all_kinds else first_kinds(done)
        plot_run(done, kinds=kinds, failed=lambda kind, error: tell_failed(f"the plot {kind}", error))


def _tell(run: StoredRun, directory: Path, output: Format, full: bool) -> None:
    """Print what a run found (arguments as in `finish`, and the directory in which the run lies when it is written)."""
    from dse.analysis.compare import compare
    from dse.cli.compare import compared
    from dse.render.terminal.outcome import outcome_parts
    from dse.render.terminal.summary import named_workloads

    def sides(only: str | None = None) -> list[Comparison]:
        return [] if run.spec.builtin_disabled else compare(*compared(run, only=only))

    shown = named_workloads(run.spec)
    emit(
        output,
        lambda: outcome_parts(run, [one for one in sides("knee") if one.workload in shown] if full else [], full=full),
        lambda: {**run_data(run), "directory": directory, "comparisons": [one.to_json() for one in sides()]},
        lambda: headed_front(run),
    )
    sys.stdout.flush()


def _remedies(done: StoredRun, asked: Spec | None) -> RelaxationReport | None:
    """Look for what would make a run feasible that found nothing, and write it; None where it is not looked for."""
    from dse.analysis.relaxation.constraints import explain_infeasible
    from dse.analysis.relaxation.files import write_relaxations

    counts, status = done.manifest["counts"], done.manifest["status"]
    if done.spec.model is not None or counts["feasible"] or not counts["evaluated"] or status != "complete":
        return None
    with telling(REMEDIES), _left_by_ctrl_c():
        why = explain_infeasible(asked or done.spec)
        write_relaxations(why, done.path)
        return why
    return None


@contextmanager
def _left_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end what is done inside, and nothing else."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print(f"dse: {REMEDIES}: interrupted", file=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, before)


def _is_there(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _first_files(directory: Path) -> list[str]:
    """Return the files that a person opens first."""
    return [name for name in ("report.html", "plots", "picks.yaml", "pareto.csv") if _is_there(directory / name)]


def run_data(run: StoredRun, top: int | None = None) -> dict[str, Any]:
    """Return a run as plain data.

    Args:
        run: the run.
        top: rows of the front; all where None.
    """
    from dse.analysis.relaxation.files import read_relaxations
    from dse.render.terminal.summary import sorted_front

    front = sorted_front(run) if run.found_feasible else run.front
    return {
        "directory": run.path,
        "manifest": run.manifest,
        "picks": run.picks,
        "front": front if top is None else front.head(top),
        "constraints": run.constraints,
        "axes": run.axes,
        "baselines": run.baselines,
        "relaxations": read_relaxations(run.path),
    }


def headed_front(run: StoredRun, top: int | None = None) -> pd.DataFrame:
    """Return the front of a run, units in the headings (arguments as in `run_data`)."""
    from dse.render.terminal.summary import sorted_front
    from dse.results.store import headed

    front = sorted_front(run) if top is None else sorted_front(run).head(top)
    return front.rename(columns={name: headed(str(name), run.spec.metrics) for name in front})

"""``dse show``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse.cli.options import Format, Full, Output, Quiet, Stored, command
from dse.cli.output import emit

app = command()


@app.command()
def show(
    run: Stored = "latest",
    top: Annotated[
        int | None, typer.Option(metavar="N", help="rows of the front; 10 in a table and all else by default", min=1)
    ] = None,
    full: Full = False,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Show a run: picks, front, binding constraints, feasible values.

    Example: dse show results/mach1 --top 20
    """
    from dse.cli import NONE_FEASIBLE, OK
    from dse.cli.outcome import headed_front, run_data
    from dse.render.terminal.outcome import run_parts
    from dse.results.store import open_run

    stored = open_run(run)
    emit(
        output,
        lambda: run_parts(stored, top, full=full),
        lambda: run_data(stored, top),
        lambda: headed_front(stored, top),
    )
    raise typer.Exit(OK if stored.found_feasible else NONE_FEASIBLE)

"""``dse merge``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse.cli import options

app = options.command()


@app.command()
def merge(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN ...", help="finished runs of one sweep")],
    out: options.RunDirectory = None,
    full: options.Full = False,
    output: options.Output = options.Format.table,
    draw: options.DrawnPlots = options.Drawn.first,
    no_report: options.NoReport = False,
    call_model: options.CallModel = False,
    quiet: options.Quiet = False,
) -> None:
    """Merge runs of one sweep.

    They may have had other seeds and other samplers.

    Example: dse merge results/mach1/20260101T000000Z-aaaaaaaa results/mach1/20260102T000000Z-bbbbbbbb
    """
    from dse.cli.outcome import finish
    from dse.errors import RunError
    from dse.results.store import open_run
    from dse.runs import merge as merged

    if len(runs) < 2:
        raise RunError("merge needs at least two runs")
    opened = [open_run(run) for run in runs]
    finish(
        lambda progress, answered: merged(opened, out=out, call_model=call_model, answered=answered),
        quiet=True,
        output=output,
        plots=draw,
        html=not no_report,
        full=full,
    )

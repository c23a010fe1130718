"""``dse resume``."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dse.cli import options

app = options.command()


@app.command()
def resume(
    run: options.Stored = "latest",
    n_designs: Annotated[
        int | None, typer.Option(metavar="N", help="designs to evaluate in all; extends a finished run", min=1)
    ] = None,
    out: options.RunDirectory = None,
    quiet: options.Quiet = False,
    full: options.Full = False,
    output: options.Output = options.Format.table,
    draw: options.DrawnPlots = options.Drawn.first,
    no_report: options.NoReport = False,
    call_model: options.CallModel = False,
    open_storage: options.OpenStorage = False,
    jobs: options.Jobs = None,
    backend: options.On = options.Backend.loky,
    scheduler: options.At = "",
) -> None:
    """Resume an interrupted run, or extend a finished one.

    An interrupted run comes to the result that it would have had without the interruption. Nothing in a run directory
    is executed; a program that its sweep names as its model is started only with --call-model,
    and the storage that it names for its study is opened only with --open-storage.

    Example: dse resume latest

    Example: dse resume results/mach1 --n-designs 8000000
    """
    from dse.cli.outcome import finish, spread_of
    from dse.runs import resume as go_on

    spread = spread_of(jobs, backend, scheduler)
    goes_on = partial(go_on, call_model=call_model, open_storage=open_storage)
    searched = partial(goes_on, run, n_designs=n_designs, out=out, spread=spread)
    finish(searched, quiet=quiet, output=output, plots=draw, html=not no_report, full=full, jobs=jobs)

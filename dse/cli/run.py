"""``dse run``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse.cli.options import (
    At,
    Backend,
    Format,
    Jobs,
    Library,
    NoPlots,
    NoReport,
    On,
    Output,
    Quiet,
    RunDirectory,
    Set,
    Storage,
    StudyName,
    Sweep,
    command,
)

app = command()


@app.command()
def run(
    spec: Sweep,
    out: RunDirectory = None,
    n_designs: Annotated[int | None, typer.Option(metavar="N", help="designs to evaluate")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="seed of the search")] = None,
    storage: Storage = None,
    study: StudyName = None,
    join: Annotated[bool, typer.Option("--join", help="share the Optuna study with other processes")] = False,
    overrides: Set = None,
    library: Library = None,
    quiet: Quiet = False,
    output: Output = Format.table,
    no_plots: NoPlots = False,
    no_report: NoReport = False,
    jobs: Jobs = 1,
    backend: On = Backend.loky,
    scheduler: At = "",
) -> None:
    """Search the space of a sweep and report the result.

    Example: dse run sweeps/mach1.yaml --seed 1 --set search.n_designs=500_000

    Example: dse run sweeps/mach1.yaml --set search.sampler=tpe --n-designs 200 --storage sqlite:///mach1.db --join
    """
    from dse.cli.outcome import finish, spread_of
    from dse.loop import run as search
    from dse.spec import load_spec
    from dse.terminal import progress_display

    keys = {
        "n_designs": n_designs, "seed": seed, "storage": None if storage is None else f'"{storage}"', "study": study,
        "join": "true" if join else None,
    }  # fmt: skip
    given = [f"search.{key}={value}" for key, value in keys.items() if value is not None]
    sweep = load_spec(spec, overrides=[*(overrides or []), *given], library=library or [])
    with progress_display(quiet=quiet) as progress:
        done = search(sweep, out=out, progress=progress, spread=spread_of(jobs, backend, scheduler))
    finish(done, output=output, plots=not no_plots, html=not no_report)

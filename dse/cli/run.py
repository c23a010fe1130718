"""``dse run``."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from dse.cli import options

app = options.command()


@app.command()
def run(
    spec: options.Sweep,
    out: options.RunDirectory = None,
    n_designs: Annotated[int | None, typer.Option(metavar="N", help="designs to evaluate")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="seed of the search")] = None,
    storage: options.Storage = None,
    study: options.StudyName = None,
    join: Annotated[bool, typer.Option("--join", help="share the Optuna study with other processes")] = False,
    overrides: options.Set = None,
    library: options.Library = None,
    quiet: options.Quiet = False,
    full: options.Full = False,
    output: options.Output = options.Format.table,
    draw: options.DrawnPlots = options.Drawn.first,
    no_report: options.NoReport = False,
    jobs: options.Jobs = None,
    backend: options.On = options.Backend.loky,
    scheduler: options.At = "",
) -> None:
    """Search the space of a sweep and report the result.

    Example: dse run sweeps/mach1.yaml --seed 1 --set search.n_designs=500_000

    Example: dse run sweeps/mach1.yaml --set search.sampler=tpe --n-designs 200 --storage sqlite:///mach1.db --join
    """
    from dse.cli.outcome import finish, spread_of
    from dse.runs import run as search
    from dse.sweep import load_spec
    from dse.sweep.notices import warnings_of

    keys = {
        "n_designs": n_designs, "seed": seed, "storage": None if storage is None else f'"{storage}"', "study": study,
        "join": "true" if join else None,
    }  # fmt: skip
    given = [f"search.{key}={value}" for key, value in keys.items() if value is not None]
    sweep = load_spec(spec, overrides=[*(overrides or []), *given], library=library or [])
    for line in warnings_of(sweep):
        print(line, file=sys.stderr)
    if not sweep.space and sweep.model is None:
        from dse.analysis.choose import choose_baselines
        from dse.cli.choose import present

        # A sweep that varies nothing is about its baselines.
        present(choose_baselines(sweep), output)
    searched = partial(search, sweep, out=out, spread=spread_of(jobs, backend, scheduler))
    finish(searched, quiet=quiet, output=output, plots=draw, html=not no_report, full=full, asked=sweep, jobs=jobs)

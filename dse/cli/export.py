"""``dse export``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse.cli.options import Quiet, Storage, Stored, StudyName, command

app = command()


@app.command()
def export(
    run: Stored = "latest",
    storage: Storage = None,
    study: StudyName = None,
    n_designs: Annotated[
        int, typer.Option(metavar="N", help="designs to write: the front, and the rest evenly", min=1)
    ] = 10_000,
    every_metric: Annotated[bool, typer.Option("--every-metric", help="all metrics as attributes")] = False,
    quiet: Quiet = False,
) -> None:
    """Export a run to an Optuna study.

    For optuna-dashboard and optuna.visualization.

    Example: dse export results/mach1 --storage sqlite:///mach1.db
    """
    from dse.analysis.export import export_study
    from dse.errors import Issue, Place, SpecError
    from dse.number_texts import counted, number_text
    from dse.render.terminal import console, print_parts
    from dse.render.terminal.tables import Lines
    from dse.results.store import open_run
    from dse.sweep.storage_url import Kind, given_storage, kind_of, plain_url

    if storage is None:
        raise SpecError([Issue(Place("--storage"), "", "is missing; for example --storage sqlite:///study.db")])
    if (issue := given_storage(storage)) is not None:
        raise SpecError([issue])
    written = export_study(open_run(run), storage, name=study, at_most=n_designs, every_metric=every_metric)
    left_out = written.kept - written.trials
    lines = [f"{counted(written.trials, 'trial')}, {number_text(written.front)} of them the front of the run"]
    if left_out:
        some = f"{number_text(left_out)} of the {number_text(written.kept)} designs that the run keeps are left out"
        lines.append(f"{some}, evenly; --n-designs {written.kept} takes them all")
    where = plain_url(storage) if kind_of(storage) is Kind.JOURNAL else storage
    lines.append(f"see it with: optuna-dashboard {where}")
    print_parts(console(), [Lines(lines, f"Study {written.name} in {storage}")])

"""``dse report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dse.cli.options import Quiet, Stored, command
from dse.cli.stored import evaluated_run

app = command()


@app.command()
def report(
    run: Stored = "latest",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="file to write; report.html of the run where not given")
    ] = None,
    n_designs: Annotated[
        int, typer.Option(metavar="N", help="designs that the page shows at most", min=1, max=200_000)
    ] = 16_000,
    quiet: Quiet = False,
) -> None:
    """Write the report of a run: one HTML file, offline.

    Example: dse report results/mach1 --out mach1.html
    """
    from dse.number_texts import number_text
    from dse.render.report import write_report

    file = write_report(evaluated_run(run, "report"), out=out, points=n_designs)
    print(f"{file} ({number_text(file.stat().st_size / 1e6, 3)} MB)")

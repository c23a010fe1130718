"""``dse diff``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse.cli.options import Format, Output, Quiet, command
from dse.cli.output import emit

app = command()


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="RUN", help="run directory")],
    second: Annotated[str, typer.Argument(metavar="RUN", help="another")],
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Show what differs between two runs.

    Sweep, library, versions, counts and front.

    Example: dse diff results/mach1/20260101T000000Z-aaaaaaaa latest
    """
    from dse.analysis.diff import differences
    from dse.render.terminal.differences import difference_parts, difference_rows
    from dse.results.store import open_run

    runs = open_run(first), open_run(second)
    result = differences(*runs)
    emit(
        output,
        lambda: difference_parts([run.path for run in runs], result),
        lambda: result,
        lambda: difference_rows(result),
    )

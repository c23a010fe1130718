"""``dse plot``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse.cli.options import ImageFormats, Quiet, Stored, command, image_formats

app = command()


@app.command()
def plot(
    run: Stored = "latest",
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help="which plots; all where not given; repeatable")
    ] = None,
    formats: ImageFormats = None,
    quiet: Quiet = False,
) -> None:
    """Draw the plots of a run.

    They go to its plots/ folder.

    Example: dse plot results/mach1 --kind pareto --image-format svg
    """
    from dse.render.plots import plot_run
    from dse.results.store import find_run

    for file in plot_run(find_run(run), kinds=kinds or None, formats=image_formats(formats)):
        print(file)

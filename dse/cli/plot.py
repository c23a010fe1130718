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
    x: Annotated[str | None, typer.Option("--x", metavar="COLUMN", help="parameter or metric across")] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="COLUMN", help="parameter or metric up")] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="COLUMN", help="parameter or metric that tells series apart")
    ] = None,
    formats: ImageFormats = None,
    quiet: Quiet = False,
) -> None:
    """Draw the plots of a run, or any two of its columns.

    They go to its plots/ folder.

    Example: dse plot results/mach1 --kind pareto --image-format svg

    Example: dse plot results/mach1 --x memory_devices --y chat_70b.ttft_ms --by memory
    """
    from dse.errors import Issue, Place, SpecError
    from dse.render.plots import plot_run
    from dse.results.store import find_run, open_run

    if x is None and y is None and by is None:
        files = plot_run(find_run(run), kinds=kinds or None, formats=image_formats(formats))
    elif x is None or y is None or kinds:
        given = ", ".join(name for name, value in (("--x", x), ("--y", y), ("--by", by), ("--kind", kinds)) if value)
        raise SpecError([Issue(Place(given), "", "--x and --y go together, --by with both, --kind with none of them")])
    else:
        from dse.render.plots.pair import draw_pair

        stored = open_run(run)
        files = draw_pair(stored, x, y, by, folder=stored.path / "plots", formats=image_formats(formats))
    for file in files:
        print(file)

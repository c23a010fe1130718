"""``dse explore``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse.cli.options import Quiet, Stored, command

app = command()


@app.command()
def explore(
    run: Stored = "latest",
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="port of 127.0.0.1; 0 for any that is free", min=0, max=65535)
    ] = 0,
    browser: Annotated[bool, typer.Option("--browser", help="open the page in a browser")] = False,
    quiet: Quiet = False,
) -> None:
    """Change a design on a local page; every figure follows at once.

    The report of the run, with a slider or a choice for every parameter of a design and of its workloads: metrics,
    roofline, floorplan, margins and the place beside the front follow by the same equations, and the design can be
    saved as a design file. The page is served to this machine alone, under an address with a secret in it.

    Example: dse explore latest --browser
    """
    from dse.render.explore import explore as serve

    with serve(run, port=port) as explorer:
        print(f"{explorer.address} (until Ctrl-C)", flush=True)
        if browser:
            import webbrowser

            webbrowser.open(explorer.address)
        try:
            explorer.wait()
        except KeyboardInterrupt:
            return

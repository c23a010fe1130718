"""``dse robust``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Drawn, DrawnPlots, Format, Jobs, Output, Quiet, Stored, command
from dse.cli.output import emit
from dse.cli.stored import evaluated_run

if TYPE_CHECKING:
    from pathlib import Path

    from dse.render.terminal.tables import Part
    from dse.results.store import StoredRun
    from dse.uncertainty.files import RobustRun

app = command()


@app.command()
def robust(
    run: Stored = "latest",
    draws: Annotated[
        int | None,
        typer.Option(metavar="N", help="Monte Carlo samples of the ranged parameters; the sweep's or 2000", min=2),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="seed of the draws; the sweep's or 0", min=0)] = None,
    n_designs: Annotated[
        int | None, typer.Option(metavar="N", help="designs of the front to take; the sweep's or 1000", min=1)
    ] = None,
    pick: Annotated[
        str | None, typer.Option(metavar="PICK", help="pick whose inputs are analysed; default: knee")
    ] = None,
    output: Output = Format.table,
    draw: DrawnPlots = Drawn.first,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Monte Carlo uncertainty of the front.

    Re-evaluates designs of the front under Monte Carlo samples of every ranged parameter of the library: intervals,
    probabilities to meet every target, and what moves a pick. Tables and plots go into the run directory.

    Example: dse robust results/mach1 --draws 2000 --seed 0
    """
    from dse.errors import RunError
    from dse.parallelism import Parallelism
    from dse.render.terminal import counted_display
    from dse.results.directory import seal
    from dse.sweep.records import MAX_DRAWS
    from dse.uncertainty.files import designs_frame, inputs_frame, write_robust
    from dse.uncertainty.intervals import DRAWS
    from dse.uncertainty.stored_run import MAX_DESIGNS, robust_run

    if draws is not None and draws > MAX_DRAWS:
        raise RunError(f"--draws {draws}: at most {MAX_DRAWS} are drawn")
    spread = Parallelism(jobs)
    spread.check()
    stored = evaluated_run(run, "robust", model=False)
    requested = stored.spec.robustness
    with counted_display("designs") as progress:
        result = robust_run(
            stored,
            draws=draws if draws is not None else requested.draws if requested else DRAWS,
            seed=seed if seed is not None else requested.seed if requested else 0,
            at_most=n_designs if n_designs is not None else requested.designs if requested else MAX_DESIGNS,
            pick=pick,
            progress=progress,
            spread=spread,
        )
    files = write_robust(stored.path, result)
    seal(stored.path, [file.relative_to(stored.path).as_posix() for file in files])
    if draw is not Drawn.none:
        from dse.render.plots import plot_run

        files += plot_run(stored.path, kinds=("robust",))
    emit(
        output,
        lambda: _parts(stored, result, files),
        lambda: {
            "draws": result.found.draws,
            "seed": result.found.seed,
            "parameters": [spread.path for spread in result.found.spreads],
            "designs": designs_frame(result),
            "inputs_of": {"id": result.subject[0], "pick": result.subject[1]},
            "inputs": inputs_frame(result.swings),
        },
        lambda: designs_frame(result),
    )


def _parts(run: StoredRun, found: RobustRun, files: list[Path]) -> list[Part]:
    from dse.render.terminal.robustness import chances_table, drawn_words, inputs_table, intervals_table
    from dse.render.terminal.tables import Lines

    taken = [f"of the {len(run.front)} designs on the front; --n-designs takes more"]
    return [
        Lines(drawn_words(found), f"{run.name} under Monte Carlo samples  ({run.path})"),
        Lines(taken if sum(found.on_front) < len(run.front) else []),
        intervals_table(found, run.spec),
        chances_table(found, run.spec),
        inputs_table(found),
        Lines([str(file) for file in files], "Files"),
    ]

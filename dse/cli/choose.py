"""``dse choose``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, ImageFormats, Library, Output, Plots, Quiet, command, image_formats
from dse.cli.output import emit

if TYPE_CHECKING:
    from dse.analysis.choose import Chosen

app = command()


@app.command()
def choose(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WORKLOAD",
            help="'MODEL batch=32 prompt_tokens=1024 ...', or a sweep with baselines, a shipped one by its name",
        ),
    ],
    at_most: Annotated[
        list[str] | None, typer.Option("--max", metavar="METRIC=BOUND", help="limit, like ttft_ms='2 s'; repeatable")
    ] = None,
    at_least: Annotated[
        list[str] | None, typer.Option("--min", metavar="METRIC=BOUND", help="the same from below; repeatable")
    ] = None,
    rank: Annotated[
        str | None, typer.Option(metavar="BY", help="price, cost (per million tokens), hour, power, speed, or a metric")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="FORMAT", help="'fp8 kv_bits=8 act_bits=8'; repeatable; bf16, fp8 and int4_g128"),
    ] = None,
    most_chips: Annotated[int, typer.Option("--chips", metavar="N", help="most chips together", min=1, max=4096)] = 8,
    chips: Annotated[
        list[str] | None, typer.Option("--chip", metavar="NAME", help="chip to try; all; repeatable")
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", help="rows of the table", min=1)] = 10,
    every: Annotated[bool, typer.Option("--every", help="every way to serve, not the best of each chip")] = False,
    plots: Plots = None,
    image: ImageFormats = None,
    library: Library = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Rank the chips that you could buy for a workload.

    Every chip of the library, and of --library, in every count, format and split, by the same equations as designs.
    A sweep with baselines ranks these instead.

    Example: dse choose "llama3_70b batch=32 prompt_tokens=1024 output_tokens=256" --max tpot_ms=30 --rank price
    """
    from dse.analysis.choose import FORMATS, choose_baselines, limits_spec
    from dse.analysis.choose import choose as chosen
    from dse.errors import NOWHERE, Issue, SpecError
    from dse.sweep import load_spec
    from dse.sweep.shipped import shipped_sweeps

    file = shipped_sweeps().get(what[0], Path(what[0]))
    is_file = file.suffix in (".yaml", ".yml")
    if not is_file:
        limits = [*(("max", one) for one in at_most or []), *(("min", one) for one in at_least or [])]
        spec = limits_spec(what, limits, library=library or [])
        result = chosen(
            spec, rank=rank or "price", formats=formats or FORMATS, most_chips=most_chips, chips=chips or []
        )
        present(result, output, top, every=every, plots=plots, formats=image_formats(image))
        return
    given = {"--max": at_most, "--min": at_least, "--as": formats, "--chip": chips}
    issues = [
        Issue(NOWHERE, name, "does not go with a sweep, which says it itself") for name, one in given.items() if one
    ]
    issues += [Issue(NOWHERE, "WORKLOAD", "is one sweep, or workloads, not both")] if len(what) > 1 else []
    sweep = load_spec(file, library=library or []) if not issues else None
    if sweep is not None and not sweep.baselines:
        issues.append(Issue(sweep.place_of("baselines"), "baselines", "is missing: the chips to rank"))
    if issues or sweep is None:
        raise SpecError(issues)
    present(choose_baselines(sweep, rank=rank), output, top, every=every, plots=plots, formats=image_formats(image))


def show(found: Chosen, output: Format, top: int = 10, *, every: bool = False) -> None:
    """Print ways to serve."""
    from dse.render.terminal.choose import choice_parts, choice_rows

    emit(
        output,
        lambda: choice_parts(found, top, every=every),
        lambda: {"rank": found.rank, "ways": [way.plain() for way in found.ways], "left_out": found.left_out},
        lambda: choice_rows(found),
    )


def present(
    found: Chosen,
    output: Format,
    top: int = 10,
    *,
    every: bool = False,
    plots: Path | None = None,
    formats: tuple[str, ...] = ("png",),
) -> None:
    """Print ways to serve, draw them where that is asked for, and end with the status of what was found."""
    import sys

    from dse.cli import NONE_FEASIBLE, OK

    show(found, output, top, every=every)
    if plots is not None:
        from dse.render.plots.choose import draw_choice

        for file in draw_choice(found, plots, formats):
            print(file, file=sys.stderr)
    raise typer.Exit(OK if any(way.meets for way in found.ways) else NONE_FEASIBLE)

"""``dse compare``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, Library, Output, Quiet, command
from dse.cli.output import emit
from dse.cli.stored import evaluated_run

if TYPE_CHECKING:
    from cost_models.table import Setting
    from dse.evaluator import Evaluator
    from dse.results.store import StoredRun

app = command()


@app.command()
def compare(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="run directory, results/NAME for its newest, latest, or DESIGN.yaml")
    ] = "latest",
    baselines: Annotated[
        list[str] | None,
        typer.Option("--baseline", metavar="CHIPS", help="further chips, like '8x h200_sxm weight_format=fp8'"),
    ] = None,
    load: Annotated[
        float | None, typer.Option(metavar="N", help="token/s that fleets of every side shall serve")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="MONEY", help="for the boards of fleets, '$10_000_000' or '13_000_000_000 KRW'"),
    ] = None,
    krw_per_usd: Annotated[
        float | None, typer.Option(metavar="N", help="exchange rate; the sweep's where not given", min=1)
    ] = None,
    library: Library = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Compare picks with baselines, or size fleets of both.

    All by the same equations; a design file is compared with its own baselines. With --load or --budget every side
    also stands as a fleet: whole groups of boards that serve the load, or that the money buys, with power, cost of
    ownership and carbon.

    Example: dse compare results/mach1 --baseline "8x h200_sxm weight_format=fp8 kv_bits=8"

    Example: dse compare results/mach1 --library my_chips/ --baseline "2x my_chip"

    Example: dse compare results/mach1 --budget "13_000_000_000 KRW" --krw-per-usd 1340
    """
    from cost_models.table import Table
    from dse.analysis.compare import compare as comparisons_of
    from dse.analysis.compare import with_baselines
    from dse.analysis.explain.inputs import load_design
    from dse.analysis.fleet import budget_usd, fleets
    from dse.errors import Issue, Place, SpecError
    from dse.evaluator import Evaluator
    from dse.number_texts import number_text
    from dse.render.terminal.comparison import comparison_parts, comparison_rows
    from dse.render.terminal.fleet import fleet_parts
    from dse.results.picks import settings_of

    designs: Mapping[str, Mapping[str, Setting]]
    if load is not None and budget is not None:
        raise SpecError([Issue(Place("--load, --budget"), "", "only one of the two can be given")])
    if load is not None and not 0 < load < math.inf:
        raise SpecError([Issue(Place("--load"), "", f"{load:g}", "a finite number of token/s above 0")])
    if krw_per_usd is not None and not math.isfinite(krw_per_usd):
        raise SpecError([Issue(Place("--krw-per-usd"), "", f"{krw_per_usd:g}", "a finite number of won")])
    if Path(run).suffix in (".yaml", ".yml"):
        spec, settings = load_design(run, library=library or [])
        whole = settings_of(Table.from_settings(settings), 0)
        evaluator, designs = Evaluator(with_baselines(spec, baselines or [])), {spec.name: whole}
    else:
        stored = evaluated_run(run, "compare")
        evaluator, designs = compared(stored, baselines or [], library=library or [])
    rate = krw_per_usd if krw_per_usd is not None else evaluator.economics.krw_per_usd
    dollars = None if budget is None else budget_usd(budget, rate)
    sides = comparisons_of(evaluator, designs)
    if load is None and dollars is None:
        emit(
            output,
            lambda: comparison_parts(sides),
            lambda: [one.to_json() for one in sides],
            lambda: comparison_rows(sides),
        )
        return
    rows = fleets(evaluator, designs, tokens_per_s=load, budget=dollars)
    target = f"{number_text(load)} token/s" if load is not None else f"{number_text(dollars)} USD of boards"
    records = [
        {"name": row.name, "workload": row.workload, "chips_per_group": row.chips, **row.amounts(rate)} for row in rows
    ]
    emit(
        output,
        lambda: [*comparison_parts(sides), *fleet_parts(rows, target, rate)],
        lambda: {"comparisons": [one.to_json() for one in sides], "fleets": records},
        lambda: (tuple(records[0]), [tuple(record.values()) for record in records]),
    )


def compared(
    run: StoredRun, baselines: Sequence[str] = (), *, only: str | None = None, library: Sequence[Path] = ()
) -> tuple[Evaluator, dict[str, Mapping[str, Setting]]]:
    """Return the evaluator with every baseline, and the picks of a run by what people call them, each design once.

    Args:
        run: the run.
        baselines: further chips.
        only: the one pick to compare, or the first where there is none of that name; all where None.
        library: directories of entries that are added to the library of the run.

    Raises:
        SpecError: a baseline is not one.
        LibraryError: what is added to the library is at fault.
    """
    from dse.analysis.compare import with_baselines
    from dse.evaluator import Evaluator
    from dse.render.terminal.summary import named_picks

    picks = [pick for pick in run.picks if pick["name"] == only] or run.picks[: None if only is None else 1]
    evaluator = Evaluator(with_baselines(run.spec, baselines, library))
    return evaluator, {name: pick["design"] for name, pick in named_picks(picks, run.spec).items()}

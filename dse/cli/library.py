"""``dse library``: its commands show the cited data, with unit, range, source, year and confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, Library, Output, Quiet, command
from dse.cli.output import emit

if TYPE_CHECKING:
    from cost_models.library import Library as Entries

app = command()


@app.callback(no_args_is_help=True)
def library() -> None:
    """List and show the cited data behind the models.

    Chips, models, nodes, memories, formats, stacks, parameters.

    Example: dse library show a100_80gb_sxm
    """


@app.command("list")
def list_entries(
    section: Annotated[
        str | None, typer.Argument(metavar="SECTION", help="chips, models, metrics, sweep_parameters, parameters, ...")
    ] = None,
    weakest_first: Annotated[
        bool, typer.Option("--weakest-first", help="order numbers by support: unsourced, derived, cited")
    ] = False,
    library: Library = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """List the entries of the library, or of one section.

    Parameters and metrics of sweeps are sections too.

    Example: dse library list chips

    Example: dse library list metrics

    Example: dse library list parameters --weakest-first
    """
    from dse.render.terminal.library import section_sheet
    from dse.render.terminal.quantities import NAMES, quantity_sheet
    from dse.sweep.library_additions import library_with

    if weakest_first and section not in ("parameters", "evidence"):
        raise typer.BadParameter("goes with parameters and evidence", param_hint="--weakest-first")
    known = library_with(library or [])
    if section is not None and section in NAMES:
        sheet = quantity_sheet(section, known)
    else:
        sheet = section_sheet(known, section, weakest_first=weakest_first)
    emit(output, lambda: [sheet.table()], sheet.records, sheet.rows)


@app.command("show")
def show_entry(
    name: Annotated[str, typer.Argument(metavar="NAME", help="key of an entry, or its section before it")],
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="key of an entry after its section")] = None,
    library: Library = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Show an entry; of a stack, every constant and its origin.

    Also a parameter or a metric of sweeps.

    Example: dse library show lpddr5x_9600

    Example: dse library show ttft_ms

    Example: dse library show stack tensorrt_llm
    """
    from cost_models.library.names import resolve
    from dse.render.terminal.library import entry_data, entry_parts, entry_rows, sections_of
    from dse.render.terminal.quantities import NAMES, found_in, quantity_sheet
    from dse.render.terminal.stack import stack_data, stack_parts, stack_rows
    from dse.sweep.library_additions import library_with

    known = library_with(library or [])
    entry = resolve("model", name if key is None else key, known)
    quantity = found_in(entry) if key is None or name in (*NAMES, "sweep_parameter", "metric") else None
    if quantity is not None:
        sheet = quantity_sheet(quantity, known, entry)
        emit(output, lambda: [sheet.table()], sheet.records, sheet.rows)
        return
    sections = sections_of(known, None if key is None else name, entry)
    if sections in (["parameters"], ["evidence"]):
        _show_parameters(entry, known, output)
    elif sections == ["stacks"]:
        emit(
            output,
            lambda: stack_parts(known, entry),
            lambda: stack_data(known, entry),
            lambda: stack_rows(known, entry),
        )
    else:
        emit(
            output,
            lambda: entry_parts(known, entry, sections),
            lambda: entry_data(known, entry, sections),
            lambda: entry_rows(known, entry, sections),
        )


@app.command("parameter")
def show_parameter(
    path: Annotated[str, typer.Argument(metavar="PATH", help="dotted path, or its beginning")],
    library: Library = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Show parameters with unit, range, source, year and confidence.

    Example: dse library parameter nodes.tsmc_5
    """
    from dse.sweep.library_additions import library_with

    _show_parameters(path, library_with(library or []), output)


@app.command("where")
def show_where(
    path: Annotated[str, typer.Argument(metavar="PARAMETER", help="dotted path of a parameter")],
    library: Library = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Show which metrics and limits a parameter moves, and how far.

    From the low to the high end of its range.

    Example: dse library where memory.lpddr5x.energy_total_pj_per_bit
    """
    from dse.render.terminal.library import Sheet, parameter_parts, parameters_below
    from dse.render.terminal.tables import Lines
    from dse.sweep.library_additions import library_with
    from dse.uncertainty.usage import uses_of

    uses = uses_of(path, library=library or [])
    known = library_with(library or [])
    cells = [[use.metric, use.seen_in, use.at_low, use.at_typ, use.at_high, round(100 * use.change, 3)] for use in uses]
    headings = ("metric or limit", "seen in", "at its low", "typical", "at its high", "change %")
    sheet = Sheet(f"What {path} moves", headings, cells)
    evidence = path in known.evidence
    why = "it is evidence only: no model reads it" if evidence else "not with the designs and chips tried here"
    unused = Lines([f"no metric moves with {path}: {why}"])
    emit(
        output,
        lambda: [*parameter_parts(known, parameters_below(known, path)), sheet.table() if uses else unused],
        sheet.records,
        sheet.rows,
    )


def _show_parameters(path: str, known: Entries, output: Format) -> None:
    from dse.render.terminal.library import parameter_data, parameter_parts, parameter_sheet, parameters_below

    chosen = parameters_below(known, path)
    emit(
        output,
        lambda: parameter_parts(known, chosen),
        lambda: parameter_data(chosen),
        parameter_sheet(known, chosen).rows,
    )

"""``dse calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, Library, Output, Quiet, command
from dse.cli.output import emit

if TYPE_CHECKING:
    from dse.render.terminal.tables import Part
    from dse.validation.calibrate import Calibration

app = command()

HEADINGS = ("constant", "base", "low", "fitted", "high")

FILE = "calibrated.yaml"
"""What is written into the directory."""


@app.command()
def calibrate(
    rows: Annotated[
        list[Path], typer.Argument(metavar="ROWS", help="end-to-end measurements, in any form that dse validate reads")
    ],
    stack: Annotated[
        str | None, typer.Option("--stack", metavar="BASE", help="stack to start from; that of the rows' software")
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--with", metavar="COLUMN=VALUE", help="what files do not tell; repeatable")
    ] = None,
    library: Library = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="directory to write the stack into")] = None,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Fit a stack to your own measurements.

    The constants of the base that the library fitted are fitted again, each pulled to its value there. The stack
    that is written is called BASE_calibrated, and so it is in every result.

    Example: dse calibrate rows.csv --stack vllm --out mine

    Example: dse explain "1x h100_sxm serving_stack=vllm_calibrated" --library mine
    """
    from dse.cli.validate import given_cells
    from dse.sweep.library_additions import library_with
    from dse.validation.calibrate import calibrate as fitted

    found = fitted(rows, stack, library_with(library or []), given_cells(given or []))
    if out is not None:
        _write(found, rows, out)
    emit(
        output,
        lambda: _parts(found, out),
        lambda: found,
        lambda: (HEADINGS, [(one.name, one.base, one.low, one.value, one.high) for one in found.constants]),
    )


def _write(found: Calibration, rows: list[Path], out: Path) -> None:
    """Write the entries that add the stack."""
    from dse.results.yaml_text import yaml_text

    text = yaml_text(found.entries(", ".join(path.name for path in rows)))
    out.mkdir(parents=True, exist_ok=True)
    (out / FILE).write_text(text, encoding="utf-8")


def _parts(found: Calibration, out: Path | None) -> list[Part]:
    from dse.number_texts import share_text
    from dse.render.terminal.tables import Lines, TextTable

    lines = [
        f"{found.rows} rows; median error {share_text(found.error_before)} with {found.base}, "
        f"{share_text(found.error_after)} calibrated, {share_text(found.error_left_out)} on rows left out",
        *(f"not used: {count} x {why}" for why, count in found.not_used.items()),
    ]
    if out is not None:
        lines.append(f"use it: --library {out}, serving_stack: {found.stack}")
    cells = [(one.name, one.base, one.low, one.value, one.high) for one in found.constants]
    headings = ("constant", found.base, "low", "fitted", "high")
    return [Lines(lines, found.stack), TextTable("Constants, with two standard errors", headings, cells)]

"""``dse validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, ImageFormats, Library, Output, Plots, Quiet, command, image_formats
from dse.cli.output import emit

if TYPE_CHECKING:
    from dse.validation.results import Validation

app = command()


@app.command()
def validate(
    measurements: Annotated[
        list[Path] | None,
        typer.Option(
            "--measurements",
            metavar="FILE",
            help="CSV of measurements, or a result of llama-bench, vLLM, SGLang, genai-perf or aiperf; repeatable; "
            "all shipped ones by default",
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="COLUMN=VALUE", help="what files do not tell, such as chip=h100_sxm; repeatable"
        ),
    ] = None,
    library: Library = None,
    out: Annotated[
        Path | None, typer.Option(metavar="SCORED.csv", help="file for the scored rows; a folder for several files")
    ] = None,
    plots: Plots = None,
    formats: ImageFormats = None,
    silicon: Annotated[bool, typer.Option("--silicon", help="area, power and price of real chips instead")] = False,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Compare predictions with published measurements.

    Example: dse validate --out scored --plots plots

    Example: dse validate --measurements result.json --with chip=h100_sxm --with weight_bits=16

    Example: dse validate --silicon
    """
    if silicon and (measurements or given or library or out or plots):
        raise typer.BadParameter("--silicon goes with --format only")
    from dse.render.terminal.validation import validation_parts

    if silicon:
        from dse.uncertainty.calibration import calibration_table
        from dse.validation.silicon.checks import silicon_validation

        validation = silicon_validation(further=[calibration_table])
    else:
        from cost_models.library.technology import Technology
        from dse.sweep.library_additions import library_with
        from dse.validation.run import run_validation

        technology = Technology(library=library_with(library or []))
        validation = run_validation(measurements or [], technology, given=given_cells(given or []))
    emit(
        output,
        lambda: validation_parts(validation),
        validation.records,
        lambda: (("table", "row", "column", "value"), validation.rows()),
    )
    _write(validation, out, plots, image_formats(formats))


def given_cells(words: list[str]) -> dict[str, str]:
    """Return columns and cells of ``COLUMN=VALUE``.

    Raises:
        BadParameter: a word is not of that form, or names no column of end-to-end rows.
    """
    from dse.validation.rows import DEFAULTS, NUMBERS

    known = {"chip", "model", *DEFAULTS, *NUMBERS} - {"value"}
    cells = {}
    for word in words:
        name, sign, cell = word.partition("=")
        if not sign or name not in known:
            wanted = "chip, n_chips, parallelism, model, weight_bits, act_bits, kv_bits, batch, input_len, output_len"
            raise typer.BadParameter(f"--with {word} is not COLUMN=VALUE with a column such as {wanted}, software")
        cells[name] = cell
    return cells


def _write(validation: Validation, out: Path | None, plots: Path | None, formats: tuple[str, ...]) -> None:
    """Write scored rows and plots."""
    if out is not None and len(validation.files) == 1:
        out.parent.mkdir(parents=True, exist_ok=True)
        next(iter(validation.files.values())).to_csv(out, index=False)
    elif out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, rows in validation.files.items():
            rows.to_csv(out / Path(name).name, index=False)
    if plots is not None:
        from dse.render.plots.validation import draw_validation

        draw_validation(validation, plots, formats)

"""``dse validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.cli.options import Format, ImageFormats, Output, Plots, Quiet, command, image_formats
from dse.cli.output import emit

if TYPE_CHECKING:
    from dse.validation.results import Validation

app = command()


@app.command()
def validate(
    measurements: Annotated[
        list[Path] | None,
        typer.Option(
            "--measurements", metavar="FILE.csv", help="measurement file; repeatable; all shipped ones by default"
        ),
    ] = None,
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

    Example: dse validate --silicon
    """
    if silicon and (measurements or out or plots):
        raise typer.BadParameter("--silicon goes with --format only")
    from dse.render.terminal.validation import validation_parts

    if silicon:
        from dse.validation.silicon.checks import silicon_validation

        validation = silicon_validation()
    else:
        from dse.validation import run_validation

        validation = run_validation(measurements or [])
    emit(
        output,
        lambda: validation_parts(validation),
        validation.records,
        lambda: (("table", "row", "column", "value"), validation.rows()),
    )
    _write(validation, out, plots, image_formats(formats))


def _write(validation: Validation, out: Path | None, plots: Path | None, formats: tuple[str, ...]) -> None:
    """Write scored rows and plots.

    Raises:
        RunError: they cannot be written there.
    """
    from dse.errors import RunError

    try:
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
    except OSError as error:
        raise RunError(f"cannot write: {error}") from None

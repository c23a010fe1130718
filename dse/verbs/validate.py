"""``dse validate``: predictions held against measurement files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dse.errors import DseError
from dse.validate import run_validation
from dse.validate.results import Validation


class OutputError(DseError):
    """A result cannot be written where it was asked for."""


def validate(measurements: Sequence[Path], *, out: Path | None, output: str, plots: Path | None) -> None:
    """Predict every row of the files, print the scores, write scored rows and figures.

    Args:
        measurements: CSV files; the shipped ones where empty.
        out: file of scored rows; with several files a folder, one file each.
        output: "table", "json" or "csv".
        plots: folder of figures.

    Raises:
        MeasurementError: a file is none of the forms.
        OutputError: results cannot be written.
    """
    validation = run_validation(measurements)
    _print(validation, output)
    try:
        if out is not None and len(validation.files) == 1:
            out.parent.mkdir(parents=True, exist_ok=True)
            next(iter(validation.files.values())).to_csv(out, index=False)
        elif out is not None:
            out.mkdir(parents=True, exist_ok=True)
            for name, rows in validation.files.items():
                rows.to_csv(out / Path(name).name, index=False)
        if plots is not None:
            from dse.plots.validation import draw_validation

            draw_validation(validation, plots)
    except OSError as error:
        raise OutputError(f"cannot write: {error}") from None


def validate_silicon(*, output: str) -> None:
    """Predict area, power and price of real chips and print the scores.

    Args:
        output: "table", "json" or "csv".
    """
    from dse.validate.silicon import silicon_validation

    validation = silicon_validation()
    _print(validation, output)


def _print(validation: Validation, output: str) -> None:
    forms = {"json": validation.as_json, "csv": lambda: validation.as_csv().rstrip("\n"), "table": validation.text}
    print(forms[output]())

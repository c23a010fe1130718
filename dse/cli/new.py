"""``dse new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dse.cli.options import Quiet, command

app = command()


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of the sweep and of its file")],
    quiet: Quiet = False,
) -> None:
    """Write a commented sweep file to start from.

    Example: dse new mychip
    """
    from importlib import resources

    from dse.errors import Issue, Place, RunError, SpecError
    from dse.sweep.fields import is_identifier

    file = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    stem = file.stem
    if not is_identifier(stem):
        must_be = "letters, digits, _ or -, beginning with a letter"
        raise SpecError([Issue(Place("dse new"), "NAME", repr(stem), must_be)])
    template = resources.files("dse.cli").joinpath("new.yaml").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(template.replace("{{name}}", stem).replace("{{file}}", str(file)))
    except FileExistsError:
        raise RunError(f"{file}: exists already, and is not overwritten; choose another name") from None
    except OSError as error:
        raise RunError(f"{file}: cannot be written: {error.strerror or error}") from error
    print(f"{file} is a small sweep, done in seconds. Next: dse run {file}")

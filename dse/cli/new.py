"""``dse new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dse.cli.options import Quiet, command

app = command()


@app.command()
def new(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="name of the sweep and of its file", show_default=False)
    ] = None,
    source: Annotated[str | None, typer.Option("--from", metavar="SWEEP", help="shipped sweep to start from")] = None,
    listed: Annotated[bool, typer.Option("--list", help="list the shipped sweeps instead")] = False,
    quiet: Quiet = False,
) -> None:
    """Write a commented sweep file to start from.

    The shipped sweeps also run by their bare names: dse run quickstart.

    Example: dse new mychip

    Example: dse new --list

    Example: dse new mychip --from mach1
    """
    from dse.errors import NOWHERE, Issue, RunError, SpecError
    from dse.sweep.fields import is_identifier

    if listed:
        _list()
        return
    if name is None:
        raise SpecError([Issue(NOWHERE, "NAME", "is missing: the name of the sweep to write, or --list")])
    file = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if not is_identifier(file.stem):
        must_be = "letters, digits, _ or -, beginning with a letter"
        raise SpecError([Issue(NOWHERE, "NAME", repr(file.stem), must_be)])
    text = _text(file, source)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise RunError(f"{file}: exists already, and is not overwritten; choose another name") from None
    except OSError as error:
        raise RunError(f"{file}: cannot be written: {error.strerror or error}") from error
    what = "is a small sweep, done in seconds" if source is None else f"is a copy of the sweep {source}"
    print(f"{file} {what}. Next: dse run {file}")


def _text(file: Path, source: str | None) -> str:
    """Return the commented template, or a shipped sweep, under the name of the file."""
    import re
    from importlib import resources

    from dse.sweep.shipped import shipped_sweep

    if source is None:
        template = resources.files("dse.cli").joinpath("new.yaml").read_text(encoding="utf-8")
        return template.replace("{{name}}", file.stem).replace("{{file}}", str(file))
    text = shipped_sweep(source).read_text(encoding="utf-8")
    return re.sub(r"^name:.*$", f"name: {file.stem}", text, flags=re.MULTILINE)


def _list() -> None:
    from dse.render.terminal import console, print_parts
    from dse.render.terminal.tables import TextTable
    from dse.sweep.shipped import first_words, shipped_sweeps

    rows = tuple((name, first_words(file)) for name, file in shipped_sweeps().items())
    print_parts(console(), [TextTable("Shipped sweeps: dse run NAME", ("name", "what it asks"), rows)])

"""``dse new``: a commented sweep file to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from dse.errors import Fault, Place, RunError, SpecError
from dse.spec.fields import is_identifier


def write_sweep(name: str) -> Path:
    """Write ``NAME.yaml`` into the working directory, say what to do with it, and return the file.

    Args:
        name: name of the sweep, with or without ``.yaml``.

    Raises:
        SpecError: the name cannot name a sweep.
        RunError: there is such a file already, or it cannot be written.
    """
    file = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    stem = file.stem
    if not is_identifier(stem):
        must_be = "letters, digits, _ or -, beginning with a letter"
        raise SpecError([Fault(Place("dse new"), "NAME", repr(stem), must_be)])
    template = resources.files("dse.verbs").joinpath("new.yaml").read_text(encoding="utf-8")
    text = template.replace("{{name}}", stem).replace("{{file}}", str(file))
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise RunError(f"{file}: exists already, and is not overwritten; choose another name") from None
    except OSError as error:
        raise RunError(f"{file}: cannot be written: {error.strerror or error}") from error
    print(f"{file} is a small sweep, done in seconds. Next: dse run {file}")
    return file

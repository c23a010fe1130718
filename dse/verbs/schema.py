"""``dse schema``: the sweep file as a JSON Schema, for editors."""

from __future__ import annotations

import json
from pathlib import Path

from dse.errors import RunError
from dse.spec.schema import sweep_schema


def print_schema(out: Path | None) -> None:
    """Print the JSON Schema of sweep files, or write it to a file.

    Raises:
        RunError: the file cannot be written.
    """
    text = json.dumps(sweep_schema(), indent=2) + "\n"
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error.strerror or error}") from error

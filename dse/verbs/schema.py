"""``dse schema``: the sweep file as a JSON Schema, for editors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dse.errors import RunError
from dse.spec.additions import library_with
from dse.spec.schema import sweep_schema


def print_schema(out: Path | None, library: Sequence[Path] = ()) -> None:
    """Print the JSON Schema of sweep files, or write it to a file.

    Args:
        out: the file; printed where None.
        library: directories and sweep files whose entries are known as well.

    Raises:
        LibraryError: an addition is at fault.
        RunError: the file cannot be written.
    """
    text = json.dumps(sweep_schema(library_with(library)), indent=2) + "\n"
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error.strerror or error}") from error

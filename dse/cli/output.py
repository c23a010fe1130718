"""The one way in which commands print results: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dse.cli.options import Format, Silence
from dse.plain import json_text, plain

if TYPE_CHECKING:
    import pandas as pd

    from dse.render.terminal.tables import Part, Rows


def emit(
    output: Format,
    parts: Callable[[], Iterable[Part]],
    data: Callable[[], object],
    rows: Callable[[], Rows | pd.DataFrame] | None = None,
) -> None:
    """Print a result as it was asked for; only what is printed is made.

    Args:
        output: how.
        parts: the tables and lines for people.
        data: the whole result, as `plain` takes it, for JSON.
        rows: the sheet for CSV; the records that `data` returns where None.
    """
    if isinstance(sys.stdout, Silence):
        return

    from dse.render.terminal import console, print_parts
    from dse.sheets import columns_of, csv_text

    if output is Format.table:
        print_parts(console(), parts())
    elif output is Format.json:
        print(json_text(data()))
    else:
        sheet = rows() if rows is not None else _sheet(data())
        if isinstance(sheet, tuple):
            print(csv_text(sheet[0], zip(*sheet[1], strict=True)), end="")
        else:
            print(csv_text(map(str, sheet.columns), columns_of(sheet)), end="")


def _sheet(records: object) -> Rows:
    """Return records of the same keys as headings and cells."""
    assert isinstance(records, list), "what is no list of records must say what its sheet is"
    every = [plain(record) for record in records]
    return list(every[0]) if every else [], [list(record.values()) for record in every]


class _Pipe(io.FileIO):
    """Standard output that goes on when nobody reads it any more, or when it takes no more."""

    refused: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)
        except OSError as error:
            self.refused = error
            return len(data)


def outlive_reader() -> Callable[[], OSError | None]:
    """Let ``dse ... | head`` end as if all had been read: with its own status, and with all its files written.

    Returns:
        A function for the end: it writes out what is left and returns why standard output did not take it, if so.
    """
    out: TextIO = sys.stdout
    if sys.stdout is None:  # closed by the caller: what is printed has no place
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open to the end)
        return lambda: None
    if out != sys.__stdout__ or out.isatty():
        return lambda: None
    out.flush()
    raw = _Pipe(out.fileno(), "wb", closefd=False)
    text = io.TextIOWrapper(io.BufferedWriter(raw), encoding=out.encoding, errors="backslashreplace", newline=None)
    sys.stdout = text

    def finish() -> OSError | None:
        text.flush()
        return raw.refused

    return finish

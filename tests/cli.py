"""The command line, called in this process."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import NamedTuple

import dse.cli


class Called(NamedTuple):
    """What a call of the command line gave: exit status, standard output and standard error."""

    status: int | str
    out: str
    err: str


def call(*arguments: object) -> Called:
    """Run ``dse`` with these arguments, as from a terminal that is piped, and return what it gave."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in range(2))
    argv, hook = sys.argv, sys.excepthook
    sys.argv = ["dse", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            dse.cli.main()
    except SystemExit as ended:
        status = ended.code or 0
    finally:
        sys.argv, sys.excepthook = argv, hook
    return Called(status, *(stream.buffer.getvalue().decode() for stream in (out, err)))

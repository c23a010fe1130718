"""The command line: one file per command, imported when its command is called.

Exit status: 0 feasible designs found (or nothing was searched), 3 none feasible, 2 bad input, 130 interrupted,
1 internal error (please report).
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cost_models.errors import LibraryError
from dse.cli.output import outlive_reader
from dse.errors import DseError
from dse.plain import printable

OK, DEFECT, BAD_INPUT, NONE_FEASIBLE, INTERRUPTED = 0, 1, 2, 3, 130

GARBAGE_AFTER = 100_000
"""New objects after which Python looks for garbage."""

BLAS_WAIT = ("OPENBLAS_THREAD_TIMEOUT", "16")
"""Environment variable and binary logarithm of the cycles for which threads of NumPy's BLAS wait for work at full load.

By default 28, 0.1 s of every core but one, though nothing that a command does is a large matrix product.
"""

TRACEBACK = "DSE_TRACEBACK"
"""Environment variable that shows the traceback of a defect."""

GROUPS: Mapping[str, Mapping[str, str]] = {
    "Design a chip": {
        "new": "Write a commented sweep file to start from.",
        "check": "Validate a sweep and evaluate one design; write nothing.",
        "run": "Search the space of a sweep and report the result.",
        "resume": "Resume an interrupted run, or extend a finished one.",
        "merge": "Merge runs of one sweep.",
    },
    "Look at a run": {
        "show": "Show a run: picks, front, binding constraints, feasible values.",
        "plot": "Draw the plots of a run, or any two of its columns.",
        "report": "Write the report of a run: one HTML file, offline.",
        "explore": "Change a design on a local page; every figure follows at once.",
        "compare": "Compare picks with baselines, or size fleets of both.",
        "explain": "Explain a design or chip: time, energy, area, cost, memory.",
        "diff": "Show what differs between two runs.",
        "export": "Export a run to an Optuna study.",
    },
    "Ask": {
        "choose": "Rank the chips that you could buy for a workload.",
        "require": "Compute the least bandwidth, compute and memory for targets.",
        "robust": "Monte Carlo uncertainty of the front.",
        "audit": "Check published claims against the model.",
    },
    "Library": {
        "library": "List and show the cited data behind the models.",
        "validate": "Compare predictions with published measurements.",
        "calibrate": "Fit a stack to your own measurements.",
        "compress": "Compress one tensor in every format; check the round trip.",
    },
}
"""The commands by what people want, each with its summary, so that help imports no command."""


class _Commands(Mapping[str, Any]):
    """The commands by name; each module ``dse.cli.NAME`` is imported when its command is asked for."""

    def __getitem__(self, name: str) -> Any:
        if name not in list(self):
            raise KeyError(name)
        command = typer.main.get_command(import_module(f"dse.cli.{name}").app)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return (name for group in GROUPS.values() for name in group)

    def __len__(self) -> int:
        return sum(map(len, GROUPS.values()))


class _Group(TyperGroup):
    """Lists commands in groups, and turns what a user can put right into lines on standard error and status 2."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment]  # nothing writes into it

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for group, summaries in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), summary.rstrip(".")) for name, summary in summaries.items()])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (DseError, LibraryError) as error:
            print(printable(str(error)), file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            # A disk that is full, read-only or gone; what is known of a file is said where it is read or written.
            where = f"{error.filename}: " if error.filename is not None else ""
            print(printable(f"{where}cannot be read or written: {error.strerror or error}"), file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"dse {version('llm-chip-dse')}")
        raise typer.Exit(OK)


@app.callback()
def dse(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Which chip, if any, runs these models at this speed, within this power, area and price?

    Example: dse new mychip, then dse run mychip.yaml

    Exit status: 0 feasible designs were found or nothing was searched, 3 none is feasible, 2 bad input, 130
    interrupted, 1 internal error (please report).
    """


def report_defect(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say in short that this program is at fault, and how to see where."""
    if os.environ.get(TRACEBACK):
        sys.__excepthook__(kind, error, traceback)
        return
    print(f"dse: internal error (please report), not an issue of your input: {kind.__name__}: {error}", file=sys.stderr)
    print(f"Set {TRACEBACK}=1 to see where, and send it with the sweep file.", file=sys.stderr)


def main() -> None:
    """Run the command line and exit."""
    sys.excepthook = report_defect
    # What a command imports and reads stays: looking through it for garbage took a tenth of its time.
    gc.set_threshold(GARBAGE_AFTER)
    os.environ.setdefault(*BLAS_WAIT)  # read where NumPy is imported
    finish = outlive_reader()
    try:
        typer.main.get_command(app)(prog_name="dse")
    finally:
        if refused := finish():
            print(f"standard output: cannot be written ({refused.strerror}); what it misses is lost", file=sys.stderr)
            raise SystemExit(BAD_INPUT)

"""Options that several commands take: one spelling and one meaning."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"
    csv = "csv"


class ImageFormat(StrEnum):
    """How plots are written."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


class Drawn(StrEnum):
    """Which plots a run writes."""

    first = "first"
    all = "all"
    none = "none"


class Backend(StrEnum):
    """What does the work in parallel."""

    loky = "loky"
    dask = "dask"


def command() -> typer.Typer:
    """Return the Typer application of one command, or of one group of them."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


class Silence(io.StringIO):
    """Standard output of a command that prints nothing."""


def _hush(context: typer.Context, quiet: bool) -> bool:
    """Let a command print nothing on standard output."""
    if quiet:
        context.with_resource(redirect_stdout(Silence()))
    return quiet


def _known_sweep(path: Path) -> Path:
    """Return a sweep file as given, or the shipped one of that name."""
    from dse.sweep.shipped import sweep_file

    return sweep_file(path)


Sweep = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC", help="sweep file, or a shipped one by its name", show_default=False, callback=_known_sweep
    ),
]
Stored = Annotated[str, typer.Argument(metavar="RUN", help="run directory, results/NAME for its newest run, or latest")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="replaces a key; repeatable")]
Library = Annotated[
    list[Path] | None,
    typer.Option(
        "--library", metavar="DIR", help="directory of entries to add to the library, or a sweep that adds; repeatable"
    ),
]
Workloads = Annotated[
    list[str] | None,
    typer.Option("--workload", metavar="WORKLOAD", help="'MODEL batch=32 prompt_tokens=1024 ...'; repeatable"),
]
Output = Annotated[Format, typer.Option("--format", help="how results are printed")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=_hush, help="print nothing but issues; the exit status tells")
]
Full = Annotated[bool, typer.Option("--full", help="everything, and not what fits on one screen")]
RunDirectory = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="run directory to make")]
Plots = Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="folder to write plots into")]
DrawnPlots = Annotated[Drawn, typer.Option("--draw", help="which plots to write; dse plot draws the others later")]
NoReport = Annotated[bool, typer.Option("--no-report", help="do not write report.html")]
ImageFormats = Annotated[
    list[ImageFormat] | None, typer.Option("--image-format", help="of plots; png where not given; repeatable")
]
CallModel = Annotated[
    bool, typer.Option("--call-model", help="agree to start the program that the run's sweep names as its model")
]
OpenStorage = Annotated[
    bool, typer.Option("--open-storage", help="agree to open the storage in which the run's sweep keeps its study")
]

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        help="processes; 0 for one per core; by default as many as pay: one per core, one for what takes a moment",
        min=0,
        show_default=False,
    ),
]
On = Annotated[Backend, typer.Option("--backend", help="processes of this machine, or the workers of a Dask scheduler")]
At = Annotated[
    str, typer.Option("--scheduler", metavar="ADDRESS", help="of the Dask scheduler; local processes where not given")
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="of the Optuna study: journal:FILE, sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE",
    ),
]
StudyName = Annotated[
    str | None, typer.Option("--study", metavar="NAME", help="of the Optuna study; named after the sweep by default")
]


def image_formats(given: list[ImageFormat] | None) -> tuple[str, ...]:
    """Return how plots are written: as given, PNG where nothing is."""
    return tuple(dict.fromkeys(one.value for one in given or (ImageFormat.png,)))

"""The terminal: tables, lines and the progress bar. The only room that knows rich, which the bar alone needs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from dse.number_texts import number_text, share_text
from dse.plain import printable
from dse.render.terminal.layout import folded, table_lines
from dse.render.terminal.tables import Lines, Part, TextTable

if TYPE_CHECKING:
    from dse.results.outcome import Progress

WIDTH = 118
"""Columns of the output where it does not go to a terminal and ``COLUMNS`` does not say."""

LEAST_WIDTH = 20
"""Columns below which a terminal is taken to have said nothing of its width."""


BOLD, CYAN = "1", "36"
"""Codes of a terminal's styles."""

NO_TERMINALS = ("dumb", "unknown")
"""What ``TERM`` is where styles are not understood."""


@dataclass(frozen=True)
class Page:
    """Where tables and lines are printed.

    Attributes:
        file: what they are written to.
        width: its columns.
        styles: the codes that it understands; none where it is no terminal.
    """

    file: TextIO
    width: int = WIDTH
    styles: tuple[str, ...] = ()

    def print(self, line: str = "", *styles: str) -> None:
        """Print a line as it is: what is laid out is not folded again."""
        codes = ";".join(style for style in styles if style in self.styles)
        text = printable(line).expandtabs()
        self.file.write(f"\x1b[{codes}m{text}\x1b[0m\n" if codes else f"{text}\n")


class ProgressSink(Protocol):
    """What is told how a run goes."""

    def __call__(self, progress: Progress, /) -> None:
        """Take note of the progress."""


def console() -> Page:
    """Return the page of standard output: plain, and `WIDTH` wide, where that is not a terminal."""
    said, terminal = os.environ, sys.stdout.isatty()
    columns = said.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() else shutil.get_terminal_size((WIDTH, 0)).columns if terminal else WIDTH
    understood = said.get("TERM") not in NO_TERMINALS and (os.name == "posix" or "WT_SESSION" in said)
    styles = (BOLD,) if said.get("NO_COLOR") else (BOLD, CYAN)
    styled = understood and (terminal or bool(said.get("FORCE_COLOR")))
    # COLUMNS=0 and the like: nothing could be folded to that.
    return Page(sys.stdout, width if width >= LEAST_WIDTH else WIDTH, styles if styled else ())


def print_table(out: Page, table: TextTable) -> None:
    """Print a table, in blocks or as records where the terminal is too narrow for it; without rows its title alone."""
    if not table.rows:
        print_lines(out, ["none"], heading=table.title)
        return
    if table.title:
        print_heading(out, table.title)
    heads, bodies = table_lines(table, out.width)
    for place, body in enumerate(bodies):
        if place:
            out.print()
        for line in heads[place] if heads else ():
            out.print(line, BOLD)
        for line in body:
            out.print(line)
    out.print()


def print_parts(out: Page, parts: Iterable[Part]) -> None:
    """Print tables, lines and text, one after the other."""
    for part in parts:
        match part:
            case TextTable():
                print_table(out, part)
            case Lines():
                print_lines(out, list(part.lines), heading=part.heading)
            case _:
                out.file.write(f"{printable(str(part))}\n")
    out.file.flush()


def print_heading(out: Page, text: str) -> None:
    """Print the heading of a section."""
    for line in folded(text, out.width):
        out.print(line, BOLD, CYAN)


def print_lines(out: Page, lines: list[str], *, heading: str = "") -> None:
    """Print lines of text, indented under a heading where there is one; nothing where there are none."""
    if not lines:
        return
    if heading:
        print_heading(out, heading)
    indent = "  " if heading else ""
    for line in lines:
        first, *rest = folded(line, out.width - len(indent) - 2)
        for place, part in enumerate((first, *rest)):
            out.print(f"{indent}{'  ' if place else ''}{part}")
    out.print()


@contextmanager
def progress_display(*, quiet: bool, every_s: float = 10.0) -> Iterator[ProgressSink]:
    """Show the progress of a run on standard error: a bar on a terminal, a line now and then elsewhere.

    Args:
        quiet: show nothing.
        every_s: seconds between two lines where no bar can be drawn.
    """
    if quiet:
        yield lambda progress: None
    elif sys.stderr.isatty():
        with _bar() as sink:
            yield sink
    else:
        yield _Lines(every_s)


class _Lines:
    """Prints a line every so many seconds."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._last = every_s, time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            planned = f" of {number_text(progress.planned)}" if progress.planned else ""
            print(f"{number_text(progress.evaluated)}{planned} designs, {_state(progress)}", file=sys.stderr)


def _state(progress: Progress) -> str:
    rate = progress.evaluated / progress.seconds if progress.seconds else 0.0
    volume = f", hypervolume {progress.hypervolume:.4g}" if progress.hypervolume == progress.hypervolume else ""
    feasible = share_text(progress.feasible / progress.evaluated if progress.evaluated else 0.0)
    return f"{number_text(rate, 3)} designs/s, {feasible} feasible, front {number_text(progress.front)}{volume}"


@contextmanager
def _bar() -> Iterator[ProgressSink]:
    from rich import progress as bars
    from rich.console import Console
    from rich.table import Column

    # On a narrow terminal the state gives way, not the bar or the time: it has what they leave of the line.
    columns = (
        bars.BarColumn(bar_width=16, table_column=Column(min_width=16)),
        bars.TaskProgressColumn(table_column=Column(min_width=4)),
        bars.TimeRemainingColumn(table_column=Column(min_width=7)),
        bars.TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    # Drawn as it goes on, without a thread that draws it in between: processes with threads cannot be copied.
    with bars.Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False, expand=True) as bar:
        task = bar.add_task("designs", total=None, state="")
        yield lambda now: bar.update(task, total=now.planned, completed=now.evaluated, state=_state(now), refresh=True)


@contextmanager
def counted_display(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how many of how many are done: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, planned: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(bar_width=24), bars.MofNCompleteColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, planned: bar.update(task, total=planned, completed=done, refresh=True)

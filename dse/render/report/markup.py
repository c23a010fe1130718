"""HTML of the parts of a report that need no script: lines, tables, definitions. Everything is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from dse.render.terminal.tables import TextTable

_INSIDE_A_NUMBER = re.compile(r"(?<=\d) (?=\d{3}(?!\d)|%)")


def words(text: str) -> str:
    """Return escaped text whose lines break neither between thousands nor before a per cent sign."""
    return _INSIDE_A_NUMBER.sub("\u00a0", escape(text))


def heading(text: str, level: int = 2) -> str:
    """Return a heading."""
    return f"<h{level}>{words(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph, of a class where one is given."""
    mark = f' class="{escape(kind)}"' if kind else ""
    return f"<p{mark}>{words(text)}</p>"


def bullets(lines: Iterable[str]) -> str:
    """Return a list, "" where there are no lines."""
    items = "".join(f"<li>{words(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def table(shown: TextTable, *, with_title: bool = True) -> str:
    """Return a table that scrolls sideways where it is too wide, its title as caption.

    A region that scrolls must be reachable by keyboard, hence the tabindex and the name.
    """
    numeric = [shown.is_numeric(place) for place in range(len(shown.headings))]
    head = "".join(
        f'<th scope="col"{_class(number)}>{_lines(text)}</th>'
        for text, number in zip(shown.headings, numeric, strict=True)
    )
    body = "".join(f"<tr>{_cells(row, shown.headings, numeric)}</tr>" for row in shown.cells)
    caption = f"<caption>{escape(shown.title)}</caption>" if with_title and shown.title else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(shown.title or "table")}">'
        f'<table class="stacked">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def shaded_table(shown: TextTable) -> str:
    """Return a table of shares between 0 and 1 whose cells are the darker, the larger."""
    return re.sub(r'<td class="number"([^>]*)>([0-9.]+)</td>', _shaded, table(shown))


def _shaded(cell: re.Match[str]) -> str:
    share = min(float(cell[2]), 1.0)
    return f'<td class="number share" style="--share:{share:.2f}"{cell[1]}>{cell[2]}</td>'


def _cells(row: Sequence[str], headings: Sequence[str], numeric: Sequence[bool]) -> str:
    first, *rest = row
    cells = "".join(
        # On a phone a row becomes a block, and each value stands beside its heading.
        f'<td{_class(number)} data-label="{escape(_joined(heading))}">{_lines(text)}</td>'
        for text, heading, number in zip(rest, headings[1:], numeric[1:], strict=True)
    )
    return f'<th scope="row">{_lines(first)}</th>{cells}'


def _joined(heading: str) -> str:
    """Return a heading of several lines in one."""
    return " ".join(heading.replace("-\n", "").split())


def _class(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _lines(text: str) -> str:
    return "<br>".join(words(line) for line in text.split("\n"))


def definitions(entries: Mapping[str, str]) -> str:
    """Return a list of names and what they stand for."""
    parts = "".join(f"<dt>{escape(name)}</dt><dd>{words(text)}</dd>" for name, text in entries.items())
    return f"<dl>{parts}</dl>"


def section(name: str, title: str, inner: str) -> str:
    """Return a section of the page that opens on demand or by its name; "" where there is nothing in it."""
    if not inner:
        return ""
    return f'<details class="section" id="{escape(name)}"><summary>{escape(title)}</summary>{inner}</details>'


def folded(title: str, inner: str) -> str:
    """Return markup that opens on demand."""
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"


def preformatted(text: str) -> str:
    """Return text as it stands."""
    return f'<pre tabindex="0">{escape(text)}</pre>'

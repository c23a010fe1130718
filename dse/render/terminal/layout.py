"""Tables and sentences in a given width, without ever cutting a number.

A table that is too wide gives way in this order: its headings and texts fold at spaces; its columns go into blocks one
below the other, the columns of names repeated; its rows become records, a line per column. Numbers are never folded,
thousands included, and no line is wider than asked unless one word alone is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dse.render.terminal.tables import TextTable

GAP = 3
"""Spaces between columns; one less where room is scarce."""

COMFORTABLE = 24
"""Width below which no column of texts is folded, as far as its texts are that wide."""

TIGHT = 14
"""The same where a table would otherwise become records."""

_SPACE = re.compile(r"(?<![0-9<>=]) +|(?<=[0-9]) +(?![0-9]{3}(?![0-9])|%)")
"""Spaces where a line may break: not between the thousands of a number, before its per cent, behind its bound."""

_JOINT = re.compile(r"(?<=[_/,;:=-])(?![0-9.])|(?<=[.])(?=[A-Za-z_])|(?<=_)(?=[0-9])")
"""Places within a word where it may break when it must: never within a number, nor between a sign and its number."""


def folded(text: str, width: int, *, words: bool = False) -> list[str]:
    """Return text in lines no wider than asked, broken at spaces; a longer word stays whole unless told otherwise.

    Args:
        text: may hold line breaks of its own.
        width: most letters of a line.
        words: whether a word that is wider is broken behind a sign, and as a last resort between letters.

    >>> folded("costs 5 539 USD", 8), folded("chat_70b.tpot_ms", 12, words=True)
    (['costs', '5 539', 'USD'], ['chat_70b.', 'tpot_ms'])
    """
    lines: list[str] = []
    for line in text.split("\n"):
        if len(line) <= width:
            lines.append(line)
            continue
        pieces = [part for word in _SPACE.split(line.strip()) for part in _pieces(word, width if words else None)]
        lines += _filled(pieces, width)
    return lines


def _pieces(word: str, width: int | None) -> Iterator[tuple[str, str]]:
    """Yield the parts of a word, each with what joins it to what stands before it."""
    if width is None or len(word) <= width:
        yield " ", word
        return
    joint = " "
    for part in _JOINT.split(word):
        while len(part) > width and not any(sign.isdecimal() for sign in part):
            yield joint, part[:width]
            joint, part = "", part[width:]
        yield joint, part
        joint = ""


def _filled(pieces: Sequence[tuple[str, str]], width: int) -> list[str]:
    lines = [""]
    for joint, piece in pieces:
        if not lines[-1]:
            lines[-1] = piece
        elif len(lines[-1]) + len(joint) + len(piece) <= width:
            lines[-1] += joint + piece
        else:
            lines.append(piece)
    return lines


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def _least(text: str, limit: int) -> int:
    """Return the width of the widest word, words beyond a limit broken."""
    words = (word for line in text.split("\n") for word in _SPACE.split(line))
    return max(len(part) for word in words for part in folded(word, limit, words=True))


@dataclass(frozen=True)
class _Column:
    """A column of a table: its place, the width it wants, the least it can do with, and its side."""

    place: int
    natural: int
    least: int
    right: bool


def _columns(table: TextTable, width: int, comfortable: int = COMFORTABLE) -> list[_Column]:
    columns = []
    for place, heading in enumerate(table.headings):
        cells = [row[place] for row in table.cells]
        widest = max(map(_width, cells))
        natural = max(_width(heading), widest)
        head = _least(heading, max(comfortable // 2, widest))
        if table.is_numeric(place):
            least = max(head, widest)
        else:
            limit = max(width // 3, comfortable) if comfortable == COMFORTABLE else comfortable
            least = max(head, min(widest, comfortable), *(_least(cell, limit) for cell in cells))
        columns.append(_Column(place, natural, least, table.is_numeric(place)))
    return columns


def table_lines(table: TextTable, width: int) -> tuple[list[list[str]], list[list[str]]]:
    """Return the lines of every block of a table: those of the heading, and those below it.

    Args:
        table: the table, of a row at least; its title is not laid out.
        width: most letters of a line.
    """
    columns = _columns(table, width)
    for gap in (GAP, GAP - 1):
        if _taken([column.natural for column in columns], gap) <= width:
            return _block(table, columns, [column.natural for column in columns], gap)
    gap = GAP - 1
    if _taken([column.least for column in columns], gap) <= width:
        return _block(table, columns, _shared(columns, width, gap), gap)
    names, rest = columns[: table.names], columns[table.names :]
    kept = _taken([column.least for column in names], gap) + gap
    if not rest or kept + max(column.least for column in rest) > width or kept > 2 * width // 3:
        tight = _columns(table, width, TIGHT)
        if _taken([column.least for column in tight], gap) <= width:
            return _block(table, tight, _shared(tight, width, gap), gap)
        return [], [_records(table, width)]
    heads: list[list[str]] = []
    bodies: list[list[str]] = []
    block: list[_Column] = []
    for column in [*rest, None]:
        fits = column is not None and _taken([one.least for one in (*names, *block, column)], gap) <= width
        if not fits:
            chosen = [*names, *block]
            head, body = _block(table, chosen, _shared(chosen, width, gap), gap)
            heads, bodies, block = heads + head, bodies + body, []
        if column is not None:
            block.append(column)
    return heads, bodies


def _taken(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _shared(columns: Sequence[_Column], width: int, gap: int) -> list[int]:
    """Return widths that fill the room: the least ones, what is left to whoever lacks most, in equal steps."""
    widths = [column.least for column in columns]
    room = width - _taken(widths, gap)
    while room > 0:
        lacking = [place for place, column in enumerate(columns) if widths[place] < column.natural]
        if not lacking:
            break
        widths[max(lacking, key=lambda place: columns[place].natural / max(widths[place], 1))] += 1
        room -= 1
    return widths


def _block(
    table: TextTable, columns: Sequence[_Column], widths: Sequence[int], gap: int
) -> tuple[list[list[str]], list[list[str]]]:
    head = _row([table.headings[column.place] for column in columns], columns, widths, gap, top=False)
    body = [
        line for row in table.cells for line in _row([row[column.place] for column in columns], columns, widths, gap)
    ]
    return [[*head, "─" * _taken(widths, gap)]], [body]


def _row(
    cells: Sequence[str], columns: Sequence[_Column], widths: Sequence[int], gap: int, *, top: bool = True
) -> list[str]:
    parts = [folded(cell, width, words=True) for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, parts))
    # Headings stand on their line, cells hang from theirs.
    parts = [part + [""] * (height - len(part)) if top else [""] * (height - len(part)) + part for part in parts]
    return [
        (" " * gap)
        .join(
            line.rjust(width) if column.right else line.ljust(width)
            for line, column, width in zip(lines, columns, widths, strict=True)
        )
        .rstrip()
        for lines in zip(*parts, strict=True)
    ]


def _records(table: TextTable, width: int) -> list[str]:
    """Return every row as lines: the names on the first, then a line per column that has something to say."""
    headings = [" ".join(heading.split("\n")) for heading in table.headings]
    labels = max((len(heading) for heading in headings[table.names :]), default=0)
    labels = min(labels, width // 3)
    lines: list[str] = []
    for row in table.cells:
        name = ", ".join(" ".join(cell.split("\n")) for cell in row[: table.names] if cell)
        lines += folded(name, width, words=True) if name else []
        for heading, cell in zip(headings[table.names :], row[table.names :], strict=True):
            if not cell:
                continue
            label = folded(heading, labels, words=True)
            value = folded(cell, width - labels - 4, words=True)
            height = max(len(label), len(value))
            label, value = label + [""] * (height - len(label)), value + [""] * (height - len(value))
            lines += [f"  {one:<{labels}}  {other}".rstrip() for one, other in zip(label, value, strict=True)]
    return lines

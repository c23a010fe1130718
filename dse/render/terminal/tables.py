"""Tables as people read them: text cells under headings that carry units. No terminal is needed to make one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from dse.number_texts import number_text

_NUMBER = re.compile(r"([<>] )?[-+]?[0-9][0-9 .]*(e[-+]?[0-9]+)?x?|-?inf|n/a|-?|any")


@dataclass(frozen=True)
class TextTable:
    """Text in rows and columns.

    Attributes:
        title: what the table shows, "" for none.
        headings: one per column, the unit behind or below the name.
        rows: what stands in the cells: texts, or numbers and truth values that `cell_text` writes.
        names: how many of the first columns hold names, whatever their cells look like.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    names: int = 1

    @cached_property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The rows as they are read."""
        return tuple(tuple(map(cell_text, row)) for row in self.rows)

    def is_numeric(self, column: int) -> bool:
        """Whether every cell of a column is a number, perhaps missing."""
        return column >= self.names and all(_NUMBER.fullmatch(row[column]) for row in self.cells)


@dataclass(frozen=True)
class Lines:
    """Sentences under a heading.

    Attributes:
        lines: a sentence each; nothing is shown where there are none.
        heading: what they are about, "" for none.
    """

    lines: Sequence[str]
    heading: str = ""


Part = TextTable | Lines | str
"""What people are shown is a sequence of these; text alone is laid out already."""


Rows = tuple[Sequence[str], Sequence[Sequence[object]]]
"""A sheet for programs: headings, and cells that are not rounded."""


def cell_text(value: object) -> str:
    """Return any value as a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number_text(float(value))
    return str(value)


def ranges_text(lows: Sequence[float], highs: Sequence[float], chosen: Iterable[int]) -> str:
    """Return chosen places of ascending intervals, neighbours joined: ``2 to 6, 10``.

    >>> ranges_text([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [0, 1, 3])
    '1 to 2, 4'
    """
    runs: list[list[int]] = []
    for place in sorted(chosen):
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    ends = [dict.fromkeys((number_text(lows[a]), number_text(highs[b]))) for a, b in runs]
    return ", ".join(" to ".join(pair) for pair in ends)


def narrow(name: str, width: int = 11) -> str:
    r"""Return a name in lines: broken behind commas, and where it is long at a space or behind a dot or underscore.

    >>> narrow("chat_70b.tpot_ms, ms"), narrow("nearest to targets")
    ('chat_70b.\ntpot_ms\nms', 'nearest to\ntargets')
    """
    lines = []
    for part in name.split(", "):
        words = part
        while len(words) > width and (place := max(words.rfind(sign, 0, width) for sign in "._ ") + 1):
            lines.append(words[:place].rstrip())
            words = words[place:]
        lines.append(words)
    return "\n".join(line for line in lines if line)

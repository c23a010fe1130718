"""Tables as people read them: text cells under headings that carry units. No terminal is needed to make one."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from dse.plain import without_formula

MISSING = "n/a"
"""What stands for a number that does not exist."""

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


def number_text(value: float | None, digits: int = 4) -> str:
    """Return a number as a person writes it: four significant digits, thousands apart, no exponent where avoidable.

    >>> number_text(1234567.0), number_text(0.0123456), number_text(float("nan"))
    ('1 234 567', '0.01235', 'n/a')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace(",", " ") if abs(value) < 1e12 else f"{value:.{digits}g}"
    return f"{value:.{digits}g}"


def percent_text(share: float | None) -> str:
    """Return a share in per cent, without the sign; what is not quite nothing or everything is not rounded to it.

    >>> percent_text(0.5), percent_text(0.99999), percent_text(1e-7), percent_text(1.0)
    ('50', '> 99.9', '< 0.1', '100')
    """
    if share is None or math.isnan(share):
        return MISSING
    if 0 < share < 0.0005:
        return "< 0.1"
    if 0.9995 <= share < 1:
        return "> 99.9"
    return f"{100 * share:.1f}".removesuffix(".0")


def ratio_text(ratio: float | None) -> str:
    """Return a ratio with three digits and a cross.

    >>> ratio_text(4.266), ratio_text(None)
    ('4.27x', 'n/a')
    """
    return MISSING if ratio is None or math.isnan(ratio) else f"{number_text(ratio, 3)}x"


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


def csv_text(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV with missing numbers left empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(headings)
    for row in rows:
        writer.writerow(
            [
                "" if value is None or (isinstance(value, float) and math.isnan(value)) else without_formula(value)
                for value in row
            ]
        )
    return out.getvalue()

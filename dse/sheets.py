"""Tables as CSV text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dse.number_texts import column_texts, exact_texts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell of text for a formula."""

Cells: TypeAlias = "Sequence[object] | NDArray[np.float64]"
"""A column: anything, or an array of numbers."""


def csv_text(headings: Iterable[str], columns: Iterable[Cells], *, digits: int | None = None) -> str:
    """Return a table as CSV; nothing stands where a value is missing.

    Args:
        headings: one per column.
        columns: the cells.
        digits: of the numbers of arrays; as many as it takes to read them back exactly where None.
    """
    lines = map(",".join, zip(*(_cell_texts(column, digits) for column in columns), strict=True))
    return "\n".join([",".join(map(_quoted, headings)), *lines, ""])


def columns_of(table: pd.DataFrame) -> Iterator[Cells]:
    """Return the columns of a frame as `csv_text` takes them."""
    for _, column in table.items():
        yield column.to_numpy(np.float64) if column.dtype.kind == "f" else column.tolist()


def _cell_texts(cells: Cells, digits: int | None) -> Iterable[str]:
    if not isinstance(cells, np.ndarray):
        return map(_cell_text, cells)
    if digits is None:
        return exact_texts(cells, "")
    return column_texts(cells, "", f"%.{digits}g".__mod__)


def _cell_text(cell: object) -> str:
    if isinstance(cell, str):
        return _quoted(without_formula(cell))
    return "" if cell is None or cell != cell else _quoted(str(cell))


@lru_cache(4096)
def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text


def without_formula(text: str) -> str:
    """Return a cell of a CSV file such that no spreadsheet takes it for a formula: an apostrophe before its sign."""
    if not text.startswith(FORMULA_SIGNS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text

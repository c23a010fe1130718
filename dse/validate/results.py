"""What a validation returns: scored rows and the tables that sum them up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

SCORED = ("predicted", "ratio", "bound", "bound_by", "stack", "reason", "remark")
"""Columns added to the input."""


@dataclass(frozen=True)
class Table:
    """A score table.

    Attributes:
        key: short name, the key in JSON.
        title: what it shows.
        frame: the figures; errors are fractions.
        note: how to read it.
    """

    key: str
    title: str
    frame: pd.DataFrame
    note: str = ""

    def lines(self) -> list[str]:
        """Return the table as text, fractions as percent."""
        shown = self.frame.reset_index() if self.frame.index.names != [None] else self.frame.copy()
        for name in shown.columns:
            if pd.api.types.is_float_dtype(shown[name]):
                shown[name] = [_text(str(name), value) for value in shown[name]]
        text = shown.to_string(index=False).splitlines()
        return [self.title, *text, *([self.note] if self.note else []), ""]


PERCENT = ("mdape", "mape", "p90", "error", "baseline", "target", "peers", "within")


def _text(name: str, value: float) -> str:
    if np.isnan(value):
        return "-"
    if np.isinf(value):
        return "none"
    if any(name.startswith(word) for word in PERCENT):
        return f"{100 * value:.1f} %"
    return f"{value:.0f}" if value == round(value) and abs(value) >= 10 else f"{value:.3g}"


@dataclass(frozen=True)
class Validation:
    """Scored measurement files.

    Attributes:
        files: file name to its rows with the columns of `SCORED`.
        tables: scores over them.
        internal: rows of end-to-end files as the scores saw them, for plots.
    """

    files: Mapping[str, pd.DataFrame]
    tables: Sequence[Table]
    internal: pd.DataFrame = field(default_factory=pd.DataFrame)

    def text(self) -> str:
        """Return all tables as text."""
        return "\n".join(line for table in self.tables for line in table.lines())

    def rows(self) -> list[tuple[object, ...]]:
        """Return all tables as one: for each number or word its table, row, column and value."""
        found: list[tuple[object, ...]] = []
        for table in self.tables:
            plain = table.frame.index.names == [None]
            for place, (label, cells) in enumerate(table.frame.iterrows()):
                names = label if isinstance(label, tuple) else (label,)
                row = place if plain else " ".join(str(name) for name in names)
                found += [(table.key, row, column, value) for column, value in cells.items()]
        return found

    def records(self) -> dict[str, list[dict[str, object]]]:
        """Return every table as records, missing numbers as None."""
        return {table.key: json.loads(table.frame.reset_index().to_json(orient="records")) for table in self.tables}

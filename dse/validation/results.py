"""What a validation returns: scored rows and the tables that sum them up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

SCORED = ("predicted", "ratio", "bound", "bound_by", "stack", "reason", "remark")
"""Columns added to the input."""


@dataclass(frozen=True)
class ScoreTable:
    """A score table.

    Attributes:
        key: short name, the key in JSON.
        title: what it shows.
        frame: the parameters; errors are fractions.
        note: how to read it.
    """

    key: str
    title: str
    frame: pd.DataFrame
    note: str = ""


@dataclass(frozen=True)
class Validation:
    """Scored measurement files.

    Attributes:
        files: file name to its rows with the columns of `SCORED`.
        tables: scores over them.
        internal: rows of end-to-end files as the scores saw them, for plots.
    """

    files: Mapping[str, pd.DataFrame]
    tables: Sequence[ScoreTable]
    internal: pd.DataFrame = field(default_factory=pd.DataFrame)

    def rows(self) -> list[tuple[object, ...]]:
        """Return all tables as one: for each number or word its table, row, column and value."""
        result: list[tuple[object, ...]] = []
        for table in self.tables:
            plain = table.frame.index.names == [None]
            for place, (label, cells) in enumerate(table.frame.iterrows()):
                names = label if isinstance(label, tuple) else (label,)
                row = place if plain else " ".join(str(name) for name in names)
                result += [(table.key, row, column, value) for column, value in cells.items()]
        return result

    def records(self) -> dict[str, list[dict[str, object]]]:
        """Return every table as records, missing numbers as None."""
        return {table.key: json.loads(table.frame.reset_index().to_json(orient="records")) for table in self.tables}

"""The tables of real chips in the library, row by row, and small conversions that every check needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.table import FloatArray
from dse.number_texts import share_text

Row = Mapping[str, Any]

NAMES = ("memory", "link_phy", "base_node", "note")
"""Columns of names, which may be empty in every row."""


def read_checks(name: str, library: Library) -> pd.DataFrame:
    """Return a table of checks of the library; empty cells are NaN, or "" among names."""
    table = pd.read_csv(library.data_file(f"{name}.csv"))
    names = [column for column in table if table[column].dtype == object or column in NAMES]
    return table.fillna(dict.fromkeys(names, ""))


def records(name: str, library: Library) -> list[Row]:
    """Return the rows of a table of checks."""
    return [{str(key): value for key, value in row.items()} for row in read_checks(name, library).to_dict("records")]


def one(number: float) -> FloatArray:
    """Return a column of one row."""
    return np.array([float(number)])


def parameter(technology: Technology, path: str) -> float:
    """Return a parameter as a plain number."""
    return float(np.asarray(technology.value(path)))


def mean_text(errors: pd.Series) -> str:
    """Return a mean absolute error in per cent."""
    return share_text(float(errors.abs().mean()))

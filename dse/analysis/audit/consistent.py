"""What a set of consistent designs looks like: its extent, and the one further fact that would settle it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dse.number_texts import share_text

BINS = 6
"""Intervals of equal content that a number is cut into when it is asked what knowing it would tell."""

MAX_LISTED = 12


def number(value: float, digits: int = 4) -> str:
    """Return a number with four significant digits, without an exponent where it can."""
    if not np.isfinite(value):
        return "-" if np.isnan(value) else "any"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.{digits}g}"


@dataclass(frozen=True)
class ValueRange:
    """The values that one quantity takes in a consistent set.

    Attributes:
        name: parameter or metric.
        low: least number; NaN for names.
        high: largest number; NaN for names.
        names: names with the share of the set that has each, the most frequent first; empty for numbers.
    """

    name: str
    low: float
    high: float
    names: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """The extent in words."""
        if self.names:
            shown = ", ".join(f"{name} ({share_text(share)})" for name, share in self.names[:MAX_LISTED])
            return shown + (", ..." if len(self.names) > MAX_LISTED else "")
        if self.low == self.high:
            return number(self.low)
        return f"{number(self.low)} to {number(self.high)}"


@dataclass(frozen=True)
class InformationGain:
    """What knowing one quantity would tell of the others.

    Attributes:
        name: the quantity.
        left: mean share of the spread of the other quantities that is left once this one is known.
    """

    name: str
    left: float


def extents_of(table: pd.DataFrame, names: Sequence[str]) -> list[ValueRange]:
    """Return the extent of every named column."""
    result = []
    for name in names:
        column = table[name].dropna()
        if not len(column):
            continue
        if pd.api.types.is_numeric_dtype(column):
            result.append(ValueRange(name, float(column.min()), float(column.max()), ()))
        else:
            shares = column.astype(str).value_counts(normalize=True)
            result.append(
                ValueRange(name, float("nan"), float("nan"), tuple((str(k), float(v)) for k, v in shares.items()))
            )
    return result


def settling_facts(table: pd.DataFrame, facts: Sequence[str], about: Sequence[str]) -> list[InformationGain]:
    """Return for each fact the share of the spread of all else that is left when it is known, the least first.

    The spread is the variance of the logarithm of a number, or the probability that two members differ in a name; what
    is left is its mean within intervals of the fact (1 less the correlation ratio).

    Args:
        table: the consistent set, a row each.
        facts: quantities that might become known.
        about: quantities that one would like to know.
    """
    result = []
    for fact in facts:
        groups = _groups(table[fact])
        left = [
            _spread_within(table[name], groups) / whole
            for name in about
            if name != fact and (whole := _spread(table[name])) > 1e-12
        ]
        if left and groups.nunique() > 1:
            result.append(InformationGain(fact, float(np.mean(left))))
    return sorted(result, key=lambda settling: settling.left)


def _groups(column: pd.Series[Any]) -> pd.Series[Any]:
    if not pd.api.types.is_numeric_dtype(column) or column.nunique() <= BINS:
        return column.astype(str)
    return pd.Series(pd.qcut(column, BINS, duplicates="drop").astype(str), index=column.index)


def _spread(column: pd.Series[Any]) -> float:
    if not pd.api.types.is_numeric_dtype(column):
        shares = column.astype(str).value_counts(normalize=True).to_numpy()
        return float(1 - (shares**2).sum())
    values = column.to_numpy(dtype=np.float64)
    values = np.log(values[np.isfinite(values) & (values > 0)])
    return float(np.var(values)) if len(values) else 0.0


def _spread_within(column: pd.Series[Any], groups: pd.Series[Any]) -> float:
    parts = column.groupby(groups)
    return float(sum(len(part) * _spread(part) for _, part in parts) / len(column))


def plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row of a table as plain data without what is missing."""
    plain = {}
    for name, value in row.items():
        item = value.item() if hasattr(value, "item") else value
        if item is not None and item == item:
            plain[str(name)] = item
    return plain

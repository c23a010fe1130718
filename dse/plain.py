"""Plain data: what can be written as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from itertools import chain, repeat
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from dse.number_texts import exact_texts

if TYPE_CHECKING:
    import pandas as pd

_UNSAFE_IN_A_TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return text with control characters, which would steer a terminal, as ``\x1b``; line ends and tabs stay."""
    return _UNSAFE_IN_A_TERMINAL.sub(lambda found: ascii(found[0])[1:-1], text)


_SECRET = "pass|pwd|secret|token|credential"
_IN_AUTHORITY = re.compile(r"(?<=://)([^/?#@:]*):([^/?#]*)(?=@)")
_IN_QUERY = re.compile(rf"(?i)([?&;][^=&;]*(?:{_SECRET})[^=&;]*=)([^&;]+)")
_WITHIN_VALUE = re.compile(rf"(?i)((?:%3b|%20|\+|=|;)[^=&;%]*(?:{_SECRET})(?:%20|\+|\s)*(?:=|%3d))([^&;%]+)")


def redacted(url: str) -> str:
    """Return an address with ``***`` for every password, in its query and within the values of that too."""
    for pattern in (_IN_QUERY, _WITHIN_VALUE):
        url = pattern.sub(r"\1***", url)
    return _IN_AUTHORITY.sub(r"\1:***", url)


def members(record: object, *names: str) -> dict[str, Any]:
    """Return what a record holds under some names, by name."""
    return {name: getattr(record, name) for name in names}


def plain(value: Any) -> Any:
    """Return mappings, sequences, records, frames and NumPy numbers as JSON has them; None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "to_dict"):
        return plain(value.to_dict("records"))
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, PurePath):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(value: Any, margin: str = "\n") -> str:
    """Return what ``json.dumps(plain(value), indent=2, allow_nan=False)`` returns; frames in a third of the time.

    Args:
        value: what `plain` takes.
        margin: what stands before a line of the value: a line end, and how far it is indented.
    """
    parts: list[str] = []
    _put(parts, value, margin)
    return "".join(parts)


def _put(parts: list[str], value: Any, margin: str) -> None:
    """Put the text of a value behind others."""
    if isinstance(value, str):
        parts.append(_leaf(value))
        return
    if is_dataclass(value) and not isinstance(value, type):
        value = members(value, *(field.name for field in fields(value)))
    if isinstance(value, Mapping):
        _put_all(parts, "{}", ((f"{_leaf(str(key))}: ", held) for key, held in value.items()), margin)
    elif isinstance(value, list | tuple):
        _put_all(parts, "[]", (("", held) for held in value), margin)
    elif hasattr(value, "to_dict"):
        _put_records(parts, value, margin)
    else:
        parts.append(json.dumps(plain(value), allow_nan=False))


def _put_all(parts: list[str], signs: str, named: Iterable[tuple[str, Any]], margin: str) -> None:
    before = signs[0]
    for name, held in named:
        parts.append(f"{before}{margin}  {name}")
        _put(parts, held, f"{margin}  ")
        before = ","
    parts.append(f"{margin}{signs[1]}" if before == "," else signs)


def _put_records(parts: list[str], table: pd.DataFrame, margin: str) -> None:
    """Put the rows of a table, each a part: a table is most of what is written."""
    if not table.size:
        parts.append("[]")
        return
    row, inner = f"{margin}  ", f"{margin}    "
    before = [f"{row}{{{inner}", *[f",{inner}"] * (len(table.columns) - 1)]
    columns = (
        (repeat(f"{sign}{_leaf(str(name))}: "), _cells(column, inner))
        for sign, (name, column) in zip(before, table.items(), strict=True)
    )
    rows = zip(chain("[", repeat(",")), *chain.from_iterable(columns), repeat(f"{row}}}"))
    parts.extend(map("".join, rows))
    parts.append(f"{margin}]")


@lru_cache(4096)
def _leaf(text: str) -> str:
    return json.dumps(text)


def _cells(column: pd.Series[Any], margin: str) -> Iterable[str]:
    """Return the cells of a column as JSON has them."""
    if column.dtype.kind == "f":
        import numpy as np

        numbers = column.to_numpy("float64")
        return exact_texts(np.where(np.isfinite(numbers), numbers, np.nan), "null")
    if column.dtype.kind in "biu":
        return map(str.lower, map(str, column.tolist()))
    return [json_text(cell, margin) for cell in column.tolist()]

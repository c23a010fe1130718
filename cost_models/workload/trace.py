"""Traces of requests as files hold them: CSV of arrival_s, prompt_tokens and output_tokens, in order of arrival."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cost_models.errors import ForeignFileError
from cost_models.library.foreign import read_text
from cost_models.table import FloatArray

COLUMNS = ("arrival_s", "prompt_tokens", "output_tokens")
"""Columns that a file must have; others are left alone."""

MAX_BYTES = 200_000_000
"""Size up to which a trace is read: some millions of requests."""

SHOWN = 8
"""Faults of a file that are told; the rest is counted."""

PERCENTS = (50, 95, 99)
"""Percentiles of a summary."""


class TraceError(ValueError):
    """A trace that cannot be read, or is none; `faults` say where and why."""

    def __init__(self, faults: list[str]) -> None:
        more = [f"{len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        self.faults = tuple(faults[:SHOWN] + more)
        super().__init__("; ".join(self.faults))


@dataclass(frozen=True)
class Trace:
    """Requests in order of their arrival, ``(n,)`` each.

    Attributes:
        arrival_s: when each arrives, from the first one on.
        prompt_tokens: tokens of each prompt.
        output_tokens: tokens of each answer.
        sha256: of the file's text.
    """

    arrival_s: FloatArray
    prompt_tokens: FloatArray
    output_tokens: FloatArray
    sha256: str = ""

    @property
    def arrivals_per_s(self) -> float:
        """Mean rate of arrivals."""
        return (len(self.arrival_s) - 1) / float(self.arrival_s[-1] - self.arrival_s[0])

    @cached_property
    def arrival_cv(self) -> float:
        """Coefficient of variation of the gaps between arrivals."""
        gaps = np.diff(self.arrival_s)
        return float(gaps.std() / gaps.mean())

    def cv(self, lengths: str) -> float:
        """Return the coefficient of variation of ``prompt_tokens`` or ``output_tokens``."""
        values = getattr(self, lengths)
        return float(values.std() / values.mean())

    def of_replica(self, replicas: int) -> Trace:
        """Return what one of several engines gets that take turns."""
        return Trace(self.arrival_s[::replicas], self.prompt_tokens[::replicas], self.output_tokens[::replicas])

    def longest(self) -> tuple[int, float]:
        """Return the line of the request with the most tokens, and how many."""
        whole = self.prompt_tokens + self.output_tokens
        place = int(np.argmax(whole))
        return place + 2, float(whole[place])


def read_trace(path: Path) -> Trace:
    """Return the requests of a file.

    Raises:
        TraceError: it cannot be read, lacks a column, holds anything but numbers, goes back in time, or has lengths
            that no request has; every fault with its line.
    """
    try:
        text = read_text(path, MAX_BYTES)
    except ForeignFileError as error:
        raise TraceError([str(error)]) from None
    lines = text.splitlines()
    header = [name.strip() for name in next(csv.reader(lines[:1]), [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise TraceError([f"{path}:1: lacks the column {name}" for name in missing])
    try:
        rows = [row for row in csv.reader(lines[1:])]
    except csv.Error as error:
        raise TraceError([f"{path}: is not CSV: {error}"]) from None
    values = np.full((len(rows), len(COLUMNS)), np.nan)
    places = [header.index(name) for name in COLUMNS]
    for index, row in enumerate(rows):
        for column, place in enumerate(places):
            values[index, column] = _number(row[place]) if place < len(row) else np.nan
    faults = list(_faults(path, values, rows))
    if faults:
        raise TraceError(faults)
    arrival, prompt, output = values.T.copy()
    return Trace(arrival, prompt, output, hashlib.sha256(text.encode()).hexdigest())


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _faults(path: Path, values: FloatArray, rows: list[list[str]]) -> Iterator[str]:
    """Yield what is wrong, in order of lines."""
    if len(rows) < 2:
        yield f"{path}: has {len(rows)} requests, at least 2 are needed for a rate"
        return
    arrival = values[:, 0]
    before = np.fmax.accumulate(np.concatenate([[0.0], arrival[:-1]]))
    wrong = ~np.isfinite(values)
    wrong[:, 0] |= (arrival < 0) | (arrival < before)
    wrong[:, 1:] |= values[:, 1:] < 1
    for line in np.flatnonzero(wrong.any(axis=1)):
        if not any(rows[line]):
            yield f"{path}:{line + 2}: is empty"
            continue
        for column in np.flatnonzero(wrong[line]):
            name, value = COLUMNS[column], values[line, column]
            if not np.isfinite(value):
                what = "is missing or no number"
            elif column:
                what = f"{value:g} is below 1"
            else:
                what = f"{value:g} is " + ("negative" if value < 0 else f"before {before[line]:g} of an earlier line")
            yield f"{path}:{line + 2}: {name} {what}"
    if not wrong.any() and arrival[-1] <= arrival[0]:
        yield f"{path}: all requests arrive at once, so that there is no rate"

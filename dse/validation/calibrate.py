"""A stack's constants fitted to a user's own measurements: what `dse calibrate` prints and writes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from dse.number_texts import share_text
from dse.time_intervals import built_on
from dse.validation import requests
from dse.validation.rows import NOTHING, MeasurementError, read_measurements
from dse.validation.score import source_of
from dse.validation.setups import stacks
from dse.validation.stack_fit import Fit, Pull, fit_constants, log_ratios

LEAST_ROWS = 4
"""Rows below which nothing is fitted: each fold of what is left out needs some to learn from."""

FOLDS = 4
"""Parts of the rows, each left out once."""

ROW_ERROR, KNEE = 0.15, 0.10
"""Standard error of a row's log ratio, and the log ratio beyond which it pulls in proportion; as in the fits of the
library."""

FLAGS = ("anywhere", "half_accumulation", "quantises_head")
"""Fields of a stack that its variants do not inherit."""

STANDARD_ERRORS = 2
"""Standard errors between a constant and the ends of its range, in the library and in what is written."""


@dataclass(frozen=True)
class Constant:
    """A fitted constant: its name, what the base stack has, and what the rows give with two standard errors."""

    name: str
    base: float
    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """A stack fitted to measurements.

    Attributes:
        stack: its key.
        base: the stack that it is built on and was pulled to.
        rows: measurements used.
        not_used: why others were not, and how many.
        constants: what was fitted.
        error_before: median absolute relative error with the base's constants.
        error_after: with the fitted ones, on the same rows.
        error_left_out: on rows left out of the fit, a quarter at a time.
        software: names of the software in those rows, by which other rows find the stack.
        flags: what the base is beside its numbers (`FLAGS`).
    """

    stack: str
    base: str
    rows: int
    not_used: Mapping[str, int]
    constants: Sequence[Constant]
    error_before: float
    error_after: float
    error_left_out: float
    software: Sequence[str]
    flags: Mapping[str, bool]

    def entries(self, files: str) -> dict[str, Any]:
        """Return the library entries that add the stack: sections to entries."""
        source = f"{self.stack}_rows"
        note = (
            f"fitted on {self.rows} end-to-end rows of {files} from {self.base}; low and high are two standard errors"
        )
        numbers = {
            one.name: {
                "low": float(f"{one.low:.4g}"), "typ": float(f"{one.value:.4g}"), "high": float(f"{one.high:.4g}"),
                "src": [source], "conf": "medium", "note": note,
            }
            for one in self.constants
        }  # fmt: skip
        about = {
            "name": f"{self.base}, calibrated",
            "note": f"CALIBRATED on {self.rows} rows of {files}: median error {share_text(self.error_after)}, "
            f"{share_text(self.error_left_out)} on rows left out, {share_text(self.error_before)} before",
            "base": self.base,
            **self.flags,
            "software": [rf"^{re.escape(name)}$" for name in self.software],
            "src": [source],
        }
        return {
            "sources": {source: {"title": f"own measurements: {files}", "kind": "measured", "read": "dse calibrate"}},
            "stacks": {self.stack: {**about, **numbers}},
        }


def calibrate(
    paths: Sequence[Path], base: str | None, library: Library, given: Mapping[str, str] = NOTHING
) -> Calibration:
    """Return a stack fitted to end-to-end measurements.

    Args:
        paths: files as `dse validate` reads them.
        base: stack to start from and to be pulled to; that of the rows' software where None.
        library: chips, models and stacks.
        given: cells of columns that the files have not.

    Raises:
        MeasurementError: no or too few rows can be used, or they are of several stacks and none is named.
        UnknownEntryError: the library has no such stack.
    """
    rows, reasons = _usable(paths, library, given)
    if len(rows) < LEAST_ROWS:
        why = "; ".join(f"{count} x {text}" for text, count in reasons.items())
        raise MeasurementError(f"{len(rows)} rows can be used, at least {LEAST_ROWS} are needed; {why}".rstrip("; "))
    own = sorted(set(stacks(rows, library)[0].names()))
    if base is None and len(own) > 1:
        raise MeasurementError(f"the rows are of several stacks ({', '.join(own)}): say --stack, or part them")
    stack = library.stack(base or own[0]).key
    start, spread = _starts(stack, library)

    def fitted(part: pd.DataFrame, guess: Mapping[str, float]) -> Fit:
        pull = Pull(np.full(len(part), 1 / ROW_ERROR), spread, KNEE)
        return fit_constants(part, stack, start, pull, library, guess=guess)

    def error(part: pd.DataFrame, values: Mapping[str, float]) -> list[float]:
        told = {f"stacks.{stack}.{name}": value for name, value in values.items()}
        ratios = log_ratios(part, stack, Technology(told, library=library))
        return list(np.abs(np.expm1(ratios)))

    # The search begins half a spread below: from a corner of the bounds its first step would be none.
    begin = {name: value * np.exp(-one / 2) for (name, value), one in zip(start.items(), spread, strict=True)}
    whole = fitted(rows, begin)
    fold = np.arange(len(rows)) % FOLDS
    left_out = [
        miss
        for one in range(FOLDS)
        for miss in error(rows[fold == one], fitted(rows[fold != one], whole.values).values)
    ]
    constants = [_constant(name, start[name], whole, stack, library) for name in start]
    return Calibration(
        f"{stack}_calibrated", stack, len(rows), reasons, constants,
        float(np.median(error(rows, start))), whole.miss, float(np.median(left_out)),
        sorted(set(rows["software"]) - {""}), {name: getattr(library.stack(stack), name) for name in FLAGS},
    )  # fmt: skip


def _usable(paths: Sequence[Path], library: Library, given: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows that can be fitted to, and why how many others cannot."""
    parts = []
    for path in paths:
        form, rows = read_measurements(path, library, given)
        if form != "requests":
            raise MeasurementError(f"{path}: a stack is fitted to end-to-end rows, these are {form}")
        parts.append(requests.prepare(rows))
    rows = pd.concat(parts, ignore_index=True)
    rows = requests.predict(rows, Technology(library=library), bounds=False)
    rows.loc[(rows["reason"] == "") & ~rows["batch_given"], "reason"] = "the batch is not given"
    counts = rows["reason"][rows["reason"] != ""].value_counts()
    reasons = {str(reason): int(count) for reason, count in counts.items()}
    rows = rows[rows["reason"] == ""].reset_index(drop=True)
    return rows.assign(measured_s=requests.measured_s(rows), source=source_of(rows)), reasons


def _starts(stack: str, library: Library) -> tuple[dict[str, float], np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the constants of a stack that the library fitted too, and the spread that their ranges say."""
    start, spread = {}, []
    for name in library.stack(stack).parameters:
        one = library.parameters[f"stacks.{stack}.{name}"]
        fitted = one.note.startswith("fitted on") and "end-to-end" in one.note
        if fitted and one.low and one.high and one.high > one.low:
            start[name] = one.typ
            spread.append(np.log(one.high / one.low) / (2 * STANDARD_ERRORS))
    if not start:
        names = ", ".join(sorted(built_on(stack, library)))
        raise MeasurementError(f"stack {names} has no fitted constants to start from; name another with --stack")
    return start, np.array(spread)


def _constant(name: str, base: float, whole: Fit, stack: str, library: Library) -> Constant:
    value, error = whole.values[name], np.exp(STANDARD_ERRORS * whole.errors[name])
    high = min(value * error, library.parameters[f"stacks.{stack}.{name}"].bounds.high)
    return Constant(name, base, float(value / error), min(value, high), float(high))

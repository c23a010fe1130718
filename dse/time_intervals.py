"""Prediction intervals of times: how far measurements lay from predictions of chips and sources left out of the fits.

Per regime (decode step, prefill, whole request) the interval that holds 80 % of measured over predicted time, of rows
like the one in question: the same width of the weights, mixture of experts or dense, where enough chips were measured,
all rows of the regime where not. Chips are left out for a software's own stack, sources for a generic one, of whose
software it may know nothing. `dse.validation.intervals` works the intervals out, ``studies/fits/intervals.py`` writes
them into the library.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.library import Library
from cost_models.table import Choice, FloatArray, Number

FILE = "intervals.csv"

NARROW_BITS = 5.5
"""Stored bits up to which weights count as 4-bit."""

LADDER = (("format", "model"), ())
"""What rows must have in common with a prediction, in order of preference."""

FORMATS, MODELS = ("wide", "narrow"), ("dense", "mixture")
"""What a line of the file says of weights and models, by the answer to "up to `NARROW_BITS`" and "has experts"."""

Key = tuple[str, str, str, str, str]
"""(left out, kind, regime, format, model) of a line of the file, "" where it is for any."""


@dataclass(frozen=True)
class Ratios:
    """Measured over predicted time, ``(n,)`` each, NaN where a stack has nothing that was fitted or measured.

    Attributes:
        low: one in ten measurements lies below.
        high: one in ten measurements lies above.
        rows: how many rows they come from.
        groups: how many chips, or sources, those are of.
        origin: what rows those are, in words.
    """

    low: FloatArray
    high: FloatArray
    rows: FloatArray
    groups: FloatArray
    origin: Choice


@functools.lru_cache(maxsize=8)
def fitted_constants(library: Library) -> dict[str, int]:
    """Return how many constants of each stack were fitted on end-to-end rows."""
    counts: dict[str, int] = {}
    for key, stack in library.stacks.items():
        base = library.stacks[stack.base].parameters if stack.base else {}
        own = [f for name, f in stack.parameters.items() if base.get(name) is not f]
        counts[key] = sum(
            parameter.note.startswith("fitted on") and "end-to-end" in parameter.note for parameter in own
        )
    return counts


def built_on(stack: str, library: Library) -> set[str]:
    """Return a stack and those it is built on."""
    base = library.stack(stack).base
    return {stack} | (built_on(base, library) if base else set())


def has_intervals(stack: str, library: Library) -> bool:
    """Return whether anything of a stack, or of one that it is built on, was fitted to measured times."""
    counts = fitted_constants(library)
    return sum(counts[key] for key in built_on(stack, library)) > 0


def ratios(
    regime: str, stack: Choice, weight_bits: Number, mixture: Number, library: Library, *, left_out: str = ""
) -> Ratios:
    """Return the 80 % interval of measured over predicted time for every row.

    Args:
        regime: "decode", "prefill" or "request".
        stack: serving stack of each row.
        weight_bits: stored bits of its weights, ``(n,)`` or one for all.
        mixture: whether its model has experts, ``(n,)`` or one for all.
        library: stacks and intervals.
        left_out: die whose rows must not be known, as `die_of` names it; none where "".
    """
    lines = []
    for name in stack.values:
        known = has_intervals(name, library)
        for form in FORMATS:
            for model in MODELS:
                found = _line(left_out, regime, name, form, model, library) if known else None
                lines.append(found or ("", np.nan, np.nan, np.nan, np.nan))
    narrow = np.asarray(np.asarray(weight_bits) <= NARROW_BITS, dtype=np.intp)
    code = 4 * stack.codes + 2 * narrow + np.asarray(mixture, dtype=np.intp)
    origin, *numbers = zip(*lines, strict=True)
    low, high, rows, groups = (np.array(column, dtype=np.float64)[code] for column in numbers)
    names = tuple(dict.fromkeys(origin))
    return Ratios(low, high, rows, groups, Choice(names, np.array([names.index(one) for one in origin])[code]))


def _line(
    left_out: str, regime: str, stack: str, form: str, model: str, library: Library
) -> tuple[str, float, float, float, float] | None:
    """Return (origin in words, low, high, rows, groups) of the rows most like a prediction, None without any."""
    table = _table(library)
    left_out = left_out if any(key[0] == left_out for key in table) else ""
    kind = "source" if library.stack(stack).families else "chip"
    wanted = {"format": form, "model": model}
    for shared in LADDER:
        same = {name: value if name in shared else "" for name, value in wanted.items()}
        found = table.get((left_out, kind, regime, same["format"], same["model"]))
        if found is not None:
            words = {"dense": "dense models", "mixture": "mixtures of experts"}.get(same["model"], "all models")
            words += {"wide": ", 8 and 16-bit weights", "narrow": ", 4-bit weights"}.get(same["format"], "")
            return f"{words}; {found[2]:g} rows of {found[3]:g} {kind}s left out", *found
    return None


@functools.lru_cache(maxsize=8)
def _table(library: Library) -> Mapping[Key, tuple[float, float, float, float]]:
    with library.data_file(FILE).open(encoding="utf-8", newline="") as stream:
        return {
            (one["left_out"], one["kind"], one["regime"], one["format"], one["model"]): (
                float(one["low"]), float(one["high"]), float(one["rows"]), float(one["groups"]),
            )
            for one in csv.DictReader(stream)
        }  # fmt: skip

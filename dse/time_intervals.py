"""Prediction intervals of times: how far measurements lay from predictions of chips and sources left out of the fits.

Per regime (decode step, prefill, whole request) the 10 % and 90 % quantiles of measured over predicted time, of rows
like the one in question: same batching, stack and format of the weights where enough chips were measured, more general
ones where not. Chips are left out for a software's own stack, sources for a generic one, of whose software it may know
nothing. `dse.validation.intervals` works the quantiles out, ``studies/fits/intervals.py`` writes them into the library.
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

LADDER = (("batching", "stack", "format"), ("batching", "stack"), ("batching", "format"), ("batching",), ())
"""What rows must have in common with a prediction, in order of preference."""

Key = tuple[str, str, str, str, str, str]
"""(left out, kind, regime, batching, stack, format) of a line of the file, "" where it is for any."""


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
    regime: str, stack: Choice, in_flight: Number, weight_bits: Number, library: Library, *, left_out: str = ""
) -> Ratios:
    """Return the 80 % interval of measured over predicted time for every row.

    Args:
        regime: "decode", "prefill" or "request".
        stack: serving stack of each row.
        in_flight: whether other requests' prompts join a row's steps, ``(n,)`` or one for all.
        weight_bits: stored bits of its weights, ``(n,)`` or one for all.
        library: stacks and quantiles.
        left_out: die whose rows must not be known, as `die_of` names it; none where "".
    """
    lines = []
    for name in stack.values:
        known = has_intervals(name, library)
        for flying in ("static", "in_flight"):
            for form in ("wide", "narrow"):
                found = _line(left_out, regime, flying, name, form, library) if known else None
                lines.append(found or ("", np.nan, np.nan, np.nan, np.nan))
    flags = 2 * np.asarray(in_flight, dtype=np.intp) + np.asarray(np.asarray(weight_bits) <= NARROW_BITS, dtype=np.intp)
    code = 4 * stack.codes + flags
    origin, *numbers = zip(*lines, strict=True)
    low, high, rows, groups = (np.array(column, dtype=np.float64)[code] for column in numbers)
    names = tuple(dict.fromkeys(origin))
    return Ratios(low, high, rows, groups, Choice(names, np.array([names.index(one) for one in origin])[code]))


def _line(
    left_out: str, regime: str, batching: str, stack: str, form: str, library: Library
) -> tuple[str, float, float, float, float] | None:
    """Return (origin in words, low, high, rows, groups) of the rows most like a prediction, None without any."""
    table = _table(library)
    left_out = left_out if any(key[0] == left_out for key in table) else ""
    kind = "source" if library.stack(stack).families else "chip"
    wanted = {"batching": batching, "stack": stack, "format": form}
    for shared in LADDER:
        same = {name: value if name in shared else "" for name, value in wanted.items()}
        found = table.get((left_out, kind, regime, same["batching"], same["stack"], same["format"]))
        if found is not None:
            words = (
                f"{same['stack']}" if same["stack"] else "all software",
                {"static": "static batches", "in_flight": "in flight"}.get(same["batching"], ""),
                {"wide": "8 and 16-bit weights", "narrow": "4-bit weights"}.get(same["format"], ""),
            )
            of = f"{found[3]:g} {kind}s left out"
            return f"{', '.join(filter(None, words))}; {found[2]:g} rows of {of}", *found
    return None


@functools.lru_cache(maxsize=8)
def _table(library: Library) -> Mapping[Key, tuple[float, float, float, float]]:
    with library.data_file(FILE).open(encoding="utf-8", newline="") as stream:
        return {
            (one["left_out"], one["kind"], one["regime"], one["batching"], one["stack"], one["format"]): (
                float(one["low"]), float(one["high"]), float(one["rows"]), float(one["groups"]),
            )
            for one in csv.DictReader(stream)
        }  # fmt: skip

"""Comparisons as tables and lines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dse.analysis.compare import MEASURES, Comparison, Entry, Measure
from dse.number_texts import number_text, percent_text, ratio_text, share_text
from dse.render.terminal.tables import Lines, Part, Rows, TextTable, narrow


def comparison_parts(comparisons: Sequence[Comparison], *, short: bool = False) -> list[Part]:
    """Return the tables of comparisons, their ratios, and what is compared.

    Args:
        comparisons: one per workload.
        short: one table per workload, with the ratios in brackets.
    """
    parts: list[Part] = []
    for comparison in comparisons:
        parts.append(comparison_table(comparison, with_ratios=short))
        if not short and (ratios := ratio_table(comparison)) is not None:
            parts.append(ratios)
    if comparisons:
        parts.append(Lines(what_they_are(comparisons[0]), "What is compared"))
    return parts


def comparison_rows(comparisons: Sequence[Comparison]) -> Rows:
    """Return comparisons as a sheet: a row per workload and side, ratios behind the values."""
    ratios = [measure.name for measure in MEASURES if measure.in_ratio]
    headings = [measure.name if measure.unit != "%" else f"{measure.name} [1]" for measure in MEASURES]
    rows = [
        [comparison.workload, entry.name, entry.kind, entry.what, *(entry.values[one.name] for one in MEASURES),
         *(entry.ratios.get(name, math.nan) for name in ratios)]
        for comparison in comparisons
        for entry in comparison.entries
    ]  # fmt: skip
    reference = comparisons[0].reference if comparisons else None
    return ["workload", "name", "kind", "what", *headings, *(f"{name} over {reference}" for name in ratios)], rows


def comparison_table(comparison: Comparison, *, with_ratios: bool = False) -> TextTable:
    """Return designs and baselines on one workload: a column each, a row per measure.

    Args:
        comparison: what is compared.
        with_ratios: whether ratios to the first baseline stand behind the values.
    """
    rows: list[tuple[str, ...]] = []
    for measure in MEASURES:
        if all(_is_usual(entry.values[measure.name], measure) for entry in comparison.entries):
            continue
        values = (_compared(entry, measure, with_ratios) for entry in comparison.entries)
        rows.append((measure.words, measure.unit, *values))
        ends = [entry.intervals.get(measure.name) for entry in comparison.entries]
        if any(ends):
            texts = (f"{number_text(one[0])}-{number_text(one[1])}" if one else "not measured" for one in ends)
            rows.append(("- of such: P10-P90", measure.unit, *texts))
    title = f"{comparison.workload}: designs and baselines, all chips together"
    if with_ratios and comparison.reference is not None:
        title += f" (in brackets: over that of {comparison.reference})"
    return TextTable(
        title, ("", "unit", *map(narrow, (entry.name for entry in comparison.entries))), tuple(rows), names=2
    )


def _is_usual(value: float, measure: Measure) -> bool:
    """Return whether a value is missing or, to a thousandth, what says nothing; no value of most measures is."""
    return not math.isnan(measure.usual) and (math.isnan(value) or math.isclose(value, measure.usual, rel_tol=1e-3))


def _compared(entry: Entry, measure: Measure, with_ratio: bool) -> str:
    value, ratio = entry.values[measure.name], entry.ratios.get(measure.name, math.nan)
    text = percent_text(value) if measure.unit == "%" else number_text(value)
    return f"{text} ({ratio_text(ratio)})" if with_ratio and not math.isnan(ratio) and ratio != 1 else text


def ratio_table(comparison: Comparison) -> TextTable | None:
    """Return values as ratios to those of the first baseline; None where there is none, or it runs nothing."""
    others = [entry for entry in comparison.entries if entry.name != comparison.reference]
    if all(math.isnan(ratio) for entry in others for ratio in entry.ratios.values()):
        return None
    rows = tuple(
        (measure.words.removeprefix("= "), *(ratio_text(entry.ratios[measure.name]) for entry in others))
        for measure in MEASURES
        if measure.in_ratio
    )
    names = map(narrow, (entry.name for entry in others))
    return TextTable(f"{comparison.workload}: value over that of {comparison.reference}", ("", *names), rows)


def what_they_are(comparison: Comparison) -> list[str]:
    """Return one line per entry that says what it is, and what of limits and constraints it misses."""
    return [f"{entry.name}: {entry.what}{_missed_words(entry)}" for entry in comparison.entries]


def _missed_words(entry: Entry) -> str:
    """Return what an entry misses; "" where it meets everything."""
    words = [label if math.isnan(miss) else f"{label} by {share_text(miss)}" for label, miss in entry.missed.items()]
    return f"; misses {', '.join(words)}" if words else ""

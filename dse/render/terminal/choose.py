"""Chips that serve a workload within limits, as tables."""

from __future__ import annotations

import math

from dse.analysis.choose import KNOWN, RANKS, SUMMED, Chosen, Way
from dse.number_texts import counted, number_text, share_text
from dse.render.terminal.summary import unit_behind, workload_words
from dse.render.terminal.tables import Lines, Part, Rows, TextTable, narrow
from dse.render.terminal.verdict import seconds_text

OF_WORKLOAD = ("tpot_ms", "ttft_ms", "tokens_per_s_end_to_end", "decode_w", "perplexity_ratio")
"""Metrics of the first workload that are shown whatever ways are ranked by."""

OF_ALL_CHIPS = ("tdp_w", "price_usd")
"""Metrics of all chips together that are shown."""

MAX_LEFT_OUT = 4
"""Chips without published rates that are named."""


def choice_parts(found: Chosen, top: int, *, every: bool = False) -> list[Part]:
    """Return the answer in words, and the best way of each chip, or every way, as a table.

    Args:
        found: the ways to serve.
        top: rows of the table.
        every: whether every way is listed, and not the best of each chip.
    """
    listed = list(found.ways) if every else found.best
    parts: list[Part] = [Lines(_answer(found), "Which chip"), ways_table(found, listed[:top])]
    return [*parts, Lines(_notes(found, len(listed), top), "How to read it")]


def _answer(found: Chosen) -> list[str]:
    requested = [
        ("" if name == one.model else f"{name}: ") + workload_words(one) for name, one in found.spec.workloads.items()
    ]
    limits = ", ".join(f"{one.label}{unit_behind(one, found.spec)}" for one in found.spec.constraints)
    asked = f"{'; '.join(requested)}{'; ' + limits if limits else ''}"
    meeting = [way for way in found.ways if way.meets]
    if not meeting:
        none = f"NO: none of {counted(len(found.ways), 'way')} to serve it meets every limit."
        nearest = [f"The nearest, {way.name} ({way.words}), misses {_missed(way)}." for way in found.ways[:1]]
        return [none, asked, *nearest]
    chips = len({way.name for way in meeting})
    all_chips = len({way.name for way in found.ways} | {*found.left_out})
    best = meeting[0]
    metric = found.rank
    value = f"{metric} {number_text(best.values[metric])} {_unit(metric)}".rstrip()
    speed = f"{number_text(best.values[found.speed])} {_unit(found.speed)}".rstrip()
    workload = next(iter(found.spec.workloads))
    first = best.values.get(f"{workload}.ttft_ms", math.nan)
    serve = f"{chips} of {counted(all_chips, 'chip')} {'serves' if chips == 1 else 'serve'} it within the limits"
    return [
        f"YES: {serve}, in {counted(len(meeting), 'way')}.",
        asked,
        f"First by {metric}: {best.name} ({best.words}): {value}, {found.speed} {speed}, first token after "
        f"{seconds_text(first)}.",
    ]


def _metrics(found: Chosen) -> list[str]:
    """Return the metrics that are shown, that of the rank first, then those of limits."""
    workload = next(iter(found.spec.workloads))
    usual = [f"{workload}.{name}" for name in OF_WORKLOAD]
    limits = [one.metric for one in found.spec.constraints]
    return list(dict.fromkeys([found.rank, *limits, *usual, *OF_ALL_CHIPS, f"{workload}.usd_per_hour"]))


def _unit(metric: str) -> str:
    return KNOWN[metric.rpartition(".")[2]].unit


def ways_table(found: Chosen, ways: list[Way]) -> TextTable:
    """Return ways to serve, a row each."""
    metrics = [name for name in _metrics(found) if not ways or name in ways[0].values]
    misses = any(not one.meets for one in ways)
    rows = [
        (way.name, way.words, "front" if way.on_front else "", *(way.values[name] for name in metrics),
         *([_missed(way)] if misses else []))
        for way in ways
    ]  # fmt: skip
    headings = [narrow(f"{_short(name, found)}, {_unit(name)}".rstrip(", "), 12) for name in metrics]
    missed = ["misses"] if misses else []
    title = f"By {found.rank}, the best first; power, TDP and price of all chips of a row"
    # Where each chip stands once, its name alone tells the rows of further blocks.
    names = 1 if len({way.name for way in ways}) == len(ways) else 2
    return TextTable(title, ("chip", "how", "", *headings, *missed), rows, names=names)


def _short(name: str, found: Chosen) -> str:
    bare = name.rpartition(".")[2]
    short = bare if len(found.spec.workloads) == 1 else name
    return f"{short}\nall" if bare in SUMMED else short


def _missed(way: Way) -> str:
    return ", ".join(
        f"{label} by {share_text(miss)}" if math.isfinite(miss) else f"{label} (no value)"
        for label, miss in way.missed.items()
    )


def _notes(found: Chosen, rows: int, top: int) -> list[str]:
    priced = sum(math.isnan(way.values["price_usd"]) for way in found.best)
    notes = [
        "how: chips, weights, bits of KV cache and activations, split between chips",
        f"front: no other way within the limits is better in {found.rank} and {found.speed} at once",
    ]
    if rows > top:
        notes.append(f"{rows - top} more rows: --top {rows}; every count, format and split: --every")
    if priced:
        have, they_come = ("has", "it comes") if priced == 1 else ("have", "they come")
        notes.append(f"n/a: {priced} of these chips {have} no published price; {they_come} last by price and cost")
    notes.append(
        "prices are purchase prices of accelerators; usd_per_hour is the owner's: boards and hosts paid back, building "
        "and electricity; --rank rental takes published rental prices where there are some"
    )
    if found.left_out:
        names = list(found.left_out)
        more = f" and {len(names) - MAX_LEFT_OUT} more" if len(names) > MAX_LEFT_OUT else ""
        notes.append(f"left out: {', '.join(names[:MAX_LEFT_OUT])}{more}: {found.left_out[names[0]]}")
    words = ", ".join(f"{word} ({metric})" for word, metric in RANKS.items())
    notes.append(f"--rank takes {words}, or any metric: dse library list metrics")
    return notes


def choice_rows(found: Chosen) -> Rows:
    """Return every way to serve as a sheet."""
    names = list(found.ways[0].values) if found.ways else []
    headings = ("name", "chip", "chips", "parallelism", "weight_format", "kv_bits", "act_bits", "meets_limits",
                "on_front", *names)  # fmt: skip
    rows = [
        [way.name, way.setup.chip, way.chips, way.split, way.setup.weight_format, way.setup.kv_bits,
         way.setup.act_bits, way.meets, way.on_front, *(way.values[name] for name in names)]
        for way in found.ways
    ]  # fmt: skip
    return headings, rows

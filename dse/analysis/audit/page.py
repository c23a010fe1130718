"""The written page of an audit: Markdown made from the numbers, nothing but the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cost_models.quantities.columns import metric_of
from cost_models.quantities.metrics import METRICS
from dse.analysis.audit import Audit
from dse.analysis.audit.consistent import InformationGain, number
from dse.analysis.audit.rates import ConsistentRates, consistent_rates
from dse.analysis.audit.records import ClaimsFile, RatesSubject
from dse.analysis.audit.spaces import JointSet
from dse.analysis.audit.verdicts import ClaimResult
from dse.number_texts import share_text


def page(audit: Audit) -> str:
    """Return the whole page."""
    parts = [f"# Audit: {audit.case.name}", _count_words(audit.verdicts)]
    for rates in audit.rates:
        parts += [f"## {rates.subject}: the rates that satisfy every claim", *rates_words(audit.case, rates)]
    for joint in audit.spaces:
        parts += [f"## {joint.subject}: the designs that satisfy every claim", *joint_words(joint)]
    if audit.verdicts:
        parts += ["## Known machines", verdict_table(audit.verdicts)]
    parts += question_words(audit.verdicts)
    parts += ["## Claims and their sources", source_table(audit.case)]
    return "\n\n".join(parts) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [" | ".join(headings), " | ".join("---" for _ in headings), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _count_words(verdicts: Sequence[ClaimResult]) -> str:
    result: dict[str, int] = {}
    for verdict in verdicts:
        result[verdict.finding] = result.get(verdict.finding, 0) + 1
    return (
        f"{len(verdicts)} claims about known machines: " + ", ".join(f"{n} {name}" for name, n in result.items()) + "."
    )


def finding_words(verdict: ClaimResult) -> str:
    """Return a verdict in words: ``optimistic by 1.5x``."""
    match verdict.finding:
        case "consistent":
            return "consistent"
        case "not comparable":
            return f"not comparable: {verdict.why}"
        case "impossible":
            return f"impossible: beats the bound by {number(verdict.factor, 3)}x"
        case _:
            return f"{verdict.finding} by {number(verdict.factor, 3)}x"


def claimed_words(verdict: ClaimResult) -> str:
    """Return what is claimed: ``<= 40 ms``, ``8x a100_pair``."""
    claim = verdict.claim
    unit = "" if claim.relative_to else f" {metric_of(claim.metric, METRICS).unit}".rstrip()
    sign = "" if claim.asks.near is not None else "<= " if claim.asks.max is not None else ">= "
    return f"{sign}{number(claim.value)}{'x ' + claim.relative_to if claim.relative_to else ''}{unit}"


def verdict_table(verdicts: Sequence[ClaimResult]) -> str:
    """Return every verdict on a row."""
    rows = [
        (
            verdict.claim.of,
            verdict.claim.metric,
            claimed_words(verdict),
            number(verdict.predicted),
            f"{number(verdict.low)} to {number(verdict.high)}" if np.isfinite(verdict.low) else "-",
            number(verdict.bound),
            finding_words(verdict),
        )
        for verdict in verdicts
    ]
    return table(("machine", "metric", "claimed", "predicted", "90 % interval", "bound", "verdict"), rows)


def question_words(verdicts: Sequence[ClaimResult]) -> list[str]:
    """Return for every statement with several readings which of them is nearest to what is possible."""
    parts = []
    for question in dict.fromkeys(verdict.claim.question for verdict in verdicts if verdict.claim.question):
        readings = [
            verdict for verdict in verdicts if verdict.claim.question == question and verdict.factor == verdict.factor
        ]
        if not readings:
            continue
        best = min(readings, key=lambda verdict: (verdict.finding == "impossible", verdict.factor))
        lines = [f"- {one.claim.reading} ({one.claim.of}): {finding_words(one)}" for one in readings]
        parts += [
            f"## {question}: which reading is sensible",
            "\n".join(lines),
            f"Nearest to the prediction: {best.claim.reading} ({best.claim.of}, {finding_words(best)}).",
        ]
    return parts


def source_table(case: ClaimsFile) -> str:
    """Return every claim with its source."""
    seen: dict[str, tuple[str, str, str]] = {}
    for claim in case.claims:
        seen.setdefault(claim.key.partition(",")[0], (claim.source, claim.grade, claim.note))
    return table(("claim", "source", "grade", "note"), [(key, *values) for key, values in seen.items()])


# -- unknown designs -------------------------------------------------------------------------------------------------


def joint_words(joint: JointSet) -> list[str]:
    """Return what a consistent set of designs looks like."""
    if not joint.found:
        words = [f"None of {number(joint.searched)} designs satisfies every claim."]
        smallest = joint.why_none.smallest if joint.why_none else None
        if smallest:
            gives = " and ".join(f"{given.constraint} to {number(given.new_bound)}" for given in smallest.gives)
            words.append(f"The least that must give: {gives}.")
        return words
    extents = table(("quantity", "values"), [(extent.name, extent.text) for extent in joint.extents])
    free = [name for name in joint.plausible[0] if name not in ("id", "spare")][:9]
    rows = [
        [
            number(float(value)) if isinstance(value, float | int) else str(value)
            for value in (row.get(key, "-") for key in free)
        ]
        + [share_text(row["spare"])]
        for row in joint.plausible
    ]
    return [
        f"{number(joint.found)} of {number(joint.searched)} designs satisfy every claim at once.",
        extents,
        "The least strained of each memory and format (spare: on reticle, die edge and heat, the least of them):",
        table((*free, "spare"), rows),
        settling_words(joint.settling),
    ]


def settling_words(settling: Sequence[InformationGain]) -> str:
    """Return which single further fact would leave least open."""
    if not settling:
        return "Nothing is left open."
    shown = ", ".join(f"{one.name} ({share_text(one.left)})" for one in settling[:4])
    return (
        f"One further fact would help most if it were {settling[0].name}. Share of the spread of all else that is "
        f"left once a fact is known: {shown}."
    )


# -- unknown rates ---------------------------------------------------------------------------------------------------


def rates_words(case: ClaimsFile, rates: ConsistentRates) -> list[str]:
    """Return the line that the rates leave, branch by branch."""
    result = rates.table
    if not len(result):
        return [f"None of {number(rates.searched)} combinations of bits and arithmetic satisfies every claim."]
    words = [
        f"{number(len(result))} of {number(rates.searched)} combinations of bits and arithmetic satisfy every claim."
    ]
    bound = result[result["memory_bound"]]
    if len(bound):
        ratio, slope = bound["kv_bits"] / bound["weight_bits"], bound["gbps_low"] / bound["weight_bits"]
        slope_high = bound["gbps_high"] / bound["weight_bits"]
        words.append(
            f"While every step waits for memory alone: KV bits {number(ratio.min(), 3)} to {number(ratio.max(), 3)} "
            f"times the weight bits (median {number(ratio.median(), 3)}), and {number(slope.min(), 3)} to "
            f"{number(slope_high.max(), 3)} GB/s delivered per bit of weight (median "
            f"{number(float((slope + slope_high).median() / 2), 3)}); KV cache of "
            f"{number(bound['kv_bits'].min(), 3)} to {number(bound['kv_bits'].max(), 3)} bits."
        )
        words.append(_line_table(bound))
    words += wide_cache_words(case, rates)
    return [*words, settling_words(rates.settling)]


def _line_table(bound: object) -> str:
    frame = bound.sort_values(["weight_bits", "kv_bits"])  # type: ignore[attr-defined]
    rows = []
    for weight_bits, group in frame.groupby("weight_bits"):
        if float(weight_bits) * 2 % 1:
            continue
        rows.append(
            (
                number(float(weight_bits)),
                f"{number(group['kv_bits'].min(), 3)} to {number(group['kv_bits'].max(), 3)}",
                f"{number(group['gbps_low'].min())} to {number(group['gbps_high'].max())}",
                f"{number(group['tflops'].min())} and more",
                f"{number(group['capacity_gib'].min())} to {number(group['capacity_gib'].max())}",
            )
        )
    headings = ("weight bits", "KV bits", "delivered GB/s", "TFLOP/s", "memory GiB")
    return table(headings, rows)


def wide_cache_words(case: ClaimsFile, rates: ConsistentRates) -> list[str]:
    """Return what a 16-bit KV cache would take."""
    subject = case.subjects[rates.subject]
    assert isinstance(subject, RatesSubject)
    claims = case.of(rates.subject)
    wide = rates.table[rates.table["kv_bits"] >= 16]
    if not len(wide):
        return ["A 16-bit KV cache satisfies the claims in no combination."]
    words = []
    if not wide["memory_bound"].any():
        words.append("A 16-bit KV cache is excluded while every step waits for memory alone.")
    lightest = {str(name): float(value) for name, value in wide.nsmallest(1, "gbps_low").iloc[0].items()}
    words.append(
        f"With a 16-bit KV cache the claims need at least {number(lightest['gbps_low'])} GB/s delivered "
        f"({number(lightest['weight_bits'])}-bit weights, {number(lightest['tflops'])} TFLOP/s)"
    )
    four = wide[wide["weight_bits"] == 4]
    if len(four):
        words[-1] += f", {number(four['gbps_low'].min())} GB/s with 4-bit weights"
    tflops = np.unique(wide["tflops"].to_numpy())
    free, _ = consistent_rates(subject, claims, np.full(len(tflops), 1e-6), np.full(len(tflops), 16.0), tflops)
    free = free[free["consistent"]]
    if len(free):
        words[-1] += f", and {number(free['gbps_low'].min())} GB/s if the weights took no room at all"
    words[-1] += "."
    return words

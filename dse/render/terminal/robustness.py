"""Monte Carlo samples as tables for people."""

from __future__ import annotations

from collections import Counter

import numpy as np

from cost_models.quantities.columns import describe
from dse.number_texts import counted, number_text, percent_text, share_text, signed_percent_text
from dse.render.terminal.tables import TextTable
from dse.results.picks import default_pick
from dse.results.store import StoredRun
from dse.sweep import Spec
from dse.uncertainty.confidence import WeakPoint, weak_points
from dse.uncertainty.files import RobustRun
from dse.uncertainty.stored_run import watched

MAX_INPUTS = 10
"""Inputs of each metric that the table shows."""


def drawn_words(run: RobustRun) -> list[str]:
    """Return what was drawn and for which designs."""
    result = run.found
    counts = Counter(spread.confidence for spread in result.spreads)
    of = ", ".join(f"{counts[level]} of {level} confidence" for level in ("high", "medium", "low") if counts[level])
    tied = Counter(spread.factor for spread in result.spreads if spread.factor)
    shared = sum(1 for members in tied.values() if members > 1)
    fronts = sum(run.on_front)
    return [
        f"{number_text(result.draws)} Monte Carlo samples of {len(result.spreads)} ranged parameters ({of}), seed "
        f"{result.seed}",
        f"{counted(shared, 'cause')} {'ties' if shared == 1 else 'tie'} several of them together; typical parameters "
        "are the most likely ones, not the medians",
        f"{counted(fronts, 'design')} of the front, {counted(len(run.ids) - fronts, 'least infeasible design')}",
    ]


def intervals_table(run: RobustRun, spec: Spec) -> TextTable:
    """Return the picks with their intervals: what the sweep asks for, and area, power, cost and price."""
    result, rows = run.found, []
    shown = list(dict.fromkeys([*watched(spec), "die_mm2", "tdp_w", "cost_usd", "price_usd"]))
    for place, design in enumerate(run.ids):
        if design not in run.names:
            continue
        for index, metric in enumerate(shown):
            low, middle, high = result.quantiles[metric][place]
            typical = result.nominal[metric][place]
            head = f"{', '.join(run.names[design])} ({design})" if index == 0 else ""
            rows.append((head, metric, describe(metric, spec.metrics).unit, *map(float, (typical, low, middle, high))))
    headings = ("pick (id)", "metric", "unit", "typical", "P10", "P50", "P90")
    return TextTable("What the picks are worth under the draws", headings, rows, names=3)


def chances_table(run: RobustRun, spec: Spec, at_most: int = 12) -> TextTable:
    """Return the designs by their probability to meet every target, picks always among them."""
    result = run.found
    order = np.lexsort((np.asarray(run.ids), -result.nondominated_fraction, -result.p_feasible))
    shown = [place for rank, place in enumerate(order) if rank < at_most or run.ids[place] in run.names]
    rows = []
    for place in shown:
        weakest = min(result.p_meets, key=lambda label: result.p_meets[label][place])
        objectives = (float(result.quantiles[one.metric][place, 1]) for one in spec.objectives)
        rows.append((
            str(run.ids[place]),
            ", ".join(run.names.get(run.ids[place], ())) or ("front" if run.on_front[place] else "infeasible"),
            percent_text(float(result.p_feasible[place])),
            percent_text(float(result.nondominated_fraction[place])),
            f"{weakest} ({share_text(float(result.p_meets[weakest][place]))})",
            *objectives,
        ))  # fmt: skip
    headings = ("id", "design", "meets all\n% of draws", "undominated\n% of draws", "hardest target")
    medians = tuple(f"{one.metric}\nP50 {describe(one.metric, spec.metrics).unit}" for one in spec.objectives)
    return TextTable("Probabilities", (*headings, *medians), rows, names=2)


def inputs_table(run: RobustRun) -> TextTable:
    """Return what moves the analysed pick most, metric by metric."""
    rows, counts = [], Counter[str]()
    for swing in run.swings:
        counts[swing.metric] += 1
        if counts[swing.metric] > MAX_INPUTS:
            continue
        rows.append((
            swing.metric if counts[swing.metric] == 1 else "",
            swing.input.name, swing.at_low, swing.at_typ, swing.at_high,
            percent_text(swing.share_alone),
            swing.input.confidence,
        ))  # fmt: skip
    design, pick = run.subject
    headings = ("metric", "parameter", "at its low", "typical", "at its high", "variance\n% alone", "confidence")
    return TextTable(f"What moves {pick} (design {design}) most, one at a time", headings, rows, names=2)


def confidence_lines(run: StoredRun, at_most: int = 4) -> list[str]:
    """Return what a run's knee, or first pick, rests on that is of low confidence, a line per parameter."""
    picks = {str(pick["name"]): pick for pick in run.picks}
    name = default_pick(picks)
    if name is None or run.spec.builtin_disabled or run.manifest["status"] != "complete":
        # Who stopped the search waits for nothing more.
        return []
    points = weak_points(run.spec, picks[name]["design"])
    lines = [_weak_words(name, point) for point in points[:at_most]]
    if len(points) > at_most:
        lines.append(f"and {len(points) - at_most} more; dse robust draws all of them together")
    return lines


def _weak_words(name: str, point: WeakPoint) -> str:
    swing = point.swing
    if point.breaks:
        margins = ", ".join(
            f"{signed_percent_text(value)} % at its {end}"
            for end, value in (("low", swing.at_low), ("high", swing.at_high))
        )
        return f"{swing.input.name} can break {swing.metric}: margin of {name} {margins}"
    ends = f"{number_text(swing.at_low)} at its low, {number_text(swing.at_high)} at its high"
    return f"{swing.input.name} moves {swing.metric} of {name} from {number_text(swing.at_typ)}: {ends}"

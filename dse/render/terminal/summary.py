"""A run in words and tables: problem, result, binding constraints, feasible values, and against what."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.performance.batching import CONTINUOUS
from cost_models.quantities.columns import describe
from cost_models.quantities.metrics import P_FEASIBLE
from cost_models.table import evenly
from dse.number_texts import counted, number_text, percent_text, share_text, signed_percent_text
from dse.render.terminal.tables import TextTable, cell_text, narrow, ranges_text
from dse.results.picks import in_force
from dse.results.rows import MARGIN_PREFIX
from dse.sweep import Spec

if TYPE_CHECKING:
    import pandas as pd

    from dse.results.store import StoredRun

CORE = ("node", "memory", "memory_devices", "macs", "weight_format")
"""Parameters that the table of picks shows even where the sweep fixes them."""

MAX_REASONS = 1
"""Constraints that the table of nonzeros names for one value."""

ALWAYS_SHOWN = ("die_mm2", "tdp_w", "cost_usd", "price_usd")
"""Metrics that the table of picks shows whatever the sweep asks for."""

_MISSED = re.compile(r"(.*) \(by ([0-9.]+)%\)")


def asked(spec: Spec) -> list[str]:
    """Return what the sweep asks for."""
    goals = ", ".join(f"{objective.direction} {objective.metric}" for objective in spec.objectives)
    lines = [f"{name}: {workload_words(workload)}" for name, workload in spec.workloads.items()]
    if spec.deployment is not None:
        first, then = (
            "the design" if pool is None else pool.words for pool in (spec.deployment.prefill, spec.deployment.decode)
        )
        lines.append(f"deployment: prompts by {first}; decoding by {then}")
    lines.append(f"objectives: {goals}")
    lines += [f"constraint: {constraint.label}{unit_behind(constraint, spec)}" for constraint in spec.constraints]
    if spec.robustness is not None:
        lines.append(f"after the search: {spec.robustness.draws} Monte Carlo samples of the ranged parameters")
        lines += [f"constraint on those: {constraint.label}" for constraint in spec.probabilities]
    return lines


def workload_words(workload: Any) -> str:
    """Return a workload in words: its model, who is served, and lengths."""
    chips = f", {workload.n_chips} chips ({workload.parallelism})" if workload.n_chips > 1 else ""
    optional = "" if workload.required else "; need not fit"
    cached = workload.prefix_cached
    prefix = f" ({number_text(cached)} {'tokens' if cached > 1 else 'of them'} cached)" if cached else ""
    lengths = f"{workload.prompt_tokens} tokens in{prefix}, {workload.output_tokens} out"
    mode = {"waves": " in waves", "in_flight": " in flight"}.get(workload.batching, "")
    served = f"batch {workload.batch}{mode}" if workload.batching != CONTINUOUS else _traffic_words(workload)
    drafts = workload.speculation
    drafted = f", {drafts.draft_tokens} tokens drafted by {drafts.draft}" if drafts is not None else ""
    talk = workload.sessions
    turns = "" if talk is None else f" per turn, {talk.turns} turns, {number_text(talk.think_s)} s to think"
    return f"{workload.model}, {served}, {lengths}{turns}{chips}{drafted}{optional}"


def _traffic_words(workload: Any) -> str:
    if workload.trace is not None:
        return _trace_words(workload.trace)
    if workload.arrivals_per_s is not None:
        return f"{number_text(workload.arrivals_per_s)} requests/s, batched continuously"
    if workload.concurrency is not None:
        return f"{number_text(workload.concurrency)} requests at all times, batched continuously"
    return "requests batched continuously"


def _trace_words(trace: Any) -> str:
    """Return the summary of a trace: how many requests, how fast, how long."""
    lengths = ", ".join(
        f"{name.removesuffix('_tokens')} " + " / ".join(number_text(value) for value in percents.values())
        for name, percents in trace.percentiles.items()
    )
    rate, burst = number_text(trace.arrivals_per_s), number_text(trace.arrival_cv)
    return (
        f"{trace.requests} requests of {Path(trace.file).name} at {rate}/s (gaps vary by {burst}; P50 / P95 / P99 of "
        f"tokens: {lengths}), batched continuously"
    )


def unit_behind(constraint: Any, spec: Spec) -> str:
    """Return the unit of a constraint's bound with a space before it, "" where it has none."""
    unit = describe(constraint.metric, spec.metrics).unit
    return f" {unit}" if unit and not constraint.relative_to else ""


def found(run: StoredRun) -> list[str]:
    """Return what the run evaluated and found."""
    manifest = run.manifest
    counts = manifest["counts"]
    share = counts["feasible"] / counts["evaluated"] if counts["evaluated"] else 0.0
    planned = f" of {number_text(counts['planned'])} planned" if manifest["status"] == "interrupted" else ""
    seconds = manifest["seconds"]["total"]
    decided = counts.get("decided", 0)
    lines = [
        f"{counted(counts['evaluated'], 'design')}{planned} by {manifest['sampler']}, seed {manifest['seed']}, "
        f"in {number_text(seconds, 3)} s ({number_text(manifest['designs_per_s'])} designs/s)",
        f"{number_text(counts['feasible'])} feasible ({share_text(share)}), "
        f"{number_text(counts['front'])} of them on the front",
        f"kept: {manifest['kept']}",
    ]
    if decided:
        part = f"{number_text(decided)} of them ({share_text(decided / counts['evaluated'])})"
        lines.insert(1, f"{part} decided without evaluation: what else they break is not counted")
    lines += [str(note) for note in manifest.get("notes", [])]
    if manifest["status"] == "interrupted":
        lines.insert(0, "interrupted: everything up to here was kept")
    if not counts["feasible"]:
        lines.insert(0, "NO DESIGN MEETS EVERY CONSTRAINT")
    elif not counts["front"] and run.spec.probabilities:
        lines.insert(0, "NO DESIGN MEETS THE CONSTRAINTS OFTEN ENOUGH UNDER THE JOINT DRAWS")
    return lines


def varying(spec: Spec) -> list[str]:
    """Return the parameters that the sweep varies."""
    from dse.sweep import FixedSpec

    return [
        name
        for name, entries in spec.space.items()
        if len(entries) > 1 or not isinstance(entries[0], FixedSpec) or entries[0].when
    ]


def shown_metrics(spec: Spec) -> list[str]:
    """Return the metrics that matter to the sweep: objectives, constraints, then the ever interesting."""
    named = [objective.metric for objective in spec.objectives] + [limit.metric for limit in spec.constraints]
    probabilities = [P_FEASIBLE] if spec.robustness is not None else []
    always = () if spec.builtin_disabled else ALWAYS_SHOWN
    return list(dict.fromkeys([*named, *probabilities, *always]))


def named_workloads(spec: Spec) -> set[str]:
    """Return the workloads that objectives name, all where they name none; the rest is for ``dse compare``."""
    named = {objective.metric.rpartition(".")[0] for objective in spec.objectives} & set(spec.workloads)
    return named or set(spec.workloads)


def picks_table(run: StoredRun) -> TextTable:
    """Return the picks side by side: a column each, a row per parameter that varies in them and metric that matters."""
    picks = named_picks(run.picks, run.spec)
    values = [{**pick["metrics"], **in_force(pick["design"])} for pick in picks.values()]
    rows = [("design", "", *(str(pick["id"]) for pick in picks.values()))]
    for name in [*dict.fromkeys([*CORE, *varying(run.spec)]), *shown_metrics(run.spec)]:
        cells = [value.get(name, "-") for value in values]
        if any(cell != "-" for cell in cells):
            rows.append((name, describe(name, run.spec.metrics).unit, *cells))
    headings = ("", "unit", *(names.replace(", ", ",\n") for names in picks))
    return TextTable("Picks", headings, rows, names=2)


def named_picks(picks: Iterable[Mapping[str, Any]], spec: Spec) -> dict[str, Mapping[str, Any]]:
    """Return picks by what people call them, those that are one design together."""
    chosen: dict[int, tuple[list[str], Mapping[str, Any]]] = {}
    for pick in picks:
        names, _ = chosen.setdefault(int(pick["id"]), ([], pick))
        names.append(pick_words(str(pick["name"]), spec))
    return {", ".join(names): pick for names, pick in chosen.values()}


def pick_words(name: str, spec: Spec) -> str:
    """Return the name of a pick as people read it, without the workload where one objective alone has the metric."""
    metric = name.removeprefix("best_")
    if metric == name:
        return name.replace("_", " ")
    bare = metric.rpartition(".")[2]
    alone = [objective.metric.rpartition(".")[2] for objective in spec.objectives].count(bare) == 1
    return f"best {bare if alone else metric}"


def misses_table(run: StoredRun, count: int = 5) -> TextTable:
    """Return the infeasible designs that miss by least, and what they miss."""
    table = run.designs
    if run.spec.probabilities and run.manifest["counts"]["feasible"] and P_FEASIBLE in table:
        return _chances_missed(run, count)
    missed = table[~table["feasible"].astype(bool)].sort_values(["violation", "id"]).head(count)
    margins = [name for name in map(str, table) if name.startswith(MARGIN_PREFIX)]
    axes = [name for name in varying(run.spec) if name in table]
    rows = []
    for _, row in missed.iterrows():
        broken = [
            f"{name.removeprefix(MARGIN_PREFIX)} by {share_text(-row[name])}" for name in margins if row[name] < 0
        ]
        rows.append((str(row["id"]), "\n".join(broken) or "an objective has no value", _parameters_text(row, axes)))
    return TextTable("Least infeasible designs", ("design", "misses", "parameters"), rows)


def _chances_missed(run: StoredRun, count: int) -> TextTable:
    """Return the designs with the best probability to meet everything, none of which has the probability asked for."""
    table = run.designs
    known = table[table["feasible"].astype(bool) & table[P_FEASIBLE].notna()]
    axes = [name for name in varying(run.spec) if name in table]
    rows = [
        (str(row["id"]), f"{P_FEASIBLE} is {number_text(float(row[P_FEASIBLE]), 3)}", _parameters_text(row, axes))
        for _, row in known.sort_values([P_FEASIBLE, "id"], ascending=[False, True]).head(count).iterrows()
    ]
    title = "Least infeasible designs: met at the typical parameters, not often enough"
    return TextTable(title, ("design", "misses", "parameters"), rows)


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def constraints_table(run: StoredRun) -> TextTable:
    """Return what binds, the most violated constraint first; what no design violates is in ``constraints.csv``."""
    table = run.constraints.sort_values("violated", ascending=False, kind="stable")
    table = table[table["violated"] > 0]
    rows = [
        (row["constraint"], percent_text(row["violated_fraction"]), percent_text(row["sole_cause_fraction"]),
         signed_percent_text(row["best_margin"]), signed_percent_text(row["tightest_margin"]))
        for _, row in table.iterrows()
    ]  # fmt: skip
    headings = (
        "constraint", "violated\n% of designs", "only this one\n% of designs", "best margin\n%",
        "least margin of\na feasible one, %",
    )  # fmt: skip
    return TextTable("Binding constraints", headings, rows)


def axes_table(run: StoredRun) -> TextTable:
    """Return for every axis the values that survive every constraint, and what the nearest design with others misses.

    What removes a value is what the nearest of its designs still breaks; ``axes.csv`` counts all of them.
    """
    rows = []
    for axis, values in run.axes.groupby("axis", sort=False):
        records = [dict(record) for record in values.to_dict("records")]
        alive = [place for place, record in enumerate(records) if record["feasible"]]
        removed: dict[frozenset[str], list[int]] = {}
        for place, record in enumerate(records):
            if not record["feasible"]:
                removed.setdefault(frozenset(list(_missed(record))[:MAX_REASONS]), []).append(place)
        reasons = [
            f"{_values_text(records, places)}: {_missed_text([_missed(records[place]) for place in places])}"
            for places in removed.values()
        ]
        survives = "all" if len(alive) == len(records) else _values_text(records, alive) if alive else "none"
        rows.append((str(axis), survives, "\n".join(reasons)))
    others = "others: what the nearest of their designs misses, which need not be the cause"
    title = "Feasible values per parameter, and where the nearest design with another one fails"
    return TextTable(title, ("axis", "feasible values", others), rows)


def _missed(record: Mapping[Any, Any]) -> dict[str, float]:
    """Return what the nearest design with a value breaks, and by how many per cent, the most missed first."""
    matches = [match for match in map(_MISSED.fullmatch, str(record["nearest_miss"]).split("; ")) if match]
    return {match[1]: float(match[2]) for match in sorted(matches, key=lambda match: -float(match[2]))}


def _missed_text(missed: Sequence[Mapping[str, float]]) -> str:
    """Return the constraints that several values miss most, in words."""
    parts = []
    nearest, *_ = missed
    for label in list(nearest)[:MAX_REASONS]:
        shares = [one[label] for one in missed]
        parts.append(f"{label} by {_span(min(shares), max(shares))} %")
    rest = max(len(one) for one in missed) - len(parts)
    more = f", {rest} more" if rest else ""
    return (" and ".join(parts) or "an objective has no value") + more


def _span(low: float, high: float) -> str:
    ends = dict.fromkeys((number_text(low, 2), number_text(high, 2)))
    return " to ".join(ends)


def _values_text(records: Sequence[Mapping[Any, Any]], places: Sequence[int]) -> str:
    """Return values in words, neighbours joined; where they are intervals, only what is feasible of them."""
    lows = [float(record["low"]) for record in records]
    highs = [float(record["high"]) for record in records]
    if any(math.isnan(low) for low in lows):
        names = [str(records[place]["value"]) for place in places if math.isnan(lows[place])]
        numbered = [place for place in places if not math.isnan(lows[place])]
        return ", ".join([*([ranges_text(lows, highs, numbered)] if numbered else []), *names])
    if lows != highs:
        lows = [_first_number(record["feasible_low"], low) for record, low in zip(records, lows, strict=True)]
        highs = [_first_number(record["feasible_high"], high) for record, high in zip(records, highs, strict=True)]
    return ranges_text(lows, highs, places)


def _first_number(*values: float) -> float:
    return next(float(value) for value in values if not math.isnan(float(value)))


def front_table(run: StoredRun, top: int | None = None, *, spread: bool = False) -> TextTable:
    """Return the front by its first objective: the parameters that differ, objectives and the ever interesting.

    Args:
        run: the run.
        top: how many designs; all where None.
        spread: whether those stand evenly along the front, its ends among them; else they are the first.
    """
    front = sorted_front(run)
    shown = front.iloc[evenly(len(front), top)] if spread and top is not None else front.iloc[:top]
    axes = [name for name in varying(run.spec) if name in front and shown[name].astype(str).nunique() > 1]
    always = [name for name in ALWAYS_SHOWN if name in front]
    wanted = dict.fromkeys([*(objective.metric for objective in run.spec.objectives), *always])
    metrics = [name for name in wanted if name not in axes]
    rows = [
        (str(row["id"]), *("-" if _absent(row[name]) else row[name] for name in [*axes, *metrics]))
        for _, row in shown.iterrows()
    ]
    which = "evenly along the front" if spread else "first"
    rest = f" ({len(shown)} of {number_text(len(front))}, {which})" if len(shown) < len(front) else ""
    headings = ("design", *(narrow(_with_unit(name, run.spec)) for name in [*axes, *metrics]))
    return TextTable(f"Front{rest}", headings, rows)


def _with_unit(name: str, spec: Spec) -> str:
    unit = describe(name, spec.metrics).unit
    return f"{name}, {unit}" if unit else name


def binding_lines(run: StoredRun, most: int = 2) -> list[str]:
    """Return in a line which conditions most designs break."""
    table = run.constraints.sort_values("violated", ascending=False, kind="stable")
    worst = table[table["violated"] > 0].head(most).to_dict("records")
    words = [f"{row['constraint']} ({share_text(row['violated_fraction'])})" for row in worst]
    return [f"most missed: {', '.join(words)}"] if words else []


def extrapolated_lines(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a line where the perplexity of designs rests on no measurement near theirs.

    Args:
        metrics: of each design by its name.
    """
    of_workload: dict[str, list[str]] = {}
    for name, values in metrics.items():
        for metric, value in values.items():
            workload, _, bare = metric.rpartition(".")
            if bare == "perplexity_extrapolated" and value == 1:
                of_workload.setdefault(workload, []).append(name)
    words = [
        workload if len(names) == len(metrics) else f"{workload} ({', '.join(names)})"
        for workload, names in of_workload.items()
    ]
    return [f"perplexity is extrapolated beyond what has been measured: {', '.join(words)}"] if words else []


def _parameters_text(row: Any, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {cell_text(row[name])}" for name in names if not _absent(row[name]))


def sorted_front(run: StoredRun) -> pd.DataFrame:
    """Return the front, the best of the first objective first."""
    first = run.spec.objectives[0]
    return run.front.sort_values([first.metric, "id"], ascending=[first.direction == "minimize", True])

"""What a run found on one screen: picks beside baselines, and the parameters in which the picks differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cost_models.performance.batching import CONTINUOUS
from cost_models.quantities.columns import describe
from dse.analysis.compare import baseline_margins
from dse.number_texts import number_text
from dse.render.terminal.summary import CORE, named_picks, named_workloads, pick_words, varying
from dse.render.terminal.tables import Part, TextTable, cell_text, narrow
from dse.results.picks import default_pick, in_force
from dse.results.rows import MARGIN_PREFIX
from dse.results.store import StoredRun

MAX_PARAMETERS = 4
"""Parameters in which picks differ that are shown."""

OF_ALL_CHIPS = {"tdp_w": "deployment_tdp_w", "price_usd": "deployment_usd"}
"""Metrics of one chip that are shown for all chips together, and what those are where some of them prefill."""


def overview_table(run: StoredRun) -> TextTable:
    """Return picks and baselines, a row each: objectives, time to first token, and TDP and price of all chips."""
    spec = run.spec
    wanted = [one.metric for one in spec.objectives]
    if not spec.builtin_disabled:
        wanted += [f"{workload}.ttft_ms" for workload in spec.workloads if workload in named_workloads(spec)][:1]
        wanted += OF_ALL_CHIPS
    wanted = list(dict.fromkeys(wanted))
    rows = [
        (
            _lines(name),
            _missed(run, pick),
            *(_cell(metric, pick["metrics"], _chips(run, pick["design"]), run) for metric in wanted),
        )
        for name, pick in named_picks(run.picks, spec).items()
    ]
    margins = baseline_margins(spec, run.baseline_metrics)
    for name, metrics in run.baseline_metrics.items():
        count = spec.baselines[name].count
        missed = sum(not margin >= 0 for margin in margins[name].values())
        rows.append((f"{name} ({count}x)", str(missed), *(_cell(metric, metrics, count, run) for metric in wanted)))
    of = dict.fromkeys(workload for metric in wanted if (workload := metric.rpartition(".")[0]))
    headings = [_heading(metric, run, full=len(of) > 1) for metric in wanted]
    on = f" on {next(iter(of))}" if len(of) == 1 < len(spec.workloads) else ""
    of_all = "TDP, price of all chips; constraints on one's"
    title = f"Picks and baselines{on} ({of_all})" if spec.baselines else f"Picks{on}"
    return TextTable(title, ("", "misses", *headings), rows)


def users_lines(run: StoredRun) -> list[str]:
    """Return goodput, and the chips for the load where one is told, of the default pick and the first baseline.

    Of workloads batched continuously that no objective names: those that are named stand in the table.
    """
    name = default_pick({str(pick["name"]): pick for pick in run.picks})
    served = {key: one for key, one in run.spec.workloads.items() if one.batching == CONTINUOUS}
    if name is None or run.spec.builtin_disabled or not served.keys() - named_workloads(run.spec):
        return []
    pick = next(one for one in run.picks if one["name"] == name)
    chips = {pick_words(name, run.spec): pick["metrics"], **dict([*run.baseline_metrics.items()][:1])}
    lines = []
    for key in sorted(served.keys() - named_workloads(run.spec), key=list(served).index):
        load = served[key].load_tokens_per_s
        words = []
        for what, metrics in chips.items():
            rate, count = (metrics.get(f"{key}.{one}", math.nan) for one in ("goodput_tokens_per_s", "chips_for_load"))
            words.append(f"{what} {number_text(rate)}" + (f" ({number_text(count)})" if load is not None else ""))
        lines.append(f"{key} goodput, token/s{' (chips)' if load is not None else ''}: {', '.join(words)}")
    return lines


def _lines(names: str) -> str:
    """Return the names of one design, a line each."""
    return names.replace(", ", ",\n")


def _missed(run: StoredRun, pick: Mapping[str, Any]) -> str:
    """Return how many limits and constraints a pick misses."""
    if pick["feasible"]:
        return "0"
    row = run.row(int(pick["id"]))
    return str(sum(not row[name] >= 0 for name in map(str, row.index) if name.startswith(MARGIN_PREFIX)))


def _chips(run: StoredRun, design: Mapping[str, Any]) -> float:
    """Return the chips that serve the first workload which objectives name."""
    name = next((name for name in run.spec.workloads if name in named_workloads(run.spec)), None)
    if name is None:
        return 1.0
    return float(design.get(f"{name}.n_chips", run.spec.workloads[name].n_chips))


def _cell(metric: str, metrics: Mapping[str, float], chips: float, run: StoredRun) -> str:
    value = metrics.get(metric, math.nan)
    if metric not in OF_ALL_CHIPS:
        return number_text(value)
    pools = (metrics.get(f"{name}.{OF_ALL_CHIPS[metric]}", math.nan) for name in named_workloads(run.spec))
    return number_text(next((whole for whole in pools if not math.isnan(whole)), value * chips))


def _heading(metric: str, run: StoredRun, *, full: bool) -> str:
    """Return a metric with its unit, without its workload unless metrics of several stand side by side."""
    name = metric if full else metric.rpartition(".")[2]
    unit = describe(metric, run.spec.metrics).unit
    if metric in OF_ALL_CHIPS:
        return f"{name.removesuffix(f'_{unit.lower()}')},\n{unit}"
    return narrow(f"{name}, {unit}".rstrip(", "), 12)


def differing_parts(run: StoredRun, most: int | None = MAX_PARAMETERS) -> tuple[list[Part], list[str]]:
    """Return the parameters in which the picks differ, so many at most, and in a line what they share."""
    picks = named_picks(run.picks, run.spec)
    if not picks:
        return [], []
    designs = [in_force(pick["design"]) for pick in picks.values()]
    names = list(dict.fromkeys([*CORE, *varying(run.spec)]))
    differing = [name for name in names if len({str(design.get(name)) for design in designs}) > 1]
    shared = [f"{name} {cell_text(designs[0][name])}" for name in names if name in designs[0] and name not in differing]
    rows = tuple((_with_unit(name, run), *(design.get(name, "-") for design in designs)) for name in differing[:most])
    parts: list[Part] = [TextTable("", ("they differ in", *map(_lines, picks)), rows)] if rows else []
    words = [f"in all of them: {', '.join(shared)}"] if shared else []
    words += [f"{len(differing) - len(rows)} more differ: --full"] if len(differing) > len(rows) else []
    return parts, ["; ".join(words)] if words else []


def _with_unit(name: str, run: StoredRun) -> str:
    unit = describe(name, run.spec.metrics).unit
    return f"{name}, {unit}" if unit and not name.endswith(unit.lower()) else name

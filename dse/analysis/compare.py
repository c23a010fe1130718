"""Designs beside what could be bought: picks and baselines through the same equations, in one table per workload."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from cost_models.performance.disaggregation import Disaggregated
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.pool_costs import pool_costs
from cost_models.performance.workload_result import WorkloadResult
from cost_models.silicon.defaults import fill_defaults
from cost_models.table import Choice, Setting, Table, first_number
from dse.errors import NOWHERE, Issue, SpecError
from dse.evaluator import Evaluator
from dse.margins import constraint_margin
from dse.plain import plain
from dse.sweep import Spec, parse_spec


@dataclass(frozen=True)
class Measure:
    """A column of a comparison.

    Attributes:
        name: its key.
        words: what stands beside it.
        unit: its unit, "" for a pure number.
        in_ratio: whether a ratio to the first baseline says something.
        usual: a value that says nothing; a measure of which every side has it is not shown.
    """

    name: str
    words: str
    unit: str
    in_ratio: bool = True
    usual: float = math.nan


MEASURES = (
    Measure("chips", "chips", "", in_ratio=False),
    Measure("batch", "batch", "", in_ratio=False),
    Measure("tpot_ms", "time per token", "ms"),
    Measure("ttft_ms", "time to first token", "ms"),
    Measure("tokens_per_s", "tokens, decode only", "token/s"),
    Measure("tokens_per_s_end_to_end", "tokens, end to end", "token/s"),
    Measure("decode_w", "power in decode", "W"),
    Measure("decode_cap_stretch", "decode held to its design limit", "x", in_ratio=False, usual=1.0),
    Measure("prefill_cap_stretch", "prefill held to its design limit", "x", in_ratio=False, usual=1.0),
    Measure("all_tdp_w", "TDP", "W"),
    Measure("tokens_per_joule", "tokens per joule, decode", "token/J"),
    Measure("tokens_per_joule_tdp", "tokens per joule at TDP", "token/J"),
    Measure("all_cost_usd", "production cost", "USD", in_ratio=False),
    Measure("all_nre_usd", "+ NRE of the boards", "USD", in_ratio=False),
    Measure("all_margin_usd", "+ margin", "USD", in_ratio=False),
    Measure("all_price_usd", "= price", "USD"),
    Measure("usd_per_million_tokens", "cost per million tokens", "USD"),
    Measure("overhead_fraction", "of the step above its bound", "%", in_ratio=False),
)
"""What is compared; power, TDP, cost and price are those of all chips together, the latter three with the chips that
prefill beside them and the ports of both."""


@dataclass(frozen=True)
class Entry:
    """One side of a comparison on one workload.

    Attributes:
        name: of the pick or baseline.
        kind: where it comes from.
        what: one line that says what it is.
        values: by name of `MEASURES`; NaN where missing (a model that does not fit, a price that is not published).
        ratios: value over that of the reference, for the measures where it says something; NaN where either is missing.
        missed: limits and constraints that it misses, and by what share; those of all workloads.
        intervals: by time the ends of its 80 % prediction interval; of a stack that was not measured, none.
    """

    name: str
    kind: Literal["design", "baseline"]
    what: str
    values: Mapping[str, float]
    ratios: Mapping[str, float]
    missed: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Designs and baselines on one workload.

    Attributes:
        workload: its name.
        reference: the baseline that ratios are taken to, the first one; None where there is none.
        entries: designs, then baselines.
    """

    workload: str
    reference: str | None
    entries: tuple[Entry, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; None stands for what is missing."""
        data: dict[str, Any] = plain(self)
        return data


def compare(evaluator: Evaluator, designs: Mapping[str, Mapping[str, Setting]]) -> list[Comparison]:
    """Return one comparison per workload of the sweep.

    Args:
        evaluator: the sweep's evaluator; its baselines are compared with.
        designs: designs by name, each parameter to value.

    Raises:
        UnknownEntryError: a design names something that the library does not hold.
    """
    spec, library = evaluator.spec, evaluator.technology.library
    comparisons = []
    baselines = evaluator.some_of_baselines(frozenset(one.metric for one in spec.constraints))
    missed = {("baseline", name): _missed(margins) for name, margins in baseline_margins(spec, baselines).items()}
    served = {}
    for name, settings in designs.items():
        table = Table.from_settings(settings)
        margins = evaluator.evaluate(table, metrics=()).margins
        missed["design", name] = _missed({label: float(margin[0]) for label, margin in margins.items()})
        served[name] = evaluator.results(table)
    for workload in spec.workloads:
        sides = [
            ("design", name, _design_words(settings), served[name][workload], _stack(settings))
            for name, settings in designs.items()
        ] + [
            (
                "baseline",
                name,
                entry.words,
                evaluator.serve_baseline(entry, workload),
                entry.setup.serving_stack_name(library),
            )
            for name, entry in spec.baselines.items()
        ]
        found = {(kind, name): _values(evaluator, result, stack) for kind, name, _, result, stack in sides}
        values = {side: one for side, (one, _) in found.items()}
        reference = next(iter(spec.baselines), None)
        base = values[("baseline", reference)] if reference is not None else {}
        entries = tuple(
            Entry(
                name,
                _kind(kind),
                what,
                values[kind, name],
                _ratios(values[kind, name], base),
                missed[kind, name],
                found[kind, name][1],
            )
            for kind, name, what, *_ in sides
        )
        comparisons.append(Comparison(workload, reference, entries))
    return comparisons


def baseline_margins(spec: Spec, baselines: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return for every baseline the margin of each constraint of the sweep; NaN where it has no such metric.

    Args:
        spec: the sweep.
        baselines: metrics of its baselines by name.
    """
    result = {}
    for name, metrics in baselines.items():
        columns = {key: np.array([value]) for key, value in metrics.items()}
        known = all(one.metric in columns for one in spec.constraints)
        constraints = spec.constraints if known else ()
        result[name] = {one.label: constraint_margin(one, columns, baselines).item() for one in constraints}
    return result


def _missed(margins: Mapping[str, float]) -> dict[str, float]:
    """Return by how much margins are missed, the worst first; NaN where that is not known."""
    missed = {label: -margin for label, margin in margins.items() if not margin >= 0}
    return dict(sorted(missed.items(), key=lambda item: (math.isnan(item[1]), -item[1])))


def _kind(kind: str) -> Literal["design", "baseline"]:
    return "design" if kind == "design" else "baseline"


def _stack(settings: Mapping[str, Setting]) -> str:
    """Return the stack of a design, the default named."""
    (name,) = cast("Choice", fill_defaults(Table.from_settings(settings))["serving_stack"]).names()
    return str(name)


def _values(
    evaluator: Evaluator, served: WorkloadResult, stack: str
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the values of `MEASURES`, and the intervals of times."""
    from dse.analysis.explain.columns import known_intervals

    metrics = workload_metrics(served, evaluator.technology, [measure.name for measure in MEASURES])
    intervals = known_intervals(served, metrics, Choice.of(stack), evaluator.technology.library)
    machine, serving = served.machine, served.serving
    chips = first_number(serving.chips)
    each = {
        "tdp_w": machine.tdp_w, "cost_usd": machine.cost_usd, "nre_usd": machine.nre_usd,
        "margin_usd": machine.price_usd - machine.cost_usd - machine.nre_usd, "price_usd": machine.price_usd,
    }  # fmt: skip
    totals = {
        "chips": chips,
        "batch": first_number(serving.sequences * served.inference.waves),
        **{f"all_{name}": first_number(value) * chips for name, value in each.items()},
    }
    if isinstance(served.users, Disaggregated):
        # The chips that prefill beside them, in part, and the ports of both pools.
        costs, first = pool_costs(served.users), served.users.pool.result.machine
        more, ports_usd = first_number(costs.chips), first_number(costs.price_usd - first.price_usd * costs.chips)
        totals["chips"] += more
        totals["all_tdp_w"] += first_number(costs.tdp_w)
        totals["all_price_usd"] += first_number(costs.price_usd)
        totals["all_cost_usd"] += first_number(first.cost_usd) * more + ports_usd
        totals["all_nre_usd"] += first_number(first.nre_usd) * more
        totals["all_margin_usd"] += first_number(first.price_usd - first.cost_usd - first.nre_usd) * more
    values = {
        measure.name: totals[measure.name] if measure.name in totals else first_number(metrics[measure.name])
        for measure in MEASURES
    }
    return values, {name: ends for name, ends in intervals.items() if name in values}


def _ratios(values: Mapping[str, float], base: Mapping[str, float]) -> dict[str, float]:
    """Return values over those of the reference; NaN throughout where the reference does not run the workload."""
    runs = bool(base) and math.isfinite(base["tpot_ms"])
    return {
        measure.name: values[measure.name] / base[measure.name] if runs else math.nan
        for measure in MEASURES
        if measure.in_ratio
    }


def _design_words(settings: Mapping[str, Setting]) -> str:
    return (
        f"{settings['node']}, {settings['memory_devices']}x {settings['memory']}, "
        f"{settings['weight_format']}, KV {settings['kv_bits']:g} bit"
    )


def with_baselines(spec: Spec, baselines: Sequence[str], library: Sequence[Path] = ()) -> Spec:
    """Return the sweep with further baselines.

    Args:
        spec: the sweep.
        baselines: each like ``8x h200_sxm`` or ``8x h200_sxm weight_format=fp8 kv_bits=8``.
        library: directories of entries that are added to the library of the sweep.

    Raises:
        SpecError: a baseline is not one.
        LibraryError: what is added to the library is at fault.
    """
    if not baselines and not library:
        return spec
    data = spec.resolved()
    entries = dict(data.get("baselines", {}))
    for text in baselines:
        chips, settings = _read_baseline(text)
        stem = re.sub(r"[^A-Za-z0-9]+", "_", chips.partition("x ")[2] or chips).strip("_")
        name = f"{stem}_{chips.partition('x ')[0]}" if "x " in chips else stem
        while name in entries:
            name += "_more"
        entries[name] = {"chips": chips, **settings}
    data["baselines"] = entries
    return parse_spec(data, library=library, metrics=spec.derived)


def _read_baseline(text: str) -> tuple[str, dict[str, str | float]]:
    words = [word for word in re.split(r"[,\s]+", text) if word]
    pairs = [word for word in words if "=" in word]
    settings: dict[str, str | float] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if not key or not value:
            raise SpecError([Issue(NOWHERE, f"--baseline {text!r}", f"{pair!r}", "a setting like weight_format=fp8")])
        try:
            settings[key] = float(value)
        except ValueError:
            settings[key] = value
    return " ".join(word for word in words if "=" not in word), settings

"""An explanation as tables for the terminal, 100 columns wide at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from cost_models.quantities.columns import describe
from cost_models.quantities.records import Metric
from dse.analysis.explain.records import OUTSIDE, Explanation, OperatorRow, PassTable, WorkloadTable
from dse.number_texts import number_text, percent_text, share_text
from dse.render.terminal.prices import price_words
from dse.render.terminal.tables import Lines, Part, Rows, TextTable
from dse.results.picks import in_force
from dse.sweep.notices import context_warning

_UNITS = {
    "_w_per_mm2": "W/mm²", "_mm2": "mm²", "_w": "W", "_usd": "USD", "_mm": "mm", "_gib": "GiB", "_mib": "MiB",
    "_ms": "ms", "_j": "J", "_ghz": "GHz", "_v": "V",
}  # fmt: skip
_BLOCK_TITLES = {
    "area_mm2": "Area of the die",
    "tdp_w": "Design power",
    "cost_usd": "Cost of one board, without NRE",
    "edge_mm": "Edge of the die that interfaces take",
}


def explanation_parts(explanation: Explanation) -> list[Part]:
    """Return an explanation: settings, every workload, the blocks of every total, limits and margins."""
    parts: list[Part] = [Lines(_settings(explanation), explanation.name)]
    for workload, table in explanation.workloads.items():
        parts.append(
            Lines(_workload_lines(table, chip=not explanation.limits), f"{workload}: {table.settings['model']}")
        )
        if not table.fits:
            parts.append(Lines(unfit_lines(table, explanation.holders.get(workload, {})), "DOES NOT FIT"))
            stored = {name: table.metrics[name] for name in STORED if name in table.metrics}
            parts += [memory_table(table), metric_table(stored, explanation.described, f"Metrics of {workload}")]
            continue
        for phase, one in (("decode step", table.decode), ("prefill", table.prefill)):
            parts.append(operator_table(f"{workload}, {phase}: {number_text(one.ms)} ms", one))
        parts += [spent_table(table), energy_table(table), memory_table(table)]
        parts += [placement_table(table)] if table.placement else []
        title = f"Metrics of {workload}"
        parts.append(metric_table(table.metrics, explanation.described, title, intervals=table.intervals))
        parts.append(Lines(_origins(table.intervals)))
    for total, blocks in explanation.blocks.items():
        if len(blocks) > 1:
            parts.append(block_table(total, blocks))
    if explanation.economics is not None:
        parts.append(Lines([price_words(explanation.metrics, explanation.economics)], "Price of one board"))
    if explanation.limits:
        parts.append(limit_table(explanation))
    of_design = metric_table(explanation.metrics, explanation.described, "Metrics of the design")
    return [*parts, margin_table(explanation), of_design]


def operator_rows(explanation: Explanation) -> Rows:
    """Return the time of every operator of every workload, in decode and prefill, as a sheet."""
    headings = ("workload", "pass", "operator", "times", "ms", "share", "bound", "bytes_moved", "macs", "ops_per_byte")
    return headings, [
        (name, phase, row.name, row.times, row.ms, row.share, row.bound, row.bytes_moved, row.macs, row.ops_per_byte)
        for name, workload in explanation.workloads.items()
        for phase, table in (("decode", workload.decode), ("prefill", workload.prefill))
        for row in table.operators
    ]


def _settings(explanation: Explanation) -> list[str]:
    """Return the parameters that mean something, as one line."""
    known = {
        name: value
        for name, value in explanation.settings.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    }
    given = {name: value if isinstance(value, str) else number_text(value) for name, value in in_force(known).items()}
    return [
        ", ".join(
            f"{name} {text} {describe(name, explanation.described).unit}".rstrip() for name, text in given.items()
        )
    ]


def _workload_lines(table: WorkloadTable, *, chip: bool) -> list[str]:
    settings = {key: number_text(value) if isinstance(value, float) else value for key, value in table.settings.items()}
    experts = f", experts {settings['expert_bits']}" if "expert_bits" in settings else ""
    active = settings["active_params_billion"]
    routed = f", {active} billion active" if active != settings["params_billion"] else ""
    lines = [
        f"{settings['params_billion']} billion weights{routed}",
        f"batch {settings['batch']}, {settings['prompt_tokens']} tokens in, {settings['output_tokens']} out, "
        f"{settings['chips']} chip(s), {_split_words(table.settings)}",
        f"bits: weights {settings['weight_bits']}{experts}, head {settings['head_bits']}, "
        f"KV cache {settings['kv_bits']}, activations {settings['activation_bits']}",
    ]
    if "node_chips" in settings:
        lines.append(
            f"nodes of {settings['node_chips']} chips, {settings['network_gbps']} GB/s of each chip between them"
        )
    if table.fits:
        lines.append(
            f"bound of the decode step {number_text(table.decode.bound_ms)} ms, "
            f"{share_text(table.decode.overhead_fraction)} of the step above it; "
            f"prefill {number_text(table.prefill.bound_ms)} ms, {share_text(table.prefill.overhead_fraction)}"
        )
        lines += [*_cap_lines(table, chip=chip), *goodput_lines(table)]
    if "published_as" in settings:
        lines.insert(1, f"published as {settings['published_as']}")
    if "note" in settings:
        lines.insert(1, str(settings["note"]))
    tokens, context = (table.settings.get(name) for name in ("prompt_tokens", "max_context_tokens"))
    if isinstance(tokens, float) and isinstance(context, float):
        told = context_warning(tokens + float(table.settings["output_tokens"]), context)
        lines += [told] if told else []
    if table.metrics.get("perplexity_extrapolated") == 1:
        lines.append("its perplexity is extrapolated beyond what has been measured")
    return lines


def _cap_lines(table: WorkloadTable, *, chip: bool) -> list[str]:
    """Return what the design limit does to passes that it stretches by more than a percent."""
    metrics = table.metrics
    stretched = {name: metrics.get(f"{name}_cap_stretch", math.nan) for name in ("decode", "prefill")}
    words = [f"{name} {number_text(by, 3)} times as long" for name, by in stretched.items() if by > TOLD_STRETCH]
    if not words:
        return []
    if chip:
        return [
            f"predicted power passes the design limit: held to it, {' and '.join(words)}; kept is the measured time"
        ]
    return [f"the design limit lowers the clock: {' and '.join(words)}"]


def _split_words(settings: Mapping[str, float | str]) -> str:
    """Return how chips share a workload: in one way, or so many in each of several."""
    names = {"tensor_parallel": "tensor", "stages": settings["parallelism"], "replicas": "replicas"}
    counts = {name: float(settings[key]) for key, name in names.items()}
    several = [f"{name} {number_text(count)}" for name, count in counts.items() if count > 1]
    return f"{settings['parallelism']} parallel" if len(several) < 2 else " x ".join(several)


def goodput_lines(table: WorkloadTable) -> list[str]:
    """Return why users wait for ever, or why no load keeps the limits of a workload; nothing where neither is so."""
    if (load := table.metrics.get("utilisation", math.nan)) > 1:
        most = number_text(table.metrics["requests_per_s"])
        return [f"{number_text(load)} times as many requests come as the chips finish ({most}/s): waits are endless"]
    if table.metrics.get("goodput_requests_per_s") != 0:
        return []
    lines = []
    for time, what in (("ttft", "to its first token"), ("tpot", "per token")):
        least, limit = (table.settings.get(name, math.nan) for name in (f"least_{time}_ms", f"{time}_limit_ms"))
        if float(least) > float(limit):
            lines.append(
                f"goodput 0: no load keeps {time}_limit_ms {number_text(float(limit))}, as a single request takes "
                f"{number_text(float(least))} ms {what}"
            )
    return lines or ["goodput 0: a single request keeps the limits in the mean, but no load keeps them often enough"]


STORED = ("memory_gib", "perplexity_ratio", "perplexity_ratio_high")
"""Metrics that a workload has whether the chips hold it or not."""


def unfit_lines(table: WorkloadTable, holders: Mapping[str, int]) -> list[str]:
    """Return by how many GiB a workload does not fit, and how many such chips would do, by split."""
    lacks = table.lacks_gib
    if lacks <= 0:
        return ["the memory would do, but its chips have no link, or no rate of theirs is published"]
    chips = float(table.settings["chips"])
    lines = [
        f"the most loaded of {number_text(chips)} chip(s) would hold {number_text(table.most_loaded_gib)} GiB of its "
        f"{number_text(table.capacity_gib)}: {number_text(lacks)} GiB too much"
    ]
    ways = [f"{number_text(count)} chips ({split} parallel)" for split, count in holders.items()]
    none = "no number of such chips holds it in one split alone; two may, like parallelism=tp8_pp40"
    return [*lines, f"what would do: {' or '.join(ways)}" if ways else none, SMALLER]


SMALLER = (
    "or fewer bits: weight_format, kv_bits; a smaller batch or shorter prompts where the KV cache is what is large"
)


def operator_table(title: str, table: PassTable) -> TextTable:
    """Return one row per operator, what lies outside them, and the total."""
    headings = ("operator", "times", "ms", "share\n%", "bound by", "MB", "GMAC", "op/byte", "% of\nroofline")
    moved, macs = (sum(getattr(row, name) for row in table.operators) for name in ("bytes_moved", "macs"))
    total = (
        "total", "", table.ms, "100", "", moved / 1e6, macs / 1e9, 2 * macs / moved if moved else math.nan,
        percent_text(table.bound_ms / table.ms),
    )  # fmt: skip
    return TextTable(title, headings, [*map(_operator_cells, table.operators), total])


def _operator_cells(row: OperatorRow) -> tuple[object, ...]:
    share = percent_text(row.share)
    if row.name == OUTSIDE:
        return (_people(row.name), "", row.ms, share, "", "", "", "", "")
    return (
        row.name, row.times, row.ms, share, _people(row.bound), row.bytes_moved / 1e6, row.macs / 1e9, row.ops_per_byte,
        percent_text(row.roofline_fraction),
    )  # fmt: skip


def spent_table(table: WorkloadTable) -> TextTable:
    """Return the time of both passes by what was waited for."""
    rows = [
        (_people(cause), decode, percent_text(decode / table.decode.ms), prefill,
         percent_text(prefill / table.prefill.ms))
        for cause, decode, prefill in _paired(table.decode.spent_ms, table.prefill.spent_ms)
    ]  # fmt: skip
    total = ("total", table.decode.ms, "100", table.prefill.ms, "100")
    return TextTable("Time by what it waits for", ("", "decode\nms", "%", "prefill\nms", "%"), (*rows, total))


def energy_table(table: WorkloadTable) -> TextTable:
    """Return energy and power of both passes by cause, all boards."""
    decode, prefill = table.decode, table.prefill
    rows = [
        (_people(part), joules, decode.power_w.get(part, 0.0), percent_text(joules / decode.board_j),
         filled, prefill.power_w.get(part, 0.0), percent_text(filled / prefill.board_j))
        for part, joules, filled in _paired(decode.energy_j, prefill.energy_j)
    ]  # fmt: skip
    total = ("total", decode.board_j, decode.board_w, "100", prefill.board_j, prefill.board_w, "100")
    headings = ("", "decode step\nJ", "\nW", "\n%", "prefill\nJ", "\nW", "\n%")
    return TextTable("Energy and power of all boards", headings, [*rows, total])


def memory_table(table: WorkloadTable) -> TextTable:
    """Return what the workload holds in memory, and what the most-loaded chip has left."""
    chips = float(table.settings["chips"])
    loaded, capacity = table.most_loaded_gib, table.capacity_gib
    rows = [
        *((_people(part), gib, "") for part, gib in table.memory_gib.items()),
        ("total of all chips", sum(table.memory_gib.values()), ""),
        ("most-loaded chip", loaded, percent_text(loaded / capacity)),
        ("capacity of one chip", capacity, "100"),
    ]
    return TextTable(f"Memory on {number_text(chips)} chip(s)", ("", "GiB", "% of a chip"), rows)


def placement_table(table: WorkloadTable) -> TextTable:
    """Return which tensors of the most-loaded chip lie in which memory, the most read first."""

    def reads(held: Mapping[str, float]) -> float:
        return held["moved_gib"] / held["gib"]

    present = {name: held for name, held in table.placement.items() if held["gib"] > 0}
    rows = [
        (_people(name), held["gib"], reads(held), held["gib"] - held["second_gib"], held["second_gib"],
         percent_text(held["second_reads"]), held["slowdown"])
        for name, held in sorted(present.items(), key=lambda item: -reads(item[1]))
    ]  # fmt: skip
    headings = (
        "", "GiB", "reads\nper step", "first memory\nGiB", "second memory\nGiB", "% of reads\nthere", "time of\na byte",
    )  # fmt: skip
    return TextTable("Tensors of one chip by memory", headings, rows)


def block_table(total: str, blocks: Mapping[str, float]) -> TextTable:
    """Return the blocks of an amount, the largest first, and their sum."""
    whole = sum(blocks.values())
    ordered = sorted(blocks.items(), key=lambda item: -item[1])
    rows = [(_people(name), amount, percent_text(amount / whole)) for name, amount in ordered if amount]
    headings = ("", _unit_of_name(total), "%")
    return TextTable(_BLOCK_TITLES.get(total, total), headings, [*rows, ("total", whole, "100")])


def limit_table(explanation: Explanation) -> TextTable:
    """Return what every physical limit allows and what the design uses of it."""
    rows = [
        (_people(_without_unit(name)), _unit_of_name(name), row.used, row.allowed, percent_text(row.margin))
        for name, row in explanation.limits.items()
    ]
    return TextTable("Limits", ("", "unit", "used", "allowed", "margin %"), rows)


def margin_table(explanation: Explanation) -> TextTable:
    """Return the margin of every limit, memory and constraint, the tightest first."""
    ordered = sorted(explanation.margins.items(), key=lambda item: (item[1], item[0]))
    rows = [(label, percent_text(margin), "met" if margin >= 0 else "MISSED") for label, margin in ordered]
    return TextTable("Margins", ("", "margin %", ""), rows)


TOLD_STRETCH = 1.01
"""Stretch of a pass by the design limit from which it is told."""


Intervals = Mapping[str, Mapping[str, float | str]]
"""By time "p10", "p90" and "origin", as `WorkloadTable` has them."""


def metric_table(
    metrics: Mapping[str, float],
    described: Mapping[str, Metric],
    title: str,
    *,
    intervals: Intervals = MappingProxyType({}),
) -> TextTable:
    """Return the metrics that have a value, with their unit, and the interval of times that have one."""
    there = {name: value for name, value in metrics.items() if not math.isnan(value)}
    known = {name: one for name, one in intervals.items() if one["origin"]}
    rows = [(name, value, described[name].unit) for name, value in there.items()]
    if not known:
        return TextTable(title, ("", "", "unit"), rows)
    ends = {name: f"{number_text(float(one['p10']))}-{number_text(float(one['p90']))}" for name, one in known.items()}
    return TextTable(title, ("", "", "unit", "P10-P90"), [(*row, ends.get(row[0], "")) for row in rows])


def _origins(intervals: Intervals) -> list[str]:
    """Return where the intervals of times come from, a line each."""
    return [f"P10-P90 of {name}: {one['origin']}" for name, one in intervals.items() if one["origin"]]


def _paired(first: Mapping[str, float], second: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Return both amounts of every part that is in either and not zero in both."""
    names = dict.fromkeys((*first, *second))
    pairs = [(name, first.get(name, 0.0), second.get(name, 0.0)) for name in names]
    return [pair for pair in pairs if pair[1] or pair[2]]


def _people(name: str) -> str:
    return "host and hand-over" if name == OUTSIDE else name.replace("_", " ")


def _unit_of_name(name: str) -> str:
    """Return the unit that a name ends in."""
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")


def _without_unit(name: str) -> str:
    """Return a name without the unit that it ends in."""
    return next((name.removesuffix(end) for end in _UNITS if name.endswith(end)), name)

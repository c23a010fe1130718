"""What targets take, and the best single changes to a design, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from cost_models.quantities.columns import describe
from dse.analysis.require.changes import QUALITY, VIOLATION, Change
from dse.analysis.require.requirements import Requirements
from dse.number_texts import number_text, percent_text, share_text
from dse.render.terminal.tables import Rows, TextTable, cell_text
from dse.sweep import Spec

_NEED_COLUMNS = (
    "weight_format", "stored_bits", "kv_bits", "bandwidth_gbps", "bandwidth_stack_gbps", "tflops", "tflops_stack",
    "capacity_gib", "perplexity_ratio", "quality_ok",
)  # fmt: skip

_TRIVIAL = ("memory_device",)
"""Limits that every sized design meets and that say nothing."""


def need_rows(found: Requirements) -> Rows:
    """Return the needs per pair of formats as a sheet."""
    return _NEED_COLUMNS, [[getattr(need, name) for name in _NEED_COLUMNS] for need in found.needs]


def summary_lines(found: Requirements) -> list[str]:
    """Return the least of everything in words."""
    if not found.targets:
        return ["no constraint bounds a time: only memory is required"]
    chosen = found.chosen
    quality = "" if chosen.quality_ok else " (no format of the space meets the constraints on perplexity)"
    lines = [
        f"least that meets the targets with {chosen.weight_format} ({number_text(chosen.stored_bits)} bit) and "
        f"{number_text(chosen.kv_bits)}-bit KV cache{quality}:",
        f"bandwidth {number_text(chosen.bandwidth_gbps)} GB/s delivered, "
        f"{number_text(chosen.bandwidth_stack_gbps)} with the software stack ({chosen.set_by['bandwidth_gbps']})",
        f"arithmetic {number_text(chosen.tflops)} TFLOP/s reached, {number_text(chosen.tflops_stack)} of peak with the "
        f"stack ({chosen.set_by['tflops']})",
    ]
    if "capacity_gib" in chosen.set_by:
        lines.append(f"memory {number_text(chosen.capacity_gib)} GiB ({chosen.set_by['capacity_gib']})")
    best = max((option.most_bits for option in found.options), default=float("nan"))
    if best == best:
        names = [option.memory for option in found.options if option.most_bits == best]
        lines.append(
            f"at most {number_text(max(best, 0.0))} stored bits per weight can be streamed in time ({names[0]} all "
            "around the largest die)"
        )
    return lines


def needs_table(found: Requirements) -> TextTable:
    """Return the least bandwidth, arithmetic and capacity per pair of formats."""
    *names, allowed = _NEED_COLUMNS
    rows = [
        [*(getattr(need, name) for name in names), "yes" if getattr(need, allowed) else "NO"] for need in found.needs
    ]
    headings = (
        "weights", "bit", "KV\nbit", "bandwidth\nGB/s", "with stack\nGB/s", "arithmetic\nTFLOP/s",
        "with stack\nTFLOP/s", "memory\nGiB", "worst ppl\nratio", "allowed",
    )  # fmt: skip
    return TextTable("Least of each, the others for free, by how weights and KV cache are stored", headings, rows)


def options_table(found: Requirements) -> TextTable:
    """Return the memories that can deliver the chosen need."""
    rows = [
        (one.memory, one.device_bits, f"{one.devices} ({one.devices_ideal})", one.device_gib, one.delivered_gbps,
         _signed(one.bandwidth_slack), _signed(one.capacity_slack),
         f"{number_text(one.edge_mm, 3)}/{number_text(one.edge_allowed_mm, 3)}", _signed(one.edge_slack),
         number_text(one.memory_w, 3), number_text(max(one.most_bits, 0.0), 3), one.in_space)
        for one in found.options
    ]  # fmt: skip
    headings = (
        "memory", "width\nbit", "devices\n(ideal)", "each\nGiB", "delivers\nGB/s", "to spare\n%", "GiB to\nspare %",
        "edge, of\nmm", "edge to\nspare %", "power\nW", "bits at\nmost", "in the\nspace",
    )  # fmt: skip
    need = found.chosen
    title = f"What can deliver that ({need.weight_format}, {number_text(need.kv_bits)}-bit KV), edge of the largest die"
    return TextTable(title, headings, rows)


def sized_table(found: Requirements) -> TextTable:
    """Return the best design of each memory grade with what it misses or has to spare."""
    rows = []
    for design in found.sized:
        missed = {label: margin for label, margin in design.slack.items() if margin < 0}
        kept = {label: margin for label, margin in design.slack.items() if margin >= 0 and label not in _TRIVIAL}
        tight = sorted(kept.items(), key=lambda item: item[1])[:2]
        lines = [f"misses {label} by {share_text(-margin)}" for label, margin in missed.items()]
        lines += [f"{share_text(margin)} to spare: {label}" for label, margin in ([] if missed else tight)]
        settings = ", ".join(f"{name} {cell_text(value)}" for name, value in design.design.items() if name != "memory")
        rows.append((design.memory, "yes" if design.feasible else "NO", "\n".join(lines), settings))
    headings = ("memory", "meets all", "slack", "design")
    return TextTable("Best design per memory, sized within the space", headings, rows)


def changes_table(changes: Sequence[Change], title: str, spec: Spec) -> TextTable:
    """Return changes with what they bring and what they cost."""
    rows = []
    for change in changes:
        unit = "" if change.goal == VIOLATION else describe(change.goal, spec.metrics).unit
        beside = ", ".join(
            f"{name} {_relative(before, after)}" for name, (before, after) in change.beside.items() if before != after
        )
        goal = "sum of misses" if change.goal == VIOLATION else change.goal
        moved = f"{change.parameter}: {cell_text(change.before) or '-'} to {cell_text(change.after)}"
        values = (change.value_before, change.value_after, percent_text(change.gain))
        rows.append((goal, unit, moved, *values, beside or "-", "yes" if change.meets_all else "NO"))
    headings = ("goal", "unit", "change", "now", "then", "gain\n%", "costs", "meets all")
    return TextTable(title, headings, rows, names=3)


def quality_lines(changes: Sequence[Change], spec: Spec) -> list[str]:
    """Return what is to be said where changes make answers worse and no constraint is in their way."""
    if any(constraint.metric.rpartition(".")[2].startswith("perplexity") for constraint in spec.constraints):
        return []
    ends = [ends for change in changes for name, ends in change.beside.items() if name.endswith(QUALITY)]
    if not any(after > before for before, after in ends):
        return []
    (workload, *_) = spec.workloads
    return [
        f"no constraint limits the quality of answers: a change that raises {QUALITY} makes them worse; "
        f"constraints: [{{metric: {workload}.{QUALITY}_high, max: ...}}] would stand in its way"
    ]


def _relative(before: float, after: float) -> str:
    return f"{_signed(after / before - 1)} %" if before else "n/a"


def _signed(share: float) -> str:
    if share != share or abs(share) == float("inf"):
        return "any"
    text = number_text(100 * share, 3)
    return text if text.startswith("-") else f"+{text}"

"""``dse require``: what the targets of a sweep come to, and the best single change to a design."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cost_models.table import Setting
from dse.errors import NOWHERE, Fault, SpecError
from dse.evaluate import Evaluator
from dse.explain.inputs import design_of_run, load_design
from dse.require import VIOLATION, Change, Need, Requirements, best_changes, finite, requirements
from dse.results.store import open_run
from dse.space import Space
from dse.spec import Spec, load_spec
from dse.terminal import console, print_lines, print_table
from dse.terminal.summary import asked, unit_of
from dse.terminal.tables import Table, cell_text, csv_text, number_text, percent_text
from dse.yaml_positions import parse_yaml, read_text


def require(
    what: str,
    design: str | None,
    overrides: Sequence[str],
    workloads: Sequence[str],
    *,
    output: str,
    plot: Path | None,
) -> None:
    """Print the least that meets the targets of a sweep, or the best single change to a design.

    Args:
        what: a sweep file, a design file or a run.
        design: id or pick of the run.
        overrides: ``a.b=c`` arguments for a sweep.
        workloads: further workloads of a design file.
        output: "table", "json" or "csv" (the needs, or the changes).
        plot: file to draw into, for a sweep.

    Raises:
        SpecError: every fault of the file or the arguments.
        RunError: there is no such run, or it has no such design.
    """
    path = Path(what)
    is_file = path.suffix in (".yaml", ".yml")
    is_design = is_file and "design" in _keys(path)
    faults = []
    if is_file and design is not None:
        faults.append(Fault(NOWHERE, "DESIGN", f"{design!r} goes with a run; {what} is not one"))
    if overrides and (is_design or not is_file):
        faults.append(Fault(NOWHERE, "--set", "goes with a sweep file"))
    if workloads and not is_design:
        faults.append(Fault(NOWHERE, "--workload", "goes with a design file"))
    if plot is not None and (is_design or not is_file):
        faults.append(Fault(NOWHERE, "--plot", "goes with a sweep file"))
    if faults:
        raise SpecError(faults)
    if is_file and not is_design:
        _of_sweep(load_spec(path, overrides=overrides), output=output, plot=plot)
        return
    spec, settings, space, name = _design(what, design, workloads, is_design=is_design)
    _of_design(spec, settings, space, name, output=output)


def _keys(path: Path) -> tuple[str, ...]:
    node = parse_yaml(read_text(path), str(path))
    return tuple(node.value) if isinstance(node.value, dict) else ()


def _design(
    what: str, design: str | None, workloads: Sequence[str], *, is_design: bool
) -> tuple[Spec, dict[str, Setting], Space | None, str]:
    if is_design:
        spec, settings = load_design(what, workloads)
        return spec, settings, None, spec.name
    run = open_run(what).needs_ours("require", model=False)
    settings, name = design_of_run(run, design)
    return run.spec, settings, Space(run.spec), name


# -- sweeps -----------------------------------------------------------------------------------------------------------


def _of_sweep(spec: Spec, *, output: str, plot: Path | None) -> None:
    if spec.model is not None:
        what = f"require is of the built-in evaluation; this sweep has a model of its own, {spec.model.words}"
        raise SpecError([Fault(spec.place_of("model"), "model", what)])
    found = requirements(spec)
    if plot is not None:
        from dse.plots.require import plot_requirements

        plot_requirements(found, plot)
    best = next((design for design in found.sized if design.feasible), None)
    nearest = best or min(
        found.sized, key=lambda one: sum(-margin for margin in one.slack.values() if margin < 0), default=None
    )
    changes = best_changes(Evaluator(spec), nearest.design, space=Space(spec)) if nearest else []
    if output == "json":
        data = {**found.to_json(), "best_changes": [finite(asdict(change)) for change in changes]}
        print(json.dumps(data, indent=2, allow_nan=False))
        return
    if output == "csv":
        print(csv_text(_NEED_COLUMNS, [[_plain(need, name) for name in _NEED_COLUMNS] for need in found.needs]), end="")
        return
    out = console()
    print_lines(out, asked(spec), heading=f"{spec.name}: what is asked")
    print_lines(out, summary_lines(found), heading="What it takes at least, per chip")
    print_table(out, needs_table(found))
    print_table(out, options_table(found))
    print_table(out, sized_table(found))
    if nearest is not None:
        print_table(out, changes_table(changes, f"Best single changes to the {nearest.memory} design above"))
    if plot is not None:
        print_lines(out, [str(plot)], heading="Files")


_NEED_COLUMNS = (
    "weight_format", "stored_bits", "kv_bits", "bandwidth_gbps", "bandwidth_stack_gbps", "tflops", "tflops_stack",
    "capacity_gib", "perplexity_ratio", "quality_ok",
)  # fmt: skip


def _plain(need: Need, name: str) -> Any:
    return getattr(need, name)


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


def needs_table(found: Requirements) -> Table:
    """Return the least bandwidth, arithmetic and capacity per pair of formats."""
    rows = tuple(
        (
            need.weight_format,
            number_text(need.stored_bits),
            number_text(need.kv_bits),
            number_text(need.bandwidth_gbps),
            number_text(need.bandwidth_stack_gbps),
            number_text(need.tflops),
            number_text(need.tflops_stack),
            number_text(need.capacity_gib),
            number_text(need.perplexity_ratio),
            "yes" if need.quality_ok else "NO",
        )
        for need in found.needs
    )
    headings = (
        "weights", "bit", "KV\nbit", "bandwidth\nGB/s", "with stack\nGB/s", "arithmetic\nTFLOP/s",
        "with stack\nTFLOP/s", "memory\nGiB", "worst ppl\nratio", "allowed",
    )  # fmt: skip
    return Table("Least of each, the others for free, by how weights and KV cache are stored", headings, rows)


def options_table(found: Requirements) -> Table:
    """Return the memories that can deliver the chosen need."""
    rows = tuple(
        (
            option.memory,
            number_text(option.device_bits),
            f"{option.devices} ({option.devices_ideal})",
            number_text(option.device_gib),
            number_text(option.delivered_gbps),
            _signed(option.bandwidth_slack),
            _signed(option.capacity_slack),
            f"{number_text(option.edge_mm, 3)}/{number_text(option.edge_allowed_mm, 3)}",
            _signed(option.edge_slack),
            number_text(option.memory_w, 3),
            number_text(max(option.most_bits, 0.0), 3),
            "yes" if option.in_space else "no",
        )
        for option in found.options
    )
    headings = (
        "memory", "width\nbit", "devices\n(ideal)", "each\nGiB", "delivers\nGB/s", "to spare\n%", "GiB to\nspare %",
        "edge, of\nmm", "edge to\nspare %", "power\nW", "bits at\nmost", "in the\nspace",
    )  # fmt: skip
    need = found.chosen
    title = f"What can deliver that ({need.weight_format}, {number_text(need.kv_bits)}-bit KV), edge of the largest die"
    return Table(title, headings, rows)


def sized_table(found: Requirements) -> Table:
    """Return the best design of each memory grade with what it misses or has to spare."""
    rows = []
    for design in found.sized:
        missed = {label: margin for label, margin in design.slack.items() if margin < 0}
        kept = {label: margin for label, margin in design.slack.items() if margin >= 0 and label not in _TRIVIAL}
        tight = sorted(kept.items(), key=lambda item: item[1])[:2]
        lines = [f"misses {label} by {percent_text(-margin)} %" for label, margin in missed.items()]
        lines += [f"{percent_text(margin)} % to spare: {label}" for label, margin in ([] if missed else tight)]
        settings = ", ".join(f"{name} {cell_text(value)}" for name, value in design.design.items() if name != "memory")
        rows.append((design.memory, "yes" if design.feasible else "NO", "\n".join(lines), settings))
    return Table(
        "Best design per memory, sized within the space", ("memory", "meets all", "slack", "design"), tuple(rows)
    )


_TRIVIAL = ("memory_device",)


# -- designs ----------------------------------------------------------------------------------------------------------


def _of_design(spec: Spec, settings: dict[str, Setting], space: Space | None, name: str, *, output: str) -> None:
    changes = best_changes(Evaluator(spec), settings, space=space)
    if output == "json":
        print(json.dumps({"name": name, "best_changes": [finite(asdict(one)) for one in changes]}, indent=2))
        return
    table = changes_table(changes, f"{name}: the best single change for each goal")
    if output == "csv":
        print(csv_text(table.headings, table.rows), end="")
        return
    out = console()
    print_lines(out, [", ".join(f"{key} {cell_text(value)}" for key, value in settings.items())], heading=name)
    print_table(out, table)


def changes_table(changes: Sequence[Change], title: str) -> Table:
    """Return changes with what they bring and what they cost."""
    rows = []
    for change in changes:
        unit = "" if change.goal == VIOLATION else unit_of(change.goal)
        beside = ", ".join(
            f"{name} {_relative(before, after)}" for name, (before, after) in change.beside.items() if before != after
        )
        rows.append(
            (
                "sum of misses" if change.goal == VIOLATION else change.goal,
                unit,
                f"{change.parameter}: {cell_text(change.before) or '-'} to {cell_text(change.after)}",
                number_text(change.value_before),
                number_text(change.value_after),
                percent_text(change.gain),
                beside or "-",
                "yes" if change.meets_all else "NO",
            )
        )
    headings = ("goal", "unit", "change", "now", "then", "gain\n%", "costs", "meets all")
    return Table(title, headings, tuple(rows), names=3)


def _relative(before: float, after: float) -> str:
    return f"{_signed(after / before - 1)} %" if before else "n/a"


def _signed(share: float) -> str:
    if share != share or abs(share) == float("inf"):
        return "any"
    return f"{100 * share:+.3g}"

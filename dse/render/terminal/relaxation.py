"""Why nothing is feasible, in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cost_models.quantities.columns import describe
from dse.analysis.relaxation.constraints import Relaxation, RelaxationReport
from dse.number_texts import number_text, percent_text, share_text
from dse.render.terminal.tables import Lines, Part, TextTable, cell_text
from dse.sweep import Spec

MAX_ROWS = 8
"""Relaxations and axes that are shown; the run directory has them all."""

_SHOWN = ("node", "memory", "memory_devices", "macs", "weight_format", "kv_bits")


def explanation_parts(why: RelaxationReport, spec: Spec) -> list[Part]:
    """Return what would make a sweep feasible."""
    if why.met_by is not None:
        lines = [
            "A closer look found a design that meets everything; the sweep's own search missed it.",
            ", ".join(f"{name} {cell_text(value)}" for name, value in why.met_by.items() if name in _SHOWN),
        ]
        return [Lines(lines, "Feasible after all")]
    parts: list[Part] = [relaxations_table(why, spec)] if why.relaxations else []
    lines = []
    if not why.relaxations:
        lines.append("no constraint and no pair of constraints suffices, however far it gives way")
    if why.unbuildable:
        lines.append(f"even without constraints nothing can be built: {', '.join(why.unbuildable)}")
    if why.stuck:
        lines.append(f"giving way alone does not suffice: {', '.join(why.stuck)}")
    parts.append(Lines(lines, "What does not help"))
    if why.axis_extensions:
        parts.append(axis_extensions_table(why))
    return parts


def stored_table(rows: Sequence[Mapping[str, Any]]) -> TextTable:
    """Return the relaxations and axis_extensions of a stored run."""
    cells = [
        (row["kind"], row["what"], row["then"], percent_text(None if row["by"] is None else float(row["by"])),
         bool(row["feasible"]), row["set"])
        for row in rows
    ]  # fmt: skip
    headings = ("what gives", "which", "to", "by %", "feasible then", "argument")
    return TextTable("What would make it feasible", headings, cells, names=2)


def relaxation_lines(rows: Sequence[Mapping[str, Any]], most: int = 6) -> list[str]:
    """Return what makes a sweep feasible, of the rows of a stored run, a line each, the least first."""
    lines, pairs = [], [row for row in rows if row["kind"] == "pair"]
    for row in rows:
        if row["kind"] == "constraint" and row["feasible"]:
            lines.append(f"{row['what']} at {cell_text(row['then'])}, {share_text(float(row['by']))} more room")
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        lines.append(" and ".join(f"{row['what']} at {cell_text(row['then'])}" for row in (first, second)))
    for row in rows:
        if row["kind"] == "axis" and row["feasible"]:
            lines.append(f"{row['what']} {cell_text(row['then'])}, outside of the sweep's values")
    return lines[:most]


def relaxations_table(why: RelaxationReport, spec: Spec) -> TextTable:
    """Return the smallest relaxations, each with the design that proves it."""
    headings = ("constraint", "by at\nmost %", "design that proves it")
    rows = [
        ("\n".join(_bound_words(one, spec)), percent_text(one.by),
         ", ".join(f"{name} {cell_text(one.design[name])}" for name in _SHOWN if name in one.design))
        for one in why.relaxations[:MAX_ROWS]
    ]  # fmt: skip
    return TextTable("The least that constraints must give", headings, rows)


def _bound_words(relaxation: Relaxation, spec: Spec) -> list[str]:
    words = []
    for given in relaxation.gives:
        unit = describe(given.constraint.split(" ")[0], spec.metrics).unit
        words.append(f"{given.constraint}: {number_text(given.new_bound, 4)} {unit}".rstrip())
    return words


def axis_extensions_table(why: RelaxationReport) -> TextTable:
    """Return what each axis does when it alone is extended."""
    rows = [
        (one.axis, one.value, one.feasible, percent_text(one.violation), percent_text(one.violation_before))
        for one in why.axis_extensions[:MAX_ROWS]
    ]
    headings = ("axis", "to", "feasible", "misses then\n%", "misses now\n%")
    return TextTable("Axes that help when extended alone, the rest kept", headings, rows)

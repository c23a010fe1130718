"""Why nothing is feasible, in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cost_models.quantities.columns import describe
from dse.analysis.relaxation import Relaxation, RelaxationReport
from dse.render.terminal.tables import Lines, Part, TextTable, cell_text, number_text, percent_text
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
    cells = tuple(
        (
            str(row["kind"]),
            str(row["what"]),
            cell_text(row["then"]),
            percent_text(None if row["by"] is None else float(row["by"])),
            "yes" if row["feasible"] else "no",
            str(row["set"] or ""),
        )
        for row in rows
    )
    headings = ("what gives", "which", "to", "by %", "feasible then", "argument")
    return TextTable("What would make it feasible", headings, cells, names=2)


def relaxation_lines(rows: Sequence[Mapping[str, Any]], most: int = 6) -> list[str]:
    """Return what makes a sweep feasible, of the rows of a stored run, a line each, the least first."""
    lines, pairs = [], [row for row in rows if row["kind"] == "pair"]
    for row in rows:
        if row["kind"] == "constraint" and row["feasible"]:
            lines.append(f"{row['what']} at {cell_text(row['then'])}, {percent_text(float(row['by']))} % more room")
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        lines.append(" and ".join(f"{row['what']} at {cell_text(row['then'])}" for row in (first, second)))
    for row in rows:
        if row["kind"] == "axis" and row["feasible"]:
            lines.append(f"{row['what']} {cell_text(row['then'])}, outside of the sweep's values")
    return lines[:most]


def relaxations_table(why: RelaxationReport, spec: Spec) -> TextTable:
    """Return the smallest relaxations, each with the design that proves it."""
    rows = tuple(
        (
            "\n".join(_bound_words(relaxation, spec)),
            percent_text(relaxation.by),
            ", ".join(f"{name} {cell_text(relaxation.design[name])}" for name in _SHOWN if name in relaxation.design),
        )
        for relaxation in why.relaxations[:MAX_ROWS]
    )
    return TextTable(
        "The least that constraints must give", ("constraint", "by at\nmost %", "design that proves it"), rows
    )


def _bound_words(relaxation: Relaxation, spec: Spec) -> list[str]:
    words = []
    for given in relaxation.gives:
        unit = describe(given.constraint.split(" ")[0], spec.metrics).unit
        words.append(f"{given.constraint}: {number_text(given.new_bound, 4)} {unit}".rstrip())
    return words


def axis_extensions_table(why: RelaxationReport) -> TextTable:
    """Return what each axis does when it alone is extended."""
    rows = tuple(
        (
            extension.axis,
            cell_text(extension.value),
            "yes" if extension.feasible else "no",
            percent_text(extension.violation),
            percent_text(extension.violation_before),
        )
        for extension in why.axis_extensions[:MAX_ROWS]
    )
    headings = ("axis", "to", "feasible", "misses then\n%", "misses now\n%")
    return TextTable("Axes that help when extended alone, the rest kept", headings, rows)

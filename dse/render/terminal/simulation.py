"""Continuous batching in closed form beside its simulation, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from dse.analysis.explain.simulated import SimulatedMetric
from dse.number_texts import percent_text
from dse.render.terminal.tables import TextTable


def simulation_table(rows: Sequence[SimulatedMetric]) -> TextTable:
    """Return one row per workload and metric, with the difference in percent of the simulation."""
    cells = [
        (row.workload, row.metric, row.closed_form, row.simulated, row.interval,
         percent_text(row.closed_form / row.simulated - 1))
        for row in rows
    ]  # fmt: skip
    headings = ("workload", "metric", "closed form", "simulated", "+-", "difference %")
    return TextTable("Continuous batching, closed form and simulation", headings, cells)

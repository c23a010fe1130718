"""The most bandwidth of one die as a table."""

from __future__ import annotations

from collections.abc import Sequence

from dse.analysis.require.bandwidth_limit import DieBandwidth
from dse.number_texts import percent_text
from dse.render.terminal.tables import Lines, Part, TextTable

_HEADINGS = (
    "memory", "die\nmm²", "units", "bound by", "peak\nGB/s", "P10\nGB/s", "P90\nGB/s", "delivered\nGB/s",
    "PHYs\n% of die",
)  # fmt: skip


def bandwidth_parts(rows: Sequence[DieBandwidth]) -> list[Part]:
    """Return the most bandwidth per grade and die area, and how to read it."""
    cells = [
        (row.grade if place == 0 or rows[place - 1].grade != row.grade else "", row.die_mm2, row.units, row.binds,
         row.peak_gbps, row.low_gbps, row.high_gbps, row.delivered_gbps, percent_text(row.interface_fraction))
        for place, row in enumerate(rows)
    ]  # fmt: skip
    notes = [
        "units: LPDDR channels of 16 bit, GDDR packages of 32 bit, HBM stacks; P10 and P90 over Monte Carlo samples",
        "sides: whole PHYs along the die's edge; package: balls; interposer: room beside the die",
        "edge and balls are assumptions of low confidence: dse library parameter floorplan, dse library parameter "
        "package",
    ]
    return [TextTable("The most memory bandwidth that one die can have", _HEADINGS, cells), Lines(notes)]

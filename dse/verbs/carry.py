"""``dse carry``: how much memory bandwidth one die can carry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from dse.robustness.founding import AREAS_MM2, carried_rows
from dse.terminal import console, print_lines, print_table
from dse.terminal.tables import Table, csv_text, number_text, percent_text

GRADES = ("lpddr5x_8533", "lpddr5x_10667", "gddr6_16", "hbm3")
"""Grades that are shown unless told otherwise."""

_HEADINGS = (
    "memory", "die\nmm²", "units", "bound by", "peak\nGB/s", "P10\nGB/s", "P90\nGB/s", "delivered\nGB/s",
    "PHYs\n% of die",
)  # fmt: skip


def show_carried(grades: Sequence[str], *, output: str) -> None:
    """Print the most bandwidth that dies of growing area carry of some memory grades.

    Raises:
        UnknownEntryError: no such grade.
    """
    rows = carried_rows(grades or GRADES)
    if output == "json":
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if output == "csv":
        print(csv_text(tuple(asdict(rows[0])), [tuple(asdict(row).values()) for row in rows]), end="")
        return
    cells = tuple(
        (
            row.grade if row.die_mm2 == AREAS_MM2[0] else "", number_text(row.die_mm2), number_text(row.units),
            row.binds,
            number_text(row.peak_gbps), number_text(row.low_gbps), number_text(row.high_gbps),
            number_text(row.delivered_gbps), percent_text(row.interface_share),
        )
        for row in rows
    )  # fmt: skip
    out = console()
    print_table(out, Table("The most memory bandwidth that one die can carry", _HEADINGS, cells))
    notes = [
        "units: LPDDR channels of 16 bit, GDDR packages of 32 bit, HBM stacks; P10 and P90 over joint draws",
        "sides: whole PHYs along the die's edge; package: balls; interposer: room beside the die",
        "edge and balls are assumptions of low confidence: dse library figure floorplan, dse library figure package",
    ]
    print_lines(out, notes)

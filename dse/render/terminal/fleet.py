"""Fleets as tables: what a load takes, and what a budget buys."""

from __future__ import annotations

from collections.abc import Sequence

from dse.analysis.fleet import FleetRow
from dse.number_texts import MISSING, number_text
from dse.render.terminal.tables import Lines, Part, TextTable

_HEADINGS = (
    "fleet of", "boards", "token/s", "boards\nUSD", "boards\nKRW", "at the wall\nkW", "ownership\nUSD/year",
    "CO2e\nt/year",
)  # fmt: skip


def fleet_parts(rows: Sequence[FleetRow], target: str, krw_per_usd: float) -> list[Part]:
    """Return the fleets of every workload, a row per side.

    Args:
        rows: fleets, those of a workload one after the other.
        target: what they are for, "100 token/s".
        krw_per_usd: exchange rate of the column in won.
    """
    parts: list[Part] = []
    for workload in dict.fromkeys(row.workload for row in rows):
        cells = [
            (row.name, *(MISSING if value is None else value for value in row.amounts(krw_per_usd).values()))
            for row in rows
            if row.workload == workload
        ]
        parts.append(TextTable(f"{workload}: fleets for {target}", _HEADINGS, cells))
    notes = [
        f"{number_text(krw_per_usd)} KRW per USD; whole groups of boards; ownership and the wall count hosts",
        "n/a: the workload does not fit, or the chips have no published price",
    ]
    alone = {row.name: row for row in rows if row.own_volume_usd == row.own_volume_usd}
    notes += [
        f"{name}: prices spread NRE over all boards sold; where this fleet alone carries it, its boards cost "
        f"{number_text(row.own_volume_usd)} USD"
        for name, row in alone.items()
    ]
    return [*parts, Lines(notes)]

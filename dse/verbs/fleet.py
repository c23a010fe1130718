"""``dse fleet``: picks and baselines of a run as fleets for a load or a budget."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from dse.errors import Fault, Place, SpecError
from dse.fleet import FleetRow, budget_usd, fleets
from dse.results.store import open_run
from dse.terminal import console, print_lines, print_table
from dse.terminal.tables import Table, csv_text, number_text

_FIELDS = ("boards", "tokens_per_s", "price_usd", "price_krw", "wall_kw", "usd_per_year", "co2e_t_per_year")
_HEADINGS = (
    "fleet of", "boards", "token/s", "boards\nUSD", "boards\nKRW", "at the wall\nkW", "ownership\nUSD/year",
    "CO2e\nt/year",
)  # fmt: skip


def show_fleets(
    where: str, *, workload: str | None, tokens_per_s: float | None, budget: str | None, krw: float | None, output: str
) -> None:
    """Print every pick and baseline of a run as a fleet.

    Args:
        where: a run directory, a folder of runs or "latest".
        workload: what is served; the first of the sweep where None.
        tokens_per_s: load; give it or `budget`.
        budget: money for boards, ``10_000_000 USD`` or ``13_000_000_000 KRW``.
        krw: won per dollar; the sweep's ``economics.krw_per_usd`` where None.
        output: "table", "json" or "csv".

    Raises:
        SpecError: neither or both of load and budget, no such workload, or no amount of money.
        RunError: there is no such run.
    """
    if (tokens_per_s is None) == (budget is None):
        raise SpecError([Fault(Place("--tokens-per-s, --budget"), "", "one of the two must be given, and only one")])
    run = open_run(where).needs_ours("fleet")
    rate = krw if krw is not None else run.spec.economics.krw_per_usd
    dollars = None if budget is None else budget_usd(budget, rate)
    rows = fleets(run, workload, tokens_per_s=tokens_per_s, budget=dollars)
    records = [_record(row, rate) for row in rows]
    if output == "json":
        print(json.dumps(records, indent=2))
        return
    if output == "csv":
        print(csv_text(tuple(records[0]), [tuple(record.values()) for record in records]), end="")
        return
    cells = tuple(
        (str(record["name"]), *("n/a" if record[name] is None else number_text(record[name]) for name in _FIELDS))
        for record in records
    )
    load = tokens_per_s is not None
    asked = f"{number_text(tokens_per_s)} token/s" if load else f"{number_text(dollars)} USD of boards"
    out = console()
    print_table(out, Table(f"{run.name}, {rows[0].workload}: fleets for {asked}", _HEADINGS, cells))
    notes = [
        f"{number_text(rate)} KRW per USD; whole groups of boards; ownership counts hosts, building and electricity",
        "n/a: the workload does not fit, or the chips have no published price",
    ]
    print_lines(out, notes)


def _record(row: FleetRow, krw_per_usd: float) -> dict[str, Any]:
    found: dict[str, Any] = {"name": row.name, "workload": row.workload, "chips_per_group": row.chips}
    if row.fleet is None:
        return {**found, **dict.fromkeys(_FIELDS)}
    numbers = {name: float(np.asarray(value)) for name, value in asdict(row.fleet).items()}
    numbers |= {"price_krw": numbers["price_usd"] * krw_per_usd, "wall_kw": numbers["wall_w"] / 1000}
    return {**found, **{name: numbers[name] if np.isfinite(numbers[name]) else None for name in _FIELDS}}

"""Picks of a run, and its baselines, as fleets that serve a load or that a budget buys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.fleet import Fleet, fleet, groups_for_budget, groups_for_load
from cost_models.table import Table
from dse.errors import NOWHERE, Fault, Place, SpecError
from dse.evaluate import Evaluator
from dse.results.store import StoredRun
from dse.spec.words import one_of, quoted
from dse.units import UnitError, parse_quantity


@dataclass(frozen=True)
class FleetRow:
    """A fleet of one kind of board.

    Attributes:
        name: pick or baseline.
        workload: what it serves.
        chips: boards of a group.
        group_tokens_per_s: end-to-end rate of a group.
        fleet: what it amounts to; None where it cannot serve, or has no price that a budget could be spent on.
    """

    name: str
    workload: str
    chips: int
    group_tokens_per_s: float
    fleet: Fleet | None


def budget_usd(text: str, krw_per_usd: float) -> float:
    """Return a budget in dollars; in won it is turned into dollars at the given rate.

    Raises:
        SpecError: it is not an amount of money.
    """
    for unit, rate in (("USD", 1.0), ("KRW", krw_per_usd)):
        try:
            found = parse_quantity(text, unit)
        except UnitError:
            continue
        if found > 0 and any(letter.isalpha() or letter == "$" for letter in text):
            return found / rate
    raise SpecError([Fault(Place("--budget"), "", quoted(text), "an amount above 0 in USD or KRW", "'10_000_000 USD'")])


def fleets(
    run: StoredRun, workload: str | None = None, *, tokens_per_s: float | None = None, budget: float | None = None
) -> list[FleetRow]:
    """Return every pick and baseline of a run as a fleet.

    Args:
        run: the run.
        workload: what is served; the first of the sweep where None.
        tokens_per_s: the load; give it or `budget`.
        budget: dollars for boards.

    Raises:
        SpecError: no such workload.
    """
    spec = run.spec
    name = next(iter(spec.workloads)) if workload is None else workload
    if name not in spec.workloads:
        raise SpecError([Fault(NOWHERE, "--workload", quoted(name), one_of(tuple(spec.workloads)))])
    evaluator = Evaluator(spec)
    rows, seen = [], set[int]()
    for pick in run.picks:
        if int(pick["id"]) in seen:
            continue
        seen.add(int(pick["id"]))
        found = evaluator.evaluate(Table.from_settings(pick["design"])).metrics
        chips = int(pick["design"].get(f"{name}.n_chips", spec.workloads[name].n_chips))
        numbers = {metric: float(column[0]) for metric, column in found.items()}
        rows.append(_row(str(pick["name"]), name, chips, numbers, evaluator, tokens_per_s, budget))
    for label, entry in spec.baselines.items():
        metrics = evaluator.baselines[label]
        rows.append(_row(label, name, entry.count, metrics, evaluator, tokens_per_s, budget))
    return rows


def _row(
    name: str,
    workload: str,
    chips: int,
    metrics: dict[str, float],
    evaluator: Evaluator,
    tokens_per_s: float | None,
    budget: float | None,
) -> FleetRow:
    rate = metrics[f"{workload}.tokens_per_s_end_to_end"]
    price = metrics["price_usd"] * chips
    if tokens_per_s is not None:
        groups = groups_for_load(tokens_per_s, rate)
    else:
        groups = groups_for_budget(np.nan if budget is None else budget, price)
    if not np.isfinite(groups) or not np.isfinite(rate):
        return FleetRow(name, workload, chips, rate, None)
    found = fleet(
        groups,
        chips=chips,
        group_price_usd=price,
        group_w=metrics[f"{workload}.request_j_per_token"] * rate,
        group_tokens_per_s=rate,
        usd_per_million_tokens=metrics[f"{workload}.usd_per_million_tokens"],
        g_per_million_tokens=metrics[f"{workload}.co2e_g_per_million_tokens"],
        technology=evaluator.technology,
    )
    return FleetRow(name, workload, chips, rate, found)

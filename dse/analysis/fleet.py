"""Designs and baselines as fleets that serve a load or that a budget buys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from cost_models.performance.fleet import Fleet, fleet, groups_for_budget, groups_for_load
from cost_models.table import Setting, Table
from dse.errors import Issue, Place, SpecError
from dse.evaluator import Evaluator
from dse.sweep.hints import quoted
from dse.units import UnitError, parse_quantity, split_quantity


@dataclass(frozen=True)
class FleetRow:
    """A fleet of one kind of board.

    Attributes:
        name: pick or baseline.
        workload: what it serves.
        chips: boards of a group.
        group_tokens_per_s: end-to-end rate of a group.
        fleet: what it amounts to; None where it cannot serve, or has no price that a budget could be spent on.
        own_volume_usd: its boards where they carry the whole NRE; NaN where more are sold, or NRE is not known.
    """

    name: str
    workload: str
    chips: int
    group_tokens_per_s: float
    fleet: Fleet | None
    own_volume_usd: float = float("nan")

    def amounts(self, krw_per_usd: float) -> dict[str, float | None]:
        """Return what people ask of a fleet; None for what does not exist.

        Args:
            krw_per_usd: exchange rate of the price in won.
        """
        names = ("boards", "tokens_per_s", "price_usd", "price_krw", "wall_kw", "usd_per_year", "co2e_t_per_year")
        if self.fleet is None:
            return dict.fromkeys(names)
        numbers = {name: float(np.asarray(value)) for name, value in asdict(self.fleet).items()}
        numbers |= {"price_krw": numbers["price_usd"] * krw_per_usd, "wall_kw": numbers["wall_w"] / 1000}
        return {name: numbers[name] if np.isfinite(numbers[name]) else None for name in names}


def budget_usd(text: str, krw_per_usd: float) -> float:
    """Return a budget in dollars; in won it is turned into dollars at the given rate.

    Raises:
        SpecError: it is not an amount of money.
    """
    for unit, rate in (("USD", 1.0), ("KRW", krw_per_usd)):
        try:
            result = parse_quantity(text, unit)
        except UnitError:
            continue
        if result > 0 and split_quantity(text, unit)[1]:
            return result / rate
    raise SpecError([Issue(Place("--budget"), "", quoted(text), "an amount above 0 in USD or KRW", "'10_000_000 USD'")])


def fleets(
    evaluator: Evaluator,
    designs: Mapping[str, Mapping[str, Setting]],
    *,
    tokens_per_s: float | None = None,
    budget: float | None = None,
) -> list[FleetRow]:
    """Return designs and the baselines of a sweep as fleets, for one workload after the other.

    Args:
        evaluator: the sweep's evaluator.
        designs: designs by name, each parameter to value.
        tokens_per_s: the load of a workload; give it or `budget`.
        budget: dollars for boards.
    """
    spec = evaluator.spec
    result = {
        name: {metric: column.item() for metric, column in evaluator.evaluate(Table.from_settings(one)).metrics.items()}
        for name, one in designs.items()
    }
    rows = []
    for workload, served in spec.workloads.items():
        for name, settings in designs.items():
            chips = int(settings.get(f"{workload}.n_chips", served.n_chips))
            rows.append(_row(name, workload, chips, result[name], evaluator, tokens_per_s, budget))
        for name, entry in spec.baselines.items():
            metrics = evaluator.baselines[name]
            rows.append(_row(name, workload, entry.count, metrics, evaluator, tokens_per_s, budget))
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
    host_w = float(np.asarray(evaluator.technology.value("board.host_w_per_accelerator")))
    result = fleet(
        groups,
        chips=chips,
        group_price_usd=price,
        group_w=metrics[f"{workload}.request_j_per_token"] * rate + chips * host_w,
        group_tokens_per_s=rate,
        usd_per_million_tokens=metrics[f"{workload}.usd_per_million_tokens"],
        g_per_million_tokens=metrics[f"{workload}.co2e_g_per_million_tokens"],
        technology=evaluator.technology,
    )
    return FleetRow(name, workload, chips, rate, result, _own_volume_usd(metrics, result, evaluator))


def _own_volume_usd(metrics: Mapping[str, float], result: Fleet, evaluator: Evaluator) -> float:
    """Return what the boards cost where nobody else buys any; NaN where they are no fewer than what carries the NRE."""
    boards, units = float(np.asarray(result.boards)), evaluator.economics.units
    cost, nre = metrics["cost_usd"], metrics["nre_usd"]
    if not 0 < boards < units:
        return float("nan")
    return float(np.asarray(result.price_usd)) * (cost + nre * units / boards) / (cost + nre)

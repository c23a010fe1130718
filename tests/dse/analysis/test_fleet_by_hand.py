"""Fleets of made boards: whole groups, what they draw, and who carries the NRE."""

import math
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.library.technology import Technology
from cost_models.performance.fleet import Fleet
from dse.analysis.fleet import FleetRow, budget_usd, fleets
from dse.errors import SpecError

TECHNOLOGY = Technology()
HOST_W = float(TECHNOLOGY.value("board.host_w_per_accelerator"))


def metrics(price=1000.0, rate=100.0, **changed):
    values = {"tokens_per_s_end_to_end": rate, "request_j_per_token": 3.0, "usd_per_million_tokens": 0.5,
              "co2e_g_per_million_tokens": 40.0}  # fmt: skip
    served = {f"{workload}.{name}": value for workload in ("chat", "code") for name, value in values.items()}
    return {**served, "price_usd": price, "cost_usd": 300.0, "nre_usd": 100.0, **changed}


class Made:
    """An evaluator whose designs have made metrics, by their number of MACs."""

    technology = TECHNOLOGY
    economics = SimpleNamespace(units=50.0)

    def __init__(self, **baselines):
        entries = {name: SimpleNamespace(count=count) for name, (count, _) in baselines.items()}
        workloads = {"chat": SimpleNamespace(n_chips=2), "code": SimpleNamespace(n_chips=1)}
        self.spec = SimpleNamespace(workloads=workloads, baselines=entries)
        self.baselines = {name: made for name, (_, made) in baselines.items()}

    def evaluate(self, table):
        (macs,) = table["macs"]
        return SimpleNamespace(metrics={name: np.array([value]) for name, value in metrics(price=macs).items()})


def rows(designs=None, baselines=None, **question):
    return fleets(Made(**(baselines or {})), designs or {}, **question)


def test_designs_then_baselines_of_one_workload_after_the_other():
    designs = {"one": {"macs": 1000.0}, "two": {"macs": 2000.0, "code.n_chips": 4.0}}
    found = rows(designs, {"pair": (3, metrics())}, tokens_per_s=1000)
    assert [(row.name, row.workload, row.chips) for row in found] == [
        ("one", "chat", 2), ("two", "chat", 2), ("pair", "chat", 3),
        ("one", "code", 1), ("two", "code", 4), ("pair", "code", 3),
    ]  # fmt: skip
    assert [row.fleet.price_usd for row in found] == [20_000, 40_000, 30_000, 10_000, 80_000, 30_000]
    assert all(row.group_tokens_per_s == 100 for row in found)


def test_a_load_takes_whole_groups_that_draw_what_their_boards_and_hosts_do():
    (chat, _) = rows({"one": {"macs": 1000.0}}, tokens_per_s=950)
    assert (chat.fleet.boards, chat.fleet.tokens_per_s, chat.fleet.price_usd) == (20, 1000, 20_000)
    # 3 J per token and 100 tokens per second are 300 W of a group beside two hosts.
    value = TECHNOLOGY.value
    overhead = chat.fleet.wall_w / (10 * (300 + 2 * HOST_W))
    (more, _) = rows({}, {"b": (1, metrics(**{"chat.request_j_per_token": 6.0}))}, tokens_per_s=950)
    assert more.fleet.wall_w == pytest.approx(overhead * 10 * (600 + HOST_W)) and overhead > 1
    assert HOST_W > 0 and value("tco.utilisation") < 1


def test_a_budget_buys_whole_groups_and_none_is_asked_of_nobody():
    chat, code = rows({"one": {"macs": 1000.0}}, budget=7_500)
    assert (chat.fleet.boards, code.fleet.boards) == (6, 7)
    assert [row.fleet for row in rows({"one": {"macs": 1000.0}})] == [None, None]
    # What has no price cannot be bought, and is sized by a load all the same; what runs nothing is no fleet.
    priceless, idle = metrics(price=math.nan), metrics(rate=math.nan)
    bought = rows({}, {"p": (1, priceless), "i": (1, idle)}, budget=7_500)
    assert [row.fleet is None for row in bought] == [True, True] * 2
    sized = rows({}, {"p": (1, priceless), "i": (1, idle)}, tokens_per_s=950)
    assert [row.fleet is None for row in sized] == [False, True] * 2
    # A load of 0 is a load.
    assert rows({"one": {"macs": 1000.0}}, tokens_per_s=0, budget=7_500)[0].fleet.boards == 0


@pytest.mark.parametrize(
    ("budget", "boards", "share"),
    # 300 of cost and 100 of NRE where 50 are sold: of 10 the NRE is 500 each.
    [(10_000, 10, (300 + 500) / 400), (49_000, 49, (300 + 100 * 50 / 49) / 400), (50_000, 50, None), (60_000, 60, None),
     (1_000, 1, (300 + 100 * 50) / 400), (500, 0, None)],
)  # fmt: skip
def test_few_boards_carry_the_whole_nre(budget, boards, share):
    _, code = rows({"one": {"macs": 1000.0}}, budget=budget)
    assert code.fleet.boards == boards
    assert code.own_volume_usd == pytest.approx(math.nan if share is None else boards * 1000 * share, nan_ok=True)
    assert math.isnan(FleetRow("", "", 1, 1.0, None).own_volume_usd)


def test_amounts_are_numbers_or_none():
    made = dict.fromkeys((one.name for one in fields(Fleet)), 2.0)
    fleet = Fleet(**{**made, "price_usd": np.array(10.0), "wall_w": 1500.0, "usd_per_year": math.nan})
    amounts = FleetRow("", "", 1, 1.0, fleet).amounts(1300)
    assert amounts == {
        "boards": 2, "tokens_per_s": 2, "price_usd": 10, "price_krw": 13_000, "wall_kw": 1.5, "usd_per_year": None,
        "co2e_t_per_year": 2,
    }  # fmt: skip
    assert FleetRow("", "", 1, 1.0, None).amounts(1300) == dict.fromkeys(amounts)


def test_a_dollar_sign_is_a_currency():
    assert budget_usd("250 $", 1300) == budget_usd("250 USD", 1300) == 250 and budget_usd("2600 KRW", 1300) == 2
    assert budget_usd("0.5 USD", 1300) == 0.5
    assert budget_usd("$250", 1300) == budget_usd("₩325_000", 1300) == 250
    for wrong in ("12", "12e3", "0 USD", "-3 USD", "3 GB"):
        with pytest.raises(SpecError, match="USD or KRW"):
            budget_usd(wrong, 1300)

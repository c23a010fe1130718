import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.library.technology import Technology
from cost_models.performance.fleet import fleet, groups_for_budget, groups_for_load
from dse.analysis.fleet import budget_usd, fleets
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.runs import run
from dse.sweep import parse_spec

TECHNOLOGY = Technology()


@given(st.floats(1, 1e6), st.floats(0.1, 1e4))
def test_whole_groups_reach_the_load_and_none_is_idle(load, rate):
    groups = groups_for_load(load, rate)
    assert groups == int(groups)
    assert groups * rate >= load * (1 - 1e-9) > (groups - 1) * rate * (1 - 1e-9)


@given(st.floats(1e3, 1e8), st.floats(10, 1e5))
def test_a_budget_is_never_overspent(budget, price):
    groups = groups_for_budget(budget, price)
    assert groups * price <= budget < (groups + 1) * price


def test_fleet_by_hand():
    result = fleet(
        10, chips=2, group_price_usd=8000.0, group_w=300.0, group_tokens_per_s=1000.0, usd_per_million_tokens=0.5,
        g_per_million_tokens=40.0, technology=TECHNOLOGY,
    )  # fmt: skip
    assert (result.boards, result.tokens_per_s, result.price_usd) == (20, 10_000, 80_000)
    assert result.wall_w == pytest.approx(3000 * 1.35 / 0.95)
    tokens = 10_000 * 0.6 * 8766 * 3600
    assert result.usd_per_year == pytest.approx(tokens / 1e6 * 0.5)
    assert result.co2e_t_per_year == pytest.approx(tokens / 1e6 * 40 / 1e6)


def test_budgets_in_two_currencies():
    assert budget_usd("10_000_000 USD", 1340) == 1e7
    assert budget_usd("13_400_000_000 KRW", 1340) == pytest.approx(1e7)
    for wrong in ("13 GB", "12", "-3 USD", "0 KRW"):
        with pytest.raises(SpecError, match="USD or KRW"):
            budget_usd(wrong, 1340)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    sweep = {
        "name": "one",
        "workloads": {"chat": {"model": "llama3_8b", "batch": 8}},
        "space": {"macs": {"values": [16384, 65536]}, "sram_mib": 200},
        "objectives": [{"metric": "cost_usd", "direction": "minimize"}],
        "baselines": {"pair": {"chips": "2x a100_80gb_sxm"}, "unpriced": {"chips": "tpu_v4"}},
        "search": {"sampler": "grid"},
    }
    return run(parse_spec(sweep), out=tmp_path_factory.mktemp("fleet") / "run")


@pytest.fixture(scope="module")
def sides(done):
    return Evaluator(done.spec), {str(pick["name"]): pick["design"] for pick in done.picks}


def test_picks_and_baselines_as_fleets(sides):
    load = {row.name: row for row in fleets(*sides, tokens_per_s=1e5)}
    assert set(load) == {"best_cost_usd", "pair", "unpriced"}
    assert load["pair"].fleet.boards == 2 * load["pair"].fleet.groups
    assert all(row.fleet.tokens_per_s >= 1e5 for row in load.values())
    bought = {row.name: row for row in fleets(*sides, budget=1e6)}
    assert bought["pair"].fleet.price_usd <= 1e6
    assert bought["unpriced"].fleet is None
    assert set(bought["unpriced"].amounts(1300).values()) == {None}
    amounts = bought["pair"].amounts(1300)
    assert amounts["price_krw"] == pytest.approx(1300 * amounts["price_usd"])


def test_the_command_sizes_every_side_for_one_question(done, call):
    status, _, err = call("compare", done.path, "--load", 1, "--budget", "1 USD")
    assert status == 2 and "only one of the two" in err
    shown = call("compare", done.path, "--budget", "1_000_000 USD", "--krw-per-usd", 1300).out
    assert "1 300 KRW per USD" in shown and "n/a" in shown and "chat: fleets for 1 000 000 USD" in shown
    result = json.loads(call("compare", done.path, "--load", 1000, "--baseline", "4x h200_sxm", "--format", "json").out)
    assert [row["name"] for row in result["fleets"]] == [entry["name"] for entry in result["comparisons"][0]["entries"]]
    assert all(row["tokens_per_s"] >= 1000 for row in result["fleets"])
    rows = list(csv.DictReader(call("compare", done.path, "--load", 1000, "--format", "csv").out.splitlines()))
    assert [row["workload"] for row in rows] == ["chat"] * 3

"""Picks beside baselines on one screen, of runs made by hand."""

import math
from types import SimpleNamespace

import pandas as pd

from dse.render.terminal.overview import differing_parts, overview_table, users_lines
from tests.dse.render.terminal.made import fixed, goal, listed, pick, run, sweep, workload

KNEE = pick("knee", 5, {"chat.tpot_ms": 8.0, "cost_usd": 600.0, "chat.ttft_ms": 90.0, "tdp_w": 100.0,
                        "price_usd": 1700.0, "live.ttft_ms": 70.0},
            memory="hbm3", macs=65536, weight_format="fp8")  # fmt: skip
BEST = pick("best_cost_usd", 4, {"chat.tpot_ms": 9.0, "cost_usd": 500.0, "tdp_w": 90.0, "chat.deployment_tdp_w": 333.0},
            memory="gddr6_16", macs=8192, weight_format="fp8")  # fmt: skip


def chips(count):
    return SimpleNamespace(count=count)


def overview(monkeypatch, spec, picks, baselines=(), margins=None, **changes):
    monkeypatch.setattr("dse.render.terminal.overview.baseline_margins", lambda spec, metrics: margins or {})
    return overview_table(run(spec, picks=picks, baseline_metrics=dict(baselines), **changes))


def test_picks_and_baselines_a_row_each(monkeypatch):
    spec = sweep(baselines={"a100": chips(2)})
    table = overview(
        monkeypatch, spec, [KNEE, {**KNEE, "name": "nearest_to_targets"}, BEST],
        {"a100": {"chat.tpot_ms": 7.0, "tdp_w": 400.0, "chat.ttft_ms": math.nan}},
        {"a100": {"tdp": -0.5, "area": 0.0, "price": math.nan, "heat": 0.5, "clock": 1.0}},
    )  # fmt: skip
    assert table.title == "Picks and baselines (TDP, price of all chips; constraints on one's)"
    assert table.headings == ("", "misses", "tpot_ms\nms", "cost_usd\nUSD", "ttft_ms\nms", "tdp,\nW", "price,\nUSD")
    assert table.cells == (
        ("knee,\nnearest to targets", "0", "8", "600", "90", "100", "1 700"),
        # Where some chips prefill beside those that decode, their power stands with them.
        ("best cost_usd", "0", "9", "500", "n/a", "333", "n/a"),
        ("a100 (2x)", "2", "7", "n/a", "n/a", "800", "n/a"),
    )


def test_of_several_workloads_headings_name_theirs(monkeypatch):
    two = {"live": workload(), "chat": workload(n_chips=4)}
    spec = sweep(workloads=two)
    table = overview(monkeypatch, spec, [KNEE, pick("best_cost_usd", 4, {"tdp_w": 10.0}, **{"chat.n_chips": 8})])
    assert (table.title, table.headings[2:5]) == ("Picks on chat", ("tpot_ms\nms", "cost_usd\nUSD", "ttft_ms\nms"))
    # TDP is that of all chips that serve the workload which objectives name: 4, and 8 where the design says so.
    assert [row[5] for row in table.cells] == ["400", "80"]
    spec = sweep(workloads=two, objectives=[goal("chat.tpot_ms"), goal("live.ttft_ms")])
    table = overview(monkeypatch, spec, [KNEE])
    assert (table.title, table.headings[2:4]) == ("Picks", ("chat.tpot_ms\nms", "live.ttft_ms\nms"))
    assert table.cells == (("knee", "0", "8", "70", "100", "1 700"),)
    own = sweep(builtin_disabled=True, objectives=[goal("cost_usd")], workloads={})
    assert overview(monkeypatch, own, [KNEE]).cells == (("knee", "0", "600"),)
    assert overview(monkeypatch, sweep(workloads={}, objectives=[goal("tdp_w")]), [KNEE]).cells[0][2:] == (
        "100",
        "1 700",
    )


def test_how_many_limits_a_pick_misses(monkeypatch):
    designs = pd.DataFrame({"id": [5], "margin a": [-0.25], "margin b": [0.0], "margin c": [math.nan],
                            "margin d": [0.5], "margin e": [1.0], "cost": [-1.0]})  # fmt: skip
    table = overview(monkeypatch, sweep(), [{**KNEE, "feasible": False}], designs=designs)
    assert table.cells[0][1] == "2"


def test_users_that_no_objective_names():
    served = {"chat": workload(), "live": workload(batching="continuous", load_tokens_per_s=5000.0),
              "more": workload(batching="continuous")}  # fmt: skip
    spec = sweep(workloads=served)
    knee = pick("knee", 5, {"live.goodput_tokens_per_s": 1234.0, "live.chips_for_load": 5.0})
    first = pick("best_cost_usd", 4, {"live.goodput_tokens_per_s": 10.0})
    baselines = {"a100": {"live.goodput_tokens_per_s": 500.0, "live.chips_for_load": 10.0}, "h100": {}}
    assert users_lines(run(spec, picks=[first, knee], baseline_metrics=baselines)) == [
        "live goodput, token/s (chips): knee 1 234 (5), a100 500 (10)",
        "more goodput, token/s: knee n/a, a100 n/a",
    ]
    assert users_lines(run(spec, picks=[first])) == [
        "live goodput, token/s (chips): best cost_usd 10 (n/a)", "more goodput, token/s: best cost_usd n/a",
    ]  # fmt: skip
    assert users_lines(run(spec)) == []
    assert users_lines(run(sweep(), picks=[knee])) == []
    assert users_lines(run(sweep(workloads=served, builtin_disabled=True), picks=[knee])) == []
    named = sweep(workloads=served, objectives=[goal("live.tpot_ms"), goal("more.tpot_ms")])
    assert users_lines(run(named, picks=[knee])) == []


def test_parameters_in_which_picks_differ():
    space = {"macs": listed(8192, 65536), "clock_ghz": listed(1, 2), "link_gbps": listed(0, 64), "dies": listed(1, 2),
             "batch": fixed(4)}  # fmt: skip
    spec = sweep(space=space)
    knee = pick("knee", 5, {}, node="tsmc_5", memory="hbm3", macs=65536, clock_ghz=1.0, link_gbps=0.0, dies=1)
    best = pick(
        "best_cost_usd", 4, {}, node="tsmc_5", memory="lpddr5x", macs=8192, clock_ghz=2.0, link_gbps=64.0, dies=2
    )
    parts, lines = differing_parts(run(spec, picks=[knee, best]))
    assert parts[0].headings == ("they differ in", "knee", "best cost_usd")
    assert parts[0].cells == (
        ("memory", "hbm3", "lpddr5x"), ("macs", "65 536", "8 192"), ("clock_ghz", "1", "2"),
        ("link_gbps, GB/s", "0", "64"),
    )  # fmt: skip
    assert lines == ["in all of them: node tsmc_5; 1 more differ: --full"]
    parts, lines = differing_parts(run(spec, picks=[knee, best]), None)
    assert len(parts[0].cells) == 5 and lines == ["in all of them: node tsmc_5"]
    parts, lines = differing_parts(run(spec, picks=[knee, best]), 5)
    assert len(parts[0].cells) == 5 and lines == ["in all of them: node tsmc_5"]
    # A parameter that one of them lacks differs.
    parts, lines = differing_parts(run(spec, picks=[pick("knee", 5, {}, macs=1), pick("b", 4, {}, dies=1)]))
    assert parts[0].cells == (("macs", "1", "-"), ("dies", "-", "1")) and lines == []
    parts, lines = differing_parts(run(spec, picks=[knee]))
    assert parts == [] and lines == [
        "in all of them: node tsmc_5, memory hbm3, macs 65 536, clock_ghz 1, link_gbps 0, dies 1"
    ]
    assert differing_parts(run(spec)) == ([], [])

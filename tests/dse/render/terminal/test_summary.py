"""What was asked and found, picks, misses, axes and fronts of runs made by hand, in whole words."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from dse.render.terminal.summary import (
    asked,
    axes_table,
    binding_lines,
    constraints_table,
    extrapolated_lines,
    found,
    front_table,
    misses_table,
    named_picks,
    named_workloads,
    pick_words,
    picks_table,
    shown_metrics,
    sorted_front,
    unit_behind,
    varying,
    workload_words,
)
from dse.sweep import FixedSpec
from tests.dse.render.terminal.made import fixed, goal, limit, listed, pick, run, sweep, workload


def test_what_a_sweep_asks_for():
    assert asked(sweep()) == [
        "chat: llama3_8b, batch 16, 512 tokens in, 256 out", "objectives: minimize chat.tpot_ms, minimize cost_usd",
    ]  # fmt: skip
    whole = sweep(
        objectives=[goal("chat.tpot_ms"), goal("chat.tokens_per_joule", "maximize")],
        constraints=[limit("tdp_w <= 150"), limit("chat.tpot_ms <= 0.5 x a100", "a100"),
                     limit("chat.perplexity_ratio <= 2")],
        deployment=SimpleNamespace(prefill=SimpleNamespace(words="2x a100, bf16, KV 8 bit"), decode=None),
        robustness=SimpleNamespace(draws=400), probabilities=[limit("p_feasible >= 0.9")],
    )  # fmt: skip
    assert asked(whole)[1:] == [
        "deployment: prompts by 2x a100, bf16, KV 8 bit; decoding by the design",
        "objectives: minimize chat.tpot_ms, maximize chat.tokens_per_joule",
        "constraint: tdp_w <= 150 W",
        "constraint: chat.tpot_ms <= 0.5 x a100",
        "constraint: chat.perplexity_ratio <= 2",
        "after the search: 400 Monte Carlo samples of the ranged parameters",
        "constraint on those: p_feasible >= 0.9",
    ]
    turned = sweep(deployment=SimpleNamespace(prefill=None, decode=SimpleNamespace(words="4x h100, bf16, KV 8 bit")))
    assert asked(turned)[1] == "deployment: prompts by the design; decoding by 4x h100, bf16, KV 8 bit"
    assert unit_behind(limit("tdp_w <= 150"), sweep()) == " W"


TRACE = SimpleNamespace(
    requests=100, file="folder/day.csv", arrivals_per_s=2.5, arrival_cv=1.25,
    percentiles={"prompt_tokens": {"p50": 100.0, "p95": 2000.0, "p99": 4000.5},
                 "output_tokens": {"p50": 10.0, "p95": 20.0, "p99": 30.0}},
)  # fmt: skip


def test_workloads_in_words():
    traced = (
        "100 requests of day.csv at 2.5/s (gaps vary by 1.25; P50 / P95 / P99 of tokens: prompt 100 / 2 000 / 4 000, "
        "output 10 / 20 / 30), batched continuously"
    )
    for changes, served, lengths, behind in (
        ({}, "batch 16", "512 tokens in, 256 out", ""),
        ({"n_chips": 2}, "batch 16", "512 tokens in, 256 out", ", 2 chips (tensor)"),
        ({"required": False}, "batch 16", "512 tokens in, 256 out", "; need not fit"),
        ({"prefix_cached": 0.5}, "batch 16", "512 tokens in (0.5 of them cached), 256 out", ""),
        ({"prefix_cached": 1}, "batch 16", "512 tokens in (1 of them cached), 256 out", ""),
        ({"prefix_cached": 2}, "batch 16", "512 tokens in (2 tokens cached), 256 out", ""),
        ({"batching": "waves"}, "batch 16 in waves", "512 tokens in, 256 out", ""),
        ({"batching": "in_flight"}, "batch 16 in flight", "512 tokens in, 256 out", ""),
        ({"batching": "continuous"}, "requests batched continuously", "512 tokens in, 256 out", ""),
        ({"batching": "continuous", "arrivals_per_s": 0.0}, "0 requests/s, batched continuously",
         "512 tokens in, 256 out", ""),
        ({"batching": "continuous", "concurrency": 8}, "8 requests at all times, batched continuously",
         "512 tokens in, 256 out", ""),
        ({"batching": "continuous", "trace": TRACE, "arrivals_per_s": 2.5}, traced, "512 tokens in, 256 out", ""),
        ({"speculation": SimpleNamespace(draft_tokens=4, draft="llama3_1b")}, "batch 16", "512 tokens in, 256 out",
         ", 4 tokens drafted by llama3_1b"),
        ({"sessions": SimpleNamespace(turns=6, think_s=30.0)}, "batch 16", "512 tokens in, 256 out",
         " per turn, 6 turns, 30 s to think"),
    ):  # fmt: skip
        assert workload_words(workload(**changes)) == f"llama3_8b, {served}, {lengths}{behind}"


def test_what_a_run_found():
    spec = sweep()
    assert found(run(spec)) == [
        "10 designs by grid, seed 3, in 2.35 s (4 designs/s)", "4 feasible (40 %), 2 of them on the front", "kept: all",
    ]  # fmt: skip
    halted = run(
        spec, counts={"evaluated": 5000, "feasible": 0, "front": 0, "planned": 10000, "decided": 1250},
        manifest={"status": "interrupted", "notes": ["a note"]},
    )  # fmt: skip
    assert found(halted) == [
        "NO DESIGN MEETS EVERY CONSTRAINT",
        "interrupted: everything up to here was kept",
        "5 000 designs of 10 000 planned by grid, seed 3, in 2.35 s (4 designs/s)",
        "1 250 of them (25 %) decided without evaluation: what else they break is not counted",
        "0 feasible (0 %), 0 of them on the front",
        "kept: all",
        "a note",
    ]
    none = found(run(spec, counts={"evaluated": 0, "feasible": 0, "front": 0}))
    assert none[1:3] == [
        "0 designs by grid, seed 3, in 2.35 s (4 designs/s)", "0 feasible (0 %), 0 of them on the front",
    ]  # fmt: skip
    rarely, rare = {"front": 0}, "NO DESIGN MEETS THE CONSTRAINTS OFTEN ENOUGH UNDER THE JOINT DRAWS"
    assert found(run(sweep(probabilities=[limit("p_feasible >= 0.9")]), counts=rarely))[0] == rare
    assert found(run(sweep(probabilities=[limit("p_feasible >= 0.9")])))[0].startswith("10 designs")
    assert found(run(spec, counts=rarely))[0].startswith("10 designs")


def test_what_a_sweep_varies_and_which_metrics_matter():
    space = {
        "memory": listed("hbm3", "gddr6_16"), "node": fixed("tsmc_5"), "macs": listed(8192),
        "memory_device_bits": [FixedSpec.model_construct(value=32, when={"memory": ("gddr6_16",)})],
        "kv_bits": [*fixed(8), *fixed(16)],
    }  # fmt: skip
    assert varying(sweep(space=space)) == ["memory", "macs", "memory_device_bits", "kv_bits"]
    spec = sweep(constraints=[limit("tdp_w <= 150"), limit("chat.ttft_ms <= 9")])
    usual = ["die_mm2", "price_usd"]
    assert shown_metrics(spec) == ["chat.tpot_ms", "cost_usd", "tdp_w", "chat.ttft_ms", *usual]
    spec.robustness, spec.builtin_disabled = SimpleNamespace(draws=9), True
    assert shown_metrics(spec) == ["chat.tpot_ms", "cost_usd", "tdp_w", "chat.ttft_ms", "p_feasible"]
    two = {"chat": workload(), "live": workload()}
    assert named_workloads(sweep(workloads=two)) == {"chat"}
    assert named_workloads(sweep(workloads=two, objectives=[goal("cost_usd")])) == {"chat", "live"}


def test_picks_by_what_people_call_them():
    spec = sweep(objectives=[goal("chat.tpot_ms"), goal("live.tpot_ms"), goal("cost_usd")])
    for name, words in (
        ("knee", "knee"), ("nearest_to_targets", "nearest to targets"), ("best_cost_usd", "best cost_usd"),
        ("best_chat.tpot_ms", "best chat.tpot_ms"), ("best_tdp_w", "best tdp_w"),
        ("least_violation", "least violation"),
    ):  # fmt: skip
        assert pick_words(name, spec) == words
    assert pick_words("best_chat.tpot_ms", sweep()) == "best tpot_ms"
    first, second = pick("best_chat.tpot_ms", 3, {"tdp_w": 100.0}), pick("knee", 5, {})
    again = {**pick("best_cost_usd", 3, {"tdp_w": 200.0})}
    assert named_picks([first, second, again], sweep()) == {"best tpot_ms, best cost_usd": first, "knee": second}


def test_picks_side_by_side():
    knee = pick("knee", 5, {"chat.tpot_ms": 8.0, "cost_usd": 600.0, "tdp_w": 126.1}, memory="hbm3", macs=65536,
                second_memory="none", second_memory_devices=4)  # fmt: skip
    best = pick("best_cost_usd", 1234, {"chat.tpot_ms": 9.0, "cost_usd": 500.0}, memory="gddr6_16", macs=8192)
    spec = sweep(space={"macs": listed(8192, 65536), "second_memory_devices": listed(2, 4)})
    table = picks_table(run(spec, picks=[knee, {**knee, "name": "nearest_to_targets"}, best]))
    assert table.headings == ("", "unit", "knee,\nnearest to targets", "best cost_usd") and table.names == 2
    # Parameters of a part that no pick has, and metrics of none, are not shown.
    assert table.cells == (
        ("design", "", "5", "1234"), ("memory", "", "hbm3", "gddr6_16"), ("macs", "", "65 536", "8 192"),
        ("chat.tpot_ms", "ms", "8", "9"), ("cost_usd", "USD", "600", "500"), ("tdp_w", "W", "126.1", "-"),
    )  # fmt: skip


def missing(**changes):
    columns = {
        "id": [4, 3, 2, 1, 0, 9, 8], "feasible": [False, False, True, False, False, False, False],
        "violation": [0.25, 0.25, 0.0, 0.5, 0.125, 0.5, 0.0], "memory": ["a", "b", "c", None, "e", "f", "g"],
        "macs": [1.0, 2.0, 3.0, 4.0, math.nan, 6.0, 7.0], "margin tdp_w <= 150": [-0.25, 0.0, 1, -0.25, -0.125, 1, 1],
        "margin chat.capacity": [0.5, -0.25, 1, -0.25, 0.0, -0.5, 0.0], **changes,
    }  # fmt: skip
    return pd.DataFrame(columns)


def test_infeasible_designs_that_miss_by_least():
    made = run(sweep(), designs=missing(), counts={"feasible": 0})
    table = misses_table(made)
    assert table.title == "Least infeasible designs"
    assert table.cells == (
        ("8", "an objective has no value", "memory g, macs 7"),
        ("0", "tdp_w <= 150 by 12.5 %", "memory e"),
        ("3", "chat.capacity by 25 %", "memory b, macs 2"),
        ("4", "tdp_w <= 150 by 25 %", "memory a, macs 1"),
        ("1", "tdp_w <= 150 by 25 %\nchat.capacity by 25 %", "macs 4"),
    )
    assert [row[0] for row in misses_table(made, 6).cells] == ["8", "0", "3", "4", "1", "9"]
    # Axes that the table lacks are not told.
    made.designs = missing().drop(columns="macs")
    assert misses_table(made, 1).cells == (("8", "an objective has no value", "memory g"),)


def test_feasible_designs_that_are_so_too_rarely():
    spec = sweep(probabilities=[limit("p_feasible >= 0.9")])
    chances = [0.5, 0.75, math.nan, 0.99, 0.75, 0.125, 0.12345]
    table = missing(p_feasible=chances, feasible=[True, True, True, False, True, True, True])
    shown = misses_table(run(spec, designs=table, counts={"front": 0}), 4)
    assert shown.title == "Least infeasible designs: met at the typical parameters, not often enough"
    assert shown.cells == (
        ("0", "p_feasible is 0.75", "memory e"), ("3", "p_feasible is 0.75", "memory b, macs 2"),
        ("4", "p_feasible is 0.5", "memory a, macs 1"), ("9", "p_feasible is 0.125", "memory f, macs 6"),
    )  # fmt: skip
    assert len(misses_table(run(spec, designs=table)).cells) == 5
    assert misses_table(run(spec, designs=table)).cells[4][1] == "p_feasible is 0.123"
    # Where none is feasible, none was drawn, or no chance is asked for, misses are told.
    for made in (
        run(spec, designs=table, counts={"feasible": 0}), run(spec, designs=missing()), run(sweep(), designs=table),
    ):  # fmt: skip
        assert misses_table(made).title == "Least infeasible designs"


def test_constraints_that_bind_the_most_violated_first():
    frame = pd.DataFrame({
        "constraint": ["never", "a", "b", "c"], "violated": [0, 1, 8, 1], "violated_fraction": [0.0, 0.1, 0.8, 0.1],
        "sole_cause_fraction": [0.0, 0.05, 0.0, 0.1], "best_margin": [1.0, 0.5, -0.25, 12.0],
        "tightest_margin": [0.5, 0.0, math.nan, 0.001],
    })  # fmt: skip
    made = run(sweep(), constraints=frame)
    assert constraints_table(made).cells == (
        ("b", "80", "0", "-25.0", "n/a"), ("a", "10", "5", "+50.0", "+0.0"), ("c", "10", "10", "+1 200", "+0.1"),
    )  # fmt: skip
    assert binding_lines(made) == ["most missed: b (80 %), a (10 %)"]
    assert binding_lines(made, 1) == ["most missed: b (80 %)"]
    assert binding_lines(run(sweep(), constraints=frame[:1])) == []


def axis(name, *records):
    keys = ("value", "low", "high", "feasible", "feasible_low", "feasible_high", "nearest_miss")
    return [{"axis": name, **dict(zip(keys, record, strict=True))} for record in records]


def feasible_values(*records):
    """The rows of the table of axes."""
    return axes_table(run(sweep(), axes=pd.DataFrame([one for part in records for one in part]))).cells


NO = math.nan


def test_values_that_survive_and_what_the_others_miss():
    rows = feasible_values(
        axis("node", ("tsmc_5", NO, NO, 2, NO, NO, ""), ("tsmc_7", NO, NO, 0, NO, NO, "tdp_w <= 150 (by 5.0%)"),
             ("tsmc_3", NO, NO, 1, NO, NO, "")),
        axis("macs", ("1", 1, 1, 0, NO, NO, "a (by 1.0%); b (by 25.0%)"), ("2", 2, 2, 0, NO, NO, "b (by 30.0%)"),
             ("4", 4, 4, 3, 4, 4, ""), ("8", 8, 8, 0, NO, NO, "a (by 2.5%)"), ("16", 16, 16, 0, NO, NO, "gone")),
        axis("kv_bits", ("4", 4, 4, 1, 4, 4, ""), ("8", 8, 8, 1, 8, 8, "")),
        axis("dies", ("1", 1, 1, 0, NO, NO, "a (by 2.0%); b (by 2.0%); c (by 1.0%)")),
    )  # fmt: skip
    # What is missed most, alike by the order in which it stands; the rest is counted.
    assert rows == (
        ("node", "tsmc_5, tsmc_3", "tsmc_7: tdp_w <= 150 by 5 %"),
        ("macs", "4", "1 to 2: b by 25 to 30 %, 1 more\n8: a by 2.5 %\n16: an objective has no value"),
        ("kv_bits", "all", ""),
        ("dies", "none", "1: a by 2 %, 2 more"),
    )


def test_of_intervals_only_what_is_feasible_is_told_and_names_stand_behind_numbers():
    rows = feasible_values(
        axis("clock_ghz", ("0.5-1", 0.5, 1.0, 1, 0.75, 0.875, ""), ("1-1.5", 1.0, 1.5, 2, 1.125, NO, ""),
             ("1.5-2", 1.5, 2.0, 0, NO, NO, "a (by 1.0%)"), ("2-2.5", 2.0, 2.5, 0, NO, NO, "a (by 1.04%)")),
        axis("bits", ("none", NO, NO, 1, NO, NO, ""), ("4", 4, 4, 1, 4, 4, ""), ("8", 8, 8, 1, 8, 8, ""),
             ("any", NO, NO, 0, NO, NO, "a (by 3.0%)"), ("16", 16, 16, 0, NO, NO, "a (by 3.0%)")),
        axis("group", ("none", NO, NO, 1, NO, NO, ""), ("4", 4, 4, 0, NO, NO, "")),
    )  # fmt: skip
    assert rows == (
        ("clock_ghz", "0.75 to 1.5", "1.5 to 2.5: a by 1 %"),
        ("bits", "4 to 8, none", "16, any: a by 3 %"),
        ("group", "none", "4: an objective has no value"),
    )


def fronted(**changes):
    front = pd.DataFrame({
        "id": [5, 2, 9, 1], "memory": ["hbm3", "hbm3", "hbm3", "hbm3"], "macs": [8192.0, 16384.0, math.nan, 8192.0],
        "chat.tpot_ms": [8.0, 9.0, 7.0, 8.0], "cost_usd": [600.0, 500.0, 900.0, math.nan],
        "tdp_w": [1.0, 2.0, 3.0, 4.0],
    })  # fmt: skip
    return run(sweep(**changes), front=front)


def test_the_front_by_its_first_objective():
    table = front_table(fronted())
    assert table.title == "Front"
    assert table.headings == ("design", "macs", "chat.tpot_\nms\nms", "cost_usd\nUSD", "tdp_w\nW")
    assert table.cells == (
        ("9", "-", "7", "900", "3"), ("1", "8 192", "8", "-", "4"), ("5", "8 192", "8", "600", "1"),
        ("2", "16 384", "9", "500", "2"),
    )  # fmt: skip
    assert [*sorted_front(fronted(objectives=[goal("chat.tpot_ms", "maximize")]))["id"]] == [2, 1, 5, 9]
    first = front_table(fronted(), 2)
    assert (first.title, [row[0] for row in first.cells]) == ("Front (2 of 4, first)", ["9", "1"])
    even = front_table(fronted(), 2, spread=True)
    assert (even.title, [row[0] for row in even.cells]) == ("Front (2 of 4, evenly along the front)", ["9", "2"])
    for whole in (
        front_table(fronted(), 4),
        front_table(fronted(), spread=True),
        front_table(fronted(), 9, spread=True),
    ):
        assert whole.title == "Front" and len(whole.cells) == 4
    # What is a parameter and an objective has one column.
    assert front_table(fronted(objectives=[goal("macs")])).headings == ("design", "macs", "tdp_w\nW", "cost_usd\nUSD")


@pytest.mark.parametrize(
    ("of", "line"),
    [
        ({"knee": {"chat.perplexity_extrapolated": 1.0}}, "chat"),
        ({"knee": {"chat.perplexity_extrapolated": 1.0}, "best": {"chat.perplexity_extrapolated": 0.0}}, "chat (knee)"),
        ({"a": {"chat.perplexity_extrapolated": 1.0}, "b": {"chat.perplexity_extrapolated": 1.0},
          "c": {"live.perplexity_extrapolated": 1.0, "chat.tpot_ms": 1.0}}, "chat (a, b), live (c)"),
        ({"knee": {"chat.perplexity_extrapolated": 0.0, "chat.tpot_ms": 1.0}}, ""),
    ],
)  # fmt: skip
def test_perplexity_beyond_what_was_measured_is_told_with_the_designs_that_have_it(of, line):
    said = f"perplexity is extrapolated beyond what has been measured: {line}"
    assert extrapolated_lines(of) == ([said] if line else [])

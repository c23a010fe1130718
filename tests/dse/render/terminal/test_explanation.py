"""Tables of an explanation made by hand, every cell worked out; each rule just inside and outside."""

import math
from dataclasses import replace

from cost_models.quantities.metrics import METRICS
from cost_models.silicon.cost import Economics
from dse.analysis.explain.records import OUTSIDE, Explanation, LimitRow, OperatorRow, PassTable, WorkloadTable
from dse.render.terminal.explanation import (
    block_table,
    energy_table,
    explanation_parts,
    goodput_lines,
    limit_table,
    margin_table,
    memory_table,
    metric_table,
    operator_rows,
    operator_table,
    placement_table,
    spent_table,
    unfit_lines,
)
from dse.render.terminal.tables import Lines, TextTable

QKV = OperatorRow("qkv", 32.0, 2.0, 0.25, "memory", 3e9, 6e9, 4.0, 0.9, {})
HEAD = OperatorRow("head", 1.0, 5.0, 0.625, "near_memory", 1e9, 2e9, math.nan, 0.45, {})
HOST = OperatorRow(OUTSIDE, 1.0, 1.0, 0.125, "", 0.0, 0.0, math.nan, math.nan, {})
STEP = PassTable(
    ms=8.0, bound_ms=6.0, overhead_fraction=0.25, operators=(QKV, HEAD, HOST),
    spent_ms={"memory": 6.0, OUTSIDE: 1.0, "not_overlapped": 1.0, "network": 0.0},
    energy_j={"memory": 3.0, "static_power": 1.0}, board_j=4.0, power_w={"memory": 375.0, "static_power": 125.0},
    board_w=500.0,
)  # fmt: skip
PROMPTS = PassTable(
    ms=100.0, bound_ms=50.0, overhead_fraction=0.5, operators=(replace(QKV, ms=100.0, share=1.0, bound="arithmetic"),),
    spent_ms={"arithmetic": 90.0, "memory": 10.0}, energy_j={"macs": 32.0, "static_power": 8.0, "held_at_tdp": 0.0},
    board_j=40.0, power_w={"macs": 320.0, "static_power": 80.0}, board_w=400.0,
)  # fmt: skip
SETTINGS = {
    "model": "llama3_8b", "params_billion": 8.03, "active_params_billion": 8.03, "batch": 16.0, "prompt_tokens": 512.0,
    "output_tokens": 256.0, "chips": 2.0, "weight_bits": 4.25, "head_bits": 16.0, "kv_bits": 8.0,
    "activation_bits": 16.0, "parallelism": "tensor", "tensor_parallel": 2.0, "stages": 1.0, "replicas": 1.0,
    "max_context_tokens": 768.0,
}  # fmt: skip
CHAT = WorkloadTable(
    settings=SETTINGS, fits=True, decode=STEP, prefill=PROMPTS, memory_gib={"weights": 4.0, "kv_cache": 2.0},
    most_loaded_gib=3.0, capacity_gib=16.0, placement={}, roofs={},
    metrics={"tpot_ms": 8.0, "ttft_ms": 100.0, "perplexity_ratio": 1.02, "goodput_requests_per_s": math.nan},
    intervals={"tpot_ms": {"p10": 7.0, "p90": 9.5, "origin": "40 rows of 3 chips"},
               "ttft_ms": {"p10": math.nan, "p90": math.nan, "origin": ""}},
)  # fmt: skip
WHOLE = Explanation(
    name="design 3",
    settings={"memory": "hbm3", "macs": 65536.0, "clock_ghz": 1.0, "second_memory": "none",
              "second_memory_devices": 4.0, "link_gbps": math.nan, "kv_bits": None},
    metrics={"tdp_w": 126.1, "cost_usd": 600.0, "price_usd": 1700.0, "embodied_kg": math.nan},
    workloads={"chat": CHAT},
    blocks={"area_mm2": {"sram": 20.0, "macs": 60.0, "links": 0.0}, "tdp_w": {"macs": 126.1}},
    limits={"heat_w_per_mm2": LimitRow(0.25, 0.5, 0.5)},
    margins={"tdp_w <= 150": 0.159, "reticle": 0.0, "chat.capacity": -0.125, "area": 0.0},
    described=METRICS,
    economics=Economics(units=1000, margin=0.5, nre_share=0.25, krw_per_usd=1),
)  # fmt: skip


def with_settings(table=CHAT, metrics=None, **settings):
    return replace(table, settings={**table.settings, **settings}, metrics={**table.metrics, **(metrics or {})})


def lines_of(explanation, place=1):
    """The lines of the workload of an explanation."""
    part = explanation_parts(explanation)[place]
    assert isinstance(part, Lines)
    return list(part.lines)


def workload_lines(table, chip=False):
    explained = replace(WHOLE, workloads={"chat": table}, limits={} if chip else WHOLE.limits)
    return lines_of(explained)


def test_operators_their_sum_and_what_lies_outside_of_them():
    table = operator_table("title", STEP)
    assert table.title == "title" and table.names == 1
    assert table.cells == (
        ("qkv", "32", "2", "25", "memory", "3 000", "6", "4", "90"),
        ("head", "1", "5", "62.5", "near memory", "1 000", "2", "n/a", "45"),
        ("host and hand-over", "", "1", "12.5", "", "", "", "", ""),
        # 8 GMAC are 16 operations on 4 GB; 6 of 8 ms are the bound.
        ("total", "", "8", "100", "", "4 000", "8", "4", "75"),
    )
    still = replace(STEP, operators=(HOST,))
    assert operator_table("", still).cells[-1] == ("total", "", "8", "100", "", "0", "0", "n/a", "75")
    headings, rows = operator_rows(replace(WHOLE, workloads={"chat": CHAT}))
    assert len(headings) == 10 and [row[:3] for row in rows] == [
        ("chat", "decode", "qkv"), ("chat", "decode", "head"), ("chat", "decode", OUTSIDE), ("chat", "prefill", "qkv"),
    ]  # fmt: skip
    assert rows[0][3:] == (32.0, 2.0, 0.25, "memory", 3e9, 6e9, 4.0)


def test_time_and_energy_of_both_passes_by_cause():
    assert spent_table(CHAT).cells == (
        ("memory", "6", "75", "10", "10"), ("host and hand-over", "1", "12.5", "0", "0"),
        ("not overlapped", "1", "12.5", "0", "0"), ("arithmetic", "0", "0", "90", "90"),
        ("total", "8", "100", "100", "100"),
    )  # fmt: skip
    assert energy_table(CHAT).cells == (
        ("memory", "3", "375", "75", "0", "0", "0"), ("static power", "1", "125", "25", "8", "80", "20"),
        ("macs", "0", "0", "0", "32", "320", "80"), ("total", "4", "500", "100", "40", "400", "100"),
    )  # fmt: skip


def test_memory_and_where_tensors_lie():
    table = memory_table(CHAT)
    assert table.title == "Memory on 2 chip(s)"
    assert table.cells == (
        ("weights", "4", ""), ("kv cache", "2", ""), ("total of all chips", "6", ""), ("most-loaded chip", "3", "18.8"),
        ("capacity of one chip", "16", "100"),
    )  # fmt: skip
    held = {"gib": 4.0, "moved_gib": 4.0, "second_gib": 1.0, "second_reads": 0.25, "slowdown": 1.5}
    placed = {
        "weights": held,
        "kv_cache": {**held, "gib": 2.0, "moved_gib": 6.0, "second_gib": 0.0, "second_reads": 0.0, "slowdown": 1.0},
        "embedding": {**held, "gib": 0.0},
    }
    # The most read first; what nobody holds is left out.
    assert placement_table(replace(CHAT, placement=placed)).cells == (
        ("kv cache", "2", "3", "2", "0", "0", "1"), ("weights", "4", "1", "3", "1", "25", "1.5"),
    )  # fmt: skip


def test_blocks_limits_and_margins():
    table = block_table("area_mm2", {"sram": 20.0, "macs": 60.0, "links": 0.0})
    assert table.title == "Area of the die" and table.headings == ("", "mm²", "%")
    assert table.cells == (("macs", "60", "75"), ("sram", "20", "25"), ("total", "80", "100"))
    assert (block_table("other_gib", {"a": 1.0}).title, block_table("other_gib", {"a": 1.0}).headings[1]) == (
        "other_gib", "GiB",
    )  # fmt: skip
    assert limit_table(WHOLE).cells == (("heat", "W/mm²", "0.25", "0.5", "50"),)
    # The tightest first, those alike by name; nothing to spare is met.
    assert margin_table(WHOLE).cells == (
        ("chat.capacity", "-12.5", "MISSED"), ("area", "0", "met"), ("reticle", "0", "met"),
        ("tdp_w <= 150", "15.9", "met"),
    )  # fmt: skip


def test_metrics_that_have_a_value_and_the_intervals_of_times_that_have_one():
    table = metric_table({"tdp_w": 126.1, "cost_usd": math.nan}, METRICS, "title")
    assert table.headings == ("", "", "unit") and table.cells == (("tdp_w", "126.1", "W"),)
    table = metric_table(CHAT.metrics, METRICS, "title", intervals=CHAT.intervals)
    assert table.headings == ("", "", "unit", "P10-P90")
    assert table.cells == (
        ("tpot_ms", "8", "ms", "7-9.5"), ("ttft_ms", "100", "ms", ""), ("perplexity_ratio", "1.02", "", ""),
    )  # fmt: skip


def test_a_workload_in_words():
    assert workload_lines(CHAT) == [
        "8.03 billion weights",
        "batch 16, 512 tokens in, 256 out, 2 chip(s), tensor parallel",
        "bits: weights 4.25, head 16, KV cache 8, activations 16",
        "bound of the decode step 6 ms, 25 % of the step above it; prefill 50 ms, 50 %",
    ]
    mixture = with_settings(
        active_params_billion=2.5, expert_bits=2.0, node_chips=8.0, network_gbps=50.0, published_as="a paper",
        note="read from a file", parallelism="pipeline", stages=4.0, replicas=2.0, chips=16.0, output_tokens=257.0,
    )  # fmt: skip
    assert workload_lines(replace(mixture, metrics={**CHAT.metrics, "perplexity_extrapolated": 1.0})) == [
        "8.03 billion weights, 2.5 billion active",
        "read from a file",
        "published as a paper",
        "batch 16, 512 tokens in, 257 out, 16 chip(s), tensor 2 x pipeline 4 x replicas 2",
        "bits: weights 4.25, experts 2, head 16, KV cache 8, activations 16",
        "nodes of 8 chips, 50 GB/s of each chip between them",
        "bound of the decode step 6 ms, 25 % of the step above it; prefill 50 ms, 50 %",
        "WARNING: 769 tokens in and out exceed the 768 that its model takes",
        "its perplexity is extrapolated beyond what has been measured",
    ]
    # One way of more than one chip is told by its name, as is none.
    for split, words in (
        ({"stages": 2.0}, "tensor 2 x pipeline 2"), ({"tensor_parallel": 1.0, "replicas": 2.0}, "pipeline parallel"),
        ({"tensor_parallel": 1.0}, "pipeline parallel"), ({"replicas": 3.0}, "tensor 2 x replicas 3"),
    ):  # fmt: skip
        assert workload_lines(with_settings(parallelism="pipeline", **split))[1].endswith(f"2 chip(s), {words}")
    assert not any("WARNING" in line for line in workload_lines(with_settings(max_context_tokens="any")))
    assert not any(
        "perplexity" in line for line in workload_lines(with_settings(metrics={"perplexity_extrapolated": 0}))
    )


def test_a_pass_that_the_design_limit_stretches_by_more_than_a_percent_is_told():
    for decode, prefill, words in (
        (1.01, 1.0, ""), (1.02, 1.01, "decode 1.02 times as long"),
        (1.2345, 2.0, "decode 1.23 times as long and prefill 2 times as long"),
        (math.nan, 1.25, "prefill 1.25 times as long"),
    ):  # fmt: skip
        table = with_settings(metrics={"decode_cap_stretch": decode, "prefill_cap_stretch": prefill})
        assert workload_lines(table)[4:] == ([f"the design limit lowers the clock: {words}"] if words else [])
        told = f"predicted power passes the design limit: held to it, {words}; kept is the measured time"
        assert workload_lines(table, chip=True)[4:] == ([told] if words else [])


def test_why_users_wait_for_ever_or_no_load_keeps_the_limits():
    def said(metrics=(), **settings):
        return goodput_lines(with_settings(metrics=dict(metrics), **settings))

    few = {"utilisation": 1.25, "requests_per_s": 3.5, "goodput_requests_per_s": 0.0}
    assert said(few) == ["1.25 times as many requests come as the chips finish (3.5/s): waits are endless"]
    for metrics in ({"utilisation": 1.0}, {"goodput_requests_per_s": 0.5}, {}):
        assert said(metrics) == []
    none, generally = {"goodput_requests_per_s": 0.0, "utilisation": 1.0}, [
        "goodput 0: a single request keeps the limits in the mean, but no load keeps them often enough"
    ]  # fmt: skip
    assert said(none) == generally
    assert said(none, least_ttft_ms=100.0, ttft_limit_ms=100.0) == generally
    first = "goodput 0: no load keeps ttft_limit_ms 100, as a single request takes 100.5 ms to its first token"
    assert said(none, least_ttft_ms=100.5, ttft_limit_ms=100.0) == [first]
    step = "goodput 0: no load keeps tpot_limit_ms 10, as a single request takes 20 ms per token"
    both = {"least_ttft_ms": 100.5, "ttft_limit_ms": 100.0, "least_tpot_ms": 20.0, "tpot_limit_ms": 10.0}
    assert said(none, **both) == [first, step]
    assert workload_lines(with_settings(metrics=none, **both))[4:] == [first, step]


def test_what_does_not_fit_and_what_would_do():
    full = replace(CHAT, fits=False, most_loaded_gib=20.0)
    sized = "the most loaded of 2 chip(s) would hold 20 GiB of its 16: 4 GiB too much"
    *_, smaller = unfit_lines(full, {})
    assert smaller.startswith("or fewer bits:")
    assert unfit_lines(full, {}) == [
        sized, "no number of such chips holds it in one split alone; two may, like parallelism=tp8_pp40", smaller,
    ]  # fmt: skip
    assert unfit_lines(full, {"tensor": 4, "pipeline": 3}) == [
        sized, "what would do: 4 chips (tensor parallel) or 3 chips (pipeline parallel)", smaller,
    ]  # fmt: skip
    linkless = ["the memory would do, but its chips have no link, or no rate of theirs is published"]
    assert unfit_lines(replace(full, most_loaded_gib=16.0), {}) == linkless
    assert unfit_lines(replace(full, most_loaded_gib=16.5), {})[0].endswith("0.5 GiB too much")


def titles(explanation):
    parts = explanation_parts(explanation)
    return [part.title if isinstance(part, TextTable) else part.heading for part in parts]


def test_an_explanation_part_by_part():
    parts = explanation_parts(WHOLE)
    assert titles(WHOLE) == [
        "design 3", "chat: llama3_8b", "chat, decode step: 8 ms", "chat, prefill: 100 ms", "Time by what it waits for",
        "Energy and power of all boards", "Memory on 2 chip(s)", "Metrics of chat", "", "Area of the die",
        "Price of one board", "Limits", "Margins", "Metrics of the design",
    ]  # fmt: skip
    # Settings of a part that the design lacks, or that have no value, say nothing.
    assert parts[0].lines == ["memory hbm3, macs 65 536, clock_ghz 1 GHz, second_memory none"]
    assert parts[7].cells[0] == ("tpot_ms", "8", "ms", "7-9.5")
    assert parts[8].lines == ["P10-P90 of tpot_ms: 40 rows of 3 chips"]
    assert parts[10].lines[0].startswith("Costs 600 USD, price 1 700 USD: 250 USD of NRE")
    assert parts[13].cells == (("tdp_w", "126.1", "W"), ("cost_usd", "600", "USD"), ("price_usd", "1 700", "USD"))
    held = {"gib": 4.0, "moved_gib": 4.0, "second_gib": 1.0, "second_reads": 0.25, "slowdown": 1.5}
    tiered = replace(WHOLE, workloads={"chat": replace(CHAT, placement={"weights": held})}, limits={}, economics=None)
    assert titles(tiered)[6:8] == ["Memory on 2 chip(s)", "Tensors of one chip by memory"]
    assert titles(tiered)[9:] == ["", "Area of the die", "Margins", "Metrics of the design"]


def test_of_a_workload_that_does_not_fit_memory_is_shown_alone():
    full = replace(CHAT, fits=False, most_loaded_gib=20.0, metrics={"memory_gib": 40.0, "tpot_ms": 8.0})
    explained = replace(WHOLE, workloads={"chat": full, "live": CHAT}, holders={"chat": {"tensor": 4}})
    assert titles(explained)[:7] == [
        "design 3", "chat: llama3_8b", "DOES NOT FIT", "Memory on 2 chip(s)", "Metrics of chat", "live: llama3_8b",
        "live, decode step: 8 ms",
    ]  # fmt: skip
    parts = explanation_parts(explained)
    assert len(parts[1].lines) == 3 and "4 chips (tensor parallel)" in parts[2].lines[1]
    assert parts[4].cells == (("memory_gib", "40", "GiB"),)

"""What targets come to, against counting the bytes and multiplications of Llama-2-70B by hand."""

import math

import numpy as np
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.analysis.require.changes import Change
from dse.analysis.require.memory_options import MAX_DEVICES, _count, _slack
from dse.analysis.require.requirements import requirements
from dse.sweep import parse_spec

BODY = 80 * (8192 * 8192 * 2 + 2 * 8192 * 1024 + 3 * 8192 * 28672)
HEAD = 8192 * 32000
BATCH, PROMPT, OUTPUT, KV = 32, 1024, 256, 163_840


def sweep(constraints, **workload):
    return parse_spec(
        {
            "name": "by_hand",
            "workloads": {
                "chat": {
                    "model": "llama2_70b", "batch": BATCH, "prompt_tokens": PROMPT, "output_tokens": OUTPUT, **workload
                }
            },
            "space": {
                "memory": {"values": ["lpddr5x_9600", "gddr7_28"]},
                "memory_devices": {"low": 2, "high": 64, "step": 2},
                "weight_format": "bf16",
                "kv_bits": 16,
            },
            "objectives": [{"metric": "cost_usd", "direction": "minimize"}],
            "constraints": [{"metric": metric, **bound} for metric, bound in constraints.items()],
            "search": {"sampler": "grid"},
        }
    )  # fmt: skip


def bytes_of(span):
    context = PROMPT + (OUTPUT + 1) / 2
    step = 2 * (BODY + HEAD) + 2 * BATCH * KV * (context + 1)
    prompt = 2 * (BODY + HEAD) + 2 * BATCH * 2 * PROMPT * KV
    return {"step": step, "prompt": prompt, "request": prompt + (OUTPUT - 1) * step}[span]


def macs_of(span):
    per_pair = 80 * 64 * 2 * 128
    context = PROMPT + (OUTPUT + 1) / 2
    step = BATCH * (BODY + HEAD + per_pair * context)
    prompt = BATCH * (PROMPT * BODY + HEAD + per_pair * sum(range(1, PROMPT + 1)))
    return {"step": step, "prompt": prompt, "request": prompt + (OUTPUT - 1) * step}[span]


@pytest.mark.parametrize(
    ("metric", "bound", "span", "seconds"),
    [
        ("chat.tpot_ms", {"max": 40}, "step", 0.04),
        ("chat.ttft_ms", {"max": 3000}, "prompt", 3.0),
        ("chat.request_s", {"max": 20}, "request", 20.0),
        ("chat.tokens_per_s", {"min": 500}, "step", BATCH / 500),
        ("chat.tokens_per_s_end_to_end", {"min": 400}, "request", BATCH * OUTPUT / 400),
    ],
)
def test_the_least_rates_are_what_is_moved_and_multiplied_over_the_time(metric, bound, span, seconds):
    need = requirements(sweep({metric: bound})).chosen
    assert need.bandwidth_gbps == pytest.approx(bytes_of(span) / seconds / 1e9, rel=1e-6)
    assert need.tflops == pytest.approx(2 * macs_of(span) / seconds / 1e12, rel=1e-6)
    for key in ("bandwidth_gbps", "bandwidth_stack_gbps", "tflops", "tflops_stack"):
        assert metric in need.set_by[key].replace(": ", ".")


def test_the_largest_of_several_targets_counts_and_is_named():
    both = requirements(sweep({"chat.tpot_ms": {"max": 40}, "chat.ttft_ms": {"max": 3000}})).chosen
    assert both.bandwidth_gbps == pytest.approx(bytes_of("step") / 0.04 / 1e9, rel=1e-6)
    assert both.tflops == pytest.approx(2 * macs_of("prompt") / 3 / 1e12, rel=1e-6)
    assert "tpot_ms" in both.set_by["bandwidth_gbps"] and "ttft_ms" in both.set_by["tflops"]


def held_gib(batch):
    weights = 2 * (BODY + 2 * HEAD) + 2 * 161 * 8192
    return weights / 2**30, 2 * batch * (PROMPT + OUTPUT) * KV / 2**30


def test_memory_is_weights_and_cache_and_activations_and_an_optional_workload_asks_for_its_part_of_them():
    weights, cache = held_gib(BATCH)
    whole = requirements(sweep({})).chosen.capacity_gib
    activations = whole - weights - cache
    assert 0 < activations < 0.05 * weights
    # Four chips may hold it: a quarter of everything, where the workload need not be served by one.
    shared = requirements(sweep({"chat.chips_needed": {"max": 4}}, required=False)).chosen.capacity_gib
    assert shared == pytest.approx(whole / 4, rel=1e-9)
    needed = requirements(sweep({"chat.chips_needed": {"max": 4}})).chosen.capacity_gib
    assert needed == pytest.approx(whole, rel=1e-9)
    assert requirements(sweep({}, required=False)).chosen.capacity_gib == 0


def test_memory_options_by_hand():
    spec = sweep({"chat.tpot_ms": {"max": 100}})
    found = requirements(spec)
    library, value = shipped_library(), Technology().value
    need = found.chosen
    assert {option.memory for option in found.options} == {"lpddr5x_9600", "gddr7_28"}
    for option in found.options:
        grade = library.memory_grade(option.memory)
        entry = f"memory.{grade.technology}"
        peak = option.device_bits * grade.gbps_per_pin * value(f"{entry}.effective_fraction") / 8
        each = peak * value(f"{entry}.efficiency_stream")
        sizes = library.memories[grade.technology].package_gib
        least = max(
            math.ceil(need.bandwidth_gbps / each),
            math.ceil(need.bandwidth_stack_gbps / each),
            math.ceil(need.capacity_gib / max(sizes)),
        )
        assert option.devices == least
        assert option.devices_ideal == math.ceil(need.bandwidth_gbps / each)
        assert option.device_gib == min(size for size in sizes if size * least >= need.capacity_gib)
        assert option.peak_gbps == pytest.approx(least * peak)
        assert option.delivered_gbps == pytest.approx(least * each)
        assert option.bandwidth_slack == pytest.approx(least * each / need.bandwidth_stack_gbps - 1)
        assert option.capacity_slack == pytest.approx(option.device_gib * least / need.capacity_gib - 1)
        assert option.edge_slack == pytest.approx(1 - option.edge_mm / option.edge_allowed_mm)
        assert option.in_space == (2 <= least <= 64)
        # Bits per weight that the widest memory could stream in time, beside head and cache.
        across = round(option.edge_allowed_mm / (option.edge_mm / option.devices))
        context = PROMPT + (OUTPUT + 1) / 2
        fixed = 2 * HEAD + 2 * BATCH * KV * (context + 1)
        assert option.most_bits == pytest.approx((across * each * 1e9 * 0.1 - fixed) / (BODY / 8), rel=0.03)


@pytest.mark.parametrize(
    ("before", "after", "gain"), [(8.0, 6.0, 0.25), (-2.0, -1.0, 0.5), (4.0, 5.0, 0.25), (0.0, 3.0, 0.0)]
)
def test_a_gain_is_a_share_of_the_value_now(before, after, gain):
    change = Change("cost_usd", "macs", 1.0, 2.0, before, after)
    assert change.gain == gain
    assert np.isfinite(change.gain)


def test_board_memory_costs_what_its_year_asks_and_stacks_what_they_always_do():
    resolved = sweep({"chat.tpot_ms": {"max": 100}}).resolved()
    prices = {}
    for year in (2023, 2025):
        changed = [f"economics.price_year={year}", "space.memory.values=[lpddr5x_9600, hbm3]"]
        found = requirements(parse_spec(resolved, overrides=changed))
        prices[year] = {(one.memory, one.device_bits): one.price_usd for one in found.options}
    of_year = {year: Technology().value(f"memory_market.of_year.{year}") for year in prices}
    assert {memory for memory, _ in prices[2025]} == {"lpddr5x_9600", "hbm3"} and of_year[2023] != of_year[2025]
    for (memory, bits), price in prices[2025].items():
        factor = 1 if memory == "hbm3" else of_year[2023] / of_year[2025]
        assert prices[2023][memory, bits] == pytest.approx(price * factor) and price > 0


@pytest.mark.parametrize(
    ("share", "devices"),
    [(0, 1), (0.4, 1), (4.0, 4), (4 + 1e-12, 4), (4 + 1e-6, 5), (MAX_DEVICES, MAX_DEVICES),
     (2.5 * MAX_DEVICES, MAX_DEVICES), (math.inf, MAX_DEVICES), (math.nan, MAX_DEVICES)],
)  # fmt: skip
def test_devices_are_whole_and_rounding_asks_for_none_more(share, devices):
    assert _count(share) == devices


@pytest.mark.parametrize(("have", "needed", "slack"), [(12, 8, 0.5), (6, 8, -0.25), (1, 0, math.inf)])
def test_slack_is_a_share_of_what_is_needed(have, needed, slack):
    assert _slack(have, needed) == slack

"""Rates that satisfy claims, against bytes over time and multiplications over time of Llama-3-8B counted by hand."""

import functools
import math

import numpy as np
import pytest

from dse.analysis.audit.rates import arithmetic_of, consistent_rates, find_consistent_rates
from dse.analysis.audit.reader import read_claims
from dse.analysis.require import requirements
from dse.yaml_positions import parse_yaml

BODY = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
HEAD = 4096 * 128256
BATCH, PROMPT, OUTPUT, CACHED = 4, 64, 10, 2 * 32 * 1024
CONTEXT = PROMPT + (OUTPUT + 1) / 2
MACS = BATCH * (BODY + HEAD + 32 * 32 * 2 * 128 * CONTEXT)
AXES = "weight_bits: {low: 4, high: 16, levels: 2}, kv_bits: {low: 8, high: 16, levels: 2}"
AXES += ", tflops: {low: 1, high: 1000, levels: 2}"


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    """A fifth of a per mille is near enough here, in a quarter of the halvings."""
    monkeypatch.setattr(requirements, "HALVINGS", 16)


def step_bytes(weight_bits, kv_bits):
    return (BODY + HEAD) * weight_bits / 8 + BATCH * CACHED * (CONTEXT + 1) * kv_bits / 8


def prompt_bytes(weight_bits, kv_bits):
    return (BODY + HEAD) * weight_bits / 8 + BATCH * 2 * PROMPT * CACHED * kv_bits / 8


@functools.cache
def case(*claims, more="", axes=AXES):
    entries = "".join(f"  - {{of: it, source: s, grade: low, {claim}}}\n" for claim in claims)
    return read_claims(parse_yaml(
        "name: case\n"
        f"workloads: {{chat: {{model: llama3_8b, batch: {BATCH}, prompt_tokens: {PROMPT}, output_tokens: {OUTPUT}}}}}\n"
        f"subjects: {{it: {{{more} rates: {{{axes}}}}}, gpu: {{chips: 1x l4}}}}\nclaims:\n{entries}", "it.yaml"
    ))  # fmt: skip


STEP = "workload: chat, metric: tpot_ms, value: 10, within: 0.1"


def rates(*claims, weight_bits=4.0, kv_bits=8.0, tflops=1e4, more=""):
    found = case(*claims, more=more)
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(one, float)) for one in (weight_bits, kv_bits, tflops)))
    return consistent_rates(found.subjects["it"], found.of("it"), *columns)


def test_the_bandwidth_of_a_step_lies_between_its_bytes_over_both_times():
    weight_bits, kv_bits = np.array([4.0, 4.0, 16.0]), np.array([8.0, 16.0, 8.0])
    table, unused = rates(STEP, weight_bits=weight_bits, kv_bits=kv_bits)
    moved = step_bytes(weight_bits, kv_bits)
    assert table["gbps_low"].tolist() == pytest.approx((moved / 0.011 / 1e9).tolist(), rel=1e-3)
    assert table["gbps_high"].tolist() == pytest.approx((moved / 0.009 / 1e9).tolist(), rel=1e-3)
    assert table["consistent"].all() and table["memory_bound"].all() and unused == []
    assert table["weight_bits"].tolist() == [4, 4, 16] and table["tflops"].tolist() == [1e4] * 3
    # Held are all weights, the embedding among them, and the whole cache; activations are little.
    held = (BODY + 2 * HEAD) * weight_bits / 8 + BATCH * CACHED * (PROMPT + OUTPUT) * kv_bits / 8
    assert (table["capacity_gib"] * 2**30).tolist() == pytest.approx(held.tolist(), rel=0.02)


def test_arithmetic_that_takes_the_time_leaves_any_bandwidth_and_less_leaves_none():
    table, _ = rates(STEP, tflops=[2 * MACS / seconds / 1e12 for seconds in (0.0085, 0.010, 0.0115)])
    assert table["consistent"].tolist() == [True, True, False]
    assert np.isfinite(table["gbps_high"]).tolist() == [True, False, False] and np.isinf(table["gbps_low"][2])
    # What any bandwidth does is not known to wait for memory.
    assert table["memory_bound"].tolist() == [True, False, False]
    assert table["gbps_low"][:2].tolist() == pytest.approx([step_bytes(4, 8) / 0.011 / 1e9] * 2, rel=1e-3)


def test_several_claims_leave_what_satisfies_all():
    rate = f"workload: chat, metric: tokens_per_s, value: {BATCH / 0.0095}, within: 0.05"
    table, _ = rates(STEP, rate)
    assert table["gbps_low"][0] == pytest.approx(step_bytes(4, 8) * 0.95 / 0.0095 / 1e9, rel=1e-3)
    assert table["gbps_high"][0] == pytest.approx(step_bytes(4, 8) * 1.05 / 0.0095 / 1e9, rel=1e-3)
    other = "workload: chat, metric: ttft_ms, value: 20, within: 0.01"
    assert not rates(STEP, other)[0]["consistent"][0]


@pytest.mark.parametrize(
    ("claim", "low_s", "high_s", "moved"),
    [
        ("metric: tpot_ms, value: 10, at: most", 0.01, 0, step_bytes(4, 8)),
        ("metric: tpot_ms, value: 10, at: least", math.inf, 0.01, step_bytes(4, 8)),
        ("metric: tokens_per_s, value: 400, at: least", 0.01, 0, step_bytes(4, 8)),
        ("metric: tokens_per_s, value: 400, at: most", math.inf, 0.01, step_bytes(4, 8)),
        ("metric: ttft_ms, value: 10, within: 0.1", 0.011, 0.009, prompt_bytes(4, 8)),
        ("metric: request_s, value: 1, within: 0.1", 1.1, 0.9, prompt_bytes(4, 8) + 9 * step_bytes(4, 8)),
        ("metric: tokens_per_s_end_to_end, value: 40, within: 0.1", 1 / 0.9, 1 / 1.1,
         prompt_bytes(4, 8) + 9 * step_bytes(4, 8)),
    ],
)  # fmt: skip
def test_a_bound_on_time_or_rate_bounds_one_side(claim, low_s, high_s, moved):
    table, _ = rates(f"workload: chat, {claim}")
    assert table["gbps_low"][0] == pytest.approx(moved / low_s / 1e9, rel=2e-3)
    assert table["gbps_high"][0] == pytest.approx(moved / high_s / 1e9 if high_s else math.inf, rel=2e-3)
    assert table["consistent"][0] and table["memory_bound"][0] == (high_s > 0)


def test_times_of_any_size_are_answered():
    brief, none = (
        rates(f"workload: chat, metric: tpot_ms, value: {value}, at: most", tflops=1e12)[0] for value in (1e-4, 0)
    )
    assert brief["gbps_low"][0] == pytest.approx(step_bytes(4, 8) / 1e-7 / 1e9, rel=2e-3)
    assert np.isinf(none["gbps_low"][0]) and not none["consistent"][0]


def test_chips_that_are_needed_say_how_much_one_holds():
    alone, _ = rates(STEP)
    shared, _ = rates("workload: chat, metric: chips_needed, value: 4, at: most")
    assert shared["capacity_gib"][0] == pytest.approx(alone["capacity_gib"][0] / 4)
    assert (shared["gbps_low"][0], shared["gbps_high"][0]) == (0, math.inf) and shared["consistent"][0]
    assert rates(STEP, "workload: chat, metric: chips_needed, value: 4, at: most")[0]["capacity_gib"][
        0
    ] == pytest.approx(alone["capacity_gib"][0])


def test_what_rates_say_nothing_of_is_told():
    _, unused = rates(
        f"{STEP}, key: a, not_comparable: 'another model'", "key: b, metric: tdp_w, value: 3, at: most",
        f"{STEP}, key: c, relative_to: gpu", "key: d, workload: chat, metric: decode_w, value: 3, at: most",
        f"{STEP}, key: e",
    )  # fmt: skip
    assert unused == [
        ("a", "another model"), ("b", "rates alone have no power, area, price or software of their own"),
        ("c", "rates alone have no power, area, price or software of their own"), ("d", "rates alone have no decode_w"),
    ]  # fmt: skip


def test_operators_that_follow_one_another_take_as_long_as_each():
    whole, parts = (rates(STEP, tflops=2 * MACS / 0.007 / 1e12, more=more)[0] for more in ("", "overlap: operators,"))
    # Memory and arithmetic of a step hide each other, those of operators only within each.
    assert parts["gbps_low"][0] >= whole["gbps_low"][0] * (1 - 1e-9)
    free = rates(STEP, more="overlap: operators,")[0]
    assert free["gbps_low"][0] == pytest.approx(whole["gbps_low"][0], rel=1e-3) and free["memory_bound"][0]
    # Attention of few queries waits for memory where linear layers wait for arithmetic: not all of a step.
    half = rates(STEP, kv_bits=16.0, tflops=2 * MACS / 0.0095 / 1e12, more="overlap: operators,")[0]
    assert half["consistent"][0] and not half["memory_bound"][0]


@pytest.mark.parametrize(
    ("claim", "seconds"),
    [
        (STEP, math.sqrt(0.009 * 0.011)), ("workload: chat, metric: tpot_ms, value: 10, at: most", 0.01),
        ("workload: chat, metric: tpot_ms, value: 10, at: least", 0.01),
        ("workload: chat, metric: tokens_per_s, value: 400, at: least", 0.01),
        ("workload: chat, metric: ttft_ms, value: 10, at: most", None), (f"{STEP}, not_comparable: no", None),
        (f"{STEP}, relative_to: gpu", None),
        # Beyond the axis it is of no use: 2 MACs in a minute, and in a microsecond.
        ("workload: chat, metric: tpot_ms, value: 100_000, at: most", None),
        ("workload: chat, metric: tpot_ms, value: 0.001, at: most", None),
    ],
)  # fmt: skip
def test_arithmetic_that_would_take_just_the_time_is_tried(claim, seconds):
    found = case(claim)
    expected = [] if seconds is None else [pytest.approx(2 * MACS / seconds / 1e12, rel=1e-3)]
    assert arithmetic_of(found.subjects["it"], found.of("it")).tolist() == expected


def test_every_combination_is_looked_at_and_what_is_consistent_is_told():
    found = case(STEP)
    result = find_consistent_rates(found.subjects["it"], found.of("it"))
    exact = float(arithmetic_of(found.subjects["it"], found.of("it"))[0])
    # Of 1, 1000 and what takes just the time the first is too slow.
    assert (result.subject, result.searched, result.unused) == ("it", 2 * 2 * 3, ())
    assert sorted(set(result.table["tflops"])) == pytest.approx([exact, 1000]) and len(result.table) == 8
    assert list(result.table) == [
        "weight_bits", "kv_bits", "tflops", "gbps_low", "gbps_high", "capacity_gib", "memory_bound",
    ]  # fmt: skip
    assert [one.name for one in result.extents] == ["weight_bits", "kv_bits", "tflops", "gbps_low", "capacity_gib"]
    assert {one.name for one in result.settling} == {"weight_bits", "kv_bits", "gbps_low", "tflops"}
    none = find_consistent_rates(
        found.subjects["it"], case("workload: chat, metric: tpot_ms, value: 1e-6, at: most").of("it")
    )
    assert len(none.table) == 0 and none.extents == none.settling == ()

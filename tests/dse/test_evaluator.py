"""Evaluation of whole sweeps: baselines, truths of the Mach-1 case, monotonicity, what is missing and why."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cost_models.library import shipped_library
from cost_models.workload.param_count import count_parameters
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import load_spec, parse_spec

LLAMA = {"model": "llama2_70b", "batch": 32, "prompt_tokens": 1024, "output_tokens": 1024}
SEARCH = {"search": {"sampler": "grid"}}
OBJECTIVE = [{"metric": "cost_usd", "direction": "minimize"}]


def evaluated(space, workload=LLAMA, **keys):
    spec = parse_spec(
        {"name": "t", "workloads": {"w": workload}, "space": space, "objectives": OBJECTIVE, **SEARCH, **keys}
    )
    return Evaluator(spec), Space(spec).default_design()


def metric(name, space, workload=LLAMA, **keys):
    evaluator, design = evaluated(space, workload, **keys)
    return float(evaluator.evaluate(design).metrics[name][0])


def test_the_gpu_pair_decodes_between_its_bound_and_twice_that():
    spec = load_spec("sweeps/mach1.yaml")
    pair = Evaluator(spec).baselines["gpu_pair"]
    assert pair["chat_70b.roofline_tpot_ms"] == pytest.approx(37.6, rel=2e-3)
    assert 37.6 <= pair["chat_70b.tpot_ms"] <= 75.2
    assert pair["chat_70b.overhead_fraction"] == pytest.approx(
        1 - pair["chat_70b.roofline_tpot_ms"] / pair["chat_70b.tpot_ms"]
    )
    assert (pair["tdp_w"], pair["bandwidth_gbps"], pair["peak_tflops"]) == (400, 2039, 312)


@pytest.mark.parametrize("sweep", ["speculation", "pruning"])
def test_a_design_alone_has_the_bits_that_it_has_in_a_table(sweep):
    spec = load_spec(f"sweeps/{sweep}.yaml")
    designs, evaluator = Space(spec).scattered(40), Evaluator(spec)
    table = evaluator.evaluate(designs).metrics
    for row in (0, 8, 16, 24, 32):
        alone = evaluator.evaluate(designs.take([row])).metrics
        moved = [
            name
            for name, value in alone.items()
            if not np.array_equal(value, table[name][row : row + 1], equal_nan=True)
        ]
        assert not moved, "continuous batching apart, whose queue is worked out at places of its table"


# 1134 GB/s delivered: 1024 bits of LPDDR5X-9600 at 92.3 % of 1228.8 GB/s.
PRESET = {
    "memory": "lpddr5x_9600", "memory_devices": 16, "memory_device_bits": 64, "memory_device_gib": 8,
    "macs": 4_000_000, "weight_format": "exact_4bit", "kv_bits": 8, "serving_stack": "ideal",
    "technology.memory.lpddr5x.efficiency_stream": 1134 / 1228.8,
}  # fmt: skip


@pytest.mark.parametrize(("model", "published"), [("llama2_70b", 857), ("llama1_65b", 376)])
def test_the_preset_reproduces_the_published_pair_decode_only(model, published):
    rate = metric("w.tokens_per_s", PRESET, {**LLAMA, "model": model})
    assert rate == pytest.approx(published, rel=0.01)


def test_the_default_stack_is_slower_than_the_ideal_one():
    assert metric("w.tokens_per_s", {**PRESET, "serving_stack": "static_compiled"}) < metric("w.tokens_per_s", PRESET)


@pytest.mark.parametrize(
    ("better", "name"),
    [({"memory_devices": 24}, "w.tpot_ms"), ({"weight_format": "exact_3bit"}, "w.tpot_ms"),
     ({"kv_bits": 4}, "w.tpot_ms"), ({"macs": 400_000}, "w.ttft_ms"), ({"clock_ghz": 1.5}, "w.ttft_ms")],
)  # fmt: skip
def test_more_of_what_binds_is_faster(better, name):
    base = {**PRESET, "macs": 100_000, "serving_stack": "static_compiled"}
    assert metric(name, {**base, **better}) < metric(name, base)


def test_a_swept_workload_field_equals_the_fixed_one():
    spec = parse_spec({
        "name": "t", "workloads": {"w": LLAMA}, "objectives": OBJECTIVE, **SEARCH,
        "space": {"w.batch": {"values": [1, 8, 32]}},
    })  # fmt: skip
    space = Space(spec)
    swept = Evaluator(spec).evaluate(space.grid(0, 3)).metrics["w.tpot_ms"]
    fixed = [metric("w.tpot_ms", {"node": "tsmc_5"}, {**LLAMA, "batch": batch}) for batch in (1, 8, 32)]
    assert list(swept) == pytest.approx(fixed)


def test_a_swept_parameter_equals_the_replaced_one():
    path = "memory.lpddr5x.efficiency_stream"
    spec = parse_spec({
        "name": "t", "workloads": {"w": LLAMA}, "objectives": OBJECTIVE, **SEARCH,
        "space": {f"technology.{path}": {"values": [0.75, 0.9]}},
    })  # fmt: skip
    swept = Evaluator(spec).evaluate(Space(spec).grid(0, 2)).metrics["w.tpot_ms"]
    fixed = [metric("w.tpot_ms", {"node": "tsmc_5"}, technology={path: value}) for value in (0.75, 0.9)]
    assert list(swept) == pytest.approx(fixed)


def test_what_does_not_fit_has_no_speed_and_the_missing_memory_is_the_reason():
    evaluator, design = evaluated({"memory_devices": 2, "memory_device_gib": 8})
    result = evaluator.evaluate(design)
    assert np.isnan(result.metrics["w.tpot_ms"][0])
    assert result.margins["w.capacity"][0] < 0
    assert not result.feasible[0]
    assert result.metrics["w.chips_needed"][0] == 3


def test_what_nothing_is_allowed_of_is_kept_by_using_none():
    evaluator, design = evaluated({"memory": "hbm3", "memory_devices": 8, "memory_device_gib": 24})
    assert evaluator.evaluate(design).margins["memory_device"][0] == 1, "such devices are sold: nothing binds"
    evaluator, design = evaluated({"memory": "hbm3", "memory_devices": 8, "memory_device_gib": 23})
    assert evaluator.evaluate(design).margins["memory_device"][0] < 0


def test_a_workload_that_need_not_fit_breaks_nothing():
    evaluator, design = evaluated({"memory_devices": 2, "memory_device_gib": 8}, {**LLAMA, "required": False})
    result = evaluator.evaluate(design)
    assert "w.capacity" not in result.margins
    assert result.feasible[0]


def test_chips_without_links_cannot_share_a_model_and_it_says_so():
    evaluator, design = evaluated({"link_gbps": 0}, {**LLAMA, "n_chips": 2})
    result = evaluator.evaluate(design)
    assert result.margins["w.link"][0] < 0
    assert not result.feasible[0]
    linked, design = evaluated({"link_gbps": 100}, {**LLAMA, "n_chips": 2})
    assert linked.evaluate(design).feasible[0]


def test_rows_do_not_depend_on_their_neighbours():
    spec = load_spec("sweeps/mach1.yaml")
    space, evaluator = Space(spec), Evaluator(spec)
    designs = space.decode(np.random.default_rng(3).random((64, len(space.dimensions))))
    together = evaluator.evaluate(designs)
    for row in (0, 17, 63):
        alone = evaluator.evaluate(designs.take(slice(row, row + 1)))
        for name, value in together.metrics.items():
            assert alone.metrics[name][0] == pytest.approx(value[row], rel=1e-12, nan_ok=True), name


MACH1 = load_spec("sweeps/mach1.yaml")
SPACE, EVALUATOR = Space(MACH1), Evaluator(MACH1)
UNIT = arrays(np.float64, (24, len(SPACE.dimensions)), elements=st.floats(0, 0.999999))


@settings(max_examples=25, deadline=None)
@given(unit=UNIT)
def test_no_prediction_beats_bytes_over_bandwidth_or_operations_over_peak(unit):
    result = EVALUATOR.evaluate(SPACE.decode(unit))
    for name, workload in MACH1.workloads.items():
        step = result.metrics[f"{name}.tpot_ms"]
        fits = ~np.isnan(step)
        assert (step[fits] >= result.metrics[f"{name}.roofline_tpot_ms"][fits] * (1 - 1e-12)).all()
        tokens = workload.batch * workload.prompt_tokens
        body = count_parameters(shipped_library().model(workload.model)).body
        prefill_s = 2 * tokens * body / (result.metrics["peak_tflops"] * 1e12)
        assert (result.metrics[f"{name}.ttft_ms"][fits] >= prefill_s[fits] * 1e3).all()
        held = result.metrics[f"{name}.memory_gib"][fits]
        assert (held <= result.metrics["capacity_gib"][fits]).all()


@settings(max_examples=25, deadline=None)
@given(unit=UNIT, axis=st.sampled_from(["memory_devices", "macs", "clock_ghz"]))
def test_more_bandwidth_or_arithmetic_never_slows_a_design(unit, axis):
    place = SPACE.dimensions.index(axis)
    better = unit.copy()
    better[:, place] = unit[:, place] + (0.999999 - unit[:, place]) / 2
    before, after = (EVALUATOR.evaluate(SPACE.decode(points)) for points in (unit, better))
    # Requests that come at the goodput take the time that the limits allow on any design.
    for name in (name for name, one in MACH1.workloads.items() if one.batching == "static"):
        for metric in ("tpot_ms", "ttft_ms"):
            slow, fast = before.metrics[f"{name}.{metric}"], after.metrics[f"{name}.{metric}"]
            both = ~np.isnan(slow) & ~np.isnan(fast)
            assert (fast[both] <= slow[both] * (1 + 1e-12)).all()


@settings(max_examples=25, deadline=None)
@given(unit=UNIT)
def test_blocks_add_up_to_totals(unit):
    designs = SPACE.decode(unit)
    machine = EVALUATOR.machine(designs)
    for blocks, total in (("area_mm2", machine.die_mm2), ("tdp_w", machine.tdp_w), ("cost_usd", machine.cost_usd)):
        assert sum(machine.blocks[blocks].values()) == pytest.approx(total, rel=1e-12)


def test_chips_that_keep_their_limits_at_no_load_or_cannot_finish_the_load_are_not_feasible():
    def judged(**traffic):
        evaluator, design = evaluated({"node": "tsmc_5"}, {"model": "llama3_8b", "batching": "continuous", **traffic})
        result = evaluator.evaluate(design)
        return result, {name.removeprefix("w."): float(values[0]) for name, values in result.metrics.items()}

    alone = judged(concurrency=1)[1]["ttft_ms"]
    missed, metrics = judged(ttft_limit_ms=alone / 2)
    assert metrics["goodput_requests_per_s"] == 0 and not missed.feasible[0]
    assert missed.margins["w.load"][0] == pytest.approx(-1, rel=0.02), "a single request takes twice the limit"
    kept, metrics = judged(ttft_limit_ms=2 * alone)
    assert metrics["goodput_requests_per_s"] > 0 and kept.feasible[0]
    most = judged(concurrency=10_000)[1]["requests_per_s"]
    for load, feasible in ((0.9, True), (3.0, False)):
        result, metrics = judged(arrivals_per_s=load * most)
        assert result.margins["w.load"][0] == pytest.approx(1 - load, rel=0.05)
        assert result.feasible[0] == feasible == (metrics["ttft_ms"] < np.inf)

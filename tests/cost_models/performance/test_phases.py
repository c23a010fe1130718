"""Decode and prefill times: closed forms, bounds, limits, and what is known of published machines."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import run_kernels
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.inference import Inference, decode_bound_s
from cost_models.performance.phases import decode_phase, mean_of_larger, prefill_phase
from cost_models.performance.serving_stack import software
from cost_models.silicon.chip import chip_machine
from cost_models.silicon.machine import NO_COLUMNS, Machine
from cost_models.table import Choice
from cost_models.workload.formats import Formats, unpacking
from cost_models.workload.serving import ServingConfig

LIBRARY, TECHNOLOGY = shipped_library(), Technology()
value = st.floats(0, 1e3)


def profile(name, family=None, **replaced):
    parameters = Technology({f"stacks.{name}.{key}": number for key, number in replaced.items()})
    return software(Choice.of(name), parameters, family and Choice.of(family))


def bare_machine(bandwidth, rate=1e18, link=0.0):
    usual = NO_COLUMNS | {"link_added_s", "link_hop_s", "link_rivalry"}
    one = {key: np.ones(1) for key in Machine.__dataclass_fields__ if key not in usual}
    one |= {f"{use}_mac_per_s": np.array([rate]) for use in ("linear", "head", "attention")}
    one |= {"bandwidth_bytes_per_s": np.array([bandwidth]), "sram_bytes": np.array([1e9])}
    one |= {name: np.array([np.inf]) for name in ("dequantize_bytes_per_s", "vector_ops_per_s")}
    one |= {"link_bytes_per_s": np.array([link])}
    one |= {"static_shapes": np.zeros(1)}
    return Machine(**one)


@given(f=st.tuples(value, value), g=st.tuples(value, value))
def test_mean_of_the_larger_of_two_lines_against_adding_many_points(f, g):
    x = (np.arange(20_000) + 0.5) / 20_000
    sampled = np.maximum(f[0] + (f[1] - f[0]) * x, g[0] + (g[1] - g[0]) * x).mean()
    exact = mean_of_larger(tuple(map(np.float64, f)), tuple(map(np.float64, g)))
    assert exact == pytest.approx(sampled, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("model", "tokens_per_s"), [("llama2_70b", 857), ("llama1_65b", 376)])
def test_the_ideal_stack_reproduces_the_two_published_throughputs_of_the_founding_chip(model, tokens_per_s):
    # Back-solve of the Mach-1 chip: 4-bit weights, 8-bit KV cache, 1134 GB/s and nothing else reproduce both.
    serving = ServingConfig(LIBRARY.model(model), 32.0, 1024.0, 1024.0)
    step = decode_phase(serving, bare_machine(1134e9), profile("ideal"), Formats(4.0, 4.0, 8.0, 16.0))
    assert 32 / step.pass_s[0] == pytest.approx(tokens_per_s, rel=0.01)


def test_two_a100_take_between_the_floor_and_twice_the_floor_for_llama2_70b():
    chip = LIBRARY.chip("a100_80gb_sxm")
    machine = chip_machine(
        chip, weight_format=LIBRARY.weight_format("bf16"), act_bits=16, kv_bits=16, technology=TECHNOLOGY
    )
    serving = ServingConfig(LIBRARY.model("llama2_70b"), 32.0, 1024.0, 1024.0, 2.0)
    real = Inference(serving, machine, profile("tensorrt_llm", chip.family), Formats(16.0, 16.0, 16.0, 16.0))
    assert 37.6e-3 < real.decode_s[0] < 75.2e-3
    assert real.fits.all()


def test_the_prefill_yields_the_first_token():
    def request_s(prompt, output):
        serving = ServingConfig(LIBRARY.model("llama2_7b"), 8.0, prompt, output)
        machine, form = bare_machine(1e12), Formats(16.0, 16.0, 16.0, 16.0)
        result = Inference(serving, machine, profile("ideal"), form)
        return result.request_s[0], result.prefill_s[0], result.decode_s[0]

    whole, prefill, _ = request_s(512.0, 1.0)
    assert whole == prefill
    whole, prefill, step = request_s(512.0, 5.0)
    assert whole == pytest.approx(prefill + 4 * step)
    # Without a prompt every token is a step of its own.
    whole, prefill, step = request_s(0.0, 5.0)
    assert whole == pytest.approx(prefill + 5 * step)


def test_the_mean_step_is_the_mean_over_the_steps():
    # A slow twin: every step of its own, attention crossing from arithmetic to memory on the way.
    stack = profile("static_compiled", decode_attention_compute_efficiency=0.01, attention_compute_efficiency=0.01)
    machine = bare_machine(1e12, rate=40e12)
    serving = ServingConfig(LIBRARY.model("llama2_7b"), 8.0, 16.0, 64.0)
    form = Formats(4.0, 16.0, 8.0, 16.0)
    steps = [
        decode_phase(ServingConfig(serving.model, 8.0, 16.0 + i, 1.0), machine, stack, form).pass_s[0]
        for i in range(64)
    ]
    assert decode_phase(serving, machine, stack, form).pass_s[0] == pytest.approx(np.mean(steps), rel=1e-9)


@pytest.mark.parametrize("phase", [decode_phase, prefill_phase])
def test_an_operator_takes_the_larger_time_a_part_of_the_lesser_its_start_and_its_sums(phase):
    engine = profile("ideal", non_overlapped_fraction=0.3, kernel_s=1e-6, collective_base_s=2e-6)
    serving = ServingConfig(LIBRARY.model("deepseek_v2"), 4.0, 128.0, 16.0, tensor_parallel=2.0)
    work = phase(serving, bare_machine(1e12, rate=4e13, link=1e11), engine, Formats(16.0, 16.0, 16.0, 16.0))
    times, sums = work.times, work.times.collective_s.ravel() > 0
    larger, lesser = np.maximum(times.memory_s, times.arithmetic_s), np.minimum(times.memory_s, times.arithmetic_s)
    expected = (larger + 0.3 * lesser + times.kernel_s + times.collective_s) * work.operators.times
    np.testing.assert_allclose(work.total_s, expected, rtol=1e-12)
    assert [name for name, one in zip(work.operators.names, sums, strict=True) if one] == [
        "attention_out", "ffn_down", "experts",
    ]  # fmt: skip


@pytest.mark.parametrize("cache_split", ["batch", "context"])
def test_queries_that_go_to_keys_on_other_chips_take_their_time(cache_split):
    engine, form = profile("ideal", collective_base_s=2e-6), Formats(16.0, 16.0, 16.0, 16.0)
    machine = bare_machine(1e12, rate=4e13, link=1e11)
    by_heads = ServingConfig(LIBRARY.model("llama2_70b"), 4.0, 128.0, 16.0, tensor_parallel=2.0)
    work = decode_phase(replace(by_heads, cache_split=cache_split), machine, engine, form)
    place = work.operators.names.index("attention")
    assert decode_phase(by_heads, machine, engine, form).times.collective_s[place] == 0
    assert work.times.collective_s[place] > 0
    times = work.times
    expected = (np.maximum(times.memory_s, times.arithmetic_s) + times.kernel_s + times.collective_s)[place]
    np.testing.assert_allclose(work.total_s[place], expected * work.operators.times[place], rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(sorted(LIBRARY.stacks)), batch=st.integers(1, 128), prompt=st.integers(1, 4096),
    tp=st.sampled_from([1.0, 2.0, 8.0]), model=st.sampled_from(["llama2_7b", "mixtral_8x7b", "deepseek_v2"]),
)  # fmt: skip
def test_no_pass_beats_its_bound(name, batch, prompt, tp, model):
    serving = ServingConfig(LIBRARY.model(model), float(batch), float(prompt), 16.0, tp)
    machine, form = bare_machine(2e12, rate=150e12, link=100e9), Formats(8.0, 16.0, 16.0, 16.0)
    for function in (decode_phase, prefill_phase):
        step = function(serving, machine, profile(name), form)
        assert (step.pass_s >= decode_bound_s(step, machine) * (1 - 1e-12)).all()


def test_chunks_read_the_weights_anew_and_change_nothing_else():
    serving = ServingConfig(LIBRARY.model("llama2_7b"), 4.0, 1024.0, 1.0)
    machine, form = bare_machine(1e12), Formats(16.0, 16.0, 16.0, 16.0)
    whole = prefill_phase(serving, machine, profile("ideal"), form)
    parts = prefill_phase(serving, machine, profile("ideal", chunk_rows=1024), form)
    body = whole.operators.of_class("linear")
    np.testing.assert_allclose(parts.sum(parts.times.weight_bytes), 4 * whole.sum(whole.times.weight_bytes))
    macs = [(step.operators.macs * step.operators.times * body).sum() for step in (whole, parts)]
    assert macs[0] == pytest.approx(macs[1])


def test_layers_in_turn_read_with_one_memory_and_a_pipeline_with_all():
    model, form = LIBRARY.model("llama2_70b"), Formats(16.0, 16.0, 16.0, 16.0)
    machine = bare_machine(1e12, link=1e12)
    one = decode_phase(ServingConfig(model, 1.0, 128.0, 128.0), machine, profile("ideal"), form).pass_s
    turns = ServingConfig(model, 1.0, 128.0, 128.0, stages=4.0, parallelism="layer_split")
    assert decode_phase(turns, machine, profile("ideal"), form).pass_s == pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize(
    ("stages", "batch", "rows"), [(1.0, 8.0, 1e9), (4.0, 8.0, 1e9), (4.0, 3.0, 300.0), (3.0, 1.0, 50.0)]
)
def test_a_prefill_goes_through_stages_in_turn(stages, batch, rows):
    model, form, machine = LIBRARY.model("llama2_7b"), Formats(16.0, 16.0, 16.0, 16.0), bare_machine(1e12, link=1e12)
    engine = profile("ideal", chunk_rows=rows)

    def turns(parallelism):
        serving = ServingConfig(model, batch, 128.0, 16.0, stages=stages, parallelism=parallelism)
        work = prefill_phase(serving, machine, engine, form)
        ratio = work.total_s / (work.times.total_s * work.operators.times)
        assert np.ptp(ratio) < 1e-12
        return serving, ratio[0, 0]

    # m parts over p stages of a pipeline: the last begins p - 1 turns later; of chunks of one prompt as well.
    serving, pipeline = turns("pipeline")
    parts = min(batch, stages)
    assert float(serving.batch_parts) == parts and pipeline == pytest.approx((parts + stages - 1) / stages)
    chunks = np.ceil(batch * 128 / rows)
    assert turns("layer_split")[1] == pytest.approx((chunks + stages - 1) / (chunks * stages))
    assert stages > 1 or turns("tensor")[1] == 1


def test_attention_of_the_mean_step_is_that_of_the_mean_context():
    machine, form, engine = bare_machine(1e12, rate=40e12), Formats(4.0, 16.0, 8.0, 16.0), profile("ideal")
    model = LIBRARY.model("llama2_7b")
    # Contexts from 17 to 80, and 48.5 alone.
    mean, middle = (
        decode_phase(ServingConfig(model, 8.0, *lengths), machine, engine, form)
        for lengths in ((16.0, 64.0), (47.5, 1.0))
    )
    at = mean.operators.names.index("attention")
    for name in ("memory_s", "arithmetic_s", "dram_bytes"):
        told, wanted = (getattr(one.times, name)[at] for one in (mean, middle))
        assert told == pytest.approx(wanted) and told > 0
    np.testing.assert_array_equal(mean.chip_macs, mean.operators.macs)
    near = replace(mean, times=replace(mean.times, near_bytes=np.eye(len(mean.operators.names))[:, at : at + 1]))
    assert near.chip_macs[at] == 0 and (np.delete(near.chip_macs - mean.operators.macs, at, axis=0) == 0).all()


def test_a_schedule_made_beforehand_sweeps_the_longest_context_at_every_step():
    model, form, engine = LIBRARY.model("llama2_7b"), Formats(16.0, 16.0, 16.0, 16.0), profile("ideal", kernel_s=1e-6)
    static = replace(bare_machine(1e12), static_shapes=np.array([1.0, 0.0]))
    step = decode_phase(ServingConfig(model, 8.0, 16.0, 64.0), static, engine, form)
    longest, usual = (
        decode_phase(ServingConfig(model, 8.0, *lengths), bare_machine(1e12), engine, form)
        for lengths in ((79.0, 1.0), (16.0, 64.0))
    )
    assert step.pass_s.tolist() == pytest.approx([longest.pass_s[0], usual.pass_s[0]])
    # Two kernels of attention in each layer beside what they read.
    at = usual.operators.names.index("attention")
    reading = np.maximum(usual.times.memory_s, usual.times.arithmetic_s)[at]
    assert usual.total_s[at] == pytest.approx(32 * (reading + 2e-6))


def test_queries_of_prompts_share_what_is_read_with_all_others():
    model, form, engine = LIBRARY.model("llama2_70b"), Formats(16.0, 16.0, 16.0, 16.0), profile("ideal")
    serving = ServingConfig(model, 8.0, 100.0, 64.0)
    alone, joined = (decode_phase(serving, bare_machine(1e12), engine, form, prompts=prompts) for prompts in (0.0, 2.0))
    # Eight query heads on a key head; of two prompts each of 100 tokens meets itself and those before it.
    assert alone.sharing == 8
    meeting, deciding = 2 * 100 * 101 / 2, 8 * (100 + 32.5)
    assert joined.sharing == pytest.approx(8 * (1 + meeting / deciding))


def test_heads_dealt_to_the_devices_of_a_chip_replicate_keys_and_values():
    model, form = LIBRARY.model("llama2_70b"), Formats(16.0, 16.0, 16.0, 16.0)
    serving = ServingConfig(model, 64.0, 4096.0, 1.0, 8.0)
    machine = bare_machine(1e12, link=1e12)
    whole, parts = (
        decode_phase(serving, replace(machine, devices=np.array([devices])), profile("ideal"), form)
        for devices in (1.0, 2.0)
    )
    # Eight KV heads on 16 cores: each is held twice.
    cache = [step.operators.kv_elements.sum() for step in (whole, parts)]
    assert cache[1] == pytest.approx(2 * cache[0])


def test_the_devices_of_one_chip_sum_over_its_links():
    model, form = LIBRARY.model("llama2_7b"), Formats(16.0, 16.0, 16.0, 16.0)
    machine = replace(bare_machine(1e12, link=100e9), devices=np.array([2.0]))
    stack = profile("ideal", collective_base_s=5e-6, collective_hop_s=1e-6)
    for chips in (1, 2):
        step = decode_phase(ServingConfig(model, 8.0, 128.0, 128.0, float(chips)), machine, stack, form)
        size, ranks = 8 * model.d_model * 2, 2 * chips
        each = 5e-6 + (ranks - 2) * 1e-6 + 2 * (ranks - 1) / ranks * size / 50e9
        # Two sums per layer.
        assert step.sum(step.times.collective_s)[0] == pytest.approx(2 * model.layers * each)
        assert step.sum(step.times.link_bytes)[0] == pytest.approx(
            2 * model.layers * 2 * 2 * (ranks - 1) / ranks * size
        )


def test_the_host_scores_a_row_of_every_sequence():
    engine = profile("ideal", step_s=3e-3, sequence_s=0.5e-3, logit_s=2e-9, prefill_s=7e-3)
    model, form = LIBRARY.model("llama2_7b"), Formats(16.0, 16.0, 16.0, 16.0)
    serving = ServingConfig(model, 4.0, 128.0, 16.0)
    step, prompts = (phase(serving, bare_machine(1e12), engine, form) for phase in (decode_phase, prefill_phase))
    host_s = 3e-3 + 4 * (0.5e-3 + model.vocab * 2e-9)
    assert step.fixed_s == pytest.approx([host_s]) and prompts.fixed_s == pytest.approx([host_s + 7e-3])
    # Each of two stages but the first is handed the activations of every sequence, over a link of its own.
    linked, staged = bare_machine(1e12, link=1e6), replace(serving, stages=2.0)
    hop_s = 4 * model.d_model * 2 / 1e6
    assert decode_phase(staged, linked, engine, form).fixed_s == pytest.approx([host_s + hop_s])


def test_a_first_token_in_flight_waits_for_a_step_and_a_half_and_for_the_host():
    chip = LIBRARY.chip("h100_sxm")
    machine = chip_machine(
        chip, weight_format=LIBRARY.weight_format("bf16"), act_bits=16, kv_bits=16, technology=TECHNOLOGY
    )
    serving = ServingConfig(LIBRARY.model("llama3_8b"), 16.0, 512.0, 128.0)
    engine = profile("vllm", chip.family, wait_s=0.02)
    form = Formats(16.0, 16.0, 16.0, 16.0)
    alone = Inference(replace(serving, batch=1.0), machine, engine, form)
    flying = replace(Inference(serving, machine, engine, form), in_flight=1.0)
    assert flying.prefill_s[0] == pytest.approx(alone.prefill_s[0] + 1.5 * flying.decode_s[0] + 0.02)
    # What is waited for is no work: it does not lower what the engine gets through.
    hasty = replace(flying, software=profile("vllm", chip.family, wait_s=0.0))
    assert hasty.tokens_per_s_end_to_end[0] == flying.tokens_per_s_end_to_end[0]


@pytest.mark.parametrize("batch", [8.0, 4096.0])
def test_prompts_that_join_a_step_share_its_weights(batch):
    """T(B + r) - T(B): all of the prompts' arithmetic where a step computes, none of it where it waits for memory."""
    model, form, machine = LIBRARY.model("llama2_7b"), Formats(16.0, 16.0, 16.0, 16.0), bare_machine(1e12, rate=1e14)
    machine = replace(machine, dequantize_macs=np.zeros(1))
    serving = ServingConfig(model, batch, 16.0, 64.0)
    engine = profile("ideal")
    step, joined = (decode_phase(serving, machine, engine, form, prompts=prompts) for prompts in (0.0, 2.0))
    apart = prefill_phase(replace(serving, batch=2.0), machine, engine, form)
    assert joined.sum(joined.times.weight_bytes)[0] == step.sum(step.times.weight_bytes)[0]
    body = joined.sum_of_class("linear", joined.operators.macs) - step.sum_of_class("linear", step.operators.macs)
    assert body[0] == pytest.approx(apart.sum_of_class("linear", apart.operators.macs)[0])
    added = joined.pass_s[0] - step.pass_s[0]
    computing = apart.sum(apart.operators.macs)[0] / machine.linear_mac_per_s[0]
    assert 0 < added <= apart.pass_s[0]
    assert added == pytest.approx(computing, rel=0.02) if batch > 1000 else added < 0.1 * apart.pass_s[0]


def test_prompts_longer_than_a_chunk_take_several_steps():
    model, form, machine = LIBRARY.model("llama2_7b"), Formats(16.0, 16.0, 16.0, 16.0), bare_machine(1e12, rate=1e14)
    # A prompt of four chunks per two steps: two passes join, the others are by themselves.
    serving = ServingConfig(model, 2.0, 4096.0, 4.0)
    engine = profile("ideal", chunk_rows=1024.0)
    flying = Inference(serving, machine, engine, form, in_flight=np.ones(1))
    joining = flying.joining.pass_s - flying.decode.pass_s
    alone = prefill_phase(replace(serving, batch=1.0), machine, engine, form).pass_s / 4
    assert flying.joining_s[0] == pytest.approx((joining + alone)[0])
    assert flying.step_energy.board_j[0] > flying.decode_energy.board_j[0]


def test_experts_reach_what_kernels_of_their_format_reach():
    serving = ServingConfig(LIBRARY.model("deepseek_v3"), 4.0, 8192.0, 8.0, 8.0)

    def experts_s(chip, form):
        machine, engine, formats = run_kernels([ChipSetup(chip, form, act_bits=8.0)], TECHNOLOGY)
        work = prefill_phase(serving, machine, replace(engine, expert_block_efficiency=np.full(1, 0.25)), formats)
        assert engine.expert_efficiency == 1
        return work.times.arithmetic_s[work.operators.names.index("experts")][0]

    # Scales of blocks are the multiplier's where it takes four-bit floats, and take a kernel's time where not.
    for chip, slower in (("h100_sxm", 4), ("gb200", 1)):
        assert experts_s(chip, "fp8_block128") == pytest.approx(slower * experts_s(chip, "fp8"))
    # Kernels that dequantize use instructions of every generation, which Hopper has faster ones than.
    newer, older = (profile("gpu_serving", family).expert_dequantize_efficiency for family in ("hopper", "ampere"))
    assert newer == pytest.approx(TECHNOLOGY.value("chip_families.hopper.portable_factor") * older)
    # A stack whose kernels are all of that kind loses it once.
    newer, older = (profile("llama_cpp", family) for family in ("hopper", "ampere"))
    factor = TECHNOLOGY.value("chip_families.hopper.gemm_factor") * TECHNOLOGY.value(
        "chip_families.hopper.portable_factor"
    )
    assert newer.gemm_efficiency == pytest.approx(factor * older.gemm_efficiency)
    assert newer.expert_dequantize_efficiency == older.expert_dequantize_efficiency


def test_a_static_graph_sends_every_token_through_every_expert():
    model, tokens = LIBRARY.model("mixtral_8x7b"), 3.0
    serving = ServingConfig(model, tokens, 512.0, 128.0)
    form = Formats(16.0, 16.0, 16.0, 16.0)
    chosen, every = (
        decode_phase(serving, bare_machine(1e12), profile("ideal", all_experts=flag), form) for flag in (0, 1)
    )
    at = every.operators.names.index("experts")
    expert = 3 * model.d_model * model.moe.expert_d_ff
    assert every.operators.macs[at] == pytest.approx(tokens * model.moe.experts * expert)
    assert every.operators.weights[at] == pytest.approx(model.moe.experts * expert)
    assert chosen.operators.macs[at] == pytest.approx(tokens * model.moe.active_experts * expert)


def test_scores_that_leave_the_chip_are_bytes_of_every_pair():
    model, prompt = LIBRARY.model("llama2_7b"), 4096.0
    serving, form = ServingConfig(model, 1.0, prompt, 1.0), Formats(16.0, 16.0, 16.0, 16.0)
    without, crossing = (
        prefill_phase(serving, bare_machine(1e12), profile("ideal", score_passes=passes), form) for passes in (0, 2)
    )
    pairs = model.layers * model.heads * prompt * (prompt + 1) / 2
    assert (crossing.dram_bytes - without.dram_bytes)[0] == pytest.approx(2 * 2 * pairs, rel=1e-6)


def test_unpacking_takes_half_for_eight_bits_of_what_four_take():
    np.testing.assert_allclose(unpacking(np.array([16.0, 8.0, 4.0, 2.0, 32.0])), [0.0, 0.5, 1.0, 1.5, 0.0])
    assert (np.diff(unpacking(np.linspace(1, 16, 50))) < 0).all()

"""Time of operators: closed forms, bounds, and what makes kernels slower than the roofline."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.roofline import by_class, decode_attention_fraction, row_slots, time_operators
from cost_models.performance.serving_stack import software
from cost_models.silicon.machine import NO_COLUMNS, Machine
from cost_models.table import Choice
from cost_models.workload.formats import Formats
from cost_models.workload.operators import Shape, linear_operators

MODEL = shipped_library().model("llama2_70b")
TECHNOLOGY = Technology()
STACKS = sorted(shipped_library().stacks)


def machine(*, bandwidth=2e12, rate=150e12, sram=64e6, link=300e9, **other):
    one = {
        name: np.ones(1)
        for name in Machine.__dataclass_fields__
        if name not in NO_COLUMNS | {"dequantize_macs", "dequantize_rows"} and not name.startswith("link_")
    }
    one |= {f"{use}_mac_per_s": np.array([float(rate)]) for use in ("linear", "head", "attention")}
    one |= {"bandwidth_bytes_per_s": np.array([float(bandwidth)]), "sram_bytes": np.array([float(sram)])}
    one |= {"link_j_per_byte": np.ones(1), "vector_ops_per_s": np.array([np.inf])}
    one |= {"link_bytes_per_s": np.array([float(link)]), "dequantize_bytes_per_s": np.array([np.inf])}
    return Machine(**(one | {name: np.array([float(value)]) for name, value in other.items()}))


def stack(name, **replaced):
    return software(Choice.of(name), Technology({f"stacks.{name}.{key}": value for key, value in replaced.items()}))


def formats(weight_bits=16.0, **other):
    return Formats(weight_bits, 16.0, 16.0, 16.0, **other)


def timed(profile, chip, form, *, batch=1.0):
    operators = linear_operators(MODEL, Shape(batch, 1, 1), tokens_per_sequence=1.0, head_rows=batch)
    return operators, time_operators(operators, chip, profile, form, chips=1.0, attention_fraction=1.0)


def test_the_ideal_stack_gives_the_roofline():
    operators, time = timed(stack("ideal"), machine(), formats(), batch=4.0)
    expected = np.maximum(operators.weights * 2 / 2e12, operators.macs / 150e12)
    np.testing.assert_allclose(time.total_s, expected, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(STACKS), batch=st.integers(1, 512), bits=st.sampled_from([2.0, 4.25, 8.0, 16.0]))
def test_no_stack_beats_the_roofline(name, batch, bits):
    form = formats(bits, operand_bits=16.0, dequantized=float(bits < 16))
    _, real = timed(stack(name), machine(), form, batch=float(batch))
    _, ideal = timed(stack("ideal"), machine(), formats(bits), batch=float(batch))
    assert (real.total_s >= ideal.total_s * (1 - 1e-12)).all()


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(STACKS), batch=st.integers(1, 300), factor=st.floats(1.0, 4.0),
    what=st.sampled_from(["bandwidth", "rate", "fewer_bits", "smaller_batch"]),
)  # fmt: skip
def test_more_of_anything_never_slows(name, batch, factor, what):
    form = {"operand_bits": 16.0, "dequantized": 1.0}
    _, before = timed(stack(name), machine(), formats(8.0, **form), batch=float(batch))
    chip = machine(
        bandwidth=2e12 * (factor if what == "bandwidth" else 1), rate=150e12 * (factor if what == "rate" else 1)
    )
    bits = 8.0 / factor if what == "fewer_bits" else 8.0
    fewer = max(batch // 2, 1) if what == "smaller_batch" else batch
    _, after = timed(stack(name), chip, formats(bits, **form), batch=float(fewer))
    assert (after.total_s <= before.total_s * (1 + 1e-12)).all()


def test_a_kernel_reaches_half_its_bandwidth_when_its_bytes_take_as_long_as_its_floor():
    # B / t = e W B / (B + t0 e W): half of e W at B = t0 e W.
    profile = stack("ideal", kernel_s=5e-6)
    operators, time = timed(profile, machine(rate=1e30), formats())
    floor = operators.kernels * 5e-6
    np.testing.assert_allclose(time.total_s, time.memory_s + floor)
    reached = time.dram_bytes / time.total_s
    np.testing.assert_allclose(reached, 2e12 * time.memory_s / (time.memory_s + floor))


def test_what_the_longer_does_not_hide_of_the_shorter_is_added():
    _, time = timed(stack("ideal", non_overlapped_fraction=0.25), machine(), formats(), batch=64.0)
    longer, shorter = np.maximum(time.memory_s, time.arithmetic_s), np.minimum(time.memory_s, time.arithmetic_s)
    np.testing.assert_allclose(time.total_s, longer + 0.25 * shorter)


def test_widening_weights_collapses_the_gain_of_narrow_formats_with_rows_beyond_a_pass():
    # compression_mach1 section 5: passes ceil(M / m0) over the weights; without dequantizing the gain tends to 1.
    form = formats(4.0, operand_bits=16.0, dequantized=1.0)
    slow = stack("ideal", dequantize_macs=100, dequantize_rows=8)
    gains = []
    for batch in (1.0, 8.0, 64.0, 256.0):
        _, wide = timed(stack("ideal"), machine(), formats(), batch=batch)
        _, narrow = timed(slow, machine(), form, batch=batch)
        gains.append(float(wide.total_s[0, 0] / narrow.total_s[0, 0]))
    assert gains[0] > 1 > gains[-1]
    assert gains == sorted(gains, reverse=True)


def test_row_slots_are_whole_tiles_beyond_what_vector_kernels_serve():
    profile = stack("ideal", tile_rows=64, vector_rows=8)
    np.testing.assert_array_equal(row_slots(np.array([1.0, 8.0, 9.0, 64.0, 65.0]), profile), [1, 8, 64, 64, 128])


def test_queries_that_fraction_keys_fill_the_tile_of_a_matrix_unit():
    profile = stack(
        "ideal", decode_attention_compute_efficiency=0.05, attention_compute_efficiency=0.4, attention_rows=64
    )
    shares = decode_attention_fraction(np.array([1.0, 8.0, 64.0, 128.0]), machine(), profile, formats())
    np.testing.assert_allclose(shares, [0.05, 0.05, 0.4, 0.4])


def test_queries_without_a_tile_read_keys_again_from_the_memory_on_the_chip():
    profile = stack(
        "ideal", decode_attention_compute_efficiency=1.0, attention_compute_efficiency=1.0, attention_rows=8,
        attention_group=8, cache_read_gbps=2000,
    )  # fmt: skip
    chip, queries = machine(), np.array([1.0, 2.0, 4.0, 8.0, 29.0])
    # A cached element of 2 bytes is read once from DRAM and g - 1 times more at 2 TB/s; g products are made of it.
    again = 2000e9 / 2 * queries / np.maximum(queries - 1, 1e-9) / chip.attention_mac_per_s
    wanted = np.where(queries == 8, 1.0, np.minimum(again, 1.0))
    np.testing.assert_allclose(decode_attention_fraction(queries, chip, profile, formats()), wanted, rtol=1e-6)
    assert wanted[1] < 1


def test_classes_take_their_own_value_and_experts_that_of_linear_layers():
    operators = linear_operators(
        shipped_library().model("mixtral_8x7b"), Shape(1.0, 1, 1), tokens_per_sequence=1.0, head_rows=1.0
    )
    values = by_class(operators, linear=1.0, head=2.0, attention=3.0)[:, 0]
    expected = {"linear": 1.0, "expert": 1.0, "head": 2.0}
    assert values.tolist() == [expected[name] for name in operators.classes]
    apart = by_class(operators, linear=1.0, head=2.0, attention=3.0, expert=4.0)[:, 0]
    assert apart[operators.names.index("experts")] == 4.0


def test_few_loads_in_flight_stop_a_fast_memory_and_not_a_slow_one():
    profile = stack("ideal", stream_limit_gbps=1000)
    _, fast = timed(profile, machine(bandwidth=3e12), formats())
    _, slow = timed(profile, machine(bandwidth=0.5e12), formats())
    np.testing.assert_allclose(fast.dram_bytes / fast.memory_s, 1e12)
    np.testing.assert_allclose(slow.dram_bytes / slow.memory_s, 0.5e12)


@pytest.mark.parametrize(("bits", "share"), [(16.0, 0.8), (8.0, 0.6), (4.0, 0.45)])
def test_each_halving_of_the_operands_costs_a_fraction_of_the_rate(bits, share):
    profile = stack("ideal", gemm_efficiency=0.8, narrow_gemm_efficiency=0.75)
    operators, time = timed(profile, machine(), formats(bits, operand_bits=bits), batch=4096.0)
    np.testing.assert_allclose(time.arithmetic_s[0], operators.macs[0] / (150e12 * share))

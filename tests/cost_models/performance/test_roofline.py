"""Time of operators: closed forms, bounds, and what makes kernels slower than the roofline."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.roofline import (
    activation_element_bytes,
    array_slots,
    by_class,
    cached_bytes,
    decode_attention_fraction,
    dequantize_work_macs,
    expert_slots,
    roofline_s,
    rotation_macs,
    rotations,
    row_slots,
    stored_weight_bytes,
    tensors_of,
    time_operators,
    vector_s,
    vector_work,
)
from cost_models.performance.serving_stack import software
from cost_models.silicon.machine import NO_COLUMNS, Arrays, Machine, NearMemory
from cost_models.table import Choice
from cost_models.workload.formats import Formats
from cost_models.workload.operators import OperatorStack, Shape, linear_operators

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


def made(*each):
    """Return operators from their name, class and amounts."""
    stack = OperatorStack()
    for name, of, amounts in each:
        stack.add(name, of, 1.0, **amounts)
    return stack.build()


# One operator of each kind: the tensor that it reads, its class, and round amounts.
KINDS = made(
    ("qkv", "linear", {"rows": 3.0, "weights": 64.0, "macs": 192.0, "activations": 48.0, "vector_ops": 5.0}),
    ("experts", "expert", {"rows": 5.0, "weights": 32.0, "macs": 160.0, "activations": 40.0, "special_functions": 7.0}),
    ("lm_head", "head", {"rows": 0.0, "weights": 16.0, "macs": 16.0, "activations": 8.0}),
    ("attention", "attention", {"rows": 2.0, "macs": 80.0, "activations": 24.0, "kv_elements": 60.0,
                                "row_elements": 4.0}),
    ("index", "attention", {"rows": 2.0, "macs": 30.0, "activations": 4.0, "kv_elements": 10.0}),
    ("state", "attention", {"rows": 2.0, "macs": 12.0, "activations": 6.0, "state_bytes": 90.0}),
)  # fmt: skip
BITS = Formats(4.0, 16.0, 8.0, 12.0, expert_bits=2.0, wide_bits=32.0)


def first(found):
    return np.asarray(found)[:, 0].tolist()


def test_bits_and_tensors_of_each_class():
    assert tensors_of(KINDS) == ("dense", "experts", "head", "cache", "index", "state")
    assert first(stored_weight_bytes(KINDS, BITS)) == [32, 8, 32, 0, 0, 0]
    assert first(cached_bytes(KINDS, BITS)) == [0, 0, 0, 60, 10, 0]
    assert first(activation_element_bytes(KINDS, BITS)) == [1.5, 1.5, 1.5, 4, 4, 4]
    only = made(("attention", "attention", {"macs": 1.0}))
    assert activation_element_bytes(only, BITS).tolist() == [[4]]
    # What is told as a function is worked out only where an operator is of the class.
    assert by_class(only, linear=lambda: 1 / 0, head=lambda: 1 / 0, attention=np.array([1.0, 2.0])).tolist() == [[1, 2]]


def test_rotations_of_inputs_take_the_logarithm_of_the_width_for_each_element():
    named = ("attention_out", "ffn_down", "shared_experts", "experts", "state_out", "qkv", "lm_head")
    some = made(*((name, "linear", {"rows": 2.0, "activations": 2.0 * 8}) for name in named))
    assert first(rotations(some, Formats(4.0, 16.0, 8.0, 16.0, rotated=1.0))) == [1, 1, 1, 1, 1, 0, 0]
    assert first(rotation_macs(some, Formats(4.0, 16.0, 8.0, 16.0, rotated=1.0))) == [48] * 5 + [0, 0]
    assert not rotation_macs(some, BITS).any()
    # A row of one element is its own transform; fewer rows than one are one.
    narrow = made(*(("ffn_down", "linear", {"rows": r, "activations": a}) for r, a in ((4.0, 4.0), (0.5, 4.0), (1, 0))))
    assert first(rotation_macs(narrow, Formats(4.0, 16.0, 8.0, 16.0, rotated=1.0))) == [0, 8, 0]


def test_slots_of_routed_experts_are_half_a_tile_more_than_their_rows():
    rows = np.array([1.0, 2.0, 3.0, 10.0, 40.0, 100.0])
    # From tiles of 16 up to 64, where vector kernels serve two rows.
    between = stack("ideal", expert_rows=16, expert_most_rows=64, vector_rows=2)
    assert expert_slots(rows, between).tolist() == [1, 2, 16, 18, 60, 132]
    # A largest tile below the least is the least; tiles of a row are none.
    least = stack("ideal", expert_rows=16, expert_most_rows=4, vector_rows=0)
    assert expert_slots(rows, least).tolist() == [16, 16, 16, 18, 48, 108]
    assert (
        expert_slots(rows, stack("ideal", expert_rows=1, expert_most_rows=1, vector_rows=0)).tolist() == rows.tolist()
    )
    two = stack("ideal", expert_rows=2, expert_most_rows=2, vector_rows=0)
    assert expert_slots(rows, two).tolist() == [2, 3, 4, 11, 41, 101]


def test_a_stack_without_a_limit_of_cache_reads_has_none_however_fast_the_array():
    profile = stack("ideal", decode_attention_compute_efficiency=0.5, attention_compute_efficiency=0.1,
                    attention_rows=64, cache_read_gbps=1e9)  # fmt: skip
    assert decode_attention_fraction(2.0, machine(rate=1e22), profile, formats()) == 0.5
    # One that is told has none where no rate of the array is known.
    slow = stack("ideal", decode_attention_compute_efficiency=0.5, attention_compute_efficiency=0.1,
                 attention_rows=64, cache_read_gbps=1.0)  # fmt: skip
    assert decode_attention_fraction(2.0, machine(rate=np.inf), slow, formats()) == 0.5
    # Queries that fill a tile of a group's size reach what matrix units do, and no others.
    grouped = stack("ideal", decode_attention_compute_efficiency=0.0, attention_compute_efficiency=0.8,
                    attention_rows=4, attention_group=4)  # fmt: skip
    some = decode_attention_fraction(np.array([2.0, 4.0, 6.0]), machine(), grouped, formats())
    assert some.tolist() == [0, 0.8, 0]


def test_systolic_arrays_take_whole_tiles_one_after_the_other():
    # Four arrays of 4 x 4. A matrix of 9 x 10 on 6 rows: 3 x 3 tiles in 3 turns of 6 rows, or 2 x 3 in 2 turns of 9.
    # Of unlike shapes 90 weights are 90 / 16 tiles; outputs of one depth stand for all: 2 x 90 / 4 cycles by 4 arrays.
    some = made(
        ("qkv", "linear", {"rows": 6.0, "weights": 90.0, "depth": 9.0}),
        ("thin", "linear", {"rows": 0.0, "weights": 3.0, "depth": 3.0}),
        ("fused", "linear", {"rows": 6.0, "weights": 90.0}),
    )

    def arrays(rows, columns, macs, stay):
        return Arrays(*(np.full(1, float(one)) for one in (macs, rows, columns, stay)))

    def cycles(found, macs):
        return (found[:, 0] / macs).tolist()

    stay = arrays(4, 4, 64, 0)
    assert cycles(array_slots(some, stay), 64) == pytest.approx([3 * 6 + 8, 1 * 4 + 8, 90 / 16 / 4 * 6 + 8])
    out = arrays(4, 4, 64, 1)
    assert cycles(array_slots(some, out), 64) == pytest.approx([2 * 9 + 8, 1 * 4 + 8, 2 * 90 / 4 / 4 + 8])
    # Fewer units than a column of the array asks for make narrower arrays; part of an array beyond whole ones rests.
    narrow = arrays(4, 4, 8, 0)
    assert cycles(array_slots(some, narrow), 8) == pytest.approx([3 * 5 * 6 + 6, 4 + 6, 90 / 8 * 6 + 6])
    rest = arrays(4, 4, 31, 0)
    assert cycles(array_slots(some, rest), 31) == pytest.approx([9 * 6 + 8, 4 + 8, 90 / 16 * 6 + 8])
    # Less than a row of units is a column one wide.
    assert cycles(array_slots(some, arrays(4, 4, 2, 0)), 2) == pytest.approx([3 * 10 * 6 + 5, 4 + 5, 90 / 4 * 6 + 5])


def test_work_of_vector_units_and_of_decoders_beside_the_array():
    chip = machine(special_function_ops=4.0, vector_ops_per_s=10.0, dequantize_rows=2.0, dequantize_macs=3.0)
    assert first(vector_work(KINDS, chip, BITS)) == [5, 28, 0, 0, 0, 0]
    unpacked = Formats(4.0, 16.0, 8.0, 16.0, cache_unpack_ops=2.0)
    assert first(vector_work(KINDS, chip, unpacked)) == [5, 28, 0, 120, 20, 0]
    half = stack("ideal", gemm_efficiency=0.5)
    assert first(vector_s(KINDS, chip, half, unpacked)) == pytest.approx([1, 5.6, 0, 24, 4, 0])
    # Body weights once for each two rows: of 3 and 5 rows twice and three times; a head's are as they are.
    assert first(dequantize_work_macs(KINDS, chip)) == [64 * 2 * 3, 32 * 3 * 3, 0, 0, 0, 0]


def test_the_roofline_of_each_operator_where_it_runs():
    chip = machine(bandwidth=10.0, linear_mac_per_s=100.0, head_mac_per_s=1.0, attention_mac_per_s=4.0)
    time = time_operators(KINDS, chip, stack("ideal"), BITS, chips=1.0, attention_fraction=1.0)
    moved = first(time.dram_bytes)
    assert moved == [32, 8, 32, 60, 10, 90]
    slowest = [3.2, 1.6, 16, 20, 7.5, 9]
    assert first(roofline_s(KINDS, time, chip)) == pytest.approx(slowest)
    # Beside the banks the cache is read and multiplied at their rates, and a byte of scores crosses the pins.
    near = NearMemory(*(np.full(1, float(one)) for one in (20, 50, 25, 5, 16, 0, 1, 0)))
    there = np.array([[0.0], [0.0], [0.0], [60.0], [0.0], [0.0]])
    beside = replace(time, near_bytes=there, dram_bytes=np.where(there > 0, 1.0, time.dram_bytes))
    banks = replace(chip, near=near)
    assert first(roofline_s(KINDS, beside, banks)) == pytest.approx([3.2, 1.6, 16, 80 / 16, 7.5, 9])
    faster = replace(banks, near=replace(near, attention_mac_per_s=np.full(1, 400.0)))
    assert first(roofline_s(KINDS, beside, faster))[3] == pytest.approx(60 / 20)
    # Rows without such a memory have neither rate.
    none = replace(banks, near=NearMemory(*np.zeros((8, 1))))
    assert first(roofline_s(KINDS, time, none)) == pytest.approx(slowest)


def test_where_the_time_of_hand_made_operators_goes():
    # 16 bytes of SRAM: of 48, 40, 8 activations of 1.5 bytes and 24, 4, 6 of 4 bytes all but 16 bytes spill. Matrices
    # cross 2 macs / sqrt(S) elements at least; attention holds 16 / (2 x 4 x 4) queries of 4 elements, and without
    # outputs 16 / (2 x 1 x 4); what reads no keys has neither.
    chip = machine(bandwidth=10.0, rate=100.0, sram=16.0)
    time = time_operators(KINDS, chip, stack("ideal"), BITS, chips=1.0, attention_fraction=0.5)
    tiles = [2 * macs * 1.5**1.5 / 4 for macs in (192, 160, 16)]
    spilled = [32 + 56, 8 + 44, 32, 60 + 80, 10, 90 + 8]
    least = [*tiles, 80 / 0.5, 30 / 2, 0]
    wanted = np.maximum(spilled, least)
    assert first(time.dram_bytes) == pytest.approx(wanted) and first(time.memory_s) == pytest.approx(wanted / 10)
    assert first(time.arithmetic_s) == pytest.approx([1.92, 1.6, 0.16, 80 / 50, 30 / 50, 12 / 50])
    assert first(time.weight_bytes) == [32, 8, 0, 0, 0, 0]
    # Scores that are written and read again: one for each pair, four elements of a query and its output at a time.
    again = time_operators(KINDS, chip, stack("ideal", score_passes=3), BITS, chips=1.0, attention_fraction=0.5)
    extra = np.array(first(again.dram_bytes)) - first(time.dram_bytes)
    assert extra.tolist() == pytest.approx([0, 0, 0, 80 / 4 * 4 * 3, 30 * 4 * 3, 0])


def test_kernels_that_widen_weights_read_and_multiply_more_slowly_body_and_experts_alone():
    wide = Formats(4.0, 16.0, 8.0, 16.0, operand_bits=4.0, dequantized=1.0, expert_bits=4.0)
    profile = stack(
        "ideal", bandwidth_efficiency=0.5, attention_bandwidth_efficiency=0.25, dequantize_bandwidth_efficiency=0.8,
        dequantize_compute_efficiency=0.5, expert_dequantize_efficiency=0.25, narrow_gemm_efficiency=0.9,
        gemm_efficiency=0.5, dequantize_macs=10, dequantize_rows=2,
    )  # fmt: skip
    chip = machine(bandwidth=10.0, rate=100.0, sram=1e9)
    time = time_operators(KINDS, chip, profile, wide, chips=1.0, attention_fraction=1.0)
    assert first(time.memory_s) == pytest.approx([32 / 4, 16 / 4, 32 / 5, *(bytes_ / 2.5 for bytes_ in (60, 10, 90))])
    # Two halvings of the operands; ten slots a weight for each two rows; half the rate, and a quarter for experts.
    linear = 100 * 0.5 * 0.9**2 / 2
    slots = (192 + 64 * 2 * 10, 160 + 32 * 3 * 10)
    told = [slots[0] / linear, slots[1] / linear / 0.25, 16 / 50, 0.8, 0.3, 0.12]
    assert first(time.arithmetic_s) == pytest.approx(told)
    # Experts with a scale for each block, and without, where nothing is widened; operands no wider than 16 bits.
    for blocks, share in ((1.0, 0.5), (0.0, 0.75)):
        plain = Formats(16.0, 16.0, 8.0, 16.0, operand_bits=32.0, scaled_blocks=blocks)
        routed = stack("ideal", expert_efficiency=0.75, expert_block_efficiency=0.5, narrow_gemm_efficiency=0.9)
        time = time_operators(KINDS, chip, routed, plain, chips=1.0, attention_fraction=1.0)
        assert first(time.arithmetic_s)[:2] == pytest.approx([1.92, 1.6 / share])


def test_exchanges_and_launches_of_hand_made_operators():
    stacked = made(
        ("ffn_down", "linear", {"rows": 1.0, "weights": 4.0, "macs": 4.0, "activations": 8.0, "kernels": 2.0,
                                "reduced": 10.0}),
        ("experts", "expert", {"rows": 1.0, "weights": 4.0, "macs": 4.0, "activations": 8.0, "kernels": 3.0,
                               "exchanges": 2.0, "exchanged": 6.0, "dispatched": 6.0}),
    )  # fmt: skip
    profile = stack("ideal", kernel_s=0.5, kernels_launched=0.5, exchange_exposed_fraction=0.25)
    turned = Formats(4.0, 16.0, 8.0, 16.0, operand_bits=8.0, rotated=1.0)
    chip = machine(link=10.0, devices=2.0, dies=2.0, die_link_bytes_per_s=4.0, die_step_s=0.125, link_added_s=0.0,
                   link_hop_s=0.0, link_rivalry=0.0, link_axes=1.0)  # fmt: skip
    time = time_operators(stacked, chip, profile, turned, chips=2.0, attention_fraction=1.0, replicas=1.0)
    # Inputs of both are rotated by a kernel more.
    assert first(time.kernel_s) == [3 * 0.25, 4 * 0.25]
    # 20 bytes round four devices of half a link each; then two steps of two dies; 6 elements of 2 bytes and as many of
    # one over a whole link, a quarter of it exposed.
    ring, dies = 2 * 20 * 3 / 4 / 5, 2 * (0.125 + 20 / 8)
    assert first(time.collective_s) == pytest.approx([ring + dies, 18 / 10 / 4])
    assert first(time.link_bytes) == pytest.approx([20 * 2 * 2 * 3 / 4, 18])
    alone = time_operators(stacked, replace(chip, devices=np.ones(1), dies=np.ones(1)), profile, turned, chips=1.0,
                           attention_fraction=1.0)  # fmt: skip
    assert first(alone.collective_s)[0] == 0 and first(alone.link_bytes)[0] == 0

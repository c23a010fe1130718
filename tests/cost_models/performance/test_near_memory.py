"""Units beside the banks: closed forms, published peaks and gains, what they cannot multiply, what they cost."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.serve import designs_machine, serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.layers import Indexer, StateLayers
from cost_models.library.technology import Technology
from cost_models.performance.near_memory import faster, near_times
from cost_models.performance.phases import decode_phase
from cost_models.performance.roofline import time_operators
from cost_models.silicon.cost import Economics
from cost_models.silicon.machine import NearMemory
from cost_models.silicon.near_memory import operand_bits, plain_bits
from cost_models.table import Choice, Table
from cost_models.workload.operators import held_weights
from tests.cost_models.performance.test_roofline import BITS, KINDS, first, machine, stack
from tests.cost_models.performance.test_roofline import made as operators_of

TECHNOLOGY, ECONOMICS = Technology(), Economics.of(shipped_library())
PLAIN = {"memory": "lpddr5x_9600", "memory_devices": 16, "memory_device_bits": 64, "memory_device_gib": 8}
BANKS = {**PLAIN, "memory": "lpddr5x_pim_9600"}
INT8 = {"weight_format": "int8", "act_bits": 8, "kv_bits": 8}
ONE = Workload("one", "llama2_70b", 1.0, 1024, 256)
STACK = {"memory_devices": 1, "memory_device_bits": 1024, "memory_device_gib": 6, "sram_mib": 16}


def served(settings, workload=ONE, technology=TECHNOLOGY):
    return serve_designs(Table.from_settings(settings), workload, technology, ECONOMICS)


def made(settings, technology=TECHNOLOGY):
    return designs_machine(Table.from_settings(settings), technology, ECONOMICS)


def typ(path):
    return float(TECHNOLOGY.value(path))


def beside(result):
    """Return the operators of a decode step that run beside the banks."""
    near = result.inference.decode.times.near_bytes
    return {name for name, row in zip(result.inference.decode.operators.names, near, strict=True) if row.any()}


def row_of(result, name):
    return result.inference.decode.operators.names.index(name)


@pytest.mark.parametrize(
    ("memory", "devices", "gbps", "tflops"),
    # Aquabolt-XL: a stack of 1.23 TB/s inside and 1.2 TFLOPS of FP16. AiM: a package of two channels of 512 GB/s and
    # 1 TFLOPS of bfloat16. LPDDR5-PIM has 102.4 GB/s where 16 pins of 6.4 Gb/s have 12.8: 19.2 at 9.6 Gb/s.
    [
        ("hbm2_pim", {"memory_devices": 1, "memory_device_gib": 6}, 1228.8, 1.2288),
        ("gddr6_aim_16", {"memory_devices": 1, "memory_device_gib": 1}, 1024.0, 1.024),
        ("lpddr5x_pim_9600", {"memory_devices": 1, "memory_device_bits": 32, "memory_device_gib": 8}, 307.2, 0.3072),
    ],
)
def test_peaks_inside_are_the_published_ones(memory, devices, gbps, tflops):
    everything = Technology({f"near_memory.{memory.removesuffix('_16').removesuffix('_9600')}.gemv_efficiency": 1.0})
    near = made({"memory": memory, **devices, "weight_format": "bf16", "act_bits": 16, "kv_bits": 16}, everything).near
    assert near.bytes_per_s / 1e9 == pytest.approx([gbps])
    assert 2 * near.linear_mac_per_s / 1e12 == 2 * near.attention_mac_per_s / 1e12 == pytest.approx([tflops])


def test_a_product_takes_what_reading_telling_and_starting_take():
    result = served({**BANKS, **INT8})
    decode, machine, software = result.inference.decode, result.machine, result.inference.software
    row = row_of(result, "ffn_down")
    depth, width = 28672, 8192
    weights = depth * width * result.formats.weight_bits / 8
    inside = 1024 * 9.6e9 / 8 * typ("near_memory.lpddr5x_pim.bandwidth_over_external")
    reached = inside * typ("near_memory.lpddr5x_pim.gemv_efficiency")
    # 64 channels of 16 bits are each told all inputs, 8 bits each, and send their share of the outputs.
    told = (64 * depth + width) * 1.0
    pins = machine.bandwidth_bytes_per_s * machine.stream_efficiency * software.bandwidth_efficiency
    expected = weights / reached + told / pins + typ("near_memory.lpddr5x_pim.start_ns") * 1e-9
    assert decode.times.memory_s[row] == pytest.approx(expected)
    assert decode.times.near_bytes[row] == pytest.approx(weights)
    assert decode.times.dram_bytes[row] == pytest.approx(told)


@pytest.mark.parametrize("settings", [{**BANKS, **INT8}, {**BANKS, "memory_decoder": 1, "kv_bits": 8}])
@pytest.mark.parametrize("batch", [1.0, 2.0, 3.0, 8.0, 64.0])
@pytest.mark.parametrize("model", ["llama2_70b", "mixtral_8x7b"])
def test_every_operator_runs_where_it_is_faster(settings, batch, model):
    result = served(settings, Workload("one", model, batch, 1024, 256))
    inference, near = result.inference, result.machine.near
    serving, stack, formats = inference.serving, inference.software, inference.formats
    alone = decode_phase(serving, replace(inference.placed, near=None), stack, formats)
    uses = ("linear", "expert", "head", "attention")
    rates = {f"{use}_mac_per_s": getattr(near, f"{use}_mac_per_s") * 1e9 for use in uses}
    free = replace(near, bytes_per_s=near.bytes_per_s * 1e9, start_s=near.start_s * 0, **rates)
    always = decode_phase(serving, replace(inference.placed, near=free), stack, formats)
    both = decode_phase(serving, inference.placed, stack, formats)
    assert (both.total_s <= alone.total_s).all()
    there = both.times.near_bytes > 0
    assert (both.total_s == alone.total_s)[~there].all(), "what stays on the chip takes what it takes without banks"
    assert (both.total_s < alone.total_s)[there].all()
    assert (there <= (always.times.near_bytes > 0)).all()
    assert (result.inference.bound_s <= result.inference.decode_s).all()


def test_rows_are_paid_for_beside_the_banks_and_not_on_the_chip():
    # One operand of 8 bits meets one row while 7.3 times as much is read: eight rows are better off on the chip.
    times = {batch: served({**BANKS, **INT8}, replace(ONE, batch=float(batch))) for batch in (1, 2, 4, 8)}
    plain = {batch: served({**PLAIN, **INT8}, replace(ONE, batch=float(batch))) for batch in (1, 8)}
    s = {batch: float(result.inference.decode_s[0]) for batch, result in times.items()}
    assert 1.8 < s[2] / s[1] < 2.05 and 1.8 < s[4] / s[2] < 2.05
    assert "ffn_up" in beside(times[4]) and not beside(times[8])
    assert s[8] == plain[8].inference.decode_s[0]
    assert 5.5 < plain[1].inference.decode_s[0] / s[1] < 8 * 0.7 / 0.86


def test_what_units_do_not_understand_stays_on_the_chip():
    for form, act_bits in (("int4_g128", 8), ("bitmap_int4_s50", 8), ("int8", 16), ("fp8", 8)):
        assert not beside(served({**BANKS, "weight_format": form, "act_bits": act_bits})) - {"lm_head"}, form
        decoded = served({**BANKS, "weight_format": form, "act_bits": act_bits, "memory_decoder": 1})
        assert {"qkv", "ffn_up", "ffn_down"} <= beside(decoded), form
    # Cache of 8 bits meets queries of 16: only what is expanded can.
    many = replace(ONE, model="llama2_7b", batch=16.0, prompt_tokens=3000.0)
    assert "attention" not in beside(served({**BANKS, **INT8}, many))
    assert "attention" in beside(served({**BANKS, **INT8, "kv_bits": 16}, many))
    assert "attention" in beside(served({**BANKS, **INT8, "memory_decoder": 1}, many))
    # Queries of a group share keys on the chip, and are rows like others beside the banks.
    assert "attention" not in beside(served({**BANKS, **INT8, "kv_bits": 16}, replace(many, model="llama2_70b")))


def test_an_index_stays_on_the_chip_that_finds_its_top_k():
    library, many = shipped_library(), replace(ONE, model="sparse", batch=4.0, prompt_tokens=60000.0)
    indexer = Indexer(heads=64, head_dim=128, top_k=2048)
    sparse = library.model("llama2_7b").model_copy(update={"indexer": indexer})
    mine = Technology(library=replace(library, models={**library.models, "sparse": sparse}))
    # So few MACs that the banks would be faster.
    result = served({**BANKS, **INT8, "kv_bits": 16, "memory_decoder": 1, "macs": 64}, many, mine)
    assert "attention" in beside(result)
    assert "index" not in beside(result)


def test_states_stay_on_the_chip_and_experts_follow_their_format():
    library = shipped_library()
    layers = StateLayers(kind="mamba2", layers=4, heads=32, head_dim=64, key_heads=8, key_dim=128, conv_width=4)
    hybrid = library.model("llama32_1b").model_copy(update={"state_layers": (layers,)})
    mine = Technology(library=replace(library, models={**library.models, "hybrid": hybrid}))
    result = served({**BANKS, **INT8, "memory_decoder": 1}, replace(ONE, model="hybrid"), mine)
    assert result.inference.decode.times.near_bytes[row_of(result, "state_in")].all()
    assert not result.inference.decode.times.near_bytes[row_of(result, "state")].any()
    experts = replace(ONE, model="mixtral_8x7b")
    assert "experts" in beside(served({**BANKS, **INT8}, experts))
    assert "experts" in beside(served({**BANKS, **INT8, "expert_format": "int8"}, experts))
    for other in ("int4_g128", "fp8"):
        assert "experts" not in beside(served({**BANKS, **INT8, "expert_format": other}, experts))


def test_a_design_without_units_keeps_every_bit_beside_those_with_some():
    alone = served({**PLAIN, **INT8})
    rows = {
        **Table.from_settings({**PLAIN, **INT8}),
        "memory": Choice.of("lpddr5x_9600", "lpddr5x_pim_9600"),
        "memory_decoder": np.array([1.0, 1.0]),
    }
    mixed = serve_designs(rows, ONE, TECHNOLOGY, ECONOMICS)
    for of in (
        lambda result: result.inference.decode_s, lambda result: result.inference.prefill_s,
        lambda result: result.inference.decode_energy.board_j, lambda result: result.inference.bound_s,
        lambda result: result.machine.cost_usd, lambda result: result.machine.tdp_w,
        lambda result: result.machine.die_mm2, lambda result: result.machine.embodied_kg,
    ):  # fmt: skip
        assert of(mixed)[0] == of(alone)[0]
        assert len(of(mixed)) == 1 or of(mixed)[1] != of(mixed)[0] or of(mixed) is mixed.machine.die_mm2


def test_units_and_decoders_are_paid_for():
    plain, banks, decoding = (made({**one, **INT8}) for one in (PLAIN, BANKS, {**BANKS, "memory_decoder": 1}))
    for name in ("cost_usd", "tdp_w", "embodied_kg"):
        assert getattr(decoding, name) > getattr(banks, name) > getattr(plain, name), name
    assert banks.capacity_bytes == plain.capacity_bytes and banks.die_mm2 == decoding.die_mm2
    # As large a network for XOR codes at the rate of all banks costs more than an unpacker of plain codes.
    coded = made({**BANKS, "memory_decoder": 1, "weight_format": "xor_int4_s50"})
    assert coded.blocks["cost_usd"]["memory"] > decoding.blocks["cost_usd"]["memory"]
    inside = 1024 * 9.6e9 / 8 * typ("near_memory.lpddr5x_pim.bandwidth_over_external")
    mm2 = inside / 1e12 * typ("decoder.unpack_mm2_per_tbps_n7") * typ("near_memory.logic_area_rel_n7")
    share = mm2 / (128 * typ("near_memory.lpddr5x_pim.mm2_per_gib"))
    expected = banks.blocks["cost_usd"]["memory"] * (1 + share)
    assert decoding.blocks["cost_usd"]["memory"] == pytest.approx(expected)
    # All banks at once draw more than the pins.
    near = banks.near
    outside = banks.bandwidth_bytes_per_s * banks.dram_j_per_byte
    more = near.bytes_per_s * near.j_per_byte - outside
    assert banks.blocks["tdp_w"]["memory"] - plain.blocks["tdp_w"]["memory"] == pytest.approx(more)


def test_energy_counts_bytes_where_they_are_read():
    result = served({**BANKS, **INT8})
    work, machine = result.inference.decode, result.machine
    inside, through = work.sum(work.times.near_bytes), work.dram_bytes
    parts = result.inference.decode_energy.parts_j
    assert parts["memory"] == pytest.approx(inside * machine.near.j_per_byte + through * machine.dram_j_per_byte)
    linear = held_weights(result.serving.model, result.serving.shape)["linear"]
    assert inside >= linear * result.formats.weight_bits / 8
    # The chip multiplies attention alone.
    attention = work.sum_of_class("attention", work.operators.macs) * machine.attention_j_per_mac
    assert parts["arithmetic"] < attention * result.inference.software.decode_attention_energy * 1.5 + 1e-3
    # Makers say 60 to 80 % less energy of memory-bound products (Aquabolt-XL, AiM, LPDDR-PIM).
    plain = served({**PLAIN, **INT8}).inference.decode_energy.parts_j
    assert 0.5 < 1 - parts["memory"] / plain["memory"] < 0.85


def gemv_gain(banks, plain, technology=TECHNOLOGY, workload=None):
    """Return how much faster the weights of a decode step of one sequence are worked through."""
    spent = []
    for settings in (banks, plain):
        work = served(settings, workload or replace(ONE, model="llama32_1b"), technology).inference.decode
        linear = work.operators.of_class("linear") + work.operators.of_class("head")
        spent.append(float((work.total_s * linear).sum()))
    return spent[1] / spent[0]


def test_gains_of_products_against_published_ones():
    # HBM2-PIM in place of HBM2 on an Alveo U280: 2.8 times as fast (IEEE Micro 2022), which the share of the peak that
    # products reach is taken from; inputs over the pins, starts and what HBM2 itself reaches come on top.
    bf16 = {"weight_format": "bf16", "act_bits": 16, "kv_bits": 16}
    banks, plain = (
        {**STACK, **bf16, "memory": "hbm2_pim"},
        {**STACK, **bf16, "memory": "hbm2_2400", "memory_device_gib": 8},
    )
    assert gemv_gain(banks, plain) == pytest.approx(2.8, rel=0.15)
    # AMD's simulation of LPDDR5X with seven times the bandwidth: products of language models up to 6.86 times as
    # fast (arXiv 2403.20297), where data lie best. It is an end of that parameter's range.
    best = Technology({
        "near_memory.lpddr5x_pim.bandwidth_over_external": 7.0, "near_memory.lpddr5x_pim.gemv_efficiency": 0.98,
        "memory.lpddr5x.efficiency_stream": 1.0, "memory.lpddr5x_pim.efficiency_stream": 1.0,
    })  # fmt: skip
    laptop = {
        **BANKS,
        **bf16,
        "memory_devices": 4,
        "memory_device_bits": 32,
        "memory_device_gib": 16,
        "memory_decoder": 0,
    }
    workload = replace(ONE, model="llama2_7b", prompt_tokens=512.0)
    gain = gemv_gain(laptop, {**laptop, "memory": "lpddr5x_9600"}, best, workload)
    assert gain == pytest.approx(6.86, rel=0.05)


def test_a_tensor_in_two_memories_is_the_chips():
    tiers = {**BANKS, **INT8, "memory_devices": 8, "second_memory": "ddr5_5600", "second_memory_devices": 4,
             "second_memory_device_bits": 64, "second_memory_device_gib": 32}  # fmt: skip
    result = served(tiers)
    where = result.inference.placed.placement.second_fraction
    assert where["dense"] == 0 and 0 < where["head"] < 1
    assert beside(result) == {"qkv", "attention_out", "ffn_up", "ffn_down"}
    assert "lm_head" in beside(served(tiers, replace(ONE, model="llama2_7b")))


@pytest.mark.parametrize("batch", [1.0, 4.0, 16.0])
def test_more_of_anything_never_raises_the_bound_wherever_operators_run(batch):
    # With more multipliers an operator may come back to the chip: the bound is that of the better place.
    macs = [{**BANKS, **INT8, "macs": 2.0**power} for power in np.linspace(10, 18, 17)]
    designs = Table.from_settings(*macs)
    found = serve_designs(designs, replace(ONE, batch=batch), TECHNOLOGY, ECONOMICS).inference
    moved = np.diff((found.decode.times.near_bytes > 0).sum(axis=0))
    assert (moved <= 0).all() and (batch > 4 or moved.any() or (found.decode.times.near_bytes > 0).any())
    assert (np.diff(found.bound_s) <= 1e-12 * found.bound_s[1:]).all()
    assert (np.diff(found.step_s) <= 1e-12 * found.step_s[1:]).all()
    assert (found.bound_s <= found.decode_s).all()


def test_units_multiply_in_the_narrowest_operand_that_holds_both_sides():
    """As stored where that is as wide as the activations; else, with a decoder, in the next of their own widths."""
    bits, own = (3.0, 4.0, 8.0, 11.0, 16.0), {"int4": 4.0, "int8": 8.0, "float16": 16.0}
    for operands in ((), ("int8",), ("float16",), ("float16", "int8"), ("int8", "int4", "float16")):
        for plain, narrowest, activations, decoder in itertools.product((0.0, 4.0, 8.0), bits, bits, (0.0, 1.0)):
            wide_enough = [own[name] for name in operands if own[name] >= max(narrowest, activations)]
            decoded = min(wide_enough, default=0.0) if decoder else 0.0
            found = operand_bits(
                operands, plain=np.array([plain]), narrowest=np.array([narrowest]),
                activations=np.array([activations]), decoder=np.array([decoder]),
            )  # fmt: skip
            assert found == [plain if plain >= activations else decoded]


@pytest.mark.parametrize(
    ("form", "int8", "float16", "both"),
    [
        ("int8", 8, 0, 8), ("int8_channel", 8, 0, 8), ("bf16", 0, 16, 16), ("fp8", 0, 0, 0), ("int4_g128", 0, 0, 0),
        ("int4_g128_zp", 0, 0, 0), ("int8_channel_ans", 0, 0, 0), ("nf4_dq", 0, 0, 0), ("bitmap_bf16_s70", 0, 0, 0),
    ],
)  # fmt: skip
def test_units_multiply_plain_numbers_of_their_own_kind(form, int8, float16, both):
    stored = shipped_library().weight_format(form)
    found = [plain_bits(stored, operands) for operands in (("int8",), ("float16",), ("int8", "float16"))]
    assert found == [int8, float16, both]


def banks(**told):
    """Return units beside the banks of a small memory: 20 bytes/s inside, rates by class, four channels."""
    usual = {"bytes_per_s": 20, "linear_mac_per_s": 50, "expert_mac_per_s": 25, "head_mac_per_s": 5,
             "attention_mac_per_s": 16, "j_per_byte": 0, "channels": 4, "start_s": 0.5}  # fmt: skip
    return NearMemory(**{name: np.full(1, float(told.get(name, one))) for name, one in usual.items()})


def test_where_the_time_of_hand_made_operators_goes_beside_the_banks():
    chip = replace(machine(bandwidth=10.0, rate=100.0, sram=1e9), near=banks(), vector_ops_per_s=np.full(1, 8.0))
    profile = stack("ideal", bandwidth_efficiency=0.5, non_overlapped_fraction=0.25)
    # Of a product whose depth is known inputs are its rows, of another half of what it moves; each channel is told.
    some = operators_of(
        ("qkv", "linear", {"rows": 3.0, "weights": 64.0, "macs": 192.0, "activations": 48.0, "depth": 4.0,
                           "kernels": 2.0, "vector_ops": 8.0}),
        ("thin", "linear", {"rows": 9.0, "weights": 64.0, "macs": 192.0, "activations": 20.0, "depth": 4.0}),
        ("fused", "linear", {"rows": 3.0, "weights": 64.0, "macs": 192.0, "activations": 48.0}),
        ("attention", "attention", {"macs": 80.0, "activations": 24.0, "kv_elements": 60.0, "row_elements": 4.0}),
    )  # fmt: skip
    on_chip = time_operators(some, chip, profile, BITS, chips=1.0, attention_fraction=1.0)
    near, can = near_times(some, on_chip, chip, profile, BITS)
    # Elements of 1.5 bytes; scores of pairs go both ways as 4 bytes.
    through = [1.5 * (12 * 4 + 36), 1.5 * 20 * 4, 1.5 * (24 * 4 + 24), 4 * (24 + 2 * 80 / 4)]
    reading = [max(32 / 20, 192 / 50)] * 3 + [max(60 / 20, 80 / 16)]
    wanted = [one / 5 + other for one, other in zip(through, reading, strict=True)]
    wanted[0] += 2 * 0.5
    assert first(near.dram_bytes) == pytest.approx(through) and first(near.memory_s) == pytest.approx(wanted)
    assert first(near.arithmetic_s) == [1, 0, 0, 0] and first(near.non_overlapped_s) == [0.25, 0, 0, 0]
    assert first(near.near_bytes) == [32, 32, 32, 60] and not near.weight_bytes.any() and not near.dequantize_s.any()
    assert can[:, 0].all()
    for channels, inputs in ((1.0, 1), (0.0, 1), (2.0, 2)):
        few = replace(chip, near=banks(channels=channels))
        told = near_times(some, on_chip, few, profile, BITS)[0].dram_bytes
        assert first(told)[:2] == pytest.approx([1.5 * (12 * inputs + 36), 1.5 * 20 * inputs])
    # The better place is taken where there is one, and its least time is that of the better one.
    times, seconds = faster(some, chip, on_chip, near, can, np.full((4, 1), 30.0), np.array([[29.0], [30], [31], [1]]))
    assert seconds[:, 0].tolist() == [29, 30, 30, 1] and (times.near_bytes > 0)[:, 0].tolist() == [
        True,
        False,
        False,
        True,
    ]
    # At peak rates: 168, 120, 180 bytes over the pins on one side, 48 and more of weights and activations on the other.
    assert times.least_s[:, 0] == pytest.approx(np.minimum(
        np.maximum(first(on_chip.dram_bytes), np.array(first(some.macs)) / 10) / 10,
        np.maximum(np.array(through) / 10, reading),
    ))  # fmt: skip


def test_what_cannot_run_beside_the_banks():
    chip = replace(machine(bandwidth=10.0, rate=100.0), near=banks())
    profile = stack("ideal")
    on_chip = time_operators(KINDS, chip, profile, BITS, chips=1.0, attention_fraction=1.0)

    def can(chip, form=BITS):
        return near_times(KINDS, on_chip, chip, profile, form)[1][:, 0].tolist()

    # Experts in a format of their own, what scores keys for a choice of them, and states stay on the chip.
    assert can(chip) == [True, False, True, True, False, False]
    assert can(chip, replace(BITS, expert_bits=4.0)) == [True, True, True, True, False, False]
    assert can(replace(chip, near=banks(linear_mac_per_s=0, attention_mac_per_s=0))) == [False, False, True] + 3 * [
        False
    ]

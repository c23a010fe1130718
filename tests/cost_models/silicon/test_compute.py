import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.compute import (
    Scales,
    arithmetic,
    dequantizes,
    float_factor,
    head_operand_bits,
    lane_overheads,
    mac_array,
    operand_buffer_bytes,
    passes,
    rate_and_energy,
    weight_decoder,
    xor_code_bits,
    xor_network,
)
from cost_models.table import Choice
from cost_models.weights.compression import stored_bits
from cost_models.weights.execution import Lanes
from cost_models.weights.lanes import lane_efficiency
from cost_models.weights.weight_storage import Storage

LIBRARY = shipped_library()
FORMATS = tuple(LIBRARY.weight_formats)
MAC_FORMATS = tuple(LIBRARY.mac_formats)
TECHNOLOGY = Technology()
SHARE = float(lane_efficiency(128, 0.5, 64))
N7 = Scales(np.ones(1), np.ones(1), np.ones(1))


def array_of(mac_format, *, macs=65536.0, clock_ghz=1.0, scales=N7):
    return mac_array(
        Choice.of(mac_format),
        macs=np.array([macs]),
        clock_ghz=np.array([clock_ghz]),
        delivery=1.5,
        scales=scales,
        technology=TECHNOLOGY,
    )


def stored(weight_format):
    return Storage.of({"weight_format": Choice.of(weight_format)}, LIBRARY)


def uses_of(weight_format, mac_format, *, act_bits=16.0, kv_bits=8.0):
    return arithmetic(
        stored(weight_format),
        array_of(mac_format),
        act_bits=np.array([act_bits]),
        kv_bits=np.array([kv_bits]),
        attention_act_bits=16.0,
        technology=TECHNOLOGY,
        lanes=Lanes(64, 128, 1),
    )


@pytest.mark.parametrize(
    ("weight_format", "mac_format", "act_bits", "kv_bits", "linear", "head", "attention"),
    [
        ("int4_g128", "int4xfp16", 16, 8, 1, 4, 2),
        ("int3_g128", "int4xfp16", 16, 4, 1, 4, 1),  # a narrower weight gains nothing
        ("bf16", "int4xfp16", 16, 16, 4, 4, 4),
        ("vector_2bit", "int4xfp16", 16, 8, 4, 4, 2),  # dequantized to 16 bits before the multiplier
        ("nm2of4_int4", "int4xfp16", 16, 8, 0.5, 4, 2),  # zeros are skipped
        ("bitmap_int4_s50", "int4xfp16", 16, 8, 0.5 / SHARE, 4, 2),  # 64 lanes wait for the most-loaded
        ("xor_int4_s50", "int4xfp16", 16, 8, 1, 4, 2),
        ("int8", "int8xint8", 8, 8, 1, 2, 2),
        ("int4_g128", "int8xint8", 16, 8, 2, 4, 2),
        ("int4_g128", "int4xint4", 16, 8, 4, 16, 8),
        ("bf16", "bf16xbf16", 16, 16, 1, 1, 1),
        ("int3_g128", "int3xfp16_lut", 16, 8, 1, 6, 3),
        ("gguf_q8_0", "int8xint8", 8, 8, 1, 1, 2),  # its head is 8 bits wide as well
        ("int4_g128", "int8xint8_int4", 8, 8, 0.5, 2, 2),  # two weights of 4 bits at once
        ("int8", "int8xint8_int4", 8, 4, 1, 2, 1),  # whole for 8 bits; a cache of 4 bits, queries of 16
        ("int3_g128", "int8xint8_int4", 16, 8, 1, 4, 2),
        ("bf16", "fp8xfp8_fp4", 16, 16, 4, 4, 4),
        ("mxfp4", "fp8xfp8_fp4", 8, 8, 0.5, 2, 2),
    ],
)
def test_passes_by_hand(weight_format, mac_format, act_bits, kv_bits, linear, head, attention):
    uses = uses_of(weight_format, mac_format, act_bits=act_bits, kv_bits=kv_bits)
    assert (uses.linear, uses.head, uses.attention) == (linear, head, attention)


@pytest.mark.parametrize(
    ("both", "wide", "narrow", "of_wide", "of_narrow"),
    [
        ("int8xint8_int4", "int8xint8", "int4xint8", "int8", "int4_g128"),
        ("fp8xfp8_fp4", "fp8xfp8", "fp4xfp8", "fp8", "mxfp4"),
    ],
)
def test_a_unit_of_two_widths_is_the_best_at_neither(both, wide, narrow, of_wide, of_narrow):
    for one, form in ((wide, of_wide), (narrow, of_narrow)):
        split, plain = array_of(both), array_of(one)
        (rate, joules), (own_rate, own_joules) = (
            rate_and_energy(array, uses_of(form, name, act_bits=8.0).linear)
            for array, name in ((split, both), (plain, one))
        )
        assert joules > own_joules
        assert split.mm2 / rate > plain.mm2 / own_rate
    # At twice the rate of the wide unit where weights are narrow.
    assert rate == 2 * rate_and_energy(array_of(wide), uses_of(of_narrow, wide, act_bits=8.0).linear)[0]


def test_energy_and_area_of_the_table():
    array = array_of("bf16xbf16", macs=65536.0, clock_ghz=1.05)
    assert array.j_per_pass * 1e12 == pytest.approx([0.59 * 1.5])
    assert array.mm2 == pytest.approx([65536 * 750e-6])
    assert array.passes_per_s * 2 / 1e12 == pytest.approx([138], rel=5e-3)  # TPU v4i
    shrunk = array_of("bf16xbf16", scales=Scales(np.array([0.62]), np.array([0.72]), np.array([0.81])))
    assert shrunk.j_per_pass * 1e12 == pytest.approx([0.59 * 1.5 * 0.72 * 0.81])
    assert shrunk.mm2 == pytest.approx([65536 * 750e-6 * 0.62])


@given(st.sampled_from(MAC_FORMATS), st.integers(1, 64), st.integers(1, 64))
def test_passes_cover_every_bit_and_waste_less_than_a_unit(mac_format, weight_bits, act_bits):
    array = array_of(mac_format)
    count = passes(float(weight_bits), float(act_bits), array)[0]
    w, a = array.weight_bits[0], array.activation_bits[0]
    parts = array.weight_splits[0]
    assert count * parts == int(count * parts) >= 1
    assert count == int(count) or weight_bits <= w / parts
    assert count * w * a >= weight_bits * act_bits
    assert passes(float(weight_bits + 1), float(act_bits), array) >= count
    rate, energy = rate_and_energy(array, np.array([count]))
    assert rate * count == pytest.approx(array.passes_per_s)
    assert rate * energy == pytest.approx(array.passes_per_s * array.j_per_pass), "a busy array draws the same"


def test_rates_of_all_formats_are_below_the_native_one_unless_zeros_are_skipped():
    for name, form in LIBRARY.weight_formats.items():
        uses = uses_of(name, "int4xfp16")
        assert uses.linear >= 1 - form.sparsity
        assert (uses.linear < 1) == (form.execution == "skip" and form.operand_bits <= 4)
        assert head_operand_bits(form) <= 16


def decoder(weight_format, *, gbps=1134.0, clock_ghz=1.0, scales=N7, bits=None):
    return weight_decoder(
        stored(weight_format),
        bytes_per_s=np.array([gbps * 1e9]),
        clock_ghz=np.array([clock_ghz]),
        stored_bits=bits,
        scales=scales,
        technology=TECHNOLOGY,
    )


def test_codes_that_the_array_multiplies_need_no_decoder():
    for name in ("int4_g128", "int8", "bf16", "fp8", "bcq4_g128", "mxfp4"):
        assert not dequantizes(LIBRARY.weight_format(name))
        assert decoder(name).mm2 == decoder(name).j_per_byte == 0


def test_xor_network_of_the_compression_page():
    # Section 4.1: 1.13 TB/s at 1 GHz with 8 input bits takes 1134 decoders and 0.13-0.20 M XOR2 at half pruning.
    gates, registers = xor_network(LIBRARY.weight_format("xor_int4_s50"))
    assert gates == 16 * (3 * 8 / 2 - 1) == 176
    assert registers == 16
    assert 0.13e6 < 1134 * gates < 0.20e6
    assert xor_network(LIBRARY.weight_format("int4_g128")) == (0, 0)
    xor_mm2 = decoder("xor_int4_s50").mm2 - decoder("bitmap_int4_s50").mm2
    assert xor_mm2 == pytest.approx([1134 * (176 * 0.15 + 16 * 0.37) * 1e-6])


def test_decoders_are_negligible_beside_phy_and_array():
    # Both sources say so: section 4.1 of the compression page, and the lossless IP of section 2 of the technology page.
    for name in FORMATS:
        unit = decoder(name)
        assert unit.mm2 < 2 < 60 * 1.1
        assert unit.j_per_byte * 1134e9 < 5


def test_unpacker_reproduces_the_lossless_ip():
    samsung_4 = Scales(np.array([0.69]), np.array([0.72]), np.ones(1))
    unit = decoder("bitmap_int4_s50", gbps=73.6, scales=samsung_4)
    assert unit.mm2 == pytest.approx([0.04], rel=0.02)
    assert unit.j_per_byte * 73.6e9 == pytest.approx([0.057], rel=0.02)


def test_only_the_code_goes_through_the_xor_network():
    form = LIBRARY.weight_format("xor_int4_s50")
    whole, part = decoder(form.key), decoder(form.key, bits=np.array([stored_bits(form)]))
    plain = decoder("bitmap_int4_s50")
    share = 4 * 8 / 16 / stored_bits(form)
    assert (part.mm2 - plain.mm2) / (whole.mm2 - plain.mm2) == pytest.approx(share)
    network = whole.j_per_byte - plain.j_per_byte
    assert (part.j_per_byte - plain.j_per_byte) / network == pytest.approx(share)


@given(st.sampled_from(FORMATS), st.floats(10, 5000))
def test_decoders_grow_with_bandwidth_and_not_with_energy(name, gbps):
    small, large = decoder(name, gbps=gbps), decoder(name, gbps=2 * gbps)
    assert large.mm2 == pytest.approx(2 * small.mm2)
    assert large.j_per_byte == small.j_per_byte


def test_entropy_coded_codes_pass_a_symbol_per_weight_through_a_decoder():
    """1 TB/s of 3.525-bit weights is 2.27e12 symbols a second: hundreds of um2 per Gsymbol/s, tenths of a pJ each."""
    form, value = LIBRARY.weight_format("int4_g128_ans"), TECHNOLOGY.value
    unit, symbols = decoder(form.key, gbps=1000.0), 8 / (3.4 + 16 / 128)
    assert unit.mm2 == pytest.approx(1000 * symbols * value("decoder.ans_um2_per_gsymbols_n7") * 1e-6)
    assert unit.j_per_byte * 1e12 == pytest.approx(symbols * value("decoder.ans_pj_per_symbol_n7"))
    # As dear as the published decompressor of any data, within the range of either.
    any_data = decoder("bitmap_int4_s50", gbps=1000.0)
    assert 0.2 < unit.mm2 / any_data.mm2 < 2 and 0.2 < unit.j_per_byte / any_data.j_per_byte < 2
    floats = decoder("dfloat11", gbps=1000.0)
    assert floats.mm2 - any_data.mm2 == pytest.approx(unit.mm2 * (3.4 + 16 / 128) / 10.82)
    assert decoder("int4_g128", gbps=1000.0).mm2 == 0


def test_units_made_for_integers_pay_for_floats_on_either_side():
    factor = TECHNOLOGY.value("execution.float_over_integer")
    rows = (
        # Weights that are floats meet a side made for integers; narrow activations that are floats do; neither does.
        ("mxfp4", "int4xint4", 0.0, factor), ("int4_g128", "int8xint8", 1.0, factor), ("int8", "int8xint8", 0.0, 1.0),
        ("fp8", "fp8xfp8", 1.0, 1.0), ("mxfp4", "int8xint8", 1.0, factor), ("int4_g128", "int4xfp16", 1.0, 1.0),
    )  # fmt: skip
    forms, units, floats, wanted = zip(*rows, strict=True)
    together = Storage.of({"weight_format": Choice.of(*forms)}, LIBRARY)
    found = float_factor(together, Choice.of(*units), np.array(floats), TECHNOLOGY)
    assert found.tolist() == pytest.approx(wanted)
    for form, unit, is_float, one in rows:
        alone = float_factor(stored(form), Choice.of(unit), np.array([is_float]), TECHNOLOGY)
        assert alone.tolist() == pytest.approx([one])


def test_lanes_that_skip_zeros_hold_queues_and_share_activations():
    # 4096 lanes in groups of 16, two blocks of 128 ahead, half of the weights kept, of 4 bits, activations of 8.
    value = {
        "execution.lane_queue_over_sram": 3.0, "execution.lane_group_um2_n7": 1000.0,
        "sram_energy.model_n7.e0_pj_per_bit": 0.001, "sram_energy.model_n7.e1_pj_per_bit": 0.02,
        "on_chip.write_over_read_energy": 1.25,
    }  # fmt: skip
    found = lane_overheads(
        stored("bitmap_int4_s50"), array_of("int4xfp16"), macs=np.full(1, 4096.0), act_bits=np.full(1, 8.0),
        lanes=Lanes(16, 128, 2), sram_mm2_per_mib=np.full(1, 0.4),
        scales=Scales(np.full(1, 0.5), np.full(1, 0.8), np.full(1, 0.9)), technology=Technology(value),
    )  # fmt: skip
    kept, met = 256 * 0.5 * 4 / 2**23, 256 * 8 / 2**23
    assert found.mm2 == pytest.approx([(kept * 4096 + met * 256) * 3 * 0.4 + 256 * 1000 * 0.5 * 1e-6])
    bit = [0.001 + 0.02 * np.sqrt(mib) for mib in (kept, met)]
    picojoules = (bit[0] * 4 + bit[1] * 16 / 16) * (1 + 1.25) * 0.8 * 0.9
    assert found.j_per_pass * 1e12 == pytest.approx([picojoules])


def test_an_array_holds_its_operands_twice():
    # 1024 weights of 4 bits and 32 rows of 16 bits.
    array = array_of("int4xfp16", macs=1024.0)
    assert operand_buffer_bytes(array, np.full(1, 1024.0)) == 2 * (1024 * 4 + 32 * 16) / 8


@pytest.mark.parametrize("share", [None, 1.5])
def test_a_decoder_unpacks_all_and_its_networks_take_the_code_alone(share):
    value = {
        "decoder.unpack_mm2_per_tbps_n7": 0.5, "decoder.unpack_pj_per_byte_n7": 0.25, "decoder.xor2_um2_n7": 0.2,
        "decoder.flip_flop_um2_n7": 0.4, "decoder.xor2_fj_n7": 0.6, "decoder.flip_flop_fj_n7": 0.8,
    }  # fmt: skip
    form = LIBRARY.weight_format("xor_int4_s50")
    scales = Scales(np.full(1, 0.5), np.full(1, 0.8), np.full(1, 0.9))
    # 8 bits in, 16 out at half pruning: 2 bits of code a weight of 4; of stored ones beside it a part.
    assert xor_code_bits(form) == 2 and xor_code_bits(LIBRARY.weight_format("int8")) == 0
    bits = None if share is None else np.full(1, 2 * share)
    unit = weight_decoder(
        stored(form.key), bytes_per_s=np.full(1, 2e12), clock_ghz=np.full(1, 2.0), stored_bits=bits, scales=scales,
        technology=Technology(value),
    )  # fmt: skip
    steps = (1 if share is None else 1 / share) * 8 / 8
    area = 176 * 0.2 + 16 * 0.4
    assert unit.mm2 == pytest.approx([(1.0 + 2e12 * steps / 2e9 * area * 1e-6) * 0.5])
    assert unit.j_per_byte * 1e12 == pytest.approx([(0.25 + steps * (176 * 0.6 + 16 * 0.8) * 1e-3) * 0.8 * 0.9])
    # Beside others in a table only its own rows have a network.
    both = Storage.of({"weight_format": Choice.of(form.key, "int4_g128", "bitmap_int4_s50")}, LIBRARY)
    many = weight_decoder(
        both, bytes_per_s=np.full(3, 2e12), clock_ghz=np.full(3, 2.0),
        stored_bits=None if share is None else np.full(3, 2 * share), scales=scales, technology=Technology(value),
    )  # fmt: skip
    assert many.mm2.tolist() == pytest.approx([unit.mm2[0], 0, 0.5])
    assert many.j_per_byte * 1e12 == pytest.approx([unit.j_per_byte[0] * 1e12, 0, 0.25 * 0.72])
    # Where all codes are unpacked, those that an array takes as they are as well.
    every = weight_decoder(
        stored("int4_g128"), bytes_per_s=np.full(1, 2e12), clock_ghz=np.ones(1), stored_bits=None, scales=scales,
        technology=Technology(value), unpacks_all=True,
    )  # fmt: skip
    assert every.mm2 == pytest.approx([0.5])
    for name, needed in (("bitmap_int4_s50", 1), ("vector_2bit", 1), ("int4_g128", 0)):
        assert dequantizes(LIBRARY.weight_format(name)) == needed


def test_rates_and_energies_of_passes():
    array = array_of("int8xint8", macs=1000.0)
    passes_each, charged = np.full(1, 4.0), np.full(1, 3.0)
    rate, joules = rate_and_energy(array, passes_each, charged)
    assert rate == 1000e9 / 4 and joules / array.j_per_pass == pytest.approx(3)
    assert rate_and_energy(array, passes_each)[1] / array.j_per_pass == pytest.approx(4)
    # The head of a model is as wide as the body's operands where it is compressed with it.
    assert [head_operand_bits(LIBRARY.weight_format(name)) for name in ("gguf_q8_0", "int4_g128")] == [8, 16]

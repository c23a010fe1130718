import numpy as np
import pytest

from cost_models.errors import LibraryError
from cost_models.library import shipped_library
from cost_models.library.chip_peaks import peak_ops_per_s
from cost_models.library.technology import Technology
from cost_models.performance.serving_stack import default_stack
from cost_models.silicon.chip import chip_machine, price_usd
from dse.evaluator import Evaluator
from dse.sweep import parse_spec

LIBRARY = shipped_library()
TECHNOLOGY = Technology()


def machine(chip, weight_format="bf16", *, act_bits=16, kv_bits=16, technology=TECHNOLOGY):
    return chip_machine(
        LIBRARY.chip(chip),
        weight_format=LIBRARY.weight_format(weight_format),
        act_bits=act_bits,
        kv_bits=kv_bits,
        technology=technology,
    )


@pytest.mark.parametrize(
    ("chip", "tflops", "gbps", "gib", "watts", "link"),
    [
        ("a100_80gb_sxm", 312, 2039, 80, 400, 300),
        ("h100_sxm", 989, 3350, 80, 700, 450),
        ("h200_sxm", 989, 4800, 141, 700, 450),
        ("tpu_v4", 275, 1200, 32, 192, 270),
        ("cloud_ai_100_ultra", 290, 548, 128, 150, 16),
    ],
)
def test_published_parameters_pass_through(chip, tflops, gbps, gib, watts, link):
    result = machine(chip)
    assert result.linear_mac_per_s * 2 / 1e12 == pytest.approx([tflops])
    assert result.head_mac_per_s == result.attention_mac_per_s == result.linear_mac_per_s
    assert result.bandwidth_bytes_per_s / 1e9 == pytest.approx([gbps])
    assert result.capacity_bytes / 2**30 == pytest.approx([gib])
    assert result.tdp_w == [watts]
    assert result.sram_bytes == pytest.approx([LIBRARY.chip(chip).sram_mib * 1024 * 1024])
    assert result.link_bytes_per_s / 1e9 == pytest.approx([link])
    assert result.die_mm2 == LIBRARY.chip(chip).die_mm2 or LIBRARY.chip(chip).die_mm2 is None


@pytest.mark.parametrize(
    ("chip", "weight_format", "act_bits", "name", "tops"),
    [
        ("h100_sxm", "fp8", 8, "fp8", 1979),
        ("h100_sxm", "fp8", 16, "bf16", 989),  # weights dequantized
        ("h100_sxm", "int4_g128", 16, "bf16", 989),
        ("h100_sxm", "int4_g128", 8, "int8", 1979),
        ("h100_sxm", "bf16", 8, "bf16", 989),  # the wider operand decides
        ("a100_80gb_sxm", "fp8", 8, "bf16", 312),  # no fp8 units: the next wider
        ("a100_80gb_sxm", "int8", 8, "int8", 624),
        ("a100_80gb_sxm", "int4_g128", 4, "int4", 1248),
        ("b200", "mxfp4", 4, "fp4", 9000),
        ("v100_sxm2_32gb", "bf16", 16, "fp16", 125),  # no bf16 units
        ("rtx_4090", "bf16", 16, "bf16", 165),  # 330 only with fp16 accumulation
        ("tpu_v4", "int8", 8, "int8", 275),
        ("gb10_spark", "bf16", 16, "bf16", 125),  # only fp4 published: 500 / 4
        ("jetson_agx_orin_64gb", "bf16", 16, "bf16", 68.75),  # only int8 published: 137.5 / 2
    ],
)
def test_peak_by_format(chip, weight_format, act_bits, name, tops):
    form = LIBRARY.weight_format(weight_format)
    result = peak_ops_per_s(LIBRARY.chip(chip), kind=form.operand, bits=max(act_bits, form.operand_bits))
    assert result == (name, pytest.approx(tops * 1e12))
    assert machine(chip, weight_format, act_bits=act_bits).linear_mac_per_s * 2e-12 == pytest.approx([tops])


def test_attention_and_head_stay_in_sixteen_bits():
    narrow = machine("h100_sxm", "fp8", act_bits=8, kv_bits=8)
    assert narrow.attention_mac_per_s == narrow.head_mac_per_s == pytest.approx([989e12 / 2])
    assert machine("h100_sxm", "gguf_q8_0", act_bits=8).head_mac_per_s == pytest.approx([1979e12 / 2])


def test_energy_of_arithmetic():
    # fp16 MAC at N7 0.72 pJ, 4 nm 0.62; TPUs carry bf16 only, 0.59 pJ, and operands are delivered to their arrays.
    gpu = TECHNOLOGY.value("on_chip.gpu_mac_energy_factor")
    delivery = TECHNOLOGY.value("mac_n7.operand_delivery_factor")
    assert machine("h100_sxm").linear_j_per_mac * 1e12 == pytest.approx([0.72 * 0.62 * gpu])
    assert machine("tpu_v4").linear_j_per_mac * 1e12 == pytest.approx([0.59 * delivery])
    assert machine("h100_sxm", "fp8", act_bits=8).linear_j_per_mac * 1e12 == pytest.approx([0.20 * 0.62 * gpu])
    fp4 = machine("b200", "mxfp4", act_bits=4).linear_j_per_mac
    assert fp4 * 1e12 == pytest.approx([0.035 * 2 * 0.62 * gpu])
    assert fp4 < machine("b200", "fp8", act_bits=8).linear_j_per_mac


def decode_w(chip, tb_per_s, tera_macs_per_s=0.0):
    """Return board power while weights stream at a rate, a program running where they do."""
    result, running = machine(chip), tb_per_s > 0
    active = (
        TECHNOLOGY.value(f"stacks.{default_stack(LIBRARY.chip(chip), LIBRARY)}.active_fraction") if running else 0.0
    )
    delivered = (
        result.static_w
        + active * result.tdp_w
        + tb_per_s * 1e12 * (result.dram_j_per_byte + result.sram_j_per_byte)
        + tera_macs_per_s * 1e12 * result.linear_j_per_mac
    )
    return (delivered / result.conversion_efficiency)[0]


@pytest.mark.parametrize(
    ("chip", "watts", "tb_per_s", "tera_macs_per_s"),
    [
        # ML.ENERGY, batch 8: tokens/s from W over J/token, bytes from the streamed weights (technology page, section 8)
        ("h100_sxm", 538, 2.5, 10),  # Qwen3-32B
        ("h100_sxm", 441, 2.07, 8.3),  # Llama-3.1-70B on four
        ("h100_sxm", 486, 2.0, 8.0),  # Llama-3.1-8B
        ("b200", 849, 4.19, 16.8),  # Llama-3.1-70B on two
        # LLM-Inference-Bench, batch 1, whole request
        ("a100_40gb_sxm", 222, 0.97, 0.5),  # Llama-2-7B
        ("a100_40gb_sxm", 229, 1.03, 0.5),  # Llama-3-8B
    ],
)
def test_decode_power_of_measured_boards(chip, watts, tb_per_s, tera_macs_per_s):
    # One parameter for what GPUs spend on the die per byte and one for a running program; the fit spreads by 20 %.
    assert decode_w(chip, tb_per_s, tera_macs_per_s) == pytest.approx(watts, rel=0.2)


def test_decode_power_lies_between_idle_and_tdp():
    assert decode_w("a100_80gb_sxm", 0.0) == pytest.approx(63)
    assert decode_w("h100_sxm", 0.0) == pytest.approx(75)
    assert decode_w("tpu_v4", 0.0) == pytest.approx(90)
    assert decode_w("v100_sxm2_32gb", 0.0) == pytest.approx(0.15 * 300)
    # Splitwise: an A100 decodes at about 250 W; TPU v4 draws 170 W on average in production, 192 W at most.
    assert decode_w("a100_80gb_sxm", 1.1) == pytest.approx(250, rel=0.2)
    assert 90 < decode_w("tpu_v4", 1.0) < 192


def test_gpus_spend_more_on_the_die_than_compiled_machines():
    assert machine("h100_sxm").sram_j_per_byte > 1.5 * machine("furiosa_rngd").sram_j_per_byte


def test_a_copy_under_another_name_is_the_same_machine():
    copies = {f"my_{key}": chip.model_dump(mode="json", exclude={"key"}) for key, chip in LIBRARY.chips.items()}
    spec = parse_spec({
        "name": "copy", "workloads": {"chat": {"model": "llama2_7b", "batch": 4}}, "space": {"node": "tsmc_5"},
        "objectives": [{"metric": "cost_usd", "direction": "minimize"}], "search": {"sampler": "grid"},
        "baselines": {chip: {"chips": f"8x {chip}"} for chip in (*LIBRARY.chips, *copies)},
        "library": {"chips": copies},
    })  # fmt: skip
    baselines = Evaluator(spec).baselines
    for chip in LIBRARY.chips:
        ours, theirs = baselines[chip], baselines[f"my_{chip}"]
        assert len(ours) > 20 and ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=f"{chip}: {name}")


def test_price_is_the_geometric_mean_of_the_range():
    assert price_usd(LIBRARY.chip("a100_80gb_sxm")) == pytest.approx(np.sqrt(8000 * 15000))
    assert np.isnan(price_usd(LIBRARY.chip("tpu_v4")))
    assert np.isnan(machine("a100_80gb_sxm").cost_usd)


def test_unpublished_parameters_are_refused_or_missing():
    secret = LIBRARY.chip("h100_sxm").model_copy(update={"key": "secret", "bandwidth_gbps": None})
    with pytest.raises(LibraryError, match=r"'secret'.*bandwidth_gbps is not published"):
        chip_machine(
            secret, weight_format=LIBRARY.weight_format("bf16"), act_bits=16, kv_bits=16, technology=TECHNOLOGY
        )
    assert np.isnan(machine("inferentia2").tdp_w)
    assert np.isnan(machine("inferentia2").linear_j_per_mac), "its node is not published"
    blind = machine("grace_hopper_480gb")
    assert (blind.arithmetic_known == 0).all(), "no peak is published"
    assert np.isinf(blind.linear_mac_per_s).all(), "memory alone is predicted"
    assert (machine("inferentia2").arithmetic_known == 1).all()


@pytest.mark.parametrize("chip", LIBRARY.chips)
@pytest.mark.parametrize("weight_format", ["bf16", "int4_g128"])
def test_every_chip_becomes_a_machine(chip, weight_format):
    result, entry = machine(chip, weight_format), LIBRARY.chip(chip)
    always = ("bandwidth_bytes_per_s", "stream_efficiency", "capacity_bytes", "sram_bytes", "dequantize_bytes_per_s")
    known = {
        "linear_mac_per_s": entry.peak_tops,
        "linear_j_per_mac": entry.node,
        "sram_j_per_byte": entry.node,
        "tdp_w": entry.tdp_w,
        "static_w": entry.tdp_w,
        "link_bytes_per_s": entry.link_gbps is not None,
        "price_usd": entry.price_low_usd,
    }
    for field in always:
        assert getattr(result, field) > 0
    for field, published in known.items():
        assert np.isfinite(getattr(result, field)) or not published, field
    columns = [value for value in vars(result).values() if isinstance(value, np.ndarray)]
    assert all(column.shape == (1,) for column in columns)
    assert result.blocks["tdp_w"]["published"] is result.tdp_w


def test_parameters_can_be_columns():
    sampled = Technology({"on_chip.gpu_stream_pj_per_bit": np.array([10.0, 20.0])})
    assert machine("h100_sxm", technology=sampled).sram_j_per_byte * 1e12 == pytest.approx([80, 160])


def test_sparse_tensor_cores_gain_on_two_of_four_and_on_nothing_else():
    def rate(chip, form):
        entry, stored = LIBRARY.chip(chip), LIBRARY.weight_format(form)
        result = chip_machine(entry, weight_format=stored, act_bits=16, kv_bits=16, technology=Technology())
        return float(result.linear_mac_per_s[0])

    assert rate("a100_80gb_sxm", "nm2of4_bf16") / rate("a100_80gb_sxm", "bf16") == pytest.approx(1.67)
    assert rate("a100_80gb_sxm", "bitmap_bf16_s50") == rate("a100_80gb_sxm", "bf16")
    assert rate("tpu_v4", "nm2of4_bf16") == rate("tpu_v4", "bf16")

"""What library chips can do with stored weights, and what it costs them."""

import pytest

from cost_models.errors import ExecutionError
from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Workload
from cost_models.library import Chip, shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.silicon.chip import chip_machine
from cost_models.weights.chip_execution import chip_execution, chip_executions, execution_gain
from cost_models.weights.compression import stored_bits
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.sweep import parse_spec

LIBRARY, TECHNOLOGY = shipped_library(), Technology()
SWEEP = {
    "name": "chips",
    "workloads": {"chat": {"model": "llama2_13b", "batch": 1, "prompt_tokens": 64, "output_tokens": 64}},
    "space": {"memory_devices": 16},
    "objectives": [{"metric": "price_usd", "direction": "minimize"}],
    "search": {"sampler": "grid"},
}


def machine(chip, form, act_bits=16, execution_mode=None):
    return chip_machine(
        LIBRARY.chip(chip), weight_format=LIBRARY.weight_format(form), act_bits=act_bits, kv_bits=16,
        technology=TECHNOLOGY, weight_execution=execution_mode,
    )  # fmt: skip


def milliseconds(chip, form, batch, execution_mode=None):
    workload = Workload("chat", "llama2_13b", batch, prompt_tokens=64, output_tokens=64)
    served = serve_chip(ChipSetup(chip, form, weight_execution=execution_mode), workload, TECHNOLOGY)
    return float(workload_metrics(served, TECHNOLOGY)["tpot_ms"][0])


@pytest.mark.parametrize("act_bits", [4, 8, 16])
def test_no_chip_does_what_it_does_not_state(act_bits):
    for chip in LIBRARY.chips.values():
        stated = {"skip" if execution_mode == "skip_2of4" else execution_mode for execution_mode in chip.executions}
        for form in LIBRARY.weight_formats.values():
            able = chip_executions(chip, form, act_bits=act_bits)
            assert able
            assert set(able) <= stated, (chip.key, form.key, able)


@pytest.mark.parametrize(
    ("chip", "form", "act_bits", "own", "dequantizes"),
    [
        ("a100_80gb_sxm", "bf16", 16, "dense", False),
        ("a100_80gb_sxm", "int4_g128", 16, "dequantize", True),
        ("a100_80gb_sxm", "int8_channel", 8, "direct", False),
        ("h100_sxm", "fp8", 16, "dequantize", True),
        ("h100_sxm", "fp8", 8, "direct", False),
        ("v100_sxm2_32gb", "int8_channel", 8, "dequantize", True),
        ("a100_80gb_sxm", "nm2of4_bf16", 16, "skip", False),
        ("a100_80gb_sxm", "nm2of4_int4", 16, "skip", True),
        ("v100_sxm2_32gb", "nm2of4_bf16", 16, "dense", True),
        ("a100_80gb_sxm", "bitmap_bf16_s50", 16, "dense", True),
        ("b200", "nvfp4", 4, "direct", False),
        ("b200", "nvfp4", 4.5, "direct", False),
        ("mi355x", "mxfp4", 4.25, "direct", False),
    ],
)
def test_a_chip_has_a_way_of_its_own(chip, form, act_bits, own, dequantizes):
    result = chip_execution(LIBRARY.chip(chip), LIBRARY.weight_format(form), act_bits=act_bits)
    assert (result.execution_mode, result.dequantizes) == (own, dequantizes)


@pytest.mark.parametrize(
    ("chip", "form", "act_bits", "peak"),
    [
        ("b200", "nvfp4", 4.5, "fp4"), ("mi355x", "mxfp4", 4.25, "fp4"), ("b200", "nvfp4", 5, "fp8"),
        ("b200", "fp8", 8.25, "fp8"), ("b200", "nvfp4", 8.25, "fp8"), ("h100_sxm", "nvfp4", 4.5, "fp8"),
        ("b200", "fp8", 9, "bf16"),
    ],
)  # fmt: skip
def test_scales_of_a_block_do_not_widen_the_operands(chip, form, act_bits, peak):
    entry = LIBRARY.chip(chip)
    result = chip_execution(entry, LIBRARY.weight_format(form), act_bits=act_bits)
    assert (result.peak, result.peak_ops_per_s) == (peak, entry.peak_tops[peak] * 1e12)


def test_look_ups_take_a_table_per_plane_and_match_a_measured_kernel():
    """naver-aics/lut-gemm issue 3: one row, 28672 x 7168, on H20; a constant 35-40 us lies beside the look-ups."""
    weights, chip = 28672 * 7168, LIBRARY.chip("h20")
    taken = {}
    for bits in (3, 4, 8):
        form = LIBRARY.weight_format("binary_coded").model_copy(update={"weight_bits": float(bits)})
        execution_mode = chip_execution(chip, form, act_bits=16, chosen="look_up")
        gain = execution_gain(chip, form, execution_mode, act_bits=16, technology=TECHNOLOGY)
        taken[bits] = weights / (execution_mode.peak_ops_per_s / 2 * gain.rate) * 1e3
        # A look-up in place of as many products as it has bits, at its share of their energy.
        of_one = TECHNOLOGY.value("execution.look_up_energy_factor") / TECHNOLOGY.value("execution.gpu_look_up_bits")
        assert gain.energy == pytest.approx(bits * of_one)
        assert taken[bits] == pytest.approx(weights * bits / 8 / (chip.lut_tops * 1e12) * 1e3)
    for narrow, wide, measured in ((3, 8, 0.18381 - 0.08945), (4, 8, 0.18381 - 0.10729)):
        assert taken[wide] - taken[narrow] == pytest.approx(measured, rel=0.1)


def test_bit_planes_multiply_every_bit_with_every_bit():
    one = machine("a100_80gb_sxm", "int4_g128", 8, "bit_plane").linear_mac_per_s
    assert one == pytest.approx(4992e12 / 2 / (4 * 8))
    assert machine("a100_80gb_sxm", "int3_g128", 4, "bit_plane").linear_mac_per_s == pytest.approx(4992e12 / 2 / 12)
    chip, form = LIBRARY.chip("a100_80gb_sxm"), LIBRARY.weight_format("int3_g128")
    how = chip_execution(chip, form, act_bits=4, chosen="bit_plane")
    # Twelve products of single bits where a 16-bit one takes 256.
    assert execution_gain(chip, form, how, act_bits=4, technology=TECHNOLOGY).energy == 12 / 256


def test_widening_costs_what_the_stack_says_and_look_ups_grow_with_the_batch():
    bits = float(stored_bits(LIBRARY.weight_format("int4_g128")))
    single, many = (
        milliseconds("a100_80gb_sxm", "bf16", b) / milliseconds("a100_80gb_sxm", "int4_g128", b) for b in (1, 256)
    )
    assert 1.5 < single < 16 / bits
    assert many < 1.1
    by_table = [milliseconds("a100_80gb_sxm", "int4_g128", batch, "look_up") for batch in (1, 16)]
    assert by_table[1] / by_table[0] > 5
    assert by_table[0] < milliseconds("a100_80gb_sxm", "bf16", 1)


@pytest.mark.parametrize("chip", ["a100_80gb_sxm", "tpu_v4", "h100_sxm"])
def test_chips_refuse_what_they_cannot_do(chip):
    with pytest.raises(ExecutionError, match=f"{chip} cannot execute int4_g128 with 16-bit activations as gated"):
        machine(chip, "int4_g128", execution_mode="gated")


def test_baselines_choose_and_sweeps_are_told():
    baselines = {"table": {"chips": "1x a100_80gb_sxm", "weight_format": "int3_g128", "weight_execution": "look_up"}}
    baselines["own"] = {"chips": "1x a100_80gb_sxm", "weight_format": "int3_g128"}
    spec = parse_spec({**SWEEP, "baselines": baselines})
    result = Evaluator(spec).baselines
    assert result["table"]["chat.tpot_ms"] != result["own"]["chat.tpot_ms"]
    assert parse_spec(spec.resolved()).baselines == spec.baselines
    baselines["tpu"] = {"chips": "1x tpu_v4", "weight_format": "int3_g128", "weight_execution": "look_up"}
    words = "look_up of int3_g128 with 16-bit activations is not what tpu_v4 can do: dequantize"
    with pytest.raises(SpecError, match=words):
        parse_spec({**SWEEP, "baselines": baselines})


@pytest.mark.parametrize("unit", ["fp16xfp16", "fp8xfp8"])
def test_float_units_add_no_bit_planes(unit):
    space = {"memory_devices": 16, "weight_format": "int4_g128", "weight_execution": "bit_plane", "mac_format": unit}
    with pytest.raises(
        SpecError, match=f"bit_plane needs units that multiply integer codes, mac_format {unit} does not"
    ):
        parse_spec({**SWEEP, "space": space})


def entry(**changes):
    own = {name: value for name, value in LIBRARY.chip("tpu_v5e").model_dump().items() if name != "executions"}
    return Chip(**{**own, **changes})


def test_a_chip_that_states_nothing_multiplies_what_it_has_peaks_for():
    assert entry().executions == ("dense", "direct", "dequantize")
    assert entry(peak_tops={"bf16": 197}).executions == ("dense", "dequantize")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"executions": ("dense", "dequantize")}, "executions must hold direct where peak_tops has int8"),
        ({"executions": ("dense", "direct", "look_up")}, "lut_tops must be given where executions hold look_up"),
        ({"binary_tops": 10.0}, "binary_tops must be given where executions hold bit_plane and nowhere else"),
        ({"executions": ("dense", "gated")}, "Input should be"),
    ],
)
def test_a_chip_that_contradicts_itself_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        entry(**changes)


def test_chips_decode_entropy_coded_codes_before_they_multiply():
    library = shipped_library()
    form = library.weight_format("int8_channel_ans")
    for name in ("h100_sxm", "mi300x"):
        chip = library.chip(name)
        assert chip_execution(chip, library.weight_format("int8_channel"), act_bits=8).execution_mode == "direct"
        assert chip_execution(chip, form, act_bits=8).execution_mode == "dequantize"
        assert chip_execution(chip, form, act_bits=8).dequantizes

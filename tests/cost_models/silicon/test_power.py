import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.area import total
from cost_models.silicon.compute import Scales
from cost_models.silicon.power import (
    FARTHEST_SUPPLY,
    clock_ratio,
    dynamic_scale,
    gpu_stream_j_per_byte,
    guarded_clock_ratio,
    guarded_supply_ratio,
    leakage_w,
    power_blocks,
    programmable_stream_j_per_byte,
    stream_j_per_byte,
    supply_ratio,
)

TECHNOLOGY = Technology()
LIBRARY_PARAMETERS = shipped_library().parameters

# chip, node, MAC format, peak T(FL)OPS, die mm2, GB/s, memory, printed W and error in %: technology page, section 7.
# TPU v1 has DDR3, which the library does not hold; the page's 3 W are used.
CHIPS = [
    ("tpu_v4i", "tsmc_7", "bf16xbf16", 138, 400, 614, "hbm2", 136, 175, -23),
    ("tpu_v4", "tsmc_7", "bf16xbf16", 275, 600, 1200, "hbm2", 260, 192, 36),
    ("v100", "tsmc_12", "fp16xfp16", 125, 815, 900, "hbm2", 276, 300, -8),
    ("a100_sxm_40", "tsmc_7", "fp16xfp16", 312, 826, 1555, "hbm2", 355, 400, -11),
    ("h100_sxm", "tsmc_4", "fp16xfp16", 989, 814, 3350, "hbm3", 670, 700, -4),
    ("rngd", "tsmc_5", "bf16xbf16", 256, 653, 1500, "hbm3", 214, 180, 19),
    ("mtia_v2", "tsmc_5", "bf16xbf16", 177, 421, 204.8, "lpddr5", 113, 90, 26),
    ("gaudi3", "tsmc_5", "bf16xbf16", 1835, 1000, 3670, "hbm2e", 1090, 900, 21),
    ("mi300x", "tsmc_5", "bf16xbf16", 1307, 2400, 5300, "hbm3", 950, 750, 27),
    ("warboy", "samsung_14", "int8xint8", 64, 180, 66, "lpddr4x", 28, 60, -53),
]


def typ(path):
    return LIBRARY_PARAMETERS[path].typ


def blocks_of(node, mac_format, tops, die_mm2, gbps, memory, *, on_chip=0.0):
    """Return the power blocks of a chip at peak, nothing but arithmetic, memory and leakage unless asked."""
    joules = typ(f"mac_n7.formats.{mac_format}.energy_bare_pj") * 1e-12 * typ(f"nodes.{node}.logic_energy_rel_n7")
    joules *= 2.0  # the factor of the page
    column = lambda number: np.array([float(number)])  # noqa: E731
    return power_blocks(
        mac_array=column(tops / 2 * 1e12 * joules),
        vector=column(0),
        memory=column(gbps * 1e9 * 8e-12 * typ(f"memory.{memory}.energy_total_pj_per_bit")),
        on_chip=column(on_chip),
        weight_decoder=column(0),
        links=column(0),
        leakage=leakage_w(column(die_mm2), typ(f"nodes.{node}.leakage_w_per_mm2"), 1.0, 1.0, warmer_c=0, doubling_c=30),
        memory_idle=column(0),
        board=column(0),
        conversion_efficiency=typ("board.vrm_efficiency"),
    )


@pytest.mark.parametrize(
    ("name", "node", "form", "tops", "die", "gbps", "memory", "watts", "reference", "percent"), CHIPS
)
def test_power_check_of_real_chips(name, node, form, tops, die, gbps, memory, watts, reference, percent):
    predicted = total(blocks_of(node, form, tops, die, gbps, memory))[0]
    assert predicted == pytest.approx(watts, abs=3)
    assert (predicted / reference - 1) * 100 == pytest.approx(percent, abs=1)


@given(*[st.floats(0, 500)] * 9, st.floats(0.5, 1))
def test_blocks_are_the_design_limit(mac, vector, memory, on_chip, decoder, links, leakage, idle, board, efficiency):
    parts = [np.array([part]) for part in (mac, vector, memory, on_chip, decoder, links, leakage, idle, board)]
    names = ("mac_array", "vector", "memory", "on_chip", "weight_decoder", "links", "leakage", "memory_idle", "board")
    blocks = power_blocks(**dict(zip(names, parts, strict=True)), conversion_efficiency=efficiency)
    assert total(blocks) == sum(blocks.values())
    assert total(blocks)[0] == pytest.approx(sum(part[0] for part in parts) / efficiency)
    assert blocks["conversion_loss"] >= 0


def test_supply_by_hand():
    assert dynamic_scale(0.6, 0.75) == pytest.approx(0.64)
    leaking = leakage_w(np.array([400.0]), 0.04, 0.6, 0.75, warmer_c=0, doubling_c=30)
    assert leaking == pytest.approx([400 * 0.04 * 0.8])
    hot = leakage_w(np.array([400.0]), 0.04, 0.75, 0.75, warmer_c=60, doubling_c=30)
    assert hot == pytest.approx([400 * 0.04 * 4])


@given(st.floats(0.1, 3), st.floats(0.3, 0.6), st.floats(1.05, 2))
def test_supply_reaches_the_clock(clock, threshold, alpha):
    ratio = supply_ratio(clock, threshold=threshold, alpha=alpha)
    assert ratio > threshold
    if ratio < FARTHEST_SUPPLY:
        assert clock_ratio(ratio, threshold=threshold, alpha=alpha) == pytest.approx(clock, rel=1e-6)
    assert supply_ratio(clock * 1.1, threshold=threshold, alpha=alpha) > ratio
    assert supply_ratio(1.0, threshold=threshold, alpha=alpha) == pytest.approx(1)


@pytest.mark.parametrize(("threshold", "alpha"), [(0.47, 1.3), (0.3, 1.05), (0.6, 2.0)])
def test_beyond_any_supply_it_grows_with_the_clock(threshold, alpha):
    curve = {"threshold": threshold, "alpha": alpha}
    farthest = clock_ratio(FARTHEST_SUPPLY, **curve)
    clocks = farthest * np.array([0.5, 0.999999, 1.0, 2.0, 5.0])
    found = supply_ratio(clocks, **curve)
    assert found[2:] == pytest.approx(FARTHEST_SUPPLY * np.array([1.0, 2.0, 5.0]), rel=1e-6)
    assert clock_ratio(found[:2], **curve) == pytest.approx(clocks[:2], rel=1e-6)


@given(st.floats(0.1, 1.8), st.floats(0, 0.15))
def test_the_guard_band_is_kept_in_volts(clock, guard):
    curve = {"threshold": 0.47, "alpha": 1.3}
    supply = guarded_supply_ratio(clock, guard=guard, **curve)
    assert guarded_clock_ratio(supply, guard=guard, **curve) == pytest.approx(clock, rel=1e-6)
    assert guarded_supply_ratio(1.0, guard=guard, **curve) == pytest.approx(1)
    bare = supply_ratio(clock, **curve)
    assert (supply >= bare - 1e-12) if clock <= 1 else (supply <= bare + 1e-12)


def test_alpha_power_law_by_hand():
    # alpha 1: f goes with 1 - t / u over 1 - t; alpha 2, t 0.5, u 1.5: (1 / 0.5)^2 / 1.5.
    assert clock_ratio(2.0, threshold=0.5, alpha=1.0) == pytest.approx((1 - 0.25) / 0.5)
    assert clock_ratio(1.5, threshold=0.5, alpha=2.0) == pytest.approx(4 / 1.5)
    assert clock_ratio(0.4, threshold=0.5, alpha=1.3) == 0


def test_published_voltages_lie_near_the_curve():
    # MTIA v2: 1.35 GHz at 0.85 V; VSQ: 1.76 GHz at 1.05 V (5 nm, nominal 0.75 V).
    nominal = typ("nodes.tsmc_5.nominal_clock_ghz")
    curve = {"threshold": typ("clocking.threshold_over_nominal"), "alpha": typ("clocking.alpha")}
    for clock, volts in ((1.35, 0.85), (1.76, 1.05)):
        assert supply_ratio(clock / nominal, **curve) * 0.75 == pytest.approx(volts, rel=0.05)


def test_a_byte_that_a_programmable_chip_streams_is_eight_measured_bits():
    told = Technology({"on_chip.gpu_stream_pj_per_bit": 2.5, "on_chip.programmable_stream_pj_per_bit": 3.5})
    assert gpu_stream_j_per_byte(told) * 1e12 == pytest.approx(20)
    assert programmable_stream_j_per_byte(told) * 1e12 == pytest.approx(28)


def test_streamed_byte_by_hand():
    # Bank of 0.25 MiB: 0.1 + 0.1 x 0.5 = 0.15 pJ/bit to read, 1.2 times that to write; 10 mm of wire at 80 fJ/bit/mm.
    n7 = Scales(np.ones(1), np.ones(1), np.ones(1))
    joules = stream_j_per_byte(np.array([400.0]), scales=n7, technology=TECHNOLOGY)
    assert joules * 1e12 == pytest.approx([(2.2 * 0.15 + 0.8) * 8])


@given(st.floats(50, 800), st.floats(0.4, 4), st.floats(0.5, 1.2))
def test_streaming_costs_more_on_larger_dies_and_less_at_lower_supply(die, energy, voltage):
    scales = Scales(np.ones(1), np.array([energy]), np.array([voltage]))
    joules = stream_j_per_byte(np.array([die]), scales=scales, technology=TECHNOLOGY)
    assert stream_j_per_byte(np.array([die * 2]), scales=scales, technology=TECHNOLOGY) > joules
    lower = Scales(scales.logic_area, scales.logic_energy, scales.voltage * 0.9)
    assert stream_j_per_byte(np.array([die]), scales=lower, technology=TECHNOLOGY) / joules == pytest.approx(0.9)
    assert joules < programmable_stream_j_per_byte(TECHNOLOGY)

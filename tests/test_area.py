import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.area import area_blocks, floorplan_limits, perimeter_mm, total
from cost_models.columns import Choice
from cost_models.library import load_library
from cost_models.technology import Technology

TECHNOLOGY = Technology()
FIGURES = load_library().figures
SIZE = st.floats(0.01, 400)

# chip, node, MACs, MAC format, SRAM MiB, memory (technology, units), PCIe (generation, lanes), real mm2, printed error
CHIPS = [
    ("tpu_v4i", "tsmc_7", 65536, "bf16xbf16", 144, ("hbm2", 2), (4, 16), 400, 9),
    ("warboy", "samsung_14", 16000, "int8xint8", 32, ("lpddr4x", 8), (4, 8), 180, -8),
    ("mtia_v1", "tsmc_7", 32000, "fp16xfp16", 136, ("lpddr5", 16), (4, 8), 373, -15),
    ("mtia_v2", "tsmc_5", 65556, "bf16xbf16", 280, ("lpddr5", 16), (5, 8), 421, 6),
    ("rngd", "tsmc_5", 128000, "bf16xbf16", 284, ("hbm3", 2), (5, 16), 653, -13),
]


def typ(path):
    return FIGURES[path].typ


def blocks_of(node, macs, mac_format, sram_mib, memory, pcie, factor):
    """Return the blocks of a published chip from the library's typical figures alone."""
    technology, units = memory
    generation, lanes = pcie
    lane = f"interface_areas.pcie{generation}_phy_mm2_per_lane"
    controller = typ(f"{lane}.controller_transistors") / 1e6 / typ(f"nodes.{node}.transistor_density_mtr_per_mm2")
    column = lambda number: np.array([float(number)])  # noqa: E731
    um2 = typ(f"mac_n7.formats.{mac_format}.area_array_um2") * typ(f"nodes.{node}.logic_area_rel_n7")
    return area_blocks(
        mac_array=column(macs * um2 * 1e-6),
        sram=column(sram_mib * typ(f"nodes.{node}.sram_mm2_per_mib")),
        memory_interface=column(units * typ(f"memory.{technology}.phy_controller_mm2")),
        host_interface=column(lanes * (typ(lane) + controller)),
        link_interface=column(0),
        weight_decoder=column(0),
        factor=factor,
    )


@pytest.mark.parametrize(("name", "node", "macs", "form", "sram", "memory", "pcie", "real", "percent"), CHIPS)
def test_area_check_of_real_chips(name, node, macs, form, sram, memory, pcie, real, percent):
    # Technology page, section 7; the factor is the geometric mean over these chips and TPU v1.
    blocks = blocks_of(node, macs, form, sram, memory, pcie, typ("floorplan.area_factor.npu"))
    assert (total(blocks)[0] / real - 1) * 100 == pytest.approx(percent, abs=0.6)


def test_area_check_of_the_first_tpu():
    # Its DDR3 interfaces, 39 mm2, are taken from the same table.
    mac, sram = 65536 * 120e-6 * 6.5, 28 * 2.7
    assert (mac, sram) == pytest.approx((51.1, 75.6), abs=0.05)
    die = (mac + sram + 39.0) * typ("floorplan.area_factor.npu")
    assert die / 331 - 1 == pytest.approx(0.27, abs=0.006)


def test_groq_needs_its_own_class():
    chip = ("tsmc_16", 409600, "int8xint8", 220, ("hbm3", 0), (4, 16))
    as_npu = total(blocks_of(*chip, typ("floorplan.area_factor.npu")))[0]
    as_static = total(blocks_of(*chip, typ("floorplan.area_factor.static")))[0]
    assert as_npu / 725 - 1 == pytest.approx(0.79, abs=0.005)
    assert as_static / 725 - 1 == pytest.approx(0, abs=0.01)


def test_programmable_factor_is_that_of_three_gpus():
    # Active MACs (peak over boost clock), L2 and L1, and the interfaces of die photos or of the library.
    ga100 = 826 / (312e12 / 2 / 1.41e9 * 800e-6 + 60.25 * 0.57 + 58 + 31.8 + 20.9)
    nvlink = 18 * (0.965 + 86.628 / 140)
    pcie = 16 * (0.64 + 5.372 / 140)
    gh100 = 814 / (989e12 / 2 / 1.83e9 * 800e-6 * 0.585 + 83 * 0.44 + 6 * 15 + nvlink + pcie)
    mi210 = 724 / (181e12 / 2 / 1.7e9 * 800e-6 * 0.85 + 16 * 0.56 + 83.3 + 40.8 + 45.5 + 42)
    figure = FIGURES["floorplan.area_factor.programmable"]
    assert np.cbrt(ga100 * gh100 * mi210) == pytest.approx(figure.typ, rel=0.03)
    assert min(ga100, gh100, mi210) == pytest.approx(figure.low, rel=0.02)
    assert max(ga100, gh100, mi210) == pytest.approx(figure.high, rel=0.02)


@given(SIZE, SIZE, SIZE, st.floats(1, 4))
def test_blocks_are_the_die(mac, sram, memory, factor):
    column = lambda number: np.array([number])  # noqa: E731
    blocks = area_blocks(
        mac_array=column(mac),
        sram=column(sram),
        memory_interface=column(memory),
        host_interface=column(10.9),
        link_interface=column(3.0),
        weight_decoder=column(0.5),
        factor=factor,
    )
    assert total(blocks) == sum(blocks.values())
    assert total(blocks)[0] == pytest.approx(factor * (mac + sram + memory + 13.9) + 0.5)
    assert all(block >= 0 for block in blocks.values())


@given(st.floats(1, 1000), st.floats(1, 3))
def test_perimeter_of_a_rectangle(area, ratio):
    width, height = np.sqrt(area * ratio), np.sqrt(area / ratio)
    assert perimeter_mm(np.array([area]), ratio)[0] == pytest.approx(2 * (width + height))
    assert perimeter_mm(np.array([area]), ratio)[0] >= perimeter_mm(np.array([area]), 1.0)[0] * (1 - 1e-12)


def limits(die_mm2=400.0, edge_mm=60.0, tdp_w=200.0, cooling="air", overrides=None):
    return floorplan_limits(
        np.array([die_mm2]),
        edge_mm=np.array([edge_mm]),
        tdp_w=np.array([tdp_w]),
        cooling=Choice.of(cooling),
        technology=Technology(overrides or {}),
    )


def test_limits_by_hand():
    square = {"floorplan.aspect_ratio": 1.0, "floorplan.usable_edge_share": 0.9}
    found = limits(overrides=square)
    assert found["reticle_mm2"] == (400, 858)
    assert found["die_edge_mm"] == (60, pytest.approx(72))  # 80 mm around a square die of 400 mm2
    assert found["heat_w_per_mm2"] == (0.5, pytest.approx(0.6))
    assert limits(cooling="liquid")["heat_w_per_mm2"][1] == 1.0


def test_m1_max_would_be_allowed():
    # 432 mm2 with 44 mm of LPDDR5 edge exists.
    used, allowed = limits(die_mm2=432.0, edge_mm=44.0)["die_edge_mm"]
    assert used < allowed


def test_gpus_that_exist_stay_in_the_reticle_and_in_the_range_of_air_cooling():
    for die, tdp in ((826.0, 400.0), (814.0, 700.0)):
        found = limits(die_mm2=die, tdp_w=tdp)
        assert found["reticle_mm2"][0] <= found["reticle_mm2"][1]
        assert tdp / die <= FIGURES["heat_limits_w_per_mm2.air_observed"].high

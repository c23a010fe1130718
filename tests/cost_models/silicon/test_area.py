import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.area import (
    area_blocks,
    core_sram_fraction,
    floorplan_limits,
    package_limits,
    perimeter_mm,
    sides_mm,
    total,
)
from cost_models.table import Choice

TECHNOLOGY = Technology()
LIBRARY_PARAMETERS = shipped_library().parameters
SIZE = st.floats(0.01, 400)
CLASSES = ("programmable", "npu", "static")


def typ(path):
    return LIBRARY_PARAMETERS[path].typ


def column(number):
    return np.array([float(number)])


def blocks_of(kind, mac, core, cache=0.0, interfaces=20.0, decoder=0.5):
    return area_blocks(
        Choice.of(kind),
        mac_array=column(mac),
        core_sram=column(core),
        cache_sram=column(cache),
        memory_interface=column(interfaces),
        host_interface=column(10.9),
        link_interface=column(3.0),
        weight_decoder=column(decoder),
        technology=TECHNOLOGY,
    )


@given(st.sampled_from(CLASSES), SIZE, SIZE, SIZE)
def test_blocks_are_the_die(kind, mac, core, cache):
    blocks = blocks_of(kind, mac, core, cache)
    surround = typ(f"floorplan.surround_over_sram.{kind}") * core
    shared = (0.79 * mac + 3.4 * cache) if kind == "programmable" else 0.0
    named = mac * 1.25 + core + cache + surround + shared + 20 + 10.9 + 3 + 0.5
    assert total(blocks) == sum(blocks.values())
    assert total(blocks)[0] == pytest.approx(named * 1.017)
    assert all(block >= 0 for block in blocks.values())


@given(st.sampled_from(CLASSES), SIZE, SIZE)
def test_every_part_makes_the_die_larger(kind, mac, core):
    base = total(blocks_of(kind, mac, core))
    for more in (blocks_of(kind, mac * 1.1, core), blocks_of(kind, mac, core * 1.1), blocks_of(kind, mac, core, 1.0)):
        assert total(more) > base
    assert total(blocks_of(kind, mac, core, interfaces=21.0)) - base == pytest.approx(1.017), "a PHY is only itself"


def test_classes_side_by_side_are_the_classes_alone():
    kinds = Choice.of(*CLASSES)
    together = area_blocks(
        kinds,
        mac_array=np.full(3, 30.0),
        core_sram=np.full(3, 40.0),
        cache_sram=np.full(3, 5.0),
        memory_interface=np.full(3, 20.0),
        host_interface=column(10.9),
        link_interface=column(3.0),
        weight_decoder=column(0.5),
        technology=TECHNOLOGY,
    )
    for row, kind in enumerate(CLASSES):
        alone = blocks_of(kind, 30, 40, 5)
        for name, block in together.items():
            assert np.broadcast_to(block, 3)[row] == pytest.approx(alone[name][0]), (kind, name)
    assert core_sram_fraction(kinds, TECHNOLOGY).tolist() == [0.55, 1, 1]


@given(st.floats(1, 1000), st.floats(1, 3))
def test_perimeter_of_a_rectangle(area, ratio):
    long, short = sides_mm(column(area), ratio)
    assert long * short == pytest.approx(area)
    assert long / short == pytest.approx(ratio)
    assert perimeter_mm(column(area), ratio)[0] == pytest.approx(2 * (long + short)[0])
    assert perimeter_mm(column(area), ratio)[0] >= perimeter_mm(column(area), 1.0)[0] * (1 - 1e-12)


def limits(die_mm2=400.0, edge_mm=60.0, tdp_w=200.0, cooling="air", overrides=None):
    return floorplan_limits(
        column(die_mm2),
        edge_mm=column(edge_mm),
        tdp_w=column(tdp_w),
        cooling=Choice.of(cooling),
        technology=Technology(overrides or {}),
    )


def test_limits_by_hand():
    square = {"floorplan.aspect_ratio": 1.0, "floorplan.usable_edge_fraction": 0.9}
    result = limits(overrides=square)
    assert result["reticle_mm2"] == (400, 858)
    assert result["die_edge_mm"] == (60, pytest.approx(72))  # 80 mm around a square die of 400 mm2
    assert result["heat_w_per_mm2"] == (0.5, pytest.approx(0.6))
    assert limits(cooling="liquid")["heat_w_per_mm2"][1] == 1.0


def test_m1_max_would_be_allowed():
    # 432 mm2 with 44 mm of LPDDR5 edge exists.
    used, allowed = limits(die_mm2=432.0, edge_mm=44.0)["die_edge_mm"]
    assert used < allowed


def test_gpus_that_exist_stay_in_the_reticle_and_in_the_range_of_air_cooling():
    for die, tdp in ((826.0, 400.0), (814.0, 700.0)):
        result = limits(die_mm2=die, tdp_w=tdp)
        assert result["reticle_mm2"][0] <= result["reticle_mm2"][1]
        assert tdp / die <= LIBRARY_PARAMETERS["heat_limits_w_per_mm2.air"].high


def package(die_mm2=400.0, bits=0.0, stacks=0.0, links=0.0, watts=100.0, volts=0.75):
    result = package_limits(
        column(die_mm2),
        board_memory_bits=column(bits),
        stacks=column(stacks),
        link_gbps=column(links),
        supply_w=column(watts),
        supply_v=column(volts),
        technology=TECHNOLOGY,
    )
    return {name: (float(used[0]), float(allowed[0])) for name, (used, allowed) in result.items()}


def test_package_by_hand():
    result = package(bits=1024, links=100, watts=150)
    assert result["package_balls"] == (pytest.approx(1024 * 3 + 100 * 0.35 + 140 + 150 / 0.75 * 2), (70 / 0.94) ** 2)
    assert result["interposer_mm2"] == (0, 2831)
    stacked = package(die_mm2=814, stacks=6)
    assert stacked["interposer_mm2"][0] == pytest.approx((814 + 6 * 110) * 1.1)
    assert stacked["stack_edge_mm"] == (60, pytest.approx(2 * np.sqrt(814 * 1.2) * 1.1))


def test_packages_that_exist_are_allowed():
    # H100: 814 mm2 and six stacks; GA100: 826 mm2 and six; M1 Max: 512 bits of LPDDR5.
    for result in (package(814, stacks=6, watts=600), package(826, stacks=6, watts=350), package(432, bits=512)):
        assert all(used <= allowed for used, allowed in result.values()), result
    assert package(400, stacks=8)["stack_edge_mm"][0] > package(400, stacks=8)["stack_edge_mm"][1]

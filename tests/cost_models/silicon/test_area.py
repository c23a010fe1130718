import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.area import (
    area_blocks,
    floorplan_limits,
    outline_mm,
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


def square_of(edge):
    """The least die whose usable outline is so long."""
    return (edge / perimeter_mm(column(1.0), 1.2) / 0.85) ** 2


def blocks_of(
    kind, mac=30.0, sram=40.0, vector=10.0, memory=20.0, gbps=500.0, decoder=0.5, edge=20.0, technology=TECHNOLOGY
):
    return area_blocks(
        Choice.of(kind),
        mac_array=column(mac),
        vector_unit=column(vector),
        sram=column(sram),
        interfaces={
            "memory_interface": column(memory), "host_interface": column(10.9), "link_interface": column(3.0)
        },
        gbps=column(gbps),
        weight_decoder=column(decoder),
        least_mm2=square_of(edge),
        technology=technology,
    )  # fmt: skip


@given(st.sampled_from(CLASSES), SIZE, SIZE, SIZE, st.floats(0, 150))
def test_blocks_are_the_die(kind, mac, sram, vector, edge):
    blocks = blocks_of(kind, mac, sram, vector, edge=edge)
    by_class = "programmable" if kind == "programmable" else "compiled"
    own = lambda name: typ(f"floorplan.{name}.{by_class}")  # noqa: E731
    named = mac * (1 + own("control_over_mac_array")) + vector + sram * own("sram_over_macro") + 20 + 10.9 + 3 + 0.5
    named += 500 * own("noc_mm2_per_gbps")
    die = total(blocks)[0]
    assert total(blocks) == sum(blocks.values())
    assert all(block >= 0 for block in blocks.values())
    # The periphery surrounds the blocks with it; blank silicon comes on top where the outline is too short.
    around = perimeter_mm(column(die - blocks["blank"][0]), typ("floorplan.aspect_ratio"))[0]
    assert die - blocks["blank"][0] == pytest.approx(named + around * own("periphery_mm"))
    usable = perimeter_mm(column(die), typ("floorplan.aspect_ratio"))[0] * typ("floorplan.usable_edge_fraction")
    assert usable >= edge
    if blocks["blank"] > 0:
        assert usable == pytest.approx(edge)


@given(st.sampled_from(CLASSES), SIZE, SIZE)
def test_every_part_makes_the_die_larger_unless_there_is_blank_silicon(kind, mac, sram):
    base = total(blocks_of(kind, mac, sram))
    for more in ({"mac": mac * 1.1}, {"sram": sram * 1.1}, {"memory": 21.0}, {"vector": 11.0}):
        assert total(blocks_of(kind, **{"mac": mac, "sram": sram, **more})) > base
    edged = total(blocks_of(kind, mac, sram, edge=500.0))
    assert edged[0] == pytest.approx(total(blocks_of(kind, mac, sram * 1.01, edge=500.0))[0]), (
        "SRAM is free there: nobody buys it for edge"
    )


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_error_of_the_model_is_a_factor_of_every_block_and_not_of_what_surrounds_them(factor):
    usual = blocks_of("npu")
    told = blocks_of("npu", technology=Technology({"model_error.area.compiled": factor}))
    inside = [name for name in usual if name not in ("periphery", "blank")]
    assert {name: told[name][0] for name in inside} == pytest.approx({name: factor * usual[name][0] for name in inside})
    die = total(told)[0] - told["blank"][0]
    around = perimeter_mm(column(die), typ("floorplan.aspect_ratio"))[0] * typ("floorplan.periphery_mm.compiled")
    assert told["periphery"][0] == pytest.approx(around)


def test_sram_costs_its_macro_and_the_outline_that_it_brings():
    one, more = (total(blocks_of("npu", sram=size))[0] for size in (100.0, 101.0))
    assert 1.0 < more - one < 1.4


@given(st.floats(1, 900), st.floats(0, 12))
def test_a_rim_around_the_blocks(blocks, rim):
    die = outline_mm(column(blocks), rim)[0]
    assert die - rim * np.sqrt(die) == pytest.approx(blocks)


def test_classes_side_by_side_are_the_classes_alone():
    kinds, three = Choice.of(*CLASSES), np.ones(3)
    together = area_blocks(
        kinds,
        mac_array=30 * three,
        vector_unit=10 * three,
        sram=40 * three,
        interfaces={"memory_interface": 20 * three, "host_interface": column(10.9), "link_interface": column(3.0)},
        gbps=500 * three,
        weight_decoder=column(0.5),
        least_mm2=square_of(20.0),
        technology=TECHNOLOGY,
    )
    for row, kind in enumerate(CLASSES):
        for name, block in together.items():
            assert np.broadcast_to(block, 3)[row] == pytest.approx(blocks_of(kind)[name][0]), (kind, name)


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
    assert result["heat_w_per_mm2"] == (0.5, LIBRARY_PARAMETERS["heat_limits_w_per_mm2.air"].typ)
    assert limits(cooling="liquid")["heat_w_per_mm2"][1] > result["heat_w_per_mm2"][1]


def test_m1_max_would_be_allowed():
    # 432 mm2 with 44 mm of LPDDR5 edge exists.
    used, allowed = limits(die_mm2=432.0, edge_mm=44.0)["die_edge_mm"]
    assert used < allowed


def test_gpus_that_exist_stay_in_the_reticle_and_in_the_range_of_air_cooling():
    for die, tdp in ((826.0, 400.0), (814.0, 700.0), (609.0, 450.0), (750.0, 575.0)):
        result = limits(die_mm2=die, tdp_w=tdp)
        assert all(result[name][0] <= result[name][1] for name in ("reticle_mm2", "heat_w_per_mm2"))


def package(die_mm2=400.0, bits=0.0, stacks=0.0, links=0.0, watts=100.0, volts=0.75):
    result = package_limits(
        column(die_mm2),
        logic_mm2=column(die_mm2),
        board_memory_bits=column(bits),
        board_devices=column(np.ceil(bits / 64)),
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
    assert stacked["stack_edge_mm"] == (30, pytest.approx(np.sqrt(814 * 1.2) * 1.1))
    odd = package(die_mm2=814, stacks=5)
    assert odd["stack_edge_mm"] == stacked["stack_edge_mm"], "three on one side, two on the other"


def test_packages_that_exist_are_allowed():
    # H100: 814 mm2 and six stacks; GA100: 826 mm2 and six; M1 Max: 512 bits of LPDDR5.
    for result in (package(814, stacks=6, watts=600), package(826, stacks=6, watts=350), package(432, bits=512)):
        assert all(used <= allowed for used, allowed in result.values()), result
    assert package(400, stacks=8)["stack_edge_mm"][0] > package(400, stacks=8)["stack_edge_mm"][1]

"""One calculation of the edge: the least die, what a die carries, and where it stands are the same thing."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.evaluate.serve import designs_machine
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.beachfront import (
    Edge,
    along_the_sides,
    least_die_mm2,
    max_bandwidth,
    units_around,
    usable_sides_mm,
)
from cost_models.silicon.cost import Economics
from cost_models.table import Choice, Table

LIBRARY = shipped_library()
TECHNOLOGY = Technology()


def edge(units, unit_mm, stacked=0.0, host_mm=7.0, links_mm=0.0):
    return Edge(*(np.atleast_1d(np.asarray(number, float)) for number in (units, unit_mm, stacked, host_mm, links_mm)))


edges = st.builds(
    edge, st.integers(0, 80), st.floats(0.5, 12), st.sampled_from([0.0, 1.0]), st.floats(0, 14), st.floats(0, 40)
)


@settings(max_examples=150, deadline=None)
@given(edges)
def test_the_least_die_has_room_and_a_smaller_one_has_not(wanted):
    least = least_die_mm2(wanted, TECHNOLOGY)
    assert units_around(least * (1 + 1e-9), wanted, TECHNOLOGY) >= wanted.units
    long, short = usable_sides_mm(least, TECHNOLOGY)
    taken = wanted.units * wanted.unit_mm + wanted.host_mm + wanted.links_mm
    assert 2 * (long + short) >= taken * (1 - 1e-9)
    if least == 0:
        return
    smaller = least * (1 - 1e-6)
    long, short = usable_sides_mm(smaller, TECHNOLOGY)
    assert units_around(smaller, wanted, TECHNOLOGY) < wanted.units or 2 * (long + short) < taken


def test_rows_do_not_meddle_with_each_other():
    wanted = [
        edge(units, unit, stacked) for units, unit, stacked in [(7, 3.6, 0), (5, 7, 1), (60, 1.375, 0), (0, 1, 0)]
    ]
    alone = [float(least_die_mm2(one, TECHNOLOGY)[0]) for one in wanted]
    together = Edge(*(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in wanted), strict=True)))
    assert list(least_die_mm2(together, TECHNOLOGY)) == alone


@settings(max_examples=80, deadline=None)
@given(edges, st.floats(1, 1.5))
def test_everything_stands_somewhere_whole_apart_and_out_of_the_corners(wanted, larger):
    die = float(least_die_mm2(wanted, TECHNOLOGY)[0]) * larger * (1 + 1e-9)
    if die < 1:
        return
    placed = along_the_sides(die, wanted, TECHNOLOGY)
    memory = placed.get("memory", [])
    assert len(memory) == (wanted.units[0] if wanted.unit_mm[0] > 0 else 0)
    assert all(high - low == pytest.approx(wanted.unit_mm[0]) for _, low, high in memory)
    assert not wanted.stacked[0] or {side for side, *_ in memory} <= {0, 2}
    usable = [float(side) for side in usable_sides_mm(die, TECHNOLOGY)]
    for side in range(4):
        length = usable[side % 2]
        corner = length * (1 / 0.85 - 1) / 2
        own = sorted((low, high) for pieces in placed.values() for at, low, high in pieces if at == side)
        assert all(a[1] <= b[0] + 1e-6 for a, b in itertools.pairwise(own))
        assert not own or (own[0][0] >= corner - 1e-6 and own[-1][1] <= corner + length + 1e-6)
    if wanted.host_mm[0] <= usable[1]:
        lengths = {name: sum(high - low for _, low, high in pieces) for name, pieces in placed.items()}
        assert lengths.get("host", 0.0) == pytest.approx(wanted.host_mm[0])
        assert lengths.get("links", 0.0) == pytest.approx(wanted.links_mm[0], abs=1e-6)


pairs = st.builds(
    lambda first, second, mm, stacked: dataclasses.replace(
        first, second_units=np.array([float(second)]), second_mm=np.array([mm]), second_stacked=np.array([stacked])
    ),
    edges, st.integers(1, 40), st.floats(0.5, 12), st.sampled_from([0.0, 1.0]),
)  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(st.lists(pairs, min_size=1, max_size=3), edges, st.randoms(use_true_random=False))
def test_a_design_among_others_takes_the_die_that_it_takes_alone(several, without, random):
    nothing = dataclasses.replace(without, **{name: np.zeros(1) for name in vars(without) if name.startswith("second")})
    wanted = 2 * [nothing, *several]
    random.shuffle(wanted)
    together = Edge(*(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in wanted), strict=True)))
    assert list(least_die_mm2(together, TECHNOLOGY)) == [float(least_die_mm2(one, TECHNOLOGY)[0]) for one in wanted]


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_two_memories_stand_in_whole_units_on_the_least_die(wanted):
    least = float(least_die_mm2(wanted, TECHNOLOGY)[0])
    alone = float(least_die_mm2(edge(*(float(vars(wanted)[name][0]) for name in FIRST)), TECHNOLOGY)[0])
    assert least >= alone
    placed = along_the_sides(least * (1 + 1e-9), wanted, TECHNOLOGY)
    for name, units, width, stacked in (
        ("memory", wanted.units, wanted.unit_mm, wanted.stacked),
        ("second", wanted.second_units, wanted.second_mm, wanted.second_stacked),
    ):
        own = placed.get(name, [])
        assert len(own) == units[0]
        assert all(high - low == pytest.approx(width[0]) for _, low, high in own)
        assert not stacked[0] or {side for side, *_ in own} <= {0, 2}
    usable = [float(side) for side in usable_sides_mm(least * (1 + 1e-9), TECHNOLOGY)]
    for side in range(4):
        own = sorted((low, high) for pieces in placed.values() for at, low, high in pieces if at == side)
        assert all(a[1] <= b[0] + 1e-6 for a, b in itertools.pairwise(own))
        assert sum(high - low for low, high in own) <= usable[side % 2] + 1e-6
    # Nothing in between has room, or the die would be smaller: either a length or a place is missing.
    smaller = least * (1 - 1e-6)
    long, short = usable_sides_mm(smaller, TECHNOLOGY)
    taken = sum(float(vars(wanted)[count][0] * vars(wanted)[width][0]) for count, width in COUNTED)
    taken += float(wanted.host_mm[0] + wanted.links_mm[0])
    missing = 2 * (long + short) < taken or not placed_whole(smaller, wanted)
    assert missing


FIRST = ("units", "unit_mm", "stacked", "host_mm", "links_mm")
COUNTED = (("units", "unit_mm"), ("second_units", "second_mm"))


def placed_whole(die_mm2, wanted):
    """Return whether a die of some area holds every unit."""
    placed = along_the_sides(die_mm2, wanted, TECHNOLOGY)
    return len(placed.get("memory", [])) == wanted.units[0] and len(placed.get("second", [])) == wanted.second_units[0]


def test_a_second_memory_in_a_design_makes_the_die_as_large_as_whole_units_do():
    base = {"memory": "hbm3", "memory_devices": 1.0, "memory_device_gib": 16.0, "macs": 1024.0, "sram_mib": 2.0}
    second = {"second_memory": "lpddr5x_8533", "second_memory_device_bits": 64.0, "second_memory_device_gib": 16.0}
    both = [{**base, **second, "second_memory_devices": count} for count in (4.0, 12.0)]
    tables = [Table.from_settings(one) for one in (base, *both)]
    none, four, twelve = (designs_machine(table, TECHNOLOGY, Economics.of(LIBRARY)) for table in tables)
    assert four.blocks["edge_mm"]["second"] == pytest.approx(4 * 4 * 1.375)
    assert none.die_mm2 < four.die_mm2 < twelve.die_mm2
    wanted = Edge(
        *(np.array([x]) for x in (1.0, float(none.blocks["edge_mm"]["memory"][0]), 1.0, 7.0, 0.0, 48.0, 1.375, 0.0))
    )
    assert twelve.die_mm2 == pytest.approx(least_die_mm2(wanted, TECHNOLOGY))


def test_what_takes_no_edge_wants_no_place():
    none = least_die_mm2(edge(0, 1.0), TECHNOLOGY)
    assert least_die_mm2(edge(3, 0.0), TECHNOLOGY) == none
    second = {"second_units": np.full(1, 4.0), "second_mm": np.full(1, 3.0)}
    beside = [dataclasses.replace(edge(*first), **second) for first in ((0, 1.0), (3, 0.0))]
    assert least_die_mm2(beside[0], TECHNOLOGY) == least_die_mm2(beside[1], TECHNOLOGY) > none
    # A second memory without an edge leaves the die as it is.
    bare = dataclasses.replace(edge(7, 3.6), second_units=np.full(1, 4.0))
    assert least_die_mm2(bare, TECHNOLOGY) == least_die_mm2(edge(7, 3.6), TECHNOLOGY)


def test_what_a_die_carries_of_one_memory_does_not_depend_on_the_others():
    grades = ("stacked_dram", "lpddr5x_9600", "hbm3", "gddr7_28")
    die, watts = np.array([500.0, 300.0, 700.0, 90.0]), np.array([20.0, 300.0, 5.0, 1.0])
    every = max_bandwidth(Choice.of(*grades), die, supply_w=watts, supply_v=0.75, technology=TECHNOLOGY)
    for row, grade in enumerate(grades):
        alone = max_bandwidth(
            Choice.of(grade), die[row : row + 1], supply_w=watts[row], supply_v=0.75, technology=TECHNOLOGY
        )
        assert {name: float(units[row]) for name, units in every.units.items()} == {
            name: float(units[0]) for name, units in alone.units.items()
        }
        assert every.gbps[row] == alone.gbps[0] and every.interface_mm2[row] == alone.interface_mm2[0]
    # On top of a die lies as much as its area carries; no package and no interposer sets a limit to that.
    value = TECHNOLOGY.value
    each = every.gbps_per_unit[0]
    assert every.units["sides"][0] == np.floor(500 / (each * value("die_stacking.mm2_per_gbps")))
    assert np.isinf(every.units["package"][[0, 2]]).all() and np.isfinite(every.units["package"][[1, 3]]).all()
    assert np.isfinite(every.units["interposer"][2]) and np.isinf(every.units["interposer"][[0, 1, 3]]).all()


def test_an_odd_stack_stands_on_either_side():
    six, five, four = (least_die_mm2(edge(count, 7.0, 1.0), TECHNOLOGY)[0] for count in (6, 5, 4))
    assert six == five > four
    sides = [side for side, *_ in along_the_sides(float(five) * (1 + 1e-9), edge(5, 7.0, 1.0), TECHNOLOGY)["memory"]]
    assert sorted(sides) == [0, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("grade", "units", "die_mm2"),
    [("lpddr5_6400", 32, 432), ("gddr6x_21", 12, 609), ("gddr7_28", 16, 750), ("gddr6_12", 6, 294), ("hbm3", 6, 814)],
    ids=["M1 Max", "AD102", "GB202", "AD104", "GH100"],
)  # fmt: skip
def test_real_dies_carry_what_they_carry(grade, units, die_mm2):
    found = max_bandwidth(
        Choice.of(grade), np.array([float(die_mm2)]), supply_w=300.0, supply_v=0.8, technology=TECHNOLOGY
    )
    assert found.most >= units
    assert found.units["sides"] < 3 * units, "no die is known that has a third of its edge full"


def test_no_die_carries_a_thousand_bits_of_gddr():
    # 512 bits on 750 mm2 are the widest that was built.
    found = max_bandwidth(Choice.of("gddr6_16"), np.array([800.0]), supply_w=300.0, supply_v=0.8, technology=TECHNOLOGY)
    assert 16 <= found.most < 27


@pytest.mark.parametrize(("grade", "bits"), [("lpddr5x_9600", 64), ("gddr7_28", 32), ("hbm3", 1024)])
def test_a_design_of_the_most_that_a_die_carries_has_that_die(grade, bits):
    die, units_each = 400.0, bits / {"lpddr5x_9600": 16, "gddr7_28": 32, "hbm3": 1024}[grade]
    wide = max_bandwidth(Choice.of(grade), np.array([die]), supply_w=50.0, supply_v=0.75, technology=TECHNOLOGY)
    devices = int(wide.units["sides"][0] // units_each)
    gib = {"lpddr5x_9600": 8.0, "gddr7_28": 2.0, "hbm3": 16.0}[grade]
    designs = [
        {"memory": grade, "memory_devices": float(count), "memory_device_bits": float(bits), "memory_device_gib": gib,
         "macs": 1024.0, "sram_mib": 2.0}
        for count in (devices, devices + 1)
    ]  # fmt: skip
    machine = designs_machine(Table.from_settings(*designs), TECHNOLOGY, Economics.of(LIBRARY))
    assert machine.die_mm2[0] <= die * (1 + 1e-6) or machine.blocks["area_mm2"]["blank"][0] == 0
    assert machine.die_mm2[1] > machine.die_mm2[0]


def test_package_price_and_memory_around_it_agree():
    designs = [{"memory_devices": float(count), "memory_device_bits": 64.0} for count in (4, 16, 24, 32)]
    machine = designs_machine(Table.from_settings(*designs), TECHNOLOGY, Economics.of(LIBRARY))
    body, allowed = machine.limits["package_body_mm"]
    balls, _ = machine.limits["package_balls"]
    assert (body**2 >= balls * 0.94**2 * (1 - 1e-9)).all()
    assert (body**2 >= 4 * machine.die_mm2 * (1 - 1e-9)).all()
    assert (4 * (body + 24) >= 14 * np.array([4, 16, 24, 32]) * (1 - 1e-9)).all()
    price = TECHNOLOGY.value("packaging.substrate_layers") * TECHNOLOGY.value("packaging.substrate_usd_per_mm2_layer")
    assert (machine.blocks["cost_usd"]["package"] >= body**2 * price * (1 - 1e-9)).all()
    assert body[-1] > allowed[0], "2048 bits of LPDDR have no place around one package"

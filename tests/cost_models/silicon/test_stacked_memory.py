"""DRAM on top of the logic: room, heat, bonds, and no edge, balls or interposer."""

import numpy as np
import pytest

from cost_models.evaluate.serve import designs_machine
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.beachfront import max_bandwidth
from cost_models.silicon.cost import Economics
from cost_models.silicon.memory import memory_system
from cost_models.table import Choice, Table
from tests.cost_models.silicon.designs import random_designs

TECHNOLOGY, ECONOMICS = Technology(), Economics.of(shipped_library())
VALUE = TECHNOLOGY.value
TOP = {
    "memory": "stacked_dram", "memory_devices": 16, "memory_device_bits": 2048, "memory_device_gib": 4, "macs": 65536,
    "mac_format": "int4xint8", "sram_mib": 32,
}  # fmt: skip


def made(technology=TECHNOLOGY, **settings):
    return designs_machine(Table.from_settings({**TOP, **settings}), technology, ECONOMICS)


def used(machine, limit):
    return float(np.ravel(machine.limits[limit][0])[0])


def block(machine, kind, name):
    return float(np.ravel(machine.blocks[kind][name])[0])


@pytest.mark.parametrize(("bits", "gib"), [(1024, 2), (2048, 4), (2048, 1), (1024, 8)])
def test_a_die_is_as_large_as_the_memory_on_it(bits, gib):
    machine = made(memory_device_bits=bits, memory_device_gib=gib)
    assert machine.bandwidth_bytes_per_s == 16 * bits * 2e9 / 8
    by_rate, by_size = 16 * bits / 4 * VALUE("die_stacking.mm2_per_gbps"), 16 * gib * VALUE("die_stacking.mm2_per_gib")
    assert machine.die_mm2 == pytest.approx(
        max(by_rate, by_size, machine.die_mm2[0] - block(machine, "area_mm2", "blank"))
    )
    assert machine.die_mm2 >= max(by_rate, by_size)
    halves = made(memory_device_bits=bits, memory_device_gib=gib, dies=2)
    assert halves.die_mm2 >= max(by_rate, by_size)


def test_it_takes_no_edge_no_ball_and_no_interposer():
    top, none = made(), made(memory="none", sram_mib=32)
    assert block(top, "edge_mm", "memory") == 0
    assert used(top, "interposer_mm2") == used(top, "stack_edge_mm") == 0
    # What is left are host and supply, as of a machine without memory outside.
    delivered = [
        sum(block(m, "tdp_w", name) for name in ("mac_array", "vector", "on_chip", "leakage")) for m in (top, none)
    ]
    supply = [2 * watts / VALUE("package.ball_current_a") for watts in delivered]
    volts = (supply[0] - supply[1]) / (used(top, "package_balls") - used(none, "package_balls"))
    assert 0.4 < volts < 1.0


def test_no_interface_of_it_stands_along_the_edge_and_nothing_of_it_beside_the_die():
    column = {name: np.full(1, float(value)) for name, value in (("devices", 16), ("device_gib", 4), ("bits", 2048))}
    found = memory_system(
        Choice.of("stacked_dram"), devices=column["devices"], device_bits=column["bits"],
        device_gib=column["device_gib"], sram_mib=np.full(1, 32.0), clock_ghz=np.ones(1), technology=TECHNOLOGY,
    )  # fmt: skip
    assert (found.units, found.stacks, found.board_devices, found.board_bits) == (0, 0, 0, 0)
    assert found.on_top_mm2 > 0 and found.crossing == VALUE("die_stacking.crossing_fraction")


def test_heat_and_bonds_are_its_price():
    top = made()
    bare = made(memory="hbm3e", memory_devices=2, memory_device_bits=1024, memory_device_gib=24)
    assert top.limits["heat_w_per_mm2"][1] == bare.limits["heat_w_per_mm2"][1] * VALUE("die_stacking.heat_over_bare")
    over = 16 * 4 * VALUE("die_stacking.mm2_per_gib")
    at_stake = sum(block(top, "cost_usd", name) for name in ("die", "die_test", "package", "memory"))
    good = VALUE("packaging.flip_chip_bond_yield") * VALUE("die_stacking.bond_yield")
    assert block(top, "cost_usd", "bond_loss") == pytest.approx(at_stake * (1 / good - 1))
    assembled = VALUE("packaging.test_and_assembly_usd_per_package_simple")
    bonded = over * VALUE("die_stacking.bond_usd_per_mm2")
    assert block(top, "cost_usd", "test_and_assembly") == pytest.approx(assembled + bonded)


def test_bytes_enter_near_the_arrays():
    far = made(Technology({"die_stacking.crossing_fraction": 1.0}))
    near = made()
    assert near.sram_j_per_byte < far.sram_j_per_byte
    share = block(near, "area_mm2", "noc") / block(far, "area_mm2", "noc")
    assert share == pytest.approx(VALUE("die_stacking.crossing_fraction"))


def test_other_designs_keep_every_bit_beside_it():
    rows = 200
    designs = {**random_designs(rows, seed=9)}
    memory = designs["memory"]
    others = tuple(name for name in memory.values if name != "stacked_dram")
    plain = Choice(others, np.arange(rows) % len(others))
    mixed = Choice((*others, "stacked_dram"), np.where(np.arange(rows) % 2, len(others), plain.codes))
    alone = designs_machine({**designs, "memory": plain}, TECHNOLOGY, ECONOMICS)
    beside = designs_machine({**designs, "memory": mixed}, TECHNOLOGY, ECONOMICS)
    even = np.arange(rows) % 2 == 0
    for name in ("die_mm2", "tdp_w", "cost_usd", "sram_j_per_byte", "static_w", "embodied_kg"):
        first, second = (np.broadcast_to(getattr(machine, name), rows)[even] for machine in (alone, beside))
        assert np.array_equal(first, second), name
    for name, limits in alone.limits.items():
        for first, second in zip(limits, beside.limits[name], strict=True):
            assert np.array_equal(np.broadcast_to(first, rows)[even], np.broadcast_to(second, rows)[even]), name


def test_the_most_that_a_die_carries_follows_its_area():
    grade = Choice.of("stacked_dram")
    small, large = (
        max_bandwidth(grade, np.array([mm2]), supply_w=100.0, supply_v=0.75, technology=TECHNOLOGY)
        for mm2 in (400.0, 800.0)
    )
    assert large.gbps == pytest.approx(2 * small.gbps, rel=0.05)
    assert small.gbps <= 400 / VALUE("die_stacking.mm2_per_gbps")

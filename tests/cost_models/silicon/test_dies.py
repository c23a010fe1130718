"""Several dies in one package: conservation, closed forms, real packages, and one die as before."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.evaluate.serve import designs_machine, serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.interconnect import die_all_reduce_s, die_exchange_bytes
from cost_models.silicon import cost, dies
from cost_models.silicon.cost import Economics
from cost_models.silicon.machine import NO_COLUMNS
from cost_models.table import Choice, Table
from tests.cost_models.silicon.designs import random_designs

TECHNOLOGY, ECONOMICS = Technology(), Economics.of(shipped_library())
LARGE = {
    "macs": 400_000, "sram_mib": 256.0, "memory": "lpddr5x_9600", "memory_devices": 32, "memory_device_bits": 32,
    "memory_device_gib": 8.0, "host_lanes": 8, "cores": 64,
}  # fmt: skip
KINDS = ("organic", "bridge", "interposer")


def machine(technology=TECHNOLOGY, **settings):
    return designs_machine(Table.from_settings({**LARGE, **settings}), technology, ECONOMICS)


def block(result, kind, name):
    return float(np.ravel(result.blocks[kind][name])[0])


def limit(result, name):
    used, allowed = result.limits[name]
    return float(np.ravel(used)[0]), float(np.ravel(allowed)[0])


def test_designs_of_one_die_keep_every_bit_whatever_is_evaluated_beside_them():
    rows = 300
    designs = random_designs(rows, seed=5)
    alone = designs_machine(designs, TECHNOLOGY, ECONOMICS)
    rng = np.random.default_rng(1)
    several = {
        **designs,
        "dies": np.where(np.arange(rows) % 2 == 0, 1.0, rng.choice([2.0, 3.0, 8.0], rows)),
        "die_link": Choice(KINDS, rng.integers(0, 3, rows)),
    }
    mixed, one = designs_machine(several, TECHNOLOGY, ECONOMICS), several["dies"] == 1

    def same(first, second):
        return np.array_equal(np.broadcast_to(first, rows)[one], np.broadcast_to(second, rows)[one], equal_nan=True)

    new = {"die_link_j_per_byte", "die_step_s", *NO_COLUMNS}
    for name in {column.name for column in fields(alone)} - new:
        assert same(getattr(alone, name), getattr(mixed, name)), name
    for kind, blocks in alone.blocks.items():
        assert all(same(amount, mixed.blocks[kind][name]) for name, amount in blocks.items()), kind
    for name, (used, allowed) in alone.limits.items():
        assert same(used, mixed.limits[name][0]) and same(allowed, mixed.limits[name][1]), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [2, 4])
def test_dealing_a_design_to_dies_changes_neither_rates_nor_sums(kind, number):
    one, several = machine(), machine(dies=number, die_link=kind)
    for name in ("linear_mac_per_s", "bandwidth_bytes_per_s", "capacity_bytes", "linear_j_per_mac"):
        assert getattr(several, name) == getattr(one, name), name
    for name in ("mac_array", "sram", "memory_interface", "weight_decoder"):
        assert block(several, "area_mm2", name) == pytest.approx(block(one, "area_mm2", name)), name
    assert block(several, "area_mm2", "host_interface") == number * block(one, "area_mm2", "host_interface")
    for name, total in (("area_mm2", several.die_mm2), ("tdp_w", several.tdp_w), ("cost_usd", several.cost_usd)):
        assert sum(several.blocks[name].values()) == pytest.approx(total), name
    # Rims, ports and links are paid for on every die.
    assert several.die_mm2 > one.die_mm2
    assert limit(several, "reticle_mm2")[0] == pytest.approx(several.die_mm2[0] / number)
    assert several.sram_bytes == one.sram_bytes / number


def test_what_lies_between_dies_has_its_price():
    by_kind = {kind: machine(dies=2, die_link=kind, die_link_gbps=1000.0) for kind in KINDS}
    for kind, made in by_kind.items():
        mm2, pj = (TECHNOLOGY.value(f"die_links.{kind}.{field}") for field in ("mm2_per_gbps", "pj_per_bit"))
        assert block(made, "area_mm2", "die_link_interface") == pytest.approx(2 * 1000 * mm2)
        assert block(made, "tdp_w", "links") == pytest.approx(2 * 1000e9 * 8 * pj * 1e-12)
    organic, bridge, interposer = (by_kind[kind] for kind in KINDS)
    assert organic.die_mm2 > bridge.die_mm2 == interposer.die_mm2
    package = {kind: block(made, "cost_usd", "package") for kind, made in by_kind.items()}
    assert package["organic"] < package["bridge"] < package["interposer"]
    slow, fast = (machine(dies=2, die_link_gbps=gbps) for gbps in (100.0, 2000.0))
    assert fast.die_mm2 > slow.die_mm2 and fast.tdp_w > slow.tdp_w and fast.cost_usd > slow.cost_usd


def test_dies_are_bought_tested_and_lost_one_by_one():
    two = machine(dies=2, die_link="bridge")
    area = two.die_mm2 / 2
    value = TECHNOLOGY.value
    single = cost.die_blocks(
        area, exposed_mm2=area - block(two, "area_mm2", "blank") / 2, wafer_usd=value("nodes.tsmc_5.wafer_price_usd"),
        defects_per_cm2=value("nodes.tsmc_5.defect_density_per_cm2"), yield_model="negative_binomial",
        technology=TECHNOLOGY,
    )  # fmt: skip
    assert block(two, "cost_usd", "die") == pytest.approx(2 * single["die"][0])
    factor = value("multi_die.known_good_die_test_factor")
    assert block(two, "cost_usd", "die_test") == pytest.approx(2 * factor * single["die_test"][0])
    at_stake = sum(block(two, "cost_usd", name) for name in ("die", "die_test", "package"))
    good = value("packaging.flip_chip_bond_yield") * value("die_links.bridge.bond_yield")
    good *= value("multi_die.known_good_fraction")
    assert block(two, "cost_usd", "bond_loss") == pytest.approx(at_stake * (1 / good - 1))


def test_small_dies_pay_where_large_ones_fail():
    # 600 mm2 of logic at one defect per cm2: halves are cheaper although they are larger together.
    poor = Technology({"nodes.tsmc_5.defect_density_per_cm2": 1.0})
    huge = {"macs": 2_000_000, "sram_mib": 600.0, "memory_devices": 16}
    whole, halves = machine(poor, **huge), machine(poor, dies=2, die_link="bridge", **huge)
    assert halves.die_mm2 > whole.die_mm2 and halves.cost_usd < whole.cost_usd
    clean = Technology({"nodes.tsmc_5.defect_density_per_cm2": 0.001})
    assert machine(clean, dies=2, die_link="bridge", **huge).cost_usd > machine(clean, **huge).cost_usd


@pytest.mark.parametrize(("number", "sides", "joints"), [(1, 0, 0), (2, 1, 1), (3, 2, 3), (4, 2, 4), (8, 3, 12)])
def test_sides_that_face_other_dies_hold_no_memory(number, sides, joints):
    assert dies.facing_sides(number) == sides
    assert dies.joints(number) == joints
    outward, facing = np.array([40.0]), np.array([0.0])
    edge = dies.outline_edge_mm(outward, facing, dies=np.array([float(number)]), aspect_ratio=1.0)
    # Of four equal sides, those that are left hold what the die needs.
    assert edge == pytest.approx(40 * 4 / (4 - sides))
    links = dies.outline_edge_mm(np.zeros(1), np.array([12.0]), dies=np.array([float(number)]), aspect_ratio=1.0)
    assert links == pytest.approx(12 * 4 / sides if sides else 0.0)


def test_facing_sides_are_short_ones_first():
    # Of dies twice as long as the root of their area, and half as wide.
    found = dies.facing_over_root(np.array([1, 2, 3, 4, 8, 16]), 4.0)
    assert found.tolist() == [0, 0.5, 0.5 + 2, 0.5 + 2, 2 * 0.5 + 2, 2 * 0.5 + 2 * 2]


def test_dies_are_alike():
    assert limit(machine(dies=2, memory_devices=7), "memory_device") == (1, 0)
    assert limit(machine(dies=2, memory_devices=8), "memory_device") == (0, 0)


def ring_s(size, ranks, bandwidth, step_s):
    """Return the time of a ring all-reduce, step by step: every rank passes one of its p parts on."""
    seconds, holders = 0.0, [{rank} for rank in range(ranks)]
    for _ in range(ranks - 1):
        holders = [holders[rank] | holders[rank - 1] for rank in range(ranks)]
        seconds += step_s + size / ranks / bandwidth
    assert all(len(summed) == ranks for summed in holders)
    for _ in range(ranks - 1):
        seconds += step_s + size / ranks / bandwidth
    return seconds


@given(st.integers(2, 8), st.floats(1e3, 1e9), st.floats(10, 5000))
def test_dies_sum_round_a_ring(number, size, gbps):
    made = machine(dies=number, die_link_gbps=gbps)
    step = TECHNOLOGY.value("multi_die.step_ns") * 1e-9
    assert die_all_reduce_s(size, made) == pytest.approx(ring_s(size, number, gbps * 1e9, step))
    assert die_exchange_bytes(size, made) == pytest.approx(2 * (number - 1) * size)
    assert die_all_reduce_s(size, machine()) == 0 and die_exchange_bytes(size, machine()) == 0


def test_a_step_takes_longer_by_its_exchanges_alone():
    chat = Workload("chat", "llama3_8b", 8.0, 512, 128)
    one, two = (
        serve_designs(Table.from_settings({**LARGE, "dies": number}), chat, TECHNOLOGY, ECONOMICS).inference
        for number in (1, 2)
    )
    # 32 layers of two all-reduces, 8 rows of 4096 elements of 16 bits, over 500 GB/s.
    each = 2 * (100e-9 + 8 * 4096 * 2 / 2 / 500e9)
    assert two.decode_s - one.decode_s == pytest.approx(64 * each, rel=1e-6)
    sent = 64 * 2 * 8 * 4096 * 2 * 8 * TECHNOLOGY.value("die_links.organic.pj_per_bit") * 1e-12
    assert two.decode_energy.parts_j["links"] == pytest.approx(sent)
    assert two.prefill_s > one.prefill_s


GPU = {"architecture": "programmable", "weight_format": "bf16", "mac_format": "fp16xfp16", "dies": 2}
REAL = {
    # 220 of 224 CUs of 512 fp16 MACs, 64 FP32 and 64 FP64 units, 592 KiB; 8 MiB L2 a die; eight links outside, and
    # four of 50 GB/s between the dies.
    "mi250x": ({
        **GPU, "node": "tsmc_6", "macs": 112_640, "vector_lanes": 28_160, "clock_ghz": 1.7, "sustained_clock_ghz": 1.0,
        "sram_mib": 143.2, "cores": 110, "spare_cores": 2, "memory": "hbm2e", "memory_devices": 8,
        "memory_device_gib": 16, "link_gbps": 400, "host_lanes": 16, "die_link": "organic", "die_link_gbps": 200,
    }, 1448, 560),
    # 148 of 160 SMs of 4096 fp16 MACs, 128 FP32 and 64 FP64 units, 768 KiB; 126 MiB L2; the same silicon as a GB200's.
    "b200": ({
        **GPU, "node": "tsmc_4", "macs": 606_208, "vector_lanes": 28_416, "clock_ghz": 1.965,
        "sustained_clock_ghz": 1.665, "sram_mib": 237, "cores": 74, "spare_cores": 6, "memory": "hbm3e",
        "memory_devices": 8, "memory_device_gib": 24, "link_gbps": 900, "host_lanes": 16, "die_link": "bridge",
        "die_link_gbps": 5000,
    }, 1600, 1000),
}  # fmt: skip


def test_real_packages_of_two_dies():
    errors = {}
    for name, (settings, mm2, watts) in REAL.items():
        made = designs_machine(Table.from_settings(settings), TECHNOLOGY, ECONOMICS)
        assert all(np.all(used <= allowed) for used, allowed in made.limits.values()), name
        errors[name] = (abs(made.die_mm2[0] / mm2 - 1), abs(made.tdp_w[0] / watts - 1))
    area, power = np.mean(list(errors.values()), axis=0)
    assert area <= 0.15 and power <= 0.25, errors

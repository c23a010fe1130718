"""A sweep over what lies behind HBM: DDR, DDR behind CXL, and the memory of a host, which is an entry of one's own."""

import numpy as np
import pytest

from cost_models.table import Table
from dse.evaluator import Evaluator
from dse.runs import explore
from dse.sweep import parse_spec
from tests.sweeps import minimized

HOST = {
    "sources": {"house": {"title": "Estimate of the house", "kind": "estimate", "read": "internal", "year": 2026}},
    "memory_grades": {"host_pcie5": {"technology": "host", "gbps_per_pin": 32}},
    "memory": {
        "host": {
            "packaging_class": "board", "package_bits": [16], "package_gib": [128, 256],
            **{
                field: {"value": value, "src": ["house"], "conf": "low"}
                for field, value in {
                    "unit_bits": 16, "effective_fraction": 0.985, "efficiency_stream": 0.8, "price_usd_per_gb": 12.0,
                    "energy_total_pj_per_bit": 24.0, "phy_controller_mm2": 11.0, "beachfront_mm": 7.0,
                    "idle_w_per_gib": 0.04, "embodied_g_per_gib": 65.0,
                }.items()
            },
        },
    },
}  # fmt: skip
"""DDR5 of a host behind 16 lanes of PCIe 5, which its board pays for: an entry that a user might add."""

TIERS = ["none", "ddr5_5600", "cxl_pcie5", "host_pcie5"]
SWEEP = {
    "name": "tiers",
    "library": HOST,
    "workloads": {"chat": {"model": "mixtral_8x22b", "batch": 4, "prompt_tokens": 1024, "output_tokens": 256}},
    "space": {
        "memory": "hbm3e", "memory_devices": {"values": [1, 2]}, "memory_device_gib": 24, "weight_format": "int8",
        "second_memory": {"values": TIERS},
        "second_memory_devices": {"values": [1, 2], "when": {"second_memory": TIERS[1:]}},
        "second_memory_device_gib": {"values": [128], "when": {"second_memory": TIERS[1:]}},
        "macs": 65536, "sram_mib": 64, "host_lanes": 16,
    },
    "objectives": minimized("chat.tpot_ms", "cost_usd"),
    "search": {"sampler": "grid"},
}  # fmt: skip


@pytest.fixture(scope="module")
def grid():
    spec = parse_spec(SWEEP)
    evaluator = Evaluator(spec)
    fixed = {name: value for name, value in SWEEP["space"].items() if not isinstance(value, dict)}
    keys = [(stacks, tier, number) for stacks in (1, 2) for tier in TIERS for number in (1, 2)[: 1 + (tier != "none")]]
    behind = [
        {}
        if tier == "none"
        else {"second_memory": tier, "second_memory_devices": number, "second_memory_device_gib": 128}
        for _, tier, number in keys
    ]
    table = Table.from_settings(
        *({**fixed, "memory_devices": key[0], **more} for key, more in zip(keys, behind, strict=True))
    )
    judged = evaluator.evaluate(table)
    places = evaluator.results(table)["chat"].inference.placed.placement

    def at(column, row):
        return float(np.broadcast_to(column, table.rows)[row])

    return {
        key: {
            **{name.removeprefix("chat."): at(column, row) for name, column in judged.metrics.items()},
            "second": {name: at(share, row) for name, share in places.second_reads.items()},
            "read": {name: at(amount, row) for name, amount in places.read_bytes.items()},
        }
        for row, key in enumerate(keys)
    }


def test_the_front_of_the_sweep_has_tiers():
    found = explore(parse_spec(SWEEP)).front
    assert found is not None
    chosen = {row.get("second_memory") for row in found.designs.to_settings()}
    assert chosen & set(TIERS[1:])


def test_weights_beyond_the_hbm_need_a_tier(grid):
    # 141 GB of int8 weights with a little cache: two stacks of 24 GiB hold them with a tier of 128 GiB only.
    assert np.isnan(grid[2, "none", 1]["tpot_ms"])
    assert all(np.isfinite(grid[1, tier, 1]["tpot_ms"]) for tier in TIERS[1:])


def test_a_tier_takes_what_its_bandwidth_and_the_reads_there_take(grid):
    # GB/s delivered by one device: 64 bits of DDR5-5600, 8 lanes of CXL, 16 lanes to a host.
    rates = {
        "ddr5_5600": 64 / 8 * 5.6 * 0.80,
        "cxl_pcie5": 8 / 8 * 32 * 0.985 * 0.82,
        "host_pcie5": 2 * 32 * 0.985 * 0.8,
    }
    for tier, gbps in rates.items():
        one, two = grid[1, tier, 1], grid[1, tier, 2]
        there = sum(amount * one["second"][name] for name, amount in one["read"].items())
        slow = there / (gbps * 1e9) * 1e3
        # Steps are the tier's: one stack of HBM reads its 24 GiB in 30 ms at the most.
        assert slow < one["tpot_ms"] < slow / 0.96 + 30
        assert 0.97 * slow / 2 < one["tpot_ms"] - two["tpot_ms"] < slow / 2 / 0.95
        assert one["second"]["experts"] > 0 and one["second"]["dense"] == 0
    steps = {tier: grid[1, tier, 1]["tpot_ms"] for tier in rates}
    assert sorted(steps, key=steps.get) == sorted(rates, key=rates.get, reverse=True)


def test_tiers_are_paid_for(grid):
    for tier in TIERS[1:]:
        one, two = grid[2, tier, 1], grid[2, tier, 2]
        assert two["cost_usd"] - one["cost_usd"] > 128 * 11 and two["tdp_w"] > one["tdp_w"]
        assert one["cost_usd"] > grid[2, "none", 1]["cost_usd"]
        # A second stack holds more of what is read.
        assert one["tpot_ms"] < grid[1, tier, 1]["tpot_ms"] and one["cost_usd"] > grid[1, tier, 1]["cost_usd"]

"""Parameters of a design: which are whole, which may be nothing, how far they go, and what is meant if not told."""

import pytest

from cost_models.quantities.parameters import PARAMETERS, unmet_needs

NUMBERS = {name: one for name, one in PARAMETERS.items() if not one.is_choice}
SHARES, MEANS = {"sparsity", "mask_correlation"}, {"kv_bits", "act_bits"}


def test_what_is_counted_is_whole():
    # Pieces and widths are counted; capacities, rates, volts, shares and mean bits, scales with them, are measured.
    for name, one in NUMBERS.items():
        assert one.integer == (one.unit in ("", "bit") and name not in SHARES | MEANS), name


def test_nothing_is_a_number_where_a_design_may_do_without():
    none = {
        "memory_decoder", "spare_cores", "host_lanes", "link_gbps", "weight_group", "shift_registers",
        "mask_correlation",
    }  # fmt: skip
    assert {name for name, one in NUMBERS.items() if not one.open_low} == none
    assert {one.low for one in NUMBERS.values()} == {0}


@pytest.mark.parametrize(
    ("high", "names"),
    [
        # A yes or no; a rail for logic and one for SRAM; volts of logic; shares that leave something.
        (1, {"memory_decoder"}), (2, {"supply_rails", "supply_v"}), (0.99, SHARES),
        # Dies beside each other with joints between; GHz; bits of the uncompressed weight, of wide sums; PCIe lanes.
        (8, {"dies"}), (10, {"clock_ghz", "sustained_clock_ghz"}), (16, {"weight_bits"}),
        (32, {"kv_bits", "act_bits", "host_lanes"}), (64, {"lane_depth"}),
    ],
)  # fmt: skip
def test_how_far_numbers_go(high, names):
    assert {name for name, one in NUMBERS.items() if one.high == high} == names


def test_the_design_that_is_meant_where_nothing_is_told():
    # One die of one clock with a supply of its own for nothing, 16 packages of 8 GiB on x16 lanes, an 8-bit cache.
    told = {
        "memory_devices": 16, "memory_device_gib": 8, "memory_decoder": 0, "second_memory_devices": 8,
        "second_memory_device_gib": 64, "macs": 131072, "clock_ghz": 1, "supply_rails": 1, "sram_mib": 64, "dies": 1,
        "die_link_gbps": 500, "cores": 16, "spare_cores": 0, "host_lanes": 16, "link_gbps": 0, "lanes": 64,
        "lane_block": 128, "lane_depth": 1, "kv_bits": 8, "act_bits": 16,
    }  # fmt: skip
    assert {name: one.default for name, one in NUMBERS.items() if one.default is not None} == told


def test_what_means_nothing_without_another():
    assert unmet_needs("second_memory_devices", {}) == ("second_memory",)
    assert unmet_needs("second_memory_devices", {"second_memory": "none"}) == ("second_memory",)
    assert unmet_needs("second_memory_devices", {"second_memory": "ddr5"}) == ()
    assert unmet_needs("die_link", {"dies": 1.0}) == ("dies",) and unmet_needs("die_link", {"dies": 2.0}) == ()
    # Rows or columns of an array: one of both is enough.
    assert unmet_needs("dataflow", {"array_columns": 64}) == () and len(unmet_needs("dataflow", {})) == 2
    assert unmet_needs("clock_ghz", {}) == unmet_needs("tpot_ms", {}) == ()

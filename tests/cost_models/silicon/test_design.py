import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import UnknownEntryError
from cost_models.evaluate.serve import serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library.models import FREE_FIELDS
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.quantities.parameters import PARAMETERS
from cost_models.silicon.cost import Economics
from cost_models.silicon.defaults import fill_defaults
from cost_models.silicon.design import design_machine
from cost_models.table import INACTIVE, Choice
from cost_models.weights.compression import stored_bits
from tests.cost_models.silicon.designs import (
    DESIGN,
    ECONOMICS,
    EVERYWHERE,
    LIBRARY,
    NODES,
    OUTSIDE,
    TECHNOLOGY,
    columns_of,
    machine,
    table,
    typ,
)


def test_everything_is_finite_and_positive_everywhere():
    result = design_machine(EVERYWHERE, TECHNOLOGY, economics=ECONOMICS)
    may_be_zero = {
        "link_bytes_per_s",
        "host_bytes_per_s",
        "dequantize_j_per_byte",
        "dequantize_macs",
        "dram_j_per_byte",
        "static_shapes",
        "measured",
        "die_link_bytes_per_s",
        "die_link_j_per_byte",
        "die_step_s",
        "read_mostly_bytes",
        "link_added_s",
        "link_hop_s",
        "link_rivalry",
        "vector_j_per_op",
    }
    for name, column in columns_of(result).items():
        if name == "dequantize_bytes_per_s":
            assert np.isinf(column).all()
            continue
        assert np.isfinite(column).all(), name
        assert (column >= 0).all() if name in may_be_zero else (column > 0).all(), name
    for blocks in result.blocks.values():
        assert all((block >= 0).all() for block in blocks.values())
    assert (result.stream_efficiency < 1).all()


def test_blocks_sum_to_the_totals():
    result = design_machine(EVERYWHERE, TECHNOLOGY, economics=ECONOMICS)
    used_edge = result.limits["die_edge_mm"][0]
    for name, column in (
        ("area_mm2", result.die_mm2),
        ("tdp_w", result.tdp_w),
        ("cost_usd", result.cost_usd),
        ("edge_mm", used_edge),
    ):
        assert np.array_equal(sum(result.blocks[name].values()), column), name


def test_compiled_machines_draw_no_more_than_the_design_limit_in_any_phase():
    # At a clock that they sustain; programmable ones are held there by lowering it.
    designs = {**EVERYWHERE, "sustained_clock_ghz": np.array([np.nan])}
    result = design_machine(designs, TECHNOLOGY, economics=ECONOMICS)
    compiled = designs["architecture"].names() != "programmable"
    per_byte = result.dram_j_per_byte + result.sram_j_per_byte + result.dequantize_j_per_byte
    streaming = result.bandwidth_bytes_per_s * per_byte + result.link_bytes_per_s * result.link_j_per_byte
    for kind in ("linear", "head", "attention"):
        busy = getattr(result, f"{kind}_mac_per_s") * getattr(result, f"{kind}_j_per_mac")
        sampled = (busy + streaming + result.static_w) / result.conversion_efficiency
        assert (sampled <= result.tdp_w * (1 + 1e-9))[compiled].all()


def test_a_slower_sustained_clock_lowers_the_limit_and_nothing_else():
    result = machine(DESIGN | {"sustained_clock_ghz": 1.0}, DESIGN | {"sustained_clock_ghz": 0.7})
    assert result.tdp_w[1] < result.tdp_w[0]
    for name in ("linear_mac_per_s", "linear_j_per_mac", "die_mm2"):
        column = getattr(result, name)
        assert len(column) == 1 or column[0] == column[1], name


def test_a_second_rail_lets_slow_logic_run_lower_and_costs_something():
    slow = {**DESIGN, "clock_ghz": 0.5, "supply_rails": 1}
    one, two = machine(slow), machine({**slow, "supply_rails": 2})
    assert two.linear_j_per_mac < one.linear_j_per_mac
    assert two.tdp_w < one.tdp_w
    rail = TECHNOLOGY.value("board_load.second_rail_usd")
    saved = (one.tdp_w - two.tdp_w) * (600 - 190) / 550
    assert two.blocks["cost_usd"]["board"] == pytest.approx(one.blocks["cost_usd"]["board"] - saved + rail)


def test_one_row_stands_for_all():
    rows = 40
    narrow = {name: c[:rows] for name, c in EVERYWHERE.items()}
    fixed = {"node": Choice.of("tsmc_5"), "clock_ghz": np.array([1.0]), "memory": Choice.of("lpddr5x_9600")}
    wide = {
        "node": Choice.of(*["tsmc_5"] * rows),
        "clock_ghz": np.ones(rows),
        "memory": Choice.of(*["lpddr5x_9600"] * rows),
    }
    short = design_machine({**narrow, **fixed}, TECHNOLOGY, economics=ECONOMICS)
    full = design_machine({**narrow, **wide}, TECHNOLOGY, economics=ECONOMICS)
    for name, column in columns_of(full).items():
        assert np.array_equal(np.broadcast_to(columns_of(short)[name], rows), np.broadcast_to(column, rows)), name
    for name, (used, allowed) in full.limits.items():
        assert np.array_equal(np.broadcast_to(short.limits[name][0], rows), np.broadcast_to(used, rows)), name
        assert np.array_equal(np.broadcast_to(short.limits[name][1], rows), np.broadcast_to(allowed, rows)), name


def test_silent_parameters_take_their_defaults():
    given_all = {n: p.default for n, p in PARAMETERS.items() if p.default is not None}
    assert columns_of(machine({"macs": 131072}))["price_usd"] == machine(given_all).price_usd
    filled = fill_defaults({"macs": np.array([1024.0, np.nan]), "node": Choice(("tsmc_7",), np.array([0, INACTIVE]))})
    assert filled["macs"].tolist() == [1024, 131072]
    assert filled["node"].names().tolist() == ["tsmc_7", "tsmc_5"]
    assert np.isnan(filled["memory_device_bits"]).all()
    assert filled["weight_method"].codes.tolist() == [INACTIVE]
    assert filled.keys() == PARAMETERS.keys()


@given(
    st.sampled_from(NODES),
    st.sampled_from(OUTSIDE),
    st.sampled_from(["programmable", "npu", "static"]),
    st.floats(1024, 4e5),
    st.floats(1, 200),
    st.integers(1, 16),
)
@settings(max_examples=60, deadline=None)
def test_area_power_and_price_rise_with_macs_sram_and_devices(node, memory, architecture, macs, sram, devices):
    base = {
        "node": node,
        "memory": memory,
        "architecture": architecture,
        "macs": macs,
        "sram_mib": sram,
        "memory_devices": devices,
    }
    more = [{**base, "macs": macs * 1.1}, {**base, "sram_mib": sram * 1.1}, {**base, "memory_devices": devices + 1}]
    result = machine(base, *more)
    for column in (result.die_mm2, result.tdp_w, result.cost_usd, result.price_usd):
        # MACs and SRAM may stand where silicon was blank.
        filled = np.broadcast_to(result.blocks["area_mm2"]["blank"], 4)[0] > 0
        # An odd stack more stands where one side had room for it; it is paid for all the same.
        roomy = filled and column is result.die_mm2
        assert column[3] >= column[0] if roomy else column[3] > column[0]
        assert (column[1:3] >= column[0] * (1 - 1e-12)).all() if filled else (column[1:3] > column[0]).all()
    assert result.linear_mac_per_s[1] > result.linear_mac_per_s[0] == result.linear_mac_per_s[2]
    assert result.bandwidth_bytes_per_s[3] > result.bandwidth_bytes_per_s[0] == result.bandwidth_bytes_per_s[1]


@given(st.sampled_from(NODES), st.floats(0.5, 0.95))
@settings(max_examples=30, deadline=None)
def test_supply_sets_energy_by_its_square_and_leakage_in_proportion(node, share):
    nominal = typ(f"nodes.{node}.vdd_nominal_v")
    result = machine(*({**DESIGN, "node": node, "supply_v": supply} for supply in (nominal, nominal * share)))
    at_nominal, lowered = range(2)
    assert result.linear_j_per_mac[lowered] / result.linear_j_per_mac[at_nominal] == pytest.approx(share**2)
    leakage = result.blocks["tdp_w"]["leakage"]
    assert leakage[lowered] == pytest.approx(leakage[at_nominal] * share)


@given(st.sampled_from(NODES), st.floats(0.3, 1.4), st.floats(1.01, 1.3))
@settings(max_examples=40, deadline=None)
def test_clock_costs_voltage(node, clock, faster):
    result = machine(*({**DESIGN, "node": node, "clock_ghz": c} for c in (clock, clock * faster)))
    used, _ = result.limits["supply_v"]
    assert used[1] >= used[0] >= 0.8 * typ(f"nodes.{node}.vdd_nominal_v") * (1 - 1e-12)
    assert result.linear_j_per_mac[1] / result.linear_j_per_mac[0] == pytest.approx((used[1] / used[0]) ** 2)
    # The supply chosen is the least: given explicitly, it reaches the clock, and a lower one does not.
    given = machine(*({**DESIGN, "node": node, "clock_ghz": clock, "supply_v": v * used[0]} for v in (1.0, 0.97)))
    needed, reached = given.limits["clock_ghz"]
    assert needed[0] <= reached[0] * (1 + 1e-9)
    if used[0] > 0.8 * typ(f"nodes.{node}.vdd_nominal_v") * 1.001:
        assert needed[1] > reached[1]


def test_spare_cores_cost_area_and_save_money_where_yield_is_poor():
    dies = {**DESIGN, "memory_devices": 8, "node": "samsung_4", "sram_mib": 250, "cores": 64}
    result = machine(*({**dies, "spare_cores": spare} for spare in (0, 2, 4, 32)))
    per_good = result.blocks["cost_usd"]["die"]
    assert (np.diff(result.die_mm2) > 0).all()
    assert per_good[1] < per_good[0]
    assert per_good[3] > per_good[2], "beyond what defects need, spare cores are only area"


def test_parameters_drawn_per_row_equal_one_run_each():
    sampled = {
        "nodes.tsmc_5.wafer_price_usd": np.array([13400.0, 16500.0, 18000.0]),
        "memory.lpddr5x.beachfront_mm": np.array([0.6, 1.0, 1.3]),
        "memory.lpddr5x.energy_total_pj_per_bit": np.array([3.7, 5.0, 7.0]),
        "floorplan.periphery_mm.compiled": np.array([1.9, 2.2, 2.7]),
        "clocking.alpha": np.array([1.1, 1.3, 1.6]),
        "board.vrm_efficiency": np.array([0.85, 0.9, 0.95]),
        "reticle.limit_mm2": np.array([429.0, 858.0, 858.0]),
    }
    together = machine(DESIGN, technology=Technology(sampled))
    for row in range(3):
        alone = machine(DESIGN, technology=Technology({path: float(column[row]) for path, column in sampled.items()}))
        for name, column in columns_of(alone).items():
            assert np.broadcast_to(columns_of(together)[name], 3)[row] == column[0], name
        for name, (used, allowed) in alone.limits.items():
            assert np.broadcast_to(together.limits[name][0], 3)[row] == used[0]
            assert np.broadcast_to(together.limits[name][1], 3)[row] == allowed[0]


def outcome(designs, technology=TECHNOLOGY):
    """Return everything a Machine says, as one flat array."""
    result = design_machine(designs, technology, economics=ECONOMICS)
    limits = [side for pair in result.limits.values() for side in pair]
    near = [] if result.near is None else vars(result.near).values()
    return np.concatenate([np.atleast_1d(column) for column in (*columns_of(result).values(), *limits, *near)])


def test_every_parameter_that_is_read_matters():
    technology = Technology()
    before = outcome(EVERYWHERE, technology)
    assert len(technology.reads) > 300
    general = [
        path for path in technology.reads if not path.startswith(("nodes.", "memory.", "mac_n7.formats.", "quality."))
    ]
    one_of_each = [
        f"nodes.tsmc_5.{path.split('.')[2]}" for path in technology.reads if path.startswith("nodes.tsmc_7.")
    ]
    for path in (*general, *one_of_each):
        if typ(path) == 0:
            continue
        changed = Technology({path: typ(path) * 0.4})
        assert not np.array_equal(outcome(EVERYWHERE, changed), before), path


def test_every_parameter_matters():
    others = {
        "serving_stack",
        "dataflow",
        "weight_method",
        "kv_method",
        "act_method",
        "expert_format",
        *FREE_FIELDS,
    }  # software and quality
    base = {n: p.default for n, p in PARAMETERS.items() if p.default is not None}
    change = {
        "node": "samsung_8",
        "memory": "hbm3",
        "mac_format": "bf16xbf16",
        "architecture": "programmable",
        "cooling": "liquid",
        "weight_format": "xor_int4_s50",
        "memory_device_bits": 64,
        "supply_v": 0.6,
        "sustained_clock_ghz": 0.5,
        "vector_lanes": 512.0,
        "supply_rails": 2.0,
        "link_gbps": 100,
        "die_link": "bridge",
        "array_rows": 64,
        "array_columns": 64,
        "dataflow": "outputs",
        "second_memory": "ddr5_5600",
        "second_memory_device_bits": 128,
        "kv_bits": 16,
        "act_bits": 32,
        "weight_execution": "dequantize",
        "spare_cores": 2.0,
        "memory_decoder": 1.0,
    }
    for name in PARAMETERS.keys() - others:
        # Cores matter only where some are spare.
        start = {**base, "spare_cores": 2.0} if name == "cores" else base
        # What joins dies where there are several.
        start = {**start, "dies": 2} if name.startswith("die_link") else start
        # What stays in arrays whose shape is given.
        start = {**start, "array_rows": 64} if name == "dataflow" else start
        # Devices of a second memory where there is one.
        start = {**start, "second_memory": "ddr5_5600"} if name.startswith("second_memory_") else start
        # Decoders beside banks that multiply.
        start = {**start, "memory": "hbm2_pim"} if name == "memory_decoder" else start
        # Lanes where zeros are skipped.
        start = {**start, "weight_format": "bitmap"} if name.startswith("lane") else start
        varied = {**start, name: change[name] if name in change else 2 * base[name]}
        assert not np.array_equal(outcome(table(varied)), outcome(table(start))), name


def test_limits_of_designs_that_cannot_be_built():
    roomy = {**DESIGN, "sram_mib": 280, "supply_v": math.nan, "mac_format": "int4xfp16"}
    stacks = {"memory": "hbm3", "memory_device_bits": 1024, "memory_device_gib": 16}
    changes = {
        "nothing": {},
        "reticle_mm2": {"sram_mib": 1200},
        "heat_w_per_mm2": {"macs": 1e6, "supply_v": 0.85, "mac_format": "fp16xfp16", "sram_mib": 128},
        "package_balls": {"memory_devices": 30},
        "stack_edge_mm": {**stacks, "memory_devices": 8, "macs": 8192, "sram_mib": 16},
        "interposer_mm2": {**stacks, "sram_mib": 400},
        "clock_ghz": {"supply_v": 0.6},
        "supply_v": {"clock_ghz": 2.0},
        "memory_device": {"memory_device_gib": 7},
    }
    result = machine(*({**roomy, **change} for change in changes.values()))
    for row, name in enumerate(changes):
        violated = {
            limit
            for limit, (used, allowed) in result.limits.items()
            if np.broadcast_to(used > allowed, len(changes))[row]
        }
        assert name in violated or (name == "nothing" and not violated), (name, violated)


def test_founding_case_in_round_numbers():
    # Compression page, section 2: 1024 bits of LPDDR5X-9600 give 1.23 TB/s and 128 GiB; 121 TFLOP/s beside them took
    # 80-110 W of 150. One terabyte per second wants most of the edge of a 400 mm2 die.
    result = machine(DESIGN)
    assert result.bandwidth_bytes_per_s / 1e9 == pytest.approx([1229], rel=1e-3)
    assert result.capacity_bytes == 128 * 2**30
    assert result.peak_ops_per_s["linear"] / 1e12 == pytest.approx([262], rel=1e-2)
    assert 90 < result.tdp_w < 190
    used, allowed = result.limits["die_edge_mm"]
    assert used == pytest.approx(64 * 1.375 + 7)
    assert used <= allowed * (1 + 1e-9)
    assert 750 < result.die_mm2 < 858, "as wide as those of M1 Max, 64 channels take most of a reticle's outline"
    # A die whose blocks have not the edge is larger than they are, and its silicon is blank.
    small = machine({**DESIGN, "macs": 8192, "sram_mib": 8, "host_lanes": 0, "memory_devices": 12})
    used, allowed = small.limits["die_edge_mm"]
    assert used == pytest.approx(48 * 1.375)
    assert used <= allowed < used + 4 * 1.375, "less than a channel is lost on each side"
    assert small.blocks["area_mm2"]["blank"] > 0
    more = machine({**DESIGN, "macs": 8192, "sram_mib": 16, "host_lanes": 0, "memory_devices": 12})
    assert more.die_mm2 == pytest.approx(small.die_mm2), "SRAM buys no edge"


def test_lanes_of_the_host_interface_are_paid_one_by_one():
    none, eight, sixteen = (machine({**DESIGN, "host_lanes": lanes}) for lanes in (0, 8, 16))
    areas = [result.blocks["area_mm2"]["host_interface"][0] for result in (none, eight, sixteen)]
    assert areas == pytest.approx([0, 10.9 / 2, 10.9])
    assert none.die_mm2 < eight.die_mm2 < sixteen.die_mm2


def test_a_machine_without_memory_outside_the_die():
    result = machine({**DESIGN, "memory": "none", "sram_mib": 220, "clock_ghz": 0.9})
    assert result.bandwidth_bytes_per_s == pytest.approx(220 * 0.9e9 * typ("on_chip.sram_bytes_per_cycle_per_mib"))
    assert result.capacity_bytes == 220 * 2**20
    assert result.dram_j_per_byte == result.blocks["cost_usd"]["memory"] == result.blocks["tdp_w"]["memory"] == 0
    # The bank beside the array alone: no wires across the die.
    beside = machine({**DESIGN, "sram_mib": 220, "clock_ghz": 0.9})
    assert 0 < result.sram_j_per_byte < beside.sram_j_per_byte


def test_gpu_like_designs_pay_for_their_instructions():
    result = machine(*({**DESIGN, "architecture": kind} for kind in ("programmable", "npu", "static")))
    assert result.sram_j_per_byte[0] > 5 * result.sram_j_per_byte[1]
    assert result.blocks["area_mm2"]["vector_and_control"][0] > 2 * result.blocks["area_mm2"]["vector_and_control"][1]
    assert result.tdp_w[0] > result.tdp_w[1] == result.tdp_w[2]


def test_stored_bits_only_matter_to_the_xor_network():
    form = LIBRARY.weight_format("xor_int4_s50")
    roomy = {**DESIGN, "memory_devices": 4}
    coded, plain = ({**roomy, "weight_format": name} for name in ("xor_int4_s50", "bitmap_int4_s50"))
    bits = np.array([stored_bits(form)])
    assert machine(coded, bits=bits).die_mm2 < machine(coded).die_mm2
    assert machine(plain, bits=bits).die_mm2 == machine(plain).die_mm2


def test_economics_reach_the_price_and_not_the_cost():
    cheap, dear = Economics.of(LIBRARY, units=1e6, margin=0.2, nre_share=0.3), Economics.of(LIBRARY, units=2e4)
    assert machine(DESIGN, economics=cheap).cost_usd == machine(DESIGN, economics=dear).cost_usd
    assert machine(DESIGN, economics=cheap).price_usd < machine(DESIGN, economics=dear).price_usd
    murphy, poisson = Economics.of(LIBRARY, yield_model="murphy"), Economics.of(LIBRARY, yield_model="poisson")
    assert machine(DESIGN, economics=murphy).cost_usd < machine(DESIGN, economics=poisson).cost_usd


def test_unknown_names_are_refused():
    with pytest.raises(UnknownEntryError, match="tsmc_55"):
        machine({**DESIGN, "node": "tsmc_55"})
    with pytest.raises(UnknownEntryError, match="perhaps int4_g128"):
        machine({**DESIGN, "weight_format": "int4_g182"})


@given(
    st.sampled_from(["tsmc_28", "tsmc_16", "tsmc_10", "tsmc_7", "tsmc_5"]),
    st.floats(4096, 3e5),
    st.floats(8, 200),
    st.floats(1.05, 3),
)
@settings(max_examples=40, deadline=None)
def test_a_cheaper_wafer_or_a_cleaner_node_never_costs_more(node, macs, sram, factor):
    design = {**DESIGN, "node": node, "macs": macs, "sram_mib": sram}
    base = machine(design)
    for field in ("wafer_price_usd", "defect_density_per_cm2", "mask_set_usd", "design_nre_usd"):
        path = f"nodes.{node}.{field}"
        dearer = machine(design, technology=Technology({path: typ(path) * factor}))
        assert dearer.price_usd >= base.price_usd
        assert dearer.die_mm2 == base.die_mm2
    area = machine(
        design,
        technology=Technology({f"nodes.{node}.sram_mm2_per_mib": typ(f"nodes.{node}.sram_mm2_per_mib") * factor}),
    )
    assert area.die_mm2 > base.die_mm2 or base.blocks["area_mm2"]["blank"] > 0
    assert area.price_usd > base.price_usd or base.blocks["area_mm2"]["blank"] > 0
    assert area.tdp_w > base.tdp_w or base.blocks["area_mm2"]["blank"] > 0


def test_area_for_area_a_cheaper_node_never_costs_more():
    # The same 400 mm2 on every node: the cheaper wafer, at the same defect density, makes the cheaper die.
    from cost_models.silicon.cost import die_blocks

    wafers = {node: typ(f"nodes.{node}.wafer_price_usd") for node in NODES}
    order = sorted(NODES, key=wafers.get)
    cost = [
        sum(
            die_blocks(
                np.array([400.0]),
                exposed_mm2=np.array([400.0]),
                wafer_usd=np.array([wafers[node]]),
                defects_per_cm2=np.array([0.1]),
                yield_model="negative_binomial",
                technology=TECHNOLOGY,
            ).values()
        )[0]
        for node in order
    ]
    assert (np.diff(cost) >= 0).all()


def test_weights_are_loaded_over_the_lanes_of_the_host():
    lanes = np.array([0.0, 4.0, 16.0])
    chat = Workload("chat", "llama3_8b", batch=1.0, prompt_tokens=64.0, output_tokens=64.0)
    served = serve_designs({"host_lanes": lanes, "weight_format": Choice.of("int8")}, chat, TECHNOLOGY, ECONOMICS)
    seconds = workload_metrics(served, TECHNOLOGY, ("load_s",))["load_s"]
    # A lane of PCIe 5 carries 32 Gbit/s in codes of 128 in 130 bits; the head keeps 16 bits, all other weights 8.
    assert 8.03 / (16 * 4) < seconds[2] < 9.2 / (16 * 3.938)
    assert seconds[1] == pytest.approx(4 * seconds[2])
    assert np.isnan(seconds[0])


def test_a_small_array_needs_room_for_what_is_in_flight_and_a_tile_as_wide_as_its_activations():
    base = {**DESIGN, "macs": 64, "mac_format": "int8xint8"}
    made = machine(base | {"act_bits": 16}, base | {"act_bits": 8}, base | {"act_bits": 8, "memory_devices": 8})
    wide, narrow, slow = made.limits["sram_mib"][0] * 2**20
    tile = typ("on_chip.activation_tile_kib") * 1024
    assert wide - narrow == pytest.approx(tile * (16 - 8) / typ("serving.activation_bits"), rel=1e-9)
    bandwidth = machine(base | {"act_bits": 8}).bandwidth_bytes_per_s[0]
    assert narrow - slow == pytest.approx(bandwidth / 2 * typ("on_chip.memory_latency_ns") * 1e-9, rel=1e-9)
    assert slow > tile / 2 + bandwidth / 2 * typ("on_chip.memory_latency_ns") * 1e-9

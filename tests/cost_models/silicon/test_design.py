import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import UnknownEntryError
from cost_models.evaluate.serve import serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.models import FREE_FIELDS
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.quantities.parameters import PARAMETERS
from cost_models.silicon.cost import Economics
from cost_models.silicon.defaults import fill_defaults
from cost_models.silicon.design import design_machine
from cost_models.silicon.machine import Machine
from cost_models.table import INACTIVE, Choice
from cost_models.weights.compression import stored_bits
from cost_models.weights.lanes import lane_efficiency

LIBRARY = shipped_library()
LIBRARY_PARAMETERS = LIBRARY.parameters
TECHNOLOGY, ECONOMICS = Technology(), Economics.of(LIBRARY)
NODES, GRADES = tuple(LIBRARY.nodes), tuple(LIBRARY.memory_grades)
OUTSIDE = tuple(
    grade
    for grade, entry in LIBRARY.memory_grades.items()
    if LIBRARY.memory(entry.technology).packaging_class != "on_die"
)
FORMATS, MAC_FORMATS = tuple(LIBRARY.weight_formats), tuple(LIBRARY.mac_formats)

DESIGN = {
    "node": "tsmc_5",
    "memory": "lpddr5x_9600",
    "memory_devices": 16,
    "memory_device_bits": 64,
    "memory_device_gib": 8,
    "macs": 131072,
    "clock_ghz": 1.0,
    "sram_mib": 64,
}


def table(*designs):
    """Return a table of designs from one mapping per row."""
    return {
        name: Choice.of(*(d[name] for d in designs))
        if isinstance(value, str)
        else np.array([float(d[name]) for d in designs])
        for name, value in designs[0].items()
    }


def machine(*designs, technology=TECHNOLOGY, economics=ECONOMICS, bits=None):
    return design_machine(table(*designs), technology, economics=economics, stored_bits=bits)


def columns_of(found: Machine):
    return {name: value for name, value in vars(found).items() if isinstance(value, np.ndarray)}


def random_designs(rows, seed=0):
    """Return designs all over the space: every node with every memory, the rest at random."""
    rng = np.random.default_rng(seed)
    index = np.arange(rows)

    def pick(values):
        return Choice(values, rng.integers(0, len(values), rows))

    return {
        "node": Choice(NODES, index % len(NODES)),
        "memory": Choice(GRADES, index // len(NODES) % len(GRADES)),
        "memory_devices": rng.integers(1, 25, rows).astype(float),
        "memory_device_bits": rng.choice([32.0, 64.0, np.nan], rows),
        "memory_device_gib": rng.choice([0.5, 8.0, 16.0, 24.0], rows),
        "mac_format": pick(MAC_FORMATS),
        "macs": np.exp(rng.uniform(np.log(1024), np.log(2**20), rows)),
        "clock_ghz": rng.uniform(0.3, 2.0, rows),
        "supply_v": np.where(rng.random(rows) < 0.5, np.nan, rng.uniform(0.5, 1.0, rows)),
        "sram_mib": rng.uniform(1, 512, rows),
        "cores": rng.choice([1.0, 16.0, 128.0], rows),
        "spare_cores": rng.choice([0.0, 0.0, 1.0, 6.0], rows),
        "architecture": pick(("programmable", "npu", "static")),
        "cooling": pick(("air", "liquid")),
        "link_gbps": rng.choice([0.0, 100.0, 450.0], rows),
        "host_lanes": rng.choice([0.0, 8.0, 16.0], rows),
        "vector_lanes": rng.choice([np.nan, 1024.0, 8192.0], rows),
        "sustained_clock_ghz": rng.choice([np.nan, 0.3, 1.2], rows),
        "supply_rails": rng.choice([1.0, 2.0], rows),
        "weight_format": pick(FORMATS),
        "kv_bits": rng.choice([4.0, 8.0, 16.0], rows),
        "act_bits": rng.choice([8.0, 16.0], rows),
    }


EVERYWHERE = random_designs(len(NODES) * len(GRADES))


def typ(path):
    return LIBRARY_PARAMETERS[path].typ


def least_supply(clock):
    """Return the supply over nominal that reaches a clock over nominal, by halving."""
    low, high = 0.47, 2.0
    top = ((high - 0.47) / 0.53) ** 1.3 / high
    if clock > top:
        return high * clock / top
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if ((middle - 0.47) / 0.53) ** 1.3 / middle < clock else (low, middle)
    return high


def harvest(defects, core_fraction, cores, spares, alpha=3.0):
    """Return the yield by summing over density and over how many cores are bad."""
    plain = (1 + defects / alpha) ** -alpha
    if not spares:
        return plain
    rates = np.linspace(0, 30, 30001)[1:]
    weights = rates ** (alpha - 1) * np.exp(-rates * alpha)
    weights /= weights.sum()
    core = np.exp(-rates * defects * core_fraction / (cores + spares))
    rest = np.exp(-rates * defects * (1 - core_fraction))
    total = int(cores + spares)
    good = sum(math.comb(total, k) * core**k * (1 - core) ** (total - k) for k in range(int(cores), total + 1))
    return (weights * rest * good).sum()


def least_die(units, unit, stacked, host, links):
    """The least die by trying every size at which a side becomes long enough for one more."""
    per_long, per_short = 0.85 * math.sqrt(1.2), 0.85 / math.sqrt(1.2)
    together = (units * unit + host + links) / (2 * (per_long + per_short))
    numbers = range(math.ceil(units) + 1)
    sizes = [k * unit / per_long for k in numbers]
    sizes += [] if stacked else [(k * unit + more) / per_short for k in numbers for more in (0, host)]
    for size in sorted({together, *(s for s in sizes if s > together)}):
        long, short = per_long * size * (1 + 1e-9), per_short * size * (1 + 1e-9)
        places = 2 * (long // unit) if unit else units
        if unit and not stacked:
            places += short // unit + max(short - host, 0) // unit
        if places >= units:
            return size**2
    raise AssertionError


def twin(d, balls):
    """Compute one design in plain Python, slowly, from the library's typical parameters."""
    node = lambda field: typ(f"nodes.{d['node']}.{field}")  # noqa: E731
    grade, form = LIBRARY.memory_grade(d["memory"]), LIBRARY.weight_format(d["weight_format"])
    device, unit_format = LIBRARY.memory(grade.technology), LIBRARY.mac_format(d["mac_format"])
    memory = lambda field: typ(f"memory.{grade.technology}.{field}")  # noqa: E731
    bits = device.package_bits[0] if math.isnan(d["memory_device_bits"]) else d["memory_device_bits"]
    by_class = "programmable" if d["architecture"] == "programmable" else "compiled"
    own = lambda path: typ(f"{path}.{by_class}")  # noqa: E731
    sustained = (
        d["clock_ghz"] if math.isnan(d["sustained_clock_ghz"]) else min(d["sustained_clock_ghz"], d["clock_ghz"])
    )

    def supply(clock):
        if not math.isnan(d["supply_v"]):
            return d["supply_v"] / node("vdd_nominal_v")
        needed = least_supply(clock / node("nominal_clock_ghz") / own("clocking.clock_over_node"))
        least = typ("clocking.least_over_nominal" if d["supply_rails"] > 1 else "clocking.sram_least_over_nominal")
        return max(0.08 + 0.92 * needed, least)

    v, v_low = supply(d["clock_ghz"]), supply(sustained)
    v_sram = max(v, typ("clocking.sram_least_over_nominal"))
    # Banks that multiply read as much more as they are faster, at the energy that a byte takes there.
    beside = ("bandwidth_over_external", "gemv_efficiency", "energy_over_external")
    near = math.prod(typ(f"near_memory.{grade.technology}.{field}") for field in beside if device.near_operands)
    inside = max(near, 1.0) if device.near_operands else 1.0
    units = d["memory_devices"] * bits / memory("unit_bits")
    rate = d["memory_devices"] * bits * grade.gbps_per_pin * memory("effective_fraction") * 1e9 / 8
    outside = device.packaging_class != "on_die"
    if not outside:
        units = 0
        rate = d["sram_mib"] * d["clock_ghz"] * 1e9 * typ("on_chip.sram_bytes_per_cycle_per_mib")

    mac = f"mac_n7.formats.{d['mac_format']}"
    logic_j = node("logic_energy_rel_n7") * v**2
    mac_j = typ(f"{mac}.energy_bare_pj") * 1e-12 * logic_j * typ("mac_n7.operand_delivery_factor")
    floating = form.operand == "float" and not unit_format.float_weights
    narrow_floats = d["act_bits"] < 16 and form.has_float_codes and not unit_format.takes_float_activations
    floats = typ("execution.float_over_integer") if floating or narrow_floats else 1.0
    mac_j *= floats
    act_passes = math.ceil(d["act_bits"] / unit_format.activation_bits)
    of_weight = math.ceil(form.operand_bits / unit_format.weight_bits)
    if form.operand_bits <= unit_format.weight_bits / unit_format.weight_splits:
        of_weight = 1 / unit_format.weight_splits
    passes = of_weight * act_passes
    if form.kind == "nm" and form.execution == "skip":
        passes *= form.n / form.m
    energy, larger, queues = passes, floats, 0.0
    if form.kind != "nm" and form.execution == "skip":
        kept = 1 - form.sparsity
        share = float(lane_efficiency(128, kept, 64))
        passes, energy = passes * kept / share, passes * kept * typ("execution.skip_energy_factor")
        larger *= typ("execution.skip_area_factor")
        weight_mib, act_mib = 128 * kept * unit_format.weight_bits / 2**23, 128 * d["act_bits"] / 2**23
        queues = (d["macs"] * weight_mib + d["macs"] / 64 * act_mib) * node("sram_mm2_per_mib")
        queues *= typ("execution.lane_queue_over_sram")
        queues += d["macs"] / 64 * typ("execution.lane_group_um2_n7") * node("logic_area_rel_n7") * 1e-6
        e0, e1 = (typ(f"sram_energy.model_n7.e{one}_pj_per_bit") for one in "01")
        queued = (e0 + e1 * math.sqrt(weight_mib)) * unit_format.weight_bits
        queued += (e0 + e1 * math.sqrt(act_mib)) * unit_format.activation_bits / 64
        queued *= (1 + typ("on_chip.write_over_read_energy")) * 1e-12 * logic_j
        whole = of_weight * act_passes
        energy += whole * kept * queued / mac_j

    decoder_mm2 = decoder_j = 0.0
    if form.sparsity or form.execution == "dequantize":
        decoder_mm2 = rate * typ("decoder.unpack_mm2_per_tbps_n7") * 1e-12
        decoder_j = typ("decoder.unpack_pj_per_byte_n7") * 1e-12
    if form.kind == "xor":
        outputs = round(form.n_in / (1 - form.sparsity))
        gates = outputs * ((form.shift_registers + 1) * form.n_in / 2 - 1)
        flops = form.shift_registers * form.n_in
        um2 = gates * typ("decoder.xor2_um2_n7") + flops * typ("decoder.flip_flop_um2_n7")
        decoder_mm2 += rate * 8 / form.n_in / (d["clock_ghz"] * 1e9) * um2 * 1e-6
        femto = gates * typ("decoder.xor2_fj_n7") + flops * typ("decoder.flip_flop_fj_n7")
        decoder_j += 8 / form.n_in * femto * 1e-15
    if form.coded_bits is not None:
        symbols = 8 / float(stored_bits(form))
        decoder_mm2 += rate * 1e-9 * symbols * typ("decoder.ans_um2_per_gsymbols_n7") * 1e-6
        decoder_j += symbols * typ("decoder.ans_pj_per_symbol_n7") * 1e-12
    decoder_mm2, decoder_j = decoder_mm2 * node("logic_area_rel_n7"), decoder_j * logic_j

    built = 1 + d["spare_cores"] / d["cores"]
    array = d["macs"] * typ(f"{mac}.area_array_um2") * larger * node("logic_area_rel_n7") * 1e-6
    array = (array + queues) * built
    lanes = d["vector_lanes"]
    if math.isnan(lanes):
        lanes = d["macs"] / own("floorplan.macs_per_lane")
    vector = lanes * own("floorplan.lane_um2_n7") * 1e-6 * node("logic_area_rel_n7") * built
    vector += array * own("floorplan.control_over_mac_array")
    sram = d["sram_mib"] * node("sram_mm2_per_mib") * built
    sram *= (1 + typ("floorplan.second_rail_over_sram") * (d["supply_rails"] > 1)) * own("floorplan.sram_over_macro")
    in_core_blocks = array + vector + sram
    host = d["host_lanes"] / 16
    die = in_core_blocks + units * memory("phy_controller_mm2") + typ("interfaces.host_mm2") * host + decoder_mm2
    die += d["link_gbps"] * typ("interfaces.link_mm2_per_gbps")
    on_top = device.packaging_class == "on_top"
    crossing = typ("die_stacking.crossing_fraction") if on_top else outside
    die += (rate / 1e9 * crossing + d["link_gbps"]) * own("floorplan.noc_mm2_per_gbps")
    if d["spare_cores"]:
        each = own("floorplan.core_isolation_mm2_n7") * node("logic_area_rel_n7")
        die += (d["cores"] + d["spare_cores"]) * each
    # The outline grows with the rim that it is the outline of: as long as it takes.
    around = 2 * (math.sqrt(1.2) + 1 / math.sqrt(1.2))
    placed = die
    for _ in range(200):
        placed = die + around * own("floorplan.periphery_mm") * math.sqrt(placed)
    links = d["link_gbps"] * typ("interfaces.link_edge_mm_per_gbps")
    stacked = device.packaging_class == "interposer"
    along = 0 if on_top else units
    die = max(placed, least_die(along, memory("beachfront_mm"), stacked, typ("interfaces.host_edge_mm") * host, links))
    gib = d["memory_devices"] * d["memory_device_gib"] * outside
    below = max(gib * typ("die_stacking.mm2_per_gib"), rate / 1e9 * typ("die_stacking.mm2_per_gbps")) * on_top
    die = max(die, below)

    bank = typ("sram_energy.model_n7.e0_pj_per_bit")
    bank += typ("sram_energy.model_n7.e1_pj_per_bit") * math.sqrt(typ("on_chip.buffer_bank_mib"))
    bank *= 1 + typ("on_chip.write_over_read_energy")
    wire = typ("noc_energy.wire_fj_per_bit_mm.recommended_n7") * 1e-3
    wire *= typ("on_chip.wire_length_over_die_side") * math.sqrt(die) * crossing
    moved = bank * node("logic_energy_rel_n7") * v_sram**2 + wire * v**2
    stream = typ("on_chip.programmable_stream_pj_per_bit") if by_class == "programmable" else moved
    junction = {"air": 85, "liquid": 65}[d["cooling"]]
    leakage = min(placed, die) * node("leakage_w_per_mm2") * v_low * 2 ** ((junction - 65) / 30)
    static = leakage + gib * memory("idle_w_per_gib") + typ("board_load.fixed_w")
    low = (v_low / v) ** 2
    lane_j = own("on_chip.lane_pj_n7") * 1e-12 * logic_j
    busy = d["macs"] * mac_j * max(1, energy / passes) + lanes * lane_j
    watts = busy * sustained * 1e9 * low + rate * decoder_j * low + static
    watts += rate * 8e-12 * (memory("energy_total_pj_per_bit") * inside + moved * low)
    watts += d["link_gbps"] * 8e-3 * typ("noc_energy.die_to_die_pj_per_bit.serdes_112g_long_reach")
    tdp = watts / typ("board.vrm_efficiency")

    side = math.sqrt(die) + 0.2
    gross = max(math.pi * 145**2 / side**2 - math.pi * 290 / (math.sqrt(2) * side), 1)
    live = min(placed, die)
    good = harvest(live / 100 * node("defect_density_per_cm2"), in_core_blocks / live, d["cores"], d["spare_cores"])
    chip = node("wafer_price_usd") / (gross * 0.98 * good) + typ("assembly.die_test_usd") / good
    dram = gib * memory("price_usd_per_gb")
    if device.packaging_class == "interposer":
        carrier = (die + d["memory_devices"] * typ("assembly.stack_footprint_mm2")) * 1.1 * 0.265
        packaged = carrier + (chip + carrier + dram) * (1 / 0.95 - 1) + 600
    else:
        around = 0 if on_top else d["memory_devices"] * outside * typ("package.device_mm")
        ring = around / 4 - 2 * typ("package.device_reach_mm")
        carrier = max(die * 4, balls * typ("package.ball_pitch_mm") ** 2, max(ring, 0) ** 2) * 14 * 0.0008
        bond = 0.99 * (typ("die_stacking.bond_yield") if on_top else 1)
        packaged = carrier + (chip + carrier + dram * on_top) * (1 / bond - 1) + 21
        packaged += below * typ("die_stacking.bond_usd_per_mm2")
    cost = chip + packaged + dram + 10 * (d["supply_rails"] > 1) + 190 + (tdp - 150) * (600 - 190) / 550
    cost += tdp * typ("board.liquid_cooling_usd_per_w") * (d["cooling"] == "liquid")
    price = (cost + (node("mask_set_usd") + 0.3 * node("design_nre_usd")) / 150_000) / 0.6
    return {
        "linear_mac_per_s": d["macs"] * d["clock_ghz"] * 1e9 / passes,
        "linear_j_per_mac": mac_j * energy,
        "bandwidth_bytes_per_s": rate,
        "capacity_bytes": gib * 2**30 if outside else d["sram_mib"] * 2**20,
        "sram_j_per_byte": stream * 8e-12,
        "dequantize_j_per_byte": decoder_j,
        "static_w": static,
        "die_mm2": die,
        "tdp_w": tdp,
        "cost_usd": cost,
        "price_usd": price,
        "vector_ops_per_s": lanes * d["clock_ghz"] * 1e9,
        "vector_j_per_op": 0.0 if by_class == "programmable" else lane_j,
    }


def test_plain_python_agrees():
    result = design_machine(EVERYWHERE, TECHNOLOGY, economics=ECONOMICS)
    names = {name: c.names() if isinstance(c, Choice) else c for name, c in EVERYWHERE.items()}
    balls = result.limits["package_balls"][0]
    for row in range(0, len(NODES) * len(GRADES), 7):
        for field, expected in twin({name: column[row] for name, column in names.items()}, balls[row]).items():
            priced = field in ("cost_usd", "price_usd")
            # The harvest is integrated on a grid, which is too coarse for dies far beyond any reticle.
            if priced and result.die_mm2[row] > typ("reticle.limit_mm2"):
                continue
            close = 1e-2 if priced else 1e-9
            assert getattr(result, field)[row] == pytest.approx(expected, rel=close, abs=0), (row, field)


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

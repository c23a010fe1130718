"""Whole chips worked out in plain Python, slowly, from the typical parameters of the library."""

import math

import numpy as np
import pytest

from cost_models.silicon.design import design_machine
from cost_models.table import Choice
from cost_models.weights.compression import stored_bits
from cost_models.weights.lanes import lane_efficiency
from tests.cost_models.silicon.designs import (
    ECONOMICS,
    EVERYWHERE,
    GRADES,
    LIBRARY,
    NODES,
    TECHNOLOGY,
    typ,
)


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

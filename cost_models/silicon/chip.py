"""From a library chip to a Machine: published values, and the library's coefficients where makers publish none.

Published: peaks, bandwidth, capacity, SRAM, link, TDP, die area, price range. By node: energy of a MAC
(``mac_n7``). By memory technology: energy per bit, streaming efficiency. By measurement: idle power of a board
(``static_power``), and what a GPU spends on the die per streamed byte and more per MAC (``on_chip``). With what a
running program draws (the stack's ``active_fraction``) they make decode draw 440-540 W on an H100 that streams
2.0-2.5 TB/s, of which HBM explains a fifth.
"""

from __future__ import annotations

import numpy as np

from cost_models.errors import LibraryError
from cost_models.library import Chip, WeightFormat
from cost_models.library.chip_peaks import peak_ops_per_s
from cost_models.library.technology import Technology
from cost_models.silicon import power
from cost_models.silicon.carbon import die_kg, dram_kg
from cost_models.silicon.compute import HEAD_BITS, Scales, head_operand_bits
from cost_models.silicon.cost import good_fraction
from cost_models.silicon.machine import Machine, SecondMemory, Throttle
from cost_models.table import Choice, FloatArray, Number, as_column
from cost_models.tape import asarray
from cost_models.units import BITS_PER_BYTE, GIB, GIGA, MIB, OPS_PER_MAC, PICO, TERA
from cost_models.weights.chip_execution import chip_execution, execution_gain

NARROW_BITS = 8
"""Activations up to this width are not multiplied in 16 bits."""


def mac_energy_pj_n7(chip: Chip, name: str, technology: Technology) -> Number:
    """Return bare energy at N7 of a MAC in a published format.

    A 16-bit unit of a chip with fp16 peaks is charged as fp16, which it must carry.
    """
    if name == "bf16" and "fp16" in chip.peak_tops:
        name = "fp16"
    return technology.value(f"mac_n7.formats.{name}x{name}.energy_bare_pj")


def half_accumulation_gain(chip: Chip) -> float:
    """Return how much faster a chip multiplies where it accumulates in 16 bits: its fp16 peak over its bf16 peak."""
    peaks = chip.peak_tops
    return max(peaks["fp16"] / peaks["bf16"], 1.0) if "bf16" in peaks and "fp16" in peaks else 1.0


def _required(chip: Chip, field: str) -> float:
    number = getattr(chip, field)
    if number is None:
        raise LibraryError(f"chip {chip.key!r} cannot be used as a machine: its {field} is not published")
    return float(number)


def _or_nan(number: float | None) -> float:
    return float("nan") if number is None else float(number)


def _scales(chip: Chip, technology: Technology) -> Scales:
    """Return the node's scales at nominal supply, NaN where the node is not published."""
    if chip.node is None:
        unknown = np.array([np.nan])
        return Scales(unknown, unknown, np.ones(1))
    node = Choice.of(chip.node)
    area, energy = (technology.of("nodes", node, f"logic_{name}_rel_n7") for name in ("area", "energy"))
    return Scales(area, energy, np.ones(1))


def _static_w(chip: Chip, efficiency: FloatArray, technology: Technology) -> FloatArray:
    """Return standing power behind the converters: measured idle board, else the library's share of TDP."""
    if chip.idle_board is not None:
        idle = asarray(technology.value(f"static_power.idle_board_w.{chip.idle_board}"))
    else:
        idle = asarray(technology.value("static_power.static_fraction_of_tdp")) * _or_nan(chip.tdp_w)
    return as_column(idle * efficiency)


def _stream_j_per_byte(chip: Chip, scales: Scales, technology: Technology) -> FloatArray:
    """Return on-die energy of a streamed byte: by measurement for GPUs, from bank and wire for compiled machines."""
    if not technology.library.chip_families[chip.family].compiled:
        return as_column(power.gpu_stream_j_per_byte(technology))
    die_mm2 = technology.value("published.die_mm2") if chip.die_mm2 is None else chip.die_mm2
    return power.stream_j_per_byte(as_column(die_mm2), scales=scales, technology=technology)


def _memory(chip: Chip, technology: Technology) -> tuple[FloatArray, FloatArray]:
    """Return (streaming efficiency, joules per byte) of a chip's DRAM; energy 0 where it has none."""
    if chip.memory_technology is None:
        return as_column(technology.value("published.sram_only_stream_efficiency")), as_column(0.0)
    path = f"memory.{chip.memory_technology}"
    pj_per_bit = as_column(technology.value(f"{path}.energy_total_pj_per_bit"))
    return as_column(technology.value(f"{path}.efficiency_stream")), pj_per_bit * (PICO * BITS_PER_BYTE)


def _second(chip: Chip, technology: Technology) -> SecondMemory | None:
    """Return the further memory of a chip; None where it has one memory."""
    if chip.second_capacity_gib is None or chip.second_bandwidth_gbps is None:
        return None
    value, efficiency, joules = technology.value, "published.sram_only_stream_efficiency", as_column(0.0)
    read_mostly = False
    if chip.second_technology is not None:
        efficiency = f"memory.{chip.second_technology}.efficiency_stream"
        joules = as_column(value(f"memory.{chip.second_technology}.energy_total_pj_per_bit")) * (PICO * BITS_PER_BYTE)
        read_mostly = technology.library.memory(chip.second_technology).read_mostly
    return SecondMemory(
        bytes_per_s=as_column(chip.second_bandwidth_gbps * GIGA) * as_column(value(efficiency)),
        capacity_bytes=as_column(chip.second_capacity_gib * GIB),
        j_per_byte=joules,
        read_mostly=as_column(float(read_mostly)),
    )


def _throttle(technology: Technology) -> Throttle:
    """Return what a lower clock saves: at its peaks a chip is taken to run at the nominal supply of its node.

    How much of the idle power of its board is leakage is not known: none of it is taken to fall.
    """
    guard, least, threshold, alpha = (
        as_column(technology.value(f"clocking.{name}"))
        for name in ("guard_over_nominal", "sram_least_over_nominal", "threshold_over_nominal", "alpha")
    )
    return Throttle(np.ones(1), (least - guard) / (1 - guard), threshold, alpha, guard, leakage_w=np.zeros(1))


def price_usd(chip: Chip) -> float:
    """Return the geometric mean of the published price range, the one end where there is one, NaN where none."""
    ends = [end for end in (chip.price_low_usd, chip.price_high_usd) if end is not None]
    return float(np.exp(np.mean(np.log(ends)))) if ends else float("nan")


def _embodied_kg(chip: Chip, technology: Technology) -> FloatArray:
    """Return the carbon of making die and memory, by the equations of designs; NaN where something is not known.

    More silicon than a reticle holds is counted as equal dies, each with its own yield.
    """
    if chip.die_mm2 is None or chip.node is None or chip.memory_technology is None or chip.capacity_gib is None:
        return as_column(np.nan)
    node, value = Choice.of(chip.node), technology.value
    dies = np.ceil(chip.die_mm2 / asarray(value("reticle.limit_mm2")))
    good = good_fraction(
        as_column(chip.die_mm2 / dies),
        technology.of("nodes", node, "defect_density_per_cm2"),
        yield_model="negative_binomial",
        technology=technology,
    )
    memory = value(f"memory.{chip.memory_technology}.embodied_g_per_gib")
    return die_kg(node, as_column(chip.die_mm2), good, technology) + dram_kg(
        as_column(chip.capacity_gib), as_column(memory)
    )


def chip_machine(
    chip: Chip,
    *,
    weight_format: WeightFormat,
    act_bits: float,
    kv_bits: float,
    technology: Technology,
    weight_execution: str | None = None,
    stored: float | None = None,
    half_accumulation: bool = False,
) -> Machine:
    """Return the Machine of a library chip with weights in a format; every field ``(1,)``.

    Arithmetic: body and head run in the format of the wider operand, activations or weights as the multiplier sees
    them, so 16-bit activations mean the 16-bit peak with weights dequantized; attention in 16 bits (fp32 for wider KV
    elements). What the chip can do with stored weights, and at what rate, says `cost_models.weights.chip_execution`:
    2:4 patterns gain on sparse tensor cores, other zeros are multiplied. Dequantizing weights costs the software
    stack's time (`Formats.dequantized`), not the machine's, and no energy of its own. A chip without any published peak
    computes infinitely fast and says so (`Machine.arithmetic_known`): its memory alone is predicted. GEMMs that
    accumulate in 16 bits run at the fp16 peak where that is above the bf16 peak. Memory: coefficients of its
    technology; a chip without DRAM streams from its SRAM. An unpublished SRAM or die size is the library's assumption
    (``published``), an unpublished TDP, link or node is NaN and so is what follows from it.

    Args:
        chip: library chip.
        weight_format: how weights are stored.
        act_bits: activations in linear layers and head.
        kv_bits: KV-cache elements.
        technology: parameters.
        weight_execution: how stored weights are worked through; the chip's own way where None.
        stored: stored bits per weight where they are not the format's own.
        half_accumulation: whether the software's GEMMs on 16-bit activations accumulate in 16 bits.

    Raises:
        ExecutionError: the chip cannot execute the format so.
        LibraryError: bandwidth or capacity of the chip is not published.
    """
    form, value = weight_format, technology.value
    head_kind = form.operand if form.head_bits < HEAD_BITS else "float"
    execution_mode = chip_execution(chip, form, act_bits=act_bits, chosen=weight_execution, stored=stored)
    gain = execution_gain(chip, form, execution_mode, act_bits=act_bits, technology=technology)
    uses = {
        "linear": (execution_mode.peak, execution_mode.peak_ops_per_s),
        "head": peak_ops_per_s(chip, kind=head_kind, bits=max(act_bits, head_operand_bits(form))),
        "attention": peak_ops_per_s(chip, kind="float", bits=max(kv_bits, HEAD_BITS)),
    }
    scales = _scales(chip, technology)
    compiled = technology.library.chip_families[chip.family].compiled
    factor = "mac_n7.operand_delivery_factor" if compiled else "on_chip.gpu_mac_energy_factor"
    delivery = asarray(value(factor)) * PICO
    rates = {use: as_column(ops_per_s / OPS_PER_MAC) for use, (_, ops_per_s) in uses.items()}
    joules = {
        use: as_column(mac_energy_pj_n7(chip, name, technology) * scales.energy * delivery)
        for use, (name, _) in uses.items()
    }
    rates["linear"] = rates["linear"] * asarray(gain.rate)
    if half_accumulation and act_bits > NARROW_BITS:
        for use in ("linear", "head"):
            if uses[use][0] == "bf16" and execution_mode.execution_mode not in ("look_up", "bit_plane"):
                rates[use] = rates[use] * half_accumulation_gain(chip)
    known = np.isfinite(execution_mode.peak_ops_per_s)
    if not known:
        rates = {use: as_column(np.inf) for use in rates}
    joules["linear"] = joules["linear"] * asarray(gain.energy)
    efficiency = as_column(value("board.vrm_efficiency"))
    stream_efficiency, dram_j_per_byte = _memory(chip, technology)
    second = _second(chip, technology)
    further = np.zeros(1) if second is None else second.capacity_bytes
    tdp_w, die_mm2 = as_column(_or_nan(chip.tdp_w)), as_column(_or_nan(chip.die_mm2))
    sram_mib = value("published.sram_mib") if chip.sram_mib is None else chip.sram_mib
    link_pj_per_bit = as_column(value("noc_energy.die_to_die_pj_per_bit.serdes_112g_long_reach"))
    return Machine(
        linear_mac_per_s=rates["linear"],
        head_mac_per_s=rates["head"],
        attention_mac_per_s=rates["attention"],
        linear_j_per_mac=joules["linear"],
        head_j_per_mac=joules["head"],
        attention_j_per_mac=joules["attention"],
        bandwidth_bytes_per_s=as_column(_required(chip, "bandwidth_gbps") * GIGA),
        stream_efficiency=stream_efficiency,
        capacity_bytes=as_column(_required(chip, "capacity_gib") * GIB) + further,
        read_mostly_bytes=np.zeros(1) if second is None else further * second.read_mostly,
        second=second,
        throttle=_throttle(technology),
        sram_bytes=as_column(sram_mib) * MIB,
        dequantize_bytes_per_s=as_column(np.inf),
        link_bytes_per_s=as_column(_or_nan(chip.link_gbps) * GIGA),
        devices=as_column(chip.devices),
        link_added_s=as_column(value(f"link_paths.{chip.link_path}.added_s")),
        link_hop_s=as_column(value(f"link_paths.{chip.link_path}.hop_s")),
        link_rivalry=as_column(value(f"link_paths.{chip.link_path}.rivalry")),
        link_axes=as_column(chip.link_axes),
        dram_j_per_byte=dram_j_per_byte,
        sram_j_per_byte=_stream_j_per_byte(chip, scales, technology),
        link_j_per_byte=link_pj_per_bit * (PICO * BITS_PER_BYTE),
        dequantize_j_per_byte=as_column(0.0),
        static_w=_static_w(chip, efficiency, technology),
        conversion_efficiency=efficiency,
        tdp_w=tdp_w,
        die_mm2=die_mm2,
        cost_usd=as_column(np.nan),
        price_usd=as_column(price_usd(chip)),
        embodied_kg=_embodied_kg(chip, technology),
        arithmetic_known=as_column(float(known)),
        peak_ops_per_s={name: as_column(tops * TERA) for name, tops in chip.peak_tops.items()},
        blocks={"tdp_w": {"published": tdp_w}, "area_mm2": {"published": die_mm2}},
    )

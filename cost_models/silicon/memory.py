"""Memory of a board: bandwidth, capacity, energy, price, and what it takes of the die.

DRAM capacities are nominal and binary: a "16 GB" package holds 16 GiB, and its price per GB counts those 16.
Bandwidth is decimal.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.silicon import carbon
from cost_models.table import Choice, FloatArray, rows_where
from cost_models.tape import asarray
from cost_models.units import BITS_PER_BYTE, GIB, GIGA, MIB, PICO


@dataclass(frozen=True)
class MemorySystem:
    """All memory devices of one board; every field ``(n,)`` or ``(1,)``.

    Attributes:
        bandwidth_bytes_per_s: peak, payload only; of the SRAM where there is no other memory.
        capacity_bytes: of all devices.
        stream_efficiency: share of the peak that long sequential reads reach.
        j_per_byte: energy of device, PHY and controller per byte moved.
        idle_w: standing power of the devices, refresh included.
        interface_mm2: PHYs and controllers on the die, which do not shrink with the node.
        units: PHYs along the edge: LPDDR channels, GDDR packages or HBM stacks.
        unit_mm: die edge that one takes.
        edge_mm: die edge that all take.
        price_usd: of all devices.
        embodied_kg: carbon of making all devices, CO2e.
        stacks: devices that sit on an interposer beside the die.
        on_interposer: whether they need one.
        board_devices: devices on the board, 0 where they sit on an interposer.
        board_bits: their data bits.
        off_die: 1 where there is memory outside the die, 0 where the SRAM is all.
        crossing: share of a die's side that its bytes cross over those that enter at the edge; 0 for the SRAM.
        off_die_bytes_per_s: peak bandwidth that the network of the die distributes.
        on_top_mm2: area of the die under devices that are bonded on top of it.
        not_offered: 1 where the technology has no device of this width or capacity, else 0.
        read_mostly: 1 where it holds nothing that is written at every step.
    """

    bandwidth_bytes_per_s: FloatArray
    capacity_bytes: FloatArray
    stream_efficiency: FloatArray
    j_per_byte: FloatArray
    idle_w: FloatArray
    interface_mm2: FloatArray
    units: FloatArray
    unit_mm: FloatArray
    edge_mm: FloatArray
    price_usd: FloatArray
    embodied_kg: FloatArray
    stacks: FloatArray
    on_interposer: FloatArray
    board_devices: FloatArray
    board_bits: FloatArray
    off_die: FloatArray
    crossing: FloatArray
    off_die_bytes_per_s: FloatArray
    on_top_mm2: FloatArray
    not_offered: FloatArray
    read_mostly: FloatArray


def memory_technology(grade: Choice, library: Library) -> Choice:
    """Return the technology (key of ``memory``) of each row's grade, ``lpddr5x`` for ``lpddr5x_9600``."""
    return grade.translate(lambda name: library.memory_grade(name).technology)


def _is_listed(names: Choice, number: FloatArray, listed: dict[str, tuple[float, ...]]) -> FloatArray:
    """Return 1 where a number is in the list of the row's name, else 0."""
    longest = max(len(listed[name]) for name in names.values)
    result = np.zeros(1, dtype=bool)
    for slot in range(longest):
        entry = names.gather([listed[n][slot] if slot < len(listed[n]) else np.nan for n in names.values])
        result = result | (number == entry)
    return result.astype(np.float64)


def _not_offered(library: Library, names: Choice, bits: FloatArray, gib: FloatArray) -> FloatArray:
    widths = {name: tuple(map(float, library.memories[name].package_bits)) for name in names.values}
    sizes = {name: tuple(map(float, library.memories[name].package_gib)) for name in names.values}
    return 1.0 - _is_listed(names, bits, widths) * _is_listed(names, gib, sizes)


def memory_system(
    grade: Choice,
    *,
    devices: FloatArray,
    device_bits: FloatArray,
    device_gib: FloatArray,
    sram_mib: FloatArray,
    clock_ghz: FloatArray,
    technology: Technology,
) -> MemorySystem:
    """Return the memory of a board with `devices` packages or stacks of one grade.

    A grade whose packages are on the die stands for none: everything is in the SRAM, which is read at
    ``on_chip.sram_bytes_per_cycle_per_mib``. Devices on top of the die lie over as much of it as their capacity and as
    their bandwidth ask for (``die_stacking``), and their bytes enter near the arrays that read them.

    Args:
        grade: memory grade.
        devices: packages or stacks.
        device_bits: data width of one; NaN for the technology's first listed width, its only one for HBM and GDDR.
        device_gib: capacity of one.
        sram_mib: SRAM of the die.
        clock_ghz: its clock.
        technology: parameters.
    """
    library = technology.library
    names = memory_technology(grade, library)

    def parameter(field: str) -> FloatArray:
        return technology.of("memory", names, field)

    first_width = names.map(lambda name: float(library.memories[name].package_bits[0]))
    bits = rows_where(np.isnan(device_bits), first_width, device_bits)
    pin_bits_per_s = grade.map(lambda name: library.memory_grade(name).gbps_per_pin * GIGA)
    off_die = names.map(lambda name: float(library.memories[name].packaging_class != "on_die"))
    devices = devices * off_die
    total_bits = devices * bits
    units = total_bits / parameter("unit_bits")
    gib = devices * device_gib
    on_interposer = names.map(lambda name: float(library.memories[name].packaging_class == "interposer"))
    on_top = names.map(lambda name: float(library.memories[name].packaging_class == "on_top"))
    on_board = 1 - on_interposer - on_top
    bandwidth, capacity = total_bits * pin_bits_per_s * parameter("effective_fraction") / BITS_PER_BYTE, gib * GIB
    if not off_die.all():
        per_mib = asarray(technology.value("on_chip.sram_bytes_per_cycle_per_mib"))
        bandwidth = np.where(off_die > 0, bandwidth, sram_mib * clock_ghz * GIGA * per_mib)
        capacity = np.where(off_die > 0, capacity, sram_mib * MIB)
    crossing, on_top_mm2 = off_die, np.zeros(1)
    if on_top.any():
        value = technology.value
        by_rate = bandwidth / GIGA * value("die_stacking.mm2_per_gbps")
        on_top_mm2 = on_top * np.maximum(by_rate, gib * value("die_stacking.mm2_per_gib"))
        crossing = np.where(on_top > 0, value("die_stacking.crossing_fraction"), off_die)
    return MemorySystem(
        bandwidth_bytes_per_s=bandwidth,
        capacity_bytes=capacity,
        stream_efficiency=parameter("efficiency_stream"),
        j_per_byte=parameter("energy_total_pj_per_bit") * (PICO * BITS_PER_BYTE),
        idle_w=gib * parameter("idle_w_per_gib"),
        interface_mm2=units * parameter("phy_controller_mm2"),
        units=units * (1 - on_top),
        unit_mm=parameter("beachfront_mm"),
        edge_mm=units * parameter("beachfront_mm"),
        price_usd=gib * parameter("price_usd_per_gb") * technology.value("memory_market.price_over_2025"),
        embodied_kg=carbon.dram_kg(gib, parameter("embodied_g_per_gib")),
        stacks=devices * on_interposer,
        on_interposer=on_interposer,
        board_devices=devices * on_board,
        board_bits=total_bits * on_board,
        off_die=off_die,
        crossing=crossing,
        off_die_bytes_per_s=bandwidth * crossing,
        on_top_mm2=on_top_mm2,
        not_offered=_not_offered(library, names, bits, device_gib) * off_die,
        read_mostly=names.map(lambda name: float(library.memories[name].read_mostly)),
    )


def none_where(absent: NDArray[np.bool_], system: MemorySystem) -> MemorySystem:
    """Return a memory system without devices in some rows."""
    return MemorySystem(**{one.name: np.where(absent, 0.0, getattr(system, one.name)) for one in fields(MemorySystem)})


def together(first: MemorySystem, second: MemorySystem) -> MemorySystem:
    """Return what two memory systems of one board take together: areas, edges, prices and powers add.

    Bandwidth is that of both at once, and the energy of a byte its mean then; how long reads are in each is not said.
    """
    sums = {one.name: getattr(first, one.name) + getattr(second, one.name) for one in fields(MemorySystem)}
    rates = (first.bandwidth_bytes_per_s, second.bandwidth_bytes_per_s)
    watts = rates[0] * first.j_per_byte + rates[1] * second.j_per_byte
    mean = np.where(rates[1] > 0, watts / sums["bandwidth_bytes_per_s"], first.j_per_byte)
    whole = {
        name: np.maximum(getattr(first, name), getattr(second, name))
        for name in ("on_interposer", "off_die", "crossing", "not_offered", "read_mostly")
    }
    kept = {"stream_efficiency": first.stream_efficiency, "j_per_byte": mean, "unit_mm": first.unit_mm}
    return MemorySystem(**{**sums, **whole, **kept})

"""Power of a board at full arithmetic and memory rate, and what flows whatever the chip does.

W = (MAC rate x energy + bandwidth x energy + leakage + idle loads) / conversion efficiency, the library's power
check with the loads that a board adds: on-chip movement of streamed bytes, dequantizing, links.
"""

from __future__ import annotations

import numpy as np

from cost_models.library.technology import Technology
from cost_models.silicon.compute import Scales
from cost_models.table import FloatArray, Number, rows_where
from cost_models.tape import asarray
from cost_models.units import BITS_PER_BYTE, FEMTO, PICO

FARTHEST_SUPPLY = 2.0
"""Supply over the nominal one up to which the clock's curve is inverted."""


def dynamic_scale(supply_v: Number, nominal_v: Number) -> FloatArray:
    """Return dynamic energy over that at the node's nominal supply: (V / Vnom)^2."""
    ratio = asarray(supply_v) / nominal_v
    return asarray(ratio * ratio)


def clock_ratio(supply_ratio: Number, *, threshold: Number, alpha: Number) -> FloatArray:
    """Return the clock over that at nominal supply, for a supply over the nominal one.

    Alpha-power law (Sakurai and Newton, JSSC 1990): delay of a gate goes with V / (V - Vt)^alpha, so
    f / fnom = ((u - t) / (1 - t))^alpha / u with u = V / Vnom and t = Vt / Vnom; 0 below the threshold.
    """
    supply_ratio = asarray(supply_ratio, dtype=np.float64)
    over = np.maximum(supply_ratio - threshold, 0.0) / (1 - asarray(threshold))
    return asarray(over**alpha / supply_ratio)


def supply_ratio(clock: Number, *, threshold: Number, alpha: Number) -> FloatArray:
    """Return the least supply over the nominal one at which logic reaches a clock over that at nominal supply.

    Newton's method on u - t = (1 - t) (c u)^(1 / alpha), which is convex, from above: it never overshoots, and is
    exact to 1e-6. Beyond `FARTHEST_SUPPLY`, above what any process allows, the supply grows in proportion to the clock.
    """
    threshold, exponent = asarray(threshold), 1 / asarray(alpha)
    clock = asarray(clock, dtype=np.float64)
    farthest = clock_ratio(FARTHEST_SUPPLY, threshold=threshold, alpha=alpha)
    beyond = np.maximum(clock / farthest, 1.0)
    slope = (1 - threshold) * (clock / beyond) ** exponent
    ratio = rows_where(clock <= 1, 1.0, FARTHEST_SUPPLY)
    for _ in range(4):
        power = slope * ratio**exponent
        ratio = ratio - (ratio - threshold - power) / (1 - power * exponent / ratio)
    return asarray(ratio * beyond)


def guarded_supply_ratio(clock: Number, *, threshold: Number, alpha: Number, guard: Number) -> FloatArray:
    """Return the regulator's supply over the nominal one for a clock over that at nominal supply.

    Nominal supply holds a guard band of g times itself, which a lower supply keeps in volts: g + (1 - g) u.
    """
    needed = supply_ratio(clock, threshold=threshold, alpha=alpha)
    return asarray(guard + (1 - asarray(guard)) * needed)


def guarded_clock_ratio(supply: Number, *, threshold: Number, alpha: Number, guard: Number) -> FloatArray:
    """Return the clock over that at nominal supply that a regulator's supply over the nominal one reaches."""
    guard = asarray(guard)
    return clock_ratio(np.maximum(supply - guard, 1e-9) / (1 - guard), threshold=threshold, alpha=alpha)


def leakage_w(
    die_mm2: FloatArray, w_per_mm2: Number, supply_v: Number, nominal_v: Number, *, warmer_c: Number, doubling_c: Number
) -> FloatArray:
    """Return leakage of the die.

    Parameter per area x V / Vnom x 2^(dT / T2), the current per voltage taken as constant.

    Args:
        die_mm2: die.
        w_per_mm2: at nominal supply and the temperature of the measurement behind the parameter.
        supply_v: supply.
        nominal_v: nominal supply of the node.
        warmer_c: junction above that temperature.
        doubling_c: rise that doubles leakage.
    """
    heat = np.exp2(asarray(warmer_c) / doubling_c)
    return asarray(die_mm2 * w_per_mm2 * (asarray(supply_v) / nominal_v) * heat)


def stream_j_per_byte(
    die_mm2: FloatArray, *, scales: Scales, technology: Technology, sram_voltage: FloatArray | None = None
) -> FloatArray:
    """Return energy on the die of one byte that streams from memory to the MAC array of an NPU or static machine.

    Written to and read from one SRAM bank, (1 + w) (e0 + e1 sqrt(MiB)) pJ/bit at N7 (library ``sram_energy``), scaled
    as logic; and a share of the die's side in repeated wire (``noc_energy``), which no node makes cheaper.

    Args:
        die_mm2: die that the byte crosses; 0 where it is read from the bank beside the array.
        scales: node and supply.
        technology: parameters.
        sram_voltage: dynamic energy at the supply of the SRAM over the nominal one; that of the logic where None.
    """
    value = technology.value
    read = asarray(value("sram_energy.model_n7.e0_pj_per_bit")) + asarray(
        value("sram_energy.model_n7.e1_pj_per_bit")
    ) * np.sqrt(value("on_chip.buffer_bank_mib"))
    bank = (1 + asarray(value("on_chip.write_over_read_energy"))) * read * (PICO * BITS_PER_BYTE)
    per_mm = asarray(value("noc_energy.wire_fj_per_bit_mm.recommended_n7")) * (FEMTO * BITS_PER_BYTE)
    wire = per_mm * value("on_chip.wire_length_over_die_side") * np.sqrt(die_mm2)
    banked = scales.voltage if sram_voltage is None else sram_voltage
    return asarray(bank * scales.logic_energy * banked + wire * scales.voltage)


def programmable_stream_j_per_byte(technology: Technology) -> FloatArray:
    """Return energy on the die of one byte streamed by a programmable design, all that its program costs included.

    Measured at board level on H100 and A100 (library ``on_chip.programmable_stream_pj_per_bit``); no node scaling.
    """
    return asarray(technology.value("on_chip.programmable_stream_pj_per_bit")) * (PICO * BITS_PER_BYTE)


def gpu_stream_j_per_byte(technology: Technology) -> FloatArray:
    """Return energy on the die of one byte streamed by a GPU, apart from what its running program draws anyway.

    Fitted with that (``stacks.*.active_fraction``) on measured power (library ``on_chip.gpu_stream_pj_per_bit``).
    """
    return asarray(technology.value("on_chip.gpu_stream_pj_per_bit")) * (PICO * BITS_PER_BYTE)


def power_blocks(
    *,
    mac_array: FloatArray,
    vector: FloatArray,
    memory: FloatArray,
    on_chip: FloatArray,
    weight_decoder: FloatArray,
    links: FloatArray,
    leakage: FloatArray,
    memory_idle: FloatArray,
    board: FloatArray,
    conversion_efficiency: Number,
) -> dict[str, FloatArray]:
    """Return the shares of the design limit in W, conversion loss last; they sum to the TDP.

    Args:
        mac_array: every MAC busy.
        vector: every lane busy.
        memory: peak bandwidth.
        on_chip: the same bytes across the die.
        weight_decoder: the same bytes dequantized.
        links: every link sending.
        leakage: of the die.
        memory_idle: standing power of the memory.
        board: fixed loads of the board.
        conversion_efficiency: power delivered over power drawn.
    """
    blocks = {
        "mac_array": mac_array,
        "vector": vector,
        "memory": memory,
        "on_chip": on_chip,
        "weight_decoder": weight_decoder,
        "links": links,
        "leakage": leakage,
        "memory_idle": memory_idle,
        "board": board,
    }
    delivered = mac_array + vector + memory + on_chip + weight_decoder + links + leakage + memory_idle + board
    blocks["conversion_loss"] = delivered * (1 / asarray(conversion_efficiency) - 1)
    return blocks

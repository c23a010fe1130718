"""Area of the logic die by block, its edge, and the limits a floorplan meets.

die = factor x (MAC array + SRAM + interfaces) + weight decoder. The factor stands for vector and scalar units,
NoC, control, routing and unused area; it depends on the class of architecture and is the poorest number here (16 %
leave-one-out error on six NPUs, +79 % on the static Groq TSP if taken for an NPU).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_models.columns import Choice, FloatArray, Number
from cost_models.technology import Technology

HEAT_FIGURES = {
    "air": "heat_limits_w_per_mm2.air_observed",
    "liquid": "heat_limits_w_per_mm2.liquid_cold_plate",
}
"""Figure of the heat that each kind of cooling carries away."""


def area_blocks(
    *,
    mac_array: FloatArray,
    sram: FloatArray,
    memory_interface: FloatArray,
    host_interface: FloatArray,
    link_interface: FloatArray,
    weight_decoder: FloatArray,
    factor: Number,
) -> dict[str, FloatArray]:
    """Return the die's blocks in mm2, the surround of the others among them; they sum to the die.

    Args:
        mac_array: MAC units.
        sram: on-chip memory.
        memory_interface: PHYs and controllers of the memory, the same in every node.
        host_interface: PHY and controller towards the host.
        link_interface: PHYs and controllers towards other chips.
        weight_decoder: unpacking of stored weights, placed inside the memory path and not surrounded.
        factor: die over the sum of array, SRAM and interfaces.
    """
    surrounded = mac_array + sram + memory_interface + host_interface + link_interface
    return {
        "mac_array": mac_array,
        "sram": sram,
        "memory_interface": memory_interface,
        "host_interface": host_interface,
        "link_interface": link_interface,
        "weight_decoder": weight_decoder,
        "surround": surrounded * (np.asarray(factor) - 1),
    }


def total(blocks: Mapping[str, FloatArray]) -> FloatArray:
    """Return the sum of the blocks."""
    first, *rest = blocks.values()
    result = first.copy()
    for block in rest:
        result = result + block
    return result


def perimeter_mm(die_mm2: FloatArray, aspect_ratio: Number) -> FloatArray:
    """Return the perimeter of a rectangular die: 2 sqrt(A) (sqrt(r) + 1 / sqrt(r))."""
    root = np.sqrt(aspect_ratio)
    return np.asarray(np.sqrt(die_mm2) * (2 * (root + 1 / root)))


def floorplan_limits(
    die_mm2: FloatArray, *, edge_mm: FloatArray, tdp_w: FloatArray, cooling: Choice, technology: Technology
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return (used, allowed) for reticle, die edge and heat.

    Heat is board TDP over die area, as the observed figures are.
    """
    value = technology.value
    allowed_edge = perimeter_mm(die_mm2, value("floorplan.aspect_ratio")) * value("floorplan.usable_edge_share")
    heat = cooling.map(lambda name: value(HEAT_FIGURES[name]))
    reticle = np.atleast_1d(np.asarray(value("reticle.limit_mm2"), dtype=np.float64))
    return {
        "reticle_mm2": (die_mm2, reticle),
        "die_edge_mm": (edge_mm, allowed_edge),
        "heat_w_per_mm2": (tdp_w / die_mm2, heat),
    }

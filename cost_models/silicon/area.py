"""Area of the logic die by block, its edge, its package, and the limits that a floorplan meets.

What surrounds arrays and buffers (vector lanes, control, on-chip network) follows the SRAM that it works on: one
parameter per class of architecture, ``floorplan.surround_over_sram``, fits six NPUs to 12 % leave-one-out and the cores
of two GPU dies to 1 %. PHYs are taken from die photos and are not multiplied by anything.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_models.library.technology import Technology
from cost_models.table import Choice, FloatArray, Number

CORE_BLOCKS = ("mac_array", "operand_delivery", "sram", "vector_and_control")
"""Blocks that are divided into cores, for harvesting; a programmable machine's cache is counted with them."""

PROGRAMMABLE = "programmable"
"""The class of architecture whose SRAM is divided into cores (registers, L1) and a shared cache."""


def _only_programmable(architecture: Choice, technology: Technology, path: str, otherwise: float) -> FloatArray:
    return architecture.map(lambda name: technology.value(path) if name == PROGRAMMABLE else otherwise)


def core_sram_fraction(architecture: Choice, technology: Technology) -> FloatArray:
    """Return the share of the SRAM that sits in the cores: all but in programmable machines, which have a cache."""
    return _only_programmable(architecture, technology, "floorplan.programmable.core_sram_fraction", 1.0)


def area_blocks(
    architecture: Choice,
    *,
    mac_array: FloatArray,
    core_sram: FloatArray,
    cache_sram: FloatArray,
    memory_interface: FloatArray,
    host_interface: FloatArray,
    link_interface: FloatArray,
    weight_decoder: FloatArray,
    technology: Technology,
) -> dict[str, FloatArray]:
    """Return the die's blocks in mm2; they sum to the die.

    Operand delivery = d x MAC array. Vector and control, and network = s x SRAM of the cores, s by class; in
    programmable machines the network is another n x MAC array, and the cache's tags and ports (c - 1) x its SRAM. Pads
    and what no die photo names = p x everything else.

    Args:
        architecture: class of machine.
        mac_array: MAC units.
        core_sram: SRAM beside the arrays; in a programmable machine registers and L1.
        cache_sram: SRAM of a programmable machine's shared cache.
        memory_interface: PHYs and controllers of the memory, the same in every node.
        host_interface: PHY and controller towards the host.
        link_interface: PHYs and controllers towards other chips.
        weight_decoder: dequantizing of stored weights, placed inside the memory path.
        technology: parameters under ``floorplan``.
    """
    value = technology.value
    surround = core_sram * architecture.map(lambda name: value(f"floorplan.surround_over_sram.{name}"))
    programmable = "floorplan.programmable"
    network = _only_programmable(architecture, technology, f"{programmable}.noc_over_mac_array", 0.0)
    cache = _only_programmable(architecture, technology, f"{programmable}.cache_over_sram", 1.0)
    network_fraction = np.asarray(value("floorplan.noc_fraction_of_surround"))
    if PROGRAMMABLE in architecture.values:
        network_fraction = network_fraction * architecture.map(lambda name: float(name != PROGRAMMABLE))
    blocks = {
        "mac_array": mac_array,
        "operand_delivery": mac_array * value("floorplan.operand_delivery_over_mac_array"),
        "sram": core_sram + cache_sram,
        "cache_control": cache_sram * (cache - 1),
        "vector_and_control": surround * (1 - network_fraction),
        "noc": surround * network_fraction + mac_array * network,
        "memory_interface": memory_interface,
        "host_interface": host_interface,
        "link_interface": link_interface,
        "weight_decoder": weight_decoder,
    }
    blocks["pads_and_rest"] = total(blocks) * value("floorplan.pads_fraction")
    return blocks


def total(blocks: Mapping[str, FloatArray]) -> FloatArray:
    """Return the sum of the blocks."""
    first, *rest = blocks.values()
    result = first.copy()
    for block in rest:
        result = result + block
    return result


def sides_mm(die_mm2: FloatArray, aspect_ratio: Number) -> tuple[FloatArray, FloatArray]:
    """Return (long, short) side of a rectangular die: sqrt(A r), sqrt(A / r)."""
    return np.asarray(np.sqrt(die_mm2 * aspect_ratio)), np.asarray(np.sqrt(die_mm2 / aspect_ratio))


def perimeter_mm(die_mm2: FloatArray, aspect_ratio: Number) -> FloatArray:
    """Return the perimeter of a rectangular die: 2 sqrt(A) (sqrt(r) + 1 / sqrt(r))."""
    root = np.sqrt(aspect_ratio)
    return np.asarray(np.sqrt(die_mm2) * (2 * (root + 1 / root)))


def floorplan_limits(
    die_mm2: FloatArray, *, edge_mm: FloatArray, tdp_w: FloatArray, cooling: Choice, technology: Technology
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return (used, allowed) for reticle, die edge and heat.

    Heat is board TDP over die area, as the observed parameters are.
    """
    value = technology.value
    allowed_edge = perimeter_mm(die_mm2, value("floorplan.aspect_ratio")) * value("floorplan.usable_edge_fraction")
    heat = cooling.map(lambda name: value(f"heat_limits_w_per_mm2.{name}"))
    reticle = np.atleast_1d(np.asarray(value("reticle.limit_mm2"), dtype=np.float64))
    return {
        "reticle_mm2": (die_mm2, reticle),
        "die_edge_mm": (edge_mm, allowed_edge),
        "heat_w_per_mm2": (tdp_w / die_mm2, heat),
    }


def package_limits(
    die_mm2: FloatArray,
    *,
    board_memory_bits: FloatArray,
    stacks: FloatArray,
    link_gbps: FloatArray,
    supply_w: FloatArray,
    supply_v: FloatArray,
    technology: Technology,
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return (used, allowed) of what a package can carry.

    ``package_balls``: memory on the board takes balls per data bit (commands, strobes and grounds included), links per
    GB/s, the host a fixed number, and supply two per current that one carries; a package has (body / pitch)^2.
    ``stack_edge_mm``: stacks stand along the two long sides. ``interposer_mm2``: die and stacks with their margin.

    Args:
        die_mm2: logic die.
        board_memory_bits: data bits of memory that is not on an interposer.
        stacks: memory stacks on the interposer.
        link_gbps: chip-to-chip bandwidth, one way.
        supply_w: power that enters the package for the logic.
        supply_v: its supply.
        technology: parameters under ``package``, ``assembly`` and ``packaging``.
    """
    value = technology.value
    signals = board_memory_bits * value("package.balls_per_memory_bit") + link_gbps * value(
        "package.balls_per_link_gbps"
    )
    supply = supply_w / supply_v * (2 / np.asarray(value("package.ball_current_a")))
    body_mm = np.asarray(value("package.body_mm"))
    long_mm, _ = sides_mm(die_mm2, value("floorplan.aspect_ratio"))
    footprint = np.asarray(value("assembly.stack_footprint_mm2"))
    interposer = (die_mm2 + stacks * footprint) * value("packaging.silicon_interposer.area_over_sum_of_dies")

    def column(number: Number) -> FloatArray:
        return np.atleast_1d(np.asarray(number, dtype=np.float64))

    return {
        "package_balls": (
            signals + supply + value("package.host_balls"), column((body_mm / value("package.ball_pitch_mm")) ** 2)
        ),
        "stack_edge_mm": (stacks * value("package.stack_width_mm"), long_mm * 2 * value("package.stack_overhang")),
        "interposer_mm2": (np.where(stacks > 0, interposer, 0.0), column(value("package.interposer_mm2"))),
    }  # fmt: skip

"""Area of the logic die by block, its edge, its package, and the limits that a floorplan meets.

Arithmetic brings its control, lanes are counted, SRAM costs its macro, the on-chip network follows the bytes that
enter. What no block names (top-level wiring, clocks, pads, power grid) grows as the die's outline. A die whose
interfaces need more edge than its blocks have is larger than they are by blank silicon (`beachfront`). Constants are
parameters under ``floorplan``, fitted on some thirty dies (``python -m studies.fits.silicon``); PHYs are taken from die
photos.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cost_models.library.technology import Technology
from cost_models.table import Choice, FloatArray, Number, as_column, rows_where
from cost_models.tape import asarray, row_by_row

CORE_BLOCKS = ("mac_array", "vector_and_control", "sram", "cache_control")
"""Blocks that are divided into cores, for harvesting; a programmable machine's cache is counted with them."""

PROGRAMMABLE = "programmable"
"""The class of architecture whose lanes fetch instructions and whose SRAM is registers and caches."""

ROUNDING = 1e-12
"""Relative room that blank silicon leaves, so that the edge it makes holds the interfaces in spite of rounding."""

COMPILED = "compiled"
"""What parameters call every other class: their arrays and scratchpads are run by a schedule."""


def of_class(architecture: Choice, path: str, technology: Technology) -> FloatArray:
    """Return per row the parameter ``path.programmable`` or ``path.compiled``, by the class of architecture."""
    return architecture.map(
        lambda name: technology.value(f"{path}.{PROGRAMMABLE if name == PROGRAMMABLE else COMPILED}")
    )


def outline_mm(blocks_mm2: FloatArray, rim_mm: Number) -> FloatArray:
    """Return the area of a die whose blocks are surrounded by a rim of a depth per side of a square die.

    A - r sqrt(A) = B, so that sqrt(A) = (r + sqrt(r^2 + 4 B)) / 2.

    Args:
        blocks_mm2: everything that is counted.
        rim_mm: depth times perimeter over the root of the area.
    """
    root: FloatArray = asarray((rim_mm + np.sqrt(asarray(rim_mm) ** 2 + 4 * blocks_mm2)) / 2)
    return root * root


def area_blocks(
    architecture: Choice,
    *,
    mac_array: FloatArray,
    vector_unit: FloatArray,
    sram: FloatArray,
    interfaces: Mapping[str, FloatArray],
    gbps: FloatArray,
    weight_decoder: FloatArray,
    least_mm2: FloatArray,
    technology: Technology,
    core_isolation: Number = 0.0,
) -> dict[str, FloatArray]:
    """Return the die's blocks in mm2; they sum to the die.

    Control = c x MAC array. Tags, ports and crossbars of caches and registers = (k - 1) x SRAM. Network = n x bytes
    per second that enter. Periphery = depth x perimeter of the die with it. Blank silicon fills up to the least die
    along whose edge the interfaces have a place. What is counted takes the model's own error, 1 if not drawn.

    Args:
        architecture: class of machine.
        mac_array: MAC units.
        vector_unit: lanes of the vector units.
        sram: macros.
        interfaces: PHYs and controllers, the same in every node, by name.
        gbps: bandwidth of memory and links in GB/s, what the network distributes.
        weight_decoder: dequantizing of stored weights, placed inside the memory path.
        least_mm2: the least die that the interfaces have a place on (`beachfront.least_die_mm2`).
        technology: parameters under ``floorplan``.
        core_isolation: what lets cores be switched off where some are spare.
    """

    def parameter(name: str) -> FloatArray:
        return of_class(architecture, f"floorplan.{name}", technology)

    blocks = {
        "mac_array": mac_array,
        "vector_and_control": vector_unit + mac_array * parameter("control_over_mac_array"),
        "sram": sram,
        "cache_control": sram * (parameter("sram_over_macro") - 1),
        "noc": gbps * parameter("noc_mm2_per_gbps"),
        **interfaces,
        "weight_decoder": weight_decoder,
    }
    if np.any(core_isolation):
        blocks["core_isolation"] = asarray(core_isolation, dtype=np.float64)
    error = of_class(architecture, "model_error.area", technology)
    if (error != 1).any():
        blocks = {name: block * error for name, block in blocks.items()}
    counted, around = total(blocks), perimeter_mm(np.ones(1), technology.value("floorplan.aspect_ratio"))
    placed = outline_mm(counted, around * parameter("periphery_mm"))
    blocks["periphery"] = placed - counted
    blocks["blank"] = np.maximum(least_mm2 * (1 + ROUNDING) - placed, 0.0)
    return blocks


def total(blocks: Mapping[str, FloatArray]) -> FloatArray:
    """Return the sum of the blocks."""
    return _sum(*blocks.values())


@row_by_row
def _sum(first: FloatArray, *rest: FloatArray) -> FloatArray:
    result = first.copy()
    for block in rest:
        result = np.add(result, block, out=result if result.size >= np.size(block) else None)
    return result


def sides_mm(die_mm2: FloatArray, aspect_ratio: Number) -> tuple[FloatArray, FloatArray]:
    """Return (long, short) side of a rectangular die: sqrt(A r), sqrt(A / r)."""
    return asarray(np.sqrt(die_mm2 * aspect_ratio)), asarray(np.sqrt(die_mm2 / aspect_ratio))


def perimeter_mm(die_mm2: FloatArray, aspect_ratio: Number) -> FloatArray:
    """Return the perimeter of a rectangular die: 2 sqrt(A) (sqrt(r) + 1 / sqrt(r))."""
    root = np.sqrt(aspect_ratio)
    return asarray(np.sqrt(die_mm2) * (2 * (root + 1 / root)))


def floorplan_limits(
    die_mm2: FloatArray, *, edge_mm: FloatArray, tdp_w: FloatArray, cooling: Choice, technology: Technology
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return (used, allowed) for reticle, die edge and heat.

    Heat is board TDP over die area, as the observed parameters are.
    """
    value = technology.value
    allowed_edge = perimeter_mm(die_mm2, value("floorplan.aspect_ratio")) * value("floorplan.usable_edge_fraction")
    heat = cooling.map(lambda name: value(f"heat_limits_w_per_mm2.{name}"))
    reticle = np.atleast_1d(asarray(value("reticle.limit_mm2"), dtype=np.float64))
    return {
        "reticle_mm2": (die_mm2, reticle),
        "die_edge_mm": (edge_mm, allowed_edge),
        "heat_w_per_mm2": (tdp_w / die_mm2, heat),
    }


def board_reach_mm(body_mm: FloatArray, technology: Technology) -> FloatArray:
    """Return the length of the ring around a package on which the middles of memory devices lie: 4 (body + 2 reach)."""
    return asarray(4 * (body_mm + 2 * asarray(technology.value("package.device_reach_mm"))))


def package_body_mm(
    on_substrate_mm2: FloatArray, *, balls: FloatArray, board_devices: FloatArray, technology: Technology
) -> FloatArray:
    """Return the side of the package: the largest that die, balls, and the ring of devices around it ask for.

    Organic substrates are several times as large as the dies that stand on them without an interposer; each ball takes
    a pitch squared; devices stand side by side on the ring of `board_reach_mm`.
    """
    value = technology.value
    by_die = np.sqrt(on_substrate_mm2 * asarray(value("packaging.organic_substrate_area_over_die_area")))
    by_balls = np.sqrt(balls) * value("package.ball_pitch_mm")
    ring = board_devices * asarray(value("package.device_mm"))
    by_ring = ring / 4 - 2 * asarray(value("package.device_reach_mm"))
    return asarray(np.maximum(np.maximum(by_die, by_balls), by_ring))


def package_limits(
    die_mm2: FloatArray,
    *,
    logic_mm2: FloatArray,
    board_memory_bits: FloatArray,
    board_devices: FloatArray,
    stacks: FloatArray,
    link_gbps: FloatArray,
    supply_w: FloatArray,
    supply_v: FloatArray,
    technology: Technology,
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return (used, allowed) of what a package can carry.

    ``package_balls``: memory on the board takes balls per data bit (commands, strobes and grounds included), links per
    GB/s, the host a fixed number, and supply two per current that one carries; a package has (body / pitch)^2.
    ``package_body_mm``: the package that die, balls and memory around it need. ``stack_edge_mm``: whole stacks stand
    along the two long sides, an odd one more on one of them. ``interposer_mm2``: die and stacks with their margin.

    Args:
        die_mm2: logic die.
        logic_mm2: all dies of the package.
        board_memory_bits: data bits of memory that is not on an interposer.
        board_devices: devices of such memory.
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
    supply = supply_w / supply_v * (2 / asarray(value("package.ball_current_a")))
    body_mm = asarray(value("package.body_mm"))
    long_mm, _ = sides_mm(die_mm2, value("floorplan.aspect_ratio"))
    footprint = asarray(value("assembly.stack_footprint_mm2"))
    interposer = (die_mm2 + stacks * footprint) * value("packaging.silicon_interposer.area_over_sum_of_dies")

    balls = signals + supply + value("package.host_balls")
    on_substrate_mm2 = rows_where(stacks > 0, 0.0, logic_mm2)
    body = package_body_mm(on_substrate_mm2, balls=balls, board_devices=board_devices, technology=technology)
    per_side = np.ceil(stacks / 2)
    return {
        "package_balls": (balls, as_column((body_mm / value("package.ball_pitch_mm")) ** 2)),
        "package_body_mm": (body, as_column(body_mm)),
        "stack_edge_mm": (per_side * value("package.stack_width_mm"), long_mm * value("package.stack_overhang")),
        "interposer_mm2": (rows_where(stacks > 0, interposer, 0.0), as_column(value("package.interposer_mm2"))),
    }  # fmt: skip

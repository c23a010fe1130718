"""How much memory bandwidth one die can carry: what its sides, its package and its interposer have room for.

Whole units are counted (an LPDDR channel, a GDDR package, an HBM stack), side by side: none goes round a corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.library.technology import Technology
from cost_models.silicon.area import sides_mm
from cost_models.silicon.memory import memory_technology
from cost_models.table import Choice, FloatArray, Number
from cost_models.units import BITS_PER_BYTE


@dataclass(frozen=True)
class BandwidthLimit:
    """What one die carries of one memory grade; ``(n,)``.

    Attributes:
        units: the most units by each limit: "sides", "package", "interposer"; infinite where a limit does not apply.
        gbps_per_unit: peak bandwidth of one unit.
        delivered_fraction: share of the peak that long sequential reads reach.
        interface_mm2: PHYs and controllers of that many units.
    """

    units: dict[str, FloatArray]
    gbps_per_unit: FloatArray
    delivered_fraction: FloatArray
    interface_mm2: FloatArray

    @property
    def most(self) -> FloatArray:
        """Units that every limit allows."""
        return np.asarray(np.minimum.reduce(list(self.units.values())))

    @property
    def gbps(self) -> FloatArray:
        """Peak bandwidth."""
        return np.asarray(self.most * self.gbps_per_unit)


def units_around(die_mm2: FloatArray, unit_edge_mm: FloatArray, technology: Technology) -> FloatArray:
    """Return how many whole interfaces of one width the sides of a die hold beside the host's.

    Each side holds what fits on its usable share, corners kept free; the host takes its edge from one short side.

    Args:
        die_mm2: area of the die.
        unit_edge_mm: die edge of one interface.
        technology: parameters under ``floorplan`` and ``interfaces``.
    """
    value = technology.value
    long, short = sides_mm(die_mm2, value("floorplan.aspect_ratio"))
    usable = np.asarray(value("floorplan.usable_edge_fraction"))
    free = np.maximum(short * usable - value("interfaces.host_edge_mm"), 0.0)
    whole = 2 * np.floor(long * usable / unit_edge_mm) + np.floor(short * usable / unit_edge_mm)
    return np.asarray(whole + np.floor(free / unit_edge_mm))


def max_bandwidth(
    grade: Choice, die_mm2: FloatArray, *, supply_w: Number, supply_v: Number, technology: Technology
) -> BandwidthLimit:
    """Return the most memory of a grade that a die of some area can have.

    Sides: the host interface takes its edge from one short side, and each side holds the whole units that fit on its
    usable share; stacks stand along the two long sides, `package.stack_overhang` times as long. Package: balls left by
    host and supply over the balls of a unit. Interposer: what the largest one leaves beside the die.

    Args:
        grade: memory grade.
        die_mm2: area of the die.
        supply_w: power that enters the package for the logic.
        supply_v: its supply.
        technology: parameters.
    """
    library, value = technology.library, technology.value
    names = memory_technology(grade, library)
    unit_bits, edge = technology.of("memory", names, "unit_bits"), technology.of("memory", names, "beachfront_mm")
    stacked = names.map(lambda name: float(library.memories[name].packaging_class == "interposer")) > 0
    long, _ = sides_mm(die_mm2, value("floorplan.aspect_ratio"))
    around = units_around(die_mm2, edge, technology)
    width = np.maximum(edge, value("package.stack_width_mm"))
    along = 2 * np.floor(long * value("package.stack_overhang") / width)
    balls = (np.asarray(value("package.body_mm")) / value("package.ball_pitch_mm")) ** 2 - value("package.host_balls")
    balls = balls - 2 * np.asarray(supply_w) / supply_v / value("package.ball_current_a")
    package = np.floor(np.maximum(balls, 0.0) / (unit_bits * value("package.balls_per_memory_bit")))
    room = np.asarray(value("package.interposer_mm2")) / value("packaging.silicon_interposer.area_over_sum_of_dies")
    interposer = np.floor(np.maximum(room - die_mm2, 0.0) / value("assembly.stack_footprint_mm2"))
    units = {
        "sides": np.where(stacked, along, around),
        "package": np.where(stacked, np.inf, package),
        "interposer": np.where(stacked, interposer, np.inf),
    }
    per_pin = grade.map(lambda name: library.memory_grade(name).gbps_per_pin)
    most = np.minimum.reduce(list(units.values()))
    return BandwidthLimit(
        units=units,
        gbps_per_unit=unit_bits * per_pin * technology.of("memory", names, "effective_fraction") / BITS_PER_BYTE,
        delivered_fraction=technology.of("memory", names, "efficiency_stream"),
        interface_mm2=most * technology.of("memory", names, "phy_controller_mm2"),
    )

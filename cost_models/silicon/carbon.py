"""Carbon of making and of using a board.

Fab and DRAM after ACT (Gupta et al., ISCA 2022): kg = A / Y x (grid x EPA + GPA + MPA) for the die, grams per GB for
DRAM. Package, circuit board and cooling are left out: ACT has no parameter for them.
"""

from __future__ import annotations

from cost_models.library.technology import Technology
from cost_models.silicon.cost import SECONDS_PER_YEAR
from cost_models.table import Choice, FloatArray, Number
from cost_models.tape import asarray
from cost_models.units import MM2_PER_CM2

JOULES_PER_KWH = 3.6e6


def die_kg(node: Choice, die_mm2: FloatArray, good_fraction: Number, technology: Technology) -> FloatArray:
    """Return the carbon of one good die: A / Y x (grid EPA + GPA + MPA), abatement of fab gases at 95 %.

    Args:
        node: process node; half nodes stand in the row of their parent.
        die_mm2: die.
        good_fraction: yield.
        technology: nodes, and parameters under ``carbon``.
    """
    nodes, value = technology.library.nodes, technology.value

    def row(name: str) -> Number:
        entry = nodes[name]
        power = value(f"carbon.fab_energy_kwh_per_cm2.{entry.carbon_node}")
        gases = value(f"carbon.fab_gas_g_per_cm2_95pct_abatement.{entry.carbon_node}")
        grid = value(f"carbon.grid_g_per_kwh.{entry.fab_grid}")
        return asarray(power) * grid + gases + value("carbon.materials_g_per_cm2")

    grams = node.map(row) * (die_mm2 / MM2_PER_CM2) / good_fraction
    return asarray(grams / 1000)


def dram_kg(gib: FloatArray, g_per_gib: FloatArray) -> FloatArray:
    """Return the carbon of memory; a DRAM GB is 2^30 bytes."""
    return asarray(gib * g_per_gib / 1000)


def g_per_million_tokens(
    embodied_kg: Number, watts: Number, idle_w: Number, tokens_per_s: Number, *, technology: Technology
) -> FloatArray:
    """Return grams of CO2e per million tokens: electricity at the wall, and the boards' making spread over their life.

    Electricity through power supply and PUE at ``tco.utilisation`` of the time, idle power in the rest, times the
    carbon of the grid in use; making over ``tco.amortisation_years``.

    Args:
        embodied_kg: of all boards.
        watts: power of all boards while serving.
        idle_w: power of all boards while waiting.
        tokens_per_s: rate while serving.
        technology: parameters.
    """
    value = technology.value
    used = asarray(value("tco.utilisation"))
    mean_w = (used * watts + (1 - used) * asarray(idle_w)) * value("tco.pue") / value("board.psu_efficiency")
    using_g_per_s = mean_w / JOULES_PER_KWH * value("carbon.use_grid_g_per_kwh")
    making_g_per_s = asarray(embodied_kg) * 1000 / (asarray(value("tco.amortisation_years")) * SECONDS_PER_YEAR)
    return asarray((using_g_per_s + making_g_per_s) / (used * tokens_per_s) * 1e6)

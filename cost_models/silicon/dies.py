"""Equal dies side by side in one package: which sides face each other, and what joining them costs.

Dies stand in one row or two, so that p of them have ceil(log2 p) sides each that face another die: one of two, two of
four, three of eight. Links to other dies run over those sides, everything else over the free ones.
"""

from __future__ import annotations

import numpy as np

from cost_models.table import FloatArray, Number, positive
from cost_models.tape import asarray


def facing_sides(dies: Number) -> FloatArray:
    """Return how many sides of each die face other dies."""
    return asarray(np.ceil(np.log2(dies)))


def facing_over_root(dies: Number, aspect_ratio: Number) -> FloatArray:
    """Return the length of the facing sides of a die over the root of its area: short sides first, then a long one.

    Args:
        dies: dies of the package.
        aspect_ratio: long over short side.
    """
    sides, root = facing_sides(dies), np.sqrt(aspect_ratio)
    return asarray(np.ceil(sides / 2) / root + np.floor(sides / 2) * root)


def outline_edge_mm(
    outward_mm: FloatArray, facing_mm: FloatArray, *, dies: FloatArray, aspect_ratio: Number
) -> FloatArray:
    """Return the edge that a die with four free sides needs to be as large as one whose facing sides are taken.

    Args:
        outward_mm: edge of interfaces to memory, host and other packages.
        facing_mm: edge of links to other dies.
        dies: dies of the package.
        aspect_ratio: long over short side.
    """
    root = np.sqrt(aspect_ratio)
    whole, facing = 2 * (root + 1 / root), facing_over_root(dies, aspect_ratio)
    between = facing_mm / positive(facing)
    return np.where(facing > 0, np.maximum(outward_mm / (whole - facing), between) * whole, outward_mm)


def joints(dies: Number) -> FloatArray:
    """Return the pairs of dies that face each other: p sides of each, counted from both."""
    return asarray(dies * facing_sides(dies) / 2)


def assembled_fraction(dies: FloatArray, *, bond_yield: Number, known_good_fraction: Number) -> FloatArray:
    """Return the share of packages that the dies beyond the first leave good.

    Each must be good although wafer test alone said so, and be bonded: (b g)^(p - 1). The first die's share is in the
    yield of the package itself.
    """
    return asarray((asarray(bond_yield) * known_good_fraction) ** (dies - 1))

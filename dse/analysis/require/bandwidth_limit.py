"""The most memory bandwidth that one die of each area can have: its sides, its package and its interposer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.library.technology import Technology
from cost_models.silicon.beachfront import BandwidthLimit, max_bandwidth
from cost_models.table import Choice, first_number
from dse.sweep import Spec
from dse.sweep.library_additions import library_of
from dse.uncertainty.monte_carlo import monte_carlo_samples, spreads_of

AREAS_MM2 = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
"""Die areas that are shown."""


@dataclass(frozen=True)
class DieBandwidth:
    """The most bandwidth that a die of one area has with one memory grade.

    Attributes:
        grade: memory grade.
        die_mm2: area.
        units: most units at the typical parameters.
        binds: the limit that allows no more of them.
        peak_gbps: peak bandwidth at the typical parameters.
        low_gbps: P10 of the peak under Monte Carlo samples.
        high_gbps: P90.
        delivered_gbps: what long sequential reads reach of the typical peak.
        interface_fraction: share of the die that PHYs and controllers take.
    """

    grade: str
    die_mm2: float
    units: float
    binds: str
    peak_gbps: float
    low_gbps: float
    high_gbps: float
    delivered_gbps: float
    interface_fraction: float


def bandwidth_by_area(
    grades: Sequence[str],
    spec: Spec | None = None,
    *,
    areas_mm2: Sequence[float] = AREAS_MM2,
    supply_w: float = 100.0,
    supply_v: float = 0.75,
    draws: int = 2000,
    seed: int = 0,
) -> list[DieBandwidth]:
    """Return the most bandwidth that dies of growing area have with each grade.

    Args:
        grades: memory grades.
        spec: the sweep whose replaced parameters count; the library's alone where None.
        areas_mm2: die areas.
        supply_w: power of the logic that the package feeds.
        supply_v: its voltage.
        draws: Monte Carlo samples behind the intervals.
        seed: their seed.

    Raises:
        UnknownEntryError: no such grade.
    """

    def limit(grade: str, area: float, of: Technology) -> BandwidthLimit:
        n = max([1, *(len(column) for column in of.columns().values())])
        chosen = Choice.same(grade, n)
        return max_bandwidth(chosen, np.full(n, area), supply_w=supply_w, supply_v=supply_v, technology=of)

    library = library_of(spec.library if spec else {})
    fixed, replaced = (spec.technology, spec.parameters) if spec else ({}, {})
    rows = []
    for grade in grades:
        for area in areas_mm2:
            typical = Technology(fixed, library)
            at_typical = limit(grade, area, typical)
            sampled = monte_carlo_samples(spreads_of(typical.reads, replaced, library), draws=draws, seed=seed)
            peaks = limit(grade, area, Technology({**fixed, **sampled}, library))
            low, high = np.quantile(np.broadcast_to(peaks.gbps, draws), (0.1, 0.9))
            rows.append(
                DieBandwidth(
                    grade=grade,
                    die_mm2=area,
                    units=first_number(at_typical.most),
                    binds=min(at_typical.units, key=lambda name: first_number(at_typical.units[name])),
                    peak_gbps=first_number(at_typical.gbps),
                    low_gbps=float(low),
                    high_gbps=float(high),
                    delivered_gbps=first_number(at_typical.gbps * at_typical.delivered_fraction),
                    interface_fraction=first_number(at_typical.interface_mm2) / area,
                )
            )
    return rows

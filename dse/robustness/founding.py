"""The founding question: how much bandwidth of ordinary DRAM can one die carry? By die area, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.beachfront import Carried, carried
from cost_models.table import Choice, FloatArray
from cost_models.technology import Technology
from dse.robustness.draws import joint_draws, spreads_of

AREAS_MM2 = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
"""Die areas that are shown."""

SUPPLY_W, SUPPLY_V = 100.0, 0.75
"""Logic that the package feeds, a 150 W board's."""


@dataclass(frozen=True)
class Row:
    """What a die of one area carries of one grade.

    Attributes:
        grade: memory grade.
        die_mm2: area.
        units: most units at the typical figures.
        binds: the limit that allows no more of them.
        peak_gbps: peak bandwidth at the typical figures.
        low_gbps: P10 of the peak under joint draws.
        high_gbps: P90.
        delivered_gbps: what long sequential reads reach of the typical peak.
        interface_share: share of the die that PHYs and controllers take.
    """

    grade: str
    die_mm2: float
    units: float
    binds: str
    peak_gbps: float
    low_gbps: float
    high_gbps: float
    delivered_gbps: float
    interface_share: float


def carried_rows(
    grades: Sequence[str], *, areas_mm2: Sequence[float] = AREAS_MM2, draws: int = 2000, seed: int = 0
) -> list[Row]:
    """Return what dies carry of each grade.

    Args:
        grades: memory grades.
        areas_mm2: die areas.
        draws: joint draws behind the intervals.
        seed: their seed.

    Raises:
        UnknownEntryError: no such grade.
    """
    rows = []
    for grade in grades:
        for area in areas_mm2:
            typical, technology = _carried(grade, area, Technology())
            spreads = spreads_of(technology.reads, {}, technology.library)
            drawn = joint_draws(spreads, draws=draws, seed=seed)
            peaks, _ = _carried(grade, area, Technology(drawn))
            low, high = np.quantile(np.broadcast_to(peaks.gbps, draws), (0.1, 0.9))
            rows.append(
                Row(
                    grade=grade,
                    die_mm2=area,
                    units=_first(typical.most),
                    binds=min(typical.units, key=lambda name: _first(typical.units[name])),
                    peak_gbps=_first(typical.gbps),
                    low_gbps=float(low),
                    high_gbps=float(high),
                    delivered_gbps=_first(typical.gbps * typical.delivered_share),
                    interface_share=_first(typical.interface_mm2) / area,
                )
            )
    return rows


def _carried(grade: str, area: float, technology: Technology) -> tuple[Carried, Technology]:
    rows = max([1, *(len(column) for column in technology.columns().values())])
    found = carried(
        Choice.same(grade, rows),
        np.full(rows, area),
        supply_w=SUPPLY_W,
        supply_v=SUPPLY_V,
        technology=technology,
    )
    return found, technology


def _first(column: FloatArray) -> float:
    return float(np.broadcast_to(column, max(1, np.size(column))).ravel()[0])

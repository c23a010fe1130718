"""The most bandwidth of dies, of made interfaces: twice the area in GB/s, and draws of a multiple of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis.require import bandwidth_limit
from dse.analysis.require.bandwidth_limit import AREAS_MM2, DieBandwidth, bandwidth_by_area


@pytest.fixture
def asked(monkeypatch):
    """Draws are 0, 1, ... times the area; what was asked for is noted."""
    asked = []

    def limit(grade, areas, *, supply_w, supply_v, technology):
        n = len(areas)
        asked.append((grade.names().tolist(), areas.tolist(), supply_w, supply_v))
        gbps = 2 * areas if n == 1 else np.arange(n) * areas
        return SimpleNamespace(
            gbps=gbps, most=np.array([3.0]), units={"edge": np.array([5.0]), "package": np.array([3.0])},
            delivered_fraction=0.75, interface_mm2=areas / 4,
        )  # fmt: skip

    def samples(spreads, *, draws, seed):
        asked.append((draws, seed))
        return {"tco.pue": np.ones(draws)}

    monkeypatch.setattr(bandwidth_limit, "max_bandwidth", limit)
    monkeypatch.setattr(bandwidth_limit, "monte_carlo_samples", samples)
    return asked


def test_dies_of_every_area_and_grade_have_their_most_and_its_spread(asked):
    found = bandwidth_by_area(["hbm3", "gddr6_16"], areas_mm2=(100.0, 200.0), draws=5, seed=7)
    assert found == [
        DieBandwidth(
            grade, area, 3, "package", 2 * area, pytest.approx(0.4 * area), pytest.approx(3.6 * area), 1.5 * area, 0.25
        )
        for grade in ("hbm3", "gddr6_16") for area in (100.0, 200.0)
    ]  # fmt: skip
    assert asked[:3] == [(["hbm3"], [100], 100, 0.75), (5, 7), (["hbm3"] * 5, [100] * 5, 100, 0.75)]


def test_areas_and_draws_where_nobody_says_them(asked):
    assert [one.die_mm2 for one in bandwidth_by_area(["hbm3"])] == list(AREAS_MM2) == [100.0 * k for k in range(1, 9)]
    assert asked[1] == (2000, 0)

"""Quantiles, who is beaten in which draws, and designs that meet the draws a few at a time."""

import pickle
from functools import partial

import numpy as np
import pytest

from dse.parallelism import Parallelism
from dse.uncertainty import intervals


@pytest.mark.parametrize("count", [1, 2, 3, 10, 11, 12, 97])
def test_quantiles_lie_between_the_values_in_proportion(count):
    rng = np.random.default_rng(count)
    values = {name: rng.normal(size=count) for name in ("plain", "holes", "empty", "equal", "first")}
    values["holes"][: count // 2] = np.nan
    values["first"][:1] = np.nan
    values["empty"][:] = np.nan
    values["equal"][:] = 3.0
    found = intervals._quantiles(values)
    assert list(found["equal"]) == [3.0] * 3 and np.isnan(found["empty"]).all()
    for name in ("plain", "holes", "first"):
        known = values[name][~np.isnan(values[name])]
        expected = np.quantile(known, [0.1, 0.5, 0.9]) if len(known) else [np.nan] * 3
        np.testing.assert_allclose(found[name], expected, atol=1e-12)


def test_a_design_is_kept_in_the_share_of_draws_in_which_nobody_beats_it():
    rng = np.random.default_rng(2)
    points = rng.integers(0, 4, (5, 40, 2)).astype(np.float32)
    points[0, 7] = np.nan
    kept = np.zeros(5)
    for draw in range(40):
        for one in range(5):
            own = points[one, draw]
            beaten = any((points[k, draw] <= own).all() and (points[k, draw] < own).any() for k in range(5))
            kept[one] += not beaten and np.isfinite(own).all()
    np.testing.assert_allclose(intervals._nondominated_fraction(points), kept / 40)


def test_designs_meet_the_draws_a_few_at_a_time_and_the_same_ones(sweep, monkeypatch):
    from dse.sweep import parse_spec

    sweep["constraints"] = [{"metric": "tdp_w", "max": 60}]
    spec = parse_spec(sweep)
    base = {"memory": "lpddr5x_9600", "memory_devices": 16.0, "memory_device_gib": 16.0, "macs": 8192.0}
    designs = [
        base | {"node": node, "clock_ghz": clock}
        for clock in (0.5, 1.0) for node in ("tsmc_7", "tsmc_5", "samsung_5")
    ][:5]  # fmt: skip
    told = {}
    for rows in (1, 16, 10**6):
        monkeypatch.setattr(intervals, "ROWS_AT_ONCE", rows)
        steps = []
        found = intervals.robustness(spec, designs, draws=8, seed=3, progress=lambda *one, to=steps: to.append(one))
        told[rows] = (steps, found)
    assert told[1][0] == [(one, 5) for one in range(1, 6)]
    assert told[16][0] == [(2, 5), (4, 5), (5, 5)] and told[10**6][0] == [(5, 5)]
    steps = []
    told[2] = (
        steps,
        intervals.robustness(
            spec, designs, draws=8, seed=3, spread=Parallelism(2), progress=lambda *one: steps.append(one)
        ),
    )
    assert steps == [(5, 5)], "one call, so one process"
    monkeypatch.setattr(intervals, "ROWS_AT_ONCE", 16)
    told[3] = steps, intervals.robustness(spec, designs, draws=8, seed=3, spread=Parallelism(2))
    elsewhere = pickle.loads(pickle.dumps(partial(intervals._tried, spec, designs, 8, 3, None)))()
    assert repr(elsewhere([4, 1])) == repr(intervals._Trial(spec, designs, 8, 3, None).met([4, 1]))
    first = told[1][1]
    assert len(first.p_feasible) == 5 and 0 < np.mean(first.p_meets["tdp_w <= 60"]) < 1
    for _, other in list(told.values())[1:]:
        for name in first.quantiles:
            np.testing.assert_allclose(other.quantiles[name], first.quantiles[name], rtol=1e-12)
        np.testing.assert_array_equal(other.p_feasible, first.p_feasible)
        np.testing.assert_array_equal(other.nondominated_fraction, first.nondominated_fraction)

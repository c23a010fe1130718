"""Patterns of broken constraints, numbered and counted."""

import numpy as np
import pytest

from dse.results.statistics.patterns import PatternCounts, distinct_patterns


def test_patterns_are_numbered_as_they_are_met_and_counted_by_value():
    counts = PatternCounts(3, {"x": 2})
    assert not counts
    broken = [np.array([True, False, True, False]), np.array([False, False, False, True]), np.zeros(4, bool)]
    present = counts.add(broken, {"x": np.array([0, 0, 0, 0])})
    assert present["x"].tolist() == [True, False] and counts
    counts.add([mask[:1] for mask in broken], {"x": np.array([1])})
    met = {tuple(row): (total, tuple(values)) for row, total, values in
           zip(counts.broken.tolist(), counts.totals.tolist(), counts.by_axis["x"].tolist(), strict=True)}  # fmt: skip
    assert met == {
        (True, False, False): (3, (2, 1)),
        (False, False, False): (1, (1, 0)),
        (False, True, False): (1, (1, 0)),
    }
    assert counts.violated().tolist() == [3, 1, 0] and [counts.breaking_only(i) for i in range(3)] == [3, 1, 0]


@pytest.mark.parametrize("width", [1, 13, 14, 15, 16, 61, 62, 63, 64, 125])
def test_patterns_of_every_width_are_those_of_the_rows(width):
    rng = np.random.default_rng(width)
    broken = rng.random((50, width)) < 0.5
    broken[:, 0] = True
    broken[:, width // 2] |= width > 1
    patterns, which = distinct_patterns(list(broken.T))
    assert (patterns[which] == broken).all() and len({row.tobytes() for row in patterns}) == len(patterns)
    assert set(which.tolist()) == set(range(len(patterns)))
    same, places = distinct_patterns([np.ones(3, bool), np.zeros(3, bool)])
    assert same.tolist() == [[True, False]] and places.tolist() == [0, 0, 0]
    none, nowhere = distinct_patterns([np.zeros(0, bool)])
    assert none.shape == (0, 1) and nowhere.shape == (0,)

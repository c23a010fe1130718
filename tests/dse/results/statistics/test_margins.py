"""The intervals in which margins are counted."""

import math

import numpy as np
import pytest

from dse.results.statistics.margins import interval_of, margin_counts


@pytest.mark.parametrize(
    ("margin", "low", "high"),
    [(-1.5, -math.inf, -1), (-1.0, -1, -0.9), (-0.05, -0.1, 0), (0.0, 0, 0.1), (0.09, 0, 0.1), (0.95, 0.9, 1),
     (1.0, 1, math.inf), (7.0, 1, math.inf)],
)  # fmt: skip
def test_a_margin_lies_in_its_interval(margin, low, high):
    counts = np.bincount(interval_of(np.array([margin])), minlength=22)
    (one,) = margin_counts("c", counts)
    assert (one.low, one.high, one.designs) == (low, high, 1)

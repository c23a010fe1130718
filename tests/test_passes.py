"""Decode and prefill times: closed forms, bounds, limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.passes import mean_of_larger

value = st.floats(0, 1e3)


@given(f=st.tuples(value, value), g=st.tuples(value, value))
def test_mean_of_the_larger_of_two_lines_against_adding_many_points(f, g):
    x = (np.arange(20_000) + 0.5) / 20_000
    sampled = np.maximum(f[0] + (f[1] - f[0]) * x, g[0] + (g[1] - g[0]) * x).mean()
    exact = mean_of_larger(tuple(map(np.float64, f)), tuple(map(np.float64, g)))
    assert exact == pytest.approx(sampled, rel=1e-6, abs=1e-6)

"""Sobol points beside those of SciPy, taken in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from dse.samplers import make_sampler
from dse.samplers.sobol import SobolPoints
from tests.dse.samplers.plain import sobol, space_of


def test_points_of_long_sequences_have_more_digits() -> None:
    for total, bits in ((1, 30), (2**30, 30), (2**30 + 1, 31), (2**33, 33)):
        assert SobolPoints(2, seed=0, total=total)._engine.bits == bits


@pytest.mark.filterwarnings("error")
def test_points_are_taken_in_pieces_of_any_size_without_a_word() -> None:
    whole = sobol(3, 9)
    for pieces in ((5, 7), (0, 1, 3), (3, 0, 6)):
        points, taken = SobolPoints(3, seed=9, total=64), 0
        for count in pieces:
            np.testing.assert_array_equal(points.take(count), whole[taken : taken + count])
            taken += count
    left_out = SobolPoints(3, seed=9, total=64)
    left_out.skip(0)
    left_out.skip(7)
    np.testing.assert_array_equal(left_out.take(2), whole[7:9])


def test_a_sequence_says_that_a_grid_would_do() -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5, "levels": 8}, memory_devices={"low": 2, "high": 16, "step": 2})
    notes = {
        count: make_sampler("sobol", space, n_designs=count, seed=0, n_objectives=2).describe()
        for count in (32, 63, 64)
    }
    small = "the space has only 64 distinct designs: grid would meet each once"
    raised = "n_designs 63 was raised to 64: Sobol points come in powers of two"
    assert notes == {32: (), 63: (raised, small), 64: (small,)}
    ranges = space_of(clock_ghz={"low": 0.5, "high": 1.5})
    assert make_sampler("sobol", ranges, n_designs=4096, seed=0, n_objectives=2).describe() == ()

"""What samplers are told and have told, and sequences that are entered anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dse.errors import RecordError, SamplerError
from dse.packing import Record
from dse.samplers import Feedback, base, make_sampler
from tests.dse.samplers.plain import cells, sobol, space_of


def test_missing_objectives_are_beyond_any_and_violations_are_summed() -> None:
    told = Feedback(
        np.arange(2, 4), np.array([[1.0, np.nan], [np.inf, 2.0]]), np.array([[0.5, 0.25], [0, 0]]), np.zeros(2, bool)
    )
    assert told.finite_objectives.tolist() == [[1.0, 1e30], [1e30, 2.0]]
    assert told.violation.tolist() == [0.75, 0] and told.renumbered(2).ids.tolist() == [0, 1]
    assert told.rows(1, 2).ids.tolist() == [3] and len(told) == 2


@pytest.mark.parametrize("name", ["grid", "sobol", "random"])
def test_rows_of_a_sequence_are_the_same_wherever_it_is_entered(name: str) -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5, "levels": 8}, memory_devices={"low": 2, "high": 16, "step": 2})

    def make(seed: int = 3) -> Any:
        return make_sampler(name, space, n_designs=64, seed=seed, n_objectives=2)

    whole = cells(make().rows(0, 64))
    assert len(whole) == 64 and cells(make().ask(64)) == whole
    for order in ([(10, 20), (20, 25), (5, 9), (0, 3), (3, 60), (63, 64)], [(0, 64), (0, 64)], [(1, 2), (3, 4)]):
        sampler = make()
        for start, stop in order:
            assert cells(sampler.rows(start, stop)) == whole[start:stop]
    left_out = make()
    left_out.skip(40)
    assert cells(left_out.ask(9)) == whole[40:49] and left_out.ask(99).rows == 15 and left_out.ask(1) == {}
    with pytest.raises(SamplerError, match=f"{name} is made anew"):
        left_out.extend(1)
    expected = {
        "grid": lambda: space.grid(0, 64),
        "sobol": lambda: space.decode(sobol(len(space.dimensions), 3)),
        "random": lambda: space.decode(np.random.default_rng(3).random((64, len(space.dimensions)))),
    }[name]()
    assert whole == cells(expected)


@pytest.mark.parametrize(
    ("turns", "fine"),
    [([3, 2], True), ([3, 3], True), ([3, 4], False), ([3], False), ([3, 2, 1], False), ([-1, -1], False)],
)
def test_counts_of_what_was_asked_and_told_are_two_in_order(turns: list[int], fine: bool) -> None:
    record = Record({"turns": turns}, "it")
    if fine:
        assert base.AskTellCounter.of(record, "turns").data() == turns
    else:
        with pytest.raises(RecordError, match="turns"):
            base.AskTellCounter.of(record, "turns")

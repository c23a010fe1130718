"""NSGA-III of pymoo: directions, pairs, and generations that go on from any state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dse.errors import RecordError
from dse.packing import packed, read_packed
from dse.samplers.evolve.nsga2 import GeneticOperators
from dse.sweep.search import EvolveOptions
from tests.dse.samplers.plain import NUMBERS, Drawn, space_of, worth


@pytest.mark.parametrize(("objectives", "population"), [(1, 9), (2, 9), (2, 10), (3, 14), (3, 15), (3, 20), (3, 21)])
def test_there_are_as_many_reference_directions_as_the_population_serves(objectives: int, population: int) -> None:
    from dse.samplers.evolve.pymoo import _nsga3

    count = len(_nsga3(population, objectives).ref_dirs)
    # Das and Dennis: of p parts, as many as there are ways to share p among the objectives.
    sizes = [math.comb(parts + objectives - 1, objectives - 1) for parts in range(1, 40)]
    assert count == max(size for size in sizes if size <= population)


def test_pairs_are_won_by_the_lesser_violation_and_else_by_a_toss() -> None:
    from pymoo.core.population import Population

    from dse.samplers.evolve.pymoo import by_violation

    population = Population.new(X=np.arange(3.0)[:, None])
    population.set("G", np.array([[0.0], [0.5], [0.5]]))
    pairs = np.array([[0, 1], [1, 0], [1, 2], [2, 1], [1, 2], [2, 1]] * 20)
    won = by_violation(population, pairs, random_state=np.random.default_rng(0))[:, 0]
    toss = np.random.default_rng(0).random(len(pairs)) < 0.5
    expected = [0 if 0 in pair else pair[0] if head else pair[1] for pair, head in zip(pairs, toss, strict=True)]
    assert won.tolist() == expected
    for toss, place in ((0.5, 1), (0.49, 0)):
        won = by_violation(population, pairs[2:4], random_state=Drawn(toss))
        assert won.tolist() == pairs[2:4, place, None].tolist()


def test_generations_of_nsga3_hold_what_is_known_and_propose_what_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    from dse.samplers.evolve.pymoo import PymooEngine

    space = space_of(**NUMBERS)
    points = space.snapped(np.random.default_rng(3).random((16, len(space.dimensions))))
    known, start = points[:9], np.concatenate([points[9:13], points[10:12], points[:2]])

    def begun() -> Any:
        return PymooEngine(
            space, start, (known, *worth(known)), population=8, n_objectives=2, seed=3,
            operators=GeneticOperators.of(space, EvolveOptions()),
        )  # fmt: skip

    engine, seen, sizes = begun(), {row.tobytes() for row in known}, []
    states = []
    for _ in range(4):
        states.append(engine.state())
        proposed = engine.propose()
        keys = {row.tobytes() for row in proposed}
        assert len(keys) == len(proposed) and not keys & seen
        np.testing.assert_array_equal(space.snapped(proposed), proposed)
        sizes.append(len(proposed))
        if len(sizes) == 1:
            np.testing.assert_array_equal(proposed, points[9:13])
        states.append(engine.state())
        seen |= keys
        engine.accept(*worth(proposed))
        assert len(engine._algorithm.pop) == 8, "of what is known only the best are parents"
    assert sizes == [4, 8, 8, 8] and len(engine._told) == 4
    assert capfd.readouterr().out == ""
    final = engine.propose()
    for number, state in enumerate(states):
        again = begun()
        again.restore(read_packed(packed(state), "it"))
        for generation in range(number // 2, 4):
            if number % 2 == 0 or generation > number // 2:
                again.propose()
            again.accept(*[engine._told[generation][part] for part in (0, 1)])
        np.testing.assert_array_equal(again.propose(), final)
    wrong = {**states[-1], "told": [{"objectives": np.zeros((3, 2)), "violation": np.zeros(3)}] * 3}
    with pytest.raises(RecordError, match="of the 4 designs of generation 0"):
        begun().restore(read_packed(packed(wrong), "it"))
    with pytest.raises(RecordError, match="asked"):
        begun().restore(read_packed(packed({**states[-1], "asked": 9}), "it"))

"""The generations that the evolution hands out, what it begins with, and its size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dse.samplers.evolve.nsga2 import GeneticOperators
from dse.samplers.evolve.sampler import EvolveSampler, default_population
from dse.sweep.search import EvolveOptions
from tests.dse.samplers.plain import NUMBERS, Plain, cells, feedback, sobol, space_of, worth


@pytest.mark.parametrize(
    ("n_designs", "population"),
    [(1, 4), (15, 4), (20, 5), (79, 19), (80, 20), (100, 20), (120, 20), (121, 22), (400, 40), (250_000, 1000),
     (10**9, 1000)],
)  # fmt: skip
def test_a_population_is_twice_the_root_of_the_budget_within_bounds(n_designs: int, population: int) -> None:
    assert default_population(n_designs) == population


def test_a_sampler_hands_out_the_generations_of_its_engine() -> None:
    space = space_of(**NUMBERS)
    sampler = EvolveSampler(space, n_designs=50, seed=7, n_objectives=2, options=EvolveOptions(population=12))
    start = sobol(len(space.dimensions), 7)[:12]
    engine = Plain(space, start, 12, 7, GeneticOperators.of(space, EvolveOptions()))
    told = 0
    while told < 50:
        expected = engine.propose()
        got = 0
        while got < len(expected) and (designs := sampler.ask(5)):
            points = expected[got : got + designs.rows]
            np.testing.assert_allclose(space.encode(designs), points, atol=1e-12)
            sampler.tell(feedback(points, told))
            got, told = got + designs.rows, told + designs.rows
        if got == len(expected):
            engine.accept(*worth(expected))
    assert told == sampler.total == 50 and not sampler.ask(1)
    sampler.extend(3)
    assert sampler.total == 53 and sampler.ask(9).rows == 3, "what is left of the generation"
    assert sampler.describe() == ("nsga2 with generations of 12 designs",)


def test_what_is_known_fills_the_first_generation() -> None:
    space = space_of(**NUMBERS)
    known = space.snapped(np.random.default_rng(0).random((9, len(space.dimensions))))

    def first(seeds: Any, population: int = 12) -> list[int]:
        sampler = EvolveSampler(
            space, n_designs=60, seed=7, n_objectives=2, options=EvolveOptions(population=population)
        )
        if seeds is not None:
            sampler.warm_start(seeds, feedback(seeds, 0))
        sizes = []
        for _ in range(2):
            designs = sampler.ask(100)
            sizes.append(designs.rows)
            sampler.tell(feedback(space.encode(designs), sum(sizes[:-1])))
        return sizes

    assert first(None) == [12, 12] and first(known) == [3, 12] and first(known[:0]) == [12, 12]
    # More is known than fits a generation: children at once.
    assert first(known, 4) == [4, 4] and first(known, 9) == [9, 9]


@pytest.mark.parametrize("algorithm", ["nsga2", "nsga3"])
def test_where_all_of_the_first_generation_is_known_children_come_first(algorithm: str) -> None:
    space = space_of(**NUMBERS)
    known = space.snapped(np.random.default_rng(0).random((9, len(space.dimensions))))
    options = EvolveOptions(population=8, algorithm=algorithm)
    one = EvolveSampler(space, n_designs=20, seed=7, n_objectives=2, options=options)
    one.warm_start(known, feedback(known, 0))
    designs = one.ask(100)
    assert designs.rows == 8 and not {row.tobytes() for row in space.encode(designs)} & {row.tobytes() for row in known}
    one.tell(feedback(space.encode(designs), 0))
    state = one.state()
    following = one.ask(100)
    again = EvolveSampler(space, n_designs=20, seed=7, n_objectives=2, options=options)
    again.restore(state)
    assert cells(again.ask(100)) == cells(following) and following.rows == 8
    again.extend(5)
    assert again.total == 25
    last = EvolveSampler(space, n_designs=20, seed=7, n_objectives=2, options=options)
    last.restore(again.state())
    assert last.total == 25, "what was added is kept"

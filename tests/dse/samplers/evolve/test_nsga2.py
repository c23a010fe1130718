"""Crossing, mutation, survival and whole generations beside a plain search that draws the same random numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dse.errors import RecordError
from dse.packing import Record
from dse.samplers.evolve import nsga2
from dse.samplers.evolve.nsga2 import ArrayEngine, GeneticOperators, Proposed, best_first, generator_state, tournament
from dse.sweep.search import EvolveOptions
from tests.dse.samplers.plain import NUMBERS, Drawn, Plain, crossed, mutated, space_of, survivors, winner, worth


@pytest.mark.parametrize(
    ("axes", "population", "generations"),
    [(NUMBERS, 12, 8), (NUMBERS, 7, 6), ({"clock_ghz": {"low": 0.5, "high": 1.5, "levels": 40}}, 9, 7),
     ({"cooling": {"values": ["air", "liquid"]}, "memory_devices": {"low": 2, "high": 16, "step": 2}}, 8, 5)],
    ids=["numbers", "odd", "line", "tiny"],
)  # fmt: skip
def test_generations_are_those_of_a_plain_search(axes: dict[str, Any], population: int, generations: int) -> None:
    space = space_of(**axes)
    operators = GeneticOperators.of(space, EvolveOptions())
    width = len(space.dimensions)
    start = np.random.default_rng(1).random((population, width))
    none = (np.empty((0, width)), np.empty((0, 2)), np.empty(0))
    ours = ArrayEngine(space, start, none, population=population, seed=5, operators=operators)
    plain = Plain(space, start, population, 5, operators)
    proposed = 0
    for _ in range(generations):
        mine, theirs = ours.propose(), plain.propose()
        np.testing.assert_allclose(mine, theirs, atol=1e-12)
        proposed += len(mine)
        ours.accept(*worth(mine))
        plain.accept(*worth(theirs))
        np.testing.assert_allclose(ours._points, plain.points, atol=1e-12)
    if space.is_enumerable and space.grid_size < population * generations:
        assert proposed == space.grid_size, "every design once, and then no more"


def test_known_points_are_parents_and_are_not_proposed() -> None:
    space = space_of(**NUMBERS)
    operators = GeneticOperators.of(space, EvolveOptions())
    known = nsga2.snap_to_levels(space, np.random.default_rng(3).random((30, len(space.dimensions))))
    engine = ArrayEngine(space, known[:0], (known, *worth(known)), population=8, seed=2, operators=operators)
    order, _ = survivors(*worth(known))
    np.testing.assert_array_equal(engine._points, known[order[:8]])
    children = engine.propose()
    assert len(children) == 8 and not {row.tobytes() for row in children} & {row.tobytes() for row in known}


def test_one_alone_has_no_children() -> None:
    space = space_of(**NUMBERS)
    known = space.snapped(np.full((1, len(space.dimensions)), 0.3))
    engine = ArrayEngine(
        space, known[:0], (known, *worth(known)), population=6, seed=5,
        operators=GeneticOperators.of(space, EvolveOptions()),
    )  # fmt: skip
    strangers = space.snapped(np.random.default_rng(5).random((nsga2.RANDOM_IMMIGRANTS, len(space.dimensions))))
    np.testing.assert_array_equal(engine.propose(), strangers[:6])


@pytest.mark.parametrize("eta", [2.0, 15.0])
def test_crossing_and_mutation_are_those_of_a_plain_twin(eta: float) -> None:
    operators = GeneticOperators(np.array([False, True, False, False]), 0.8, eta, 0.6, eta + 1)
    random = np.random.default_rng(4)
    first, second = random.random((60, 4)), random.random((60, 4))
    first[:5], second[5:10], second[10:15] = 0.0, 1.0, first[10:15]
    first[15], second[15], second[16] = 0.0, 1.0, first[16] + 5e-15
    for seed in range(3):
        ours, plain = np.random.default_rng(seed), np.random.default_rng(seed)
        children = operators.cross(first, second, ours)
        np.testing.assert_allclose(children, crossed(operators, first, second, plain), atol=1e-13)
        np.testing.assert_allclose(operators.mutate(children, ours), mutated(operators, children, plain), atol=1e-13)


def test_draws_at_the_very_border() -> None:
    operators = GeneticOperators(np.array([False]), 0.75, 1.0, 0.25, 1.0)
    one, other = np.array([[0.2]]), np.array([[0.6]])

    def cross(*draws: float, first: Any = one, second: Any = other) -> list[float]:
        return operators.cross(first, second, Drawn(*draws)).ravel().tolist()  # type: ignore[arg-type]

    # Parents 0.4 apart with room 0.2 and 0.4 beyond; a half of the distribution is as far apart as they are.
    for room, at in ((0.2, 0), (0.4, 1)):
        alpha = 2 - (1 + 2 * room / 0.4) ** -2
        spread_ = math.sqrt(0.25 * alpha)
        expected = 0.4 + (-1, 1)[at] * spread_ * 0.4 / 2
        assert cross(0.7, 0.4, 0.25, 0.5)[at] == pytest.approx(expected, rel=1e-14), "not below a half: in order"
        assert cross(0.7, 0.4, 0.25, 0.49)[1 - at] == pytest.approx(expected, rel=1e-14)
    for draws in ((0.75, 0.4, 0.25, 0.5), (0.7, 0.5, 0.25, 0.5)):
        assert cross(*draws) == [0.2, 0.6] and cross(*draws, first=other, second=one) == [0.6, 0.2]
    near = np.array([[1e-14]])
    assert cross(0.0, 0.0, 0.25, 0.9, first=0 * near, second=near) == [0.0, 1e-14]
    assert operators.mutate(one, Drawn(0.25, 0.1)).tolist() == [[0.2]], "hit only below"  # type: ignore[arg-type]
    moved = operators.mutate(one, Drawn(0.24, 0.125))  # type: ignore[arg-type]
    assert moved[0, 0] == pytest.approx(0.2 + math.sqrt(0.25 + 0.75 * 0.8**2) - 1, rel=1e-14)
    moved = operators.mutate(one, Drawn(0.24, 0.875))  # type: ignore[arg-type]
    assert moved[0, 0] == pytest.approx(0.2 + 1 - math.sqrt(0.25 + 0.75 * 0.2**2), rel=1e-14)
    names = GeneticOperators(np.array([True]), 0.75, 1.0, 0.25, 1.0)
    assert names.mutate(one, Drawn(0.1, 0.9)).tolist() == [[0.9]]  # type: ignore[arg-type]


@pytest.mark.parametrize("eta", [0.0, 2.0, 15.0, 2.5])
def test_no_child_leaves_the_cube_by_rounding(eta: float) -> None:
    operators = GeneticOperators(np.array([False]), 1.0, eta, 1.0, eta)
    first, second = np.random.default_rng(0).random((2, 2000, 1))
    for draw in (0.0, 2.0**-53, 1 - 2.0**-53):
        children = operators.cross(first, second, Drawn(0.1, 0.1, draw, 0.5))  # type: ignore[arg-type]
        assert children.min() >= 0 and children.max() <= 1
        moved = operators.mutate(children, Drawn(0.1, draw))  # type: ignore[arg-type]
        assert moved.min() >= 0 and moved.max() <= 1


def test_a_toss_decides_between_parents_that_are_alike() -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5})
    known = np.array([[0.1], [0.2], [0.3], [0.4]]), np.ones((4, 1)), np.zeros(4)
    operators = GeneticOperators.of(space, EvolveOptions())
    engine = ArrayEngine(space, known[0][:0], known, population=4, seed=0, operators=operators)
    first, second = np.arange(10).reshape(2, 5) % 4
    engine._crowding = np.zeros(4)
    engine._random = Drawn(0.5, 0.49)  # type: ignore[assignment]
    assert engine._parents(5).tolist() == [second.tolist(), first.tolist()]


@pytest.mark.parametrize("seed", range(6))
def test_survival_and_tournaments_are_those_of_a_plain_twin(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = [1, 2, 3, 12, 40, 60][seed]
    objectives = random.integers(0, 8, (n, 2 + seed % 2)).astype(float)
    violation = np.round(np.where(random.random(n) < 0.3, random.random(n), 0.0), 1)
    expected, gaps = survivors(objectives, violation)
    for most in {n, n + 1, n // 2, 1}:
        order, crowding = best_first(objectives, violation, most)
        assert order.tolist() == expected[:most] and crowding == pytest.approx([gaps[one] for one in order])
    crowding = np.array(gaps)
    first, second = random.integers(n, size=(2, 200))
    won = tournament(objectives, violation, crowding, first, second)
    assert won.tolist() == [winner(objectives, violation, gaps, i, k) for i, k in zip(first, second, strict=True)]


def test_what_mutates_like_a_name() -> None:
    space = space_of(
        cooling={"values": ["air", "liquid"]}, clock_ghz={"low": 0.5, "high": 1.5},
        sram_mib={"values": list(range(1, 9))},
        macs={"values": [1024 * one for one in range(1, 10)]}, kv_bits={"low": 4, "high": 8, "step": 4},
    )  # fmt: skip
    found = GeneticOperators.of(space, EvolveOptions())
    flags = dict(zip(space.dimensions, found.categorical.tolist(), strict=True))
    assert flags["cooling"] and flags["sram_mib"] and not flags["macs"] and not flags["clock_ghz"]
    assert found.mutation_probability == 1 / len(space.dimensions)
    assert (
        GeneticOperators.of(space_of(clock_ghz={"low": 0.5, "high": 1.5}), EvolveOptions()).mutation_probability == 0.5
    )
    given = GeneticOperators.of(space, EvolveOptions(mutation_probability=0.7, crossover_eta=3, mutation_eta=4))
    assert (given.mutation_probability, given.crossover_eta, given.mutation_eta) == (0.7, 3, 4)


def test_of_equal_points_the_first_is_new_once() -> None:
    proposed, pending = Proposed(), set[int]()
    points = np.array([[1.0], [2.0], [1.0], [3.0], [2.0]])
    proposed.add(points[3:4])
    assert proposed.new(points, pending).tolist() == [0, 1]
    assert proposed.new(points, pending).tolist() == [] and len(pending) == 2
    assert proposed.new(np.array([[3.0], [9.0], [9.0]]), set()).tolist() == [1]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, ""), ({"has_uint32": 1, "uinteger": 2**32 - 1}, ""), ({"has_uint32": 2}, "has_uint32"),
        ({"uinteger": 2**32}, "uinteger"), ({"bit_generator": "MT19937"}, "bit_generator"),
        ({"state": {"state": 2**128, "inc": 1}}, "state"), ({"state": {"state": 1, "inc": 2**128}}, "inc"),
        ({"state": {"state": 2**128 - 1, "inc": 2**128 - 1}}, ""), ({"state": {"state": -1, "inc": 1}}, "state"),
    ],
)  # fmt: skip
def test_a_generator_goes_on_from_a_state_within_its_bounds(changed: dict[str, Any], wrong: str) -> None:
    state = {"bit_generator": "PCG64", "state": {"state": 5, "inc": 7}, "has_uint32": 0, "uinteger": 0} | changed
    if wrong:
        with pytest.raises(RecordError, match=wrong):
            generator_state(Record(state, "it"))
    else:
        np.random.PCG64().state = generator_state(Record(state, "it"))

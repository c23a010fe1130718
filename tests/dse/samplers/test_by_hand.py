"""Samplers beside plain twins that draw the same random numbers: crossing, mutation, survival, whole generations."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cost_models.table import Table, cells_of
from dse.errors import RecordError, SamplerError, SpecError
from dse.packing import Record, packed, read_packed
from dse.samplers import (
    Feedback,
    base,
    chain,
    grid,
    make_sampler,
    planned_designs,
    sampler_of,
    stage_budgets,
    study_place,
    study_place_of,
)
from dse.samplers.evolve import nsga2
from dse.samplers.evolve.nsga2 import ArrayEngine, GeneticOperators, Proposed, best_first, generator_state, tournament
from dse.samplers.evolve.sampler import EvolveSampler, default_population
from dse.samplers.optuna.trials import designs_of_trials, parameter_distributions, trial_parameters
from dse.space import Space
from dse.sweep import parse_spec
from dse.sweep.search import EvolveOptions, SearchSpec
from tests.sweeps import small


def space_of(**axes: Any) -> Space:
    base = {"node": "tsmc_5", "memory": "hbm3", "memory_device_gib": 16, "memory_devices": 8}
    return Space(parse_spec(small(space={**base, **axes})))


NUMBERS = {
    "macs": {"low": 1024, "high": 65536, "log": True}, "clock_ghz": {"low": 0.5, "high": 1.5},
    "cooling": {"values": ["air", "liquid"]}, "memory_devices": {"low": 2, "high": 16, "step": 2},
}  # fmt: skip


# --- a plain NSGA-II --------------------------------------------------------------------------------------------------


def spread(room: float, span: float, draw: float, eta: float) -> float:
    """Half the distance of two children over that of their parents, which leaves no child farther than the room."""
    alpha = 2 - (1 + 2 * room / span) ** (-(eta + 1))
    if draw <= 1 / alpha:
        return float((draw * alpha) ** (1 / (eta + 1)))
    return float((1 / (2 - draw * alpha)) ** (1 / (eta + 1)))


def crossed(operators: GeneticOperators, first: Any, second: Any, random: np.random.Generator) -> np.ndarray:
    rows, width = first.shape
    pair, coordinate, draw, swap = (
        random.random(rows), random.random((rows, width)), random.random((rows, width)), random.random((rows, width)),
    )  # fmt: skip
    one, other = np.empty((rows, width)), np.empty((rows, width))
    for i in range(rows):
        for j in range(width):
            a, b = first[i, j], second[i, j]
            low, high = min(a, b), max(a, b)
            if pair[i] < operators.crossover_probability and coordinate[i, j] < 0.5 and high - low > 1e-14:
                eta, span, middle = operators.crossover_eta, high - low, (low + high) / 2
                below = middle - spread(low, span, draw[i, j], eta) * span / 2
                above = middle + spread(1 - high, span, draw[i, j], eta) * span / 2
                a, b = (above, below) if swap[i, j] < 0.5 else (below, above)
            one[i, j], other[i, j] = min(max(a, 0.0), 1.0), min(max(b, 0.0), 1.0)
    return np.concatenate([one, other])


def mutated(operators: GeneticOperators, points: Any, random: np.random.Generator) -> np.ndarray:
    hit, draw = random.random(points.shape), random.random(points.shape)
    out = points.copy()
    power = operators.mutation_eta + 1
    for i, j in np.ndindex(*points.shape):
        if hit[i, j] >= operators.mutation_probability:
            continue
        x, u = points[i, j], draw[i, j]
        if operators.categorical[j]:
            out[i, j] = u
        elif u < 0.5:
            out[i, j] = x + (2 * u + (1 - 2 * u) * (1 - x) ** power) ** (1 / power) - 1
        else:
            out[i, j] = x + 1 - (2 * (1 - u) + (2 * u - 1) * x**power) ** (1 / power)
    return np.clip(out, 0.0, 1.0)


def dominates(a: Any, b: Any) -> bool:
    return bool((a <= b).all() and (a < b).any())


def survivors(objectives: Any, violation: Any) -> tuple[list[int], list[float]]:
    """Places, the best first, and the crowding of each: fronts peeled one by one, gaps between neighbours summed."""
    n = len(objectives)
    crowding, rank = [0.0] * n, [0] * n
    left, front = [i for i in range(n) if violation[i] <= 0], 0
    while left:
        members = [i for i in left if not any(dominates(objectives[k], objectives[i]) for k in left)]
        for i in members:
            rank[i] = front
        for column in np.transpose(objectives):
            line = sorted(members, key=lambda i: (column[i], i))
            span = column[line[-1]] - column[line[0]]
            for place, i in enumerate(line):
                if len(members) < 3 or place in (0, len(line) - 1):
                    crowding[i] = math.inf
                elif span > 0:
                    crowding[i] += (column[line[place + 1]] - column[line[place - 1]]) / span
        left, front = [i for i in left if i not in members], front + 1
    return sorted(range(n), key=lambda i: (violation[i], rank[i], -crowding[i], i)), crowding


def winner(objectives: Any, violation: Any, crowding: Any, i: int, k: int) -> int:
    if violation[i] > 0 or violation[k] > 0:
        return int(np.sign(violation[k] - violation[i]))
    if dominates(objectives[i], objectives[k]) or dominates(objectives[k], objectives[i]):
        return 1 if dominates(objectives[i], objectives[k]) else -1
    return int(crowding[i] > crowding[k]) - int(crowding[i] < crowding[k])


class Plain:
    """The same search with a list of individuals."""

    def __init__(self, space: Space, start: Any, population: int, seed: int, operators: GeneticOperators) -> None:
        self.space, self.size, self.operators, self.random = space, population, operators, np.random.default_rng(seed)
        self.offspring, self.first, self.seen = start, True, set[bytes]()
        self.points, self.objectives, self.violation, self.crowding = start[:0], None, None, None

    def new(self, points: Any, pending: set[bytes]) -> list[int]:
        places = []
        for place, point in enumerate(points):
            if (key := point.tobytes()) not in self.seen | pending:
                pending.add(key)
                places.append(place)
        return places

    def parents(self, count: int) -> list[int]:
        first, second = self.random.integers(len(self.points), size=(2, count))
        won = [winner(self.objectives, self.violation, self.crowding, i, k) for i, k in zip(first, second, strict=True)]
        toss = self.random.random(count) < 0.5
        return [
            i if (win > 0 or (win == 0 and head)) else k
            for i, k, win, head in zip(first, second, won, toss, strict=True)
        ]

    def propose(self) -> Any:
        if self.first:
            self.first = False
            cells = self.space.snapped(np.clip(self.offspring, 0, 1))
            self.offspring = cells[self.new(cells, set())]
        else:
            made, pending = self.points[:0], set[bytes]()
            for _ in range(10):
                if len(made) >= self.size or len(self.points) < 2:
                    break
                pairs = math.ceil((self.size - len(made)) / 2)
                mothers, fathers = self.parents(pairs), self.parents(pairs)
                children = crossed(self.operators, self.points[mothers], self.points[fathers], self.random)
                children = self.space.snapped(mutated(self.operators, children, self.random))
                made = np.concatenate([made, children[self.new(children, pending)][: self.size - len(made)]])
            if len(made) < self.size // 4:
                strangers = self.space.snapped(self.random.random((1000, self.points.shape[1])))
                strangers = strangers[self.new(strangers, pending)]
                made = np.concatenate([made, strangers[: self.size - len(made)]])
            self.offspring = made
        self.seen.update(point.tobytes() for point in self.offspring)
        return self.offspring

    def accept(self, objectives: Any, violation: Any) -> None:
        if self.objectives is not None:
            objectives = np.concatenate([self.objectives, objectives])
            violation = np.concatenate([self.violation, violation])
        points = np.concatenate([self.points, self.offspring])
        order, crowding = survivors(objectives, violation)
        order = order[: self.size]
        self.points, self.objectives, self.violation = points[order], objectives[order], violation[order]
        self.crowding = [crowding[i] for i in order]


def worth(points: Any) -> tuple[Any, Any]:
    """Objectives that conflict in two coordinates, ties by rounding; a part of the space is infeasible."""
    first = np.round((points**2).sum(axis=1), 3)
    second = np.round(((points - 0.7) ** 2).sum(axis=1), 3)
    return np.stack([first, second], axis=1), np.maximum(0.0, np.round(points[:, 0] - 0.6, 2))


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


class Drawn:
    """A generator that gives what it is told to, one number for every call."""

    def __init__(self, *draws: float) -> None:
        self.draws = list(draws)

    def random(self, shape: Any) -> Any:
        return np.full(shape, self.draws.pop(0))

    def integers(self, high: int, size: tuple[int, int]) -> Any:
        return np.arange(size[0] * size[1]).reshape(size) % high


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
    for toss, winners in ((0.5, second), (0.49, first)):
        engine._random = Drawn(toss)  # type: ignore[assignment]
        assert engine._parents(5).tolist() == winners.tolist()


@pytest.mark.parametrize("seed", range(6))
def test_survival_and_tournaments_are_those_of_a_plain_twin(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = [1, 2, 3, 12, 40, 60][seed]
    objectives = random.integers(0, 8, (n, 2 + seed % 2)).astype(float)
    violation = np.round(np.where(random.random(n) < 0.3, random.random(n), 0.0), 1)
    order, crowding = best_first(objectives, violation)
    expected, gaps = survivors(objectives, violation)
    assert order.tolist() == expected and crowding == pytest.approx(gaps)
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
    ("n_designs", "population"),
    [(1, 4), (15, 4), (20, 5), (79, 19), (80, 20), (100, 20), (120, 20), (121, 22), (400, 40), (250_000, 1000),
     (10**9, 1000)],
)  # fmt: skip
def test_a_population_is_twice_the_root_of_the_budget_within_bounds(n_designs: int, population: int) -> None:
    assert default_population(n_designs) == population


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


# --- evolve, generation by generation ---------------------------------------------------------------------------------


def feedback(points: Any, start: int, *, objectives: Any = None) -> Feedback:
    values, violation = worth(points)
    values = values if objectives is None else objectives
    return Feedback(np.arange(start, start + len(points)), values, violation[:, None], violation == 0)


def test_a_sampler_hands_out_the_generations_of_its_engine() -> None:
    space = space_of(**NUMBERS)
    sampler = EvolveSampler(space, n_designs=50, seed=7, n_objectives=2, options=EvolveOptions(population=12))
    start = base_points(space, 12, 7)
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


def base_points(space: Space, count: int, seed: int) -> Any:
    from scipy.stats import qmc

    width = len(space.dimensions)
    return qmc.Sobol(width, scramble=True, bits=30, rng=np.random.default_rng(seed)).random_base2(4)[:count]


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


def test_missing_objectives_are_beyond_any_and_violations_are_summed() -> None:
    told = Feedback(
        np.arange(2, 4), np.array([[1.0, np.nan], [np.inf, 2.0]]), np.array([[0.5, 0.25], [0, 0]]), np.zeros(2, bool)
    )
    assert told.finite_objectives.tolist() == [[1.0, 1e30], [1e30, 2.0]]
    assert told.violation.tolist() == [0.75, 0] and told.renumbered(2).ids.tolist() == [0, 1]
    assert told.rows(1, 2).ids.tolist() == [3] and len(told) == 2


# --- sequences --------------------------------------------------------------------------------------------------------


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


def sobol(dimensions: int, seed: int) -> Any:
    from scipy.stats import qmc

    return qmc.Sobol(dimensions, scramble=True, bits=30, rng=np.random.default_rng(seed)).random_base2(6)


def cells(designs: Table) -> list[tuple[object, ...]]:
    return list(zip(*map(cells_of, designs.values()), strict=True))


def test_points_of_long_sequences_have_more_digits() -> None:
    from dse.samplers.sobol import SobolPoints

    for total, bits in ((1, 30), (2**30, 30), (2**30 + 1, 31), (2**33, 33)):
        assert SobolPoints(2, seed=0, total=total)._engine.bits == bits


@pytest.mark.filterwarnings("error")
def test_points_are_taken_in_pieces_of_any_size_without_a_word() -> None:
    from dse.samplers.sobol import SobolPoints

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


def sized(size: int) -> Any:
    return SimpleNamespace(grid_size=size, dimensions=["a"], place_of=lambda path: path)


@pytest.mark.parametrize(
    ("size", "asked", "says"),
    [
        (grid.MAX_GRID, None, ""), (grid.MAX_GRID + 1, None, "or say n_designs: 2000000001"),
        (base.MAX_DESIGNS, None, "or say n_designs"),
        (base.MAX_DESIGNS + 1, None, "sobol.evolve$"), (base.MAX_DESIGNS, base.MAX_DESIGNS, ""),
        (10, 9, "enough for the 10"),
        (10, 10, ""), (base.MAX_DESIGNS + 1, base.MAX_DESIGNS + 1, "more than the 100,000,000,000 that are begun"),
    ],
)  # fmt: skip
def test_grids_are_begun_up_to_a_size(size: int, asked: int | None, says: str) -> None:
    if says:
        with pytest.raises(SpecError, match=says) as told:
            grid.GridSampler(sized(size), n_designs=asked)
        assert [one.path for one in told.value.issues] == [f"search.{'n_designs' if asked else 'sampler'}"]
    else:
        made = grid.GridSampler(sized(size), n_designs=asked)
        assert made.total == size and made.describe() == () and made.prune is False


@pytest.mark.parametrize(
    ("count", "fine"), [(0, False), (1, True), (base.MAX_DESIGNS, True), (base.MAX_DESIGNS + 1, False)]
)
def test_budgets_are_begun_up_to_a_size(count: int, fine: bool) -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5})
    if fine:
        assert make_sampler("random", space, n_designs=count, seed=0, n_objectives=2).total == count
    else:
        with pytest.raises(SpecError, match="needs n_designs" if count < 1 else "are more than the 100,000,000,000"):
            make_sampler("random", space, n_designs=count, seed=0, n_objectives=2)


def test_stages_share_a_budget() -> None:
    assert stage_budgets(["sobol"], 100, {}) == [100]
    assert stage_budgets(["a", "b"], 100, {"shares": [0.25, 0.75]}) == [25, 75]
    assert stage_budgets(["a", "b"], 10, {"shares": [0.01, 0.99]}) == [1, 10]
    assert stage_budgets(["a", "b", "c"], 10**7, {}) == [9_500_000, 250_000, 250_000]
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5, "levels": 8})
    for sampler, shares, planned in (
        ("sobol", None, 128), ("random", None, 100), ("evolve", None, 100), ("sobol+evolve", [0.3, 0.7], 32 + 70),
        ("random+evolve", [0.3, 0.7], 30 + 70),
    ):  # fmt: skip
        options = {"shares": shares} if shares else {}
        search = SearchSpec(sampler=sampler, n_designs=100, options=options)
        assert planned_designs(search, space) == planned, sampler
    assert planned_designs(SearchSpec(sampler="grid", n_designs=100), space) == 8
    assert planned_designs(SearchSpec(sampler="grid"), space) == 8


def test_the_sampler_and_the_study_of_a_sweep() -> None:
    space = {"clock_ghz": {"low": 0.5, "high": 1.5}, "macs": {"low": 1024, "high": 4096}}
    search = {"sampler": "random", "n_designs": 40, "seed": 6}
    spec = parse_spec(small(space=space, search=search))
    made: Any = sampler_of(spec, Space(spec))
    assert cells(made.ask(40)) == cells(Space(spec).decode(np.random.default_rng(6).random((40, 2))))
    assert study_place(spec) is None
    search = {"sampler": "tpe", "n_designs": 40, "storage": "sqlite:///a.db"}
    goals = [
        {"metric": "cost_usd", "direction": "minimize"}, {"metric": "chat.tokens_per_joule", "direction": "maximize"},
    ]  # fmt: skip
    for asked, name, join in (({}, "small", False), ({"study": "mine", "join": True}, "mine", True)):
        spec = parse_spec(small(space=space, search={**search, **asked}, objectives=goals))
        place = study_place(spec)
        assert place is not None
        assert (place.url, place.name, place.join, place.sweep) == ("sqlite:///a.db", name, join, "small")
        assert place.question == spec.question and place.metrics == ("cost_usd", "chat.tokens_per_joule")
        assert place.directions == ("minimize", "maximize") and place.signs.tolist() == [1, -1]
    assert study_place_of(spec, "journal:x", name="other").join is False


def test_later_stages_must_be_told_of_a_whole_grid() -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5, "levels": 8})
    options = {"shares": [0.5, 0.5], "grid": {"prune": True}}
    with pytest.raises(SpecError, match=r"search\.options\.grid\.prune: the later stages must be told"):
        make_sampler("grid+evolve", space, n_designs=40, seed=0, n_objectives=2, options=options)
    options["grid"] = {"prune": False}
    made = make_sampler("grid+evolve", space, n_designs=40, seed=0, n_objectives=2, options=options)
    assert made.describe()[0] == "8 + 20 designs in 2 stages" and made.total == 28


# --- what a chain hands on --------------------------------------------------------------------------------------------


def judged(space: Space, n: int, *, infeasible: float = 0.5, seed: int = 0) -> tuple[Table, Feedback]:
    random = np.random.default_rng(seed)
    designs = space.decode(random.random((n, len(space.dimensions))))
    violations = np.where(random.random((n, 1)) < infeasible, np.round(random.random((n, 1)), 2) + 0.01, 0.0)
    objectives = np.round(random.random((n, 2)) * 0.3, 2)
    objectives[:, 1] += 1 - objectives[:, 0]
    return designs, Feedback(np.arange(n), objectives, violations, violations[:, 0] == 0)


def nearest(feedback: Feedback, at_most: int) -> list[int]:
    missed = [i for i in range(len(feedback)) if not feedback.feasible[i]]
    return sorted(missed, key=lambda i: (feedback.violation[i], i))[:at_most]


@pytest.mark.parametrize("n", [1, 5, 90, 150, 300])
def test_the_nearest_misses_are_those_of_a_plain_sort(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, told = judged(space_of(**NUMBERS), n, infeasible=0.7)
    missed = int((~told.feasible).sum())
    for most in (1, 3, max(1, missed - 1), chain.MAX_SEED_DESIGNS):
        monkeypatch.setattr(chain, "MAX_SEED_DESIGNS", most)
        assert chain._nearest(told).tolist() == nearest(told, most)


@pytest.mark.parametrize("pieces", [1, 4])
def test_seeds_are_the_front_and_the_nearest_misses_whatever_the_pieces(
    pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MAX_SEED_DESIGNS", 12)
    space = space_of(**NUMBERS)
    designs, told = judged(space, 200)
    seeds, merged = chain.Seeds(space, 2), chain.Seeds(space, 2)
    step = 200 // pieces
    for start in range(0, 200, step):
        part = designs.take(slice(start, start + step)), told.rows(start, start + step)
        seeds.add(*part)
        later = chain.Seeds(space, 2)
        later.add(*part)
        merged.merge(later)
    feasible = [i for i in range(200) if told.feasible[i]]
    points = told.objectives
    front = [
        i for i in feasible
        if not any(dominates(points[k], points[i]) or (k < i and (points[k] == points[i]).all()) for k in feasible)
    ]  # fmt: skip
    expected = front + nearest(told, 12)[: max(0, 12 - len(front))]
    restored = chain.Seeds(space, 2)
    restored.restore(read_packed(packed(seeds.state()), "it"))
    for one in (seeds, merged, restored):
        unit, chosen = one.chosen()
        assert chosen.ids.tolist() == expected
        np.testing.assert_array_equal(unit, space.encode(designs)[expected])
        np.testing.assert_array_equal(chosen.objectives, points[expected])
    monkeypatch.setattr(chain, "MAX_SEEDS", 3)
    by_first = sorted(front, key=lambda i: tuple(points[i]))
    middle = by_first[round((len(by_first) - 1) / 2)]
    assert len(front) > 3
    kept = [by_first[0], middle, by_first[-1], *nearest(told, 12)[:9]]
    assert seeds.chosen()[1].ids.tolist() == kept
    monkeypatch.setattr(chain, "MAX_SEED_DESIGNS", 2)
    assert seeds.chosen()[1].ids.tolist() == kept[:3]


def test_equal_designs_are_handed_on_once() -> None:
    space = space_of(cooling={"values": ["air", "liquid"]})
    designs, told = judged(space, 30, infeasible=1.0)
    seeds = chain.Seeds(space, 2)
    seeds.add(designs, told)
    unit, chosen = seeds.chosen()
    firsts = {}
    for i in nearest(told, 100):
        firsts.setdefault(tuple(space.encode(designs)[i]), i)
    assert chosen.ids.tolist() == list(firsts.values()) and len(unit) == 2


class Stage:
    """A stage that proposes so many designs, and remembers what it hears."""

    def __init__(self, space: Space, total: int | None) -> None:
        self.space, self.total, self.asked = space, total, 0
        self.heard: list[list[int]] = []
        self.warm: list[Any] = []

    def ask(self, n: int) -> Table:
        count = min(n, (self.total or 0) - self.asked)
        self.asked += count
        return self.space.decode(np.full((count, len(self.space.dimensions)), 0.5)) if count else Table()

    def tell(self, feedback: Feedback) -> None:
        self.heard.append(feedback.ids.tolist())

    def extend(self, more: int) -> None:
        self.total = (self.total or 0) + more

    def describe(self) -> tuple[str, ...]:
        return (f"stage of {self.total}",)

    def warm_start(self, unit: Any, feedback: Feedback) -> None:
        self.warm.append((unit, feedback))


def test_a_chain_of_three_by_hand() -> None:
    space = space_of(clock_ghz={"low": 0.5, "high": 1.5})
    stages: list[Any] = [Stage(space, total) for total in (3, 2, 2)]
    one = chain.Chain(space, stages, n_objectives=1)
    assert one.total == 7 and one.first is stages[0]
    assert one.describe() == ("3 + 2 + 2 designs in 3 stages", "stage of 3", "stage of 2", "stage of 2")

    def told(first: int, count: int, feasible: bool = True) -> Feedback:
        values = np.arange(first, first + count)[:, None] * 1.0
        missed = np.full((count, 1), 1.0 - feasible)
        return Feedback(np.arange(first, first + count), -values, missed, np.full(count, feasible))

    assert one.ask(2).rows == 2 and one.ask(2).rows == 1
    with pytest.raises(SamplerError, match="needs to be told of a whole stage"):
        one.ask(1)
    one.tell(told(0, 1))
    with pytest.raises(SamplerError, match="needs to be told of a whole stage"):
        one.ask(1)
    assert len(one._waiting) == 2 and [designs.rows for designs in one._waiting] == [1, 1]
    one.tell(told(1, 2))
    assert not one._waiting and not stages[1].warm
    assert one.ask(9).rows == 2 and one._offset == 3 and stages[0].heard == [[0], [1, 2]]
    ((unit, best),) = stages[1].warm
    assert best.ids.tolist() == [2] and unit.tolist() == [[0.5]], "of equal designs the front alone: -2"
    one.tell(told(3, 2, feasible=False))
    assert stages[1].heard == [[0, 1]]
    one.extend(4)
    assert [stage.total for stage in stages] == [3, 2, 6] and one.total == 11
    assert one.ask(9).rows == 6 and one._offset == 5 and len(one._waiting) == 1
    one.tell(told(5, 6))
    assert stages[2].heard == [[0, 1, 2, 3, 4, 5]] and one._waiting == [] and one.ask(1) == {}
    stages[1].total = None
    assert one.total is None


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


# --- pymoo ------------------------------------------------------------------------------------------------------------


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


# --- Optuna's view ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "kind", "cells"),
    [
        ({"values": [1024, 2048]}, "Categorical", {"choices": (1024, 2048)}),
        ({"low": 1024, "high": 4096, "step": 1024}, "Int", {"low": 1024, "high": 4096, "step": 1024, "log": False}),
        ({"low": 1024, "high": 4100, "step": 1024}, "Int", {"low": 1024, "high": 4096, "step": 1024}),
        ({"low": 1024, "high": 4096}, "Int", {"low": 1024, "high": 4096, "step": 1, "log": False}),
        ({"low": 1024, "high": 4096, "log": True}, "Int", {"log": True, "step": 1}),
        ({"low": 1024, "high": 4096, "log": True, "levels": 3}, "Int", {"log": True, "low": 1024, "high": 4096}),
    ],
)  # fmt: skip
def test_a_parameter_is_the_distribution_that_the_sweep_declares(
    axis: dict[str, Any], kind: str, cells: dict[str, Any]
) -> None:
    space = space_of(macs=axis)
    (found,) = parameter_distributions(space).values()
    assert type(found).__name__ == f"{kind}Distribution"
    assert {name: getattr(found, name) for name in cells} == cells


def test_designs_are_trials_and_trials_are_designs() -> None:
    space = Space(parse_spec(small()))
    designs = space.decode(np.random.default_rng(0).random((40, len(space.dimensions))))
    distributions = parameter_distributions(space)
    assert set(distributions) == set(space.parameters) - set(space.fixed)
    trials = trial_parameters(distributions, designs)
    for name, distribution in distributions.items():
        column = cells_of(designs[name])
        for trial, cell in zip(trials, column, strict=True):
            assert trial.get(name) == cell and (name in trial) == (cell is not None)
            if cell is not None:
                assert distribution._contains(distribution.to_internal_repr(trial[name]))
                whole = type(distribution).__name__ == "IntDistribution"
                assert not whole or type(trial[name]) is int
                choices = getattr(distribution, "choices", ())
                assert not choices or type(trial[name]) in {type(choice) for choice in choices}
    back = designs_of_trials(space, trials)
    for name in space.parameters:
        assert cells_of(back[name]) == cells_of(designs[name]), name
    assert trial_parameters(distributions, designs.take(slice(0, 0))) == []

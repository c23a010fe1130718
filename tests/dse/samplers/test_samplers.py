"""One suite that every sampler must pass, and what is particular to some."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cost_models.table import Designs, cells_of
from dse.errors import MissingPackageError, RecordError, SamplerError, SpecError
from dse.front import Front
from dse.packing import packed
from dse.samplers import Feedback, Sampler, make_sampler, planned_designs, sampler_of
from dse.samplers.chain import Chain, default_fractions
from dse.samplers.evolve.nsga2 import GeneticOperators, best_first, crowding_distance, row_keys, tournament
from dse.samplers.evolve.sampler import EvolveSampler
from dse.samplers.sobol import SobolPoints
from dse.space import Space
from dse.sweep import parse_spec
from dse.sweep.search import SearchSpec
from dse.violation import MISSING

pytestmark = pytest.mark.bounded

BUDGET = 96
STREAMING = ("grid", "sobol", "random")
LEARNING = ("evolve", "evolve/nsga3", "tpe", "nsgaii", "nsgaiii", "sobol+evolve", "random+tpe", "sobol+evolve+nsgaii")
OTHERS = ("qmc", "random_optuna", "optuna:RandomSampler")
EVERY = (*STREAMING, *LEARNING, *OTHERS)
OPTIONS: dict[str, dict[str, Any]] = {
    "evolve": {"population": 12},
    "tpe": {"n_startup_trials": 86},
    "nsgaii": {"population_size": 16},
    "nsgaiii": {"population_size": 16},
    "random+tpe": {"tpe": {"n_startup_trials": 38}},
    "sobol+evolve": {"shares": [0.5, 0.5], "evolve": {"population": 12}},
}

Judge = Callable[[Designs, int], Feedback]


@pytest.fixture
def space(sweep: dict[str, Any]) -> Space:
    sweep["space"]["macs"]["levels"] = 3
    sweep["space"]["memory_devices"]["step"] = 11
    return Space(parse_spec(sweep))


def make(name: str, space: Space, *, seed: int = 3, n_designs: int = BUDGET) -> Sampler:
    """Return a sampler as the suite knows it; ``evolve/nsga3`` is `evolve` with that algorithm."""
    budget = None if name == "grid" else n_designs
    name, _, algorithm = name.partition("/")
    options = OPTIONS.get(name, {}) | ({"algorithm": algorithm} if algorithm else {})
    return make_sampler(name, space, n_designs=budget, seed=seed, n_objectives=2, options=options)


def drive(sampler: Sampler, judge: Judge, batch: int, *, asked: int = 0, most: int = 10**9) -> list[tuple[object, ...]]:
    """Ask, judge and tell until nothing comes or `most` rows have; return the rows as tuples."""
    rows: list[tuple[object, ...]] = []
    while len(rows) < most and (designs := sampler.ask(min(batch, most - len(rows)))):
        sampler.tell(judge(designs, asked + len(rows)))
        rows += tuples(designs)
    return rows


def tuples(designs: Designs) -> list[tuple[object, ...]]:
    return list(zip(*map(cells_of, designs.values()), strict=True))


@pytest.mark.parametrize("name", EVERY)
def test_as_many_designs_as_announced_all_of_them_in_the_space(name: str, space: Space, judge: Judge) -> None:
    sampler = make(name, space)
    whole = set(tuples(space.grid(0, space.grid_size)))
    rows = drive(sampler, judge, 40)
    options = OPTIONS.get(name, {}) if "+" in name else {}
    search = SearchSpec(sampler=name.partition("/")[0], n_designs=None if name == "grid" else BUDGET, options=options)
    assert len(rows) == sampler.total == planned_designs(search, space)
    assert set(rows) <= whole
    assert sampler.ask(5) == {}


@pytest.mark.parametrize("name", EVERY)
def test_the_size_of_the_batches_has_no_influence(name: str, space: Space, judge: Judge) -> None:
    one, other = (drive(make(name, space), judge, batch) for batch in (7, 1000))
    assert one == other


@pytest.mark.parametrize("name", [name for name in EVERY if name != "grid"])
def test_the_seed_decides(name: str, space: Space, judge: Judge) -> None:
    same, again, another = (drive(make(name, space, seed=seed), judge, 50) for seed in (1, 1, 2))
    assert same == again
    assert same != another


@pytest.mark.parametrize("stop", [5, 50, 75])
@pytest.mark.parametrize("name", EVERY)
def test_a_restored_sampler_goes_on_as_if_nothing_had_happened(
    name: str, stop: int, space: Space, judge: Judge
) -> None:
    whole = drive(make(name, space), judge, 10)
    first = make(name, space)
    begun = drive(first, judge, 10, most=stop)
    second = make(name, space)
    second.restore(first.state())
    assert begun + drive(second, judge, 10, asked=stop) == whole


@pytest.mark.parametrize("name", EVERY)
def test_a_state_of_something_else_is_refused(name: str, space: Space) -> None:
    sampler = make(name, space)
    with pytest.raises(RecordError):
        sampler.restore(b"not a state")
    with pytest.raises(RecordError):
        sampler.restore(packed({"identity": []})[:-1])
    if name != "grid":
        with pytest.raises(SamplerError):
            sampler.restore(make(name, space, seed=9).state())


@pytest.mark.parametrize("name", EVERY)
def test_nothing_feasible_and_nothing_defined_is_survived(name: str, space: Space) -> None:
    def hopeless(designs: Designs, start: int) -> Feedback:
        n = designs.rows
        missing = np.full((n, 2), np.nan)
        return Feedback(np.arange(start, start + n), missing, np.full((n, 1), MISSING), np.zeros(n, dtype=bool))

    sampler = make(name, space)
    assert len(drive(sampler, hopeless, 40)) == sampler.total


@pytest.mark.parametrize("name", EVERY)
def test_rows_are_told_in_the_order_of_asking(name: str, space: Space, judge: Judge) -> None:
    sampler = make(name, space)
    designs = sampler.ask(4)
    with pytest.raises(SamplerError, match="in the order"):
        sampler.tell(judge(designs, 1))
    feedback = judge(designs, 0)
    sampler.tell(feedback.rows(0, 1))
    sampler.tell(feedback.rows(1, designs.rows))
    with pytest.raises(SamplerError, match="in the order"):
        sampler.tell(feedback)


@pytest.mark.parametrize("name", ["evolve", "evolve/nsga3", "tpe", "nsgaii", "sobol+evolve"])
def test_a_learning_sampler_wants_to_be_told(name: str, space: Space) -> None:
    sampler = make(name, space)
    with pytest.raises(SamplerError, match="told of a whole"):
        for _ in range(BUDGET):
            sampler.ask(50)


@pytest.mark.parametrize("name", EVERY)
def test_less_than_one_design_cannot_be_asked_for(name: str, space: Space) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make(name, space).ask(0)


@pytest.mark.parametrize(
    ("name", "n_designs"),
    [("evolve", 400), ("evolve/nsga3", 400), ("nsgaii", 400), ("nsgaiii", 400), ("sobol+evolve", 512), ("tpe", 80)],
)
def test_learning_pays(name: str, n_designs: int, sweep: dict[str, Any], judge: Judge) -> None:
    """A search that learns dominates more than as many random designs, on the whole of three seeds."""
    sweep["space"]["macs"] = {"low": 1024, "high": 65536, "log": True}
    sweep["space"]["memory_devices"]["step"] = 11
    space = Space(parse_spec(sweep))

    def volume(sampler_name: str, seed: int) -> float:
        front, requested = Front(2), 0
        sampler_name, _, algorithm = sampler_name.partition("/")
        options = {"algorithm": algorithm} if algorithm else {}
        sampler = make_sampler(sampler_name, space, n_designs=n_designs, seed=seed, n_objectives=2, options=options)
        while designs := sampler.ask(64):
            feedback = judge(designs, requested)
            requested += len(feedback)
            front.update(feedback.objectives, feedback.ids, feedback.feasible)
            sampler.tell(feedback)
        return front.hypervolume([20.0, 80.0], ideal=[0.0, 0.0])

    assert sum(volume(name, seed) for seed in range(3)) > sum(volume("random", seed) for seed in range(3))


# -- particulars --------------------------------------------------------------------------------------------------


def test_grid_meets_every_design_once(space: Space, judge: Judge) -> None:
    rows = drive(make("grid", space), judge, 100)
    assert len(rows) == len(set(rows)) == space.grid_size


def test_a_grid_beyond_the_budget_is_refused(space: Space) -> None:
    with pytest.raises(SpecError, match=f"enough for the {space.grid_size} designs"):
        make_sampler("grid", space, n_designs=space.grid_size - 1, seed=0, n_objectives=2)
    generous = make_sampler("grid", space, n_designs=space.grid_size + 1, seed=0, n_objectives=2)
    assert generous.total == space.grid_size
    assert "fewer than" in generous.describe()[0]


@pytest.mark.parametrize(("wanted", "given"), [(1, 1), (2, 2), (3, 4), (1000, 1024), (1024, 1024)])
def test_sobol_rounds_up_to_a_power_of_two_and_says_so(wanted: int, given: int, space: Space) -> None:
    sampler = make("sobol", space, n_designs=wanted)
    assert sampler.total == given
    assert any("powers of two" in note for note in sampler.describe()) == (wanted != given)


def test_sobol_points_are_scipys_and_stream(space: Space) -> None:
    from scipy.stats import qmc

    expected = qmc.Sobol(5, scramble=True, rng=np.random.default_rng(4)).random(64)
    points = SobolPoints(5, seed=4, total=64)
    assert np.array_equal(np.concatenate([points.take(count) for count in (1, 0, 20, 43)]), expected)
    later = SobolPoints(5, seed=4, total=64)
    later.skip(17)
    assert np.array_equal(later.take(10), expected[17:27])


def test_sobol_is_balanced_over_every_dimension(space: Space, judge: Judge) -> None:
    sampler = make("sobol", space, n_designs=256)
    designs = sampler.ask(256)
    halves = np.asarray(designs["clock_ghz"]) <= 0.75
    assert abs(int(halves.sum()) - 256 * 2 / 5) <= 2


@pytest.mark.parametrize("algorithm", ["nsga2", "nsga3"])
def test_evolve_never_proposes_a_design_twice_and_stops_when_there_is_no_other(
    algorithm: str, sweep: dict[str, Any], judge: Judge
) -> None:
    sweep["space"] |= {"macs": 8192, "clock_ghz": {"values": [0.5, 1.0]}, "memory_devices": {"values": [2, 4]}}
    space = Space(parse_spec(sweep))
    rows = drive(make(f"evolve/{algorithm}", space, n_designs=1000), judge, 64)
    assert len(rows) == len(set(rows))
    least = space.grid_size if algorithm == "nsga2" else space.grid_size * 3 // 4
    assert least <= len(rows) <= space.grid_size < 1000


def test_a_chain_starts_its_second_stage_from_the_best_of_the_first(sweep: dict[str, Any], judge: Judge) -> None:
    space = Space(parse_spec(sweep))
    options = {"shares": [0.5, 0.5], "evolve": {"population": 32}}
    sampler = make_sampler("sobol+evolve", space, n_designs=1024, seed=3, n_objectives=2, options=options)
    drive(sampler, judge, 512, most=512)
    children = sampler.ask(32)
    crowd = judge(make("random", space, n_designs=1000).ask(1000), 0).objectives

    def dominating(designs: Designs) -> float:
        own = judge(designs, 0).objectives
        return float((crowd[None, :, :] < own[:, None, :]).all(axis=2).mean())

    # Few of a thousand random designs beat a child of the front; of another random design, many do.
    assert dominating(children) < 0.5 * dominating(make("random", space, seed=8, n_designs=1000).ask(64))


@pytest.mark.parametrize("batch", [3, 7, 64])
def test_a_chain_hands_on_the_best_rows_with_their_own_judgement(
    batch: int, space: Space, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(EvolveSampler, "warm_start", lambda sampler, unit, feedback: handed.extend((unit, feedback)))
    chain = make("sobol+evolve", space)
    assert isinstance(chain, Chain)
    designs, told = chain.ask(int(chain.first.total or 0)), 0
    while told < designs.rows:
        some = designs.take(slice(told, told + batch))
        chain.tell(judge(some, told))
        told += some.rows
    chain.ask(1)
    unit, feedback = handed
    assert 0 < len(feedback) < designs.rows
    mine = judge(space.decode(unit), 0)
    np.testing.assert_array_equal(mine.objectives, feedback.objectives)
    np.testing.assert_array_equal(mine.violations, feedback.violations)


@pytest.mark.parametrize("name", EVERY)
def test_rows_are_told_once_in_their_order_and_no_others(name: str, space: Space, judge: Judge) -> None:
    sampler = make(name, space)
    designs = sampler.ask(4)
    for first, rows in ((0, designs.rows + 1), (1, 2)):
        more = judge(space.grid(0, rows), first)
        with pytest.raises(SamplerError, match="next are 0 to 3"):
            sampler.tell(more)
    sampler.tell(judge(designs, 0))
    with pytest.raises(SamplerError, match="next are 4 to 3"):
        sampler.tell(judge(designs, 0))


def test_evolve_does_not_propose_again_what_it_was_seeded_with(space: Space, judge: Judge) -> None:
    known = space.grid(0, 60)
    sampler = make("evolve", space)
    assert isinstance(sampler, EvolveSampler)
    sampler.warm_start(space.encode(known), judge(known, 0))
    assert not set(tuples(known)) & set(drive(sampler, judge, 30))
    with pytest.raises(SamplerError, match="before it is asked"):
        sampler.warm_start(space.encode(known), judge(known, 0))


def test_fractions_of_a_chain() -> None:
    assert default_fractions(2, 2_000_000) == (0.95, 0.05)
    assert default_fractions(2, 500_000) == (0.9, 0.1)
    assert default_fractions(2, 100) == (0.5, 0.5)
    assert sum(default_fractions(3, 1000)) == pytest.approx(1)


def test_a_space_without_freedom_is_one_design(sweep: dict[str, Any], judge: Judge) -> None:
    sweep["space"] = {"node": "tsmc_5", "macs": 4096, "clock_ghz": 1.0, "memory_devices": 8, "memory_device_gib": 8}
    sampler = sampler_of(parse_spec(sweep), Space(parse_spec(sweep)))
    assert sampler.total == 1
    assert len(drive(sampler, judge, 10)) == 1


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("evolve", {"populaton": 3}, "search.options.populaton: the key 'populaton' is not .*; perhaps population"),
        ("evolve", {"population": 2}, "search.options.population: 2 is not at least 4"),
        ("evolve", {"algorithm": "moead"}, "'moead' is not nsga2 or nsga3"),
        ("sobol", {"scramble": False}, "search.options.scramble: the key 'scramble'"),
        ("tpe", {"n_startup": 3}, "search.options.n_startup: .*perhaps n_startup_trials"),
        ("nsgaii", {"population_size": -1}, "Optuna's NSGAIISampler refuses them"),
        ("nsga2", {}, "perhaps evolve"),
        ("optuna:Nothing", {}, "'Nothing' is not TPESampler"),
    ],
)
def test_wrong_names_and_options(name: str, options: dict[str, Any], says: str, space: Space) -> None:
    with pytest.raises(SpecError, match=says):
        make_sampler(name, space, n_designs=10, seed=0, n_objectives=2, options=options)


def test_only_grid_does_without_a_budget(space: Space) -> None:
    with pytest.raises(SpecError, match="sobol needs n_designs"):
        make_sampler("sobol", space, n_designs=None, seed=0, n_objectives=2)


@pytest.mark.parametrize(("name", "package"), [("gp", "torch"), ("cmaes", "cmaes")])
def test_a_missing_package_is_answered_with_the_command(
    name: str, package: str, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda what: None if what == package else result(what))
    with pytest.raises(MissingPackageError, match=f"pip install {package}"):
        make_sampler(name, space, n_designs=10, seed=0, n_objectives=1)


def test_cmaes_takes_one_objective(space: Space) -> None:
    with pytest.raises(SpecError, match="takes one objective; this sweep has 2"):
        make_sampler("cmaes", space, n_designs=10, seed=0, n_objectives=2)


# -- NSGA-II in arrays --------------------------------------------------------------------------------------------


def operators(**changes: Any) -> GeneticOperators:
    settings: dict[str, Any] = {
        "categorical": np.array([False, False, True]),
        "crossover_probability": 1.0,
        "crossover_eta": 15.0,
        "mutation_probability": 1.0,
        "mutation_eta": 20.0,
    }
    return GeneticOperators(**(settings | changes))


def test_children_lie_around_their_parents_and_in_the_cube() -> None:
    random = np.random.default_rng(0)
    first, second = np.full((50_000, 3), 0.4), np.full((50_000, 3), 0.6)
    children = operators().cross(first, second, random)
    assert children.min() >= 0
    assert children.max() <= 1
    # The spread of the simulated binary crossover is symmetric: pairs of children keep the middle of their parents.
    assert children[:50_000] + children[50_000:] == pytest.approx(1.0, abs=1e-12)
    assert np.median(np.abs(children - 0.5)) == pytest.approx(0.1, rel=0.1)
    none = operators(crossover_probability=0.0).cross(first, second, random)
    assert np.array_equal(none, np.concatenate([first, second]))


def test_mutation_moves_numbers_a_little_and_draws_names_anew() -> None:
    points = np.full((50_000, 3), 0.3)
    mutated = operators().mutate(points, np.random.default_rng(1))
    assert mutated.min() >= 0
    assert mutated.max() <= 1
    assert np.quantile(np.abs(mutated[:, 0] - 0.3), 0.9) < 0.15
    assert np.histogram(mutated[:, 2], bins=4, range=(0, 1))[0] / 50_000 == pytest.approx([0.25] * 4, abs=0.01)
    assert np.array_equal(operators(mutation_probability=0.0).mutate(points, np.random.default_rng(1)), points)


def test_crowding_of_an_even_staircase_is_its_closed_form() -> None:
    # n points on a line: each neighbour pair spans 2 / (n - 1) of either objective.
    n = 11
    line = np.arange(n) / (n - 1)
    crowding = crowding_distance(np.stack([line, 1 - line], axis=1))
    assert crowding[[0, -1]].tolist() == [np.inf, np.inf]
    assert crowding[1:-1] == pytest.approx(4 / (n - 1))
    assert all(np.isinf(crowding_distance(np.zeros((rows, 2)))).all() for rows in (0, 1, 2))
    assert crowding_distance(np.zeros((5, 2)))[1:-1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("seed", range(5))
def test_survivors_are_those_of_pymoo(seed: int) -> None:
    from pymoo.core.evaluator import Evaluator as PymooEvaluator
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
    from pymoo.problems.static import StaticProblem

    random = np.random.default_rng(seed)
    objectives = random.random((60, 3))
    violation = np.where(random.random(60) < [0.0, 0.2, 0.5, 0.8, 1.0][seed], random.random(60), 0.0)
    problem = Problem(n_var=1, n_obj=3, n_ieq_constr=1, xl=0.0, xu=1.0)
    population = Population.new(X=np.arange(60.0)[:, None])
    PymooEvaluator().eval(StaticProblem(problem, F=objectives, G=violation[:, None]), population)
    theirs = RankAndCrowding().do(problem, population, n_survive=30, random_state=random)
    order, _ = best_first(objectives, violation, 30)
    assert sorted(order) == sorted(theirs.get("X")[:, 0].astype(int))


def test_who_wins_a_tournament() -> None:
    objectives = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0], [9.0, 9.0]])
    violation = np.array([0.5, 0.0, 0.0, 0.25])
    crowding = np.array([0.0, 1.0, 2.0, 0.0])

    def winner(first: int, second: int) -> int:
        return int(tournament(objectives, violation, crowding, np.array([first]), np.array([second]))[0])

    assert winner(0, 1) == -1, "the feasible one, however good the other"
    assert winner(0, 3) == -1, "the one that misses by less"
    assert winner(1, 2) == -1, "neither dominates: the lonelier one"
    assert winner(2, 2) == 0
    assert tournament(objectives, np.zeros(4), crowding, np.array([0]), np.array([3]))[0] == 1, "dominance"


def test_keys_tell_points_apart() -> None:
    cells = (np.arange(64) + 0.5) / 64
    points = np.stack(np.meshgrid(cells, cells, cells), axis=-1).reshape(-1, 3)
    assert len(np.unique(row_keys(points))) == len(points)
    assert row_keys(np.array([[0.0]])) == row_keys(np.array([[-0.0]]))

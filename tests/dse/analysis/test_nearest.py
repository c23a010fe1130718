"""The search for the best design of a space, by a made evaluator whose best design is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.table import Table
from dse.analysis import nearest
from dse.analysis.nearest import Best, CandidatePool, by_violation
from dse.evaluator import Evaluation
from dse.results.rows import Rows
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import tiny

AXES = {
    "memory": {"values": ["lpddr5x_9600", "gddr6_16", "hbm3"]},
    "macs": {"low": 1024, "high": 32768, "log": True, "levels": 6},
    "clock_ghz": {"low": 0.5, "high": 1.5, "step": 0.1},
    "sram_mib": {"values": [1, 2, 4, 8]},
}
SPEC = parse_spec(tiny(space=AXES))
SPACE = Space(SPEC)
GOAL = {"memory": "gddr6_16", "macs": 8192.0, "clock_ghz": 1.2, "sram_mib": 2.0}
LABEL = SPEC.constraints[0].label


class Made:
    """An evaluator by which a design costs its distance from `GOAL`; none but those of 2048 MACs is infeasible."""

    def __init__(self):
        self.spec, self.sizes, self.asked, self.noted = SPEC, [], set(), []

    def note(self, designs):
        self.noted.append(designs.rows)

    def evaluate(self, designs, *, metrics=None):
        self.sizes.append(designs.rows)
        self.asked.add(metrics)
        off = np.abs(np.log2(designs["macs"] / 8192)) + np.abs(designs["clock_ghz"] - 1.2)
        off = off + np.abs(np.log2(designs["sram_mib"] / 2)) + (designs["memory"].names() != "gddr6_16") * 1.0
        margin = np.where(designs["macs"] == 2048, -0.5, 1.0)
        n = designs.rows
        margins = {"limit": margin, LABEL: np.ones(n)}
        return Evaluation({"off": off}, margins, off[:, None], margin >= 0)


def by_distance(found):
    return found.metrics["off"], np.zeros(len(found.feasible))


def goal_of(best):
    return {name: pytest.approx(value) if name == "clock_ghz" else value for name, value in GOAL.items()}.items() <= {
        name: best.settings[name] for name in GOAL
    }.items()


def towards(goals=(by_distance,), **options):
    return CandidatePool.towards(goals, SPACE, Made(), **options)


def test_a_small_space_is_looked_at_whole():
    pool = towards(metrics=("off",))
    assert pool.is_whole and len(pool.rows) == SPACE.grid_size == 3 * 6 * 11 * 4
    assert pool.evaluator.asked == {("off",)} and pool.evaluator.sizes == [SPACE.grid_size]
    assert pool.rows.ids.tolist() == list(range(SPACE.grid_size))
    best = pool.best(by_distance)
    assert goal_of(best) and best.score == pytest.approx(0, abs=1e-12) and best.violation == 0
    assert best.designs.rows == 1 and best.designs["macs"][0] == 8192
    assert pool.evaluator.sizes == [SPACE.grid_size], "nothing is looked at twice"
    # No design has a score.
    assert pool.best(lambda found: (np.full(len(found.feasible), np.nan), np.zeros(len(found.feasible)))) is None
    assert [pool.best(judge).settings["macs"] == 2048 for judge in (by_violation, worst)] == [False, True]


def worst(found):
    return found.metrics["off"], np.where(found.margins["limit"] < 0, 0.0, 1.0)


def test_of_a_space_where_some_values_are_fixed_only_those_count():
    pool = towards(fixed={"memory": "hbm3", "sram_mib": 4.0})
    assert pool.is_whole and len(pool.rows) == 6 * 11
    assert set(pool.rows.designs["memory"].names()) == {"hbm3"} and set(pool.rows.designs["sram_mib"]) == {4.0}
    assert pool.best(by_distance).score == pytest.approx(2)


@pytest.mark.parametrize("fixed", [{}, {"memory": "hbm3"}])
def test_a_large_space_is_sampled_towards_every_goal(monkeypatch, fixed):
    monkeypatch.setattr(nearest, "MAX_GRID", SPACE.grid_size - 1)
    monkeypatch.setattr(nearest, "BUDGET", 64)
    monkeypatch.setattr(nearest, "CHUNK_ROWS", 24)
    told = []
    make = nearest.make_sampler

    def made(name, space, **options):
        assert (name, options["n_designs"], options["n_objectives"]) == ("sobol+evolve", 64, 1)
        assert options["options"] == {"shares": (0.4, 0.6)} and options["seed"] == SPEC.search.seed
        sampler = make(name, space, **options)
        tell = sampler.tell
        monkeypatch.setattr(sampler, "tell", lambda feedback: (told.append(feedback), tell(feedback)))
        return sampler

    monkeypatch.setattr(nearest, "make_sampler", made)
    pool = towards([by_distance, worst], fixed=fixed)
    # The last generation may go beyond the budget.
    each = len(pool.rows) // 2
    assert not pool.is_whole and 64 <= each < 64 + 24 and max(pool.evaluator.sizes) <= 24
    assert pool.evaluator.noted == [nearest.NOTED_ROWS]
    # Designs of a goal are numbered from 0 on.
    assert pool.rows.ids.tolist() == [*range(each)] * 2
    first = told[: len(told) // 2]
    assert np.concatenate([one.ids for one in first]).tolist() == [*range(each)]
    assert all(
        one.feasible.all() and one.violations.shape == one.objectives.shape == (len(one.ids), 1) for one in first
    )
    second = [one.feasible for one in told[len(told) // 2 :]]
    assert np.concatenate(second).tolist() == (pool.rows.designs["macs"][each:] == 2048).tolist()
    if fixed:
        assert set(pool.rows.designs["memory"].names()) == {"hbm3"}
    best = pool.best(by_distance)
    expected = {**GOAL, **fixed}
    assert {name: best.settings[name] for name in GOAL} == expected | {"clock_ghz": pytest.approx(1.2)}


def test_a_space_is_whole_up_to_the_most_and_where_it_has_an_end(monkeypatch):
    monkeypatch.setattr(nearest, "MAX_GRID", SPACE.grid_size)
    assert towards().is_whole
    monkeypatch.setattr(nearest, "BUDGET", 16)
    endless = Space(parse_spec(tiny(space={**AXES, "clock_ghz": {"low": 0.5, "high": 1.5}}, search={
        "sampler": "sobol", "n_designs": 8})))  # fmt: skip
    pool = CandidatePool.towards([by_distance], endless, Made())
    assert not pool.is_whole and 16 <= len(pool.rows) < 64


def test_a_pool_of_a_sweep_goes_towards_all_constraints_and_each_that_is_left_out(monkeypatch):
    goals = []
    monkeypatch.setattr(
        CandidatePool, "towards", classmethod(lambda cls, some, space, evaluator: goals.extend(some) or "pool")
    )
    assert CandidatePool.of(SPEC) == "pool"
    assert [goal.keywords["ignored"] for goal in goals] == ["", *(one.label for one in SPEC.constraints)]


class Chains(CandidatePool):
    """A pool whose steps lead along chains of violations."""

    def _step(self, judge, start, space):
        self.fixed.setdefault("asked", []).append((start.violation, space))
        return at(self.metrics.get(start.violation, start.violation))


def at(missed, score=0.0):
    return Best({}, Table({}), missed, score)


def walk(steps, *starts, **options):
    pool = Chains("own space", None, None, False, steps, {})
    found = pool.local_search(None, [at(start) for start in starts], **options)
    return found.violation, [missed for missed, _ in pool.fixed["asked"]], {space for _, space in pool.fixed["asked"]}


def test_a_search_goes_on_while_it_gets_nearer_and_no_more_than_six_steps():
    assert walk({9: 7, 7: 3}, 9) == (3, [9, 7, 3], {"own space"})
    assert walk({9: 7}, 9, space="wider") == (7, [9, 7], {"wider"})
    assert walk({k: k - 1 for k in range(1, 21)}, 20) == (14, [20, 19, 18, 17, 16, 15], {"own space"})
    assert at(0.0, 1).is_better_than(at(0.0, 5)) and not at(0.0, 5).is_better_than(at(0.0, 1))
    # A start that no step leaves is the answer, even beside others that move.
    assert walk({9: 8, 8: 7}, 9, 1)[0] == 1
    assert walk({}, 5, 4) == (4, [5, 4], {"own space"})


def test_the_better_half_of_the_starts_goes_on():
    steps = {10: 8, 11: 9, 12: 4, 13: 12.5, 4: 3}
    found, asked, _ = walk(steps, 10, 11, 12, 13)
    # Of four the steps to 4 and 8 go on, of these the one to 3.
    assert (found, asked) == (3, [10, 11, 12, 13, 4, 8, 3])
    assert walk({10: 5, 11: 6, 12: 7}, 10, 11, 12)[1] == [10, 11, 12, 5]


def test_a_step_is_the_best_neighbour_or_stays():
    pool = towards(metrics=("off",))
    start = pool.best(lambda found: (-found.metrics["off"], np.zeros(len(found.feasible))))
    step = pool._step(by_distance, start, SPACE)
    # Itself, every value of one parameter, and at most five of each of two: of 3, 6, 11 and 4 values.
    assert pool.evaluator.sizes[-1] == 1 + (3 + 6 + 11 + 4) + (15 + 15 + 12 + 25 + 20 + 20)
    # Two parameters at once: those that are the farthest off, of clock and SRAM at most five values each.
    assert step.score < -start.score and step.designs.rows == 1
    assert sum(step.settings[name] != start.settings[name] for name in GOAL) == 2
    kept = CandidatePool(SPACE, Made(), pool.rows, True, ("off",), {"macs": start.settings["macs"]})
    assert kept._step(by_distance, start, SPACE).settings["macs"] == start.settings["macs"]
    assert kept.evaluator.asked == {("off",)}
    blind = lambda found: (np.full(len(found.feasible), np.nan), np.zeros(len(found.feasible)))  # noqa: E731
    assert pool._step(blind, start, SPACE) is start


def test_a_judge_of_nobody_finds_nobody():
    table = Table({"macs": np.zeros(0)})
    rows = Rows(np.zeros(0, dtype=int), table, Evaluation({}, {}, np.zeros((0, 1)), np.zeros(0, dtype=bool)))
    for is_whole in (True, False):
        assert CandidatePool(SPACE, SimpleNamespace(), rows, is_whole).best(by_violation) is None

"""One meaning of how infeasible a design is, whoever asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.table import Choice, Table
from dse.analysis.nearest import CandidatePool, by_violation, ranked
from dse.analysis.require.changes import VIOLATION, best_changes
from dse.analysis.require.sizing import by_cost, sized_designs
from dse.evaluator import Evaluation, Evaluator
from dse.render.plots.reading import MAX_MISSES, scene_of
from dse.results.archive import LEAST_INFEASIBLE, Archive
from dse.results.picks import settings_of
from dse.results.rows import Rows
from dse.runs import run
from dse.samplers import Feedback, Sampler, make_sampler
from dse.samplers.chain import MAX_SEED_DESIGNS, Seeds
from dse.samplers.evolve.nsga2 import row_keys
from dse.space import Space
from dse.sweep import Spec, parse_spec
from dse.violation import MISSING, violation
from tests.sweeps import minimized

MEMORY = {
    "memory": {"values": ["lpddr5x_9600", "gddr6_16"]},
    "memory_devices": {"low": 1, "high": 16, "step": 1},
    "memory_device_gib": [
        {"values": [8, 16], "when": {"memory": ["lpddr5x_9600"]}},
        {"values": [1, 2], "when": {"memory": ["gddr6_16"]}},
    ],
    "macs": {"low": 8192, "high": 131072, "log": True, "levels": 9},
    "sram_mib": {"low": 16, "high": 256, "log": True, "levels": 9},
}
FORMATS = {"weight_format": {"values": ["int4_g128", "fp8", "bf16"]}, "kv_bits": {"values": [4, 8, 16]}}

INFEASIBLE: dict[str, dict[str, Any]] = {
    # Fast, cool and thrifty at once: no memory of the space is all three.
    "dense": {
        "name": "dense",
        "workloads": {"chat": {"model": "llama2_70b", "batch": 32, "prompt_tokens": 1024, "output_tokens": 1024}},
        "space": {"node": {"values": ["tsmc_5", "samsung_8"]}, **MEMORY, **FORMATS},
        "objectives": minimized("chat.tpot_ms", "cost_usd"),
        "constraints": [
            {"metric": "chat.tpot_ms", "max": "5 ms"},
            {"metric": "tdp_w", "max": "60 W"},
            {"metric": "chat.tokens_per_joule", "min": 20},
        ],
        "search": {"sampler": "grid"},
    },
    # Experts: few of the weights are read per token, all of them must fit; cheaper than its memory alone.
    "experts": {
        "name": "experts",
        "workloads": {"chat": {"model": "mixtral_8x7b", "batch": 8, "prompt_tokens": 2048, "output_tokens": 256}},
        "space": {"clock_ghz": {"values": [0.6, 1.0]}, **MEMORY, **FORMATS},
        "objectives": minimized("chat.ttft_ms", "chat.decode_w"),
        "constraints": [
            {"metric": "chat.tpot_ms", "max": "2 ms"},
            {"metric": "cost_usd", "max": 60},
            {"metric": "chat.ttft_ms", "max": "100 ms"},
        ],
        "search": {"sampler": "grid"},
    },
    # Two workloads, one of which few designs can hold, on a die too small for what both ask.
    "two": {
        "name": "two",
        "workloads": {
            "chat": {"model": "llama3_8b", "batch": 1, "prompt_tokens": 512, "output_tokens": 128},
            "giant": {"model": "synthetic_250b_gqa", "batch": 1, "prompt_tokens": 512, "output_tokens": 128},
        },
        "space": {"node": {"values": ["tsmc_5", "tsmc_7"]}, **MEMORY, **FORMATS},
        "objectives": minimized("giant.tpot_ms", "die_mm2"),
        "constraints": [
            {"metric": "giant.tpot_ms", "max": "20 ms"},
            {"metric": "chat.tpot_ms", "max": "1 ms"},
            {"metric": "die_mm2", "max": 15},
        ],
        "search": {"sampler": "grid"},
    },
}

BUDGET = 3_000
N = 240


@pytest.fixture(scope="module")
def spec() -> Spec:
    return parse_spec(INFEASIBLE["dense"])


@pytest.fixture(scope="module")
def rows(spec: Spec) -> Rows:
    """Designs that run and designs that cannot hold the model, all infeasible, in no order."""
    space = Space(spec)
    ids = np.random.default_rng(5).choice(space.grid_size, N, replace=False)
    designs = space.grid_at(space.grid_places(ids))
    result = Evaluator(spec).evaluate(designs)
    assert not result.feasible.any()
    assert result.missing is not None and 0 < np.count_nonzero(result.missing) < N
    return Rows(np.arange(N), designs, result)


@pytest.fixture(scope="module")
def report(rows: Rows) -> list[int]:
    """The rows in the order of a report's column `violation`."""
    return list(rows.frame().sort_values(["violation", "id"])["id"])


def evaluation(missed: list[float], missing: list[int]) -> Evaluation:
    margins = -np.array(missed)
    objectives = np.where(np.array(missing) > 0, np.nan, 1.0)[:, None]
    feasible = (margins >= 0) & (np.array(missing) == 0)
    return Evaluation({}, {"limit": margins}, objectives, feasible, np.array(missing))


# -- what it is -------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 1e300), st.integers(0, 3)), min_size=1, max_size=30))
def test_what_does_not_run_comes_after_all_that_runs_however_far_that_misses(designs):
    missed, missing = (list(column) for column in zip(*designs, strict=True))
    result = evaluation(missed, missing)
    total = violation(result)
    assert np.isfinite(total).all()
    assert np.array_equal(total == 0, result.feasible)
    assert list(result.missing[np.argsort(total, kind="stable")]) == sorted(missing)


def test_misses_add_up_and_what_is_met_with_room_does_not_make_up_for_others(rows: Rows) -> None:
    by_hand = [sum(max(0.0, -margin[row]) for margin in rows.evaluation.margins.values()) for row in range(N)]
    missing = rows.evaluation.missing
    assert violation(rows.evaluation) == pytest.approx(np.array(by_hand) + MISSING * missing, rel=1e-14)
    label = next(iter(rows.evaluation.margins))
    part = np.maximum(0.0, -rows.evaluation.margins[label])
    assert violation(rows.evaluation, without=[label]) == pytest.approx(violation(rows.evaluation) - part, abs=1e-6)


def test_it_does_not_depend_on_the_rows_beside_it(rows: Rows) -> None:
    whole = violation(rows.evaluation)
    assert [rows.take(np.array([row])).violation[0] for row in range(N)] == list(whole)


def test_an_infinite_time_is_no_value(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = Evaluator(spec)
    design = Space(spec).default_design()
    runs = evaluator.evaluate(design)
    assert runs.missing is None or not runs.missing.any()
    endless = dict(runs.metrics) | {"chat.tpot_ms": np.array([np.inf])}
    measured = (endless, evaluator.constraint_margins(endless), 1, None)
    monkeypatch.setattr(evaluator, "_measured", lambda *_: measured)
    result = evaluator.evaluate(design)
    assert result.missing is not None and result.missing[0] == 2, "as a constraint and as an objective"
    assert not result.feasible[0] and 2 * MISSING <= violation(result)[0] < 3 * MISSING


# -- everyone ranks by it ---------------------------------------------------------------------------------------------


def test_what_samplers_are_told_is_what_the_report_says(rows: Rows, report: list[int]) -> None:
    judged = Feedback.of(rows.ids, rows.evaluation)
    assert list(judged.violation) == list(rows.frame()["violation"])
    assert list(np.argsort(judged.violation, kind="stable")) == report


@pytest.mark.parametrize("algorithm", ["nsga2", "nsga3"])
def test_evolve_keeps_the_nearest_as_parents(spec: Spec, rows: Rows, report: list[int], algorithm: str) -> None:
    space = Space(spec)
    options: dict[str, Any] = {"algorithm": algorithm, "population": N // 2}
    sampler: Any = make_sampler("evolve", space, n_designs=4 * N, seed=1, n_objectives=2, options=options)
    points, judged = space.encode(rows.designs), Feedback.of(rows.ids, rows.evaluation)
    sampler.warm_start(points, judged)
    sampler.ask(1)
    engine = sampler._engine
    parents = engine._points if algorithm == "nsga2" else engine._algorithm.pop.get("X")
    kept = [int(np.flatnonzero((points == parent).all(axis=1))[0]) for parent in parents]
    assert sorted(kept) == sorted(report[: N // 2])


def test_a_chain_hands_the_nearest_on(spec: Spec, rows: Rows, report: list[int]) -> None:
    space = Space(spec)
    best = Seeds(space, 2)
    for start in range(0, N, 100):
        part = rows.take(np.arange(start, min(start + 100, N)))
        best.add(part.designs, Feedback.of(part.ids, part.evaluation))
    _, judged = best.chosen()
    assert sorted(judged.ids) == sorted(report[:MAX_SEED_DESIGNS])


@pytest.mark.parametrize("name", ["tpe", "nsgaii", "nsgaiii"])
def test_optuna_ranks_trials_as_the_report_does(spec: Spec, rows: Rows, report: list[int], name: str) -> None:
    sampler: Any = make_sampler(
        name, Space(spec), n_designs=N, seed=1, n_objectives=2, options={"batch": N, **OPTUNA[name]}
    )
    assert sampler.ask(N).rows == N
    sampler.tell(Feedback.of(rows.ids, rows.evaluation))
    # Infeasible trials are ranked by the sum of their positive constraints by all of Optuna's samplers.
    total = [sum(value for value in trial.constraints.values() if value > 0) for trial in sampler._study.trials]
    assert list(np.argsort(total, kind="stable")) == report


OPTUNA: dict[str, dict[str, Any]] = {
    "tpe": {"n_startup_trials": N},
    "nsgaii": {"population_size": N},
    "nsgaiii": {"population_size": N},
}


def test_results_keep_the_nearest(spec: Spec, rows: Rows, report: list[int]) -> None:
    keeper = Archive(Space(spec), 2, sample=0)
    for start in range(0, N, 50):
        keeper.add(rows.take(np.arange(start, min(start + 50, N))))
    assert keeper.misses is not None
    assert list(keeper.misses.ids) == report[:LEAST_INFEASIBLE]


def test_relaxations_and_sizes_rank_alike(rows: Rows, report: list[int]) -> None:
    for judge in (by_violation, by_cost):
        score, missed = judge(rows.evaluation)
        assert list(missed) == list(rows.violation)
        assert [float(rows.violation[row]) for row in ranked(score, missed)] == sorted(rows.violation)


def test_the_best_change_is_told_from_the_same_number(spec: Spec, rows: Rows) -> None:
    evaluator, space = Evaluator(spec), Space(spec)
    for row in (int(np.argmax(rows.violation)), int(np.argmin(rows.violation))):
        change = next(iter(best_changes(evaluator, settings_of(rows.designs, row), space=space)))
        assert change.goal == VIOLATION
        assert change.value_before == rows.violation[row]
        changed = evaluator.evaluate(
            Table.from_settings({**settings_of(rows.designs, row), change.parameter: change.after})
        )
        assert change.value_after == violation(changed)[0]


def test_pictures_show_the_nearest_that_have_a_place(spec: Spec, tmp_path: Path) -> None:
    sweep = {**INFEASIBLE["dense"], "search": {"sampler": "random", "n_designs": N, "seed": 2}}
    stored = run(parse_spec(sweep), out=tmp_path / "run")
    table = stored.designs
    known = table[np.isfinite(table["chat.tpot_ms"]) & np.isfinite(table["cost_usd"])]
    nearest = known.sort_values(["violation", "id"])["id"]
    assert 0 < len(nearest) < len(table)
    assert list(scene_of(stored).front["id"]) == list(nearest[:MAX_MISSES])


# -- the search finds what is nearest ---------------------------------------------------------------------------------


class Exact:
    """A grid, evaluated whole, that tells samplers what becomes of its designs."""

    def __init__(self, name: str) -> None:
        self.spec = parse_spec(INFEASIBLE[name])
        self.space = Space(self.spec)
        evaluator, size = Evaluator(self.spec), self.space.grid_size
        ids = np.arange(size)
        designs = self.space.grid_at(self.space.grid_places(ids))
        self.found = Feedback.of(ids, evaluator.evaluate(designs, metrics=()))
        keys = row_keys(self.space.encode(designs))
        self.order = np.argsort(keys)
        self.keys = keys[self.order]
        assert len(np.unique(keys)) == size

    def evaluations_to(self, sampler: Sampler, share: float) -> float:
        """Return how many designs a sampler proposes until one is within a share of the least violation there is."""
        reported, goal = 0, self.found.violation.min() * (1 + share)
        while designs := sampler.ask(BUDGET):
            rows = self.order[np.searchsorted(self.keys, row_keys(self.space.encode(designs)))]
            result = self.found
            ids = np.arange(reported, reported + len(rows))
            judged = Feedback(ids, result.objectives[rows], result.violations[rows], result.feasible[rows])
            reached = np.flatnonzero(judged.violation <= goal)
            if len(reached):
                return reported + int(reached[0]) + 1
            reported += len(rows)
            sampler.tell(judged)
        return np.inf


@pytest.fixture(scope="module", params=INFEASIBLE)
def exact(request: pytest.FixtureRequest) -> Exact:
    return Exact(request.param)


@pytest.mark.parametrize("name", ["evolve", "sobol+evolve"])
def test_a_search_of_an_infeasible_grid_reaches_the_least_violation(exact: Exact, name: str) -> None:
    assert not exact.found.feasible.any()
    for seed in range(8):
        sampler = make_sampler(name, exact.space, n_designs=BUDGET, seed=seed, n_objectives=2)
        assert exact.evaluations_to(sampler, 0.001) <= BUDGET, seed


def test_a_local_search_reaches_it_as_well(exact: Exact) -> None:
    pool = CandidatePool.of(exact.spec)
    best = pool.best(by_violation)
    assert best is not None and pool.is_whole
    assert best.violation == pytest.approx(exact.found.violation.min(), rel=1e-12)
    assert violation(Evaluator(exact.spec).evaluate(best.designs))[0] == best.violation


def test_each_grade_of_memory_is_sized_to_its_own_least(exact: Exact) -> None:
    designs = exact.space.grid_at(exact.space.grid_places(np.arange(exact.space.grid_size)))
    memory = designs["memory"]
    assert isinstance(memory, Choice)
    sized = sized_designs(Evaluator(exact.spec), exact.space)
    assert {one.memory for one in sized} == set(memory.values)
    for one in sized:
        own = memory.names() == one.memory
        assert one.violation == pytest.approx(exact.found.violation[own].min(), rel=1e-3)
        assert one.design["memory"] == one.memory

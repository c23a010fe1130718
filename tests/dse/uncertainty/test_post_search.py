"""Who meets the draws after a search, and what becomes of front and picks."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from cost_models.quantities.metrics import P_FEASIBLE
from cost_models.table import Table
from dse.evaluator import Evaluation
from dse.results.rows import Rows
from dse.uncertainty import post_search


def rows_of(ids, points, *, feasible=None, margins=None):
    n, points = len(ids), np.array(points, dtype=float)
    feasible = np.ones(n, bool) if feasible is None else np.array(feasible)
    margins = {"limit": np.ones(n) if margins is None else np.array(margins, float)}
    found = Evaluation({"cost": points[:, 0], "time": points[:, 1]}, margins, points, feasible)
    return Rows(np.array(ids), Table({"macs": np.array(ids, float) * 1024}), found)


SPEC = SimpleNamespace(
    objectives=[SimpleNamespace(metric="cost"), SimpleNamespace(metric="time")],
    constraints=[SimpleNamespace(label="limit", metric="limit")],
    probabilities=[SimpleNamespace(label="p_feasible >= 0.5")],
)


def outcome_of(front=None, misses=None, sample=None):
    return _Outcome(front, misses, lambda: sample, (), ())


def _made_outcome():
    from dataclasses import make_dataclass

    made = make_dataclass("Outcome", ["front", "misses", "sampled", "constraints", "picks"])
    made.sample = property(lambda self: self.sampled())
    return made


_Outcome = _made_outcome()


def test_who_keeps_a_distance_is_whom_nobody_beats_among_those_that_keep_it():
    # Costs and times that trade, with the better the nearer to the limit; one infeasible, one beaten.
    rows = rows_of(
        range(7), [[1, 9], [2, 8], [3, 7], [4, 6], [5, 5], [0, 0], [9, 9]],
        margins=[0.02, 0.019, 0.1, 0.2, 0.3, -0.1, 0.5], feasible=[True] * 5 + [False, True],
    )  # fmt: skip
    found = [list(places) for places in post_search._keeping_distance(rows, ["limit"])]
    assert found == [[0, 2, 3, 4], [2, 3, 4], [2, 3, 4], [3, 4], [4]]
    two = replace(
        rows, evaluation=replace(rows.evaluation, margins={"limit": np.full(7, 0.4), "other": np.full(7, 0.1)})
    )
    kept = [len(places) for places in post_search._keeping_distance(two, ["limit", "other"])]
    assert kept == [5, 5, 5, 0, 0]
    assert post_search._keeping_distance(rows, []) == []


def test_candidates_are_front_then_misses_then_who_keeps_a_distance():
    front = rows_of([4, 2], [[1, 2], [2, 1]], margins=[0.0, 0.0])
    misses = rows_of([7, 9], [[0, 0], [0, 0]], feasible=[False, False], margins=[-1, -2])
    sample = rows_of([2, 3, 4, 7], [[2, 1], [5, 5], [1, 2], [0, 0]], feasible=[True, True, True, False],
                     margins=[0.0, 0.4, 0.0, -1])  # fmt: skip
    none = SimpleNamespace(probabilities=(), constraints=SPEC.constraints)
    found = post_search._candidates(outcome_of(front, misses, sample), SPEC, 99)
    assert found.ids.tolist() == [2, 3, 4, 7, 9]
    assert post_search._candidates(outcome_of(front, misses, sample), none, 99).ids.tolist() == [2, 4, 7, 9]
    # Of too many, evenly from the list 2, 4, 7, 9, 3: its ends and its middle.
    assert post_search._candidates(outcome_of(front, misses, sample), SPEC, 3).ids.tolist() == [2, 3, 7]
    assert post_search._candidates(outcome_of(front), none, 9).ids.tolist() == [2, 4]
    assert post_search._candidates(outcome_of(None, misses), none, 9).ids.tolist() == [7, 9]
    assert post_search._candidates(outcome_of(), SPEC, 9) is None


def test_a_constraint_on_the_probability_is_counted_as_any_other():
    margin, feasible = np.array([-0.1, 0.0, 0.3, -0.2, 0.5]), np.array([True, True, True, False, False])
    one = post_search._count("p", margin, feasible)
    assert (one.constraint, one.evaluated, one.violated, one.missing, one.sole_cause) == ("p", 5, 2, 0, 1)
    assert (one.best_margin, one.tightest_margin) == (0.5, 0.0)
    assert math.isnan(post_search._count("p", margin, np.zeros(5, bool)).tightest_margin)


def test_a_row_has_the_probability_of_its_design_or_none():
    candidates = rows_of([2, 4, 7], [[1, 1]] * 3)
    found = SimpleNamespace(p_feasible=np.array([0.2, 0.4, 0.7]))
    outcome = outcome_of(rows_of([7, 2, 1], [[1, 1]] * 3), None, rows_of([4, 5, 9], [[1, 1]] * 3))
    told = post_search._with_chances(outcome, candidates, found)
    assert told.misses is None
    for rows, expected in ((told.front, [0.7, 0.2, np.nan]), (told.sample, [0.4, np.nan, np.nan])):
        np.testing.assert_array_equal(rows.evaluation.metrics[P_FEASIBLE], expected)
        assert set(rows.evaluation.metrics) == {"cost", "time", P_FEASIBLE}


def test_front_and_picks_are_among_those_that_are_likely_enough():
    sample = rows_of([1, 2, 3, 4, 5], [[1, 9], [2, 8], [3, 3], [9, 9], [0, 0]], feasible=[True] * 4 + [False])
    front, ids = rows_of([1, 2], [[1, 9], [2, 8]]), np.array([1, 2, 3, 4])
    likely = np.array([0.1, 0.6, 0.9, 0.9])
    found = post_search._chosen(outcome_of(front, None, sample), SPEC, ids, likely, likely >= 0.5)
    assert found.front.ids.tolist() == [2, 3], "4 is beaten, 1 not likely, 5 has met no draws"
    assert {pick.name: pick.id for pick in found.picks} == {
        "best_cost": 2, "best_time": 3, "knee": 2, "nearest_to_targets": 2,
    }  # fmt: skip
    none = post_search._chosen(outcome_of(front, None, sample), SPEC, ids, likely, np.zeros(4, bool))
    assert none.front is None and none.misses.ids.tolist() == [3, 4, 2, 1]
    (pick,) = none.picks
    assert pick.id == 3 and pick.reason == (
        "no sampled design has the probability asked for (p_feasible >= 0.5); this one comes nearest with 0.9"
    )
    many = rows_of(range(30), [[1, 1]] * 30)
    kept = post_search._chosen(outcome_of(many), SPEC, many.ids, np.arange(30) / 30, np.zeros(30, bool))
    assert kept.misses.ids.tolist() == list(range(29, 9, -1))


def test_without_draws_or_designs_a_run_stays_as_it_was():
    asked = SimpleNamespace(designs=9)
    for outcome, robustness in ((outcome_of(rows_of([1], [[1, 1]])), None), (outcome_of(), asked)):
        spec = SimpleNamespace(robustness=robustness, probabilities=(), constraints=[])
        assert post_search.under_draws(outcome, spec) == (outcome, None)

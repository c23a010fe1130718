"""Who of a stored run meets the draws, and by which design it is analysed."""

import inspect
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.table import Table
from dse.errors import RunError
from dse.sweep.records import RobustnessSpec
from dse.uncertainty import intervals, stored_run


def test_a_long_front_is_thinned_to_its_picks_and_designs_evenly_along_the_first_objective():
    front = pd.DataFrame({"id": range(10), "cost": [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]})
    kept = {k: stored_run._thinned(front, "cost", k, {3: (), 99: ()})["id"].tolist() for k in (0, 1, 3, 4, 9, 10)}
    assert kept[10] == list(range(10)) and kept[9] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert kept[0] == kept[1] == [3] and kept[3] == [0, 3, 9]
    # Of 9 others by cost, the first, the middle and the last.
    assert kept[4] == [0, 3, 5, 9]


@pytest.mark.parametrize(
    ("front", "misses", "ids", "on_front"),
    [([5, 6], True, [5, 6, 8, 9], [True, True, False, False]), ([5, 6], False, [5, 6], [True, True]),
     ([], False, [8, 9], [False, False]), ([], True, [8, 9], [False, False])],
)  # fmt: skip
def test_front_and_nearest_misses_of_a_run_meet_the_draws(front, misses, ids, on_front, monkeypatch):
    columns = {"feasible": False, "violation": [1.0, 2.0], "macs": [8.0, 9.0], "cost": 1.0}
    run = SimpleNamespace(
        picks=[{"id": 5, "name": "knee"}], path="here", front=pd.DataFrame({"id": front, "macs": front, "cost": 1.0}),
        designs=pd.DataFrame({"id": [8, 9], **columns}), settings=lambda design: {"macs": float(design)},
        spec=SimpleNamespace(objectives=[SimpleNamespace(metric="cost")], constraints=[], parameters={}, library=()),
    )  # fmt: skip
    monkeypatch.setattr(
        stored_run, "designs_of", lambda spec, table: Table({"macs": table["macs"].to_numpy(dtype=float)})
    )
    asked = []
    monkeypatch.setattr(stored_run, "robustness", lambda spec, designs, **more: asked.append((designs, more)))
    monkeypatch.setattr(stored_run, "parameters_of", lambda spec, designs: asked.append(designs) or frozenset())
    monkeypatch.setattr(stored_run, "swings_of", lambda *arguments: ["swing"])
    monkeypatch.setattr(stored_run, "variance_fractions", lambda spec, design, swings, seed: [*swings, seed])
    found = stored_run.robust_run(run, draws=7, seed=3, misses=misses)
    assert (found.ids, found.on_front, found.subject, found.names) == (ids, on_front, (5, "knee"), {5: ("knee",)})
    assert [design["macs"] for design in asked[0][0]] == ids and asked[1] == [{"macs": 5.0}]
    assert (asked[0][1]["draws"], asked[0][1]["seed"]) == (7, 3) and found.swings == ["swing", 3]
    assert stored_run.robust_run(run, misses=misses, fractions=False).swings == ["swing"]


PICKS = [{"id": 4, "name": "best_cost"}, {"id": 2, "name": "knee"}, {"id": 4, "name": "best_time"}]


def test_a_run_is_analysed_by_its_knee_or_the_pick_that_is_named():
    run = SimpleNamespace(picks=PICKS, path="here")
    assert stored_run._picks(run) == {4: ("best_cost", "best_time"), 2: ("knee",)}
    assert stored_run._subject(run, None) == (2, "knee") and stored_run._subject(run, "best_time") == (4, "best_time")
    assert stored_run._subject(SimpleNamespace(picks=PICKS[:1], path="here"), None) == (4, "best_cost")
    with pytest.raises(RunError, match="here: 'nose' is not one of its picks: best_cost, knee, best_time"):
        stored_run._subject(run, "nose")
    with pytest.raises(RunError, match="no design was kept"):
        stored_run._subject(SimpleNamespace(picks=[], path="here"), None)


def test_the_nearest_misses_are_those_that_miss_by_least_and_of_those_the_first():
    told = [(3, False, 0.5), (2, False, 0.5), (1, True, 0.0), (0, False, 0.1)]
    designs = pd.DataFrame(told, columns=["id", "feasible", "violation"])
    found = stored_run._nearest_misses(SimpleNamespace(designs=designs))
    assert found["id"].tolist() == [0, 2, 3]
    many = pd.DataFrame({"id": range(99), "feasible": False, "violation": np.arange(99.0)[::-1]})
    kept = stored_run._nearest_misses(SimpleNamespace(designs=many))["id"].tolist()
    assert kept == list(range(98, 98 - stored_run.LEAST_INFEASIBLE, -1))
    front = pd.DataFrame({"id": [7]})
    assert stored_run._joined(front, found)["id"].tolist() == [7, 0, 2, 3]
    assert stored_run._joined(front[:0], found).index.tolist() == [0, 1, 2]


def test_draws_are_the_same_from_python_and_from_a_sweep():
    told = {
        name: (parameters["draws"].default, parameters["seed"].default)
        for name, one in {"designs": intervals.robustness, "run": stored_run.robust_run}.items()
        if (parameters := inspect.signature(one).parameters)
    }
    usual = RobustnessSpec()
    assert set(told.values()) == {(usual.draws, usual.seed)}


def test_what_is_watched_is_objectives_then_constraints_each_once():
    one = SimpleNamespace
    spec = one(objectives=[one(metric="b"), one(metric="a")], constraints=[one(metric="a"), one(metric="c")])
    assert stored_run.watched(spec) == ["b", "a", "c"]

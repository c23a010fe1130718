"""The best design of each memory grade, of evaluations that are made up."""

from types import SimpleNamespace

import numpy as np

from cost_models.table import Table
from dse.analysis.nearest import Best
from dse.analysis.require import sizing
from dse.analysis.require.sizing import SizedDesign, by_cost, sized_designs


def test_designs_are_judged_by_what_they_miss_then_cost_and_no_cost_is_the_worst():
    found = SimpleNamespace(
        metrics={"cost_usd": np.array([3.0, np.nan])},
        margins={"a": np.array([-0.5, 1.0]), "b": np.array([-0.25, 0.0])},
        feasible=np.array([False, True]), missing=None,
    )  # fmt: skip
    cost, missed = by_cost(found)
    assert cost.tolist() == [3, np.inf] and missed.tolist() == [0.75, 0]


def test_every_grade_has_its_best_design(monkeypatch):
    asked = []

    def towards(goals, space, evaluator, *, metrics, fixed):
        asked.append((goals, metrics, fixed))
        found = (
            None
            if fixed.get("memory") == "none"
            else Best({"macs": 4.0, "other": 1}, Table({"macs": np.ones(1)}), 0.5, 2.0)
        )
        return SimpleNamespace(best=lambda judge: found)

    monkeypatch.setattr(sizing, "CandidatePool", SimpleNamespace(towards=towards))
    names = ("time", "cost_usd", "bandwidth_gbps", "peak_tflops", "die_mm2", "tdp_w", "price_usd")
    judged = SimpleNamespace(
        feasible=np.array([True]), margins={"heat": np.array([0.25])},
        metrics={name: np.array([float(place)]) for place, name in enumerate(names)},
    )  # fmt: skip
    evaluator = SimpleNamespace(
        spec=SimpleNamespace(constraints=[SimpleNamespace(metric="time"), SimpleNamespace(metric="cost_usd")]),
        evaluate=lambda designs: judged,
    )
    space = SimpleNamespace(parameters={"memory": SimpleNamespace(names=("a", "none", "b")), "macs": None})
    found = sized_designs(evaluator, space)
    assert [one.memory for one in found] == ["a", "b"]
    assert found[0] == SizedDesign(
        "a", True, 0.5, {"macs": 4.0}, {"heat": 0.25}, {name: float(place) for place, name in enumerate(names)}
    )
    assert list(found[0].metrics)[:2] == ["time", "cost_usd"]
    assert asked == [([by_cost], ("cost_usd",), {"memory": name}) for name in ("a", "none", "b")]
    (alone,) = sized_designs(evaluator, SimpleNamespace(parameters={"macs": None}))
    assert alone.memory == "default" and asked[-1][2] == {}

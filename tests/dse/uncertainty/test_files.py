"""The tables that hold the draws of a run."""

import json
import math
from types import SimpleNamespace

import numpy as np

from dse.uncertainty import intervals
from dse.uncertainty.files import RobustRun, designs_frame, drawn_facts, inputs_frame, parameters_frame, write_robust
from dse.uncertainty.sensitivity import Input, Swing
from tests.dse.uncertainty.spreads import spread


def robust(**changes):
    found = intervals.Robustness(
        draws=8, seed=3, spreads=(spread("a"), spread("b", 1, 2, 4, log=True, factor="f", tied=0.5, sure="low")),
        nominal={"cost": np.array([1.0, 2.0])}, quantiles={"cost": np.array([[1, 2, 3], [4, 5, 6.0]])},
        p_meets={"cost <= 2": np.array([0.5, 0.25])}, p_feasible=np.array([0.5, 0.1]),
        nondominated_fraction=np.array([1.0, 0.0]),
    )  # fmt: skip
    swing = Swing(Input(found.spreads[1:]), "cost", 1.0, 2.0, 4.0, 0.25, 0.5)
    usual = {"ids": [4, 9], "on_front": [True, False], "names": {4: ("knee", "best_cost")}, "found": found,
             "subject": (4, "knee"), "swings": [swing]}  # fmt: skip
    return RobustRun(**usual | changes)


def test_tables_of_draws_hold_what_was_found_and_come_back(tmp_path):
    run = robust()
    (first, second) = designs_frame(run).to_dict("records")
    assert first == {
        "id": 4, "picks": "knee best_cost", "front": True, "p_feasible": 0.5, "nondominated_fraction": 1.0,
        "p cost <= 2": 0.5, "cost": 1.0, "cost p10": 1.0, "cost p50": 2.0, "cost p90": 3.0,
    }  # fmt: skip
    assert (second["picks"], second["cost p10"], second["cost p90"]) == ("", 4.0, 6.0)
    (line,) = inputs_frame(run.swings).to_dict("records")
    assert line == {
        "metric": "cost", "input": "b", "at_low": 1.0, "at_typical": 2.0, "at_high": 4.0, "variance_fraction": 0.25,
        "variance_fraction_with_interactions": 0.5, "confidence": "low", "parameters": "b",
    }  # fmt: skip
    alone, tied = parameters_frame(run.found).to_dict("records")
    assert (alone["shape"], alone["shared_factor"], alone["confidence"]) == ("triangular", "", "high")
    assert math.isnan(alone["correlation"])
    assert (tied["shape"], tied["shared_factor"], tied["correlation"]) == ("log-triangular", "f", 0.5)
    asked, unasked = SimpleNamespace(probabilities=["p_feasible >= 0.5"]), SimpleNamespace(probabilities=())
    assert drawn_facts(asked, None) == {}
    assert drawn_facts(asked, run) == {"robustness": {"draws": 8, "seed": 3, "designs": 2, "front": 1}}
    assert drawn_facts(unasked, run) == {"robustness": {"draws": 8, "seed": 3, "designs": 2}}
    (tmp_path / "manifest.json").write_text("{}")
    files = write_robust(tmp_path, run)
    assert [file.name for file in files] == ["designs.csv", "inputs.csv", "parameters.csv", "draws.json"]
    write_robust(tmp_path, run)
    assert json.loads(files[3].read_text()) == {"draws": 8, "seed": 3, "inputs_of": {"id": 4, "pick": "knee"}}

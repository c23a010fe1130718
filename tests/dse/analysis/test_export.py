"""A run as trials of a study, of a run that is made up; and the address where a study would lie."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dse.analysis import export
from dse.analysis.export import _chosen, _exported, export_study
from dse.errors import RunError

TABLE = pd.DataFrame({
    "id": [7, 3, 5, 9], "memory": ["hbm3", "gddr6", "hbm3", "hbm3"], "macs": [1.0, 2.0, np.nan, 4.0],
    "cost_usd": [10.0, np.nan, 30.0, 40.0], "tdp_w": [1.0, 2.0, np.nan, 4.0], "word": ["a", "b", "c", "d"],
    "feasible": [True, False, True, True], "violation": 0.0, "pareto": [True, False, False, True], "sampled": True,
    "margin tdp_w <= 3": [0.5, 0.25, 0.0, -0.5],
})  # fmt: skip
SPACE = SimpleNamespace(parameters={
    "memory": SimpleNamespace(names=("gddr6", "hbm3")), "macs": SimpleNamespace(names=()),
    "absent": SimpleNamespace(names=()),
})  # fmt: skip


def made(table=TABLE):
    spec = SimpleNamespace(
        objectives=[SimpleNamespace(metric="cost_usd")],
        constraints=[SimpleNamespace(metric=name) for name in ("tdp_w", "cost_usd", "tdp_w", "gone")],
    )
    manifest = {"sampler": "sobol", "seed": 4, "finished": "2026-01-02T03:04:05+00:00"}
    return SimpleNamespace(spec=spec, designs=table, path=Path("runs/now"), name="mine", manifest=manifest)


def exported(**options):
    return _exported(made(), SPACE, TABLE, **{"every_metric": False, **options})


def test_trials_have_objectives_constraints_and_what_was_asked_for():
    found = exported()
    assert (
        found.designs["memory"].names().tolist() == ["hbm3", "gddr6", "hbm3", "hbm3"] and "absent" not in found.designs
    )
    np.testing.assert_array_equal(found.designs["macs"], [1, 2, np.nan, 4])
    np.testing.assert_array_equal(found.values, [[10], [np.nan], [30], [40]])
    # Optuna's constraints are met at 0 and below.
    assert {name: column.tolist() for name, column in found.constraints.items()} == {
        "tdp_w <= 3": [-0.5, -0.25, 0, 0.5]
    }
    assert found.finished == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found.attributes == [
        {"run": "now", "id": 7, "feasible": True, "pareto": True, "tdp_w": 1.0},
        {"run": "now", "id": 3, "feasible": False, "pareto": False, "tdp_w": 2.0},
        {"run": "now", "id": 5, "feasible": True, "pareto": False},
        {"run": "now", "id": 9, "feasible": True, "pareto": True, "tdp_w": 4.0},
    ]


def test_every_metric_is_whatever_is_no_parameter_goal_or_remark():
    assert exported(every_metric=True).attributes[0] == {
        "run": "now", "id": 7, "feasible": True, "pareto": True, "tdp_w": 1.0, "word": "a",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("at_most", "ids"),
    [(5, [3, 5, 7, 9]), (4, [3, 5, 7, 9]), (3, [3, 7, 9]), (2, [7, 9]), (1, [7])],
)
def test_the_front_goes_first_and_trials_stand_by_id(at_most, ids):
    assert _chosen(TABLE, at_most)["id"].tolist() == ids


def test_a_long_run_is_thinned_evenly_beside_its_front():
    long = pd.DataFrame({"id": np.arange(21), "pareto": np.arange(21) == 10})
    assert _chosen(long, 6)["id"].tolist() == [0, 5, 10, 11, 15, 20]
    assert _chosen(pd.DataFrame({"id": np.arange(9), "pareto": True}), 3)["id"].tolist() == [0, 4, 8]


@pytest.mark.parametrize("name", [None, "told"])
def test_a_study_is_named_after_its_run(monkeypatch, name):
    import dse.samplers
    from dse.samplers.optuna import export as written

    given = {}

    def place_of(spec, url, name):
        return SimpleNamespace(url=url, name=name)

    def write(place, space, trials, about):
        given.update(place=place, trials=trials, about=about)

    monkeypatch.setattr(dse.samplers, "study_place_of", place_of)
    monkeypatch.setattr(written, "write_study", write)
    monkeypatch.setattr(export, "Space", lambda spec: SPACE)
    found = export_study(made(), "sqlite:///x.db", name=name, at_most=3)
    assert found == export.ExportedStudy("sqlite:///x.db", name or "mine-now", 3, 4, 2)
    assert given["about"] == {"run": "now", "sampler": "sobol", "seed": 4}
    assert [one["id"] for one in given["trials"].attributes] == [3, 7, 9]
    assert "word" not in given["trials"].attributes[0]
    assert export_study(made(), "sqlite:///x.db", name=name).trials == 4
    with pytest.raises(RunError, match="no designs to export"):
        export_study(made(TABLE[:0]), "sqlite:///x.db")

"""Optuna's samplers beside a study that is asked and told by hand; a shared study by its rules, without storage."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from dse.errors import RecordError, RunError, SamplerError
from dse.packing import Record, packed, read_packed
from dse.samplers import Feedback, make_sampler
from dse.samplers.optuna import export, sampler, storage
from dse.samplers.optuna.sampler import class_of, distributions
from dse.samplers.optuna.study import CompletedTrial, ForeignTrials, SharedStudy, StudyConfig
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import small

pytestmark = pytest.mark.usefixtures("quiet_optuna")

AXES = {
    "node": {"values": ["tsmc_7", "tsmc_5", "samsung_5"]}, "memory": "hbm3", "memory_device_gib": 16,
    "memory_devices": {"low": 2, "high": 16, "step": 2}, "clock_ghz": {"low": 0.5, "high": 1.5},
}  # fmt: skip
SPACE = Space(parse_spec(small(space=AXES)))
NAMES = ("tsmc_7", "tsmc_5", "samsung_5")


def worth(unit: Any, start: int) -> Feedback:
    """Two objectives, of which one is missing in places, and violations of two conditions."""
    first, second = unit.sum(axis=1), ((unit - 0.6) ** 2).sum(axis=1)
    objectives = np.stack([first, np.where(unit[:, 1] > 0.9, np.nan, second)], axis=1)
    violations = np.stack([np.maximum(0, 0.3 - unit[:, 0]), np.maximum(0, unit[:, 1] - 0.8)], axis=1)
    feasible = (violations == 0).all(axis=1) & np.isfinite(objectives).all(axis=1)
    return Feedback(np.arange(start, start + len(unit)), objectives, violations, feasible)


def by_hand(kind: Any, batch: int, count: int, *, floats: bool, blind: bool, warm: Any = ()) -> Any:
    """Points of a study that is asked for a batch, and told of it, by turns."""
    study = optuna.create_study(directions=["minimize"] * 2, sampler=kind)
    axes: dict[str, Any] = {
        name: CategoricalDistribution(NAMES) if name == "node" and not floats else FloatDistribution(0.0, 1.0)
        for name in SPACE.dimensions
    }
    for point in warm:
        told = dict(zip(SPACE.dimensions, map(float, point), strict=True))
        if not floats:
            told["node"] = NAMES[min(int(told["node"] * 3), 2)]
        study.enqueue_trial(told)
    points: list[list[float]] = []
    while len(points) < count:
        trials = [study.ask(axes) for _ in range(min(batch, count - len(points)))]
        unit = [
            [(NAMES.index(v) + 0.5) / 3 if isinstance(v := trial.params[name], str) else v for name in SPACE.dimensions]
            for trial in trials
        ]
        found = worth(np.array(unit), 0)
        for row, trial in enumerate(trials):
            if blind and not found.feasible[row]:
                study.tell(trial, state=TrialState.FAIL)
                continue
            for place, value in enumerate(() if blind else found.violations[row]):
                trial.set_constraint(f"violation_{place}", float(value))
            study.tell(trial, [value if math.isfinite(value) else 1e30 for value in found.objectives[row]])
        points += unit
    return np.array(points)


FEW, TWELVE = {"n_startup_trials": 12}, {"population_size": 12}
KINDS: dict[str, tuple[Any, int, dict[str, Any], bool, bool]] = {
    "tpe": (
        lambda: optuna.samplers.TPESampler(seed=4, n_startup_trials=12),
        10,
        {"n_startup_trials": 12},
        False,
        False,
    ),
    "nsgaii": (
        lambda: optuna.samplers.NSGAIISampler(seed=4, population_size=12),
        12,
        {"population_size": 12},
        False,
        False,
    ),
    "qmc": (lambda: optuna.samplers.QMCSampler(seed=4, scramble=True), 10, {"scramble": True}, True, True),
    "optuna:RandomSampler": (lambda: optuna.samplers.RandomSampler(seed=4), 7, {"batch": 7}, False, True),
}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_designs_are_those_of_a_study_that_is_asked_and_told_by_hand(name: str, warm: bool) -> None:
    kind, batch, options, floats, blind = KINDS[name]
    known = np.random.default_rng(0).random((30, len(SPACE.dimensions)))
    best = known[sorted(range(30), key=lambda row: (worth(known, 0).violations[row].sum(), row))][:batch]
    ours: Any = make_sampler(name, SPACE, n_designs=45, seed=4, n_objectives=2, options=options)
    if warm:
        ours.warm_start(known, worth(known, 0))
    expected = by_hand(kind(), batch, 45, floats=floats, blind=blind, warm=best if warm else ())
    seen = 0
    while designs := ours.ask(4):
        # A batch ends where it ends, whatever is asked.
        assert designs.rows == min(4, batch - seen % batch, 45 - seen)
        unit = expected[seen : seen + designs.rows]
        for cell, other in zip(designs.values(), SPACE.decode(unit).values(), strict=True):
            assert list(np.asarray(getattr(cell, "codes", cell))) == list(np.asarray(getattr(other, "codes", other)))
        ours.tell(worth(unit, seen))
        seen += designs.rows
    assert seen == 45
    with pytest.raises(SamplerError, match="before it is asked"):
        ours.warm_start(known, worth(known, 0))
    ours.extend(5)
    assert ours.total == 50 and ours.ask(99).rows == 5


@pytest.mark.parametrize(
    ("name", "batch", "notes"),
    [
        ("tpe", 10, []), ("nsgaii", 50, []), ("nsgaiii", 50, []), ("qmc", 10, ["qmc does not see constraints"]),
        ("random_optuna", 10, ["random_optuna does not see constraints"]),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_says_its_batch_and_what_it_is_not_made_for(name: str, batch: int, notes: list[str]) -> None:
    def told(count: int) -> list[str]:
        return list(make_sampler(name, SPACE, n_designs=count, seed=0, n_objectives=2).describe())

    kind = class_of(name, SPACE)
    first = f"Optuna's {kind} in batches of {batch} designs"
    limit = sampler.MEANT_FOR.get(kind)
    assert told(limit or 10**6) == [first, *notes]
    if limit:
        slow = f"{name} slows down with every design; it is meant for up to {limit}"
        assert told(limit + 1) == [first, slow, *notes]


def test_names_are_categories_unless_a_sampler_knows_none() -> None:
    usual, floats = distributions(SPACE, floats_only=False), distributions(SPACE, floats_only=True)
    assert usual["node"] == CategoricalDistribution(NAMES)
    assert {name for name, one in usual.items() if one == FloatDistribution(0.0, 1.0)} == set(SPACE.dimensions) - {
        "node"
    }
    assert set(floats.values()) == {FloatDistribution(0.0, 1.0)} and list(floats) == list(SPACE.dimensions)
    several = {"values": ["tsmc_7"], "when": {"cooling": "air"}}, {"values": ["tsmc_5"], "when": {"cooling": "liquid"}}
    axes = {**AXES, "cooling": {"values": ["air", "liquid"]}, "node": list(several)}
    split = distributions(Space(parse_spec(small(space=axes))), floats_only=False)
    assert "node" not in split or isinstance(split["node"], FloatDistribution)


@pytest.mark.parametrize(
    ("coordinate", "name"), [(0.0, 0), (0.33, 0), (1 / 3, 1), (0.66, 1), (0.67, 2), (0.999, 2), (1.0, 2)]
)
def test_a_coordinate_is_a_name_and_a_name_the_middle_of_its_cell(coordinate: float, name: int) -> None:
    known = distributions(SPACE, floats_only=False)
    point = np.full(len(SPACE.dimensions), 0.25)
    place = list(SPACE.dimensions).index("node")
    point[place] = coordinate
    told = sampler._parameters(SPACE, known, point)
    assert told["node"] == NAMES[name] and all(value == 0.25 for key, value in told.items() if key != "node")
    assert sampler._point(SPACE, known, told)[place] == (name + 0.5) / 3


# --- a shared study ---------------------------------------------------------------------------------------------------


CONFIG = StudyConfig("journal:x.log", "mine", False, "small", "hash", ("a", "b"), ("minimize", "maximize"))


class Study:
    """As much of a study as a run looks at."""

    def __init__(self, directions: Any = ("MINIMIZE", "MAXIMIZE"), attributes: Any = None, trials: Any = ()) -> None:
        self.directions = [SimpleNamespace(name=name) for name in directions]
        self.user_attrs = dict(attributes or {})
        self.trials = list(trials)

    def get_trials(self, **_: Any) -> Any:
        return self.trials


def shared(study: Any, **config: Any) -> SharedStudy:
    from dataclasses import replace

    one = SharedStudy(replace(CONFIG, **config), SPACE)
    one._study = study
    return one


@pytest.mark.parametrize(
    ("study", "config", "trials", "ours", "says"),
    [
        (Study(), {}, False, False, ""), (Study(attributes={"question": "hash"}), {}, True, True, ""),
        (Study(("MINIMIZE", "MINIMIZE")), {}, False, False, "its directions are minimize, minimize"),
        (Study(), {}, True, False, "was not made by this program"),
        (Study(attributes={"question": "other"}), {}, False, False, "is of another sweep"),
        (Study(attributes={"question": "hash"}), {}, True, False, "holds trials already; take part with --join"),
        (Study(attributes={"question": "hash"}), {"join": True}, True, False, ""),
        (Study(attributes={"question": "hash"}), {}, False, False, ""),
    ],
)  # fmt: skip
def test_who_may_write_to_a_study(study: Any, config: Any, trials: bool, ours: bool, says: str) -> None:
    if says:
        with pytest.raises(RunError, match=says):
            shared(study, **config)._check(trials, ours)
    else:
        shared(study, **config)._check(trials, ours)


def trial_of(number: int, run: str, values: Any = (1.0, 2.0), **system: Any) -> Any:
    parameters = {"node": "tsmc_5", "memory_devices": 4, "clock_ghz": 1.0}
    return SimpleNamespace(
        number=number, user_attrs={"run": run}, values=list(values), params=parameters, system_attrs=system
    )


def test_news_are_what_others_added_since_the_last_time() -> None:
    study = Study()
    one = shared(study, join=True)
    study.trials = [trial_of(0, "x", (1.0, 2.0)), trial_of(1, one.run), trial_of(2, "y", (3.0, -4.0), **{
        "constraints:a": 0.5, "constraints:b": "code", "tpe:c": 1.0})]  # fmt: skip
    found = one.news()
    assert found.values.tolist() == [[1.0, -2.0], [3.0, 4.0]] and found.attributes == ({}, {"constraints:a": 0.5})
    back = SPACE.decode(found.unit)
    assert back["memory_devices"].tolist() == [4, 4] and back["clock_ghz"].tolist() == [1.0, 1.0]
    assert len(one.news().values) == 0
    study.trials.append(trial_of(3, "x"))
    assert len(one.news().values) == 1
    again = shared(study)
    again.restore(read_packed(packed({"it": one.state()}), "x").part("it"))
    assert again.run == one.run and again._seen == {0, 1, 2, 3}
    for broken in ({"run": "x" * 32, "seen": []}, {"run": "a" * 31, "seen": []}, {"run": "a" * 32, "seen": [-1]}):
        with pytest.raises(RecordError):
            again.restore(Record(broken, "it"))


def test_a_design_is_a_trial_in_the_directions_of_its_metrics() -> None:
    one = shared(None)
    told = {"node": "tsmc_5", "memory_devices": 4, "clock_ghz": 1.0}
    system = {"constraints:a": 0.5, "tpe:x": 1, "cma:x": 1, "fixed_params": {}, "nsga2:generation": 3}
    done = one._trial(CompletedTrial(7, (0.5,), (1.0, 2.0), True, system), dict(told))
    assert (done.state, done.values) == (TrialState.COMPLETE, [1.0, -2.0]) and done.params == told
    assert done.user_attrs == {"run": one.run, "id": 7, "feasible": True}
    assert done.system_attrs == {"constraints:a": 0.5, "nsga2:generation": 3}
    failed = one._trial(CompletedTrial(8, (0.5,), None, False, {}), dict(told))
    assert (failed.state, failed.values, failed.user_attrs["feasible"]) == (TrialState.FAIL, None, False)


def test_what_others_found_is_plain_data_and_back() -> None:
    found = ForeignTrials(np.ones((2, 3)), np.zeros((2, 2)), ({"constraints:a": 1.0}, {}))
    back = ForeignTrials.of(read_packed(packed({"it": found.data()}), "x").part("it"), 3, 2)
    assert back.unit.tolist() == found.unit.tolist() and back.attributes == found.attributes
    for dimensions, objectives, data in (
        (2, 2, found.data()),
        (3, 1, found.data()),
        (3, 2, {**found.data(), "attributes": [{}]}),
    ):
        with pytest.raises(RecordError):
            ForeignTrials.of(read_packed(packed({"it": data}), "x").part("it"), dimensions, objectives)


def test_evaluated_designs_are_trials_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "BATCH", 2)
    designs = SPACE.decode(np.random.default_rng(0).random((5, len(SPACE.dimensions))))
    values = np.array([[1.0, 2.0], [np.nan, 1.0], [3.0, 4.0], [5.0, np.inf], [7.0, 8.0]])
    when = datetime(2026, 1, 2, tzinfo=UTC)
    constraints = {"limit": np.arange(5.0) - 2}
    rows = export.Exported(designs, values, constraints, [{"id": row} for row in range(5)], when)
    batches = export._batches(SPACE, rows)
    assert [len(batch) for batch in batches] == [2, 2, 1] and len(rows) == 5
    for row, trial in enumerate(one for batch in batches for one in batch):
        known = np.isfinite(values[row]).all()
        assert trial.state == (TrialState.COMPLETE if known else TrialState.FAIL)
        assert trial.values == (values[row].tolist() if known else None) and trial.user_attrs == {"id": row}
        assert trial.constraints == {"limit": row - 2.0} and trial.datetime_start == trial.datetime_complete == when
        assert trial.params["memory_devices"] == designs["memory_devices"][row]


# --- storages ---------------------------------------------------------------------------------------------------------


def test_an_address_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSE_IT", "sqlite:///a.db")
    assert storage.resolved_url("env:DSE_IT") == "sqlite:///a.db" and storage.resolved_url("journal:x") == "journal:x"
    monkeypatch.setenv("DSE_IT", "nonsense")
    with pytest.raises(RunError, match="DSE_IT holds no address"):
        storage.resolved_url("env:DSE_IT")
    monkeypatch.setenv("DSE_IT", "")
    with pytest.raises(RunError, match="DSE_IT is not set"):
        storage.resolved_url("env:DSE_IT")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError("first\n second"), "storage u: cannot be used: first$"),
        (ValueError(""), "cannot be used: ValueError"),
        (ValueError("\n  late://u:pw@h  \n"), r"cannot be used: late://u:\*\*\*@h"),
    ],
)  # fmt: skip
def test_what_a_storage_raises_is_one_line_without_the_password(error: Exception, says: str) -> None:
    with pytest.raises(RunError, match=says), storage._said("u"):
        try:
            raise error
        except Exception as cause:
            raise OSError("outer") from cause


def test_times_are_kept_as_those_of_greenwich() -> None:
    assert storage._utc(None) is None
    assert storage._utc(datetime.fromisoformat("2026-01-02T03:00:00+02:00")) == datetime(2026, 1, 2, 1)


def test_a_database_is_tried_four_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from sqlalchemy.exc import DatabaseError

    tries: list[int] = []
    waits: list[float] = []

    def open_late(after: int) -> Any:
        def begin(address: str, engine_kwargs: Any) -> Any:
            tries.append(1)
            if len(tries) < after:
                raise DatabaseError("x", None, Exception("late"))
            return address

        return begin

    monkeypatch.setattr(storage.time, "sleep", waits.append)
    monkeypatch.setattr(optuna.storages, "RDBStorage", open_late(4))
    assert storage._database(f"sqlite:///{tmp_path}/a.db") == f"sqlite:///{tmp_path}/a.db"
    assert len(tries) == 4 and waits == pytest.approx([0.2, 0.4, 0.6])
    tries.clear()
    monkeypatch.setattr(optuna.storages, "RDBStorage", open_late(5))
    with pytest.raises(DatabaseError):
        storage._database(f"sqlite:///{tmp_path}/a.db")
    assert len(tries) == 4

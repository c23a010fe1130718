"""What a run writes to a study in a storage, what it learns there, and arguments of Optuna's samplers; by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from dse.errors import RecordError, RunError, SamplerError, SpecError
from dse.packing import packed, read_packed
from dse.samplers import Feedback, make_sampler
from dse.samplers.optuna import export, options, sampler, storage
from dse.samplers.optuna.study import CompletedTrial, ForeignTrials, SharedStudy, StudyConfig
from dse.space import Space
from dse.sweep import parse_spec
from dse.sweep.search import OptunaOptions
from tests.sweeps import small

pytestmark = [
    pytest.mark.usefixtures("quiet_optuna"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]

AXES = {
    "node": {"values": ["tsmc_7", "tsmc_5", "samsung_5"]}, "memory": "hbm3", "memory_device_gib": 16,
    "memory_devices": 8, "clock_ghz": {"low": 0.5, "high": 1.5},
}  # fmt: skip
SPACE = Space(parse_spec(small(space=AXES)))
PLACE = StudyConfig("journal:x", "mine", True, "small", "hash", ("a", "b"), ("minimize", "maximize"))
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def trial_of(number: int, *, failed: bool = False) -> Any:
    done = create_trial(
        state=TrialState.FAIL if failed else TrialState.COMPLETE,
        values=None if failed else [float(number), -1.5 * number],
        params={"node": ("tsmc_7", "tsmc_5")[number % 2], "clock_ghz": 1.0 + number / 100, "macs": number},
        distributions={
            "node": optuna.distributions.CategoricalDistribution(("tsmc_5", "tsmc_7")),
            "clock_ghz": optuna.distributions.FloatDistribution(0.5, 2.0),
            "macs": optuna.distributions.IntDistribution(0, 99),
        },
        user_attrs={"id": number, "feasible": not failed},
        system_attrs={"constraints:a": number / 2},
    )
    done.datetime_start = done.datetime_complete = WHEN
    return done


def looks(trial: Any) -> tuple[Any, ...]:
    return trial.state, trial.values, trial.params, trial.user_attrs, trial.system_attrs, trial.distributions


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_what_is_added_at_once_is_what_is_read(tmp_path: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"journal:{tmp_path}/a.log" if kind == "journal" else f"sqlite:///{tmp_path}/a.db"
    place = storage.open_storage(url)
    two = [optuna.create_study(storage=place, study_name=name, directions=["minimize"] * 2) for name in "ab"]
    two[0].add_trial(trial_of(50))
    writes: list[int] = []
    write = JournalFileBackend.append_logs
    monkeypatch.setattr(
        JournalFileBackend, "append_logs", lambda self, logs: writes.append(len(logs)) or write(self, logs)
    )
    storage.append(two[1], place, [])
    assert not writes
    storage.append(two[1], place, [trial_of(0), trial_of(1), trial_of(2, failed=True), trial_of(3)])
    assert len(writes) == (2 if kind == "journal" else 0), "the first by itself, the others in one go"
    storage.append(two[1], place, [trial_of(4)])
    storage.append(two[0], place, [trial_of(51), trial_of(52)])
    again = storage.open_storage(url)
    for name, numbers in (("a", [50, 51, 52]), ("b", [0, 1, 2, 3, 4])):
        trials = optuna.load_study(storage=again, study_name=name).trials
        assert [trial.number for trial in trials] == list(range(len(numbers)))
        assert list(map(looks, trials)) == [looks(trial_of(number, failed=number == 2)) for number in numbers]
        if kind == "sqlite":
            # Its own way of adding turns no time into that of Greenwich.
            assert all(trial.datetime_complete == WHEN.replace(tzinfo=None) for trial in trials[1:])
    if kind == "sqlite":
        import sqlalchemy

        with place.engine.begin() as connection:
            connection.execute(sqlalchemy.text("UPDATE version_info SET schema_version = 13"))
        with pytest.raises(RunError, match="keeps studies in tables of version 13, not 12"):
            storage.append(two[1], place, [trial_of(5)])
        assert len(optuna.load_study(storage=storage.open_storage(url), study_name="b").trials) == 5


def test_lines_of_a_journal_are_held_until_all_are_there(tmp_path: Any) -> None:
    backend = storage._gathering_backend()(str(tmp_path / "a.log"))
    backend.append_logs([{"n": 1}])
    with backend.gathered():
        backend.append_logs([{"n": 2}])
        backend.append_logs([{"n": 3}, {"n": 4}])
        assert len(list(backend.read_logs(0))) == 1
    assert [line["n"] for line in backend.read_logs(0)] == [1, 2, 3, 4] and backend.held is None
    with pytest.raises(KeyError), backend.gathered():
        backend.append_logs([{"n": 5}])
        raise KeyError
    backend.append_logs([{"n": 6}])
    assert [line["n"] for line in backend.read_logs(0)] == [1, 2, 3, 4, 6]
    for url in (f"journal:{tmp_path}/no/a.log", f"sqlite:///{tmp_path}/no/a.db"):
        with pytest.raises(RunError, match=f"there is no folder {tmp_path}/no"):
            storage.open_storage(url)


def test_a_study_is_made_once_and_gone_on_with(tmp_path: Any) -> None:
    config = replace(PLACE, url=f"journal:{tmp_path}/a.log", join=False)
    one = SharedStudy(config, SPACE)
    assert one.connect(0) == set()
    made = one._study
    assert made.user_attrs == {"sweep": "small", "question": "hash"} and made.metric_names == ["a", "b"]
    unit = SPACE.encode(SPACE.decode(np.array([[0.1, 0.25], [0.9, 0.75]])))
    one.publish([])
    done = [CompletedTrial(id, tuple(unit[id]), (1.0, 2.0), True, {"tpe:x": 1}) for id in (0, 1)]
    one.publish(done)
    assert [trial.params for trial in made.trials] == [
        {"node": "tsmc_7", "clock_ghz": 0.75}, {"node": "samsung_5", "clock_ghz": 1.25},
    ]  # fmt: skip
    assert [(trial.values, trial.user_attrs["id"]) for trial in made.trials] == [([1.0, -2.0], 0), ([1.0, -2.0], 1)]
    again = SharedStudy(config, SPACE)
    again.run = one.run
    assert again.connect(2) == {0, 1}
    with pytest.raises(RunError, match="holds designs that this run does not know"):
        again.connect(1)
    with pytest.raises(RunError, match="holds trials already"):
        SharedStudy(config, SPACE).connect(9)
    other = SharedStudy(replace(config, join=True), SPACE)
    assert other.connect(0) == set()
    assert other.news().values.tolist() == [[1.0, 2.0], [1.0, 2.0]] and other.news().unit.shape == (0, 0)
    np.testing.assert_allclose(other._space.decode(unit)["clock_ghz"], [0.75, 1.25])
    assert SharedStudy(config, SPACE).run != one.run and len(one.run) == 32


def test_an_exported_study_is_a_new_one(tmp_path: Any) -> None:
    config = replace(PLACE, url=f"journal:{tmp_path}/a.log")
    designs = SPACE.decode(np.array([[0.1, 0.25], [0.9, 0.75]]))
    rows = export.Exported(designs, np.array([[1.0, 2.0], [np.nan, 3.0]]), {}, [{"id": 0}, {"id": 1}], WHEN)
    export.write_study(config, SPACE, rows, {"more": [1, 2]})
    study = optuna.load_study(storage=storage.open_storage(config.url), study_name="mine")
    assert study.user_attrs == {"sweep": "small", "question": "hash", "more": [1, 2]}
    assert study.metric_names == ["a", "b"] and [one.name for one in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert [trial.values for trial in study.trials] == [[1.0, 2.0], None]
    with pytest.raises(RunError, match="holds a study mine already; another name: --study NAME"):
        export.write_study(config, SPACE, rows, {})


# --- a sampler that shares --------------------------------------------------------------------------------------------


class Outside:
    """A study outside, of which others tell what `others` holds before the batch of that number."""

    def __init__(self, place: StudyConfig, space: Space) -> None:
        self.place, self.run = place, "0000000a" + "0" * 24
        self.there: set[int] = set()
        self.told: list[int] = []
        self.published: list[CompletedTrial] = []
        self.others: list[ForeignTrials] = []
        self.asked = 0

    def connect(self, told: int) -> set[int]:
        self.told.append(told)
        return self.there

    def publish(self, designs: list[CompletedTrial]) -> None:
        self.published += designs

    def news(self) -> ForeignTrials:
        self.asked += 1
        if self.asked - 1 < len(self.others):
            return self.others[self.asked - 1]
        return ForeignTrials(np.empty((0, 0)), np.empty((0, 2)), ())

    def state(self) -> Any:
        return {"run": self.run}

    def restore(self, record: Any) -> None:
        self.run = record.text("run")


def sharing(monkeypatch: pytest.MonkeyPatch, name: str = "tpe", *, join: bool = True, **given: Any) -> Any:
    monkeypatch.setattr(sampler, "SharedStudy", Outside)
    asked = OptunaOptions.model_validate({"batch": 3, **given})
    place = replace(PLACE, join=join)
    return sampler.OptunaSampler(name, SPACE, n_designs=8, seed=1, n_objectives=2, options=asked, place=place)


def judged(first: int, count: int) -> Feedback:
    """The second of every three lacks an objective and misses by 0.5, the third misses alone."""
    kind = np.arange(first, first + count) % 3
    objectives = np.stack([kind + 1.0, np.where(kind == 1, np.nan, 2.0)], axis=1)
    return Feedback(np.arange(first, first + count), objectives, (0.5 * (kind > 0))[:, None], kind == 0)


FOUND = ForeignTrials(
    np.array([[0.5, 0.25], [0.9, 0.5]]), np.array([[1.0, 2.0], [3.0, 4.0]]), ({"constraints:a": 1.0}, {})
)


@pytest.mark.parametrize("name", ["tpe", "random_optuna"])
@pytest.mark.parametrize("join", [True, False])
def test_what_is_told_is_published_once_and_others_are_learned_from(
    name: str, join: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sharing(monkeypatch, name, join=join)
    outside = one._outside
    outside.others = [FOUND, ForeignTrials(np.empty((0, 0)), np.empty((0, 2)), ()), FOUND]
    one.publish()
    assert not outside.told and not outside.published, "nothing is known of the study yet"
    if not join:
        one.connect()
    assert outside.told == ([] if join else [0])
    told = 0
    for wanted in (2, 1, 3, 2):
        designs = one.ask(wanted)
        assert designs.rows == wanted
        one.tell(judged(told, 1))
        if wanted > 1:
            one.tell(judged(told + 1, wanted - 1))
        told += wanted
        one.publish()
        one.publish()
    assert outside.told == [0] and outside.asked == (3 if join else 0)
    assert [done.id for done in outside.published] == list(range(8))
    assert [done.feasible for done in outside.published] == [row % 3 == 0 for row in range(8)]
    blind = name == "random_optuna"
    values = [(row % 3 + 1.0, 2.0) if row % 3 == 0 or (row % 3 == 2 and not blind) else None for row in range(8)]
    assert [done.values for done in outside.published] == values
    points = np.concatenate(one._batches)
    assert [done.unit for done in outside.published] == [tuple(point) for point in points]
    assert all(("constraints:violation_0" in done.attributes) != blind for done in outside.published)
    learned = [trial for trial in one._study.trials if trial.number in ((0, 1, 8, 9) if join else ())]
    assert [trial.values for trial in learned] == [[1, 2], [3, 4]] * 2 * join
    if join:
        assert [trial.system_attrs.get("constraints:a") for trial in learned] == [1.0, None, 1.0, None]
        assert learned[0].params["node"] == "tsmc_5" and learned[1].params["clock_ghz"] == 0.5
    again = sharing(monkeypatch, name, join=join)
    again.restore(one.state())
    assert again._outside.run == one._outside.run and again._pending == [] and again.state() == one.state()
    assert [trial.values for trial in again._study.trials] == [trial.values for trial in one._study.trials]


def test_what_was_told_before_it_could_be_published_is_published_later(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sharing(monkeypatch, join=False)
    one.ask(3)
    one.tell(judged(0, 3))
    assert [(id, usable) for id, _, usable in one._pending] == [(0, True), (1, False), (2, False)]
    again = sharing(monkeypatch, join=False)
    again.restore(one.state())
    assert again._pending == one._pending
    again._outside.there = {1}
    again.connect()
    again.connect()
    assert again._outside.told == [3] and [done.id for done in again._outside.published] == [0, 2]
    assert again._pending == []
    alone = make_sampler("tpe", SPACE, n_designs=8, seed=1, n_objectives=2)
    alone.connect()  # type: ignore[attr-defined]
    alone.publish()  # type: ignore[attr-defined]
    with pytest.raises(SamplerError, match="not one of tpe with these settings"):
        alone.restore(one.state())


def test_processes_that_share_propose_different_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(run: str | None, *, join: bool) -> Any:
        class Named(Outside):
            def __init__(self, *told: Any) -> None:
                super().__init__(*told)
                self.run = run or self.run

        monkeypatch.setattr(sampler, "SharedStudy", Named)
        place = None if run is None else replace(PLACE, join=join)
        asked = OptunaOptions.model_validate({"batch": 3})
        one = sampler.OptunaSampler(
            "random_optuna", SPACE, n_designs=8, seed=16, n_objectives=2, options=asked, place=place
        )
        return one.ask(3)["clock_ghz"].tolist()

    plain = first(None, join=False)
    assert first("00000010" + 24 * "f", join=True) == plain, "sixteen, as the seed"
    assert first("00000011" + 24 * "f", join=True) != plain and first("ffff0011" + 24 * "f", join=False) == plain


def test_a_state_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = make_sampler("tpe", SPACE, n_designs=20, seed=1, n_objectives=2)
    one.ask(10)
    one.tell(judged(0, 4))
    whole = dict(read_packed(one.state(), "it").data)
    for turns in ([11, 4], [10, 3], [10, 5]):
        with pytest.raises(RecordError, match="turns"):
            one.restore(packed({**whole, "turns": turns}))
    forced = make_sampler("tpe", SPACE, n_designs=20, seed=1, n_objectives=2)
    # As another machine proposed them: the study is made to propose the same.
    points = whole["points"].copy()
    points[:, 1] = np.linspace(0, 0.9, 10)
    forced.restore(packed({**whole, "points": points}))
    assert read_packed(forced.state(), "it").data["points"].tolist() == points.tolist()
    forced.tell(judged(4, 6))
    assert forced.ask(99).rows == 10


# --- arguments --------------------------------------------------------------------------------------------------------


def made(kind: str = "NSGAIISampler", **given: Any) -> dict[str, Any]:
    known = ("seed", "population_size", "crossover", "mutation", "independent_sampler", "constraints_func")
    return options.made_arguments(kind, known, given, seed=7, space=SPACE)


def test_arguments_are_values_and_objects_of_optunas_classes() -> None:
    assert made(population_size=4) == {"population_size": 4} and made() == {}
    crossover = made(crossover="SBXCrossover", population_size=6)["crossover"]
    assert type(crossover) is optuna.samplers.nsgaii.SBXCrossover
    assert made(crossover={"SBXCrossover": {"eta": 3.5}})["crossover"]._eta == 3.5
    inner = made(independent_sampler="RandomSampler")["independent_sampler"]
    draws = inner._rng.rng.random(3).tolist()
    assert draws == optuna.samplers.RandomSampler(seed=7)._rng.rng.random(3).tolist()
    own = made(independent_sampler={"RandomSampler": {"seed": 9}})["independent_sampler"]._rng.rng.random(3).tolist()
    assert own == optuna.samplers.RandomSampler(seed=9)._rng.rng.random(3).tolist() != draws


def test_every_wrong_argument_is_told_at_once() -> None:
    with pytest.raises(SpecError) as told:
        made(
            constraints_func=1, populaton_size=3, crossover="SBX", mutation={"PolynomialMutation": {"eat": 1}},
            independent_sampler={"RandomSampler": 3, "TPESampler": 4},
        )  # fmt: skip
    words = {issue.path.removeprefix("search.options."): str(issue) for issue in told.value.issues}
    assert list(words) == ["constraints_func", "populaton_size", "crossover", "mutation", "independent_sampler"]
    assert "takes a Python object, which a sweep cannot hold" in words["constraints_func"]
    assert "is not an argument of Optuna's NSGAIISampler" in words["populaton_size"]
    assert words["populaton_size"].endswith("perhaps population_size")
    assert "constraints_func" not in words["populaton_size"], "what a sweep cannot hold is not offered"
    assert words["crossover"].endswith("perhaps SBXCrossover")
    assert "the key 'eat' is not an argument of PolynomialMutation" in words["mutation"]
    assert "or one of them with its arguments" in words["independent_sampler"]
    for value, says in (
        ({"SBXCrossover": 3}, "3 is not a mapping of arguments of SBXCrossover"),
        ({}, "or one of them with its arguments"), ("RandomSampler", "is not BLXAlphaCrossover"),
        ({"SBXCrossover": {"eta": -1.0}}, "Optuna's SBXCrossover refuses its arguments"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=says):
            made(crossover=value)


def test_what_an_optuna_study_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = []
    whole = optuna.samplers.TPESampler

    class Noted(whole):  # type: ignore[valid-type,misc]
        def __init__(self, *, n_startup_trials: int = 10, seed: int | None = None) -> None:
            kinds.append((n_startup_trials, seed))
            super().__init__(n_startup_trials=n_startup_trials, seed=seed)

    monkeypatch.setattr(optuna.samplers, "TPESampler", Noted)
    study = sampler._study("TPESampler", 5, 2, {"n_startup_trials": 3}, SPACE)
    assert [one.name for one in study.directions] == ["MINIMIZE"] * 2 and kinds == [(3, 5)]
    sampler._study("TPESampler", 5, 1, {"seed": 8}, SPACE)
    assert kinds[-1] == (10, 8)
    assert sampler._sharing_notes(None, True) == []
    outside = SimpleNamespace(place=PLACE)
    assert sampler._sharing_notes(outside, False) == ["written to the study mine in journal:x"]  # type: ignore[arg-type]
    assert sampler._sharing_notes(outside, True)[0].startswith("shared the study mine in journal:x; ")  # type: ignore[arg-type]

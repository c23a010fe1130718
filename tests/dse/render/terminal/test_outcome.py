"""Which parts a run is told in, and in which order."""

from types import SimpleNamespace

import pytest

from dse.render.terminal import outcome
from dse.render.terminal.tables import Lines
from tests.dse.render.terminal.made import pick, run, sweep, workload

PARTS = (
    "overview_table",
    "front_table",
    "misses_table",
    "stored_table",
    "constraints_table",
    "axes_table",
    "picks_table",
)


@pytest.fixture
def told(monkeypatch):
    """The names of parts instead of the parts, with what they were asked for."""
    facts = SimpleNamespace(relaxed=[], tables={}, differ=([], []))

    def named(name):
        return lambda *given, **options: (name, *given[1:], *options.items())

    for name in PARTS:
        monkeypatch.setattr(outcome, name, named(name))
    monkeypatch.setattr(outcome, "verdict", lambda run: SimpleNamespace(lines=["verdict"]))
    monkeypatch.setattr(outcome, "differing_parts", lambda run: facts.differ)
    monkeypatch.setattr(outcome, "users_lines", lambda run: ["users"])
    monkeypatch.setattr(outcome, "binding_lines", lambda run: ["binding"])
    monkeypatch.setattr(outcome, "extrapolated_lines", lambda metrics: [f"unseen {metrics}"])
    monkeypatch.setattr(outcome, "asked", lambda spec: ["asked"])
    monkeypatch.setattr(outcome, "found", lambda run: ["found"])
    monkeypatch.setattr(outcome, "confidence_lines", lambda run: ["confidence"])
    monkeypatch.setattr(outcome, "read_relaxations", lambda path: facts.relaxed)
    monkeypatch.setattr(outcome, "relaxation_lines", lambda rows: [f"{len(rows)} relaxed"])
    monkeypatch.setattr(outcome, "remedy_words", lambda run: facts.remedy)
    monkeypatch.setattr(outcome, "explanation_parts", lambda why, spec: ["why"])
    monkeypatch.setattr(outcome, "comparison_parts", lambda compared, *, short: [("compared", *compared, short)])
    monkeypatch.setattr(outcome, "explain_run_row", lambda run: SimpleNamespace(workloads=facts.tables))
    monkeypatch.setattr(outcome, "goodput_lines", lambda table: table.lines)
    return facts


def names(parts):
    """Parts as names, or lines with their heading."""
    return [(part.heading, *part.lines) if isinstance(part, Lines) else part for part in parts]


KNEE = pick("knee", 5, {"tdp_w": 1.0})
ANSWER = [("made", "verdict"), ("overview_table",)]
UNSEEN = ("", "users", "binding", "unseen {'knee': {'tdp_w': 1.0}}")
DIFFER = [*ANSWER, "differing", ("", "users", "shared", *UNSEEN[2:])]
REST = [
    ("What was asked", "asked"), ("Found", "found"), ("Results that depend on low-confidence inputs", "confidence"),
    ("picks_table",),
]  # fmt: skip
BINDS = [("constraints_table",), ("axes_table",)]


def test_a_run_with_feasible_designs(told):
    told.differ = (["differing"], ["shared"])
    made = run(sweep(), picks=[KNEE])
    stored = [("made  (nowhere)", "verdict"), *DIFFER[1:]]
    assert names(outcome.run_parts(made)) == [*stored, ("front_table", 10, ("spread", True))]
    assert names(outcome.run_parts(made, 3)) == [*stored, ("front_table", 3, ("spread", False))]
    full = [*stored, *REST, ("front_table", 10, ("spread", True)), *BINDS]
    assert names(outcome.run_parts(made, full=True)) == full
    assert names(outcome.outcome_parts(made, ["one"])) == DIFFER
    assert names(outcome.outcome_parts(made, ["one"], full=True)) == [*DIFFER, *REST, *BINDS, ("compared", "one", True)]


def test_a_run_without(told):
    told.differ = (["differing"], ["shared"])
    made = run(sweep(), picks=[KNEE], counts={"feasible": 0})
    stored = [("made  (nowhere)", "verdict"), ("overview_table",), UNSEEN]
    assert names(outcome.run_parts(made)) == [*stored, ("misses_table", 5)]
    told.relaxed = ["a row"]
    assert names(outcome.run_parts(made, 3)) == [*stored, ("misses_table", 3), ("stored_table",)]
    assert names(outcome.outcome_parts(made, [])) == [*ANSWER, UNSEEN, ("misses_table", 2)]
    full = [*ANSWER, UNSEEN, *REST, ("misses_table", 5), *BINDS, ("compared", True)]
    assert names(outcome.outcome_parts(made, [], full=True)) == full
    none = run(sweep(), counts={"evaluated": 0, "feasible": 0})
    assert names(outcome.outcome_parts(none, [])) == [("made", "verdict")]
    assert names(outcome.outcome_parts(none, [], full=True)) == [("made", "verdict"), *REST[:3]]


def test_why_no_load_keeps_the_limits_of_the_nearest_design(told):
    told.tables = {
        "a": SimpleNamespace(fits=True, lines=["one", "two"]), "b": SimpleNamespace(fits=False, lines=["never"]),
        "c": SimpleNamespace(fits=True, lines=["three"]),
    }  # fmt: skip
    served = {"chat": workload(), "live": workload(batching="continuous")}
    users = ("Users of the nearest design", "a: one", "a: two", "c: three")

    def said(spec, **changes):
        return names(outcome.outcome_parts(run(spec, counts={"feasible": 0}, **changes), []))

    assert said(sweep(workloads=served), picks=[KNEE])[-1] == users
    assert names(outcome.run_parts(run(sweep(workloads=served), picks=[KNEE], counts={"feasible": 0})))[-1] == users
    for spec, picks in (
        (sweep(), [KNEE]), (sweep(workloads=served), []), (sweep(workloads=served, builtin_disabled=True), [KNEE]),
    ):  # fmt: skip
        assert said(spec, picks=picks)[-1] == ("misses_table", 2)
    told.tables = {"b": told.tables["b"]}
    assert said(sweep(workloads=served), picks=[KNEE])[-1] == ("misses_table", 2)


def test_what_would_do(told):
    made = run(sweep())
    told.relaxed, told.remedy = ["a", "b"], "least"
    assert outcome.remedy_parts(made, None) == []
    assert names(outcome.remedy_parts(made, "why")) == [("", "least"), ("What would do, each alone", "2 relaxed")]
    assert names(outcome.remedy_parts(made, "why", full=True)) == [("", "least"), "why"]
    told.remedy = ""
    assert names(outcome.remedy_parts(made, "why"))[0] == ("",)

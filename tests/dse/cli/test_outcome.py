"""What becomes of a run once it is searched: what is printed, written and drawn, in which order, with which status."""

import os
import signal
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import typer

from dse.cli import TRACEBACK, outcome
from dse.cli.options import Drawn, Format
from dse.errors import RunError


def stored(path, *, evaluated=9, feasible=2, front=1, status="complete", model=None, builtin_disabled=False):
    """A run of so many designs."""
    return SimpleNamespace(
        path=path,
        found_feasible=bool(feasible and front),
        manifest={"counts": {"evaluated": evaluated, "feasible": feasible, "front": front}, "status": status},
        spec=SimpleNamespace(builtin_disabled=builtin_disabled, model=model, metrics={}),
        picks=[], constraints=[], axes=[], baselines=[], front=pd.DataFrame({"id": [4, 5], "cost_usd": [1.0, 2.0]}),
    )  # fmt: skip


@pytest.fixture
def end(tmp_path, monkeypatch):
    """A function that finishes a run and returns the status and what was done, in its order."""
    done = []

    @contextmanager
    def display(*, quiet):
        done.append(f"display quiet={quiet}")
        yield "sink"
        done.append("display closed")

    def noted(name, result=None):
        return lambda *given, **named: [done.append(name), result][1]

    monkeypatch.setattr("dse.render.terminal.progress_display", display)
    monkeypatch.setattr("dse.render.report.write_report", noted("report"))
    monkeypatch.setattr("dse.render.plots.first_kinds", lambda run: ("first",))
    monkeypatch.setattr("dse.render.plots.plot_run", lambda run, *, kinds, failed: done.append(f"plots {kinds}"))
    monkeypatch.setattr(outcome, "_remedies", noted("remedies"))
    monkeypatch.setattr(outcome, "emit", noted("what would do"))
    monkeypatch.setattr(outcome, "_tell", lambda run, directory, output, full: done.append(f"told at {directory.name}"))

    def finish(run, output=Format.table, plots=Drawn.first, html=True, answers=True, **more):
        done.clear()

        def search(*, progress, answered):
            assert progress == "sink"
            if answers:
                answered(run, Path("later"))
            return run

        with pytest.raises(typer.Exit) as ended:
            outcome.finish(search, quiet=False, output=output, plots=plots, html=html, **more)
        return ended.value.exit_code, done

    return partial(finish)


SHOWN = ["display quiet=False", "display closed", "told at later"]


def test_a_run_is_told_then_drawn_and_ends_with_its_status(end, tmp_path, capsys):
    found = stored(tmp_path)
    assert end(found) == (0, [*SHOWN, "report", "plots ('first',)"])
    told = " ".join(capsys.readouterr().out.split())
    assert told == f"{tmp_path}/: ; all the rest: dse show {tmp_path} --full"
    assert end(found, plots=Drawn.all, html=False) == (0, [*SHOWN, "plots None"])
    assert end(found, plots=Drawn.none) == (0, [*SHOWN, "report"])
    assert end(stored(tmp_path, builtin_disabled=True)) == (0, [*SHOWN, "plots ('first',)"])
    assert end(stored(tmp_path, status="interrupted"))[0] == 130
    (tmp_path / "b").write_text("")
    (tmp_path / "a").write_text("")
    capsys.readouterr()
    end(found, full=True)
    assert " ".join(capsys.readouterr().out.split()) == f"{tmp_path}/: a, b"
    for output in (Format.json, Format.csv):
        assert end(found, output=output) == (0, [*SHOWN, "report", "plots ('first',)"])
        assert capsys.readouterr().out == ""


def test_another_process_draws_where_a_report_is_written_too(end, tmp_path, monkeypatch):
    found, made = stored(tmp_path), []

    @contextmanager
    def beside(work):
        made.append(len(made))
        yield
        work()

    monkeypatch.setattr("dse.parallelism.beside", beside)
    for jobs in (None, 0, 2):
        assert end(found, jobs=jobs) == (0, [*SHOWN, "report", "plots ('first',)"])
    assert made == [0, 1, 2]
    for alone in ({"jobs": 1}, {}, {"jobs": 2, "html": False}, {"jobs": 2, "plots": Drawn.none}):
        end(found, **alone)
    end(stored(tmp_path, builtin_disabled=True), jobs=2)
    assert len(made) == 3


def test_what_would_do_is_looked_for_where_nothing_is_feasible(end, tmp_path):
    none = stored(tmp_path, feasible=0, front=0)
    assert end(none) == (3, [*SHOWN, "remedies", "what would do", "report", "plots ('first',)"])
    assert end(none, output=Format.csv) == (3, [*SHOWN, "remedies", "report", "plots ('first',)"])
    # One document holds all of it: the run where it lies at last.
    last = ["display quiet=False", "display closed", "remedies", f"told at {tmp_path.name}"]
    assert end(none, output=Format.json, plots=Drawn.none, html=False) == (3, last)
    assert end(stored(tmp_path, evaluated=0, feasible=0)) == (3, [*SHOWN, "remedies", "what would do"])


def test_what_goes_wrong_in_telling_is_said_once_the_run_is_written(end, tmp_path, monkeypatch):
    found = stored(tmp_path)
    told = []

    def fails(run, directory, output, full):
        told.append(directory)
        if len(told) == 1:
            raise ValueError

    monkeypatch.setattr(outcome, "_tell", fails)
    assert end(found, plots=Drawn.none, html=False)[0] == 0 and told == [Path("later"), tmp_path]
    told[:] = [0]
    assert end(found, plots=Drawn.none, html=False, answers=False)[0] == 0 and told == [0, tmp_path]


def test_what_cannot_be_made_beside_a_result_is_a_line(monkeypatch, capsys):
    with outcome.telling("the report"):
        raise ValueError("two\n  lines")
    assert capsys.readouterr().err == "dse: the report failed: ValueError: two lines\n"
    monkeypatch.setenv(TRACEBACK, "1")
    with outcome.telling("the report"):
        raise ValueError("again")
    assert "Traceback" in capsys.readouterr().err


def test_remedies_are_looked_for_where_a_whole_search_found_none(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("dse.analysis.relaxation.constraints.explain_infeasible", lambda spec: ("why", spec))
    monkeypatch.setattr("dse.analysis.relaxation.files.write_relaxations", lambda why, path: written.append(path))
    none = stored(tmp_path, feasible=0)
    assert outcome._remedies(none, None) == ("why", none.spec) and written == [tmp_path]
    assert outcome._remedies(none, "asked") == ("why", "asked")
    for other in ({"feasible": 1, "front": 0}, {"evaluated": 0}, {"status": "interrupted"}, {"model": "own"}):
        assert outcome._remedies(stored(tmp_path, **{"feasible": 0, **other}), None) is None, other
    assert len(written) == 2


def test_ctrl_c_ends_the_search_for_remedies_alone(tmp_path, monkeypatch, capsys):
    def pressed(spec):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    noted = []
    monkeypatch.setattr("dse.analysis.relaxation.constraints.explain_infeasible", pressed)
    before = signal.signal(signal.SIGINT, lambda *given: noted.append(given))
    try:
        assert outcome._remedies(stored(tmp_path, feasible=0), None) is None
        assert capsys.readouterr().err == "dse: what would make it feasible: interrupted\n"
        os.kill(os.getpid(), signal.SIGINT)
        assert len(noted) == 1, "as before"
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_files_that_are_opened_first(tmp_path):
    assert outcome._first_files(tmp_path) == []
    (tmp_path / "plots").mkdir()
    for name in ("pareto.csv", "picks.yaml", "axes.csv"):
        (tmp_path / name).write_text("")
    assert outcome._first_files(tmp_path) == ["picks.yaml", "pareto.csv"], "the folder of plots is empty"
    (tmp_path / "plots" / "a.png").write_text("")
    (tmp_path / "report.html").mkdir()
    assert outcome._first_files(tmp_path) == ["plots", "picks.yaml", "pareto.csv"]


def test_only_dask_has_a_scheduler():
    assert outcome.spread_of(3, "loky", "").jobs == 3
    there = outcome.spread_of(None, "dask", "tcp://x:1")
    assert (there.jobs, there.backend, there.scheduler) == (None, "dask", "tcp://x:1")
    with pytest.raises(RunError, match="--scheduler tcp://x:1: only --backend dask has a scheduler"):
        outcome.spread_of(1, "loky", "tcp://x:1")


def test_a_run_as_data_has_as_many_rows_of_its_front_as_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("dse.analysis.relaxation.files.read_relaxations", lambda path: "relaxed")
    monkeypatch.setattr("dse.render.terminal.summary.sorted_front", lambda run: run.front.iloc[::-1])
    found, none = stored(tmp_path), stored(tmp_path, feasible=0)
    data = outcome.run_data(found)
    assert (data["directory"], data["relaxations"], data["manifest"]) == (tmp_path, "relaxed", found.manifest)
    assert data["front"]["id"].tolist() == [5, 4] and outcome.run_data(found, 1)["front"]["id"].tolist() == [5]
    assert outcome.run_data(none)["front"]["id"].tolist() == [4, 5]
    for top, rows in ((None, [(5, 2.0), (4, 1.0)]), (1, [(5, 2.0)])):
        front = outcome.headed_front(found, top)
        assert ([*front], [*front.itertuples(index=False, name=None)]) == (["id", "cost_usd"], rows)


@pytest.mark.parametrize(("full", "shown"), [(True, ["chat"]), (False, [])])
def test_a_run_is_told_with_its_comparisons(full, shown, tmp_path, monkeypatch, capsys):
    sides = [SimpleNamespace(workload=name, to_json=lambda name=name: name) for name in ("chat", "hidden")]
    asked, made = [], {}
    monkeypatch.setattr("dse.analysis.compare.compare", lambda *given: sides)
    monkeypatch.setattr("dse.cli.compare.compared", lambda run, only: [asked.append(only), ("a", "b")][1])
    monkeypatch.setattr("dse.render.terminal.summary.named_workloads", lambda spec: ("chat",))
    monkeypatch.setattr(
        "dse.render.terminal.outcome.outcome_parts",
        lambda run, compared, full: [[one.workload for one in compared], full],
    )
    monkeypatch.setattr(outcome, "run_data", lambda run: {"directory": "elsewhere", "picks": []})
    monkeypatch.setattr(outcome, "headed_front", lambda run: "sheet")
    monkeypatch.setattr(
        outcome, "emit", lambda output, parts, data, rows: made.update(parts=parts(), data=data(), rows=rows())
    )
    outcome._tell(stored(tmp_path), Path("here"), Format.table, full)
    assert made["parts"] == [shown, full] and made["rows"] == "sheet"
    assert made["data"] == {"directory": Path("here"), "picks": [], "comparisons": ["chat", "hidden"]}
    assert asked == (["knee", None] if full else [None])
    outcome._tell(stored(tmp_path, builtin_disabled=True), Path("here"), Format.table, full)
    assert made["parts"] == [[], full] and made["data"]["comparisons"] == []

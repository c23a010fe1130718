"""What each command that makes or shows a run hands on, and what it makes of the answer; all of that replaced."""

import gc
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
import typer.main

import dse.cli
from dse.cli import stored
from dse.cli.explore import explore
from dse.cli.merge import merge
from dse.cli.options import Drawn, Format, Silence, _hush
from dse.cli.plot import plot
from dse.cli.report import report
from dse.cli.resume import resume
from dse.cli.run import run
from dse.cli.show import show
from dse.errors import RunError


def status_of(function, *given, **named):
    with pytest.raises(typer.Exit) as ended:
        function(*given, **named)
    return ended.value.exit_code


@pytest.fixture
def finished(put):
    """What was handed to the end of `run`, `resume` and `merge`."""
    found = {}
    put(dse__cli__outcome__finish=lambda search, **named: found.update(named, search=search))
    put(dse__cli__outcome__spread_of=lambda *given: given)
    return found


USUAL = {"quiet": False, "output": Format.table, "plots": Drawn.first, "html": True, "full": False}


def sweep_of(**parts):
    return SimpleNamespace(**{"space": {"macs": 1}, "model": None, **parts})


def test_run_searches_a_sweep_as_its_options_change_it(put, finished, capsys):
    found, sweep = {}, sweep_of()
    put(dse__sweep__load_spec=lambda spec, **named: found.update(named, spec=spec) or sweep)
    put(dse__sweep__notices__warnings_of=lambda spec: ["careful", "mind"])
    run(Path("a.yaml"))
    assert found == {"spec": Path("a.yaml"), "overrides": [], "library": []}
    assert capsys.readouterr() == ("", "careful\nmind\n")
    assert {name: finished[name] for name in USUAL} == USUAL and finished["asked"] is sweep
    search = finished["search"]
    assert search.args == (sweep,) and search.keywords == {"out": None, "spread": (None, "loky", "")}
    run(
        Path("a.yaml"), Path("out"), 0, 0, "journal:x", "s", True, ["a=1"], [Path("l")], True, True, Format.csv,
        Drawn.none, True, 3, "dask", "tcp://x",
    )  # fmt: skip
    assert found["overrides"] == [
        "a=1", "search.n_designs=0", "search.seed=0", 'search.storage="journal:x"', "search.study=s",
        "search.join=true",
    ]  # fmt: skip
    assert found["library"] == [Path("l")] and finished["html"] is False and finished["full"] is True
    assert finished["search"].keywords == {"out": Path("out"), "spread": (3, "dask", "tcp://x")}


@pytest.mark.parametrize(
    ("parts", "chosen"), [({"space": {}}, True), ({"space": {}, "model": "own"}, False), ({"model": "own"}, False)]
)
def test_a_sweep_that_varies_nothing_is_about_its_baselines(parts, chosen, put, finished):
    seen = []

    def present(found, output):
        seen.append((found, output))
        raise typer.Exit(0)

    put(dse__sweep__load_spec=lambda spec, **named: sweep_of(**parts), dse__sweep__notices__warnings_of=lambda spec: [])
    put(dse__analysis__choose__choose_baselines=lambda sweep: "found", dse__cli__choose__present=present)
    if chosen:
        assert status_of(run, Path("a.yaml")) == 0 and seen == [("found", Format.table)] and not finished
    else:
        run(Path("a.yaml"))
        assert not seen and finished


def test_resume_and_merge_ask_for_consent_as_they_are_told(put, finished):
    put(dse__results__store__open_run=lambda where: f"run {where}")
    put(dse__runs__merge=lambda runs, **named: (runs, named))
    resume()
    assert {name: finished[name] for name in USUAL} == USUAL
    consent = {"call_model": False, "open_storage": False}
    search = finished["search"]
    assert search.args == ("latest",)
    assert search.keywords == {**consent, "n_designs": None, "out": None, "spread": (None, "loky", "")}
    resume("here", 64, no_report=True, call_model=True, open_storage=True, full=True, quiet=True)
    assert finished["search"].keywords["n_designs"] == 64 and finished["html"] is False and finished["quiet"]
    assert finished["search"].keywords["call_model"] and finished["search"].keywords["open_storage"]
    merge(["a", "b"])
    assert {name: finished[name] for name in USUAL} == {**USUAL, "quiet": True}
    asked = {"out": None, "call_model": False, "answered": "answered"}
    assert finished["search"]("progress", "answered") == (["run a", "run b"], asked)
    merge(["a", "b"], Path("o"), call_model=True, no_report=True)
    assert finished["search"](None, None)[1] == {"out": Path("o"), "call_model": True, "answered": None}
    assert finished["html"] is False
    with pytest.raises(RunError, match="merge needs at least two runs"):
        merge(["a"])


@pytest.mark.parametrize(("feasible", "status"), [(True, 0), (False, 3)])
def test_show_ends_with_what_was_found(feasible, status, put, monkeypatch):
    seen = []
    there = SimpleNamespace(found_feasible=feasible)
    put(dse__results__store__open_run=lambda where: there)
    put(dse__render__terminal__outcome__run_parts=lambda run, top, full: (top, full))
    put(dse__cli__outcome__run_data=lambda run, top: top, dse__cli__outcome__headed_front=lambda run, top: top)
    monkeypatch.setattr("dse.cli.show.emit", lambda output, *made: seen.append((output, *(one() for one in made))))
    assert status_of(show) == status_of(show, top=3, full=True) == status
    assert seen == [(Format.table, (None, False), None, None), (Format.table, (3, True), 3, 3)]


def test_plot_report_and_explore_say_where_what_they_made_lies(put, tmp_path, capsys, monkeypatch):
    seen = []
    put(dse__render__plots__plot_run=lambda where, **named: seen.append((where, named)) or ["a.png", "b.png"])
    put(dse__render__plots__pair__draw_pair=lambda *given, **named: seen.append((given[1:], named)) or ["c.png"])
    put(dse__results__store__find_run=Path, dse__results__store__open_run=lambda where: SimpleNamespace(path=tmp_path))
    plot()
    plot("here", ["pareto"])
    plot("here", x="a", y="b")
    plot("here", x="a", y="b", by="c")
    assert seen == [
        (Path("latest"), {"kinds": None, "formats": ("png",)}),
        (Path("here"), {"kinds": ["pareto"], "formats": ("png",)}),
        (("a", "b", None), {"folder": tmp_path / "plots", "formats": ("png",)}),
        (("a", "b", "c"), {"folder": tmp_path / "plots", "formats": ("png",)}),
    ]  # fmt: skip
    assert capsys.readouterr().out == "a.png\nb.png\n" * 2 + "c.png\n" * 2
    seen.clear()
    (tmp_path / "r.html").write_bytes(b"x" * 1_234_567)
    monkeypatch.setattr("dse.cli.report.evaluated_run", lambda where, command: (where, command))
    put(dse__render__report__write_report=lambda *given, **named: seen.append((given, named)) or tmp_path / "r.html")
    report()
    assert seen == [((("latest", "report"),), {"out": None, "points": 16_000})]
    assert capsys.readouterr().out == f"{tmp_path / 'r.html'} (1.23 MB)\n"

    @contextmanager
    def served(where, port):
        yield SimpleNamespace(address=f"{where} {port}", wait=wait)

    def wait():
        raise KeyboardInterrupt

    put(dse__render__explore__explore=served)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    explore()
    assert opened == [] and capsys.readouterr().out == "latest 0 (until Ctrl-C)\n"
    explore("here", 8080, browser=True)
    assert opened == ["here 8080"]


def test_a_run_that_is_evaluated_again_says_where_it_would_differ(put, capsys):
    seen = []

    class Run:
        def require_builtin(self, command, *, model):
            seen.append((command, model))
            return self

    there = Run()
    put(dse__results__store__open_run=lambda where: there, dse__results__moved__moved_numbers=lambda run: "")
    assert stored.evaluated_run("x", "explain") is there and capsys.readouterr().err == ""
    put(dse__results__moved__moved_numbers=lambda run: "moved \x1b")
    assert stored.evaluated_run("x", "robust", model=False) is there
    assert capsys.readouterr().err == "moved \\x1b\n" and seen == [("explain", True), ("robust", False)]


# --- the command line itself ----------------------------------------------------------------------------------------


def test_commands_are_found_by_name_and_take_no_completion():
    commands = dse.cli._Commands()
    files = {path.stem for path in Path(dse.cli.__file__).parent.glob("*.py")}
    assert set(commands) == files - {"__init__", "options", "output", "outcome", "stored"}
    assert len(commands) == len(list(commands)) and commands["show"].name == "show"
    with pytest.raises(KeyError):
        commands["shows"]
    options = {
        option for one in (commands["run"], commands["library"]) for param in one.params for option in param.opts
    }
    assert "--jobs" in options and not any("completion" in option for option in options)


def test_quiet_lets_a_command_print_nothing():
    entered = []
    context = SimpleNamespace(with_resource=entered.append)
    assert _hush(context, False) is False and not entered
    assert _hush(context, True) is True and isinstance(entered[0]._new_target, Silence)


@pytest.mark.parametrize(("refused", "status"), [(None, 0), (OSError(28, "No space left"), 2)])
def test_the_command_line_ends_with_what_its_output_took(refused, status, put, monkeypatch, capsys):
    before = gc.get_threshold(), sys.excepthook
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    put(dse__cli__outlive_reader=lambda: lambda: refused)
    monkeypatch.setattr(typer.main, "get_command", lambda app: lambda prog_name: sys.exit(0))
    try:
        with pytest.raises(SystemExit) as ended:
            dse.cli.main()
        assert os.environ["OPENBLAS_THREAD_TIMEOUT"] == "16", "threads of NumPy wait asleep"
        assert gc.get_threshold()[0] == dse.cli.GARBAGE_AFTER and sys.excepthook is dse.cli.report_defect
    finally:
        gc.set_threshold(*before[0])
        sys.excepthook = before[1]
    assert ended.value.code == status
    told = "standard output: cannot be written (No space left); what it misses is lost\n" if refused else ""
    assert capsys.readouterr().err == told


def test_a_pipe_that_broke_is_not_taken_for_a_file(put, capsys):
    def breaks(where):
        raise BrokenPipeError

    put(dse__results__store__open_run=breaks)
    with pytest.raises(BrokenPipeError):
        typer.main.get_command(dse.cli.app)(["show", "here"], standalone_mode=False)
    assert capsys.readouterr().err == ""

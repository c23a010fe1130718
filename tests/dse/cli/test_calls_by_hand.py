"""What each command hands on to what does its work, and what it makes of the answer; all of that replaced by hand."""

import gc
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import typer
import typer.main

import dse.cli
from dse.cli import audit, calibrate, check, choose, compare, compress, library, require, robust, stored, validate
from dse.cli.explore import explore
from dse.cli.merge import merge
from dse.cli.options import Drawn, Format, Silence, _hush
from dse.cli.plot import plot
from dse.cli.report import report
from dse.cli.resume import resume
from dse.cli.run import run
from dse.cli.show import show
from dse.errors import RunError


@pytest.fixture
def put(monkeypatch):
    """Let a name stand for something else."""

    def put(**values):
        for name, value in values.items():
            monkeypatch.setattr(name.replace("__", "."), value)

    return put


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
    put(dse__cli__outcome__run_data=lambda run, top: top, dse__cli__outcome__front_rows=lambda run, top: top)
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


def test_picks_to_compare_are_all_or_the_one_that_is_asked_for(put):
    picks = [{"name": name, "design": name.upper()} for name in ("best", "knee", "last")]
    there = SimpleNamespace(picks=picks, spec="spec")
    put(dse__analysis__compare__with_baselines=lambda *given: given, dse__evaluator__Evaluator=lambda given: given)
    put(dse__render__terminal__summary__named_picks=lambda picks, spec: {one["name"]: one for one in picks})
    assert compare.compared(there) == (("spec", (), ()), {"best": "BEST", "knee": "KNEE", "last": "LAST"})
    assert compare.compared(there, ["gpu"], only="knee", library=["l"]) == (("spec", ["gpu"], ["l"]), {"knee": "KNEE"})
    assert compare.compared(there, only="nobody")[1] == {"best": "BEST"}


@pytest.fixture
def emitted(monkeypatch):
    """What was printed, in every form."""
    found = {}

    def emit(output, parts, data, rows=None):
        made = {"parts": parts, "data": data, "rows": rows or (lambda: None)}
        found.update({name: (lambda make=make: make()) for name, make in made.items()}, output=output)

    for module in (audit, calibrate, check, choose, compare, compress, library, require, robust, validate):
        monkeypatch.setattr(module, "emit", emit)
    return found


def test_robust_draws_as_the_call_says_or_else_the_sweep(put, emitted, monkeypatch, tmp_path):
    asked, drawn, sealed = [], [], []
    found = SimpleNamespace(
        found=SimpleNamespace(draws=8, seed=1, spreads=[SimpleNamespace(path="tco.pue")]), subject=(7, "knee"),
        swings=[], on_front=[True, False, True],
    )  # fmt: skip
    own = SimpleNamespace(draws=30, seed=4, designs=5)
    there = SimpleNamespace(spec=SimpleNamespace(robustness=None), path=tmp_path, name="x", front=[1, 2, 3])
    monkeypatch.setattr(robust, "evaluated_run", lambda run, command, *, model: asked.append(model) or there)
    files = "dse.uncertainty.files."
    for name, made in (("designs_frame", lambda found: pd.DataFrame({"a": [1]})), ("inputs_frame", lambda swings: "in"),
                       ("write_robust", lambda path, found: [tmp_path / "robust" / "a.csv"])):  # fmt: skip
        monkeypatch.setattr(files + name, made)
    put(dse__results__directory__seal=lambda path, names: sealed.append(names))
    put(dse__render__plots__plot_run=lambda path, kinds: drawn.append(kinds) or ["b.png"])
    put(dse__uncertainty__stored_run__robust_run=lambda run, progress, **named: asked.append(named) or found)
    robust.robust()
    there.spec.robustness = own
    robust.robust(draw=Drawn.none)
    robust.robust(draws=2, seed=0, n_designs=1, pick="knee", draw=Drawn.none)
    assert asked == [
        False, {"draws": 2000, "seed": 0, "at_most": 1000, "pick": None},
        False, {"draws": 30, "seed": 4, "at_most": 5, "pick": None},
        False, {"draws": 2, "seed": 0, "at_most": 1, "pick": "knee"},
    ]  # fmt: skip
    assert drawn == [("robust",)] and sealed == [["robust/a.csv"]] * 3
    assert emitted["data"]()["inputs_of"] == {"id": 7, "pick": "knee"}
    assert emitted["data"]()["parameters"] == ["tco.pue"] and emitted["rows"]() == (["a"], [(1,)])
    for name in ("chances_table", "intervals_table", "drawn_words", "inputs_table"):
        monkeypatch.setattr(f"dse.render.terminal.robustness.{name}", lambda *given: [])
    parts = robust._parts(there, found, [Path("a.csv")])
    assert list(parts[1].lines) == ["of the 3 designs on the front; --n-designs takes more"]
    assert list(parts[-1].lines) == ["a.csv"]
    found.on_front = [True] * 3
    assert list(robust._parts(there, found, [])[1].lines) == []


def test_ways_to_serve_are_printed_drawn_and_end_with_a_status(put, emitted, capsys):
    ways = [SimpleNamespace(meets=False, plain=lambda: "a"), SimpleNamespace(meets=True, plain=lambda: "b")]
    found = SimpleNamespace(ways=ways, rank="price", left_out=["c"])
    shown = []
    put(dse__render__terminal__choose__choice_parts=lambda found, top, every: shown.append((top, every)))
    put(dse__render__terminal__choose__choice_rows=lambda found: "rows")
    put(dse__render__plots__choose__draw_choice=lambda found, folder, formats: [f"{folder} {formats}"])
    assert status_of(choose.present, found, Format.csv) == 0 and capsys.readouterr().err == ""
    assert emitted["data"]() == {"rank": "price", "ways": ["a", "b"], "left_out": ["c"]} and emitted["rows"]() == "rows"
    emitted["parts"]()
    assert status_of(choose.present, found, Format.csv, 3, every=True, plots=Path("p"), formats=("svg",)) == 0
    emitted["parts"]()
    assert shown == [(10, False), (3, True)] and capsys.readouterr().err == "p ('svg',)\n"
    found.ways = ways[:1]
    assert status_of(choose.present, found, Format.csv) == 3


def test_chips_are_chosen_for_a_workload_or_from_a_sweep(put, monkeypatch):
    asked = []
    put(dse__analysis__choose__limits_spec=lambda what, limits, library: asked.append((what, limits, library)))
    put(dse__analysis__choose__choose=lambda spec, **named: asked.append(named))
    put(dse__analysis__choose__choose_baselines=lambda spec, rank: asked.append(rank))
    monkeypatch.setattr(choose, "present", lambda found, output, top, **named: asked.append((output, top, named)))
    choose.choose(["llama3_8b"])
    usual = (Format.table, 10, {"every": False, "plots": None, "formats": ("png",)})
    from dse.analysis.choose import FORMATS

    way = {"rank": "price", "formats": FORMATS, "most_chips": 8, "chips": []}
    assert asked == [(["llama3_8b"], [], []), way, usual]
    asked.clear()
    choose.choose(["a", "b"], ["x=1"], ["y=2"], "hour", ["fp8"], 2, ["h100_sxm"], 5, True, library=[Path("l")])
    way = {"rank": "hour", "formats": ["fp8"], "most_chips": 2, "chips": ["h100_sxm"]}
    assert asked[:2] == [(["a", "b"], [("max", "x=1"), ("min", "y=2")], [Path("l")]), way]
    assert asked[2] == (Format.table, 5, {"every": True, "plots": None, "formats": ("png",)})
    asked.clear()
    sweep = SimpleNamespace(baselines={"a": 1})
    put(dse__sweep__load_spec=lambda file, library: asked.append((file, library)) or sweep)
    choose.choose(["a.yaml"])
    choose.choose(["b.yml"], rank="hour", library=[Path("l")])
    assert asked == [(Path("a.yaml"), []), None, usual, (Path("b.yml"), [Path("l")]), "hour", usual]


def test_measurements_are_scored_and_written(put, emitted, tmp_path, monkeypatch):
    asked, drawn = [], []
    table = pd.DataFrame({"a": [1, 2]}, index=[5, 6])
    made = SimpleNamespace(files={"x/rows.csv": table}, records=lambda: "records", rows=lambda: "rows")
    put(dse__validation__run__run_validation=lambda rows, technology, given: asked.append((rows, given)) or made)
    put(dse__sweep__library_additions__library_with=lambda library: asked.append(library) or SimpleNamespace())
    put(cost_models__library__technology__Technology=lambda library: library)
    put(dse__render__plots__validation__draw_validation=lambda *given: drawn.append(given[1:]))
    validate.validate()
    assert asked == [[], ([], {})] and emitted["data"]() == "records" and not drawn
    assert emitted["rows"]() == (("table", "row", "column", "value"), "rows")
    one = tmp_path / "deep" / "scored.csv"
    validate.validate([Path("r.csv")], ["chip=h100_sxm", "batch=2=3"], [Path("l")], one, tmp_path / "p")
    assert asked[2:] == [[Path("l")], ([Path("r.csv")], {"chip": "h100_sxm", "batch": "2=3"})]
    assert one.read_text() == "a\n1\n2\n" and drawn == [(tmp_path / "p", ("png",))]
    made.files["y/more.csv"] = table.iloc[:1]
    validate.validate(out=tmp_path / "folder" / "in")
    assert sorted(path.name for path in (tmp_path / "folder" / "in").iterdir()) == ["more.csv", "rows.csv"]
    assert (tmp_path / "folder" / "in" / "more.csv").read_text() == "a\n1\n"


def test_a_stack_is_calibrated_and_written(put, emitted, tmp_path):
    asked = []
    constant = SimpleNamespace(name="k", base=1.0, low=0.5, value=1.5, high=2.0)
    made = SimpleNamespace(
        constants=[constant], rows=9, base="vllm", stack="vllm_calibrated", error_before=0.3, error_after=0.125,
        error_left_out=0.2, not_used={"no chip": 2}, entries=lambda names: {"rows": names},
    )  # fmt: skip
    put(dse__validation__calibrate__calibrate=lambda *given: asked.append(given) or made)
    put(dse__sweep__library_additions__library_with=lambda library: library)
    calibrate.calibrate([Path("a/r.csv")])
    assert asked == [([Path("a/r.csv")], None, [], {})] and emitted["rows"]()[1] == [("k", 1.0, 0.5, 1.5, 2.0)]
    lines, table = emitted["parts"]()
    assert list(lines.lines)[1:] == ["not used: 2 x no chip"] and table.headings[1] == "vllm"
    calibrate.calibrate([Path("a/r.csv"), Path("s.csv")], "base", ["batch=1"], [Path("l")], tmp_path / "x" / "mine")
    assert asked[1][1:] == ("base", [Path("l")], {"batch": "1"})
    assert (tmp_path / "x" / "mine" / calibrate.FILE).read_text() == "rows: r.csv, s.csv\n"
    assert (
        list(emitted["parts"]()[0].lines)[-1]
        == f"use it: --library {tmp_path / 'x' / 'mine'}, serving_stack: vllm_calibrated"
    )


def test_claims_are_a_shipped_case_unless_a_file_has_its_name(put, emitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read, written = [], []
    put(
        dse__analysis__audit__reader__load_claims=lambda path: read.append(path),
        dse__analysis__audit__audit=lambda c: c,
    )
    put(dse__render__terminal__audit__audit_parts=lambda found: ["parts"])
    monkeypatch.setattr(audit, "_write", lambda found, folder: written.append(folder))
    audit.audit()
    audit.audit(Path("claims_2026"))
    (tmp_path / "claims").write_text("")
    audit.audit(Path("claims"))
    (tmp_path / "o").mkdir()
    for name in "ba":
        (tmp_path / "o" / name).write_text("")
    audit.audit(Path("mine.yaml"), Path("o"))
    assert [path.name for path in read] == ["claims.yaml", "claims_2026.yaml", "claims", "mine.yaml"]
    assert read[0].is_file() and written == [Path("o")] and list(emitted["parts"]()[1].lines) == ["o/a", "o/b"]


def test_a_tensor_is_read_or_made(put, emitted):
    asked = []
    put(dse__weight_codes__pruning__generate_matrix=lambda sizes, **named: asked.append((sizes, named)))
    put(dse__weight_codes__tensors__read_tensor=lambda path, name: (path, name))
    made = [compress._tensor(None, None, *given, 100, 3) for given in ((None, None, 0.0), ("2x8", 0.0, 0.5))]
    usual = {"block": 100, "seed": 3}
    assert asked == [
        ((1024, 1024), {"sparsity": 0.5, "rho": 0.0, **usual}),
        ((2, 8), {"sparsity": 0.0, "rho": 0.5, **usual}),
    ]
    assert made == [(None, None)] * 2
    for sparsity, left in ((None, None), (0.0, None), (0.75, 0.75)):
        assert compress._tensor(Path("a"), "w", None, sparsity, 0.0, 100, 0) == ((Path("a"), "w"), left)
    assert compress._pair(" 3 x 4", "x") == (3, 4)


def test_a_check_of_a_model_says_how_long_it_took_and_whether_it_failed(put, monkeypatch):
    answers = SimpleNamespace(failed=SimpleNamespace(names=lambda: ["too hot"]))
    clock = iter([10.0, 12.5] * 2)
    monkeypatch.setattr(check.time, "perf_counter", lambda: next(clock))
    put(
        dse__user_model__model__UserModel=lambda spec: SimpleNamespace(
            check=lambda: None, model=SimpleNamespace(words="m")
        )
    )
    put(dse__evaluator__Evaluator=lambda spec, model: SimpleNamespace(evaluate=lambda designs: answers))
    plain = SimpleNamespace(evaluate=lambda designs, metrics: (designs, metrics))
    assert check._asked(SimpleNamespace(model=None), plain, "design", "told") == (("design", "told"), [])
    judged, words = check._asked(SimpleNamespace(model="own"), plain, "design", None)
    assert judged is answers
    assert words == ["the model m took 2.5 s for one design", "THE MODEL FAILED for the default design: too hot"]
    answers.failed = SimpleNamespace(names=lambda: [None, "later"])
    assert check._asked(SimpleNamespace(model="own"), plain, "design", None)[1] == words[:1]


def test_a_file_with_a_design_is_told_from_a_sweep(tmp_path):
    (tmp_path / "a.yaml").write_text("name: x\ndesign: {}\n")
    (tmp_path / "b.yaml").write_text("[1]\n")
    assert require._keys(tmp_path / "a.yaml") == ("name", "design") and require._keys(tmp_path / "b.yaml") == ()


def test_what_is_required_is_asked_of_grades_sweeps_designs_and_runs(put, tmp_path, monkeypatch):
    asked = []
    monkeypatch.chdir(tmp_path)
    Path("sweep.yaml").write_text("name: x\n")
    Path("design.yml").write_text("design: {}\n")
    for name in ("_of_grades", "_of_sweep", "_of_design"):
        monkeypatch.setattr(require, name, lambda *given, name=name: asked.append((name, *given)))
    put(dse__sweep__load_spec=lambda path, overrides: (str(path), overrides))
    require.require(memory=["hbm3"])
    require.require("sweep.yaml")
    require.require("sweep.yaml", None, ["a=1"], ["hbm3"], None, Path("p"))
    require.require("design.yml", workloads=["w"])
    require.require("here", "knee")
    require.require("quickstart")
    table = Format.table
    assert asked[:5] == [
        ("_of_grades", ["hbm3"], table),
        ("_of_sweep", ("sweep.yaml", []), [], None, ("png",), table),
        ("_of_sweep", ("sweep.yaml", ["a=1"]), ["hbm3"], Path("p"), ("png",), table),
        ("_of_design", "design.yml", None, ["w"], True, table),
        ("_of_design", "here", "knee", [], False, table),
    ]
    assert asked[5][0] == "_of_sweep" and asked[5][1][0].endswith("quickstart.yaml")


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
    put(dse__cli__outlive_reader=lambda: lambda: refused)
    monkeypatch.setattr(typer.main, "get_command", lambda app: lambda prog_name: sys.exit(0))
    try:
        with pytest.raises(SystemExit) as ended:
            dse.cli.main()
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

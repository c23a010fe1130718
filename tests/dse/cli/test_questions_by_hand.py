"""What each question on the command line hands on, and what it makes of the answer; all of that replaced."""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import typer
import typer.main

from cost_models.library import shipped_library
from dse.cli import audit, calibrate, check, choose, compare, compress, library, require, robust, validate
from dse.cli.options import Drawn, Format
from dse.errors import NOWHERE, SpecError, TensorError
from dse.parallelism import Parallelism
from tests.dse.cli.test_calls_by_hand import status_of, sweep_of


def test_picks_to_compare_are_all_or_the_one_that_is_asked_for(put):
    picks = [{"name": name, "design": name.upper()} for name in ("best", "knee", "last")]
    there = SimpleNamespace(picks=picks, spec="spec")
    put(dse__analysis__compare__with_baselines=lambda *given: given, dse__evaluator__Evaluator=lambda given: given)
    put(dse__render__terminal__summary__named_picks=lambda picks, spec: {one["name"]: one for one in picks})
    assert compare.compared(there) == (("spec", (), ()), {"best": "BEST", "knee": "KNEE", "last": "LAST"})
    assert compare.compared(there, ["gpu"], only="knee", library=["l"]) == (("spec", ["gpu"], ["l"]), {"knee": "KNEE"})
    assert compare.compared(there, only="nobody")[1] == {"best": "BEST"}


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
    robust.robust(draws=2, seed=0, n_designs=1, pick="knee", draw=Drawn.none, jobs=1)
    pays, alone = Parallelism(None), Parallelism(1)
    assert asked == [
        False, {"draws": 2000, "seed": 0, "at_most": 1000, "pick": None, "spread": pays},
        False, {"draws": 30, "seed": 4, "at_most": 5, "pick": None, "spread": pays},
        False, {"draws": 2, "seed": 0, "at_most": 1, "pick": "knee", "spread": alone},
    ]  # fmt: skip
    assert drawn == [("robust",)] and sealed == [["robust/a.csv"]] * 3
    assert emitted["data"]()["inputs_of"] == {"id": 7, "pick": "knee"}
    assert emitted["data"]()["parameters"] == ["tco.pue"] and emitted["rows"]().to_dict("list") == {"a": [1]}
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


def test_a_tensor_is_compressed_in_every_format_that_it_suits(put, emitted, monkeypatch):
    from dse.weight_codes.codecs import Compressed, NotApplicable

    asked, shown = [], []
    done, left = object.__new__(Compressed), NotApplicable("csr16", "too wide")
    for name, value in (("format", "bitmap"), ("lossless", True)):
        object.__setattr__(done, name, value)

    @contextmanager
    def display(what):
        yield lambda *counts: shown.append((what, *counts))

    def formats(weights, *, formats, **options):
        asked.append((weights, formats, options))
        yield from (done, left)

    put(dse__render__terminal__counted_display=display, dse__weight_codes__codecs__each_format=formats)
    put(dse__weight_codes__codecs__format_names=lambda **options: ("a", "b", "c"))
    monkeypatch.setattr(compress, "_tensor", lambda *given: ("weights", given[3]))
    monkeypatch.setattr(compress, "asdict", lambda record: {"format": "it"})
    monkeypatch.setattr(Compressed, "efficiency", 0.5)
    put(dse__render__terminal__compression__compression_parts=lambda *given: given[2:])
    compress.compress()
    usual = {
        "sparsity": None, "bits": 4, "group": 128, "pattern": (2, 4), "n_in": 8, "n_out": None,
        "shift_registers": (0, 1), "interleaved": False, "seed": 0,
    }  # fmt: skip
    assert asked == [("weights", None, usual)]
    assert shown == [("formats", 0, 3), ("formats", 1, 3), ("formats", 2, 3)]
    assert emitted["parts"]() == ("weights", "generated tensor", 100, None)
    assert emitted["rows"]() == (("format", "efficiency"), [("it", 0.5)])
    asked.clear()
    with pytest.raises(TensorError, match=r"^a\.npy: too wide$"):
        compress.compress(Path("a.npy"), sparsity=0.5, only=["csr16", "bitmap"], shift_registers=[2], interleaved=True)
    changed = {"sparsity": 0.5, "shift_registers": (2,), "interleaved": True}
    assert asked == [("weights", ["csr16", "bitmap"], usual | changed)] and shown[3] == ("formats", 0, 2)
    with pytest.raises(TensorError, match=r"^sparsity must be above 0 and below 1, got 1$"):
        compress.compress(sparsity=1.0)
    object.__setattr__(done, "lossless", False)
    with pytest.raises(AssertionError, match="codes did not come back from bitmap"):
        compress.compress()


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


def test_a_parameter_moves_metrics_or_it_is_said_why_none(put, emitted):
    use = SimpleNamespace(metric="tdp_w", seen_in="a100", at_low=1.0, at_typ=2.0, at_high=3.0, change=0.1234567)
    uses = [use]
    put(dse__uncertainty__usage__uses_of=lambda path, library: uses)
    library.show_where("tco.pue")
    assert emitted["rows"]()[1] == [["tdp_w", "a100", 1.0, 2.0, 3.0, 12.346]]
    assert emitted["parts"]()[-1].title == "What tco.pue moves"
    uses.clear()
    read, evidence = "tco.pue", next(iter(shipped_library().evidence))
    for path, why in (
        (read, "not with the designs and chips tried here"),
        (evidence, "it is evidence only: no model reads it"),
    ):
        library.show_where(path)
        assert list(emitted["parts"]()[-1].lines) == [f"no metric moves with {path}: {why}"]


def test_entries_are_listed_and_shown_by_their_section(put, emitted, monkeypatch):
    asked = []
    sheet = SimpleNamespace(table=lambda: "table", records="records", rows="rows")
    monkeypatch.setattr(library, "emit", lambda *given: None)
    terminal = "dse.render.terminal."
    monkeypatch.setattr(terminal + "library.section_sheet", lambda known, section, weakest_first: asked.append(
        (section, weakest_first)) or sheet)  # fmt: skip
    monkeypatch.setattr(
        terminal + "quantities.quantity_sheet", lambda *given: asked.append(given[:1] + given[2:]) or sheet
    )
    monkeypatch.setattr(library, "_show_parameters", lambda path, known, output: asked.append(f"parameters {path}"))
    for section, weakest in (
        (None, False),
        ("chips", False),
        ("metrics", False),
        ("evidence", True),
        ("parameters", True),
    ):
        library.list_entries(section, weakest)
    assert asked == [(None, False), ("chips", False), ("metrics",), ("evidence", True), ("parameters", True)]
    for section in (None, "chips", "metrics"):
        with pytest.raises(typer.BadParameter, match="goes with parameters and evidence"):
            library.list_entries(section, weakest_first=True)
    asked.clear()
    put(dse__render__terminal__library__sections_of=lambda known, section, entry: asked.append((section, entry)) or {
        "tco.pue": ["parameters"], "vllm": ["stacks"]}.get(entry, ["chips"]))  # fmt: skip
    for words in (("h100_sxm",), ("chip", "h100_sxm"), ("vllm",), ("tco.pue",), ("tpot_ms",), ("metric", "tpot_ms"),
                  ("sweep_parameters", "macs"), ("stack", "macs")):  # fmt: skip
        library.show_entry(*words)
    assert asked == [
        (None, "h100_sxm"), ("chip", "h100_sxm"), (None, "vllm"), (None, "tco.pue"), "parameters tco.pue",
        ("metrics", "tpot_ms"), ("metrics", "tpot_ms"), ("sweep_parameters", "macs"), ("stack", "macs"),
    ]  # fmt: skip


@pytest.fixture
def checked(put, monkeypatch):
    """A sweep that is checked, with all that it is asked replaced; what was asked, in its order."""
    asked = []
    spec = sweep_of(search=SimpleNamespace(sampler="grid"), name="mine", hash="h", resolved=lambda: "resolved")
    space = SimpleNamespace(
        default_design=lambda: "design", dimensions=("macs",), grid_size=8, is_enumerable=True, fixed={"kv_bits": 8}
    )
    evaluator = SimpleNamespace(baselines="all", some_of_baselines=lambda told: asked.append(told) or "some")
    judged = SimpleNamespace(metrics={"a": [1.0, 2.0]}, margins={"c": [0.5, 2.0]}, feasible=[False, True])
    put(dse__sweep__load_spec=lambda file, **named: asked.append((file, named)) or spec)
    put(dse__space__Space=lambda spec: space, dse__evaluator__Evaluator=lambda spec: evaluator)
    put(dse__samplers__sampler_of=lambda spec, space: asked.append("sampler"))
    put(dse__margins__check_baselines=lambda spec, baselines: asked.append(baselines))
    put(dse__sweep__notices__warnings_of=lambda spec: ["mind"])
    put(dse__search__estimate__seconds_estimate=lambda *given: 2.5)
    put(dse__results__picks__settings_of=lambda designs, row: (designs, row))
    put(dse__render__terminal__sweep__told_metrics=lambda spec: "told")
    table = SimpleNamespace(headings=("h",), cells=[("c",)])
    put(dse__render__terminal__sweep__parameters_table=lambda space, spec: table)
    put(dse__render__terminal__sweep__sweep_parts=lambda *given, **named: (given[3:], named))
    put(dse__analysis__choose__choose_baselines=lambda spec: "ways")
    put(dse__cli__choose__show=lambda found, output: asked.append((found, output)))
    monkeypatch.setattr(check, "_asked", lambda *given: asked.append(given[2:]) or (judged, ["slow"]))
    return SimpleNamespace(asked=asked, spec=spec, space=space, judged=judged)


def test_a_sweep_is_checked_with_as_many_metrics_as_are_told(checked, emitted):
    file = Path("a.yaml")
    check._check(file, ["a=1"], ["l"], Format.table)
    assert checked.asked == [
        (file, {"overrides": ["a=1"], "library": ["l"]}), "sampler", "told", "some", ("design", "told"),
    ]  # fmt: skip
    assert emitted["parts"]() == (("some", checked.judged), {"seconds": 2.5, "remarks": ["slow", "mind"]})
    assert emitted["rows"]() == (("h",), [("c",)])
    checked.asked.clear()
    checked.spec.search.sampler = "sobol"
    check._check(file, [], [], Format.json)
    assert checked.asked[1:] == ["all", ("design", None)]
    assert emitted["data"]() == {
        "name": "mine", "hash": "h", "dimensions": ("macs",), "seconds_estimate": 2.5, "grid_size": 8,
        "fixed": {"kv_bits": 8}, "resolved": "resolved", "default_design": ("design", 0), "metrics": {"a": 1.0},
        "margins": {"c": 0.5}, "feasible": False, "baselines": "all", "warnings": ["mind"],
    }  # fmt: skip
    checked.space.is_enumerable = False
    assert emitted["data"]()["grid_size"] is None
    for parts, ways in (({"space": {}}, True), ({"space": {}, "model": "own"}, False), ({"model": "own"}, False)):
        checked.asked.clear()
        checked.spec.__dict__.update({"space": {"macs": 1}, "model": None, **parts})
        check._check(file, [], [], Format.csv)
        assert (checked.asked[1:] == [("ways", Format.csv)]) == ways, parts


def test_a_check_is_of_a_sweep_of_its_holes_or_of_the_schema(monkeypatch, tmp_path):
    asked = []
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("")
    for name in ("_print_schema", "_exploits", "_check"):
        monkeypatch.setattr(check, name, lambda *given, name=name: asked.append((name, *given)))
    check.check(Path("a.yaml"))
    check.check(Path("a.yaml"), ["a=1"], library=[Path("l")], output=Format.csv)
    check.check(Path("a.yaml"), exploits=True)
    check.check(schema=True)
    check.check(schema=True, out=Path("o"), library=[Path("l")])
    assert asked == [
        ("_check", Path("a.yaml"), [], [], Format.table),
        ("_check", Path("a.yaml"), ["a=1"], [Path("l")], Format.csv),
        ("_exploits", Path("a.yaml"), [], [], Format.table), ("_print_schema", None, []),
        ("_print_schema", Path("o"), [Path("l")]),
    ]  # fmt: skip


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


@pytest.mark.parametrize("sizes", [[], [3.0, 1.0, 2.0]])
def test_what_a_sweep_takes_is_told_with_the_changes_of_its_nearest_design(sizes, put, emitted, tmp_path):
    sized = [SimpleNamespace(violation=one, design=f"design {one:g}", memory=f"memory {one:g}") for one in sizes]
    result = SimpleNamespace(sized=sized, to_json=lambda: {"needs": 1})
    drawn, shown, found = [], [], ["bandwidth"]
    put(dse__analysis__require__requirements__requirements=lambda spec: result)
    put(dse__analysis__require__bandwidth_limit__bandwidth_by_area=lambda grades, spec: [found[0]] if grades else [])
    put(dse__analysis__require__changes__best_changes=lambda evaluator, design, space: [design])
    put(dse__evaluator__Evaluator=lambda spec: None, dse__space__Space=lambda spec: None)
    put(dse__render__plots__require__plot_requirements=lambda *given: drawn.append(given[1:]) or ["a.png"])
    put(dse__render__terminal__bandwidth__bandwidth_parts=lambda rows: [f"parts of {rows[0]}"])
    terminal = "dse.render.terminal.requirements."
    for name in ("needs_table", "options_table", "sized_table"):
        put(**{(terminal + name).replace(".", "__"): lambda result, name=name: name})
    put(
        dse__render__terminal__requirements__changes_table=lambda changes, title, spec: shown.append(title) or "changes"
    )
    put(dse__render__terminal__requirements__quality_lines=lambda changes, spec: changes)
    put(dse__render__terminal__requirements__summary_lines=lambda result: [])
    put(dse__render__terminal__requirements__need_rows=lambda result: "rows")
    put(dse__render__terminal__summary__asked=lambda spec: [])
    require._of_sweep(sweep_of(name="mine"), [], None, ("png",), Format.table)
    changes = ["design 1"] if sizes else []
    assert emitted["data"]() == {"needs": 1, "best_changes": changes, "die_bandwidths": []} and not drawn
    tables = ["needs_table", "options_table", "sized_table"]
    parts = emitted["parts"]()
    assert (
        parts[2:5] == tables
        and parts[5:6] == (["changes"] if sizes else parts[-1:])
        and len(parts) == 6 + 2 * len(changes)
    )
    assert not sizes or list(parts[6].lines) == changes
    assert shown == (["Best single changes to the memory 1 design above"] if sizes else [])
    require._of_sweep(sweep_of(name="mine"), ["hbm3"], tmp_path, ("svg",), Format.table)
    assert emitted["data"]()["die_bandwidths"] == ["bandwidth"] and drawn == [(tmp_path, ("svg",))]
    assert emitted["parts"]()[-2] == "parts of bandwidth" and list(emitted["parts"]()[-1].lines) == ["a.png"]
    with pytest.raises(SpecError, match="this sweep has a model of its own, mine:f"):
        own = SimpleNamespace(words="mine:f")
        require._of_sweep(sweep_of(model=own, place_of=lambda path: NOWHERE), [], None, (), Format.table)


def test_changes_of_a_design_are_looked_for_in_the_space_of_its_run(put, emitted, monkeypatch):
    spec = sweep_of(name="file")
    put(dse__analysis__explain__inputs__load_design=lambda what, workloads: (spec, {"dies": 1, "die_link": "bridge"}))
    put(dse__analysis__explain__inputs__design_of_run=lambda run, design: ({"macs": 4096}, design))
    put(dse__analysis__require__changes__best_changes=lambda evaluator, settings, space: [space])
    put(dse__evaluator__Evaluator=lambda spec: None, dse__space__Space=lambda spec: "space")
    table = SimpleNamespace(headings=("h",), cells=[("c",)])
    put(dse__render__terminal__requirements__changes_table=lambda changes, title, spec: table)
    put(dse__render__terminal__requirements__quality_lines=lambda changes, spec: ["worse"])
    monkeypatch.setattr(require, "evaluated_run", lambda what, command, *, model: sweep_of(spec=(what, command, model)))
    require._of_design("a.yaml", None, [], True, Format.table)
    assert emitted["data"]() == {"name": "file", "best_changes": [None]} and emitted["rows"]() == (("h",), [("c",)])
    assert list(emitted["parts"]()[0].lines) == ["dies 1"], "what one die does not have is left out"
    assert list(emitted["parts"]()[2].lines) == ["worse"]
    require._of_design("here", "knee", [], False, Format.table)
    assert emitted["data"]() == {"name": "knee", "best_changes": ["space"]}


def test_designs_are_compared_or_stand_as_fleets(put, emitted, monkeypatch):
    evaluator = SimpleNamespace(economics=SimpleNamespace(krw_per_usd=1300.0))
    side = SimpleNamespace(to_json=lambda: "side")
    row = SimpleNamespace(name="a", workload="chat", chips=2, amounts=lambda rate: {"rate": rate})
    asked = []
    monkeypatch.setattr(compare, "evaluated_run", lambda run, command: (run, command))
    monkeypatch.setattr(
        compare, "compared", lambda *given, **named: asked.append((given, named)) or (evaluator, "designs")
    )
    put(dse__analysis__compare__compare=lambda evaluator, designs: [side])
    put(dse__analysis__fleet__fleets=lambda evaluator, designs, **named: asked.append(named) or [row])
    put(dse__analysis__fleet__budget_usd=lambda text, rate: rate)
    put(dse__render__terminal__comparison__comparison_parts=lambda sides: ["sides"])
    put(dse__render__terminal__comparison__comparison_rows=lambda sides: "rows")
    put(dse__render__terminal__fleet__fleet_parts=lambda rows, target, rate: [target, rate])
    compare.compare()
    assert asked == [(((("latest", "compare"), []), {"library": []}))]
    assert (emitted["parts"](), emitted["data"](), emitted["rows"]()) == (["sides"], ["side"], "rows")
    compare.compare("here", ["8x h200_sxm"], load=20000.0, library=[Path("l")])
    assert asked[1:] == [((("here", "compare"), ["8x h200_sxm"]), {"library": [Path("l")]}),
                         {"tokens_per_s": 20000.0, "budget": None}]  # fmt: skip
    record = {"name": "a", "workload": "chat", "chips_per_group": 2, "rate": 1300.0}
    assert emitted["data"]() == {"comparisons": ["side"], "fleets": [record]}
    assert emitted["rows"]() == (tuple(record), [tuple(record.values())])
    assert emitted["parts"]() == ["sides", "20 000 token/s", 1300.0]
    compare.compare(budget="1 KRW", krw_per_usd=1.0)
    assert asked[-1] == {"tokens_per_s": None, "budget": 1.0} and emitted["parts"]() == [
        "sides",
        "1 USD of boards",
        1.0,
    ]

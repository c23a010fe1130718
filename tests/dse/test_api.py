import pickle
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

import dse
from dse import api
from dse.api import whole_numbers
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import tiny


@pytest.fixture
def found(sweep, tmp_path):
    return dse.load({**sweep, "baselines": {"a100": {"chips": "1x a100_80gb_sxm"}}}).run(out=tmp_path / "run")


PER_AREA = dse.DerivedMetric(
    name="tokens_per_s_per_mm2",
    formula=lambda m: m["tokens_per_s"] / m["die_mm2"],
    inputs=("tokens_per_s", "die_mm2"),
    unit="token/s/mm²",
    meaning="decode rate over the area of one die",
    better="max",
)


def test_what_is_public_is_there():
    assert [getattr(dse, name).__name__ for name in dse.__all__] == dse.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dse.nothing


def test_importing_the_package_imports_nothing_heavy():
    program = "import sys, dse; print([n for n in ('numpy', 'pandas', 'pydantic', 'yaml') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_is_frames(found):
    assert isinstance(found.front, pd.DataFrame) and found.front["pareto"].all()
    assert set(found.picks["id"]) <= set(found.designs["id"])
    assert set(found.compare()["kind"]) == {"design", "baseline"}
    assert dse.open_run(found.path).manifest == found.manifest
    assert found.explain().workloads["chat"].decode.ms == pytest.approx(found.picks.loc["knee", "chat.tpot_ms"])
    assert found.report().is_file() and found.plot("pareto")
    assert not found.constraints.empty or not found.sweep.spec.constraints


def test_evaluating_arrays_is_what_the_evaluator_does(sweep):
    ours = dse.load(sweep)
    sampled = ours.sample(50, seed=3)
    spec = parse_spec(sweep)
    unit = np.random.default_rng(3).random((50, len(Space(spec).dimensions)))
    theirs = Evaluator(spec).evaluate(Space(spec).decode(unit))
    result = ours.evaluate(sampled)
    np.testing.assert_array_equal(result["feasible"], theirs.feasible)
    for name, values in theirs.metrics.items():
        np.testing.assert_array_equal(result[name], values)


def test_values_and_lists_mix_and_the_rest_has_defaults(sweep):
    ours = dse.load(sweep)
    result = ours.evaluate({"memory": "hbm3", "memory_devices": [4, 8], "memory_device_gib": 16})
    assert len(result) == 2
    assert result["bandwidth_gbps"].iloc[1] == pytest.approx(2 * result["bandwidth_gbps"].iloc[0])
    assert ours.default_design["node"] == "tsmc_5"
    for wrong in ({"memory_device": 3}, {"macs": [1, 2], "clock_ghz": [1, 2, 3]}, {"macs": [[1]]}):
        with pytest.raises(dse.DseError):
            ours.evaluate(wrong)


def test_notebooks_show_tables(found):
    assert "<table " in found._repr_html_() and "a100" in found._repr_html_()
    assert "chat: llama2_70b" in found.sweep._repr_html_()


def test_a_derived_metric_is_like_any_other(sweep, tmp_path):
    name = f"chat.{PER_AREA.name}"
    sweep["objectives"] = [{"metric": name, "direction": "maximize"}, sweep["objectives"][1]]
    sweep["constraints"] = [{"metric": name, "min": 0.5, "relative_to": "a100"}]
    sweep["baselines"] = {"a100": {"chips": "1x a100_80gb_sxm", "weight_format": "int4_g128"}}
    done = dse.load(sweep, metrics=[PER_AREA]).run(out=tmp_path / "run")
    table = done.designs
    np.testing.assert_allclose(table[name], table["chat.tokens_per_s"] / table["die_mm2"])
    assert name in done.picks
    assert done.report().is_file() and done.plot("pareto")
    again = dse.open_run(done.path, metrics=[PER_AREA])
    assert again.sweep.spec.hash == done.sweep.spec.hash
    assert "token/s/mm²" in again._repr_html_()


def test_derived_metrics_build_on_each_other(sweep):
    coarse = dse.DerivedMetric(
        name="tokens_per_s_per_cm2",
        formula=lambda m: 100 * m[PER_AREA.name],
        inputs=(PER_AREA.name,),
        unit="token/s/cm²",
        meaning="the same per square centimetre",
        better="max",
    )
    sweep["objectives"] = [{"metric": "chat.tokens_per_s_per_cm2", "direction": "maximize"}]
    ours = dse.load(sweep, metrics=[PER_AREA, coarse])
    found = ours.evaluator.evaluate(ours.space.default_design(), metrics=("die_mm2", "chat.tokens_per_s"))
    wanted = 100 * found.metrics["chat.tokens_per_s"] / found.metrics["die_mm2"]
    np.testing.assert_allclose(found.metrics["chat.tokens_per_s_per_cm2"], wanted)


def test_a_sweep_goes_to_workers_with_its_derived_metrics(sweep):
    sweep["objectives"] = [{"metric": f"chat.{PER_AREA.name}", "direction": "maximize"}]
    spec = dse.load(sweep, metrics=[PER_AREA]).spec
    there = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(spec))))
    design = Space(spec).default_design()
    here, other = (Evaluator(one).evaluate(design).objectives for one in (spec, there))
    np.testing.assert_array_equal(here, other)


@pytest.mark.parametrize(
    ("name", "inputs"), [("die_mm2", ("tdp_w",)), ("two words", ("tdp_w",)), ("x", ("nothing",)), ("x", ())]
)
def test_metrics_that_cannot_be_are_refused(sweep, name, inputs):
    one = dse.DerivedMetric(name=name, formula=lambda m: m["tdp_w"], inputs=inputs, unit="", meaning="")
    with pytest.raises(ValueError, match=name if inputs == ("tdp_w",) else "inputs of x"):
        dse.load(sweep, metrics=[one])


def test_two_sweeps_do_not_see_each_others_metrics(sweep):
    name = f"chat.{PER_AREA.name}"
    first = dse.DerivedMetric(**{**vars(PER_AREA), "formula": lambda m: 1e6 * m["tokens_per_s"], "unit": "token/s"})
    sweep["objectives"] = [{"metric": name, "direction": "maximize"}]
    one, other = (dse.load(sweep, metrics=[metric]) for metric in (first, PER_AREA))
    design = one.space.default_design()
    for _ in range(2):
        found = [ours.evaluator.evaluate(design).metrics for ours in (one, other)]
        np.testing.assert_allclose(found[0][name], 1e6 * found[0]["chat.tokens_per_s"])
        np.testing.assert_allclose(found[1][name], found[1]["chat.tokens_per_s"] / found[1]["die_mm2"])
    assert [ours.spec.metrics[PER_AREA.name].unit for ours in (one, other)] == ["token/s", "token/s/mm²"]
    with pytest.raises(dse.SpecError, match="objectives"):
        dse.load(sweep)


def test_whole_numbers_stay_whole(found, sweep):
    ours = dse.load(sweep)
    for frame in (ours.sample(20), found.front, found.designs, found.picks):
        for name in ("memory_devices", "macs"):
            assert frame[name].dtype == "int64", name
        assert frame["clock_ghz"].dtype == float
    assert isinstance(ours.default_design["memory_devices"], int)
    # What applies to some designs only is missing in the others, and goes back in as it came out.
    bits = ours.sample(40, seed=1)["memory_device_bits"]
    assert str(bits.dtype) == "Int64" and bits.isna().any() and set(bits.dropna()) <= {32, 64}
    pd.testing.assert_frame_equal(ours.evaluate(ours.sample(40, seed=1)), ours.evaluate(ours.sample(40, seed=1)))


@pytest.mark.parametrize(
    "designs, says",
    [
        ({"memory_device": 3}, "memory_device: is no parameter; perhaps memory_devices"),
        ({"memory_devices": ["two"]}, "memory_devices: 'two' is not a number"),
        ({"memory_devices": -3}, "memory_devices: -3 is not above 0"),
        ({"memory_devices": 2.5}, "memory_devices: 2.5 is not a whole number"),
        (
            {"memory": "lpddr5x_960"},
            "is not a memory grade of the library (dse library lists them); perhaps lpddr5x_9600",
        ),
        ({"memory": 4}, "memory: 4 is not the name of a memory grade"),
        ({"technology.tco.pu": 1.2}, "technology.tco.pu: is no parameter; perhaps technology.tco.pue"),
        ({"chat.model": "llama3_8b"}, "chat.model: is no parameter"),
        ({"cooling": "ice"}, "cooling: 'ice' is not air or liquid"),
        ({"macs": [1024, 2048], "memory_devices": [1, 2, 3]}, "macs: has 2 values is not 1 value or 3"),
    ],
)
def test_what_no_design_can_be_is_told(sweep, designs, says):
    with pytest.raises(dse.DseError) as caught:
        dse.load(sweep).evaluate(designs)
    assert says in str(caught.value)


def test_every_issue_of_designs_is_told_at_once(sweep):
    with pytest.raises(dse.DseError) as caught:
        dse.load(sweep).evaluate({"memroy": "hbm3", "node": "tsmc_55", "macs": "many"})
    assert len(str(caught.value).splitlines()) == 3


def test_what_prints_in_a_console_is_a_line(found, sweep):
    ours = repr(dse.load(sweep))
    assert ours.startswith("Sweep('small': ") and "2 objectives" in ours and len(ours) < 120
    assert repr(found).startswith("Run('small', ") and "\n" not in repr(found)
    assert re.fullmatch(r"Explanation\('small, .*': chat [0-9.]+ ms\)", repr(found.explain()))


def test_a_sweep_is_loaded_by_mapping_file_and_shipped_name(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(sweep))
    ours = dse.load("mine.yaml")
    assert ours.spec.hash == dse.load(sweep).spec.hash == dse.load(tmp_path / "mine.yaml").spec.hash
    assert dse.load("quickstart").spec.name == "quickstart"
    for source in (sweep, "mine.yaml"):
        assert dse.load(source, overrides=["search.seed=7"]).spec.search.seed == 7
        with pytest.raises(dse.LibraryError, match="nowhere"):
            dse.load(source, library=["nowhere"])
    done = dse.run({**sweep, "search": {"sampler": "sobol", "n_designs": 16}}, out=tmp_path / "run")
    again = dse.run(done.sweep, out=tmp_path / "again")
    assert again.manifest["counts"] == done.manifest["counts"] and again.path == tmp_path / "again"
    # Defaults that the first left out are parameters of the sweep as it was run.
    pd.testing.assert_frame_equal(again.front[list(done.front)], done.front)


def test_a_run_without_a_place_is_told_where_runs_go_and_how_far_it_is(sweep, tmp_path):
    told = []
    ours = dse.load({**sweep, "search": {"sampler": "sobol", "n_designs": 16}})
    done = ours.run(results=tmp_path, progress=told.append)
    assert done.path.parent == tmp_path / "small" and told[-1].evaluated == 16
    assert dse.open_run(tmp_path / "small").path == done.path


def test_samples_have_the_seed_0_unless_another_is_given(sweep):
    ours = dse.load(sweep)
    pd.testing.assert_frame_equal(ours.sample(8), ours.sample(8, seed=0))
    assert not ours.sample(8).equals(ours.sample(8, seed=1)) and len(ours.sample(8)) == 8
    assert list(ours.default_design) == list(ours.sample(1).columns)


def test_baselines_are_rows_of_the_metrics_that_the_evaluator_has(found):
    table, theirs = found.sweep.baselines, found.sweep.evaluator.baselines
    assert list(table.index) == list(theirs) == ["a100"]
    for name, value in theirs["a100"].items():
        np.testing.assert_equal(table.loc["a100", name], np.nan if value is None else value)


def test_margins_are_columns_of_their_own(sweep):
    ours = dse.load({**sweep, "constraints": [{"metric": "cost_usd", "max": 900}]})
    table = ours.evaluate(ours.sample(30))
    (margin,) = (name for name in table if name.startswith("margin cost_usd"))
    np.testing.assert_array_equal(table[margin] >= 0, table["cost_usd"] <= 900)
    assert (table["cost_usd"] <= 900).nunique() == 2 and not table["feasible"][table[margin] < 0].any()


def test_a_run_that_found_nothing_is_shown_without_picks(sweep, tmp_path):
    never = {
        **sweep,
        "constraints": [{"metric": "cost_usd", "max": 1}],
        "search": {"sampler": "sobol", "n_designs": 16},
    }
    done = dse.load(never).run(out=tmp_path / "run")
    assert repr(done) == f"Run('small', {str(tmp_path / 'run')!r}: 0 of 16 designs feasible, front 0)"
    assert done.front.empty and done._repr_html_().startswith("<h3>Run small</h3>")
    assert ("<table" in done._repr_html_()) == bool(done.stored.picks)
    assert repr(done.sweep) == ("Sweep('small': 7 parameters vary, 2 objectives, 1 constraints, 0 baselines)")


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("memory_devices", [4.0, 8.0], "int64"),
        ("memory_devices", [4.0, np.nan], "Int64"),
        ("memory_devices", [np.nan, np.nan], "Int64"),
        ("memory_devices", [4.0, 8.5], "float64"),
        ("memory_devices", ["4", "8"], None),
        ("clock_ghz", [1.0, 2.0], "float64"),
        ("chat.tpot_ms", [1.0, 2.0], "float64"),
        ("of_my_own", [1.0, 2.0], "float64"),
    ],
)
def test_columns_are_whole_where_their_parameter_is_and_all_numbers_are(column, values, kind):
    frame = pd.DataFrame({column: values})
    changed = whole_numbers(frame)
    assert changed[column].dtype == (kind or frame[column].dtype)
    pd.testing.assert_series_equal(changed[column].astype(frame[column].dtype), frame[column])


# -- what is handed on ---------------------------------------------------------------------------------------------


def test_whole_parameters_are_integers_where_all_of_them_are():
    frame = pd.DataFrame({
        "macs": [1024.0, 2048.0], "sram_mib": [1.5, 2.0], "memory_devices": [2.0, np.nan], "dies": [1.0, 1.5],
        "chat.batch": [4.0, 8.0], "cost_usd": [1.0, 2.0], "node": ["a", "b"], "id": [3, 4],
    })  # fmt: skip
    told = api.whole_numbers(frame)
    assert {name: str(kind) for name, kind in told.dtypes.items() if str(kind) in ("int64", "Int64")} == {
        "macs": "int64", "memory_devices": "Int64", "chat.batch": "int64", "id": "int64",
    }  # fmt: skip
    assert told["dies"].tolist() == [1, 1.5] and list(told) == list(frame) and frame["macs"].dtype == float


def test_a_sample_is_drawn_by_its_seed():
    one = api.Sweep(parse_spec(tiny()))
    first, again, other = (one.sample(6, **more) for more in ({}, {"seed": 0}, {"seed": 1}))
    assert len(first) == 6 and first.equals(again) and not first.equals(other)
    assert first["macs"].dtype == "int64" and one._repr_html_().startswith("<h3>")
    assert repr(one).startswith("Sweep('tiny': 5 parameters vary, 2 objectives, 2 constraints, 0 baselines)")


def test_a_run_hands_on_what_it_is_asked(monkeypatch, tmp_path):
    asked = []
    stored = SimpleNamespace(
        name="x", path=tmp_path, spec="spec", picks=[{"name": name, "design": name} for name in ("best", "knee")],
        manifest={"counts": {"feasible": 2, "evaluated": 5, "front": 1}},
    )  # fmt: skip
    monkeypatch.setattr("dse.render.plots.plot_run", lambda run, **named: asked.append(named))
    monkeypatch.setattr("dse.render.report.write_report", lambda run, **named: asked.append(named))
    monkeypatch.setattr("dse.render.explore.explore", lambda run, **named: asked.append(named))
    monkeypatch.setattr("dse.analysis.explain.inputs.explain_run_row", lambda run, design: asked.append(design))
    monkeypatch.setattr("dse.analysis.compare.compare", lambda evaluator, designs: [designs, "another workload"])
    monkeypatch.setattr(api, "Evaluator", lambda spec: spec)
    run = api.Run(stored)
    run.plot()
    run.plot("pareto", formats=("svg",))
    run.report()
    run.explore()
    run.explain()
    run.explain(3)
    assert asked == [
        {"kinds": None, "formats": ("png",)}, {"kinds": ("pareto",), "formats": ("svg",)}, {"out": None}, {"port": 0},
        None, 3,
    ]  # fmt: skip
    assert repr(run) == f"Run('x', '{tmp_path}': 2 of 5 designs feasible, front 1)"
    assert run._knee() == [{"knee": "knee"}], "of the first workload"
    for name in ("picks_table", "constraints_table", "found"):
        monkeypatch.setattr(api, name, lambda run, name=name: name)
    monkeypatch.setattr(api, "comparison_table", lambda one, with_ratios: f"{one} {with_ratios}")
    monkeypatch.setattr(api.markup, "table", lambda table: f"[{table}]")
    monkeypatch.setattr(api.markup, "bullets", lambda lines: f"({lines})")
    html = run._repr_html_()
    assert html.startswith("<h3>") and html.endswith("(found)[picks_table][constraints_table][{'knee': 'knee'} True]")
    stored.picks.clear()
    assert run._repr_html_().endswith("(found)") and run._knee() == []


def test_a_sweep_is_run_as_it_is_or_loaded_first(monkeypatch):
    one, asked = api.Sweep(parse_spec(tiny())), []
    monkeypatch.setattr(api, "_run", lambda spec, **named: asked.append((spec, named)))
    monkeypatch.setattr(api, "load_spec", lambda file, **named: asked.append((file, named)) or "spec")
    api.run(one, out="o")
    api.run("quickstart")
    usual = {"results": "results", "progress": None}
    assert asked[0] == (one.spec, {"out": "o", **usual}) and asked[2] == ("spec", {"out": None, **usual})
    assert asked[1][0].name == "quickstart.yaml"
    assert asked[1][1] == {"overrides": (), "library": (), "metrics": ()}
    assert api.load({**tiny(), "name": "other"}).spec.name == "other" and len(asked) == 3

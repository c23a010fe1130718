import json
import re

import numpy as np
import pandas as pd
import pytest

from cost_models.table import Table
from dse.errors import RunError, SpecError
from dse.evaluator import Evaluator
from dse.parallelism import Parallelism
from dse.render.plots import plot_run
from dse.render.report import write_report
from dse.results.store import bare, open_run
from dse.runs import explore, resume, run
from dse.space import Space
from dse.sweep import parse_spec
from dse.sweep.library_additions import library_of
from tests import sweeps

RESULTS = ("pareto.csv", "picks.yaml", "constraints.csv", "axes.csv", "baselines.csv")


def tiny(**changes):
    return parse_spec(sweeps.tiny(**{"baselines": {"a100": {"chips": "1x a100_80gb_sxm"}}, **changes}))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(tiny(), out=tmp_path_factory.mktemp("runs") / "tiny")


def test_the_same_sweep_gives_the_same_bytes_however_it_is_cut(done, tmp_path):
    search = {"sampler": "grid", "batch_size": 100}
    again = run(tiny(search=search), out=tmp_path / "again", spread=Parallelism(chunk_rows=37))
    for name in RESULTS:
        assert (again.path / name).read_bytes() == (done.path / name).read_bytes(), name


@pytest.mark.parametrize("sampler", ["sobol", "random", "sobol+evolve"])
def test_the_same_seed_gives_the_same_bytes(tmp_path, sampler):
    search = {"sampler": sampler, "n_designs": 256, "seed": 3}
    runs = [run(tiny(search=search), out=tmp_path / name) for name in "ab"]
    other = run(tiny(search={**search, "seed": 4}), out=tmp_path / "c")
    for name in (*RESULTS, "resolved.yaml", "sweep.yaml"):
        assert (runs[0].path / name).read_bytes() == (runs[1].path / name).read_bytes(), name
    assert (other.path / "pareto.csv").read_bytes() != (runs[0].path / "pareto.csv").read_bytes()


def test_the_answer_is_shown_before_the_sample_is_worked_out(done, tmp_path):
    shown = []

    def answered(run, directory):
        assert directory == tmp_path / "run" and not directory.exists()
        assert run.manifest["counts"] == done.manifest["counts"]
        shown.append((run.picks, run.front, run.baselines, len(run.designs)))

    again = run(tiny(), out=tmp_path / "run", answered=answered)
    picks, front, baselines, known = shown[0]
    assert len(shown) == 1 and picks == done.picks and known < len(again.designs)
    pd.testing.assert_frame_equal(front, done.front)
    pd.testing.assert_frame_equal(baselines, done.baselines)
    pd.testing.assert_frame_equal(again.designs, done.designs)


def test_who_ends_it_between_answer_and_files_can_go_on(done, tmp_path):
    def answered(run, directory):
        raise SystemExit

    with pytest.raises(SystemExit):
        run(tiny(), out=tmp_path / "run", answered=answered)
    assert [path.name for path in tmp_path.iterdir()] == ["run.unfinished"]
    again = resume(tmp_path / "run")
    assert (again.path / "pareto.csv").read_bytes() == (done.path / "pareto.csv").read_bytes()


def test_the_front_is_that_of_every_kept_design(done):
    table = done.designs
    assert len(table) == done.manifest["counts"]["evaluated"] == Space(tiny()).grid_size
    assert table["sampled"].all() and list(table["id"]) == list(range(len(table)))
    feasible = table[table["feasible"]]
    points = np.column_stack([feasible["chat.tpot_ms"], -feasible["chat.tokens_per_joule"]])
    beaten = [any((other <= point).all() and (other < point).any() for other in points) for point in points]
    by_hand = list(feasible["id"][~np.array(beaten)])
    assert list(done.front["id"]) == by_hand
    written = pd.read_csv(done.path / "pareto.csv").rename(columns=bare)
    assert list(written["id"]) == by_hand
    assert np.allclose(written["chat.tpot_ms"], done.front["chat.tpot_ms"], rtol=1e-8)


def test_rows_are_what_the_evaluator_says_of_them(done):
    spec = tiny()
    result = Evaluator(spec).evaluate(Space(spec).grid(0, Space(spec).grid_size))
    for name, value in result.metrics.items():
        assert np.allclose(done.designs[name], value, rtol=1e-12, equal_nan=True), name
    assert list(done.designs["feasible"]) == list(result.feasible)


def test_constraints_and_axes_add_up(done):
    table = done.designs
    constraints = done.constraints.set_index("constraint")
    fits = table["margin chat.capacity"] >= 0
    assert constraints.loc["tdp_w <= 200", "violated"] == (table["margin tdp_w <= 200"] < 0).sum()
    slow = table["margin chat.tpot_ms <= 20"] < 0
    assert constraints.loc["chat.tpot_ms <= 20", "violated"] == (slow & fits).sum()
    assert constraints.loc["chat.tpot_ms <= 20", "missing"] == (~fits).sum() > 0
    assert constraints.loc["chat.capacity", "sole_cause"] > 0, "what does not fit is not slow"
    for axis, values in done.axes.groupby("axis"):
        assert values["evaluated"].sum() == len(table), axis
        assert values["feasible"].sum() == table["feasible"].sum(), axis
    assert done.axes[done.axes["feasible"] == 0]["removed_by"].notna().all()


def test_picks_run_again(done):
    assert {pick["name"] for pick in done.picks} == {
        "best_chat.tpot_ms",
        "best_chat.tokens_per_joule",
        "knee",
        "nearest_to_targets",
    }
    for pick in done.picks:
        result = Evaluator(done.spec).evaluate(Table.from_settings(pick["design"]))
        for name, value in pick["metrics"].items():
            assert result.metrics[name][0] == pytest.approx(value, rel=1e-8)
        assert done.row(pick["id"])["chat.tpot_ms"] == pytest.approx(pick["metrics"]["chat.tpot_ms"])
    best = {pick["name"]: pick["metrics"] for pick in done.picks}
    assert best["best_chat.tokens_per_joule"]["chat.tokens_per_joule"] == pytest.approx(
        done.front["chat.tokens_per_joule"].max()
    )


def test_the_manifest_says_where_it_comes_from(done):
    manifest = done.manifest
    assert manifest["schema"] == 1 and manifest["status"] == "complete" and manifest["seed"] == 0
    assert manifest["kept"] == "every design" and manifest["sample_stride"] == 1
    assert manifest["library_parameters_read"] > 50 and len(manifest["spec_sha256"]) == 64
    assert manifest["packages"]["numpy"] == np.__version__
    lines = [json.loads(line) for line in (done.path / "progress.jsonl").read_text().splitlines()]
    assert lines[-1]["evaluated"] == manifest["counts"]["evaluated"] and lines[-1]["hypervolume"] > 0


def test_the_resolved_sweep_is_the_sweep(done):
    assert done.spec.hash == tiny().hash == done.manifest["spec_sha256"]
    text = (done.path / "resolved.yaml").read_text()
    assert "# Parameters of the library" in text and "# tco.pue: 1.35 (1.1 to 1.58)" in text
    cited = dict(re.findall(r"^# ([\w.]+): .* \[(.*)\]", text, flags=re.MULTILINE))
    known = library_of(done.spec.library).parameters
    assert len(cited) > 50 and any(known[path].year is None for path in cited)
    for path, words in cited.items():
        year = [str(known[path].year)] if known[path].year else []
        assert words.endswith(", ".join([*year, known[path].confidence])), path


@pytest.mark.parametrize("limit", [0, 50])
def test_a_large_run_keeps_what_matters_and_says_so(done, tmp_path, limit):
    few = run(tiny(results={"keep_all_up_to": limit}), out=tmp_path / "few")
    table, manifest = few.designs, few.manifest
    assert len(table) == manifest["counts"]["kept"] < done.manifest["counts"]["kept"]
    sampled = table[table["sampled"]]
    assert len(sampled) <= limit
    stride = manifest["sample_stride"]
    total = manifest["counts"]["evaluated"]
    assert list(sampled["id"]) == (list(range(0, total, stride)) if stride else [])
    assert "front" in manifest["kept"] and (f"one in {stride}" in manifest["kept"]) == bool(limit)
    assert list(few.front["id"]) == list(done.front["id"])
    assert {pick["id"] for pick in few.picks} <= set(table["id"])
    missed = done.designs[~done.designs["feasible"]].sort_values(["violation", "id"])["id"].head(20)
    assert set(missed) <= set(table["id"])
    for name in RESULTS:
        assert (few.path / name).read_bytes() == (done.path / name).read_bytes(), name
    if limit:
        with pytest.raises(RunError, match="not kept"):
            few.row(next(i for i in range(total) if i not in set(table["id"])))
    for beyond in (-1, total):
        with pytest.raises(RunError, match=f"there is no design {beyond}, ids end at {total - 1}"):
            few.row(beyond)


def test_without_a_feasible_design_the_nearest_misses_are_kept(tmp_path):
    impossible = tiny(constraints=[{"metric": "chat.tpot_ms", "max": 0.001}])
    done = run(impossible, out=tmp_path / "run")
    assert not done.found_feasible and len(done.front) == 0
    (pick,) = done.picks
    least = done.designs.sort_values(["violation", "id"]).iloc[0]
    assert (pick["name"], pick["id"], pick["feasible"]) == ("least_violation", least["id"], False)
    assert "chat.tpot_ms <= 0.001" in pick["reason"]
    assert list(pd.read_csv(done.path / "pareto.csv")["id"]) == []
    slow = done.constraints.set_index("constraint").loc["chat.tpot_ms <= 0.001"]
    assert slow["best_margin"] < 0 and slow["violated"] + slow["missing"] == done.manifest["counts"]["evaluated"]
    assert (done.axes["removed_by"].str.contains("chat.tpot_ms <= 0.001 \\(", regex=True)).all()


@pytest.mark.parametrize("batch_size", [50, 1000])
def test_ctrl_c_keeps_what_is_done(tmp_path, batch_size):
    pieces = Parallelism(block_rows=50)

    def stop(progress):
        if progress.evaluated >= 100:
            raise KeyboardInterrupt

    spec = tiny(search={"sampler": "grid", "batch_size": batch_size})
    done = run(spec, out=tmp_path / "run", progress=stop, spread=pieces)
    assert done.manifest["status"] == "interrupted"
    assert done.manifest["counts"]["evaluated"] == len(done.designs) == 100
    assert done.manifest["counts"]["planned"] == Space(spec).grid_size
    outcome = explore(spec, stopped=lambda: True, spread=pieces)
    assert outcome.status == "interrupted" and outcome.evaluated == 50


def test_interrupted_in_the_middle_of_a_stretch_the_state_stays(tmp_path):
    whole = run(tiny(), out=tmp_path / "whole")
    with pytest.MonkeyPatch.context() as pressed, pytest.raises(KeyboardInterrupt):
        pressed.setattr(Evaluator, "evaluate", _interrupt)
        run(tiny(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    again = resume(tmp_path / "run")
    assert again.manifest["status"] == "complete" and again.front.equals(whole.front)


def test_interrupted_at_once_there_is_still_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr("dse.runs._searched", lambda search, progress, stopped: "interrupted")
    done = run(tiny(), out=tmp_path / "run")
    assert done.manifest["counts"]["evaluated"] == 0 and done.manifest["status"] == "interrupted"
    assert len(done.designs) == len(done.front) == len(done.constraints) == len(done.axes) == 0
    assert done.picks == []
    assert open_run(done.path).manifest == done.manifest


def _interrupt(self, designs, metrics=None):
    raise KeyboardInterrupt


def test_a_constraint_relative_to_nothing_is_refused_before_the_search(tmp_path):
    spec = tiny(
        baselines={"small": {"chips": "1x l40s"}},
        workloads={"chat": {"model": "llama2_70b", "batch": 16}},
        constraints=[{"metric": "chat.tpot_ms", "max": 1, "relative_to": "small"}],
    )
    with pytest.raises(SpecError, match=r"constraints\[0\].relative_to: small has no chat.tpot_ms"):
        run(spec, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_overwritten_and_fails_before_the_search(done, monkeypatch):
    monkeypatch.setattr(Evaluator, "evaluate", _interrupt)
    with pytest.raises(RunError, match="exists already"):
        run(tiny(), out=done.path)


def test_runs_without_a_place_stand_under_results(tmp_path):
    done = run(tiny(search={"sampler": "sobol", "n_designs": 16}), results=tmp_path)
    assert done.path.parent == tmp_path / "tiny"
    assert open_run(tmp_path / "tiny").path == done.path
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == [done.path.name]


def test_a_space_with_one_design_is_a_run_of_one(tmp_path):
    fixed = tiny(space={"memory": "hbm3", "memory_devices": 4, "memory_device_gib": 16, "macs": 65536})
    done = run(fixed, out=tmp_path / "run")
    assert done.manifest["counts"]["evaluated"] == 1 and len(done.axes) == 0


def test_a_parameter_may_be_an_objective_and_a_constraint(tmp_path):
    base = sweeps.tiny(constraints=[{"metric": "macs", "max": 32768}, {"metric": "chat.tpot_ms", "max": 20}])
    base["objectives"] = [{"metric": "memory_devices", "direction": "minimize"}, base["objectives"][0]]
    base["baselines"] = {"a100": {"chips": "1x a100_80gb_sxm"}}
    done = open_run(run(parse_spec(base), out=tmp_path / "run").path)
    front = done.front
    assert len(front) and (front["macs"] <= 32768).all() and not front.columns.duplicated().any()
    feasible = done.designs[done.designs["feasible"].astype(bool)]
    assert front["memory_devices"].min() == feasible["memory_devices"].min()
    # Fewer devices are slower: along the front both move against each other.
    assert front.sort_values("memory_devices")["chat.tpot_ms"].is_monotonic_decreasing
    write_report(done.path)
    assert plot_run(done.path)

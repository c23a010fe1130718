"""A run directory that was written by hand: what is read of it, and each fault that is told."""

import json
import math
import os

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from dse.errors import RunError, SpecError
from dse.results.store import CONSTRAINT_COLUMNS, StoredRun, _check_columns, _check_values, find_run, holding, open_run
from dse.results.yaml_text import yaml_text
from dse.sweep import load_spec, parse_spec
from tests.dse.results.test_store import WHOLE, make_run
from tests.sweeps import tiny

SPEC = parse_spec(
    tiny(
        space={"node": {"values": ["tsmc_5", "tsmc_7"]}, "macs": {"values": [1024, 2048]}, "kv_bits": 8,
               "clock_ghz": {"low": 0.5, "high": 1.5, "levels": 3},
               "sram_mib": {"values": [64], "when": {"node": "tsmc_5"}}},
        baselines={"a100": {"chips": "1x a100_80gb_sxm"}, "tpu": {"chips": "2x tpu_v4"}},
    )
)  # fmt: skip


def stored(folder, **counts):
    usual = {"planned": 9, "evaluated": 9, "feasible": 1, "front": 1, "kept": 2}
    run = StoredRun(folder, {**WHOLE, "counts": usual | counts})
    run.__dict__["spec"] = SPEC
    return run


def refused(ask):
    with pytest.raises(RunError) as caught:
        ask()
    return str(caught.value)


# --- tables ---------------------------------------------------------------------------------------------------------


def test_columns_of_designs_are_numbers_or_texts_each_once(tmp_path):
    file = tmp_path / "0.parquet"

    def check(names, arrays):
        parquet.write_table(pa.Table.from_arrays(arrays, names=names), file)
        return _check_columns(file)

    fine = [pa.array([1]), pa.array([1.5]), pa.array([True]), pa.array(["x"]), pa.array(["x"], pa.large_string()),
            pa.array(["x"]).dictionary_encode(), pa.nulls(1), pa.array([1], pa.int8()).dictionary_encode()]  # fmt: skip
    check(list("abcdefgh"), fine)
    assert refused(lambda: check(["a", "b", "a"], fine[:3])) == f"{file}: has column 'a' twice"
    for other in (pa.array([[1]]), pa.array([b"x"]), pa.array([{"k": 1}]), pa.array([1], pa.date32())):
        told = refused(lambda other=other: check(["a", "b"], [fine[0], other]))
        assert told == f"{file}: column 'b' holds neither numbers nor texts"


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ({"macs": [1024.0, 2048.0, math.nan]}, None), ({"macs": [1024 * (1 - 5e-10), 2048 * (1 + 5e-10)]}, None),
        ({"macs": [1024 * (1 - 3e-9)]}, "macs of a design is 1023.99"), ({"macs": [2048 * (1 + 3e-9)]}, "macs"),
        ({"macs": [1024.0, 4096.0]}, "macs of a design is 4"),
        ({"clock_ghz": [0.5, 1.0, 1.5]}, None), ({"clock_ghz": [0.49]}, "clock_ghz of a design is 0.49"),
        ({"clock_ghz": [1.51]}, "clock_ghz of a design is 1.51"), ({"kv_bits": [8]}, None),
        ({"kv_bits": [9]}, "kv_bits"),
        ({"node": ["tsmc_5", "tsmc_7", None]}, None),
        ({"node": ["tsmc_5", "tsmc_3"]}, "node of a design is 'tsmc_3', which the sweep does not have"),
        ({"node": [1.0]}, "node of a design is 1"), ({"macs": ["many"]}, "macs of a design is 'many'"),
        ({"node": [math.inf]}, "node of a design is inf"), ({"node": [-math.inf]}, "node of a design is -inf"),
        ({"other": [1]}, None),
    ],
)  # fmt: skip
def test_values_of_designs_are_those_of_the_sweep(column, other, tmp_path):
    if other is None:
        _check_values(pd.DataFrame(column), tmp_path, SPEC)
    else:
        assert refused(lambda: _check_values(pd.DataFrame(column), tmp_path, SPEC)).startswith(f"{tmp_path}: {other}")


def test_a_table_holds_the_columns_that_are_read_of_it(tmp_path):
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert holding(table, tmp_path, ("a",), ("b",)) is table
    assert refused(lambda: holding(table, tmp_path, ("a", "c"))) == f"{tmp_path}: has no column c"
    assert refused(lambda: holding(table, tmp_path, (), ("c",))) == f"{tmp_path}: has no column c"
    assert refused(lambda: holding(table, tmp_path, ("a", "b"))).endswith("column b holds what is not a number")
    holding(table.iloc[:0], tmp_path, ("a", "b"))


@pytest.mark.parametrize(
    ("name", "texts", "numbers"),
    [
        ("constraints", ("constraint",), CONSTRAINT_COLUMNS[1:]),
        ("margins", ("constraint",), ("low", "high", "designs")),
        ("axes", ("axis", "value", "removed_by", "nearest_miss"),
         ("low", "high", "evaluated", "feasible", "feasible_low", "feasible_high")),
    ],
)  # fmt: skip
def test_tables_of_what_was_counted_have_numbers_where_numbers_are_read(name, texts, numbers, tmp_path):
    file = tmp_path / f"{name}.csv"

    def read(**cells):
        line = {**dict.fromkeys(texts, "7"), **dict.fromkeys(numbers, "2.5"), **cells}
        file.write_text(",".join(line) + "\n" + ",".join(line.values()) + "\n")
        return getattr(stored(tmp_path), name)

    table = read()
    assert all(table[one].tolist() == ["7"] for one in texts) and all(table[one].tolist() == [2.5] for one in numbers)
    for one in numbers:
        assert refused(lambda one=one: read(**{one: "x"})) == f"{file}: column {one} holds what is not a number"
    (tmp_path / "top.csv").write_text("rank,chat.tpot_ms [ms],rank\n1,2,3\n")
    assert refused(lambda: stored(tmp_path).top).startswith(f"{tmp_path / 'top.csv'}: cannot be read: ")
    (tmp_path / "top.csv").write_text("rank,chat.tpot_ms [ms]\n1,2\n")
    assert stored(tmp_path).top.to_dict("list") == {"rank": [1], "chat.tpot_ms": [2]}


def designs(ids, **more):
    n = len(ids)
    usual = {
        "id": ids, "macs": [1024.0] * n, "feasible": [True] * n, "violation": [0.0] * n, "sampled": [True] * n,
        "pareto": [one % 2 == 1 for one in ids], "chat.tpot_ms": [1.0] * n, "chat.tokens_per_joule": [1.0] * n,
    }  # fmt: skip
    return pd.DataFrame(usual | more)


def test_designs_are_those_of_all_parts_in_the_order_of_their_ids(tmp_path):
    folder = tmp_path / "designs"
    assert list(stored(tmp_path, evaluated=0).designs) == ["id", "feasible", "pareto", "sampled"]
    assert refused(lambda: stored(tmp_path).designs) == f"{folder}: holds no table of designs"
    folder.mkdir()
    designs([7]).iloc[:0].to_parquet(folder / "0.parquet")
    assert refused(lambda: stored(tmp_path).designs) == f"{folder}: holds no design of those that were evaluated"
    assert len(stored(tmp_path).front) == 0
    designs([5, 2]).to_parquet(folder / "1.parquet")
    designs([3]).to_parquet(folder / "2.parquet")
    run = stored(tmp_path)
    assert run.designs["id"].tolist() == [2, 3, 5] and list(run.designs.index) == [0, 1, 2]
    assert run.front["id"].tolist() == [3, 5] and run.front is not run.front
    run.manifest["files"] = {"designs/3.parquet": "0", "picks.yaml": "0"}
    assert "designs/3.parquet: is missing" in refused(lambda: stored_again(run).designs)
    run.manifest["files"] = None
    designs([7]).drop(columns="violation").to_parquet(folder / "3.parquet")
    for name in ("0", "1", "2"):
        (folder / f"{name}.parquet").unlink()
    assert refused(lambda: stored_again(run).designs) == f"{folder}: has no column violation"


def stored_again(run):
    again = StoredRun(run.path, run.manifest)
    again.__dict__["spec"] = SPEC
    return again


# --- picks, baselines, progress -------------------------------------------------------------------------------------


PICK = {
    "name": "knee", "reason": "why", "id": 3, "feasible": True, "metrics": {"cost_usd": 1.5},
    "design": {"node": "tsmc_5", "macs": 1024, "kv_bits": 8, "clock_ghz": 1.0, "sram_mib": 64},
}  # fmt: skip


def picks_of(folder, value):
    (folder / "picks.yaml").write_text(value if isinstance(value, str) else yaml_text(value))
    return stored(folder).picks


def changed(**parts):
    return [{**PICK, **parts}]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": 1}, "is not a list of picks"), ("[", ":2:1: is not YAML"), (changed(name=1), "name is not text"),
        (changed(reason=None), "reason is not text"), (changed(id=1.5), "id is not a whole number"),
        (changed(feasible=1), "feasible is not true or false"), (changed(metrics={"a": "x"}), "a is not a number"),
        (changed(metrics=[]), "metrics is not a mapping"), (changed(design=1), "design is not a mapping"),
        ([PICK, 1], "is not a mapping"),
        *((changed(design={k: v for k, v in PICK["design"].items() if k != name}), f"pick 'knee' has no {name}")
          for name in ("node", "macs", "kv_bits", "clock_ghz")),
        (changed(design={**PICK["design"], "macs": None}), "pick 'knee' has no macs"),
        (changed(design={**PICK["design"], "macss": 1}), "pick 'knee': "),
    ],
)  # fmt: skip
def test_a_pick_that_is_none_is_told_with_its_file(value, told, tmp_path):
    words = refused(lambda: picks_of(tmp_path, value))
    assert words.startswith(str(tmp_path / "picks.yaml")) and told in words


def test_picks_are_read_as_they_were_written(tmp_path):
    inactive = {**PICK, "design": {name: one for name, one in PICK["design"].items() if name != "sram_mib"}}
    assert picks_of(tmp_path, [PICK, inactive]) == [PICK, inactive], "what a condition leaves out may be lacking"
    assert picks_of(tmp_path, "[]") == []


def test_baselines_are_those_of_the_sweep(tmp_path):
    text = "baseline,chips,chat.tpot_ms [ms],note\ntpu,2,,x\na100,1,2.5,y\n"
    (tmp_path / "baselines.csv").write_text(text)
    told = stored(tmp_path).baseline_metrics
    assert list(told) == ["tpu", "a100"] and told["a100"] == {"chips": 1, "chat.tpot_ms": 2.5}
    assert math.isnan(told["tpu"]["chat.tpot_ms"])
    for other in (text.replace("tpu", "gpu"), text.partition("tpu")[0], text + "a100,1,1,z\n"):
        (tmp_path / "baselines.csv").write_text(other)
        assert refused(lambda: stored(tmp_path).baselines).endswith("its baselines are not those of the sweep")


def test_progress_is_read_line_by_line(tmp_path):
    file = tmp_path / "progress.jsonl"
    lines = [{"evaluated": 3, "front": 1, "hypervolume": None}, {"evaluated": 5, "front": 2, "hypervolume": 0.5}]

    def read(*lines):
        file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return stored(tmp_path).progress

    table = read(*lines)
    assert table["evaluated"].tolist() == [3, 5] and table["hypervolume"].tolist()[1] == 0.5
    assert math.isnan(table["hypervolume"][0]) and math.isnan(read({"evaluated": 1, "front": 0})["hypervolume"][0])
    assert list(read()) == ["evaluated", "front", "hypervolume"] and len(read()) == 0
    assert refused(lambda: read(lines[0], "{")).startswith(f"{file}:2: is not JSON")
    for other in ({"front": 1}, {"evaluated": 1}, {"evaluated": 1, "front": 1, "hypervolume": "x"}, "[]"):
        assert str(file) in refused(lambda other=other: read(other))


def test_files_of_up_to_four_gibibytes_and_runs_of_no_time_are_read(tmp_path):
    run = open_run(make_run(tmp_path / "run", seconds={"total": 0.0}))
    file = run.path / "top.csv"
    for size, fine in ((2**32, True), (2**32 + 1, False)):
        file.touch()
        os.truncate(file, size)
        if fine:
            assert run.file("top.csv") == file
        else:
            assert refused(lambda: run.file("top.csv")).startswith(f"{file}: ")


# --- which run, and which sweep -------------------------------------------------------------------------------------


def test_a_run_is_found_or_what_was_meant_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results"
    assert refused(lambda: find_run("latest", results=results)) == (
        f"{results}: there is no such run directory (dse run SPEC makes one)"
    )
    assert refused(lambda: find_run("mine", results=results)) == "mine: there is no such run directory"
    for name, hint in (
        ("a.yaml", " (dse run a.yaml makes one)"),
        ("b.yml", " (dse run b.yml makes one)"),
        ("c.txt", ""),
    ):
        (tmp_path / name).write_text("")
        assert refused(lambda name=name: find_run(name)) == f"{name}: is a file, not a run directory{hint}"
    first = make_run(results / "mine" / "b", started="2026-01-01T00:00:00+00:00")
    same = make_run(results / "mine" / "c", started="2026-01-01T00:00:00+00:00")
    make_run(results / "mine" / ".d", started="2026-05-01T00:00:00+00:00")
    assert find_run("latest", results=results) == find_run(results / "mine") == same, "of one second the last by name"
    assert refused(lambda: find_run("mine", results=results)).endswith(f"directory; perhaps {results / 'mine'}")
    make_run(tmp_path / "latest")
    assert find_run("latest", results=results).name == "latest", "what stands here is meant first"
    assert open_run(first).path == first and open_run(stored(tmp_path)).path == tmp_path
    (first / "plots").symlink_to(tmp_path)
    assert refused(lambda: open_run(first)).startswith(
        f"{first / 'plots'}: is a symbolic link, which no run has within"
    )


def test_a_sweep_that_is_read_no_more_is_told_by_its_first_fault(tmp_path):
    run = open_run(make_run(tmp_path / "run"))
    (run.path / "resolved.yaml").write_text("name: x\nwords: 1\n")
    told = refused(lambda: run.spec).splitlines()
    written = "written on 2026-01-01 by llm-chip-dse of no known version"
    begins = f"{run.path}: the sweep of this run, {written}, cannot be read here"
    assert told[0].startswith(begins) and len(told) == 2 and str(run.path / "resolved.yaml") in told[1]
    reasons = int(told[0].removeprefix(f"{begins}, for ").removesuffix(" reasons:"))
    with pytest.raises(SpecError) as caught:
        load_spec(run.path / "resolved.yaml")
    assert reasons == len(caught.value.issues) > 1
    again = open_run(run.path)
    (run.path / "resolved.yaml").write_text("[")
    assert refused(lambda: again.spec).splitlines()[0] == f"{begins}:"

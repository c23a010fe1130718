"""The tables, the manifest and the checksums of a run by hand, and what a stored run answers and refuses."""

import hashlib
import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pyarrow.parquet import ParquetFile

from cost_models.library import shipped_library
from cost_models.table import Choice, Table
from dse.errors import RunError
from dse.evaluator import Evaluation
from dse.results import writer
from dse.results.directory import check_place, checked, replacing, seal, write_json, write_whole
from dse.results.manifest import MANIFEST, SEAL, digest_of, read_manifest
from dse.results.outcome import Progress
from dse.results.picks import Pick
from dse.results.provenance import parameters_by_confidence, resolved_text, text_hash
from dse.results.rows import Rows
from dse.results.statistics.margins import MarginCount
from dse.results.statistics.records import AxisValueStats, BlockingConstraint, ConstraintCount, Violation
from dse.results.store import StoredRun, designs_of
from dse.search.journal import write_atomically
from dse.sweep import parse_spec
from tests.dse.results.test_store import make_run
from tests.sweeps import small, tiny

NAN = math.nan


def rows_of(ids, node="tsmc_5"):
    ids = np.asarray(ids, dtype=np.int64)
    found = Evaluation(
        {"cost_usd": ids * 10.0, "speed": ids * 1.0}, {"cost_usd <= 20": 2.0 - ids}, ids[:, None] * 1.0, ids <= 2
    )
    return Rows(ids, Table({"node": Choice((node,), ids * 0), "macs": ids * 2.0}), found)


SPEC = SimpleNamespace(
    metrics={}, derived=(), baselines={"gpu": SimpleNamespace(
        count=2, chip="a100", weight_format=None, kv_bits=16.0, act_bits=16.0, weight_execution=None,
        serving_stack="vllm",
    )},
)  # fmt: skip


def outcome(**changes):
    progress = Progress(evaluated=4, planned=4, feasible=3, front=1, hypervolume=0.5, seconds=2.0)
    usual = {
        "status": "complete", "planned": 4, "evaluated": 4, "decided": 1, "feasible": 3, "front": rows_of([2, 0]),
        "misses": rows_of([3]), "sample": rows_of([0, 1, 2, 3]), "sample_ids": np.arange(4), "stride": 1,
        "picks": (), "top": {},
        "constraints": (), "margins": (), "values": (), "baselines": {}, "history": (progress,),
        "seconds": {"total": 2.0, "keep": 0.12345}, "parameters_read": frozenset("ab"),
    }  # fmt: skip
    return SimpleNamespace(**usual | changes)


def test_counts_of_a_run():
    told = writer._counts(outcome(), 9)
    assert told["counts"] == {"planned": 4, "evaluated": 4, "decided": 1, "feasible": 3, "front": 2, "kept": 9}
    assert (told["seconds"], told["designs_per_s"], told["hypervolume"]) == ({"total": 2.0, "keep": 0.123}, 2, 0.5)
    assert (told["kept"], told["sample_stride"], told["library_parameters_read"]) == ("every design", 1, 2)
    none = writer._counts(outcome(front=None, history=(), seconds={"total": 0.0}), 0)
    assert none["counts"]["front"] == 0 and none["designs_per_s"] is None and none["hypervolume"] is None


@pytest.mark.parametrize(("stride", "sampled"), [(1, [True] * 4), (2, [True, False, True, False]), (0, [False] * 4)])
def test_designs_are_written_in_parts_behind_those_that_are_there(stride, sampled, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "PART_ROWS", 3)
    made = outcome(stride=stride)
    writer._write_designs(tmp_path, rows_of([0, 1, 2, 3]), made)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000000.parquet", "000001.parquet"]
    writer._write_designs(tmp_path, rows_of([4]), made)
    writer._write_designs(tmp_path, None, made)
    writer._write_designs(tmp_path, rows_of([]), made)
    files = sorted(tmp_path.iterdir())
    tables = [pd.read_parquet(file) for file in files]
    assert [file.name for file in files][2:] == ["000002.parquet"] and [len(one) for one in tables] == [3, 1, 1]
    whole = pd.concat(tables[:2])
    part = ParquetFile(files[0]).metadata.row_group(0)
    encoded = {part.column(k).path_in_schema: part.column(k).encodings for k in range(part.num_columns)}
    assert {name for name, ways in encoded.items() if "RLE_DICTIONARY" in ways} == {"node"}, "numbers hardly repeat"
    assert whole["sampled"].tolist() == sampled and whole["pareto"].tolist() == [True, False, True, False]
    writer._write_designs(tmp_path, rows_of([9]), outcome(front=None))
    assert not pd.read_parquet(tmp_path / "000003.parquet")["pareto"].any()


def test_the_answer_is_written_first_and_the_rest_once(tmp_path):
    spec = parse_spec(tiny())
    made = outcome(sample=rows_of([0, 1, 2, 3]), stride=1)
    run = writer.write_answer(tmp_path, made, sweep="text\r\n", resolved="resolved", manifest={"name": "x"}, spec=spec)
    assert (tmp_path / "sweep.yaml").read_bytes() == b"text\r\n" and run.manifest["counts"]["kept"] == 4
    first = pd.read_parquet(tmp_path / "designs" / "000000.parquet")
    assert first["id"].tolist() == [0, 2, 3] and not (tmp_path / "pareto.csv").exists()
    writer.write_rest(tmp_path, made, spec)
    assert pd.read_parquet(tmp_path / "designs" / "000001.parquet")["id"].tolist() == [1]
    assert pd.read_csv(tmp_path / "pareto.csv")["id"].tolist() == [2, 0]
    assert json.loads((tmp_path / "progress.jsonl").read_text())["front"] == 1 and (tmp_path / "plots").is_dir()
    none = outcome(front=None, misses=None, sample=None)
    writer.write_rest(tmp_path, none, spec)
    assert (tmp_path / "pareto.csv").read_text() == "\n"
    few = outcome(front=None)
    writer.write_rest(tmp_path, few, spec)
    assert (tmp_path / "pareto.csv").read_text().startswith("id,node,macs,") and len(
        pd.read_csv(tmp_path / "pareto.csv")
    ) == 0


def test_tables_of_constraints_margins_and_axes():
    counts = (ConstraintCount("a", 8, 4, 1, 2, 0.5, NAN), ConstraintCount("b", 0, 0, 0, 0, NAN, NAN))
    first, second = writer.constraints_frame(outcome(constraints=counts)).to_dict("records")
    assert (first["violated_fraction"], first["sole_cause_fraction"], first["best_margin"]) == (0.5, 0.25, 0.5)
    assert math.isnan(second["violated_fraction"]) and math.isnan(second["sole_cause_fraction"])
    margins = writer.margins_frame(outcome(margins=(MarginCount("a", -math.inf, -1, 3),)))
    assert margins.to_dict("records") == [{"constraint": "a", "low": -math.inf, "high": -1, "designs": 3}]
    value = AxisValueStats(
        "macs", "1 to 2", 1.0, 2.0, 5, 0, NAN, NAN, (BlockingConstraint("a", 0.5), BlockingConstraint("b", 1.0)),
        (Violation("a", 0.1234567),),
    )  # fmt: skip
    (line,) = writer.axes_frame(outcome(values=(value,)), SPEC).to_dict("records")
    assert (line["removed_by"], line["nearest_miss"]) == ("a (50%); b (100%)", "a (by 12.346%)")
    assert (line["axis"], line["value"], line["evaluated"], line["feasible"]) == ("macs", "1 to 2", 5, 0)


def test_the_best_of_each_objective_have_a_rank():
    table = writer.top_frame(outcome(top={"cost_usd": rows_of([2, 0]), "speed": rows_of([1])}), SPEC)
    assert table[["objective", "rank", "id"]].to_dict("list") == {
        "objective": ["cost_usd", "cost_usd", "speed"], "rank": [1, 2, 1], "id": [2, 0, 1],
    }  # fmt: skip
    assert "feasible" not in table and "violation" not in table
    empty = writer.top_frame(outcome(), SPEC)
    assert len(empty) == 0 and list(empty)[:3] == ["id", "node", "macs"]


def test_baselines_stand_with_what_they_are():
    table = writer.baselines_frame(outcome(baselines={"gpu": {"cost_usd": 5.0}}), SPEC).to_dict("records")
    assert table == [{
        "baseline": "gpu", "chips": 2, "chip": "a100", "weight_format": None, "kv_bits": 16.0, "act_bits": 16.0,
        "weight_execution": None, "serving_stack": "vllm", "cost_usd": 5.0,
    }]  # fmt: skip
    assert list(writer.baselines_frame(outcome(), SPEC)) == [
        "baseline",
        "chips",
        "chip",
        "weight_format",
        "kv_bits",
        "act_bits",
    ]


def test_picks_are_written_with_nine_digits():
    from dse.yaml_positions import parse_yaml

    pick = Pick("knee", "why", 7, True, {"macs": 3}, {"cost": 1.23456789012})
    told = parse_yaml(writer._picks_text(outcome(picks=(pick,))), "f").plain()
    assert told == [{
        "name": "knee", "reason": "why", "id": 7, "feasible": True, "design": {"macs": 3},
        "metrics": {"cost": 1.23456789},
    }]  # fmt: skip


# --- where it comes from ----------------------------------------------------------------------------------------------


def test_texts_are_told_apart_in_their_hash():
    assert text_hash("ab", "c") != text_hash("a", "bc") != text_hash("abc")
    assert text_hash("é") == hashlib.sha256((2).to_bytes(8, "big") + "é".encode()).hexdigest()


def test_parameters_that_were_read_are_told_with_range_and_source():
    spec = parse_spec(small(technology={"tco.pue": 1.25}))
    library = shipped_library()
    fixed = next(
        path
        for path, one in library.parameters.items()
        if one.low is None and one.year and path not in library.evidence
    )
    lines = resolved_text(spec, [fixed, "tco.pue"]).splitlines()
    pue, other = library.parameters["tco.pue"], library.parameters[fixed]
    (told,) = [line for line in lines if line.startswith("# tco.pue: ")]
    assert told.startswith(f"# tco.pue: {pue.typ:g} ({pue.low:g} to {pue.high:g}) ")
    assert told.endswith(", replaced by 1.25 here") and pue.confidence in told
    (plain,) = [line for line in lines if line.startswith(f"# {fixed}: ")]
    assert " to " not in plain.partition("[")[0] and str(other.year) in plain and "replaced" not in plain
    assert "  " not in plain and lines.index(told) != lines.index(plain)
    groups = parameters_by_confidence([fixed, "tco.pue"], library)
    assert list(groups) == ["high", "medium", "low"] and groups[pue.confidence].count("tco.pue") == 1
    assert sum(map(len, groups.values())) == 2


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_run_is_sealed_with_the_checksums_of_its_files(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "plots").mkdir()
    for name in ("a.csv", "plots/b.svg"):
        (run / name).write_text(name)
    seal(run)
    manifest = json.loads((run / MANIFEST).read_text())
    assert list(manifest["files"]) == ["a.csv", "plots/b.svg"] and manifest[SEAL] == digest_of(manifest)
    assert manifest["files"]["a.csv"] == hashlib.sha256(b"a.csv").hexdigest()
    assert digest_of({**manifest, SEAL: "other"}) == digest_of(manifest) != digest_of({**manifest, "seed": 1})
    (run / "c.csv").write_text("c")
    seal(run, ["c.csv"])
    manifest = read_manifest(run)
    assert list(manifest["files"]) == ["a.csv", "c.csv", "plots/b.svg"]
    assert checked(run, "a.csv", manifest) == run / "a.csv"
    (run / "new.csv").write_text("n")
    assert checked(run, "new.csv", manifest) == run / "new.csv", "what has no checksum is as it is"
    (run / "a.csv").write_text("b.csv")
    with pytest.raises(RunError, match=r"a\.csv: is damaged, it is not what the run wrote; draw again"):
        checked(run, "a.csv", manifest, "draw again")
    with pytest.raises(RunError, match=r"x\.csv: is missing; the same run again: dse run"):
        checked(run, "x.csv", manifest)
    (run / MANIFEST).write_text((run / MANIFEST).read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(RunError, match="is damaged; the same run again"):
        read_manifest(run)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a"
    file.write_text("old")
    with pytest.raises(ValueError), replacing(file) as partial:
        partial.write_text("half")
        raise ValueError
    assert file.read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["a"]
    with replacing(file) as partial:
        partial.write_text("new")
    assert file.read_text() == "new" and [one.name for one in tmp_path.iterdir()] == ["a"]
    with pytest.raises(RunError, match="cannot be written"), replacing(tmp_path / "none" / "b") as partial:
        partial.write_text("x")
    # The parent of one place is not there, that of the other is a file.
    for place in (tmp_path / "none" / "b", file / "b"):
        with pytest.raises(RunError, match=f"^{place}: cannot be written: "):
            write_atomically(place, b"x")
    assert file.read_text() == "new" and [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_place_is_checked_before_it_is_written(tmp_path):
    check_place(tmp_path / "a" / "b" / "c")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        check_place(tmp_path / "file" / "b" / "c")
    (tmp_path / ".run.partial").mkdir()
    (tmp_path / ".run.partial" / "old").write_text("")
    write_whole(tmp_path / "run", lambda folder: write_json(folder / "a.json", {"b": 1}))
    assert [one.name for one in (tmp_path / "run").iterdir()] == ["a.json"] and not (tmp_path / ".run.partial").exists()
    assert (tmp_path / "run" / "a.json").read_text() == '{\n  "b": 1\n}\n'


# --- stored runs ------------------------------------------------------------------------------------------------------


def stored(tmp_path, **counts):
    usual = {"planned": 9, "evaluated": 9, "feasible": 1, "front": 1, "kept": 2}
    run = StoredRun(tmp_path, {"name": "x", "counts": usual | counts})
    run.__dict__["designs"] = pd.DataFrame({"id": [3, 8], "feasible": [True, False]})
    return run


@pytest.mark.parametrize(("feasible", "front", "found"), [(1, 1, True), (1, 0, False), (0, 0, False), (0, 1, False)])
def test_a_front_is_found_where_designs_are_feasible_and_on_it(feasible, front, found, tmp_path):
    assert stored(tmp_path, feasible=feasible, front=front).found_feasible is found


@pytest.mark.parametrize(
    ("design", "says"),
    [(3, ""), (8, ""), (0, "was evaluated but not kept"), (7, "was evaluated but not kept"),
    (9, "there is no design 9, ids end at 8"),
     (-1, "there is no design -1")],
)  # fmt: skip
def test_a_design_is_kept_or_not_or_was_never_there(design, says, tmp_path):
    run = stored(tmp_path)
    if says:
        with pytest.raises(RunError, match=says):
            run.row(design)
    else:
        assert run.row(design)["id"] == design


@pytest.mark.parametrize(
    ("own", "model", "fine"),
    [
        (None, True, True),
        (None, False, True),
        (False, True, True),
        (False, False, False),
        (True, True, False),
        (True, False, False),
    ],
)
def test_what_is_of_the_built_in_evaluation_is_refused_of_others(own, model, fine, tmp_path):
    run = stored(tmp_path)
    run.__dict__["spec"] = SimpleNamespace(model=None if own is None else SimpleNamespace(replace=own, words="mine"))
    if fine:
        assert run.require_builtin("dse x", model=model) is run
    else:
        with pytest.raises(RunError, match=r"dse x is of the built-in evaluation; .* its model, mine"):
            run.require_builtin("dse x", model=model)


def test_rows_of_a_table_are_designs_with_what_all_share():
    spec = parse_spec(
        small(space={"node": {"values": ["tsmc_5", "tsmc_7"]}, "macs": {"values": [1024, 2048]}, "kv_bits": 8})
    )
    frame = pd.DataFrame({"node": ["tsmc_5", "tsmc_7"], "macs": [1024.0, 2048.0], "other": [1, 2]})
    designs = designs_of(spec, frame)
    assert designs["node"].names().tolist() == ["tsmc_5", "tsmc_7"] and designs["kv_bits"].tolist() == [8, 8]
    assert list(designs) == ["node", "macs", "kv_bits"]
    with pytest.raises(RunError, match="the designs of this run have no column macs"):
        designs_of(spec, frame.drop(columns="macs"))

import json
import re
import shutil
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from dse.errors import RunError
from dse.results.directory import place_for_run, seal, write_json, write_whole
from dse.results.manifest import MANIFEST
from dse.results.store import AXIS_COLUMNS, bare, find_run, headed, open_run
from tests.cli import call

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
WHOLE = {
    "schema": 1, "name": "tiny", "status": "complete", "sampler": "grid", "seed": 0, "seconds": {"total": 1.5},
    "designs_per_s": 100, "kept": "every design", "notes": [], "packages": {"numpy": "2.0"}, "python": "3.11",
    "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:02+00:00", "commit": None,
    "spec_sha256": "0", "library_sha256": "0",
}  # fmt: skip
"""What every manifest says, beside its counts."""


def make_run(directory, started="2026-01-01T00:00:00+00:00", **more):
    directory.mkdir(parents=True)
    counts = {"planned": 0, "evaluated": 0, "feasible": 0, "front": 0, "kept": 0}
    counts |= more.pop("counts", {})
    write_json(directory / MANIFEST, {**WHOLE, "started": started, "counts": counts, **more})
    return directory


def test_a_place_is_named_by_time_and_hash_and_is_always_new(tmp_path):
    place = place_for_run("tiny", "0123456789abcdef", started=WHEN, results=tmp_path)
    assert place == tmp_path / "tiny" / "20260304T050607Z-01234567"
    place.mkdir(parents=True)
    assert place_for_run("tiny", "0123456789abcdef", started=WHEN, results=tmp_path).name.endswith("-01234567-2")


def test_a_directory_is_there_whole_or_not_at_all(tmp_path):
    def half(folder):
        (folder / "pareto.csv").write_text("half")
        raise ValueError("the rest is missing")

    with pytest.raises(ValueError, match="the rest"):
        write_whole(tmp_path / "sweep" / "run", half)
    assert list((tmp_path / "sweep").iterdir()) == []
    write_whole(tmp_path / "sweep" / "run", lambda folder: (folder / "pareto.csv").write_text("whole"))
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == ["run"]
    assert (tmp_path / "sweep" / "run" / "pareto.csv").read_text() == "whole"


def test_a_run_is_never_overwritten(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="exists already"):
        write_whole(tmp_path / "run", lambda folder: None)


def test_a_run_does_not_go_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        write_whole(tmp_path / "file" / "run", lambda folder: None)


def test_a_folder_stands_for_its_newest_run(tmp_path):
    make_run(tmp_path / "one" / "b", "2026-01-02T00:00:00+00:00")
    newest = make_run(tmp_path / "one" / "a", "2026-01-03T00:00:00+00:00")
    other = make_run(tmp_path / "two" / "c", "2026-02-01T00:00:00+00:00")
    (tmp_path / "one" / ".d.partial").mkdir()
    assert find_run(tmp_path / "one") == newest
    assert find_run(newest) == newest
    assert find_run("latest", results=tmp_path) == other
    with pytest.raises(RunError, match=f"perhaps {re.escape(str(tmp_path / 'one'))}"):
        find_run("one", results=tmp_path)
    assert open_run(newest).name == "tiny"


@pytest.mark.parametrize(
    "text, says",
    [
        ("{", "manifest.json:1: is not JSON"),
        ("[]", "is not the manifest"),
        (json.dumps({"schema": 1}), "is damaged, name: Field required"),
        (
            json.dumps({"schema": 99, "name": "x", "started": "", "status": "complete", "counts": {}}),
            "schema 99 is not 1",
        ),
    ],
)
def test_a_damaged_manifest_is_said_to_be_damaged(tmp_path, text, says):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(RunError, match=says):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, None) for key in WHOLE if key not in ("schema", "commit", "designs_per_s")),
        ("counts", {"planned": 1}), ("counts", {"evaluated": -1}), ("counts", {"feasible": "3"}),
        ("counts", {"front": 2.5}),
        ("seconds", {"total": -1}), ("seconds", {"total": "fast"}), ("notes", [1]), ("packages", {"numpy": 2}),
        ("started", "yesterday"), ("finished", "x" * 100), ("files", ["pareto.csv"]), ("seed", True),
    ],
)  # fmt: skip
def test_a_manifest_of_wrong_types_is_said_to_be_damaged(tmp_path, key, value):
    make_run(tmp_path / "run", **({key: value} if key != "counts" else {}))
    manifest = json.loads((tmp_path / "run" / MANIFEST).read_text())
    manifest[key] = value
    (tmp_path / "run" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"manifest\.json: is damaged.*dse run"):
        open_run(tmp_path / "run")


def test_what_is_not_there_is_said_not_to_be(tmp_path):
    with pytest.raises(RunError, match="no such run"):
        open_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match="holds no run"):
        open_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        open_run(tmp_path / "file")
    run = open_run(make_run(tmp_path / "run", counts={"evaluated": 3, "feasible": 1}))
    for table in ("designs", "picks", "constraints", "axes", "baselines", "progress", "spec"):
        with pytest.raises(RunError, match=r"is missing|holds no table"):
            getattr(run, table)


def test_damaged_tables_are_said_to_be_damaged(tmp_path):
    run = open_run(make_run(tmp_path / "run", counts={"evaluated": 3, "feasible": 1}))
    (run.path / "designs").mkdir()
    for name in ("designs/000000.parquet", "picks.yaml", "constraints.csv", "progress.jsonl"):
        (run.path / name).write_bytes(b"\xff{[")
    for table in ("designs", "picks", "constraints", "progress"):
        with pytest.raises(RunError, match=r"000000|designs|picks|constraints|progress"):
            getattr(run, table)


@pytest.mark.parametrize(
    "name, heading",
    [
        ("clock_ghz", "clock_ghz"),
        ("link_gbps", "link_gbps"),
        ("kv_bits", "kv_bits"),
        ("memory_devices", "memory_devices"),
        ("chat.tokens_per_s", "chat.tokens_per_s"),
        ("chat.tokens_per_joule", "chat.tokens_per_joule"),
        ("chat.usd_per_million_tokens", "chat.usd_per_million_tokens"),
        ("peak_tflops", "peak_tflops"),
        ("edge_fraction", "edge_fraction"),
        ("margin tdp_w <= 150", "margin tdp_w <= 150"),
    ],
)
def test_headings_carry_a_unit_where_the_name_does_not(name, heading):
    assert headed(name, METRICS) == heading
    assert bare(heading) == name


def test_every_quantity_is_headed_by_its_unit_one_way_or_the_other():
    for name, entry in {**PARAMETERS, **METRICS}.items():
        assert bare(headed(name, METRICS)) == name
        assert not entry.unit or headed(name, METRICS) != name or any(part in name for part in _words(entry.unit))


def _words(unit):
    return [unit.lower().replace("²", "2").split("/")[0], unit.lower().replace("/", "")]


@pytest.mark.parametrize("column", ["low", "high", "evaluated", "feasible", "feasible_low", "feasible_high"])
def test_a_word_where_a_number_of_an_axis_stands_is_damage(tmp_path, column):
    cells = {name: "1" for name in AXIS_COLUMNS} | {"axis": "macs", "value": "", "removed_by": "", "nearest_miss": ""}
    for broken in (False, True):
        run = make_run(tmp_path / str(broken))
        words = cells | ({column: "many"} if broken else {})
        (run / "axes.csv").write_text(
            ",".join(AXIS_COLUMNS) + "\n" + ",".join(words[name] for name in AXIS_COLUMNS) + "\n"
        )
        if not broken:
            assert open_run(run).axes[column].tolist() == [1.0]
            continue
        with pytest.raises(RunError, match=r"axes\.csv"):
            open_run(run).axes  # noqa: B018


@pytest.fixture
def copy(runs, tmp_path):
    shutil.copytree(runs[0], tmp_path / "run")
    return tmp_path / "run"


def rewritten(run, file, old, new):
    """Replace text of a file of a run, as if another version had written it so, and seal the run."""
    text = (run / file).read_text()
    assert old in text
    (run / file).write_text(text.replace(old, new))
    seal(run, [file])


def test_a_run_of_a_version_with_other_words_says_which_version_that_was(copy):
    rewritten(copy, "resolved.yaml", "chat.tpot_ms", "chat.ms_per_token")
    day = json.loads((copy / MANIFEST).read_text())["finished"][:10]
    for verb in ("show", "plot", "report", "compare", "explain", "robust", "require", "export"):
        done = call(verb, copy, *(["--storage", "journal:x"] if verb == "export" else []))
        assert done.status == 2 and f"{copy}: the sweep of this run, written on {day} by llm-chip-dse" in done.err
        assert "resolved.yaml:" in done.err and "'chat.ms_per_token' is not a metric" in done.err
        assert len(done.err.splitlines()) == 2


def test_a_state_of_another_format_says_which_version_wrote_it(copy):
    (copy / "search.state").write_bytes(b"\x80\x04\x95 a pickle of old")
    seal(copy)
    done = call("resume", copy, "--n-designs", 128)
    assert done.status == 2 and "not a record of a search; the run was written on" in done.err
    assert done.err.rstrip().endswith(f"dse run {copy / 'sweep.yaml'}")


def test_what_is_worked_out_anew_is_told_from_the_numbers_of_a_run(copy):
    verbs = [("explain", copy), ("compare", copy), ("require", copy), ("report", copy)]
    assert not any("WARNING" in call(*verb).err for verb in verbs)
    knee = next(pick for pick in open_run(copy).picks if pick["name"] == "knee")
    value = knee["metrics"]["chat.tpot_ms"]
    rewritten(copy, "picks.yaml", f"chat.tpot_ms: {value}", f"chat.tpot_ms: {value * 1.0005}")
    assert not any("WARNING" in call(*verb).err for verb in verbs)
    rewritten(copy, "picks.yaml", f"chat.tpot_ms: {value * 1.0005}", f"chat.tpot_ms: {value * 1.25}")
    for verb in verbs:
        done = call(*verb)
        assert done.status == 0 and f"chat.tpot_ms of its knee is {value:.4g}, not {value * 1.25:.4g}" in done.err
    assert '"stale":true' in (copy / "report.html").read_text()


@pytest.mark.parametrize(
    ("name", "unit", "heading"),
    [
        ("tokens_per_s", "token/s", "tokens_per_s"), ("speed", "token/s", "speed [token/s]"),
        ("area_mm2", "mm²", "area_mm2"),
        ("link_gbps", "GB/s", "link_gbps"), ("years", "year", "years"), ("share", "", "share"),
        ("tokens_per_joule", "token/J", "tokens_per_joule"), ("chat.tpot_ms", "ms", "chat.tpot_ms"),
        ("rate_mbps", "Mb/s", "rate_mbps"),
    ],
)  # fmt: skip
def test_a_heading_has_a_unit_where_the_name_says_none(name, unit, heading, monkeypatch):
    from cost_models.quantities import columns

    monkeypatch.setattr(columns, "describe", lambda name, metrics: SimpleNamespace(unit=unit))
    assert headed(name, {}) == heading

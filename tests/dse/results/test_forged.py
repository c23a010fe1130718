"""Runs of a stranger: files edited with intent and sealed anew, so that every checksum holds.

Each verb shows what stands there, or says which file is not what it must be and where; nothing is executed and nothing
else is written. The short version is part of the suite; `make soak` sets DSE_SOAK_FORGED for so many forgeries.
"""

import json
import os
import shutil
import traceback

import numpy as np
import pandas as pd
import pytest
import yaml
from pyarrow import parquet

from dse.errors import RecordError
from dse.packing import packed, read_packed
from dse.results.directory import seal
from dse.results.manifest import MANIFEST, SEAL, digest_of
from dse.runs import run
from dse.search.journal import unfinished
from dse.sweep import parse_spec
from tests import sweeps
from tests.cli import call
from tests.dse.results.test_damage import verbs
from tests.hostile import WRONG, as_json, as_yaml, damaged_bytes, damaged_tree, paths_of

FORGERIES = int(os.environ.get("DSE_SOAK_FORGED", "12"))


def forged_table(table, rng):
    """Return what was done to a table, and the table."""
    table = table.copy()
    name = table.columns[rng.integers(len(table.columns))]
    row = int(rng.integers(max(len(table), 1)))
    match int(rng.integers(9)):
        case 0:
            return f"without {name}", table.drop(columns=name)
        case 1:
            return f"{name} renamed", table.rename(columns={name: "\x1b[31m<script>"})
        case 2:
            table[name] = table[name].astype(str)
            return f"{name} as text", table
        case 3:
            table[name] = [[1.0, 2.0]] * len(table)
            return f"{name} as lists", table
        case 4:
            return "no rows", table.iloc[:0]
        case 5:
            return "rows twice", pd.concat([table, table], ignore_index=True)
        case 6:
            table[name] = np.nan
            return f"{name} missing", table
        case 7:
            table[name] = table[name].astype(object)
            wrong = [one for one in WRONG if isinstance(one, str | float | bool) and "\ud800" not in str(one)]
            table.loc[table.index[row : row + 1], name] = wrong[rng.integers(len(wrong))]
            if pd.api.types.infer_dtype(table[name]).startswith("mixed"):
                table[name] = table[name].astype(str)
            return f"a cell of {name}", table
        case _:
            numbers = table.select_dtypes("number")
            if numbers.empty:
                return "turned round", table.iloc[::-1]
            one = numbers.columns[rng.integers(len(numbers.columns))]
            factor = [-1.0, np.inf, 1e300, 1e-320, np.nan][rng.integers(5)]
            table[one] = table[one].astype(float) * factor
            return f"{one} times {factor}", table


def forge(file, rng):
    """Edit a file of a run with intent, and return what was done."""
    content = file.read_bytes()
    if file.suffix == ".parquet" and rng.integers(5):
        what, table = forged_table(pd.read_parquet(file), rng)
        table.to_parquet(file)
    elif file.suffix == ".csv" and rng.integers(3):
        what, table = forged_table(pd.read_csv(file), rng)
        table.to_csv(file, index=False)
    elif file.suffix in (".json", ".yaml", ".yml") and rng.integers(5):
        parse, dump = (json.loads, as_json) if file.suffix == ".json" else (yaml.safe_load, as_yaml)
        what, tree = damaged_tree(parse(content), rng)
        file.write_bytes(dump(tree))
    else:
        what, content = damaged_bytes(content, rng)
        file.write_bytes(content)
    return what


def forge_manifest(file, rng):
    """Edit the manifest, seal it, and return what was done."""
    manifest = json.loads(file.read_text())
    what, tree = damaged_tree({key: value for key, value in manifest.items() if key != SEAL}, rng)
    content = as_json(tree)
    try:
        tree = json.loads(content, parse_constant=float)
        file.write_bytes(as_json({**tree, SEAL: digest_of(tree)}))
    except ValueError:
        file.write_bytes(content)
    return what


def tried(verb):
    """Return exit status and messages of a verb; what it raises is a defect."""
    try:
        done = call(*verb)
    except Exception as error:
        return "raises", "".join(traceback.format_exception(error)[-3:])
    return done.status, done.out + done.err if done.status == 0 else done.err


def test_a_forged_run_is_shown_or_refused_with_its_place(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail(f"runs {command}"))
    one, other = runs
    names = [path.relative_to(one).as_posix() for path in sorted(one.rglob("*")) if path.is_file()]
    names = [name for name in names if name != "report.html"]
    rng, told, faults = np.random.default_rng(5), 0, []
    for number in range(FORGERIES):
        at = tmp_path / "at"
        shutil.rmtree(at, ignore_errors=True)
        copy = at / "run"
        shutil.copytree(one, copy)
        name = names[number % len(names)]
        if name == MANIFEST or number % 7 == 0:
            name, what = MANIFEST, forge_manifest(copy / MANIFEST, rng)
        else:
            what = forge(copy / name, rng)
            seal(copy)
        every = verbs(copy, other, at)
        verb = every[rng.integers(len(every))]
        status, said = tried(verb)
        if status not in (0, 2, 3):
            faults.append((name, what, verb[0], said[-600:]))
        elif status == 2:
            told += 1
            if str(copy) not in said or len(said.splitlines()) > 4:
                faults.append((name, what, verb[0], "names no place", said[-600:]))
            if [path.name for path in at.iterdir()] != ["run"]:
                faults.append((name, what, verb[0], "writes", [path.name for path in at.iterdir()]))
        if "\x1b[31m" in said:
            faults.append((name, what, verb[0], "colours the terminal"))
    print(f"{FORGERIES} forgeries, {told} of them told, {len(faults)} faults")
    assert not faults, "\n".join(map(str, faults))
    assert told


def forged_array(array, rng):
    """Return what was done to an array, and the array."""
    flat = array.reshape(-1)
    match int(rng.integers(6)):
        case 0:
            return "one less", array[:-1]
        case 1:
            return "all of one row", flat[:1]
        case 2:
            return "other numbers", array.astype("f8" if array.dtype != np.float64 else "i8")
        case 3 if array.dtype == np.float64:
            return "missing", np.full_like(array, np.nan)
        case 4:
            return "backwards", array[::-1]
        case _:
            changed = array.copy()
            changed.reshape(-1)[: len(flat) // 2 + 1] = [-1, 2**40, 7, 0][rng.integers(4)]
            return "wrong", changed


def forged_record(content, rng):
    """Return what was done to a record of a search, and the record with a checksum that holds."""
    record = read_packed(content, "it").data
    paths = list(paths_of(record))
    path = paths[rng.integers(len(paths))]
    outer = record
    for key in path[:-1]:
        outer = outer[key]
    value, where = outer[path[-1]], ".".join(map(str, path))
    if isinstance(value, np.ndarray) and value.ndim and value.size and rng.integers(4):
        what, outer[path[-1]] = forged_array(value, rng)
    elif rng.integers(4):
        what = str(outer.__setitem__(path[-1], WRONG[rng.integers(len(WRONG))]) or outer[path[-1]])[:20]
    else:
        what = "deleted"
        del outer[path[-1]]
    try:
        return f"{where} {what}", packed(record)
    except (TypeError, ValueError):
        return "another record", packed({"a": np.arange(3.0)})


class Stopped(BaseException):
    """Ends a search as the end of its process would."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Searches of several samplers that were cut short: (spec, folder of the state)."""
    result, folder = [], tmp_path_factory.mktemp("stopped")
    for sampler in ("sobol+evolve", "grid", "random"):
        size = {} if sampler == "grid" else {"n_designs": 512, "seed": 1}
        out = folder / sampler / "run"
        out.parent.mkdir()

        def stop(progress):
            raise Stopped

        with pytest.raises(Stopped):
            run(parse_spec(sweeps.tiny(search={"sampler": sampler, **size})), out=out, progress=stop)
        result.append(unfinished(out))
    return result


def test_a_forged_search_is_gone_on_with_or_refused_with_its_place(stopped, tmp_path):
    rng, told, faults = np.random.default_rng(6), 0, []
    for number in range(FORGERIES):
        at = tmp_path / "at"
        shutil.rmtree(at, ignore_errors=True)
        state = stopped[number % len(stopped)]
        copy = at / state.name
        shutil.copytree(state, copy)
        files = [path for path in sorted(copy.rglob("*")) if path.is_file() and path.stat().st_size]
        file = files[rng.integers(len(files))]
        try:
            what, content = forged_record(file.read_bytes(), rng)
            file.write_bytes(content)
        except RecordError:
            what = forge(file, rng)
        status, said = tried(("resume", at / "run", "--draw", "none", "--no-report"))
        about = (state.parent.name, str(file.relative_to(copy)), what)
        if status not in (0, 2, 3):
            faults.append((*about, said[-700:]))
        elif status == 2:
            told += 1
            if str(at) not in said or len(said.splitlines()) > 4:
                faults.append((*about, "names no place", said[-600:]))
    print(f"{FORGERIES} forged searches, {told} of them told, {len(faults)} faults")
    assert not faults, "\n".join(map(str, faults))
    assert told


def test_nothing_is_read_or_written_through_a_link_out_of_a_run(runs, stopped, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    (outside / "0000000000000001").write_text("mine")
    links = ("plots", "robust", "designs", ".report.html.partial", "report.html", "plots/pareto.png", ".manifest.json")
    for number, name in enumerate(links):
        at = tmp_path / str(number)
        copy = at / "run"
        shutil.copytree(runs[0], copy)
        link = copy / name
        if link.is_dir():
            shutil.rmtree(link)
        link.unlink(missing_ok=True)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(outside / "mine.txt" if "." in name else outside)
        for verb in verbs(copy, runs[1], at):
            done = call(*verb)
            assert done.status == 2 and f"{link}: is a symbolic link" in done.err, (verb, done.err)
    for number, name in enumerate(("lock", "kept", "sampler", ".search.json.partial")):
        at = tmp_path / f"unfinished{number}"
        shutil.copytree(stopped[0], at / "run.unfinished")
        link = at / "run.unfinished" / name
        if link.is_dir():
            shutil.rmtree(link)
        link.unlink(missing_ok=True)
        link.symlink_to(outside / "mine.txt" if name in ("lock", ".search.json.partial") else outside)
        done = call("resume", at / "run")
        assert done.status == 2 and f"{link}: is a symbolic link" in done.err, done.err
    assert {path.name: path.read_text() for path in outside.iterdir()} == {
        "mine.txt": "mine",
        "0000000000000001": "mine",
    }


@pytest.mark.parametrize("name", ["designs/../../other.parquet", "/etc/passwd", "designs//a", "designs/.a", "..", ""])
def test_a_manifest_names_no_file_elsewhere(runs, tmp_path, name):
    shutil.copytree(runs[0], tmp_path / "run")
    file = tmp_path / "run" / MANIFEST
    manifest = json.loads(file.read_text())
    manifest["files"][name] = "0" * 64
    file.write_bytes(as_json({**manifest, SEAL: digest_of(manifest)}))
    done = call("show", tmp_path / "run")
    assert done.status == 2 and f"{file}: is damaged, files." in done.err and len(done.err.splitlines()) == 1


def test_a_stretch_that_is_named_in_other_digits_is_no_stretch(stopped, tmp_path):
    shutil.copytree(stopped[0], tmp_path / "run.unfinished")
    (tmp_path / "run.unfinished" / "kept" / "²-³").write_bytes(b"")
    (tmp_path / "run.unfinished" / "sampler" / "²").write_bytes(b"")
    assert call("resume", tmp_path / "run", "--draw", "none", "--no-report").status in (0, 3)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda t: t.assign(memory=[{"a": 1}] * len(t)), "column 'memory' holds neither numbers nor texts"),
        (lambda t: t.assign(memory=[[1.0]] * len(t)), "column 'memory' holds neither"),
        (lambda t: t.assign(macs=pd.Timestamp("2026-01-01")), "column 'macs' holds neither"),
        (lambda t: t.assign(memory="\x1b[31m<script>"), r"memory of a design is '\x1b[31m<script>', which the sweep"),
        (lambda t: t.assign(memory="hbm4"), "memory of a design is 'hbm4', which the sweep does not have"),
        (lambda t: t.assign(memory=3.0), "memory of a design is 3.0, which"),
        (lambda t: t.assign(macs="8192"), "macs of a design is '8192', which"),
        (lambda t: t.assign(macs=-t["macs"]), "macs of a design is -"),
        (lambda t: t.assign(macs=t["macs"].max() * 1.001 + 1e300), "macs of a design is 1e+300, which"),
    ],
)
def test_designs_hold_what_the_sweep_has(runs, tmp_path, edit, says):
    shutil.copytree(runs[0], tmp_path / "run")
    file = next((tmp_path / "run" / "designs").iterdir())
    edit(pd.read_parquet(file)).to_parquet(file)
    seal(tmp_path / "run", [file.relative_to(tmp_path / "run").as_posix()])
    for verb in (("show",), ("export", "--storage", f"journal:{tmp_path / 'log'}")):
        done = call(verb[0], tmp_path / "run", *verb[1:])
        assert done.status == 2 and says in done.err and len(done.err.splitlines()) == 1, done.err
    assert not (tmp_path / "log").exists()


def test_a_column_stands_once(runs, tmp_path):
    shutil.copytree(runs[0], tmp_path / "run")
    file = next((tmp_path / "run" / "designs").iterdir())
    table = parquet.read_table(file)
    parquet.write_table(table.append_column("id", table["id"]), file)
    seal(tmp_path / "run", [file.relative_to(tmp_path / "run").as_posix()])
    done = call("show", tmp_path / "run")
    assert done.status == 2 and done.err == f"{file}: has column 'id' twice\n"


def rewritten(old, new):
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("name", "edit", "verb", "says"),
    [
        (
            "picks.yaml",
            lambda text: yaml.safe_dump([{**p, "design": {}} for p in yaml.safe_load(text)]),
            "show",
            "has no",
        ),
        ("picks.yaml", rewritten("memory: ", "memory: null # "), "compare", "pick 'best_chat.tpot_ms' has no memory"),
        (
            "baselines.csv",
            lambda text: text + "other" + "," * text.splitlines()[0].count(",") + "\n",
            "show",
            "baselines",
        ),
        ("baselines.csv", rewritten("kv_bits", "chip"), "show", "Duplicate names"),
        ("constraints.csv", rewritten("violated", "missed"), "show", "has no column violated"),
        ("progress.jsonl", lambda text: '{"a": 1}\n' * 3, "plot --kind hypervolume", "evaluated is not a whole number"),
        (
            "progress.jsonl",
            rewritten('"hypervolume": ', '"hypervolume": "x", "y": '),
            "plot --kind hypervolume",
            "hypervolume is not a number",
        ),
        (
            "robust/designs.csv",
            rewritten("chat.tpot_ms p10", "chat.tpot_ms p1"),
            "plot --kind robust",
            "has no column chat.tpot_ms p10",
        ),
        ("robust/inputs.csv", rewritten("at_low", "low"), "plot --kind robust", "has no column at_low"),
        ("robust/draws.json", rewritten("inputs_of", "of"), "plot --kind robust", "inputs_of is not a mapping"),
    ],
)
def test_a_table_that_is_not_what_a_run_writes_is_named(runs, tmp_path, name, edit, verb, says):
    shutil.copytree(runs[0], tmp_path / "run")
    file = tmp_path / "run" / name
    text = file.read_text()
    assert edit(text) != text
    file.write_text(edit(text))
    seal(tmp_path / "run", [name])
    done = call(*verb.split(), tmp_path / "run")
    assert done.status == 2 and says in done.err and str(file.parent) in done.err, done.err
    assert len(done.err.splitlines()) == 1

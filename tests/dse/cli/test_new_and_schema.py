import copy
import functools
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from cost_models.library import shipped_library
from dse.errors import SpecError
from dse.runs import run
from dse.search.estimate import seconds_estimate
from dse.sweep import load_spec, parse_spec
from dse.sweep.schema import sweep_schema
from dse.yaml_positions import parse_yaml

pytestmark = pytest.mark.bounded

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "sweeps").rglob("*.yaml"))

# Each is what one line of a good sweep becomes, and is wrong on its own.
BAD = {
    "unknown section": {"objectivs": []},
    "no objectives": {"objectives": []},
    "direction": {"objectives": [{"metric": "cost_usd", "direction": "minimise"}]},
    "metric": {"objectives": [{"metric": "chat.ms_per_tokn", "direction": "minimize"}]},
    "bare workload metric": {"objectives": [{"metric": "tpot_ms", "direction": "minimize"}]},
    "constraint key": {"constraints": [{"metric": "tdp_w", "maximum": 150}]},
    "model": {"workloads": {"chat": {"model": "llama9_70b"}}},
    "workload key": {"workloads": {"chat": {"model": "llama2_70b", "batchsize": 3}}},
    "parameter": {"space": {"memory_device": 4}},
    "name of a choice": {"space": {"node": {"values": ["tsmc_6b"]}}},
    "foreign range": {"space": {"macs": {"min": 1, "max": 2}}},
    "range of names": {"space": {"node": {"low": 1, "high": 2}}},
    "empty values": {"space": {"node": {"values": []}}},
    "baseline key": {"baselines": {"pair": {"chip": "2x a100_80gb_sxm"}}},
    "library parameter": {"technology": {"tco.puee": 1.2}},
    "search key": {"search": {"sampler": "grid", "n_trials": 5}},
    "list for a mapping": {"workloads": ["chat"]},
    "number for a name": {"name": 7},
}


@pytest.fixture(scope="module")
def validator():
    schema = sweep_schema(shipped_library())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def plain(text):
    return parse_yaml(text, "a file").plain()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_sweeps_follow_the_schema(validator, path):
    validator.validate(plain(path.read_text(encoding="utf-8")))


def test_the_schema_takes_what_the_reader_takes(validator, sweep):
    parse_spec(sweep)
    validator.validate(sweep)
    validator.validate(json.loads(json.dumps(parse_spec(sweep).resolved())))


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_bad_sweeps_fail_in_the_editor_as_they_do_here(validator, sweep, change):
    bad = {**copy.deepcopy(sweep), **change}
    with pytest.raises(SpecError):
        parse_spec(bad)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(bad)


def test_the_schema_is_printed_or_written(tmp_path, call):
    printed = call("check", "--schema").out
    assert call("check", "--schema", "--out", tmp_path / "schema.json") == (0, "", "")
    assert json.loads(printed) == json.loads((tmp_path / "schema.json").read_text()) == sweep_schema(shipped_library())
    status, _, err = call("check", "--schema", "--out", tmp_path)
    assert status == 2 and f"{tmp_path}: cannot be read or written" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "SPEC  is missing"),
        (("--schema", "mychip.yaml"), "no file and no --set"),
        (("--schema", "--set", "name=x"), "no file and no --set"),
        (("mychip.yaml", "--out", "here"), "goes with --schema"),
    ],
)
def test_what_does_not_go_with_a_check_or_a_schema_is_refused(call, arguments, says):
    status, out, err = call("check", *arguments)
    assert (status, out) == (2, "") and says.replace("  ", " ") in " ".join(err.replace(":", "").split())


def test_a_new_sweep_is_valid_and_finds_something(tmp_path, monkeypatch, validator, call):
    monkeypatch.chdir(tmp_path)
    assert "dse run mychip.yaml" in call("new", "mychip").out
    file = tmp_path / "mychip.yaml"
    validator.validate(yaml.safe_load(file.read_text()))
    spec = load_spec(file)
    assert spec.name == "mychip"
    assert run(spec, out=tmp_path / "here").found_feasible
    status, _, err = call("new", "mychip.yaml")
    assert status == 2 and "exists already" in err


@pytest.mark.parametrize("name", ["two words", "7up", "", ".yaml"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path, monkeypatch, call, name):
    monkeypatch.chdir(tmp_path)
    status, _, err = call("new", name)
    assert status == 2 and "letters, digits" in err
    assert not list(tmp_path.iterdir())


def test_the_estimate_of_time_grows_with_the_budget(sweep):
    from dse.evaluator import Evaluator
    from dse.space import Space

    def estimate(designs):
        spec = parse_spec({**sweep, "search": {"sampler": "sobol", "n_designs": designs}})
        return seconds_estimate(spec, Space(spec), Evaluator(spec))

    estimate(1000)
    # A thousandfold budget: far beyond what a busy machine adds.
    assert 0 < estimate(1_000) < estimate(1_000_000)


MUST = "import numpy, scipy.special, pydantic, yaml, rich.table, typer"
"""What the command line cannot do without; half a second on a quiet machine of 2020."""


@functools.cache
def processor_seconds(program):
    """Return the processor time of a program, which a busy machine lengthens less than the time that passes."""
    timed = (
        "import resource, subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {program!r}], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    runs = [subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, cwd=ROOT, check=True)]
    runs += [subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, cwd=ROOT, check=True)]
    return min(float(done.stdout) for done in runs)


@pytest.mark.parametrize(("arguments", "ratio"), [(["--help"], 1.0), (["check", "sweeps/mach1.yaml"], 5.0)])
def test_the_command_line_answers_at_once(arguments, ratio, capsys):
    program = f"import sys; sys.argv = ['dse', *{arguments!r}]; from dse.cli import main; main()"
    taken, least = processor_seconds(program), processor_seconds(MUST)
    with capsys.disabled():
        print(f"\ndse {' '.join(arguments)}: {taken:.2f} s, {taken / least:.1f} times its imports")
    assert taken < ratio * least


def test_every_shipped_sweep_is_listed_and_runs_by_its_name(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = call("new", "--list")[1]
    assert all(path.stem in out for path in SHIPPED)
    assert call("check", "quickstart")[0] == 0
    assert call("run", "quickstart", "--quiet", "--draw", "none", "--no-report", "--out", "here") == (0, "", "")
    # A file that is there comes before the shipped sweep of its name.
    Path("quickstart").write_text("name: mine")
    assert "workloads" in call("check", "quickstart")[2]


def test_a_new_sweep_may_start_from_a_shipped_one(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("new", "mychip", "--from", "quickstart")[0] == 0
    mine, shipped = load_spec("mychip.yaml"), load_spec(ROOT / "sweeps" / "quickstart.yaml")
    assert mine.name == "mychip" and mine.question == shipped.question
    status, _, err = call("new", "other", "--from", "quikstart")
    assert status == 2 and "perhaps quickstart" in err and not Path("other.yaml").exists()
    assert call("new")[0] == 2

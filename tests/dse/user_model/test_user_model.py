"""User-defined models: asked beside the built-in evaluation or in its place, whatever they do wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dse.errors import RunError, SpecError
from dse.evaluator import MODEL_ANSWERS, Evaluator
from dse.parallelism import Parallelism
from dse.results.store import open_run
from dse.runs import merge, resume, run
from dse.search.journal import unfinished
from dse.space import Space
from dse.sweep import load_spec, parse_spec
from dse.user_model.calls import answered, end_children
from dse.user_model.model import UserModel
from tests.cli import call
from tests.sweeps import SHORT_CHAT, minimized

ROOT = Path(__file__).parents[3]
SWEEP = {
    "name": "own",
    "workloads": SHORT_CHAT,
    "space": {
        "memory_devices": {"low": 2, "high": 16, "step": 2},
        "macs": {"low": 8192, "high": 131072, "log": True, "levels": 5},
    },
    "objectives": minimized("chat.tpot_ms", "noise_db"),
    "search": {"sampler": "grid"},
}
MODULE = """
import math, os, pathlib, signal, sys, time

HERE = pathlib.Path(__file__).parent

def count(rows):
    with (HERE / "asked").open("a") as file:
        file.write("".join(f"{row['memory_devices']} {row['macs']}\\n" for row in rows))

def noise(design):
    count([design])
    print("this is not an answer")
    return {"noise_db": 10 * math.log10(design["macs"]) + design["memory_devices"]}

def noises(designs):
    count(designs)
    return [{"noise_db": 10 * math.log10(one["macs"]) + one["memory_devices"]} for one in designs]

def louder(design):
    return {"noise_db": design["tdp_w"], "tdp_w": 2 * design["tdp_w"]}

def picky(design):
    devices = design["memory_devices"]
    if devices == 2:
        raise ValueError("two are too few")
    if devices == 4:
        time.sleep(60)
    if devices == 6:
        os.kill(os.getpid(), signal.SIGSEGV)
    if devices == 8:
        return {"noise_db": float("nan")}
    if devices == 10:
        return {"error": "no such board"}
    if devices == 12:
        return {"noise_dba": 3.0}
    if devices == 14:
        return 5
    return {"noise_db": 1.0}

def poisoned(designs):
    if any(one["memory_devices"] == 6 for one in designs):
        raise RuntimeError("six")
    return [{"noise_db": 1.0} for _ in designs]

def short(designs):
    return []

def moody(design):
    marker = HERE / f"tried-{design['memory_devices']}-{design['macs']}"
    if not marker.exists():
        marker.touch()
        raise OSError("not in the mood")
    return {"noise_db": 1.0}

def words(design):
    return {"noise_db": "loud"}

def odd(design):
    devices = design["memory_devices"] if design["macs"] == 8192 else 0
    if devices == 2:
        return {"noise_db": 10**400}
    if devices == 4:
        os.kill(os.getpid(), signal.SIGRTMIN + 3)
    if devices == 6:
        for number in range(3, 20):
            try:
                os.write(number, b"not an answer")
            except OSError:
                pass
    if devices == 8:
        return {"error": chr(0xd800)}
    if devices == 10:
        return {"noise_db": "x" + chr(0xdfff)}
    return {"noise_db": 1.0}

THRESHOLD = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    end_children()


def sweep(model, **changes):
    return parse_spec({**SWEEP, "model": model, **changes})


def asked(folder):
    return (folder / "asked").read_text().split("\n")[:-1]


# -- what it adds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    ["own:noise", {"function": "own:noise", "metrics": {"noise_db": "dB"}}, {"function": "own:noises", "batch": 7}],
)
def test_a_function_adds_its_metric_to_ours(folder, model):
    done = run(sweep(model), out=folder / "run")
    designs = done.designs
    assert len(designs) == len(asked(folder)) == 40 and designs["failed"].isna().all()
    assert np.allclose(designs["noise_db"], 10 * np.log10(designs["macs"]) + designs["memory_devices"])
    plain = Evaluator(parse_spec({**SWEEP, "objectives": SWEEP["objectives"][:1]}))
    ours = plain.evaluate({name: designs[name].to_numpy(dtype=float) for name in ("memory_devices", "macs")})
    assert np.allclose(designs["chat.tpot_ms"], ours.metrics["chat.tpot_ms"])
    assert MODEL_ANSWERS in {name.removeprefix("margin ") for name in designs}
    again = open_run(done.path)
    assert again.spec == done.spec and len(again.front) == len(done.front) > 1


HALVES = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"noise_db": json.loads(line)["macs"] / 2}))
"""


def test_a_command_answers_in_lines_for_one_or_many(folder):
    (folder / "sim.py").write_text(HALVES)
    result = []
    for name, batch in (("one", {}), ("many", {"batch": 16})):
        model = {"command": [sys.executable, "sim.py"], **batch}
        space = {**SWEEP["space"], "macs": 8192} if name == "one" else SWEEP["space"]
        done = run(sweep(model, space=space), out=folder / name)
        table = done.designs
        result.append(table["noise_db"].to_numpy())
        assert (table["noise_db"] == table.get("macs", 8192) / 2).all()
    assert [len(one) for one in result] == [8, 40]


def test_metrics_of_ours_go_in_and_are_replaced(folder):
    model = {"function": "own:louder", "inputs": ["tdp_w"], "metrics": {"noise_db": {"unit": "dB"}, "tdp_w": {}}}
    designs = run(sweep(model, constraints=[{"metric": "tdp_w", "max": "100 W"}]), out=folder / "run").designs
    assert np.allclose(designs["tdp_w"], 2 * designs["noise_db"])
    assert ((designs["tdp_w"] <= 100) >= designs["feasible"]).all()


def test_metrics_of_its_own_may_be_negative():
    model = {"function": "own:noise", "metrics": {"noise_db": "dB"}}
    spec = sweep(model, constraints=[{"metric": "noise_db", "max": "-5 dB", "min": -90}])
    assert (spec.constraints[0].max, spec.constraints[0].min) == (-5, -90)


def test_a_model_in_place_of_ours(folder):
    objectives = minimized("noise_db")
    spec = sweep({"function": "own:noise", "replace": True}, objectives=objectives)
    done = run(spec, out=folder / "run")
    assert done.manifest["counts"]["feasible"] == 40
    assert [name for name in done.designs if str(name).startswith("margin")] == [f"margin {MODEL_ANSWERS}"]
    assert "tdp_w" not in done.designs and len(done.front) == 1


# -- what goes wrong is recorded -----------------------------------------------------------------------------------


def test_every_failure_is_a_row_with_its_reason(folder):
    space = {"memory_devices": {"values": [16, 2, 4, 6, 8, 10, 12, 14]}}
    done = run(sweep({"function": "own:picky", "timeout_s": 2}, space=space), out=folder / "run")
    reasons = done.designs.set_index("memory_devices")["failed"]
    assert (len(reasons) == 8 and reasons[16] is None) or reasons[16] != reasons[16]
    assert reasons[2] == "ValueError: two are too few"
    assert reasons[4] == "gave no answer within 2 s"
    assert reasons[6] == "was ended by signal SIGSEGV"
    assert reasons[8] == "returned nan for noise_db"
    assert reasons[10] == "no such board"
    assert reasons[12] == "returned no noise_db (it returned noise_dba)"
    assert reasons[14] == "returned 5, not a mapping with noise_db"
    assert done.manifest["counts"]["feasible"] == 1
    counts = done.constraints.set_index("constraint")
    assert counts.loc[MODEL_ANSWERS, "violated"] == 7


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit('no licence')", "ended with exit status 1: no licence"),
        ("print('hello')", "wrote a line that is not JSON: 'hello'"),
        ("print('{}')", "returned no noise_db"),
        ("print('{\"noise_db\": 1}'); print('{\"noise_db\": 1}')", "returned 2 answers for 1 design"),
        ("pass", "returned 0 answers for 1 design"),
        ("print('{\"noise_db\": Infinity}')", "returned inf for noise_db"),
        ("print('{\"noise_db\": true}')", "returned true for noise_db, not a number"),
        ("import time; time.sleep(60)", "gave no answer within 1 s"),
        ("import os; os.abort()", "was ended by signal SIGABRT"),
        ('print(\'{"noise_db": 1, "noise": 2}\')', "returned noise, which model.metrics does not declare"),
    ],
)
def test_what_a_command_does_wrong_is_said(folder, code, says):
    # Little time only for the one that waits for its end: Python itself takes long to start on a busy machine.
    model = sweep({"command": [sys.executable, "-c", code], "timeout_s": 1 if "sleep" in code else 60}).model
    (answer,) = answered(model, [{"memory_devices": 2, "macs": 8192}])
    assert answer.values is None and says in answer.reason


def test_one_bad_design_does_not_cost_its_batch(folder):
    done = run(sweep({"function": "own:poisoned", "batch": 16}), out=folder / "run")
    assert (done.designs["failed"].notna() == (done.designs["memory_devices"] == 6)).all()
    model = sweep({"function": "own:short", "batch": 2}).model
    answers = answered(model, [{"memory_devices": 2}, {"memory_devices": 4}])
    assert [one.reason for one in answers] == ["returned 0 answers for 1 design"] * 2


def test_calls_that_fail_are_made_again(folder):
    space = {"memory_devices": {"low": 2, "high": 12, "step": 2}}
    once = run(sweep({"function": "own:moody", "retries": 1}, space=space), out=folder / "again")
    assert once.designs["failed"].isna().all()
    for marker in folder.glob("tried-*"):
        marker.unlink()
    never = run(sweep("own:moody", space=space), out=folder / "once")
    assert (never.designs["failed"] == "OSError: not in the mood").all()
    assert not never.found_feasible


def test_a_model_that_always_fails_ends_the_run(folder):
    with pytest.raises(RunError, match=r"failed for each of the first 8 designs.*'loud' for noise_db, not a number"):
        run(sweep("own:words"), out=folder / "run")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("nowhere:noise", "model.function: there is no module nowhere in"),
        ("own:silence", "model.function: own has no silence; it has count, louder, moody, noise"),
        ("own:THRESHOLD", "own:THRESHOLD is not a function but int"),
        ({"command": ["no_such_program"]}, "model.command: there is no program no_such_program"),
        ({"function": "own:noise", "folder": "elsewhere"}, "there is no folder elsewhere"),
    ],
)
def test_models_that_cannot_be_called_are_refused_before_anything_is_written(folder, model, says):
    with pytest.raises(SpecError, match=says):
        run(sweep(model), out=folder / "run")
    assert not unfinished(folder / "run").exists()


@pytest.mark.parametrize(
    ("model", "changes", "says"),
    [
        ("noise", {}, "model: 'noise' is not a function, written module:function"),
        ({}, {}, "function and command are both missing"),
        ({"function": "own:noise", "command": ["a"]}, {}, "function and command are both given"),
        ({"function": "own:noise", "time_out": 3}, {}, "the key 'time_out' is not .*perhaps timeout_s"),
        ({"function": "own:noise", "timeout_s": 0}, {}, "model.timeout_s: 0 is not above 0"),
        ({"function": "own:noise", "batch": 0}, {}, "model.batch: 0 is not at least 1"),
        ({"command": "python sim.py"}, {}, "is not a program and its arguments as a list of words"),
        ({"function": "own:noise", "metrics": {"macs": ""}}, {}, "not a built-in name"),
        ({"function": "own:noise", "metrics": {"tpot_ms": "ms"}}, {}, "perhaps WORKLOAD.tpot_ms"),
        ({"function": "own:noise", "metrics": {"tdp_w": "kW"}}, {}, "tdp_w in 'kW' is not in W"),
        ({"function": "own:noise", "inputs": ["tdp"]}, {}, "'tdp' is not a metric of this sweep; perhaps tdp_w"),
        ({"function": "own:noise", "replace": True}, {}, "'chat.tpot_ms' is not a metric of this sweep"),
        (
            "own:noise",
            {"robustness": {"draws": 20}},
            "Monte Carlo samples are of parameters of the built-in evaluation",
        ),
        ("own:noise", {"objectives": SWEEP["objectives"][:1]}, "has no metrics"),
        ("own:noise", {"search": {"sampler": "grid", "options": {"prune": True}}}, "prune decides designs by"),
        (
            {"function": "own:noise", "replace": True, "metrics": {"noise_db": "dB"}},
            {"objectives": SWEEP["objectives"][1:], "baselines": {"a": {"chips": "1x a100_80gb_sxm"}}},
            "baselines: has no part where model.replace",
        ),
    ],
)
def test_wrong_models(model, changes, says):
    with pytest.raises(SpecError, match=says):
        sweep(model, **changes)


def test_a_wrong_model_is_not_told_again_for_each_of_its_metrics():
    with pytest.raises(SpecError) as error:
        sweep({"function": "own:noise", "metrics": {"noise_db": "dB"}, "time_out": 3})
    assert [issue.path for issue in error.value.issues] == ["model.time_out"]


# -- asked once, in parallel, resumable ----------------------------------------------------------------------------


class Stopped(BaseException):
    """Ends a search as the end of its process would."""


@pytest.mark.parametrize("sampler", ["grid", "nsgaii", "sobol+evolve"])
def test_finished_designs_are_never_asked_about_again(folder, sampler):
    often = Parallelism(keep_every_s=0.0)
    search = {"sampler": sampler} | ({} if sampler == "grid" else {"n_designs": 40, "seed": 2})
    spec = sweep("own:noise", search=search)
    whole = run(spec, out=folder / "whole", spread=often)
    distinct = len(set(asked(folder)))
    assert len(asked(folder)) == distinct, "a design that is proposed twice is asked about once"
    (folder / "asked").unlink()

    def stop(progress):
        raise Stopped

    with pytest.raises(Stopped):
        run(spec, out=folder / "cut", progress=stop, spread=often)
    again = resume(folder / "cut", spread=often, call_model=True)
    assert len(asked(folder)) == distinct
    for name in ("pareto.csv", "picks.yaml", "constraints.csv"):
        assert (whole.path / name).read_bytes() == (again.path / name).read_bytes()
    assert whole.designs.equals(again.designs)


KILLED = """
import sys
from dse.runs import run
from dse.sweep import load_spec
run(load_spec(sys.argv[1]), out=sys.argv[2])
"""


def test_a_kill_in_the_middle_of_a_stretch_loses_no_answer(folder):
    slow = "\ndef slow(design):\n    time.sleep(0.03)\n    return noise(design)\n"
    (folder / "own.py").write_text(MODULE + slow)
    (folder / "sweep.yaml").write_text(json.dumps({**SWEEP, "model": "own:slow"}))
    command = [sys.executable, "-c", KILLED, "sweep.yaml", "run"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=env) as child:
        answers = unfinished(folder / "run") / "model.jsonl"
        while not answers.exists() or answers.read_bytes().count(b"\n") < 6:
            assert child.poll() is None
        child.send_signal(signal.SIGKILL)
    kept = answers.read_bytes().count(b"\n")
    done = resume(folder / "run", call_model=True)
    assert done.manifest["counts"]["evaluated"] == 40
    # What was being worked out when the process was killed is worked out again, nothing else.
    assert len(asked(folder)) <= 40 + 1 and kept >= 6


def test_processes_have_no_influence_wherever_they_were_started(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    with Parallelism(jobs=2).workers() as elsewhere:
        list(elsewhere.map(abs, [(-1,)] * 8))
    monkeypatch.chdir(folder)
    one = run(sweep("own:noise"), out=folder / "one")
    two = run(sweep({"function": "own:noises", "batch": 3}), out=folder / "two", spread=Parallelism(jobs=2))
    assert (one.path / "pareto.csv").read_bytes() == (two.path / "pareto.csv").read_bytes()


def test_runs_with_a_model_are_continued_and_merged(folder):
    def spec(seed):
        return sweep("own:noise", search={"sampler": "nsgaii", "n_designs": 20, "seed": seed})

    first, second = (run(spec(seed), out=folder / str(seed)) for seed in (1, 2))
    known = len(asked(folder))
    both = merge([first, second], out=folder / "both", call_model=True)
    assert both.manifest["counts"]["evaluated"] == 40 and len(asked(folder)) == known
    longer = resume(first.path, n_designs=30, out=folder / "longer", call_model=True)
    assert longer.manifest["counts"]["evaluated"] == 30 and longer.designs["noise_db"].notna().all()
    (folder / "own.py").write_text(MODULE + "\n")
    with pytest.raises(RunError, match="files of its model have been changed"):
        resume(first.path, n_designs=40, out=folder / "changed", call_model=True)


def test_a_run_directory_starts_no_program_unless_one_agrees(folder):
    def stop(progress):
        raise Stopped

    first, second = (
        run(sweep("own:noise", search={"sampler": "nsgaii", "n_designs": 20, "seed": seed}), out=folder / str(seed))
        for seed in (1, 2)
    )
    with pytest.raises(Stopped):
        run(sweep("own:noise"), out=folder / "cut", progress=stop, spread=Parallelism(keep_every_s=0.0))
    known = len(asked(folder))
    (folder / "own.py").write_text("raise SystemExit('imported')")
    for verb in (
        lambda: resume(folder / "cut"),
        lambda: resume(first.path, n_designs=40, out=folder / "more"),
        lambda: merge([first, second], out=folder / "both"),
    ):
        with pytest.raises(RunError, match=f"own:noise in {folder.resolve()}; .* --call-model"):
            verb()
    done = call("resume", folder / "cut")
    assert done.status == 2 and "--call-model" in done.err
    assert len(asked(folder)) == known and not (folder / "more").exists() and not (folder / "both").exists()


def test_who_does_not_search_does_not_ask(folder):
    spec = sweep("own:noise", baselines={"a": {"chips": "1x a100_80gb_sxm"}})
    designs = Space(spec).default_design()
    assert np.isnan(Evaluator(spec).evaluate(designs).metrics["noise_db"]).all()
    assert np.isnan(Evaluator(spec).baselines["a"]["noise_db"])
    reported = Evaluator(spec, model=UserModel(spec)).evaluate(designs)
    assert np.isfinite(reported.metrics["noise_db"]).all() and len(asked(folder)) == 1


# -- the example ---------------------------------------------------------------------------------------------------


def test_the_example_finds_the_same_as_function_and_as_command(tmp_path):
    spec = load_spec(ROOT / "sweeps" / "user_model.yaml")
    command = f"model.command=[{sys.executable}, simulator.py]"
    other = load_spec(ROOT / "sweeps" / "user_model.yaml", overrides=["model.function=null", command, "model.batch=20"])
    one, two = run(spec, out=tmp_path / "one"), run(other, out=tmp_path / "two")
    assert one.found_feasible and (one.path / "pareto.csv").read_bytes() == (two.path / "pareto.csv").read_bytes()
    designs = one.designs
    # In the end all heat leaves through the board, and the DRAM is warmer than that by its own.
    power = designs["chat.decode_w"]
    settled = 30 + power / 3.2 + 0.25 * power / (0.35 * designs["memory_devices"])
    assert np.allclose(designs["dram_c"], settled, atol=0.5)


WORTH = """
def cost(design):
    return {"macs_used": design["macs"], "worth": design["memory_devices"] - design["macs"] / 1e4}
"""


def test_the_verbs_show_a_model_in_place_of_ours(tmp_path, monkeypatch, call):
    objectives = [{"metric": "worth", "direction": "maximize"}, {"metric": "macs_used", "direction": "minimize"}]
    changes = {"objectives": objectives, "model": {"function": "mine:cost", "replace": True}}
    (tmp_path / "mine.py").write_text(WORTH)
    (tmp_path / "sweep.yaml").write_text(json.dumps({**SWEEP, **changes}))
    monkeypatch.chdir(tmp_path)
    said = {}
    for verb in ("check sweep.yaml", "run sweep.yaml --out run", "show run", "plot run --kind pareto"):
        done = call(*verb.split())
        assert done.status == 0, (verb, done.out[-500:], done.err[-1500:])
        said[verb.split()[0]] = done.out
    assert "the model mine:cost took" in said["check"] and "macs_used" in said["show"]
    assert list((tmp_path / "run" / "plots").glob("pareto-*.png"))
    assert not (tmp_path / "run" / "report.html").exists()


def test_what_no_answer_looks_like_costs_one_design(folder):
    done = run(sweep("own:odd"), out=folder / "run")
    failed = done.designs[done.designs["macs"] == 8192].set_index("memory_devices")["failed"]
    assert failed.loc[[2, 4, 6, 8, 10]].notna().all() and failed.loc[[12, 14, 16]].isna().all()
    assert done.designs["failed"].notna().sum() == 5
    assert "signal" in failed.loc[4]


def alive(words):
    """Return the processes with these words among their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if words.encode() in line:
            found.append(process.name)
    return found


@pytest.mark.parametrize("child", ["sleep 86399.125 &", "sleep 86399.125 > /dev/null 2>&1 &"])
def test_what_a_command_has_started_ends_with_it(folder, child):
    (folder / "own.sh").write_text(f"{child}\nwhile read line; do echo '{{\"noise_db\": 1.0}}'; done\n")
    done = run(sweep({"command": ["sh", "own.sh"], "batch": 10}), out=folder / "run")
    assert done.designs["failed"].isna().all()
    assert not alive("86399.125")

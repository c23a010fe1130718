"""Studies outside of a run: written as it goes, shared by several processes, and made of a finished run."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pytest

from dse import runs
from dse.analysis.export import export_study
from dse.errors import MissingPackageError, RunError, SpecError
from dse.front import nondominated
from dse.packing import read_packed
from dse.parallelism import Parallelism
from dse.results.store import open_run
from dse.results.yaml_text import yaml_text
from dse.runs import merge, state_of
from dse.samplers.optuna.sampler import OptunaSampler
from dse.samplers.optuna.storage import open_storage
from dse.search.journal import unfinished
from dse.sweep import parse_spec
from tests import sweeps
from tests.cli import call

pytestmark = pytest.mark.usefixtures("quiet_optuna")

ROOT = Path(__file__).parents[3]
OBJECTIVES = ["chat.tpot_ms", "chat.tokens_per_joule"]
SWEEP = sweeps.tiny(
    space={**sweeps.tiny()["space"], "weight_format": "int4_g128", "clock_ghz": {"low": 0.5, "high": 1.5}},
    objectives=[{"metric": OBJECTIVES[0], "direction": "minimize"}, {"metric": OBJECTIVES[1], "direction": "maximize"}],
)
OFTEN = Parallelism(keep_every_s=0.0)
run, resume = (partial(verb, spread=OFTEN) for verb in (runs.run, runs.resume))
SAME = ("pareto.csv", "picks.yaml", "constraints.csv", "axes.csv")


def tiny(sampler="nsgaii", n_designs=60, **search):
    options = {"options": {"population_size": 20}} if sampler == "nsgaii" else {}
    return parse_spec({**SWEEP, "search": {"sampler": sampler, "n_designs": n_designs, **options, **search}})


def study_in(url, name="tiny"):
    return optuna.load_study(storage=open_storage(url), study_name=name)


def urls(folder):
    return {"sqlite": f"sqlite:///{folder}/study.db", "journal": f"journal:{folder}/study.log"}


def assert_values(trial, row):
    """A trial has the objectives of its design, and has failed where one is missing."""
    values = row[OBJECTIVES].to_numpy(dtype=float)
    if np.isnan(values).any():
        assert trial.state.name == "FAIL" and trial.values is None
    else:
        assert trial.state.name == "COMPLETE" and trial.values == pytest.approx(values)


# -- one run and its study -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
@pytest.mark.parametrize("sampler", ["nsgaii", "tpe"])
def test_a_storage_changes_nothing_and_holds_every_design(tmp_path, kind, sampler):
    url = urls(tmp_path)[kind]
    plain = run(tiny(sampler), out=tmp_path / "plain")
    done = run(tiny(sampler, storage=url), out=tmp_path / "stored")
    for name in SAME:
        assert (plain.path / name).read_bytes() == (done.path / name).read_bytes()
    study = study_in(url)
    designs = done.designs.set_index("id")
    assert [trial.user_attrs["id"] for trial in study.trials] == list(range(60))
    assert [trial.number for trial in study.trials] == list(range(60))
    assert [one.name for one in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    for trial in study.trials:
        row = designs.loc[trial.user_attrs["id"]]
        assert_values(trial, row)
        assert trial.user_attrs["feasible"] == row["feasible"] == all(v <= 0 for v in trial.constraints.values())
        assert {name: row[name] for name in trial.params} == trial.params
    best = sorted(trial.values for trial in study.best_trials)
    assert np.allclose(best, sorted(done.front[OBJECTIVES].to_numpy().tolist()))


class Stopped(BaseException):
    """Ends a search as the end of its process would."""


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_run_that_ended_goes_on_and_no_design_is_written_twice(tmp_path, kind, monkeypatch):
    url = urls(tmp_path)[kind]
    plain, out = run(tiny(), out=tmp_path / "plain"), tmp_path / "cut"

    def stop(progress):
        raise Stopped

    def end_later(sampler):
        if sampler._turns.told > 20:
            raise Stopped

    with pytest.raises(Stopped):
        run(tiny(storage=url), out=out, progress=stop)
    with monkeypatch.context() as cut:
        # The next stretch is kept, but the process ends before it gets to the study.
        cut.setattr(
            OptunaSampler, "publish", lambda self: (_ for _ in ()).throw(Stopped()) if self._turns.told > 20 else 0
        )
        with pytest.raises(Stopped):
            resume(out, open_storage=True)
    assert len(study_in(url).trials) == 20
    done = resume(out, open_storage=True)
    assert not unfinished(out).exists()
    for name in SAME:
        assert (plain.path / name).read_bytes() == (done.path / name).read_bytes()
    assert [trial.user_attrs["id"] for trial in study_in(url).trials] == list(range(60))
    longer = resume(out, n_designs=100, out=tmp_path / "longer", open_storage=True)
    assert longer.manifest["counts"]["evaluated"] == len(study_in(url).trials) == 100
    with pytest.raises(RunError, match="was continued elsewhere"):
        resume(out, n_designs=120, out=tmp_path / "other", open_storage=True)


def test_a_run_directory_opens_no_storage_unless_one_agrees(tmp_path):
    def stop(progress):
        raise Stopped

    file = tmp_path / "study.log"
    specs = [tiny("tpe", 10, storage=f"journal:{file}", study=f"s{seed}", seed=seed) for seed in (1, 2)]
    first, second = (run(spec, out=tmp_path / str(seed)) for seed, spec in enumerate(specs))
    with pytest.raises(Stopped):
        run(tiny("tpe", 30, storage=f"journal:{file}"), out=tmp_path / "cut", progress=stop)
    file.unlink()
    for verb in (lambda: resume(tmp_path / "cut"), lambda: resume(first.path, n_designs=20, out=tmp_path / "more")):
        with pytest.raises(RunError, match=f"its sweep keeps its study in journal:{file}; .* say so with --open-stor"):
            verb()
    done = call("resume", tmp_path / "cut")
    assert done.status == 2 and done.err.endswith("if you trust that, say so with --open-storage\n")
    both = merge([first, second], out=tmp_path / "both")
    assert both.manifest["counts"]["evaluated"] == 20
    assert not file.exists() and not unfinished(tmp_path / "more").exists()


def test_studies_that_are_not_ours_are_refused(tmp_path):
    url = urls(tmp_path)["sqlite"]
    run(tiny("tpe", 10, storage=url), out=tmp_path / "first")
    with pytest.raises(RunError, match="holds trials already; take part with --join"):
        run(tiny("tpe", 10, storage=url), out=tmp_path / "again")
    assert not unfinished(tmp_path / "again").exists()
    other = {**SWEEP, "constraints": [], "search": {"sampler": "tpe", "n_designs": 5, "storage": url, "join": True}}
    with pytest.raises(RunError, match="is of another sweep"):
        run(parse_spec(other), out=tmp_path / "other")
    optuna.create_study(storage=open_storage(url), study_name="one", directions=["minimize"])
    with pytest.raises(RunError, match="its directions are minimize"):
        run(tiny("tpe", 10, storage=url, study="one"), out=tmp_path / "one")
    done = run(tiny("tpe", 10, storage=url, study="two"), out=tmp_path / "two")
    assert len(study_in(url, "two").trials) == 10
    assert any("written to the study two" in note for note in done.manifest["notes"])


def test_designs_without_a_value_become_failed_trials(tmp_path):
    url = urls(tmp_path)["sqlite"]
    workloads = {"chat": {**SWEEP["workloads"]["chat"], "model": "llama2_70b", "required": False}}
    search = {"sampler": "tpe", "n_designs": 30, "storage": url}
    done = run(parse_spec({**SWEEP, "workloads": workloads, "search": search}), out=tmp_path / "run")
    missing = done.designs[OBJECTIVES[0]].isna()
    assert 0 < missing.sum() < 30
    states = [trial.state.name for trial in study_in(url).trials]
    assert states == ["FAIL" if absent else "COMPLETE" for absent in missing]


# -- several processes ---------------------------------------------------------------------------------------------


def test_those_who_join_learn_from_each_other(tmp_path):
    url = urls(tmp_path)["journal"]
    first = run(tiny("tpe", 30, storage=url, join=True), out=tmp_path / "a")
    second = run(tiny("tpe", 20, storage=url, join=True), out=tmp_path / "b")
    assert any("cannot be repeated" in note for note in second.manifest["notes"])
    assert not first.designs.iloc[:10].equals(second.designs.iloc[:10]), "each begins elsewhere"

    def learned(done):
        """Return after how many batches the sampler of a run heard how many designs of others."""
        sampler = read_packed(read_packed(state_of(done), "state").content("sampler"), "sampler")
        return [
            (one.whole("before"), len(one.array("values", np.float64, None, 2))) for one in sampler.parts("learned")
        ]

    there = int(first.designs[OBJECTIVES].notna().all(axis=1).sum())
    assert learned(second) == [(0, there)], "the sampler of the second run knows the designs of the first"
    assert len(study_in(url).trials) == 50
    longer = resume(second.path, n_designs=40, out=tmp_path / "c", open_storage=True)
    assert learned(longer) == [(0, there)], "what goes on knows them once, since then, and none of its own"


def together(tmp_path, url, each=40):
    """Let two processes share a study; return their runs and the study."""
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml_text(tiny("tpe", each).resolved()))
    begin = "from dse.cli import main; main()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", begin, "run", str(file), "--out", str(tmp_path / name), "--storage", url, "--join",
             "--draw", "none", "--no-report", "--quiet"],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for process in started:
        _, said = process.communicate(timeout=180)
        assert process.returncode == 0, said
    return [open_run(tmp_path / name) for name in ("one", "two")], study_in(url)


def assert_shared(runs, study, tmp_path, each=40):
    assert [done.manifest["counts"]["evaluated"] for done in runs] == [each, each]
    assert len(study.trials) == 2 * each
    assert sorted(trial.number for trial in study.trials) == list(range(2 * each))
    assert all(trial.state.is_finished() for trial in study.trials)
    both = merge(runs, out=tmp_path / "both")
    assert both.manifest["counts"]["evaluated"] == 2 * each
    points = np.concatenate([done.front[OBJECTIVES].to_numpy() for done in runs]) * [1, -1]
    expected = points[nondominated(points)] * [1, -1]
    for result in (both.front[OBJECTIVES].to_numpy(), np.array([trial.values for trial in study.best_trials])):
        assert np.allclose(np.unique(result, axis=0), np.unique(expected, axis=0))


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_two_processes_share_a_study(tmp_path, kind):
    runs, study = together(tmp_path, urls(tmp_path)[kind])
    assert_shared(runs, study, tmp_path)


# -- PostgreSQL ----------------------------------------------------------------------------------------------------


def programs():
    """Return the folder of PostgreSQL's own programs."""
    result = shutil.which("initdb")
    return Path(result).resolve().parent if result else max(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture
def postgresql():
    """The address of a private PostgreSQL, started for one test."""
    # Not among pytest's own folders, which no other user may enter: PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="dse-postgresql-"))
    bare = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if bare:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    data, log = folder / "data", folder / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def program(name, *arguments):
        command = [*bare, str(programs() / name), *arguments]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/")
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    program("initdb", "-D", str(data), "-U", "dse", "-A", "trust", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    program("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://dse@127.0.0.1:{port}/postgres"
    finally:
        program("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.mark.postgresql
def test_two_processes_share_a_study_in_postgresql(tmp_path, postgresql, monkeypatch):
    runs, study = together(tmp_path, postgresql)
    assert_shared(runs, study, tmp_path)
    # A process that is killed leaves whole trials, and goes on to its number of designs.
    file, out = tmp_path / "sweep.yaml", tmp_path / "killed"
    monkeypatch.setenv("DSE_STUDIES", postgresql)
    command = [sys.executable, "-c", KILLED, str(file), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        reached = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
    assert unfinished(out).exists()
    done = resume(out, open_storage=True)
    assert reached >= 1 and done.manifest["counts"]["evaluated"] == 40
    own = [trial.user_attrs["id"] for trial in study_in(postgresql).trials[80:]]
    assert own == list(range(40))
    exported = export_study(done, postgresql, name="exported")
    assert exported.trials == len(study_in(postgresql, "exported").trials) == 40


KILLED = """
import sys, time
from dse.runs import run
from dse.parallelism import Parallelism
from dse.sweep import load_spec

def report(progress):
    print(progress.evaluated, flush=True)
    time.sleep(0.5)

spec = load_spec(sys.argv[1], overrides=["search.storage=env:DSE_STUDIES", "search.join=true"])
run(spec, out=sys.argv[2], progress=report, spread=Parallelism(keep_every_s=0.0))
"""


# -- a finished run as a study -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    sweep = {**SWEEP, "search": {"sampler": "sobol", "n_designs": 256}}
    return run(parse_spec(sweep), out=tmp_path_factory.mktemp("runs") / "done")


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_an_exported_run_opens_as_a_study(tmp_path, finished, kind):
    url = urls(tmp_path)[kind]
    written = export_study(finished, url)
    assert (written.trials, written.kept) == (256, 256)
    study = study_in(url, "tiny-done")
    assert study.metric_names == OBJECTIVES and len(study.trials) == 256
    designs = finished.designs.set_index("id")
    for trial in study.trials:
        row = designs.loc[trial.user_attrs["id"]]
        assert_values(trial, row)
        assert {name: row[name] for name in trial.params} == trial.params
        assert ("memory_device_gib" in trial.params) == (row["memory_device_gib"] == row["memory_device_gib"])
        assert trial.user_attrs["tdp_w"] == pytest.approx(row["tdp_w"])
        assert set(trial.user_attrs) <= {"run", "id", "feasible", "pareto", "tdp_w"}
        assert trial.constraints["tdp_w <= 200"] == pytest.approx(-row["margin tdp_w <= 200"])
    best = np.array([trial.values for trial in study.best_trials])
    front = finished.front[OBJECTIVES].to_numpy()
    assert np.allclose(np.unique(best, axis=0), np.unique(front, axis=0))
    with pytest.raises(RunError, match="holds a study tiny-done already; another name"):
        export_study(finished, url)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optunas_own_parameters_take_an_exported_run(tmp_path, finished):
    url = urls(tmp_path)["sqlite"]
    export_study(finished, url)
    study = study_in(url, "tiny-done")
    parameter = optuna.visualization.plot_pareto_front(study)
    shown = {tuple(np.round(point, 9)) for trace in parameter.data for point in zip(trace.x, trace.y, strict=True)}
    assert {tuple(np.round(point, 9)) for point in finished.front[OBJECTIVES].to_numpy()} <= shown
    target = {"target": lambda trial: trial.values[0], "target_name": OBJECTIVES[0]}
    assert optuna.visualization.plot_parallel_coordinate(study, **target).data
    assert optuna.visualization.plot_slice(study, params=["macs", "memory"], **target).data


def test_a_study_gets_the_front_and_an_even_choice_of_the_rest(tmp_path, finished):
    url = urls(tmp_path)["sqlite"]
    written = export_study(finished, url, at_most=40, every_metric=True)
    study = study_in(url, written.name)
    assert written.trials == len(study.trials) == 40 and written.front == len(finished.front)
    ids = {trial.user_attrs["id"] for trial in study.trials}
    assert set(finished.front["id"]) <= ids
    assert "die_mm2" in study.trials[0].user_attrs and "memory" not in study.trials[0].user_attrs


def test_many_designs_are_written_at_once(tmp_path):
    spec = parse_spec({**SWEEP, "search": {"sampler": "sobol", "n_designs": 1024}})
    done = run(spec, out=tmp_path / "run")
    started = time.process_time()
    export_study(done, urls(tmp_path)["sqlite"])
    together_s = (time.process_time() - started) / 1024
    study = study_in(urls(tmp_path)["sqlite"], "tiny-run")
    trials = study.trials
    assert len(trials) == 1024
    started = time.process_time()
    for trial in trials[:32]:
        study.add_trial(trial)
    assert together_s < (time.process_time() - started) / 32 / 2


def test_the_command_says_what_it_wrote(tmp_path, finished, call):
    url = urls(tmp_path)["journal"]
    said = " ".join(call("export", finished.path, "--storage", url, "--study", "mine", "--n-designs", 100).out.split())
    assert "100 trials" in said and "--n-designs 256 takes them all" in said and "optuna-dashboard" in said
    status, _, err = call("export", finished.path, "--storage", "x.db")
    assert status == 2 and "--storage x.db: 'x.db' is not journal:FILE" in err and "perhaps sqlite:///x.db" in err
    status, _, err = call("export", finished.path)
    assert status == 2 and "--storage" in err and "is missing" in err


# -- addresses and options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ({"storage": "study.db"}, "'study.db' is not journal:FILE.*; perhaps sqlite:///study.db"),
        ({"storage": "sqlite:study.db"}, "perhaps sqlite:///study.db"),
        ({"storage": "postgres://me@host/x"}, r"perhaps postgresql\+psycopg://me@host/x"),
        ({"storage": "postgresql://me:secret@host/x"}, "holds a password, which would be kept with the run"),
        ({"storage": "env:not a name"}, "is not journal:FILE"),
        ({"storage": 3}, "3 is not journal:FILE"),
        ({"join": True}, "join goes with a storage"),
        ({"study": "mine"}, "study goes with a storage"),
        ({"storage": "study.log", "sampler": "sobol"}, "not with sobol; perhaps dse export"),
        ({"storage": "study.log", "sampler": "sobol+tpe"}, "not with sobol\\+tpe"),
        ({"storage": "study.log", "join": "yes"}, "'yes' is not true or false; perhaps true"),
    ],
)
def test_wrong_storages(search, says):
    with pytest.raises(SpecError, match=says) as error:
        parse_spec({**SWEEP, "search": {"sampler": "tpe", "n_designs": 5, **search}})
    assert "secret" not in str(error.value)


def test_a_storage_that_cannot_be_used_says_why(tmp_path, monkeypatch):
    def begin(url):
        run(tiny("tpe", 5, storage=url), out=tmp_path / "run")

    with pytest.raises(RunError, match="there is no folder"):
        begin(f"sqlite:///{tmp_path}/none/study.db")
    with pytest.raises(RunError, match="environment variable DSE_NOWHERE is not set"):
        begin("env:DSE_NOWHERE")
    monkeypatch.setenv("DSE_WRONG", "here")
    with pytest.raises(RunError, match="DSE_WRONG holds no address"):
        begin("env:DSE_WRONG")
    with pytest.raises(RunError, match=r"cannot be used: .*[Cc]onnection"):
        begin("postgresql+psycopg://me@127.0.0.1:1/x")
    with pytest.raises(MissingPackageError, match="pip install pymysql"):
        begin("mysql+pymysql://me@127.0.0.1:1/x")
    not_one = tmp_path / "text.db"
    not_one.write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(RunError, match="file is not a database"):
        begin(f"sqlite:///{not_one}")
    assert not unfinished(tmp_path / "run").exists()


def test_the_password_of_an_environment_variable_is_nowhere_in_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("DSE_STUDIES", f"sqlite:///{tmp_path}/hidden.db")
    done = run(tiny("tpe", 5, storage="env:DSE_STUDIES"), out=tmp_path / "run")
    assert len(study_in(f"sqlite:///{tmp_path}/hidden.db").trials) == 5
    for file in done.path.rglob("*"):
        assert file.is_dir() or b"hidden.db" not in file.read_bytes()


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("tpe", {"multivariate": True, "n_startup_trials": 20, "constant_liar": False}),
        ("nsgaii", {"crossover": {"SBXCrossover": {"eta": 5}}, "mutation": "PolynomialMutation"}),
        ("nsgaii", {"population_size": 10, "crossover": "UNDXCrossover"}),
        ("nsgaiii", {"population_size": 10, "dividing_parameter": 4}),
        ("qmc", {"qmc_type": "halton", "scramble": True, "independent_sampler": "RandomSampler"}),
        ("optuna:RandomSampler", {"batch": 7}),
        ("cmaes", {"n_startup_trials": 5, "use_separable_cma": True}),
        ("cmaes", {"with_margin": True}),
        pytest.param("gp", {"n_startup_trials": 5}, marks=pytest.mark.torch),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_samplers_of_optuna_with_their_options(tmp_path, sampler, options):
    sweep = {**SWEEP, "search": {"sampler": sampler, "n_designs": 40, "options": options}}
    if sampler == "gp":
        sweep["search"]["n_designs"] = 10
    if sampler == "cmaes":
        sweep["objectives"] = SWEEP["objectives"][:1]
    one, other = (run(parse_spec(sweep), out=tmp_path / name) for name in ("one", "other"))
    assert one.manifest["counts"]["evaluated"] == sweep["search"]["n_designs"]
    assert one.designs.equals(other.designs)


@pytest.mark.parametrize(
    ("sampler", "options", "says"),
    [
        ("nsgaii", {"crossover": "SBX"}, "search.options.crossover: 'SBX' is not .*perhaps SBXCrossover"),
        ("nsgaii", {"crossover": {"SBXCrossover": {"etta": 3}}}, "key 'etta' is not an argument of SBXCrossover"),
        ("nsgaii", {"crossover": {"SBXCrossover": 3}}, "3 is not a mapping of arguments of SBXCrossover"),
        ("nsgaii", {"mutation": 0.1}, "search.options.mutation: 0.1 is not PolynomialMutation"),
        ("nsgaii", {"populations": 3}, "populations.*perhaps population_size"),
        ("tpe", {"gamma": 3}, "takes a Python object, which a sweep cannot hold"),
        ("optuna:GridSampler", {}, "perhaps grid"),
        ("optuna:NSGASampler", {}, "perhaps 'optuna:NSGAIISampler'|perhaps optuna:NSGAIISampler"),
    ],
)
def test_wrong_options_of_optunas_samplers(tmp_path, sampler, options, says):
    with pytest.raises(SpecError, match=says):
        run(
            parse_spec({**SWEEP, "search": {"sampler": sampler, "n_designs": 5, "options": options}}),
            out=tmp_path / "r",
        )


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii", "nsgaiii", "qmc", "random_optuna"])
def test_a_larger_budget_by_whole_batches_is_what_it_would_have_been(tmp_path, sampler):
    options = {"population_size": 20} if sampler.startswith("nsga") else {}

    def spec(n):
        search = {"sampler": sampler, "n_designs": n, "options": options}
        return parse_spec({**SWEEP, "search": search})

    small = run(spec(40), out=tmp_path / "small")
    large = resume(small.path, n_designs=80, out=tmp_path / "large")
    fresh = run(spec(80), out=tmp_path / "fresh")
    assert large.designs.equals(fresh.designs)

"""The search is the same however it is cut, spread, ended and gone on with."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.table import Table
from dse import runs
from dse.errors import RunError
from dse.evaluator import Evaluation
from dse.front import nondominated
from dse.parallelism import Parallelism
from dse.results.archive import Archive
from dse.results.rows import Rows
from dse.results.store import open_run
from dse.results.top import Top
from dse.results.yaml_text import yaml_text
from dse.runs import merge
from dse.search.journal import Journal, unfinished
from dse.space import Space
from dse.sweep import load_spec, parse_spec
from tests import sweeps

SAME = ("pareto.csv", "picks.yaml", "constraints.csv", "axes.csv", "baselines.csv", "resolved.yaml")

SMALL = Parallelism(block_rows=32, chunk_rows=32, keep_every_s=0.0)
run, resume, explore = (partial(verb, spread=SMALL) for verb in (runs.run, runs.resume, runs.explore))

SWEEP = sweeps.tiny(results={"keep_all_up_to": 100})


def tiny(sampler="grid", n_designs=None, **search):
    budget = {} if n_designs is None else {"n_designs": n_designs}
    return parse_spec({**SWEEP, "search": {"sampler": sampler, "seed": 3, **budget, **search}})


def assert_same(one, other):
    for name in SAME:
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
    assert one.designs.equals(other.designs)


# -- what is kept does not depend on how it is cut -----------------------------------------------------------------


def rows_of(n, seed, n_objectives):
    rng = np.random.default_rng(seed)
    # Coarse values, so that ties and repeats happen; some missing, some without end, sometimes none feasible.
    objectives = rng.integers(0, 5, (n, n_objectives)).astype(float)
    objectives[rng.random(n) < 0.1] = np.nan
    objectives[rng.random((n, n_objectives)) < 0.05] = np.inf
    margin = rng.integers(-8, 2 if seed % 2 else 0, n) / 4
    feasible = (margin >= 0) & np.isfinite(objectives).all(axis=1)
    designs = {"macs": 8192.0 * 2 ** rng.integers(0, 5, n)}
    evaluation = Evaluation({}, {"margin": margin}, objectives, feasible)
    return Rows(np.arange(n, dtype=np.int64), Table(designs), evaluation)


def kept(rows, cuts, n_objectives, space):
    """Keep rows in several keepers that are merged, each shown its rows in two pieces, and pickled on the way."""
    whole = Archive(space, n_objectives, sample=16)
    for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        part = Archive(space, n_objectives, sample=16)
        middle = (first + last) // 2
        for a, b in ((first, middle), (middle, last)):
            if b > a:
                part.add(rows.take(np.arange(a, b)))
        whole.merge(pickle.loads(pickle.dumps(part)))
    return whole


@given(st.integers(1, 60), st.integers(0, 30), st.integers(1, 4), st.integers(1, 20))
def test_the_top_is_what_sorting_all_finds_however_it_comes(n, seed, size, piece):
    rows, top = rows_of(n, seed, 2), Top(1, size)
    for first in range(0, n, piece):
        top.add(rows.take(np.arange(first, min(first + piece, n))))
    values, macs = rows.evaluation.objectives[:, 1], np.asarray(rows.designs["macs"])
    best = {}
    for place in sorted(np.flatnonzero(rows.evaluation.feasible), key=lambda place: (values[place], place)):
        best.setdefault(macs[place], place)
    assert list([] if top.rows is None else top.rows.ids) == list(best.values())[:size]


MACS_ONLY = Space(parse_spec({**SWEEP, "space": {"macs": {"low": 8192, "high": 131072, "log": True, "levels": 5}}}))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 150), st.integers(0, 30), st.integers(1, 4), st.lists(st.integers(0, 150), max_size=4))
def test_merged_keepers_hold_what_one_keeper_holds(n, seed, n_objectives, cuts):
    rows = rows_of(n, seed, n_objectives)
    one = kept(rows, [], n_objectives, MACS_ONLY)
    many = kept(rows, sorted(min(cut, n) for cut in cuts), n_objectives, MACS_ONLY)
    points, good = rows.evaluation.objectives, np.flatnonzero(rows.evaluation.feasible)
    brute = good[nondominated(points[good])]
    for keeper in (one, many):
        assert list([] if keeper.front is None else keeper.front.ids) == list(brute)
    for part in ("misses", "front"):
        a, b = getattr(one, part), getattr(many, part)
        assert (a is None) == (b is None) and (a is None or list(a.ids) == list(b.ids))
    assert list(one.sample.rows().ids) == list(many.sample.rows().ids) and one.sample.stride == many.sample.stride
    assert repr(one.tally.constraints()) == repr(many.tally.constraints())
    assert repr(one.tally.values()) == repr(many.tally.values())


@pytest.mark.parametrize("sampler", ["grid", "sobol", "random", "sobol+evolve", "evolve", "nsgaii"])
def test_blocks_chunks_and_processes_have_no_influence(tmp_path, sampler):
    spec = tiny(sampler, None if sampler == "grid" else 200)
    first = run(spec, out=tmp_path / "a", spread=replace(SMALL, jobs=2 if sampler in ("grid", "sobol+evolve") else 1))
    large = Parallelism(block_rows=1000, chunk_rows=1000, keep_every_s=1e9)
    assert_same(first, run(spec, out=tmp_path / "b", spread=large))
    assert not list(tmp_path.glob("*.unfinished"))


# -- ended and gone on with ----------------------------------------------------------------------------------------


class Stopped(BaseException):
    """Ends a search as the end of its process would."""


def cut_short(spec, out, after):
    def stop(progress):
        if progress.evaluated >= after:
            raise Stopped

    with pytest.raises(Stopped):
        run(spec, out=out, progress=stop)


@pytest.mark.parametrize("sampler", ["grid", "sobol", "sobol+evolve", "evolve", "nsgaii"])
def test_a_run_that_ended_goes_on_to_the_same_result(tmp_path, sampler):
    spec = tiny(sampler, None if sampler == "grid" else 300)
    whole = run(spec, out=tmp_path / "whole")
    for after in (1, 150):
        out = tmp_path / f"cut{after}"
        cut_short(spec, out, after)
        assert not out.exists() and unfinished(out).is_dir()
        with pytest.raises(RunError, match="unfinished run is there"):
            run(spec, out=out)
        assert_same(whole, resume(out))
        assert not unfinished(out).exists()


def test_parameters_that_only_earlier_designs_read_are_kept(tmp_path):
    space = {"act_bits": {"values": [8, 16]}, "chat.output_tokens": {"low": 64, "high": 2048, "levels": 32}}
    goal = {"metric": "chat.perplexity_ratio", "direction": "minimize"}
    kept = {"constraints": [], "objectives": [goal], "results": {"keep_all_up_to": 0}}
    spec = parse_spec({**SWEEP, **kept, "space": space})
    whole = run(spec, out=tmp_path / "whole")
    cut_short(spec, tmp_path / "cut", 1)
    assert "# quality.activation" in (whole.path / "resolved.yaml").read_text()
    assert set(whole.designs["act_bits"]) == {16.0}, "no design of the first block is evaluated again"
    assert_same(whole, resume(tmp_path / "cut"))


def test_an_interrupted_run_is_searched_to_its_end_in_a_run_of_its_own(tmp_path):
    spec = tiny()
    part = run(spec, out=tmp_path / "part", progress=_press_once())
    assert part.manifest["status"] == "interrupted"
    again = resume(part.path, out=tmp_path / "again")
    assert_same(run(spec, out=tmp_path / "whole"), again)
    assert again.manifest["continues"] == "part"
    with pytest.raises(RunError, match="is complete"):
        resume(again.path)


def _press_once():
    def stop(progress):
        raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("sampler", ["sobol", "random"])
def test_a_larger_budget_gives_what_it_would_from_the_start(tmp_path, sampler):
    small = run(tiny(sampler, 128), out=tmp_path / "small")
    large = resume(small.path, n_designs=512, out=tmp_path / "large")
    assert_same(run(tiny(sampler, 512), out=tmp_path / "fresh"), large)
    with pytest.raises(RunError, match="n_designs must be more"):
        resume(large.path, n_designs=64, out=tmp_path / "less")


@pytest.mark.parametrize("sampler", ["evolve", "sobol+evolve", "nsgaii"])
def test_samplers_that_learn_go_on_learning(tmp_path, sampler):
    small = run(tiny(sampler, 128), out=tmp_path / "small")
    out = tmp_path / "large"
    large = resume(small.path, n_designs=300, out=out)
    assert large.manifest["counts"]["evaluated"] == 300
    again = resume(small.path, n_designs=300, out=tmp_path / "again")
    assert_same(large, again)


def test_merged_runs_hold_what_both_found(tmp_path):
    runs = [run(tiny("sobol", 128, seed=seed), out=tmp_path / str(seed)) for seed in (1, 2)]
    both = merge(runs, out=tmp_path / "both")
    assert both.manifest["counts"]["evaluated"] == 256 and both.manifest["merges"] == ["1", "2"]
    keys = ["chat.tpot_ms", "chat.tokens_per_joule"]
    points = np.concatenate([done.front[keys].to_numpy() for done in runs]) * [1, -1]
    expected = points[nondominated(points)] * [1, -1]
    assert np.allclose(np.sort(both.front[keys].to_numpy(), axis=0), np.sort(expected, axis=0))
    other = run(parse_spec({**SWEEP, "constraints": []}), out=tmp_path / "other")
    with pytest.raises(RunError, match="asks something else"):
        merge([runs[0], other], out=tmp_path / "no")
    longer = run(tiny("sobol", 160, seed=1), out=tmp_path / "longer")
    for again in (runs[0], longer):
        with pytest.raises(RunError, match="once more, which would count twice"):
            merge([runs[0], again], out=tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_damaged_state_is_refused_and_says_what_to_do(tmp_path):
    out = tmp_path / "run"
    cut_short(tiny(), out, 100)
    victim = max((unfinished(out) / "kept").iterdir())
    content = bytearray(victim.read_bytes())
    content[-5] ^= 1
    victim.write_bytes(bytes(content))
    with pytest.raises(RunError, match="is damaged; delete it"):
        resume(out)
    victim.unlink()
    assert_same(run(tiny(), out=tmp_path / "whole"), resume(out))


def test_a_changed_sweep_or_library_is_refused(tmp_path, monkeypatch):
    out = tmp_path / "run"
    cut_short(tiny(), out, 100)
    with monkeypatch.context() as changed:
        changed.setattr("dse.runs.library_hash", lambda library: "another")
        with pytest.raises(RunError, match="library has been changed"):
            resume(out)
    file = unfinished(out) / "search.json"
    file.write_text(file.read_text().replace(tiny().hash, tiny(seed=4).hash))
    with pytest.raises(RunError, match="sweep has been changed"):
        resume(out)


def test_two_processes_cannot_be_at_one_run(tmp_path):
    out = tmp_path / "run"
    cut_short(tiny(), out, 100)
    with Journal(unfinished(out)).locked(), pytest.raises(RunError, match="another process"):
        resume(out)


def test_a_full_disk_loses_nothing_that_was_done(tmp_path, monkeypatch):
    out, whole = tmp_path / "run", run(tiny(), out=tmp_path / "whole")
    reported = []
    fsync = os.fsync
    for room in (5, 7, 6):
        left = [room]

        def full(number, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, "No space left on device")
            fsync(number)

        with monkeypatch.context() as disk:
            disk.setattr("dse.search.journal.os.fsync", full)
            with pytest.raises(RunError, match="No space left on device"):
                go = (
                    (lambda: resume(out, progress=reported.append))
                    if unfinished(out).exists()
                    else (lambda: run(tiny(), out=out, progress=reported.append))
                )
                go()
        if reported:
            done = sum(last - first for first, last, _ in Journal(unfinished(out)).kept())
            assert done >= reported[-1].evaluated
    assert_same(whole, resume(out))


# -- killed --------------------------------------------------------------------------------------------------------

KILLED = """
import sys, pathlib
from dse.runs import resume, run
from dse.parallelism import Parallelism
from dse.sweep import load_spec

def report(progress):
    print(progress.evaluated, flush=True)

out = pathlib.Path(sys.argv[2])
spread = Parallelism(int(sys.argv[3]), block_rows=32, chunk_rows=32, keep_every_s=0.0)
if out.with_name(out.name + ".unfinished").joinpath("search.json").exists():
    resume(out, progress=report, spread=spread)
else:
    run(load_spec(sys.argv[1]), out=out, progress=report, spread=spread)
"""

KILLS = int(os.environ.get("DSE_SOAK_KILLS", "3"))
"""Kills per sampler; `make soak` asks for many."""


@pytest.mark.parametrize(("sampler", "jobs"), [("grid", 1), ("sobol", 2), ("sobol+evolve", 1)])
def test_killed_at_any_moment_it_goes_on_to_the_same_result(tmp_path, sampler, jobs):
    spec = tiny(sampler, None if sampler == "grid" else 512)
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml_text(spec.resolved()))
    spec = load_spec(file)
    whole = run(spec, out=tmp_path / "whole")
    rng = np.random.default_rng(len(sampler))
    out, kills, place = tmp_path / "run", 0, 0
    while kills < KILLS // jobs:
        place += not unfinished(out).exists()
        out = tmp_path / f"run{place}"
        reached = _run_until_killed(file, out, jobs, after=int(rng.integers(0, 5)), wait=rng.random() * 0.02)
        kills += 1
        if reached and unfinished(out).exists():
            done = sum(last - first for first, last, _ in Journal(unfinished(out)).kept())
            assert done >= reached, "what was reported as done is kept"
    for finished in {*tmp_path.glob("run?"), *map(_finished, tmp_path.glob("run*.unfinished"))}:
        done = resume(finished) if unfinished(finished).exists() else open_run(finished)
        assert_same(whole, done)


def _finished(folder):
    return folder.with_suffix("")


def _run_until_killed(file, out, jobs, *, after, wait):
    """Start a run, kill its process after some reports and a moment, and return how far it said to have come."""
    command = [sys.executable, "-c", KILLED, str(file), str(out), str(jobs)]
    reached = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd(), start_new_session=True) as child:
        for _ in range(after):
            line = child.stdout.readline()
            if not line:
                break
            reached = int(line)
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
        # Its workers hold the pipe open; they would end by themselves some time later.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        for line in child.stdout:
            reached = int(line) if line.strip().isdigit() else reached
    return reached


def test_a_killed_worker_changes_nothing(tmp_path):
    spec = tiny("sobol", 2048)
    marker = tmp_path / "killed"

    def kill_one(progress):
        if not marker.exists():
            marker.touch()
            children = [int(pid) for pid in _children(os.getpid())]
            os.kill(children[0], signal.SIGKILL)

    done = run(spec, out=tmp_path / "run", spread=replace(SMALL, jobs=2), progress=kill_one)
    assert marker.exists()
    assert_same(run(spec, out=tmp_path / "whole"), done)


def _children(pid):
    """Return the worker processes of this one: its copies, and those that loky started."""
    own = Path(f"/proc/{pid}/cmdline").read_bytes()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        is_worker = command == own or (b"loky" in command and b"resource_tracker" not in command)
        if int(fields[1]) == pid and is_worker:
            yield path.parent.name


def test_explore_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert explore(tiny()).evaluated == Space(tiny()).grid_size
    assert not list(tmp_path.iterdir())

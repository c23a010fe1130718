"""Killed, or out of disk, at random moments: a search goes on to what it would have found and keeps all it reported.

The short version is part of the suite; `make soak` sets DSE_SOAK_KILLS for the long one.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dse.parallelism import Parallelism
from dse.results.store import open_run
from dse.results.yaml_text import yaml_text
from dse.runs import resume, run
from dse.search.journal import unfinished
from dse.sweep import load_spec, parse_spec
from tests import sweeps

SOAK = Path(__file__).parents[1] / "soak"
KILLS = int(os.environ.get("DSE_SOAK_KILLS", "3"))
"""Kills, or full disks, per way of searching."""

WORKERS_KILLED = 4

SAME = ("pareto.csv", "top.csv", "picks.yaml", "constraints.csv", "margins.csv", "axes.csv", "resolved.yaml")

WAYS = {
    "grid": {"sampler": "grid"},
    "pruned": {"sampler": "grid", "options": {"prune": True}},
    "sobol": {"sampler": "sobol", "n_designs": 512, "seed": 3},
    "sobol+evolve": {"sampler": "sobol+evolve", "n_designs": 600, "seed": 3},
}


def sweep_file(folder, search):
    space = {**sweeps.tiny()["space"], "clock_ghz": {"values": [0.6, 0.8, 1.0]}}
    del space["memory_device_gib"]
    spec = parse_spec(sweeps.tiny(space=space, results={"keep_all_up_to": 100}, search=search))
    file = folder / "sweep.yaml"
    file.write_text(yaml_text(spec.resolved()))
    return file


def assert_same(one, other):
    for name in SAME:
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
    assert one.designs.equals(other.designs)


def told(command, folder, file, seed):
    """Run a script of `soak` and return what it says."""
    arguments = [str(file), str(folder), str(KILLS), str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def finished(folder):
    """Yield every run of a folder, those that were killed gone on with to their end."""
    for path in sorted({path.with_suffix("") for path in folder.glob("run*")}):
        yield resume(path) if unfinished(path).exists() else open_run(path)


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_random_moments_it_goes_on_to_the_same_result(tmp_path, way):
    file = sweep_file(tmp_path, WAYS[way])
    whole = run(load_spec(file), out=tmp_path / "whole")
    folder = tmp_path / "killed"
    folder.mkdir()
    said = told([sys.executable, SOAK / "nursery.py"], folder, file, len(way))
    assert said["kills"] >= KILLS
    runs = list(finished(folder))
    assert len(runs) >= 1
    for done in runs:
        assert_same(whole, done)
    assert not [path for path in folder.iterdir() if not path.name.startswith("run") and ".partial" not in path.name]


MOUNTS = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not MOUNTS, reason="a small disk needs mounts of its own: unshare -rm is not allowed here")
@pytest.mark.parametrize("way", ["grid", "sobol+evolve"])
def test_a_disk_full_at_random_moments_loses_nothing(tmp_path, way):
    file = sweep_file(tmp_path, WAYS[way])
    whole = run(load_spec(file), out=tmp_path / "whole")
    folder = tmp_path / "full"
    folder.mkdir()
    said = told(["unshare", "-rm", sys.executable, SOAK / "small_disk.py"], folder, file, len(way))
    assert said["full"] >= KILLS
    for done in finished(folder):
        assert_same(whole, done)


def test_workers_killed_again_and_again_change_nothing(tmp_path):
    spec = load_spec(sweep_file(tmp_path, {"sampler": "sobol", "n_designs": 1 << 16, "seed": 3}))
    whole = run(spec, out=tmp_path / "whole")
    rng, killed = np.random.default_rng(0), []

    def kill_one(progress):
        children = list(workers(os.getpid()))
        if len(killed) < WORKERS_KILLED and children:
            with suppress(ProcessLookupError):  # it may be gone by itself
                os.kill(children[int(rng.integers(len(children)))], signal.SIGKILL)
                killed.append(progress.evaluated)

    for attempt in range(2 * WORKERS_KILLED):  # how many a run has to offer depends on how fast its blocks come back
        done = run(
            spec, out=tmp_path / f"run{attempt}", spread=Parallelism(jobs=2, block_rows=1 << 11), progress=kill_one
        )
        assert_same(whole, done)
        if len(killed) == WORKERS_KILLED:
            break
    assert len(killed) == WORKERS_KILLED


def answered_once_cut_off(number, marker):
    """Return a large array; the first worker to send one is killed when a part of the message has left."""
    import multiprocessing.connection as connections

    def send(self, buffer, write=os.write):
        if len(buffer) > 1 << 20 and not marker.exists():
            marker.touch()
            write(self._handle, bytes(buffer[: 1 << 15]))
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, buffer, write)

    whole = connections.Connection._send
    connections.Connection._send = send
    return np.full(1 << 19, float(number))


def test_a_worker_killed_in_the_middle_of_its_answer_does_not_stop_the_others(tmp_path):
    def hangs(*_):
        raise AssertionError("the answer of a killed worker is waited for")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(120)
    try:
        with Parallelism(jobs=2).workers() as several:
            tasks = [(number, tmp_path / "killed") for number in range(6)]
            assert [int(answer[0]) for answer in several.map(answered_once_cut_off, tasks)] == [*range(6)]
            # Killed in the middle of leaving it: done again.
            tasks = [(number, tmp_path / "left") for number in range(6)]
            assert [int(answer[0]) for answer in several.map(answered_once_killed, tasks)] == [*range(6)]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert (tmp_path / "left").exists()


class Fatal:
    """Kills the process that pickles it."""

    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)


def answered_once_killed(number, marker):
    answer = np.full(1 << 19, float(number))
    if not marker.exists():
        marker.touch()
        return [answer, Fatal()]
    return answer


def workers(pid):
    """Yield the worker processes of this one: its copies, and those that loky has started."""
    own = Path(f"/proc/{pid}/cmdline").read_bytes()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except FileNotFoundError:  # it has just ended
                continue
            if command == own or (b"loky" in command and b"resource_tracker" not in command):
                yield child

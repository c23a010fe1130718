"""The search on the workers of a real Dask scheduler, one of which is killed half-way."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dse.parallelism import Parallelism
from dse.runs import run
from dse.sweep import parse_spec
from tests import sweeps

SAME = ("pareto.csv", "picks.yaml", "constraints.csv", "axes.csv")
SWEEP = {
    "name": "spread",
    "workloads": sweeps.SHORT_CHAT,
    "space": {
        "memory": {"values": ["lpddr5x_9600", "gddr6_16", "hbm3"]},
        "memory_devices": {"low": 2, "high": 16, "step": 1},
        "macs": {"low": 8192, "high": 131072, "log": True},
    },
    "objectives": sweeps.minimized("chat.tpot_ms", "cost_usd"),
    "constraints": [{"metric": "tdp_w", "max": 200}],
    "results": {"keep_all_up_to": 1000},
    "search": {"sampler": "sobol", "n_designs": 1 << 19},
}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="Dask is not installed: pip install 'llm-chip-dse[dask]'"
)


@contextlib.contextmanager
def started(*arguments):
    """Start one of Dask's programs, and end it afterwards."""
    command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers on loopback: its address, and the workers."""
    file = tmp_path / "scheduler.json"
    common = ("--scheduler-file", str(file), "--no-dashboard")
    with started("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common):
        while not file.exists():
            time.sleep(0.1)
        place = ("--local-directory", str(tmp_path), "--nworkers", "1", "--nthreads", "1", "--no-nanny")
        with started("dask_worker", *common, *place) as one, started("dask_worker", *common, *place) as two:
            yield json.loads(file.read_text())["address"], (one, two)


def test_a_worker_killed_half_way_changes_nothing(cluster, tmp_path):
    address, (worker, _) = cluster
    spec = parse_spec(SWEEP)
    killed = []

    def kill_one(progress):
        if not killed and progress.evaluated >= spec.search.n_designs // 4:
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(progress.evaluated)

    done = run(spec, out=tmp_path / "dask", spread=Parallelism(0, "dask", address), progress=kill_one)
    assert killed and done.manifest["counts"]["evaluated"] == 1 << 19
    alone = run(spec, out=tmp_path / "alone")
    for name in SAME:
        assert (done.path / name).read_bytes() == (alone.path / name).read_bytes(), name


def test_local_processes_are_started_where_no_scheduler_is_given(tmp_path):
    spec = parse_spec({**SWEEP, "search": {"sampler": "sobol", "n_designs": 4096}})
    done = run(spec, out=tmp_path / "local", spread=Parallelism(2, "dask", chunk_rows=256))
    alone = run(spec, out=tmp_path / "alone")
    for name in SAME:
        assert (done.path / name).read_bytes() == (alone.path / name).read_bytes(), name

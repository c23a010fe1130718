"""Starts searches as children of a process that has imported everything, and kills them at random moments.

    python tests/soak/nursery.py SWEEP FOLDER KILLS SEED

Prints what it did as JSON: how many children were killed, and in how many runs.
"""

import json
import os
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

from dse.parallelism import Parallelism
from dse.runs import resume, run
from dse.search.journal import Journal, unfinished
from dse.sweep import load_spec

SMALL = Parallelism(block_rows=32, chunk_rows=32, keep_every_s=0.0)


def search(spec, out, pipe):
    """Run or go on with a search, and never return."""

    def report(progress):
        os.write(pipe, f"{progress.evaluated}\n".encode())

    try:
        if (unfinished(out) / "search.json").exists():
            resume(out, progress=report, spread=SMALL)
        else:
            run(spec, out=out, progress=report, spread=SMALL)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def kept(out):
    """Return how many designs the journal holds, or None where the run is finished or not begun."""
    folder = unfinished(out)
    if not (folder / "search.json").exists():
        return None
    return sum(last - first for first, last, _ in Journal(folder).kept())


def born_and_killed(spec, out, after, wait):
    """Start a search, kill it after some reports and a moment; return whether it still lived, and its last report."""
    readable, writable = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of the libraries; none of them holds a lock here
        child = os.fork()
    if not child:
        os.close(readable)
        search(spec, out, writable)
    os.close(writable)
    with os.fdopen(readable) as reports:
        lines = [line for line, _ in zip(reports, range(after), strict=False)]
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        lines += reports.readlines()
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a search failed by itself")
    whole = [int(line) for line in lines if line.endswith("\n")]
    return os.WIFSIGNALED(status), whole[-1] if whole else 0


def main():
    sweep, folder, wanted, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    spec, rng = load_spec(sweep), np.random.default_rng(seed)
    # Once undisturbed, so that children find everything imported.
    reports = []
    run(spec, out=folder / "run0", progress=reports.append, spread=SMALL)
    kills, place = 0, 1
    while kills < wanted:
        place += (folder / f"run{place}").exists()
        out = folder / f"run{place}"
        lived, reached = born_and_killed(spec, out, int(rng.integers(0, len(reports) + 1)), rng.random() * 0.08)
        kills += lived
        done = kept(out)
        if done is not None and done < reached:
            raise SystemExit(f"{reached} designs were reported as done, and {done} were kept")
    print(json.dumps({"kills": kills, "runs": place + 1}))


if __name__ == "__main__":
    main()

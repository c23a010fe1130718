"""Searches on a disk that is full again and again, at random moments. Needs its own mounts: run it under unshare -rm.

    unshare -rm python tests/soak/small_disk.py SWEEP FOLDER TIMES SEED

Prints as JSON how often the disk was full; the finished runs are copied to FOLDER.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from dse.errors import RunError
from dse.parallelism import Parallelism
from dse.runs import resume, run
from dse.search.journal import Journal, unfinished
from dse.sweep import load_spec

SMALL = Parallelism(block_rows=32, chunk_rows=32, keep_every_s=0.0)


def resize(disk, room):
    """Leave so many bytes of room on a disk."""
    state = os.statvfs(disk)
    used = (state.f_blocks - state.f_bfree) * state.f_frsize
    subprocess.run(["mount", "-o", f"remount,size={used + room}", disk], check=True)


def main():
    sweep, folder, wanted, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    spec, rng = load_spec(sweep), np.random.default_rng(seed)
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
    full = place = 0
    while full < wanted:
        out, reached = disk / f"run{place}", []
        resize(disk, int(rng.integers(1, 64)) * 4096)
        try:
            if (unfinished(out) / "search.json").exists():
                resume(out, progress=reached.append, spread=SMALL)
            else:
                run(spec, out=out, progress=reached.append, spread=SMALL)
        except RunError as error:
            if "No space left on device" not in str(error):
                raise
            full += 1
            if reached and not out.exists():
                done = sum(last - first for first, last, _ in Journal(unfinished(out)).kept())
                if done < reached[-1].evaluated:
                    raise SystemExit(f"{reached[-1].evaluated} designs were reported, {done} were kept") from None
            continue
        shutil.copytree(out, folder / out.name)
        shutil.rmtree(out)
        place += 1
    print(json.dumps({"full": full, "runs": place}))


if __name__ == "__main__":
    main()

"""Time and memory of the exhaustive search of 100 million designs, all processes together.

    python benchmarks/grid.py [--jobs N] [--whole] [--sweep FILE]

`--whole` evaluates every design; otherwise the sweep says whether conditions of few parameters decide some beforehand.
Memory is the sum of the most that each process ever held, so at least the peak of all together.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

from dse.parallelism import Parallelism
from dse.results.outcome import Progress
from dse.runs import explore
from dse.sweep import load_spec

HOME = Path(__file__).parent.parent
LOOK_EVERY_S = 1.0


def family(pid: int) -> Iterator[int]:
    """Yield a process and everything it has started, on Linux."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from family(int(child))


class Meter:
    """Watches memory and processor time of this process and its workers."""

    def __init__(self) -> None:
        self.peak_gb: dict[int, float] = {}
        self.processor_s: dict[int, float] = {}
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        if time.perf_counter() - self._last > LOOK_EVERY_S or progress.evaluated == progress.planned:
            self._last = time.perf_counter()
            self.look()

    def look(self) -> None:
        tick = os.sysconf("SC_CLK_TCK")
        for pid in list(family(os.getpid())):
            try:
                status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            self.peak_gb[pid] = int(status.get("VmHWM", "0 kB").split()[0]) * 1024 / 1e9
            self.processor_s[pid] = (int(fields[11]) + int(fields[12])) / tick


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", default=str(HOME / "sweeps/mach1_100m.yaml"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whole", action="store_true", help="evaluate every design")
    chosen = parser.parse_args()
    spec = load_spec(chosen.sweep, overrides=["search.options.prune=false"] if chosen.whole else [])
    meter, start = Meter(), time.perf_counter()
    outcome = explore(spec, progress=meter, spread=Parallelism(jobs=chosen.jobs))
    seconds = time.perf_counter() - start
    meter.look()
    front = 0 if outcome.front is None else len(outcome.front)
    processor = sum(meter.processor_s.values())
    print(f"{spec.name}: {outcome.evaluated:,} designs, {outcome.decided:,} of them decided without evaluation;")
    print(f"{outcome.feasible:,} feasible, {front:,} on the front.")
    print(f"{chosen.jobs} processes: {seconds:.1f} s, {outcome.evaluated / seconds:,.0f} designs/s.")
    print(
        f"Processor time of all processes {processor:.1f} s: {outcome.evaluated / processor:,.0f} designs/s per core."
    )
    evaluated = outcome.evaluated - outcome.decided
    print(f"Evaluated in full {evaluated:,}: {evaluated / processor:,.0f} per second and core.")
    peaks = sorted(meter.peak_gb.values(), reverse=True)
    print(f"Peak memory {sum(peaks):.2f} GB: {' + '.join(f'{peak:.2f}' for peak in peaks)}.")
    for note in outcome.notes:
        print(note)


if __name__ == "__main__":
    main()
